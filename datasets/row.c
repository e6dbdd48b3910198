// Lengths of rows, and rows written token by token.
#include "row.h"

#include <math.h>

#include "../autograd/base/err.h"

// --- lengths

static int check_given(const struct dataset *dataset, int64_t given, const char *key,
                       struct row_rule rule)
{
    const char *name = dataset->task->name;
    if (given > rule.fits)
        return err_set(ERR_ARGUMENT,
                       "--task-opt of task %s: %s %lld does not fit length %lld; it must be at "
                       "most %lld, or the length larger",
                       name, key, (long long)given, (long long)dataset->length,
                       (long long)rule.fits);
    if (given % rule.unit)
        return err_set(ERR_ARGUMENT, "--task-opt of task %s: %s %lld must be a multiple of %lld",
                       name, key, (long long)given, (long long)rule.unit);
    if (given && given < rule.least)
        return err_set(ERR_ARGUMENT, "--task-opt of task %s: %s %lld must be at least %lld", name,
                       key, (long long)given, (long long)rule.least);
    return 0;
}

int row_lengths_settle(const struct dataset *dataset, struct row_lengths *lengths,
                       struct row_rule rule)
{
    const char *name = dataset->task->name;
    rule.fits -= rule.fits % rule.unit;
    if (rule.fits < rule.least)
        return err_set(ERR_ARGUMENT, "task %s: length %lld is too short; it must be at least %lld",
                       name, (long long)dataset->length, (long long)rule.needed);
    if (dataset->evaluation)
        lengths->min = lengths->max = rule.fits;
    int code = check_given(dataset, lengths->max, "max_length", rule);
    if (code == 0)
        code = check_given(dataset, lengths->min, "min_length", rule);
    if (code < 0)
        return code;
    if (lengths->max == 0)
        lengths->max = rule.fits;
    if (lengths->min > lengths->max)
        return err_set(ERR_ARGUMENT,
                       "--task-opt of task %s: min_length %lld is more than max_length %lld; lower "
                       "it or raise that",
                       name, (long long)lengths->min, (long long)lengths->max);
    if (lengths->min == 0)
        lengths->min = lengths->max;
    return 0;
}

int64_t row_draw_length(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                        struct row_lengths lengths, int64_t unit)
{
    return unit * dataset_draw_length(dataset, split, rng, lengths.min / unit, lengths.max / unit);
}

double row_chance(struct row_lengths lengths, double right, double scored, double more)
{
    return right / (scored * (double)(lengths.min + lengths.max) / 2 + more);
}

double row_surprise(double probability)
{
    return probability > 0 ? -probability * log2(probability) : 0;
}

// --- tokens

void row_put(struct dataset_row *row, int64_t *at, int64_t token)
{
    row->tokens[*at] = (int32_t)token;
    row->mask[*at] = 1;
    (*at)++;
}

void row_ask(struct dataset_row *row, int64_t *at, int64_t token, int64_t answer)
{
    row->targets[*at] = (int32_t)answer;
    row_put(row, at, token);
}

void row_put_random(struct dataset_row *row, int64_t *at, struct rng *rng, int64_t count,
                    int64_t symbols)
{
    for (int64_t i = 0; i < count; i++)
        row_put(row, at, rng_below(rng, (uint32_t)symbols));
}

// --- different numbers

static bool drawn(const int32_t *out, int64_t stride, int64_t count, int32_t number)
{
    for (int64_t i = 0; i < count; i++)
        if (out[i * stride] == number)
            return true;
    return false;
}

// Few of many: draw again what was there before.
static void draw_few(struct rng *rng, int32_t *out, int64_t stride, int64_t count, int64_t below)
{
    for (int64_t i = 0; i < count; i++) {
        int32_t number;
        do
            number = (int32_t)rng_below(rng, (uint32_t)below);
        while (drawn(out, stride, i, number));
        out[i * stride] = number;
    }
}

// Many of a few: walk over all and take each with the chance that is left (Knuth, The Art of
// Computer Programming, volume 2, section 3.4.2, algorithm S), then mix (algorithm P there).
static void draw_many(struct rng *rng, int32_t *out, int64_t stride, int64_t count, int64_t below)
{
    for (int64_t number = 0, taken = 0; taken < count; number++)
        if (rng_below(rng, (uint32_t)(below - number)) < count - taken)
            out[taken++ * stride] = (int32_t)number;
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t k = rng_below(rng, (uint32_t)(i + 1));
        int32_t other = out[k * stride];
        out[k * stride] = out[i * stride];
        out[i * stride] = other;
    }
}

void row_distinct(struct rng *rng, int32_t *out, int64_t stride, int64_t count, int64_t below)
{
    if (2 * count <= below)
        draw_few(rng, out, stride, count, below);
    else
        draw_many(rng, out, stride, count, below);
}
