// Rows of a table by index: embeddings, buckets, relative tables.
//
// The gradient adds rows back. Its pieces are strips of columns, each going through the indices in
// order, so that a row's sum has the same order whatever the threads.
#include <string.h>

#include "../ag_ops.h"
#include "../base/err.h"
#include "../base/par.h"
#include "op.h"

enum { GRAIN = 1 << 14, COLUMNS = 16 };

static int64_t width(const struct ag_tensor *table)
{
    return table->count / table->shape.size[0];
}

static void forward_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct ag_tensor *node = context, *table = node->input[0], *index = node->input[1];
    int64_t c = width(table), pieces = par_pieces(node->count, GRAIN);
    int64_t end = par_begin(index->count, pieces, piece + 1);
    for (int64_t i = par_begin(index->count, pieces, piece); i < end; i++) {
        int32_t row = index->index[i];
        BUG_ON(row < 0 || row >= table->shape.size[0]);
        memcpy(node->data + i * c, table->data + row * c, (size_t)c * sizeof(real));
    }
}

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    par_run(par_pieces(node->count, GRAIN), forward_piece, node);
}

static int64_t strips(int64_t c)
{
    int64_t pieces = c / COLUMNS;
    return pieces < 1 ? 1 : pieces > 8 ? 8 : pieces;
}

static void backward_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct ag_tensor *node = context, *table = node->input[0], *index = node->input[1];
    int64_t c = width(table), begin = par_begin(c, strips(c), piece);
    int64_t n = par_begin(c, strips(c), piece + 1) - begin;
    if (ag_is_fresh(node, 0))
        for (int64_t r = 0; r < table->shape.size[0]; r++)
            memset(table->grad + r * c + begin, 0, (size_t)n * sizeof(real));
    for (int64_t i = 0; i < index->count; i++) {
        real *restrict to = table->grad + index->index[i] * c + begin;
        const real *restrict from = node->grad + i * c + begin;
#pragma omp simd
        for (int64_t k = 0; k < n; k++)
            to[k] += from[k];
    }
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    if (node->input[0]->grad)
        par_run(strips(width(node->input[0])), backward_piece, node);
}

static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    int64_t rows = ag_case_size(rng, 5), c = variant == 2 ? 35 : ag_case_size(rng, 7);
    ag_t *table = ag_case_leaf(graph, rng, variant ? ag_shape2(rows, c) : ag_shape1(rows), -1, 1);
    struct ag_shape shape = ag_shape2(ag_case_size(rng, 3), ag_case_size(rng, 9));
    return ag_gather(graph, table, ag_case_index(graph, rng, shape, 0, (int32_t)rows - 1));
}

const struct ag_op ag_op_gather = {
    .name = "gather",
    .formula = "y[i, :] = table[index[i], :]",
    .flags = AG_BACKWARD_READS_INPUTS | AG_BACKWARD_HANDLES_FRESH,
    .forward = forward,
    .backward = backward,
    .same_sums = ag_row_by_row,
    .variants = 3,
    .sample = sample,
};

ag_t *ag_gather(struct ag_graph *graph, ag_t *table, ag_t *index)
{
    char a[96], b[96];
    int dims = index->shape.dims + table->shape.dims - 1;
    if (table->shape.dims < 1 || index->type != AG_INT || dims > AG_MAX_DIMS)
        return ag_fail(graph, "gather: table %s and index %s do not fit",
                       ag_shape_text(table->shape, a), ag_shape_text(index->shape, b));
    struct ag_shape shape = index->shape;
    for (int d = 1; d < table->shape.dims; d++)
        shape.size[shape.dims++] = table->shape.size[d];
    return ag_node(graph, &ag_op_gather, shape, 2, (ag_t *const[]){table, index}, NULL, 0);
}
