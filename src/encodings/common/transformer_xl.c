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

// W r of the layer, rows by key minus query: [2 reach + 1, C].
static ag_t *position_keys(const struct pe_context *context)
{
    int64_t far = reach(context), c = context->dim;
    double step = pe_place(context, 1);
    ag_t *sinusoids = pe_sinusoids(context, 2 * far + 1, step * (double)far, -step, c, 10000,
                                   false); // n = i - j
    char name[AG_NAME_SIZE];
    snprintf(name, sizeof name, "layers.%lld.pe.%s.position.weight", (long long)context->layer,
             context->name);
    ag_t *weight = ag_parameter(context->graph, name, ag_shape2(c, c), 0, 0.02, AG_DECAY);
    return ag_linear(context->graph, sinusoids, weight, NULL);
}

// u or v as [C].
static ag_t *query_bias(const struct pe_context *context, const char *suffix, bool shared)
{
    struct ag_shape shape = ag_shape2(context->heads, context->head_dim);
    ag_t *bias = shared ? pe_shared(context, suffix, shape, 0, 0.02)
                        : pe_of_layer(context, suffix, shape, 0, 0.02);
    return ag_reshape(context->graph, bias, ag_shape1(context->dim));
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

// [offset, channel], a row for each offset of the length.
static ag_t *keys_by_offset(const struct pe_context *context)
{
    return ag_gather(context->graph, position_keys(context), pe_offset_index(context, row));
}

// What the logits get from the offset alone, scale <v, W r>: [head, offset].
static ag_t *content_free(const struct pe_context *context, bool shared)
{
    struct ag_graph *graph = context->graph;
    int64_t rows = 2 * pe_offset_count(context) - 1, d = context->head_dim;
    ag_t *products = ag_mul(graph, keys_by_offset(context), query_bias(context, "v", shared));
    products = ag_reshape(graph, products, ag_shape3(rows, context->heads, d));
    ag_t *sums = ag_reshape(graph, ag_sum(graph, products, 2), ag_shape2(rows, context->heads));
    return ag_transpose(graph, ag_affine(graph, sums, 1 / sqrt((double)d), 0), 0, 1);
}

static ag_t *content_free_shared(const struct pe_context *context)
{
    return content_free(context, true);
}

static ag_t *content_free_of_layer(const struct pe_context *context)
{
    return content_free(context, false);
}

void transformer_xl_tables(const struct pe_context *context, struct pe_tables *tables, bool shared)
{
    tables->table[tables->count++] = (struct pe_table){
        .name = "relative_key",
        .axis = {"layer", "offset", "channel"},
        .tensor = ag_keep(pe_all_layers(context, keys_by_offset)),
        .distance_sign = "key-query",
        .trained_rows = context->position_count,
    };
    tables->table[tables->count++] = (struct pe_table){
        .name = "relative_bias",
        .axis = {"layer", "head", "offset"},
        .tensor =
            ag_keep(pe_all_layers(context, shared ? content_free_shared : content_free_of_layer)),
        .distance_sign = "key-query",
        .trained_rows = context->position_count,
    };
}
