// Attention, from queries and keys to weights: scores with every term that is present, the
// normaliser, factor, dropout.
#include <math.h>
#include <string.h>

#include "../kernels/product.h"
#include "../kernels/vector.h"
#include "attention_inside.h"

static bool has(const struct attention_work *w, enum attention_table table)
{
    return attention_table_of(w->node, table) != NULL;
}

static const int32_t *key_mask(const struct attention_work *w, const struct attention_block *b)
{
    const struct ag_tensor *mask = w->node->input[KEY_MASK];
    return mask ? mask->index + b->batch * w->p->keys : NULL;
}

static void add_query_relative(const struct attention_work *w, const struct attention_block *b,
                               struct attention_scratch *s)
{
    const struct attention_param *p = w->p;
    const struct ag_tensor *reader = w->node->input[attention_reader(w->node, BY_QUERY)];
    attention_add_products(w, b, BY_QUERY, (real)p->scale,
                           reader->data + attention_place(p, b, p->length, b->first), s, s->scores);
}

static void add_key_relative(const struct attention_work *w, const struct attention_block *b,
                             struct attention_scratch *s)
{
    const struct attention_param *p = w->p;
    const struct ag_tensor *reader = w->node->input[attention_reader(w->node, BY_KEY)];
    attention_add_key_products(w, b, (real)p->scale,
                               reader->data + attention_place(p, b, p->keys, 0), s, s->scores);
}

static void add_table_bias(const struct attention_work *w, const struct attention_block *b,
                           struct attention_scratch *s)
{
    struct attention_lookup l = attention_column_of(w, b, BY_BIAS, s->column);
    for (int64_t i = 0; i < b->rows; i++)
        attention_gather(w->p, &l, b->first + i, 0, attention_end(w->p, b->first + i), s->column,
                         s->scores + i * b->stride);
}

static void add_dense_bias(const struct attention_work *w, const struct attention_block *b,
                           struct attention_scratch *s)
{
    const struct attention_param *p = w->p;
    int64_t head = p->dense_batched ? b->batch * p->heads + b->head : b->head;
    const real *bias = w->node->input[DENSE_BIAS]->data + (head * p->length + b->first) * p->keys;
    for (int64_t i = 0; i < b->rows; i++)
#pragma omp simd
        for (int64_t j = 0; j < b->columns; j++)
            s->scores[i * b->stride + j] += bias[i * p->keys + j];
}

static void add_row_bias(const struct attention_work *w, const struct attention_block *b,
                         struct attention_scratch *s)
{
    const struct attention_param *p = w->p;
    const real *bias = w->node->input[ROW_BIAS]->data +
                       (b->batch * p->length + b->first) * p->heads + b->head;
    for (int64_t i = 0; i < b->rows; i++) {
        real a = bias[i * p->heads];
#pragma omp simd
        for (int64_t j = 0; j < b->columns; j++)
            s->scores[i * b->stride + j] += a;
    }
}

static void add_column_bias(const struct attention_work *w, const struct attention_block *b,
                            struct attention_scratch *s)
{
    const struct attention_param *p = w->p;
    const real *bias = w->node->input[COLUMN_BIAS]->data + b->batch * p->keys * p->heads + b->head;
    for (int64_t j = 0; j < b->columns; j++)
        s->row[j] = bias[j * p->heads];
    for (int64_t i = 0; i < b->rows; i++)
#pragma omp simd
        for (int64_t j = 0; j < b->columns; j++)
            s->scores[i * b->stride + j] += s->row[j];
}

// Keys behind the end of a row, which the causal mask hides, get no score at all.
static void hide(const struct attention_work *w, const struct attention_block *b, real *scores)
{
    const int32_t *mask = key_mask(w, b);
    for (int64_t i = 0; mask && i < b->rows; i++) {
        real *row = scores + i * b->stride;
        for (int64_t j = 0; j < b->columns; j++)
            row[j] = mask[j] ? row[j] : -(real)INFINITY;
    }
}

static void clear_behind(const struct attention_work *w, const struct attention_block *b, int64_t i,
                         real *row)
{
    int64_t end = attention_end(w->p, b->first + i);
    if (end < b->columns)
        memset(row + end, 0, (size_t)(b->columns - end) * sizeof *row);
}

void attention_pack(const struct attention_work *w, const struct attention_block *b,
                    struct attention_scratch *s, bool values)
{
    const struct attention_param *p = w->p;
    struct ag_tensor *const *input = w->node->input;
    int64_t at = attention_place(p, b, p->keys, 0), panels = product_panels(p->keys);
    product_pack(s->keys, true, p->head_dim, p->keys, input[KEY]->data + at, p->width, 0, panels);
    if (values)
        product_pack(s->values, true, p->head_dim, p->keys, input[VALUE]->data + at, p->width, 0,
                     panels);
}

void attention_make_scores(const struct attention_work *w, const struct attention_block *b,
                           struct attention_scratch *s)
{
    const struct attention_param *p = w->p;
    struct ag_tensor *const *input = w->node->input;
    product(&(struct product){.m = b->rows,
                              .n = b->columns,
                              .k = p->head_dim,
                              .a = input[QUERY]->data + attention_place(p, b, p->length, b->first),
                              .a_row = p->width,
                              .a_column = 1,
                              .b = s->keys,
                              .alpha = (real)p->scale,
                              .c = s->scores,
                              .c_row = b->stride});
    if (has(w, BY_QUERY))
        add_query_relative(w, b, s);
    if (has(w, BY_KEY))
        add_key_relative(w, b, s);
    if (has(w, BY_BIAS))
        add_table_bias(w, b, s);
    if (input[DENSE_BIAS])
        add_dense_bias(w, b, s);
    if (input[ROW_BIAS])
        add_row_bias(w, b, s);
    if (input[COLUMN_BIAS])
        add_column_bias(w, b, s);
    hide(w, b, s->scores);
}

static bool sees_a_key(const struct attention_work *w, const struct attention_block *b, int64_t i)
{
    const int32_t *mask = key_mask(w, b);
    for (int64_t j = 0; j < attention_end(w->p, b->first + i); j++)
        if (!mask || mask[j])
            return true;
    return false;
}

// Keys of the sequence that are not hidden, whether or not a causal mask shows them.
static int64_t keys_there(const struct attention_work *w, const struct attention_block *b)
{
    const int32_t *mask = key_mask(w, b);
    int64_t count = 0;
    for (int64_t j = 0; j < w->p->keys; j++)
        count += !mask || mask[j];
    return count;
}

// Scores to weights for the second time, from the two numbers that were kept of the row: what is
// subtracted before exp, and the factor after. NaN goes through.
static void apply_kept(enum ag_normaliser normaliser, real *row, int64_t columns,
                       const real kept[2])
{
    if (normaliser == AG_RELU2) {
#pragma omp simd
        for (int64_t j = 0; j < columns; j++) {
            real positive = row[j] < 0 ? 0 : row[j]; // this way NaN stays NaN
            row[j] = positive * positive * kept[1];
        }
        return;
    }
#pragma omp simd
    for (int64_t j = 0; j < columns; j++)
        row[j] = vector_weight1(row[j] - kept[0]) * kept[1];
}

// Scores to weights for the first time, all but the factor kept[1].
static void normalise(enum ag_normaliser normaliser, real *row, int64_t columns, int64_t keys,
                      real kept[2])
{
    if (normaliser == AG_RELU2) {
        kept[0] = 0;
        kept[1] = 1;
        apply_kept(normaliser, row, columns, kept);
        kept[1] = 1 / (real)keys;
        return;
    }
    kept[0] = vector_max(row, columns);
    if (normaliser == AG_SOFTMAX1 && kept[0] < 0)
        kept[0] = 0;
    real sum = vector_exp_sum(row, row, kept[0], columns);
    if (normaliser == AG_SOFTMAX1)
        sum += vector_exp1(-kept[0]);
    if (normaliser == AG_L2) {
        real squares = 0;
#pragma omp simd reduction(+ : squares)
        for (int64_t j = 0; j < columns; j++)
            squares += row[j] * row[j];
        sum = vector_sqrt1(squares);
    }
    kept[1] = 1 / sum;
}

void attention_weights(const struct attention_work *w, const struct attention_block *b,
                       struct attention_scratch *s, real *kept)
{
    bool masked = w->node->input[KEY_MASK] != NULL;
    int64_t keys = w->p->normaliser == AG_RELU2 ? keys_there(w, b) : 0;
    attention_make_scores(w, b, s);
    for (int64_t i = 0; i < b->rows; i++) {
        real *row = s->scores + i * b->stride;
        if (masked && !sees_a_key(w, b, i)) {
            memset(row, 0, (size_t)b->columns * sizeof *row);
            kept[2 * i] = (real)INFINITY; // exp(-inf) * 0: no weight the second time either
            kept[2 * i + 1] = 0;
            continue;
        }
        normalise(w->p->normaliser, row, attention_end(w->p, b->first + i), keys, kept + 2 * i);
        clear_behind(w, b, i, row);
    }
}

void attention_weights_again(const struct attention_work *w, const struct attention_block *b,
                             struct attention_scratch *s, const real *kept)
{
    attention_make_scores(w, b, s);
    for (int64_t i = 0; i < b->rows; i++) {
        real *row = s->scores + i * b->stride;
        apply_kept(w->p->normaliser, row, attention_end(w->p, b->first + i), kept + 2 * i);
        clear_behind(w, b, i, row);
    }
}

// The weights of softmax sum to 1 but for rounding, and the rounding of 1 / sum is common to a row:
// dividing by their sum takes it away, where g_ij is nearly the same for all j and little is left
// of g_ij - dot.
static real mean_of(enum ag_normaliser normaliser, real dot, real sum)
{
    return normaliser == AG_SOFTMAX && sum > 0 ? dot / sum : dot;
}

static real dot_product(enum ag_normaliser normaliser, const real *restrict a,
                        const real *restrict g, int64_t count)
{
    real dot = 0, sum = 0;
#pragma omp simd reduction(+ : dot, sum)
    for (int64_t j = 0; j < count; j++) {
        dot += a[j] * g[j];
        sum += a[j];
    }
    return mean_of(normaliser, dot, sum);
}

// One row: dL/dweights in, dL/dscores out. `dot` is the sum of A_ij dL/dA_ij.
static void normaliser_backward(enum ag_normaliser normaliser, int64_t columns,
                                const real *restrict a, real *restrict g, real kept, real dot)
{
    if (normaliser == AG_RELU2) {
        // A = S^2 / n where S > 0, so dA/dS = 2 S / n = 2 sqrt(A / n).
#pragma omp simd
        for (int64_t j = 0; j < columns; j++)
            g[j] *= 2 * vector_sqrt1(a[j] * kept);
    } else if (normaliser == AG_L2) {
#pragma omp simd
        for (int64_t j = 0; j < columns; j++)
            g[j] = a[j] * (g[j] - a[j] * dot);
    } else {
#pragma omp simd
        for (int64_t j = 0; j < columns; j++)
            g[j] = a[j] * (g[j] - dot);
    }
}

void attention_normaliser_backward(const struct attention_work *w, const struct attention_block *b,
                                   struct attention_scratch *s, const real *kept)
{
    for (int64_t i = 0; i < b->rows; i++) {
        real *a = s->scores + i * b->stride, *g = s->grad + i * b->stride;
        normaliser_backward(w->p->normaliser, b->columns, a, g, kept[2 * i + 1],
                            dot_product(w->p->normaliser, a, g, b->columns));
    }
}

// The weights of a row from its scores, and the sum of A_ij dL/dA_ij.
static real weights_and_dot(enum ag_normaliser normaliser, int64_t columns, real *restrict a,
                            const real *restrict g, const real kept[2])
{
    if (normaliser == AG_RELU2) {
        apply_kept(normaliser, a, columns, kept);
        return 0;
    }
    real dot = 0, sum = 0;
#pragma omp simd reduction(+ : dot, sum)
    for (int64_t j = 0; j < columns; j++) {
        a[j] = vector_weight1(a[j] - kept[0]) * kept[1];
        dot += a[j] * g[j];
        sum += a[j];
    }
    return mean_of(normaliser, dot, sum);
}

void attention_weights_and_backward(const struct attention_work *w, const struct attention_block *b,
                                    struct attention_scratch *s, const real *kept)
{
    enum ag_normaliser normaliser = w->p->normaliser;
    for (int64_t i = 0; i < b->rows; i++, kept += 2) {
        real *a = s->scores + i * b->stride, *g = s->grad + i * b->stride;
        int64_t end = attention_end(w->p, b->first + i);
        real dot = weights_and_dot(normaliser, end, a, g, kept);
        normaliser_backward(normaliser, end, a, g, kept[1], dot);
        clear_behind(w, b, i, a);
        clear_behind(w, b, i, g);
    }
}

void attention_apply_factor(const struct attention_work *w, const struct attention_block *b,
                            struct attention_scratch *s, real *weights)
{
    if (!has(w, BY_FACTOR))
        return;
    struct attention_lookup l = attention_column_of(w, b, BY_FACTOR, s->column);
    for (int64_t i = 0; i < b->rows; i++)
        attention_gather_times(w->p, &l, b->first + i, 0, attention_end(w->p, b->first + i),
                               s->column, weights + i * b->stride);
}

// The bits of weight (row, j) are counter (row, j / 4).
void attention_drop(const struct attention_work *w, const struct attention_block *b, real *weights)
{
    if (!(w->rate > 0))
        return;
    const struct attention_param *p = w->p;
    uint32_t threshold = (uint32_t)(w->rate * 4294967296.0);
    real keep = (real)(1 / (1 - w->rate));
    uint32_t key[2] = {(uint32_t)w->dropout_stream, (uint32_t)(w->dropout_stream >> 32)};
    int64_t batch = ag_whole_row(w->run, b->batch);
    for (int64_t i = 0; i < b->rows; i++) {
        int64_t row = (batch * p->heads + b->head) * p->length + b->first + i;
        for (int64_t j = 0; j < b->columns; j += 4) {
            uint32_t counter[4] = {(uint32_t)(j / 4), (uint32_t)row, (uint32_t)w->run->step,
                                   (uint32_t)(w->run->step >> 32)};
            uint32_t bits[4];
            rng_philox(counter, key, bits);
            for (int64_t k = 0; k < 4 && j + k < b->columns; k++)
                weights[i * b->stride + j + k] *= bits[k] < threshold ? 0 : keep;
        }
    }
}

real *attention_kept(const struct attention_work *w, const struct attention_block *b)
{
    const struct attention_param *p = w->p;
    return (real *)w->node->saved + 2 * ((b->batch * p->heads + b->head) * p->length + b->first);
}
