// Lion: the sign of an interpolation between momentum and gradient; every weight moves by lr.
//
//   x = (1 - lr * decay) x - lr * sign(b1 m + (1 - b1) g)        m = b2 m + (1 - b2) g
//
// Good rates are 3 to 10 times below AdamW's, and good decays as much above (the paper's advice).
#include "../optim.h"

struct lion {
    double beta1, beta2;
};

static const struct option_def options[] = {
    {"beta1", OPTION_REAL, offsetof(struct lion, beta1), "0.9", 0, 0.999999, NULL,
     "share of the momentum in a step"},
    {"beta2", OPTION_REAL, offsetof(struct lion, beta2), "0.99", 0, 0.999999, NULL,
     "decay of the momentum"},
    {0},
};

static void update(const void *settings, const struct optimizer_step *step, bool decay,
                   int64_t count, real *value, const real *grad, real *const *state)
{
    const struct lion *lion = settings;
    const real b1 = (real)lion->beta1, a1 = (real)(1 - lion->beta1);
    const real b2 = (real)lion->beta2, a2 = (real)(1 - lion->beta2);
    const real rate = (real)step->lr, scale = (real)step->scale;
    const real keep = (real)(decay ? 1 - step->lr * step->weight_decay : 1);
    real *momentum = state[0];
#pragma omp simd
    for (int64_t i = 0; i < count; i++) {
        real g = grad[i] * scale;
        real mix = b1 * momentum[i] + a1 * g;
        real sign = (real)(mix > 0) - (real)(mix < 0);
        momentum[i] = b2 * momentum[i] + a2 * g;
        value[i] = keep * value[i] - rate * sign;
    }
}

const struct optimizer_def optimizer_lion = {
    .name = "lion",
    .title = "sign of an interpolated momentum",
    .paper = "Chen et al. 2023, arXiv 2302.06675",
    .options = options,
    .settings_size = sizeof(struct lion),
    .states = 1,
    .state_name = {"m"},
    .update = update,
};
