// Rows added up by index: the transpose of gather.
#include <string.h>

#include "../ag_ops.h"
#include "../base/err.h"
#include "op.h"

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    const struct ag_tensor *x = node->input[0], *index = node->input[1];
    int64_t c = x->count / index->count;
    memset(node->data, 0, (size_t)node->count * sizeof(real));
    for (int64_t i = 0; i < index->count; i++) {
        int32_t row = index->index[i];
        BUG_ON(row < 0 || row >= node->shape.size[0]);
        for (int64_t k = 0; k < c; k++)
            node->data[row * c + k] += x->data[i * c + k];
    }
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    const struct ag_tensor *x = node->input[0], *index = node->input[1];
    int64_t c = x->count / index->count;
    for (int64_t i = 0; x->grad && i < index->count; i++)
        for (int64_t k = 0; k < c; k++)
            x->grad[i * c + k] += node->grad[index->index[i] * c + k];
}

static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    int64_t n = ag_case_size(rng, 9), c = ag_case_size(rng, 5), rows = ag_case_size(rng, 5);
    ag_t *x = ag_case_leaf(graph, rng, variant ? ag_shape2(n, c) : ag_shape1(n), -1, 1);
    return ag_scatter_add(graph, x, ag_case_index(graph, rng, ag_shape1(n), 0, (int32_t)rows - 1),
                          rows);
}

const struct ag_op ag_op_scatter_add = {
    .name = "scatter_add",
    .formula = "y[r, :] = sum of x[i, :] over i with index[i] = r",
    .flags = AG_BACKWARD_READS_INPUTS,
    .forward = forward,
    .backward = backward,
    .variants = 2,
    .sample = sample,
};

ag_t *ag_scatter_add(struct ag_graph *graph, ag_t *x, ag_t *index, int64_t rows)
{
    char a[96], b[96];
    if (x->shape.dims < 1 || index->type != AG_INT || index->shape.dims != 1 ||
        index->shape.size[0] != x->shape.size[0])
        return ag_fail(graph, "scatter_add: %s and index %s do not fit", ag_shape_text(x->shape, a),
                       ag_shape_text(index->shape, b));
    struct ag_shape shape = x->shape;
    shape.size[0] = rows;
    return ag_node(graph, &ag_op_scatter_add, shape, 2, (ag_t *const[]){x, index}, NULL, 0);
}
