// Tasks that calculate: expressions against a parser that goes down into them, numbers against long
// arithmetic in base 10, at many lengths, what can be guessed, and what is refused.
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../support/answers.h"
#include "../support/check.h"
#include "../support/strings.h"

// --- expressions

// Reads forwards; `strict` is for expressions that have brackets around every operation.
struct reader {
    const char *at;
    bool strict;
};

static int expression(struct reader *reader);

static int factor(struct reader *reader)
{
    char c = *reader->at++;
    if (c == '-')
        return -factor(reader);
    if (c == '(') {
        int value = expression(reader);
        assert_int_equal(*reader->at++, ')');
        return value;
    }
    assert_in_range(c, '0', '4');
    return c - '0';
}

static int term(struct reader *reader)
{
    int value = factor(reader);
    while (*reader->at == '*') {
        reader->at++;
        value = value * factor(reader) % 5;
        if (reader->strict)
            assert_int_equal(*reader->at, ')');
    }
    return value;
}

static int expression(struct reader *reader)
{
    int value = term(reader);
    while (*reader->at == '+' || *reader->at == '-') {
        int sign = *reader->at++ == '+' ? 1 : -1;
        value = (value + sign * term(reader)) % 5;
        if (reader->strict)
            assert_int_equal(*reader->at, ')');
    }
    return value;
}

static int value_of(const char *characters, bool strict)
{
    struct reader reader = {characters, strict};
    int value = expression(&reader);
    assert_int_equal(*reader.at, '\0');
    return (value % 5 + 5) % 5;
}

// Tokens as characters: `alphabet` has one for each.
static void spell(char *characters, const int32_t *text, int64_t n, const char *alphabet)
{
    for (int64_t i = 0; i < n; i++) {
        assert_in_range(text[i], 0, strlen(alphabet) - 1);
        characters[i] = alphabet[text[i]];
    }
    characters[n] = '\0';
}

static int64_t without_brackets(const int32_t *text, int64_t n, int32_t *answer)
{
    char characters[BATCH_MAX_LENGTH + 1];
    assert_int_equal(n % 2, 1);
    spell(characters, text, n, "01234+-*");
    for (int64_t i = 0; i < n; i++)
        assert_int_equal(text[i] < 5, i % 2 == 0);
    answer[0] = value_of(characters, false);
    return 1;
}

// Every operation has its brackets.
static int64_t with_brackets(const int32_t *text, int64_t n, int32_t *answer)
{
    char characters[BATCH_MAX_LENGTH + 1];
    spell(characters, text, n, "01234+-()*");
    if (n > 2)
        assert_true(characters[0] == '(' && characters[n - 1] == ')');
    answer[0] = value_of(characters, true);
    return 1;
}

// Of the five digits, one makes the equation true.
static int64_t equation(const int32_t *text, int64_t n, int32_t *answer)
{
    char characters[BATCH_MAX_LENGTH + 1];
    int solutions = 0;
    spell(characters, text, n, "01234+-()x=");
    char *x = strchr(characters, 'x');
    assert_true(x && !strchr(x + 1, 'x') && characters[n - 2] == '=');
    int right = characters[n - 1] - '0';
    characters[n - 2] = '\0';
    for (int digit = 0; digit < 5; digit++) {
        *x = (char)('0' + digit);
        if (value_of(characters, true) == right) {
            answer[0] = digit;
            solutions++;
        }
    }
    assert_int_equal(solutions, 1);
    return 1;
}

static void test_reader(void **state)
{
    (void)state;
    assert_int_equal(value_of("1-1-1", false), 4);
    assert_int_equal(value_of("0*1+4*3-2", false), 0);
    assert_int_equal(value_of("1+2*3", false), 2);
    assert_int_equal(value_of("((-3)*(2-4))", true), 1);
}

// --- numbers in base 10, the lowest digit first

enum { DIGITS = 2100 };
struct number {
    int size;
    unsigned char digit[DIGITS];
};

static void add(struct number *sum, const struct number *a, const struct number *b)
{
    struct number result = {0};
    int carry = 0;
    for (int i = 0; i < a->size || i < b->size || carry; i++) {
        int digit = (i < a->size ? a->digit[i] : 0) + (i < b->size ? b->digit[i] : 0) + carry;
        assert_true(i < DIGITS);
        result.digit[result.size++] = (unsigned char)(digit % 10);
        carry = digit / 10;
    }
    *sum = result;
}

static void multiply(struct number *product, const struct number *a, const struct number *b)
{
    static int column[DIGITS];
    int size = a->size + b->size;
    assert_true(size <= DIGITS);
    memset(column, 0, sizeof column);
    for (int i = 0; i < a->size; i++)
        for (int k = 0; k < b->size; k++)
            column[i + k] += a->digit[i] * b->digit[k];
    *product = (struct number){0};
    for (int i = 0, carry = 0; i < size; i++) {
        carry += column[i];
        product->digit[i] = (unsigned char)(carry % 10);
        carry /= 10;
        product->size = product->digit[i] ? i + 1 : product->size;
    }
}

static int compare(const struct number *a, const struct number *b)
{
    if (a->size != b->size)
        return a->size < b->size ? -1 : 1;
    for (int i = a->size - 1; i >= 0; i--)
        if (a->digit[i] != b->digit[i])
            return a->digit[i] < b->digit[i] ? -1 : 1;
    return 0;
}

// From bits, the highest first; step is -1 where they are stored the other way, from the last.
static struct number number_of(const int32_t *highest, int64_t bits, int step)
{
    struct number result = {0}, one = {1, {1}};
    for (int64_t i = 0; i < bits; i++) {
        assert_in_range(highest[i * step], 0, 1);
        add(&result, &result, &result);
        if (highest[i * step])
            add(&result, &result, &one);
    }
    return result;
}

static int halve(struct number *a)
{
    int rest = 0;
    for (int i = a->size - 1; i >= 0; i--) {
        int digit = rest * 10 + a->digit[i];
        a->digit[i] = (unsigned char)(digit / 2);
        rest = digit % 2;
    }
    while (a->size > 0 && a->digit[a->size - 1] == 0)
        a->size--;
    return rest;
}

// Both operands have bits, and one that is 1.
static int64_t operands(const int32_t *text, int64_t n, struct number *a, struct number *b)
{
    int64_t split = 0;
    while (split < n && text[split] != 2)
        split++;
    assert_in_range(split, 1, n - 2);
    *a = number_of(text + split - 1, split, -1);
    *b = number_of(text + n - 1, n - split - 1, -1);
    assert_true(a->size > 0 && b->size > 0);
    return split;
}

static int64_t bits_and_end(struct number *result, int64_t slots, int32_t *answer)
{
    int64_t slot = 0;
    while (result->size > 0)
        answer[slot++] = halve(result);
    answer[slot++] = 2;
    assert_true(slot <= slots);
    while (slot < slots)
        answer[slot++] = DATASET_IGNORE;
    return slots;
}

static int64_t binary_sum(const int32_t *text, int64_t n, int32_t *answer)
{
    struct number a, b;
    operands(text, n, &a, &b);
    add(&a, &a, &b);
    return bits_and_end(&a, n + 1, answer);
}

static int64_t binary_product(const int32_t *text, int64_t n, int32_t *answer)
{
    struct number a, b, product;
    operands(text, n, &a, &b);
    multiply(&product, &a, &b);
    return bits_and_end(&product, n, answer);
}

// Bit after bit, the largest number whose square is not above.
static int64_t binary_root(const int32_t *text, int64_t n, int32_t *answer)
{
    struct number x = number_of(text, n, 1), root, square;
    int64_t m = (n + 1) / 2;
    assert_true(x.size > 0);
    for (int64_t i = 0; i < m; i++)
        answer[i] = 0;
    for (int64_t i = 0; i < m; i++) {
        answer[i] = 1;
        root = number_of(answer, m, 1);
        multiply(&square, &root, &root);
        answer[i] = compare(&square, &x) <= 0;
    }
    return m;
}

// The other way round: the numbers are taken from the text, added, and written.
static int64_t decimal_sum(const int32_t *text, int64_t size, int32_t *answer, bool least)
{
    int64_t n = (size - 1) / 2;
    struct number number[2] = {{0}, {0}}, sum;
    assert_int_equal(text[n], 10);
    for (int which = 0; which < 2; which++)
        for (int64_t i = 0; i < n; i++) {
            int32_t digit = text[which * (n + 1) + (least ? i : n - 1 - i)];
            assert_in_range(digit, 0, 9);
            number[which].digit[number[which].size++] = (unsigned char)digit;
        }
    add(&sum, &number[0], &number[1]);
    for (int64_t i = 0; i <= n; i++)
        answer[least ? i : n - i] = i < sum.size ? sum.digit[i] : 0;
    return n + 1;
}

static int64_t least_first(const int32_t *text, int64_t size, int32_t *answer)
{
    return decimal_sum(text, size, answer, true);
}

static int64_t most_first(const int32_t *text, int64_t size, int32_t *answer)
{
    return decimal_sum(text, size, answer, false);
}

static void test_numbers(void **state)
{
    (void)state;
    static const int32_t bits[] = {1, 0, 0, 1, 0, 1}, small[] = {1, 1, 1};
    int32_t answer[8];
    struct number x = number_of(bits, 6, 1), y = number_of(small, 3, 1), product;
    assert_true(x.size == 2 && x.digit[0] == 7 && x.digit[1] == 3);
    multiply(&product, &x, &y); // 37 times 7
    assert_true(product.size == 3 && product.digit[0] == 9 && product.digit[2] == 2);
    assert_int_equal(binary_root(bits, 6, answer), 3);
    assert_true(answer[0] == 1 && answer[1] == 1 && answer[2] == 0);
}

// --- rows

static const struct {
    const char *task;
    int64_t shortest, step; // tokens of a string
    int64_t slots[3];       // a string of n tokens has (slots[0] n + slots[1]) / slots[2]
    int64_t symbols;
    const char *options;
    strings_reference *reference;
} tasks[] = {
    {"modular-arithmetic-simple", 1, 2, {0, 1, 1}, 8, "", without_brackets},
    {"modular-arithmetic", 1, 1, {0, 1, 1}, 10, "", with_brackets},
    {"solve-equation", 3, 1, {0, 1, 1}, 11, "", equation},
    {"binary-addition", 3, 1, {1, 1, 1}, 3, "", binary_sum},
    {"binary-multiplication", 3, 1, {1, 0, 1}, 3, "", binary_product},
    {"compute-sqrt", 1, 1, {1, 1, 2}, 2, "", binary_root},
    {"addition", 3, 2, {1, 1, 2}, 11, "", least_first},
    {"addition", 3, 2, {1, 1, 2}, 11, "order=most", most_first},
};
enum { TASKS = sizeof tasks / sizeof tasks[0] };

static int64_t row_tokens(int t, int64_t n)
{
    return n + 1 + (tasks[t].slots[0] * n + tasks[t].slots[1]) / tasks[t].slots[2];
}

static void test_rows(void **state)
{
    (void)state;
    for (int t = 0; t < TASKS; t++) {
        struct strings_case one = {tasks[t].task,     0, tasks[t].options, tasks[t].symbols, 0, 0,
                                   tasks[t].reference};
        for (one.length = 3; one.length <= 130; one.length += one.length < 20 ? 1 : 55) {
            one.shortest = tasks[t].shortest;
            if (row_tokens(t, one.shortest) > one.length)
                continue;
            while (row_tokens(t, one.shortest + tasks[t].step) <= one.length)
                one.shortest += tasks[t].step;
            one.longest = one.shortest;
            strings_check(&one);
        }
    }
}

static void test_lengths(void **state)
{
    (void)state;
    static const struct strings_case cases[] = {
        {"modular-arithmetic-simple", 36, "min_length=4 max_length=10", 8, 3, 9, without_brackets},
        {"modular-arithmetic-simple", 36, "min_length=8 max_length=8", 8, 7, 7, without_brackets},
        {"modular-arithmetic", 36, "min_length=1 max_length=12", 10, 1, 12, with_brackets},
        {"solve-equation", 36, "min_length=3", 11, 3, 34, equation},
        {"binary-addition", 36, "min_length=3", 3, 3, 17, binary_sum},
        {"binary-multiplication", 36, "min_length=3 max_length=9", 3, 3, 9, binary_product},
        {"compute-sqrt", 36, "min_length=1 max_length=9", 2, 1, 9, binary_root},
        {"addition", 36, "min_length=1 max_length=4", 11, 3, 9, least_first},
        {"addition", 36, "min_length=2 order=most", 11, 5, 23, most_first},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        strings_check(&cases[i]);
}

// --- chance

static void test_chance(void **state)
{
    (void)state;
    for (int t = 0; t < TASKS; t++) {
        strings_check_chance(tasks[t].task, 33, tasks[t].options);
        strings_check_chance(tasks[t].task, 10, tasks[t].options);
    }
    strings_check_chance("modular-arithmetic-simple", 20, "min_length=1");
    strings_check_chance("modular-arithmetic", 24, "min_length=1");
    strings_check_chance("solve-equation", 12, "min_length=3");
    strings_check_chance("binary-addition", 28, "min_length=3");
    strings_check_chance("binary-multiplication", 30, "min_length=3");
    strings_check_chance("binary-multiplication", 60, "");
    strings_check_chance("compute-sqrt", 24, "min_length=1");
    strings_check_chance("compute-sqrt", 70, "");
    strings_check_chance("addition", 24, "min_length=1");
}

// The best guess for each slot, by all pairs of numbers that n tokens hold; pairs of each split of
// the tokens weigh as much together as those of any other.
static double chance_of_pairs(int n, bool product)
{
    double weight[20][3] = {{0}}, right = 0, scored = 0;
    for (int a = 1; a <= n - 2; a++) {
        int b = n - 1 - a;
        double each = 1.0 / (((1 << a) - 1) * ((1 << b) - 1));
        for (int x = 1; x < 1 << a; x++)
            for (int y = 1; y < 1 << b; y++) {
                int result = product ? x * y : x + y, slot = 0;
                for (; result > 0; result /= 2)
                    weight[slot++][result % 2] += each;
                weight[slot][2] += each;
            }
    }
    for (int slot = 0; slot < 20; slot++) {
        const double *w = weight[slot];
        double most = w[0] > w[1] ? w[0] : w[1];
        right += most > w[2] ? most : w[2];
        scored += w[0] + w[1] + w[2];
    }
    return right / scored;
}

static void test_chance_of_pairs(void **state)
{
    (void)state;
    for (int n = 3; n <= 15; n++) {
        struct dataset dataset;
        check_ok(batch_open(&dataset, "binary-addition", 2 * n + 2, 0, ""));
        check_close(dataset.chance, chance_of_pairs(n, false), 1e-12, 0);
        dataset_close(&dataset);
        check_ok(batch_open(&dataset, "binary-multiplication", 2 * n + 1, 0, ""));
        // Numbers of more than 7 bits are taken for ones of 7.
        check_close(dataset.chance, chance_of_pairs(n, true), n <= 9 ? 1e-12 : 2e-3, 0);
        dataset_close(&dataset);
    }
}

// By all numbers of n bits.
static void test_chance_of_roots(void **state)
{
    (void)state;
    for (int n = 1; n <= 14; n++) {
        struct dataset dataset;
        int ones[7] = {0}, right = 0, m = (n + 1) / 2, numbers = (1 << n) - 1;
        for (int x = 1; x <= numbers; x++) {
            int root = 0;
            while ((root + 1) * (root + 1) <= x)
                root++;
            for (int i = 0; i < m; i++)
                ones[i] += root >> i & 1;
        }
        for (int i = 0; i < m; i++)
            right += ones[i] > numbers - ones[i] ? ones[i] : numbers - ones[i];
        check_ok(batch_open(&dataset, "compute-sqrt", n + 1 + m, 0, ""));
        check_close(dataset.chance, right / ((double)numbers * m), 1e-12, 0);
        dataset_close(&dataset);
    }
}

// Values of d op d op d: all 1125 of them.
static void test_chance_of_values(void **state)
{
    (void)state;
    struct dataset dataset;
    int count[5] = {0}, most = 0;
    for (int32_t code = 0; code < 1125; code++) {
        int32_t text[5] = {code % 5, 5 + code / 5 % 3, code / 15 % 5, 5 + code / 75 % 3,
                           code / 225},
                answer;
        without_brackets(text, 5, &answer);
        count[answer]++;
    }
    for (int value = 0; value < 5; value++)
        most = count[value] > most ? count[value] : most;
    check_ok(batch_open(&dataset, "modular-arithmetic-simple", 7, 0, ""));
    check_close(dataset.chance, most / 1125.0, 1e-12, 0);
    dataset_close(&dataset);
    check_ok(batch_open(&dataset, "modular-arithmetic", 7, 0, "")); // (d op d): 9 of 25 products
    check_close(dataset.chance, (2 * 0.2 + 0.36) / 3, 1e-12, 0);
    dataset_close(&dataset);
}

// --- numbers and expressions of thousands of tokens

enum { LONG = 6001 };
static int32_t tokens[LONG], targets[LONG], mask[LONG];

static int64_t draw_long(const char *task, int64_t length)
{
    struct dataset dataset;
    check_ok(batch_open(&dataset, task, length, 3, ""));
    dataset_batch(&dataset, DATASET_TRAIN, 0, 1, tokens, targets, mask);
    int64_t n = 0;
    while (tokens[n] != dataset.vocab - 2)
        n++;
    dataset_close(&dataset);
    return n;
}

static void check_answer(int64_t n, int64_t slots, const int32_t *answer)
{
    for (int64_t i = 0; i < slots; i++)
        assert_int_equal(targets[n + 1 + i], answer[i]);
}

static void test_long(void **state)
{
    (void)state;
    static int32_t answer[LONG];
    static char characters[LONG + 1];
    static struct number x, root, square, next, one = {1, {1}};
    int64_t n = draw_long("binary-addition", 4000);
    assert_int_equal(n, 1999);
    check_answer(n, binary_sum(tokens, n, answer), answer);
    n = draw_long("binary-multiplication", 4001);
    assert_int_equal(n, 2000);
    check_answer(n, binary_product(tokens, n, answer), answer);
    n = draw_long("compute-sqrt", 4000);
    assert_int_equal(n, 2666);
    x = number_of(tokens, n, 1);
    root = number_of(targets + n + 1, (n + 1) / 2, 1);
    multiply(&square, &root, &root);
    add(&next, &root, &one);
    multiply(&next, &next, &next);
    assert_true(compare(&square, &x) <= 0 && compare(&x, &next) < 0);
    n = draw_long("modular-arithmetic", LONG);
    spell(characters, tokens, n, "01234+-()*");
    assert_int_equal(value_of(characters, true), targets[n + 1]);
}

// --- refusals

static void test_refused(void **state)
{
    (void)state;
    static const struct answers_refusal bad[] = {
        {"addition", 5, 0, "", "task addition: length 5 is too short; it must be at least 6"},
        {"addition", 32, 0, "max_length=10", "it must be at most 9, or length at least 33"},
        {"addition", 32, 0, "min_length=10",
         "min_length 10 is more than the longest string has, 9"},
        {"addition", 32, 0, "order=lest", "did you mean 'least'?"},
        {"addition", 32, 0, "symbols=10", "no option 'symbols'"},
        {"binary-addition", 7, 0, "", "at least 8"},
        {"binary-addition", 32, 0, "min_length=2", "its strings have at least 3 symbols"},
        {"binary-multiplication", 6, 0, "", "at least 7"},
        {"binary-multiplication", 32, 0, "max_length=16", "at most 15, or length at least 33"},
        {"compute-sqrt", 2, 0, "", "at least 3"},
        {"modular-arithmetic", 2, 0, "", "at least 3"},
        {"modular-arithmetic-simple", 9, 0, "max_length=9", "at most 7, or length at least 11"},
        {"solve-equation", 4, 0, "", "at least 5"},
        {"solve-equation", 9, 0, "max_length=2", "max_length 2 is too short"},
    };
    answers_check_refused(bad, sizeof bad / sizeof bad[0]);
}

CHECK_MAIN(cmocka_unit_test(test_reader), cmocka_unit_test(test_numbers),
           cmocka_unit_test(test_rows), cmocka_unit_test(test_lengths),
           cmocka_unit_test(test_chance), cmocka_unit_test(test_chance_of_pairs),
           cmocka_unit_test(test_chance_of_roots), cmocka_unit_test(test_chance_of_values),
           cmocka_unit_test(test_long), cmocka_unit_test(test_refused))
