// The Adam family: one settings struct, one update, two ways to decay.
#ifndef POSGRAD_MOMENTS_H
#define POSGRAD_MOMENTS_H

#include "../optim.h"

struct moments_settings {
    double beta1, beta2, eps;
};

extern const struct option_def moments_options[];

// One update from the running means of the gradient (state 0) and its square (state 1). `coupled`
// is added to the gradient per unit of value, `shrink` multiplies the value before the step.
void moments_update(const struct moments_settings *settings, const struct optimizer_step *step,
                    double coupled, double shrink, int64_t count, real *value, const real *grad,
                    real *const *state);

#endif
