// Odds first: the symbols at the indices 1, 3, 5, ... (from 0), then those at 0, 2, 4, ...: every
// second symbol, which is to be found at the slot's place twice over.
#include "../strings.h"

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    int64_t n = string_draw(dataset, split, rng, row);
    int32_t *answer = row->targets + n + 1;
    for (int64_t i = 1; i < n; i += 2)
        *answer++ = row->tokens[i];
    for (int64_t i = 0; i < n; i += 2)
        *answer++ = row->tokens[i];
}

const struct task_def task_odds_first = {
    .name = "odds-first",
    .title = "a random string, then its symbols at odd indices, then the others",
    .source = "Deletang et al. 2023, Neural Networks and the Chomsky Hierarchy, arXiv 2207.02098; "
              "Ruoss et al. 2023, arXiv 2305.16843",
    .scored = "the answer's tokens; exact match of the whole answer",
    .options = string_binary_options,
    .settings_size = sizeof(struct string_settings),
    .open = string_open_uniform,
    .sample = sample,
    .token_name = string_token_name,
};
