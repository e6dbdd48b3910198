// Small runs over all lists: what tests of whole runs walk.
//
// A case for each encoding, each task, each optimizer with each schedule, each way to normalise
// attention, and each option that adds something to a run, alone and with all others. A new row of
// a list is a new case.
#ifndef POSGRAD_TESTS_RUN_CASES_H
#define POSGRAD_TESTS_RUN_CASES_H

#include "../../src/train/train.h"

int run_case_count(void);

// The settings of case `index`: the words of `size`, which say how large all cases are and how long
// they run ("--layers 1 --steps 6"), then the case's own, then the first of some lengths and
// architectures that encoding and task agree on. A task that needs a file gets `text`. `name` says
// what the case is. Fails the test where nothing fits.
void run_case_settings(int index, const char *size, const char *text,
                       struct train_settings *settings, char name[160]);

// Writes a text of 20 000 lines for them.
void run_case_write_text(const char *path);

#endif
