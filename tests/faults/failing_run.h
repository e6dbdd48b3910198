// One command of the program in a process of its own, in which something fails.
//
// What it left - exit status, output, files - is compared with what the same command leaves where
// nothing fails: a run that says that all is well must have left the same bytes.
#ifndef POSGRAD_TESTS_FAILING_RUN_H
#define POSGRAD_TESTS_FAILING_RUN_H

#include <stdint.h>
#include <sys/types.h>

#include "failing.h"

// Files of a folder by name; of other folders in it, too.
struct failing_file {
    char name[512];
    char *bytes;
    size_t size;
};
enum { FAILING_FILES = 64 };
struct failing_folder {
    int files;
    struct failing_file file[FAILING_FILES];
};
void failing_folder_read(struct failing_folder *folder, const char *path);
// In place of all that is there. False where there is no room.
bool failing_folder_write(const struct failing_folder *folder, const char *path);
void failing_folder_release(struct failing_folder *folder);
const struct failing_file *failing_folder_find(const struct failing_folder *folder,
                                               const char *name);

// Limits of the process beside what fails in it.
struct failing_limits {
    int64_t file_size; // RLIMIT_FSIZE; 0 for none
    int descriptors;   // RLIMIT_NOFILE; 0 for none
    int seconds;       // before an alarm ends it
};

struct failing_outcome {
    int status; // as waitpid gives it
    char *out, *err;
    struct failing_report *report;
};
// Runs the words of `command` ("train --pe none ...") in the current folder. The report is of the
// last run alone.
void failing_run(const char *command, const struct failing_plan *plan,
                 const struct failing_limits *limits, struct failing_outcome *outcome);
void failing_outcome_release(struct failing_outcome *outcome);

// What main() does first: a program that is told to be posgrad by its arguments ("reproduce" starts
// the program that it is part of) is. -1 where it is not.
int failing_is_posgrad(int argc, char **argv);

#endif
