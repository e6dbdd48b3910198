// Parameters by name, and tables of all layers.
#include "build.h"

#include <stdio.h>

#include "../../../autograd/base/err.h"

static void name_of(char name[AG_NAME_SIZE], const struct pe_context *context, bool shared,
                    const char *suffix)
{
    if (shared)
        snprintf(name, AG_NAME_SIZE, "pe.%s.%s", context->name, suffix);
    else
        snprintf(name, AG_NAME_SIZE, "layers.%lld.pe.%s.%s", (long long)context->layer,
                 context->name, suffix);
}

ag_t *pe_shared(const struct pe_context *context, const char *suffix, struct ag_shape shape,
                double mean, double std)
{
    char name[AG_NAME_SIZE];
    name_of(name, context, true, suffix);
    return ag_parameter(context->graph, name, shape, mean, std, AG_NO_DECAY);
}

ag_t *pe_of_layer(const struct pe_context *context, const char *suffix, struct ag_shape shape,
                  double mean, double std)
{
    char name[AG_NAME_SIZE];
    name_of(name, context, false, suffix);
    return ag_parameter(context->graph, name, shape, mean, std, AG_NO_DECAY);
}

ag_t *pe_linear(const struct pe_context *context, bool shared, const char *suffix, ag_t *x,
                int64_t out)
{
    char name[AG_NAME_SIZE], full[64];
    int64_t in = x->shape.size[x->shape.dims - 1];
    snprintf(full, sizeof full, "%s.weight", suffix);
    name_of(name, context, shared, full);
    ag_t *weight = ag_parameter(context->graph, name, ag_shape2(out, in), 0, 0.02, AG_DECAY);
    snprintf(full, sizeof full, "%s.bias", suffix);
    name_of(name, context, shared, full);
    ag_t *bias = ag_parameter(context->graph, name, ag_shape1(out), 0, 0, AG_NO_DECAY);
    return ag_linear(context->graph, x, weight, bias);
}

int64_t pe_row_count(const struct pe_context *context)
{
    return context->position ? context->train_length : context->length;
}

ag_t *pe_rows(const struct pe_context *context, ag_t *table)
{
    int64_t rows = table->shape.size[0];
    if (context->position)
        return ag_gather(context->graph, table, context->position);
    if (context->length > rows)
        return ag_fail(context->graph, "%s positions end at %lld, and length %lld was asked for",
                       context->name, (long long)rows, (long long)context->length);
    return context->length == rows ? table : ag_slice(context->graph, table, 0, 0, context->length);
}

int64_t pe_table_length(const struct pe_context *context, int64_t max_length)
{
    return max_length ? max_length : context->train_length;
}

int pe_check_table_length(const struct pe_context *context, int64_t max_length)
{
    int64_t rows = pe_table_length(context, max_length);
    if (rows < context->train_length)
        return err_set(ERR_ARGUMENT, "%s: max_length %lld is shorter than --length %lld; raise it",
                       context->name, (long long)rows, (long long)context->train_length);
    return 0;
}

void pe_export_positions(struct pe_tables *tables, ag_t *table, int64_t trained_rows)
{
    tables->table[tables->count++] = (struct pe_table){
        .name = "position_table",
        .axis = {"position", "channel"},
        .tensor = ag_keep(table),
        .shared_layers = true,
        .trained_rows = trained_rows,
    };
}

ag_t *pe_all_layers(const struct pe_context *context,
                    ag_t *(*make)(const struct pe_context *context))
{
    struct pe_context of_layer = *context;
    ag_t *part[AG_MAX_INPUTS];
    int parts = 0;
    for (of_layer.layer = 0; of_layer.layer < context->layers; of_layer.layer++) {
        ag_t *one = make(&of_layer);
        struct ag_shape shape = {.dims = one->shape.dims + 1, .size = {1}};
        for (int d = 0; d < one->shape.dims && d + 1 < AG_MAX_DIMS; d++)
            shape.size[d + 1] = one->shape.size[d];
        if (parts == AG_MAX_INPUTS) { // more layers than one concat takes
            part[0] = ag_concat(context->graph, parts, part, 0);
            parts = 1;
        }
        part[parts++] = ag_reshape(context->graph, one, shape);
    }
    return ag_concat(context->graph, parts, part, 0);
}
