// Bucket sort: task sort of strings over five symbols, as the papers have it.
#include "../strings.h"

static const struct option_def options[] = {
    {STRING_SYMBOLS("5")}, {STRING_MIN_LENGTH}, {STRING_MAX_LENGTH}, {.key = NULL}};

const struct task_def task_bucket_sort = {
    .name = "bucket-sort",
    .title = "a random string over five symbols, then its symbols in order",
    .source = "Deletang et al. 2023, Neural Networks and the Chomsky Hierarchy, arXiv 2207.02098; "
              "Ruoss et al. 2023, arXiv 2305.16843",
    .scored = "the answer's tokens; exact match of the whole answer",
    .options = options,
    .settings_size = sizeof(struct string_settings),
    .open = string_open_sort,
    .sample = string_sample_sort,
    .token_name = string_token_name,
};
