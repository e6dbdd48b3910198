// Flip-flop: one bit of memory. Instructions, each with a bit: WRITE stores it, IGNORE does
// nothing with it, READ asks for the bit that was stored last.
//
//     WRITE b  (WRITE b | IGNORE b | READ BLANK) ...  READ BLANK
//
// The first instruction writes and the last reads; between them one ignores with probability
// `ignore`, and writes or reads with half of the rest each, as the paper has it. Its rows carry the
// answer behind each READ; ours have a blank slot there, with the target on it, so that an encoder
// has no answer to look up and a decoder none to copy: the gap is always that to the last WRITE.
// The paper trains at 0.8 and tests with 0.98 (long gaps) and 0.1 (short ones).
#include <stdio.h>
#include "../row.h"

enum { WRITE = 2, READ, IGNORE, BLANK, VOCAB };

struct settings {
    double ignore;
    struct row_lengths lengths;
};

static const struct option_def options[] = {
    {"ignore", OPTION_REAL, offsetof(struct settings, ignore), "0.8", 0, 1, NULL,
     "probability that an instruction is to be ignored"},
    ROW_LENGTH_OPTIONS(settings, "instructions"),
    {.key = NULL},
};

static int open_flip_flop(struct dataset *dataset)
{
    struct settings *s = dataset->settings;
    struct row_rule rule = {.least = 2, .fits = dataset->length / 2, .needed = 4, .unit = 1};
    int code = row_lengths_settle(dataset, &s->lengths, rule);
    if (code < 0)
        return code;
    double other = (1 - s->ignore) / 2;
    dataset->vocab = VOCAB;
    dataset->chance = 0.5;
    dataset->row_bits = 1 + (double)(s->lengths.min - 2) *
                                (row_surprise(other) + 2 * row_surprise(other / 2) +
                                 2 * row_surprise(s->ignore / 2));
    return 0;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    const struct settings *s = dataset->settings;
    int64_t n = row_draw_length(dataset, split, rng, s->lengths, 1), at = 0, stored = 0;
    for (int64_t i = 0; i < n; i++) {
        int instruction = i == 0                         ? WRITE
                          : i == n - 1                   ? READ
                          : rng_uniform(rng) < s->ignore ? IGNORE
                          : rng_below(rng, 2)            ? WRITE
                                                         : READ;
        row_put(row, &at, instruction);
        if (instruction == READ) {
            row_ask(row, &at, BLANK, stored);
            continue;
        }
        int64_t bit = rng_below(rng, 2);
        row_put(row, &at, bit);
        if (instruction == WRITE)
            stored = bit;
    }
}

static bool token_name(const struct dataset *dataset, int64_t token, char name[DATASET_NAME])
{
    (void)dataset;
    static const char *const names[] = {"write", "read", "ignore", "[BLANK]"};
    int64_t at = token - WRITE;
    if (at < 0 || at >= 4)
        return false;
    snprintf(name, DATASET_NAME, "%s", names[at]);
    return true;
}

const struct task_def task_flip_flop = {
    .name = "flip-flop",
    .title = "write, ignore and read instructions; each read gives the bit that was written last",
    .source =
        "Liu et al. 2023, Exposing Attention Glitches with Flip-Flop Language Modeling, arXiv "
        "2306.00946",
    .scored = "reads",
    .options = options,
    .settings_size = sizeof(struct settings),
    .open = open_flip_flop,
    .sample = sample,
    .token_name = token_name,
};
