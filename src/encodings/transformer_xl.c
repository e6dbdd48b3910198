// Transformer-XL's relative positions (Dai, Yang, Yang, Carbonell, Le, Salakhutdinov 2019, arXiv
// 1901.02860): sinusoids of the distance through a map of each layer, and two biases on the query,
// u and v, that all layers share. The formula is in common/transformer_xl.c.
#include "common/transformer_xl.h"

static void attention(const struct pe_context *context, struct pe_attention *attention)
{
    transformer_xl_attention(context, attention, true);
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    transformer_xl_tables(context, tables, true);
}

const struct pe_def pe_transformer_xl = {
    .name = "transformer-xl",
    .title = "Transformer-XL's relative positions",
    .family = "relative",
    .formula = "S_ij = s (<q_i + u, k_j> + <q_i + v, W_l r_{i-j}>)",
    .paper = "Dai, Yang, Yang, Carbonell, Le, Salakhutdinov 2019, arXiv 1901.02860",
    .aliases = "txl",
    .options = transformer_xl_options,
    .settings_size = sizeof(struct transformer_xl_settings),
    .claims = PE_SHIFT_INVARIANT | PE_EXTRAPOLATES | PE_IDENTITY_AT_ZERO | PE_NEEDS_LOGITS |
              PE_POSITION_IN_LOGITS,
    .check = transformer_xl_check,
    .attention = attention,
    .tables = tables,
    .reads = PE_READS_OFFSETS,
    .extends = PE_EXTENDS_OFFSETS,
    .clips_at = transformer_xl_clips_at,
};
