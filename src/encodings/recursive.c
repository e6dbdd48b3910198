// Recursive absolute positions: p_0 is trained, p_{k+1} = f(W p_k + b), x_k <- x_k + p_k (Su 2021,
// Scientific Spaces, article 8130, section on recursive positions).
//
// The trajectory does not depend on the tokens and is made once for the batch. The survey leaves f
// open: tanh, or with cell=linear the identity, of which a rotation W is the sinusoid. W starts
// orthogonal and p_0 as small as other tables, N(0, 0.02), where tanh is all but linear: the
// trajectory starts as a rotation that neither dies out nor leaves the embeddings' scale.
#include "../../autograd/base/err.h"
#include "common/build.h"

enum cell { TANH, LINEAR };

struct settings {
    int cell;
};

static const struct option_def options[] = {
    {"cell", OPTION_CHOICE, offsetof(struct settings, cell), "tanh", 0, 0, "tanh|linear",
     "f of p_{k+1} = f(W p_k + b)"},
    {0},
};

static ag_t *recurrent_weight(const struct pe_context *context)
{
    struct ag_init orthogonal = {AG_INIT_ORTHOGONAL, 0, 1};
    return ag_parameter_from(context->graph, "pe.recursive.weight",
                             ag_shape2(context->dim, context->dim), orthogonal, AG_NO_DECAY);
}

static ag_t *bias(const struct pe_context *context)
{
    return pe_shared(context, "bias", ag_shape1(context->dim), 0, 0);
}

// p_0 .. p_{count-1} as [count, C].
static ag_t *trajectory(const struct pe_context *context, int64_t count)
{
    const struct settings *settings = context->settings;
    struct ag_graph *graph = context->graph;
    int64_t c = context->dim;
    ag_t *start = pe_shared(context, "start", ag_shape1(c), 0, 0.02);
    ag_t *first = ag_reshape(graph, start, ag_shape2(1, c));
    if (count == 1)
        return first;
    int32_t *zero = arena_alloc(&graph->arena, (size_t)(count - 1) * sizeof *zero);
    if (!zero)
        return ag_fail_last(graph);
    ag_t *steps = ag_gather(graph, ag_reshape(graph, bias(context), ag_shape2(1, c)),
                            ag_constant_index(graph, ag_shape2(1, count - 1), zero));
    ag_t *rest =
        ag_recurrence(graph, steps, recurrent_weight(context), start, settings->cell == TANH);
    rest = ag_reshape(graph, rest, ag_shape2(count - 1, c));
    return ag_concat(graph, 2, (ag_t *const[]){first, rest}, 0);
}

static ag_t *input(const struct pe_context *context, ag_t *x)
{
    return ag_add(context->graph, x, pe_rows(context, trajectory(context, pe_row_count(context))));
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    pe_export_positions(context, tables, trajectory(context, pe_row_count(context)),
                        context->position_count);
    pe_export(tables, .name = "weight", .axis = {"channel", "from_channel"},
              .tensor = recurrent_weight(context), .shared_layers = true,
              .trained_rows = context->dim);
    pe_export(tables, .name = "bias", .axis = {"channel"}, .tensor = bias(context),
              .shared_layers = true, .trained_rows = context->dim);
}

const struct pe_def pe_recursive = {
    .name = "recursive",
    .title = "recursive absolute positions",
    .family = "absolute",
    .formula = "x_k <- x_k + p_k, p_{k+1} = tanh(W p_k + b)",
    .paper = "Su 2021, Scientific Spaces, article 8130",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_EXTRAPOLATES | PE_PROBE_ENCODER | PE_PROBE_DECODER | PE_IDENTITY_AT_ZERO,
    .input = input,
    .tables = tables,
    .reads = PE_READS_POSITIONS,
    .extends = PE_EXTENDS_POSITIONS,
};
