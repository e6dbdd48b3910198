// Tasks about places and numbers (position, even-tokens, previous-k, first, majority, counting,
// count-variables): each row against a reading of its tokens.
#include "../../datasets/dataset.h"

#include <string.h>

#include "../support/answers.h"
#include "../support/check.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

// --- places

static void answer_position(const struct dataset *dataset, const int32_t *tokens, int64_t n,
                            int32_t *answers)
{
    int32_t place = 0;
    for (int64_t i = 0; i < n; i++) {
        assert_in_range(tokens[i], 0, answers_option(dataset, "symbols") - 1);
        answers[i] = place++;
    }
}

// Token by token: every second one goes to the end of the first half.
static void answer_even_tokens(const struct dataset *dataset, const int32_t *tokens, int64_t n,
                               int32_t *answers)
{
    int64_t collected = 0, symbols = answers_option(dataset, "symbols");
    bool odd = false;
    for (int64_t i = 0; i < n; i++, odd = !odd) {
        assert_in_range(tokens[i], 0, symbols - 1);
        if (odd)
            answers[collected++] = tokens[i];
    }
    assert_int_equal(2 * collected, n);
    while (collected < n && answers_option(dataset, "score") == 0)
        answers[collected++] = (int32_t)symbols;
}

// Every token is the answer further on.
static void answer_previous_k(const struct dataset *dataset, const int32_t *tokens, int64_t n,
                              int32_t *answers)
{
    int64_t k = answers_option(dataset, "k");
    for (int64_t i = 0; i < n; i++) {
        assert_in_range(tokens[i], 0, answers_option(dataset, "symbols") - 1);
        if (i + k < n)
            answers[i + k] = tokens[i];
    }
}

// The string of a row that ends with SEP and BLANK: its length.
static int64_t asked_string(const struct dataset *dataset, const int32_t *tokens, int64_t n)
{
    int64_t symbols = answers_option(dataset, "symbols");
    assert_int_equal(dataset->vocab, symbols + 2);
    for (int64_t i = 0; i < n - 2; i++)
        assert_in_range(tokens[i], 0, symbols - 1);
    assert_int_equal(tokens[n - 2], symbols);
    assert_int_equal(tokens[n - 1], symbols + 1);
    return n - 2;
}

static void answer_first(const struct dataset *dataset, const int32_t *tokens, int64_t n,
                         int32_t *answers)
{
    for (int64_t i = asked_string(dataset, tokens, n) - 1; i >= 0; i--)
        answers[n - 1] = tokens[i];
}

// A symbol that comes more often than any other.
static void answer_majority(const struct dataset *dataset, const int32_t *tokens, int64_t n,
                            int32_t *answers)
{
    int64_t length = asked_string(dataset, tokens, n), winners = 0;
    for (int32_t c = 0; c < answers_option(dataset, "symbols"); c++) {
        bool wins = true;
        for (int32_t d = 0; d < answers_option(dataset, "symbols"); d++) {
            int64_t lead = 0;
            for (int64_t i = 0; i < length; i++)
                lead += (tokens[i] == c) - (tokens[i] == d);
            wins = wins && (d == c || lead > 0);
        }
        winners += wins;
        if (wins)
            answers[n - 1] = c;
    }
    assert_int_equal(winners, 1);
}

// --- counting

enum { SHIFTED, MODULAR, DIFFERENT, SELECTIVE }; // the words of `variant`, in order

static int64_t numbers_of(const struct dataset *dataset)
{
    int64_t items =
        answers_option(dataset, "variant") >= DIFFERENT ? answers_option(dataset, "symbols") : 1;
    return dataset->vocab - items - answers_option(dataset, "bos");
}

static int32_t equal_before(const int32_t *tokens, int64_t begin, int64_t i)
{
    int32_t equal = 0;
    for (int64_t k = begin; k < i; k++)
        equal += tokens[k] == tokens[i];
    return equal;
}

static void answer_counting(const struct dataset *dataset, const int32_t *tokens, int64_t n,
                            int32_t *answers)
{
    int64_t variant = answers_option(dataset, "variant"), numbers = numbers_of(dataset);
    int64_t bos = answers_option(dataset, "bos"), items = dataset->vocab - bos, begin = bos,
            end = n;
    int32_t last = 0;
    if (bos)
        assert_int_equal(tokens[0], dataset->vocab - 1);
    if (variant == SHIFTED)
        last = tokens[begin++];
    if (variant == DIFFERENT)
        end--;
    assert_in_range(last, 0, numbers - 1);
    for (int64_t i = begin; i < end; i++) {
        assert_in_range(tokens[i], numbers, items - 1);
        last = variant == MODULAR && last == answers_option(dataset, "modulus") ? 1 : last + 1;
        answers[i] = variant == SELECTIVE ? equal_before(tokens, begin, i) : last;
    }
    if (variant == DIFFERENT) {
        assert_in_range(tokens[end], 1, numbers - 1);
        answers[end] = last + tokens[end];
    }
    for (int64_t i = begin; i < n; i++)
        assert_in_range(answers[i], 0, numbers - 1);
}

// From every print back to the last set, by the tokens SET x = x, INC x = V + x, PRINT x = 2 V + x.
static void answer_count_variables(const struct dataset *dataset, const int32_t *tokens, int64_t n,
                                   int32_t *answers)
{
    int32_t variables = (int32_t)answers_option(dataset, "variables");
    int64_t limit = answers_option(dataset, "limit");
    for (int32_t i = 0; i < variables; i++)
        assert_int_equal(tokens[i], i);
    assert_in_range(tokens[n - 1], 2 * variables, 3 * variables - 1);
    for (int64_t i = 0; i < n; i++) {
        int32_t x = tokens[i] % variables, value = 0;
        assert_in_range(tokens[i], 0, 3 * variables);
        if (tokens[i] / variables == 0 || tokens[i] / variables == 3)
            continue;
        for (int64_t k = i; tokens[k] != x; k--)
            value += tokens[k] == variables + x;
        assert_in_range(value, 0, limit);
        if (tokens[i] / variables == 2)
            answers[i] = value;
    }
}

// --- the checks

static const struct answers_case cases[] = {
    {"position", answer_position, 32, "", 32, 32, 1},
    {"position", answer_position, 1, "", 1, 1, 1},
    {"position", answer_position, 24, "min_length=1 symbols=2", 1, 24, 1},
    {"position", answer_position, 24, "min_length=3 max_length=9 classes=50", 3, 9, 1},
    {"even-tokens", answer_even_tokens, 32, "", 32, 32, 1},
    {"even-tokens", answer_even_tokens, 33, "min_length=2", 2, 32, 2},
    {"even-tokens", answer_even_tokens, 2, "symbols=5", 2, 2, 1},
    {"even-tokens", answer_even_tokens, 20, "score=first min_length=4 symbols=9", 4, 20, 2},
    {"previous-k", answer_previous_k, 32, "", 32, 32, 1},
    {"previous-k", answer_previous_k, 2, "", 2, 2, 1},
    {"previous-k", answer_previous_k, 20, "k=5 min_length=6 symbols=7", 6, 20, 1},
    {"previous-k", answer_previous_k, 20, "k=19", 20, 20, 1},
    {"first", answer_first, 32, "", 32, 32, 1},
    {"first", answer_first, 3, "symbols=4", 3, 3, 1},
    {"first", answer_first, 32, "min_length=1 max_length=20", 3, 22, 1},
    {"majority", answer_majority, 32, "", 32, 32, 1},
    {"majority", answer_majority, 3, "", 3, 3, 1},
    {"majority", answer_majority, 16, "min_length=1", 3, 16, 1},
    {"majority", answer_majority, 12, "min_length=1 symbols=7", 3, 12, 1},
    {"majority", answer_majority, 40, "symbols=100", 40, 40, 1},
    {"counting", answer_counting, 32, "", 32, 32, 1},
    {"counting", answer_counting, 2, "", 2, 2, 1},
    {"counting", answer_counting, 20, "bos=1 min_length=1", 3, 20, 1},
    {"counting", answer_counting, 20, "min_length=2 max_length=11 classes=12", 3, 12, 1},
    {"counting", answer_counting, 20, "classes=51 min_length=5", 6, 20, 1},
    {"counting", answer_counting, 32, "variant=modular", 32, 32, 1},
    {"counting", answer_counting, 1, "variant=modular", 1, 1, 1},
    {"counting", answer_counting, 32, "variant=modular bos=1 modulus=3 min_length=1", 2, 32, 1},
    {"counting", answer_counting, 32, "variant=different", 32, 32, 1},
    {"counting", answer_counting, 2, "variant=different", 2, 2, 1},
    {"counting", answer_counting, 20, "variant=different bos=1 min_length=1 symbols=26", 3, 20, 1},
    {"counting", answer_counting, 20, "variant=different classes=21", 20, 20, 1},
    {"counting", answer_counting, 32, "variant=selective", 32, 32, 1},
    {"counting", answer_counting, 1, "variant=selective", 1, 1, 1},
    {"counting", answer_counting, 20, "variant=selective bos=1 min_length=1 symbols=3", 2, 20, 1},
    {"counting", answer_counting, 20, "variant=selective symbols=1 classes=20", 20, 20, 1},
    {"count-variables", answer_count_variables, 32, "", 32, 32, 1},
    {"count-variables", answer_count_variables, 2, "variables=1", 2, 2, 1},
    {"count-variables", answer_count_variables, 24, "variables=1 limit=2 min_length=2", 2, 24, 1},
    {"count-variables", answer_count_variables, 24, "variables=5 pass=0 min_length=6", 6, 24, 1},
    {"count-variables", answer_count_variables, 100, "variables=2 limit=30", 100, 100, 1},
    {"count-variables", answer_count_variables, 9, "pass=1", 9, 9, 1},
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
        {{"position", answer_position, 8, "classes=40 max_length=3", 0, 0, 1}, 40, 40},
        {{"position", answer_position, 16, "", 0, 0, 1}, 8, 8},
        {{"even-tokens", answer_even_tokens, 16, "max_length=6", 0, 0, 1}, 41, 40},
        {{"previous-k", answer_previous_k, 16, "k=3 max_length=5", 0, 0, 1}, 64, 64},
        {{"first", answer_first, 16, "max_length=5", 0, 0, 1}, 64, 64},
        {{"majority", answer_majority, 16, "", 0, 0, 1}, 63, 63},
        {{"counting", answer_counting, 16, "min_length=3", 0, 0, 1}, 32, 32},
        {{"counting", answer_counting, 16, "variant=modular", 0, 0, 1}, 200, 200},
        {{"counting", answer_counting, 16, "variant=different", 0, 0, 1}, 31, 31},
        {{"counting", answer_counting, 16, "variant=selective bos=1", 0, 0, 1}, 33, 33},
        {{"counting", answer_counting, 8, "variant=selective classes=99", 0, 0, 1}, 99, 99},
        {{"count-variables", answer_count_variables, 16, "max_length=9", 0, 0, 1}, 99, 99},
    };
    for (int c = 0; c < COUNT(longer); c++)
        answers_check_evaluation(&longer[c].trained, longer[c].length, longer[c].filled);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct answers_refusal refused[] = {
        {"position", 8, 0, "symbols=1", "symbols 1 is out of range"},
        {"position", 8, 0, "max_length=9", "max_length 9 does not fit length 8"},
        {"position", 8, 0, "min_length=9", "min_length 9 does not fit length 8"},
        {"position", 8, 0, "min_length=4 max_length=3", "min_length 4 is more than max_length 3"},
        {"position", 8, 0, "classes=7", "classes=8"},
        {"position", 16, 8, "", "train with --task-opt classes=16"},
        {"even-tokens", 1, 0, "", "length 1 is too short; it must be at least 2"},
        {"even-tokens", 8, 0, "max_length=5", "max_length 5 must be a multiple of 2"},
        {"even-tokens", 9, 0, "max_length=9",
         "max_length 9 does not fit length 9; it must be at most 8"},
        {"even-tokens", 8, 0, "score=second", "score"},
        {"previous-k", 8, 0, "k=0", "k 0 is out of range"},
        {"previous-k", 8, 0, "k=8", "length 8 is too short; it must be at least 9"},
        {"previous-k", 8, 0, "k=3 min_length=3", "min_length 3 must be at least 4"},
        {"first", 2, 0, "", "length 2 is too short; it must be at least 3"},
        {"first", 9, 0, "max_length=8", "at most 7"},
        {"majority", 2, 0, "", "at least 3"},
        {"majority", 9, 0, "symbols=257", "symbols 257 is out of range"},
        {"counting", 1, 0, "", "length 1 is too short; it must be at least 2"},
        {"counting", 2, 0, "bos=1", "at least 3"},
        {"counting", 8, 0, "variant=modulo", "did you mean 'modular'?"},
        {"counting", 8, 0, "modulus=1", "modulus 1 is out of range"},
        {"counting", 8, 0, "classes=7", "classes=8"},
        {"counting", 8, 0, "variant=different classes=8", "classes=9"},
        {"counting", 8, 0, "variant=selective classes=7", "classes=8"},
        {"counting", 18, 8, "", "train with --task-opt classes=18"},
        {"count-variables", 3, 0, "", "length 3 is too short; it must be at least 4"},
        {"count-variables", 9, 0, "variables=65", "variables 65 is out of range"},
        {"count-variables", 9, 0, "pass=1.5", "pass 1.5 is out of range"},
        {"count-variables", 9, 0, "min_length=3", "min_length 3 must be at least 4"},
    };
    answers_check_refused(refused, COUNT(refused));
}

// A model that was trained on all answers can be scored on the first half alone.
static void test_even_tokens_first_half(void **state)
{
    (void)state;
    static const char *const options[] = {"score=all", "score=first"};
    enum { LENGTH = 12 };
    int32_t tokens[2][LENGTH], targets[2][LENGTH], mask[LENGTH];
    int64_t vocab[2];
    for (int k = 0; k < 2; k++) {
        struct dataset_request request = {
            .task = "even-tokens", .length = LENGTH, .pair_count = 1, .pairs = &options[k]};
        struct dataset dataset;
        check_ok(dataset_open(&dataset, &request));
        vocab[k] = dataset.vocab;
        dataset_batch(&dataset, DATASET_TEST, 0, 1, tokens[k], targets[k], mask);
        dataset_close(&dataset);
    }
    assert_int_equal(vocab[0], vocab[1]);
    check_same_bytes(tokens[0], tokens[1], sizeof tokens[0]);
    check_same_bytes(targets[0], targets[1], sizeof targets[0] / 2);
    for (int i = LENGTH / 2; i < LENGTH; i++) {
        assert_int_equal(targets[0][i], vocab[0] - 1);
        assert_int_equal(targets[1][i], DATASET_IGNORE);
    }
}

// A decoder cannot see what even-tokens asks for; all other tasks here are for both.
static void test_who_may(void **state)
{
    (void)state;
    for (int c = 0; c < COUNT(cases); c++) {
        struct dataset dataset;
        struct dataset_request request = {.task = cases[c].task, .length = 32};
        check_ok(dataset_open(&dataset, &request));
        assert_int_equal(dataset.needs_bidirectional, strcmp(cases[c].task, "even-tokens") == 0);
        assert_false(dataset.needs_causal);
        dataset_close(&dataset);
    }
}

CHECK_MAIN(cmocka_unit_test(test_answers), cmocka_unit_test(test_chance),
           cmocka_unit_test(test_bits), cmocka_unit_test(test_bytes),
           cmocka_unit_test(test_evaluation), cmocka_unit_test(test_refused),
           cmocka_unit_test(test_even_tokens_first_half), cmocka_unit_test(test_who_may))
