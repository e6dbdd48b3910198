// Linear layer: y = f(x W^T + b) + r over the last dimension, W as [out, in]; f is the identity or
// GELU, r (a residual stream) may be absent.
//
// The weight is put in panels once a pass, and tiles of rows are multiplied with it. Backward goes
// by chunks of rows, and by blocks of them small enough for the second-level cache: of each block
// the gradient of x is made and its part of the weight's, while x and dy are near. A chunk sums the
// weight's gradient by itself, and the chunks are added up in order. With GELU, forward keeps its
// derivative, and backward multiplies it in just before the products that read it.
#include <string.h>

#include "../ag_ops.h"
#include "../base/par.h"
#include "../kernels/product.h"
#include "../kernels/vector.h"
#include "op.h"

enum {
    ROW_TILE = 96,        // rows a piece, or more
    MOST_PIECES = 64,     // of rows
    FEW_PIECES = 8,       // with fewer pieces of rows, panels are pieces too
    CHUNK = 48,           // rows of a chunk at least
    FEW_CHUNKS = 4,       // that there should be, and
    MOST_CHUNKS = 16,     // that there may be
    CHUNK_COST = 4,       // numbers of x and dy for each of a partial sum
    BLOCK = 1 << 17,      // numbers of x in a block
    LEAST_BLOCK = 144,    // rows of a block at least
    PACK_GRAIN = 1 << 13, // numbers that are worth a piece
    SUM_GRAIN = 1 << 12
};

struct param {
    bool gelu;
    int64_t parts; // of the graph
};

struct shape {
    int64_t m, n, k; // rows, outputs, inputs
};

static struct shape sizes(const struct ag_tensor *node)
{
    const struct ag_tensor *weight = node->input[1];
    int64_t n = weight->shape.size[0], k = weight->shape.size[1];
    return (struct shape){node->count / n, n, k};
}

static bool has_gelu(const struct ag_tensor *node)
{
    return ((const struct param *)node->param)->gelu;
}

// Pieces of a result [rows, columns]: a power of two of runs of rows, and of panels where those are
// few.
struct tiling {
    int64_t rows, down, panels, across;
};

static int64_t pieces_of(int64_t rows, int64_t least)
{
    int64_t pieces = 1;
    while (pieces < MOST_PIECES && rows / (2 * pieces) >= least)
        pieces *= 2;
    return pieces;
}

static struct tiling tile(int64_t rows, int64_t columns)
{
    struct tiling t = {.rows = rows, .panels = product_panels(columns)};
    t.down = pieces_of(rows, ROW_TILE);
    t.across = t.down < FEW_PIECES ? t.panels : 1;
    return t;
}

struct range {
    int64_t begin, end;
};

// Cuts are between whole tiles of the product.
static struct range cut(int64_t count, int64_t pieces, int64_t piece)
{
    int64_t tiles = (count + PRODUCT_ROWS - 1) / PRODUCT_ROWS;
    int64_t begin = par_begin(tiles, pieces, piece) * PRODUCT_ROWS;
    int64_t end = par_begin(tiles, pieces, piece + 1) * PRODUCT_ROWS;
    return (struct range){begin, end < count ? end : count};
}

// One pass: what its pieces work on.
struct work {
    const struct ag_tensor *node;
    const struct ag_run *run;
    struct shape size;
    struct tiling tiling;
    real *packed;        // panels of the weight
    bool transposed;     // how it was put there
    int64_t pack_pieces; // pieces of packing
    int64_t chunks;      // of backward
};

// The right operand is W^T [k, n] forward and W [n, k] backward.
static void pack_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct work *w = context;
    int64_t rows = w->transposed ? w->size.k : w->size.n;
    int64_t columns = w->transposed ? w->size.n : w->size.k, panels = product_panels(columns);
    product_pack(w->packed, w->transposed, rows, columns, w->node->input[1]->data, w->size.k,
                 par_begin(panels, w->pack_pieces, piece),
                 par_begin(panels, w->pack_pieces, piece + 1));
}

static void pack_weight(struct work *w, bool transposed)
{
    int64_t panels = product_panels(transposed ? w->size.n : w->size.k);
    w->transposed = transposed;
    w->pack_pieces = par_pieces(w->size.n * w->size.k, PACK_GRAIN);
    w->pack_pieces = w->pack_pieces < panels ? w->pack_pieces : panels;
    par_run(w->pack_pieces, pack_piece, w);
}

// y of some rows and one panel, which holds x W^T + b: GELU of it, and its derivative kept.
static void apply_gelu(const struct work *w, struct range rows, int64_t panel)
{
    int64_t n = w->size.n, first = panel * product_panel();
    int64_t columns = n - first < product_panel() ? n - first : product_panel();
    for (int64_t i = rows.begin; i < rows.end; i++)
        vector_gelu(w->node->data + i * n + first, (real *)w->node->saved + i * n + first, columns);
}

static void forward_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct work *w = context;
    const struct ag_tensor *node = w->node, *bias = node->input[2], *residual = node->input[3];
    int64_t n = w->size.n, k = w->size.k, across = piece % w->tiling.across;
    struct range rows = cut(w->tiling.rows, w->tiling.down, piece / w->tiling.across);
    struct product p = {.m = rows.end - rows.begin,
                        .n = n,
                        .k = k,
                        .a = node->input[0]->data + rows.begin * k,
                        .a_row = k,
                        .a_column = 1,
                        .b = w->packed,
                        .alpha = 1,
                        .bias = bias ? bias->data : NULL,
                        .add = residual ? residual->data + rows.begin * n : NULL,
                        .add_row = n,
                        .c = node->data + rows.begin * n,
                        .c_row = n};
    int64_t end = par_begin(w->tiling.panels, w->tiling.across, across + 1);
    for (int64_t panel = par_begin(w->tiling.panels, w->tiling.across, across); panel < end;
         panel++) {
        product_part(&p, panel, panel + 1);
        if (has_gelu(node))
            apply_gelu(w, rows, panel);
    }
}

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    struct work w = {.node = node, .run = run, .size = sizes(node), .packed = run->shared};
    w.tiling = tile(w.size.m, w.size.n);
    pack_weight(&w, true);
    par_run(w.tiling.down * w.tiling.across, forward_piece, &w);
}

// --- backward

// Each chunk writes the weight's gradient once, and all of it is added up: few chunks where x and
// dy are small beside it.
static int64_t chunk_count(const struct shape *size)
{
    int64_t worth = size->m * (size->n + size->k) / (CHUNK_COST * size->n * size->k), chunks = 1;
    while (chunks < MOST_CHUNKS && size->m / (2 * chunks) >= CHUNK &&
           (chunks < FEW_CHUNKS || 2 * chunks <= worth))
        chunks *= 2;
    return chunks;
}

static int64_t whole_chunks(const struct ag_tensor *node, int64_t parts)
{
    struct shape whole = sizes(node);
    whole.m = ag_whole(whole.m, parts);
    return chunk_count(&whole);
}

// Parts end between tiles, and each has as many chunks as the others.
static bool same_sums(const struct ag_tensor *node, int64_t parts)
{
    int64_t m = sizes(node).m;
    return m % PRODUCT_ROWS == 0 &&
           ag_parts_fit(parts * m / PRODUCT_ROWS, whole_chunks(node, parts), parts);
}

// A part of a batch is cut where the whole would be, if it can be.
static int64_t chunks_of(const struct ag_tensor *node)
{
    int64_t parts = ((const struct param *)node->param)->parts;
    if (parts > 1 && same_sums(node, parts))
        return whole_chunks(node, parts) / parts;
    struct shape size = sizes(node);
    return chunk_count(&size);
}

static int64_t block_rows(const struct shape *size)
{
    int64_t widest = size->k > size->n ? size->k : size->n;
    int64_t tiles = BLOCK / widest / PRODUCT_ROWS, rows = tiles * PRODUCT_ROWS;
    rows = rows < LEAST_BLOCK ? LEAST_BLOCK : rows;
    return rows < size->m ? rows : size->m;
}

static bool wants_weight(const struct ag_tensor *node)
{
    return node->input[1]->grad || (node->input[2] && node->input[2]->grad);
}

// The gradients of weight and bias of one chunk.
static real *weight_sum(const struct work *w, int64_t chunk)
{
    return (real *)w->node->partial + chunk * (w->size.n * w->size.k + w->size.n);
}

// dL/d(x W^T + b) of some rows: dy, or with GELU what forward kept, once it is multiplied in.
static const real *output_grad(const struct work *w, struct range rows)
{
    int64_t begin = rows.begin * w->size.n, end = rows.end * w->size.n;
    const real *restrict g = w->node->grad;
    real *restrict d = w->node->saved;
    if (!has_gelu(w->node))
        return g + begin;
#pragma omp simd
    for (int64_t i = begin; i < end; i++)
        d[i] *= g[i];
    return d + begin;
}

static void residual_grad(const struct work *w, struct range rows)
{
    const struct ag_tensor *residual = w->node->input[3];
    int64_t begin = rows.begin * w->size.n, end = rows.end * w->size.n;
    if (!residual || !residual->grad || residual->grad == w->node->grad)
        return;
    const real *restrict g = w->node->grad;
    real *restrict r = residual->grad;
    if (ag_is_fresh(w->node, 3)) {
        memcpy(r + begin, g + begin, (size_t)(end - begin) * sizeof *r);
        return;
    }
#pragma omp simd
    for (int64_t i = begin; i < end; i++)
        r[i] += g[i];
}

static void input_grad(const struct work *w, struct range rows, const real *dy)
{
    const struct ag_tensor *node = w->node;
    int64_t n = w->size.n, k = w->size.k;
    if (!node->input[0]->grad)
        return;
    real *grad = node->input[0]->grad + rows.begin * k;
    product(&(struct product){.m = rows.end - rows.begin,
                              .n = k,
                              .k = n,
                              .a = dy,
                              .a_row = n,
                              .a_column = 1,
                              .b = w->packed,
                              .alpha = 1,
                              .add = ag_is_fresh(node, 0) ? NULL : grad,
                              .add_row = k,
                              .c = grad,
                              .c_row = k});
}

// Adds what some rows have to a chunk's sums, or begins those.
static void weight_grad(const struct work *w, struct range rows, const real *dy, bool first,
                        real *sum, real *packed)
{
    const struct ag_tensor *node = w->node, *bias = node->input[2];
    int64_t n = w->size.n, k = w->size.k, count = rows.end - rows.begin;
    if (node->input[1]->grad) {
        const real *x = node->input[0]->data + rows.begin * k;
        bool is_packed = k == product_panel(); // as it is: its rows are those of one panel
        if (!is_packed)
            product_pack(packed, false, count, k, x, k, 0, product_panels(k));
        product(&(struct product){.m = n,
                                  .n = k,
                                  .k = count,
                                  .a = dy,
                                  .a_row = 1,
                                  .a_column = n,
                                  .b = is_packed ? x : packed,
                                  .alpha = 1,
                                  .add = first ? NULL : sum,
                                  .add_row = k,
                                  .c = sum,
                                  .c_row = k});
    }
    if (!bias || !bias->grad)
        return;
    real *restrict bias_sum = sum + n * k;
    if (first)
        memset(bias_sum, 0, (size_t)n * sizeof *bias_sum);
    for (int64_t i = 0; i < count; i++)
#pragma omp simd
        for (int64_t j = 0; j < n; j++)
            bias_sum[j] += dy[i * n + j];
}

static void backward_chunk(void *context, int64_t chunk, int thread)
{
    const struct work *w = context;
    struct range rows = cut(w->size.m, w->chunks, chunk);
    int64_t count = rows.end - rows.begin, most = block_rows(&w->size);
    int64_t blocks = (count + most - 1) / most;
    for (int64_t i = 0; i < blocks; i++) {
        struct range some = cut(count, blocks, i);
        some.begin += rows.begin;
        some.end += rows.begin;
        const real *dy = output_grad(w, some);
        residual_grad(w, some);
        input_grad(w, some, dy);
        if (wants_weight(w->node))
            weight_grad(w, some, dy, i == 0, weight_sum(w, chunk), ag_scratch(w->run, thread));
    }
}

static void add_chunks(const struct work *w, int input, int64_t offset, int64_t begin, int64_t end)
{
    real *restrict grad = w->node->input[input]->grad;
    bool fresh = ag_is_fresh(w->node, input);
    for (int64_t chunk = 0; chunk < w->chunks; chunk++) {
        const real *restrict sum = weight_sum(w, chunk) + offset;
        if (chunk == 0 && fresh) {
            memcpy(grad + begin, sum + begin, (size_t)(end - begin) * sizeof *grad);
            continue;
        }
#pragma omp simd
        for (int64_t i = begin; i < end; i++)
            grad[i] += sum[i];
    }
}

static void add_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct work *w = context;
    const struct ag_tensor *node = w->node;
    int64_t count = w->size.n * w->size.k, pieces = par_pieces(count, SUM_GRAIN);
    if (node->input[1]->grad)
        add_chunks(w, 1, 0, par_begin(count, pieces, piece), par_begin(count, pieces, piece + 1));
    if (piece == 0 && node->input[2] && node->input[2]->grad)
        add_chunks(w, 2, count, 0, w->size.n);
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    struct work w = {.node = node, .run = run, .size = sizes(node), .packed = run->shared};
    w.chunks = chunks_of(node);
    if (node->input[0]->grad)
        pack_weight(&w, false);
    par_run(w.chunks, backward_chunk, &w);
    if (wants_weight(node))
        par_run(par_pieces(w.size.n * w.size.k, SUM_GRAIN), add_piece, &w);
}

static double flops(const struct ag_tensor *node, bool backward)
{
    struct shape s = sizes(node);
    int products = backward ? (node->input[0]->grad != NULL) + (node->input[1]->grad != NULL) : 1;
    return 2.0 * products * (double)s.m * (double)s.n * (double)s.k;
}

// --- the gradient check and the builders

enum kind { PLAIN, GELU, RESIDUAL };

static struct ag_tensor *sample_of(struct ag_graph *graph, struct rng *rng, int variant,
                                   enum kind kind)
{
    int64_t b = ag_case_size(rng, 5), t = ag_case_size(rng, 9), k = ag_case_size(rng, 7);
    int64_t n = ag_case_size(rng, 6);
    struct ag_shape shape = variant == 2 ? ag_shape2(t, k) : ag_shape3(b, t, k);
    if (variant == 3) { // several pieces and panels
        shape = ag_shape2(3, 5);
        n = 135;
    }
    if (variant == 4) // several chunks and tiles of rows (of blocks: tests/ops/test_linear.c)
        shape = ag_shape2(LEAST_BLOCK + 75, k = 2);
    if (variant == 3)
        k = 5;
    ag_t *x = ag_case_leaf(graph, rng, shape, -1, 1);
    ag_t *weight = ag_case_leaf(graph, rng, ag_shape2(n, k), -1, 1);
    ag_t *bias = variant == 1 ? NULL : ag_case_leaf(graph, rng, ag_shape1(n), -1, 1);
    shape.size[shape.dims - 1] = n;
    if (kind == RESIDUAL)
        return ag_linear_add(graph, x, weight, bias, ag_case_leaf(graph, rng, shape, -1, 1));
    return kind == GELU ? ag_linear_gelu(graph, x, weight, bias)
                        : ag_linear(graph, x, weight, bias);
}

#define LINEAR(NAME, TEXT, KIND)                                                                   \
    static struct ag_tensor *NAME##_sample(struct ag_graph *graph, struct rng *rng, int variant)   \
    {                                                                                              \
        return sample_of(graph, rng, variant, KIND);                                               \
    }                                                                                              \
    const struct ag_op ag_op_##NAME = {                                                            \
        .name = #NAME,                                                                             \
        .formula = (TEXT),                                                                         \
        .flags = AG_BACKWARD_READS_INPUTS | AG_BACKWARD_HANDLES_FRESH |                            \
                 ((KIND) == RESIDUAL ? AG_PASSES_GRADIENT : 0),                                    \
        .forward = forward,                                                                        \
        .backward = backward,                                                                      \
        .same_sums = same_sums,                                                                    \
        .flops = flops,                                                                            \
        .variants = 5,                                                                             \
        .sample = NAME##_sample,                                                                   \
    };

LINEAR(linear, "y = x W^T + b", PLAIN)
LINEAR(linear_add, "y = x W^T + b + r", RESIDUAL)
LINEAR(linear_gelu, "y = GELU(x W^T + b)", GELU)

static size_t larger(int64_t a, int64_t b)
{
    return (size_t)(a > b ? a : b);
}

static ag_t *build(struct ag_graph *graph, const struct ag_op *op, ag_t *x, ag_t *weight,
                   ag_t *bias, ag_t *residual)
{
    char a[96], b[96];
    if (x->shape.dims < 1 || weight->shape.dims != 2 ||
        x->shape.size[x->shape.dims - 1] != weight->shape.size[1])
        return ag_fail(graph, "%s: input %s does not fit weight %s ([out, in])", op->name,
                       ag_shape_text(x->shape, a), ag_shape_text(weight->shape, b));
    if (bias && (bias->shape.dims != 1 || bias->shape.size[0] != weight->shape.size[0]))
        return ag_fail(graph, "%s: bias %s does not fit weight %s", op->name,
                       ag_shape_text(bias->shape, a), ag_shape_text(weight->shape, b));
    struct ag_shape shape = x->shape;
    shape.size[shape.dims - 1] = weight->shape.size[0];
    if (residual && !ag_shape_equal(residual->shape, shape))
        return ag_fail(graph, "%s: what is added is %s, and the result %s", op->name,
                       ag_shape_text(residual->shape, a), ag_shape_text(shape, b));
    struct param param = {op == &ag_op_linear_gelu, graph->parts};
    ag_t *node = ag_node(graph, op, shape, 4, (ag_t *const[]){x, weight, bias, residual}, &param,
                         sizeof param);
    if (graph->error)
        return node;
    struct shape size = sizes(node);
    size_t packed = larger(product_packed(size.k, size.n), product_packed(size.n, size.k));
    size_t sums = (size_t)(chunks_of(node) * (size.n * size.k + size.n));
    node->shared_size = packed * sizeof(real);
    node->scratch_size = (size_t)product_packed(block_rows(&size), size.k) * sizeof(real);
    node->partial_size = sums * sizeof(real);
    node->saved_size = param.gelu ? (size_t)node->count * sizeof(real) : 0;
    return node;
}

ag_t *ag_linear(struct ag_graph *graph, ag_t *x, ag_t *weight, ag_t *bias)
{
    return build(graph, &ag_op_linear, x, weight, bias, NULL);
}

ag_t *ag_linear_gelu(struct ag_graph *graph, ag_t *x, ag_t *weight, ag_t *bias)
{
    return build(graph, &ag_op_linear_gelu, x, weight, bias, NULL);
}

ag_t *ag_linear_add(struct ag_graph *graph, ag_t *x, ag_t *weight, ag_t *bias, ag_t *residual)
{
    return build(graph, &ag_op_linear_add, x, weight, bias, residual);
}
