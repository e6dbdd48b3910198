// RoPE: queries and keys turned by their positions, pair of channels by pair, so that their
// products depend on the distance (Su, Lu, Pan, Murtadha, Wen, Liu 2021, arXiv 2104.09864).
//
//   q_i <- R_i q_i, k_j <- R_j k_j;  R_i turns pair c by i theta_c, theta_c = base^(-2c/r)
//
// The first r = 2 floor(fraction D / 2) channels of a head turn (GPT-J, GPT-NeoX: the exponent
// counts in the r channels that turn, unlike p-RoPE's). layout=pair turns channels (2c, 2c+1), as
// RoFormer and GPT-J do; layout=half (c, c + r/2), as GPT-NeoX and Hugging Face's LLaMA: the same
// but for the order of channels, and a silent trap when weights move. values=v turns the values too
// (Su, article 8130), which marks absolute positions; values=vo also turns the output back, o_i =
// sum_j A_ij R_{j-i} v_j, which is relative again; either solves the probe. Frequencies can be
// trained, each head's and layer's, as theta exp(shift): they start as they are and stay positive.
// Under --attention linear the numerator alone is turned.
#include "../../autograd/base/err.h"
#include "common/build.h"
#include "common/rotary.h"

enum values { NONE, V, VO };
enum { COSINE, SINE };

struct settings {
    int layout, values;
    double base, fraction;
    bool trainable;
};

static const struct option_def options[] = {
    {"layout", OPTION_CHOICE, offsetof(struct settings, layout), "pair", 0, 0, "pair|half",
     "which channels are a pair: neighbours, or one of either half"},
    {"base", OPTION_REAL, offsetof(struct settings, base), "10000", 1.0001, 1e12, NULL,
     "ratio of the largest to the smallest wavelength"},
    {"fraction", OPTION_REAL, offsetof(struct settings, fraction), "1", 0, 1, NULL,
     "part of a head's channels that turn"},
    {"values", OPTION_CHOICE, offsetof(struct settings, values), "none", 0, 0, "none|v|vo",
     "turn the values too; and the output back"},
    {"trainable", OPTION_BOOL, offsetof(struct settings, trainable), "no", 0, 0, NULL,
     "train the frequencies of each layer and head"},
    {0},
};

// The small addition is for fractions such as 0.58, which are a little less in binary.
static int64_t pairs(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    return (int64_t)(settings->fraction * (double)context->head_dim / 2 + 1e-9);
}

static int check(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    if (settings->fraction == 1 && context->head_dim % 2)
        return err_set(ERR_ARGUMENT,
                       "rope turns pairs of channels, and --dim / --heads is %lld, an odd number; "
                       "change one of them, or take --pe-opt fraction below 1",
                       (long long)context->head_dim);
    if (pairs(context) < 1)
        return err_set(ERR_ARGUMENT,
                       "rope: fraction %g of %lld channels a head is no pair; raise it",
                       settings->fraction, (long long)context->head_dim);
    return 0;
}

static double frequency(const struct pe_context *context, int64_t pair)
{
    const struct settings *settings = context->settings;
    return pe_frequency(context, settings->base, pairs(context), pair);
}

static double angle(const struct pe_context *context, int64_t position, int64_t pair)
{
    return pe_place(context, position) * frequency(context, pair);
}

// exp(shift) of the layer, [1, H, P].
static ag_t *stretch(const struct pe_context *context)
{
    ag_t *shift = pe_of_layer(context, "log_frequency_shift",
                              ag_shape2(context->heads, pairs(context)), 0, 0);
    return ag_reshape(context->graph, ag_exp(context->graph, shift),
                      ag_shape3(1, context->heads, pairs(context)));
}

// The layer's trained angles by position, [T, H, P].
static ag_t *trained_angles(const struct pe_context *context)
{
    ag_t *angles = pe_angles(context, pairs(context), angle);
    angles =
        ag_reshape(context->graph, angles, ag_shape3(angles->shape.size[0], 1, pairs(context)));
    return ag_mul(context->graph, angles, stretch(context));
}

static ag_t *trained_frequencies(const struct pe_context *context);

// The same less whole turns, with all the digits that far positions have.
static ag_t *trained_turns(const struct pe_context *context)
{
    int64_t count = context->position ? context->position_count : context->length;
    ag_t *places = ag_reshape(context->graph, pe_places(context, count), ag_shape3(count, 1, 1));
    return ag_angle(context->graph, places, trained_frequencies(context));
}

// Cosines and sines into the context's memo: once for all layers, or the layer's own.
static void prepare(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    if (settings->trainable) {
        ag_t *angles = pe_by_place(context, trained_turns(context));
        context->memo[COSINE] = ag_cos(context->graph, angles);
        context->memo[SINE] = ag_sin(context->graph, angles);
    } else if (!context->memo[COSINE]) {
        pe_rotation(context, pairs(context), angle, &context->memo[COSINE], &context->memo[SINE]);
    }
}

static void attention(const struct pe_context *context, struct pe_attention *attention)
{
    const struct settings *settings = context->settings;
    enum ag_layout layout = (enum ag_layout)settings->layout;
    prepare(context);
    ag_t *cosine = context->memo[COSINE], *sine = context->memo[SINE];
    pe_turn(context, attention, cosine, sine, layout);
    attention->op.scale *= pe_temperature(context);
    if (settings->values != NONE)
        attention->op.value = ag_rotate(context->graph, attention->op.value, cosine, sine,
                                        context->heads, layout, false);
}

static ag_t *attention_output(const struct pe_context *context, ag_t *output)
{
    const struct settings *settings = context->settings;
    if (settings->values != VO)
        return output;
    return ag_rotate(context->graph, output, context->memo[COSINE], context->memo[SINE],
                     context->heads, (enum ag_layout)settings->layout, true);
}

static unsigned claims_with(const void *of)
{
    const struct settings *settings = of;
    unsigned claims = PE_EXTRAPOLATES | PE_NORM_PRESERVING | PE_POSITION_IN_LOGITS;
    if (settings->values != NONE)
        claims |= PE_PROBE_ENCODER | PE_PROBE_DECODER;
    return settings->values == V ? claims : claims | PE_SHIFT_INVARIANT;
}

static ag_t *frequencies(const struct pe_context *context)
{
    int64_t count = pairs(context);
    real *value = arena_alloc(&context->graph->arena, (size_t)count * sizeof *value);
    if (!value)
        return ag_fail_last(context->graph);
    for (int64_t c = 0; c < count; c++)
        value[c] = (real)frequency(context, c);
    return ag_constant(context->graph, ag_shape1(count), value);
}

// [H, P].
static ag_t *trained_frequencies(const struct pe_context *context)
{
    return ag_mul(
        context->graph, frequencies(context),
        ag_reshape(context->graph, stretch(context), ag_shape2(context->heads, pairs(context))));
}

static ag_t *trained_cosine(const struct pe_context *context)
{
    return ag_cos(context->graph, trained_turns(context));
}

static ag_t *trained_sine(const struct pe_context *context)
{
    return ag_sin(context->graph, trained_turns(context));
}

static void export_trained(const struct pe_context *context, struct pe_tables *tables,
                           const char *layout)
{
    static const struct {
        const char *name, *unit;
        ag_t *(*make)(const struct pe_context *context);
    } list[] = {{"rotation_angles", "radians", trained_angles},
                {"rotation_cosine", NULL, trained_cosine},
                {"rotation_sine", NULL, trained_sine}};
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        pe_export(tables, .name = list[i].name, .axis = {"layer", "position", "head", "pair"},
                  .tensor = pe_all_layers(context, list[i].make), .unit = list[i].unit,
                  .layout = layout, .scale = context->scale,
                  .trained_rows = context->position_count);
    pe_export(tables, .name = "frequencies", .axis = {"layer", "head", "pair"},
              .tensor = pe_all_layers(context, trained_frequencies), .unit = "radians/token",
              .trained_rows = pairs(context));
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    const struct settings *settings = context->settings;
    const char *layout = settings->layout == AG_PAIR ? "pair" : "half";
    if (settings->trainable) {
        export_trained(context, tables, layout);
        return;
    }
    pe_export_rotation(context, tables, pairs(context), angle, layout);
    pe_export(tables, .name = "frequencies", .axis = {"pair"}, .tensor = frequencies(context),
              .unit = "radians/token", .shared_layers = true, .trained_rows = pairs(context));
}

const struct pe_def pe_rope = {
    .name = "rope",
    .title = "rotary positions",
    .family = "rotary",
    .formula = "S_ij = s <R_i q_i, R_j k_j>, R_i turns channel pair c by i base^(-2c/r)",
    .paper = "Su, Lu, Pan, Murtadha, Wen, Liu 2021, arXiv 2104.09864",
    .aliases = "rotary|roformer|rope-linear",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_EXTRAPOLATES | PE_NORM_PRESERVING | PE_POSITION_IN_LOGITS | PE_SHIFT_INVARIANT,
    .claims_with = claims_with,
    .check = check,
    .attention = attention,
    .attention_output = attention_output,
    .tables = tables,
    .reads = PE_READS_OFFSETS,
    .extends = PE_EXTENDS_ROTARY,
};
