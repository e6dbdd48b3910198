// Modular arithmetic: an expression with brackets and + - *; its value mod 5.
#include <math.h>

#include "../expressions.h"
#include "../strings.h"

enum { MOST = 2048 };

// P(value is 0), by the number of tokens. The other values are as likely as each other: a factor
// that is not 0 maps digits onto digits, and sums, differences and products onto their like. So a
// sum or a difference is 0 where both are, or both the same of the four others; a product is where
// one is.
static void find_zeros(double *zero, int64_t longest)
{
    for (int64_t n = 1; n <= longest; n++) {
        double sum = 0;
        for (int64_t left = 1; left <= n - 4; left++) {
            double l = zero[left], r = zero[n - 3 - left];
            double both = l * r, none = (1 - l) * (1 - r);
            sum += (2 * (both + none / 4) + 1 - none) / 3;
        }
        zero[n] = n > 4 ? sum / (double)(n - 4) : 1.0 / EXPRESSION_MODULUS;
    }
}

// Strings longer than MOST are taken for ones of MOST: beyond, the probability rises by 0.011 at
// most, to 1 / 3.
static struct string_guess guess(const void *context, int64_t n)
{
    const double *zero = context;
    double z = zero[n < MOST ? n : MOST];
    return (struct string_guess){fmax(z, (1 - z) / (EXPRESSION_MODULUS - 1)), 1};
}

static int open(struct dataset *dataset)
{
    static const struct string_rule rule = {.symbols = EXPRESSION_SYMBOLS,
                                            .shortest = 1,
                                            .step = 1,
                                            .answer = string_one,
                                            .signs = "+-()*"};
    int code = string_open(dataset, &rule);
    if (code < 0)
        return code;
    const struct string_settings *s = dataset->settings;
    double zero[MOST + 1];
    find_zeros(zero, s->max_length < MOST ? s->max_length : MOST);
    dataset->chance = string_chance(dataset, guess, zero);
    dataset->row_bits = expression_bits(s->min_length, true);
    return 0;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    int64_t n = string_lay_out(dataset, split, rng, row);
    int32_t value = expression_draw(rng, row->tokens, row->targets, n, true);
    for (int64_t i = 0; i < n; i++)
        row->targets[i] = DATASET_IGNORE; // was working space
    row->targets[n + 1] = value;
}

const struct task_def task_modular_arithmetic = {
    .name = "modular-arithmetic",
    .title = "an expression with brackets and + - *; its value mod 5",
    .source = "Deletang et al. 2023, Neural Networks and the Chomsky Hierarchy, arXiv 2207.02098; "
              "Ruoss et al. 2023, arXiv 2305.16843",
    .scored = "the one answer",
    .options = string_length_options,
    .settings_size = sizeof(struct string_settings),
    .open = open,
    .sample = sample,
    .token_name = string_token_name,
};
