// Angles at positions up to a million, of every encoding that has any: against long double, and by
// what they are for - a shift of all positions changes no product by more than 1e-6.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/rng.h"
#include "../../src/encodings/common/relative.h"
#include "../support/check.h"

enum { FAR = 1000000, COUNT = FAR + 16, HALF = 4, LENGTH = 2 * HALF, DIM = 8 };

// The second half stands where the first does, a million further.
static const int32_t places[LENGTH] = {0, 1, 6, 13, FAR, FAR + 1, FAR + 6, FAR + 13};

static struct fixture {
    struct pe_stack stack;
    struct ag_params params;
    struct ag_graph graph;
    struct ag_plan *plan;
    ag_t *memo[PE_MEMOS];
    struct pe_context context;
    real row[DIM];
} f;

static void begin(const char *pe, const char *pair)
{
    struct rng rng;
    memset(&f, 0, sizeof f);
    check_ok(pe_stack_init(&f.stack, pe, pair ? 1 : 0, &pair));
    ag_params_init(&f.params);
    ag_graph_init(&f.graph, &f.params);
    static const int32_t zeros[LENGTH] = {0};
    f.context = (struct pe_context){
        .graph = &f.graph,
        .batch = 1,
        .length = LENGTH,
        .train_length = LENGTH,
        .position_count = COUNT,
        .dim = DIM,
        .heads = 1,
        .head_dim = DIM,
        .layers = 1,
        .vocab = 1,
        .tokens = ag_constant_index(&f.graph, ag_shape2(1, LENGTH), zeros),
        .position = ag_constant_index(&f.graph, ag_shape2(1, LENGTH), places),
        .memo = f.memo,
        .settings = f.stack.settings[0],
        .name = f.stack.def[0]->name,
    };
    rng_init(&rng, rng_stream(3, "row"), 0, 0);
    for (int c = 0; c < DIM; c++)
        f.row[c] = (real)(2 * rng_uniform(&rng) - 1);
}

static void end(void)
{
    ag_plan_free(f.plan);
    ag_graph_release(&f.graph);
    ag_params_release(&f.params);
    pe_stack_release(&f.stack);
}

// The row at every place, or zeros.
static ag_t *rows(bool filled)
{
    real all[LENGTH * DIM] = {0};
    for (int i = 0; filled && i < LENGTH * DIM; i++)
        all[i] = f.row[i % DIM];
    return ag_constant(&f.graph, ag_shape3(1, LENGTH, DIM), all);
}

// Frequencies that are trained are not those of their start.
static const real *compute(ag_t *x)
{
    struct rng rng;
    ag_keep(x);
    check_ok(ag_params_allocate(&f.params, 1));
    rng_init(&rng, rng_stream(3, "shift"), 0, 0);
    for (int64_t i = 0; i < f.params.count; i++)
        f.params.value[i] += (real)(0.2 * (rng_uniform(&rng) - 0.5));
    f.plan = ag_plan_new(&f.graph, x, false);
    if (!f.plan)
        fail_msg("%s", err_last());
    ag_forward(f.plan);
    return x->data;
}

static double product(const real *a, const real *b, int64_t count)
{
    double sum = 0;
    for (int64_t c = 0; c < count; c++)
        sum += (double)a[c] * (double)b[c];
    return sum;
}

// x [LENGTH, width]: <x_i, x_j> is what it is a million further on, by |x_i| |x_j|.
static void check_shift(const char *what, const real *x, int64_t width)
{
    for (int i = 0; i < HALF; i++)
        for (int j = 0; j < HALF; j++) {
            const real *a = x + i * width, *b = x + j * width, *far_a = a + HALF * width;
            double near = product(a, b, width), far = product(far_a, b + HALF * width, width);
            double size = sqrt(product(a, a, width) * product(b, b, width));
            if (!(fabs(near - far) <= 1e-6 * size))
                fail_msg("%s: %.9g becomes %.9g, %.3g of the norms apart, between places %d and %d",
                         what, near, far, fabs(near - far) / size, (int)places[i], (int)places[j]);
        }
    // And places tell: else nothing turns.
    assert_true(fabs(product(x, x + width, width) - product(x, x, width)) > 1e-3);
}

static double far_sine(int64_t place, int64_t c, int64_t pairs, double base, bool cosine)
{
    long double angle = (long double)place *
                        powl((long double)base, -(long double)c / (long double)pairs);
    return (double)(cosine ? cosl(angle) : sinl(angle));
}

static const real *turned_queries(const char *option)
{
    begin("rope", option);
    f.context.layer = 0;
    struct pe_attention a = {.query = rows(true), .key = rows(true)};
    a.op = (struct ag_attention){
        .query = a.query, .key = a.key, .value = a.query, .heads = 1, .scale = 1};
    check_ok(f.stack.def[0]->check(&f.context));
    f.stack.def[0]->attention(&f.context, &a);
    return compute(a.op.query);
}

static void test_rotations(void **state)
{
    (void)state;
    static const char *const options[] = {NULL, "trainable=yes"};
    for (int k = 0; k < 2; k++) {
        const real *x = turned_queries(options[k]);
        check_shift(options[k] ? options[k] : "rope", x, DIM);
        for (int64_t i = 0; k == 0 && i < LENGTH; i++)
            for (int64_t c = 0; c < DIM / 2; c++) {
                double a = (double)f.row[2 * c], b = (double)f.row[2 * c + 1];
                double cosine = far_sine(places[i], c, DIM / 2, 10000, true);
                double sine = far_sine(places[i], c, DIM / 2, 10000, false);
                check_close(x[i * DIM + 2 * c], a * cosine - b * sine, 0, 3e-7);
                check_close(x[i * DIM + 2 * c + 1], b * cosine + a * sine, 0, 3e-7);
            }
        end();
    }
}

static void test_sinusoids(void **state)
{
    (void)state;
    static const char *const options[] = {NULL, "trainable=yes"};
    for (int k = 0; k < 2; k++) {
        begin("sinusoidal", options[k]);
        f.context.layer = -1;
        const real *x = compute(f.stack.def[0]->input(&f.context, rows(false)));
        check_shift(options[k] ? options[k] : "sinusoidal", x, DIM);
        for (int64_t i = 0; k == 0 && i < LENGTH; i++)
            for (int64_t c = 0; c < DIM; c++)
                check_close(x[i * DIM + c], far_sine(places[i], c / 2, DIM / 2, 10000, c % 2), 0,
                            1e-7);
        end();
    }
}

// Real and imaginary part side by side: the product with the conjugate.
static void test_complex(void **state)
{
    (void)state;
    real both[LENGTH * 2 * DIM];
    begin("complex", NULL);
    f.context.layer = -1;
    const real *x = compute(f.stack.def[0]->input(&f.context, rows(true)));
    for (int i = 0; i < LENGTH; i++)
        for (int part = 0; part < 2; part++)
            memcpy(both + (2 * i + part) * DIM, x + (part * LENGTH + i) * DIM, DIM * sizeof *x);
    check_shift("complex", both, 2 * DIM);
    end();
}

// What Transformer-XL, XLNet and TUPE's kin have of offsets.
static void test_sinusoids_of_offsets(void **state)
{
    (void)state;
    for (int interleaved = 0; interleaved < 2; interleaved++) {
        begin("none", NULL);
        const real *x =
            compute(pe_sinusoids(&f.context, LENGTH, FAR, -1, DIM, 10000, interleaved != 0));
        for (int64_t i = 0; i < LENGTH; i++)
            for (int64_t c = 0; c < DIM / 2; c++) {
                const real *row = x + i * DIM;
                real sine = row[interleaved ? 2 * c : c];
                real cosine = row[interleaved ? 2 * c + 1 : DIM / 2 + c];
                check_close(sine, far_sine(FAR - i, c, DIM / 2, 10000, false), 0, 1e-7);
                check_close(cosine, far_sine(FAR - i, c, DIM / 2, 10000, true), 0, 1e-7);
            }
        end();
    }
}

// --- on a grid, whose tokens stand in it one after the other: one of a million columns

enum { WIDE = FAR + HALF };

static void begin_grid(const char *pe, const char *pair, bool tall)
{
    begin(pe, pair);
    f.context.length = f.context.train_length = f.context.position_count = WIDE;
    f.context.grid_height = tall ? WIDE : 1;
    f.context.position = NULL;
}

// The row of the fixture at every place, or zeros.
static ag_t *many_rows(bool filled)
{
    ag_t *row = ag_constant(&f.graph, ag_shape3(1, 1, DIM), f.row);
    real *zeros = calloc((size_t)WIDE * DIM, sizeof *zeros);
    assert_non_null(zeros);
    ag_t *all = ag_constant(&f.graph, ag_shape3(1, WIDE, DIM), zeros);
    free(zeros);
    return filled ? ag_add(&f.graph, all, row) : all;
}

static void test_rotations_on_a_grid(void **state)
{
    (void)state;
    static const int64_t at[] = {0, 1, 70001, FAR - 1, FAR};
    for (int tall = 0; tall < 2; tall++) {
        begin_grid("rope2d", NULL, tall);
        f.context.layer = 0;
        ag_t *row = many_rows(true);
        struct pe_attention a = {.query = row, .key = row};
        a.op =
            (struct ag_attention){.query = row, .key = row, .value = row, .heads = 1, .scale = 1};
        check_ok(f.stack.def[0]->check(&f.context));
        f.stack.def[0]->attention(&f.context, &a);
        const real *x = compute(a.op.query);
        for (int i = 0; i < 5; i++)
            for (int64_t c = 0; c < DIM / 2; c++) {
                // The first half of the pairs turns by the column, the second by the row.
                int64_t place = (c >= DIM / 4) == tall ? at[i] : 0;
                double sine = far_sine(place, c % (DIM / 4), DIM / 4, 100, false);
                double cosine = far_sine(place, c % (DIM / 4), DIM / 4, 100, true);
                double left = (double)f.row[2 * c], right = (double)f.row[2 * c + 1];
                const real *here = x + at[i] * DIM + 2 * c;
                check_close(here[0], left * cosine - right * sine, 0, 3e-7);
                check_close(here[1], right * cosine + left * sine, 0, 3e-7);
            }
        end();
    }
}

static void test_sinusoids_on_a_grid(void **state)
{
    (void)state;
    static const int64_t at[] = {0, 1, 70001, FAR - 2, FAR - 1};
    begin_grid("sinusoidal2d", "normalize=no", false);
    f.context.layer = -1;
    const real *x = compute(f.stack.def[0]->input(&f.context, many_rows(false)));
    for (int i = 0; i < 5; i++)
        for (int64_t c = 0; c < DIM; c++) {
            // The row's channels first; coordinates count from 1.
            int64_t place = c < DIM / 2 ? 1 : at[i] + 1, pair = c % (DIM / 2) / 2;
            check_close(x[at[i] * DIM + c], far_sine(place, pair, DIM / 4, 10000, c % 2), 0, 1e-7);
        }
    end();
}

CHECK_MAIN(cmocka_unit_test(test_rotations), cmocka_unit_test(test_sinusoids),
           cmocka_unit_test(test_complex), cmocka_unit_test(test_sinusoids_of_offsets),
           cmocka_unit_test(test_rotations_on_a_grid), cmocka_unit_test(test_sinusoids_on_a_grid))
