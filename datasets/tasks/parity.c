// Parity: the number of ones in a binary string, mod 2. No place matters, but every symbol does.
#include "../strings.h"

static int open(struct dataset *dataset)
{
    static const struct string_rule rule = {
        .symbols = 2, .shortest = 1, .step = 1, .answer = string_one};
    int code = string_open(dataset, &rule);
    if (code < 0)
        return code;
    const struct string_settings *s = dataset->settings;
    dataset->chance = 0.5;
    dataset->row_bits = (double)s->min_length;
    return 0;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    int64_t n = string_draw(dataset, split, rng, row);
    int32_t parity = 0;
    for (int64_t i = 0; i < n; i++)
        parity ^= row->tokens[i];
    row->targets[n + 1] = parity;
}

const struct task_def task_parity = {
    .name = "parity",
    .title = "a binary string; is the number of its ones even (0) or odd (1)",
    .source = "Deletang et al. 2023, Neural Networks and the Chomsky Hierarchy, arXiv 2207.02098; "
              "Ruoss et al. 2023, arXiv 2305.16843",
    .scored = "the one answer",
    .options = string_length_options,
    .settings_size = sizeof(struct string_settings),
    .open = open,
    .sample = sample,
    .token_name = string_token_name,
};
