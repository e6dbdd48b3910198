// What rows are made of: different numbers in all orders alike, and what lengths settle to.
#include "../../datasets/row.h"

#include <math.h>
#include <string.h>

#include "../support/check.h"

// Draws `count` of `below` many times; every ordered outcome must come, and as often as the others.
static void check_distinct(int64_t count, int64_t below, int64_t stride)
{
    enum { MAX_OUTCOMES = 1000, DRAWS = 60000 };
    int counts[MAX_OUTCOMES] = {0};
    double outcomes = 1;
    for (int64_t i = 0; i < count; i++)
        outcomes *= (double)(below - i);
    struct rng rng;
    rng_init(&rng, rng_stream(1, "test"), (uint64_t)count, (uint32_t)below);
    for (int draw = 0; draw < DRAWS; draw++) {
        int32_t out[16];
        int64_t outcome = 0;
        memset(out, 0x7f, sizeof out);
        row_distinct(&rng, out, stride, count, below);
        for (int64_t i = 0; i < 16; i++) {
            bool written = i % stride == 0 && i / stride < count;
            assert_true(written ? out[i] >= 0 && out[i] < below : out[i] == 0x7f7f7f7f);
            outcome = written ? outcome * below + out[i] : outcome;
            for (int64_t k = 0; k < i && written; k++)
                assert_true(out[k] != out[i]);
        }
        assert_in_range(outcome, 0, MAX_OUTCOMES - 1);
        counts[outcome]++;
    }
    double each = DRAWS / outcomes, seen = 0;
    for (int i = 0; i < MAX_OUTCOMES; i++) {
        seen += counts[i] > 0;
        if (counts[i] > 0)
            check_close(counts[i], each, 0, 5 * sqrt(each));
    }
    check_close(seen, outcomes, 0, 0);
}

static void test_distinct(void **state)
{
    (void)state;
    check_distinct(1, 1, 1);
    check_distinct(1, 7, 1);
    check_distinct(2, 4, 3); // few of many
    check_distinct(3, 6, 2);
    check_distinct(2, 3, 1); // many of a few
    check_distinct(3, 4, 2);
    check_distinct(4, 4, 1);
}

static void test_chance(void **state)
{
    (void)state;
    struct row_lengths lengths = {3, 5};
    check_close(row_chance(lengths, 1, 1, 0), 0.25, 1e-15, 0);
    check_close(row_chance(lengths, 2, 1, 1), 0.4, 1e-15, 0);
    check_close(row_surprise(0.25), 0.5, 1e-15, 0);
    check_close(row_surprise(0), 0, 0, 0);
}

CHECK_MAIN(cmocka_unit_test(test_distinct), cmocka_unit_test(test_chance))
