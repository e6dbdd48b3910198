// y = scale x + shift, two fixed numbers.
#include "../ag_ops.h"
#include "../base/par.h"
#include "op.h"

struct param {
    double scale, shift;
};

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    const struct param *p = node->param;
    real scale = (real)p->scale, shift = (real)p->shift;
    for (int64_t i = 0; i < node->count; i++)
        node->data[i] = scale * node->input[0]->data[i] + shift;
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    const struct param *p = node->param;
    real scale = (real)p->scale;
    for (int64_t i = 0; node->input[0]->grad && i < node->count; i++)
        node->input[0]->grad[i] += scale * node->grad[i];
}

static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    struct ag_shape shape = ag_shape2(ag_case_size(rng, 5), ag_case_size(rng, 7));
    return ag_affine(graph, ag_case_leaf(graph, rng, shape, -1, 1), variant ? -0.3 : 1.7, 0.5);
}

static const struct ag_setting settings[] = {
    {"scale", AG_SETTING_DOUBLE, offsetof(struct param, scale)},
    {"shift", AG_SETTING_DOUBLE, offsetof(struct param, shift)},
    {0},
};

const struct ag_op ag_op_affine = {
    .name = "affine",
    .formula = "y = scale x + shift",
    .forward = forward,
    .backward = backward,
    .settings = settings,
    .variants = 2,
    .sample = sample,
};

ag_t *ag_affine(struct ag_graph *graph, ag_t *x, double scale, double shift)
{
    struct param p = {scale, shift};
    return ag_node(graph, &ag_op_affine, x->shape, 1, &x, &p, sizeof p);
}
