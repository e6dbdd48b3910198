// Shaw's relative positions: a trained vector a clipped offset, added to keys and to values (Shaw,
// Uszkoreit, Vaswani 2018, arXiv 1803.02155).
//
//   S_ij = scale <q_i, k_j + PK[r]>,  O_i = sum_j A_ij (v_j + PV[r]),  r = clip(j - i, -k, k) + k
//
// Each layer has its tables, and the heads share them. Offsets are key minus query, as in the paper
// and in tensor2tensor. Without the values (as many re-implementations have it) it only changes
// logits, and cannot solve the probe. table=sinusoid is NEZHA's (Wei et al. 2019, arXiv
// 1909.00204): fixed sinusoids of the row number, the same for keys and values. The start is
// Glorot's, tensor2tensor's default.
#include <math.h>

#include "../../autograd/base/err.h"
#include "common/build.h"
#include "common/relative.h"

enum table { LEARNED, SINUSOID };

struct settings {
    int64_t max_distance;
    bool values;
    int table;
};

static const struct option_def options[] = {
    {"max_distance", OPTION_INT, offsetof(struct settings, max_distance), "16", 0, 1 << 20, NULL,
     "k: offsets beyond it share a row"},
    {"values", OPTION_BOOL, offsetof(struct settings, values), "yes", 0, 0, NULL,
     "add to the values too"},
    {"table", OPTION_CHOICE, offsetof(struct settings, table), "learned", 0, 0, "learned|sinusoid",
     "trained vectors, or fixed sinusoids as in NEZHA"},
    {0},
};

static int check(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    if (settings->table == SINUSOID && context->head_dim % 2)
        return err_set(ERR_ARGUMENT,
                       "shaw: table=sinusoid needs an even head dimension, and --dim / --heads is "
                       "%lld",
                       (long long)context->head_dim);
    return 0;
}

static int64_t row(const struct pe_context *context, int64_t offset)
{
    const struct settings *settings = context->settings;
    return pe_clip(offset, settings->max_distance) + settings->max_distance;
}

static ag_t *table(const struct pe_context *context, const char *suffix)
{
    const struct settings *settings = context->settings;
    int64_t rows = 2 * settings->max_distance + 1, d = context->head_dim;
    if (settings->table == SINUSOID)
        return pe_sinusoids(context, rows, 0, 1, d, 10000, true);
    return pe_of_layer(context, suffix, ag_shape2(rows, d), 0, sqrt(2 / (double)(rows + d)));
}

static ag_t *key_table(const struct pe_context *context)
{
    return table(context, "key");
}

static ag_t *value_table(const struct pe_context *context)
{
    return table(context, "value");
}

static void attention(const struct pe_context *context, struct pe_attention *attention)
{
    const struct settings *settings = context->settings;
    attention->op.query_relative = pe_relative(context, 0, key_table(context), row);
    if (settings->values)
        attention->op.value_relative = pe_relative(context, 0, value_table(context), row);
}

// --- exports: a row an offset

static ag_t *keys_by_offset(const struct pe_context *context)
{
    return pe_offset_rows(context, key_table(context), row);
}

static ag_t *values_by_offset(const struct pe_context *context)
{
    return pe_offset_rows(context, value_table(context), row);
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    const struct settings *settings = context->settings;
    pe_export(tables, .name = "relative_key", .axis = {"layer", "offset", "channel"},
              .tensor = pe_all_layers(context, keys_by_offset), .distance_sign = "key-query",
              .scale = context->scale, .trained_rows = context->position_count);
    if (settings->values)
        pe_export(tables, .name = "relative_value", .axis = {"layer", "offset", "channel"},
                  .tensor = pe_all_layers(context, values_by_offset), .distance_sign = "key-query",
                  .trained_rows = context->position_count);
}

static int64_t clips_at(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    return settings->max_distance;
}

static unsigned claims_with(const void *of)
{
    const struct settings *settings = of;
    unsigned claims = PE_SHIFT_INVARIANT | PE_EXTRAPOLATES | PE_NEEDS_LOGITS |
                      PE_POSITION_IN_LOGITS;
    if (settings->values)
        claims |= PE_PROBE_ENCODER | PE_PROBE_DECODER;
    return settings->table == LEARNED ? claims | PE_IDENTITY_AT_ZERO : claims;
}

const struct pe_def pe_shaw = {
    .name = "shaw",
    .title = "Shaw's relative keys and values",
    .family = "relative",
    .formula = "S_ij = s <q_i, k_j + PK[clip(j-i)]>, O_i = sum_j A_ij (v_j + PV[clip(j-i)])",
    .paper = "Shaw, Uszkoreit, Vaswani 2018, arXiv 1803.02155",
    .aliases = "relative",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_SHIFT_INVARIANT | PE_EXTRAPOLATES | PE_NEEDS_LOGITS | PE_POSITION_IN_LOGITS |
              PE_IDENTITY_AT_ZERO | PE_PROBE_ENCODER | PE_PROBE_DECODER,
    .claims_with = claims_with,
    .check = check,
    .attention = attention,
    .tables = tables,
    .reads = PE_READS_OFFSETS,
    .extends = PE_EXTENDS_OFFSETS,
    .clips_at = clips_at,
};
