// Gradient check of a whole model with a given stack of encodings.
#ifndef POSGRAD_MODEL_CHECK_H
#define POSGRAD_MODEL_CHECK_H

#include "../../autograd/check.h"
#include "model.h"

struct model_check_case {
    const char *pe;
    int pairs; // of --pe-opt KEY=VALUE
    const char *const *pair;
    bool causal;
    int64_t length;
    uint64_t seed;
};

// Builds a small Transformer (2 layers, dim 16, 2 heads, batch 2) with `pe`, random tokens, targets
// (some ignored) and padding, larger random parameters than training starts with, and checks the
// gradient of the loss with respect to every parameter. Rows are the grid nearest to a square that
// their length can be. The worst relative error of all is in `result`. ERR_ARGUMENT where the
// encoding refuses the case.
int model_gradcheck(const struct model_check_case *what, struct ag_check *result);

#endif
