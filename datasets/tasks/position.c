// Position: random tokens, and every token must say where it stands.
//
// As the probe, with content in the way: an encoding must carry the place past whatever the token
// is. The index i is stored as class i. All positions are scored, the first too; the paper's
// released code leaves it out, as its class is the number of the padding token there.
#include <math.h>

#include "../../autograd/base/err.h"
#include "../row.h"

struct settings {
    int64_t symbols, classes;
    struct row_lengths lengths;
};

static const struct option_def options[] = {
    {"symbols", OPTION_INT, offsetof(struct settings, symbols), "64", 2, 65536, NULL,
     "different tokens"},
    {"classes", OPTION_INT, offsetof(struct settings, classes), "0", 0, 1 << 20, NULL,
     "positions that can be named, for rows longer than those of the training (0: as many as those "
     "have)"},
    ROW_LENGTH_OPTIONS(settings, "tokens"),
    {.key = NULL},
};

// The best answer that ignores position is always the same index, which is right once a row.
static int open_position(struct dataset *dataset)
{
    struct settings *s = dataset->settings;
    struct row_rule rule = {.least = 1, .fits = dataset->length, .needed = 1, .unit = 1};
    int code = row_lengths_settle(dataset, &s->lengths, rule);
    if (code < 0)
        return code;
    int64_t classes = s->classes ? s->classes : dataset->train_length;
    if (classes < s->lengths.max)
        return err_set(ERR_ARGUMENT,
                       "task position: a row of %lld tokens has as many positions to name, and "
                       "there are classes for %lld; train with --task-opt classes=%lld",
                       (long long)s->lengths.max, (long long)classes, (long long)s->lengths.max);
    dataset->vocab = classes > s->symbols ? classes : s->symbols;
    dataset->chance = row_chance(s->lengths, 1, 1, 0);
    dataset->row_bits = (double)s->lengths.min * log2((double)s->symbols);
    return 0;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    const struct settings *s = dataset->settings;
    int64_t n = row_draw_length(dataset, split, rng, s->lengths, 1);
    for (int64_t at = 0; at < n;)
        row_ask(row, &at, rng_below(rng, (uint32_t)s->symbols), at);
}

const struct task_def task_position = {
    .name = "position",
    .title = "random tokens; each names its own position",
    .source = "Luo et al. 2022, Your Transformer May Not be as Powerful as You Expect, arXiv "
              "2205.13401",
    .scored = "every position",
    .options = options,
    .settings_size = sizeof(struct settings),
    .open = open_position,
    .sample = sample,
};
