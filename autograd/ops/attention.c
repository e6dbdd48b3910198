// Attention: O = dropout(softmax(scale Q K^T)) V, head by head, masked.
//
// Works on blocks of query rows and keeps of the T x S scores only two numbers a row: its maximum
// and one over its sum of exponentials, from which backward makes the same weights again (Dao et
// al. 2022, arXiv 2205.14135; Rabe and Staats 2021, arXiv 2112.05682). A piece of forward is one
// block of one head; a piece of backward is one head of one sequence, as its key gradients sum over
// the blocks in order.
#include <math.h>
#include <string.h>

#include "../ag_ops.h"
#include "../base/err.h"
#include "../base/par.h"
#include "../kernels/gemm.h"
#include "../kernels/vector.h"
#include "op.h"

enum { QUERY, KEY, VALUE, KEY_MASK, INPUTS };
enum { BLOCK = 64 };

struct param {
    int64_t batch, length, keys, heads, head_dim, width;
    double scale, dropout;
    bool causal;
};

struct work {
    const struct ag_run *run;
    struct ag_tensor *node;
    const struct param *p;
    uint64_t dropout_stream;
    double rate; // 0 when this replay does not drop
};

static struct work work_of(const struct ag_run *run, struct ag_tensor *node)
{
    struct work w = {.run = run, .node = node, .p = node->param};
    if (run->training && w.p->dropout > 0) {
        char name[2 * AG_NAME_SIZE + 16] = "dropout/";
        strncat(name, node->name, sizeof name - 16);
        w.rate = w.p->dropout;
        w.dropout_stream = rng_stream(run->seed, name);
    }
    return w;
}

// One block of query rows of one head.
struct block {
    int64_t batch, head, first, rows;
    int64_t columns; // keys that any row may see
};

static struct block block_of(const struct param *p, int64_t pair, int64_t first)
{
    struct block b = {.batch = pair / p->heads, .head = pair % p->heads, .first = first};
    b.rows = first + BLOCK < p->length ? BLOCK : p->length - first;
    b.columns = p->causal ? first + b.rows : p->keys;
    return b;
}

// Row `i` of the head's columns in a [B, rows, C] array.
static int64_t place(const struct param *p, const struct block *b, int64_t rows, int64_t i)
{
    return (b->batch * rows + i) * p->width + b->head * p->head_dim;
}

static const int32_t *key_mask(const struct work *w, const struct block *b)
{
    const struct ag_tensor *mask = w->node->input[KEY_MASK];
    return mask ? mask->index + b->batch * w->p->keys : NULL;
}

// scores [rows, columns] = scale Q K^T, with -inf where the key is hidden.
static void make_scores(const struct work *w, const struct block *b, real *scores)
{
    const struct param *p = w->p;
    const real *query = w->node->input[QUERY]->data + place(p, b, p->length, b->first);
    const real *key = w->node->input[KEY]->data + place(p, b, p->keys, 0);
    gemm(false, true, b->rows, b->columns, p->head_dim, (real)p->scale, query, p->width, key,
         p->width, 0, scores, b->columns);
    const int32_t *mask = key_mask(w, b);
    for (int64_t i = 0; i < b->rows; i++) {
        real *row = scores + i * b->columns;
        for (int64_t j = 0; mask && j < b->columns; j++)
            if (!mask[j])
                row[j] = -(real)INFINITY;
        for (int64_t j = b->first + i + 1; p->causal && j < b->columns; j++)
            row[j] = -(real)INFINITY;
    }
}

static bool sees_a_key(const struct work *w, const struct block *b, int64_t i)
{
    const int32_t *mask = key_mask(w, b);
    int64_t end = w->p->causal ? b->first + i + 1 : b->columns;
    for (int64_t j = 0; j < end; j++)
        if (!mask || mask[j])
            return true;
    return false;
}

// Makes a row of scores into weights and keeps its maximum and 1 / sum; +inf and 0 for a row that
// sees no key, so that its weights are 0 in backward too. NaN goes through.
static void normalise_row(real *row, int64_t columns, bool visible, real kept[2])
{
    if (!visible) {
        memset(row, 0, (size_t)columns * sizeof *row);
        kept[0] = (real)INFINITY;
        kept[1] = 0;
        return;
    }
    kept[0] = vector_max(row, columns);
    kept[1] = 1 / vector_exp_sum(row, row, kept[0], columns);
#pragma omp simd
    for (int64_t j = 0; j < columns; j++)
        row[j] *= kept[1];
}

// What is kept of the rows of a block.
static real *kept_rows(const struct work *w, const struct block *b)
{
    const struct param *p = w->p;
    return (real *)w->node->saved + 2 * ((b->batch * p->heads + b->head) * p->length + b->first);
}

// Multiplies by the dropout mask over (1 - rate): the bits of weight (row, j) are counter (row, j /
// 4).
static void drop(const struct work *w, const struct block *b, real *weights)
{
    const struct param *p = w->p;
    uint32_t threshold = (uint32_t)(w->rate * 4294967296.0);
    real keep = (real)(1 / (1 - w->rate));
    uint32_t key[2] = {(uint32_t)w->dropout_stream, (uint32_t)(w->dropout_stream >> 32)};
    for (int64_t i = 0; i < b->rows; i++) {
        int64_t row = (b->batch * p->heads + b->head) * p->length + b->first + i;
        for (int64_t j = 0; j < b->columns; j += 4) {
            uint32_t counter[4] = {(uint32_t)(j / 4), (uint32_t)row, (uint32_t)w->run->step,
                                   (uint32_t)(w->run->step >> 32)};
            uint32_t bits[4];
            rng_philox(counter, key, bits);
            for (int64_t k = 0; k < 4 && j + k < b->columns; k++)
                weights[i * b->columns + j + k] *= bits[k] < threshold ? 0 : keep;
        }
    }
}

static void forward_piece(void *context, int64_t piece, int thread)
{
    const struct work *w = context;
    const struct param *p = w->p;
    int64_t blocks = (p->length + BLOCK - 1) / BLOCK;
    struct block b = block_of(p, piece / blocks, piece % blocks * BLOCK);
    real *scores = ag_scratch(w->run, thread), *kept = kept_rows(w, &b);
    make_scores(w, &b, scores);
    bool masked = w->node->input[KEY_MASK] != NULL;
    for (int64_t i = 0; i < b.rows; i++)
        normalise_row(scores + i * b.columns, b.columns, !masked || sees_a_key(w, &b, i),
                      kept + 2 * i);
    if (w->rate > 0)
        drop(w, &b, scores);
    gemm(false, false, b.rows, p->head_dim, b.columns, 1, scores, b.columns,
         w->node->input[VALUE]->data + place(p, &b, p->keys, 0), p->width, 0,
         w->node->data + place(p, &b, p->length, b.first), p->width);
}

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    struct work w = work_of(run, node);
    int64_t blocks = (w.p->length + BLOCK - 1) / BLOCK;
    par_run_in_region(w.p->batch * w.p->heads * blocks, forward_piece, &w);
}

// The softmax again, bit for bit that of forward.
static void remake_weights(const struct work *w, const struct block *b, real *scores)
{
    const real *kept = kept_rows(w, b);
    make_scores(w, b, scores);
    for (int64_t i = 0; i < b->rows; i++) {
        real *row = scores + i * b->columns;
        vector_exp_sum(row, row, kept[2 * i], b->columns);
#pragma omp simd
        for (int64_t j = 0; j < b->columns; j++)
            row[j] *= kept[2 * i + 1];
    }
}

// grad [rows, columns]: dL/dweights in, dL/dscores out, for softmax: dS = A (dA - sum_k A_k dA_k).
static void softmax_backward(const struct block *b, const real *weights, real *grad)
{
    for (int64_t i = 0; i < b->rows; i++) {
        const real *restrict a = weights + i * b->columns;
        real *restrict g = grad + i * b->columns;
        real dot = 0;
#pragma omp simd reduction(+ : dot)
        for (int64_t j = 0; j < b->columns; j++)
            dot += a[j] * g[j];
#pragma omp simd
        for (int64_t j = 0; j < b->columns; j++)
            g[j] = a[j] * (g[j] - dot);
    }
}

static void zero_head(const struct param *p, const struct block *b, int64_t rows, real *grad)
{
    for (int64_t i = 0; i < rows; i++)
        memset(grad + place(p, b, rows, i), 0, (size_t)p->head_dim * sizeof *grad);
}

static void backward_block(const struct work *w, const struct block *b, real *weights, real *grad)
{
    const struct param *p = w->p;
    struct ag_tensor *const *input = w->node->input;
    const real *d_out = w->node->grad + place(p, b, p->length, b->first);
    int64_t at_query = place(p, b, p->length, b->first), at_key = place(p, b, p->keys, 0);
    int64_t n = b->columns, d = p->head_dim, c = p->width;
    remake_weights(w, b, weights);
    gemm(false, true, b->rows, n, d, 1, d_out, c, input[VALUE]->data + at_key, c, 0, grad, n);
    if (w->rate > 0)
        drop(w, b, grad);
    softmax_backward(b, weights, grad);
    if (input[VALUE]->grad) {
        if (w->rate > 0)
            drop(w, b, weights);
        gemm(true, false, n, d, b->rows, 1, weights, n, d_out, c, 1, input[VALUE]->grad + at_key,
             c);
    }
    if (input[QUERY]->grad)
        gemm(false, false, b->rows, d, n, (real)p->scale, grad, n, input[KEY]->data + at_key, c,
             ag_is_fresh(w->node, QUERY) ? 0 : 1, input[QUERY]->grad + at_query, c);
    if (input[KEY]->grad)
        gemm(true, false, n, d, b->rows, (real)p->scale, grad, n, input[QUERY]->data + at_query, c,
             1, input[KEY]->grad + at_key, c);
}

static void backward_piece(void *context, int64_t pair, int thread)
{
    const struct work *w = context;
    const struct param *p = w->p;
    real *weights = ag_scratch(w->run, thread), *grad = weights + BLOCK * p->keys;
    struct block b = block_of(p, pair, 0);
    for (int k = KEY; k <= VALUE; k++)
        if (w->node->input[k]->grad && ag_is_fresh(w->node, k))
            zero_head(p, &b, p->keys, w->node->input[k]->grad);
    for (int64_t first = 0; first < p->length; first += BLOCK) {
        b = block_of(p, pair, first);
        backward_block(w, &b, weights, grad);
    }
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    struct work w = work_of(run, node);
    par_run_in_region(w.p->batch * w.p->heads, backward_piece, &w);
}

static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    int64_t batch = ag_case_size(rng, 3), heads = ag_case_size(rng, 3), d = ag_case_size(rng, 5);
    int64_t length = variant == 3 ? BLOCK + 1 : ag_case_size(rng, 9);
    if (variant == 3)
        batch = heads = 1;
    bool causal = variant & 1, masked = variant & 2;
    int64_t keys = causal || variant == 3 ? length : ag_case_size(rng, 9);
    struct ag_attention a = {.heads = heads, .scale = 0.7, .causal = causal};
    a.query = ag_case_leaf(graph, rng, ag_shape3(batch, length, heads * d), -1, 1);
    a.key = ag_case_leaf(graph, rng, ag_shape3(batch, keys, heads * d), -1, 1);
    a.value = ag_case_leaf(graph, rng, ag_shape3(batch, keys, heads * d), -1, 1);
    if (masked)
        a.key_mask = ag_case_index(graph, rng, ag_shape2(batch, keys), 0, 1);
    if (variant >= 4)
        a.dropout = 0.3;
    return ag_attention(graph, &a);
}

const struct ag_op ag_op_attention = {
    .name = "attention",
    .formula = "O = softmax(scale Q K^T + mask) V, by heads",
    .flags = AG_BACKWARD_READS_INPUTS | AG_BACKWARD_HANDLES_FRESH,
    .forward = forward,
    .backward = backward,
    .variants = 6,
    .sample = sample,
};

static bool fits(const struct ag_attention *a)
{
    const struct ag_shape *q = &a->query->shape, *k = &a->key->shape;
    return q->dims == 3 && k->dims == 3 && ag_shape_equal(*k, a->value->shape) &&
           q->size[0] == k->size[0] && q->size[2] == k->size[2];
}

ag_t *ag_attention(struct ag_graph *graph, const struct ag_attention *a)
{
    char q[96], k[96], v[96];
    if (!fits(a))
        return ag_fail(graph, "attention: query %s, key %s and value %s do not fit",
                       ag_shape_text(a->query->shape, q), ag_shape_text(a->key->shape, k),
                       ag_shape_text(a->value->shape, v));
    struct param p = {.batch = a->query->shape.size[0],
                      .length = a->query->shape.size[1],
                      .keys = a->key->shape.size[1],
                      .heads = a->heads,
                      .width = a->query->shape.size[2],
                      .scale = a->scale,
                      .dropout = a->dropout,
                      .causal = a->causal};
    if (p.heads < 1 || p.width % p.heads)
        return ag_fail(graph, "attention: width %lld is not divisible by %lld heads",
                       (long long)p.width, (long long)p.heads);
    if (p.causal && p.length != p.keys)
        return ag_fail(graph, "attention: a causal mask needs as many keys as queries");
    if (!(p.dropout >= 0 && p.dropout < 1))
        return ag_fail(graph, "attention: dropout %g is not in [0, 1)", p.dropout);
    const ag_t *mask = a->key_mask;
    if (mask && (mask->type != AG_INT || mask->count != p.batch * p.keys))
        return ag_fail(graph, "attention: the key mask must be an index [%lld, %lld]",
                       (long long)p.batch, (long long)p.keys);
    p.head_dim = p.width / p.heads;
    ag_t *input[INPUTS] = {a->query, a->key, a->value, a->key_mask};
    ag_t *node = ag_node(graph, &ag_op_attention, a->query->shape, INPUTS, input, &p, sizeof p);
    if (graph->error)
        return node;
    node->saved_size = (size_t)(2 * p.batch * p.heads * p.length) * sizeof(real);
    node->scratch_size = (size_t)(2 * BLOCK * p.keys) * sizeof(real);
    return node;
}
