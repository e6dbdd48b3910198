// AdamW: Adam with decoupled weight decay, x *= 1 - lr * decay before the step. The default.
#include "moments.h"

static void update(const void *settings, const struct optimizer_step *step, bool decay,
                   int64_t count, real *value, const real *grad, real *const *state)
{
    double shrink = decay ? 1 - step->lr * step->weight_decay : 1;
    moments_update(settings, step, 0, shrink, count, value, grad, state);
}

const struct optimizer_def optimizer_adamw = {
    .name = "adamw",
    .title = "Adam with decoupled weight decay",
    .paper = "Loshchilov and Hutter 2019, arXiv 1711.05101",
    .options = moments_options,
    .settings_size = sizeof(struct moments_settings),
    .states = 2,
    .state_name = {"m", "v"},
    .update = update,
};
