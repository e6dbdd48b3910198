// Duplicate string: task duplicate of binary strings, as the papers have it.
#include "../strings.h"

const struct task_def task_duplicate_string = {
    .name = "duplicate-string",
    .title = "a random binary string, then the string twice",
    .source = "Deletang et al. 2023, Neural Networks and the Chomsky Hierarchy, arXiv 2207.02098; "
              "Ruoss et al. 2023, arXiv 2305.16843",
    .scored = "the answer's tokens; exact match of the whole answer",
    .options = string_binary_options,
    .settings_size = sizeof(struct string_settings),
    .open = string_open_duplicate,
    .sample = string_sample_duplicate,
    .token_name = string_token_name,
};
