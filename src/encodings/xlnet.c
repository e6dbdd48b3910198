// XLNet's relative positions: Transformer-XL's with u and v of each layer, as XLNet's untie_r
// (Yang, Dai, Yang, Carbonell, Salakhutdinov, Le 2019, arXiv 1906.08237). XLNet's term for segments
// is no position and is left out.
#include "common/transformer_xl.h"

static void attention(const struct pe_context *context, struct pe_attention *attention)
{
    transformer_xl_attention(context, attention, false);
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    transformer_xl_tables(context, tables, false);
}

const struct pe_def pe_xlnet = {
    .name = "xlnet",
    .title = "XLNet's relative positions",
    .family = "relative",
    .formula = "S_ij = s (<q_i + u_l, k_j> + <q_i + v_l, W_l r_{i-j}>)",
    .paper = "Yang, Dai, Yang, Carbonell, Salakhutdinov, Le 2019, arXiv 1906.08237",
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
