// Reverse: the string from its end. Every slot looks back another distance, so no single relative
// offset solves it.
#include "../strings.h"

const struct task_def task_reverse = {
    .name = "reverse",
    .title = "a random string, then the string from its end",
    .source = "Ruoss et al. 2023, Randomized "
              "Positional Encodings Boost Length Generalization of Transformers, arXiv 2305.16843",
    .scored = "the answer's tokens; exact match of the whole answer",
    .options = string_options,
    .settings_size = sizeof(struct string_settings),
    .open = string_open_uniform,
    .sample = string_sample_reverse,
    .token_name = string_token_name,
};
