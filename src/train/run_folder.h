// The run folder: made once, locked while written.
#ifndef POSGRAD_RUN_FOLDER_H
#define POSGRAD_RUN_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

// Makes `folder` and its parents where they are missing. An empty one will do, and one that a run
// was killed in before it began; one with anything else in it is refused, unless `overwrite`, which
// removes the files of a run and nothing else, and only where config.json is a run's. Returns the
// descriptor that holds the lock, or ERR_FILE.
int run_folder_create(const char *folder, bool overwrite);
// Makes `folder` and its parents where they are missing. ERR_FILE.
int run_folders_make(const char *folder);
// What is in a folder: nothing of a run that could go on; a run that was begun and never saved, so
// that nothing is lost where it begins anew; or a checkpoint.h5.
enum run_folder_state { RUN_FOLDER_NONE, RUN_FOLDER_BEGUN, RUN_FOLDER_SAVED };
enum run_folder_state run_folder_look(const char *folder);
// The lock of a folder that must be there: a descriptor, or ERR_FILE.
int run_folder_lock(const char *folder);
// Whether `folder` still names the folder of the lock `fd`: who moved it away may have put another
// run in its place. ERR_FILE where it does not.
int run_folder_check(int fd, const char *folder);
// Gives checkpoint.h5, which holds `step`, a second name: checkpoint-STEP.h5, where it stays when
// checkpoint.h5 is replaced. `fd` is the lock. 0 also when there is no checkpoint.h5; ERR_FILE.
int run_folder_keep(int fd, const char *folder, int64_t step);
// Removes the checkpoint-STEP.h5 of steps below `step`, but for the last `count` of them.
int run_folder_prune(int fd, const char *folder, int64_t step, int64_t count);
// Removes what kills have left: files that were being written, and elder checkpoints of steps below
// `step` that should have gone, as run_folder_prune has it.
int run_folder_tidy(int fd, const char *folder, int64_t step, int64_t count);
// Opens and locks metrics.jsonl of `folder` for appending, cut back to the lines whose step is at
// most `step`; not `evaluated`: that of an evaluation only below it. `size` gets its length. A
// descriptor, or ERR_FILE.
int run_folder_metrics(const char *folder, int64_t step, bool evaluated, int64_t *size);

#endif
