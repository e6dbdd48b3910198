// Copy: the string again, in the blank slots behind it. The slot i must find the token i: a fixed
// distance where all strings are of one length, a place to be found where they are not.
#include "../strings.h"

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    int64_t n = string_draw(dataset, split, rng, row);
    for (int64_t i = 0; i < n; i++)
        row->targets[n + 1 + i] = row->tokens[i];
}

const struct task_def task_copy = {
    .name = "copy",
    .title = "a random string, then the same string",
    .source = "Kazemnejad et al. 2023, The Impact of Positional "
              "Encoding on Length Generalization in Transformers, arXiv 2305.19466",
    .scored = "the answer's tokens; exact match of the whole answer",
    .options = string_options,
    .settings_size = sizeof(struct string_settings),
    .open = string_open_uniform,
    .sample = sample,
    .token_name = string_token_name,
};
