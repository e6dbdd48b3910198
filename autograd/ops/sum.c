// Sum and mean along one dimension, which is kept with size 1; and over everything.
#include "../ag_ops.h"
#include "axis.h"
#include "op.h"

struct param {
    struct axis axis;
    double scale;
};

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    const struct param *p = node->param;
    const struct axis *a = &p->axis;
    for (int64_t o = 0; o < a->outer; o++) {
        for (int64_t i = 0; i < a->inner; i++) {
            double sum = 0;
            for (int64_t k = 0; k < a->n; k++)
                sum += (double)node->input[0]->data[(o * a->n + k) * a->inner + i];
            node->data[o * a->inner + i] = (real)(sum * p->scale);
        }
    }
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    const struct param *p = node->param;
    const struct axis *a = &p->axis;
    real scale = (real)p->scale;
    if (!node->input[0]->grad)
        return;
    for (int64_t o = 0; o < a->outer; o++)
        for (int64_t k = 0; k < a->n; k++)
            for (int64_t i = 0; i < a->inner; i++)
                node->input[0]->grad[(o * a->n + k) * a->inner + i] += scale *
                                                                       node->grad[o * a->inner + i];
}

static ag_t *build(struct ag_graph *graph, const struct ag_op *op, ag_t *x, int dim, bool mean)
{
    char text[96];
    struct param p = {axis_of(&x->shape, dim), 1};
    if (p.axis.dim < 0)
        return ag_fail(graph, "%s: %s has no dimension %d", op->name, ag_shape_text(x->shape, text),
                       dim);
    if (mean)
        p.scale = 1 / (double)p.axis.n;
    struct ag_shape shape = x->shape;
    shape.size[p.axis.dim] = 1;
    return ag_node(graph, op, shape, 1, &x, &p, sizeof p);
}

static ag_t *random_leaf(struct ag_graph *graph, struct rng *rng)
{
    struct ag_shape shape =
        ag_shape3(ag_case_size(rng, 3), ag_case_size(rng, 5), ag_case_size(rng, 7));
    return ag_case_leaf(graph, rng, shape, -1, 1);
}

static struct ag_tensor *sum_sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    ag_t *x = random_leaf(graph, rng);
    return variant < 3 ? ag_sum(graph, x, variant - 3) : ag_sum_all(graph, x);
}

static struct ag_tensor *mean_sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    ag_t *x = random_leaf(graph, rng);
    return variant < 3 ? ag_mean(graph, x, variant) : ag_mean_all(graph, x);
}

static const struct ag_setting settings[] = {
    {"dim", AG_SETTING_INT, offsetof(struct param, axis.dim)},
    {0},
};

const struct ag_op ag_op_sum = {
    .name = "sum",
    .formula = "y = sum of x along one dimension",
    .forward = forward,
    .backward = backward,
    .settings = settings,
    .variants = 4,
    .sample = sum_sample,
};

const struct ag_op ag_op_mean = {
    .name = "mean",
    .formula = "y = mean of x along one dimension",
    .forward = forward,
    .backward = backward,
    .settings = settings,
    .variants = 4,
    .sample = mean_sample,
};

ag_t *ag_sum(struct ag_graph *graph, ag_t *x, int dim)
{
    return build(graph, &ag_op_sum, x, dim, false);
}

ag_t *ag_mean(struct ag_graph *graph, ag_t *x, int dim)
{
    return build(graph, &ag_op_mean, x, dim, true);
}

ag_t *ag_sum_all(struct ag_graph *graph, ag_t *x)
{
    ag_t *flat = ag_reshape(graph, x, ag_shape1(x->count));
    return ag_reshape(graph, ag_sum(graph, flat, 0), (struct ag_shape){0});
}

ag_t *ag_mean_all(struct ag_graph *graph, ag_t *x)
{
    ag_t *flat = ag_reshape(graph, x, ag_shape1(x->count));
    return ag_reshape(graph, ag_mean(graph, flat, 0), (struct ag_shape){0});
}
