// What encodings export: tables that mean what their axes say, and what is known of single ones -
// the buckets of T5 and DeBERTa, Transformer-XL's formula, dot products of sinusoids.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../support/encodings.h"

static const struct encoding_shape shape = {.batch = 1, .height = 3, .width = 4};

__attribute__((format(printf, 3, 4))) static bool wrong(const struct encoding_case *what,
                                                        const struct pe_table *table,
                                                        const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    print_error("%s: %s: %s\n", encoding_text(what).text, table->name, text);
    return false;
}

static int axis_of(const struct pe_table *table, const char *name)
{
    for (int d = 0; d < table->tensor->shape.dims; d++)
        if (strcmp(table->axis[d], name) == 0)
            return d;
    return -1;
}

static int64_t size_of(const struct pe_table *table, int axis)
{
    return table->tensor->shape.size[axis];
}

// --- every table

static bool has_its_axes(const struct encoding_case *what, const struct pe_table *table)
{
    int dims = table->tensor->shape.dims, axes = 0;
    while (axes < 4 && table->axis[axes])
        axes++;
    if (dims != axes)
        return wrong(what, table, "%d dimensions, and %d axes have a name", dims, axes);
    for (int d = 0; d < dims; d++)
        for (int k = 0; k < d; k++)
            if (strcmp(table->axis[d], table->axis[k]) == 0)
                return wrong(what, table, "two axes are called %s", table->axis[d]);
    return true;
}

static bool is_of_the_model(const struct encoding_case *what, const struct encoding_model *m,
                            const struct pe_table *table, int64_t length)
{
    int layer = axis_of(table, "layer"), head = axis_of(table, "head"), offsets = 0;
    if (layer >= 0 && size_of(table, layer) != m->config.layers)
        return wrong(what, table, "%lld layers", (long long)size_of(table, layer));
    if ((layer >= 0) == table->shared_layers)
        return wrong(what, table, "says that layers %s", table->shared_layers ? "share" : "do not");
    if (head >= 0 && size_of(table, head) != m->config.heads)
        return wrong(what, table, "%lld heads", (long long)size_of(table, head));
    for (int d = 0; d < table->tensor->shape.dims; d++) {
        int64_t reach = strcmp(table->axis[d], "offset") == 0          ? length
                        : strcmp(table->axis[d], "row_offset") == 0    ? m->config.grid_height
                        : strcmp(table->axis[d], "column_offset") == 0 ? m->config.grid_width
                                                                       : 0;
        offsets += reach > 0;
        if (reach && size_of(table, d) != 2 * reach - 1)
            return wrong(what, table, "%lld rows along %s, and %lld are within reach",
                         (long long)size_of(table, d), table->axis[d], (long long)reach);
        if (!reach && strstr(table->axis[d], "offset"))
            return wrong(what, table, "an axis %s, which no table has", table->axis[d]);
    }
    const char *sign = table->distance_sign;
    if (offsets ? !sign || strcmp(sign, "key-query") != 0 : sign != NULL)
        return wrong(what, table, "distance_sign is %s", sign ? sign : "missing");
    return true;
}

// Training reaches something, and no more than there is; of positions those of its length, and of a
// kernel every tap.
static bool has_trained_rows(const struct encoding_case *what, const struct pe_table *table,
                             int64_t length)
{
    int first = 0;
    while (first + 1 < table->tensor->shape.dims &&
           (strcmp(table->axis[first], "layer") == 0 || strcmp(table->axis[first], "head") == 0))
        first++;
    bool is_offset = strstr(table->axis[first], "offset");
    int64_t rows = is_offset ? size_of(table, first) / 2 + 1 : size_of(table, first);
    int64_t most = strcmp(table->axis[first], "position") == 0 && length < rows ? length : rows;
    bool all = strcmp(table->axis[first], "position") == 0 ||
               strcmp(table->axis[first], "tap") == 0;
    return (table->trained_rows >= (all ? most : 1) && table->trained_rows <= most) ||
           wrong(what, table, "%lld of %lld rows along %s are trained",
                 (long long)table->trained_rows, (long long)rows, table->axis[first]);
}

static bool is_in_stack(const struct encoding_model *m, const struct pe_table *table)
{
    for (int i = 0; i < m->config.pe.count; i++)
        if (strcmp(m->config.pe.def[i]->name, table->encoding) == 0)
            return true;
    return false;
}

// Positions that the table's encoding meets in training: the length, or those that are drawn from.
static int64_t met_by_owner(const struct encoding_model *m, const struct pe_table *table)
{
    for (int i = 0; i < m->config.pe.count; i++)
        if (strcmp(m->config.pe.def[i]->name, table->encoding) == 0)
            return encoding_context(m, i).position_count;
    return m->length;
}

static bool tables_are_right(const struct encoding_case *what)
{
    struct encoding_model m;
    bool good = true;
    encoding_build(&m, what, &shape);
    ag_forward(m.graph.plan);
    for (int i = 0; i < m.tables.count; i++) {
        const struct pe_table *table = &m.tables.table[i];
        if (!has_its_axes(what, table)) {
            good = false;
            continue;
        }
        int64_t met = met_by_owner(&m, table);
        good &= is_of_the_model(what, &m, table, met);
        good &= has_trained_rows(what, table, met);
        if (!is_in_stack(&m, table))
            good = wrong(what, table, "belongs to %s", table->encoding);
        for (int k = 0; k < i; k++)
            if (strcmp(m.tables.table[k].name, table->name) == 0 &&
                strcmp(m.tables.table[k].encoding, table->encoding) == 0)
                good = wrong(what, table, "is there twice");
        check_finite_array(table->tensor->data, table->tensor->count);
    }
    encoding_close(&m);
    return good;
}

static void tables_mean_what_their_axes_say(void **state)
{
    (void)state;
    encoding_walk(ENCODING_OPTIONS | ENCODING_STACKS, tables_are_right);
}

// --- other lengths

// Element of `table` at the same offset, position, head ... as element `i` of `other`; -1 where it
// has none.
static int64_t same_place(const struct pe_table *table, const struct pe_table *other, int64_t i)
{
    int64_t at[AG_MAX_DIMS], flat = 0;
    for (int d = other->tensor->shape.dims - 1; d >= 0; d--) {
        at[d] = i % size_of(other, d);
        i /= size_of(other, d);
    }
    for (int d = 0; d < table->tensor->shape.dims; d++) {
        if (strcmp(table->axis[d], "offset") == 0)
            at[d] += size_of(table, d) / 2 - size_of(other, d) / 2;
        if (at[d] < 0 || at[d] >= size_of(table, d))
            return -1;
        flat = flat * size_of(table, d) + at[d];
    }
    return flat;
}

static bool agrees(const struct encoding_case *what, const struct pe_table *table,
                   const struct pe_table *other)
{
    if (table->tensor->shape.dims != other->tensor->shape.dims ||
        strcmp(table->name, other->name) != 0)
        return wrong(what, table, "is another table at another length");
    for (int64_t i = 0; i < other->tensor->count; i++) {
        int64_t k = same_place(table, other, i);
        double a = (double)other->tensor->data[i];
        if (k >= 0 &&
            !check_is_close((double)table->tensor->data[k], a, ENCODING_SAME, ENCODING_SAME))
            return wrong(what, table, "element %lld is %g, and %g at another length", (long long)k,
                         (double)table->tensor->data[k], a);
    }
    return true;
}

// A number that belongs to an offset or a position does not depend on how long the row is; on a
// grid, positions move with its width.
static bool tables_of_other_lengths(const struct encoding_case *what)
{
    static const int64_t lengths[] = {6, 24}; // grids of as many rows
    struct encoding_model m;
    bool good = true;
    encoding_build(&m, what, &shape);
    ag_forward(m.graph.plan);
    bool claimed = encoding_claims(&m.config.pe) & PE_EXTRAPOLATES;
    bool is_grid = strcmp(m.config.pe.def[0]->family, "grid") == 0;
    for (int i = 0; claimed && !is_grid && i < 2; i++) {
        struct model_graph graph;
        struct pe_tables tables;
        struct pe_context context = encoding_context(&m, 0);
        const struct pe_def *def = m.config.pe.def[0];
        if (def->max_length && def->max_length(&context) < lengths[i])
            continue;
        if (encoding_capture(&m, lengths[i], &graph, &tables) < 0) {
            print_error("%s: length %lld: %s\n", encoding_text(what).text, (long long)lengths[i],
                        err_last());
            good = false;
            continue;
        }
        ag_forward(graph.plan);
        assert_int_equal(tables.count, m.tables.count);
        for (int t = 0; t < tables.count; t++) {
            good &= is_of_the_model(what, &m, &tables.table[t], lengths[i]);
            good &= agrees(what, &m.tables.table[t], &tables.table[t]);
        }
        model_graph_release(&graph);
    }
    encoding_close(&m);
    return good;
}

static void tables_agree_at_all_lengths(void **state)
{
    (void)state;
    encoding_walk(ENCODING_OPTIONS, tables_of_other_lengths);
}

// --- the clip

// Elements of a table along its offsets.
struct curve {
    const struct pe_table *table;
    int64_t outer, offsets, inner;
};
static struct curve curve_of(const struct pe_table *table)
{
    int d = axis_of(table, "offset");
    struct curve c = {.table = table, .outer = 1, .inner = 1, .offsets = size_of(table, d)};
    for (int k = 0; k < d; k++)
        c.outer *= size_of(table, k);
    for (int k = d + 1; k < table->tensor->shape.dims; k++)
        c.inner *= size_of(table, k);
    return c;
}

// The largest difference between two offsets.
static double between(const struct curve *c, int64_t a, int64_t b)
{
    const real *data = c->table->tensor->data;
    int64_t middle = c->offsets / 2;
    double most = 0;
    for (int64_t o = 0; o < c->outer; o++)
        most = fmax(most,
                    encoding_distance(data + (o * c->offsets + middle + a) * c->inner,
                                      data + (o * c->offsets + middle + b) * c->inner, c->inner));
    return most;
}

// The distance from which all is one, where an option says it; else -1.
static int64_t clip_of(const struct encoding_case *what)
{
    static const char *const keys[] = {"max_distance=", "clamp_length=", "max_length="};
    for (int i = 0; i < what->pairs; i++)
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
            if (strncmp(what->pair[i], keys[k], strlen(keys[k])) == 0)
                return strtol(what->pair[i] + strlen(keys[k]), NULL, 10);
    return -1;
}

static int clipped_tables;

static bool is_constant_past_its_clip(const struct encoding_case *what)
{
    struct encoding_model m;
    int64_t clip = clip_of(what);
    bool good = true;
    if (clip < 0)
        return true;
    encoding_build(&m, what, &(struct encoding_shape){.batch = 1, .height = 1, .width = 23});
    ag_forward(m.graph.plan);
    for (int i = 0; i < m.tables.count; i++) {
        const struct pe_table *table = &m.tables.table[i];
        if (axis_of(table, "offset") < 0)
            continue;
        struct curve c = curve_of(table);
        double inside = 0;
        for (int64_t o = -clip; o <= clip; o++)
            inside = fmax(inside, between(&c, o, 0));
        if (!(inside > ENCODING_OTHER))
            good = wrong(what, table, "is constant within its clip too (%g)", inside);
        for (int64_t o = clip; o < m.length; o++)
            if (between(&c, o, clip) != 0 || between(&c, -o, -clip) != 0)
                good = wrong(what, table, "still changes at offset %lld", (long long)o);
        clipped_tables++;
    }
    encoding_close(&m);
    return good;
}

static void tables_are_constant_past_their_clip(void **state)
{
    (void)state;
    clipped_tables = 0;
    encoding_walk(ENCODING_OPTIONS, is_constant_past_its_clip);
    assert_true(clipped_tables >= 8);
}

// --- single encodings, by what is known of them

static struct encoding_case one_case(const char *pe, bool causal, const char *first,
                                     const char *second)
{
    struct encoding_case what = {.causal = causal};
    snprintf(what.pe, sizeof what.pe, "%s", pe);
    const char *pair[2] = {first, second};
    for (int i = 0; i < 2; i++)
        if (pair[i])
            snprintf(what.pair[what.pairs++], sizeof what.pair[0], "%s", pair[i]);
    return what;
}

static real *parameter(const struct encoding_model *m, const char *name, int64_t count)
{
    int row = ag_params_find(&m->params, name);
    if (row < 0)
        fail_msg("there is no parameter %s", name);
    assert_int_equal(m->params.row[row].count, count);
    return m->params.value + m->params.row[row].offset;
}

static const struct pe_table *table_of(const struct encoding_model *m, const char *name)
{
    for (int i = 0; i < m->tables.count; i++)
        if (strcmp(m->tables.table[i].name, name) == 0)
            return &m->tables.table[i];
    fail_msg("there is no table %s", name);
    return NULL;
}

// The first distance of each bucket, the last one without an end.
static const int64_t causal_starts[32] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                          11, 12, 13, 14, 15, 16, 19, 21, 24, 27, 31,
                                          35, 40, 46, 52, 59, 67, 77, 87, 99, 113};
static const int64_t side_starts[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91};

static int64_t bucket_by_table(bool causal, int64_t offset)
{
    int64_t distance = offset > 0 ? causal ? 0 : offset : -offset, bucket = 0;
    const int64_t *starts = causal ? causal_starts : side_starts;
    for (int64_t b = 0; b < (causal ? 32 : 16); b++)
        if (distance >= starts[b])
            bucket = b;
    return bucket + (offset > 0 && !causal ? 16 : 0);
}

// Bucket b holds b for every head, so that the exported curve is the bucket of each offset.
static void check_t5(bool decoder, const char *option, bool causal)
{
    struct encoding_case what = one_case("t5", decoder, option, NULL);
    struct encoding_model m;
    encoding_build(&m, &what,
                   &(struct encoding_shape){.batch = 1, .height = 1, .width = 300, .layers = 1});
    real *weight = parameter(&m, "pe.t5.weight", 32 * m.config.heads);
    for (int64_t i = 0; i < 32 * m.config.heads; i++)
        weight[i] = (real)(i / m.config.heads);
    ag_forward(m.graph.plan);
    const struct pe_table *table = table_of(&m, "relative_bias");
    assert_int_equal(table->tensor->count, m.config.heads * (2 * m.length - 1));
    for (int64_t h = 0; h < m.config.heads; h++)
        for (int64_t offset = 1 - m.length; offset < m.length; offset++) {
            int64_t bucket =
                (int64_t)table->tensor->data[h * (2 * m.length - 1) + offset + m.length - 1];
            if (bucket != bucket_by_table(causal, offset))
                fail_msg("%s: offset %lld is in bucket %lld, not %lld", encoding_text(&what).text,
                         (long long)offset, (long long)bucket,
                         (long long)bucket_by_table(causal, offset));
        }
    encoding_close(&m);
}

static void t5_buckets_are_those_of_its_code(void **state)
{
    (void)state;
    check_t5(false, NULL, false);
    check_t5(true, NULL, true);
    check_t5(false, "bucketing=causal", true);
    check_t5(true, "bucketing=bidirectional", false);
}

// Row r of P holds r and the maps are the identity: the tables are the row of each offset.
static void check_deberta(const char *pe, const char *p2c, const char *name, int64_t sign)
{
    static const int64_t golden[][2] = {{0, 0}, {1, 1}, {2, 2},  {3, 3},  {4, 4},  {5, 5},
                                        {6, 5}, {8, 6}, {10, 6}, {16, 7}, {20, 7}, {31, 7}};
    struct encoding_case what = one_case(pe, false, "buckets=8", "max_distance=32");
    struct encoding_model m;
    char full[96];
    snprintf(what.pair[what.pairs++], sizeof what.pair[0], "p2c=%s", p2c);
    encoding_build(&m, &what,
                   &(struct encoding_shape){.batch = 1, .height = 1, .width = 40, .layers = 1});
    int64_t c = m.config.dim;
    snprintf(full, sizeof full, "pe.%s.weight", pe);
    real *weight = parameter(&m, full, 16 * c);
    for (int64_t i = 0; i < 16 * c; i++)
        weight[i] = (real)(i / c);
    for (int k = 0; k < 2; k++) {
        snprintf(full, sizeof full, "layers.0.pe.%s.%s.weight", pe, k ? "query" : "key");
        real *map = parameter(&m, full, c * c);
        for (int64_t i = 0; i < c * c; i++)
            map[i] = i / c == i % c;
        snprintf(full, sizeof full, "layers.0.pe.%s.%s.bias", pe, k ? "query" : "key");
        memset(parameter(&m, full, c), 0, (size_t)c * sizeof(real));
    }
    ag_forward(m.graph.plan);
    int64_t last = (m.config.heads - 1) * (2 * m.length - 1), d = c / m.config.heads;
    const real *rows = table_of(&m, name)->tensor->data + last * d; // of the last head
    for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++)
        for (int64_t side = -1; side <= 1; side += 2) { // query minus key
            int64_t distance = side * golden[i][0], bucket = side * golden[i][1];
            double row = (double)rows[(m.length - 1 - sign * distance) * d];
            if (row != (double)(bucket + 8))
                fail_msg("%s: distance %lld is in row %g of %s, not %lld",
                         encoding_text(&what).text, (long long)distance, row, name,
                         (long long)bucket + 8);
        }
    encoding_close(&m);
}

static void deberta_buckets_are_those_of_its_code(void **state)
{
    (void)state;
    static const char *const names[] = {"deberta", "deberta-emd"};
    for (int i = 0; i < 2; i++) {
        check_deberta(names[i], "code", "relative_key", 1);
        check_deberta(names[i], "code", "relative_query", 1);
        check_deberta(names[i], "paper", "relative_key", 1);
        check_deberta(names[i], "paper", "relative_query", -1);
    }
}

// --- Transformer-XL by its formula, each sum written out

struct formula {
    int64_t length, dim, heads, d, clamp;
    const real *u, *v, *weight;
};

// Row `channel` of W r_n, n query minus key.
static double position_key(const struct formula *f, int64_t n, int64_t channel)
{
    double sum = 0;
    int64_t half = f->dim / 2;
    if (f->clamp)
        n = n > f->clamp ? f->clamp : n < -f->clamp ? -f->clamp : n;
    for (int64_t c = 0; c < half; c++) {
        double angle = (double)n * pow(10000, -2.0 * (double)c / (double)f->dim);
        sum += (double)f->weight[channel * f->dim + c] * sin(angle);
        sum += (double)f->weight[channel * f->dim + half + c] * cos(angle);
    }
    return sum;
}

static double logit(const struct formula *f, const real *query, const real *key, int64_t i,
                    int64_t j, int64_t head)
{
    double sum = 0;
    for (int64_t c = head * f->d; c < (head + 1) * f->d; c++) {
        double q = (double)query[i * f->dim + c], k = (double)key[j * f->dim + c];
        sum += (q + (double)f->u[c]) * k + (q + (double)f->v[c]) * position_key(f, i - j, c);
    }
    return sum / sqrt((double)f->d);
}

// Channels of one head of output i.
static void output_row(const struct formula *f, const real *const in[3], int64_t i, int64_t head,
                       bool causal, double *out)
{
    double total = 0;
    for (int64_t c = 0; c < f->d; c++)
        out[c] = 0;
    for (int64_t j = 0; j < (causal ? i + 1 : f->length); j++) {
        double weight = exp(logit(f, in[0], in[1], i, j, head));
        total += weight;
        for (int64_t c = 0; c < f->d; c++)
            out[c] += weight * (double)in[2][j * f->dim + head * f->d + c];
    }
    for (int64_t c = 0; c < f->d; c++)
        out[c] /= total;
}

static struct formula formula_of(const struct encoding_model *m, bool shared, int64_t clamp)
{
    char name[96];
    const char *pe = m->config.pe.def[0]->name;
    struct formula f = {.length = m->length, .dim = m->config.dim, .heads = m->config.heads};
    f.d = f.dim / f.heads;
    f.clamp = clamp;
    snprintf(name, sizeof name, "%spe.%s.u", shared ? "" : "layers.0.", pe);
    f.u = parameter(m, name, f.dim);
    snprintf(name, sizeof name, "%spe.%s.v", shared ? "" : "layers.0.", pe);
    f.v = parameter(m, name, f.dim);
    snprintf(name, sizeof name, "layers.0.pe.%s.position.weight", pe);
    f.weight = parameter(m, name, f.dim * f.dim);
    return f;
}

static void check_exports(const struct encoding_model *m, const struct formula *f)
{
    int64_t offsets = 2 * f->length - 1;
    const real *key = table_of(m, "relative_key")->tensor->data;
    const real *bias = table_of(m, "relative_bias")->tensor->data;
    check_close_array(table_of(m, "content_query_bias")->tensor->data, f->u, f->dim, 0, 0);
    check_close_array(table_of(m, "position_query_bias")->tensor->data, f->v, f->dim, 0, 0);
    for (int64_t o = 0; o < offsets; o++) {
        int64_t n = f->length - 1 - o;
        for (int64_t h = 0; h < f->heads; h++) {
            double sum = 0;
            for (int64_t c = h * f->d; c < (h + 1) * f->d; c++) {
                check_close(key[(h * offsets + o) * f->d + c % f->d], position_key(f, n, c), 0,
                            ENCODING_SAME);
                sum += (double)f->v[c] * position_key(f, n, c);
            }
            check_close(bias[h * offsets + o], sum / sqrt((double)f->d), 0, ENCODING_SAME);
        }
    }
}

// The attention hook of layer 0 on a query, key and value of the test's own.
static void check_attention(struct encoding_model *m, const struct formula *f, bool causal)
{
    struct ag_graph graph;
    struct pe_context context = encoding_context(m, 0);
    ag_t *memo[PE_MEMOS] = {NULL}, *in[3];
    double row[64];
    ag_graph_init(&graph, &m->params);
    for (int k = 0; k < 3; k++)
        in[k] = ag_input(&graph, "x", ag_shape3(1, f->length, f->dim));
    context.graph = &graph;
    context.layer = 0;
    context.memo = memo;
    struct pe_attention a = {.query_stream = in[0], .query = in[0], .key = in[1]};
    a.op = (struct ag_attention){.query = in[0],
                                 .key = in[1],
                                 .value = in[2],
                                 .heads = f->heads,
                                 .scale = 1 / sqrt((double)f->d),
                                 .causal = causal};
    m->config.pe.def[0]->attention(&context, &a);
    ag_t *output = ag_keep(ag_attention(&graph, &a.op));
    struct ag_plan *plan = ag_plan_new(&graph, output, false);
    assert_non_null(plan);
    for (int k = 0; k < 3; k++)
        for (int64_t i = 0; i < in[k]->count; i++)
            in[k]->data[i] = (real)sin((double)(i * (k + 2) + 1));
    ag_forward(plan);
    const real *const data[3] = {in[0]->data, in[1]->data, in[2]->data};
    for (int64_t i = 0; i < f->length; i++)
        for (int64_t h = 0; h < f->heads; h++) {
            output_row(f, data, i, h, causal, row);
            for (int64_t c = 0; c < f->d; c++)
                check_close(output->data[i * f->dim + h * f->d + c], row[c], 0, ENCODING_SAME);
        }
    ag_plan_free(plan);
    ag_graph_release(&graph);
}

static void transformer_xl_is_its_formula(void **state)
{
    (void)state;
    static const char *const names[] = {"transformer-xl", "xlnet"};
    for (int i = 0; i < 8; i++) {
        bool causal = i & 1, clamped = i & 2, shared = i < 4;
        struct encoding_case what =
            one_case(names[i / 4], causal, clamped ? "clamp_length=3" : NULL, NULL);
        struct encoding_model m;
        encoding_build(&m, &what,
                       &(struct encoding_shape){.batch = 1, .height = 1, .width = 9, .layers = 1});
        struct formula f = formula_of(&m, shared, clamped ? 3 : 0);
        ag_forward(m.graph.plan);
        check_exports(&m, &f);
        check_attention(&m, &f, causal);
        encoding_close(&m);
    }
}

// --- sinusoids: <P_m, P_n> is a function of m - n

static void sinusoids_multiply_to_offsets(void **state)
{
    (void)state;
    static const char *const layouts[] = {"layout=interleaved", "layout=halves",
                                          "layout=tensor2tensor"};
    for (int i = 0; i < 6; i++) {
        struct encoding_case what =
            one_case("sinusoidal", false, layouts[i / 2], i % 2 ? "trainable=yes" : NULL);
        struct encoding_model m;
        encoding_build(&m, &what, &shape);
        ag_forward(m.graph.plan);
        const real *p = table_of(&m, "position_table")->tensor->data;
        double by_offset[64] = {0};
        for (int64_t row = 0; row < m.length; row++)
            for (int64_t other = row; other < m.length; other++) {
                double dot = 0;
                for (int64_t c = 0; c < m.config.dim; c++)
                    dot += (double)p[row * m.config.dim + c] * (double)p[other * m.config.dim + c];
                if (row == 0)
                    by_offset[other] = dot;
                check_close(dot, by_offset[other - row], 0, 10 * CHECK_ROUNDING);
            }
        check_close(by_offset[0], (double)m.config.dim / 2, 0, 10 * CHECK_ROUNDING);
        assert_true(fabs(by_offset[3] - by_offset[0]) > 0.1);
        encoding_close(&m);
    }
}

// --- hierarchical is learned where its n positions suffice

static void hierarchical_is_learned_within_its_rows(void **state)
{
    (void)state;
    for (int causal = 0; causal < 2; causal++) {
        struct encoding_case what[2] = {one_case("learned", causal, NULL, NULL),
                                        one_case("hierarchical", causal, NULL, NULL)};
        struct encoding_model m[2];
        for (int i = 0; i < 2; i++)
            encoding_build(&m[i], &what[i], &shape);
        int64_t count = m[0].length * m[0].config.dim;
        memcpy(parameter(&m[1], "pe.hierarchical.weight", count),
               parameter(&m[0], "pe.learned.weight", count), (size_t)count * sizeof(real));
        for (int i = 0; i < 2; i++)
            ag_forward(m[i].graph.plan);
        check_same_bytes(m[1].graph.logits->data, m[0].graph.logits->data,
                         (size_t)m[0].graph.logits->count * sizeof(real));
        for (int i = 0; i < 2; i++)
            encoding_close(&m[i]);
    }
}

CHECK_MAIN(cmocka_unit_test(tables_mean_what_their_axes_say),
           cmocka_unit_test(tables_agree_at_all_lengths),
           cmocka_unit_test(tables_are_constant_past_their_clip),
           cmocka_unit_test(t5_buckets_are_those_of_its_code),
           cmocka_unit_test(deberta_buckets_are_those_of_its_code),
           cmocka_unit_test(transformer_xl_is_its_formula),
           cmocka_unit_test(sinusoids_multiply_to_offsets),
           cmocka_unit_test(hierarchical_is_learned_within_its_rows))
