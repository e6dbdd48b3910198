// Even tokens: every second token of a row, put together, and then one constant symbol.
//
//     row      x_0  x_1  x_2  x_3  ...                      n random tokens, n even
//     answers  x_1  x_3  ...  x_(n-1)  END ... END          n / 2 of each
//
// Position i asks for token 2i + 1, another distance at each place, so relative biases alone do not
// reach it. The constant is right at half of the positions: 0.5 is the floor of score=all, the
// paper's measure, and where the constant half is right the first half is right at 2 a - 1.
// score=first leaves the constant half out.
//
// The answers stand further right in the row, so that a decoder cannot see them: for encoders only.
#include <stdio.h>
#include <math.h>

#include "../row.h"

enum score { ALL, FIRST };

struct settings {
    int64_t symbols;
    int score;
    struct row_lengths lengths;
};

static const struct option_def options[] = {
    {"symbols", OPTION_INT, offsetof(struct settings, symbols), "64", 2, 65536, NULL,
     "different tokens"},
    {"score", OPTION_CHOICE, offsetof(struct settings, score), "all", 0, 0, "all|first",
     "which answers are asked for: all of them, or the first half, without the constant ones"},
    ROW_LENGTH_OPTIONS(settings, "tokens"),
    {.key = NULL},
};

static int open_even_tokens(struct dataset *dataset)
{
    struct settings *s = dataset->settings;
    struct row_rule rule = {.least = 2, .fits = dataset->length, .needed = 2, .unit = 2};
    int code = row_lengths_settle(dataset, &s->lengths, rule);
    if (code < 0)
        return code;
    dataset->vocab = s->symbols + 1;
    dataset->chance = s->score == ALL ? 0.5 : 1 / (double)s->symbols;
    dataset->row_bits = (double)s->lengths.min * log2((double)s->symbols);
    dataset->needs_bidirectional = true;
    return 0;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    const struct settings *s = dataset->settings;
    int64_t n = row_draw_length(dataset, split, rng, s->lengths, 2), at = 0;
    row_put_random(row, &at, rng, n, s->symbols);
    for (int64_t i = 0; i < n / 2; i++)
        row->targets[i] = row->tokens[2 * i + 1];
    for (int64_t i = n / 2; i < n && s->score == ALL; i++)
        row->targets[i] = (int32_t)s->symbols;
}

static bool token_name(const struct dataset *dataset, int64_t token, char name[DATASET_NAME])
{
    const struct settings *s = dataset->settings;
    static const char *const names[] = {"[END]"};
    int64_t at = token - s->symbols;
    if (at < 0 || at >= 1)
        return false;
    snprintf(name, DATASET_NAME, "%s", names[at]);
    return true;
}

const struct task_def task_even_tokens = {
    .name = "even-tokens",
    .title = "every second token of a random row, then one constant symbol",
    .source = "Luo et al. 2022, Your Transformer May Not be as Powerful as You Expect, arXiv "
              "2205.13401",
    .scored = "every position, the constant half too; score=first: the first half",
    .options = options,
    .settings_size = sizeof(struct settings),
    .open = open_even_tokens,
    .sample = sample,
    .token_name = token_name,
};
