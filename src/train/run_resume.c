// Going on from a checkpoint: what of the command line agrees with the run, and its state.
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../io/checkpoint.h"
#include "run_folder.h"
#include "run_inside.h"

// What may change without making another run of it. A data file may be elsewhere now: its bytes are
// compared.
static const char *const may_change[] = {"steps",        "threads",    "log-every", "eval-every",
                                         "eval-batches", "save-every", "keep",      "data",
                                         "patience",     "tensorboard"};

static bool changeable(const char *key)
{
    return name_index(may_change, sizeof may_change / sizeof may_change[0], key) >= 0;
}

// What is given again must be one that the run has. No file of --init-from is read again.
static int agree_list(const struct train_settings *s, const struct train_list *list,
                      const struct run_setting *given)
{
    for (int i = 0; i < train_list_length(list, s); i++)
        if (strcmp(train_list_text(list, s, i), given->value) == 0)
            return 0;
    return err_set(ERR_ARGUMENT,
                   "--%s %s is not what the run was started with; leave it out, or start a new run",
                   given->key, given->value);
}

// A schedule that does not look at the total is not touched by another one.
static void say_steps(const struct run *run, const struct train_settings *s, int64_t from)
{
    const struct schedule_def *schedule = schedule_find(s->schedule);
    int64_t at = from < s->steps ? from : s->steps;
    if (schedule && schedule_lr(schedule, s->lr, at, from, s->warmup) !=
                        schedule_lr(schedule, s->lr, at, s->steps, s->warmup))
        run_say(run, RUN_NOTICE,
                "resume: the %s schedule now ends at step %lld, which changes the learning rate of "
                "every step to come",
                schedule->name, (long long)s->steps);
}

static const char *shown(const char *value)
{
    return value[0] ? value : "not set";
}

static int change_option(struct train_settings *s, const struct option_def *row, const char *value)
{
    char before[OPTION_TEXT], after[OPTION_TEXT];
    bool kept_best = train_settings_keep_best(s);
    int code = options_get(row, s, before, sizeof before);
    if (code >= 0)
        code = train_settings_assign(s, row->key, value);
    if (code >= 0)
        code = options_get(row, s, after, sizeof after);
    if (code < 0)
        return code;
    // Whether best.h5 is kept cannot change: nobody knows the state that was the best before.
    if (strcmp(before, after) != 0 &&
        (!changeable(row->key) || train_settings_keep_best(s) != kept_best))
        return err_set(ERR_ARGUMENT,
                       "--%s is %s in the run and was given as %s; it defines the run: leave it "
                       "out, or start a new run",
                       row->key, shown(before), shown(after));
    return 0;
}

// What is another now than it was in the checkpoint.
static void say_changes(const struct run *run, struct checkpoint *checkpoint,
                        const struct train_settings *was)
{
    const struct train_settings *is = &checkpoint->settings;
    char ground_was[CHECKPOINT_GROUND], ground_is[CHECKPOINT_GROUND];
    for (const struct option_def *row = train_options; row->key; row++) {
        char before[OPTION_TEXT], after[OPTION_TEXT];
        if (options_get(row, was, before, sizeof before) >= 0 &&
            options_get(row, is, after, sizeof after) >= 0 && strcmp(before, after) != 0)
            run_say(run, RUN_NOTICE, "resume: --%s was %s and is now %s", row->key, before, after);
    }
    if (was->steps != is->steps)
        say_steps(run, is, was->steps);
    if (!checkpoint_same_ground(checkpoint, ground_was, ground_is))
        run_say(
            run, RUN_NOTICE,
            "resume: the run was on kernels (%s) other than these (%s), which round differently: "
            "its bits are no longer those of an unbroken run",
            ground_was, ground_is);
}

static int agree_setting(struct train_settings *s, const struct run_setting *given)
{
    const struct train_list *list = train_list_find(given->key);
    if (list)
        return agree_list(s, list, given);
    const struct option_def *row = options_find(train_options, given->key);
    if (!row)
        return train_settings_assign(s, given->key, given->value); // says what is wrong with it
    if (strcmp(row->key, "out-dir") == 0)
        return err_set(ERR_ARGUMENT, "--out-dir: a resumed run stays in its folder; leave it out");
    return change_option(s, row, given->value);
}

static int agree(struct checkpoint *checkpoint, int given_count, const struct run_setting *given)
{
    struct train_settings *s = &checkpoint->settings;
    int code = 0;
    for (int i = 0; i < given_count && code == 0; i++)
        code = agree_setting(s, &given[i]);
    if (code == 0 && s->steps < checkpoint->step)
        code = err_set(ERR_ARGUMENT,
                       "--steps %lld: the run is at step %lld already; N is the total",
                       (long long)s->steps, (long long)checkpoint->step);
    return code;
}

// Where the run's files are when RUN names its folder or its checkpoint.
static int folder_of(struct run *run, const char *path)
{
    static const char name[] = "checkpoint.h5";
    size_t length = strlen(path), tail = sizeof name - 1;
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    if (!*path)
        return err_set(ERR_ARGUMENT, "--resume: the name of the run is empty");
    if (fnmatch("checkpoint-*.h5", base, 0) == 0 || strcmp(base, "best.h5") == 0)
        return err_set(ERR_ARGUMENT,
                       "--resume goes on from checkpoint.h5; to go back to %s, copy it over the "
                       "checkpoint.h5 beside it",
                       path);
    char folder[OPTION_TEXT];
    if (length >= sizeof folder)
        return err_set(ERR_ARGUMENT, "the name of the run is too long");
    strcpy(folder, path);
    if (length >= tail && strcmp(path + length - tail, name) == 0 &&
        (length == tail || path[length - tail - 1] == '/'))
        strcpy(folder + length - tail, length == tail ? "." : "");
    return run_set_folder(run, folder);
}

// Threads, folder and event files are of the machine, not of the checkpoint; the folder's own
// config remembers them. Where there is none that can be understood, nothing does.
static int remember_machine(const struct run *run, struct train_settings *settings)
{
    char path[OPTION_TEXT + 64], *text = NULL;
    size_t size;
    snprintf(path, sizeof path, "%s/config.json", run->folder);
    int kind = file_kind(path, true);
    if (kind <= FILE_NOTHING)
        return kind;
    struct train_settings *old = malloc(sizeof *old);
    int code = old ? file_read(path, 1 << 20, &text, &size)
                   : err_set(ERR_MEMORY, "out of memory for the settings of a run");
    if (code == 0) {
        train_settings_init(old);
        code = train_settings_from_json(old, text);
        if (code == 0) {
            settings->threads = old->threads;
            settings->tensorboard = old->tensorboard;
            memcpy(settings->out_dir, old->out_dir, sizeof settings->out_dir);
        }
        code = code == ERR_MEMORY ? code : 0;
    }
    free(text);
    free(old);
    return code;
}

static int restore_state(struct run *run, struct checkpoint *checkpoint)
{
    int code = checkpoint_init_trainer(checkpoint, &run->trainer);
    if (code == 0)
        code = checkpoint_check_data(checkpoint, &run->trainer);
    if (code == 0)
        code = checkpoint_read_params(checkpoint, &run->trainer);
    if (code == 0)
        code = checkpoint_read_optimizer(checkpoint, &run->trainer);
    if (code == 0)
        code = checkpoint_read_history(checkpoint, &run->history);
    if (code == 0)
        run_take_history(run);
    run->saved_step = checkpoint->step;
    return code;
}

// What cannot be removed is in nobody's way.
static void tidy(const struct run *run, int lock, const struct checkpoint *checkpoint)
{
    if (run_folder_tidy(lock, run->folder, checkpoint->step, checkpoint->settings.keep - 1) < 0)
        run_say(run, RUN_WARNING, "%s", err_last());
}

// Where TensorBoard had nothing of the run before, it gets all that was logged. An evaluation that
// will be made anew takes the place of one that a kill may have left, and what else is of its step
// is written again.
static void resume_events(struct run *run, int lock, bool before)
{
    int64_t step = run->trainer.step, first = !before                     ? 1
                                              : run_lacks_evaluation(run) ? step
                                                                          : step + 1;
    if (!run->trainer.settings.tensorboard)
        return;
    tensorboard_init(&run->tensorboard, lock, first);
    run_log_history(run, first);
}

// Changes are said, and files written, only once the run stands: a refusal is one line.
static int restore(struct run *run, struct checkpoint *checkpoint, int lock, int given_count,
                   const struct run_setting *given)
{
    int code = remember_machine(run, &checkpoint->settings);
    struct train_settings *was = code == 0 ? malloc(sizeof *was) : NULL;
    if (!was)
        return code < 0 ? code : err_set(ERR_MEMORY, "out of memory for the settings of a run");
    *was = checkpoint->settings;
    code = agree(checkpoint, given_count, given);
    if (code == 0)
        code = restore_state(run, checkpoint);
    if (code == 0)
        code = run_open_metrics(run);
    if (code == 0)
        tidy(run, lock, checkpoint);
    if (code == 0)
        resume_events(run, lock, was->tensorboard);
    if (code == 0)
        code = run_write_config(run);
    if (code == 0) {
        run_say_data(run);
        say_changes(run, checkpoint, was);
    }
    free(was);
    return code;
}

// trainer_init starts from an empty trainer, so the lock is handed over after it.
static int resume_locked(struct run *run, struct checkpoint *checkpoint, int lock, int given_count,
                         const struct run_setting *given)
{
    int code = checkpoint_open(checkpoint, run->checkpoint);
    if (code < 0) {
        close(lock);
        return code;
    }
    code = restore(run, checkpoint, lock, given_count, given);
    checkpoint_close(checkpoint);
    if (code < 0) {
        close(lock);
        return code;
    }
    run->trainer.lock = lock;
    return 0;
}

int run_resume(struct run *run, const char *path, int given_count, const struct run_setting *given,
               const struct run_observer *observer)
{
    run_clear(run, observer);
    int code = folder_of(run, path);
    struct checkpoint *checkpoint = malloc(sizeof *checkpoint);
    if (code == 0 && !checkpoint)
        code = err_set(ERR_MEMORY, "out of memory for the settings of %s", path);
    int lock = code == 0 ? run_folder_lock(run->folder) : -1;
    if (code == 0 && lock < 0)
        code = lock;
    if (code == 0)
        code = resume_locked(run, checkpoint, lock, given_count, given);
    free(checkpoint);
    if (code < 0)
        run_release(run);
    return code;
}
