// Recall: key-value pairs, and then keys alone, each of which must give its value (multi-query
// associative recall).
//
//     k_1 v_1 ... k_n v_n   q_1 ... q_m        answers on the q, each the value of its key
//
// Keys are different within a row and are no values, so that the answer is unique; values may
// repeat. Queries are different pairs in random order, all of them by default. The token behind a
// query is another query and never its answer: encoders and decoders get the same task. The paper
// puts filler between its queries, closer keys first; here they follow each other.
#include <math.h>

#include "../../autograd/base/err.h"
#include "../row.h"

struct settings {
    int64_t keys, values, queries;
    struct row_lengths lengths;
};

static const struct option_def options[] = {
    {"keys", OPTION_INT, offsetof(struct settings, keys), "128", 1, 65536, NULL, "different keys"},
    {"values", OPTION_INT, offsetof(struct settings, values), "32", 2, 65536, NULL,
     "different values"},
    {"queries", OPTION_INT, offsetof(struct settings, queries), "0", 0, 65536, NULL,
     "pairs that are asked for; 0 is all of them"},
    ROW_LENGTH_OPTIONS(settings, "pairs"),
    {.key = NULL},
};

static double bits(const struct settings *s)
{
    double n = (double)s->lengths.min, keys = (double)s->keys;
    return (lgamma(keys + 1) - lgamma(keys - n + 1)) / log(2) + n * log2((double)s->values);
}

static int open_recall(struct dataset *dataset)
{
    struct settings *s = dataset->settings;
    int64_t q = s->queries, least = q > 1 ? q : 1;
    struct row_rule rule = {.least = least,
                            .fits = q ? (dataset->length - q) / 2 : dataset->length / 3,
                            .needed = 3 * least,
                            .unit = 1};
    int code = row_lengths_settle(dataset, &s->lengths, rule);
    if (code < 0)
        return code;
    if (s->lengths.max > s->keys)
        return err_set(ERR_ARGUMENT,
                       "task recall: a row of %lld pairs has as many different keys, and there are "
                       "%lld; train with --task-opt keys=%lld",
                       (long long)s->lengths.max, (long long)s->keys, (long long)s->lengths.max);
    dataset->vocab = s->keys + s->values;
    dataset->chance = 1 / (double)s->values;
    dataset->row_bits = bits(s);
    return 0;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    const struct settings *s = dataset->settings;
    int64_t n = row_draw_length(dataset, split, rng, s->lengths, 1), at = 2 * n;
    row_distinct(rng, row->tokens, 2, n, s->keys);
    for (int64_t i = 0; i < n; i++) {
        row->tokens[2 * i + 1] = (int32_t)(s->keys + rng_below(rng, (uint32_t)s->values));
        row->mask[2 * i] = row->mask[2 * i + 1] = 1;
    }
    int64_t end = at + (s->queries ? s->queries : n);
    row_distinct(rng, row->tokens + at, 1, end - at, n); // which pairs
    while (at < end) {
        const int32_t *pair = row->tokens + 2 * row->tokens[at];
        row_ask(row, &at, pair[0], pair[1]);
    }
}

const struct task_def task_recall = {
    .name = "recall",
    .title = "key-value pairs, then keys; each names its value",
    .source = "Arora et al. 2023, Zoology: Measuring and Improving Recall in Efficient Language "
              "Models, arXiv 2312.04927",
    .scored = "queries",
    .options = options,
    .settings_size = sizeof(struct settings),
    .open = open_recall,
    .sample = sample,
};
