// Saves of a run. The training waits while the state is copied; the rest is beside it, and what
// became of that is said after a later step.
#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "run_inside.h"

static void warn(const struct run *run, enum save_part part)
{
    if (run->saver.result.part[part].code < 0)
        run_say(run, RUN_WARNING, "%s", run->saver.result.part[part].line);
}

static void best_went(struct run *run)
{
    const struct save_result *result = &run->saver.result;
    bool failed_before = run->best_failed;
    run->best_failed = result->part[SAVE_BEST].code < 0;
    if (run->best_failed)
        snprintf(run->save_error, sizeof run->save_error, "%s", result->part[SAVE_BEST].line);
    if (run->best_failed && !failed_before)
        run_say(run, RUN_WARNING, "step %lld is the best and was not saved: %s; the run goes on",
                (long long)result->step, run->save_error);
}

// A failure is said once, and again at the end if it lasts; the run goes on, as the disk may be
// freed before the next try. `last` is for a save that ends the run.
static void save_went(struct run *run, bool last)
{
    const struct save_result *result = &run->saver.result;
    bool failed_before = run->save_failed;
    run->save_failed = result->part[SAVE_CHECKPOINT].code < 0;
    if (run->save_failed) {
        snprintf(run->save_error, sizeof run->save_error, "%s", result->part[SAVE_CHECKPOINT].line);
        if (!failed_before && !last)
            run_say(run, RUN_WARNING,
                    "step %lld was not saved: %s; the run goes on and tries again",
                    (long long)result->step, run->save_error);
        return;
    }
    if (failed_before)
        run_say(run, RUN_NOTICE, "step %lld is saved: %s could be written again",
                (long long)result->step, run->checkpoint);
    run->saved_step = result->step;
    run_tell(run, &(struct run_event){.type = RUN_SAVED, .asked = run->saver.order.asked});
}

static void tell_save(struct run *run, bool last)
{
    const struct saver *saver = &run->saver;
    if (saver->result.dropped)
        return;
    if (saver->order.best[0])
        best_went(run);
    if (!saver->order.checkpoint[0])
        return;
    run->metrics_failed |= saver->result.part[SAVE_METRICS].code < 0;
    warn(run, SAVE_METRICS);
    run->tensorboard.failed |= saver->result.part[SAVE_EVENTS].code < 0;
    warn(run, SAVE_EVENTS);
    warn(run, SAVE_ELDER);
    save_went(run, last);
    warn(run, SAVE_PRUNE);
}

// What became of the save that is under way, if it has ended; with `wait`, when it has.
void run_take_save(struct run *run, bool wait)
{
    if (saver_ended(&run->saver, wait))
        tell_save(run, false);
}

// A step that goes well proves that the state before it, which is being saved, computes. Where it
// does not, that state is all there is, as a step that fails changes nothing; validation decides.
int run_judge_save(struct run *run, int code)
{
    char line[1024];
    if (!saver_is_unjudged(&run->saver))
        return code;
    if (code == 0) {
        saver_judge(&run->saver, true);
        return 0;
    }
    snprintf(line, sizeof line, "%s", err_last());
    int check = trainer_check_loss(&run->trainer);
    saver_judge(&run->saver, check == 0);
    return check < 0 ? check : err_set(code, "%s", line);
}

static void make_order(const struct run *run, const struct run_occasion *of,
                       struct save_order *order)
{
    const struct trainer *trainer = &run->trainer;
    bool elder = trainer->settings.keep > 1 && run->saved_step >= 0 &&
                 run->saved_step != trainer->step && !run->save_failed;
    *order = (struct save_order){.lock = trainer->lock,
                                 .metrics = run->metrics,
                                 .events = run->tensorboard.fd,
                                 .elder = elder ? run->saved_step : -1,
                                 .keep = trainer->settings.keep,
                                 .asked = of->asked};
    strcpy(order->folder, run->folder);
    if (of->best)
        run_best_path(run, order->best);
    if (of->checkpoint)
        strcpy(order->checkpoint, run->checkpoint);
}

// An evaluation has computed the loss already.
bool run_is_proven(const struct run *run)
{
    return run->evaluated_step == run->trainer.step;
}

static int save_here(struct run *run, const struct save_order *order, bool last)
{
    int code = trainer_check_state(&run->trainer, NULL);
    if (code == 0 && !run_is_proven(run))
        code = trainer_check_loss(&run->trainer);
    if (code == 0)
        code = saver_here(&run->saver, order, &run->trainer, &run->history);
    if (code == 0)
        tell_save(run, last);
    return code;
}

// A save that ends the run is waited for, and so is one for which there is no memory or no thread.
// ERR_NUMBER where the state is not worth keeping.
int run_save(struct run *run, const struct run_occasion *of)
{
    double begin = run_now();
    struct save_order order;
    int code = ERR_MEMORY;
    run_take_save(run, true); // one at a time
    make_order(run, of, &order);
    if (!of->last && !of->here)
        code = saver_begin(&run->saver, &order, &run->trainer, &run->history, run_is_proven(run));
    if (code < 0 && code != ERR_NUMBER)
        code = save_here(run, &order, of->last);
    run->log_time += run_now() - begin;
    return code;
}

// The line of what ended the run stays.
void run_end_saves(struct run *run)
{
    char line[1024];
    int code = err_code();
    snprintf(line, sizeof line, "%s", err_last());
    run_take_save(run, true);
    err_set(code, "%s", line);
}

// The memory of a copy, while no step waits for it: where saves will be made beside the training.
// Where there is none they are made without.
void run_reserve_copy(struct run *run)
{
    const struct train_settings *s = &run->trainer.settings;
    int64_t every = train_settings_keep_best(s) && s->eval_every > 0 ? s->eval_every
                                                                     : s->save_every;
    if (every > 0 && run->trainer.step / every * every < s->steps - every)
        saver_reserve(&run->saver, &run->trainer);
}
