// Every op stays within what it was given, and reads nothing that nobody wrote.
//
// The random cases of the gradient check, with every tensor, gradient and work area of its own
// between two fences of NaN, and NaN in it wherever forward or backward is to write first. All
// results must have the bits that they have in the plan's own memory, and the fences must stand.
// One turn too many of a loop changes a fence or brings a NaN in; so does a sum that nobody began.
#include <stdlib.h>
#include <string.h>

#include "../support/check.h"

#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../autograd/ops/op.h"

enum { SEEDS = 12, THREADS = 3, FENCE = 256, MOST_BLOCKS = 128, MOST_RESULTS = 1 << 20 };
enum { NAN_BYTE = 0xff, FAR_INDEX = 0x3f }; // as an index, far outside of everything

// A fence, `size` bytes, a fence, as often as there are parts.
struct block {
    char *memory;
    size_t size, stride;
    int parts, fence; // the byte that fences are made of
};

struct field {
    struct block block[MOST_BLOCKS];
    int blocks;
};

static void *fenced(struct field *field, size_t size, int parts, int fence)
{
    assert_true(field->blocks < MOST_BLOCKS);
    struct block *b = &field->block[field->blocks++];
    *b = (struct block){.size = size, .parts = parts, .fence = fence};
    b->stride = (size + 63) / 64 * 64 + FENCE;
    b->memory = aligned_alloc(64, FENCE + (size_t)parts * b->stride);
    assert_non_null(b->memory);
    memset(b->memory, fence, FENCE + (size_t)parts * b->stride);
    return b->memory + FENCE;
}

static bool stands(const struct block *b)
{
    for (int part = 0; part <= b->parts; part++) {
        const char *begin = b->memory +
                            (part ? FENCE + (size_t)(part - 1) * b->stride + b->size : 0);
        const char *end = b->memory + FENCE + (size_t)part * b->stride;
        for (; begin < end; begin++)
            if ((unsigned char)*begin != b->fence)
                return false;
    }
    return true;
}

// A tensor's memory, with what the caller wrote into it, or with nothing yet.
static void *moved(struct field *field, const struct ag_tensor *t, const void *from, size_t item,
                   int fence)
{
    void *to = fenced(field, (size_t)t->count * item, 1, fence);
    if (!t->op)
        memcpy(to, from, (size_t)t->count * item);
    return to;
}

static void fence_tensors(struct field *field, struct ag_graph *graph)
{
    for (struct ag_tensor *t = graph->first; t; t = t->next) {
        if (t->base) { // which came before
            t->data = t->base->data;
            t->index = t->base->index;
            t->grad = t->base->grad;
            continue;
        }
        if (t->index)
            t->index = moved(field, t, t->index, sizeof *t->index, FAR_INDEX);
        if (t->data)
            t->data = moved(field, t, t->data, sizeof *t->data, NAN_BYTE);
        if (t->grad)
            t->grad = fenced(field, (size_t)t->count * sizeof *t->grad, 1, NAN_BYTE);
        if (t->saved)
            t->saved = fenced(field, t->saved_size, 1, NAN_BYTE);
        if (t->partial)
            t->partial = fenced(field, t->partial_size, 1, NAN_BYTE);
    }
}

static void fence_work(struct field *field, const struct ag_graph *graph, struct ag_run *run)
{
    size_t scratch = 0, shared = 0;
    for (const struct ag_tensor *t = graph->first; t; t = t->next) {
        scratch = t->scratch_size > scratch ? t->scratch_size : scratch;
        shared = t->shared_size > shared ? t->shared_size : shared;
    }
    run->shared = fenced(field, shared, 1, NAN_BYTE);
    run->scratch = fenced(field, scratch, THREADS, NAN_BYTE);
    run->scratch_stride = field->block[field->blocks - 1].stride;
}

// The output and the gradient of every leaf, one after the other.
static int64_t results(const struct ag_graph *graph, const struct ag_tensor *output, real *result)
{
    int64_t count = 0;
    for (const struct ag_tensor *t = graph->first; t; t = t->next) {
        const real *from = t == output ? t->data : t->op ? NULL : t->grad;
        if (!from)
            continue;
        assert_true(count + t->count <= MOST_RESULTS);
        memcpy(result + count, from, (size_t)t->count * sizeof *from);
        count += t->count;
    }
    return count;
}

// One case of one op.
struct bounds_case {
    const struct ag_op *op;
    int variant;
    uint64_t seed;
};

static void pass(struct ag_plan *plan, const struct ag_tensor *output,
                 const struct bounds_case *what)
{
    struct field field = {.blocks = 0};
    struct rng rng;
    rng_init(&rng, rng_stream(what->seed, "cotangent"), 0, 0);
    real *cotangent = fenced(&field, (size_t)output->count * sizeof *cotangent, 1, NAN_BYTE);
    for (int64_t i = 0; i < output->count; i++)
        cotangent[i] = (real)(rng_uniform(&rng) + 0.5);
    ag_forward(plan);
    if (!(what->op->flags & AG_NO_BACKWARD))
        ag_backward(plan, cotangent);
    free(field.block[0].memory);
}

// Replays a case twice, in memory that is clean and in what the first time left.
static int64_t replay(const struct bounds_case *what, bool fences, real *result)
{
    const struct ag_op *op = what->op;
    struct ag_graph graph;
    struct field field = {.blocks = 0};
    struct rng rng;
    ag_graph_init(&graph, NULL);
    rng_init(&rng, rng_stream(what->seed, op->name), (uint64_t)what->variant, 0);
    struct ag_tensor *output = ag_keep(op->sample(&graph, &rng, what->variant));
    struct ag_plan *plan = ag_plan_new(&graph, output, !(op->flags & AG_NO_BACKWARD));
    if (!plan)
        fail_msg("%s: %s", op->name, err_last());
    struct ag_run *run = ag_plan_run(plan), own = *run;
    run->seed = what->seed;
    run->step = 1;
    run->training = true;
    if (fences) {
        fence_tensors(&field, &graph);
        fence_work(&field, &graph, run);
    }
    pass(plan, output, what);
    int64_t count = results(&graph, output, result);
    pass(plan, output, what);
    count += results(&graph, output, result + count);
    for (int i = 0; i < field.blocks; i++) {
        if (!stands(&field.block[i]))
            fail_msg("%s, case %d, seed %d: wrote outside of block %d, of %zu bytes", op->name,
                     what->variant, (int)what->seed, i, field.block[i].size);
        free(field.block[i].memory);
    }
    run->scratch = own.scratch;
    run->shared = own.shared;
    ag_plan_free(plan);
    ag_graph_release(&graph);
    return count;
}

static void every_op_stays_within_bounds(void **state)
{
    real *expected = malloc(2 * MOST_RESULTS * sizeof *expected);
    real *actual = malloc(2 * MOST_RESULTS * sizeof *actual);
    (void)state;
    assert_true(expected && actual);
    par_set_threads(THREADS);
    for (int i = 0; i < ag_op_count; i++) {
        int cases = ag_ops[i]->variants * SEEDS;
        for (int k = 0; k < cases; k++) {
            struct bounds_case what = {ag_ops[i], k / SEEDS, (uint64_t)(k % SEEDS)};
            int64_t count = replay(&what, false, expected);
            assert_int_equal(replay(&what, true, actual), count);
            if (memcmp(actual, expected, (size_t)count * sizeof *actual) != 0)
                fail_msg("%s, case %d, seed %d: other bits between fences", ag_ops[i]->name,
                         what.variant, (int)what.seed);
        }
    }
    par_set_threads(0);
    free(expected);
    free(actual);
}

CHECK_MAIN(cmocka_unit_test(every_op_stays_within_bounds))
