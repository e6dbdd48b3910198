// A recurrent layer before the Transformer: h_t = tanh(W x_t + b + U h_{t-1}), h_{-1} = 0, is what
// the Transformer reads, and no other position is needed, as a recurrence can count (Su 2021,
// Scientific Spaces, article 8130, section on recursive positions; the cell is Elman 1990's,
// Cognitive Science 14).
//
// The survey leaves the cell open; this is the simplest. It runs from left to right only, in an
// encoder too, so that one definition serves both. W starts as Glorot and Bengio 2010's uniform, U
// orthogonal, so that what was seen early neither vanishes nor explodes in the linear range.
#include <math.h>

#include "common/build.h"

enum merge { REPLACE, ADD };

struct settings {
    int merge;
};

static const struct option_def options[] = {
    {"merge", OPTION_CHOICE, offsetof(struct settings, merge), "replace", 0, 0, "replace|add",
     "the Transformer reads h, or x + h"},
    {0},
};

static ag_t *input_weight(const struct pe_context *context)
{
    int64_t c = context->dim;
    struct ag_init xavier = {AG_INIT_UNIFORM, 0, sqrt(6.0 / (double)(2 * c))};
    return ag_parameter_from(context->graph, "pe.rnn.input.weight", ag_shape2(c, c), xavier,
                             AG_DECAY);
}

static ag_t *input_bias(const struct pe_context *context)
{
    return ag_parameter(context->graph, "pe.rnn.input.bias", ag_shape1(context->dim), 0, 0,
                        AG_NO_DECAY);
}

static ag_t *recurrent_weight(const struct pe_context *context)
{
    struct ag_init orthogonal = {AG_INIT_ORTHOGONAL, 0, 1};
    return ag_parameter_from(context->graph, "pe.rnn.recurrent.weight",
                             ag_shape2(context->dim, context->dim), orthogonal, AG_DECAY);
}

static ag_t *input(const struct pe_context *context, ag_t *x)
{
    const struct settings *settings = context->settings;
    struct ag_graph *graph = context->graph;
    if (context->position)
        return ag_fail(graph, "rnn counts its own steps and cannot be given positions; leave out "
                              "the encoding that changes them");
    ag_t *projected = ag_linear(graph, x, input_weight(context), input_bias(context));
    ag_t *h = ag_recurrence(graph, projected, recurrent_weight(context), NULL, true);
    return settings->merge == ADD ? ag_add(graph, x, h) : h;
}

static unsigned claims_with(const void *settings)
{
    const struct settings *s = settings;
    return PE_EXTRAPOLATES | PE_PROBE_ENCODER | PE_PROBE_DECODER |
           (s->merge == ADD ? PE_IDENTITY_AT_ZERO : 0);
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    pe_export(tables, .name = "input_weight", .axis = {"channel", "from_channel"},
              .tensor = input_weight(context), .shared_layers = true, .trained_rows = context->dim);
    pe_export(tables, .name = "recurrent_weight", .axis = {"channel", "from_channel"},
              .tensor = recurrent_weight(context), .shared_layers = true,
              .trained_rows = context->dim);
    pe_export(tables, .name = "input_bias", .axis = {"channel"}, .tensor = input_bias(context),
              .shared_layers = true, .trained_rows = context->dim);
}

const struct pe_def pe_rnn = {
    .name = "rnn",
    .title = "a recurrent layer before the Transformer",
    .family = "absolute",
    .formula = "x_t <- h_t = tanh(W x_t + b + U h_{t-1})",
    .paper = "Su 2021, Scientific Spaces, article 8130; Elman 1990, Cognitive Science 14",
    .aliases = "recurrent",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_EXTRAPOLATES | PE_PROBE_ENCODER | PE_PROBE_DECODER,
    .claims_with = claims_with,
    .input = input,
    .tables = tables,
};
