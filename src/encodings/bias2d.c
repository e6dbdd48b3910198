// Relative bias on a grid: one trained number a head and a pair of differences, of rows and of
// columns (Swin Transformer: Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo 2021, arXiv 2103.14030).
//
//   S_ij += T[(y_i - y_j + Gh - 1)(2 Gw - 1) + (x_i - x_j + Gw - 1), h]
//
// Differences are query minus key, as in the released code; each layer has its table, N(0, 0.02),
// and it does not decay. The grid is the whole row, where Swin's is a window.
#include "../../autograd/base/err.h"
#include "common/build.h"
#include "common/grid.h"
#include "common/relative.h"

struct settings {
    int64_t grid_height;
};

static const struct option_def options[] = {PE_GRID_HEIGHT_OPTION(struct settings), {0}};

static int grid_of(const struct pe_context *context, int64_t length, struct pe_grid *grid)
{
    const struct settings *settings = context->settings;
    return pe_grid(context, settings->grid_height, length, grid);
}

static int check(const struct pe_context *context)
{
    struct pe_grid grid;
    return grid_of(context, context->train_length, &grid);
}

static int64_t max_length(const struct pe_context *context)
{
    return context->train_length;
}

static ag_t *table(const struct pe_context *context)
{
    struct pe_grid grid;
    if (grid_of(context, context->train_length, &grid) < 0)
        return ag_fail_last(context->graph);
    int64_t rows = (2 * grid.height - 1) * (2 * grid.width - 1);
    return pe_of_layer(context, "weight", ag_shape2(rows, context->heads), 0, 0.02);
}

// The row of each pair of offsets, the same for all layers.
static ag_t *offset_index(const struct pe_context *context)
{
    struct pe_grid trained, grid;
    int64_t n = context->length;
    if (grid_of(context, context->train_length, &trained) < 0 || grid_of(context, n, &grid) < 0)
        return ag_fail_last(context->graph);
    if (grid.height > trained.height || grid.width > trained.width)
        return ag_fail(context->graph,
                       "bias2d ends at a grid of %lld by %lld, and length %lld is %lld by %lld",
                       (long long)trained.height, (long long)trained.width, (long long)n,
                       (long long)grid.height, (long long)grid.width);
    int64_t across = 2 * grid.width - 1, offsets = (2 * grid.height - 1) * across;
    int32_t *index = arena_alloc(&context->graph->arena, (size_t)offsets * sizeof *index);
    if (!index)
        return ag_fail_last(context->graph);
    for (int64_t k = 0; k < offsets; k++) {
        int64_t y = grid.height - 1 - k / across + trained.height - 1;
        int64_t x = grid.width - 1 - k % across + trained.width - 1;
        index[k] = (int32_t)(y * (2 * trained.width - 1) + x);
    }
    return ag_constant_index(context->graph, ag_shape1(offsets), index);
}

static void attention(const struct pe_context *context, struct pe_attention *attention)
{
    struct pe_grid grid = {1, 1};
    if (!*context->memo)
        *context->memo = offset_index(context);
    grid_of(context, context->length, &grid); // offset_index has refused what is none
    pe_add_bias(context, attention,
                (struct ag_relative){
                    .table = table(context), .index = *context->memo, .grid_width = grid.width});
}

// [head, row offset, column offset], key minus query as in every export: the order that
// offset_index has.
static ag_t *by_differences(const struct pe_context *context)
{
    struct ag_graph *graph = context->graph;
    struct pe_grid grid = {1, 1};
    ag_t *rows = ag_gather(graph, table(context), offset_index(context));
    grid_of(context, context->length, &grid);
    return ag_reshape(graph, ag_transpose(graph, rows, 0, 1),
                      ag_shape3(context->heads, 2 * grid.height - 1, 2 * grid.width - 1));
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    struct pe_grid grid = {1, 1};
    grid_of(context, context->train_length, &grid);
    pe_export(tables, .name = "relative_bias",
              .axis = {"layer", "head", "row_offset", "column_offset"},
              .tensor = pe_all_layers(context, by_differences), .distance_sign = "key-query",
              .unit = "logits", .scale = context->scale, .trained_rows = grid.height);
}

const struct pe_def pe_bias2d = {
    .name = "bias2d",
    .title = "relative bias by rows and columns of a grid",
    .family = "grid",
    .formula = "S_ij += T[y_i - y_j, x_i - x_j, h]",
    .paper = "Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo 2021, arXiv 2103.14030",
    .aliases = "swin2d|swin",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_SHIFT_INVARIANT | PE_IDENTITY_AT_ZERO | PE_NEEDS_LOGITS | PE_POSITION_IN_LOGITS,
    .check = check,
    .attention = attention,
    .tables = tables,
    .max_length = max_length,
};
