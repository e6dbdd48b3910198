// The probe: a row of one repeated token, and every token must say where it stands.
//
// The input has nothing but the positions in it, so whatever accuracy there is above chance comes
// from the encoding (and, in a decoder, from the causal mask). The answer "i-th" (1-based) is
// stored as class i - 1.
#include <stdio.h>
#include "../../autograd/base/err.h"
#include "../dataset.h"

struct settings {
    bool bos, mixed;
    int64_t classes;
};

static const struct option_def options[] = {
    {"bos", OPTION_BOOL, offsetof(struct settings, bos), "0", 0, 0, NULL,
     "a start token first, which is not scored"},
    {"mixed", OPTION_BOOL, offsetof(struct settings, mixed), "0", 0, 0, NULL,
     "draw the number of tokens anew for each batch; the rest of the row is padding"},
    {"classes", OPTION_INT, offsetof(struct settings, classes), "0", 0, 1 << 20, NULL,
     "positions that can be named, for rows longer than those of the training (0: as many as those "
     "have)"},
    {.key = NULL},
};

static int64_t most(const struct dataset *dataset)
{
    const struct settings *s = dataset->settings;
    return dataset->length - s->bos;
}

// The best answer that ignores position is always "first". It is right once a row; a row has n
// answers, and with `mixed` (most + 1) / 2 of them on average.
static int open_probe(struct dataset *dataset)
{
    const struct settings *s = dataset->settings;
    int64_t n = most(dataset);
    if (n < 1)
        return err_set(ERR_ARGUMENT, "--task-opt of task probe: bos=1 leaves no token to score at "
                                     "length 1; the length must be at least 2");
    int64_t classes = s->classes ? s->classes : dataset->train_length;
    if (classes < n)
        return err_set(ERR_ARGUMENT,
                       "task probe: a row of length %lld has %lld positions to name, and there are "
                       "classes for %lld; train with --task-opt classes=%lld",
                       (long long)dataset->length, (long long)n, (long long)classes, (long long)n);
    dataset->vocab = (classes > 2 ? classes : 2) + s->bos;
    dataset->chance = s->mixed && !dataset->evaluation ? 2.0 / (double)(n + 1) : 1.0 / (double)n;
    return 0;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    const struct settings *s = dataset->settings;
    int64_t n = most(dataset), start = s->bos;
    if (s->mixed && !dataset->evaluation) {
        struct rng shared;
        dataset_batch_rng(&shared, rng);
        n = dataset_draw_length(dataset, split, &shared, 1, n);
    }
    if (s->bos) {
        row->tokens[0] = (int32_t)dataset->vocab - 1;
        row->mask[0] = 1;
    }
    for (int64_t i = 0; i < n; i++) {
        row->targets[start + i] = (int32_t)i;
        row->mask[start + i] = 1;
    }
}

static bool token_name(const struct dataset *dataset, int64_t token, char name[DATASET_NAME])
{
    const struct settings *s = dataset->settings;
    if (!s->bos || token != dataset->vocab - 1)
        return false;
    snprintf(name, DATASET_NAME, "[BOS]");
    return true;
}

const struct task_def task_probe = {
    .name = "probe",
    .title = "copies of one token; each names its own position",
    .source = "Su Jianlin, Scientific Spaces, article 9105",
    .scored = "every position",
    .options = options,
    .settings_size = sizeof(struct settings),
    .open = open_probe,
    .sample = sample,
    .token_name = token_name,
};
