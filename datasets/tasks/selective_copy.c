// Selective copy: a string with blanks among its tokens, and then the tokens without the blanks.
//
//     s_1 _ _ s_2 _ s_3 ... s_n  SEP  SLOT ... SLOT      n answers s_1 ... s_n on the slots
//
// The slot i must find the i-th token that is no blank: a position that is counted, not measured.
// Blanks stand anywhere, all arrangements equally likely. The paper trains with 128 tokens and 128
// blanks and tests with 64 blanks (dense) and 256 (sparse).
#include <stdio.h>
#include <math.h>

#include "../row.h"

struct settings {
    int64_t symbols, blanks;
    struct row_lengths lengths;
};

static const struct option_def options[] = {
    {"symbols", OPTION_INT, offsetof(struct settings, symbols), "16", 2, 65536, NULL,
     "different tokens that are copied"},
    {"blanks", OPTION_INT, offsetof(struct settings, blanks), "-1", -1, 1 << 23, NULL,
     "blanks in a row; -1 is as many as tokens that are copied"},
    ROW_LENGTH_OPTIONS(settings, "tokens that are copied"),
    {.key = NULL},
};

// Bits of choice in where `tokens` of `places` are.
static double arrangement_bits(int64_t tokens, int64_t places)
{
    return (lgamma((double)places + 1) - lgamma((double)tokens + 1) -
            lgamma((double)(places - tokens) + 1)) /
           log(2);
}

static int open_selective_copy(struct dataset *dataset)
{
    struct settings *s = dataset->settings;
    bool alike = s->blanks < 0;
    int64_t fits = alike ? (dataset->length - 1) / 3 : (dataset->length - 1 - s->blanks) / 2;
    struct row_rule rule = {
        .least = 1, .fits = fits, .needed = alike ? 4 : 3 + s->blanks, .unit = 1};
    int code = row_lengths_settle(dataset, &s->lengths, rule);
    if (code < 0)
        return code;
    int64_t n = s->lengths.min;
    dataset->vocab = s->symbols + 3;
    dataset->chance = 1 / (double)s->symbols;
    dataset->row_bits = (double)n * log2((double)s->symbols) +
                        arrangement_bits(n, n + (alike ? n : s->blanks));
    return 0;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    const struct settings *s = dataset->settings;
    int64_t blank = s->symbols, separator = blank + 1, slot = blank + 2, at = 0;
    int64_t n = row_draw_length(dataset, split, rng, s->lengths, 1);
    int64_t places = n + (s->blanks < 0 ? n : s->blanks);
    for (int64_t left = n; at < places;) {
        bool token = rng_below(rng, (uint32_t)(places - at)) < left;
        left -= token;
        row_put(row, &at, token ? rng_below(rng, (uint32_t)s->symbols) : blank);
    }
    row_put(row, &at, separator);
    for (int64_t i = 0; i < places; i++)
        if (row->tokens[i] != blank)
            row_ask(row, &at, slot, row->tokens[i]);
}

static bool token_name(const struct dataset *dataset, int64_t token, char name[DATASET_NAME])
{
    const struct settings *s = dataset->settings;
    static const char *const names[] = {"_", "[SEP]", "[BLANK]"};
    int64_t at = token - s->symbols;
    if (at < 0 || at >= 3)
        return false;
    snprintf(name, DATASET_NAME, "%s", names[at]);
    return true;
}

const struct task_def task_selective_copy = {
    .name = "selective-copy",
    .title = "a string with blanks in it, then the string without them",
    .source = "Golovneva et al. 2024, Contextual Position Encoding: Learning to Count What's "
              "Important, arXiv 2405.18719; Gu and Dao 2023, Mamba: Linear-Time Sequence Modeling "
              "with Selective State Spaces, arXiv 2312.00752",
    .scored = "the answer's tokens; exact match of the whole answer",
    .options = options,
    .settings_size = sizeof(struct settings),
    .open = open_selective_copy,
    .sample = sample,
    .token_name = token_name,
};
