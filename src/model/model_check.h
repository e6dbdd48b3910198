// Gradient check of a whole model with a given stack of encodings.
#ifndef POSGRAD_MODEL_CHECK_H
#define POSGRAD_MODEL_CHECK_H

#include "../../autograd/check.h"
#include "model.h"

// Builds a small Transformer (2 layers, dim 12, 2 heads, batch 2) with `pe`, random tokens, targets
// (some ignored) and padding, larger random parameters than training starts with, and checks the
// gradient of the loss with respect to every parameter. The worst relative error of all is in
// `result`.
int model_gradcheck(const char *pe, bool causal, int64_t length, uint64_t seed,
                    struct ag_check *result);

#endif
