// Random cases of the attention op.
#include "attention_case.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../autograd/ops/op.h"

const char *attention_settings_text(const struct attention_settings *s, char text[256])
{
    snprintf(text, 256,
             "B %lld H %lld D %lld T %lld S %lld terms %#x lookup %d shared %d causal %d dense by "
             "batch %d mask %d normaliser %d dropout %g",
             (long long)s->batch, (long long)s->heads, (long long)s->head_dim, (long long)s->length,
             (long long)s->keys, (unsigned)s->terms, s->lookup, s->shared, s->causal,
             s->dense_batched, s->mask, s->normaliser, s->dropout);
    return text;
}

void *attention_case_memory(struct attention_case *c, int64_t count)
{
    void *memory = arena_alloc(&c->graph.arena, (size_t)count);
    assert_non_null(memory);
    return memory;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t clipped(int64_t offset)
{
    return offset < -CASE_CLIP ? -CASE_CLIP : offset > CASE_CLIP ? CASE_CLIP : offset;
}

// The row of an offset, and how many rows there are.
static int64_t row_of_offset(struct attention_case *c, int64_t offset, int64_t *rows)
{
    const struct attention_settings *s = &c->settings;
    int64_t distance = offset < 0 ? -offset : offset, bucket = 0;
    switch (s->lookup) {
    case LOOKUP_CLIPPED:
        *rows = 2 * CASE_CLIP + 1;
        return clipped(offset) + CASE_CLIP;
    case LOOKUP_REVERSED:
        *rows = s->length + s->keys - 1;
        return s->keys - 1 - offset;
    case LOOKUP_BUCKETS:
        *rows = 20;
        for (; distance > 4; distance /= 2)
            bucket++;
        return smaller(bucket + distance, 9) + (offset < 0 ? 10 : 0);
    case LOOKUP_ONE:
        *rows = 3;
        return 1;
    default:
        *rows = 7;
        return (int64_t)rng_below(&c->rng, 7);
    }
}

static int64_t row_of_pair(struct attention_case *c, int64_t i, int64_t j, int64_t *rows)
{
    enum { GRID = 4 };
    *rows = c->settings.lookup == LOOKUP_GRID  ? 3 * (2 * CASE_CLIP + 1)
            : c->settings.lookup == LOOKUP_FAR ? 10 * (c->settings.length + c->settings.keys)
                                               : 6;
    if (c->settings.lookup != LOOKUP_GRID)
        return (int64_t)rng_below(&c->rng, (uint32_t)*rows);
    int64_t across = j % GRID - i % GRID, down = j / GRID - i / GRID;
    down = down < -1 ? -1 : down > 1 ? 1 : down;
    return (down + 1) * (2 * CASE_CLIP + 1) + clipped(across) + CASE_CLIP;
}

// The widest grid of up to 5 that queries and keys are.
static int64_t grid_width(const struct attention_settings *s)
{
    int64_t width = 5;
    while (s->length % width || s->keys % width)
        width--;
    return width;
}

// Like a clip, but for what stands before it or behind, more often than not.
static void fill_runs(struct attention_case *c, int32_t *index, int64_t count, int64_t *rows)
{
    enum { ROWS = 24, LONGEST = 40 };
    *rows = ROWS;
    for (int64_t k = 0; k < count;) {
        int32_t step = (int32_t)rng_below(&c->rng, 3) - 1, row = (int32_t)rng_below(&c->rng, ROWS);
        int64_t end = smaller(k + 1 + (int64_t)rng_below(&c->rng, LONGEST), count);
        for (; k < end && row >= 0 && row < ROWS; row += step)
            index[k++] = row;
    }
}

static ag_t *lookup_index(struct attention_case *c, int64_t grid, int64_t *rows)
{
    const struct attention_settings *s = &c->settings;
    int64_t offsets = s->length + s->keys - 1, pairs = s->length * s->keys;
    if (grid)
        offsets = (s->length / grid + s->keys / grid - 1) * (2 * grid - 1);
    *rows = offsets;
    if (s->lookup == LOOKUP_OFFSET || s->lookup == LOOKUP_GRID_OFFSET ||
        (s->lookup == LOOKUP_GRID_INDEX && !grid))
        return NULL;
    bool by_offset = s->lookup < LOOKUP_PAIR || grid;
    bool by_batch = s->lookup == LOOKUP_BATCH || s->lookup == LOOKUP_FAR;
    int64_t count = by_offset ? offsets : by_batch ? s->batch * pairs : pairs;
    int32_t *index = attention_case_memory(c, count * (int64_t)sizeof *index);
    if (s->lookup == LOOKUP_RUNS)
        fill_runs(c, index, count, rows);
    for (int64_t k = 0; k < count && s->lookup != LOOKUP_RUNS; k++)
        index[k] = (int32_t)(by_offset ? row_of_offset(c, k - (s->length - 1), rows)
                                       : row_of_pair(c, k % pairs / s->keys, k % s->keys, rows));
    struct ag_shape shape = by_offset  ? ag_shape1(offsets)
                            : by_batch ? ag_shape3(s->batch, s->length, s->keys)
                                       : ag_shape2(s->length, s->keys);
    return ag_constant_index(&c->graph, shape, index);
}

static ag_t *leaf(struct attention_case *c, struct ag_shape shape, double low)
{
    return ag_keep(ag_case_leaf(&c->graph, &c->rng, shape, low, 1));
}

static struct ag_relative table(struct attention_case *c, int role)
{
    const struct attention_settings *s = &c->settings;
    if (!(s->terms & 1 << role))
        return (struct ag_relative){.table = NULL};
    bool by_head = role == PLAIN_BY_BIAS || role == PLAIN_BY_FACTOR;
    int64_t rows, width = s->heads * s->head_dim;
    bool on_grid = by_head && (s->lookup == LOOKUP_GRID_OFFSET || s->lookup == LOOKUP_GRID_INDEX);
    struct ag_relative relative = {.grid_width = on_grid ? grid_width(s) : 0};
    relative.index = lookup_index(c, relative.grid_width, &rows);
    int64_t columns = by_head ? s->heads : s->shared ? s->head_dim : width;
    relative.table = leaf(c, ag_shape2(rows, columns), role == PLAIN_BY_FACTOR ? 0.2 : -1);
    return relative;
}

static ag_t *key_mask(struct attention_case *c)
{
    const struct attention_settings *s = &c->settings;
    if (s->mask == MASK_NONE)
        return NULL;
    int32_t *mask = attention_case_memory(c, s->batch * s->keys * (int64_t)sizeof *mask);
    for (int64_t k = 0; k < s->batch * s->keys; k++) {
        mask[k] = rng_below(&c->rng, 4) > 0;
        if (s->mask == MASK_FIRST)
            mask[k] = k % s->keys >= smaller(3, s->keys - 1);
        if (s->mask == MASK_SEQUENCE && k / s->keys == s->batch - 1)
            mask[k] = 0;
    }
    return ag_constant_index(&c->graph, ag_shape2(s->batch, s->keys), mask);
}

static ag_t *term(struct attention_case *c, int role, struct ag_shape shape)
{
    return c->settings.terms & 1 << role ? leaf(c, shape, -1) : NULL;
}

void attention_case_begin(struct attention_case *c, const struct attention_settings *settings)
{
    memset(c, 0, sizeof *c);
    c->settings = *settings;
    const struct attention_settings *s = &c->settings;
    ag_graph_init(&c->graph, NULL);
    ag_scope(&c->graph, "case");
    rng_init(&c->rng, rng_stream(5, "attention"), 0, 0);
    int64_t width = s->heads * s->head_dim;
    struct ag_shape query = ag_shape3(s->batch, s->length, width);
    struct ag_shape key = ag_shape3(s->batch, s->keys, width);
    c->a = (struct ag_attention){.heads = s->heads, .scale = 0.7, .causal = s->causal};
    c->a.normaliser = s->normaliser;
    c->a.dropout = s->dropout;
    c->a.query = leaf(c, query, -1);
    c->a.key = leaf(c, key, -1);
    c->a.value = leaf(c, key, -1);
    c->a.key_mask = key_mask(c);
    c->a.relative_query = term(c, PLAIN_RELATIVE_QUERY, query);
    c->a.relative_key = term(c, PLAIN_RELATIVE_KEY, key);
    c->a.query_relative = table(c, PLAIN_BY_QUERY);
    c->a.key_relative = table(c, PLAIN_BY_KEY);
    c->a.value_relative = table(c, PLAIN_BY_VALUE);
    c->a.bias = table(c, PLAIN_BY_BIAS);
    c->a.factor = table(c, PLAIN_BY_FACTOR);
    c->a.dense_bias = term(c, PLAIN_DENSE_BIAS,
                           s->dense_batched ? ag_shape4(s->batch, s->heads, s->length, s->keys)
                                            : ag_shape3(s->heads, s->length, s->keys));
    c->a.row_bias = term(c, PLAIN_ROW_BIAS, ag_shape3(s->batch, s->length, s->heads));
    c->a.column_bias = term(c, PLAIN_COLUMN_BIAS, ag_shape3(s->batch, s->keys, s->heads));
}

void attention_case_end(struct attention_case *c)
{
    ag_plan_free(c->plan);
    ag_graph_release(&c->graph);
}

void attention_case_build(struct attention_case *c)
{
    const struct ag_attention *a = &c->a;
    ag_t *x[PLAIN_ARRAYS] = {a->query,
                             a->key,
                             a->value,
                             a->relative_query,
                             a->relative_key,
                             a->dense_bias,
                             a->row_bias,
                             a->column_bias,
                             a->query_relative.table,
                             a->key_relative.table,
                             a->value_relative.table,
                             a->bias.table,
                             a->factor.table};
    memcpy(c->x, x, sizeof x);
    if (a->key_mask)
        ag_keep(a->key_mask);
    c->output = ag_keep(ag_attention(&c->graph, a));
}

void attention_case_plan(struct attention_case *c, ag_t *output)
{
    c->plan = ag_plan_new(&c->graph, ag_keep(output), true);
    if (!c->plan)
        fail_msg("%s", err_last());
    struct ag_run *run = ag_plan_run(c->plan);
    run->seed = 11;
    run->step = (uint64_t)5 << 32 | 7;
    run->training = true;
    c->cotangent = attention_case_memory(c, output->count * (int64_t)sizeof *c->cotangent);
    for (int64_t i = 0; i < output->count; i++)
        c->cotangent[i] = (real)(2 * rng_uniform(&c->rng) - 1);
}

static void poison(void *memory, size_t size)
{
    real *x = memory;
    for (size_t i = 0; x && i < size / sizeof *x; i++)
        x[i] = (real)NAN;
}

void attention_case_run(struct attention_case *c)
{
    struct ag_run *run = ag_plan_run(c->plan);
    // What is read before it is written shows.
    poison(run->scratch, run->scratch_stride * (size_t)par_threads());
    poison(c->output->data, (size_t)c->output->count * sizeof(real));
    poison(c->output->saved, c->output->saved_size);
    ag_forward(c->plan);
    poison(run->scratch, run->scratch_stride * (size_t)par_threads());
    poison(c->output->partial, c->output->partial_size);
    for (int k = 0; k < PLAIN_ARRAYS; k++)
        if (c->x[k])
            poison(c->x[k]->grad, (size_t)c->x[k]->count * sizeof(real));
    ag_backward(c->plan, c->cotangent);
}

void attention_case_all(struct attention_case *c, const struct attention_settings *settings)
{
    attention_case_begin(c, settings);
    attention_case_build(c);
    attention_case_plan(c, c->output);
    attention_case_run(c);
}

// --- the same, plainly

static double *doubles(struct attention_case *c, const real *from, int64_t count)
{
    double *to = attention_case_memory(c, count * (int64_t)sizeof *to);
    for (int64_t i = 0; i < count && from; i++)
        to[i] = (double)from[i];
    return to;
}

static void plain_lookups(const struct attention_case *c, struct attention_plain *p)
{
    const struct ag_relative *relative[] = {&c->a.query_relative, &c->a.key_relative,
                                            &c->a.value_relative, &c->a.bias, &c->a.factor};
    for (int k = 0; k < 5; k++) {
        int role = PLAIN_BY_QUERY + k;
        if (relative[k]->table)
            p->columns[role] = relative[k]->table->shape.size[1];
        p->grid_width[role] = relative[k]->grid_width;
        if (relative[k]->index) {
            p->index[role] = relative[k]->index->param;
            p->index_dims[role] = relative[k]->index->shape.dims;
        }
    }
}

void attention_case_plain(struct attention_case *c, struct attention_plain *p)
{
    const struct attention_settings *s = &c->settings;
    *p = (struct attention_plain){.batch = s->batch,
                                  .length = s->length,
                                  .keys = s->keys,
                                  .heads = s->heads,
                                  .head_dim = s->head_dim,
                                  .scale = c->a.scale,
                                  .dropout = c->a.dropout,
                                  .causal = c->a.causal,
                                  .dense_batched = s->dense_batched,
                                  .normaliser = c->a.normaliser,
                                  .seed = ag_plan_run(c->plan)->seed,
                                  .step = ag_plan_run(c->plan)->step,
                                  .name = c->output->name};
    p->key_mask = c->a.key_mask ? c->a.key_mask->param : NULL;
    for (int k = 0; k < PLAIN_ARRAYS; k++) {
        p->x[k] = c->x[k] ? doubles(c, c->x[k]->data, c->x[k]->count) : NULL;
        p->grad[k] = c->x[k] ? doubles(c, NULL, c->x[k]->count) : NULL;
        p->size[k] = c->x[k] ? doubles(c, NULL, c->x[k]->count) : NULL;
    }
    plain_lookups(c, p);
    int64_t pairs = s->batch * s->heads * s->length * s->keys;
    double **matrix[] = {&p->score, &p->weight, &p->kept, &p->weight_grad, &p->score_grad};
    for (int k = 0; k < 5; k++)
        *matrix[k] = doubles(c, NULL, pairs);
    p->output = doubles(c, NULL, c->output->count);
    attention_plain_forward(p);
    attention_plain_backward(p, doubles(c, c->cotangent, c->output->count));
}
