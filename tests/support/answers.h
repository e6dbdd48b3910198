// Tasks against a slow and obvious reading of their rows: what any task must hold, given a function
// that answers a row by looking at its tokens.
#ifndef POSGRAD_TESTS_ANSWERS_H
#define POSGRAD_TESTS_ANSWERS_H

#include "../../datasets/dataset.h"

// Fails the test where the tokens of a row of n are not what the task promises, and writes what
// every one of them must answer, DATASET_IGNORE where nothing.
typedef void answer_row(const struct dataset *dataset, const int32_t *tokens, int64_t n,
                        int32_t *answers);

// For them: the value of an option of the opened task; a word is its place in the choices.
int64_t answers_option(const struct dataset *dataset, const char *key);

struct answers_case {
    const char *task;
    answer_row *answer;
    int64_t length;
    const char *options;
    int64_t shortest, longest, step; // tokens of the rows that must all come, and no others
};

// Opens the task of each case and holds rows of all splits to the answers: the same targets,
// padding only behind, every length seen; the answers score 1.
void answers_check(const struct answers_case *cases, int count);

// What the task calls its chance is what the best constant answer gets, and random answers get one
// in the vocabulary.
void answers_check_chance(const struct answers_case *cases, int count);

// There are as many different rows as row_bits promises, where all are of one length and so few
// that they can be drawn. Returns of how many cases they were.
int answers_check_bits(const struct answers_case *cases, int count);

// Same arguments, same bytes, whatever was drawn between and however many rows; other arguments,
// other bytes.
void answers_check_bytes(const struct answers_case *cases, int count);

// Rows of `length` that score a model trained by the case: its vocabulary, its answers, and
// `filled` tokens a row.
void answers_check_evaluation(const struct answers_case *c, int64_t length, int64_t filled);

struct answers_refusal {
    const char *task;
    int64_t length, train_length; // 0: to train
    const char *options, *words;
};
// Opening is refused with these words, and nothing is left open.
void answers_check_refused(const struct answers_refusal *refused, int count);

#endif
