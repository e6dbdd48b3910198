// Rotations of pairs of channels, head by head: rotary position encodings (Su et al. 2021, arXiv
// 2104.09864).
//
// Pair c of a head is (2c, 2c + 1) in the pair layout and (c, c + P) in the half layout, P pairs in
// all; channels past 2P are copied. The tables need not be cosines and sines of one angle: a table
// scaled by a position's own factor turns and scales at once. Gradients of the tables are summed
// over the batch, then the heads, in order; a piece owns its positions.
#include <string.h>

#include "../ag_ops.h"
#include "../base/par.h"
#include "op.h"

enum { X, COS, SIN };
enum { GRAIN = 1 << 14 };

struct param {
    int64_t batch, length, heads, head_dim, pairs;
    int64_t by_batch, by_position, by_head; // distances in the tables; 0 where they are shared
    bool half, inverse;
};

static int64_t place(const struct param *p, int64_t batch, int64_t position, int64_t head)
{
    return ((batch * p->length + position) * p->heads + head) * p->head_dim;
}

static int64_t table_place(const struct param *p, int64_t batch, int64_t position, int64_t head)
{
    return batch * p->by_batch + position * p->by_position + head * p->by_head;
}

// y (+)= the turned x. `half` and `add` are constants at every call, so that each of the four loops
// is one vector loop.
static inline void turn(int64_t n, bool half, bool add, real sign, const real *restrict x,
                        const real *restrict cosine, const real *restrict sine, real *restrict y)
{
    int64_t step = half ? 1 : 2, other = half ? n : 1;
#pragma omp simd
    for (int64_t c = 0; c < n; c++) {
        real a = x[step * c], b = x[step * c + other], s = sign * sine[c];
        real turned_a = a * cosine[c] - b * s, turned_b = b * cosine[c] + a * s;
        y[step * c] = add ? y[step * c] + turned_a : turned_a;
        y[step * c + other] = add ? y[step * c + other] + turned_b : turned_b;
    }
}

static void turn_head(const struct param *p, bool add, real sign, const real *x, const real *cosine,
                      const real *sine, real *y)
{
    if (p->half && add)
        turn(p->pairs, true, true, sign, x, cosine, sine, y);
    else if (p->half)
        turn(p->pairs, true, false, sign, x, cosine, sine, y);
    else if (add)
        turn(p->pairs, false, true, sign, x, cosine, sine, y);
    else
        turn(p->pairs, false, false, sign, x, cosine, sine, y);
    for (int64_t k = 2 * p->pairs; k < p->head_dim; k++)
        y[k] = add ? y[k] + x[k] : x[k];
}

// What forward does to x, backward does to the gradient the other way round.
struct job {
    const struct ag_tensor *node;
    const real *from;
    real *to;
    real sign;
    bool add;
};

static int64_t row_pieces(const struct param *p)
{
    return par_pieces(p->batch * p->length * p->heads * p->head_dim, GRAIN);
}

static void turn_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct job *job = context;
    const struct param *p = job->node->param;
    const real *cosine = job->node->input[COS]->data, *sine = job->node->input[SIN]->data;
    int64_t rows = p->batch * p->length, pieces = row_pieces(p);
    int64_t end = par_begin(rows, pieces, piece + 1);
    for (int64_t row = par_begin(rows, pieces, piece); row < end; row++) {
        int64_t batch = row / p->length, position = row % p->length;
        for (int64_t h = 0; h < p->heads; h++) {
            int64_t at = place(p, batch, position, h), entry = table_place(p, batch, position, h);
            turn_head(p, job->add, job->sign, job->from + at, cosine + entry, sine + entry,
                      job->to + at);
        }
    }
}

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    const struct param *p = node->param;
    struct job job = {node, node->input[X]->data, node->data, p->inverse ? -1 : 1, false};
    par_run(row_pieces(p), turn_piece, &job);
}

// Adds the gradients of one head's table rows; either may be NULL.
static void table_gradient(const struct param *p, const real *restrict x, const real *restrict g,
                           real *restrict d_cos, real *restrict d_sin)
{
    int64_t step = p->half ? 1 : 2, other = p->half ? p->pairs : 1;
    real sign = p->inverse ? -1 : 1;
    for (int64_t c = 0; d_cos && c < p->pairs; c++)
        d_cos[c] += g[step * c] * x[step * c] + g[step * c + other] * x[step * c + other];
    for (int64_t c = 0; d_sin && c < p->pairs; c++)
        d_sin[c] += sign * (g[step * c + other] * x[step * c] - g[step * c] * x[step * c + other]);
}

static void table_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct ag_tensor *node = context;
    const struct param *p = node->param;
    real *d_cos = node->input[COS]->grad, *d_sin = node->input[SIN]->grad;
    int64_t pieces = par_pieces(p->length, 8), end = par_begin(p->length, pieces, piece + 1);
    for (int64_t t = par_begin(p->length, pieces, piece); t < end; t++)
        for (int64_t b = 0; b < p->batch; b++)
            for (int64_t h = 0; h < p->heads; h++) {
                int64_t at = place(p, b, t, h), entry = table_place(p, b, t, h);
                table_gradient(p, node->input[X]->data + at, node->grad + at,
                               d_cos ? d_cos + entry : NULL, d_sin ? d_sin + entry : NULL);
            }
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    const struct param *p = node->param;
    struct job job = {node, node->grad, node->input[X]->grad, p->inverse ? 1 : -1,
                      !ag_is_fresh(node, X)};
    if (job.to)
        par_run(row_pieces(p), turn_piece, &job);
    for (int k = COS; k <= SIN; k++)
        if (node->input[k]->grad && ag_is_fresh(node, k))
            memset(node->input[k]->grad, 0, (size_t)node->input[k]->count * sizeof(real));
    if (node->input[COS]->grad || node->input[SIN]->grad)
        par_run(par_pieces(p->length, 8), table_piece, node);
}

// Variants: four shapes of tables, each in both layouts; the second half is inverse.
static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    int64_t b = ag_case_size(rng, 3), t = ag_case_size(rng, 9), h = ag_case_size(rng, 3);
    int64_t pairs = ag_case_size(rng, 5), d = 2 * pairs + (int64_t)rng_below(rng, 3);
    struct ag_shape shapes[] = {ag_shape2(t, pairs), ag_shape3(t, h, pairs),
                                ag_shape4(b, t, 1, pairs), ag_shape4(b, t, h, pairs)};
    struct ag_shape table = shapes[variant / 2 % 4];
    ag_t *x = ag_case_leaf(graph, rng, ag_shape3(b, t, h * d), -1, 1);
    ag_t *cosine = ag_case_leaf(graph, rng, table, -1, 1);
    ag_t *sine = ag_case_leaf(graph, rng, table, -1, 1);
    return ag_rotate(graph, x, cosine, sine, h, variant % 2 ? AG_HALF : AG_PAIR, variant >= 8);
}

static const struct ag_setting settings[] = {
    {"heads", AG_SETTING_INT64, offsetof(struct param, heads)},
    {"half", AG_SETTING_BOOL, offsetof(struct param, half)},
    {"inverse", AG_SETTING_BOOL, offsetof(struct param, inverse)},
    {0},
};

const struct ag_op ag_op_rotate = {
    .name = "rotate",
    .formula = "y_a = x_a cos - x_b sin, y_b = x_b cos + x_a sin, for every pair (a, b)",
    .flags = AG_BACKWARD_READS_INPUTS | AG_BACKWARD_HANDLES_FRESH,
    .forward = forward,
    .backward = backward,
    .same_sums = ag_row_by_row,
    .settings = settings,
    .variants = 16,
    .sample = sample,
};

// The distances of a table [T, P], [T, H, P], [B, T, 1, P] or [B, T, H, P]; false for other shapes.
static bool read_table(struct param *p, const struct ag_shape *table)
{
    int dims = table->dims;
    if (dims < 2 || dims > 4)
        return false;
    const int64_t *size = table->size;
    int64_t batch = dims == 4 ? size[0] : 1, heads = dims == 2 ? 1 : size[dims - 2];
    int64_t length = dims == 4 ? size[1] : size[0];
    p->pairs = size[dims - 1];
    p->by_head = dims == 2 || (dims == 4 && heads == 1) ? 0 : p->pairs;
    p->by_position = heads * p->pairs;
    p->by_batch = dims == 4 ? length * p->by_position : 0;
    return (dims < 4 || batch == p->batch) && length == p->length &&
           (heads == p->heads || p->by_head == 0);
}

ag_t *ag_rotate(struct ag_graph *graph, ag_t *x, ag_t *cosine, ag_t *sine, int64_t heads,
                enum ag_layout layout, bool inverse)
{
    char a[96], b[96], c[96];
    struct param p = {.heads = heads, .half = layout == AG_HALF, .inverse = inverse};
    bool fits = x->shape.dims == 3 && heads >= 1 && x->shape.size[2] % heads == 0;
    if (fits) {
        p.batch = x->shape.size[0];
        p.length = x->shape.size[1];
        p.head_dim = x->shape.size[2] / heads;
        fits = read_table(&p, &cosine->shape) && ag_shape_equal(cosine->shape, sine->shape) &&
               2 * p.pairs <= p.head_dim;
    }
    if (!fits)
        return ag_fail(graph, "rotate: x %s with %lld heads, cos %s and sin %s do not fit",
                       ag_shape_text(x->shape, a), (long long)heads,
                       ag_shape_text(cosine->shape, b), ag_shape_text(sine->shape, c));
    return ag_node(graph, &ag_op_rotate, x->shape, 3, (ag_t *const[]){x, cosine, sine}, &p,
                   sizeof p);
}

bool ag_rotation_of(const ag_t *y, struct ag_rotation *rotation)
{
    if (y->op != &ag_op_rotate)
        return false;
    const struct param *p = y->param;
    *rotation = (struct ag_rotation){y->input[X], y->input[COS], y->input[SIN],
                                     p->half ? AG_HALF : AG_PAIR, p->inverse};
    return true;
}
