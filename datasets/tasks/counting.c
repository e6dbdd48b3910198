// Counting, in four variants; the answers sit on the tokens that are counted.
//
//     shifted     7 a a a       -> . 8 9 10     counts on from a random number
//     modular     a a a a       -> 1 2 3 1      starts again behind `modulus` (here 3)
//     different   c a c f 5     -> 1 2 3 4 9    counts random items, then adds a random number
//     selective   c a c c       -> 0 0 1 2      how many items of this kind came before
//
// The paper trains on up to 50 tokens and tests on 100. Its answers are numbers of up to 100 from
// the start, by the shift or the addition, so that longer rows ask for no class that was never an
// answer; so are ours, up to `classes` - 1. Answers tell nothing of each other and none is a token
// of the row, so that encoders get the same task; the paper's models are decoders. bos=1 puts a
// start token first.
#include <stdio.h>
#include <math.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../row.h"

enum variant { SHIFTED, MODULAR, DIFFERENT, SELECTIVE };
enum { MAX_SYMBOLS = 1024 };

struct settings {
    int variant;
    bool bos;
    int64_t modulus, symbols, classes;
    struct row_lengths lengths;
};

static const struct option_def options[] = {
    {"variant", OPTION_CHOICE, offsetof(struct settings, variant), "shifted", 0, 0,
     "shifted|modular|different|selective", "what is counted"},
    {"bos", OPTION_BOOL, offsetof(struct settings, bos), "0", 0, 0, NULL,
     "a start token first, which is not scored"},
    {"modulus", OPTION_INT, offsetof(struct settings, modulus), "10", 2, 1 << 20, NULL,
     "modular: the last number before 1 comes again"},
    {"symbols", OPTION_INT, offsetof(struct settings, symbols), "10", 1, MAX_SYMBOLS, NULL,
     "different, selective: kinds of items"},
    {"classes", OPTION_INT, offsetof(struct settings, classes), "0", 0, 1 << 20, NULL,
     "numbers that can be named, 0 among them (0: twice the length of the training); not modular"},
    ROW_LENGTH_OPTIONS(settings, "counted tokens"),
    {.key = NULL},
};

// --- opening

// Numbers are the tokens and classes 0, 1, ..., then come the items, then the start token.
static int64_t numbers(const struct dataset *dataset)
{
    const struct settings *s = dataset->settings;
    if (s->variant == MODULAR)
        return s->modulus + 1;
    return s->classes ? s->classes : 2 * dataset->train_length;
}

static int64_t items(const struct settings *s)
{
    return s->variant == DIFFERENT || s->variant == SELECTIVE ? s->symbols : 1;
}

static bool has_number(const struct settings *s)
{
    return s->variant == SHIFTED || s->variant == DIFFERENT;
}

// The longest row must leave a number to shift by or to add.
static int check_classes(const struct dataset *dataset)
{
    const struct settings *s = dataset->settings;
    int64_t n = s->lengths.max;
    int64_t needed = s->variant == SHIFTED ? n + 1 : s->variant == DIFFERENT ? n + 2 : n;
    if (s->variant == MODULAR || numbers(dataset) >= needed)
        return 0;
    return err_set(ERR_ARGUMENT,
                   "task counting: a row of %lld counted tokens asks for numbers below %lld, and "
                   "there are classes for %lld; train with --task-opt classes=%lld",
                   (long long)n, (long long)needed, (long long)numbers(dataset), (long long)needed);
}

// How often the best constant answer is right in a row of n counted tokens. Shifted: of the starts,
// which are equally likely, those whose counts pass the middle number. Selective: kinds that come
// at all, as each has one first item. Else the first number, once a round or once a row.
static double right_answers(const struct dataset *dataset, int64_t n)
{
    const struct settings *s = dataset->settings;
    int64_t starts = numbers(dataset) - n, middle = numbers(dataset) / 2;
    if (s->variant == SHIFTED) {
        int64_t first = middle - n > 0 ? middle - n : 0;
        int64_t last = middle - 1 < starts - 1 ? middle - 1 : starts - 1;
        return (double)(last - first + 1) / (double)starts;
    }
    if (s->variant == MODULAR)
        return (double)((n + s->modulus - 1) / s->modulus);
    if (s->variant == SELECTIVE)
        return (double)s->symbols * (1 - pow(1 - 1 / (double)s->symbols, (double)n));
    return 1;
}

static double best_constant(const struct dataset *dataset)
{
    const struct settings *s = dataset->settings;
    double right = 0;
    for (int64_t n = s->lengths.min; n <= s->lengths.max; n++)
        right += right_answers(dataset, n);
    right /= (double)(s->lengths.max - s->lengths.min + 1);
    return row_chance(s->lengths, right, 1, s->variant == DIFFERENT);
}

static int open_counting(struct dataset *dataset)
{
    struct settings *s = dataset->settings;
    int64_t more = s->bos + has_number(s);
    struct row_rule rule = {
        .least = 1, .fits = dataset->length - more, .needed = 1 + more, .unit = 1};
    int code = row_lengths_settle(dataset, &s->lengths, rule);
    if (code == 0)
        code = check_classes(dataset);
    if (code < 0)
        return code;
    int64_t all = numbers(dataset), n = s->lengths.min;
    dataset->vocab = all + items(s) + s->bos;
    dataset->chance = best_constant(dataset);
    dataset->row_bits = (double)n * log2((double)items(s));
    if (has_number(s))
        dataset->row_bits += log2((double)(all - n - (s->variant == DIFFERENT)));
    return 0;
}

// --- rows

static void count_all(const struct dataset *dataset, struct dataset_row *row, int64_t *at,
                      struct rng *rng, int64_t n)
{
    const struct settings *s = dataset->settings;
    int64_t first = numbers(dataset), start = 0;
    if (s->variant == SHIFTED) {
        start = rng_below(rng, (uint32_t)(first - n));
        row_put(row, at, start);
    }
    for (int64_t i = 1; i <= n; i++) {
        int64_t item = first + rng_below(rng, (uint32_t)items(s));
        row_ask(row, at, item, s->variant == MODULAR ? (i - 1) % s->modulus + 1 : start + i);
    }
    if (s->variant == DIFFERENT) {
        int64_t more = 1 + rng_below(rng, (uint32_t)(first - n - 1));
        row_ask(row, at, more, n + more);
    }
}

static void count_alike(const struct dataset *dataset, struct dataset_row *row, int64_t *at,
                        struct rng *rng, int64_t n)
{
    const struct settings *s = dataset->settings;
    int64_t first = numbers(dataset), counts[MAX_SYMBOLS];
    memset(counts, 0, (size_t)s->symbols * sizeof counts[0]);
    for (int64_t i = 0; i < n; i++) {
        int64_t kind = rng_below(rng, (uint32_t)s->symbols);
        row_ask(row, at, first + kind, counts[kind]++);
    }
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    const struct settings *s = dataset->settings;
    int64_t n = row_draw_length(dataset, split, rng, s->lengths, 1), at = 0;
    if (s->bos)
        row_put(row, &at, dataset->vocab - 1);
    if (s->variant == SELECTIVE)
        count_alike(dataset, row, &at, rng, n);
    else
        count_all(dataset, row, &at, rng, n);
}

static bool token_name(const struct dataset *dataset, int64_t token, char name[DATASET_NAME])
{
    const struct settings *s = dataset->settings;
    int64_t item = token - numbers(dataset);
    if (item < 0)
        return false;
    if (s->bos && token == dataset->vocab - 1)
        snprintf(name, DATASET_NAME, "[BOS]");
    else
        snprintf(name, DATASET_NAME, "item%lld", (long long)item);
    return true;
}

const struct task_def task_counting = {
    .name = "counting",
    .title = "tokens; each names how many there have been",
    .source = "Chang and Bisk 2024, Language Models Need Inductive Biases to Count Inductively, "
              "arXiv 2405.20131",
    .scored = "every counted token; different: the sum behind them too",
    .options = options,
    .settings_size = sizeof(struct settings),
    .open = open_counting,
    .sample = sample,
    .token_name = token_name,
};
