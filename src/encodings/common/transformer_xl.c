// Transformer-XL's attention: content and position, each with a bias of its own on the query (Dai
// et al. 2019, arXiv 1901.02860).
//
//   S_ij = scale (<q_i + u, k_j> + <q_i + v, W r_{i-j}>),  r_n = [sin(n w) | cos(n w)]
//
// w_c = 10000^(-2c/C) with C the width of the model; head h reads its D rows of W. n counts query
// minus key, as in the paper. The table W r has one row an offset; the attention op takes the row
// of each pair (i, j) straight from it, in place of the shift of rows in the released code, which
// leaves garbage above the diagonal.
#include <stdio.h>
#include <math.h>
#include <string.h>

#include "../../../autograd/base/err.h"
#include "build.h"
#include "relative.h"
#include "transformer_xl.h"

const struct option_def transformer_xl_options[] = {
    {"clamp_length", OPTION_INT, offsetof(struct transformer_xl_settings, clamp_length), "0", 0,
     1 << 24, NULL, "distances beyond it are taken as it (0: no limit)"},
    {0},
};

int transformer_xl_check(const struct pe_context *context)
{
    if (context->dim % 2)
        return err_set(ERR_ARGUMENT, "%s needs an even --dim, and %lld is odd", context->name,
                       (long long)context->dim);
    return 0;
}

// Farthest distance that has a row of its own.
static int64_t reach(const struct pe_context *context)
{
    const struct transformer_xl_settings *settings = context->settings;
    int64_t farthest = pe_offset_count(context) - 1, clamp = settings->clamp_length;
    if (clamp) // in steps of the graph's places, which interpolation makes smaller
        clamp = (int64_t)((double)clamp / fmax(pe_place(context, 1), 1e-9));
    return clamp && clamp < farthest ? clamp : farthest;
}

int64_t transformer_xl_clips_at(const struct pe_context *context)
{
    const struct transformer_xl_settings *settings = context->settings;
    return settings->clamp_length;
}

static int64_t row(const struct pe_context *context, int64_t offset)
{
    return pe_clip(offset, reach(context)) + reach(context);
}

// W of the layer.
static ag_t *position_weight(const struct pe_context *context)
{
    char name[AG_NAME_SIZE];
    snprintf(name, sizeof name, "layers.%lld.pe.%s.position.weight", (long long)context->layer,
             context->name);
    return ag_parameter(context->graph, name, ag_shape2(context->dim, context->dim), 0, 0.02,
                        AG_DECAY);
}

// W r of the layer, rows by key minus query: [2 reach + 1, C].
static ag_t *position_keys(const struct pe_context *context)
{
    int64_t far = reach(context), c = context->dim;
    double step = pe_place(context, 1);
    ag_t *sinusoids = pe_sinusoids(context, 2 * far + 1, step * (double)far, -step, c, 10000,
                                   false); // n = i - j
    return ag_linear(context->graph, sinusoids, position_weight(context), NULL);
}

// u or v, [H, D].
static ag_t *by_head(const struct pe_context *context, const char *suffix, bool shared)
{
    struct ag_shape shape = ag_shape2(context->heads, context->head_dim);
    return shared ? pe_shared(context, suffix, shape, 0, 0.02)
                  : pe_of_layer(context, suffix, shape, 0, 0.02);
}

// The same as [C].
static ag_t *query_bias(const struct pe_context *context, const char *suffix, bool shared)
{
    return ag_reshape(context->graph, by_head(context, suffix, shared), ag_shape1(context->dim));
}

// As pe_relative's; of interpolated places each offset has a row of its own.
static ag_t *row_index(const struct pe_context *context)
{
    struct pe_context whole = *context;
    if (whole.extension == PE_EXTEND_INTERPOLATE)
        whole.extension = PE_EXTEND_NONE;
    return pe_relative(&whole, 0, NULL, row).index;
}

void transformer_xl_attention(const struct pe_context *context, struct pe_attention *attention,
                              bool shared)
{
    struct ag_attention *op = &attention->op;
    struct ag_graph *graph = context->graph;
    attention->turn = query_bias(context, "u", shared);
    op->query = ag_add(graph, op->query, attention->turn);
    op->relative_query = ag_add(graph, attention->query, query_bias(context, "v", shared));
    op->query_relative.table = position_keys(context);
    if (context->position || context->extension == PE_EXTEND_CLIP ||
        reach(context) < context->length - 1)
        op->query_relative.index = row_index(context);
}

// --- exports

// [2T - 1, C], a row for each offset of the length.
static ag_t *rows_by_offset(const struct pe_context *context)
{
    return ag_gather(context->graph, position_keys(context), pe_offset_index(context, row));
}

static ag_t *keys_by_offset(const struct pe_context *context)
{
    return pe_heads_by_offset(context, rows_by_offset(context));
}

// What the logits get from the offset alone, scale <v, W r>: [head, offset].
static ag_t *content_free(const struct pe_context *context, bool shared)
{
    struct ag_graph *graph = context->graph;
    ag_t *products = ag_mul(graph, rows_by_offset(context), query_bias(context, "v", shared));
    ag_t *sums = ag_sum(graph, pe_heads_by_offset(context, products), 2);
    sums = ag_reshape(graph, sums, ag_shape2(context->heads, products->shape.size[0]));
    return ag_affine(graph, sums, context->scale, 0);
}

static ag_t *content_free_shared(const struct pe_context *context)
{
    return content_free(context, true);
}

static ag_t *content_free_of_layer(const struct pe_context *context)
{
    return content_free(context, false);
}

static ag_t *u_of_layer(const struct pe_context *context)
{
    return by_head(context, "u", false);
}

static ag_t *v_of_layer(const struct pe_context *context)
{
    return by_head(context, "v", false);
}

// u or v: what is added to queries before they meet keys, or positions.
static void export_query_bias(const struct pe_context *context, struct pe_tables *tables,
                              const char *suffix, bool shared)
{
    bool is_u = strcmp(suffix, "u") == 0;
    const char *name = is_u ? "content_query_bias" : "position_query_bias";
    if (shared)
        pe_export(tables, .name = name, .axis = {"head", "channel"},
                  .tensor = by_head(context, suffix, true), .scale = context->scale,
                  .shared_layers = true, .trained_rows = context->head_dim);
    else
        pe_export(tables, .name = name, .axis = {"layer", "head", "channel"},
                  .tensor = pe_all_layers(context, is_u ? u_of_layer : v_of_layer),
                  .scale = context->scale, .trained_rows = context->head_dim);
}

void transformer_xl_tables(const struct pe_context *context, struct pe_tables *tables, bool shared)
{
    pe_export(tables, .name = "relative_key", .axis = {"layer", "head", "offset", "channel"},
              .tensor = pe_all_layers(context, keys_by_offset), .distance_sign = "key-query",
              .scale = context->scale, .trained_rows = context->position_count);
    pe_export(
        tables, .name = "relative_bias", .axis = {"layer", "head", "offset"},
        .tensor = pe_all_layers(context, shared ? content_free_shared : content_free_of_layer),
        .distance_sign = "key-query", .unit = "logits", .scale = context->scale,
        .trained_rows = context->position_count);
    export_query_bias(context, tables, "u", shared);
    export_query_bias(context, tables, "v", shared);
    pe_export(tables, .name = "position_weight", .axis = {"layer", "channel", "from_channel"},
              .tensor = pe_all_layers(context, position_weight), .trained_rows = context->dim);
}
