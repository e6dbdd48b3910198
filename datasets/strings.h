// What the string-to-string tasks share: a row is a string, a separator, and one blank slot for
// each symbol of the answer.
//
//     s_1 ... s_n  SEP  BLANK ... BLANK   (padding)
//
// Targets sit on the blank slots, and only there. No answer is ever a token, so the same rows are
// fair to an encoder, which sees the whole row, and to a decoder, which finds the string behind it;
// what is left is to find the right place in the string, and that takes a position encoding.
#ifndef POSGRAD_STRINGS_H
#define POSGRAD_STRINGS_H

#include "dataset.h"

// What a task's rows look like, by the length n of the string.
struct string_rule {
    int64_t symbols;        // different tokens of strings and answers; 0: the option `symbols`
    int64_t shortest, step; // n can be shortest, shortest + step, ...
    // Tokens before SEP, and blank slots behind it; NULL: n.
    int64_t (*text)(int64_t n), (*answer)(int64_t n);
    const char *signs; // names of the last symbols, a character each: "+-"; NULL: all are numbers
};

int64_t string_one(int64_t n); // an answer of one symbol

// The settings of every task here begin with these.
struct string_settings {
    int64_t symbols, min_length, max_length;
    const struct string_rule *rule; // set by string_open
};

// Rows of option tables: {STRING_SYMBOLS("16")}, {STRING_MIN_LENGTH}, {STRING_MAX_LENGTH}.
#define STRING_OPTION(key) #key, OPTION_INT, offsetof(struct string_settings, key)
#define STRING_SYMBOLS(number)                                                                     \
    STRING_OPTION(symbols), number, 2, 65536, NULL, "different symbols in a string"
#define STRING_MIN_LENGTH                                                                          \
    STRING_OPTION(min_length), "0", 0, 1 << 23, NULL,                                              \
        "symbols in the shortest string; 0 is max_length"
#define STRING_MAX_LENGTH                                                                          \
    STRING_OPTION(max_length), "0", 0, 1 << 23, NULL,                                              \
        "symbols in the longest string; 0 is what fits in the length"

extern const struct option_def string_options[];        // 16 symbols, and the lengths
extern const struct option_def string_binary_options[]; // 2 symbols, and the lengths
extern const struct option_def string_length_options[]; // the lengths alone

// Settles the lengths. Where n cannot be every length, what was asked is lowered to the nearest
// that it can be. vocab is the symbols, then SEP, then BLANK; the task sets chance and row_bits.
int string_open(struct dataset *dataset, const struct string_rule *rule);

// For task_def.token_name: the signs, "[SEP]", "[BLANK]".
bool string_token_name(const struct dataset *dataset, int64_t token, char name[DATASET_NAME]);

// Draws n and lays out the row but for the string: the task writes that into row->tokens[0..text),
// and the answer into row->targets[text + 1..text + 1 + answer). Returns n.
int64_t string_lay_out(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                       struct dataset_row *row);

// `count` tokens, uniform in [0, symbols).
void string_fill(struct rng *rng, int32_t *tokens, int64_t count, int64_t symbols);

// string_lay_out with a string of all symbols, each as likely.
int64_t string_draw(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                    struct dataset_row *row);

// What the best guess for each slot gets that knows n and the slot, and nothing of the string: sums
// over the slots of the probability that it is right, and that the slot is scored.
struct string_guess {
    double right, scored;
};

// dataset->chance from the guesses of the lengths that are drawn: of all of them where there are at
// most 32, of evenly spaced ones where there are more.
double string_chance(const struct dataset *dataset,
                     struct string_guess (*guess)(const void *context, int64_t n),
                     const void *context);

// The i-th of `used` evenly spaced numbers below `count`; all of them where used is count.
static inline int64_t string_spaced(int64_t i, int64_t used, int64_t count)
{
    return (2 * i + 1) * count / (2 * used);
}

// What the tasks with any symbols and their binary namesakes have in common.
int string_open_uniform(struct dataset *dataset); // an answer of n symbols, each as likely
int string_open_duplicate(struct dataset *dataset);
void string_sample_reverse(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                           struct dataset_row *row);
void string_sample_duplicate(const struct dataset *dataset, enum dataset_split split,
                             struct rng *rng, struct dataset_row *row);
int string_open_sort(struct dataset *dataset); // these two: strings_sort.c
void string_sample_sort(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                        struct dataset_row *row);

#endif
