// Disentangled attention (He, Liu, Gao, Chen 2020, arXiv 2006.03654): content and relative position
// each have projections of their own, and three of their four products make the logits.
//
//   S_ij = scale (<q_i, k_j> + <q_i, Kr[delta(i,j)]> + <k_j, Qr[delta]>),  scale = 1 / sqrt(D (1 +
//   terms)) Kr = P W_kr, Qr = P W_qr,  delta(i,j) = clip(i - j + k, 0, 2k - 1)
//
// P is shared by the layers, W_kr and W_qr are of each. The paper takes delta(j,i) in the last
// term, the released code (and its ports) delta(i,j): with a shared P two different functions. The
// code's is the default, as published weights were trained with it; p2c=paper is the other. The
// range is not symmetric: query minus key = k falls on row 2k - 1. Logarithmic buckets are those of
// DeBERTa v2's code.
#include <math.h>
#include <stdio.h>

#include "../../../autograd/base/err.h"
#include "build.h"
#include "deberta.h"
#include "relative.h"

enum terms { BOTH, C2P, P2C };
enum p2c { CODE, PAPER };

static int64_t farthest(const struct pe_context *context)
{
    const struct deberta_settings *settings = context->settings;
    return settings->max_distance ? settings->max_distance : context->position_count;
}

// k: half of the table.
static int64_t half(const struct pe_context *context)
{
    const struct deberta_settings *settings = context->settings;
    return settings->buckets ? settings->buckets : farthest(context);
}

int deberta_check(const struct pe_context *context)
{
    const struct deberta_settings *settings = context->settings;
    int64_t middle = settings->buckets / 2;
    if (settings->buckets && (middle < 1 || farthest(context) - 1 <= middle))
        return err_set(
            ERR_ARGUMENT,
            "%s: max_distance %lld leaves nothing for logarithmic buckets to hold beyond "
            "the first %lld distances; raise it or lower buckets",
            context->name, (long long)farthest(context), (long long)middle);
    return 0;
}

// One bucket a distance up to half of the buckets, then logarithmic; the sign is kept.
static int64_t log_bucket(int64_t distance, int64_t buckets, int64_t max_distance)
{
    int64_t middle = buckets / 2, size = distance < 0 ? -distance : distance;
    if (size <= middle)
        return distance;
    double far = log((double)size / (double)middle) /
                 log((double)(max_distance - 1) / (double)middle) * (double)(middle - 1);
    int64_t bucket = (int64_t)ceil(far - 1e-9) + middle; // borders belong to the lower bucket
    return distance < 0 ? -bucket : bucket;
}

// delta for a distance of query minus key.
static int64_t delta(const struct pe_context *context, int64_t distance)
{
    const struct deberta_settings *settings = context->settings;
    if (settings->buckets)
        distance = log_bucket(distance, settings->buckets, farthest(context));
    int64_t row = distance + half(context), last = 2 * half(context) - 1;
    return row < 0 ? 0 : row > last ? last : row;
}

static int64_t delta_ij(const struct pe_context *context, int64_t offset)
{
    return delta(context, -offset);
}

// P, [2k, C].
static ag_t *positions(const struct pe_context *context)
{
    const struct deberta_settings *settings = context->settings;
    int64_t c = context->dim;
    ag_t *table = pe_shared(context, "weight", ag_shape2(2 * half(context), c), 0, 0.02);
    if (!settings->norm)
        return table;
    return ag_layer_norm(context->graph, table,
                         pe_shared(context, "norm.weight", ag_shape1(c), 1, 0),
                         pe_shared(context, "norm.bias", ag_shape1(c), 0, 0), 1e-5);
}

// P through W_kr or W_qr of the layer, or through the layer's own map of keys or queries.
static ag_t *projected(const struct pe_context *context, const char *suffix, const char *own)
{
    const struct deberta_settings *settings = context->settings;
    int64_t c = context->dim;
    char name[AG_NAME_SIZE];
    if (!settings->share)
        return pe_linear(context, false, suffix, positions(context), c);
    snprintf(name, sizeof name, "layers.%lld.attn.%s.weight", (long long)context->layer, own);
    ag_t *weight = ag_parameter(context->graph, name, ag_shape2(c, c), 0, 0.02, AG_DECAY);
    snprintf(name, sizeof name, "layers.%lld.attn.%s.bias", (long long)context->layer, own);
    ag_t *bias = ag_parameter(context->graph, name, ag_shape1(c), 0, 0, AG_NO_DECAY);
    return ag_linear(context->graph, positions(context), weight, bias);
}

// The row of an offset for the term that keys are read in.
static int64_t key_row(const struct pe_context *context, int64_t offset)
{
    const struct deberta_settings *settings = context->settings;
    return delta(context, settings->p2c == CODE ? -offset : offset);
}

// Distances from here on share a row, the past's one sooner than the future's.
int64_t deberta_clips_at(const struct pe_context *context)
{
    const struct deberta_settings *settings = context->settings;
    return settings->buckets || context->causal ? farthest(context) - 1 : farthest(context);
}

void deberta_attention(const struct pe_context *context, struct pe_attention *attention)
{
    const struct deberta_settings *settings = context->settings;
    double terms = settings->terms == BOTH ? 2 : 1;
    attention->op.scale /= sqrt(1 + terms);
    if (settings->terms != P2C)
        attention->op.query_relative =
            pe_relative(context, 0, projected(context, "key", "k"), delta_ij);
    if (settings->terms != C2P)
        attention->op.key_relative =
            pe_relative(context, 1, projected(context, "query", "q"), key_row);
}

// --- exports: a row an offset, by head

static ag_t *keys_by_offset(const struct pe_context *context)
{
    return pe_heads_by_offset(context,
                              pe_offset_rows(context, projected(context, "key", "k"), delta_ij));
}

static ag_t *queries_by_offset(const struct pe_context *context)
{
    return pe_heads_by_offset(context,
                              pe_offset_rows(context, projected(context, "query", "q"), key_row));
}

static void add_table(const struct pe_context *context, struct pe_tables *tables, const char *name,
                      ag_t *(*make)(const struct pe_context *context))
{
    pe_export(tables, .name = name, .axis = {"layer", "head", "offset", "channel"},
              .tensor = pe_all_layers(context, make), .distance_sign = "key-query",
              .scale = context->scale, .trained_rows = context->position_count);
}

void deberta_tables(const struct pe_context *context, struct pe_tables *tables)
{
    const struct deberta_settings *settings = context->settings;
    if (settings->terms != P2C)
        add_table(context, tables, "relative_key", keys_by_offset);
    if (settings->terms != C2P)
        add_table(context, tables, "relative_query", queries_by_offset);
}
