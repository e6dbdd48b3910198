// T5's relative bias: one trained number a bucket of offsets and a head, added to the logits
// (Raffel et al. 2019, arXiv 1910.10683).
//
//   S_ij += T[bucket(j - i), h]
//
// Half of a direction's buckets hold one distance each, the rest grow logarithmically up to
// max_distance, and the last holds all beyond. An encoder has half of the buckets for either side;
// the first of the future is never used, as distance 0 belongs to the past. The bias is not scaled;
// T5 itself leaves the logits unscaled too (its start of the queries makes up for that), here they
// are scaled as those of every encoding. One table for all layers, as in T5. Distances are made
// into buckets once and in double: no logarithm in float decides which side of a border a distance
// falls.
#include <math.h>

#include "../../autograd/base/err.h"
#include "common/build.h"
#include "common/relative.h"

enum bucketing { AUTO, BIDIRECTIONAL, CAUSAL };

struct settings {
    int64_t buckets, max_distance;
    int bucketing;
    double init_std;
};

static const struct option_def options[] = {
    {"buckets", OPTION_INT, offsetof(struct settings, buckets), "32", 2, 1 << 20, NULL,
     "rows of the table"},
    {"max_distance", OPTION_INT, offsetof(struct settings, max_distance), "128", 1, 1 << 24, NULL,
     "distances from here on share the last bucket"},
    {"bucketing", OPTION_CHOICE, offsetof(struct settings, bucketing), "auto", 0, 0,
     "auto|bidirectional|causal", "buckets for both sides or the past only (auto: by --arch)"},
    {"init_std", OPTION_REAL, offsetof(struct settings, init_std), "0.02", 0, 100, NULL,
     "standard deviation of the table's start"},
    {0},
};

static bool is_bidirectional(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    return settings->bucketing == AUTO ? !context->causal : settings->bucketing == BIDIRECTIONAL;
}

static int64_t bucket(const struct pe_context *context, int64_t offset)
{
    const struct settings *settings = context->settings;
    int64_t count = settings->buckets, base = 0, distance = -offset;
    if (is_bidirectional(context)) {
        count /= 2;
        base = distance < 0 ? count : 0;
        distance = distance < 0 ? -distance : distance;
    } else if (distance < 0) {
        distance = 0;
    }
    int64_t exact = count / 2;
    if (distance < exact)
        return base + distance;
    double far = log((double)distance / (double)exact) /
                 log((double)settings->max_distance / (double)exact) * (double)(count - exact);
    // The logarithms of a border's two sides may round either way: a border belongs to its bucket.
    int64_t step = (int64_t)floor(far + 1e-9);
    return base + (exact + step < count ? exact + step : count - 1);
}

static int check(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    int64_t count = is_bidirectional(context) ? settings->buckets / 2 : settings->buckets;
    if (is_bidirectional(context) && settings->buckets % 2)
        return err_set(ERR_ARGUMENT, "t5: buckets %lld cannot be halved for the two sides",
                       (long long)settings->buckets);
    if (count < 2 || settings->max_distance <= count / 2)
        return err_set(ERR_ARGUMENT,
                       "t5: max_distance %lld must be above %lld, the distances that have a bucket "
                       "each, and a side needs two buckets",
                       (long long)settings->max_distance, (long long)(count / 2));
    return 0;
}

static ag_t *table(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    return pe_shared(context, "weight", ag_shape2(settings->buckets, context->heads), 0,
                     settings->init_std);
}

static void attention(const struct pe_context *context, struct pe_attention *attention)
{
    pe_add_bias(context, attention, pe_relative(context, 0, table(context), bucket));
}

// The distance that the last bucket begins at.
static int64_t clips_at(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    int64_t last = bucket(context, -settings->max_distance), distance = settings->max_distance;
    while (distance > 0 && bucket(context, 1 - distance) == last)
        distance--;
    return distance;
}

// Buckets from 0 on that some distance of the training length falls into.
static int64_t trained_buckets(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    int64_t length = context->position_count, row = 0;
    for (bool reached = true; reached && row < settings->buckets; row += reached) {
        reached = false;
        for (int64_t offset = 1 - length; offset < (context->causal ? 1 : length); offset++)
            reached |= bucket(context, offset) == row;
    }
    return row;
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    ag_t *by_bucket = table(context);
    pe_export(
        tables, .name = "relative_bias", .axis = {"head", "offset"},
        .tensor = ag_transpose(context->graph, pe_offset_rows(context, by_bucket, bucket), 0, 1),
        .distance_sign = "key-query", .unit = "logits", .scale = context->scale,
        .shared_layers = true, .trained_rows = context->position_count);
    pe_export(tables, .name = "bucket_bias", .axis = {"bucket", "head"}, .tensor = by_bucket,
              .unit = "logits", .shared_layers = true, .trained_rows = trained_buckets(context));
}

const struct pe_def pe_t5 = {
    .name = "t5",
    .title = "T5's bucketed relative bias",
    .family = "relative",
    .formula = "S_ij += T[bucket(j - i), h]",
    .paper = "Raffel, Shazeer, Roberts, Lee, Narang, Matena, Zhou, Li, Liu 2019, arXiv 1910.10683",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_SHIFT_INVARIANT | PE_EXTRAPOLATES | PE_IDENTITY_AT_ZERO | PE_NEEDS_LOGITS |
              PE_POSITION_IN_LOGITS,
    .check = check,
    .attention = attention,
    .tables = tables,
    .reads = PE_READS_OFFSETS,
    .extends = PE_EXTENDS_OFFSETS,
    .clips_at = clips_at,
};
