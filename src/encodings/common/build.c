// Parameters by name, and tables of all layers.
#include "build.h"

#include <math.h>
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
    bool given = context->position || context->extension == PE_EXTEND_INTERPOLATE ||
                 context->extension == PE_EXTEND_HIERARCHICAL;
    return given ? context->position_count : context->length;
}

double pe_place(const struct pe_context *context, int64_t i)
{
    if (context->extension != PE_EXTEND_INTERPOLATE)
        return (double)i;
    return (double)i * (double)(context->position_count - 1) / (double)(context->length - 1);
}

ag_t *pe_places(const struct pe_context *context, int64_t count)
{
    real *number = arena_alloc(&context->graph->arena, (size_t)count * sizeof *number);
    if (!number)
        return ag_fail_last(context->graph);
    for (int64_t i = 0; i < count; i++)
        number[i] = (real)pe_place(context, i);
    return ag_constant(context->graph, ag_shape2(count, 1), number);
}

ag_t *pe_between_rows(const struct pe_context *context, ag_t *table, int64_t count, double first,
                      double step, int64_t (*row)(const struct pe_context *context, int64_t number))
{
    struct ag_graph *graph = context->graph;
    int32_t *index = arena_alloc(&graph->arena, 2 * (size_t)count * sizeof *index);
    real *part = arena_alloc(&graph->arena, 2 * (size_t)count * sizeof *part);
    if (!index || !part)
        return ag_fail_last(graph);
    for (int64_t k = 0; k < count; k++) {
        double at = first + step * (double)k, nearest = round(at);
        at = fabs(at - nearest) < 1e-9 ? nearest : at; // rounding of step times k
        int64_t below = (int64_t)floor(at), above = (int64_t)ceil(at);
        index[k] = (int32_t)(row ? row(context, below) : below);
        index[count + k] = (int32_t)(row ? row(context, above) : above);
        part[k] = (real)(1 - (at - (double)below));
        part[count + k] = (real)(at - (double)below);
    }
    ag_t *half[2];
    for (int64_t i = 0; i < 2; i++) {
        ag_t *rows =
            ag_gather(graph, table, ag_constant_index(graph, ag_shape1(count), index + i * count));
        half[i] = ag_mul(graph, rows, ag_constant(graph, ag_shape2(count, 1), part + i * count));
    }
    return ag_add(graph, half[0], half[1]);
}

// Row n.. of the extended table, `count` of them, from P [n, C].
static ag_t *upper_hierarchy(struct ag_graph *graph, ag_t *table, double a, int64_t count)
{
    int64_t n = table->shape.size[0];
    int32_t *digit = arena_alloc(&graph->arena, 2 * (size_t)count * sizeof *digit);
    if (!digit)
        return ag_fail_last(graph);
    for (int64_t t = 0; t < count; t++) {
        digit[t] = (int32_t)((n + t) / n);
        digit[count + t] = (int32_t)((n + t) % n);
    }
    ag_t *first = ag_affine(graph, ag_slice(graph, table, 0, 0, 1), a, 0);
    ag_t *base = ag_affine(graph, ag_sub(graph, table, first), 1 / (1 - a), 0);
    ag_t *upper = ag_gather(graph, base, ag_constant_index(graph, ag_shape1(count), digit));
    ag_t *lower = ag_gather(graph, base, ag_constant_index(graph, ag_shape1(count), digit + count));
    return ag_add(graph, ag_affine(graph, upper, a, 0), ag_affine(graph, lower, 1 - a, 0));
}

ag_t *pe_hierarchy(const struct pe_context *context, ag_t *table, double alpha, int64_t count)
{
    int64_t n = table->shape.size[0], most = n * n;
    if (count > most)
        return ag_fail(context->graph, "%s positions end at %lld, and length %lld was asked for",
                       context->name, (long long)most, (long long)count);
    if (count <= n)
        return table;
    ag_t *rest = upper_hierarchy(context->graph, table, alpha, count - n);
    return ag_concat(context->graph, 2, (ag_t *const[]){table, rest}, 0);
}

// Past the positions that training met, from the rows of those.
static ag_t *extended_rows(const struct pe_context *context, ag_t *table)
{
    int64_t met = context->position_count, length = context->length;
    if (context->extension == PE_EXTEND_INTERPOLATE)
        return pe_between_rows(context, table, length, 0, pe_place(context, 1), NULL);
    if (table->shape.size[0] > met)
        table = ag_slice(context->graph, table, 0, 0, met);
    return pe_hierarchy(context, table, 0.4, length);
}

ag_t *pe_rows(const struct pe_context *context, ag_t *table)
{
    int64_t rows = table->shape.size[0];
    if (context->position)
        return ag_gather(context->graph, table, context->position);
    if (context->extension == PE_EXTEND_INTERPOLATE || context->extension == PE_EXTEND_HIERARCHICAL)
        return extended_rows(context, table);
    if (context->length > rows)
        return ag_fail(context->graph, "%s positions end at %lld, and length %lld was asked for",
                       context->name, (long long)rows, (long long)context->length);
    return context->length == rows ? table : ag_slice(context->graph, table, 0, 0, context->length);
}

int64_t pe_table_length(const struct pe_context *context, int64_t max_length)
{
    return max_length ? max_length : context->position_count;
}

int pe_check_table_length(const struct pe_context *context, int64_t max_length)
{
    int64_t rows = pe_table_length(context, max_length);
    if (rows < context->train_length)
        return err_set(ERR_ARGUMENT, "%s: max_length %lld is shorter than --length %lld; raise it",
                       context->name, (long long)rows, (long long)context->train_length);
    if (rows < context->position_count)
        return err_set(ERR_ARGUMENT,
                       "%s: max_length %lld is shorter than the %lld positions that are drawn "
                       "from; raise it, or leave it out",
                       context->name, (long long)rows, (long long)context->position_count);
    return 0;
}

void pe_export_table(struct pe_tables *tables, struct pe_table table)
{
    BUG_ON(tables->count == PE_MAX_TABLES);
    ag_keep(table.tensor);
    tables->table[tables->count++] = table;
}

ag_t *pe_exported_rows(const struct pe_context *context, const struct pe_tables *tables,
                       ag_t *table)
{
    bool drawn = context->position && context->extension == PE_EXTEND_NONE;
    return tables->exact && !drawn ? pe_rows(context, table) : table;
}

void pe_export_positions(const struct pe_context *context, struct pe_tables *tables, ag_t *table,
                         int64_t trained_rows)
{
    pe_export(tables, .name = "position_table", .axis = {"position", "channel"},
              .tensor = pe_exported_rows(context, tables, table), .shared_layers = true,
              .trained_rows = trained_rows);
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
