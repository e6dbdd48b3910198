// Rows of the string-to-string tasks for tests: read back from their layout, answered by a
// reference, scored, and guessed without reading the string.
#ifndef POSGRAD_TESTS_STRINGS_H
#define POSGRAD_TESTS_STRINGS_H

#include "batch.h"

// Writes what belongs into the slots of a string of `size` tokens (DATASET_IGNORE where a slot is
// not scored); returns how many slots there are. `answer` has room for 2 * size + 2.
typedef int64_t strings_reference(const int32_t *text, int64_t size, int32_t *answer);

struct strings_case {
    const char *task;
    int64_t length;
    const char *options;
    int64_t symbols;           // tokens below SEP
    int64_t shortest, longest; // tokens of a string; both are drawn
    strings_reference *reference;
};

// Draws rows of every split and fails the test unless each has the layout, the answer of the
// reference, and a length of the range; unless the reference's answers score 1 and noise 1 / vocab.
void strings_check(const struct strings_case *one);

// Fails the test unless the best guess that knows only the length of the string and the slot,
// learned by counting, does as well on other rows as the task's chance says.
void strings_check_chance(const char *task, int64_t length, const char *options);

#endif
