// Philox against its authors' known answers, sequences against the raw function, and the draws
// against what their distributions say.
#include "../../autograd/base/rng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../support/check.h"

static void test_known_answers(void **state)
{
    (void)state;
    // The three cases of Random123's kat_vectors for philox4x32 with 10 rounds.
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint32_t out[4];
        rng_philox(known[i].counter, known[i].key, out);
        check_same_bytes(out, known[i].out, sizeof out);
    }
}

static void test_sequence_is_the_raw_function(void **state)
{
    (void)state;
    uint64_t stream = 0x0123456789abcdef, a = 0xfedcba9876543210;
    struct rng rng;
    rng_init(&rng, stream, a, 77);
    for (uint32_t block = 0; block < 5; block++) {
        const uint32_t counter[4] = {block, 77, 0x76543210, 0xfedcba98};
        const uint32_t key[2] = {0x89abcdef, 0x01234567};
        uint32_t expected[4], actual[4];
        rng_philox(counter, key, expected);
        for (int i = 0; i < 4; i++)
            actual[i] = rng_u32(&rng);
        check_same_bytes(actual, expected, sizeof actual);
    }
}

static void test_u64_is_two_draws_low_first(void **state)
{
    (void)state;
    struct rng one, two;
    rng_init(&one, 5, 6, 7);
    rng_init(&two, 5, 6, 7);
    for (int i = 0; i < 9; i++) {
        uint64_t low = rng_u32(&two), high = rng_u32(&two);
        assert_true(rng_u64(&one) == (high << 32 | low));
    }
}

static int bits_set(uint64_t x)
{
    return __builtin_popcountll(x);
}

static void test_streams_are_unrelated(void **state)
{
    (void)state;
    static const char *const names[] = {"",
                                        "a",
                                        "b",
                                        "ab",
                                        "ba",
                                        "aa",
                                        "data/copy/train",
                                        "data/copy/test",
                                        "init/head.weight",
                                        "init/head.weighs"};
    enum { NAMES = sizeof names / sizeof names[0], SEEDS = 65 };
    static uint64_t stream[NAMES * SEEDS];
    for (int n = 0; n < NAMES; n++)
        for (int s = 0; s < SEEDS; s++)
            stream[n * SEEDS + s] = rng_stream(s ? (uint64_t)1 << (s - 1) : 0, names[n]);
    double sum = 0;
    int pairs = 0;
    for (int i = 0; i < NAMES * SEEDS; i++) {
        for (int j = 0; j < i; j++, pairs++) {
            int different = bits_set(stream[i] ^ stream[j]);
            assert_in_range(different, 8, 56); // 6 standard deviations around 32
            sum += different;
        }
    }
    check_close(sum / pairs, 32.0, 0, 0.1);
    assert_true(rng_stream(3, "x") == rng_stream(3, "x"));
}

static void test_sequences_share_nothing(void **state)
{
    (void)state;
    // Neighbouring counters, in either place, give sequences with no draw in common.
    enum { SEQUENCES = 6, DRAWS = 64 };
    static const uint64_t a[SEQUENCES] = {0, 1, 0, (uint64_t)1 << 32, 2, 0};
    static const uint32_t b[SEQUENCES] = {0, 0, 1, 0, 0, 2};
    uint64_t draw[SEQUENCES * DRAWS];
    for (int s = 0; s < SEQUENCES; s++) {
        struct rng rng;
        rng_init(&rng, 9, a[s], b[s]);
        for (int i = 0; i < DRAWS; i++)
            draw[s * DRAWS + i] = rng_u64(&rng);
    }
    for (int i = 0; i < SEQUENCES * DRAWS; i++)
        for (int j = 0; j < i; j++)
            assert_true(draw[i] != draw[j]);
}

static void test_below_is_uniform(void **state)
{
    (void)state;
    enum { DRAWS = 60000 };
    static const uint32_t sizes[] = {1, 2, 3, 7, 60};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        int count[60] = {0};
        struct rng rng;
        rng_init(&rng, rng_stream(1, "below"), s, 0);
        for (int i = 0; i < DRAWS; i++) {
            uint32_t x = rng_below(&rng, sizes[s]);
            assert_true(x < sizes[s]);
            count[x]++;
        }
        double mean = (double)DRAWS / sizes[s];
        for (uint32_t i = 0; i < sizes[s]; i++)
            check_close(count[i], mean, 0, 5 * sqrt(mean) + 1e-9);
    }
}

static void test_below_has_no_bias_at_large_ranges(void **state)
{
    (void)state;
    // Without the second draw, multiples of three would come up twice as often as their neighbours.
    enum { DRAWS = 30000 };
    uint32_t n = 0xC0000000u;
    int rest[3] = {0};
    struct rng rng;
    rng_init(&rng, rng_stream(2, "below"), 0, 0);
    for (int i = 0; i < DRAWS; i++) {
        uint32_t x = rng_below(&rng, n);
        assert_true(x < n);
        rest[x % 3]++;
    }
    for (int i = 0; i < 3; i++)
        check_close(rest[i], DRAWS / 3, 0, 5 * sqrt(DRAWS / 3));
    rng_init(&rng, 0, 0, 0);
    for (int i = 0; i < 100; i++)
        assert_true(rng_below(&rng, UINT32_MAX) < UINT32_MAX);
}

static void test_uniform(void **state)
{
    (void)state;
    enum { DRAWS = 100000 };
    struct rng rng, raw;
    rng_init(&rng, rng_stream(1, "uniform"), 0, 0);
    raw = rng;
    double sum = 0, square = 0, smallest = 1, largest = 0;
    for (int i = 0; i < DRAWS; i++) {
        double x = rng_uniform(&rng);
        assert_true(x >= 0 && x < 1);
        check_close(x * 0x1p53, (double)(rng_u64(&raw) >> 11), 0, 0);
        sum += x;
        square += x * x;
        smallest = fmin(smallest, x);
        largest = fmax(largest, x);
    }
    check_close(sum / DRAWS, 0.5, 0, 0.005);
    check_close(square / DRAWS, 1.0 / 3, 0, 0.005);
    assert_true(smallest < 1e-3 && largest > 1 - 1e-3);
}

static void test_normal(void **state)
{
    (void)state;
    enum { DRAWS = 200000 };
    struct rng rng;
    rng_init(&rng, rng_stream(1, "normal"), 0, 0);
    double moment[5] = {0}, before = 0, neighbours = 0;
    int within = 0;
    for (int i = 0; i < DRAWS; i++) {
        double x = rng_normal(&rng), power = 1;
        assert_true(isfinite(x) && fabs(x) < 8.6);
        for (int m = 0; m < 5; m++, power *= x)
            moment[m] += power / DRAWS;
        within += fabs(x) < 1;
        neighbours += x * before / DRAWS;
        before = x;
    }
    check_close(moment[1], 0.0, 0, 0.012);
    check_close(moment[2], 1.0, 0, 0.016);
    check_close(moment[3], 0.0, 0, 0.045);
    check_close(moment[4], 3.0, 0, 0.11);
    check_close(neighbours, 0.0, 0, 0.012);
    check_close((double)within / DRAWS, 0.682689492137, 0, 0.006);
}

CHECK_MAIN(cmocka_unit_test(test_known_answers),
           cmocka_unit_test(test_sequence_is_the_raw_function),
           cmocka_unit_test(test_u64_is_two_draws_low_first),
           cmocka_unit_test(test_streams_are_unrelated),
           cmocka_unit_test(test_sequences_share_nothing), cmocka_unit_test(test_below_is_uniform),
           cmocka_unit_test(test_below_has_no_bias_at_large_ranges), cmocka_unit_test(test_uniform),
           cmocka_unit_test(test_normal))
