// What the files of a run share: the loop (run.c), its lines (run_log.c), its saves (run_save.c),
// how it begins (run_begin.c) and goes on from a checkpoint (run_resume.c).
#ifndef POSGRAD_RUN_INSIDE_H
#define POSGRAD_RUN_INSIDE_H

#include "run.h"

// --- run.c
double run_now(void); // seconds, monotonic
void run_tell(const struct run *run, const struct run_event *event);
// A warning or a notice.
__attribute__((format(printf, 3, 4))) void run_say(const struct run *run, enum run_event_type type,
                                                   const char *format, ...);
void run_no_best(struct run_best *best);
// The best of the evaluations that the history has.
void run_take_history(struct run *run);
// Whether the evaluation of this step is in the history.
bool run_has_evaluation(const struct run *run);
// One was due here and is not: a stop cut it short, or the state was saved before it was made.
bool run_lacks_evaluation(const struct run *run);

// --- run_log.c: each adds to the history, too
int run_open_metrics(struct run *run);
int run_log_training(struct run *run, const struct train_step_result *result);
// run->evaluation; `value` is its row of the history.
int run_log_evaluation(struct run *run, const double value[HISTORY_MAX_COLUMNS], bool best);
// For TensorBoard: what the run has logged from `first_step` on.
void run_log_history(struct run *run, int64_t first_step);

// --- run_save.c
// What a save is for.
struct run_occasion {
    bool best, checkpoint; // files
    bool asked;            // by the observer
    bool last;             // it ends the run
    bool here;             // beside the training it could not be, as no step is near
};
// A save that ends the run is waited for, and so is one for which there is no memory or no thread.
// ERR_NUMBER where the state is not worth keeping.
int run_save(struct run *run, const struct run_occasion *of);
// Whether the state's loss was computed already, by an evaluation.
bool run_is_proven(const struct run *run);
// What became of the save that is under way, if it has ended; with `wait`, when it has.
void run_take_save(struct run *run, bool wait);
// What the step after it, which went as `code` says, tells of the state that is being saved: the
// code that the step ends with.
int run_judge_save(struct run *run, int code);
// Waits for the last one. The line of what ended the run stays.
void run_end_saves(struct run *run);
// The memory of a copy, while no step waits for it.
void run_reserve_copy(struct run *run);

// --- run_begin.c
void run_clear(struct run *run, const struct run_observer *observer);
int run_set_folder(struct run *run, const char *folder);
int run_write_config(const struct run *run);
// What the task left out of the data.
void run_say_data(const struct run *run);

#endif
