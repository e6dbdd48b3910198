// Linear layer: y = x W^T + b over the last dimension, W as [out, in].
//
// Both products of a row-wise kind (y, and dx) are cut into tiles of rows. The weight gradient sums
// over all rows: where it is small, the rows are cut into a few chunks with a partial gradient
// each, added in order; where it is large, its own rows are cut.
#include <string.h>

#include "../ag_ops.h"
#include "../base/par.h"
#include "../kernels/gemm.h"
#include "op.h"

enum {
    ROW_TILE = 128,        // rows of x a piece when there are many
    COLUMN_TILE = 64,      // columns a piece when there are few rows
    CHUNKS = 4,            // partial weight gradients
    CHUNKED_MAX = 1 << 16, // largest weight gradient that is summed from chunks
    WEIGHT_TILE = 128,     // rows of the weight gradient a piece otherwise
};

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

// How a [rows, columns] result is tiled: by rows, and by columns too when that gives few pieces.
struct tiling {
    int64_t rows, columns, tile_rows, tile_columns, across;
};

static struct tiling tile(int64_t rows, int64_t columns)
{
    struct tiling t = {.rows = rows, .columns = columns};
    t.tile_rows = rows >= 8 * ROW_TILE ? ROW_TILE : ROW_TILE / 2;
    t.tile_columns = ceil_div(rows, t.tile_rows) >= 8 ? columns : COLUMN_TILE;
    t.across = ceil_div(columns, t.tile_columns);
    return t;
}

static int64_t tile_count(const struct tiling *t)
{
    return ceil_div(t->rows, t->tile_rows) * t->across;
}

struct range {
    int64_t begin, count;
};

static struct range tile_range(int64_t total, int64_t tile_size, int64_t i)
{
    int64_t begin = i * tile_size;
    return (struct range){begin, begin + tile_size < total ? tile_size : total - begin};
}

struct shape {
    int64_t m, n, k; // rows, outputs, inputs
};

static struct shape sizes(const struct ag_tensor *node)
{
    const struct ag_tensor *weight = node->input[1];
    int64_t n = weight->shape.size[0], k = weight->shape.size[1];
    return (struct shape){node->count / n, n, k};
}

struct work {
    struct ag_tensor *node;
    struct shape size;
    struct tiling tiling;
    real *partial; // [CHUNKS][n * k + n]
};

static void forward_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct work *w = context;
    const struct ag_tensor *node = w->node, *bias = node->input[2];
    struct range rows = tile_range(w->size.m, w->tiling.tile_rows, piece / w->tiling.across);
    struct range columns = tile_range(w->size.n, w->tiling.tile_columns, piece % w->tiling.across);
    int64_t n = w->size.n, k = w->size.k;
    real *y = node->data + rows.begin * n + columns.begin;
    for (int64_t i = 0; bias && i < rows.count; i++)
        memcpy(y + i * n, bias->data + columns.begin, (size_t)columns.count * sizeof(real));
    gemm(false, true, rows.count, columns.count, k, 1, node->input[0]->data + rows.begin * k, k,
         node->input[1]->data + columns.begin * k, k, bias ? 1 : 0, y, n);
}

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    struct work w = {.node = node, .size = sizes(node)};
    w.tiling = tile(w.size.m, w.size.n);
    par_run_in_region(tile_count(&w.tiling), forward_piece, &w);
}

static void input_grad_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct work *w = context;
    const struct ag_tensor *node = w->node;
    struct range rows = tile_range(w->size.m, w->tiling.tile_rows, piece / w->tiling.across);
    struct range columns = tile_range(w->size.k, w->tiling.tile_columns, piece % w->tiling.across);
    int64_t n = w->size.n, k = w->size.k;
    gemm(false, false, rows.count, columns.count, n, 1, node->grad + rows.begin * n, n,
         node->input[1]->data + columns.begin, k, ag_is_fresh(node, 0) ? 0 : 1,
         node->input[0]->grad + rows.begin * k + columns.begin, k);
}

// sum[j] += sum over rows of grad[i, first + j]
static void sum_rows(const struct ag_tensor *node, struct range rows, struct range columns,
                     real *sum)
{
    int64_t n = columns.count, stride = node->input[1]->shape.size[0];
    for (int64_t i = rows.begin; i < rows.begin + rows.count; i++) {
        const real *restrict g = node->grad + i * stride + columns.begin;
#pragma omp simd
        for (int64_t j = 0; j < n; j++)
            sum[j] += g[j];
    }
}

static struct range chunk_range(int64_t rows, int64_t chunk)
{
    int64_t begin = par_begin(rows, CHUNKS, chunk);
    return (struct range){begin, par_begin(rows, CHUNKS, chunk + 1) - begin};
}

static void chunk_piece(void *context, int64_t chunk, int thread)
{
    (void)thread;
    const struct work *w = context;
    const struct ag_tensor *node = w->node;
    int64_t n = w->size.n, k = w->size.k;
    struct range rows = chunk_range(w->size.m, chunk);
    real *partial = w->partial + chunk * (n * k + n);
    if (node->input[1]->grad)
        gemm(true, false, n, k, rows.count, 1, node->grad + rows.begin * n, n,
             node->input[0]->data + rows.begin * k, k, 0, partial, k);
    if (node->input[2] && node->input[2]->grad) {
        memset(partial + n * k, 0, (size_t)n * sizeof(real));
        sum_rows(node, rows, (struct range){0, n}, partial + n * k);
    }
}

static void add_partials(const struct work *w, int input, int64_t offset, int64_t begin,
                         int64_t end)
{
    const struct ag_tensor *node = w->node;
    int64_t stride = w->size.n * w->size.k + w->size.n;
    real *restrict grad = node->input[input]->grad;
    const real *restrict p = w->partial + offset;
    bool fresh = ag_is_fresh(node, input);
    for (int64_t i = begin; i < end; i++) {
        real sum = fresh ? 0 : grad[i];
        for (int64_t c = 0; c < CHUNKS; c++)
            sum += p[c * stride + i];
        grad[i] = sum;
    }
}

static void add_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct work *w = context;
    int64_t n = w->size.n, k = w->size.k;
    int64_t pieces = par_pieces(n * k, 4096);
    if (w->node->input[1]->grad)
        add_partials(w, 1, 0, par_begin(n * k, pieces, piece), par_begin(n * k, pieces, piece + 1));
    if (piece == 0 && w->node->input[2] && w->node->input[2]->grad)
        add_partials(w, 2, n * k, 0, n);
}

static void weight_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct work *w = context;
    const struct ag_tensor *node = w->node, *bias = node->input[2];
    int64_t n = w->size.n, k = w->size.k;
    struct range columns = tile_range(n, WEIGHT_TILE, piece);
    if (node->input[1]->grad)
        gemm(true, false, columns.count, k, w->size.m, 1, node->grad + columns.begin, n,
             node->input[0]->data, k, ag_is_fresh(node, 1) ? 0 : 1,
             node->input[1]->grad + columns.begin * k, k);
    if (!bias || !bias->grad)
        return;
    if (ag_is_fresh(node, 2))
        memset(bias->grad + columns.begin, 0, (size_t)columns.count * sizeof(real));
    sum_rows(node, (struct range){0, w->size.m}, columns, bias->grad + columns.begin);
}

static bool is_chunked(const struct shape *size)
{
    return size->n * size->k <= CHUNKED_MAX && size->m >= 2 * CHUNKS;
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    struct work w = {.node = node, .size = sizes(node)};
    if (node->input[0]->grad) {
        w.tiling = tile(w.size.m, w.size.k);
        par_run_in_region(tile_count(&w.tiling), input_grad_piece, &w);
    }
    if (!node->input[1]->grad && !(node->input[2] && node->input[2]->grad))
        return;
    if (is_chunked(&w.size)) {
        w.partial = ag_scratch(run, 0);
        par_run_in_region(CHUNKS, chunk_piece, &w);
        par_run(par_pieces(w.size.n * w.size.k, 4096), add_piece, &w);
    } else {
        par_run_in_region(ceil_div(w.size.n, WEIGHT_TILE), weight_piece, &w);
    }
}

static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    int64_t b = ag_case_size(rng, 5), t = ag_case_size(rng, 9), k = ag_case_size(rng, 7);
    int64_t n = ag_case_size(rng, 6);
    struct ag_shape shape = variant == 2 ? ag_shape2(t, k) : ag_shape3(b, t, k);
    if (variant == 3) { // the weight gradient that is cut by its own rows, and tiles of columns
        shape = ag_shape2(3, 5);
        n = 135;
    }
    if (variant == 3)
        k = 5;
    ag_t *x = ag_case_leaf(graph, rng, shape, -1, 1);
    ag_t *weight = ag_case_leaf(graph, rng, ag_shape2(n, k), -1, 1);
    ag_t *bias = variant == 1 ? NULL : ag_case_leaf(graph, rng, ag_shape1(n), -1, 1);
    return ag_linear(graph, x, weight, bias);
}

const struct ag_op ag_op_linear = {
    .name = "linear",
    .formula = "y = x W^T + b",
    .flags = AG_BACKWARD_READS_INPUTS | AG_BACKWARD_HANDLES_FRESH,
    .forward = forward,
    .backward = backward,
    .variants = 4,
    .sample = sample,
};

ag_t *ag_linear(struct ag_graph *graph, ag_t *x, ag_t *weight, ag_t *bias)
{
    char a[96], b[96];
    if (x->shape.dims < 1 || weight->shape.dims != 2 ||
        x->shape.size[x->shape.dims - 1] != weight->shape.size[1])
        return ag_fail(graph, "linear: input %s does not fit weight %s ([out, in])",
                       ag_shape_text(x->shape, a), ag_shape_text(weight->shape, b));
    if (bias && (bias->shape.dims != 1 || bias->shape.size[0] != weight->shape.size[0]))
        return ag_fail(graph, "linear: bias %s does not fit weight %s",
                       ag_shape_text(bias->shape, a), ag_shape_text(weight->shape, b));
    struct ag_shape shape = x->shape;
    shape.size[shape.dims - 1] = weight->shape.size[0];
    ag_t *node = ag_node(graph, &ag_op_linear, shape, 3, (ag_t *const[]){x, weight, bias}, NULL, 0);
    if (graph->error)
        return node;
    struct shape size = sizes(node);
    if (is_chunked(&size))
        node->scratch_size = (size_t)(CHUNKS * (size.n * size.k + size.n)) * sizeof(real);
    return node;
}
