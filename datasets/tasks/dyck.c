// Dyck: nested brackets of several types, at most `depth` open at once, each closed in its turn.
//
//     [  (  {  CLOSE  CLOSE  <  CLOSE  CLOSE      answers at the CLOSE: {  (  <  [
//
// Closing brackets are written as one token, CLOSE, and each must say which type it closes: the
// type of the last bracket that is still open. That answer is unique, which the next bracket of the
// language is not, and no token to its right gives it away, so encoders and decoders get the same
// task. Where a bracket may open as well as close, it opens with probability 1/2; all are closed at
// the end.
#include <stdio.h>
#include <math.h>

#include "../row.h"

enum { MAX_DEPTH = 1024 };

struct settings {
    int64_t types, depth;
    struct row_lengths lengths;
};

static const struct option_def options[] = {
    {"types", OPTION_INT, offsetof(struct settings, types), "8", 2, 65536, NULL,
     "types of brackets"},
    {"depth", OPTION_INT, offsetof(struct settings, depth), "4", 1, MAX_DEPTH, NULL,
     "brackets that may be open at once"},
    ROW_LENGTH_OPTIONS(settings, "brackets, opening and closing,"),
    {.key = NULL},
};

static int open_dyck(struct dataset *dataset)
{
    struct settings *s = dataset->settings;
    struct row_rule rule = {.least = 2, .fits = dataset->length, .needed = 2, .unit = 2};
    int code = row_lengths_settle(dataset, &s->lengths, rule);
    if (code < 0)
        return code;
    dataset->vocab = s->types + 1;
    dataset->chance = 1 / (double)s->types;
    dataset->row_bits = (double)(s->lengths.min / 2) * log2((double)s->types); // and the shape
    return 0;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    const struct settings *s = dataset->settings;
    int32_t stack[MAX_DEPTH];
    int64_t n = row_draw_length(dataset, split, rng, s->lengths, 2), open = 0;
    for (int64_t at = 0; at < n;) {
        bool may_open = open < s->depth && open < n - at;
        if (open == 0 || (may_open && rng_below(rng, 2))) {
            stack[open] = (int32_t)rng_below(rng, (uint32_t)s->types);
            row_put(row, &at, stack[open++]);
        } else {
            row_ask(row, &at, s->types, stack[--open]);
        }
    }
}

static bool token_name(const struct dataset *dataset, int64_t token, char name[DATASET_NAME])
{
    const struct settings *s = dataset->settings;
    static const char *const names[] = {"close"};
    int64_t at = token - s->types;
    if (at < 0 || at >= 1)
        return false;
    snprintf(name, DATASET_NAME, "%s", names[at]);
    return true;
}

const struct task_def task_dyck = {
    .name = "dyck",
    .title = "nested brackets; each closing one names its type",
    .source = "after Hewitt et al. 2020, RNNs can generate bounded hierarchical languages with "
              "optimal memory, arXiv 2010.07515",
    .scored = "closing brackets",
    .options = options,
    .settings_size = sizeof(struct settings),
    .open = open_dyck,
    .sample = sample,
    .token_name = token_name,
};
