// First: a random string, and at its end the question what its first token was. The answer's
// distance is the length of the string, its place always the same.
//
//     s_1 ... s_n  SEP  BLANK
//
// The one target is s_1, on the blank slot.
#include <stdio.h>
#include <math.h>

#include "../row.h"

struct settings {
    int64_t symbols;
    struct row_lengths lengths;
};

static const struct option_def options[] = {
    {"symbols", OPTION_INT, offsetof(struct settings, symbols), "16", 2, 65536, NULL,
     "different symbols in a string"},
    ROW_LENGTH_OPTIONS(settings, "symbols"),
    {.key = NULL},
};

static int open_first(struct dataset *dataset)
{
    struct settings *s = dataset->settings;
    struct row_rule rule = {.least = 1, .fits = dataset->length - 2, .needed = 3, .unit = 1};
    int code = row_lengths_settle(dataset, &s->lengths, rule);
    if (code < 0)
        return code;
    dataset->vocab = s->symbols + 2;
    dataset->chance = 1 / (double)s->symbols;
    dataset->row_bits = (double)s->lengths.min * log2((double)s->symbols);
    return 0;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    const struct settings *s = dataset->settings;
    int64_t n = row_draw_length(dataset, split, rng, s->lengths, 1), at = 0;
    row_put_random(row, &at, rng, n, s->symbols);
    row_put(row, &at, s->symbols);
    row_ask(row, &at, s->symbols + 1, row->tokens[0]);
}

static bool token_name(const struct dataset *dataset, int64_t token, char name[DATASET_NAME])
{
    const struct settings *s = dataset->settings;
    static const char *const names[] = {"[SEP]", "[BLANK]"};
    int64_t at = token - s->symbols;
    if (at < 0 || at >= 2)
        return false;
    snprintf(name, DATASET_NAME, "%s", names[at]);
    return true;
}

const struct task_def task_first = {
    .name = "first",
    .title = "a random string; at its end, its first symbol",
    .source =
        "after Chiang and Cholak 2022, Overcoming a Theoretical Limitation of Self-Attention, "
        "arXiv 2202.12172",
    .scored = "the answer",
    .options = options,
    .settings_size = sizeof(struct settings),
    .open = open_first,
    .sample = sample,
    .token_name = token_name,
};
