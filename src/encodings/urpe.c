// URPE: a trained factor by offset on the weights, after softmax (Luo, Li, Zheng, Liu, Wang, He
// 2022, arXiv 2205.13401).
//
//   O_i = sum_j A_ij c[j - i, h] v_j
//
// Rows of weights then no longer sum to 1, which lets relative positions solve the probe. One table
// of offsets -(Lmax-1)..Lmax-1 and heads for all layers, 1 at the start, as in the released code;
// farther offsets take the last entry (Su's suggestion, article 9105). The paper's bias is left to
// the encodings that it stacks on: t5+urpe, rope+urpe. The factor comes before attention's dropout.
#include "common/build.h"
#include "common/relative.h"

struct settings {
    int64_t max_length;
    double init_std;
};

static const struct option_def options[] = {
    {"max_length", OPTION_INT, offsetof(struct settings, max_length), "0", 0, 1 << 24, NULL,
     "offsets below it have an entry each (0: the positions that training meets)"},
    {"init_std", OPTION_REAL, offsetof(struct settings, init_std), "0", 0, 100, NULL,
     "standard deviation of the start around 1"},
    {0},
};

static int64_t reach(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    return (settings->max_length ? settings->max_length : context->position_count) - 1;
}

static int64_t row(const struct pe_context *context, int64_t offset)
{
    return pe_clip(offset, reach(context)) + reach(context);
}

static ag_t *table(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    struct ag_shape shape = ag_shape2(2 * reach(context) + 1, context->heads);
    return pe_shared(context, "factor", shape, 1, settings->init_std);
}

static void attention(const struct pe_context *context, struct pe_attention *attention)
{
    attention->op.factor = pe_relative(context, 0, table(context), row);
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    pe_export(
        tables, .name = "post_softmax_factor", .axis = {"head", "offset"},
        .tensor = ag_transpose(context->graph, pe_offset_rows(context, table(context), row), 0, 1),
        .distance_sign = "key-query", .shared_layers = true,
        .trained_rows = context->position_count);
}

const struct pe_def pe_urpe = {
    .name = "urpe",
    .title = "URPE's factor after softmax",
    .family = "countermeasure",
    .formula = "O_i = sum_j A_ij c[j - i, h] v_j",
    .paper = "Luo, Li, Zheng, Liu, Wang, He 2022, arXiv 2205.13401",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_SHIFT_INVARIANT | PE_EXTRAPOLATES | PE_IDENTITY_AT_ZERO | PE_PROBE_ENCODER |
              PE_PROBE_DECODER | PE_NEEDS_LOGITS,
    .attention = attention,
    .tables = tables,
    .reads = PE_READS_OFFSETS,
    .extends = PE_EXTENDS_OFFSETS,
    .clips_at = reach,
};
