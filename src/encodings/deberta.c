// DeBERTa's disentangled attention without absolute positions (He, Liu, Gao, Chen 2020, arXiv
// 2006.03654). The formula, and the choice between the paper's and the code's reading, is in
// common/deberta.c.
#include "common/deberta.h"

static const struct option_def options[] = {DEBERTA_OPTIONS, {0}};

const struct pe_def pe_deberta = {
    .name = "deberta",
    .title = "DeBERTa's disentangled attention",
    .family = "relative",
    .formula = "S_ij = s (<q_i, k_j> + <q_i, Kr[d(i,j)]> + <k_j, Qr[d(i,j)]>), s = 1/sqrt(3D)",
    .paper = "He, Liu, Gao, Chen 2020, arXiv 2006.03654",
    .options = options,
    .settings_size = sizeof(struct deberta_settings),
    .claims = PE_SHIFT_INVARIANT | PE_EXTRAPOLATES | PE_NEEDS_LOGITS | PE_POSITION_IN_LOGITS,
    .check = deberta_check,
    .attention = deberta_attention,
    .tables = deberta_tables,
    .reads = PE_READS_OFFSETS,
    .extends = PE_EXTENDS_OFFSETS,
    .clips_at = deberta_clips_at,
};
