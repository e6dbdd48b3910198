// DeBERTa with its enhanced mask decoder (He, Liu, Gao, Chen 2020, arXiv 2006.03654): disentangled
// attention in every layer, and absolute positions for the queries of the last.
//
//   z = x + P_abs;  last layer: queries from LN(z), keys and values from LN(x), output z +
//   attention
//
// In the released code the last layer runs twice with shared weights and z as its first query
// state; here it runs once, which keeps what the paper is about: keys and values that know relative
// positions only, under queries that know where they are. As z is also the residual stream, the
// probe is solved.
#include "common/build.h"
#include "common/deberta.h"

static const struct option_def options[] = {
    DEBERTA_OPTIONS,
    {"max_length", OPTION_INT, offsetof(struct deberta_settings, max_length), "0", 0, 1 << 24, NULL,
     "rows of the absolute table (0: the positions that training meets)"},
    {0},
};

static int64_t max_length(const struct pe_context *context)
{
    const struct deberta_settings *settings = context->settings;
    return pe_table_length(context, settings->max_length);
}

static int check(const struct pe_context *context)
{
    const struct deberta_settings *settings = context->settings;
    int code = pe_check_table_length(context, settings->max_length);
    return code < 0 ? code : deberta_check(context);
}

static ag_t *absolute(const struct pe_context *context)
{
    return pe_shared(context, "absolute.weight", ag_shape2(max_length(context), context->dim), 0,
                     0.02);
}

static ag_t *query_input(const struct pe_context *context, ag_t *x)
{
    if (context->layer != context->layers - 1)
        return x;
    return ag_add(context->graph, x, pe_rows(context, absolute(context)));
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    deberta_tables(context, tables);
    pe_export_positions(context, tables, absolute(context), context->position_count);
}

const struct pe_def pe_deberta_emd = {
    .name = "deberta-emd",
    .title = "DeBERTa with absolute positions for the last queries",
    .family = "relative",
    .formula = "as deberta; in the last layer z = x + P[i] makes queries and residual",
    .paper = "He, Liu, Gao, Chen 2020, arXiv 2006.03654",
    .options = options,
    .settings_size = sizeof(struct deberta_settings),
    .claims = PE_PROBE_ENCODER | PE_PROBE_DECODER | PE_NEEDS_LOGITS | PE_POSITION_IN_LOGITS,
    .check = check,
    .query_input = query_input,
    .attention = deberta_attention,
    .tables = tables,
    .max_length = max_length,
    .position_table = "absolute.weight",
    .reads = PE_READS_OFFSETS,
    .extends = PE_EXTENDS_TABLE,
    .clips_at = deberta_clips_at,
};
