// Optimizers against the formulas of their papers in double, schedules at their corners, clipping,
// and the same bits for any number of threads.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../autograd/base/rng.h"
#include "../../optim/optim.h"
#include "../support/check.h"
#include "../support/exact_sum.h"

#ifdef POSGRAD_DOUBLE
static const double tolerance = 1e-12;
#else
static const double tolerance = 1e-5;
#endif

static void assert_said(const char *words)
{
    if (!strstr(err_last(), words))
        fail_msg("'%s' is not in '%s'", words, err_last());
}

// --- parameters

// A matrix that decays, a vector that does not, a frozen matrix, and one large enough for many
// pieces.
enum { MATRIX, VECTOR, FROZEN, LARGE, ROWS };
static const int64_t row_count[ROWS] = {35, 7, 20, 70000};

static void make_params(struct ag_params *params)
{
    struct ag_graph graph;
    static const char *const name[ROWS] = {"matrix", "vector", "frozen", "large"};
    ag_params_init(params);
    ag_graph_init(&graph, params);
    for (int i = 0; i < ROWS; i++)
        ag_parameter(&graph, name[i], ag_shape1(row_count[i]), 0, 0.5,
                     i == VECTOR ? AG_NO_DECAY : AG_DECAY);
    ag_graph_release(&graph);
    assert_int_equal(params->rows, ROWS);
    params->row[FROZEN].frozen = true;
    check_ok(ag_params_allocate(params, 3));
}

static void draw_grads(struct ag_params *params, int64_t step)
{
    struct rng rng;
    rng_init(&rng, rng_stream(5, "grads"), (uint64_t)step, 0);
    for (int64_t i = 0; i < params->count; i++)
        params->grad[i] = (real)rng_normal(&rng);
}

// --- each optimizer, one element at a time, in double

struct naive {
    double x, m, v;
};

typedef void naive_step(struct naive *n, double g, int step, double lr, double decay);

static void naive_sgd(struct naive *n, double g, int step, double lr, double decay)
{
    (void)step;
    n->m = 0.9 * n->m + g;
    n->x = n->x - lr * decay * n->x - lr * n->m;
}

static void naive_sgd_plain(struct naive *n, double g, int step, double lr, double decay)
{
    (void)step;
    n->x -= lr * (g + decay * n->x);
}

static void naive_sgd_nesterov(struct naive *n, double g, int step, double lr, double decay)
{
    (void)step;
    n->m = 0.5 * n->m + g;
    n->x = n->x - lr * decay * n->x - lr * (g + 0.5 * n->m);
}

static void naive_moments(struct naive *n, double g, int step, double lr, double b1, double b2,
                          double eps)
{
    n->m = b1 * n->m + (1 - b1) * g;
    n->v = b2 * n->v + (1 - b2) * g * g;
    double mean = n->m / (1 - pow(b1, step)), square = n->v / (1 - pow(b2, step));
    n->x -= lr * mean / (sqrt(square) + eps);
}

static void naive_adam(struct naive *n, double g, int step, double lr, double decay)
{
    naive_moments(n, g + decay * n->x, step, lr, 0.9, 0.999, 1e-8);
}

static void naive_adamw(struct naive *n, double g, int step, double lr, double decay)
{
    n->x -= lr * decay * n->x;
    naive_moments(n, g, step, lr, 0.9, 0.999, 1e-8);
}

static void naive_adamw_set(struct naive *n, double g, int step, double lr, double decay)
{
    n->x -= lr * decay * n->x;
    naive_moments(n, g, step, lr, 0.8, 0.95, 0.01);
}

static void naive_lion(struct naive *n, double g, int step, double lr, double decay)
{
    (void)step;
    double mix = 0.9 * n->m + 0.1 * g;
    n->x -= lr * ((mix > 0 ? 1 : mix < 0 ? -1 : 0) + decay * n->x);
    n->m = 0.99 * n->m + 0.01 * g;
}

static const struct {
    const char *name;
    int pairs;
    const char *pair[3];
    naive_step *step;
} cases[] = {
    {"sgd", 0, {0}, naive_sgd},
    {"sgd", 1, {"momentum=0"}, naive_sgd_plain},
    {"sgd", 2, {"momentum=0.5", "nesterov=yes"}, naive_sgd_nesterov},
    {"adam", 0, {0}, naive_adam},
    {"adamw", 0, {0}, naive_adamw},
    {"adamw", 3, {"beta1=0.8", "beta2=0.95", "eps=0.01"}, naive_adamw_set},
    {"lion", 0, {0}, naive_lion},
};
enum { CASES = sizeof cases / sizeof cases[0], STEPS = 6 };

static void start_case(struct optimizer *optimizer, struct ag_params *params, int k)
{
    make_params(params);
    if (optimizer_init(optimizer, cases[k].name, params, cases[k].pairs, cases[k].pair) < 0)
        fail_msg("%s", err_last());
}

// Another rate and another clipping each step, so that both reach the formula, also where a common
// factor of all gradients would not show.
static void run_case(struct optimizer *optimizer, struct naive *naive, int k)
{
    struct ag_params *params = optimizer->params;
    for (int step = 1; step <= STEPS; step++) {
        double lr = 0.01 * step, scale = step % 2 ? 0.5 : 0.125;
        draw_grads(params, step);
        double norm = optimizer_grad_norm(optimizer);
        optimizer_update(optimizer, step, lr, 0.3, norm, scale * norm);
        for (int i = 0; naive && i < ROWS; i++)
            for (int64_t j = 0; j < row_count[i]; j++) {
                int64_t at = params->row[i].offset + j;
                if (i != FROZEN)
                    cases[k].step(&naive[at], scale * (double)params->grad[at], step, lr,
                                  i == VECTOR ? 0 : 0.3);
            }
    }
}

static void test_formulas(void **state)
{
    (void)state;
    for (int k = 0; k < CASES; k++) {
        struct ag_params params;
        struct optimizer optimizer;
        start_case(&optimizer, &params, k);
        struct naive *naive = calloc((size_t)params.count, sizeof *naive);
        assert_non_null(naive);
        for (int64_t i = 0; i < params.count; i++)
            naive[i].x = (double)params.value[i];
        run_case(&optimizer, naive, k);
        for (int64_t i = 0; i < params.count; i++)
            if (!check_is_close((double)params.value[i], naive[i].x, tolerance, tolerance))
                fail_msg("case %d (%s): element %d is %.9g instead of %.9g", k, cases[k].name,
                         (int)i, (double)params.value[i], naive[i].x);
        free(naive);
        optimizer_release(&optimizer);
        ag_params_release(&params);
    }
}

static void test_frozen_rows_stay(void **state)
{
    (void)state;
    for (int k = 0; k < CASES; k++) {
        struct ag_params params, before;
        struct optimizer optimizer;
        make_params(&before);
        start_case(&optimizer, &params, k);
        run_case(&optimizer, NULL, k);
        int64_t at = params.row[FROZEN].offset;
        size_t size = (size_t)row_count[FROZEN] * sizeof(real);
        assert_memory_equal(params.value + at, before.value + at, size);
        assert_memory_not_equal(params.value, before.value, sizeof(real));
        for (int s = 0; s < optimizer.def->states; s++)
            for (int64_t i = 0; i < row_count[FROZEN]; i++)
                assert_true(optimizer.state[s][at + i] == 0);
        optimizer_release(&optimizer);
        ag_params_release(&params);
        ag_params_release(&before);
    }
}

static void test_threads_do_not_change_bits(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 8};
    for (int k = 0; k < CASES; k++) {
        struct ag_params params[4];
        double norm[4];
        for (int t = 0; t < 4; t++) {
            struct optimizer optimizer;
            par_set_threads(threads[t]);
            start_case(&optimizer, &params[t], k);
            run_case(&optimizer, NULL, k);
            norm[t] = optimizer_grad_norm(&optimizer);
            optimizer_release(&optimizer);
            assert_memory_equal(params[t].value, params[0].value,
                                (size_t)params[0].count * sizeof(real));
            assert_memory_equal(&norm[t], &norm[0], sizeof norm[0]);
        }
        for (int t = 0; t < 4; t++)
            ag_params_release(&params[t]);
    }
    par_set_threads(0);
}

// Averages that have decayed to where numbers are denormal are zero after the next step, whichever
// thread makes it.
static void test_denormal_averages_are_zero(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 8};
    static const unsigned char tiny[sizeof(real)] = {0, 1}; // denormal in either order of bytes
    if (strcmp(par_denormals(), "flushed") != 0 || check_under_valgrind())
        skip();
    for (int k = 0; k < CASES * 4; k++) {
        struct optimizer optimizer;
        struct ag_params params;
        par_set_threads(threads[k % 4]);
        start_case(&optimizer, &params, k / 4);
        memset(params.grad, 0, (size_t)params.count * sizeof(real));
        for (int s = 0; s < optimizer.def->states; s++)
            for (int64_t i = 0; i < params.count; i++)
                memcpy(&optimizer.state[s][i], tiny, sizeof tiny);
        optimizer_update(&optimizer, 1, 0.001, 0, 0, 0);
        for (int s = 0; s < optimizer.def->states; s++)
            for (int64_t i = params.row[LARGE].offset; i < params.count; i++) {
                real zero = 0; // by its bits, as a comparison would take a denormal for it
                assert_memory_equal(&optimizer.state[s][i], &zero, sizeof zero);
            }
        optimizer_release(&optimizer);
        ag_params_release(&params);
    }
    par_set_threads(0);
}

// f(x) = sum (x - 1)^2 / 2, from 0.5-ish random starts.
static void test_bowl_is_descended(void **state)
{
    (void)state;
    for (int k = 0; k < CASES; k++) {
        struct ag_params params;
        struct optimizer optimizer;
        enum { ALL = 300 };
        start_case(&optimizer, &params, k);
        for (int step = 1; step <= ALL; step++) {
            for (int64_t i = 0; i < params.count; i++)
                params.grad[i] = params.value[i] - 1;
            double lr = schedule_lr(schedule_find("cosine"), 0.05, step, ALL, 10);
            optimizer_update(&optimizer, step, lr, 0, 0, 0);
        }
        for (int64_t i = 0; i < row_count[MATRIX]; i++)
            if (!check_is_close((double)params.value[i], 1, 0.02, 0))
                fail_msg("case %d (%s) ends at %g", k, cases[k].name, (double)params.value[i]);
        optimizer_release(&optimizer);
        ag_params_release(&params);
    }
}

// --- norm and clipping

static void test_norm(void **state)
{
    (void)state;
    struct ag_params params;
    struct optimizer optimizer;
    start_case(&optimizer, &params, 0);
    draw_grads(&params, 1);
    struct exact_sum sum = {0, 0};
    for (int i = 0; i < ROWS; i++)
        for (int64_t j = 0; i != FROZEN && j < row_count[i]; j++) {
            double g = (double)params.grad[params.row[i].offset + j];
            exact_add(&sum, g * g);
        }
    check_close(optimizer_grad_norm(&optimizer), sqrt(exact_total(&sum)), 1e-14, 0);
    int64_t last = params.row[LARGE].offset + row_count[LARGE] - 1;
    params.grad[params.row[FROZEN].offset] = (real)NAN; // not looked at
    assert_true(isfinite(optimizer_grad_norm(&optimizer)));
    params.grad[last] = (real)INFINITY;
    assert_true(isinf(optimizer_grad_norm(&optimizer)));
    params.grad[0] = (real)NAN;
    assert_true(isnan(optimizer_grad_norm(&optimizer)));
    memset(params.grad, 0, (size_t)params.count * sizeof(real));
    assert_true(optimizer_grad_norm(&optimizer) == 0);
    params.grad[last] = -3;
    assert_true(optimizer_grad_norm(&optimizer) == 3);
    optimizer_release(&optimizer);
    ag_params_release(&params);
}

// The size of one plain step of rate 1 against gradient 3 in one place.
static double clipped_step(double clip)
{
    struct ag_params params;
    struct optimizer optimizer;
    start_case(&optimizer, &params, 1);
    memset(params.grad, 0, (size_t)params.count * sizeof(real));
    params.value[0] = 0;
    params.grad[0] = 3;
    optimizer_update(&optimizer, 1, 1, 0, optimizer_grad_norm(&optimizer), clip);
    double moved = -(double)params.value[0];
    optimizer_release(&optimizer);
    ag_params_release(&params);
    return moved;
}

static void test_clipping(void **state)
{
    (void)state;
    assert_true(clipped_step(0) == 3);
    assert_true(clipped_step(4) == 3);
    assert_true(clipped_step(3) == 3);
    check_close(clipped_step(1.5), 1.5, 1e-6, 1e-6);
    check_close(clipped_step(1e-3), 1e-3, 1e-9, 1e-9);
}

// --- schedules

static double lr_of(const char *name, int64_t step, int64_t steps, int64_t warmup)
{
    const struct schedule_def *schedule = schedule_find(name);
    assert_non_null(schedule);
    return schedule_lr(schedule, 2, step, steps, warmup);
}

static void test_warmup(void **state)
{
    (void)state;
    for (int i = 0; i < schedule_count; i++) {
        const char *name = schedule_list[i]->name;
        check_close(lr_of(name, 1, 100, 10), 0.2, 1e-15, 1e-15);
        check_close(lr_of(name, 5, 100, 10), 1, 1e-15, 1e-15);
        assert_true(lr_of(name, 10, 100, 10) == 2);
        assert_true(lr_of(name, 1, 100, 0) == 2);
        assert_true(lr_of(name, 1, 100, 1) == 2);
        check_close(lr_of(name, 5, 5, 10), 1, 1e-15, 1e-15); // a run that ends in its warm-up
        for (int64_t step = 1; step <= 130; step++) {        // and one made longer afterwards
            double lr = lr_of(name, step, 100, 10);
            assert_true(lr >= 0 && lr <= 2);
            if (step > 11)
                assert_true(lr <= lr_of(name, step - 1, 100, 10));
        }
    }
}

static void test_schedule_values(void **state)
{
    (void)state;
    const double pi = 3.14159265358979323846;
    assert_true(lr_of("constant", 11, 100, 10) == 2);
    assert_true(lr_of("constant", 100, 100, 10) == 2);
    assert_true(lr_of("linear", 11, 100, 10) == 2);
    check_close(lr_of("linear", 56, 100, 10), 1, 1e-15, 1e-15);
    check_close(lr_of("linear", 100, 100, 10), 2.0 / 90, 1e-15, 1e-15);
    assert_true(lr_of("cosine", 11, 100, 10) == 2);
    check_close(lr_of("cosine", 56, 100, 10), 1, 1e-15, 1e-15);
    check_close(lr_of("cosine", 100, 100, 10), 1 + cos(pi * 89 / 90), 1e-15, 1e-15);
    check_close(lr_of("inverse-sqrt", 11, 100, 10), 2 * sqrt(10.0 / 11), 1e-15, 1e-15);
    check_close(lr_of("inverse-sqrt", 40, 100, 10), 1, 1e-15, 1e-15);
    check_close(lr_of("inverse-sqrt", 100, 100, 0), 0.2, 1e-15, 1e-15);
    check_close(lr_of("inverse-sqrt", 100, 100, 1), 0.2, 1e-15, 1e-15);
    check_close(lr_of("linear", 101, 100, 10), 0, 1e-15, 1e-15);
    check_close(lr_of("cosine", 500, 100, 10), 0, 1e-15, 1e-15);
    check_close(lr_of("cosine", 11, 5, 10), 2, 1e-15, 1e-15);
}

// --- names and options

static void assert_lists_are_complete(void)
{
    for (int i = 0; i < optimizer_count; i++) {
        const struct optimizer_def *def = optimizer_list[i];
        assert_ptr_equal(optimizer_find(def->name), def);
        assert_true(def->title && def->paper && def->update && def->states <= OPTIMIZER_MAX_STATES);
        for (int s = 0; s < def->states; s++)
            assert_non_null(def->state_name[s]);
        assert_true(i == 0 || strcmp(optimizer_list[i - 1]->name, def->name) < 0);
    }
    for (int i = 0; i < schedule_count; i++) {
        assert_ptr_equal(schedule_find(schedule_list[i]->name), schedule_list[i]);
        assert_true(schedule_list[i]->title && schedule_list[i]->factor);
        assert_true(i == 0 || strcmp(schedule_list[i - 1]->name, schedule_list[i]->name) < 0);
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_lists_are_complete();
    assert_ptr_equal(schedule_find("inverse_sqrt"), schedule_find("inverse-sqrt"));
    assert_null(optimizer_find("adanw"));
    assert_said("'adanw'; did you mean 'adam");
    assert_null(optimizer_find("gradient-descent"));
    assert_said("posgrad list optimizers");
    assert_null(schedule_find("cosin"));
    assert_said("did you mean 'cosine'?");
    assert_null(schedule_find(""));
}

static void test_options_are_checked(void **state)
{
    (void)state;
    static const char *const bad[][3] = {
        {"adamw", "beta1=1", "beta1"},   {"adamw", "beta2=-0.1", "beta2"},
        {"adamw", "eps=0", "eps"},       {"adam", "beta=0.9", "beta1"},
        {"lion", "eps=1", "eps"},        {"sgd", "momentum=nan", "momentum"},
        {"sgd", "momentum", "momentum"}, {"sgd", "nesterov=2", "nesterov"},
        {"adamx", "", "adam"},
    };
    struct ag_params params;
    make_params(&params);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct optimizer optimizer;
        check_error(optimizer_init(&optimizer, bad[i][0], &params, 1, &bad[i][1]), ERR_ARGUMENT,
                    bad[i][2]);
        assert_null(optimizer.state[0]); // nothing is left to release
        assert_null(optimizer.settings);
    }
    ag_params_release(&params);
}

static void test_no_parameters(void **state)
{
    (void)state;
    struct ag_params params;
    struct optimizer optimizer;
    ag_params_init(&params);
    check_ok(ag_params_allocate(&params, 0));
    check_ok(optimizer_init(&optimizer, "adamw", &params, 0, NULL));
    assert_true(optimizer_grad_norm(&optimizer) == 0);
    optimizer_update(&optimizer, 1, 0.1, 0.1, 0, 1);
    optimizer_release(&optimizer);
    ag_params_release(&params);
}

// --- the average

// a_t is the sum of decay^(t - i) w_i over i, divided by that of decay^(t - i); the start has no
// part in it.
static void test_average(void **state)
{
    (void)state;
    enum { COUNT = 20003, UPDATES = 12 }; // several pieces, the last of another length
    static real value[COUNT], average[COUNT];
    static double sum[COUNT];
    static const double decays[] = {0.5, 0.9, 0.999};
    struct ag_params params = {.value = value, .count = COUNT};
    for (int d = 0; d < 3; d++) {
        double weights = 0;
        memset(sum, 0, sizeof sum);
        for (int i = 0; i < COUNT; i++)
            average[i] = 1e3;
        for (int step = 1; step <= UPDATES; step++) {
            weights = weights * decays[d] + 1;
            for (int i = 0; i < COUNT; i++) {
                value[i] = (real)sin(0.1 * step * (i % 97) + d);
                sum[i] = sum[i] * decays[d] + (double)value[i];
            }
            par_set_threads(step % 3 + 1);
            average_update(&params, step, decays[d], average);
            for (int i = 0; i < COUNT; i += step == UPDATES ? 1 : 501)
                check_close(average[i], sum[i] / weights, CHECK_ROUNDING, CHECK_ROUNDING);
            if (step == 1)
                assert_memory_equal(average, value, sizeof average);
        }
    }
    par_set_threads(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formulas),
        cmocka_unit_test(test_frozen_rows_stay),
        cmocka_unit_test(test_threads_do_not_change_bits),
        cmocka_unit_test(test_denormal_averages_are_zero),
        cmocka_unit_test(test_bowl_is_descended),
        cmocka_unit_test(test_average),
        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_clipping),
        cmocka_unit_test(test_warmup),
        cmocka_unit_test(test_schedule_values),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_options_are_checked),
        cmocka_unit_test(test_no_parameters),
    };
    return cmocka_run_group_tests_name("optimizers and schedules", tests, NULL, NULL) != 0;
}
