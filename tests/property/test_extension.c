// Models in rows longer than those they were trained on: every encoding under every extension,
// small cases by hand, what is refused, and what is said of it.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../autograd/ops/op.h"
#include "../../src/encodings/common/build.h"
#include "../../src/encodings/common/logn.h"
#include "../../src/encodings/common/rotary.h"
#include "../support/encodings.h"

enum { V = ENCODING_VOCAB };

// --- every encoding

static bool all_finite(const struct model_graph *graph)
{
    bool finite = true;
    for (int64_t i = 0; i < graph->logits->count; i++)
        finite = finite && isfinite((double)graph->logits->data[i]);
    return finite;
}

// The model of the same parameters in longer rows: what model_check_length allows is captured, with
// the same parameters and in numbers; what it refuses is refused in one line.
static bool is_stretched(struct encoding_model *m, const struct encoding_case *what, int64_t length)
{
    struct model_graph graph;
    int rows = m->params.rows;
    int64_t count = m->params.count;
    const char *how = pe_extension_name[m->config.extension], *said = NULL;
    int code = model_check_length(&m->config, length);
    if (code < 0) {
        bool is_line = code == ERR_ARGUMENT && *err_last() && !strchr(err_last(), '\n');
        if (!is_line)
            said = "is refused without a line";
    } else if (encoding_capture(m, length, &graph, NULL) < 0) {
        // A grid has its own say, and a clip has no word in what is no table.
        said = strstr(err_last(), "grid") ? NULL : err_last();
    } else {
        ag_forward(graph.plan);
        if (!all_finite(&graph))
            said = "has numbers that are not finite";
        if (m->params.rows != rows || m->params.count != count)
            said = "has other parameters";
        if (m->config.extension == PE_EXTEND_NONE &&
            strcmp(model_reach(&m->config, length), "undefined") == 0)
            said = "is undefined and was captured";
        model_graph_release(&graph);
    }
    if (said)
        print_error("%s at %lld, extension %s: %s\n", encoding_text(what).text, (long long)length,
                    how, said);
    return !said;
}

static bool stretches(const struct encoding_case *what)
{
    struct encoding_model m;
    bool good = true;
    encoding_build(&m, what, &(struct encoding_shape){.batch = 1, .height = 3, .width = 4});
    int64_t met = 0;
    for (int i = 0; i < m.config.pe.count; i++)
        met = encoding_context(&m, i).position_count > met ? encoding_context(&m, i).position_count
                                                           : met;
    for (int how = 0; how < PE_EXTENSIONS; how++) {
        m.config.extension = (enum pe_extension)how;
        good &= is_stretched(&m, what, met + 3) && is_stretched(&m, what, 2 * met);
    }
    encoding_close(&m);
    return good;
}

static void every_encoding_keeps_its_parameters(void **state)
{
    (void)state;
    encoding_walk(ENCODING_OPTIONS, stretches);
}

// Within what training met, no extension changes a bit.
static bool is_itself_within(const struct encoding_case *what)
{
    static real plain[12 * V];
    struct encoding_model m;
    bool good = true;
    encoding_build(&m, what, &(struct encoding_shape){.batch = 1, .height = 3, .width = 4});
    for (int how = 0; how < PE_EXTENSIONS; how++) {
        struct model_graph graph;
        m.config.extension = (enum pe_extension)how;
        check_ok(model_check_length(&m.config, 12));
        assert_string_equal(model_reach(&m.config, 12), "inside");
        check_ok(encoding_capture(&m, 12, &graph, NULL));
        ag_forward(graph.plan);
        if (how == PE_EXTEND_NONE)
            memcpy(plain, graph.logits->data, sizeof plain);
        good = good && memcmp(plain, graph.logits->data, sizeof plain) == 0;
        model_graph_release(&graph);
    }
    encoding_close(&m);
    if (!good)
        print_error("%s: an extension changes rows of the training length\n",
                    encoding_text(what).text);
    return good;
}

static void nothing_changes_within_the_training_length(void **state)
{
    (void)state;
    encoding_walk(ENCODING_ROWS, is_itself_within);
}

// --- by hand

// Row i of the parameter becomes row from[i] of the other model's.
static void copy_rows(const struct encoding_model *to, int row, const struct encoding_model *of,
                      const int64_t *from)
{
    const struct ag_parameter *target = &to->params.row[row];
    int source = ag_params_find(&of->params, target->name);
    assert_true(source >= 0);
    int64_t rows = target->shape.size[0], width = target->count / rows;
    for (int64_t i = 0; i < rows; i++)
        memcpy(to->params.value + target->offset + i * width,
               of->params.value + of->params.row[source].offset + from[i] * width,
               (size_t)width * sizeof(real));
}

// Whether `pe`, trained at `met` and stretched to `length`, is the model that was trained at
// `length` with the rows that `from` names in all parameters called `table`; every other parameter
// is shared.
static void check_rows(const char *pe, const char *table, enum pe_extension extension, int64_t met,
                       int64_t length, const int64_t *from)
{
    struct encoding_case what = {.pairs = 0};
    struct encoding_model shorter, longer;
    struct model_graph graph;
    int tables = 0;
    snprintf(what.pe, sizeof what.pe, "%s", pe);
    encoding_build(&shorter, &what, &(struct encoding_shape){1, 1, met, 0, 0, 0, 0, 0});
    encoding_build(&longer, &what, &(struct encoding_shape){1, 1, length, 0, 0, 0, 0, 0});
    for (int i = 0; i < longer.params.rows; i++) {
        if (!strstr(longer.params.row[i].name, table))
            continue;
        copy_rows(&longer, i, &shorter, from);
        tables++;
    }
    assert_true(tables > 0);
    shorter.config.extension = extension;
    check_ok(encoding_capture(&shorter, length, &graph, NULL));
    memcpy(longer.graph.tokens->index, graph.tokens->index, (size_t)length * sizeof(int32_t));
    ag_forward(graph.plan);
    ag_forward(longer.graph.plan);
    check_close_array(graph.logits->data, longer.graph.logits->data, length * V, CHECK_ROUNDING,
                      CHECK_ROUNDING);
    model_graph_release(&graph);
    encoding_close(&longer);
    encoding_close(&shorter);
}

static void clipped_and_wrapped_rows_are_those_of_the_table(void **state)
{
    (void)state;
    static const int64_t clipped[] = {0, 1, 2, 2, 2, 2, 2}, wrapped[] = {0, 1, 2, 0, 1, 2, 0};
    check_rows("learned", "pe.learned.weight", PE_EXTEND_CLIP, 3, 7, clipped);
    check_rows("learned", "pe.learned.weight", PE_EXTEND_WRAP, 3, 7, wrapped);
    check_rows("multiplicative", "pe.multiplicative.weight", PE_EXTEND_CLIP, 3, 7, clipped);
    check_rows("tupe", "pe.tupe.weight", PE_EXTEND_WRAP, 3, 7, wrapped);
}

static void clipped_distances_are_the_farthest_trained(void **state)
{
    (void)state;
    // Offsets -4..4 of the longer table from -2..2 of the trained one.
    static const int64_t rows[] = {0, 0, 0, 1, 2, 3, 4, 4, 4};
    check_rows("urpe", "pe.urpe.factor", PE_EXTEND_CLIP, 3, 5, rows);
    // Sixteen to either side have a row, and two are trained.
    int64_t near[33];
    for (int64_t i = 0; i < 33; i++)
        near[i] = i < 14 ? 14 : i > 18 ? 18 : i;
    check_rows("shaw", ".pe.shaw.", PE_EXTEND_CLIP, 3, 9, near);
}

// A table of numbers as `extension` stretches it: [length].
static void stretch(enum pe_extension extension, int64_t rows, int64_t met, int64_t length,
                    const real *table, real *to)
{
    struct ag_graph graph;
    ag_graph_init(&graph, NULL);
    struct pe_context context = {.graph = &graph,
                                 .batch = 1,
                                 .length = length,
                                 .train_length = met,
                                 .position_count = met,
                                 .extension = extension,
                                 .name = "test"};
    ag_t *made = ag_keep(pe_rows(&context, ag_constant(&graph, ag_shape2(rows, 1), table)));
    struct ag_plan *plan = ag_plan_new(&graph, ag_sum_all(&graph, made), false);
    assert_non_null(plan);
    assert_int_equal(made->count, length);
    ag_forward(plan);
    memcpy(to, made->data, (size_t)length * sizeof *to);
    ag_plan_free(plan);
    ag_graph_release(&graph);
}

static void rows_between_rows_are_their_mean(void **state)
{
    (void)state;
    static const real table[4] = {1, 2, 4, 100}; // the last was not trained
    static const double five[5] = {1, 1.5, 2, 3, 4}, four[4] = {1, 5.0 / 3, 8.0 / 3, 4};
    real row[9];
    stretch(PE_EXTEND_INTERPOLATE, 4, 3, 5, table, row);
    check_close_array(row, five, 5, CHECK_ROUNDING, 0);
    stretch(PE_EXTEND_INTERPOLATE, 3, 3, 4, table, row);
    check_close_array(row, four, 4, CHECK_ROUNDING, 0);
    stretch(PE_EXTEND_INTERPOLATE, 1, 1, 3, table, row);
    check_close_array(row, ((const double[]){1, 1, 1}), 3, CHECK_ROUNDING, 0);
}

// U = (1, 8/3, 6), and 0.4 U[i] + 0.6 U[j].
static void three_rows_make_nine(void **state)
{
    (void)state;
    static const real table[4] = {1, 2, 4, 100};
    static const double nine[9] = {1, 2, 4, 5.0 / 3, 8.0 / 3, 14.0 / 3, 3, 4, 6};
    real row[9];
    stretch(PE_EXTEND_HIERARCHICAL, 3, 3, 9, table, row);
    check_close_array(row, nine, 9, CHECK_ROUNDING, 0);
    stretch(PE_EXTEND_HIERARCHICAL, 4, 3, 9, table, row);
    check_close_array(row, nine, 9, CHECK_ROUNDING, 0);
}

// --- rotations

static struct pe_context rotary(enum pe_extension extension, int64_t met, int64_t length)
{
    return (struct pe_context){
        .length = length, .train_length = met, .position_count = met, .extension = extension};
}

static void interpolated_places_are_between_the_trained(void **state)
{
    (void)state;
    struct pe_context context = rotary(PE_EXTEND_INTERPOLATE, 4, 7);
    for (int64_t i = 0; i < 7; i++)
        check_close(pe_place(&context, i), 0.5 * (double)i, 1e-15, 0);
    for (int64_t pair = 0; pair < 4; pair++)
        check_close(pe_frequency(&context, 10000, 4, pair), pow(10, -(double)pair), 1e-14, 0);
    context = rotary(PE_EXTEND_NONE, 4, 7);
    check_close(pe_place(&context, 5), 5, 0, 0);
}

// The base for rows four times as long, d = 16, is 48760.546168: the fastest pair stays, and the
// slowest is four times slower.
static void ntk_enlarges_the_base(void **state)
{
    (void)state;
    struct pe_context context = rotary(PE_EXTEND_NTK, 64, 256);
    for (int64_t pair = 0; pair < 8; pair++)
        check_close(pe_frequency(&context, 10000, 8, pair), pow(48760.546168, -(double)pair / 8),
                    1e-10, 0);
    check_close(pe_frequency(&context, 10000, 8, 7), pow(10000, -7.0 / 8) / 4, 1e-14, 0);
    check_close(pe_frequency(&context, 10000, 1, 0), 1, 0, 0);
}

static void yarn_slows_the_slow_pairs(void **state)
{
    (void)state;
    static const double theta[8] = {1,      0.237170825, 0.05,    0.007905694,
                                    0.0025, 0.000790569, 0.00025, 0.000079057};
    struct pe_context context = rotary(PE_EXTEND_YARN, 64, 256);
    for (int64_t pair = 0; pair < 8; pair++)
        check_close(pe_frequency(&context, 10000, 8, pair), theta[pair], 1e-5, 0);
    check_close(pe_temperature(&context), 1.138629 * 1.138629, 1e-6, 0);
    context = rotary(PE_EXTEND_NTK, 64, 256);
    check_close(pe_temperature(&context), 1, 0, 0);
}

// Where the ramp begins past the first pair, where it ends past the last, and where it has no
// length. From the formula of the authors' code, in Python.
static void yarn_ramps_between_its_borders(void **state)
{
    (void)state;
    static const int64_t pair[] = {0, 15, 16, 17, 20, 28, 40, 41, 42, 63};
    static const double longer[] = {1.0,
                                    0.11547819846894582,
                                    0.1,
                                    0.08399853936592634,
                                    0.049486036616750724,
                                    0.011380988224249107,
                                    0.0008854377448471463,
                                    0.0006846049085660903,
                                    0.0005928434264154138,
                                    2.8869549617236455e-05};
    struct pe_context context = rotary(PE_EXTEND_YARN, 2048, 8192);
    for (size_t i = 0; i < sizeof pair / sizeof pair[0]; i++)
        check_close(pe_frequency(&context, 10000, 64, pair[i]), longer[i], 1e-13, 0);
    static const double clamped[] = {1.0, 0.7808323855927349, 0.6060915267313265,
                                     0.4671885094653547};
    static const double steep[] = {1.0, 0.03333333333333333, 0.0033333333333333335,
                                   0.0003333333333333333};
    for (int64_t i = 0; i < 4; i++) {
        context = rotary(PE_EXTEND_YARN, 64, 128);
        check_close(pe_frequency(&context, 2, 4, i), clamped[i], 1e-13, 0);
        context = rotary(PE_EXTEND_YARN, 4, 12);
        check_close(pe_frequency(&context, 10000, 4, i), steep[i], 1e-13, 0);
    }
}

// --- scales of logits

// Without a mask: query i of a decoder sees i + 1 keys, of an encoder all.
static void logn_counts_keys_without_a_mask(void **state)
{
    (void)state;
    enum { LENGTH = 5 };
    for (int causal = 0; causal < 2; causal++) {
        struct ag_graph graph;
        struct rng rng;
        ag_t *memo[PE_MEMOS] = {0};
        ag_graph_init(&graph, NULL);
        rng_init(&rng, rng_stream(1, "logn"), 0, 0);
        struct pe_context context = {.graph = &graph,
                                     .batch = 1,
                                     .length = LENGTH,
                                     .train_length = LENGTH,
                                     .position_count = LENGTH,
                                     .causal = causal,
                                     .memo = memo};
        ag_t *x = ag_case_leaf(&graph, &rng, ag_shape3(1, LENGTH, 2), 1, 1);
        struct pe_attention a = {.query = x, .key = x, .op = {.query = x, .key = x, .value = x}};
        pe_scale_by_logn(&context, &a, 4, false);
        ag_t *y = ag_keep(a.op.query);
        struct ag_plan *plan = ag_plan_new(&graph, y, false);
        assert_non_null(plan);
        ag_forward(plan);
        for (int64_t i = 0; i < 2 * LENGTH; i++)
            check_close(y->data[i], log((double)(causal ? i / 2 + 1 : LENGTH)) / log(4),
                        CHECK_ROUNDING, CHECK_ROUNDING);
        ag_plan_free(plan);
        ag_graph_release(&graph);
    }
}

// --- ALiBi's slopes

static void check_slopes(int64_t heads, const double *power)
{
    struct encoding_case what = {.pe = "alibi"};
    struct encoding_model m;
    encoding_build(&m, &what, &(struct encoding_shape){1, 1, 3, 1, heads, 2 * heads, 0, 0});
    ag_forward(m.graph.plan);
    assert_string_equal(m.tables.table[1].name, "slopes");
    for (int64_t h = 0; h < heads; h++) {
        double slope = pow(2, power[h]);
        check_close(m.tables.table[1].tensor->data[h], slope, CHECK_ROUNDING, 0);
        for (int64_t offset = -2; offset <= 2; offset++)
            check_close(m.tables.table[0].tensor->data[h * 5 + offset + 2],
                        -slope * fabs((double)offset), CHECK_ROUNDING, 0);
    }
    encoding_close(&m);
}

static void slopes_are_the_papers(void **state)
{
    (void)state;
    check_slopes(1, (const double[]){-8});
    check_slopes(2, (const double[]){-4, -8});
    check_slopes(3, (const double[]){-4, -8, -2});
    check_slopes(4, (const double[]){-2, -4, -6, -8});
    check_slopes(6, (const double[]){-2, -4, -6, -8, -1, -3});
    check_slopes(8, (const double[]){-1, -2, -3, -4, -5, -6, -7, -8});
    check_slopes(12, (const double[]){-1, -2, -3, -4, -5, -6, -7, -8, -0.5, -1.5, -2.5, -3.5});
}

// --- what is said, and what is refused

static struct model_config config_of(const char *pe, int pairs, const char *const *pair,
                                     enum pe_extension extension, bool causal)
{
    struct model_config config = {.layers = 1,
                                  .heads = 2,
                                  .dim = 8,
                                  .ff_dim = 4,
                                  .vocab = 3,
                                  .train_length = 16,
                                  .causal = causal,
                                  .extension = extension};
    check_ok(pe_stack_init(&config.pe, pe, pairs, pair));
    check_ok(model_check(&config));
    return config;
}

static void what_a_stack_does_has_a_word(void **state)
{
    (void)state;
    static const struct {
        const char *pe, *pair;
        enum pe_extension extension;
        bool causal;
        int64_t length;
        const char *word;
    } known[] = {
        {"none", NULL, PE_EXTEND_NONE, false, 32, "extrapolated"},
        {"learned", NULL, PE_EXTEND_NONE, false, 16, "inside"},
        {"learned", NULL, PE_EXTEND_NONE, false, 17, "undefined"},
        {"learned", "max_length=20", PE_EXTEND_NONE, false, 20, "untrained"},
        {"learned", "max_length=20", PE_EXTEND_NONE, false, 21, "undefined"},
        {"learned", NULL, PE_EXTEND_CLIP, false, 32, "clipped"},
        {"learned", NULL, PE_EXTEND_WRAP, false, 32, "wrapped"},
        {"learned", NULL, PE_EXTEND_INTERPOLATE, false, 32, "interpolated"},
        {"learned", NULL, PE_EXTEND_HIERARCHICAL, false, 32, "hierarchical"},
        {"sinusoidal", NULL, PE_EXTEND_NONE, false, 32, "extrapolated"},
        {"rope", NULL, PE_EXTEND_NONE, false, 32, "extrapolated"},
        {"rope", NULL, PE_EXTEND_NTK, false, 32, "rescaled"},
        {"rope", NULL, PE_EXTEND_YARN, false, 32, "rescaled"},
        {"rope", NULL, PE_EXTEND_LOGN, false, 32, "extrapolated"},
        {"shaw", "max_distance=15", PE_EXTEND_NONE, false, 32, "clipped"},
        {"shaw", NULL, PE_EXTEND_NONE, false, 32, "untrained"}, // 16 is met by none of 16 tokens
        {"t5", NULL, PE_EXTEND_NONE, false, 32, "untrained"},
        {"t5", "max_distance=10", PE_EXTEND_NONE, false, 32, "clipped"},
        {"urpe", NULL, PE_EXTEND_NONE, false, 32, "clipped"},
        {"deberta", NULL, PE_EXTEND_NONE, true, 32, "clipped"},
        {"deberta", NULL, PE_EXTEND_NONE, false, 32, "untrained"},
        {"transformer-xl", NULL, PE_EXTEND_NONE, false, 32, "extrapolated"},
        {"transformer-xl", "clamp_length=9", PE_EXTEND_NONE, false, 32, "clipped"},
        {"alibi", NULL, PE_EXTEND_NONE, false, 32, "extrapolated"},
        {"alibi+urpe", NULL, PE_EXTEND_NONE, false, 32, "extrapolated"},
        {"learned+rope", NULL, PE_EXTEND_NONE, false, 32, "undefined"},
        {"random-positions+learned", NULL, PE_EXTEND_NONE, false, 2048, "inside"},
        {"random-positions+rope", NULL, PE_EXTEND_NONE, false, 2049, "undefined"},
        {"shift-positions+learned", NULL, PE_EXTEND_NONE, false, 32, "inside"},
        {"shift-positions+learned+rope", NULL, PE_EXTEND_NONE, false, 32, "extrapolated"},
        {"shift-positions+learned", NULL, PE_EXTEND_CLIP, false, 64, "clipped"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct model_config config = config_of(known[i].pe, known[i].pair != NULL, &known[i].pair,
                                               known[i].extension, known[i].causal);
        const char *word = model_reach(&config, known[i].length);
        if (strcmp(word, known[i].word) != 0)
            fail_msg("%s %s, %s, at %lld is %s, not %s", known[i].pe,
                     known[i].pair ? known[i].pair : "", pe_extension_name[known[i].extension],
                     (long long)known[i].length, word, known[i].word);
        int code = model_check_length(&config, known[i].length);
        assert_int_equal(code < 0, strcmp(word, "undefined") == 0);
        pe_stack_release(&config.pe);
    }
}

static void check_refused(const char *pe, enum pe_extension extension, int64_t length,
                          const char *in_line)
{
    struct model_config config = config_of(pe, 0, NULL, extension, false);
    check_error(model_check_length(&config, length), ERR_ARGUMENT, in_line);
    pe_stack_release(&config.pe);
}

static void what_has_no_meaning_is_refused(void **state)
{
    (void)state;
    check_refused("learned", PE_EXTEND_NONE, 17, "learned ends at 16 positions, and length 17");
    check_refused("learned", PE_EXTEND_NTK, 17, "--extend ntk has no meaning for learned");
    check_refused("learned", PE_EXTEND_YARN, 17, "it is for rope");
    check_refused("rope", PE_EXTEND_WRAP, 17, "--extend wrap has no meaning for rope");
    check_refused("none", PE_EXTEND_CLIP, 17, "--extend clip has no meaning for none");
    check_refused("learned", PE_EXTEND_HIERARCHICAL, 257, "16 rows make 256 positions");
    check_refused("learned+rope", PE_EXTEND_NTK, 17, "learned ends at 16");
    check_refused("rope+logn", PE_EXTEND_LOGN, 17, "logn scales logits already");
    check_refused("random-positions+rope", PE_EXTEND_NONE, 2049, "random-positions ends at 2048");
}

static void check_stack_refused(const char *pe, const char *in_line)
{
    struct model_config config = {
        .layers = 1, .heads = 2, .dim = 8, .ff_dim = 4, .vocab = 3, .train_length = 16};
    check_ok(pe_stack_init(&config.pe, pe, 0, NULL));
    check_error(model_check(&config), ERR_ARGUMENT, in_line);
    pe_stack_release(&config.pe);
}

static void positions_that_nothing_reads_are_refused(void **state)
{
    (void)state;
    check_stack_refused("random-positions", "nothing after it reads any");
    check_stack_refused("random-positions+conv", "nothing after it reads any");
    check_stack_refused("random-positions+learned2d", "nothing after it reads any");
    check_stack_refused("rope+random-positions", "put it first, as random-positions+rope");
    check_stack_refused("learned+logn+random-positions", "put it first");
    check_stack_refused("random-positions+shift-positions+rope", "both give positions");
    check_stack_refused("shift-positions+rope", "reads more than their distances");
    check_stack_refused("shift-positions+shaw+t5", "reads more than their distances");
}

// --- positions that are drawn

// The positions of a model in training, [B, T].
static void drawn_by(const char *pe, int32_t *positions, int64_t count)
{
    struct encoding_case what = {.pairs = 0};
    struct encoding_model m;
    const struct ag_tensor *drawn = NULL;
    snprintf(what.pe, sizeof what.pe, "%s", pe);
    encoding_build(&m, &what, &(struct encoding_shape){.batch = 2, .height = 3, .width = 4});
    struct ag_run *run = ag_plan_run(m.graph.plan);
    run->training = true;
    run->seed = 3;
    run->step = 5;
    for (struct ag_tensor *t = m.graph.graph.first; t; t = t->next)
        if (t->type == AG_INT && t->name && strstr(t->name, "/sample_positions"))
            drawn = t;
    assert_non_null(drawn);
    assert_int_equal(drawn->count, count);
    ag_forward(m.graph.plan);
    memcpy(positions, drawn->index, (size_t)count * sizeof *positions);
    encoding_close(&m);
}

// Paired: two runs that differ in what reads the positions draw the same.
static void every_encoding_draws_the_same(void **state)
{
    (void)state;
    static const char *const pe[] = {"random-positions+rope", "random-positions+learned",
                                     "random-positions+shaw+t5", "random-positions+sinusoidal"};
    int32_t first[24], other[24];
    drawn_by(pe[0], first, 24);
    for (size_t i = 1; i < sizeof pe / sizeof pe[0]; i++) {
        drawn_by(pe[i], other, 24);
        check_same_bytes(other, first, sizeof first);
    }
}

CHECK_MAIN(cmocka_unit_test(every_encoding_keeps_its_parameters),
           cmocka_unit_test(nothing_changes_within_the_training_length),
           cmocka_unit_test(clipped_and_wrapped_rows_are_those_of_the_table),
           cmocka_unit_test(clipped_distances_are_the_farthest_trained),
           cmocka_unit_test(rows_between_rows_are_their_mean),
           cmocka_unit_test(three_rows_make_nine),
           cmocka_unit_test(interpolated_places_are_between_the_trained),
           cmocka_unit_test(ntk_enlarges_the_base), cmocka_unit_test(yarn_slows_the_slow_pairs),
           cmocka_unit_test(yarn_ramps_between_its_borders),
           cmocka_unit_test(logn_counts_keys_without_a_mask),
           cmocka_unit_test(slopes_are_the_papers), cmocka_unit_test(what_a_stack_does_has_a_word),
           cmocka_unit_test(what_has_no_meaning_is_refused),
           cmocka_unit_test(positions_that_nothing_reads_are_refused),
           cmocka_unit_test(every_encoding_draws_the_same))
