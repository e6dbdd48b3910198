// A run: a trainer, its folder and the loop between them.
//
// The library prints nothing and installs no handler: whoever runs it gets events, and asks for a
// stop or a save through two flags that a signal handler may set.
#ifndef POSGRAD_RUN_H
#define POSGRAD_RUN_H

#include <signal.h>

#include "history.h"
#include "saver.h"
#include "tensorboard.h"
#include "train.h"

enum run_event_type {
    RUN_STEP,       // after every update; timing and train are set
    RUN_LOG,        // a log line of training was written
    RUN_EVALUATION, // one of an evaluation
    RUN_SAVED,      // checkpoint.h5 of saved_step is on disk; steps may have gone on since: asked
    RUN_WARNING,    // something went wrong and the run goes on: message
    RUN_NOTICE,     // something to say: message
};

struct run_event {
    enum run_event_type type;
    const struct train_step_result *train; // RUN_STEP, RUN_LOG
    const struct evaluation *evaluation;   // RUN_EVALUATION
    double step_ms, tokens_per_s;
    const char *json;    // RUN_LOG, RUN_EVALUATION: the line of metrics.jsonl, no newline
    const char *message; // RUN_WARNING, RUN_NOTICE
    bool asked;          // RUN_SAVED: observer.save asked for it
};

struct run;
struct run_observer {
    void (*observe)(void *context, const struct run *run, const struct run_event *event); // or NULL
    void *context;
    // Polled after every step and in evaluations; NULL for none. `stop` asks for a save and the
    // end, `save` for a save. An evaluation that is cut short is made anew when the run goes on.
    volatile sig_atomic_t *stop, *save;
};

// What evaluations were so far, by --early-stop-metric: a function of the history, which a
// checkpoint holds, so that a resumed run knows of it what an unbroken one does.
struct run_best {
    int64_t step;   // of the best one, the first of equals; -1 before any
    double value;   // what it had
    int64_t behind; // evaluations since then
};

struct run {
    struct trainer trainer;
    struct history history;
    struct saver saver;
    struct run_observer observer;
    char folder[OPTION_TEXT], checkpoint[OPTION_TEXT + 64];
    int metrics;          // descriptor of metrics.jsonl, or -1
    int64_t metrics_size; // bytes of whole lines
    bool metrics_failed;  // lines are missing
    struct tensorboard tensorboard;
    bool save_failed;      // the last save that ended did not succeed
    char save_error[1024]; // why
    struct run_best best;
    bool best_failed;   // the last save of best.h5 did not succeed: why is in save_error
    int64_t saved_step; // step of the file on disk, -1 when there is none: not of a save that is
                        // under way
    int64_t evaluated_step; // step that `evaluation` is of, -1 when there is none
    struct evaluation evaluation;
    double log_time; // seconds, monotonic, of the last log line
    int64_t log_step;
};

// One setting as typed, in order.
struct run_setting {
    const char *key, *value;
};

// Makes (with `overwrite`: empties) the folder of `settings`, locks it, writes config.json.
// ERR_FILE when the folder is there already, or is in use. On failure nothing is left open.
int run_start(struct run *run, const struct train_settings *settings, bool overwrite,
              const struct run_observer *observer);
// Goes on from the checkpoint in `path` (a run folder, or the checkpoint.h5 in it). `given` are the
// settings of the command line: those that define the run must agree with it, the others are
// changed and said.
int run_resume(struct run *run, const char *path, int given_count, const struct run_setting *given,
               const struct run_observer *observer);
// Goes on with the run of `settings` in its folder, all of whose settings must be these; run_start
// where there is nothing to go on with, or `overwrite`.
int run_go_on(struct run *run, const struct train_settings *settings, bool overwrite,
              const struct run_observer *observer);
// Whether the evaluations ended the run before its last step (--patience).
bool run_ended_early(const struct run *run);
// Whether nothing is left to do: the last step is done, or the run ended early, and was evaluated.
bool run_is_done(const struct run *run);
// RUN/best.h5 into `path`, as large as run->checkpoint.
void run_best_path(const struct run *run, char path[OPTION_TEXT + 64]);
// Trains to the last step, or until --patience is at its end. 0 when it is done and saved;
// ERR_STOPPED after a stop that is saved; ERR_FILE when the last save or a metrics line failed;
// ERR_NUMBER when the loss went away.
int run_train(struct run *run);
void run_release(struct run *run);

#endif
