// The update that Adam and AdamW share, in PyTorch's order of operations.
//
//   m = b1 m + (1 - b1) g        v = b2 v + (1 - b2) g^2
//   x -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
//
// The corrections are computed from the step in double, so there is no state beside m and v.
#include "moments.h"

#include <tgmath.h>

// Below 1, so that a mean is one; the upper end leaves room for 1 - beta in float.
const struct option_def moments_options[] = {
    {"beta1", OPTION_REAL, offsetof(struct moments_settings, beta1), "0.9", 0, 0.999999, NULL,
     "decay of the mean gradient"},
    {"beta2", OPTION_REAL, offsetof(struct moments_settings, beta2), "0.999", 0, 0.999999, NULL,
     "decay of the mean squared gradient"},
    {"eps", OPTION_REAL, offsetof(struct moments_settings, eps), "1e-8", 1e-30, 1, NULL,
     "added to the root of the mean square"},
    {0},
};

void moments_update(const struct moments_settings *settings, const struct optimizer_step *step,
                    double coupled, double shrink, int64_t count, real *value, const real *grad,
                    real *const *state)
{
    double correct1 = 1 - pow(settings->beta1, (double)step->step);
    double correct2 = 1 - pow(settings->beta2, (double)step->step);
    const real b1 = (real)settings->beta1, a1 = (real)(1 - settings->beta1);
    const real b2 = (real)settings->beta2, a2 = (real)(1 - settings->beta2);
    const real rate = (real)(step->lr / correct1), root = (real)sqrt(correct2);
    const real eps = (real)settings->eps, scale = (real)step->scale;
    const real pull = (real)coupled, keep = (real)shrink;
    real *mean = state[0], *square = state[1];
#pragma omp simd
    for (int64_t i = 0; i < count; i++) {
        real g = grad[i] * scale + pull * value[i];
        real m = b1 * mean[i] + a1 * g;
        real v = b2 * square[i] + a2 * g * g;
        mean[i] = m;
        square[i] = v;
        value[i] = keep * value[i] - rate * (m / (sqrt(v) / root + eps));
    }
}
