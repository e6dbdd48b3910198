// Complex-valued embeddings: z_k = x exp(i (f_w k + g_w)), x the embedding of word w at position k,
// with a frequency and a phase for every word and channel, and a complex network behind (Wang et
// al. 2020, arXiv 1912.12333).
//
// The stream is two: rows of the real part, then rows of the imaginary part, [2B, T, C]. All linear
// maps, norms and MLPs act on each with the same real weights, as in the authors' classification
// code; after the last layer a linear map of both gives the real stream that the head reads. The
// score is the modulus of the product of query and key, without conjugation, as in both of their
// codes: phases add, and equal tokens score by i + j. conjugate=yes takes the real part of the
// product with the conjugate instead: phases subtract, and the score depends on i - j, which is
// close to RoPE. Not copied from the released code: the swap of the two streams after the first
// layer, positions that run backwards, and missing phases. Frequencies start as the sinusoid's for
// every word, phases at zero; with share=dims the one frequency of a word starts at 1.
#include <math.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "common/build.h"

#define HIDDEN 1e30 // subtracted from the score of a hidden key; its exponential is exactly 0

enum share { NONE, WORDS, DIMS };

struct settings {
    bool conjugate;
    int share;
};

static const struct option_def options[] = {
    {"conjugate", OPTION_BOOL, offsetof(struct settings, conjugate), "no", 0, 0, NULL,
     "score by the real part of q times conjugate k, not by the modulus of q k"},
    {"share", OPTION_CHOICE, offsetof(struct settings, share), "none", 0, 0, "none|words|dims",
     "one frequency and phase for all words, or for all channels of a word"},
    {0},
};

static int check(const struct pe_context *context)
{
    if (context->attention != AG_SOFTMAX)
        return err_set(ERR_ARGUMENT,
                       "complex has scores of its own, under softmax only; leave out --attention");
    return 0;
}

static ag_t *table(const struct pe_context *context, bool phase)
{
    const struct settings *settings = context->settings;
    struct ag_shape shape = ag_shape2(settings->share == WORDS ? 1 : context->vocab,
                                      settings->share == DIMS ? 1 : context->dim);
    struct ag_init zero = {AG_INIT_NORMAL, 0, 0}, sinusoid = {AG_INIT_FREQUENCIES, 0, 10000};
    return ag_parameter_from(context->graph, phase ? "pe.complex.phase" : "pe.complex.frequency",
                             shape, phase ? zero : sinusoid, AG_NO_DECAY);
}

// The table's rows for the tokens: [B, T, C or 1], or its one row [1, C].
static ag_t *for_tokens(const struct pe_context *context, bool phase)
{
    const struct settings *settings = context->settings;
    ag_t *rows = table(context, phase);
    return settings->share == WORDS ? rows : ag_gather(context->graph, rows, context->tokens);
}

// Positions as numbers, [T, 1] or [B, T, 1].
static ag_t *positions(const struct pe_context *context)
{
    if (!context->position)
        return pe_places(context, context->length);
    return ag_gather(context->graph, pe_places(context, context->position_count),
                     context->position);
}

static ag_t *input(const struct pe_context *context, ag_t *x)
{
    struct ag_graph *graph = context->graph;
    ag_t *angle = ag_angle(graph, for_tokens(context, false), positions(context));
    angle = ag_add(graph, angle, for_tokens(context, true));
    ag_t *part[2] = {ag_mul(graph, x, ag_cos(graph, angle)),
                     ag_mul(graph, x, ag_sin(graph, angle))};
    return ag_concat(graph, 2, part, 0);
}

// [2B, T, C] by heads: the real part [B, H, T, D], then the imaginary one.
static void split(const struct pe_context *context, ag_t *x, ag_t *part[2])
{
    struct ag_graph *graph = context->graph;
    int64_t b = context->batch;
    ag_t *heads =
        ag_reshape(graph, x, ag_shape4(2 * b, context->length, context->heads, context->head_dim));
    heads = ag_transpose(graph, heads, 1, 2);
    part[0] = ag_slice(graph, heads, 0, 0, b);
    part[1] = ag_slice(graph, heads, 0, b, b);
}

static ag_t *pair(struct ag_graph *graph, ag_t *a, ag_t *b)
{
    return ag_concat(graph, 2, (ag_t *const[]){a, b}, 3);
}

// Scores [B, H, T, T]. With both parts side by side a complex product is two real ones.
static ag_t *scores(const struct pe_context *context, const struct pe_attention *a, bool conjugate)
{
    struct ag_graph *graph = context->graph;
    ag_t *q[2], *k[2];
    split(context, a->op.query, q);
    split(context, a->op.key, k);
    ag_t *query = pair(graph, q[0], q[1]), *key = pair(graph, k[0], k[1]);
    if (conjugate)
        return ag_affine(graph, ag_matmul(graph, query, false, key, true), a->op.scale, 0);
    ag_t *real_part = ag_matmul(graph, pair(graph, q[0], ag_neg(graph, q[1])), false, key, true);
    ag_t *imaginary_part = ag_matmul(graph, query, false, pair(graph, k[1], k[0]), true);
    ag_t *square = ag_add(graph, ag_square(graph, real_part), ag_square(graph, imaginary_part));
    ag_t *modulus = ag_sqrt(graph, ag_affine(graph, square, 1, 1e-12)); // smooth at zero
    return ag_affine(graph, modulus, a->op.scale, 0);
}

// 1 where query i may see key j, else 0: [B, 1, 1 or T, T].
static ag_t *visible(const struct pe_context *context, const struct pe_attention *a)
{
    struct ag_graph *graph = context->graph;
    int64_t n = context->length;
    real *past = arena_alloc(&graph->arena, (size_t)(n * n) * sizeof *past);
    if (!past)
        return ag_fail_last(graph);
    for (int64_t i = 0; i < n * n; i++)
        past[i] = !a->op.causal || i % n <= i / n;
    ag_t *causal = ag_constant(graph, ag_shape4(1, 1, n, n), past);
    if (!a->op.key_mask)
        return causal;
    ag_t *truth = ag_constant(graph, ag_shape1(2), (const real[]){0, 1});
    ag_t *keys = ag_reshape(graph, ag_gather(graph, truth, a->op.key_mask),
                            ag_shape4(context->batch, 1, 1, n));
    return a->op.causal ? ag_mul(graph, keys, causal) : keys;
}

// Softmax over the keys that a query may see; none for a query that may see no key.
static ag_t *weights(const struct pe_context *context, const struct pe_attention *a, ag_t *score)
{
    struct ag_graph *graph = context->graph;
    ag_t *seen = visible(context, a);
    score = ag_add(graph, score, ag_affine(graph, seen, HIDDEN, -HIDDEN));
    return ag_dropout(graph, ag_mul(graph, ag_softmax(graph, score), seen), a->op.dropout);
}

static ag_t *join(const struct pe_context *context, ag_t *both, int64_t part)
{
    struct ag_graph *graph = context->graph;
    ag_t *one = ag_slice(graph, both, 3, part * context->head_dim, context->head_dim);
    return ag_reshape(graph, ag_transpose(graph, one, 1, 2),
                      ag_shape3(context->batch, context->length, context->dim));
}

static bool has_more_terms(const struct ag_attention *op)
{
    return op->query_relative.table || op->key_relative.table || op->value_relative.table ||
           op->bias.table || op->factor.table || op->dense_bias || op->row_bias || op->column_bias;
}

static ag_t *attend(const struct pe_context *context, const struct pe_attention *a, bool conjugate)
{
    struct ag_graph *graph = context->graph;
    char scope[AG_NAME_SIZE];
    if (has_more_terms(&a->op))
        return ag_fail(graph, "complex scores take no bias, table or factor of another encoding; "
                              "leave it out of the stack");
    memcpy(scope, graph->scope, sizeof scope);
    ag_scope(graph, "layers.%lld.pe.complex", (long long)context->layer);
    ag_t *v[2];
    split(context, a->op.value, v);
    ag_t *a_ij = weights(context, a, scores(context, a, conjugate));
    ag_t *both = ag_matmul(graph, a_ij, false, pair(graph, v[0], v[1]), false);
    ag_t *part[2] = {join(context, both, 0), join(context, both, 1)};
    ag_t *output = ag_concat(graph, 2, part, 0);
    ag_scope(graph, "%s", scope);
    return output;
}

static ag_t *modulus_kernel(const struct pe_context *context, struct pe_attention *a)
{
    return attend(context, a, false);
}

static ag_t *conjugate_kernel(const struct pe_context *context, struct pe_attention *a)
{
    return attend(context, a, true);
}

// The kernel is called with the context of the stack's last encoding, so that it may not read the
// settings itself.
static void attention(const struct pe_context *context, struct pe_attention *a)
{
    const struct settings *settings = context->settings;
    if (a->kernel)
        ag_fail(context->graph, "complex and another encoding both replace the attention; leave "
                                "one out of the stack");
    a->kernel = settings->conjugate ? conjugate_kernel : modulus_kernel;
}

static ag_t *output_weight(const struct pe_context *context)
{
    int64_t c = context->dim;
    struct ag_init xavier = {AG_INIT_UNIFORM, 0, sqrt(6.0 / (double)(3 * c))};
    return ag_parameter_from(context->graph, "pe.complex.output.weight", ag_shape2(c, 2 * c),
                             xavier, AG_DECAY);
}

static ag_t *output_bias(const struct pe_context *context)
{
    return ag_parameter(context->graph, "pe.complex.output.bias", ag_shape1(context->dim), 0, 0,
                        AG_NO_DECAY);
}

static ag_t *output(const struct pe_context *context, ag_t *x)
{
    struct ag_graph *graph = context->graph;
    int64_t b = context->batch;
    ag_t *part[2] = {ag_slice(graph, x, 0, 0, b), ag_slice(graph, x, 0, b, b)};
    return ag_linear(graph, ag_concat(graph, 2, part, 2), output_weight(context),
                     output_bias(context));
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    ag_t *frequency = table(context, false);
    int64_t words = frequency->shape.size[0];
    pe_export(tables, .name = "frequency", .axis = {"word", "channel"}, .tensor = frequency,
              .unit = "radians/token", .shared_layers = true, .trained_rows = words);
    pe_export(tables, .name = "phase", .axis = {"word", "channel"}, .tensor = table(context, true),
              .unit = "radians", .shared_layers = true, .trained_rows = words);
    pe_export(tables, .name = "output_weight", .axis = {"channel", "from_channel"},
              .tensor = output_weight(context), .shared_layers = true,
              .trained_rows = context->dim);
    pe_export(tables, .name = "output_bias", .axis = {"channel"}, .tensor = output_bias(context),
              .shared_layers = true, .trained_rows = context->dim);
}

const struct pe_def pe_complex = {
    .name = "complex",
    .title = "complex-valued embeddings that turn with the position",
    .family = "absolute",
    .formula = "z_k = x exp(i (f_w k + g_w)), S_kl = |Q_k K_l| / sqrt(D)",
    .paper = "Wang, Zhao, Lioma, Li, Zhang, Simonsen 2020, arXiv 1912.12333",
    .aliases = "complex-order",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_EXTRAPOLATES | PE_PROBE_ENCODER | PE_PROBE_DECODER,
    .check = check,
    .input = input,
    .attention = attention,
    .output = output,
    .tables = tables,
    .reads = PE_READS_POSITIONS,
    .extends = PE_EXTENDS_POSITIONS,
};
