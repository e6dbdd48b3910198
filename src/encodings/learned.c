// Learned absolute positions: x_i <- x_i + P[i], one trained vector a position (Gehring et al.
// 2017, arXiv 1705.03122; Devlin et al. 2018, arXiv 1810.04805).
//
// The table is as long as the training length unless max_length says otherwise; past its end the
// encoding is undefined and says so. Drawn from N(0, 0.02), never decayed.
#include "common/build.h"

struct settings {
    int64_t max_length;
    double init_std;
};

static const struct option_def options[] = {
    PE_MAX_LENGTH_OPTION(struct settings),
    {"init_std", OPTION_REAL, offsetof(struct settings, init_std), "0.02", 0, 100, NULL,
     "standard deviation of the table's start"},
    {0},
};

static int64_t max_length(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    return pe_table_length(context, settings->max_length);
}

static ag_t *table(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    return pe_shared(context, "weight", ag_shape2(max_length(context), context->dim), 0,
                     settings->init_std);
}

static int check(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    return pe_check_table_length(context, settings->max_length);
}

static ag_t *input(const struct pe_context *context, ag_t *x)
{
    return ag_add(context->graph, x, pe_rows(context, table(context)));
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    pe_export_positions(context, tables, table(context), context->position_count);
}

const struct pe_def pe_learned = {
    .name = "learned",
    .title = "learned absolute positions",
    .family = "absolute",
    .formula = "x_i <- x_i + P[i]",
    .paper = "Gehring, Auli, Grangier, Yarats, Dauphin 2017, arXiv 1705.03122; "
             "Devlin, Chang, Lee, Toutanova 2018, arXiv 1810.04805",
    .aliases = "absolute|learned-absolute",
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
