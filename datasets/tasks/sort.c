// Sort: the symbols of the string from the lowest to the highest. The place of a symbol in the
// string does not matter, the place of a slot in the answer does: it must count the symbols.
#include "../strings.h"

const struct task_def task_sort = {
    .name = "sort",
    .title = "a random string, then its symbols in order",
    .source = "Kazemnejad et al. 2023, The Impact of Positional "
              "Encoding on Length Generalization in Transformers, arXiv 2305.19466",
    .scored = "the answer's tokens; exact match of the whole answer",
    .options = string_options,
    .settings_size = sizeof(struct string_settings),
    .open = string_open_sort,
    .sample = string_sample_sort,
    .token_name = string_token_name,
};
