// What the string-to-string tasks share: a row is a random string, a separator, and one blank slot
// for each symbol of the answer.
//
//     s_1 ... s_n  SEP  BLANK ... BLANK   (padding)
//
// Targets sit on the blank slots, and only there. No answer is ever a token, so the same rows are
// fair to an encoder, which sees the whole row, and to a decoder, which finds the string behind it;
// what is left is to find the right place in the string, and that takes a position encoding.
#ifndef POSGRAD_STRINGS_H
#define POSGRAD_STRINGS_H

#include "dataset.h"

struct string_settings {
    int64_t symbols, min_length, max_length;
};

extern const struct option_def string_options[];

// task_def.open: settles the lengths; vocab is the symbols, then SEP, then BLANK.
int string_open(struct dataset *dataset);

// Draws the string and lays out the row. Returns n; the string is in row->tokens[0..n), the answer
// slots in row->targets[n + 1..2n + 1), for the task to fill.
int64_t string_lay_out(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                       struct dataset_row *row);

#endif
