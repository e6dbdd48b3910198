// TUPE: absolute positions correlated on their own, untied from content (Ke, He, Liu 2020, arXiv
// 2006.15595).
//
//   S_ij = <q_i, k_j> / sqrt(2D) + <U_Q p_i, U_K p_j> / sqrt(2D),  p = LayerNorm(P)
//
// The position part is computed once and shared by all layers. The paper adds T5's bias: `tupe+t5`.
// untie=yes gives the first token, where that is a [CLS], logits of its own in place of the
// position part: first[0] from it to all, first[1] from all others to it.
#include "../../autograd/base/err.h"
#include "common/build.h"

#include <math.h>

struct settings {
    int64_t max_length;
    bool untie;
};

static const struct option_def options[] = {
    PE_MAX_LENGTH_OPTION(struct settings),
    {"untie", OPTION_BOOL, offsetof(struct settings, untie), "no", 0, 0, NULL,
     "the first token's logits do not come from its position"},
    {0},
};

static int64_t max_length(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    return pe_table_length(context, settings->max_length);
}

static int check(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    return pe_check_table_length(context, settings->max_length);
}

static ag_t *weight(const struct pe_context *context)
{
    return pe_shared(context, "weight", ag_shape2(max_length(context), context->dim), 0, 0.02);
}

// LayerNorm of the rows of the positions, [T, C], or [B, T, C] of those that are drawn.
static ag_t *positions(const struct pe_context *context)
{
    int64_t c = context->dim;
    return ag_layer_norm(context->graph, pe_rows(context, weight(context)),
                         pe_shared(context, "norm.weight", ag_shape1(c), 1, 0),
                         pe_shared(context, "norm.bias", ag_shape1(c), 0, 0), 1e-5);
}

// [..., T, C] to [..., H, T, D].
static ag_t *by_head(const struct pe_context *context, ag_t *x)
{
    struct ag_shape shape = x->shape;
    shape.size[shape.dims - 1] = context->heads;
    shape.size[shape.dims++] = context->head_dim;
    return ag_transpose(context->graph, ag_reshape(context->graph, x, shape), -3, -2);
}

// A constant [T, T] that is 1 in row 0 (`column` false), or in column 0 of the other rows.
static ag_t *first_mask(const struct pe_context *context, bool column)
{
    int64_t length = context->length;
    real *mask = arena_alloc(&context->graph->arena, (size_t)(length * length) * sizeof *mask);
    if (!mask)
        return ag_fail_last(context->graph);
    for (int64_t i = 0; i < length; i++)
        for (int64_t j = 0; j < length; j++)
            mask[i * length + j] = column ? i > 0 && j == 0 : i == 0;
    return ag_constant(context->graph, ag_shape2(length, length), mask);
}

// Logits from the first token to all, and from all others to it, [2, H].
static ag_t *first(const struct pe_context *context)
{
    return pe_shared(context, "first", ag_shape2(2, context->heads), 0, 0.02);
}

static ag_t *untie_first(const struct pe_context *context, ag_t *bias)
{
    struct ag_graph *graph = context->graph;
    ag_t *row = first_mask(context, false), *column = first_mask(context, true);
    ag_t *rest = ag_affine(graph, ag_add(graph, row, column), -1, 1);
    ag_t *part[2];
    for (int k = 0; k < 2; k++) {
        ag_t *of_head = ag_reshape(graph, ag_slice(graph, first(context), 0, k, 1),
                                   ag_shape3(context->heads, 1, 1));
        part[k] = ag_mul(graph, of_head, k ? column : row);
    }
    return ag_add(graph, ag_mul(graph, bias, rest), ag_add(graph, part[0], part[1]));
}

// [H, T, T], or [B, H, T, T].
static ag_t *position_bias(const struct pe_context *context)
{
    struct ag_graph *graph = context->graph;
    ag_t *p = positions(context);
    ag_t *query = by_head(context, pe_linear(context, true, "query", p, context->dim));
    ag_t *key = by_head(context, pe_linear(context, true, "key", p, context->dim));
    ag_t *bias = ag_affine(graph, ag_matmul(graph, query, false, key, true),
                           1 / sqrt(2 * (double)context->head_dim), 0);
    const struct settings *settings = context->settings;
    return settings->untie ? untie_first(context, bias) : bias;
}

static void attention(const struct pe_context *context, struct pe_attention *attention)
{
    struct ag_attention *op = &attention->op;
    if (!*context->memo)
        *context->memo = position_bias(context);
    ag_t *bias = *context->memo;
    op->scale /= sqrt(2);
    op->dense_bias = op->dense_bias ? ag_add(context->graph, op->dense_bias, bias) : bias;
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    const struct settings *settings = context->settings;
    struct pe_context plain = *context;
    if (context->extension == PE_EXTEND_NONE)
        plain.position = NULL; // of positions that are drawn, the first ones
    pe_export(tables, .name = "position_bias", .axis = {"head", "query", "key"},
              .tensor = position_bias(&plain), .unit = "logits", .scale = context->scale,
              .shared_layers = true,
              .trained_rows = context->position_count < context->length ? context->position_count
                                                                        : context->length);
    pe_export(tables, .name = "weight", .axis = {"position", "channel"},
              .tensor = pe_exported_rows(context, tables, weight(context)), .shared_layers = true,
              .trained_rows = context->position_count);
    if (settings->untie)
        pe_export(tables, .name = "first_bias", .axis = {"direction", "head"},
                  .tensor = first(context), .unit = "logits", .shared_layers = true,
                  .trained_rows = 2);
}

const struct pe_def pe_tupe = {
    .name = "tupe",
    .title = "TUPE's untied absolute positions",
    .family = "relative",
    .formula = "S_ij = (<q_i, k_j> + <U_Q p_i, U_K p_j>) / sqrt(2D), p = LayerNorm(P)",
    .paper = "Ke, He, Liu 2020, arXiv 2006.15595",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_NEEDS_LOGITS | PE_POSITION_IN_LOGITS,
    .check = check,
    .attention = attention,
    .tables = tables,
    .max_length = max_length,
    .position_table = "weight",
    .reads = PE_READS_POSITIONS,
    .extends = PE_EXTENDS_TABLE,
};
