// Rows of string, separator and blank answer slots.
#include "strings.h"

#include <math.h>

#include "../autograd/base/err.h"

const struct option_def string_options[] = {
    {"symbols", OPTION_INT, offsetof(struct string_settings, symbols), "16", 2, 65536, NULL,
     "different symbols in a string"},
    {"min_length", OPTION_INT, offsetof(struct string_settings, min_length), "0", 0, 1 << 23, NULL,
     "symbols in the shortest string; 0 is max_length"},
    {"max_length", OPTION_INT, offsetof(struct string_settings, max_length), "0", 0, 1 << 23, NULL,
     "symbols in the longest string; 0 is what fits, (length - 1) / 2"},
    {.key = NULL},
};

int string_open(struct dataset *dataset)
{
    struct string_settings *s = dataset->settings;
    const char *name = dataset->task->name;
    int64_t fits = (dataset->length - 1) / 2;
    if (fits < 1)
        return err_set(ERR_ARGUMENT, "task %s: length %lld is too short; it must be at least 3",
                       name, (long long)dataset->length);
    if (dataset->evaluation)
        s->min_length = s->max_length = fits;
    if (s->max_length > fits)
        return err_set(
            ERR_ARGUMENT,
            "--task-opt of task %s: max_length %lld does not fit length %lld; it must be "
            "at most %lld, or length at least %lld",
            name, (long long)s->max_length, (long long)dataset->length, (long long)fits,
            2 * (long long)s->max_length + 1);
    if (s->max_length == 0)
        s->max_length = fits;
    if (s->min_length > s->max_length)
        return err_set(
            ERR_ARGUMENT,
            "--task-opt of task %s: min_length %lld is more than the longest string has, "
            "%lld; lower it or raise the length",
            name, (long long)s->min_length, (long long)s->max_length);
    if (s->min_length == 0)
        s->min_length = s->max_length;
    dataset->vocab = s->symbols + 2;
    dataset->chance = 1.0 / (double)s->symbols;
    dataset->row_bits = (double)s->min_length * log2((double)s->symbols);
    return 0;
}

int64_t string_lay_out(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                       struct dataset_row *row)
{
    const struct string_settings *s = dataset->settings;
    int32_t separator = (int32_t)s->symbols, blank = separator + 1;
    int64_t n = dataset_draw_length(dataset, split, rng, s->min_length, s->max_length);
    for (int64_t i = 0; i < n; i++)
        row->tokens[i] = (int32_t)rng_below(rng, (uint32_t)s->symbols);
    row->tokens[n] = separator;
    for (int64_t i = n + 1; i < 2 * n + 1; i++)
        row->tokens[i] = blank;
    for (int64_t i = 0; i < 2 * n + 1; i++)
        row->mask[i] = 1;
    return n;
}
