// Inclusive prefix sums along one dimension, from the start or from the end.
#include "../ag_ops.h"
#include "axis.h"
#include "op.h"

struct param {
    struct axis axis;
    bool reverse;
};

// to (+)= prefix sums of from. The gradient of a prefix sum is the sum from the other end.
static void scan(const struct axis *a, bool reverse, const real *from, real *to, bool add)
{
    for (int64_t o = 0; o < a->outer; o++) {
        for (int64_t i = 0; i < a->inner; i++) {
            double sum = 0;
            for (int64_t k = 0; k < a->n; k++) {
                int64_t at = (o * a->n + (reverse ? a->n - 1 - k : k)) * a->inner + i;
                sum += (double)from[at];
                to[at] = (add ? to[at] : 0) + (real)sum;
            }
        }
    }
}

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    const struct param *p = node->param;
    scan(&p->axis, p->reverse, node->input[0]->data, node->data, false);
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    const struct param *p = node->param;
    if (node->input[0]->grad)
        scan(&p->axis, !p->reverse, node->grad, node->input[0]->grad, true);
}

static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    struct ag_shape shape =
        ag_shape3(ag_case_size(rng, 3), ag_case_size(rng, 5), ag_case_size(rng, 7));
    return ag_cumsum(graph, ag_case_leaf(graph, rng, shape, -1, 1), variant / 2, variant % 2);
}

static const struct ag_setting settings[] = {
    {"dim", AG_SETTING_INT, offsetof(struct param, axis.dim)},
    {"reverse", AG_SETTING_BOOL, offsetof(struct param, reverse)},
    {0},
};

const struct ag_op ag_op_cumsum = {
    .name = "cumsum",
    .formula = "y_i = sum of x_j over j <= i (or j >= i)",
    .forward = forward,
    .backward = backward,
    .settings = settings,
    .variants = 6,
    .sample = sample,
};

ag_t *ag_cumsum(struct ag_graph *graph, ag_t *x, int dim, bool reverse)
{
    char text[96];
    struct param p = {axis_of(&x->shape, dim), reverse};
    if (p.axis.dim < 0)
        return ag_fail(graph, "cumsum: %s has no dimension %d", ag_shape_text(x->shape, text), dim);
    return ag_node(graph, &ag_op_cumsum, x->shape, 1, &x, &p, sizeof p);
}
