// The Transformer as a graph: embedding, pre-LN blocks, final LayerNorm, head, loss.
#include "model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../encodings/common/logn.h"
#include "../encodings/common/theorem.h"
#include "model_anatomy.h"

#define INIT_STD 0.02
#define LAYER_NORM_EPSILON 1e-5

struct builder {
    struct ag_graph *graph;
    const struct model_config *config;
    struct pe_context context;
    ag_t *memo[PE_MAX_STACK + 1][PE_MEMOS]; // the last is the model's own
    double scale;                           // of the attention op, as the hooks left it
    ag_t *drawn, *changed; // positions: given by an encoding; clipped or wrapped by an extension
    struct model_anatomy *anatomy; // what encodings do is noted here; NULL: nowhere
};

// The encoding of the stack that gives positions, or -1.
static int sampler_of(const struct pe_stack *pe)
{
    for (int i = 0; i < pe->count; i++)
        if (pe->def[i]->positions)
            return i;
    return -1;
}

static bool reads_drawn(const struct pe_stack *pe, int i)
{
    int sampler = sampler_of(pe);
    return sampler >= 0 && pe_reads_from(pe->def[i], pe_stack_claims(pe, i), pe->def[sampler]);
}

struct pe_context model_context(const struct model_config *config, int i, int64_t batch,
                                int64_t length)
{
    const struct pe_stack *pe = &config->pe;
    const struct pe_def *def = pe->def[i];
    struct pe_context context = {.batch = batch,
                                 .length = length,
                                 .train_length = config->train_length,
                                 .position_count = config->train_length,
                                 .dim = config->dim,
                                 .heads = config->heads,
                                 .head_dim = config->dim / config->heads,
                                 .layers = config->layers,
                                 .vocab = config->vocab,
                                 .causal = config->causal,
                                 .attention = config->attention,
                                 .grid_height = config->grid_height,
                                 .grid_width = config->grid_width,
                                 .layer = -1};
    int sampler = sampler_of(pe);
    if (i == sampler || reads_drawn(pe, i)) {
        context.settings = pe->settings[sampler];
        context.position_count = pe->def[sampler]->position_range(&context);
    }
    context.settings = pe->settings[i];
    context.name = def->name;
    if (length > context.position_count && (def->extends & PE_EXTENDS(config->extension)))
        context.extension = config->extension;
    return context;
}

// Positions that are given need one encoding that gives them, and after it one that reads them.
static int check_positions(const struct pe_stack *pe)
{
    const struct pe_def *sampler = NULL, *before = NULL;
    bool is_read = false;
    for (int i = 0; i < pe->count; i++) {
        const struct pe_def *def = pe->def[i];
        if (def->positions && sampler)
            return err_set(ERR_ARGUMENT, "%s and %s both give positions; leave one out",
                           sampler->name, def->name);
        if (def->positions && before)
            return err_set(ERR_ARGUMENT,
                           "%s gives the positions that %s reads; put it first, as %s+%s",
                           def->name, before->name, def->name, before->name);
        before = def->reads != PE_READS_NOTHING ? def : before;
        sampler = def->positions ? def : sampler;
        is_read |= sampler && pe_reads_from(def, pe_stack_claims(pe, i), sampler);
    }
    if (!sampler || is_read)
        return 0;
    if (sampler->claims & PE_SHIFT_INVARIANT)
        return err_set(
            ERR_ARGUMENT,
            "%s moves all positions of a row alike, and nothing after it reads more than "
            "their distances; add an absolute encoding, as %s+%s",
            sampler->name, sampler->name, sampler->shown_with);
    return err_set(ERR_ARGUMENT,
                   "%s gives positions, and nothing after it reads any; add an encoding that does, "
                   "as %s+%s",
                   sampler->name, sampler->name, sampler->shown_with);
}

int model_check(const struct model_config *config)
{
    if (config->dim % config->heads)
        return err_set(ERR_ARGUMENT,
                       "--dim %lld is not divisible by --heads %lld; each head takes an equal part",
                       (long long)config->dim, (long long)config->heads);
    int positions = check_positions(&config->pe);
    if (positions < 0)
        return positions;
    for (int i = 0; i < config->pe.count; i++) {
        const struct pe_def *def = config->pe.def[i];
        struct pe_context context = model_context(config, i, 1, config->train_length);
        if (config->attention == AG_LINEAR && (def->claims & PE_NEEDS_LOGITS))
            return err_set(ERR_ARGUMENT,
                           "%s changes logits or weights, and linear attention has none; leave out "
                           "--attention linear",
                           def->name);
        if ((def->claims & PE_CAUSAL_ONLY) && !config->causal)
            return err_set(ERR_ARGUMENT, "%s has a meaning only in a decoder; add --arch decoder",
                           def->name);
        int code = def->check ? def->check(&context) : 0;
        if (code < 0)
            return code;
    }
    return 0;
}

// Positions past those that training met, brought back among them: a constant index [T].
static ag_t *changed_positions(struct builder *b, const struct pe_context *context)
{
    int64_t length = context->length, met = context->position_count;
    if (b->changed)
        return b->changed;
    int32_t *index = arena_alloc(&b->graph->arena, (size_t)length * sizeof *index);
    if (!index)
        return ag_fail_last(b->graph);
    for (int64_t i = 0; i < length; i++)
        index[i] = (int32_t)(i < met                                ? i
                             : context->extension == PE_EXTEND_CLIP ? met - 1
                                                                    : i % met);
    return b->changed = ag_constant_index(b->graph, ag_shape1(length), index);
}

// The context as encoding `i` of the stack sees it.
static const struct pe_context *context_for(struct builder *b, int i)
{
    const struct pe_def *def = b->config->pe.def[i];
    struct pe_context context = model_context(b->config, i, b->context.batch, b->context.length);
    context.graph = b->graph;
    context.tokens = b->context.tokens;
    context.mask = b->context.mask;
    context.layer = b->context.layer;
    context.scale = b->scale;
    context.memo = b->memo[i];
    if (context.extension == PE_EXTEND_NONE && reads_drawn(&b->config->pe, i))
        context.position = b->drawn;
    if ((context.extension == PE_EXTEND_CLIP || context.extension == PE_EXTEND_WRAP) &&
        (def->extends & PE_EXTENDS(PE_EXTEND_WRAP)))
        context.position = changed_positions(b, &context);
    b->context = context;
    return &b->context;
}

static ag_t *parameter(struct builder *b, const char *name, struct ag_shape shape, double mean,
                       double std, enum ag_decay decay)
{
    char full[AG_NAME_SIZE];
    if (b->context.layer >= 0)
        snprintf(full, sizeof full, "layers.%lld.%s", (long long)b->context.layer, name);
    else
        snprintf(full, sizeof full, "%s", name);
    return ag_parameter(b->graph, full, shape, mean, std, decay);
}

struct weights {
    ag_t *weight, *bias;
};

static struct weights linear_weights(struct builder *b, const char *name, ag_t *x, int64_t out,
                                     double std)
{
    struct weights w;
    char full[64];
    int64_t in = x->shape.size[x->shape.dims - 1];
    snprintf(full, sizeof full, "%s.weight", name);
    w.weight = parameter(b, full, ag_shape2(out, in), 0, std, AG_DECAY);
    snprintf(full, sizeof full, "%s.bias", name);
    w.bias = parameter(b, full, ag_shape1(out), 0, 0, AG_NO_DECAY);
    return w;
}

static ag_t *linear(struct builder *b, const char *name, ag_t *x, int64_t out, double std)
{
    struct weights w = linear_weights(b, name, x, out, std);
    return ag_linear(b->graph, x, w.weight, w.bias);
}

static ag_t *layer_norm(struct builder *b, const char *name, ag_t *x)
{
    char full[64];
    snprintf(full, sizeof full, "%s.weight", name);
    ag_t *gain = parameter(b, full, ag_shape1(b->config->dim), 1, 0, AG_NO_DECAY);
    snprintf(full, sizeof full, "%s.bias", name);
    ag_t *bias = parameter(b, full, ag_shape1(b->config->dim), 0, 0, AG_NO_DECAY);
    return ag_layer_norm(b->graph, x, gain, bias, LAYER_NORM_EPSILON);
}

// Projections back into the residual stream start smaller, as 2 L of them are added up.
static double residual_std(const struct model_config *config)
{
    return INIT_STD / sqrt(2.0 * (double)config->layers);
}

// stream + dropout(linear(x)), in one op where nothing is dropped.
static ag_t *back_to_stream(struct builder *b, const char *name, ag_t *x, ag_t *stream)
{
    const struct model_config *config = b->config;
    struct weights w = linear_weights(b, name, x, config->dim, residual_std(config));
    if (config->dropout == 0)
        return ag_linear_add(b->graph, x, w.weight, w.bias, stream);
    ag_t *y = ag_linear(b->graph, x, w.weight, w.bias);
    return ag_add(b->graph, stream, ag_dropout(b->graph, y, config->dropout));
}

// What of attention only one encoding of a stack can make; biases add up.
enum { BY_QUERY, BY_KEY, BY_VALUE, FACTOR, TURN, TABLES };
static const char *const table_name[TABLES] = {
    "a table that queries are read with", "a table that keys are read with",
    "a table that is added to the values", "a factor on the weights",
    "a rotation or a bias of its own for queries and keys"};

static void tables_of(const struct pe_attention *a, ag_t *table[TABLES])
{
    const struct ag_attention *op = &a->op;
    table[BY_QUERY] = op->query_relative.table;
    table[BY_KEY] = op->key_relative.table;
    table[BY_VALUE] = op->value_relative.table;
    table[FACTOR] = op->factor.table;
    table[TURN] = a->turn;
}

// Every encoding's attention hook; one that would take the place of another's work is refused.
static void run_attention_hooks(struct builder *b, struct pe_attention *a)
{
    const struct pe_stack *pe = &b->config->pe;
    const char *owner[TABLES] = {NULL};
    for (int i = 0; i < pe->count; i++) {
        ag_t *before[TABLES], *after[TABLES];
        const char *name = pe->def[i]->name;
        if (!pe->def[i]->attention)
            continue;
        tables_of(a, before);
        const struct pe_attention was = *a;
        pe->def[i]->attention(context_for(b, i), a);
        model_anatomy_attention(b->anatomy, name, b->context.layer, &was, a);
        tables_of(a, after);
        for (int k = 0; k < TABLES; k++) {
            if (before[k] && after[k] != before[k])
                ag_fail(b->graph, "%s and %s cannot stack, as each has %s; leave one out", owner[k],
                        name, table_name[k]);
            if (!before[k] && after[k])
                owner[k] = name;
        }
    }
}

// elu(x) + 1, the positive features of linear attention (Katharopoulos et al. 2020, arXiv
// 2006.16236), so put that small values keep their digits.
static ag_t *features(struct builder *b, ag_t *x)
{
    ag_t *below = ag_neg(b->graph, ag_relu(b->graph, ag_neg(b->graph, x)));
    return ag_add(b->graph, ag_exp(b->graph, below), ag_relu(b->graph, x));
}

// Queries and keys as hooks left them make the numerator, as they were before the denominator.
static ag_t *linear_attention(struct builder *b, const struct pe_attention *a)
{
    struct ag_linear_attention op = {.turned_query = a->op.query,
                                     .query = a->query,
                                     .turned_key = a->op.key,
                                     .key = a->key,
                                     .value = a->op.value,
                                     .key_mask = a->op.key_mask,
                                     .heads = a->op.heads,
                                     .causal = a->op.causal};
    return ag_linear_attention(b->graph, &op);
}

static ag_t *attend(struct builder *b, struct pe_attention *a)
{
    if (a->kernel)
        return a->kernel(&b->context, a);
    return a->op.normaliser == AG_LINEAR ? linear_attention(b, a) : ag_attention(b->graph, &a->op);
}

// `h` is what keys and values come from, `query_stream` what queries come from: the same [B, T, C],
// but where an encoding parted them. Returns `stream` with the layer's output added.
static ag_t *attention(struct builder *b, ag_t *query_stream, ag_t *h, ag_t *key_mask, ag_t *stream)
{
    const struct model_config *config = b->config;
    const struct pe_stack *pe = &config->pe;
    struct pe_attention a = {.query_stream = query_stream};
    a.op = (struct ag_attention){
        .query = linear(b, "attn.q", query_stream, config->dim, INIT_STD),
        .key = linear(b, "attn.k", h, config->dim, INIT_STD),
        .value = linear(b, "attn.v", h, config->dim, INIT_STD),
        .key_mask = key_mask,
        .heads = config->heads,
        .scale = 1 / sqrt((double)b->context.head_dim),
        .causal = config->causal,
        .dropout = config->dropout,
        .normaliser = config->attention,
    };
    if (config->attention == AG_LINEAR) {
        a.op.query = features(b, a.op.query);
        a.op.key = features(b, a.op.key);
    }
    a.query = a.op.query;
    a.key = a.op.key;
    run_attention_hooks(b, &a);
    b->scale = a.op.scale;
    if (config->extension == PE_EXTEND_LOGN && b->context.length > config->train_length) {
        b->context.memo = b->memo[PE_MAX_STACK];
        pe_scale_by_logn(&b->context, &a, (double)config->train_length, true);
        model_anatomy_other(b->anatomy, "--extend logn", "scales each query by what it sees");
    }
    // Relative tables are read with what was projected, whatever turned it since.
    if (a.op.query_relative.table && !a.op.relative_query && a.op.query != a.query)
        a.op.relative_query = a.query;
    if (a.op.key_relative.table && !a.op.relative_key && a.op.key != a.key)
        a.op.relative_key = a.key;
    ag_t *output = attend(b, &a);
    for (int i = 0; i < pe->count; i++) {
        const ag_t *was = output;
        if (pe->def[i]->attention_output)
            output = pe->def[i]->attention_output(context_for(b, i), output);
        model_anatomy_stream(b->anatomy, pe->def[i]->name, was, output);
    }
    return back_to_stream(b, "attn.o", output, stream);
}

static ag_t *mlp(struct builder *b, ag_t *h, ag_t *stream)
{
    struct weights up = linear_weights(b, "mlp.up", h, b->config->ff_dim, INIT_STD);
    h = ag_linear_gelu(b->graph, h, up.weight, up.bias);
    return back_to_stream(b, "mlp.down", h, stream);
}

// Runs one stream hook of every encoding that has it, in the order of the stack.
static ag_t *through(struct builder *b, size_t hook, ag_t *x)
{
    typedef ag_t *stream_hook(const struct pe_context *context, ag_t *x);
    for (int i = 0; i < b->config->pe.count; i++) {
        const struct pe_def *def = b->config->pe.def[i];
        stream_hook *const *slot = (stream_hook *const *)(const void *)((const char *)def + hook);
        if (b->context.layer < 0)
            ag_scope(b->graph, "pe.%s", def->name);
        else
            ag_scope(b->graph, "layers.%lld.pe.%s", (long long)b->context.layer, def->name);
        ag_t *was = x;
        if (*slot)
            x = (*slot)(context_for(b, i), x);
        if (hook == offsetof(struct pe_def, input))
            model_anatomy_input(b->anatomy, def->name, was, x);
        else
            model_anatomy_stream(b->anatomy, def->name, was, x);
    }
    return x;
}

static ag_t *block(struct builder *b, ag_t *x, ag_t *key_mask)
{
    long long layer = b->context.layer;
    x = through(b, offsetof(struct pe_def, layer_input), x);
    ag_t *stream = through(b, offsetof(struct pe_def, query_input), x);
    ag_scope(b->graph, "layers.%lld.attn", layer);
    ag_t *h = layer_norm(b, "ln1", x);
    ag_t *query_stream = stream == x ? h : layer_norm(b, "ln1", stream);
    x = attention(b, query_stream, h, key_mask, stream);
    ag_scope(b->graph, "layers.%lld.mlp", layer);
    x = mlp(b, layer_norm(b, "ln2", x), x);
    return through(b, offsetof(struct pe_def, layer_output), x);
}

// Where an encoding gives positions, unless the graph is stretched past all that can be drawn.
static void draw_positions(struct builder *b)
{
    const struct pe_stack *pe = &b->config->pe;
    int sampler = sampler_of(pe);
    if (sampler < 0)
        return;
    const struct pe_context *context = context_for(b, sampler);
    ag_scope(b->graph, "pe.%s", pe->def[sampler]->name);
    if (b->anatomy && (pe_stack_claims(pe, sampler) & PE_SHIFT_INVARIANT))
        return; // outside of training a row begins at 0
    model_anatomy_other(b->anatomy, pe->def[sampler]->name, "draws positions for each row anew");
    if (context->length <= context->position_count || b->config->extension == PE_EXTEND_NONE)
        b->drawn = ag_keep(pe->def[sampler]->positions(context));
}

static ag_t *embed(struct builder *b, ag_t *table, ag_t *tokens)
{
    ag_scope(b->graph, "emb");
    ag_t *x = ag_gather(b->graph, table, tokens);
    draw_positions(b);
    x = through(b, offsetof(struct pe_def, input), x);
    ag_scope(b->graph, "emb");
    return ag_dropout(b->graph, x, b->config->dropout);
}

static void build(struct builder *b, struct model_graph *model)
{
    const struct model_config *config = b->config;
    ag_t *table = parameter(b, "tok_emb.weight", ag_shape2(config->vocab, config->dim), 0, INIT_STD,
                            AG_NO_DECAY);
    ag_t *x = embed(b, table, model->tokens);
    for (b->context.layer = 0; b->context.layer < config->layers; b->context.layer++)
        x = block(b, x, model->mask);
    b->context.layer = -1;
    x = through(b, offsetof(struct pe_def, output), x);
    ag_scope(b->graph, "head");
    x = layer_norm(b, "ln_f", x);
    ag_t *head = config->tie ? table
                             : parameter(b, "head.weight", ag_shape2(config->vocab, config->dim), 0,
                                         INIT_STD, AG_DECAY);
    model->logits = ag_linear(b->graph, x, head, NULL);
    model->loss =
        ag_cross_entropy(b->graph, model->logits, model->targets, config->label_smoothing);
}

// What the encodings export is built beside the model, so that one forward computes it too.
static void build_tables(struct builder *b, struct pe_tables *tables)
{
    for (int i = 0; i < b->config->pe.count; i++) {
        int first = tables->count;
        ag_scope(b->graph, "tables.%s", b->config->pe.def[i]->name);
        if (b->config->pe.def[i]->tables)
            b->config->pe.def[i]->tables(context_for(b, i), tables);
        for (int k = first; k < tables->count; k++)
            tables->table[k].encoding = b->config->pe.def[i]->name;
    }
}

// The model, and what the encodings export, or what they are seen to do, where it is asked for.
static void capture(struct model_graph *model, const struct model_config *config,
                    struct ag_params *params, int64_t batch, int64_t length,
                    struct pe_tables *tables, struct model_anatomy *anatomy)
{
    memset(model, 0, sizeof *model);
    ag_graph_init(&model->graph, params);
    model->graph.parts = config->parts;
    model->graph.rows = batch;
    model->batch = batch;
    model->length = length;
    struct builder b = {.graph = &model->graph,
                        .config = config,
                        .context = model_context(config, 0, batch, length),
                        .anatomy = anatomy};
    model->tokens = ag_input_index(&model->graph, "tokens", ag_shape2(batch, length));
    model->targets = ag_input_index(&model->graph, "targets", ag_shape2(batch, length));
    model->mask = ag_input_index(&model->graph, "mask", ag_shape2(batch, length));
    b.context.graph = &model->graph;
    b.context.tokens = model->tokens;
    b.context.mask = model->mask;
    build(&b, model);
    if (tables)
        build_tables(&b, tables);
}

static int captured(struct model_graph *model)
{
    if (!model->graph.error)
        return 0;
    int code = err_set(model->graph.error, "%s", model->graph.message);
    model_graph_release(model);
    return code;
}

int model_graph_capture(struct model_graph *model, const struct model_config *config,
                        struct ag_params *params, int64_t batch, int64_t length,
                        struct pe_tables *tables)
{
    capture(model, config, params, batch, length, tables, NULL);
    ag_keep(model->logits);
    model->output = ag_keep(model->loss);
    return captured(model);
}

int model_graph_outline(struct model_graph *model, const struct model_config *config,
                        struct ag_params *params, int64_t batch, int64_t length)
{
    capture(model, config, params, batch, length, NULL, NULL);
    return captured(model);
}

// The model is captured, too, as hooks hand tensors on to each other; what no table needs is not in
// the plan. Nothing here is in parts: no table varies with the batch.
int model_tables_capture(struct model_graph *model, const struct model_config *config,
                         struct ag_params *params, int64_t length, struct pe_tables *tables)
{
    struct model_config whole = *config;
    whole.parts = 0;
    capture(model, &whole, params, 1, length, tables, NULL);
    model->output = tables->count ? tables->table[0].tensor : NULL;
    return captured(model);
}

int model_anatomy_capture(struct model_graph *model, const struct model_config *config,
                          struct ag_params *params, int64_t length, struct model_anatomy *anatomy)
{
    struct model_config whole = *config;
    whole.parts = 0;
    *anatomy = (struct model_anatomy){.graph = &model->graph};
    anatomy->layer = calloc((size_t)config->layers, sizeof *anatomy->layer);
    if (!anatomy->layer)
        return err_set(ERR_MEMORY, "out of memory for what encodings do");
    for (int64_t l = 0; l < config->layers; l++)
        anatomy->layer[l].scale = 1;
    capture(model, &whole, params, 1, length, NULL, anatomy);
    const struct model_anatomy_layer *first = anatomy->layer;
    model->output = anatomy->positions  ? ag_keep(anatomy->positions)
                    : first->cosine     ? first->cosine
                    : first->bias.table ? first->bias.table
                                        : first->keys.table;
    int code = captured(model);
    if (code < 0)
        model_anatomy_release(anatomy);
    return code;
}

int model_graph_plan(struct model_graph *model, bool backward)
{
    model->plan = ag_plan_new(&model->graph, model->output, backward);
    return model->plan ? 0 : err_code();
}

void model_graph_release(struct model_graph *model)
{
    ag_plan_free(model->plan);
    ag_graph_release(&model->graph);
    memset(model, 0, sizeof *model);
}

void model_predictions(const struct model_graph *model, int32_t *predictions)
{
    int64_t rows = model->batch * model->length, vocab = model->logits->count / rows;
    for (int64_t i = 0; i < rows; i++) {
        const real *logits = model->logits->data + i * vocab;
        int64_t best = 0;
        for (int64_t v = 1; v < vocab; v++)
            if (logits[v] > logits[best])
                best = v;
        predictions[i] = (int32_t)best;
    }
}
