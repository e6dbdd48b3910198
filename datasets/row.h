// What tasks with rows of their own layout share: the lengths that a row may have, and writing one
// token after another.
#ifndef POSGRAD_ROW_H
#define POSGRAD_ROW_H

#include "dataset.h"

// How long rows are, in what the task counts (tokens, pairs, instructions).
struct row_lengths {
    int64_t min, max;
};

// The options of a settings struct that has `struct row_lengths lengths`; `what` is what is
// counted.
#define ROW_LENGTH_OPTIONS(settings, what)                                                         \
    {"min_length", OPTION_INT, offsetof(struct settings, lengths.min),      "0", 0,                \
     1 << 23,      NULL,       what " in the shortest row; 0 is max_length"},                      \
    {                                                                                              \
        "max_length", OPTION_INT, offsetof(struct settings, lengths.max), "0", 0, 1 << 23, NULL,   \
            what " in the longest row; 0 is what fits"                                             \
    }

struct row_rule {
    int64_t least;  // fewest that make sense
    int64_t fits;   // most that fit dataset->length; less than `least` where none does
    int64_t needed; // length of a row of the fewest
    int64_t unit;   // lengths are multiples of it; `least` is one
};

// For task_def.open: settles the lengths, which are all of the most that fits in an evaluation.
int row_lengths_settle(const struct dataset *dataset, struct row_lengths *lengths,
                       struct row_rule rule);

// For task_def.sample: a length of this row.
int64_t row_draw_length(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                        struct row_lengths lengths, int64_t unit);

// Accuracy of a guess that is right `right` times a row, where a row has `scored` scored tokens for
// each of its length and `more` besides: all targets of all rows count alike.
double row_chance(struct row_lengths lengths, double right, double scored, double more);

// For row_bits: what an outcome of this probability adds to the bits of one choice.
double row_surprise(double probability);

// Writes a token that is there at *at, and steps on.
void row_put(struct dataset_row *row, int64_t *at, int64_t token);
// The same with a target on it.
void row_ask(struct dataset_row *row, int64_t *at, int64_t token, int64_t answer);
// Writes `count` random symbols below `symbols`.
void row_put_random(struct dataset_row *row, int64_t *at, struct rng *rng, int64_t count,
                    int64_t symbols);

// Draws `count` different numbers below `below`, in random order, into out[0], out[stride], ...
// Takes time in count^2.
void row_distinct(struct rng *rng, int32_t *out, int64_t stride, int64_t count, int64_t below);

#endif
