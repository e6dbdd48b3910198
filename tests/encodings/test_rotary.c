// Rotary encodings by their hooks: what becomes of queries, keys and values that are the same at
// every position, where all that is left are the rotations.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../support/check.h"

#include "../../autograd/base/err.h"
#include "../../src/encodings/pe.h"

enum { MAX_DIM = 128 };

// One head of `dim` channels, and what an encoding makes of it.
struct fixture {
    struct pe_stack stack;
    struct ag_graph graph;
    struct ag_plan *plan;
    ag_t *memo[PE_MEMOS];
    struct pe_context context;
    struct pe_attention attention;
    int64_t length, dim;
    const real *query, *key, *value, *output; // [T, D] once turned
};

struct shape {
    int64_t length, dim, grid_height, grid_width;
};

// `options` is "KEY=VALUE KEY=VALUE", or NULL.
static void describe(struct fixture *f, const char *pe, const char *options, struct shape shape)
{
    char copy[96], *rest = NULL;
    const char *pair[4];
    int pairs = 0;
    memset(f, 0, sizeof *f);
    snprintf(copy, sizeof copy, "%s", options ? options : "");
    for (char *p = strtok_r(copy, " ", &rest); p && pairs < 4; p = strtok_r(NULL, " ", &rest))
        pair[pairs++] = p;
    check_ok(pe_stack_init(&f->stack, pe, pairs, pair));
    ag_graph_init(&f->graph, NULL);
    f->length = shape.length;
    f->dim = shape.dim;
    f->context = (struct pe_context){.graph = &f->graph,
                                     .batch = 1,
                                     .length = shape.length,
                                     .train_length = shape.length,
                                     .position_count = shape.length,
                                     .dim = shape.dim,
                                     .heads = 1,
                                     .head_dim = shape.dim,
                                     .layers = 1,
                                     .grid_height = shape.grid_height,
                                     .grid_width = shape.grid_width,
                                     .memo = f->memo,
                                     .settings = f->stack.settings[0],
                                     .name = f->stack.def[0]->name};
}

// `row` at every position.
static ag_t *rows(struct fixture *f, const real *row)
{
    int64_t count = f->length * f->dim;
    real *all = arena_alloc(&f->graph.arena, (size_t)count * sizeof *all);
    assert_non_null(all);
    for (int64_t i = 0; i < count; i++)
        all[i] = row[i % f->dim];
    return ag_constant(&f->graph, ag_shape3(1, f->length, f->dim), all);
}

static ag_t *flat(struct fixture *f, ag_t *x)
{
    return ag_reshape(&f->graph, x, ag_shape2(f->length, f->dim));
}

// Queries and keys as given, values as the queries; the output of attention is the turned values.
static void begin(struct fixture *f, const char *pe, const char *options, struct shape shape,
                  const real *query, const real *key)
{
    describe(f, pe, options, shape);
    struct pe_attention *a = &f->attention;
    ag_t *q = rows(f, query), *k = rows(f, key);
    *a = (struct pe_attention){.query = q, .key = k};
    a->op = (struct ag_attention){.query = q, .key = k, .value = q, .heads = 1, .scale = 1};
    const struct pe_def *def = f->stack.def[0];
    check_ok(def->check(&f->context));
    def->attention(&f->context, a);
    assert_true(a->query == q && a->key == k); // what relative tables are read with
    ag_t *output = a->op.value;
    if (def->attention_output)
        output = def->attention_output(&f->context, output);
    ag_t *part[] = {flat(f, a->op.query), flat(f, a->op.key), flat(f, a->op.value),
                    flat(f, output)};
    ag_t *all = ag_keep(ag_concat(&f->graph, 4, part, 0));
    f->plan = ag_plan_new(&f->graph, all, false);
    if (!f->plan)
        print_error("%s\n", err_last());
    assert_non_null(f->plan);
    ag_forward(f->plan);
    int64_t count = f->length * f->dim;
    f->query = all->data;
    f->key = all->data + count;
    f->value = all->data + 2 * count;
    f->output = all->data + 3 * count;
}

static void end(struct fixture *f)
{
    ag_plan_free(f->plan);
    ag_graph_release(&f->graph);
    pe_stack_release(&f->stack);
}

// The logit of query i and key j.
static double product(const struct fixture *f, int64_t i, int64_t j)
{
    double sum = 0;
    for (int64_t c = 0; c < f->dim; c++)
        sum += (double)f->query[i * f->dim + c] * (double)f->key[j * f->dim + c];
    return sum;
}

static const real some_query[MAX_DIM] = {1,  2, -1, (real)0.5, 3, (real)-0.25, 1, 1,
                                         -2, 1, 4,  -1,        2, (real)0.75,  1, -3};
static const real some_key[MAX_DIM] = {2, -1, 1, 3, (real)0.5, 1, -1, 2,
                                       1, 1,  2, 1, -1,        2, 1,  (real)-0.5};

static void test_golden_numbers(void **state)
{
    (void)state;
    static const char *const layout[] = {"layout=pair", "layout=half"};
    static const double golden[2][4] = {{-2.234742, 0.077004, 2.919405, 4.059196},
                                        {-3.144039, 1.919605, -0.339143, 4.039197}};
    static const real row[] = {1, 2, 3, 4};
    for (int k = 0; k < 2; k++) {
        struct fixture f;
        begin(&f, "rope", layout[k], (struct shape){3, 4, 0, 0}, row, row);
        check_close_array(f.query, row, 4, 0, 0); // position 0 does not turn
        check_close_array(f.query + 8, golden[k], 4, 0, 1e-6);
        check_close_array(f.key + 8, golden[k], 4, 0, 1e-6);
        end(&f);
    }
}

// Each pair (a, b) at position i is turned by i times its frequency; other channels stay.
static void check_turned(const struct fixture *f, bool half, int64_t pairs, double base)
{
    for (int64_t i = 0; i < f->length; i++) {
        const real *row = f->query + i * f->dim;
        for (int64_t c = 0; c < pairs; c++) {
            int64_t a = half ? c : 2 * c, b = half ? c + pairs : 2 * c + 1;
            double angle = (double)i * pow(base, -(double)c / (double)pairs);
            double x = (double)some_query[a], y = (double)some_query[b];
            check_close(row[a], x * cos(angle) - y * sin(angle), 0, CHECK_ROUNDING);
            check_close(row[b], y * cos(angle) + x * sin(angle), 0, CHECK_ROUNDING);
        }
        for (int64_t c = 2 * pairs; c < f->dim; c++)
            assert_true(row[c] == some_query[c]);
    }
}

static void test_options_of_rope(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        int64_t dim;
        bool half;
        int64_t pairs;
        double base;
    } row[] = {
        {NULL, 16, false, 8, 10000},
        {"layout=half", 16, true, 8, 10000},
        {"base=50", 12, false, 6, 50},
        {"fraction=0.5", 16, false, 4, 10000},
        {"fraction=0.9", 5, false, 2, 10000},
        {"fraction=0.75", 8, false, 3, 10000},
        {"fraction=0.26", 15, false, 1, 10000},
        {"fraction=0.58", 100, false, 29, 10000},
    };
    for (size_t k = 0; k < sizeof row / sizeof row[0]; k++) {
        struct fixture f;
        begin(&f, "rope", row[k].options, (struct shape){7, row[k].dim, 0, 0}, some_query,
              some_key);
        check_turned(&f, row[k].half, row[k].pairs, row[k].base);
        end(&f);
    }
}

// Angles are made in double: those of a far position in float would be off by 1e-5 and more.
static void test_far_positions_keep_their_digits(void **state)
{
    (void)state;
    enum { FAR = 100000 };
    static const real row[] = {0, 0, 1, 0};
    struct fixture f;
    begin(&f, "rope", NULL, (struct shape){FAR + 1, 4, 0, 0}, row, row);
    check_close(f.query[FAR * 4 + 2], cos(FAR * 0.01), 0, 1e-7);
    check_close(f.query[FAR * 4 + 3], sin(FAR * 0.01), 0, 1e-7);
    end(&f);
}

static void check_norms(const struct fixture *f)
{
    for (int64_t i = 0; i < f->length; i++) {
        double query = 0, key = 0, want_query = 0, want_key = 0;
        for (int64_t c = 0; c < f->dim; c++) {
            query += pow((double)f->query[i * f->dim + c], 2);
            key += pow((double)f->key[i * f->dim + c], 2);
            want_query += pow((double)some_query[c], 2);
            want_key += pow((double)some_key[c], 2);
        }
        check_close(query, want_query, CHECK_ROUNDING, 0);
        check_close(key, want_key, CHECK_ROUNDING, 0);
    }
}

static void test_norms_are_kept(void **state)
{
    (void)state;
    static const struct {
        const char *pe, *options;
    } row[] = {{"rope", NULL}, {"rope", "layout=half"}, {"rope", "fraction=0.5"}, {"rope2d", NULL}};
    for (size_t k = 0; k < sizeof row / sizeof row[0]; k++) {
        struct fixture f;
        begin(&f, row[k].pe, row[k].options, (struct shape){36, 16, 4, 9}, some_query, some_key);
        check_norms(&f);
        end(&f);
    }
}

static void test_products_depend_on_the_difference(void **state)
{
    (void)state;
    static const char *const pairs[] = {NULL, "layout=half", "fraction=0.5", "values=v"};
    for (int k = 0; k < 4; k++) {
        struct fixture f;
        begin(&f, "rope", pairs[k], (struct shape){40, 16, 0, 0}, some_query, some_key);
        for (int64_t i = 1; i < f.length; i++)
            for (int64_t j = 1; j < f.length; j++)
                check_close(product(&f, i, j), product(&f, i - 1, j - 1), 0, 50 * CHECK_ROUNDING);
        // And on its sign: a rotation tells left from right.
        assert_true(fabs(product(&f, 3, 5) - product(&f, 5, 3)) > 0.1);
        end(&f);
    }
}

// On a grid, on both differences, and not on that of the flat positions.
static void test_products_on_a_grid(void **state)
{
    (void)state;
    enum { HEIGHT = 5, WIDTH = 6, CELLS = HEIGHT * WIDTH };
    struct fixture f;
    begin(&f, "rope2d", NULL, (struct shape){CELLS, 16, HEIGHT, WIDTH}, some_query, some_key);
    for (int64_t i = 0; i < CELLS; i++)
        for (int64_t j = 0; j < CELLS; j++) {
            double here = product(&f, i, j);
            if (i % WIDTH && j % WIDTH)
                check_close(product(&f, i - 1, j - 1), here, 0, 50 * CHECK_ROUNDING);
            if (i >= WIDTH && j >= WIDTH)
                check_close(product(&f, i - WIDTH, j - WIDTH), here, 0, 50 * CHECK_ROUNDING);
        }
    // The next token: one to the right, or the first of the row below.
    assert_true(fabs(product(&f, 0, 1) - product(&f, WIDTH - 1, WIDTH)) > 0.1);
    // Both coordinates turn, by frequencies of their own.
    assert_true(fabs(product(&f, 0, 1) - product(&f, 0, 0)) > 0.1);
    assert_true(fabs(product(&f, 0, WIDTH) - product(&f, 0, 0)) > 0.1);
    assert_true(fabs(product(&f, 0, WIDTH) - product(&f, 0, 1)) > 0.1);
    end(&f);
}

// rope2d is rope twice: a row alone turns the first half of the channels, a column the second.
static void test_rope2d_is_rope_along_each_axis(void **state)
{
    (void)state;
    enum { DIM = 16, SIDE = 7 };
    for (int down = 0; down < 2; down++) {
        struct fixture line, grid;
        int64_t moving = down ? DIM / 2 : 0, still = DIM / 2 - moving;
        begin(&line, "rope", "base=100", (struct shape){SIDE, DIM / 2, 0, 0}, some_query + moving,
              some_key + moving);
        begin(&grid, "rope2d", NULL, (struct shape){SIDE, DIM, down ? SIDE : 1, down ? 1 : SIDE},
              some_query, some_key);
        for (int64_t i = 0; i < SIDE; i++) {
            check_same_bytes(grid.query + i * DIM + moving, line.query + i * DIM / 2,
                             DIM / 2 * sizeof(real));
            check_same_bytes(grid.query + i * DIM + still, some_query + still,
                             DIM / 2 * sizeof(real));
        }
        end(&line);
        end(&grid);
    }
}

// The layouts are each other after a fixed permutation of a head's channels, to the bit.
static void test_layouts_differ_by_a_permutation(void **state)
{
    (void)state;
    enum { DIM = 15, PAIRS = 6 };
    real query[MAX_DIM] = {0}, key[MAX_DIM] = {0};
    int64_t in_half[DIM]; // where the half layout has channel c of the pair layout
    for (int64_t c = 0; c < DIM; c++) {
        in_half[c] = c >= 2 * PAIRS ? c : c % 2 ? c / 2 + PAIRS : c / 2;
        query[in_half[c]] = some_query[c];
        key[in_half[c]] = some_key[c];
    }
    struct shape shape = {20, DIM, 0, 0};
    struct fixture pair, half;
    begin(&pair, "rope", "fraction=0.8", shape, some_query, some_key);
    begin(&half, "rope", "fraction=0.8 layout=half", shape, query, key);
    for (int64_t i = 0; i < shape.length; i++)
        for (int64_t c = 0; c < DIM; c++) {
            assert_true(half.query[i * DIM + in_half[c]] == pair.query[i * DIM + c]);
            assert_true(half.key[i * DIM + in_half[c]] == pair.key[i * DIM + c]);
        }
    end(&pair);
    end(&half);
}

// values=v turns values like queries; values=vo turns the output back.
static void test_values(void **state)
{
    (void)state;
    static const char *const values[] = {"values=none", "values=v", "values=vo"};
    for (int k = 0; k < 3; k++) {
        struct fixture f;
        begin(&f, "rope", values[k], (struct shape){9, 8, 0, 0}, some_query, some_key);
        for (int64_t i = 0; i < f.length; i++) {
            const real *turned = f.query + i * f.dim;
            check_close_array(f.value + i * f.dim, k ? turned : some_query, f.dim, 0, 0);
            check_close_array(f.output + i * f.dim, k == 1 ? turned : some_query, f.dim, 0,
                              10 * CHECK_ROUNDING);
        }
        end(&f);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *pe, *options;
        struct shape shape;
        const char *words;
    } row[] = {
        {"rope", NULL, {8, 5, 0, 0}, "odd"},
        {"rope", NULL, {8, 1, 0, 0}, "rope"},
        {"rope", "fraction=0.1", {8, 16, 0, 0}, "fraction 0.1"},
        {"rope", "fraction=0", {8, 16, 0, 0}, "fraction 0"},
        {"rope2d", NULL, {9, 6, 0, 0}, "divisible by 4"},
        {"rope2d", NULL, {8, 8, 0, 0}, "not a square"},
        {"rope2d", "grid_height=3", {8, 8, 0, 0}, "grid_height"},
    };
    for (size_t k = 0; k < sizeof row / sizeof row[0]; k++) {
        struct fixture f;
        describe(&f, row[k].pe, row[k].options, row[k].shape);
        check_error(f.stack.def[0]->check(&f.context), ERR_ARGUMENT, row[k].words);
        end(&f);
    }
}

CHECK_MAIN(cmocka_unit_test(test_golden_numbers), cmocka_unit_test(test_options_of_rope),
           cmocka_unit_test(test_far_positions_keep_their_digits),
           cmocka_unit_test(test_norms_are_kept),
           cmocka_unit_test(test_products_depend_on_the_difference),
           cmocka_unit_test(test_products_on_a_grid),
           cmocka_unit_test(test_rope2d_is_rope_along_each_axis),
           cmocka_unit_test(test_layouts_differ_by_a_permutation), cmocka_unit_test(test_values),
           cmocka_unit_test(test_refused))
