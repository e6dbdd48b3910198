// Every op stays within what it was given, and reads nothing that nobody wrote.
//
// The random cases of the gradient check, and larger ones that are cut into pieces, with every
// tensor, gradient and work area of its own between two fences of NaN, and NaN in it wherever
// forward or backward is to write first. All results must have the bits that they have in the
// plan's own memory, and the fences must stand. One turn too many of a loop changes a fence or
// brings a NaN in; so does a sum that nobody began.
#include <stdlib.h>
#include <string.h>

#include "../support/attention_case.h"
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

// One case: a random one of the gradient check, a large one, or one of attention.
typedef ag_t *builder(struct ag_graph *graph, struct rng *rng);
struct bounds_case {
    const char *name;
    const struct ag_op *op;
    int variant;
    builder *build;
    const struct attention_settings *attention;
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
    if (output->needs_grad)
        ag_backward(plan, cotangent);
    free(field.block[0].memory);
}

static struct ag_tensor *build(const struct bounds_case *what, struct attention_case *c)
{
    struct rng rng;
    if (what->attention) {
        attention_case_begin(c, what->attention);
        attention_case_build(c);
        return ag_keep(c->output);
    }
    ag_graph_init(&c->graph, NULL);
    rng_init(&rng, rng_stream(what->seed, what->name), (uint64_t)what->variant, 0);
    return ag_keep(what->op ? what->op->sample(&c->graph, &rng, what->variant)
                            : what->build(&c->graph, &rng));
}

// Replays a case twice, in memory that is clean and in what the first time left.
static int64_t replay(const struct bounds_case *what, bool fences, real *result)
{
    struct attention_case c = {.plan = NULL};
    struct field field = {.blocks = 0};
    struct ag_tensor *output = build(what, &c);
    struct ag_plan *plan = ag_plan_new(&c.graph, output, true);
    if (!plan)
        fail_msg("%s: %s", what->name, err_last());
    struct ag_run *run = ag_plan_run(plan), own = *run;
    run->seed = what->seed;
    run->step = 1;
    run->training = true;
    if (fences) {
        fence_tensors(&field, &c.graph);
        fence_work(&field, &c.graph, run);
    }
    pass(plan, output, what);
    int64_t count = results(&c.graph, output, result);
    pass(plan, output, what);
    count += results(&c.graph, output, result + count);
    for (int i = 0; i < field.blocks; i++) {
        if (!stands(&field.block[i]))
            fail_msg("%s, case %d, seed %d: wrote outside of block %d, of %zu bytes", what->name,
                     what->variant, (int)what->seed, i, field.block[i].size);
        free(field.block[i].memory);
    }
    run->scratch = own.scratch;
    run->shared = own.shared;
    ag_plan_free(plan);
    ag_graph_release(&c.graph);
    return count;
}

static real *expected, *actual; // results of one case

static int set_up(void **state)
{
    (void)state;
    par_set_threads(THREADS);
    expected = malloc(2 * MOST_RESULTS * sizeof *expected);
    actual = malloc(2 * MOST_RESULTS * sizeof *actual);
    return expected && actual ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    par_set_threads(0);
    free(expected);
    free(actual);
    return 0;
}

static void check_case(const struct bounds_case *what)
{
    int64_t count = replay(what, false, expected);
    assert_int_equal(replay(what, true, actual), count);
    if (memcmp(actual, expected, (size_t)count * sizeof *actual) != 0)
        fail_msg("%s, case %d, seed %d: other bits between fences", what->name, what->variant,
                 (int)what->seed);
}

static void every_op_stays_within_bounds(void **state)
{
    (void)state;
    for (int i = 0; i < ag_op_count; i++)
        for (int k = 0; k < ag_ops[i]->variants * SEEDS; k++)
            check_case(&(struct bounds_case){.name = ag_ops[i]->name,
                                             .op = ag_ops[i],
                                             .variant = k / SEEDS,
                                             .seed = (uint64_t)(k % SEEDS)});
}

// --- large cases: several pieces, chunks, blocks and tiles, and a rest

static ag_t *leaf(struct ag_graph *graph, struct rng *rng, struct ag_shape shape)
{
    return ag_case_leaf(graph, rng, shape, -1, 1);
}

static ag_t *linear(struct ag_graph *graph, struct rng *rng)
{
    return ag_linear(graph, leaf(graph, rng, ag_shape2(901, 130)),
                     leaf(graph, rng, ag_shape2(70, 130)), leaf(graph, rng, ag_shape1(70)));
}

static ag_t *linear_gelu(struct ag_graph *graph, struct rng *rng)
{
    return ag_linear_gelu(graph, leaf(graph, rng, ag_shape2(403, 33)),
                          leaf(graph, rng, ag_shape2(67, 33)), leaf(graph, rng, ag_shape1(67)));
}

static ag_t *linear_add(struct ag_graph *graph, struct rng *rng)
{
    return ag_linear_add(graph, leaf(graph, rng, ag_shape2(500, 65)),
                         leaf(graph, rng, ag_shape2(129, 65)), NULL,
                         leaf(graph, rng, ag_shape2(500, 129)));
}

static ag_t *layer_norm(struct ag_graph *graph, struct rng *rng)
{
    return ag_layer_norm(graph, leaf(graph, rng, ag_shape2(501, 133)),
                         leaf(graph, rng, ag_shape1(133)), leaf(graph, rng, ag_shape1(133)), 1e-5);
}

static ag_t *softmax(struct ag_graph *graph, struct rng *rng)
{
    return ag_softmax(graph, leaf(graph, rng, ag_shape2(701, 67)));
}

static ag_t *repeated(struct ag_graph *graph, struct rng *rng)
{
    return ag_mul(graph, leaf(graph, rng, ag_shape3(41, 30, 37)),
                  leaf(graph, rng, ag_shape2(30, 37)));
}

static ag_t *repeated_columns(struct ag_graph *graph, struct rng *rng)
{
    return ag_sub(graph, leaf(graph, rng, ag_shape3(41, 1, 37)),
                  leaf(graph, rng, ag_shape3(41, 30, 1)));
}

static ag_t *sum_rows(struct ag_graph *graph, struct rng *rng)
{
    return ag_sum(graph, leaf(graph, rng, ag_shape3(9, 301, 35)), 1);
}

static ag_t *gather_rows(struct ag_graph *graph, struct rng *rng)
{
    ag_t *index = ag_case_index(graph, rng, ag_shape2(60, 51), 0, 299);
    return ag_gather(graph, leaf(graph, rng, ag_shape2(300, 67)), index);
}

static ag_t *scatter_rows(struct ag_graph *graph, struct rng *rng)
{
    ag_t *index = ag_case_index(graph, rng, ag_shape1(700), 0, 98);
    return ag_scatter_add(graph, leaf(graph, rng, ag_shape2(700, 33)), index, 99);
}

static ag_t *matmul(struct ag_graph *graph, struct rng *rng)
{
    return ag_matmul(graph, leaf(graph, rng, ag_shape3(5, 70, 65)), true,
                     leaf(graph, rng, ag_shape2(33, 70)), true);
}

static ag_t *recurrence(struct ag_graph *graph, struct rng *rng)
{
    ag_t *weight = ag_case_leaf(graph, rng, ag_shape2(70, 70), -0.1, 0.1);
    return ag_recurrence(graph, leaf(graph, rng, ag_shape3(19, 9, 70)), weight,
                         leaf(graph, rng, ag_shape1(70)), true);
}

static ag_t *taps(struct ag_graph *graph, struct rng *rng)
{
    ag_t *index = ag_case_index(graph, rng, ag_shape2(50, 3), -1, 49);
    ag_t *mask = ag_case_index(graph, rng, ag_shape2(9, 50), 0, 1);
    return ag_taps(graph, leaf(graph, rng, ag_shape3(9, 50, 67)),
                   leaf(graph, rng, ag_shape2(3, 67)), index, mask);
}

static ag_t *cross_entropy(struct ag_graph *graph, struct rng *rng)
{
    ag_t *target = ag_case_index(graph, rng, ag_shape1(900), -1, 36);
    return ag_cross_entropy(graph, leaf(graph, rng, ag_shape2(900, 37)), target, 0.1);
}

static ag_t *rotate(struct ag_graph *graph, struct rng *rng)
{
    return ag_rotate(graph, leaf(graph, rng, ag_shape3(7, 70, 66)),
                     leaf(graph, rng, ag_shape3(70, 3, 11)), leaf(graph, rng, ag_shape3(70, 3, 11)),
                     3, AG_HALF, false);
}

static ag_t *dropout(struct ag_graph *graph, struct rng *rng)
{
    return ag_dropout(graph, leaf(graph, rng, ag_shape2(300, 101)), 0.3);
}

static ag_t *linear_attention(struct ag_graph *graph, struct rng *rng)
{
    struct ag_shape shape = ag_shape3(5, 150, 33);
    struct ag_linear_attention a = {.heads = 3, .causal = true};
    a.query = ag_case_leaf(graph, rng, shape, 0.1, 1);
    a.key = ag_case_leaf(graph, rng, shape, 0.1, 1);
    a.turned_query = leaf(graph, rng, shape);
    a.turned_key = leaf(graph, rng, shape);
    a.value = leaf(graph, rng, shape);
    a.key_mask = ag_case_index(graph, rng, ag_shape2(5, 150), 0, 1);
    return ag_linear_attention(graph, &a);
}

static void large_ones_stay_within_bounds(void **state)
{
    (void)state;
    static builder *const builders[] = {
        linear,   linear_gelu, linear_add,      layer_norm, softmax,    repeated, repeated_columns,
        sum_rows, gather_rows, scatter_rows,    matmul,     recurrence, taps,     cross_entropy,
        rotate,   dropout,     linear_attention};
    for (size_t i = 0; i < sizeof builders / sizeof builders[0]; i++)
        check_case(&(struct bounds_case){.name = "large", .variant = (int)i, .build = builders[i]});
}

static void attention_stays_within_bounds(void **state)
{
    (void)state;
    // More than a block of queries, and keys that fill vectors or do not.
    static const int64_t lengths[] = {70, 80, 70, 70}, keys[] = {48, 80, 41, 70};
    for (int lookup = 0; lookup < LOOKUPS; lookup++) {
        for (int how = 0; how < 4; how++) {
            struct attention_settings s = {.batch = 9,
                                           .heads = 2,
                                           .head_dim = 5,
                                           .length = lengths[how],
                                           .keys = keys[how],
                                           .terms = CASE_TERMS | CASE_RELATIVE_QUERY,
                                           .lookup = (enum attention_lookup_kind)lookup,
                                           .shared = how & 2,
                                           .causal = how & 1,
                                           .mask = MASK_SOME};
            check_case(&(struct bounds_case){
                .name = "attention", .variant = lookup * 4 + how, .attention = &s});
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_op_stays_within_bounds),
        cmocka_unit_test(large_ones_stay_within_bounds),
        cmocka_unit_test(attention_stays_within_bounds),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down) != 0;
}
