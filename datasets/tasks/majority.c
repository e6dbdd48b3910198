// Majority: a random string, and at its end the question which symbol is the most frequent. No
// position is needed: what an encoding adds here, it adds in the way.
//
//     s_1 ... s_n  SEP  BLANK
//
// The answer is unique: where symbols tie for the first place, one of them, drawn at random, takes
// the place of another symbol somewhere in the string. All symbols stay equally likely.
#include <stdio.h>
#include <math.h>
#include <string.h>

#include "../row.h"

enum { MAX_SYMBOLS = 256 };

struct settings {
    int64_t symbols;
    struct row_lengths lengths;
};

static const struct option_def options[] = {
    {"symbols", OPTION_INT, offsetof(struct settings, symbols), "2", 2, MAX_SYMBOLS, NULL,
     "different symbols in a string"},
    ROW_LENGTH_OPTIONS(settings, "symbols"),
    {.key = NULL},
};

static int open_majority(struct dataset *dataset)
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

// The k-th (from 0) of the symbols that come `count` times; how many do, in *leaders.
static int64_t leader(const int64_t *counts, int64_t symbols, int64_t count, int64_t k,
                      int64_t *leaders)
{
    int64_t found = 0;
    *leaders = 0;
    for (int64_t c = 0; c < symbols; c++) {
        if (counts[c] != count)
            continue;
        if (*leaders == k)
            found = c;
        (*leaders)++;
    }
    return found;
}

// Makes `winner` come once more, at a place that another symbol has.
static void overwrite(struct dataset_row *row, struct rng *rng, int64_t n, int64_t count,
                      int64_t winner)
{
    int64_t k = rng_below(rng, (uint32_t)(n - count)), at = 0;
    for (; row->tokens[at] == winner || k > 0; at++)
        k -= row->tokens[at] != winner;
    row->tokens[at] = (int32_t)winner;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    const struct settings *s = dataset->settings;
    int64_t counts[MAX_SYMBOLS], most = 0, leaders, at = 0;
    int64_t n = row_draw_length(dataset, split, rng, s->lengths, 1);
    memset(counts, 0, (size_t)s->symbols * sizeof counts[0]);
    row_put_random(row, &at, rng, n, s->symbols);
    for (int64_t i = 0; i < n; i++) {
        int64_t count = ++counts[row->tokens[i]];
        most = count > most ? count : most;
    }
    int64_t winner = leader(counts, s->symbols, most, 0, &leaders);
    if (leaders > 1) {
        int64_t k = rng_below(rng, (uint32_t)leaders);
        winner = leader(counts, s->symbols, most, k, &leaders);
        overwrite(row, rng, n, most, winner);
    }
    row_put(row, &at, s->symbols);
    row_ask(row, &at, s->symbols + 1, winner);
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

const struct task_def task_majority = {
    .name = "majority",
    .title = "a random string; at its end, its most frequent symbol",
    .source = "after Merrill et al. 2022, Saturated Transformers are Constant-Depth Threshold "
              "Circuits, arXiv 2106.16213",
    .scored = "the answer",
    .options = options,
    .settings_size = sizeof(struct settings),
    .open = open_majority,
    .sample = sample,
    .token_name = token_name,
};
