// LayerNorm over the last dimension: y = (x - mean) / sqrt(variance + eps) * gain + bias (Ba,
// Kiros, Hinton 2016, arXiv 1607.06450).
//
// The mean is taken twice: the second time of what the first one leaves, which is small, so that
// neither the rounding of a long sum nor that of a mean far from zero shifts the row (the corrected
// two-pass algorithm: Chan, Golub, LeVeque 1983, The American Statistician 37).
//
// Keeps both parts of the mean and 1/std a row. Rows are cut into pieces; each has a partial
// gradient of gain and bias, which are added in order.
#include <math.h>
#include <string.h>

#include "../ag_ops.h"
#include "../base/par.h"
#include "op.h"

enum {
    GRAIN = 1 << 13,
    MAX_PIECES = 8,
    SAVED = 3,
    STRIP = 4,    // rows whose sums, each a long chain of steps, are worked on side by side
    STRETCH = 256 // numbers that are summed before the sum is added to the others
};

struct param {
    int64_t rows, width;
    double epsilon;
    int64_t parts; // of the graph
};

static int64_t cut(int64_t rows, int64_t width)
{
    int64_t pieces = par_pieces(rows * width, GRAIN);
    pieces = pieces > MAX_PIECES ? MAX_PIECES : pieces;
    return pieces > rows ? rows : pieces;
}

static bool same_sums(const struct ag_tensor *node, int64_t parts)
{
    const struct param *p = node->param;
    int64_t rows = ag_whole(p->rows, parts);
    return ag_parts_fit(rows, cut(rows, p->width), parts);
}

// A part of a batch is cut where the whole would be, if it can be.
static int64_t pieces_of(const struct ag_tensor *node)
{
    const struct param *p = node->param;
    if (p->parts > 1 && same_sums(node, p->parts))
        return cut(ag_whole(p->rows, p->parts), p->width) / p->parts;
    return cut(p->rows, p->width);
}

// A long sum loses digits, the fewer lanes a vector has the more; a sum of short ones does not.
static int64_t stretch_end(int64_t first, int64_t count)
{
    return first + STRETCH < count ? first + STRETCH : count;
}

// The mean of a row in two parts, and its 1/std, to `saved`.
static void measure_row(const struct param *p, const real *restrict x, real *saved)
{
    int64_t c = p->width;
    real sum = 0, rest = 0, square = 0;
    for (int64_t first = 0; first < c; first += STRETCH) {
        real part = 0;
#pragma omp simd reduction(+ : part)
        for (int64_t i = first; i < stretch_end(first, c); i++)
            part += x[i];
        sum += part;
    }
    real mean = sum / (real)c;
    for (int64_t first = 0; first < c; first += STRETCH) {
        real part = 0, squares = 0;
#pragma omp simd reduction(+ : part, squares)
        for (int64_t i = first; i < stretch_end(first, c); i++) {
            real d = x[i] - mean;
            part += d;
            squares += d * d;
        }
        rest += part;
        square += squares;
    }
    rest /= (real)c;
    double variance = (double)(square / (real)c) - (double)rest * (double)rest;
    saved[0] = mean;
    saved[1] = rest;
    saved[2] = (real)(1 / sqrt((variance > 0 ? variance : 0) + p->epsilon));
}

static void write_row(const struct ag_tensor *node, int64_t row)
{
    const struct param *p = node->param;
    int64_t c = p->width;
    const real *restrict x = node->input[0]->data + row * c;
    const real *restrict gain = node->input[1]->data, *restrict bias = node->input[2]->data;
    const real *saved = (const real *)node->saved + SAVED * row;
    real mean = saved[0], rest = saved[1], inverse = saved[2];
    real *restrict y = node->data + row * c;
#pragma omp simd
    for (int64_t i = 0; i < c; i++)
        y[i] = (x[i] - mean - rest) * inverse * gain[i] + bias[i];
}

static void forward_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct ag_tensor *node = context;
    const struct param *p = node->param;
    int64_t pieces = pieces_of(node), end = par_begin(p->rows, pieces, piece + 1);
    for (int64_t first = par_begin(p->rows, pieces, piece); first < end; first += STRIP) {
        int64_t behind = first + STRIP < end ? first + STRIP : end;
        for (int64_t row = first; row < behind; row++)
            measure_row(p, node->input[0]->data + row * p->width,
                        (real *)node->saved + SAVED * row);
        for (int64_t row = first; row < behind; row++)
            write_row(node, row);
    }
}

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    par_run(pieces_of(node), forward_piece, node);
}

struct job {
    const struct ag_tensor *node;
    real *partial; // [pieces][2 c]: gain, bias
};

// dx = (g - mean(g) - xhat mean(g xhat)) / std with g = dy gain.
static void backward_row(const struct ag_tensor *node, int64_t row, real *d_gain, real *d_bias)
{
    const struct param *p = node->param;
    int64_t c = p->width;
    const real *restrict x = node->input[0]->data + row * c, *restrict dy = node->grad + row * c;
    const real *restrict gain = node->input[1]->data;
    const real *saved = (const real *)node->saved + SAVED * row;
    real mean = saved[0], rest = saved[1], inverse = saved[2], sum = 0, dot = 0;
    for (int64_t first = 0; first < c; first += STRETCH) {
        real part = 0, products = 0;
#pragma omp simd reduction(+ : part, products)
        for (int64_t i = first; i < stretch_end(first, c); i++) {
            real hat = (x[i] - mean - rest) * inverse, g = dy[i] * gain[i];
            part += g;
            products += g * hat;
            d_gain[i] += dy[i] * hat;
            d_bias[i] += dy[i];
        }
        sum += part;
        dot += products;
    }
    if (!node->input[0]->grad)
        return;
    real *restrict dx = node->input[0]->grad + row * c;
    sum /= (real)c;
    dot /= (real)c;
    if (ag_is_fresh(node, 0)) {
#pragma omp simd
        for (int64_t i = 0; i < c; i++)
            dx[i] = inverse * (dy[i] * gain[i] - sum - (x[i] - mean - rest) * inverse * dot);
    } else {
#pragma omp simd
        for (int64_t i = 0; i < c; i++)
            dx[i] += inverse * (dy[i] * gain[i] - sum - (x[i] - mean - rest) * inverse * dot);
    }
}

static void backward_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct job *job = context;
    const struct param *p = job->node->param;
    real *partial = job->partial + piece * 2 * p->width;
    memset(partial, 0, (size_t)(2 * p->width) * sizeof *partial);
    int64_t pieces = pieces_of(job->node), end = par_begin(p->rows, pieces, piece + 1);
    for (int64_t row = par_begin(p->rows, pieces, piece); row < end; row++)
        backward_row(job->node, row, partial, partial + p->width);
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    const struct param *p = node->param;
    struct job job = {node, ag_scratch(run, 0)};
    int64_t pieces = pieces_of(node);
    par_run(pieces, backward_piece, &job);
    for (int k = 0; k < 2; k++) {
        real *grad = node->input[1 + k]->grad;
        for (int64_t i = 0; grad && i < p->width; i++) {
            real sum = ag_is_fresh(node, 1 + k) ? 0 : grad[i];
            for (int64_t piece = 0; piece < pieces; piece++)
                sum += job.partial[piece * 2 * p->width + k * p->width + i];
            grad[i] = sum;
        }
    }
}

static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    int64_t c = 1 + ag_case_size(rng, 8), b = ag_case_size(rng, 4), t = ag_case_size(rng, 5);
    if (variant == 1)
        c = 1;
    ag_t *x = ag_case_leaf(graph, rng, ag_shape3(b, t, c), -0.4, 0.4);
    // A row of nearly equal values has a huge curvature: spread it.
    for (int64_t i = 0; x->param && i < x->count; i++)
        ((real *)x->param)[i] += (real)(i % c);
    return ag_layer_norm(graph, x, ag_case_leaf(graph, rng, ag_shape1(c), 0.5, 2),
                         ag_case_leaf(graph, rng, ag_shape1(c), -1, 1), variant == 1 ? 0.1 : 1e-5);
}

static const struct ag_setting settings[] = {
    {"epsilon", AG_SETTING_DOUBLE, offsetof(struct param, epsilon)},
    {0},
};

const struct ag_op ag_op_layer_norm = {
    .name = "layer_norm",
    .formula = "y = (x - mean) / sqrt(variance + eps) * gain + bias",
    .flags = AG_BACKWARD_READS_INPUTS | AG_BACKWARD_HANDLES_FRESH,
    .forward = forward,
    .backward = backward,
    .same_sums = same_sums,
    .settings = settings,
    .variants = 3,
    .sample = sample,
};

ag_t *ag_layer_norm(struct ag_graph *graph, ag_t *x, ag_t *gain, ag_t *bias, double epsilon)
{
    char a[96];
    int64_t c = x->shape.dims ? x->shape.size[x->shape.dims - 1] : 0;
    if (c < 1 || gain->shape.dims != 1 || gain->count != c || bias->shape.dims != 1 ||
        bias->count != c || !(epsilon > 0))
        return ag_fail(graph, "layer_norm: gain and bias must be [%lld] for input %s", (long long)c,
                       ag_shape_text(x->shape, a));
    struct param p = {x->count / c, c, epsilon, graph->parts};
    ag_t *node = ag_node(graph, &ag_op_layer_norm, x->shape, 3, (ag_t *const[]){x, gain, bias}, &p,
                         sizeof p);
    if (graph->error)
        return node;
    node->saved_size = (size_t)(SAVED * p.rows) * sizeof(real);
    node->scratch_size = (size_t)(MAX_PIECES * 2 * c) * sizeof(real);
    return node;
}
