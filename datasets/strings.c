// Rows of string, separator and blank answer slots.
#include "strings.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../autograd/base/err.h"

const struct option_def string_options[] = {
    {STRING_SYMBOLS("16")}, {STRING_MIN_LENGTH}, {STRING_MAX_LENGTH}, {.key = NULL}};
const struct option_def string_binary_options[] = {
    {STRING_SYMBOLS("2")}, {STRING_MIN_LENGTH}, {STRING_MAX_LENGTH}, {.key = NULL}};
const struct option_def string_length_options[] = {
    {STRING_MIN_LENGTH}, {STRING_MAX_LENGTH}, {.key = NULL}};

int64_t string_one(int64_t n)
{
    (void)n;
    return 1;
}

static int64_t text_tokens(const struct string_rule *rule, int64_t n)
{
    return rule->text ? rule->text(n) : n;
}

static int64_t answer_tokens(const struct string_rule *rule, int64_t n)
{
    return rule->answer ? rule->answer(n) : n;
}

static int64_t row_tokens(const struct string_rule *rule, int64_t n)
{
    return text_tokens(rule, n) + 1 + answer_tokens(rule, n);
}

// --- opening

// 0 stays 0: it was not asked for.
static int64_t lower(const struct string_rule *rule, int64_t n)
{
    return n == 0 ? 0 : n - (n - rule->shortest) % rule->step;
}

static int check_shortest(const struct dataset *dataset, const char *option, int64_t n)
{
    const struct string_settings *s = dataset->settings;
    if (n == 0 || n >= s->rule->shortest)
        return 0;
    return err_set(ERR_ARGUMENT,
                   "--task-opt of task %s: %s %lld is too short; its strings have at least %lld "
                   "symbols",
                   dataset->task->name, option, (long long)n, (long long)s->rule->shortest);
}

static int settle_lengths(struct dataset *dataset, int64_t fits)
{
    struct string_settings *s = dataset->settings;
    const char *name = dataset->task->name;
    if (dataset->evaluation)
        s->min_length = s->max_length = fits;
    if (check_shortest(dataset, "min_length", s->min_length) < 0 ||
        check_shortest(dataset, "max_length", s->max_length) < 0)
        return ERR_ARGUMENT;
    s->min_length = lower(s->rule, s->min_length);
    s->max_length = lower(s->rule, s->max_length);
    if (s->max_length > fits)
        return err_set(
            ERR_ARGUMENT,
            "--task-opt of task %s: max_length %lld does not fit length %lld; it must be "
            "at most %lld, or length at least %lld",
            name, (long long)s->max_length, (long long)dataset->length, (long long)fits,
            (long long)row_tokens(s->rule, s->max_length));
    if (s->max_length == 0)
        s->max_length = fits;
    if (s->min_length > s->max_length)
        return err_set(
            ERR_ARGUMENT,
            "--task-opt of task %s: min_length %lld is more than the longest string has, "
            "%lld; lower it or raise the length",
            name, (long long)s->min_length, (long long)s->max_length);
    if (s->min_length == 0)
        s->min_length = s->max_length;
    return 0;
}

int string_open(struct dataset *dataset, const struct string_rule *rule)
{
    struct string_settings *s = dataset->settings;
    s->rule = rule;
    if (rule->symbols)
        s->symbols = rule->symbols;
    int64_t fits = rule->shortest;
    if (row_tokens(rule, fits) > dataset->length)
        return err_set(ERR_ARGUMENT, "task %s: length %lld is too short; it must be at least %lld",
                       dataset->task->name, (long long)dataset->length,
                       (long long)row_tokens(rule, fits));
    while (row_tokens(rule, fits + rule->step) <= dataset->length)
        fits += rule->step;
    dataset->vocab = s->symbols + 2;
    return settle_lengths(dataset, fits);
}

double string_chance(const struct dataset *dataset,
                     struct string_guess (*guess)(const void *context, int64_t n),
                     const void *context)
{
    enum { MOST = 32 };
    const struct string_settings *s = dataset->settings;
    int64_t lengths = (s->max_length - s->min_length) / s->rule->step + 1;
    int64_t used = lengths < MOST ? lengths : MOST;
    struct string_guess all = {0};
    for (int64_t i = 0; i < used; i++) {
        int64_t nth = string_spaced(i, used, lengths);
        struct string_guess one = guess(context, s->min_length + nth * s->rule->step);
        all.right += one.right;
        all.scored += one.scored;
    }
    return all.right / all.scored;
}

// --- rows

int64_t string_lay_out(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                       struct dataset_row *row)
{
    const struct string_settings *s = dataset->settings;
    int32_t separator = (int32_t)s->symbols, blank = separator + 1;
    int64_t step = s->rule->step, lengths = (s->max_length - s->min_length) / step;
    int64_t n = s->min_length + step * dataset_draw_length(dataset, split, rng, 0, lengths);
    int64_t text = text_tokens(s->rule, n), end = row_tokens(s->rule, n);
    row->tokens[text] = separator;
    for (int64_t i = text + 1; i < end; i++)
        row->tokens[i] = blank;
    for (int64_t i = 0; i < end; i++)
        row->mask[i] = 1;
    return n;
}

void string_fill(struct rng *rng, int32_t *tokens, int64_t count, int64_t symbols)
{
    for (int64_t i = 0; i < count; i++)
        tokens[i] = (int32_t)rng_below(rng, (uint32_t)symbols);
}

int64_t string_draw(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                    struct dataset_row *row)
{
    const struct string_settings *s = dataset->settings;
    int64_t n = string_lay_out(dataset, split, rng, row);
    string_fill(rng, row->tokens, n, s->symbols);
    return n;
}

// --- tasks that have a binary namesake

static int open_uniform(struct dataset *dataset, const struct string_rule *rule)
{
    int code = string_open(dataset, rule);
    if (code < 0)
        return code;
    const struct string_settings *s = dataset->settings;
    dataset->chance = 1.0 / (double)s->symbols;
    dataset->row_bits = (double)s->min_length * log2((double)s->symbols);
    return 0;
}

int string_open_uniform(struct dataset *dataset)
{
    static const struct string_rule rule = {.shortest = 1, .step = 1};
    return open_uniform(dataset, &rule);
}

static int64_t twice(int64_t n)
{
    return 2 * n;
}

int string_open_duplicate(struct dataset *dataset)
{
    static const struct string_rule rule = {.shortest = 1, .step = 1, .answer = twice};
    return open_uniform(dataset, &rule);
}

void string_sample_reverse(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                           struct dataset_row *row)
{
    int64_t n = string_draw(dataset, split, rng, row);
    for (int64_t i = 0; i < n; i++)
        row->targets[n + 1 + i] = row->tokens[n - 1 - i];
}

void string_sample_duplicate(const struct dataset *dataset, enum dataset_split split,
                             struct rng *rng, struct dataset_row *row)
{
    int64_t n = string_draw(dataset, split, rng, row);
    for (int64_t i = 0; i < n; i++)
        row->targets[n + 1 + i] = row->targets[2 * n + 1 + i] = row->tokens[i];
}

bool string_token_name(const struct dataset *dataset, int64_t token, char name[DATASET_NAME])
{
    const struct string_settings *s = dataset->settings;
    const char *signs = s->rule->signs ? s->rule->signs : "";
    int64_t sign = token - (s->symbols - (int64_t)strlen(signs));
    if (token >= s->symbols)
        snprintf(name, DATASET_NAME, "%s", token == s->symbols ? "[SEP]" : "[BLANK]");
    else if (sign >= 0)
        snprintf(name, DATASET_NAME, "%c", signs[sign]);
    return token >= s->symbols || sign >= 0;
}
