// Learned absolute positions of a grid: the cell in row y and column x gets [column[x] ; row[y]],
// each half of the channels (Carion et al. 2020, arXiv 2005.12872, the learned variant of DETR;
// Dosovitskiy et al. 2020, arXiv 2010.11929, appendix on 2-D positions).
//
// The order of the halves is DETR's code. Its tables start U(0, 1); here N(0, 0.02) as ViT's and
// every other table of this project, so that they are on the embeddings' scale. They are as large
// as the grid of the training length, and never decayed.
#include "../../autograd/base/err.h"
#include "common/grid.h"
#include "common/build.h"

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
    if (context->dim % 2)
        return err_set(ERR_ARGUMENT, "learned2d needs an even --dim, and %lld is odd",
                       (long long)context->dim);
    return grid_of(context, context->train_length, &grid);
}

static int64_t max_length(const struct pe_context *context)
{
    return context->train_length;
}

static ag_t *table(const struct pe_context *context, const char *name, int64_t rows)
{
    return pe_shared(context, name, ag_shape2(rows, context->dim / 2), 0, 0.02);
}

static ag_t *column_table(const struct pe_context *context, const struct pe_grid *trained)
{
    return table(context, "column.weight", trained->width);
}

static ag_t *row_table(const struct pe_context *context, const struct pe_grid *trained)
{
    return table(context, "row.weight", trained->height);
}

// The vectors of the cells of a grid of `count` tokens, [count, C].
static ag_t *position_table(const struct pe_context *context, int64_t count)
{
    struct ag_graph *graph = context->graph;
    struct pe_grid trained, grid;
    if (grid_of(context, context->train_length, &trained) < 0 || grid_of(context, count, &grid) < 0)
        return ag_fail_last(graph);
    if (grid.height > trained.height || grid.width > trained.width)
        return ag_fail(graph,
                       "learned2d positions end at a grid of %lld rows and %lld columns, and "
                       "%lld by %lld was asked for",
                       (long long)trained.height, (long long)trained.width, (long long)grid.height,
                       (long long)grid.width);
    int32_t *index = arena_alloc(&graph->arena, 2 * (size_t)count * sizeof *index);
    if (!index)
        return ag_fail_last(graph);
    for (int64_t t = 0; t < count; t++) {
        index[t] = (int32_t)(t % grid.width);
        index[count + t] = (int32_t)(t / grid.width);
    }
    ag_t *half[2] = {ag_gather(graph, column_table(context, &trained),
                               ag_constant_index(graph, ag_shape1(count), index)),
                     ag_gather(graph, row_table(context, &trained),
                               ag_constant_index(graph, ag_shape1(count), index + count))};
    return ag_concat(graph, 2, half, 1);
}

static ag_t *input(const struct pe_context *context, ag_t *x)
{
    return ag_add(context->graph, x,
                  pe_rows(context, position_table(context, pe_row_count(context))));
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    struct pe_grid trained;
    if (grid_of(context, context->train_length, &trained) < 0)
        return;
    pe_export(tables, .name = "row_table", .axis = {"row", "channel"},
              .tensor = row_table(context, &trained), .shared_layers = true,
              .trained_rows = trained.height);
    pe_export(tables, .name = "column_table", .axis = {"column", "channel"},
              .tensor = column_table(context, &trained), .shared_layers = true,
              .trained_rows = trained.width);
    pe_export_positions(context, tables, position_table(context, context->length),
                        context->train_length);
}

const struct pe_def pe_learned2d = {
    .name = "learned2d",
    .title = "learned absolute positions of a grid",
    .family = "grid",
    .formula = "x_{y,x} <- x_{y,x} + [column[x] ; row[y]]",
    .paper = "Carion, Massa, Synnaeve, Usunier, Kirillov, Zagoruyko 2020, arXiv 2005.12872; "
             "Dosovitskiy et al. 2020, arXiv 2010.11929",
    .aliases = "learned-2d",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_PROBE_ENCODER | PE_PROBE_DECODER | PE_IDENTITY_AT_ZERO,
    .check = check,
    .input = input,
    .tables = tables,
    .max_length = max_length,
};
