// Indirect indexing: find a character in a string by what it is, then go a number of places from
// it. Content says where to start and position says where to end, and neither does alone.
//
//     s_1 ... s_n  SEP  x  shift  BLANK
//
// x comes once in the string, so that the answer is unique; the other places are random characters
// that are not x. The shift is one token, not 0, and stays inside the string: first the place of x
// is drawn, then one of the shifts that it allows. The paper's strings have 20 to 40 characters; it
// separates the four parts by commas, which say nothing here.
#include <stdio.h>
#include <math.h>

#include "../row.h"

struct settings {
    int64_t symbols, max_shift;
    struct row_lengths lengths;
};

static const struct option_def options[] = {
    {"symbols", OPTION_INT, offsetof(struct settings, symbols), "26", 3, 65536, NULL,
     "different characters"},
    {"max_shift", OPTION_INT, offsetof(struct settings, max_shift), "8", 1, 1 << 20, NULL,
     "places that a shift may go, to the left or to the right"},
    ROW_LENGTH_OPTIONS(settings, "characters"),
    {.key = NULL},
};

// All characters are alike, so that any constant answer is right once in `symbols`.
static int open_indirect_indexing(struct dataset *dataset)
{
    struct settings *s = dataset->settings;
    struct row_rule rule = {.least = 2, .fits = dataset->length - 4, .needed = 6, .unit = 1};
    int code = row_lengths_settle(dataset, &s->lengths, rule);
    if (code < 0)
        return code;
    dataset->vocab = s->symbols + 2 * s->max_shift + 3;
    dataset->chance = 1 / (double)s->symbols;
    dataset->row_bits = log2((double)s->symbols) + log2((double)s->lengths.min) +
                        (double)(s->lengths.min - 1) * log2((double)s->symbols - 1);
    return 0;
}

// A shift from `place` that stays in [0, n).
static int64_t draw_shift(struct rng *rng, int64_t max_shift, int64_t place, int64_t n)
{
    int64_t left = place < max_shift ? place : max_shift;
    int64_t right = n - 1 - place < max_shift ? n - 1 - place : max_shift;
    int64_t shift = (int64_t)rng_below(rng, (uint32_t)(left + right)) - left;
    return shift < 0 ? shift : shift + 1;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    const struct settings *s = dataset->settings;
    int64_t separator = s->symbols + 2 * s->max_shift + 1, at = 0;
    int64_t n = row_draw_length(dataset, split, rng, s->lengths, 1);
    int64_t x = rng_below(rng, (uint32_t)s->symbols), place = rng_below(rng, (uint32_t)n);
    int64_t shift = draw_shift(rng, s->max_shift, place, n);
    while (at < n) {
        int64_t other = rng_below(rng, (uint32_t)s->symbols - 1);
        row_put(row, &at, at == place ? x : other + (other >= x));
    }
    row_put(row, &at, separator);
    row_put(row, &at, x);
    row_put(row, &at, s->symbols + s->max_shift + shift);
    row_ask(row, &at, separator + 1, row->tokens[place + shift]);
}

static bool token_name(const struct dataset *dataset, int64_t token, char name[DATASET_NAME])
{
    const struct settings *s = dataset->settings;
    int64_t shift = token - s->symbols - s->max_shift;
    if (token < s->symbols)
        return false;
    if (shift > s->max_shift)
        snprintf(name, DATASET_NAME, "%s", shift == s->max_shift + 1 ? "[SEP]" : "[BLANK]");
    else
        snprintf(name, DATASET_NAME, "%+lld", (long long)shift);
    return true;
}

const struct task_def task_indirect_indexing = {
    .name = "indirect-indexing",
    .title = "a string, one of its characters and a shift; the character that far from it",
    .source = "Gopalakrishnan et al. 2025, Decoupling the What and Where With Polar Coordinate "
              "Positional Embeddings, arXiv 2509.10534",
    .scored = "the last token",
    .options = options,
    .settings_size = sizeof(struct settings),
    .open = open_indirect_indexing,
    .sample = sample,
    .token_name = token_name,
};
