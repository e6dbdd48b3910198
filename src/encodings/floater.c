// FLOATER: positions are the path of a neural differential equation, sampled at equal times, with
// p(i) at t_i = i step (Liu, Yu, Dhillon and Hsieh 2020, arXiv 2003.09229).
//
// The dynamics h(t, p) = W_down [relu(W_up [p; t] + c_up); t] + c_down are the "linear" variant of
// the official code, which the released models use, and the solver is its RK4 with five steps a
// position. Where the vectors go is an option. where=qkv, the default, is the official code's form,
// not the paper's sentence: every layer has three start vectors of its own, all go through the same
// dynamics, and the results are added to the layer's projected queries, keys and values.
// where=input adds one path to the input. The official code solves the equation anew every 400
// updates, and fine-tunes a sinusoidal model with step 0.01; here it is solved in every step and
// trained from scratch, with exact gradients of the solver. In short rows a step of 0.01 leaves
// positions all but equal, and in rows of some hundreds one of 0.1 grows past all bounds, so that
// the default makes the training length one unit of time. Starts as there: Xavier-uniform start
// (with the fans PyTorch gives a [3, L, C] tensor), Xavier-normal weights, zero biases.
#include <math.h>

#include "../../autograd/base/err.h"
#include "common/build.h"

enum where { QKV, INPUT };
enum { STREAMS = 3 }; // q, k, v

struct settings {
    int where;
    double step;
    int64_t substeps;
};

static const struct option_def options[] = {
    {"where", OPTION_CHOICE, offsetof(struct settings, where), "qkv", 0, 0, "qkv|input",
     "added to the projected queries, keys and values of each layer, or to the input"},
    {"step", OPTION_REAL, offsetof(struct settings, step), "0", 0, 100, NULL,
     "time from position to position (0: 1 / the training length; the authors' is 0.01)"},
    {"substeps", OPTION_INT, offsetof(struct settings, substeps), "5", 1, 64, NULL,
     "Runge-Kutta steps from position to position"},
    {0},
};

static int check(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    if (context->attention == AG_LINEAR && settings->where == QKV)
        return err_set(ERR_ARGUMENT, "floater: where=qkv adds to what linear attention needs to be "
                                     "positive; take where=input");
    return 0;
}

static ag_t *start_of(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    int64_t c = context->dim, layers = context->layers;
    bool qkv = settings->where == QKV;
    double fans = (double)(qkv ? (STREAMS + layers) * c : 1 + c);
    struct ag_init xavier = {AG_INIT_UNIFORM, 0, sqrt(6.0 / fans)};
    return ag_parameter_from(context->graph, "pe.floater.start",
                             qkv ? ag_shape3(STREAMS, layers, c) : ag_shape1(c), xavier,
                             AG_NO_DECAY);
}

static ag_t *map_weight(const struct pe_context *context, const char *name)
{
    int64_t c = context->dim;
    return ag_parameter(context->graph, name, ag_shape2(c, c + 1), 0,
                        sqrt(2.0 / (double)(2 * c + 1)), AG_NO_DECAY);
}

static ag_t *map_bias(const struct pe_context *context, const char *name)
{
    return ag_parameter(context->graph, name, ag_shape1(context->dim), 0, 0, AG_NO_DECAY);
}

// p(0) .. p(count - 1): [count, 3, L, C], or [count, C] at the input.
static ag_t *solution(const struct pe_context *context, int64_t count)
{
    const struct settings *settings = context->settings;
    // All layers and the export read one solution.
    ag_t *known = *context->memo;
    if (known && known->shape.size[0] == count)
        return known;
    struct ag_neural_ode ode = {.start = start_of(context),
                                .dt = settings->step > 0 ? settings->step
                                                         : 1 / (double)context->position_count,
                                .substeps = settings->substeps,
                                .length = count};
    ode.up_weight = map_weight(context, "pe.floater.up.weight");
    ode.up_bias = map_bias(context, "pe.floater.up.bias");
    ode.down_weight = map_weight(context, "pe.floater.down.weight");
    ode.down_bias = map_bias(context, "pe.floater.down.bias");
    return *context->memo = ag_neural_ode(context->graph, &ode);
}

static ag_t *input(const struct pe_context *context, ag_t *x)
{
    const struct settings *settings = context->settings;
    if (settings->where != INPUT)
        return x;
    return ag_add(context->graph, x, pe_rows(context, solution(context, pe_row_count(context))));
}

// What the context's layer adds to its queries (stream 0), keys (1) or values (2).
static ag_t *path_of(const struct pe_context *context, int64_t stream)
{
    struct ag_graph *graph = context->graph;
    int64_t count = pe_row_count(context);
    ag_t *path = ag_slice(graph, solution(context, count), 1, stream, 1);
    path = ag_slice(graph, path, 2, context->layer, 1);
    return pe_rows(context, ag_reshape(graph, path, ag_shape2(count, context->dim)));
}

static void attention(const struct pe_context *context, struct pe_attention *a)
{
    const struct settings *settings = context->settings;
    struct ag_graph *graph = context->graph;
    if (settings->where != QKV)
        return;
    bool same_query = a->query == a->op.query, same_key = a->key == a->op.key;
    ag_t *query = path_of(context, 0), *key = path_of(context, 1);
    a->op.query = ag_add(graph, a->op.query, query);
    a->op.key = ag_add(graph, a->op.key, key);
    a->op.value = ag_add(graph, a->op.value, path_of(context, 2));
    // The vectors are part of the projection: what relative tables are read with has them too.
    a->query = same_query ? a->op.query : ag_add(graph, a->query, query);
    a->key = same_key ? a->op.key : ag_add(graph, a->key, key);
}

// One stream's paths of all layers, [layer, position, C].
static ag_t *exported_paths(const struct pe_context *context, const struct pe_tables *tables,
                            int64_t stream)
{
    struct ag_graph *graph = context->graph;
    int64_t n = pe_row_count(context), layers = context->layers;
    ag_t *path = ag_slice(graph, solution(context, n), 1, stream, 1);
    path = pe_exported_rows(context, tables,
                            ag_reshape(graph, path, ag_shape2(n, layers * context->dim)));
    path = ag_reshape(graph, path, ag_shape3(path->shape.size[0], layers, context->dim));
    return ag_transpose(graph, path, 0, 1);
}

// p' = down [relu(up [p; t] + c); t] + d: the last column of a weight is that of the time t.
static void export_dynamics(const struct pe_context *context, struct pe_tables *tables)
{
    static const char *const maps[2][2] = {{"up_weight", "up_bias"}, {"down_weight", "down_bias"}};
    for (int i = 0; i < 2; i++) {
        pe_export(
            tables, .name = maps[i][0], .axis = {"channel", "from_channel"},
            .tensor = map_weight(context, i ? "pe.floater.down.weight" : "pe.floater.up.weight"),
            .shared_layers = true, .trained_rows = context->dim);
        pe_export(tables, .name = maps[i][1], .axis = {"channel"},
                  .tensor = map_bias(context, i ? "pe.floater.down.bias" : "pe.floater.up.bias"),
                  .shared_layers = true, .trained_rows = context->dim);
    }
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    static const char *const names[STREAMS] = {"query_path", "key_path", "value_path"};
    const struct settings *settings = context->settings;
    if (settings->where == INPUT)
        pe_export_positions(context, tables, solution(context, pe_row_count(context)),
                            context->position_count);
    for (int i = 0; i < STREAMS && settings->where == QKV; i++)
        pe_export(tables, .name = names[i], .axis = {"layer", "position", "channel"},
                  .tensor = exported_paths(context, tables, i),
                  .trained_rows = context->position_count);
    export_dynamics(context, tables);
}

const struct pe_def pe_floater = {
    .name = "floater",
    .title = "positions on the path of a neural differential equation",
    .family = "absolute",
    .formula = "q_i, k_i, v_i <- + p(i step), dp/dt = W_down [relu(W_up [p; t] + c); t] + d",
    .paper = "Liu, Yu, Dhillon, Hsieh 2020, arXiv 2003.09229",
    .aliases = "neural-ode",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_EXTRAPOLATES | PE_PROBE_ENCODER | PE_PROBE_DECODER | PE_IDENTITY_AT_ZERO,
    .check = check,
    .input = input,
    .attention = attention,
    .tables = tables,
    .reads = PE_READS_POSITIONS,
    .extends = PE_EXTENDS_POSITIONS,
};
