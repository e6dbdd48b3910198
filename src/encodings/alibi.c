// ALiBi: logits fall with the distance, by a slope of each head (Press, Smith, Lewis 2021, arXiv
// 2108.12409).
//
//   S_ij -= m_h |i - j|
//
// Slopes are 2^(-8 h / H), h = 1..H, where H is a power of two; else those of the power of two P
// below, and then every other one of those for 2P heads, first, third, ..., as the released code
// orders them. That code adds m_h j, which is the same under softmax and a causal mask alone; this
// is right for any normaliser, and in an encoder, which the paper has not. There both sides are
// alike, so that left and right cannot be told apart; sides=offset counts distances to the left 0.5
// less, as Ruoss et al. 2023 (arXiv 2305.16843) do. The bias is not scaled, unless scaled=yes
// divides it by sqrt(head_dim) as scores are, which is what Falcon's code does. Nothing is trained,
// unless trainable=yes trains the logarithms of the slopes, shared by the layers.
#include <math.h>
#include <stdlib.h>

#include "../../autograd/base/err.h"
#include "common/build.h"
#include "common/relative.h"

enum sides { EQUAL, OFFSET };

struct settings {
    int sides;
    bool trainable, scaled;
};

static const struct option_def options[] = {
    {"sides", OPTION_CHOICE, offsetof(struct settings, sides), "equal", 0, 0, "equal|offset",
     "keys to the left as those to the right, or half a step nearer"},
    {"trainable", OPTION_BOOL, offsetof(struct settings, trainable), "no", 0, 0, NULL,
     "train the slopes, from the standard start"},
    {"scaled", OPTION_BOOL, offsetof(struct settings, scaled), "no", 0, 0, NULL,
     "divide the slopes by sqrt(head_dim), as Falcon does"},
    {0},
};

// What each head's slope multiplies, by offset: [2T - 1, 1], minus the distance.
static ag_t *distances(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    int64_t reach = pe_offset_count(context) - 1, count = 2 * reach + 1;
    double last = context->extension == PE_EXTEND_CLIP ? (double)(context->position_count - 1)
                                                       : (double)reach;
    real *value = arena_alloc(&context->graph->arena, (size_t)count * sizeof *value);
    if (!value)
        return ag_fail_last(context->graph);
    for (int64_t k = 0; k < count; k++) {
        double distance = fmin(pe_place(context, llabs(k - reach)), last);
        bool nearer = settings->sides == OFFSET && k < reach;
        value[k] = (real)(nearer ? 0.5 - distance : -distance);
    }
    return ag_constant(context->graph, ag_shape2(count, 1), value);
}

static ag_t *slopes(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    struct ag_graph *graph = context->graph;
    int64_t heads = context->heads;
    real *value = arena_alloc(&graph->arena, (size_t)heads * sizeof *value);
    if (!value)
        return ag_fail_last(graph);
    double scale = settings->scaled ? sqrt((double)context->head_dim) : 1;
    for (int64_t h = 0; h < heads; h++)
        value[h] = (real)(pe_alibi_slope(h, heads) / scale);
    ag_t *standard = ag_constant(graph, ag_shape1(heads), value);
    if (!settings->trainable)
        return standard;
    ag_t *shift = pe_shared(context, "log_slope_shift", ag_shape1(heads), 0, 0);
    return ag_mul(graph, standard, ag_exp(graph, shift));
}

// [2T - 1, H].
static ag_t *table(const struct pe_context *context)
{
    return ag_mul(context->graph, distances(context), slopes(context));
}

static int64_t itself(const struct pe_context *context, int64_t offset)
{
    return offset + pe_offset_count(context) - 1;
}

static void attention(const struct pe_context *context, struct pe_attention *attention)
{
    struct ag_relative bias = {0};
    if (pe_has_positions(context))
        bias = pe_relative(context, 1, NULL, itself);
    if (!context->memo[0])
        context->memo[0] = table(context);
    bias.table = context->memo[0];
    pe_add_bias(context, attention, bias);
}

static unsigned claims_with(const void *of)
{
    const struct settings *settings = of;
    unsigned claims = PE_SHIFT_INVARIANT | PE_EXTRAPOLATES | PE_NEEDS_LOGITS |
                      PE_POSITION_IN_LOGITS;
    return settings->sides == EQUAL ? claims | PE_SYMMETRIC : claims;
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    pe_export(tables, .name = "relative_bias", .axis = {"head", "offset"},
              .tensor = ag_transpose(context->graph, table(context), 0, 1),
              .distance_sign = "key-query", .unit = "logits", .scale = context->scale,
              .shared_layers = true, .trained_rows = context->position_count);
    pe_export(tables, .name = "slopes", .axis = {"head"}, .tensor = slopes(context),
              .unit = "logits/token", .shared_layers = true, .trained_rows = context->heads);
}

const struct pe_def pe_alibi = {
    .name = "alibi",
    .title = "ALiBi's linear bias",
    .family = "relative",
    .formula = "S_ij -= m_h |i - j|, m_h = 2^(-8h/H)",
    .paper = "Press, Smith, Lewis 2021, arXiv 2108.12409",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_SHIFT_INVARIANT | PE_EXTRAPOLATES | PE_NEEDS_LOGITS | PE_POSITION_IN_LOGITS |
              PE_SYMMETRIC,
    .claims_with = claims_with,
    .attention = attention,
    .tables = tables,
    .reads = PE_READS_OFFSETS,
    .extends = PE_EXTENDS_OFFSETS,
};
