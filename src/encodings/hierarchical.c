// Learned absolute positions extended hierarchically: n trained rows make n^2 positions (Su 2020,
// Scientific Spaces, article 7947). With U[t] = (P[t] - a P[0]) / (1 - a), position i n + j is
// a U[i] + (1 - a) U[j].
//
// As U[0] = P[0], the first n positions are the rows of P themselves; they are taken from the table
// as they are, so that the encoding has the same bits as `learned` there. a = 0.5 would make the
// positions (i, j) and (j, i) equal and is refused. Conventions are those of the author's code
// (bert4keras, PositionEmbedding(hierarchical=True): a = 0.4). The table starts as learned's,
// N(0, 0.02), and is never decayed.
#include "../../autograd/base/err.h"
#include "common/build.h"

struct settings {
    int64_t rows;
    double alpha;
};

static const struct option_def options[] = {
    {"rows", OPTION_INT, offsetof(struct settings, rows), "0", 0, 1 << 15, NULL,
     "rows n of the table, which make n^2 positions (0: the positions that training meets)"},
    {"alpha", OPTION_REAL, offsetof(struct settings, alpha), "0.4", 0.001, 0.999, NULL,
     "weight of the upper digit of a position, not 0.5"},
    {0},
};

static int64_t table_rows(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    return settings->rows ? settings->rows : context->position_count;
}

static int64_t max_length(const struct pe_context *context)
{
    return table_rows(context) * table_rows(context);
}

static int check(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    if (settings->alpha == 0.5)
        return err_set(ERR_ARGUMENT, "hierarchical: alpha 0.5 makes positions i n + j and j n + i "
                                     "equal; take another, such as 0.4");
    if (max_length(context) < context->position_count)
        return err_set(ERR_ARGUMENT,
                       "hierarchical: %lld rows make %lld positions, fewer than the %lld that "
                       "training meets; raise rows",
                       (long long)table_rows(context), (long long)max_length(context),
                       (long long)context->position_count);
    return 0;
}

static ag_t *weight(const struct pe_context *context)
{
    return pe_shared(context, "weight", ag_shape2(table_rows(context), context->dim), 0, 0.02);
}

// The first `count` positions or more.
static ag_t *position_table(const struct pe_context *context, int64_t count)
{
    const struct settings *settings = context->settings;
    return pe_hierarchy(context, weight(context), settings->alpha, count);
}

static ag_t *input(const struct pe_context *context, ag_t *x)
{
    return ag_add(context->graph, x,
                  pe_rows(context, position_table(context, pe_row_count(context))));
}

static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    int64_t n = table_rows(context), length = context->position_count;
    pe_export(tables, .name = "weight", .axis = {"row", "channel"}, .tensor = weight(context),
              .shared_layers = true, .trained_rows = length < n ? length : n);
    pe_export_positions(context, tables, position_table(context, pe_row_count(context)), length);
}

const struct pe_def pe_hierarchical = {
    .name = "hierarchical",
    .title = "learned absolute positions, n rows extended to n^2 positions",
    .family = "absolute",
    .formula = "x_{in+j} <- x_{in+j} + a U[i] + (1-a) U[j], U[t] = (P[t] - a P[0]) / (1-a)",
    .paper = "Su 2020, Scientific Spaces, article 7947",
    .aliases = "learned-hier|learned-hierarchical",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_EXTRAPOLATES | PE_PROBE_ENCODER | PE_PROBE_DECODER | PE_IDENTITY_AT_ZERO,
    .check = check,
    .input = input,
    .tables = tables,
    .max_length = max_length,
    .position_table = "weight",
    .reads = PE_READS_POSITIONS,
    .extends = PE_EXTENDS_POSITIONS,
};
