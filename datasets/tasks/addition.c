// Addition: two decimal numbers of n digits each, and their sum of n + 1 digits; what is shorter
// has zeros above its highest digit.
//
//     a_1 ... a_n + b_1 ... b_n SEP BLANK ... BLANK
//
// With the least significant digit first, as by default, the carry into a slot comes from the
// places before it, otherwise from those behind. n is as large as fits: a row has 3 n + 3 tokens.
#include <math.h>

#include "../strings.h"

enum { BASE = 10, PLUS = BASE, SYMBOLS };
enum order { LEAST, MOST };

struct settings {
    struct string_settings strings; // first
    int order;
};

static const struct option_def options[] = {
    {"min_length", OPTION_INT, offsetof(struct settings, strings.min_length), "0", 0, 1 << 23, NULL,
     "digits of the shortest numbers; 0 is max_length"},
    {"max_length", OPTION_INT, offsetof(struct settings, strings.max_length), "0", 0, 1 << 23, NULL,
     "digits of the longest numbers; 0 is what fits in the length"},
    {"order", OPTION_CHOICE, offsetof(struct settings, order), "least", 0, 0, "least|most",
     "which digit of a number comes first: the least or the most significant"},
    {.key = NULL},
};

static int64_t text(int64_t n)
{
    return 2 * n + 1;
}

static int64_t answer(int64_t n)
{
    return n + 1;
}

// All digits are fair but the highest, which is the carry: 0 in (10^n + 1) / 2 of 10^n cases.
static struct string_guess guess(const void *context, int64_t n)
{
    (void)context;
    double no_carry = 0.5 + 0.5 * pow(BASE, (double)-n);
    return (struct string_guess){(double)n / BASE + no_carry, (double)(n + 1)};
}

static int open(struct dataset *dataset)
{
    static const struct string_rule rule = {
        .symbols = SYMBOLS, .shortest = 1, .step = 1, .text = text, .answer = answer, .signs = "+"};
    int code = string_open(dataset, &rule);
    if (code < 0)
        return code;
    const struct string_settings *s = dataset->settings;
    dataset->chance = string_chance(dataset, guess, NULL);
    dataset->row_bits = 2 * (double)s->min_length * log2(BASE);
    return 0;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    const struct settings *s = dataset->settings;
    int64_t n = string_lay_out(dataset, split, rng, row);
    const int32_t *a = row->tokens, *b = a + n + 1;
    int32_t *sum = row->targets + text(n) + 1, carry = 0;
    string_fill(rng, row->tokens, text(n), BASE);
    row->tokens[n] = PLUS;
    for (int64_t place = 0; place < n; place++) {
        int64_t at = s->order == LEAST ? place : n - 1 - place;
        int32_t digit = a[at] + b[at] + carry;
        carry = digit >= BASE;
        sum[s->order == LEAST ? place : n - place] = digit - carry * BASE;
    }
    sum[s->order == LEAST ? n : 0] = carry;
}

const struct task_def task_addition = {
    .name = "addition",
    .title = "two decimal numbers, then their sum",
    .source = "Kazemnejad et al. 2023, arXiv 2305.19466; McLeish et al. 2024, Transformers Can Do "
              "Arithmetic with the Right Embeddings, arXiv 2405.17399",
    .scored = "the sum's digits; exact match of the whole sum",
    .options = options,
    .settings_size = sizeof(struct settings),
    .open = open,
    .sample = sample,
    .token_name = string_token_name,
};
