// Previous k: every token must give the token that stands k places before it. One fixed distance,
// which an encoding of relative positions can name and a slope that falls with distance cannot.
//
// The first k tokens have no answer and are not scored. The answer is to the left, so that encoders
// and decoders get the same task.
#include <math.h>

#include "../row.h"

struct settings {
    int64_t symbols, k;
    struct row_lengths lengths;
};

static const struct option_def options[] = {
    {"symbols", OPTION_INT, offsetof(struct settings, symbols), "16", 2, 65536, NULL,
     "different tokens"},
    {"k", OPTION_INT, offsetof(struct settings, k), "1", 1, 1 << 20, NULL, "how far back to look"},
    ROW_LENGTH_OPTIONS(settings, "tokens"),
    {.key = NULL},
};

static int open_previous_k(struct dataset *dataset)
{
    struct settings *s = dataset->settings;
    int64_t least = s->k + 1;
    struct row_rule rule = {.least = least, .fits = dataset->length, .needed = least, .unit = 1};
    int code = row_lengths_settle(dataset, &s->lengths, rule);
    if (code < 0)
        return code;
    dataset->vocab = s->symbols;
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
    for (int64_t i = s->k; i < n; i++)
        row->targets[i] = row->tokens[i - s->k];
}

const struct task_def task_previous_k = {
    .name = "previous-k",
    .title = "random tokens; each names the token k places before it",
    .source = "after the previous-token heads of Olsson et al. 2022, In-context Learning and "
              "Induction Heads, arXiv 2209.11895",
    .scored = "every token but the first k",
    .options = options,
    .settings_size = sizeof(struct settings),
    .open = open_previous_k,
    .sample = sample,
};
