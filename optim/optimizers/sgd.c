// Gradient descent with momentum, PyTorch's form: the rate multiplies the buffer, not the gradient
// in it.
//
//   m = momentum m + g        x = (1 - lr * decay) x - lr * m
//
// With nesterov the step is g + momentum m. Weight decay is decoupled, as for AdamW (SGDW of
// Loshchilov and Hutter 2019): without momentum that is the same as adding it to the gradient.
#include "../optim.h"

struct sgd {
    double momentum;
    bool nesterov;
};

static const struct option_def options[] = {
    {"momentum", OPTION_REAL, offsetof(struct sgd, momentum), "0.9", 0, 0.999999, NULL,
     "share of the last step kept"},
    {"nesterov", OPTION_BOOL, offsetof(struct sgd, nesterov), "no", 0, 0, NULL,
     "look ahead along the momentum"},
    {0},
};

static void update(const void *settings, const struct optimizer_step *step, bool decay,
                   int64_t count, real *value, const real *grad, real *const *state)
{
    const struct sgd *sgd = settings;
    const real rate = (real)step->lr, scale = (real)step->scale;
    const real momentum = (real)sgd->momentum;
    const real keep = (real)(decay ? 1 - step->lr * step->weight_decay : 1);
    // The step is ahead * g + along * m: (0, 1) plain, (1, momentum) with nesterov.
    const real ahead = sgd->nesterov ? 1 : 0, along = sgd->nesterov ? momentum : 1;
    real *buffer = state[0];
#pragma omp simd
    for (int64_t i = 0; i < count; i++) {
        real g = grad[i] * scale;
        real m = momentum * buffer[i] + g;
        buffer[i] = m;
        value[i] = keep * value[i] - rate * (ahead * g + along * m);
    }
}

const struct optimizer_def optimizer_sgd = {
    .name = "sgd",
    .title = "gradient descent with momentum",
    .paper = "Polyak 1964; Sutskever et al. 2013",
    .options = options,
    .settings_size = sizeof(struct sgd),
    .states = 1,
    .state_name = {"m"},
    .update = update,
};
