// Sinusoidal absolute positions: x_i <- x_i + P[i] with sines and cosines of geometric frequencies
// (Vaswani et al. 2017, arXiv 1706.03762).
//
// Three layouts are in circulation and cannot be exchanged in a checkpoint, so the layout is an
// option: interleaved (the paper's), halves (all sines, then all cosines, as in Transformer-XL),
// and tensor2tensor (halves, and the last frequency is exactly 1/base). The angle is computed in
// double, as i * w loses digits at large i in float.
#include <math.h>
#include <stdlib.h>

#include "../../autograd/base/err.h"
#include "common/build.h"

enum layout { INTERLEAVED, HALVES, TENSOR2TENSOR };

struct settings {
    int layout;
    double base, scale;
    bool trainable;
};

static const struct option_def options[] = {
    {"layout", OPTION_CHOICE, offsetof(struct settings, layout), "interleaved", 0, 0,
     "interleaved|halves|tensor2tensor", "order of the sines and cosines"},
    {"base", OPTION_REAL, offsetof(struct settings, base), "10000", 1.0001, 1e12, NULL,
     "ratio of the largest to the smallest wavelength"},
    {"scale", OPTION_REAL, offsetof(struct settings, scale), "1", -1e6, 1e6, NULL,
     "factor on the table"},
    {"trainable", OPTION_BOOL, offsetof(struct settings, trainable), "0", 0, 0, NULL,
     "train the frequencies, from the standard start"},
    {0},
};

static double frequency(const struct settings *settings, int64_t dim, int64_t c)
{
    int64_t half = dim / 2;
    if (settings->layout == TENSOR2TENSOR)
        return pow(settings->base, -(double)c / (double)(half > 1 ? half - 1 : 1));
    return pow(settings->base, -2.0 * (double)c / (double)dim);
}

static int check(const struct pe_context *context)
{
    if (context->dim % 2)
        return err_set(ERR_ARGUMENT, "sinusoidal needs an even --dim, and %lld is odd",
                       (long long)context->dim);
    return 0;
}

// Sines [N, half] and cosines [N, half] in the order of the layout: [N, dim].
static ag_t *arrange(const struct pe_context *context, ag_t *sines, ag_t *cosines)
{
    const struct settings *settings = context->settings;
    struct ag_graph *graph = context->graph;
    int64_t n = sines->shape.size[0], half = context->dim / 2;
    if (settings->layout != INTERLEAVED)
        return ag_concat(graph, 2, (ag_t *const[]){sines, cosines}, 1);
    ag_t *pair[2] = {ag_reshape(graph, sines, ag_shape3(n, half, 1)),
                     ag_reshape(graph, cosines, ag_shape3(n, half, 1))};
    return ag_reshape(graph, ag_concat(graph, 2, pair, 2), ag_shape2(n, context->dim));
}

// w_c [C/2]. Trained: log w_c = log(standard w_c) + delta_c, a start at zero, and frequencies that
// stay positive.
static ag_t *frequencies(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    struct ag_graph *graph = context->graph;
    int64_t half = context->dim / 2;
    real *start = arena_alloc(&graph->arena, (size_t)half * sizeof *start);
    if (!start)
        return ag_fail_last(graph);
    for (int64_t c = 0; c < half; c++)
        start[c] = (real)frequency(context->settings, context->dim, c);
    ag_t *standard = ag_constant(graph, ag_shape1(half), start);
    if (!settings->trainable)
        return standard;
    ag_t *delta = pe_shared(context, "log_frequency_shift", ag_shape1(half), 0, 0);
    return ag_mul(graph, standard, ag_exp(graph, delta));
}

static ag_t *trainable_table(const struct pe_context *context, int64_t n)
{
    struct ag_graph *graph = context->graph;
    ag_t *angles = ag_angle(graph, pe_places(context, n), frequencies(context));
    return arrange(context, ag_sin(graph, angles), ag_cos(graph, angles));
}

static ag_t *fixed_table(const struct pe_context *context, int64_t n)
{
    const struct settings *settings = context->settings;
    int64_t dim = context->dim, half = dim / 2;
    real *table = arena_alloc(&context->graph->arena, (size_t)(n * dim) * sizeof *table);
    if (!table)
        return ag_fail_last(context->graph);
    for (int64_t k = 0; k < n; k++) {
        for (int64_t c = 0; c < half; c++) {
            double angle = pe_place(context, k) * frequency(settings, dim, c);
            bool interleaved = settings->layout == INTERLEAVED;
            table[k * dim + (interleaved ? 2 * c : c)] = (real)sin(angle);
            table[k * dim + (interleaved ? 2 * c + 1 : half + c)] = (real)cos(angle);
        }
    }
    return ag_constant(context->graph, ag_shape2(n, dim), table);
}

static ag_t *table(const struct pe_context *context, int64_t n)
{
    const struct settings *settings = context->settings;
    ag_t *rows = settings->trainable ? trainable_table(context, n) : fixed_table(context, n);
    return settings->scale == 1 ? rows : ag_affine(context->graph, rows, settings->scale, 0);
}

// Interpolated places have angles of their own, and need no rows between others.
static ag_t *input(const struct pe_context *context, ag_t *x)
{
    ag_t *rows = context->extension == PE_EXTEND_INTERPOLATE
                     ? table(context, context->length)
                     : pe_rows(context, table(context, pe_row_count(context)));
    return ag_add(context->graph, x, rows);
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    struct pe_context own = *context;
    int64_t count = pe_row_count(context);
    if (context->extension == PE_EXTEND_INTERPOLATE) {
        count = context->length;
        own.extension = PE_EXTEND_NONE; // the rows are there
    }
    pe_export_positions(&own, tables, table(context, count), count);
    pe_export(tables, .name = "frequencies", .axis = {"pair"}, .tensor = frequencies(context),
              .unit = "radians/token", .shared_layers = true, .trained_rows = context->dim / 2);
}

const struct pe_def pe_sinusoidal = {
    .name = "sinusoidal",
    .title = "sinusoidal absolute positions",
    .family = "absolute",
    .formula =
        "x_i <- x_i + P[i], P[i,2c] = sin(i w_c), P[i,2c+1] = cos(i w_c), w_c = base^(-2c/C)",
    .paper = "Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser, Polosukhin 2017, "
             "arXiv 1706.03762",
    .aliases = "sinusoid|sin",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_EXTRAPOLATES | PE_PROBE_ENCODER | PE_PROBE_DECODER,
    .check = check,
    .input = input,
    .tables = tables,
    .reads = PE_READS_POSITIONS,
    .extends = PE_EXTENDS_POSITIONS,
};
