// Rows by offset, biases that add up, sinusoids of offsets.
#include "relative.h"

#include <math.h>

#include "../../../autograd/base/err.h"
#include "build.h"

bool pe_has_positions(const struct pe_context *context)
{
    return context->position && context->extension == PE_EXTEND_NONE;
}

int64_t pe_offset_count(const struct pe_context *context)
{
    return pe_has_positions(context) ? context->position_count : context->length;
}

ag_t *pe_offset_index(const struct pe_context *context,
                      int64_t (*row)(const struct pe_context *context, int64_t offset))
{
    int64_t reach = pe_offset_count(context) - 1, count = 2 * reach + 1;
    int32_t *index = arena_alloc(&context->graph->arena, (size_t)count * sizeof *index);
    if (!index)
        return ag_fail_last(context->graph);
    bool clipped = context->extension == PE_EXTEND_CLIP;
    for (int64_t k = 0; k < count; k++) {
        int64_t offset = clipped ? pe_clip(k - reach, context->position_count - 1) : k - reach;
        index[k] = (int32_t)row(context, offset);
    }
    return ag_constant_index(context->graph, ag_shape1(count), index);
}

// A row each for the offsets of interpolated places.
static ag_t *between_offsets(const struct pe_context *context, ag_t *table,
                             int64_t (*row)(const struct pe_context *context, int64_t offset))
{
    int64_t length = context->length;
    double step = pe_place(context, 1);
    return pe_between_rows(context, table, 2 * length - 1, -step * (double)(length - 1), step, row);
}

struct ag_relative pe_relative(const struct pe_context *context, int slot, ag_t *table,
                               int64_t (*row)(const struct pe_context *context, int64_t offset))
{
    if (context->extension == PE_EXTEND_INTERPOLATE)
        return (struct ag_relative){.table = between_offsets(context, table, row)};
    if (!context->memo[slot]) {
        ag_t *index = pe_offset_index(context, row);
        if (pe_has_positions(context))
            index = ag_pair_index(context->graph, context->position, index);
        context->memo[slot] = index;
    }
    return (struct ag_relative){.table = table, .index = context->memo[slot]};
}

int64_t pe_clip(int64_t offset, int64_t limit)
{
    return offset < -limit ? -limit : offset > limit ? limit : offset;
}

static bool is_by_offset(struct ag_relative bias)
{
    return !bias.grid_width && (!bias.index || bias.index->shape.dims == 1);
}

static ag_t *rows_of(struct ag_graph *graph, struct ag_relative bias)
{
    return bias.index ? ag_gather(graph, bias.table, bias.index) : bias.table;
}

// The table's row of each pair, [T, T] or [B, T, T].
static ag_t *pair_rows(const struct pe_context *context, struct ag_relative bias)
{
    int64_t n = context->length, w = bias.grid_width;
    if (!w)
        return bias.index;
    int32_t *row = arena_alloc(&context->graph->arena, (size_t)(n * n) * sizeof *row);
    if (!row)
        return ag_fail_last(context->graph);
    const int32_t *index = bias.index ? bias.index->param : NULL;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            int64_t down = j / w - i / w + n / w - 1, across = j % w - i % w + w - 1;
            int64_t offset = down * (2 * w - 1) + across;
            row[i * n + j] = index ? index[offset] : (int32_t)offset;
        }
    }
    return ag_constant_index(context->graph, ag_shape2(n, n), row);
}

void pe_add_bias(const struct pe_context *context, struct pe_attention *attention,
                 struct ag_relative bias)
{
    struct ag_graph *graph = context->graph;
    struct ag_attention *op = &attention->op;
    if (!op->bias.table) {
        op->bias = bias;
    } else if (is_by_offset(bias) && is_by_offset(op->bias)) {
        op->bias.table = ag_add(graph, rows_of(graph, op->bias), rows_of(graph, bias));
        op->bias.index = NULL;
    } else { // one of them goes by pairs: [..., T, T, H] to [..., H, T, T]
        struct ag_relative pairs = is_by_offset(bias) ? op->bias : bias;
        op->bias = is_by_offset(bias) ? bias : op->bias;
        ag_t *dense = ag_gather(graph, pairs.table, pair_rows(context, pairs));
        dense = ag_transpose(graph, ag_transpose(graph, dense, -3, -1), -2, -1);
        op->dense_bias = op->dense_bias ? ag_add(graph, op->dense_bias, dense) : dense;
    }
}

ag_t *pe_offset_rows(const struct pe_context *context, ag_t *table,
                     int64_t (*row)(const struct pe_context *context, int64_t offset))
{
    if (context->extension == PE_EXTEND_INTERPOLATE)
        return between_offsets(context, table, row);
    return ag_gather(context->graph, table, pe_offset_index(context, row));
}

ag_t *pe_heads_by_offset(const struct pe_context *context, ag_t *rows)
{
    struct ag_shape shape = ag_shape3(rows->shape.size[0], context->heads, context->head_dim);
    return ag_transpose(context->graph, ag_reshape(context->graph, rows, shape), 0, 1);
}

ag_t *pe_sinusoids(const struct pe_context *context, int64_t rows, double first, double step,
                   int64_t width, double base, bool interleaved)
{
    int64_t half = width / 2;
    real *table = arena_alloc(&context->graph->arena, (size_t)(rows * width) * sizeof *table);
    if (!table)
        return ag_fail_last(context->graph);
    for (int64_t k = 0; k < rows; k++) {
        for (int64_t c = 0; c < half; c++) {
            double angle = (first + step * (double)k) * pow(base, -2.0 * (double)c / (double)width);
            table[k * width + (interleaved ? 2 * c : c)] = (real)sin(angle);
            table[k * width + (interleaved ? 2 * c + 1 : half + c)] = (real)cos(angle);
        }
    }
    return ag_constant(context->graph, ag_shape2(rows, width), table);
}

double pe_alibi_slope(int64_t head, int64_t heads)
{
    int64_t power = 1;
    while (2 * power <= heads)
        power *= 2;
    if (head < power)
        return pow(2, -8 * (double)(head + 1) / (double)power);
    return pow(2, -8 * (double)(2 * (head - power) + 1) / (double)(2 * power));
}
