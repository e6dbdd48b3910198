// Intervals against published tables and against simulation.
#include "../../src/train/statistics.h"

#include <math.h>

#include "../../autograd/base/rng.h"
#include "../support/check.h"

// Newcombe 1998, Statistics in Medicine 17:857, table I, the score method without correction.
static void wilson_is_the_table(void **state)
{
    (void)state;
    static const struct {
        double successes, trials, low, high;
    } rows[] = {{81, 263, 0.2553, 0.3662},
                {15, 148, 0.0624, 0.1605},
                {0, 20, 0.0000, 0.1611},
                {1, 29, 0.0061, 0.1718}};
    for (int i = 0; i < 4; i++) {
        struct interval interval = interval_wilson(rows[i].successes, rows[i].trials);
        check_close(interval.low, rows[i].low, 0, 5.1e-5);
        check_close(interval.high, rows[i].high, 0, 5.1e-5);
        // What holds for successes holds for failures.
        struct interval other = interval_wilson(rows[i].trials - rows[i].successes, rows[i].trials);
        check_close(other.low, 1 - interval.high, 0, 1e-12);
        check_close(other.high, 1 - interval.low, 0, 1e-12);
    }
    assert_true(interval_wilson(0, 20).low == 0 && interval_wilson(20, 20).high == 1);
    assert_true(interval_wilson(0, 0).low == 0 && interval_wilson(0, 0).high == 1);
}

// NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.6.7.2, column 0.975.
static void student_is_the_table(void **state)
{
    (void)state;
    static const struct {
        int64_t freedom;
        double t;
    } rows[] = {{1, 12.706}, {2, 4.303},  {3, 3.182},  {4, 2.776},   {5, 2.571},
                {9, 2.262},  {10, 2.228}, {30, 2.042}, {100, 1.984}, {100000, 1.960}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_close(student_t95(rows[i].freedom), rows[i].t, 0, 5.1e-4);
    check_close(student_t95(1), tan(0.475 * M_PI), 1e-12, 0); // Cauchy's distribution
    check_close(student_t95(2000000), 1.959964, 0, 1e-6);
    assert_true(isinf(student_t95(0)));
}

static void means(void **state)
{
    (void)state;
    const double value[] = {0.5, 0.7, 0.9};
    double mean;
    struct interval interval = interval_mean(3, value, &mean);
    check_close(mean, 0.7, 1e-12, 0);
    check_close(interval.high - mean, 4.302652729749458 * 0.2 / sqrt(3), 1e-9, 0);
    check_close(mean - interval.low, interval.high - mean, 1e-9, 0);
    interval = interval_mean(1, value, &mean);
    assert_true(mean == 0.5 && isinf(interval.low) && isinf(interval.high));
    interval = interval_mean(0, value, &mean);
    assert_true(isnan(mean) && isnan(interval.low) && isnan(interval.high));
}

static void add_row(struct dataset_score *score, int64_t correct, int64_t scored)
{
    int32_t prediction[64], target[64];
    for (int64_t i = 0; i < scored; i++) {
        target[i] = 1;
        prediction[i] = i < correct;
    }
    dataset_score(score, 1, scored, prediction, target);
}

static void accuracy_of_rows(void **state)
{
    (void)state;
    struct dataset_score alike = {0}, apart = {0}, all = {0}, one = {0};
    for (int i = 0; i < 20; i++) {
        add_row(&alike, 4, 8);             // rows all vary less than chance would have them:
        add_row(&apart, i % 2 ? 8 : 0, 8); // and as much as they can
        add_row(&all, 8, 8);
    }
    add_row(&one, 4, 8);
    struct interval a = interval_accuracy(&alike), wilson = interval_wilson(80, 160);
    check_close(a.low, wilson.low, 1e-12, 0);
    a = interval_accuracy(&apart), wilson = interval_wilson(9.5, 19);
    check_close(a.low, wilson.low, 1e-9, 0);
    check_close(a.high, wilson.high, 1e-9, 0);
    a = interval_accuracy(&all), wilson = interval_wilson(20, 20);
    assert_true(a.low == wilson.low && a.high == 1);
    a = interval_accuracy(&one), wilson = interval_wilson(0.5, 1);
    assert_true(a.low == wilson.low && a.high == wilson.high);
    a = interval_accuracy(&(struct dataset_score){0});
    assert_true(a.low == 0 && a.high == 1);
}

// Rows of unlike sizes, each easy or hard: of 1000 samples of 60 rows the interval holds the truth
// in about 950, which that of independent targets is far from.
static void it_covers(void **state)
{
    (void)state;
    enum { SAMPLES = 1000, ROWS = 60 };
    int held = 0, naive = 0;
    struct rng rng;
    rng_init(&rng, 5, 0, 0);
    for (int k = 0; k < SAMPLES; k++) {
        struct dataset_score score = {0};
        for (int i = 0; i < ROWS; i++) {
            double p = rng_uniform(&rng) < 0.5 ? 0.3 : 0.9;
            int64_t scored = 10 + rng_below(&rng, 31), correct = 0;
            for (int64_t j = 0; j < scored; j++)
                correct += rng_uniform(&rng) < p;
            add_row(&score, correct, scored);
        }
        struct interval interval = interval_accuracy(&score);
        held += interval.low <= 0.6 && 0.6 <= interval.high;
        interval = interval_wilson((double)score.correct, (double)score.scored);
        naive += interval.low <= 0.6 && 0.6 <= interval.high;
    }
    assert_in_range(held, 930, 970);
    assert_in_range(naive, 0, 700);
}

CHECK_MAIN(cmocka_unit_test(wilson_is_the_table), cmocka_unit_test(student_is_the_table),
           cmocka_unit_test(means), cmocka_unit_test(accuracy_of_rows), cmocka_unit_test(it_covers))
