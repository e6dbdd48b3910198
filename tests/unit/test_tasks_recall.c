// Tasks about finding by content (induction, recall, indirect-indexing, selective-copy, flip-flop,
// dyck): each row against a reading of its tokens.
#include "../../datasets/dataset.h"

#include <math.h>

#include "../support/answers.h"
#include "../support/check.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

// --- readings

static int64_t find(const int32_t *tokens, int64_t n, int32_t token)
{
    for (int64_t i = 0; i < n; i++)
        if (tokens[i] == token)
            return i;
    return -1;
}

static int64_t times(const int32_t *tokens, int64_t n, int32_t token)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += tokens[i] == token;
    return count;
}

static void answer_induction(const struct dataset *dataset, const int32_t *tokens, int64_t n,
                             int32_t *answers)
{
    int32_t separator = (int32_t)answers_option(dataset, "symbols");
    int64_t string = find(tokens, n, separator), queries = 0;
    assert_int_equal(dataset->vocab, separator + 1);
    for (int64_t at = string; at < n; at += 2) {
        assert_int_equal(tokens[at], separator);
        assert_int_equal(times(tokens, string, tokens[at + 1]), 1);
        int64_t place = find(tokens, string, tokens[at + 1]);
        assert_in_range(place, 0, string - 2);
        answers[at + 1] = tokens[place + 1];
        queries++;
    }
    assert_int_equal(queries, answers_option(dataset, "queries"));
    assert_int_equal(string + 2 * queries, n);
}

static void answer_recall(const struct dataset *dataset, const int32_t *tokens, int64_t n,
                          int32_t *answers)
{
    int32_t keys = (int32_t)answers_option(dataset, "keys");
    int64_t pairs = 0, queries = answers_option(dataset, "queries");
    for (int64_t i = 0; i < n; i++)
        pairs += tokens[i] >= keys;
    for (int64_t i = 0; i < n; i++)
        assert_int_equal(tokens[i] >= keys, i < 2 * pairs && i % 2 == 1);
    assert_int_equal(n - 2 * pairs, queries ? queries : pairs);
    for (int64_t i = 2 * pairs; i < n; i++) {
        int64_t place = find(tokens, 2 * pairs, tokens[i]);
        assert_int_equal(times(tokens, 2 * pairs, tokens[i]), 1);
        assert_int_equal(times(tokens + 2 * pairs, n - 2 * pairs, tokens[i]), 1);
        answers[i] = tokens[place + 1];
    }
}

static void answer_indirect_indexing(const struct dataset *dataset, const int32_t *tokens,
                                     int64_t n, int32_t *answers)
{
    int64_t symbols = answers_option(dataset, "symbols");
    int64_t most = answers_option(dataset, "max_shift"), string = n - 4;
    int64_t shift = tokens[n - 2] - symbols - most, place = find(tokens, string, tokens[n - 3]);
    for (int64_t i = 0; i < string; i++)
        assert_in_range(tokens[i], 0, symbols - 1);
    assert_int_equal(tokens[string], dataset->vocab - 2);
    assert_int_equal(tokens[n - 1], dataset->vocab - 1);
    assert_int_equal(times(tokens, string, tokens[n - 3]), 1);
    assert_true(shift != 0 && -most <= shift && shift <= most);
    assert_in_range(place + shift, 0, string - 1);
    answers[n - 1] = tokens[place + shift];
}

// The k-th slot from the end answers the k-th token from the end that is no blank.
static void answer_selective_copy(const struct dataset *dataset, const int32_t *tokens, int64_t n,
                                  int32_t *answers)
{
    int32_t blank = (int32_t)answers_option(dataset, "symbols");
    int64_t separator = find(tokens, n, blank + 1), slots = n - separator - 1;
    int64_t blanks = times(tokens, n, blank), given = answers_option(dataset, "blanks");
    assert_int_equal(times(tokens, n, blank + 2), slots);
    assert_int_equal(blanks, given < 0 ? slots : given);
    assert_int_equal(separator, slots + blanks);
    for (int64_t slot = n - 1, i = separator - 1; slot > separator; slot--, i--) {
        while (tokens[i] == blank)
            i--;
        answers[slot] = tokens[i];
    }
}

// From every READ back to the last WRITE.
static void answer_flip_flop(const struct dataset *dataset, const int32_t *tokens, int64_t n,
                             int32_t *answers)
{
    enum { WRITE = 2, READ, IGNORE, BLANK };
    assert_int_equal(dataset->vocab, 6);
    assert_int_equal(n % 2, 0);
    assert_int_equal(tokens[0], WRITE);
    assert_int_equal(tokens[n - 2], READ);
    for (int64_t i = 0; i < n; i += 2) {
        assert_in_range(tokens[i], WRITE, IGNORE);
        if (tokens[i] != READ) {
            assert_in_range(tokens[i + 1], 0, 1);
            continue;
        }
        assert_int_equal(tokens[i + 1], BLANK);
        int64_t k = i;
        while (tokens[k] != WRITE)
            k -= 2;
        answers[i + 1] = tokens[k + 1];
    }
}

// From every CLOSE back to the first bracket that nothing between has closed.
static void answer_dyck(const struct dataset *dataset, const int32_t *tokens, int64_t n,
                        int32_t *answers)
{
    int64_t types = answers_option(dataset, "types"), depth = answers_option(dataset, "depth");
    int64_t open = 0;
    for (int64_t i = 0; i < n; i++) {
        assert_in_range(tokens[i], 0, types);
        open += tokens[i] == types ? -1 : 1;
        assert_in_range(open, 0, depth);
        if (tokens[i] != types)
            continue;
        int64_t k = i - 1;
        for (int64_t closed = 0; closed > 0 || tokens[k] == types; k--)
            closed += tokens[k] == types ? 1 : -1;
        answers[i] = tokens[k];
    }
    assert_int_equal(open, 0);
}

// --- the checks

static const struct answers_case cases[] = {
    {"induction", answer_induction, 32, "", 32, 32, 1},
    {"induction", answer_induction, 4, "queries=1 symbols=2", 4, 4, 1},
    {"induction", answer_induction, 20, "queries=3 symbols=6 min_length=4", 10, 20, 1},
    {"induction", answer_induction, 40, "queries=13 symbols=26", 40, 40, 1},
    {"induction", answer_induction, 5, "queries=1 symbols=3", 5, 5, 1},
    {"recall", answer_recall, 32, "", 30, 30, 1},
    {"recall", answer_recall, 3, "", 3, 3, 1},
    {"recall", answer_recall, 32, "min_length=1 keys=10 values=5", 3, 30, 3},
    {"recall", answer_recall, 20, "queries=2 min_length=2", 6, 20, 2},
    {"recall", answer_recall, 20, "queries=1 keys=9 values=2", 19, 19, 1},
    {"recall", answer_recall, 3, "keys=4 values=4", 3, 3, 1},
    {"indirect-indexing", answer_indirect_indexing, 32, "", 32, 32, 1},
    {"indirect-indexing", answer_indirect_indexing, 6, "symbols=3 max_shift=1", 6, 6, 1},
    {"indirect-indexing", answer_indirect_indexing, 6, "", 6, 6, 1},
    {"indirect-indexing", answer_indirect_indexing, 24, "min_length=2 symbols=3", 6, 24, 1},
    {"indirect-indexing", answer_indirect_indexing, 44, "min_length=20 max_shift=100", 24, 44, 1},
    {"indirect-indexing", answer_indirect_indexing, 12, "max_shift=1 max_length=7", 11, 11, 1},
    {"selective-copy", answer_selective_copy, 32, "", 31, 31, 1},
    {"selective-copy", answer_selective_copy, 4, "", 4, 4, 1},
    {"selective-copy", answer_selective_copy, 4, "symbols=2", 4, 4, 1},
    {"selective-copy", answer_selective_copy, 32, "min_length=1", 4, 31, 3},
    {"selective-copy", answer_selective_copy, 32, "blanks=0 symbols=3", 31, 31, 1},
    {"selective-copy", answer_selective_copy, 32, "blanks=20 min_length=2", 25, 31, 2},
    {"flip-flop", answer_flip_flop, 32, "", 32, 32, 1},
    {"flip-flop", answer_flip_flop, 4, "", 4, 4, 1},
    {"flip-flop", answer_flip_flop, 31, "ignore=0.1 min_length=2", 4, 30, 2},
    {"flip-flop", answer_flip_flop, 64, "ignore=0.98", 64, 64, 1},
    {"flip-flop", answer_flip_flop, 20, "ignore=0", 20, 20, 1},
    {"flip-flop", answer_flip_flop, 20, "ignore=1", 20, 20, 1},
    {"dyck", answer_dyck, 32, "", 32, 32, 1},
    {"dyck", answer_dyck, 2, "types=3", 2, 2, 1},
    {"dyck", answer_dyck, 33, "min_length=2 depth=1", 2, 32, 2},
    {"dyck", answer_dyck, 60, "types=2 depth=100", 60, 60, 1},
};

static void test_answers(void **state)
{
    (void)state;
    answers_check(cases, COUNT(cases));
}

static void test_chance(void **state)
{
    (void)state;
    answers_check_chance(cases, COUNT(cases));
}

static void test_bits(void **state)
{
    (void)state;
    assert_true(answers_check_bits(cases, COUNT(cases)) >= 9);
}

static void test_bytes(void **state)
{
    (void)state;
    answers_check_bytes(cases, COUNT(cases));
}

static void test_evaluation(void **state)
{
    (void)state;
    static const struct {
        struct answers_case trained;
        int64_t length, filled;
    } longer[] = {
        {{"induction", answer_induction, 32, "max_length=9", 0, 0, 1}, 128, 128},
        {{"recall", answer_recall, 32, "max_length=4", 0, 0, 1}, 128, 126},
        {{"recall", answer_recall, 32, "queries=3", 0, 0, 1}, 64, 63},
        {{"indirect-indexing", answer_indirect_indexing, 24, "max_length=9", 0, 0, 1}, 99, 99},
        {{"selective-copy", answer_selective_copy, 24, "max_length=3", 0, 0, 1}, 99, 97},
        {{"selective-copy", answer_selective_copy, 24, "blanks=9", 0, 0, 1}, 99, 98},
        {{"flip-flop", answer_flip_flop, 16, "max_length=3", 0, 0, 1}, 65, 64},
        {{"dyck", answer_dyck, 16, "max_length=4", 0, 0, 1}, 65, 64},
    };
    for (int c = 0; c < COUNT(longer); c++)
        answers_check_evaluation(&longer[c].trained, longer[c].length, longer[c].filled);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct answers_refusal refused[] = {
        {"induction", 24, 0, "", "length 24 is too short; it must be at least 25"},
        {"induction", 32, 0, "symbols=15", "queries 8 takes an alphabet of at least twice as many"},
        {"induction", 32, 0, "queries=2 min_length=2", "min_length 2 must be at least 3"},
        {"recall", 2, 0, "", "length 2 is too short; it must be at least 3"},
        {"recall", 8, 0, "queries=3", "length 8 is too short; it must be at least 9"},
        {"recall", 32, 0, "keys=9", "train with --task-opt keys=10"},
        {"recall", 600, 32, "", "train with --task-opt keys=200"},
        {"recall", 32, 0, "queries=3 min_length=2", "min_length 2 must be at least 3"},
        {"recall", 32, 0, "values=1", "values 1 is out of range"},
        {"indirect-indexing", 5, 0, "", "length 5 is too short; it must be at least 6"},
        {"indirect-indexing", 24, 0, "symbols=2", "symbols 2 is out of range"},
        {"indirect-indexing", 24, 0, "max_shift=0", "max_shift 0 is out of range"},
        {"indirect-indexing", 24, 0, "max_length=21", "max_length 21 does not fit length 24"},
        {"indirect-indexing", 24, 0, "min_length=1", "min_length 1 must be at least 2"},
        {"selective-copy", 3, 0, "", "length 3 is too short; it must be at least 4"},
        {"selective-copy", 9, 0, "blanks=7", "length 9 is too short; it must be at least 10"},
        {"selective-copy", 9, 0, "blanks=-2", "blanks -2 is out of range"},
        {"flip-flop", 3, 0, "", "length 3 is too short; it must be at least 4"},
        {"flip-flop", 8, 0, "ignore=1.1", "ignore 1.1 is out of range"},
        {"flip-flop", 8, 0, "max_length=5", "at most 4"},
        {"dyck", 1, 0, "", "length 1 is too short; it must be at least 2"},
        {"dyck", 8, 0, "types=1", "types 1 is out of range"},
        {"dyck", 8, 0, "depth=0", "depth 0 is out of range"},
        {"dyck", 8, 0, "min_length=3", "min_length 3 must be a multiple of 2"},
    };
    answers_check_refused(refused, COUNT(refused));
}

// How often each instruction comes, which makes the gaps.
static void test_flip_flop_gaps(void **state)
{
    (void)state;
    enum { ROWS = 32, LENGTH = 128, STEPS = 50 };
    static int32_t tokens[ROWS * LENGTH], targets[ROWS * LENGTH], mask[ROWS * LENGTH];
    static const char *const pair[] = {"ignore=0.1"};
    struct dataset_request request = {
        .task = "flip-flop", .length = LENGTH, .pair_count = 1, .pairs = pair};
    struct dataset dataset;
    double counts[6] = {0}, all = ROWS * STEPS * (LENGTH / 2 - 2);
    check_ok(dataset_open(&dataset, &request));
    for (uint64_t step = 0; step < STEPS; step++) {
        dataset_batch(&dataset, DATASET_TRAIN, step, ROWS, tokens, targets, mask);
        for (int i = 0; i < ROWS * LENGTH; i += 2)
            counts[tokens[i]] += i % LENGTH != 0 && i % LENGTH != LENGTH - 2;
    }
    check_close(counts[2] / all, 0.45, 0, 0.01);
    check_close(counts[3] / all, 0.45, 0, 0.01);
    check_close(counts[4] / all, 0.1, 0, 0.01);
    dataset_close(&dataset);
}

// Blanks stand anywhere: the same number of rows has a token at each place of the string.
static void test_selective_copy_places(void **state)
{
    (void)state;
    enum { ROWS = 32, LENGTH = 31, PLACES = 20, STEPS = 100 };
    static int32_t tokens[ROWS * LENGTH], targets[ROWS * LENGTH], mask[ROWS * LENGTH];
    struct dataset_request request = {.task = "selective-copy", .length = LENGTH};
    struct dataset dataset;
    double counts[PLACES] = {0}, all = ROWS * STEPS;
    check_ok(dataset_open(&dataset, &request));
    for (uint64_t step = 0; step < STEPS; step++) {
        dataset_batch(&dataset, DATASET_TRAIN, step, ROWS, tokens, targets, mask);
        for (int i = 0; i < ROWS * LENGTH; i++)
            if (i % LENGTH < PLACES)
                counts[i % LENGTH] += tokens[i] < 16;
    }
    for (int i = 0; i < PLACES; i++)
        check_close(counts[i] / all, 0.5, 0, 2.5 / sqrt(all));
    dataset_close(&dataset);
}

// All of these are for encoders and decoders: nothing to the right of a query gives its answer.
static void test_who_may(void **state)
{
    (void)state;
    for (int c = 0; c < COUNT(cases); c++) {
        struct dataset dataset;
        struct dataset_request request = {.task = cases[c].task, .length = 32};
        check_ok(dataset_open(&dataset, &request));
        assert_false(dataset.needs_causal || dataset.needs_bidirectional);
        dataset_close(&dataset);
    }
}

CHECK_MAIN(cmocka_unit_test(test_answers), cmocka_unit_test(test_chance),
           cmocka_unit_test(test_bits), cmocka_unit_test(test_bytes),
           cmocka_unit_test(test_evaluation), cmocka_unit_test(test_refused),
           cmocka_unit_test(test_flip_flop_gaps), cmocka_unit_test(test_selective_copy_places),
           cmocka_unit_test(test_who_may))
