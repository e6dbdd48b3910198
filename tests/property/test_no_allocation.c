// In the steady state nothing in the process allocates: not our code, not the C library, not BLAS,
// not gcc's OpenMP. (LLVM's does in any parallel loop, where the check with two threads is
// skipped.)
//
// The allocation functions of the whole process are replaced by counting ones.
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../autograd/ops/op.h"
#include "../../src/train/tensorboard.h"
#include "../../src/train/train.h"
#include "../support/settings.h"

#ifdef __has_feature
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
#define REPLACED 0 // the sanitizer has replaced them itself
#else
#define REPLACED 1
#endif

static atomic_long calls;

#if REPLACED
// glibc's own, under the names that it keeps for replacements like these.
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    atomic_fetch_add(&calls, 1);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    atomic_fetch_add(&calls, 1);
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    atomic_fetch_add(&calls, 1);
    return __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    atomic_fetch_add(&calls, 1);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    atomic_fetch_add(&calls, 1);
    *block = __libc_memalign(alignment, size);
    return *block ? 0 : ENOMEM;
}
#endif

static struct train_settings settings;

static void small_run(const char *pe, const char *threads)
{
    settings_of(&settings, "--layers 2 --heads 2 --dim 32 --ff-dim 64 --batch-size 8 --steps 64 "
                           "--warmup 2 --dropout 0.1 --task probe --length 16");
    settings_set(&settings, "arch", "decoder");
    settings_set(&settings, "ema", "0.99");
    settings_set(&settings, "pe", pe);
    settings_set(&settings, "threads", threads);
}

static long count_steps(struct trainer *trainer, int steps)
{
    struct train_step_result result;
    struct evaluation evaluation;
    long before = atomic_load(&calls);
    for (int i = 0; i < steps; i++)
        if (trainer_step(trainer, &result) < 0)
            fail_msg("%s", err_last());
    if (trainer_evaluate(trainer, DATASET_VALIDATION, 2, &evaluation) < 0)
        fail_msg("%s", err_last());
    return atomic_load(&calls) - before;
}

static void no_step_allocates(const char *threads)
{
    for (int p = 0; p < pe_count; p++) {
        struct trainer trainer;
        char pe[128];
        pe_smallest_stack(pe_list[p], pe);
        small_run(pe, threads);
        // Every other one in parts.
        assert_int_equal(train_settings_assign(&settings, "accumulate", p % 2 ? "2" : "1"), 0);
        if (trainer_init(&trainer, &settings) < 0)
            fail_msg("%s: %s", pe, err_last());
        count_steps(&trainer, 2); // threads start, kernels are chosen
        long counted = count_steps(&trainer, 20);
        trainer_release(&trainer);
        if (counted)
            fail_msg("--pe %s --threads %s: %ld allocations in 20 steps", pe, threads, counted);
    }
}

// Every op in every variant of its gradient check: attention with terms that no encoding has, too.
static void no_op_allocates(void **state)
{
    (void)state;
    par_set_threads(1);
    for (int i = 0; i < ag_op_count; i++) {
        for (int variant = 0; variant < ag_ops[i]->variants; variant++) {
            struct ag_graph graph;
            struct rng rng;
            ag_graph_init(&graph, NULL);
            rng_init(&rng, rng_stream(1, "allocation"), (uint64_t)variant, 0);
            struct ag_tensor *output = ag_keep(ag_ops[i]->sample(&graph, &rng, variant));
            bool backward = !(ag_ops[i]->flags & AG_NO_BACKWARD);
            struct ag_plan *plan = ag_plan_new(&graph, output, backward);
            assert_non_null(plan);
            ag_plan_run(plan)->training = true;
            long before = 0;
            for (int replay = 0; replay < 3; replay++) {
                if (replay == 1) // the first may start threads and choose kernels
                    before = atomic_load(&calls);
                ag_forward(plan);
                if (backward)
                    ag_backward(plan, NULL);
            }
            if (atomic_load(&calls) != before)
                fail_msg("%s, variant %d, allocates", ag_ops[i]->name, variant);
            ag_plan_free(plan);
            ag_graph_release(&graph);
        }
    }
}

// Allocations of OpenMP itself in a loop that does nothing.
static long empty_loop(void)
{
    volatile int nothing = 0;
    long before = atomic_load(&calls);
#pragma omp parallel for schedule(dynamic, 1) num_threads(2)
    for (int i = 0; i < 8; i++)
        (void)nothing;
    return atomic_load(&calls) - before;
}

static void no_step_allocates_on_one_thread(void **state)
{
    (void)state;
    no_step_allocates("1");
}

static void no_step_allocates_on_two(void **state)
{
    (void)state;
    empty_loop(); // threads start
    if (empty_loop())
        skip();
    no_step_allocates("2");
}

// Nor does a point of an event file, after the first.
static void no_event_allocates(void **state)
{
    (void)state;
    char folder[] = "/tmp/posgrad-allocation-XXXXXX", command[64];
    const struct tensorboard_scalar scalar[] = {{"train/loss", 1}, {"optim/lr", 0.5}};
    struct tensorboard board;
    assert_non_null(mkdtemp(folder));
    int fd = open(folder, O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    tensorboard_init(&board, fd, 0);
    assert_int_equal(tensorboard_write(&board, 1, 2, scalar), 0);
    long before = atomic_load(&calls);
    for (int64_t step = 2; step < 100; step++)
        assert_int_equal(tensorboard_write(&board, step, 2, scalar), 0);
    assert_int_equal(atomic_load(&calls) - before, 0);
    tensorboard_release(&board);
    close(fd);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

// The counter itself is checked: an allocation in this process, by us or by the C library, is seen.
static void the_counter_counts(void **state)
{
    (void)state;
    if (!REPLACED)
        skip();
    long before = atomic_load(&calls);
    void *volatile block = malloc(8);
    free(block);
    block = strdup("seen in the C library too");
    free(block);
    void *aligned = NULL;
    assert_int_equal(posix_memalign(&aligned, 64, 64), 0);
    free(aligned);
    assert_int_equal(atomic_load(&calls) - before, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_counter_counts),
        cmocka_unit_test(no_op_allocates),
        cmocka_unit_test(no_step_allocates_on_one_thread),
        cmocka_unit_test(no_step_allocates_on_two),
        cmocka_unit_test(no_event_allocates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
