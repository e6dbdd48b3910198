// No position encoding: the null model. An encoder with it is permutation-equivariant; a decoder
// still learns something of positions from its causal mask (Kazemnejad et al. 2023, arXiv
// 2305.19466).
#include "pe.h"

const struct pe_def pe_none = {
    .name = "none",
    .title = "no position encoding",
    .family = "none",
    .formula = "x_i",
    .paper = "Kazemnejad, Padhi, Ramamurthy, Das, Reddy 2023, arXiv 2305.19466",
    .aliases = "nope|no-pe",
    .claims = PE_SHIFT_INVARIANT | PE_EXTRAPOLATES | PE_NORM_PRESERVING | PE_IDENTITY_AT_ZERO,
};
