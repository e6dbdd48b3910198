// A depthwise convolution whose taps are an index: y_t = sum_k w_k x[index[t, k]], a weight a tap
// and channel. The index holds borders, causality and the grid; -1 is a tap that reads zero, and so
// is one on a row that the mask hides.
//
// Forward: pieces of positions. The input's gradient adds rows back: a piece is one sequence, or a
// strip of its columns where there are few. The weight's: a piece is a tap and a strip of columns,
// going through all positions in order.
#include <string.h>

#include "../ag_ops.h"
#include "../base/par.h"
#include "op.h"

enum { X, WEIGHT, INDEX, MASK, INPUTS };
enum { GRAIN = 1 << 13, COLUMNS = 16, MANY = 8 };

struct size {
    int64_t batch, length, width, taps;
};

static struct size size_of(const struct ag_tensor *node)
{
    const struct ag_shape *x = &node->shape;
    return (struct size){x->size[0], x->size[1], x->size[2], node->input[WEIGHT]->shape.size[0]};
}

// The mask of sequence `b`, or NULL. Where there are more sequences than masks, they are several
// streams of the same rows, one after the other.
static const int32_t *mask_of(const struct ag_tensor *node, int64_t b)
{
    const struct ag_tensor *mask = node->input[MASK];
    return mask ? mask->index + b % mask->shape.size[0] * mask->shape.size[1] : NULL;
}

static bool reads_zero(const int32_t *mask, int32_t from)
{
    return from < 0 || (mask && !mask[from]);
}

static void forward_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct ag_tensor *node = context;
    struct size s = size_of(node);
    int64_t rows = s.batch * s.length, pieces = par_pieces(node->count, GRAIN);
    int64_t end = par_begin(rows, pieces, piece + 1);
    for (int64_t i = par_begin(rows, pieces, piece); i < end; i++) {
        const int32_t *index = node->input[INDEX]->index + i % s.length * s.taps;
        const int32_t *mask = mask_of(node, i / s.length);
        const real *sequence = node->input[X]->data + i / s.length * s.length * s.width;
        real *restrict y = node->data + i * s.width;
        memset(y, 0, (size_t)s.width * sizeof *y);
        for (int64_t k = 0; k < s.taps; k++) {
            if (reads_zero(mask, index[k]))
                continue;
            const real *restrict x = sequence + index[k] * s.width;
            const real *restrict w = node->input[WEIGHT]->data + k * s.width;
#pragma omp simd
            for (int64_t c = 0; c < s.width; c++)
                y[c] += w[c] * x[c];
        }
    }
}

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    par_run(par_pieces(node->count, GRAIN), forward_piece, node);
}

static int64_t strips(int64_t width)
{
    int64_t pieces = width / COLUMNS;
    return pieces < 1 ? 1 : pieces > 8 ? 8 : pieces;
}

static int64_t input_strips(const struct size *s)
{
    return s->batch >= MANY ? 1 : strips(s->width);
}

static void input_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct ag_tensor *node = context;
    struct size s = size_of(node);
    int64_t across = input_strips(&s), b = piece / across;
    int64_t begin = par_begin(s.width, across, piece % across);
    int64_t n = par_begin(s.width, across, piece % across + 1) - begin;
    int64_t first = b * s.length * s.width + begin;
    real *grad = node->input[X]->grad + first;
    const int32_t *mask = mask_of(node, b);
    if (ag_is_fresh(node, X))
        for (int64_t t = 0; t < s.length; t++)
            memset(grad + t * s.width, 0, (size_t)n * sizeof *grad);
    for (int64_t i = 0; i < s.length * s.taps; i++) {
        int32_t from = node->input[INDEX]->index[i];
        if (reads_zero(mask, from))
            continue;
        real *restrict to = grad + from * s.width;
        const real *restrict dy = node->grad + first + i / s.taps * s.width;
        const real *restrict w = node->input[WEIGHT]->data + i % s.taps * s.width + begin;
#pragma omp simd
        for (int64_t c = 0; c < n; c++)
            to[c] += w[c] * dy[c];
    }
}

static void weight_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct ag_tensor *node = context;
    struct size s = size_of(node);
    int64_t across = strips(s.width), k = piece / across;
    int64_t begin = par_begin(s.width, across, piece % across);
    int64_t n = par_begin(s.width, across, piece % across + 1) - begin;
    real *restrict to = node->input[WEIGHT]->grad + k * s.width + begin;
    if (ag_is_fresh(node, WEIGHT))
        memset(to, 0, (size_t)n * sizeof *to);
    for (int64_t i = 0; i < s.batch * s.length; i++) {
        int32_t from = node->input[INDEX]->index[i % s.length * s.taps + k];
        if (reads_zero(mask_of(node, i / s.length), from))
            continue;
        int64_t sequence = i / s.length * s.length;
        const real *restrict x = node->input[X]->data + (sequence + from) * s.width + begin;
        const real *restrict dy = node->grad + i * s.width + begin;
#pragma omp simd
        for (int64_t c = 0; c < n; c++)
            to[c] += x[c] * dy[c];
    }
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    struct size s = size_of(node);
    if (node->input[X]->grad)
        par_run(s.batch * input_strips(&s), input_piece, node);
    if (node->input[WEIGHT]->grad)
        par_run(s.taps * strips(s.width), weight_piece, node);
}

static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    int64_t b = variant == 2   ? MANY
                : variant == 4 ? 2
                               : ag_case_size(rng, 3),
            t = ag_case_size(rng, 7);
    int64_t c = variant == 1 ? 2 * COLUMNS + 1 : ag_case_size(rng, 5), k = ag_case_size(rng, 4);
    ag_t *x = ag_case_leaf(graph, rng, ag_shape3(b, t, c), -1, 1);
    ag_t *weight = ag_case_leaf(graph, rng, ag_shape2(k, c), -1, 1);
    ag_t *index = ag_case_index(graph, rng, ag_shape2(t, k), -1, (int32_t)t - 1);
    ag_t *mask = variant < 3 ? NULL
                             : ag_case_index(graph, rng, ag_shape2(variant == 4 ? 1 : b, t), 0, 1);
    return ag_taps(graph, x, weight, index, mask);
}

const struct ag_op ag_op_taps = {
    .name = "taps",
    .formula = "y_t = sum over k of w_k x[index[t, k]], channel by channel; index -1 and what is "
               "hidden read 0",
    .flags = AG_BACKWARD_READS_INPUTS | AG_BACKWARD_HANDLES_FRESH,
    .forward = forward,
    .backward = backward,
    .same_sums = ag_row_by_row,
    .variants = 5,
    .sample = sample,
};

ag_t *ag_taps(struct ag_graph *graph, ag_t *x, ag_t *weight, ag_t *index, ag_t *mask)
{
    char a[96], b[96], c[96];
    if (x->shape.dims != 3 || weight->shape.dims != 2 || index->shape.dims != 2 ||
        index->type != AG_INT || weight->shape.size[1] != x->shape.size[2] ||
        index->shape.size[0] != x->shape.size[1] || index->shape.size[1] != weight->shape.size[0])
        return ag_fail(graph, "taps: input %s, weight %s and index %s do not fit",
                       ag_shape_text(x->shape, a), ag_shape_text(weight->shape, b),
                       ag_shape_text(index->shape, c));
    if (mask && (mask->type != AG_INT || mask->shape.dims != 2 ||
                 x->shape.size[0] % mask->shape.size[0] || mask->shape.size[1] != x->shape.size[1]))
        return ag_fail(graph, "taps: input %s and mask %s do not fit", ag_shape_text(x->shape, a),
                       ag_shape_text(mask->shape, b));
    return ag_node(graph, &ag_op_taps, x->shape, INPUTS, (ag_t *const[]){x, weight, index, mask},
                   NULL, 0);
}
