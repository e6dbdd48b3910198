// Linear layer: y = f(x W^T + b) + r over the last dimension, W as [out, in]; f is the identity or
// GELU, r (a residual stream) may be absent.
//
// In each pass the weight is put in panels once, and tiles of rows are multiplied with it. The
// weight gradient goes by blocks of rows: a block of x is put in panels, then every tile of the
// gradient adds its product, so that each sum has one order. With GELU, forward keeps its
// derivative, and backward multiplies it in tile by tile, just before the products that read it.
#include <string.h>

#include "../ag_ops.h"
#include "../base/par.h"
#include "../kernels/product.h"
#include "../kernels/vector.h"
#include "op.h"

enum {
    ROW_TILE = 96,       // rows a piece, or more
    MOST_PIECES = 64,    // of rows
    FEW_PIECES = 8,      // with fewer pieces of rows, panels are pieces too
    WEIGHT_TILE = 24,    // rows of the weight gradient a piece, or more
    BLOCK = 1 << 17,     // numbers of x that are packed at once for the weight gradient
    LEAST_BLOCK = 128,   // rows of that at least
    PACK_GRAIN = 1 << 13 // numbers that are worth a piece
};

struct param {
    bool gelu;
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
    struct shape size;
    struct tiling tiling;
    real *packed;                // panels of the right operand
    int64_t pack_pieces;         // pieces of packing
    struct range rows;           // of x and dy, of the block whose weight gradient is summed
    int64_t weight_pieces;       // runs of rows of the weight gradient
    const real *output_gradient; // dL/d(x W^T + b)
};

static int64_t pack_pieces(int64_t k, int64_t n)
{
    int64_t panels = product_panels(n), pieces = par_pieces(k * n, PACK_GRAIN);
    return pieces < panels ? pieces : panels;
}

static void pack_weight_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct work *w = context;
    int64_t panels = product_panels(w->size.n);
    product_pack(w->packed, true, w->size.k, w->size.n, w->node->input[1]->data, w->size.k,
                 par_begin(panels, w->pack_pieces, piece),
                 par_begin(panels, w->pack_pieces, piece + 1));
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
    struct work w = {.node = node, .size = sizes(node), .packed = run->shared};
    w.tiling = tile(w.size.m, w.size.n);
    w.pack_pieces = pack_pieces(w.size.k, w.size.n);
    par_run(w.pack_pieces, pack_weight_piece, &w);
    par_run(w.tiling.down * w.tiling.across, forward_piece, &w);
}

// --- backward

// What is done to some rows of dy before they are multiplied: the derivative that GELU kept becomes
// the gradient of what it was applied to, the residual gets its own.
static void prepare_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct work *w = context;
    struct range rows = cut(w->tiling.rows, w->tiling.down, piece);
    const struct ag_tensor *residual = w->node->input[3];
    int64_t n = w->size.n, begin = rows.begin * n, end = rows.end * n;
    const real *restrict g = w->node->grad;
    real *restrict d = w->node->saved, *restrict r = residual ? residual->grad : NULL;
    if (r && ag_is_fresh(w->node, 3)) {
        memcpy(r + begin, g + begin, (size_t)(end - begin) * sizeof *r);
    } else if (r) {
#pragma omp simd
        for (int64_t i = begin; i < end; i++)
            r[i] += g[i];
    }
    if (!has_gelu(w->node))
        return;
#pragma omp simd
    for (int64_t i = begin; i < end; i++)
        d[i] *= g[i];
}

static bool has_to_prepare(const struct ag_tensor *node)
{
    return has_gelu(node) || (node->input[3] && node->input[3]->grad);
}

static void pack_input_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct work *w = context;
    int64_t panels = product_panels(w->size.k);
    product_pack(w->packed, false, w->size.n, w->size.k, w->node->input[1]->data, w->size.k,
                 par_begin(panels, w->pack_pieces, piece),
                 par_begin(panels, w->pack_pieces, piece + 1));
}

static void input_grad_piece(void *context, int64_t piece, int thread)
{
    const struct work *w = context;
    const struct ag_tensor *node = w->node;
    int64_t n = w->size.n, k = w->size.k, across = piece % w->tiling.across;
    struct range rows = cut(w->tiling.rows, w->tiling.down, piece / w->tiling.across);
    real *grad = node->input[0]->grad + rows.begin * k;
    struct product p = {.m = rows.end - rows.begin,
                        .n = k,
                        .k = n,
                        .a = w->output_gradient + rows.begin * n,
                        .a_row = n,
                        .a_column = 1,
                        .b = w->packed,
                        .alpha = 1,
                        .add = ag_is_fresh(node, 0) ? NULL : grad,
                        .add_row = k,
                        .c = grad,
                        .c_row = k};
    if (has_to_prepare(node) && w->tiling.across == 1)
        prepare_piece(context, piece, thread);
    product_part(&p, par_begin(w->tiling.panels, w->tiling.across, across),
                 par_begin(w->tiling.panels, w->tiling.across, across + 1));
}

static void input_grad(struct work *w)
{
    w->tiling = tile(w->size.m, w->size.k);
    w->pack_pieces = pack_pieces(w->size.n, w->size.k);
    par_run(w->pack_pieces, pack_input_piece, w);
    if (has_to_prepare(w->node) && w->tiling.across > 1)
        par_run(w->tiling.down, prepare_piece, w);
    par_run(w->tiling.down * w->tiling.across, input_grad_piece, w);
}

static void pack_block_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct work *w = context;
    int64_t panels = product_panels(w->size.k), k = w->size.k;
    product_pack(w->packed, false, w->rows.end - w->rows.begin, k,
                 w->node->input[0]->data + w->rows.begin * k, k,
                 par_begin(panels, w->pack_pieces, piece),
                 par_begin(panels, w->pack_pieces, piece + 1));
}

// sum[j] += sum over the block's rows of dy[i, columns.begin + j]
static void sum_rows(const struct work *w, struct range columns, real *restrict sum)
{
    for (int64_t i = w->rows.begin; i < w->rows.end; i++) {
        const real *restrict g = w->output_gradient + i * w->size.n + columns.begin;
#pragma omp simd
        for (int64_t j = 0; j < columns.end - columns.begin; j++)
            sum[j] += g[j];
    }
}

static void weight_grad_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct work *w = context;
    const struct ag_tensor *node = w->node, *bias = node->input[2];
    int64_t n = w->size.n, k = w->size.k;
    struct range columns = cut(n, w->weight_pieces, piece);
    bool first = w->rows.begin == 0;
    if (node->input[1]->grad) {
        real *grad = node->input[1]->grad + columns.begin * k;
        struct product p = {.m = columns.end - columns.begin,
                            .n = k,
                            .k = w->rows.end - w->rows.begin,
                            .a = w->output_gradient + w->rows.begin * n + columns.begin,
                            .a_row = 1,
                            .a_column = n,
                            .b = w->packed,
                            .alpha = 1,
                            .add = first && ag_is_fresh(node, 1) ? NULL : grad,
                            .add_row = k,
                            .c = grad,
                            .c_row = k};
        product(&p);
    }
    if (!bias || !bias->grad)
        return;
    if (first && ag_is_fresh(node, 2))
        memset(bias->grad + columns.begin, 0, (size_t)(columns.end - columns.begin) * sizeof(real));
    sum_rows(w, columns, bias->grad + columns.begin);
}

static int64_t block_rows(const struct shape *size)
{
    int64_t rows = BLOCK / size->k;
    rows = rows < LEAST_BLOCK ? LEAST_BLOCK : rows;
    return rows < size->m ? rows : size->m;
}

static void weight_grad(struct work *w)
{
    int64_t block = block_rows(&w->size);
    w->weight_pieces = pieces_of(w->size.n, WEIGHT_TILE);
    w->pack_pieces = pack_pieces(block, w->size.k);
    for (int64_t first = 0; first < w->size.m; first += block) {
        w->rows.begin = first;
        w->rows.end = first + block < w->size.m ? first + block : w->size.m;
        if (w->node->input[1]->grad)
            par_run(w->pack_pieces, pack_block_piece, w);
        par_run(w->weight_pieces, weight_grad_piece, w);
    }
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    const struct ag_tensor *bias = node->input[2];
    struct work w = {.node = node, .size = sizes(node), .packed = run->shared};
    w.output_gradient = has_gelu(node) ? node->saved : node->grad;
    if (node->input[0]->grad) {
        input_grad(&w);
    } else if (has_to_prepare(node)) {
        w.tiling = tile(w.size.m, w.size.k);
        par_run(w.tiling.down, prepare_piece, &w);
    }
    if (node->input[1]->grad || (bias && bias->grad))
        weight_grad(&w);
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
    if (variant == 4) // several blocks and tiles of rows
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

static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    return sample_of(graph, rng, variant, PLAIN);
}

static struct ag_tensor *sample_gelu(struct ag_graph *graph, struct rng *rng, int variant)
{
    return sample_of(graph, rng, variant, GELU);
}

static struct ag_tensor *sample_add(struct ag_graph *graph, struct rng *rng, int variant)
{
    return sample_of(graph, rng, variant, RESIDUAL);
}

const struct ag_op ag_op_linear = {
    .name = "linear",
    .formula = "y = x W^T + b",
    .flags = AG_BACKWARD_READS_INPUTS | AG_BACKWARD_HANDLES_FRESH,
    .forward = forward,
    .backward = backward,
    .flops = flops,
    .variants = 5,
    .sample = sample,
};

const struct ag_op ag_op_linear_add = {
    .name = "linear_add",
    .formula = "y = x W^T + b + r",
    .flags = AG_BACKWARD_READS_INPUTS | AG_BACKWARD_HANDLES_FRESH,
    .forward = forward,
    .backward = backward,
    .flops = flops,
    .variants = 5,
    .sample = sample_add,
};

const struct ag_op ag_op_linear_gelu = {
    .name = "linear_gelu",
    .formula = "y = GELU(x W^T + b)",
    .flags = AG_BACKWARD_READS_INPUTS | AG_BACKWARD_HANDLES_FRESH,
    .forward = forward,
    .backward = backward,
    .flops = flops,
    .variants = 5,
    .sample = sample_gelu,
};

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
    struct param param = {op == &ag_op_linear_gelu};
    ag_t *node = ag_node(graph, op, shape, 4, (ag_t *const[]){x, weight, bias, residual}, &param,
                         sizeof param);
    if (graph->error)
        return node;
    struct shape size = sizes(node);
    size_t packed = larger(product_packed(size.k, size.n), product_packed(size.n, size.k));
    packed = larger((int64_t)packed, product_packed(block_rows(&size), size.k));
    node->shared_size = packed * sizeof(real);
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
