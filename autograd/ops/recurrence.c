// A recurrence over positions: h_t = f(x_t + U h_{t-1}), f tanh or the identity.
//
// Sequences do not depend on each other: a piece takes a few of them through all steps, one product
// of [sequences, C] with U a step. Backward goes through time once (Werbos 1990, Proc. IEEE 78) and
// keeps the gradients d_t before f of all steps; the gradient of U is then a product over time,
// added up over the sequences in order, in strips of its rows.
#include <string.h>

#include "../ag_ops.h"
#include "../base/par.h"
#include "../kernels/finite.h"
#include "../kernels/gemm.h"
#include "../kernels/vector.h"
#include "op.h"

enum { X, WEIGHT, START, INPUTS };
enum { TILE = 8, STRIP = 32 }; // sequences, rows of U a piece

struct param {
    int64_t batch, length, width;
    bool tanh;
};

struct tile {
    int64_t first, rows;
};

static int64_t tiles(const struct param *p)
{
    return (p->batch + TILE - 1) / TILE;
}

static struct tile tile_of(const struct param *p, int64_t piece)
{
    int64_t first = piece * TILE;
    return (struct tile){first, first + TILE < p->batch ? TILE : p->batch - first};
}

// Element 0 of step `t` of the tile's first sequence; the next sequence is length * width further.
static int64_t place(const struct param *p, struct tile tile, int64_t t)
{
    return (tile.first * p->length + t) * p->width;
}

// y [rows, width] += U start, the same for every row.
static void add_start(const struct ag_tensor *node, struct tile tile, real *y)
{
    const struct param *p = node->param;
    const real *start = node->input[START]->data, *weight = node->input[WEIGHT]->data;
    int64_t c = p->width, stride = p->length * c;
    for (int64_t i = 0; i < c; i++) {
        real sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t k = 0; k < c; k++)
            sum += weight[i * c + k] * start[k];
        for (int64_t r = 0; r < tile.rows; r++)
            y[r * stride + i] += sum;
    }
}

static void forward_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct ag_tensor *node = context;
    const struct param *p = node->param;
    struct tile tile = tile_of(p, piece);
    int64_t c = p->width, stride = p->length * c;
    for (int64_t t = 0; t < p->length; t++) {
        const real *x = node->input[X]->data + place(p, tile, t);
        real *y = node->data + place(p, tile, t);
        for (int64_t r = 0; r < tile.rows; r++)
            memcpy(y + r * stride, x + r * stride, (size_t)c * sizeof *y);
        if (t > 0)
            gemm(false, true, tile.rows, c, c, 1, y - c, stride, node->input[WEIGHT]->data, c, 1, y,
                 stride);
        else if (node->input[START])
            add_start(node, tile, y);
        for (int64_t r = 0; p->tanh && r < tile.rows; r++) {
#pragma omp simd
            for (int64_t k = 0; k < c; k++)
                y[r * stride + k] = vector_tanh1(y[r * stride + k]);
        }
    }
}

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    const struct ag_tensor *x = node->input[X];
    par_run_in_region(tiles(node->param), forward_piece, node);
    finite_or_nan(x->data, x->count, node->data, node->count); // tanh has limits
}

// d [B, T, C], the gradients before f: d_t = f'(h_t) (dh_t + U^T d_{t+1}).
static void time_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct ag_tensor *node = context;
    const struct param *p = node->param;
    struct tile tile = tile_of(p, piece);
    int64_t c = p->width, stride = p->length * c;
    for (int64_t t = p->length - 1; t >= 0; t--) {
        int64_t at = place(p, tile, t);
        const real *grad = node->grad + at, *y = node->data + at;
        real *d = (real *)node->partial + at;
        for (int64_t r = 0; r < tile.rows; r++)
            memcpy(d + r * stride, grad + r * stride, (size_t)c * sizeof *d);
        if (t < p->length - 1)
            gemm(false, false, tile.rows, c, c, 1, d + c, stride, node->input[WEIGHT]->data, c, 1,
                 d, stride);
        for (int64_t r = 0; p->tanh && r < tile.rows; r++) {
#pragma omp simd
            for (int64_t k = 0; k < c; k++)
                d[r * stride + k] *= 1 - y[r * stride + k] * y[r * stride + k];
        }
    }
    if (!node->input[X]->grad)
        return;
    const real *d = (const real *)node->partial + place(p, tile, 0);
    real *dx = node->input[X]->grad + place(p, tile, 0);
    real old = ag_is_fresh(node, X) ? 0 : 1;
    for (int64_t i = 0; i < tile.rows * stride; i++)
        dx[i] = (old != 0 ? dx[i] : 0) + d[i];
}

// Gradient of rows of U: sum of d_t h_{t-1}^T over sequences, in order, and steps.
static void weight_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct ag_tensor *node = context, *start = node->input[START];
    const struct param *p = node->param;
    int64_t c = p->width, first = piece * STRIP, rows = first + STRIP < c ? STRIP : c - first;
    real *to = node->input[WEIGHT]->grad + first * c;
    if (ag_is_fresh(node, WEIGHT))
        memset(to, 0, (size_t)(rows * c) * sizeof *to);
    for (int64_t b = 0; b < p->batch; b++) {
        const real *d = (const real *)node->partial + b * p->length * c + first;
        const real *y = node->data + b * p->length * c;
        if (p->length > 1)
            gemm(true, false, rows, c, p->length - 1, 1, d + c, c, y, c, 1, to, c);
        for (int64_t i = 0; start && i < rows; i++) {
#pragma omp simd
            for (int64_t k = 0; k < c; k++)
                to[i * c + k] += d[i] * start->data[k];
        }
    }
}

// Gradient of the start: U^T d_0 summed over sequences.
static void start_grad(const struct ag_tensor *node)
{
    const struct param *p = node->param;
    int64_t c = p->width;
    const real *weight = node->input[WEIGHT]->data;
    real *to = node->input[START]->grad;
    if (ag_is_fresh(node, START))
        memset(to, 0, (size_t)c * sizeof *to);
    for (int64_t i = 0; i < c; i++) {
        real sum = 0;
        for (int64_t b = 0; b < p->batch; b++)
            sum += ((const real *)node->partial)[b * p->length * c + i];
#pragma omp simd
        for (int64_t k = 0; k < c; k++)
            to[k] += sum * weight[i * c + k];
    }
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    const struct param *p = node->param;
    par_run_in_region(tiles(p), time_piece, node);
    if (node->input[WEIGHT]->grad)
        par_run_in_region((p->width + STRIP - 1) / STRIP, weight_piece, node);
    if (node->input[START] && node->input[START]->grad)
        start_grad(node);
}

static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    int64_t b = ag_case_size(rng, 3), t = ag_case_size(rng, 7), c = ag_case_size(rng, 5);
    if (variant == 3) { // more than one tile, more than one strip
        b = TILE + 1;
        t = 2;
        c = STRIP + 1;
    }
    double spread = variant == 3 ? 0.2 : 0.6; // the identity grows with each step
    ag_t *x = ag_case_leaf(graph, rng, ag_shape3(b, t, c), -1, 1);
    ag_t *weight = ag_case_leaf(graph, rng, ag_shape2(c, c), -spread, spread);
    ag_t *start = variant & 1 ? ag_case_leaf(graph, rng, ag_shape1(c), -1, 1) : NULL;
    return ag_recurrence(graph, x, weight, start, variant < 2);
}

static const struct ag_setting settings[] = {
    {"tanh", AG_SETTING_BOOL, offsetof(struct param, tanh)},
    {0},
};

const struct ag_op ag_op_recurrence = {
    .name = "recurrence",
    .formula = "h_t = f(x_t + U h_{t-1}), f tanh or the identity",
    .flags = AG_BACKWARD_READS_INPUTS | AG_BACKWARD_READS_OUTPUT | AG_BACKWARD_HANDLES_FRESH |
             AG_HAS_LIMITS,
    .forward = forward,
    .backward = backward,
    .settings = settings,
    .variants = 4,
    .sample = sample,
};

ag_t *ag_recurrence(struct ag_graph *graph, ag_t *x, ag_t *weight, ag_t *start, bool tanh)
{
    char a[96], b[96];
    if (x->shape.dims != 3)
        return ag_fail(graph, "recurrence: input %s is not [B, T, C]", ag_shape_text(x->shape, a));
    struct param p = {x->shape.size[0], x->shape.size[1], x->shape.size[2], tanh};
    if (weight->shape.dims != 2 || weight->shape.size[0] != p.width ||
        weight->shape.size[1] != p.width)
        return ag_fail(graph, "recurrence: weight %s is not square for input %s",
                       ag_shape_text(weight->shape, b), ag_shape_text(x->shape, a));
    if (start && (start->shape.dims != 1 || start->count != p.width))
        return ag_fail(graph, "recurrence: start %s does not fit input %s",
                       ag_shape_text(start->shape, b), ag_shape_text(x->shape, a));
    ag_t *node = ag_node(graph, &ag_op_recurrence, x->shape, INPUTS,
                         (ag_t *const[]){x, weight, start}, &p, sizeof p);
    if (!graph->error)
        node->partial_size = (size_t)x->count * sizeof(real);
    return node;
}
