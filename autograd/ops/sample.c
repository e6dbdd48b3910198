// Random cases for the gradient check.
#include "../base/err.h"
#include "op.h"

int64_t ag_case_size(struct rng *rng, int64_t max)
{
    uint32_t kind = rng_below(rng, 4);
    if (kind == 0)
        return 1;
    int64_t size = 1 + (int64_t)rng_below(rng, (uint32_t)max);
    return kind == 1 && size % 2 == 0 ? size - 1 : size;
}

struct ag_tensor *ag_case_leaf(struct ag_graph *graph, struct rng *rng, struct ag_shape shape,
                               double low, double high)
{
    struct ag_tensor *leaf = ag_leaf(graph, "input", shape);
    if (graph->error)
        return leaf;
    real *value = arena_alloc(&graph->arena, (size_t)leaf->count * sizeof *value);
    if (!value)
        return ag_fail_last(graph);
    for (int64_t i = 0; i < leaf->count; i++)
        value[i] = (real)(low + (high - low) * rng_uniform(rng));
    leaf->param = value;
    return leaf;
}

struct ag_tensor *ag_case_index(struct ag_graph *graph, struct rng *rng, struct ag_shape shape,
                                int32_t low, int32_t high)
{
    int64_t count = ag_shape_count(shape);
    int32_t *index = count > 0 ? arena_alloc(&graph->arena, (size_t)count * sizeof *index) : NULL;
    if (!index)
        return ag_fail(graph, "a case's index could not be made");
    for (int64_t i = 0; i < count; i++)
        index[i] = low + (int32_t)rng_below(rng, (uint32_t)(high - low + 1));
    return ag_constant_index(graph, shape, index);
}
