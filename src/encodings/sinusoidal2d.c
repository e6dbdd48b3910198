// Sinusoidal absolute positions of a grid: half of the channels are the sinusoid of the row, half
// that of the column (Carion et al. 2020, arXiv 2005.12872, DETR).
//
// As DETR's code: [row part ; column part], interleaved sine and cosine, coordinates from 1,
// divided by the size (plus 1e-6) and multiplied by 2 pi with normalize, so that grids of all sizes
// share one scale. Angles are computed in double.
#include <math.h>

#include "../../autograd/base/err.h"
#include "common/grid.h"
#include "common/build.h"

struct settings {
    int64_t grid_height;
    double base;
    bool normalize;
};

static const struct option_def options[] = {
    PE_GRID_HEIGHT_OPTION(struct settings),
    {"base", OPTION_REAL, offsetof(struct settings, base), "10000", 1.0001, 1e12, NULL,
     "ratio of the largest to the smallest wavelength"},
    {"normalize", OPTION_BOOL, offsetof(struct settings, normalize), "yes", 0, 0, NULL,
     "coordinates as parts of a whole turn, whatever the size of the grid"},
    {0},
};

static int check(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    struct pe_grid grid;
    if (context->dim % 4)
        return err_set(ERR_ARGUMENT,
                       "sinusoidal2d needs a --dim divisible by 4 (a sine and a cosine of each "
                       "coordinate), and %lld is not",
                       (long long)context->dim);
    return pe_grid(context, settings->grid_height, context->train_length, &grid);
}

// The sinusoid of coordinate `k` of 0..size-1, `half` channels.
static void fill(const struct settings *settings, int64_t k, int64_t size, int64_t half, real *to)
{
    double coordinate = (double)(k + 1);
    if (settings->normalize)
        coordinate = coordinate / ((double)size + 1e-6) * 2 * 3.14159265358979323846;
    for (int64_t c = 0; c < half; c++) {
        double angle = coordinate / pow(settings->base, 2.0 * (double)(c / 2) / (double)half);
        to[c] = (real)(c % 2 ? cos(angle) : sin(angle));
    }
}

static ag_t *position_table(const struct pe_context *context, int64_t count)
{
    const struct settings *settings = context->settings;
    struct ag_graph *graph = context->graph;
    struct pe_grid grid;
    int64_t dim = context->dim;
    if (pe_grid(context, settings->grid_height, count, &grid) < 0)
        return ag_fail_last(graph);
    real *table = arena_alloc(&graph->arena, (size_t)(count * dim) * sizeof *table);
    if (!table)
        return ag_fail_last(graph);
    for (int64_t t = 0; t < count; t++) {
        fill(settings, t / grid.width, grid.height, dim / 2, table + t * dim);
        fill(settings, t % grid.width, grid.width, dim / 2, table + t * dim + dim / 2);
    }
    return ag_constant(graph, ag_shape2(count, dim), table);
}

static ag_t *input(const struct pe_context *context, ag_t *x)
{
    return ag_add(context->graph, x,
                  pe_rows(context, position_table(context, pe_row_count(context))));
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    pe_export_positions(context, tables, position_table(context, context->length), context->length);
}

const struct pe_def pe_sinusoidal2d = {
    .name = "sinusoidal2d",
    .title = "sinusoidal absolute positions of a grid",
    .family = "grid",
    .formula = "x_{y,x} <- x_{y,x} + [S(y) ; S(x)], S[2c] = sin(k w_c), S[2c+1] = cos(k w_c), "
               "w_c = base^(-4c/C)",
    .paper = "Carion, Massa, Synnaeve, Usunier, Kirillov, Zagoruyko 2020, arXiv 2005.12872",
    .aliases = "sinusoid2d|sinusoidal-2d",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_EXTRAPOLATES | PE_PROBE_ENCODER | PE_PROBE_DECODER,
    .check = check,
    .input = input,
    .tables = tables,
};
