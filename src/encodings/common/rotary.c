// Cosines and sines of angles, in double before they are stored: position times frequency loses
// digits in float.
#include "rotary.h"

#include <math.h>

#include "../../../autograd/base/err.h"
#include "build.h"

static double itself(double x)
{
    return x;
}

static ag_t *table_of(const struct pe_context *context, int64_t pairs,
                      double (*angle)(const struct pe_context *context, int64_t position,
                                      int64_t pair),
                      double (*function)(double))
{
    int64_t length = context->position ? context->position_count : context->length;
    real *value = arena_alloc(&context->graph->arena, (size_t)(length * pairs) * sizeof *value);
    if (!value)
        return ag_fail_last(context->graph);
    for (int64_t i = 0; i < length; i++)
        for (int64_t c = 0; c < pairs; c++)
            value[i * pairs + c] = (real)function(angle(context, i, c));
    return ag_constant(context->graph, ag_shape2(length, pairs), value);
}

ag_t *pe_by_place(const struct pe_context *context, ag_t *table)
{
    if (!context->position)
        return table;
    struct ag_shape shape = table->shape;
    if (shape.dims == 2) // a dimension of heads
        table = ag_reshape(context->graph, table, ag_shape3(shape.size[0], 1, shape.size[1]));
    return ag_gather(context->graph, table, context->position);
}

double pe_frequency(const struct pe_context *context, double base, int64_t pairs, int64_t pair)
{
    double factor = (double)context->length / (double)context->position_count;
    if (context->extension == PE_EXTEND_NTK && pairs > 1)
        base *= pow(factor, (double)pairs / (double)(pairs - 1));
    double frequency = pow(base, -(double)pair / (double)pairs);
    if (context->extension != PE_EXTEND_YARN)
        return frequency;
    // From the pair that turns `fast` times in the training length on, less and less is left as it
    // was, and from the one that turns once on nothing.
    const double fast = 32, slow = 1, pi = 3.14159265358979323846;
    double met = (double)context->position_count, width = 2 * (double)pairs;
    double low = floor(width * log(met / (2 * pi * fast)) / (2 * log(base)));
    double high = ceil(width * log(met / (2 * pi * slow)) / (2 * log(base)));
    low = fmax(low, 0);
    high = fmin(high, width - 1);
    high = high > low ? high : low + 0.001;
    double part = fmin(fmax(((double)pair - low) / (high - low), 0), 1);
    return frequency * (1 - part) + frequency / factor * part;
}

double pe_temperature(const struct pe_context *context)
{
    double factor = (double)context->length / (double)context->position_count;
    double each = 0.1 * log(factor) + 1;
    return context->extension == PE_EXTEND_YARN ? each * each : 1;
}

void pe_rotation(const struct pe_context *context, int64_t pairs,
                 double (*angle)(const struct pe_context *context, int64_t position, int64_t pair),
                 ag_t **cosine, ag_t **sine)
{
    *cosine = pe_by_place(context, table_of(context, pairs, angle, cos));
    *sine = pe_by_place(context, table_of(context, pairs, angle, sin));
}

ag_t *pe_angles(const struct pe_context *context, int64_t pairs,
                double (*angle)(const struct pe_context *context, int64_t position, int64_t pair))
{
    return table_of(context, pairs, angle, itself);
}

void pe_export_rotation(const struct pe_context *context, struct pe_tables *tables, int64_t pairs,
                        double (*angle)(const struct pe_context *context, int64_t position,
                                        int64_t pair),
                        const char *layout)
{
    static const char *const names[] = {"rotation_angles", "rotation_cosine", "rotation_sine"};
    double (*const function[])(double) = {itself, cos, sin};
    for (int i = 0; i < 3; i++)
        pe_export(tables, .name = names[i], .axis = {"position", "pair"},
                  .tensor = table_of(context, pairs, angle, function[i]),
                  .unit = i ? NULL : "radians", .layout = layout, .scale = context->scale,
                  .shared_layers = true, .trained_rows = context->position_count);
}

void pe_turn(const struct pe_context *context, struct pe_attention *attention, ag_t *cosine,
             ag_t *sine, enum ag_layout layout)
{
    struct ag_attention *op = &attention->op;
    op->query = ag_rotate(context->graph, op->query, cosine, sine, context->heads, layout, false);
    op->key = ag_rotate(context->graph, op->key, cosine, sine, context->heads, layout, false);
    attention->turn = cosine;
}
