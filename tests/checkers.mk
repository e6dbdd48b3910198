# The checks that take longer than `make test`, or need more: `make faults`, `fuzz`, `mutants` and `coverage`
# run the program, `make lint` reads the source, `make sanitize` runs the tests under checkers. The
# Makefile includes this. clang 14, cppcheck and valgrind are needed here, and by nothing else.

# The long forms of tests whose short ones `make test` runs.
PLACES ?= 1000
BITS_STEPS ?= 200
VECTORS ?= 1000000
FILES ?= 20000
NONFINITE := $(FLOAT)/tests/faults/test_nonfinite
BITS := $(FLOAT)/tests/faults/test_bits
KILLS ?= 1000
TIMES ?= 100
.PHONY: faults faults-numbers faults-arguments faults-wall faults-kill faults-signals
faults: faults-numbers faults-arguments faults-wall faults-kill faults-signals
# Files that are damaged or cut.
.PHONY: faults-damage
faults: faults-damage
faults-damage: $(FLOAT)/tests/faults/test_damage
	@FULL=1 $<
faults-numbers: $(NONFINITE) $(BITS)
	@POSGRAD_PLACES=$(PLACES) $(NONFINITE)
	@POSGRAD_BITS_STEPS=$(BITS_STEPS) OMP_WAIT_POLICY=passive $(BITS)
# Random command lines; there the program stops where it would begin to compute.
ARGUMENTS := tests/faults/test_arguments
$(FLOAT)/$(ARGUMENTS) $(DOUBLE)/$(ARGUMENTS): ALL_LIBS += -Wl,--wrap=command_check_products
faults-arguments: $(FLOAT)/$(ARGUMENTS)
	@POSGRAD_VECTORS=$(VECTORS) $<
# Damaged files of strangers.
faults-wall: $(FLOAT)/tests/faults/test_wall
	@POSGRAD_FILES=$(FILES) $<
faults-kill: $(BUILD)/posgrad
	@KILLS=$(KILLS) POSGRAD=$(abspath $(BUILD)/posgrad) OMP_WAIT_POLICY=passive bash tests/faults/test_kill.sh
faults-signals: $(BUILD)/posgrad
	@TIMES=$(TIMES) STRICT=1 POSGRAD=$(abspath $(BUILD)/posgrad) OMP_WAIT_POLICY=passive bash tests/faults/test_signals.sh

# Fuzzing: all targets, or FUZZ="NAME NAME", FUZZ_SECONDS each, in a build of their own. What is found
# lies in its folder crash.
FUZZ ?= $(FUZZ_NAMES)
FUZZ_SECONDS ?= 60
FUZZ_CC ?= clang-14
FUZZ_BUILD ?= build-fuzz
.PHONY: fuzz fuzzers
fuzzers: $(FUZZERS)
fuzz:
	@command -v $(FUZZ_CC) >/dev/null || { echo "fuzz: there is no $(FUZZ_CC): apt-get install clang-14" \
	    "libclang-rt-14-dev libomp-14-dev, or give FUZZ_CC=" >&2; exit 1; }
	+@$(MAKE) --no-print-directory fuzzers LIBFUZZER=1 BUILD=$(FUZZ_BUILD) CC=$(FUZZ_CC) CFLAGS="-O1 -g" \
	    SAN=fuzzer-no-link$(comma)address$(comma)undefined LEVELS=base
	@FUZZ_SECONDS=$(FUZZ_SECONDS) bash tests/fuzz/run.sh $(FUZZ_BUILD)/float-base/tests/fuzz $(FUZZ)

# Mistakes, put one after the other into what computes: how many do the tests notice?
MUTANTS ?= 300
SEED ?= 1
.PHONY: mutants coverage
mutants: $(FLOAT_TESTS) $(DOUBLE_TESTS)
	@$(HOW) bash tests/faults/mutate.sh -n $(MUTANTS) -s $(SEED)

# Lines and branches that the tests reach, with the best vector code, in float and double together; the
# float build's programs and one of the double build's reach what all of them do. (What runs as another
# user in test_run_ends.sh cannot write its counts, and says so: tests that read stderr fail there.)
COVERAGE := build-coverage
COVERAGE_MAKE = $(MAKE) BUILD=$(COVERAGE) LEVELS=$(BEST) CFLAGS="-O1 -g --coverage"
coverage:
	@$(COVERAGE_MAKE) all tests
	@find $(COVERAGE) -name '*.gcda' -delete
	@GCOV_ERROR_FILE=/dev/null $(COVERAGE)/double-$(BEST)/tests/ops/test_gradcheck >/dev/null
	-@GCOV_ERROR_FILE=/dev/null TEST_SECONDS=1800 PRECISIONS=float $(COVERAGE_MAKE) test
	@find $(COVERAGE) -name '*.gcno' | grep -v /tests/ | sort | xargs gcov -b -c -t 2>/dev/null | awk -f tests/repo/coverage.awk

# Each call of each command fails in turn.
FAILING_STRIDE ?= 1
.PHONY: failing faults-failing
faults: faults-failing
failing: faults-failing
faults-failing: $(FLOAT)/$(FAILING)
	@FAILING_STRIDE=$(FAILING_STRIDE) OMP_WAIT_POLICY=passive $<

# What `make lint` reads.
CHECKED := $(filter-out tests/bench/%,$(sort $(SOURCES) $(SUPPORT) $(TESTS)))
CLANG ?= clang-14
TIDY ?= clang-tidy-14
ARCHER ?= /usr/lib/llvm-14/lib/libarcher.so
STAMPS := $(BUILD)/lint

# Code of one level and precision is seen as it is compiled.
LINT_FLAGS = $(ALL_CFLAGS) $(call level_flags,$(OWN)) -DPOSGRAD_ENTRY=posgrad_float_$(OWN)
TIDY_FLAGS = $(filter-out -MMD -MP -Wno-pass-failed,$(LINT_FLAGS))

.PHONY: lint lint-warnings lint-analyzer lint-tidy lint-cppcheck
lint: lint-warnings lint-analyzer lint-tidy lint-cppcheck

# All warnings of both compilers, in both precisions.
define lint_with
lint-warnings: $(CHECKED:%.c=$(STAMPS)/$1-$2/%.ok)
$(CHECKED:%.c=$(STAMPS)/$1-$2/%.ok): $(STAMPS)/$1-$2/%.ok: %.c
	@mkdir -p $$(@D)
	$$(call run,$1)$1 $$(LINT_FLAGS) $(if $(filter double,$2),-DPOSGRAD_DOUBLE) -O1 -Werror -c -o /dev/null -MF $$(@:.ok=.d) -MT $$@ $$<
	@touch $$@
endef
$(foreach compiler,gcc $(CLANG),$(foreach real,float double,$(eval $(call lint_with,$(compiler),$(real)))))

# gcc's own search for null, freed and lost memory along the paths of a function, in code as it is
# written: with optimisation gcc 12 takes what it has moved for uninitialised.
lint-analyzer: $(SOURCES:%.c=$(STAMPS)/analyzer/%.ok)
$(STAMPS)/analyzer/%.ok: %.c
	@mkdir -p $(@D)
	$(call run,gcc)gcc $(filter-out -D_FORTIFY_SOURCE=%,$(LINT_FLAGS)) -O0 -fanalyzer $(TRUSTED) -Werror -c -o /dev/null \
	    -MF $(@:.ok=.d) -MT $@ $<
	@touch $@
# What gcc 12 loses sight of: the arrays that are kept in graph->params and in a writer of HDF5; a list
# that is filled by ids.
$(STAMPS)/analyzer/autograd/params.ok $(STAMPS)/analyzer/src/io/h5file_write.ok: TRUSTED := -Wno-analyzer-malloc-leak
$(STAMPS)/analyzer/autograd/plan.ok: TRUSTED := -Wno-analyzer-use-of-uninitialized-value

# What it looks for is in .clang-tidy.
lint-tidy: $(SOURCES:%.c=$(STAMPS)/tidy/%.ok)
$(STAMPS)/tidy/%.ok: %.c .clang-tidy
	@mkdir -p $(@D)
	$(call run,TDY)$(TIDY) --quiet $< -- $(TIDY_FLAGS) 2>$(@:.ok=.log) || { cat $(@:.ok=.log); exit 1; }
	@touch $@

# Macros that it does not know are in its .cfg.
lint-cppcheck:
	@mkdir -p $(STAMPS)/cppcheck
	$(call run,CPP)cppcheck --quiet --std=c11 --platform=unix64 --cppcheck-build-dir=$(STAMPS)/cppcheck \
	    --library=tests/lint/cppcheck.cfg --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	    -D_GNU_SOURCE -DPOSGRAD_LEVEL=avx512 -DPOSGRAD_ENTRY=posgrad_lint $(LEVEL_FLAGS) autograd optim datasets src

# Each in a folder of its own. What valgrind cannot decode (AVX-512) it is not given.
.PHONY: sanitize sanitize-memory sanitize-threads sanitize-valgrind
sanitize: sanitize-memory sanitize-threads sanitize-valgrind

# AddressSanitizer with its search for leaks, and UndefinedBehaviourSanitizer: the whole suite.
sanitize-memory:
	@$(MAKE) SAN=address,undefined BUILD=$(BUILD)-memory CFLAGS="-O1 -g" TEST_SECONDS=1800 test

# ThreadSanitizer knows the barriers of clang's OpenMP through Archer, and of no other. Left out are two
# tests that replace what ThreadSanitizer replaces, and two whose children exit after a fork, where
# Archer ends by a signal.
sanitize-threads:
	@OMP_TOOL_LIBRARIES=$(ARCHER) ONLY='!(tests/faults/test_@(failing|arguments|fuzz).*|tests/property/test_no_allocation.c)' \
	    TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=1 exitcode=66 die_after_fork=0" \
	    $(MAKE) CC=$(CLANG) SAN=thread BUILD=$(BUILD)-threads CFLAGS="-O1 -g" TEST_SECONDS=1800 test

# Programs of tests alone, as valgrind is 20 to 50 times slower, with kernels that it can decode, and
# without fortified copies, of which it takes memmove's for memcpy's. Some tests skip what it has not
# (check_under_valgrind).
VALGRIND := valgrind --quiet --error-exitcode=66 --leak-check=full --errors-for-leak-kinds=definite
sanitize-valgrind:
	@OPENBLAS_CORETYPE=Haswell OMP_NUM_THREADS=2 UNDER="$(VALGRIND)" ONLY='tests/@(unit|ops)/*' \
	    $(MAKE) LEVELS=avx2 BUILD=$(BUILD)-valgrind HARDEN= HARDEN_LD= CFLAGS="-O1 -g" TEST_SECONDS=1800 test
