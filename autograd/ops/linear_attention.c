// Linear attention: weights are inner products of positive features, so that sums over keys are
// taken once for all queries (Katharopoulos et al. 2020, arXiv 2006.16236). Linear in the length.
//
// Numerator and denominator have features of their own, as rotary encodings turn only those of the
// numerator (Su et al. 2021, arXiv 2104.09864): a turned product may be negative, and a sum of them
// 0. With f', g' the numerator's and f, g the denominator's, state M = sum_j g'_j v_j^T and z =
// sum_j g_j:
//
//     O_i = (f'_i M) / (f_i . z)
//     dM = sum_i f'_i n_i^T, dz = sum_i e_i f_i   where n_i = dO_i / (f_i . z), e_i = -<n_i, O_i>
//
// A decoder goes through the rows in blocks: the state of the blocks before, and within a block the
// products of its own rows. Backward goes through them twice, forwards for the queries and
// backwards for the keys. A piece is one head of one sequence. Hidden keys are copied as zeros.
#include <string.h>

#include "../ag_ops.h"
#include "../base/err.h"
#include "../base/par.h"
#include "../kernels/product.h"
#include "op.h"

enum { TURNED_QUERY, TURNED_KEY, QUERY, KEY, VALUE, KEY_MASK, INPUTS };
enum { BLOCK = 64 };

struct param {
    int64_t batch, length, keys, heads, head_dim, width;
    bool causal;
};

// One head of one sequence, and what its thread works in.
struct head {
    const struct param *p;
    struct ag_tensor *node;
    int64_t at_query, at_key; // row 0 of the head in [B, T, C] and in [B, S, C]
    const int32_t *mask;      // [S] or NULL
    real *inverse;            // [T]: 1 / (f_i . z), 0 for a query without a key; kept for backward
    real *state;              // [D, D] M, and then dM
    real *sum;                // [D] z, and then dz
    real *keys, *values;      // [BLOCK, D] the block's g' and v, hidden ones 0
    real *rows;               // [BLOCK, D] n of the block
    real *result;             // [BLOCK, D]
    real *product;            // [BLOCK, BLOCK]
};

static size_t scratch_reals(const struct param *p)
{
    int64_t d = p->head_dim;
    return (size_t)(d * d + d + 4 * BLOCK * d + BLOCK * BLOCK);
}

static struct head head_of(const struct ag_run *run, struct ag_tensor *node, int64_t pair,
                           int thread)
{
    const struct param *p = node->param;
    int64_t batch = pair / p->heads, column = pair % p->heads * p->head_dim, d = p->head_dim;
    struct head h = {.p = p, .node = node};
    h.at_query = batch * p->length * p->width + column;
    h.at_key = batch * p->keys * p->width + column;
    h.mask = node->input[KEY_MASK] ? node->input[KEY_MASK]->index + batch * p->keys : NULL;
    h.inverse = (real *)node->saved + pair * p->length;
    h.state = ag_scratch(run, thread);
    h.sum = h.state + d * d;
    h.keys = h.sum + d;
    h.values = h.keys + BLOCK * d;
    h.rows = h.values + BLOCK * d;
    h.result = h.rows + BLOCK * d;
    h.product = h.result + BLOCK * d;
    return h;
}

static const real *query_row(const struct head *h, int input, int64_t i)
{
    return h->node->input[input]->data + h->at_query + i * h->p->width;
}

static const real *key_row(const struct head *h, int input, int64_t j)
{
    return h->node->input[input]->data + h->at_key + j * h->p->width;
}

static bool visible(const struct head *h, int64_t j)
{
    return !h->mask || h->mask[j];
}

static int64_t rows_of(int64_t first, int64_t length)
{
    return first + BLOCK < length ? BLOCK : length - first;
}

static void clear_state(const struct head *h)
{
    int64_t d = h->p->head_dim;
    memset(h->state, 0, (size_t)(d * d + d) * sizeof *h->state); // sum lies behind it
}

static void load_keys(const struct head *h, int64_t first, int64_t n)
{
    int64_t d = h->p->head_dim;
    size_t size = (size_t)d * sizeof(real);
    for (int64_t j = 0; j < n; j++) {
        if (visible(h, first + j)) {
            memcpy(h->keys + j * d, key_row(h, TURNED_KEY, first + j), size);
            memcpy(h->values + j * d, key_row(h, VALUE, first + j), size);
        } else {
            memset(h->keys + j * d, 0, size);
            memset(h->values + j * d, 0, size);
        }
    }
}

// M += g'^T v of the loaded block.
static void add_to_state(const struct head *h, int64_t n)
{
    int64_t d = h->p->head_dim;
    product_any(true, false, d, d, n, 1, h->keys, d, h->values, d, 1, h->state, d);
}

static void add_scaled(int64_t n, real scale, const real *restrict x, real *restrict y)
{
#pragma omp simd
    for (int64_t k = 0; k < n; k++)
        y[k] += scale * x[k];
}

static real dot(int64_t n, const real *restrict x, const real *restrict y)
{
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t k = 0; k < n; k++)
        sum += x[k] * y[k];
    return sum;
}

// y may be x.
static void set_scaled(int64_t n, real scale, const real *x, real *y)
{
#pragma omp simd
    for (int64_t k = 0; k < n; k++)
        y[k] = scale * x[k];
}

// The whole state, of all keys: what every query of an encoder sees. Returns visible keys.
static int64_t sum_all_keys(const struct head *h)
{
    int64_t seen = 0;
    clear_state(h);
    for (int64_t first = 0; first < h->p->keys; first += BLOCK) {
        int64_t n = rows_of(first, h->p->keys);
        load_keys(h, first, n);
        add_to_state(h, n);
        for (int64_t j = first; j < first + n; j++)
            if (visible(h, j)) {
                add_scaled(h->p->head_dim, 1, key_row(h, KEY, j), h->sum);
                seen++;
            }
    }
    return seen;
}

// product [n, n] = a b^T of a block, 0 above the diagonal.
static void causal_product(const struct head *h, int64_t n, const real *a, int64_t lda,
                           const real *b, int64_t ldb)
{
    product_any(false, true, n, n, h->p->head_dim, 1, a, lda, b, ldb, 0, h->product, n);
    for (int64_t i = 0; i < n; i++)
        memset(h->product + i * n + i + 1, 0, (size_t)(n - i - 1) * sizeof *h->product);
}

static void forward_block(const struct head *h, int64_t first, int64_t *seen)
{
    const struct param *p = h->p;
    int64_t d = p->head_dim, c = p->width, n = rows_of(first, p->length);
    const real *turned = query_row(h, TURNED_QUERY, first);
    real *out = h->node->data + h->at_query + first * c;
    product_any(false, false, n, d, d, 1, turned, c, h->state, d, 0, out, c);
    if (p->causal) {
        load_keys(h, first, n);
        causal_product(h, n, turned, c, h->keys, d);
        product_any(false, false, n, d, n, 1, h->product, n, h->values, d, 1, out, c);
        add_to_state(h, n);
    }
    for (int64_t i = first; i < first + n; i++, out += c) {
        if (p->causal && visible(h, i)) {
            add_scaled(d, 1, key_row(h, KEY, i), h->sum);
            ++*seen;
        }
        h->inverse[i] = *seen ? 1 / dot(d, query_row(h, QUERY, i), h->sum) : 0;
        set_scaled(d, h->inverse[i], out, out);
    }
}

struct job {
    const struct ag_run *run;
    struct ag_tensor *node;
};

static void forward_piece(void *context, int64_t pair, int thread)
{
    const struct job *job = context;
    struct head h = head_of(job->run, job->node, pair, thread);
    int64_t seen = 0;
    if (h.p->causal)
        clear_state(&h);
    else
        seen = sum_all_keys(&h);
    for (int64_t first = 0; first < h.p->length; first += BLOCK)
        forward_block(&h, first, &seen);
}

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    const struct param *p = node->param;
    struct job job = {run, node};
    par_run(p->batch * p->heads, forward_piece, &job);
}

// --- backward

// n_i = dO_i / (f_i . z) of a block.
static void load_rows(const struct head *h, int64_t first, int64_t n)
{
    int64_t d = h->p->head_dim;
    const real *grad = h->node->grad + h->at_query + first * h->p->width;
    for (int64_t i = 0; i < n; i++)
        set_scaled(d, h->inverse[first + i], grad + i * h->p->width, h->rows + i * d);
}

// e_i = -<n_i, O_i>, of a row of the loaded block.
static real denominator_gradient(const struct head *h, int64_t first, int64_t i)
{
    int64_t d = h->p->head_dim;
    return -dot(d, h->rows + i * d, h->node->data + h->at_query + (first + i) * h->p->width);
}

static void put_row(const struct head *h, int input, int64_t at, real scale, const real *from)
{
    real *grad = h->node->input[input]->grad + at;
    if (ag_is_fresh(h->node, input))
        set_scaled(h->p->head_dim, scale, from, grad);
    else
        add_scaled(h->p->head_dim, scale, from, grad);
}

// Puts result [n, D] into the gradient of `input`, whose head begins at `at`; hidden keys get 0.
static void put_result(const struct head *h, int input, int64_t at, int64_t first, int64_t n)
{
    bool of_keys = input != TURNED_QUERY;
    for (int64_t i = 0; i < n; i++)
        put_row(h, input, at + (first + i) * h->p->width, of_keys && !visible(h, first + i) ? 0 : 1,
                h->result + i * h->p->head_dim);
}

// df'_i = M n_i and df_i = e_i z, with the state that the row saw in forward.
static void query_gradients(const struct head *h, int64_t first)
{
    const struct param *p = h->p;
    int64_t d = p->head_dim, n = rows_of(first, p->length);
    load_rows(h, first, n);
    product_any(false, true, n, d, d, 1, h->rows, d, h->state, d, 0, h->result, d);
    if (p->causal) {
        load_keys(h, first, n);
        causal_product(h, n, h->rows, d, h->values, d);
        product_any(false, false, n, d, n, 1, h->product, n, h->keys, d, 1, h->result, d);
        add_to_state(h, n);
    }
    if (h->node->input[TURNED_QUERY]->grad)
        put_result(h, TURNED_QUERY, h->at_query, first, n);
    for (int64_t i = 0; i < n; i++) {
        if (p->causal && visible(h, first + i))
            add_scaled(d, 1, key_row(h, KEY, first + i), h->sum);
        if (h->node->input[QUERY]->grad)
            put_row(h, QUERY, h->at_query + (first + i) * p->width,
                    denominator_gradient(h, first, i), h->sum);
    }
}

// dM += f'^T n of the loaded block.
static void add_to_gradient(const struct head *h, int64_t first, int64_t n)
{
    int64_t d = h->p->head_dim;
    product_any(true, false, d, d, n, 1, query_row(h, TURNED_QUERY, first), h->p->width, h->rows, d,
                1, h->state, d);
}

static void sum_all_queries(const struct head *h)
{
    clear_state(h);
    for (int64_t first = 0; first < h->p->length; first += BLOCK) {
        int64_t n = rows_of(first, h->p->length);
        load_rows(h, first, n);
        add_to_gradient(h, first, n);
        for (int64_t i = 0; i < n; i++)
            add_scaled(h->p->head_dim, denominator_gradient(h, first, i),
                       query_row(h, QUERY, first + i), h->sum);
    }
}

// result [n, D] = the keys' or the values' rows times dM or its transpose, and in a decoder what
// the block's own queries add: product^T `own`.
static void key_result(const struct head *h, int64_t n, const real *rows, bool transpose,
                       const real *own, int64_t ld_own)
{
    int64_t d = h->p->head_dim;
    product_any(false, transpose, n, d, d, 1, rows, d, h->state, d, 0, h->result, d);
    if (h->p->causal)
        product_any(true, false, n, d, n, 1, h->product, n, own, ld_own, 1, h->result, d);
}

// dg'_j = dM v_j, dv_j = dM^T g'_j, dg_j = dz, with the sums over the queries that see the key.
static void key_gradients(const struct head *h, int64_t first)
{
    const struct param *p = h->p;
    int64_t d = p->head_dim, c = p->width, n = rows_of(first, p->keys);
    const real *turned = p->causal ? query_row(h, TURNED_QUERY, first) : NULL;
    struct ag_tensor *const *input = h->node->input;
    load_keys(h, first, n);
    if (p->causal)
        load_rows(h, first, n);
    if (input[TURNED_KEY]->grad) {
        if (p->causal)
            causal_product(h, n, h->rows, d, h->values, d);
        key_result(h, n, h->values, true, turned, c);
        put_result(h, TURNED_KEY, h->at_key, first, n);
    }
    if (input[VALUE]->grad) {
        if (p->causal)
            causal_product(h, n, turned, c, h->keys, d);
        key_result(h, n, h->keys, false, h->rows, d);
        put_result(h, VALUE, h->at_key, first, n);
    }
    for (int64_t j = n - 1; j >= 0; j--) {
        if (p->causal)
            add_scaled(d, denominator_gradient(h, first, j), query_row(h, QUERY, first + j),
                       h->sum);
        if (input[KEY]->grad)
            put_row(h, KEY, h->at_key + (first + j) * c, visible(h, first + j) ? 1 : 0, h->sum);
    }
    if (p->causal)
        add_to_gradient(h, first, n);
}

static void backward_piece(void *context, int64_t pair, int thread)
{
    const struct job *job = context;
    struct head h = head_of(job->run, job->node, pair, thread);
    if (h.p->causal)
        clear_state(&h);
    else
        sum_all_keys(&h);
    for (int64_t first = 0; first < h.p->length; first += BLOCK)
        query_gradients(&h, first);
    if (h.p->causal)
        clear_state(&h);
    else
        sum_all_queries(&h);
    for (int64_t first = (h.p->keys - 1) / BLOCK * BLOCK; first >= 0; first -= BLOCK)
        key_gradients(&h, first);
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    const struct param *p = node->param;
    struct job job = {run, node};
    par_run(p->batch * p->heads, backward_piece, &job);
}

// Variants: causal or not, a mask or none; 4 and 5 have two blocks; from 6 on nothing is turned,
// and there are two features and two keys at least, as of one the weights are constant.
static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    bool causal = variant & 1, masked = variant & 2, blocks = variant == 4 || variant == 5;
    bool shared = variant >= 6;
    int64_t batch = blocks ? 1 : ag_case_size(rng, 3), heads = blocks ? 1 : ag_case_size(rng, 3);
    int64_t d = shared + ag_case_size(rng, 5);
    int64_t length = blocks ? BLOCK + 1 : shared + ag_case_size(rng, 9);
    int64_t keys = causal || blocks ? length : shared + ag_case_size(rng, 9);
    struct ag_shape q = ag_shape3(batch, length, heads * d), k = ag_shape3(batch, keys, heads * d);
    struct ag_linear_attention a = {.heads = heads, .causal = causal};
    a.query = ag_case_leaf(graph, rng, q, 0.5, 1.5);
    a.key = ag_case_leaf(graph, rng, k, 0.5, 1.5);
    a.turned_query = shared ? a.query : ag_case_leaf(graph, rng, q, -1, 1);
    a.turned_key = shared ? a.key : ag_case_leaf(graph, rng, k, -1, 1);
    a.value = ag_case_leaf(graph, rng, k, -1, 1);
    if (masked)
        a.key_mask = ag_case_index(graph, rng, ag_shape2(batch, keys), 0, 1);
    return ag_linear_attention(graph, &a);
}

static const struct ag_setting settings[] = {
    {"heads", AG_SETTING_INT64, offsetof(struct param, heads)},
    {"causal", AG_SETTING_BOOL, offsetof(struct param, causal)},
    {0},
};

const struct ag_op ag_op_linear_attention = {
    .name = "linear_attention",
    .formula = "O_i = sum_j <f'_i, g'_j> v_j / sum_j <f_i, g_j>, by heads",
    .flags = AG_BACKWARD_READS_INPUTS | AG_BACKWARD_READS_OUTPUT | AG_BACKWARD_HANDLES_FRESH |
             AG_HAS_LIMITS,
    .forward = forward,
    .backward = backward,
    .settings = settings,
    .variants = 8,
    .sample = sample,
};

static bool fits(const struct ag_linear_attention *a)
{
    const struct ag_shape *q = &a->query->shape, *k = &a->key->shape;
    return q->dims == 3 && k->dims == 3 && ag_shape_equal(*q, a->turned_query->shape) &&
           ag_shape_equal(*k, a->turned_key->shape) && ag_shape_equal(*k, a->value->shape) &&
           q->size[0] == k->size[0] && q->size[2] == k->size[2] &&
           (!a->causal || q->size[1] == k->size[1]);
}

ag_t *ag_linear_attention(struct ag_graph *graph, const struct ag_linear_attention *a)
{
    char q[96], k[96], v[96];
    if (!fits(a))
        return ag_fail(graph, "linear_attention: query %s, key %s and value %s do not fit",
                       ag_shape_text(a->query->shape, q), ag_shape_text(a->key->shape, k),
                       ag_shape_text(a->value->shape, v));
    struct param p = {.batch = a->query->shape.size[0],
                      .length = a->query->shape.size[1],
                      .keys = a->key->shape.size[1],
                      .heads = a->heads,
                      .width = a->query->shape.size[2],
                      .causal = a->causal};
    if (p.heads < 1 || p.width % p.heads)
        return ag_fail(graph, "linear_attention: width %lld is not divisible by %lld heads",
                       (long long)p.width, (long long)p.heads);
    const ag_t *mask = a->key_mask;
    if (mask && (mask->type != AG_INT || mask->count != p.batch * p.keys))
        return ag_fail(graph, "linear_attention: the key mask must be an index [%lld, %lld]",
                       (long long)p.batch, (long long)p.keys);
    p.head_dim = p.width / p.heads;
    ag_t *input[INPUTS] = {a->turned_query, a->turned_key, a->query, a->key, a->value, a->key_mask};
    ag_t *node =
        ag_node(graph, &ag_op_linear_attention, a->query->shape, INPUTS, input, &p, sizeof p);
    if (graph->error)
        return node;
    node->saved_size = (size_t)(p.batch * p.heads * p.length) * sizeof(real);
    node->scratch_size = scratch_reals(&p) * sizeof(real);
    return node;
}
