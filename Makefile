# posgrad: `make deps demo` and `make deps test` are the two commands of the README.
# Variables: CC, CFLAGS, BUILD (folder), SAN=address|undefined, V=1; overrides may live in config.mk.
-include config.mk

BUILD ?= build$(if $(SAN),-$(SAN))
CFLAGS ?= -O3 -g
PKG_CONFIG ?= pkg-config

# One short line a file; V=1 shows the commands.
run = $(if $(V),,@printf '  %-3s %s\n' $1 $@; )

# All processors, unless the caller says -j himself.
ifeq (,$(filter -j% --jobserver%,$(MAKEFLAGS)))
MAKEFLAGS += -j$(or $(shell nproc 2>/dev/null),1)
endif

# Debian packages; elsewhere the libraries as pkg-config names them.
PACKAGES := build-essential pkg-config libopenblas-openmp-dev libhdf5-dev libcmocka-dev \
            libjansson-dev libzip-dev nettle-dev

# Asked for when a recipe first needs it, and then remembered: in `make deps test` the libraries are
# not there yet while this file is read.
remember = $(eval $1 := $2)$($1)

# OpenBLAS: the build with OpenMP comes first, which uses one thread when it is called from inside our
# own parallel loops (the build without threads is not safe to call from two threads at once), then
# whatever pkg-config knows. The rpath pins the one that was linked.
BLAS_PC = $(call remember,BLAS_PC,$(shell ls /usr/lib/$$($(CC) -print-multiarch 2>/dev/null || gcc \
            -print-multiarch)/openblas-openmp/pkgconfig/openblas.pc 2>/dev/null || echo openblas))
LIBS_PC = $(BLAS_PC) hdf5 jansson libzip nettle
PC_CFLAGS = $(call remember,PC_CFLAGS,$(need_libraries)$(shell $(PKG_CONFIG) --cflags $(LIBS_PC)))
PC_LIBS = $(call remember,PC_LIBS,$(shell $(PKG_CONFIG) --libs $(LIBS_PC)))
BLAS_DIR = $(call remember,BLAS_DIR,$(shell $(PKG_CONFIG) --variable=libdir $(BLAS_PC)))
need_libraries = $(if $(shell $(PKG_CONFIG) --exists $(LIBS_PC) cmocka && echo yes),,$(error \
    a library is missing: run 'make deps', or see README for what to install ($(LIBS_PC) cmocka)))

# The levels of vector code that the program holds, the best first; it takes the best that the
# processor has. Each has a folder for float and for double; tests and benchmarks are of the best that
# this machine has. With a sanitizer there is one. (No compiler may be there yet while this is read.)
FLAGS_avx512 := -march=x86-64-v4 -mprefer-vector-width=512
FLAGS_avx2 := -march=x86-64-v3
FLAGS_base :=
comma := ,
X86 := $(filter x86_64,$(shell uname -m))
has = $(shell grep -q -w -m 1 $1 /proc/cpuinfo && echo yes)
BEST := $(if $(X86),$(if $(call has,avx512dq),avx512,$(if $(call has,avx2),avx2,base)),base)
LEVELS ?= $(if $(SAN),$(BEST),$(if $(X86),avx512 avx2 base,base))
OWN := $(firstword $(filter $(BEST),$(LEVELS)) $(lastword $(LEVELS)))
LOWEST := $(lastword $(LEVELS))
LEVEL_FLAGS := $(foreach level,$(LEVELS),-DPOSGRAD_HAS_$(level))
# precision,level
folder = $(BUILD)/$1-$2
FLOAT := $(call folder,float,$(OWN))
DOUBLE := $(call folder,double,$(OWN))
level_flags = $(FLAGS_$1) -DPOSGRAD_LEVEL=$1 $(LEVEL_FLAGS)

WARN := -Wall -Wextra -Wshadow -Wconversion -Wdouble-promotion -Wformat=2 -Wstrict-prototypes \
        -Wmissing-prototypes -Wvla -Wundef -Wpointer-arith -Wno-pass-failed
# (clang cannot vectorise the double build's calls of libm, which is no mistake of the source)
SAN_FLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
# Against what a mistake with memory can be made into: checked copies, canaries, addresses that are
# drawn, tables of the linker that nobody writes. A sanitizer does this by itself.
HARDEN := $(if $(SAN),,-fPIE -fstack-protector-strong -fstack-clash-protection $(if $(X86),-fcf-protection) \
          $(if $(filter -O0,$(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3))
HARDEN_LD := $(if $(SAN),,-pie -Wl,-z,relro,-z,now,-z,noexecstack)
# Products and sums are rounded as they are written: gcc's choice for -std=c11, and not clang's.
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -fopenmp -ffp-contract=off -fno-math-errno -fno-trapping-math $(CFLAGS) $(WARN) \
             $(HARDEN) $(SAN_FLAGS) $(PC_CFLAGS) -MMD -MP
# What measures the processor's limit is the exception.
PEAK_OBJECTS := $(foreach level,$(LEVELS),$(foreach real,float double,$(call folder,$(real),$(level))/autograd/kernels/peak.o))
$(PEAK_OBJECTS): ALL_CFLAGS += -ffp-contract=fast
ALL_LIBS = $(HARDEN_LD) -lhdf5_hl $(PC_LIBS) -Wl,-rpath,$(BLAS_DIR) -lm

SOURCES := $(sort $(wildcard autograd/*.c autograd/*/*.c optim/*.c optim/*/*.c datasets/*.c datasets/*/*.c src/*/*.c src/*/*/*.c))
LIBRARY := $(filter-out src/cli/main.c,$(SOURCES))

SUPPORT := $(wildcard tests/support/*.c)
TESTS := $(sort $(wildcard tests/*/test_*.c))
FLOAT_TESTS := $(TESTS:%.c=$(FLOAT)/%)
DOUBLE_TESTS := $(TESTS:%.c=$(DOUBLE)/%)

.PHONY: all deps demo test tests bench claims clean help FORCE
all: posgrad train

# Where `deps` is asked for, nothing is compiled before it is done.
DEPS := $(filter deps,$(MAKECMDGOALS))

# precision,level: how one build is compiled, its library, and itself as a single object whose
# only visible name is its entry.
define objects
$(call folder,$1,$2)/%.o: %.c | $(DEPS)
	@mkdir -p $$(@D)
	$$(call run,CC)$$(CC) $$(ALL_CFLAGS) $(call level_flags,$2) -DPOSGRAD_ENTRY=posgrad_$1_$2 $(if $(filter double,$1),-DPOSGRAD_DOUBLE) -c -o $$@ $$<
$(call folder,$1,$2)/libposgrad.a: $(LIBRARY:%.c=$(call folder,$1,$2)/%.o)
	@rm -f $$@
	$$(call run,AR)ar rcs $$@ $$^
$(call folder,$1,$2)/program.o: $(LIBRARY:%.c=$(call folder,$1,$2)/%.o)
	$$(call run,LD)$$(LD) -r -o $$@.tmp $$^
	@objcopy --keep-global-symbol=posgrad_$1_$2 $$@.tmp $$@
	@rm -f $$@.tmp
endef
$(foreach level,$(LEVELS),$(foreach real,float double,$(eval $(call objects,$(real),$(level)))))

# One program holds all builds. What runs before one is chosen is of the lowest level.
MAIN := $(call folder,float,$(LOWEST))
PROGRAMS := $(foreach level,$(LEVELS),$(call folder,double,$(level))/program.o) \
            $(foreach level,$(filter-out $(LOWEST),$(LEVELS)),$(call folder,float,$(level))/program.o)
# What knows of the levels is made anew when they are others.
$(BUILD)/levels: FORCE
	@mkdir -p $(@D)
	@echo $(LEVELS) | cmp -s - $@ || echo $(LEVELS) >$@
$(MAIN)/src/cli/main.o $(foreach level,$(LEVELS),$(foreach real,float double,$(call folder,$(real),$(level))/autograd/kernels/level.o)): $(BUILD)/levels
$(BUILD)/posgrad: $(MAIN)/src/cli/main.o $(PROGRAMS) $(MAIN)/libposgrad.a
	$(call run,LD)$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LIBS)

# The programs in the root are those of the BUILD that was made last.
posgrad: $(BUILD)/posgrad FORCE
	@cmp -s $< $@ || cp --remove-destination $< $@
train: posgrad
	@ln -sf posgrad $@

# What a test has beside its own file comes before the library.
objects_first = $(filter %.o,$^) $(filter-out %.o,$^)
$(FLOAT_TESTS): $(FLOAT)/%: $(FLOAT)/%.o $(SUPPORT:%.c=$(FLOAT)/%.o) $(FLOAT)/libposgrad.a
	$(call run,LD)$(CC) $(ALL_CFLAGS) -o $@ $(objects_first) $(ALL_LIBS) -lcmocka
$(DOUBLE_TESTS): $(DOUBLE)/%: $(DOUBLE)/%.o $(SUPPORT:%.c=$(DOUBLE)/%.o) $(DOUBLE)/libposgrad.a
	$(call run,LD)$(CC) $(ALL_CFLAGS) -o $@ $(objects_first) $(ALL_LIBS) -lcmocka

# Saves where no thread can be had.
SAVES := tests/property/test_saves
$(FLOAT)/$(SAVES) $(DOUBLE)/$(SAVES): ALL_LIBS += -Wl,--wrap=pthread_create

# Calls that fail, in the processes of the commands that it runs. A sanitizer keeps malloc for
# itself, so that there only calls of our own objects can be led elsewhere.
FAILING := tests/faults/test_failing
$(FLOAT)/$(FAILING): $(addprefix $(FLOAT)/tests/faults/,failing.o failing_run.o)
$(DOUBLE)/$(FAILING): $(addprefix $(DOUBLE)/tests/faults/,failing.o failing_run.o)
WRAPPED := malloc calloc realloc posix_memalign strdup vasprintf open_memstream
$(FLOAT)/$(FAILING) $(DOUBLE)/$(FAILING): ALL_LIBS += $(if $(SAN),$(WRAPPED:%=-Wl,--wrap=%))

# Kernels are tested at every level that this machine has.
LEVEL_TESTS := $(filter tests/unit/test_product.c tests/unit/test_vector.c tests/unit/test_transpose.c tests/ops/% \
               tests/golden/test_golden_ops.c tests/golden/test_golden_model.c,$(filter-out tests/ops/test_gradcheck.c,$(TESTS)))
OTHERS := $(filter-out $(OWN),$(if $(filter avx512,$(OWN)),avx2 base,base))
OTHER_LEVELS := $(filter $(OTHERS),$(LEVELS))
OTHER_TESTS := $(foreach level,$(OTHER_LEVELS),$(LEVEL_TESTS:%.c=$(BUILD)/float-$(level)/%))
define level_tests
$(LEVEL_TESTS:%.c=$(BUILD)/float-$1/%): $(BUILD)/float-$1/%: $(BUILD)/float-$1/%.o $(SUPPORT:%.c=$(BUILD)/float-$1/%.o) $(BUILD)/float-$1/libposgrad.a
	$$(call run,LD)$$(CC) $$(ALL_CFLAGS) -o $$@ $$^ $$(ALL_LIBS) -lcmocka
endef
$(foreach level,$(OTHER_LEVELS),$(eval $(call level_tests,$(level))))

# Targets of fuzzing, with a driver of our own, or with libFuzzer (see `fuzz` below).
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZERS := $(FUZZ_NAMES:%=$(FLOAT)/tests/fuzz/fuzz_%)
FUZZ_PARTS := $(FLOAT)/tests/fuzz/input.o $(if $(LIBFUZZER),,$(FLOAT)/tests/fuzz/replay.o)
$(FUZZERS): $(FLOAT)/%: $(FLOAT)/%.o $(FUZZ_PARTS) $(FLOAT)/libposgrad.a
	$(call run,LD)$(CC) $(ALL_CFLAGS) $(if $(LIBFUZZER),-fsanitize=fuzzer) -o $@ $^ $(ALL_LIBS)

tests: $(FLOAT_TESTS) $(DOUBLE_TESTS) $(OTHER_TESTS) $(FUZZERS) $(addprefix $(FLOAT)/tests/bench/,bench_step bench_encodings bench_tasks)

# Programs that measure: in float, as they are about speed.
BENCHES := $(patsubst %.c,$(FLOAT)/%,$(sort $(wildcard tests/bench/bench_*.c)))
BENCH_PARTS := $(FLOAT)/tests/bench/measure.o $(FLOAT)/tests/bench/shapes.o
$(BENCHES): $(FLOAT)/%: $(FLOAT)/%.o $(BENCH_PARTS) $(FLOAT)/libposgrad.a
	$(call run,LD)$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LIBS)

# The table of the probe: what each encoding can tell apart, trained, beside theory.
CLAIMS := $(FLOAT)/tests/encodings/claims
$(CLAIMS): $(FLOAT)/tests/encodings/claims.o $(FLOAT)/tests/support/theorem.o $(FLOAT)/libposgrad.a
	$(call run,LD)$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LIBS)
claims: $(CLAIMS)
	@$(CLAIMS)

# Tables to the terminal, and the same as JSON lines. RIVALS=1 asks PyTorch for the same steps
# (PYTHON is a Python that has it).
BENCH := $(FLOAT)/tests/bench
BENCH_JSON := $(BUILD)/bench.jsonl
PYTHON ?= python3
bench: all $(BENCHES)
	@rm -f $(BENCH_JSON)
	@$(BENCH)/bench_step -j $(BENCH_JSON) -t 1
	@$(BENCH)/bench_step -j $(BENCH_JSON) -t $$(nproc)
	@$(BENCH)/bench_threads
	@for shape in B long C E; do $(BENCH)/bench_encodings -j $(BENCH_JSON) -s $$shape -r 7 || exit 1; done
	@$(BENCH)/bench_tasks -j $(BENCH_JSON)
	@$(BENCH)/bench_growth -j $(BENCH_JSON)
	@$(BENCH)/bench_save -j $(BENCH_JSON)
	@for shape in A B C; do $(BENCH)/bench_save_cost -j $(BENCH_JSON) $$shape || exit 1; done
	@$(BENCH)/bench_start -j $(BENCH_JSON) $(BUILD)/posgrad
	@$(BENCH)/bench_attention
	@$(BENCH)/bench_denormals -j $(BENCH_JSON)
	@echo "as JSON: $(BENCH_JSON)"
	$(if $(RIVALS),@$(PYTHON) tests/bench/rivals.py --bench $(BENCH)/bench_step --json $(BUILD)/rivals.json)
	$(if $(RIVALS),@$(PYTHON) tests/bench/rivals.py --bench $(BENCH)/bench_step --shapes ABC --threads 1 --rounds 5 \
	    --encodings t5$(comma)shaw$(comma)transformer-xl$(comma)deberta$(comma)rope$(comma)alibi$(comma)urpe --json $(BUILD)/rivals-encodings.json)

# How what was built was built, for tests that compile.
HOW = BUILD=$(BUILD) CC="$(CC)" SAN="$(SAN)" OWN=$(OWN) COMPILE="$(ALL_CFLAGS) $(call level_flags,$(OWN))" LIBS="$(ALL_LIBS)"
test: all tests
	@$(HOW) LEVELS="$(OTHER_LEVELS)" bash tests/run.sh

include tests/checkers.mk

# Enough lines to see it learn.
DEMO := --log-every 100 --eval-every 500
demo: all
	@echo "The probe is a row of one repeated token: every token must name its own position. A learned table solves it:"
	./train --pe learned --task probe --out-dir runs/demo-learned --overwrite $(DEMO)
	@echo
	@echo "Without positions all tokens look alike to the same model, and it stays at chance:"
	./train --pe none --task probe --out-dir runs/demo-none --overwrite $(DEMO)

# Installs what is missing, and does nothing where nothing is.
deps:
	@PACKAGES="$(PACKAGES)" MODULES="openblas hdf5 jansson libzip nettle cmocka" bash .ci/deps

clean:
	rm -rf build build-* posgrad train

help:
	@echo "make            posgrad and train, in this folder"
	@echo "make deps       install the libraries (Debian, Ubuntu)"
	@echo "make demo       train the probe with and without positions"
	@echo "make test       build and run every test, in float and in double"
	@echo "make claims     train the probe with every encoding, beside what theory says"
	@echo "make faults     the long forms of tests of faults: PLACES=1000 numbers that are not finite,"
	@echo "                BITS_STEPS=200 steps of every case with any threads, stopped and resumed;"
	@echo "                KILLS=1000 moments at which a training is killed, TIMES=100 stops by each signal,"
	@echo "                damaged checkpoints, VECTORS=1000000 random command lines, FILES=20000 damaged"
	@echo "                files of strangers, and make failing"
	@echo "make failing    commands in which each system call and each allocation fails in turn"
	@echo "make fuzz       fuzz all readers of files and options with clang's libFuzzer: FUZZ_SECONDS=60 each,"
	@echo "                FUZZ=NAME for one of them ($(FUZZ_NAMES))"
	@echo "make mutants    MUTANTS=300 mistakes in what computes, drawn by SEED=1: the tests must notice 95 %"
	@echo "make coverage   the tests must reach 90 % of the lines and 80 % of the branches"
	@echo "make lint       read the source with gcc, clang, gcc's analyser, clang-tidy and cppcheck"
	@echo "make sanitize   run the tests under AddressSanitizer, UndefinedBehaviourSanitizer, ThreadSanitizer"
	@echo "                and valgrind"
	@echo "make bench      measure: step time, share of the processor's limit, what encodings and data cost;"
	@echo "                RIVALS=1 PYTHON=... has PyTorch beside it"
	@echo "make clean      remove what was built"
	@echo "make help       this"
	@echo "Variables: CC=clang, CFLAGS=..., BUILD=folder, SAN=address|undefined|thread, LEVELS='avx512 avx2 base'"
	@echo "           (the vector code that the program holds); or set them in config.mk."

.SECONDARY:

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
