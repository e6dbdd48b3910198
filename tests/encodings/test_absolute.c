// Absolute encodings against their formulas, each through its own hooks: golden numbers, plain
// loops in double, and identities between encodings.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../autograd/base/rng.h"
#include "../support/encodings.h"

// --- an input hook on its own

struct fixture {
    struct ag_params params;
    struct ag_graph graph;
    struct pe_stack stack;
    struct pe_context context;
    ag_t *memo[PE_MEMOS], *x, *y;
    struct ag_plan *plan;
};

struct trial {
    const char *pe;
    int pairs;
    const char *pair[4];
    int64_t batch, length, dim;
    int64_t train_length; // 0: length
    bool causal;
    const int32_t *position; // [length], or NULL
};

// Parameters by name, as the models of support/encodings.c draw them; x is [B, T, C] in [-1, 1).
static void draw(struct fixture *f)
{
    struct rng rng;
    for (int i = 0; i < f->params.rows; i++) {
        const struct ag_parameter *row = &f->params.row[i];
        rng_init(&rng, rng_stream(7, row->name), 0, 0);
        for (int64_t k = 0; k < row->count; k++)
            f->params.value[row->offset + k] =
                (real)(row->init.mean + 0.6 * (rng_uniform(&rng) - 0.5));
    }
    rng_init(&rng, rng_stream(7, "x"), 0, 0);
    for (int64_t i = 0; i < f->x->count; i++)
        f->x->data[i] = (real)(2 * rng_uniform(&rng) - 1);
}

static const struct pe_def *open(struct fixture *f, const struct trial *t)
{
    memset(f, 0, sizeof *f);
    par_set_threads(1);
    ag_params_init(&f->params);
    ag_graph_init(&f->graph, &f->params);
    check_ok(pe_stack_init(&f->stack, t->pe, t->pairs, t->pair));
    const struct pe_def *def = f->stack.def[0];
    f->context =
        (struct pe_context){.graph = &f->graph,
                            .batch = t->batch,
                            .length = t->length,
                            .train_length = t->train_length ? t->train_length : t->length,
                            .position_count = t->train_length ? t->train_length : t->length,
                            .dim = t->dim,
                            .heads = 1,
                            .head_dim = t->dim,
                            .layers = 1,
                            .vocab = 3,
                            .causal = t->causal,
                            .layer = -1,
                            .memo = f->memo,
                            .settings = f->stack.settings[0],
                            .name = def->name};
    f->context.tokens = ag_input_index(&f->graph, "tokens", ag_shape2(t->batch, t->length));
    if (t->position)
        f->context.position = ag_constant_index(&f->graph, ag_shape1(t->length), t->position);
    f->x = ag_input(&f->graph, "x", ag_shape3(t->batch, t->length, t->dim));
    return def;
}

static void plan(struct fixture *f, ag_t *y)
{
    f->y = ag_keep(y);
    check_ok(ag_params_allocate(&f->params, 1));
    f->plan = ag_plan_new(&f->graph, ag_sum_all(&f->graph, y), false);
    if (!f->plan)
        fail_msg("%s", err_last());
    draw(f);
}

// Opens, builds the input hook and draws parameters and x.
static void begin(struct fixture *f, const struct trial *t)
{
    const struct pe_def *def = open(f, t);
    if (def->check)
        check_ok(def->check(&f->context));
    plan(f, def->input(&f->context, f->x));
}

static void end(struct fixture *f)
{
    ag_plan_free(f->plan);
    ag_graph_release(&f->graph);
    ag_params_release(&f->params);
    pe_stack_release(&f->stack);
}

static real *value(struct fixture *f, const char *name)
{
    int row = ag_params_find(&f->params, name);
    if (row < 0)
        fail_msg("there is no parameter %s", name);
    return f->params.value + f->params.row[row].offset;
}

static void clear_x(struct fixture *f)
{
    memset(f->x->data, 0, (size_t)f->x->count * sizeof(real));
}

// --- hierarchical

static void hierarchical_has_its_golden_numbers(void **state)
{
    (void)state;
    static const double want[9] = {1, 2, 4, 1.666667, 2.666667, 4.666667, 3, 4, 6};
    struct fixture f;
    begin(&f, &(struct trial){.pe = "hierarchical",
                              .pairs = 1,
                              .pair = {"rows=3"},
                              .batch = 1,
                              .length = 9,
                              .dim = 1});
    memcpy(value(&f, "pe.hierarchical.weight"), (const real[]){1, 2, 4}, 3 * sizeof(real));
    clear_x(&f);
    ag_forward(f.plan);
    check_close_array(f.y->data, want, 9, 0, 1e-6);
    end(&f);
}

static const struct encoding_shape shape = {.batch = 2, .height = 3, .width = 4};

// Logits of a model; `from` is the table that `to` is copied from, both of this size.
static void logits_of(const char *pe, bool causal, const char *to, const real *from, int64_t count,
                      struct encoding_model *m)
{
    struct encoding_case what = {.causal = causal};
    strncat(what.pe, pe, sizeof what.pe - 1);
    encoding_build(m, &what, &shape);
    int row = to ? ag_params_find(&m->params, to) : -1;
    if (row >= 0) {
        assert_int_equal(m->params.row[row].count, count);
        memcpy(m->params.value + m->params.row[row].offset, from, (size_t)count * sizeof *from);
    }
    ag_forward(m->graph.plan);
}

static void hierarchical_is_learned_in_its_first_rows(void **state)
{
    (void)state;
    for (int causal = 0; causal < 2; causal++) {
        struct encoding_model learned, hierarchical;
        logits_of("learned", causal, NULL, NULL, 0, &learned);
        int row = ag_params_find(&learned.params, "pe.learned.weight");
        const struct ag_parameter *table = &learned.params.row[row];
        logits_of("hierarchical", causal, "pe.hierarchical.weight",
                  learned.params.value + table->offset, table->count, &hierarchical);
        check_same_bytes(hierarchical.graph.logits->data, learned.graph.logits->data,
                         (size_t)learned.graph.logits->count * sizeof(real));
        encoding_close(&learned);
        encoding_close(&hierarchical);
    }
}

// --- with tables at zero, the same bits as without an encoding

static void check_none_at_zero(const char *pe, const char *pair, bool causal)
{
    struct encoding_model none, m;
    struct encoding_case what = {.causal = causal, .pairs = pair ? 1 : 0};
    logits_of("none", causal, NULL, NULL, 0, &none);
    strncat(what.pe, pe, sizeof what.pe - 1);
    strncat(what.pair[0], pair ? pair : "", sizeof what.pair[0] - 1);
    encoding_build(&m, &what, &shape);
    for (int i = 0; i < m.params.rows; i++)
        if (encoding_owns(m.params.row[i].name))
            memset(m.params.value + m.params.row[i].offset, 0,
                   (size_t)m.params.row[i].count * sizeof(real));
    ag_forward(m.graph.plan);
    check_same_bytes(m.graph.logits->data, none.graph.logits->data,
                     (size_t)none.graph.logits->count * sizeof(real));
    encoding_close(&none);
    encoding_close(&m);
}

static void zero_tables_are_none_to_the_bit(void **state)
{
    (void)state;
    for (int causal = 0; causal < 2; causal++) {
        check_none_at_zero("multiplicative", NULL, causal);
        check_none_at_zero("hierarchical", NULL, causal);
        check_none_at_zero("recursive", NULL, causal);
        check_none_at_zero("rnn", "merge=add", causal);
        check_none_at_zero("floater", NULL, causal);
        check_none_at_zero("floater", "where=input", causal);
        check_none_at_zero("conv", NULL, causal);
        check_none_at_zero("conv", "where=after1", causal);
        check_none_at_zero("conv", "where=each", causal);
    }
    check_none_at_zero("conv", "pad=circular", false);
    check_none_at_zero("conv", "pad=reflect", false);
    check_none_at_zero("conv", "dims=2", false);
    check_none_at_zero("learned2d", NULL, false);
}

// --- recursive

// A linear f that turns each pair of channels makes the sinusoid from (0, 1, 0, 1, ...).
static void linear_recursion_by_rotations_is_the_sinusoid(void **state)
{
    (void)state;
    enum { T = 40, C = 8 };
    struct fixture f, sinusoid;
    begin(&f, &(struct trial){.pe = "recursive",
                              .pairs = 1,
                              .pair = {"cell=linear"},
                              .batch = 1,
                              .length = T,
                              .dim = C});
    real *weight = value(&f, "pe.recursive.weight"), *start = value(&f, "pe.recursive.start");
    memset(weight, 0, C * C * sizeof *weight);
    memset(value(&f, "pe.recursive.bias"), 0, C * sizeof *weight);
    for (int c = 0; c < C; c += 2) {
        double w = pow(10000, -(double)c / C);
        weight[c * C + c] = weight[(c + 1) * C + c + 1] = (real)cos(w);
        weight[c * C + c + 1] = (real)sin(w);
        weight[(c + 1) * C + c] = (real)-sin(w);
        start[c] = 0;
        start[c + 1] = 1;
    }
    begin(&sinusoid, &(struct trial){.pe = "sinusoidal", .batch = 1, .length = T, .dim = C});
    clear_x(&f);
    clear_x(&sinusoid);
    ag_forward(f.plan);
    ag_forward(sinusoid.plan);
    check_close_array(f.y->data, sinusoid.y->data, T * C, 0, T * CHECK_ROUNDING);
    end(&f);
    end(&sinusoid);
}

// --- floater

static void floater_without_dynamics_stays_at_its_start(void **state)
{
    (void)state;
    enum { T = 9, C = 6 };
    struct fixture f;
    begin(&f, &(struct trial){.pe = "floater",
                              .pairs = 1,
                              .pair = {"where=input"},
                              .batch = 1,
                              .length = T,
                              .dim = C});
    memset(value(&f, "pe.floater.down.weight"), 0, C * (C + 1) * sizeof(real));
    memset(value(&f, "pe.floater.down.bias"), 0, C * sizeof(real));
    clear_x(&f);
    ag_forward(f.plan);
    for (int t = 0; t < T; t++)
        check_same_bytes(f.y->data + t * C, value(&f, "pe.floater.start"), C * sizeof(real));
    end(&f);
}

// --- conv

enum padding { ZERO, CIRCULAR, REFLECT };

// Where index i of a line of n is read, -1 for nothing: a mirrored line has period 2 (n - 1).
static int64_t source(int64_t i, int64_t n, enum padding padding)
{
    int64_t period = padding == REFLECT ? 2 * (n - 1) : n;
    if (padding == ZERO)
        return i >= 0 && i < n ? i : -1;
    if (period == 0)
        return 0;
    int64_t j = ((i % period) + period) % period;
    return j < n ? j : period - j;
}

struct conv_case {
    int64_t kernel, height, width; // height 0: one dimension
    enum padding padding;
    bool causal;
};

// Output (b, t, c) of a convolution, in double.
static double expect_conv(struct fixture *f, const struct conv_case *k, int64_t t, int64_t b,
                          int64_t c)
{
    const real *x = f->x->data, *weight = value(f, "pe.conv.weight");
    int64_t n = f->context.length, width = k->height ? k->width : n, dim = f->context.dim;
    int64_t back = k->causal ? k->kernel - 1 : k->kernel / 2, rows = k->height ? k->kernel : 1;
    double sum = (double)x[(b * n + t) * dim + c] + (double)value(f, "pe.conv.bias")[c];
    for (int64_t ky = 0; ky < rows; ky++) {
        for (int64_t kx = 0; kx < k->kernel; kx++) {
            int64_t from_x = source(t % width + kx - back, width, k->padding);
            int64_t from_y = k->height ? source(t / width + ky - back, k->height, k->padding) : 0;
            if (from_x >= 0 && from_y >= 0)
                sum += (double)weight[(ky * k->kernel + kx) * dim + c] *
                       (double)x[(b * n + from_y * width + from_x) * dim + c];
        }
    }
    return sum;
}

static void check_conv(const struct conv_case *k)
{
    static const char *const pads[] = {"pad=zero", "pad=circular", "pad=reflect"};
    char kernel[32], height[32];
    struct fixture f;
    snprintf(kernel, sizeof kernel, "kernel=%d", (int)k->kernel);
    snprintf(height, sizeof height, "grid_height=%d", (int)k->height);
    int64_t n = k->height ? k->height * k->width : k->width, batch = 2, dim = 3;
    begin(&f, &(struct trial){.pe = "conv",
                              .pairs = k->height ? 4 : 2,
                              .pair = {kernel, pads[k->padding], "dims=2", height},
                              .batch = batch,
                              .length = n,
                              .dim = dim,
                              .causal = k->causal});
    ag_forward(f.plan);
    for (int64_t i = 0; i < f.y->count; i++)
        check_close(f.y->data[i], expect_conv(&f, k, i / dim % n, i / dim / n, i % dim),
                    CHECK_ROUNDING, CHECK_ROUNDING);
    end(&f);
}

static void convolutions_are_their_formula(void **state)
{
    (void)state;
    for (int padding = ZERO; padding <= REFLECT; padding++) {
        for (int64_t kernel = 1; kernel <= 9; kernel += 2) {
            for (int64_t n = 1; n <= 7; n++)
                check_conv(&(struct conv_case){kernel, 0, n, (enum padding)padding, false});
            check_conv(&(struct conv_case){kernel, 1, 1, (enum padding)padding, false});
            check_conv(&(struct conv_case){kernel, 1, 4, (enum padding)padding, false});
            check_conv(&(struct conv_case){kernel, 3, 2, (enum padding)padding, false});
        }
    }
    for (int64_t kernel = 1; kernel <= 9; kernel += 2)
        for (int64_t n = 1; n <= 7; n += 2)
            check_conv(&(struct conv_case){kernel, 0, n, ZERO, true});
}

// --- complex

enum { CT = 5, CC = 6 }; // one head as wide as the row is long, and more

// Weights A [CT, CT] of one sequence of equal tokens whose queries and keys are its stream: with
// the unit vectors as values, the output is A.
struct complex_case {
    bool conjugate, causal;
    int32_t mask[CT];
};

static void set_values(ag_t *value)
{
    for (int64_t i = 0; i < 2 * CT * CC; i++) {
        int64_t t = i / CC % CT, part = i / CC / CT;
        value->data[i] = i % CC == t ? (real)(part ? -2 : 1) : 0; // imaginary: -2 times
    }
}

static void weights_of(const struct complex_case *k, struct fixture *f, double a[CT][CT])
{
    const struct pe_def *def =
        open(f, &(struct trial){.pe = "complex",
                                .pairs = 1,
                                .pair = {k->conjugate ? "conjugate=yes" : "conjugate=no"},
                                .batch = 1,
                                .length = CT,
                                .dim = CC,
                                .causal = k->causal});
    ag_t *z = ag_keep(def->input(&f->context, f->x));
    ag_t *values = ag_input(&f->graph, "values", ag_shape3(2, CT, CC));
    ag_t *mask = ag_input_index(&f->graph, "mask", ag_shape2(1, CT));
    struct pe_attention attention = {.op = {.query = z,
                                            .key = z,
                                            .value = values,
                                            .key_mask = mask,
                                            .heads = 1,
                                            .scale = 1 / sqrt(CC),
                                            .causal = k->causal}};
    f->context.layer = 0;
    def->attention(&f->context, &attention);
    ag_t *output = attention.kernel(&f->context, &attention);
    plan(f, output);
    memset(f->context.tokens->index, 0, CT * sizeof(int32_t));
    memcpy(mask->index, k->mask, sizeof k->mask);
    for (int64_t i = 0; i < CT * CC; i++)
        f->x->data[i] = f->x->data[i % CC]; // the same vector everywhere
    set_values(values);
    ag_forward(f->plan);
    for (int64_t i = 0; i < CT; i++)
        for (int64_t j = 0; j < CT; j++) {
            a[i][j] = (double)f->y->data[i * CC + j];
            check_close(f->y->data[(CT + i) * CC + j], -2 * a[i][j], CHECK_ROUNDING,
                        CHECK_ROUNDING);
        }
}

// S_ij from the formula, of the equal tokens' vector and their frequencies and phases.
static double expect_score(struct fixture *f, bool conjugate, int64_t i, int64_t j)
{
    const real *w = value(f, "pe.complex.frequency"), *g = value(f, "pe.complex.phase");
    double re = 0, im = 0, sign = conjugate ? -1 : 1;
    for (int64_t c = 0; c < CC; c++) {
        double square = (double)f->x->data[c] * (double)f->x->data[c];
        double angle = (double)w[c] * (double)i + (double)g[c] +
                       sign * ((double)w[c] * (double)j + (double)g[c]);
        re += square * cos(angle);
        im += square * sin(angle);
    }
    return (conjugate ? re : sqrt(re * re + im * im)) / sqrt(CC);
}

static void check_complex(const struct complex_case *k)
{
    struct fixture f;
    double a[CT][CT];
    weights_of(k, &f, a);
    for (int64_t i = 0; i < CT; i++) {
        double sum = 0;
        for (int64_t j = 0; j < CT; j++)
            if (k->mask[j] && (!k->causal || j <= i))
                sum += exp(expect_score(&f, k->conjugate, i, j));
        for (int64_t j = 0; j < CT; j++) {
            bool seen = k->mask[j] && (!k->causal || j <= i);
            if (seen)
                check_close(a[i][j], exp(expect_score(&f, k->conjugate, i, j)) / sum, 0,
                            10 * CHECK_ROUNDING);
            else
                assert_true(a[i][j] == 0);
        }
    }
    end(&f);
}

static void complex_weights_are_their_formula(void **state)
{
    (void)state;
    for (int conjugate = 0; conjugate < 2; conjugate++) {
        for (int causal = 0; causal < 2; causal++) {
            check_complex(&(struct complex_case){conjugate, causal, {1, 1, 1, 1, 1}});
            check_complex(&(struct complex_case){conjugate, causal, {1, 0, 1, 1, 0}});
            // A decoder's first query, and with no key at all every query, sees nothing.
            check_complex(&(struct complex_case){conjugate, causal, {0, 1, 1, 1, 1}});
            check_complex(&(struct complex_case){conjugate, causal, {0, 0, 0, 0, 0}});
        }
    }
}

// Among equal tokens the score depends on i + j, and with conjugation on i - j: so do the ratios of
// weights in a row.
static void complex_phases_add_or_subtract(void **state)
{
    (void)state;
    for (int conjugate = 0; conjugate < 2; conjugate++) {
        struct fixture f;
        double a[CT][CT];
        int64_t step = conjugate ? 1 : -1;
        weights_of(&(struct complex_case){conjugate, false, {1, 1, 1, 1, 1}}, &f, a);
        for (int64_t i = 0; i + 1 < CT; i++)
            for (int64_t j = 1; j + 2 < CT; j++)
                check_close(a[i][j] / a[i][j + 1], a[i + 1][j + step] / a[i + 1][j + 1 + step],
                            100 * CHECK_ROUNDING, 0);
        // And the other way they differ.
        check_close(fabs(a[1][1] / a[1][2] - a[2][1 - step] / a[2][2 - step]) > 1e-3, 1, 0, 0);
        end(&f);
    }
}

// --- positions that are given

static void check_positions(const char *pe, const char *pair)
{
    enum { T = 9, C = 8 };
    static const int32_t position[T] = {3, 3, 0, 8, 1, 7, 2, 5, 4};
    struct fixture straight, given;
    struct trial t = {
        .pe = pe, .pairs = pair ? 1 : 0, .pair = {pair}, .batch = 1, .length = T, .dim = C};
    begin(&straight, &t);
    t.position = position;
    begin(&given, &t);
    for (int64_t i = 0; i < T * C; i++)
        straight.x->data[i] = given.x->data[i] = straight.x->data[i % C];
    ag_forward(straight.plan);
    ag_forward(given.plan);
    int64_t parts = straight.y->shape.size[0]; // complex makes two
    for (int64_t i = 0; i < parts * T; i++)
        check_close_array(given.y->data + i * C,
                          straight.y->data + (i / T * T + position[i % T]) * C, C, CHECK_ROUNDING,
                          CHECK_ROUNDING);
    end(&straight);
    end(&given);
}

static void given_positions_pick_their_rows(void **state)
{
    (void)state;
    check_positions("learned", NULL);
    check_positions("sinusoidal", NULL);
    check_positions("hierarchical", "rows=3");
    check_positions("multiplicative", NULL);
    check_positions("recursive", NULL);
    check_positions("floater", "where=input");
    check_positions("complex", NULL);
    check_positions("learned2d", NULL);
    check_positions("sinusoidal2d", NULL);
}

static void positions_that_cannot_be_given_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"rnn", "conv"};
    static const int32_t position[2] = {1, 0};
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        const struct pe_def *def =
            open(&f, &(struct trial){
                         .pe = names[i], .batch = 1, .length = 2, .dim = 4, .position = position});
        def->input(&f.context, f.x);
        assert_int_equal(f.graph.error, ERR_ARGUMENT);
        assert_non_null(strstr(f.graph.message, names[i]));
        assert_non_null(strstr(f.graph.message, "leave out"));
        end(&f);
    }
}

// --- what is refused

static const struct refusal {
    const char *pe, *pair;
    int64_t length, dim;
    bool causal;
    enum ag_normaliser attention;
    const char *words;
} refusals[] = {
    {"hierarchical", "alpha=0.5", 4, 4, false, AG_SOFTMAX, "alpha"},
    {"hierarchical", "rows=2", 5, 4, false, AG_SOFTMAX, "raise rows"},
    {"multiplicative", "max_length=2", 5, 4, false, AG_SOFTMAX, "raise it"},
    {"conv", "kernel=4", 5, 4, false, AG_SOFTMAX, "even"},
    {"conv", "pad=circular", 5, 4, true, AG_SOFTMAX, "future"},
    {"conv", "pad=reflect", 5, 4, true, AG_SOFTMAX, "future"},
    {"conv", "dims=2", 4, 4, true, AG_SOFTMAX, "--arch encoder"},
    {"conv", "dims=2", 5, 4, false, AG_SOFTMAX, "not a square"},
    {"learned2d", "grid_height=4", 6, 4, false, AG_SOFTMAX, "grid_height=H"},
    {"learned2d", NULL, 4, 3, false, AG_SOFTMAX, "even --dim"},
    {"sinusoidal2d", NULL, 4, 6, false, AG_SOFTMAX, "divisible by 4"},
    {"complex", NULL, 4, 4, false, AG_RELU2, "softmax"},
};

static void mistakes_are_said(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const struct refusal *r = &refusals[i];
        struct fixture f;
        const struct pe_def *def = open(&f, &(struct trial){.pe = r->pe,
                                                            .pairs = r->pair ? 1 : 0,
                                                            .pair = {r->pair},
                                                            .batch = 1,
                                                            .length = r->length,
                                                            .dim = r->dim,
                                                            .causal = r->causal});
        f.context.attention = r->attention;
        check_error(def->check(&f.context), ERR_ARGUMENT, r->words);
        end(&f);
    }
}

CHECK_MAIN(cmocka_unit_test(hierarchical_has_its_golden_numbers),
           cmocka_unit_test(hierarchical_is_learned_in_its_first_rows),
           cmocka_unit_test(zero_tables_are_none_to_the_bit),
           cmocka_unit_test(linear_recursion_by_rotations_is_the_sinusoid),
           cmocka_unit_test(floater_without_dynamics_stays_at_its_start),
           cmocka_unit_test(convolutions_are_their_formula),
           cmocka_unit_test(complex_weights_are_their_formula),
           cmocka_unit_test(complex_phases_add_or_subtract),
           cmocka_unit_test(given_positions_pick_their_rows),
           cmocka_unit_test(positions_that_cannot_be_given_are_refused),
           cmocka_unit_test(mistakes_are_said))
