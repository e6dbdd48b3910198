// What holds for attention whatever its numbers are: threads do not matter, nor what is hidden, nor
// terms that add nothing; a clip is a longer table; mistakes are named.
#include <math.h>
#include <string.h>

#include "../support/attention_case.h"
#include "../support/check.h"

#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../autograd/ops/op.h"

static const enum ag_normaliser normalisers[] = {AG_SOFTMAX, AG_RELU2, AG_L2, AG_SOFTMAX1};
enum { NORMALISERS = 4, OUTPUT = PLAIN_ARRAYS, ARRAYS };

// --- results, copied

// The output and every gradient.
struct results {
    real *of[ARRAYS];
    int64_t count[ARRAYS];
};

static struct results copy_results(struct attention_case *c)
{
    struct results results = {0};
    for (int k = 0; k < ARRAYS; k++) {
        const ag_t *x = k == OUTPUT ? c->output : c->x[k];
        if (!x)
            continue;
        results.count[k] = x->count;
        results.of[k] = attention_case_memory(c, x->count * (int64_t)sizeof(real));
        memcpy(results.of[k], k == OUTPUT ? x->data : x->grad, (size_t)x->count * sizeof(real));
    }
    return results;
}

// --- threads

static void same_on(const struct attention_settings *settings, int threads,
                    const struct results *want)
{
    struct attention_case c;
    par_set_threads(threads);
    attention_case_all(&c, settings);
    struct results got = copy_results(&c);
    for (int k = 0; k < ARRAYS; k++) {
        assert_int_equal(got.count[k], want->count[k]);
        if (got.of[k])
            check_same_bytes(got.of[k], want->of[k], (size_t)got.count[k] * sizeof(real));
    }
    attention_case_end(&c);
}

static void test_threads_do_not_matter(void **state)
{
    (void)state;
    for (enum attention_lookup_kind lookup = 0; lookup < LOOKUPS; lookup++) {
        for (int variant = 0; variant < 4; variant++) {
            struct attention_settings s = {.batch = 9,
                                           .heads = 3,
                                           .head_dim = 5,
                                           .length = 70,
                                           .keys = variant & 1 ? 70 : 41,
                                           .lookup = lookup};
            s.terms = CASE_TERMS | CASE_RELATIVE_QUERY;
            s.causal = variant & 1;
            s.shared = variant > 1;
            s.dense_batched = variant == 1;
            s.dropout = variant == 2 ? 0.2 : 0;
            s.normaliser = normalisers[variant];
            s.mask = MASK_SOME;
            struct attention_case one;
            par_set_threads(1);
            attention_case_all(&one, &s);
            struct results want = copy_results(&one);
            same_on(&s, 2, &want);
            same_on(&s, 3, &want);
            same_on(&s, 8, &want);
            attention_case_end(&one);
        }
    }
    par_set_threads(0);
}

// --- keys that are hidden

// Sets what keys hold, where hidden[b * S + j]: their vectors, their columns of biases.
static void fill_hidden(struct attention_case *c, const bool *hidden, double value)
{
    static const int roles[] = {PLAIN_KEY, PLAIN_VALUE, PLAIN_RELATIVE_KEY, PLAIN_COLUMN_BIAS};
    int64_t keys = c->settings.batch * c->settings.keys;
    for (int k = 0; k < 4; k++) {
        ag_t *x = c->x[roles[k]];
        for (int64_t i = 0; x && i < x->count; i++)
            if (hidden[i / (x->count / keys)])
                x->data[i] = (real)(i & 1 ? value : -value);
    }
    ag_t *dense = c->x[PLAIN_DENSE_BIAS];
    int64_t sequence = dense ? dense->count / c->settings.batch : 0;
    for (int64_t i = 0; dense && i < dense->count; i++)
        if (hidden[i / sequence * c->settings.keys + i % c->settings.keys])
            dense->data[i] = (real)value;
}

static void hidden_have_no_gradient(const struct attention_case *c, const bool *hidden)
{
    static const int roles[] = {PLAIN_KEY, PLAIN_VALUE, PLAIN_RELATIVE_KEY, PLAIN_COLUMN_BIAS};
    int64_t keys = c->settings.batch * c->settings.keys, checked = 0;
    for (int k = 0; k < 4; k++) {
        const ag_t *x = c->x[roles[k]];
        for (int64_t i = 0; x && i < x->count; i++) {
            if (!hidden[i / (x->count / keys)])
                continue;
            assert_true(x->grad[i] == 0);
            checked++;
        }
    }
    assert_true(checked > 0);
}

// Equal as numbers: a zero may have either sign.
static void same_numbers(const char *what, const real *got, const real *want, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!(got[i] == want[i]))
            fail_msg("%s [%lld] is %.17g, not %.17g", what, (long long)i, (double)got[i],
                     (double)want[i]);
}

static void same_results(struct attention_case *c, const struct results *want, bool output)
{
    struct results got = copy_results(c);
    for (int k = 0; k < ARRAYS; k++)
        if (got.of[k] && (output || k != OUTPUT))
            same_numbers(k == OUTPUT ? "output" : "gradient", got.of[k], want->of[k], got.count[k]);
}

static void check_hidden(const struct attention_settings *settings)
{
    struct attention_case c;
    attention_case_all(&c, settings);
    const int32_t *mask = c.a.key_mask->param;
    int64_t keys = settings->batch * settings->keys;
    bool *hidden = attention_case_memory(&c, keys * (int64_t)sizeof *hidden);
    for (int64_t j = 0; j < keys; j++)
        hidden[j] = !mask[j];
    struct results want = copy_results(&c);
    for (int k = 0; k < ARRAYS; k++)
        if (want.of[k])
            check_finite_array(want.of[k], want.count[k]);
    hidden_have_no_gradient(&c, hidden);
    fill_hidden(&c, hidden, 1e15);
    attention_case_run(&c);
    same_results(&c, &want, true);
    hidden_have_no_gradient(&c, hidden);
    attention_case_end(&c);
}

static void test_hidden_keys_do_not_matter(void **state)
{
    (void)state;
    for (int n = 0; n < NORMALISERS; n++)
        for (enum attention_mask_kind mask = MASK_SOME; mask < MASKS; mask++)
            for (int variant = 0; variant < 4; variant++)
                check_hidden(&(struct attention_settings){
                    .batch = 3,
                    .heads = 2,
                    .head_dim = 3,
                    .length = 70,
                    .keys = variant & 1 ? 70 : 33,
                    .terms = variant > 1 ? CASE_TERMS | CASE_RELATIVE_QUERY : 0,
                    .lookup = LOOKUP_CLIPPED,
                    .dense_batched = true,
                    .causal = variant & 1,
                    .mask = mask,
                    .normaliser = normalisers[n]});
}

// Queries before `now` of a decoder: keys from there on do not matter, and get nothing from them.
static void check_future(const struct attention_settings *settings, int64_t now)
{
    struct attention_case c;
    attention_case_begin(&c, settings);
    attention_case_build(&c);
    attention_case_plan(&c, c.output);
    int64_t keys = settings->batch * settings->keys, width = settings->heads * settings->head_dim;
    bool *future = attention_case_memory(&c, keys * (int64_t)sizeof *future);
    for (int64_t j = 0; j < keys; j++)
        future[j] = j % settings->keys >= now;
    for (int64_t i = 0; i < c.output->count; i++)
        c.cotangent[i] = future[i / width] ? 0 : c.cotangent[i];
    attention_case_run(&c);
    hidden_have_no_gradient(&c, future);
    struct results want = copy_results(&c);
    fill_hidden(&c, future, 100);
    attention_case_run(&c);
    hidden_have_no_gradient(&c, future);
    same_results(&c, &want, false);
    for (int64_t i = 0; i < c.output->count; i += width)
        if (!future[i / width])
            same_numbers("output", c.output->data + i, want.of[OUTPUT] + i, width);
    attention_case_end(&c);
}

static void test_the_future_does_not_matter(void **state)
{
    (void)state;
    static const int64_t places[] = {1, 2, 63, 64, 65, 129};
    for (int n = 0; n < NORMALISERS; n++)
        for (int k = 0; k < 6; k++)
            for (int all = 0; all < 2; all++)
                check_future(
                    &(struct attention_settings){.batch = 2,
                                                 .heads = 2,
                                                 .head_dim = 3,
                                                 .length = 130,
                                                 .keys = 130,
                                                 .terms = all ? CASE_TERMS | CASE_RELATIVE_QUERY
                                                              : 0,
                                                 .dense_batched = true,
                                                 .causal = true,
                                                 .normaliser = normalisers[n]},
                    places[k]);
}

// A NaN is a mistake that must be seen: whatever reads it is NaN, and nothing else is.
static void test_nan_shows_and_stays(void **state)
{
    (void)state;
    static const int roles[] = {PLAIN_QUERY, PLAIN_KEY, PLAIN_VALUE};
    for (int n = 0; n < NORMALISERS; n++) {
        for (int k = 0; k < 3; k++) {
            struct attention_case c;
            attention_case_all(&c, &(struct attention_settings){.batch = 2,
                                                                .heads = 2,
                                                                .head_dim = 3,
                                                                .length = 66,
                                                                .keys = 66,
                                                                .causal = true,
                                                                .normaliser = normalisers[n]});
            struct results want = copy_results(&c);
            // Sequence 1, place 65, head 1: the last query alone sees the key.
            c.x[roles[k]]->data[c.output->count - 1] = (real)NAN;
            attention_case_run(&c);
            assert_true(isnan(c.output->data[c.output->count - 1]));
            for (int64_t i = 0; i < c.output->count; i++) {
                bool other = i < c.output->count / 2 || i % 6 < 3;
                for (int role = PLAIN_QUERY; role <= PLAIN_VALUE && other; role++)
                    same_numbers("gradient", c.x[role]->grad + i, want.of[role] + i, 1);
                if (other)
                    same_numbers("output", c.output->data + i, want.of[OUTPUT] + i, 1);
            }
            attention_case_end(&c);
        }
    }
}

// A bias of -infinity gives weight 0 to a key, which would be seen nowhere: it is NaN for all.
static void test_an_infinite_bias_shows(void **state)
{
    (void)state;
    static const int roles[] = {PLAIN_BY_BIAS, PLAIN_COLUMN_BIAS, PLAIN_DENSE_BIAS};
    for (int k = 0; k < 3; k++) {
        struct attention_case c;
        struct attention_settings s = {
            .batch = 1, .heads = 2, .head_dim = 3, .length = 5, .keys = 5, .terms = 1 << roles[k]};
        attention_case_begin(&c, &s);
        attention_case_build(&c);
        attention_case_plan(&c, c.output);
        c.x[roles[k]]->data[0] = -(real)INFINITY;
        ag_forward(c.plan);
        for (int64_t i = 0; i < c.output->count; i++)
            assert_true(isnan(c.output->data[i]));
        attention_case_end(&c);
    }
}

// --- terms that add nothing

// With term `role` all zeros (factors: all ones), against without it.
static void check_nothing(const struct attention_settings *settings, int role)
{
    struct attention_case without, with;
    attention_case_all(&without, settings);
    struct attention_settings s = *settings;
    s.terms = 1 << role;
    attention_case_begin(&with, &s);
    attention_case_build(&with);
    attention_case_plan(&with, with.output);
    for (int64_t i = 0; i < with.x[role]->count; i++)
        with.x[role]->data[i] = role == PLAIN_BY_FACTOR ? 1 : 0;
    memcpy(with.cotangent, without.cotangent, (size_t)with.output->count * sizeof(real));
    attention_case_run(&with);
    same_numbers("output", with.output->data, without.output->data, with.output->count);
    for (int k = PLAIN_QUERY; k <= PLAIN_VALUE; k++)
        same_numbers("gradient", with.x[k]->grad, without.x[k]->grad, with.x[k]->count);
    attention_case_end(&with);
    attention_case_end(&without);
}

static void test_terms_of_zeros_change_nothing(void **state)
{
    (void)state;
    for (int role = PLAIN_DENSE_BIAS; role < PLAIN_ARRAYS; role++)
        for (enum attention_lookup_kind lookup = 0; lookup < LOOKUPS; lookup++)
            for (int causal = 0; causal < 2; causal++)
                check_nothing(&(struct attention_settings){.batch = 2,
                                                           .heads = 2,
                                                           .head_dim = 3,
                                                           .length = 70,
                                                           .keys = 70,
                                                           .lookup = lookup,
                                                           .causal = causal,
                                                           .mask = MASK_SOME,
                                                           .dropout = 0.1},
                              role);
}

// --- a clip is a longer table whose ends are constant

static void close_to(const real *got, const double *want, int64_t count)
{
    double largest = 0;
    for (int64_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(want[i]));
    check_close_array(got, want, count, 0, 10 * CHECK_ROUNDING * largest);
}

// The tables of `clipped`, a row an offset.
static void spread(struct attention_case *to, const struct attention_case *clipped)
{
    for (int k = PLAIN_QUERY; k < PLAIN_ARRAYS; k++) {
        if (!to->x[k])
            continue;
        int64_t columns = to->x[k]->shape.size[1];
        const int32_t *row = k < PLAIN_BY_QUERY ? NULL : clipped->a.bias.index->param;
        for (int64_t i = 0; i < to->x[k]->count; i++)
            to->x[k]->data[i] =
                clipped->x[k]->data[row ? row[i / columns] * columns + i % columns : i];
    }
}

static void check_clip(const struct attention_settings *settings)
{
    struct attention_case clipped, longer;
    struct attention_settings s = *settings;
    attention_case_all(&clipped, &s);
    s.lookup = LOOKUP_OFFSET;
    attention_case_begin(&longer, &s);
    attention_case_build(&longer);
    attention_case_plan(&longer, longer.output);
    spread(&longer, &clipped);
    memcpy(longer.cotangent, clipped.cotangent, (size_t)longer.output->count * sizeof(real));
    attention_case_run(&longer);
    const int32_t *row = clipped.a.bias.index->param;
    check_close_array(clipped.output->data, longer.output->data, longer.output->count, 0,
                      10 * CHECK_ROUNDING);
    for (int k = PLAIN_BY_QUERY; k < PLAIN_ARRAYS; k++) {
        int64_t columns = longer.x[k]->shape.size[1];
        double *sum = attention_case_memory(&clipped, clipped.x[k]->count * (int64_t)sizeof *sum);
        for (int64_t i = 0; i < longer.x[k]->count; i++)
            sum[row[i / columns] * columns + i % columns] += (double)longer.x[k]->grad[i];
        close_to(clipped.x[k]->grad, sum, clipped.x[k]->count);
    }
    attention_case_end(&longer);
    attention_case_end(&clipped);
}

static void test_a_clip_is_a_longer_table(void **state)
{
    (void)state;
    for (int causal = 0; causal < 2; causal++)
        for (int shared = 0; shared < 2; shared++)
            check_clip(&(struct attention_settings){.batch = 2,
                                                    .heads = 2,
                                                    .head_dim = 3,
                                                    .length = 130,
                                                    .keys = 130,
                                                    .terms = CASE_BY_QUERY | CASE_BY_KEY |
                                                             CASE_BY_VALUE | CASE_BY_BIAS |
                                                             CASE_BY_FACTOR,
                                                    .lookup = LOOKUP_CLIPPED,
                                                    .shared = shared,
                                                    .causal = causal});
}

// --- what is refused

static void refuse(struct attention_case *c, const char *words, const char *more)
{
    attention_case_build(c);
    if (ag_plan_new(&c->graph, c->output, true))
        fail_msg("not refused: %s", words);
    if (!strstr(err_last(), words) || !strstr(err_last(), more) || strchr(err_last(), '\n'))
        fail_msg("\"%s\" lacks \"%s\" or \"%s\"", err_last(), words, more);
    attention_case_end(c);
}

static void begin(struct attention_case *c)
{
    attention_case_begin(c,
                         &(struct attention_settings){2, 2, 3, 4, 5, .mask = MASK_SOME,
                                                      .terms = CASE_TERMS | CASE_RELATIVE_QUERY});
}

// A field of struct ag_attention, and what is put there in its place.
static const struct spoilt {
    size_t field;
    bool index;
    struct ag_shape shape;
    const char *says[2];
} spoilt[] = {
#define FIELD(name) offsetof(struct ag_attention, name)
    {FIELD(query), false, {2, {8, 6}}, {"query [8, 6]", "key [2, 5, 6]"}},
    {FIELD(query), false, {3, {3, 4, 6}}, {"query [3, 4, 6]", "key [2, 5, 6]"}},
    {FIELD(key), false, {3, {2, 5, 8}}, {"key [2, 5, 8]", "value [2, 5, 6]"}},
    {FIELD(value), false, {3, {2, 4, 6}}, {"value [2, 4, 6]", "do not fit"}},
    {FIELD(value), true, {3, {2, 5, 6}}, {"value", "do not fit"}},
    {FIELD(key_mask), true, {2, {2, 4}}, {"key mask is [2, 4]", "[2, 5]"}},
    {FIELD(key_mask), false, {2, {2, 5}}, {"key mask", "index"}},
    {FIELD(relative_query), false, {3, {2, 5, 6}}, {"relative query is [2, 5, 6]", "[2, 4, 6]"}},
    {FIELD(relative_key), false, {3, {2, 4, 6}}, {"relative key is [2, 4, 6]", "[2, 5, 6]"}},
    {FIELD(dense_bias), false, {3, {2, 5, 4}}, {"dense bias is [2, 5, 4]", "[2, 4, 5]"}},
    {FIELD(dense_bias), false, {4, {2, 2, 5, 4}}, {"dense bias is", "[2, 2, 4, 5]"}},
    {FIELD(dense_bias), true, {3, {2, 4, 5}}, {"dense bias is an index", "[2, 4, 5]"}},
    {FIELD(row_bias), false, {3, {2, 4, 3}}, {"row bias is [2, 4, 3]", "[2, 4, 2]"}},
    {FIELD(column_bias), false, {3, {2, 4, 2}}, {"column bias is [2, 4, 2]", "[2, 5, 2]"}},
    {FIELD(query_relative.table), false, {2, {7, 6}}, {"query-relative table is [7, 6]", "8"}},
    {FIELD(key_relative.table), false, {2, {8, 4}}, {"key-relative table is [8, 4]", "columns"}},
    {FIELD(value_relative.table), false, {3, {8, 2, 3}}, {"value-relative table", "[8, 2, 3]"}},
    {FIELD(value_relative.table), true, {2, {8, 6}}, {"value-relative table", "[8, 6]"}},
    {FIELD(bias.table), false, {2, {8, 6}}, {"bias table is [8, 6]", "a head"}},
    {FIELD(factor.table), false, {2, {9, 2}}, {"factor table is [9, 2]", "8"}},
    {FIELD(bias.index), true, {1, {9}}, {"index of the bias table", "[9]"}},
    {FIELD(factor.index), true, {2, {5, 4}}, {"index of the factor table", "[5, 4]"}},
    {FIELD(query_relative.index), true, {3, {1, 4, 5}}, {"query-relative", "[1, 4, 5]"}},
    {FIELD(key_relative.index), false, {1, {8}}, {"index of the key-relative table", "[8]"}},
#undef FIELD
};

static void test_wrong_shapes_are_named(void **state)
{
    (void)state;
    struct attention_case c;
    for (size_t k = 0; k < sizeof spoilt / sizeof spoilt[0]; k++) {
        begin(&c);
        ag_t *wrong = spoilt[k].index ? ag_case_index(&c.graph, &c.rng, spoilt[k].shape, 0, 1)
                                      : ag_case_leaf(&c.graph, &c.rng, spoilt[k].shape, 0, 1);
        memcpy((char *)&c.a + spoilt[k].field, &wrong, sizeof wrong);
        refuse(&c, spoilt[k].says[0], spoilt[k].says[1]);
    }
}

static void test_rows_that_are_not_there_are_named(void **state)
{
    (void)state;
    static const char *const table[] = {"query-relative", "key-relative", "value-relative", "bias",
                                        "factor"};
    for (int k = 0; k < 5; k++) {
        for (int dims = 1; dims <= 3; dims++) {
            for (int32_t row = -1; row <= 8; row += 9) {
                struct attention_case c;
                begin(&c);
                struct ag_relative *relative[] = {&c.a.query_relative, &c.a.key_relative,
                                                  &c.a.value_relative, &c.a.bias, &c.a.factor};
                int32_t index[2 * 4 * 5] = {0};
                struct ag_shape shape = dims == 1   ? ag_shape1(8)
                                        : dims == 2 ? ag_shape2(4, 5)
                                                    : ag_shape3(2, 4, 5);
                index[ag_shape_count(shape) - 1] = row;
                relative[k]->index = ag_constant_index(&c.graph, shape, index);
                refuse(&c, table[k], row < 0 ? "row -1" : "8 rows, and its index names row 8");
            }
        }
    }
}

static void test_wrong_settings_are_named(void **state)
{
    (void)state;
    static const char *const says[][2] = {{"width 6", "4 heads"},
                                          {"width 6", "0 heads"},
                                          {"causal", "as many"},
                                          {"dropout 1 ", "[0, 1)"},
                                          {"dropout", "nan"},
                                          {"linear", "op of its own"},
                                          {"relative query", "query-relative table"},
                                          {"relative key", "key-relative table"},
                                          {"query-relative table", "grid 1 wide"},
                                          {"bias table", "grid 2 wide of 4 queries and 5 keys"},
                                          {"factor table", "grid -1 wide"},
                                          {"index of the bias table is [4, 5]", "8 entries, is"}};
    for (int k = 0; k < 12; k++) {
        struct attention_case c;
        begin(&c);
        c.a.heads = k == 0 ? 4 : k == 1 ? 0 : 2;
        c.a.causal = k == 2;
        c.a.dropout = k == 3 ? 1 : k == 4 ? (double)NAN : 0;
        c.a.normaliser = k == 5 ? AG_LINEAR : AG_SOFTMAX;
        if (k == 6)
            c.a.query_relative.table = NULL;
        if (k == 7)
            c.a.key_relative.table = NULL;
        c.a.query_relative.grid_width = k == 8;
        c.a.bias.grid_width = k == 9 ? 2 : k == 11;
        c.a.factor.grid_width = k == 10 ? -1 : 0;
        if (k == 11)
            c.a.bias.index = ag_case_index(&c.graph, &c.rng, ag_shape2(4, 5), 0, 1);
        refuse(&c, says[k][0], says[k][1]);
    }
}

// Sizes whose products do not fit, or that BLAS cannot count: refused, not wrapped around.
static void test_huge_shapes_are_refused(void **state)
{
    (void)state;
    static const struct {
        int64_t length, keys, heads, rows;
        const char *says[2];
    } huge[] = {{1, 1, 1 << 30, 1 << 30, {"query-relative", "1073741824 heads"}},
                {1, 1, 1, INT64_C(1) << 32, {"query-relative table is", "fewer rows are wanted"}},
                {1, INT64_C(1) << 31, 1, 1, {"keys", "2147483648"}},
                {INT64_C(1) << 40, 1, 1, 1, {"queries", "1099511627776"}},
                {1, 1, INT64_C(1) << 31, 1, {"width", "2147483648"}}};
    for (size_t k = 0; k < sizeof huge / sizeof huge[0]; k++) {
        struct attention_case c;
        begin(&c);
        struct ag_shape query = ag_shape3(1, huge[k].length, huge[k].heads);
        struct ag_shape key = ag_shape3(1, huge[k].keys, huge[k].heads);
        c.a = (struct ag_attention){.heads = huge[k].heads, .scale = 1};
        c.a.query = ag_leaf(&c.graph, "query", query);
        c.a.key = ag_leaf(&c.graph, "key", key);
        c.a.value = ag_leaf(&c.graph, "value", key);
        c.a.query_relative.table = ag_leaf(&c.graph, "table", ag_shape2(huge[k].rows, 1));
        c.a.query_relative.index =
            ag_input_index(&c.graph, "index", ag_shape1(huge[k].length + huge[k].keys - 1));
        refuse(&c, huge[k].says[0], huge[k].says[1]);
    }
}

CHECK_MAIN(
    cmocka_unit_test(test_threads_do_not_matter), cmocka_unit_test(test_hidden_keys_do_not_matter),
    cmocka_unit_test(test_the_future_does_not_matter), cmocka_unit_test(test_nan_shows_and_stays),
    cmocka_unit_test(test_an_infinite_bias_shows),
    cmocka_unit_test(test_terms_of_zeros_change_nothing),
    cmocka_unit_test(test_a_clip_is_a_longer_table), cmocka_unit_test(test_wrong_shapes_are_named),
    cmocka_unit_test(test_rows_that_are_not_there_are_named),
    cmocka_unit_test(test_wrong_settings_are_named), cmocka_unit_test(test_huge_shapes_are_refused))
