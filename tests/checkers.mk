# The checkers: `make lint` reads the source, `make sanitize` runs the tests. The Makefile includes
# this; what is written here needs clang 14, cppcheck and valgrind, which nothing else does.

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

# ThreadSanitizer knows the barriers of clang's OpenMP through Archer, and of no other.
sanitize-threads:
	@OMP_TOOL_LIBRARIES=$(ARCHER) \
	    TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=1 exitcode=66" \
	    $(MAKE) CC=$(CLANG) SAN=thread BUILD=$(BUILD)-threads CFLAGS="-O1 -g" TEST_SECONDS=1800 test

# Programs of tests alone, as valgrind is 20 to 50 times slower, and with kernels that it can decode.
VALGRIND := valgrind --quiet --error-exitcode=66 --leak-check=full --errors-for-leak-kinds=definite
sanitize-valgrind:
	@OPENBLAS_CORETYPE=Haswell OMP_NUM_THREADS=2 UNDER="$(VALGRIND)" ONLY='tests/@(unit|ops)/*' \
	    $(MAKE) LEVELS=avx2 BUILD=$(BUILD)-valgrind CFLAGS="-O1 -g" TEST_SECONDS=1800 test
