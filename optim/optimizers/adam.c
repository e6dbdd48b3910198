// Adam: weight decay, if any, is added to the gradient (L2), as in the paper's and PyTorch's Adam.
#include "moments.h"

static void update(const void *settings, const struct optimizer_step *step, bool decay,
                   int64_t count, real *value, const real *grad, real *const *state)
{
    moments_update(settings, step, decay ? step->weight_decay : 0, 1, count, value, grad, state);
}

const struct optimizer_def optimizer_adam = {
    .name = "adam",
    .title = "adaptive moments; weight decay goes through the gradient",
    .paper = "Kingma and Ba 2015, arXiv 1412.6980",
    .options = moments_options,
    .settings_size = sizeof(struct moments_settings),
    .states = 2,
    .state_name = {"m", "v"},
    .update = update,
};
