// Axial RoPE: on a grid, the first half of a head's channels turns by the column, the second by the
// row (Su 2021, Scientific Spaces, article 8397; frequencies as in Heo, Park, Han, Yun 2024, arXiv
// 2403.13298).
//
//   pair c < D/4 turns by x theta_c, pair D/4 + c by y theta_c, theta_c = base^(-4c/D)
//
// Pairs are neighbouring channels. The base is 100, which suits grids of some ten cells a side,
// where 10000 is for texts. Flattening the grid would give a step down another distance than a step
// right; here logits depend on both differences.
#include <math.h>

#include "../../autograd/base/err.h"
#include "common/grid.h"
#include "common/rotary.h"

enum { COSINE, SINE };

struct settings {
    int64_t grid_height;
    double base;
};

static const struct option_def options[] = {
    PE_GRID_HEIGHT_OPTION(struct settings),
    {"base", OPTION_REAL, offsetof(struct settings, base), "100", 1.0001, 1e12, NULL,
     "ratio of the largest to the smallest wavelength"},
    {0},
};

static int check(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    struct pe_grid grid;
    if (context->head_dim % 4)
        return err_set(ERR_ARGUMENT,
                       "rope2d turns pairs of channels by rows and by columns, so --dim / --heads "
                       "must be divisible by 4, and it is %lld",
                       (long long)context->head_dim);
    return pe_grid(context, settings->grid_height, context->train_length, &grid);
}

static double angle(const struct pe_context *context, int64_t position, int64_t pair)
{
    const struct settings *settings = context->settings;
    struct pe_grid grid = {1, 1};
    pe_grid(context, settings->grid_height, context->length, &grid);
    int64_t quarter = context->head_dim / 4;
    int64_t at = pair < quarter ? position % grid.width : position / grid.width;
    return (double)at * pow(settings->base, -(double)(pair % quarter) / (double)quarter);
}

static void attention(const struct pe_context *context, struct pe_attention *attention)
{
    const struct settings *settings = context->settings;
    struct pe_grid grid;
    if (pe_grid(context, settings->grid_height, context->length, &grid) < 0)
        ag_fail_last(context->graph);
    if (!context->memo[COSINE])
        pe_rotation(context, context->head_dim / 2, angle, &context->memo[COSINE],
                    &context->memo[SINE]);
    pe_turn(context, attention, context->memo[COSINE], context->memo[SINE], AG_PAIR);
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    pe_export_rotation(context, tables, context->head_dim / 2, angle, "pair");
}

const struct pe_def pe_rope2d = {
    .name = "rope2d",
    .title = "axial rotary positions on a grid",
    .family = "grid",
    .formula =
        "S_ij = s <R(x_i, y_i) q_i, R(x_j, y_j) k_j>, half of the pairs turn by x, half by y",
    .paper = "Su 2021, Scientific Spaces, article 8397; Heo, Park, Han, Yun 2024, arXiv 2403.13298",
    .aliases = "axial-rope",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_SHIFT_INVARIANT | PE_EXTRAPOLATES | PE_NORM_PRESERVING | PE_POSITION_IN_LOGITS,
    .check = check,
    .attention = attention,
    .tables = tables,
};
