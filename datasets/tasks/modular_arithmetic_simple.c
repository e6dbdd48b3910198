// Modular arithmetic (simple): digits with +, - or * between them, without brackets; the value
// mod 5.
//
// A string has an odd number of tokens, as in the papers: an even length that is asked for is one
// less. Products come before sums.
#include <math.h>

#include "../expressions.h"
#include "../strings.h"

enum {
    MODULUS = EXPRESSION_MODULUS,
    PLUS = MODULUS,
    MINUS,
    TIMES,
    SYMBOLS,
    OPERATORS = SYMBOLS - PLUS
};

// P(sum of the terms before, last term), as `joint` says it, after one more operator and digit.
static void read_on(double joint[MODULUS][MODULUS])
{
    double next[MODULUS][MODULUS] = {0};
    for (int sum = 0; sum < MODULUS; sum++)
        for (int term = 0; term < MODULUS; term++)
            for (int digit = 0; digit < MODULUS; digit++) {
                double each = joint[sum][term] / (MODULUS * OPERATORS);
                next[(sum + term) % MODULUS][digit] += 2 * each; // + and - are as likely
                next[sum][term * digit % MODULUS] += each;
            }
    for (int sum = 0; sum < MODULUS; sum++)
        for (int term = 0; term < MODULUS; term++)
            joint[sum][term] = next[sum][term];
}

// How likely the likeliest value is. After 64 operators no digit of that changes.
static struct string_guess guess(const void *context, int64_t n)
{
    (void)context;
    double joint[MODULUS][MODULUS] = {0}, value[MODULUS] = {0}, best = 0;
    for (int digit = 0; digit < MODULUS; digit++)
        joint[0][digit] = 1.0 / MODULUS;
    for (int64_t i = 0; i < n / 2 && i < 64; i++)
        read_on(joint);
    for (int sum = 0; sum < MODULUS; sum++)
        for (int term = 0; term < MODULUS; term++)
            value[(sum + term) % MODULUS] += joint[sum][term];
    for (int v = 0; v < MODULUS; v++)
        best = fmax(best, value[v]);
    return (struct string_guess){best, 1};
}

static int open(struct dataset *dataset)
{
    static const struct string_rule rule = {
        .symbols = SYMBOLS, .shortest = 1, .step = 2, .answer = string_one, .signs = "+-*"};
    int code = string_open(dataset, &rule);
    if (code < 0)
        return code;
    const struct string_settings *s = dataset->settings;
    double operators = (double)(s->min_length / 2);
    dataset->chance = string_chance(dataset, guess, NULL);
    dataset->row_bits = (operators + 1) * log2(MODULUS) + operators * log2(OPERATORS);
    return 0;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    int64_t n = string_lay_out(dataset, split, rng, row);
    int32_t sum = 0, term = row->tokens[0] = (int32_t)rng_below(rng, MODULUS);
    for (int64_t i = 1; i < n; i += 2) {
        int32_t op = PLUS + (int32_t)rng_below(rng, OPERATORS);
        int32_t digit = (int32_t)rng_below(rng, MODULUS);
        row->tokens[i] = op;
        row->tokens[i + 1] = digit;
        sum = op == TIMES ? sum : expression_modulo(sum + term);
        term = op == PLUS ? digit : op == MINUS ? -digit : expression_modulo(term * digit);
    }
    row->targets[n + 1] = expression_modulo(sum + term);
}

const struct task_def task_modular_arithmetic_simple = {
    .name = "modular-arithmetic-simple",
    .title = "digits and + - * without brackets; the value mod 5",
    .source = "Deletang et al. 2023, Neural Networks and the Chomsky Hierarchy, arXiv 2207.02098; "
              "Ruoss et al. 2023, arXiv 2305.16843",
    .scored = "the one answer",
    .options = string_length_options,
    .settings_size = sizeof(struct string_settings),
    .open = open,
    .sample = sample,
    .token_name = string_token_name,
};
