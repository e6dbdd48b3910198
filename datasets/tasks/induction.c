// Induction: a random string, and then single symbols of it, each of which must give the symbol
// that came after it ([A][B] ... [A] -> [B]).
//
//     s_1 ... s_n   SEP q_1   SEP q_2  ...  SEP q_m        answers on the q
//
// It takes one step by position (to the place behind) and one by content. Each q comes once in the
// string, and not at its end, so that the answer is unique; the other places are random symbols
// that are no q. What stands behind a q in the queries is a SEP and never its answer: encoders and
// decoders get the same task. The paper repeats a random string and scores its second copy, where
// an encoder would look up the next token.
#include <stdio.h>
#include <math.h>

#include "../../autograd/base/err.h"
#include "../row.h"

struct settings {
    int64_t symbols, queries;
    struct row_lengths lengths;
};

static const struct option_def options[] = {
    {"symbols", OPTION_INT, offsetof(struct settings, symbols), "32", 2, 65536, NULL,
     "different symbols in a string"},
    {"queries", OPTION_INT, offsetof(struct settings, queries), "8", 1, 32768, NULL,
     "symbols that are asked for"},
    ROW_LENGTH_OPTIONS(settings, "symbols of the string"),
    {.key = NULL},
};

// All symbols are alike, so that any constant answer is right once in `symbols`.
static int open_induction(struct dataset *dataset)
{
    struct settings *s = dataset->settings;
    int64_t q = s->queries;
    if (s->symbols < 2 * q)
        return err_set(ERR_ARGUMENT,
                       "--task-opt of task induction: queries %lld takes an alphabet of at least "
                       "twice as many; raise symbols %lld or lower it",
                       (long long)q, (long long)s->symbols);
    struct row_rule rule = {
        .least = q + 1, .fits = dataset->length - 2 * q, .needed = 3 * q + 1, .unit = 1};
    int code = row_lengths_settle(dataset, &s->lengths, rule);
    if (code < 0)
        return code;
    dataset->vocab = s->symbols + 1;
    dataset->chance = 1 / (double)s->symbols;
    dataset->row_bits = (double)s->lengths.min * log2((double)(s->symbols - q));
    return 0;
}

static bool is_asked(const int32_t *asked, int64_t count, int32_t symbol)
{
    for (int64_t q = 0; q < count; q++)
        if (asked[2 * q] == symbol)
            return true;
    return false;
}

static int32_t draw_other(const struct settings *s, struct rng *rng, const int32_t *asked)
{
    int32_t symbol;
    do
        symbol = (int32_t)rng_below(rng, (uint32_t)s->symbols);
    while (is_asked(asked, s->queries, symbol));
    return symbol;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    const struct settings *s = dataset->settings;
    int64_t n = row_draw_length(dataset, split, rng, s->lengths, 1), at = 0;
    int32_t *asked = row->tokens + n + 1;   // q_1, q_2, ...: every second token
    int32_t *places = row->targets + n + 1; // where they come, until the answers do
    row_distinct(rng, asked, 2, s->queries, s->symbols);
    row_distinct(rng, places, 2, s->queries, n - 1);
    while (at < n)
        row_put(row, &at, draw_other(s, rng, asked));
    for (int64_t q = 0; q < s->queries; q++)
        row->tokens[places[2 * q]] = asked[2 * q];
    for (int64_t q = 0; q < s->queries; q++) {
        row_put(row, &at, s->symbols);
        row_ask(row, &at, asked[2 * q], row->tokens[places[2 * q] + 1]);
    }
}

static bool token_name(const struct dataset *dataset, int64_t token, char name[DATASET_NAME])
{
    const struct settings *s = dataset->settings;
    static const char *const names[] = {"[SEP]"};
    int64_t at = token - s->symbols;
    if (at < 0 || at >= 1)
        return false;
    snprintf(name, DATASET_NAME, "%s", names[at]);
    return true;
}

const struct task_def task_induction = {
    .name = "induction",
    .title = "a random string, then symbols of it; each names what came after it",
    .source = "Olsson et al. 2022, In-context Learning and Induction Heads, arXiv 2209.11895",
    .scored = "queries",
    .options = options,
    .settings_size = sizeof(struct settings),
    .open = open_induction,
    .sample = sample,
    .token_name = token_name,
};
