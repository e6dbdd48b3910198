// Tensors one after the other along one dimension.
#include <string.h>

#include "../ag_ops.h"
#include "axis.h"
#include "op.h"

struct param {
    struct axis axis; // of the result
    int64_t start[AG_MAX_INPUTS + 1];
};

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    const struct param *p = node->param;
    for (int k = 0; k < node->inputs; k++) {
        int64_t row = (p->start[k + 1] - p->start[k]) * p->axis.inner;
        for (int64_t o = 0; o < p->axis.outer; o++)
            memcpy(node->data + (o * p->axis.n + p->start[k]) * p->axis.inner,
                   node->input[k]->data + o * row, (size_t)row * sizeof(real));
    }
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    const struct param *p = node->param;
    for (int k = 0; k < node->inputs; k++) {
        int64_t row = (p->start[k + 1] - p->start[k]) * p->axis.inner;
        for (int64_t o = 0; node->input[k]->grad && o < p->axis.outer; o++) {
            const real *from = node->grad + (o * p->axis.n + p->start[k]) * p->axis.inner;
            for (int64_t i = 0; i < row; i++)
                node->input[k]->grad[o * row + i] += from[i];
        }
    }
}

static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    ag_t *part[3];
    struct ag_shape shape =
        ag_shape3(ag_case_size(rng, 3), ag_case_size(rng, 4), ag_case_size(rng, 5));
    for (int k = 0; k < 3; k++) {
        shape.size[variant] = ag_case_size(rng, 4);
        part[k] = ag_case_leaf(graph, rng, shape, -1, 1);
    }
    return ag_concat(graph, 3, part, variant);
}

static const struct ag_setting settings[] = {
    {"dim", AG_SETTING_INT, offsetof(struct param, axis.dim)},
    {0},
};

const struct ag_op ag_op_concat = {
    .name = "concat",
    .formula = "y = x_1, x_2, ... along one dimension",
    .forward = forward,
    .backward = backward,
    .settings = settings,
    .variants = 3,
    .sample = sample,
};

ag_t *ag_concat(struct ag_graph *graph, int count, ag_t *const *x, int dim)
{
    char a[96], b[96];
    if (count < 1 || count > AG_MAX_INPUTS)
        return ag_fail(graph, "concat: %d tensors; it takes 1 to %d", count, AG_MAX_INPUTS);
    struct param p = {.axis = axis_of(&x[0]->shape, dim)};
    if (p.axis.dim < 0)
        return ag_fail(graph, "concat: %s has no dimension %d", ag_shape_text(x[0]->shape, a), dim);
    for (int k = 0; k < count; k++) {
        struct ag_shape shape = x[k]->shape;
        int64_t n = p.axis.dim < shape.dims ? shape.size[p.axis.dim] : 0;
        shape.size[p.axis.dim] = x[0]->shape.size[p.axis.dim];
        if (!ag_shape_equal(shape, x[0]->shape))
            return ag_fail(graph, "concat: %s and %s differ in another dimension than %d",
                           ag_shape_text(x[0]->shape, a), ag_shape_text(x[k]->shape, b), dim);
        p.start[k + 1] = p.start[k] + n;
    }
    struct ag_shape shape = x[0]->shape;
    p.axis.n = shape.size[p.axis.dim] = p.start[count];
    return ag_node(graph, &ag_op_concat, shape, count, x, &p, sizeof p);
}
