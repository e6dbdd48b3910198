// Even pairs: whether a binary string has as many 01 as 10, counted mod 2. That is whether its
// first and last symbols are equal, so the task asks for two places.
#include "../strings.h"

// A string of one symbol has no pair: its answer is known.
static struct string_guess guess(const void *context, int64_t n)
{
    (void)context;
    return (struct string_guess){n == 1 ? 1 : 0.5, 1};
}

static int open(struct dataset *dataset)
{
    static const struct string_rule rule = {
        .symbols = 2, .shortest = 1, .step = 1, .answer = string_one};
    int code = string_open(dataset, &rule);
    if (code < 0)
        return code;
    const struct string_settings *s = dataset->settings;
    dataset->chance = string_chance(dataset, guess, NULL);
    dataset->row_bits = (double)s->min_length;
    return 0;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    int64_t n = string_draw(dataset, split, rng, row);
    row->targets[n + 1] = row->tokens[0] ^ row->tokens[n - 1];
}

const struct task_def task_even_pairs = {
    .name = "even-pairs",
    .title = "a binary string; is the number of its 01 and 10 even (0) or odd (1)",
    .source = "Deletang et al. 2023, Neural Networks and the Chomsky Hierarchy, arXiv 2207.02098; "
              "Ruoss et al. 2023, arXiv 2305.16843",
    .scored = "the one answer",
    .options = string_length_options,
    .settings_size = sizeof(struct string_settings),
    .open = open,
    .sample = sample,
    .token_name = string_token_name,
};
