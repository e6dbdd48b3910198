// Missing duplicate: a binary string twice, with one of its symbols hidden; which is it? The other
// copy has it, half the string away.
//
// The hidden symbol is a 2. Where n is odd, the last symbol is a 3, which says nothing.
#include <math.h>

#include "../strings.h"

enum { HIDDEN = 2, FILLER = 3, SYMBOLS };

static int open(struct dataset *dataset)
{
    static const struct string_rule rule = {
        .symbols = SYMBOLS, .shortest = 2, .step = 1, .answer = string_one, .signs = "?_"};
    int code = string_open(dataset, &rule);
    if (code < 0)
        return code;
    const struct string_settings *s = dataset->settings;
    double half = (double)(s->min_length / 2);
    dataset->chance = 0.5;
    dataset->row_bits = half + log2(2 * half);
    return 0;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    int64_t n = string_lay_out(dataset, split, rng, row), half = n / 2;
    string_fill(rng, row->tokens, half, 2);
    for (int64_t i = 0; i < half; i++)
        row->tokens[half + i] = row->tokens[i];
    if (n % 2)
        row->tokens[n - 1] = FILLER;
    int64_t hidden = rng_below(rng, (uint32_t)(2 * half));
    row->targets[n + 1] = row->tokens[hidden];
    row->tokens[hidden] = HIDDEN;
}

const struct task_def task_missing_duplicate = {
    .name = "missing-duplicate",
    .title = "a binary string twice, one symbol hidden; the hidden symbol",
    .source = "Deletang et al. 2023, Neural Networks and the Chomsky Hierarchy, arXiv 2207.02098; "
              "Ruoss et al. 2023, arXiv 2305.16843",
    .scored = "the one answer",
    .options = string_length_options,
    .settings_size = sizeof(struct string_settings),
    .open = open,
    .sample = sample,
    .token_name = string_token_name,
};
