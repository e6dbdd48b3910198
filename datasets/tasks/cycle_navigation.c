// Cycle navigation: steps on a ring of five places, from place 0; where do they end? A move 0, 1 or
// 2 is a step back, none, or a step on.
#include <math.h>

#include "../strings.h"

enum { MOVES = 3, PLACES = 5 };

// How likely the likeliest place is after n steps: after 64, all are to 16 digits.
static struct string_guess guess(const void *context, int64_t n)
{
    (void)context;
    double at[PLACES] = {1}, best = 0;
    for (int64_t i = 0; i < n && i < 64; i++) {
        double next[PLACES];
        for (int p = 0; p < PLACES; p++)
            next[p] = (at[(p + 1) % PLACES] + at[p] + at[(p + PLACES - 1) % PLACES]) / MOVES;
        for (int p = 0; p < PLACES; p++)
            at[p] = next[p];
    }
    for (int p = 0; p < PLACES; p++)
        best = fmax(best, at[p]);
    return (struct string_guess){best, 1};
}

static int open(struct dataset *dataset)
{
    static const struct string_rule rule = {
        .symbols = PLACES, .shortest = 1, .step = 1, .answer = string_one};
    int code = string_open(dataset, &rule);
    if (code < 0)
        return code;
    const struct string_settings *s = dataset->settings;
    dataset->chance = string_chance(dataset, guess, NULL);
    dataset->row_bits = (double)s->min_length * log2(MOVES);
    return 0;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    int64_t n = string_lay_out(dataset, split, rng, row), place = 0;
    string_fill(rng, row->tokens, n, MOVES);
    for (int64_t i = 0; i < n; i++)
        place += row->tokens[i] + PLACES - 1;
    row->targets[n + 1] = (int32_t)(place % PLACES);
}

const struct task_def task_cycle_navigation = {
    .name = "cycle-navigation",
    .title = "steps back, none or on (0, 1, 2) on a ring of five; the place at the end",
    .source = "Deletang et al. 2023, Neural Networks and the Chomsky Hierarchy, arXiv 2207.02098; "
              "Ruoss et al. 2023, arXiv 2305.16843",
    .scored = "the one answer",
    .options = string_length_options,
    .settings_size = sizeof(struct string_settings),
    .open = open,
    .sample = sample,
    .token_name = string_token_name,
};
