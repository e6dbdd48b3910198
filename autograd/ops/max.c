// Maximum along one dimension, which is kept with size 1; the gradient goes to the first maximum.
#include "../ag_ops.h"
#include "axis.h"
#include "op.h"

// Place of the first maximum of line (o, i), as an offset into x. NaN counts as the largest.
static int64_t first_max(const struct axis *a, const real *x, int64_t o, int64_t i)
{
    int64_t best = o * a->n * a->inner + i;
    for (int64_t k = 1; k < a->n; k++) {
        int64_t at = (o * a->n + k) * a->inner + i;
        if (x[at] > x[best] || (x[at] != x[at] && x[best] == x[best]))
            best = at;
    }
    return best;
}

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    const struct axis *a = node->param;
    const real *x = node->input[0]->data;
    for (int64_t o = 0; o < a->outer; o++)
        for (int64_t i = 0; i < a->inner; i++)
            node->data[o * a->inner + i] = x[first_max(a, x, o, i)];
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    const struct axis *a = node->param;
    if (!node->input[0]->grad)
        return;
    for (int64_t o = 0; o < a->outer; o++)
        for (int64_t i = 0; i < a->inner; i++)
            node->input[0]->grad[first_max(a, node->input[0]->data, o, i)] +=
                node->grad[o * a->inner + i];
}

// Values a step of 0.05 and more apart, in random order: no differences cross a tie.
static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    struct ag_shape shape =
        ag_shape3(ag_case_size(rng, 3), ag_case_size(rng, 5), ag_case_size(rng, 7));
    ag_t *x = ag_case_leaf(graph, rng, shape, 0, 0.04);
    real *value = x->param;
    for (int64_t i = x->count - 1; value && i >= 0; i--)
        value[i] += (real)(0.1 * (double)((i * 37 + 11) % 101));
    return ag_max(graph, x, variant);
}

static const struct ag_setting settings[] = {
    {"dim", AG_SETTING_INT, offsetof(struct axis, dim)},
    {0},
};

const struct ag_op ag_op_max = {
    .name = "max",
    .formula = "y = max of x along one dimension",
    .flags = AG_BACKWARD_READS_INPUTS | AG_HAS_LIMITS,
    .forward = forward,
    .backward = backward,
    .settings = settings,
    .variants = 3,
    .sample = sample,
};

ag_t *ag_max(struct ag_graph *graph, ag_t *x, int dim)
{
    char text[96];
    struct axis axis = axis_of(&x->shape, dim);
    if (axis.dim < 0)
        return ag_fail(graph, "max: %s has no dimension %d", ag_shape_text(x->shape, text), dim);
    struct ag_shape shape = x->shape;
    shape.size[axis.dim] = 1;
    return ag_node(graph, &ag_op_max, shape, 1, &x, &axis, sizeof axis);
}
