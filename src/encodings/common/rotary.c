// Cosines and sines of angles, in double before they are stored: position times frequency loses
// digits in float.
#include "rotary.h"

#include <math.h>

#include "../../../autograd/base/err.h"

static double itself(double x)
{
    return x;
}

static ag_t *table_of(const struct pe_context *context, int64_t pairs,
                      double (*angle)(const struct pe_context *context, int64_t position,
                                      int64_t pair),
                      double (*function)(double))
{
    int64_t length = context->length;
    real *value = arena_alloc(&context->graph->arena, (size_t)(length * pairs) * sizeof *value);
    if (!value)
        return ag_fail(context->graph, "%s", err_last());
    for (int64_t i = 0; i < length; i++)
        for (int64_t c = 0; c < pairs; c++)
            value[i * pairs + c] = (real)function(angle(context, i, c));
    return ag_constant(context->graph, ag_shape2(length, pairs), value);
}

void pe_rotation(const struct pe_context *context, int64_t pairs,
                 double (*angle)(const struct pe_context *context, int64_t position, int64_t pair),
                 ag_t **cosine, ag_t **sine)
{
    *cosine = table_of(context, pairs, angle, cos);
    *sine = table_of(context, pairs, angle, sin);
}

ag_t *pe_angles(const struct pe_context *context, int64_t pairs,
                double (*angle)(const struct pe_context *context, int64_t position, int64_t pair))
{
    return table_of(context, pairs, angle, itself);
}

void pe_turn(const struct pe_context *context, struct pe_attention *attention, ag_t *cosine,
             ag_t *sine, enum ag_layout layout)
{
    struct ag_attention *op = &attention->op;
    op->query = ag_rotate(context->graph, op->query, cosine, sine, context->heads, layout, false);
    op->key = ag_rotate(context->graph, op->key, cosine, sine, context->heads, layout, false);
    attention->turn = cosine;
}
