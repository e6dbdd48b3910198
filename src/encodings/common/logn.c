// ln n / ln base, as a factor of each query.
#include "logn.h"

#include <math.h>

#include "../../../autograd/base/err.h"

int pe_check_logn(const struct pe_context *context, double base)
{
    if (base > 1)
        return 0;
    return err_set(ERR_ARGUMENT,
                   "%s: base %g has no logarithm to divide by; give --pe-opt base above 1",
                   context->name, base);
}

// 1 for a key that is no padding: [B, T], or [1, T].
static ag_t *present(const struct pe_context *context, const struct pe_attention *a)
{
    struct ag_graph *graph = context->graph;
    if (a->op.key_mask)
        return ag_gather(graph, ag_constant(graph, ag_shape1(2), (const real[]){0, 1}),
                         a->op.key_mask);
    real *one = arena_alloc(&graph->arena, (size_t)context->length * sizeof *one);
    if (!one)
        return ag_fail_last(graph);
    for (int64_t i = 0; i < context->length; i++)
        one[i] = 1;
    return ag_constant(graph, ag_shape2(1, context->length), one);
}

// One factor a row of queries; an encoding may have made more streams than the batch has rows.
static ag_t *for_streams(struct ag_graph *graph, ag_t *factor, const ag_t *query)
{
    ag_t *part[AG_MAX_INPUTS];
    int64_t rows = factor->shape.size[0], streams = rows > 1 ? query->shape.size[0] / rows : 1;
    for (int64_t i = 0; i < streams && i < AG_MAX_INPUTS; i++)
        part[i] = factor;
    return streams > 1 ? ag_concat(graph, (int)streams, part, 0) : factor;
}

// [B or 1, T or 1, 1].
static ag_t *factors(const struct pe_context *context, const struct pe_attention *a, double base,
                     bool at_least_one)
{
    struct ag_graph *graph = context->graph;
    ag_t *keys = present(context, a);
    keys = context->causal ? ag_cumsum(graph, keys, 1, false) : ag_sum(graph, keys, 1);
    // max(n, 1): a query that sees no key has no logits.
    keys = ag_affine(graph, ag_relu(graph, ag_affine(graph, keys, 1, -1)), 1, 1);
    ag_t *factor = ag_affine(graph, ag_log(graph, keys), 1 / log(base), 0);
    if (at_least_one)
        factor = ag_affine(graph, ag_relu(graph, ag_affine(graph, factor, 1, -1)), 1, 1);
    return ag_reshape(graph, factor, ag_shape3(factor->shape.size[0], factor->shape.size[1], 1));
}

// A decoder's queries see 1, 2, 3, ... keys.
ag_t *pe_logn_factors(const struct pe_context *context, double base, bool at_least_one)
{
    struct pe_context decoder = *context;
    decoder.causal = true;
    ag_t *factor = factors(&decoder, &(struct pe_attention){0}, base, at_least_one);
    return ag_reshape(context->graph, factor, ag_shape1(context->length));
}

void pe_scale_by_logn(const struct pe_context *context, struct pe_attention *attention, double base,
                      bool at_least_one)
{
    struct ag_graph *graph = context->graph;
    bool same = attention->query == attention->op.query;
    if (!context->memo[0])
        context->memo[0] = for_streams(graph, factors(context, attention, base, at_least_one),
                                       attention->op.query);
    ag_t *factor = context->memo[0];
    attention->op.query = ag_mul(graph, attention->op.query, factor);
    attention->query = same ? attention->op.query : ag_mul(graph, attention->query, factor);
    if (attention->op.relative_query)
        attention->op.relative_query = ag_mul(graph, attention->op.relative_query, factor);
}
