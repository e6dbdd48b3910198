// Two dimensions change places.
#include "../ag_ops.h"
#include "op.h"

// The input as [outer, a, middle, b, inner]; the result is [outer, b, middle, a, inner].
struct param {
    int64_t outer, a, middle, b, inner;
    int low, high; // the dimensions of a and b
};

static void copy(const struct param *p, const real *from, real *to, bool back)
{
    for (int64_t o = 0; o < p->outer; o++)
        for (int64_t i = 0; i < p->a; i++)
            for (int64_t m = 0; m < p->middle; m++)
                for (int64_t j = 0; j < p->b; j++) {
                    int64_t x = (((o * p->a + i) * p->middle + m) * p->b + j) * p->inner;
                    int64_t y = (((o * p->b + j) * p->middle + m) * p->a + i) * p->inner;
                    for (int64_t k = 0; k < p->inner; k++) {
                        if (back)
                            to[x + k] += from[y + k];
                        else
                            to[y + k] = from[x + k];
                    }
                }
}

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    copy(node->param, node->input[0]->data, node->data, false);
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    if (node->input[0]->grad)
        copy(node->param, node->grad, node->input[0]->grad, true);
}

static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    struct ag_shape shape = ag_shape4(ag_case_size(rng, 3), ag_case_size(rng, 4),
                                      ag_case_size(rng, 3), ag_case_size(rng, 5));
    static const int pair[4][2] = {{0, 1}, {1, 3}, {-1, -2}, {3, 0}};
    return ag_transpose(graph, ag_case_leaf(graph, rng, shape, -1, 1), pair[variant][0],
                        pair[variant][1]);
}

static const struct ag_setting settings[] = {
    {"low", AG_SETTING_INT, offsetof(struct param, low)},
    {"high", AG_SETTING_INT, offsetof(struct param, high)},
    {0},
};

const struct ag_op ag_op_transpose = {
    .name = "transpose",
    .formula = "y[.., j, .., i, ..] = x[.., i, .., j, ..]",
    .forward = forward,
    .backward = backward,
    .settings = settings,
    .variants = 4,
    .sample = sample,
};

ag_t *ag_transpose(struct ag_graph *graph, ag_t *x, int dim_a, int dim_b)
{
    char text[96];
    int dims = x->shape.dims, a = dim_a < 0 ? dim_a + dims : dim_a,
        b = dim_b < 0 ? dim_b + dims : dim_b;
    if (a < 0 || b < 0 || a >= dims || b >= dims || a == b)
        return ag_fail(graph, "transpose: %s has no two dimensions %d and %d",
                       ag_shape_text(x->shape, text), dim_a, dim_b);
    int low = a < b ? a : b, high = a < b ? b : a;
    struct param p = {1, x->shape.size[low], 1, x->shape.size[high], 1, low, high};
    for (int d = 0; d < dims; d++)
        if (d != low && d != high)
            *(d < low ? &p.outer : d < high ? &p.middle : &p.inner) *= x->shape.size[d];
    struct ag_shape shape = x->shape;
    shape.size[low] = p.b;
    shape.size[high] = p.a;
    return ag_node(graph, &ag_op_transpose, shape, 1, &x, &p, sizeof p);
}
