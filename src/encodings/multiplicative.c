// Multiplicative absolute positions: x_i <- x_i (1 + P[i]), channel by channel, P starting at zero
// (Su 2021, Scientific Spaces, article 8130, section on multiplicative positions; bert4keras,
// PositionEmbedding(merge_mode='mul')).
//
// The author's library adds one so that the encoding starts as the identity; the survey's plain
// form x_i P[i] is the option form=plain, with P starting at one (a mean of zero would destroy half
// of the signal). Neither can mark a token whose embedding is zero. The table is never decayed.
#include "common/build.h"

enum form { PLUS_ONE, PLAIN };

struct settings {
    int64_t max_length;
    int form;
};

static const struct option_def options[] = {
    PE_MAX_LENGTH_OPTION(struct settings),
    {"form", OPTION_CHOICE, offsetof(struct settings, form), "plus_one", 0, 0, "plus_one|plain",
     "x (1 + P), P from zero, or x P, P from one"},
    {0},
};

static int64_t max_length(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    return pe_table_length(context, settings->max_length);
}

static int check(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    return pe_check_table_length(context, settings->max_length);
}

static ag_t *weight(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    return pe_shared(context, "weight", ag_shape2(max_length(context), context->dim),
                     settings->form == PLAIN, 0);
}

// What x is multiplied by, from rows of the weight.
static ag_t *factor(const struct pe_context *context, ag_t *rows)
{
    const struct settings *settings = context->settings;
    return settings->form == PLAIN ? rows : ag_affine(context->graph, rows, 1, 1);
}

static ag_t *input(const struct pe_context *context, ag_t *x)
{
    return ag_mul(context->graph, x, factor(context, pe_rows(context, weight(context))));
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    pe_export(tables, .name = "position_factor", .axis = {"position", "channel"},
              .tensor = factor(context, pe_exported_rows(context, tables, weight(context))),
              .shared_layers = true, .trained_rows = context->position_count);
}

const struct pe_def pe_multiplicative = {
    .name = "multiplicative",
    .title = "multiplicative absolute positions",
    .family = "absolute",
    .formula = "x_i <- x_i (1 + P[i])",
    .paper = "Su 2021, Scientific Spaces, article 8130",
    .aliases = "mul",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_PROBE_ENCODER | PE_PROBE_DECODER | PE_IDENTITY_AT_ZERO,
    .check = check,
    .input = input,
    .tables = tables,
    .max_length = max_length,
    .position_table = "weight",
    .reads = PE_READS_POSITIONS,
    .extends = PE_EXTENDS_TABLE,
};
