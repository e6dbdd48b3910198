# posgrad: `make deps demo` and `make deps test` are the two commands of the README.
# Variables: CC, CFLAGS, BUILD (folder), SAN=address|undefined, V=1; overrides may live in config.mk.
-include config.mk

BUILD ?= build$(if $(SAN),-$(SAN))
CFLAGS ?= -O3 -g -march=native
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

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
        -Wdouble-promotion -Wpointer-arith -Wno-pass-failed
# (clang cannot vectorise the double build's calls of libm, which is no mistake of the source)
SAN_FLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
# Products and sums are rounded as they are written: gcc's choice for -std=c11, and not clang's.
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -fopenmp -ffp-contract=off -fno-math-errno -fno-trapping-math $(CFLAGS) $(WARN) \
             $(SAN_FLAGS) $(PC_CFLAGS) -MMD -MP
# The product's tiles are the exception: a fused multiply-add is what they are made of.
PRODUCT_OBJECTS := $(foreach real,float double,$(foreach file,product peak,$(BUILD)/$(real)/autograd/kernels/$(file).o))
$(PRODUCT_OBJECTS): ALL_CFLAGS += -ffp-contract=fast
ALL_LIBS = -lhdf5_hl $(PC_LIBS) -Wl,-rpath,$(BLAS_DIR) -lm

SOURCES := $(sort $(wildcard autograd/*.c autograd/*/*.c optim/*.c optim/*/*.c datasets/*.c datasets/*/*.c src/*/*.c src/*/*/*.c))
LIBRARY := $(filter-out src/cli/main.c,$(SOURCES))
FLOAT_OBJECTS := $(LIBRARY:%.c=$(BUILD)/float/%.o)
DOUBLE_OBJECTS := $(LIBRARY:%.c=$(BUILD)/double/%.o)

SUPPORT := $(wildcard tests/support/*.c)
TESTS := $(sort $(wildcard tests/*/test_*.c))
FLOAT_TESTS := $(TESTS:%.c=$(BUILD)/float/%)
DOUBLE_TESTS := $(TESTS:%.c=$(BUILD)/double/%)

.PHONY: all deps demo test tests bench claims clean help FORCE
all: posgrad train

# Where `deps` is asked for, nothing is compiled before it is done.
DEPS := $(filter deps,$(MAKECMDGOALS))

$(BUILD)/float/%.o: %.c | $(DEPS)
	@mkdir -p $(@D)
	$(call run,CC)$(CC) $(ALL_CFLAGS) -c -o $@ $<
$(BUILD)/double/%.o: %.c | $(DEPS)
	@mkdir -p $(@D)
	$(call run,CC)$(CC) $(ALL_CFLAGS) -DPOSGRAD_DOUBLE -c -o $@ $<

$(BUILD)/float/libposgrad.a: $(FLOAT_OBJECTS)
	@rm -f $@
	$(call run,AR)ar rcs $@ $^
$(BUILD)/double/libposgrad.a: $(DOUBLE_OBJECTS)
	@rm -f $@
	$(call run,AR)ar rcs $@ $^

# One program holds both builds: the double one is linked into a single object whose only visible
# name is its entry point.
$(BUILD)/double.o: $(DOUBLE_OBJECTS) $(BUILD)/double/src/cli/main.o
	$(call run,LD)$(LD) -r -o $@.tmp $^
	@objcopy --keep-global-symbol=posgrad_main_double $@.tmp $@
	@rm -f $@.tmp

$(BUILD)/posgrad: $(BUILD)/float/src/cli/main.o $(BUILD)/double.o $(BUILD)/float/libposgrad.a
	$(call run,LD)$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LIBS)

# The programs in the root are those of the BUILD that was made last.
posgrad: $(BUILD)/posgrad FORCE
	@cmp -s $< $@ || cp --remove-destination $< $@
train: posgrad
	@ln -sf posgrad $@

$(FLOAT_TESTS): $(BUILD)/float/%: $(BUILD)/float/%.o $(SUPPORT:%.c=$(BUILD)/float/%.o) $(BUILD)/float/libposgrad.a
	$(call run,LD)$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LIBS) -lcmocka
$(DOUBLE_TESTS): $(BUILD)/double/%: $(BUILD)/double/%.o $(SUPPORT:%.c=$(BUILD)/double/%.o) $(BUILD)/double/libposgrad.a
	$(call run,LD)$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LIBS) -lcmocka

tests: $(FLOAT_TESTS) $(DOUBLE_TESTS)

# Programs that measure: in float, as they are about speed.
BENCHES := $(patsubst %.c,$(BUILD)/float/%,$(sort $(wildcard tests/bench/bench_*.c)))
BENCH_PARTS := $(BUILD)/float/tests/bench/measure.o $(BUILD)/float/tests/bench/shapes.o
$(BENCHES): $(BUILD)/float/%: $(BUILD)/float/%.o $(BENCH_PARTS) $(BUILD)/float/libposgrad.a
	$(call run,LD)$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LIBS)

# The table of the probe: what each encoding can tell apart, trained, beside theory.
CLAIMS := $(BUILD)/float/tests/encodings/claims
$(CLAIMS): $(BUILD)/float/tests/encodings/claims.o $(BUILD)/float/tests/support/theorem.o $(BUILD)/float/libposgrad.a
	$(call run,LD)$(CC) $(ALL_CFLAGS) -o $@ $^ $(ALL_LIBS)
claims: $(CLAIMS)
	@$(CLAIMS)

bench: all $(BENCHES)
	@for program in $(BENCHES); do $$program || exit 1; done

test: all tests
	@BUILD=$(BUILD) CC="$(CC)" SAN="$(SAN)" bash tests/run.sh

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
	@echo "make bench      measure: step time by threads, what the terms of attention cost"
	@echo "make clean      remove what was built"
	@echo "make help       this"
	@echo "Variables: CC=clang, CFLAGS=..., BUILD=folder, SAN=address|undefined; or set them in config.mk."

.SECONDARY:

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
