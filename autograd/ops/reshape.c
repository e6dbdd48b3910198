// Another shape for the same elements: a view, no work at all.
#include "../ag_ops.h"
#include "op.h"

static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    (void)variant;
    int64_t a = ag_case_size(rng, 5), b = ag_case_size(rng, 7);
    // Squared, so that a gradient has to find its way back through the view.
    ag_t *x = ag_reshape(graph, ag_case_leaf(graph, rng, ag_shape2(a, b), -1, 1), ag_shape1(a * b));
    return ag_mul(graph, x, x);
}

const struct ag_op ag_op_reshape = {
    .name = "reshape",
    .formula = "y = x, in another shape",
    .flags = AG_VIEW,
    .variants = 1,
    .sample = sample,
};

ag_t *ag_reshape(struct ag_graph *graph, ag_t *x, struct ag_shape shape)
{
    char a[96], b[96];
    if (ag_shape_count(shape) != x->count)
        return ag_fail(graph, "reshape: %s has not as many elements as %s",
                       ag_shape_text(x->shape, a), ag_shape_text(shape, b));
    return ag_node(graph, &ag_op_reshape, shape, 1, &x, NULL, 0);
}
