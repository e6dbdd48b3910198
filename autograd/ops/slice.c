// A range of one dimension.
#include <string.h>

#include "../ag_ops.h"
#include "axis.h"
#include "op.h"

struct param {
    struct axis axis; // of the input
    int64_t start, length;
};

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    const struct param *p = node->param;
    int64_t row = p->length * p->axis.inner, stride = p->axis.n * p->axis.inner;
    for (int64_t o = 0; o < p->axis.outer; o++)
        memcpy(node->data + o * row, node->input[0]->data + o * stride + p->start * p->axis.inner,
               (size_t)row * sizeof(real));
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    const struct param *p = node->param;
    int64_t row = p->length * p->axis.inner, stride = p->axis.n * p->axis.inner;
    if (!node->input[0]->grad)
        return;
    for (int64_t o = 0; o < p->axis.outer; o++) {
        real *to = node->input[0]->grad + o * stride + p->start * p->axis.inner;
        for (int64_t i = 0; i < row; i++)
            to[i] += node->grad[o * row + i];
    }
}

static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    struct ag_shape shape =
        ag_shape3(ag_case_size(rng, 3), ag_case_size(rng, 5), ag_case_size(rng, 4));
    int64_t n = shape.size[variant];
    int64_t start = (int64_t)rng_below(rng, (uint32_t)n);
    int64_t length = 1 + (int64_t)rng_below(rng, (uint32_t)(n - start));
    return ag_slice(graph, ag_case_leaf(graph, rng, shape, -1, 1), variant - 3, start, length);
}

static const struct ag_setting settings[] = {
    {"dim", AG_SETTING_INT, offsetof(struct param, axis.dim)},
    {"start", AG_SETTING_INT64, offsetof(struct param, start)},
    {0},
};

const struct ag_op ag_op_slice = {
    .name = "slice",
    .formula = "y = x[start : start + length] along one dimension",
    .forward = forward,
    .backward = backward,
    .settings = settings,
    .variants = 3,
    .sample = sample,
};

ag_t *ag_slice(struct ag_graph *graph, ag_t *x, int dim, int64_t start, int64_t length)
{
    char text[96];
    struct param p = {axis_of(&x->shape, dim), start, length};
    if (p.axis.dim < 0 || start < 0 || length < 1 || start > p.axis.n - length)
        return ag_fail(graph, "slice: %s has no %lld entries from %lld on in dimension %d",
                       ag_shape_text(x->shape, text), (long long)length, (long long)start, dim);
    struct ag_shape shape = x->shape;
    shape.size[p.axis.dim] = length;
    return ag_node(graph, &ag_op_slice, shape, 1, &x, &p, sizeof p);
}
