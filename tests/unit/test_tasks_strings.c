// String tasks without arithmetic: each against a slow and obvious reading of its own rows, at many
// lengths, what can be guessed, and what is refused with which words.
#include <string.h>

#include "../../autograd/base/err.h"
#include "../support/answers.h"
#include "../support/check.h"
#include "../support/strings.h"

// --- references

static int64_t copy(const int32_t *text, int64_t n, int32_t *answer)
{
    memcpy(answer, text, (size_t)n * sizeof *text);
    return n;
}

static int64_t reverse(const int32_t *text, int64_t n, int32_t *answer)
{
    for (int64_t i = 0; i < n; i++)
        answer[n - 1 - i] = text[i];
    return n;
}

static int64_t duplicate(const int32_t *text, int64_t n, int32_t *answer)
{
    copy(text, n, answer);
    return n + copy(text, n, answer + n);
}

static int64_t odds_first(const int32_t *text, int64_t n, int32_t *answer)
{
    for (int64_t k = 0; k < n; k++)
        answer[k] = k < n / 2 ? text[2 * k + 1] : text[2 * (k - n / 2)];
    return n;
}

// Slot k has the lowest symbol that more than k symbols do not exceed.
static int64_t sorted(const int32_t *text, int64_t n, int32_t *answer)
{
    for (int64_t k = 0; k < n; k++)
        for (int32_t symbol = 0;; symbol++) {
            int64_t count = 0;
            for (int64_t i = 0; i < n; i++)
                count += text[i] <= symbol;
            answer[k] = symbol;
            if (count > k)
                break;
        }
    return n;
}

static int64_t even_pairs(const int32_t *text, int64_t n, int32_t *answer)
{
    int rises = 0, falls = 0;
    for (int64_t i = 0; i + 1 < n; i++) {
        rises += text[i] == 0 && text[i + 1] == 1;
        falls += text[i] == 1 && text[i + 1] == 0;
    }
    answer[0] = (rises + falls) % 2;
    return 1;
}

static int64_t parity(const int32_t *text, int64_t n, int32_t *answer)
{
    int ones = 0;
    for (int64_t i = 0; i < n; i++)
        ones += text[i];
    answer[0] = ones % 2;
    return 1;
}

static int64_t cycle(const int32_t *text, int64_t n, int32_t *answer)
{
    int place = 0;
    for (int64_t i = 0; i < n; i++) {
        assert_in_range(text[i], 0, 2);
        if (text[i] == 0)
            place = place == 0 ? 4 : place - 1;
        if (text[i] == 2)
            place = place == 4 ? 0 : place + 1;
    }
    answer[0] = place;
    return 1;
}

// Everything but the hidden place is what a copy is: bits that are equal in both halves.
static int64_t missing(const int32_t *text, int64_t n, int32_t *answer)
{
    int64_t half = n / 2;
    int hidden = 0;
    for (int64_t i = 0; i < half; i++) {
        int32_t a = text[i], b = text[half + i];
        if (a == 2 || b == 2) {
            hidden++;
            answer[0] = a == 2 ? b : a;
            assert_in_range(answer[0], 0, 1);
        } else {
            assert_true(a == b && a <= 1);
        }
    }
    assert_int_equal(hidden, 1);
    if (n % 2)
        assert_int_equal(text[n - 1], 3);
    return 1;
}

static int64_t stack(const int32_t *text, int64_t n, int32_t *answer)
{
    int32_t items[BATCH_MAX_LENGTH];
    int64_t height = 0, slot = 0;
    bool acting = false;
    for (int64_t i = 0; i < n; i++) {
        assert_true(!acting || text[i] >= 2); // the stack is given first
        acting = text[i] >= 2;
        if (text[i] == 2)
            height -= height > 0;
        else
            items[height++] = text[i] >= 3 ? text[i] - 3 : text[i];
    }
    assert_true(text[0] < 2 && acting); // both parts are there
    while (height > 0)
        answer[slot++] = items[--height];
    answer[slot++] = 2;
    while (slot < n + 1)
        answer[slot++] = DATASET_IGNORE;
    return n + 1;
}

// --- rows

static const struct {
    const char *task;
    int64_t shortest, slots[2]; // of the shortest string; a string has slots[0] n + slots[1]
    int64_t symbols;
    bool chosen; // symbols is an option
    strings_reference *reference;
} tasks[] = {
    {"copy", 1, {1, 0}, 16, true, copy},
    {"reverse", 1, {1, 0}, 16, true, reverse},
    {"sort", 1, {1, 0}, 16, true, sorted},
    {"duplicate", 1, {2, 0}, 16, true, duplicate},
    {"reverse-string", 1, {1, 0}, 2, true, reverse},
    {"duplicate-string", 1, {2, 0}, 2, true, duplicate},
    {"bucket-sort", 1, {1, 0}, 5, true, sorted},
    {"odds-first", 1, {1, 0}, 2, true, odds_first},
    {"even-pairs", 1, {0, 1}, 2, false, even_pairs},
    {"parity", 1, {0, 1}, 2, false, parity},
    {"cycle-navigation", 1, {0, 1}, 5, false, cycle},
    {"missing-duplicate", 2, {0, 1}, 4, false, missing},
    {"stack-manipulation", 2, {1, 1}, 5, false, stack},
};
enum { TASKS = sizeof tasks / sizeof tasks[0] };

static void test_rows(void **state)
{
    (void)state;
    for (int t = 0; t < TASKS; t++) {
        struct strings_case one = {tasks[t].task,     0, "", tasks[t].symbols, 0, 0,
                                   tasks[t].reference};
        // As long as fits, from the shortest there is.
        for (int64_t length = 0; length <= 256; length += length < 20 ? 1 : 47) {
            int64_t fits = (length - 1 - tasks[t].slots[1]) / (1 + tasks[t].slots[0]);
            if (fits < tasks[t].shortest)
                continue;
            one.length = length;
            one.shortest = one.longest = fits;
            strings_check(&one);
        }
        one.length = 40;
        one.options = "min_length=3 max_length=12";
        one.shortest = 3;
        one.longest = 12;
        strings_check(&one);
        if (!tasks[t].chosen)
            continue;
        one.options = "symbols=300 min_length=3 max-length=12";
        one.symbols = 300;
        strings_check(&one);
    }
}

static void test_chance(void **state)
{
    (void)state;
    for (int t = 0; t < TASKS; t++) {
        strings_check_chance(tasks[t].task, 33, "min_length=9");
        strings_check_chance(tasks[t].task, 9, "");
        strings_check_chance(tasks[t].task, 14, tasks[t].shortest == 1 ? "min_length=1" : "");
    }
    strings_check_chance("sort", 70, "symbols=3");
    strings_check_chance("sort", 3, "symbols=7");
}

// --- chance by enumeration

// P(at most k of n symbols are a or lower), each with probability p: a symbol at a time.
static double at_most(int64_t n, double p, int64_t k)
{
    double count[64] = {1}, sum = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = i + 1; c >= 0; c--)
            count[c] = count[c] * (1 - p) + (c > 0 ? count[c - 1] * p : 0);
    for (int64_t c = 0; c <= k; c++)
        sum += count[c];
    return sum;
}

// Of every slot every symbol is tried.
static double chance_of_sorted(int64_t n, int64_t symbols)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) {
        double best = 0;
        for (int64_t a = 0; a < symbols; a++) {
            double holds = at_most(n, (double)a / (double)symbols, k) -
                           at_most(n, (double)(a + 1) / (double)symbols, k);
            best = holds > best ? holds : best;
        }
        sum += best;
    }
    return sum / (double)n;
}

static void test_chance_of_sorted_strings(void **state)
{
    (void)state;
    static const char *const options[] = {"symbols=2", "symbols=3", "symbols=7", "symbols=15",
                                          "symbols=16"};
    static const int64_t symbols[] = {2, 3, 7, 15, 16};
    for (int64_t n = 1; n <= 24; n++)
        for (int i = 0; i < 5; i++) {
            struct dataset dataset;
            check_ok(batch_open(&dataset, "sort", 2 * n + 1, 0, options[i]));
            check_close(dataset.chance, chance_of_sorted(n, symbols[i]), 1e-12, 0);
            dataset_close(&dataset);
        }
}

// A walk of three moves: places 0 to 4 are reached in 7, 6, 4, 4, 6 of 27 ways (1 back from 4 is
// also 4 on).
static void test_chance_of_walks(void **state)
{
    (void)state;
    struct dataset dataset;
    int count[5] = {0}, most = 0;
    for (int32_t code = 0; code < 27; code++) {
        int32_t text[3] = {code % 3, code / 3 % 3, code / 9}, answer;
        cycle(text, 3, &answer);
        count[answer]++;
    }
    for (int place = 0; place < 5; place++)
        most = count[place] > most ? count[place] : most;
    check_ok(batch_open(&dataset, "cycle-navigation", 5, 0, ""));
    check_close(dataset.chance, most / 27.0, 1e-12, 0);
    dataset_close(&dataset);
}

// --- refusals

static void test_refused(void **state)
{
    (void)state;
    static const struct answers_refusal bad[] = {
        {"sort", 2, 0, "", "task sort: length 2 is too short; it must be at least 3"},
        {"sort", 9, 0, "max_length=5", "it must be at most 4, or length at least 11"},
        {"sort", 9, 0, "symbols=1", "symbols 1 is out of range"},
        {"sort", 9, 0, "symbols=70000", "symbols 70000 is out of range"},
        {"duplicate", 3, 0, "", "length 3 is too short; it must be at least 4"},
        {"duplicate", 12, 0, "max_length=4", "it must be at most 3, or length at least 13"},
        {"duplicate-string", 12, 0, "min_length=4", "min_length 4 is more than the longest string"},
        {"bucket-sort", 9, 0, "max_length=3 min_length=4", "min_length 4 is more"},
        {"odds-first", 2, 0, "", "at least 3"},
        {"even-pairs", 2, 0, "", "at least 3"},
        {"even-pairs", 9, 0, "symbols=3", "no option 'symbols'"},
        {"parity", 9, 0, "max_length=8", "it must be at most 7, or length at least 10"},
        {"cycle-navigation", 9, 0, "min_length=-1", "min_length -1 is out of range"},
        {"missing-duplicate", 3, 0, "", "at least 4"},
        {"missing-duplicate", 9, 0, "min_length=1",
         "min_length 1 is too short; its strings have at least 2 symbols"},
        {"missing-duplicate", 9, 0, "max_length=1", "max_length 1 is too short"},
        {"stack-manipulation", 5, 0, "", "at least 6"},
        {"stack-manipulation", 9, 0, "min_length=1", "at least 2 symbols"},
    };
    answers_check_refused(bad, sizeof bad / sizeof bad[0]);
}

CHECK_MAIN(cmocka_unit_test(test_rows), cmocka_unit_test(test_chance),
           cmocka_unit_test(test_chance_of_sorted_strings), cmocka_unit_test(test_chance_of_walks),
           cmocka_unit_test(test_refused))
