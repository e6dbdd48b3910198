// The loop: step, log, evaluate, save - and every way in which it may end.
//
// What happens at a step depends on the step alone, so a run that was stopped and resumed leaves
// the same checkpoint and the same metrics (but for times) as one that was not.
#include "run.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../../autograd/base/err.h"
#include "run_inside.h"

double run_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void run_tell(const struct run *run, const struct run_event *event)
{
    if (run->observer.observe)
        run->observer.observe(run->observer.context, run, event);
}

void run_say(const struct run *run, enum run_event_type type, const char *format, ...)
{
    char message[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    err_plain(message); // settings are the words of a file
    run_tell(run, &(struct run_event){.type = type, .message = message});
}

static int look_up(void *context);

static int evaluate(struct run *run)
{
    struct trainer *trainer = &run->trainer;
    double begin = run_now(), log_time = run->log_time;
    int code = trainer_evaluate_until(trainer, DATASET_VALIDATION, trainer->settings.eval_batches,
                                      look_up, run, &run->evaluation);
    run->evaluated_step = code == 0 ? trainer->step : -1;
    run->log_time = log_time + run_now() - begin; // the time of training steps is theirs alone
    return code;
}

// --- the best evaluation

void run_no_best(struct run_best *best)
{
    *best = (struct run_best){.step = -1};
}

// Takes the next evaluation in; values are those of the history. True where it is the best so far.
static bool take_evaluation(struct run_best *best, enum train_metric metric, int64_t step,
                            double value)
{
    bool better = best->step < 0 ||
                  (metric == METRIC_LOSS ? value < best->value : value > best->value);
    if (better)
        *best = (struct run_best){.step = step, .value = value};
    else
        best->behind++;
    return better;
}

// The first columns of the history are in the order of enum train_metric.
void run_take_history(struct run *run)
{
    const struct history_series *series = &run->history.split[HISTORY_VALIDATION];
    enum train_metric metric = (enum train_metric)run->trainer.settings.early_stop_metric;
    run_no_best(&run->best);
    for (int64_t i = 0; i < series->rows; i++)
        take_evaluation(&run->best, metric, series->step[i], series->column[metric][i]);
}

static bool out_of_patience(const struct run *run)
{
    int64_t patience = run->trainer.settings.patience;
    return patience > 0 && run->best.behind >= patience;
}

bool run_ended_early(const struct run *run)
{
    return out_of_patience(run) && run->trainer.step < run->trainer.settings.steps;
}

void run_best_path(const struct run *run, char path[OPTION_TEXT + 64])
{
    snprintf(path, OPTION_TEXT + 64, "%s/best.h5", run->folder);
}

static int log_evaluation(struct run *run)
{
    struct trainer *trainer = &run->trainer;
    const struct evaluation *result = &run->evaluation;
    int code = evaluate(run);
    if (code < 0)
        return code;
    double value[HISTORY_MAX_COLUMNS] = {result->loss, result->accuracy, result->exact_match,
                                         (double)trainer->settings.length, result->loss / log(2)};
    int metric = trainer->settings.early_stop_metric;
    bool best =
        take_evaluation(&run->best, (enum train_metric)metric, trainer->step, value[metric]);
    return run_log_evaluation(run, value, best);
}

// --- steps

static bool due(int64_t step, int64_t every)
{
    return every > 0 && step % every == 0;
}

static int diverged(struct run *run, int code)
{
    char line[1024];
    snprintf(line, sizeof line, "%s", err_last());
    if (run->saved_step >= 0)
        return err_set(code, "%s; %s holds step %lld", line, run->checkpoint,
                       (long long)run->saved_step);
    return err_set(code, "%s; no checkpoint was saved before", line);
}

static bool wants_stop(const struct run *run)
{
    return run->observer.stop && *run->observer.stop;
}

// True once for each time that a save was asked for.
static bool take_wish(struct run *run)
{
    bool asked = run->observer.save && *run->observer.save;
    if (asked)
        *run->observer.save = 0;
    return asked;
}

// In an evaluation, which may last: a stop leaves it, and a save is made without it. Whoever goes
// on from there makes it anew.
static int look_up(void *context)
{
    struct run *run = context;
    if (wants_stop(run))
        return err_set(ERR_STOPPED, "the evaluation was stopped");
    if (!take_wish(run))
        return 0;
    return run_save(run, &(struct run_occasion){.checkpoint = true, .asked = true, .here = true});
}

// Whether the state was just evaluated, and is the best, and the best is kept.
static bool is_best(const struct run *run)
{
    return train_settings_keep_best(&run->trainer.settings) && run_is_proven(run) &&
           run->best.step == run->trainer.step;
}

// The last step is evaluated, whatever --eval-every says.
static bool evaluation_is_due(const struct run *run)
{
    const struct train_settings *s = &run->trainer.settings;
    int64_t step = run->trainer.step;
    return step == s->steps || due(step, s->eval_every);
}

bool run_has_evaluation(const struct run *run)
{
    const struct history_series *series = &run->history.split[HISTORY_VALIDATION];
    return series->rows > 0 && series->step[series->rows - 1] == run->trainer.step;
}

bool run_lacks_evaluation(const struct run *run)
{
    return run->trainer.step > 0 && evaluation_is_due(run) && !run_has_evaluation(run);
}

bool run_is_done(const struct run *run)
{
    bool at_end = run->trainer.step == run->trainer.settings.steps || out_of_patience(run);
    return at_end && !run_lacks_evaluation(run);
}

// What comes after a step and its log line. ERR_STOPPED where a stop was asked for, in the
// evaluation or before; the state is saved then.
static int evaluate_and_save(struct run *run)
{
    const struct train_settings *s = &run->trainer.settings;
    int64_t step = run->trainer.step;
    int code = evaluation_is_due(run) ? log_evaluation(run) : 0;
    if (code < 0 && code != ERR_STOPPED)
        return code;
    bool stopping = code == ERR_STOPPED || wants_stop(run), asked = take_wish(run);
    struct run_occasion of = {.best = is_best(run), .asked = asked};
    of.last = step == s->steps || out_of_patience(run) || stopping;
    of.checkpoint = of.last || asked || due(step, s->save_every);
    code = of.best || of.checkpoint ? run_save(run, &of) : 0;
    return code == 0 && stopping ? ERR_STOPPED : code;
}

static int train_one(struct run *run)
{
    struct train_step_result result;
    double begin = run_now();
    int code = trainer_step(&run->trainer, &result);
    double seconds = run_now() - begin;
    code = run_judge_save(run, code);
    if (code < 0)
        return code;
    run_take_save(run, false);
    const struct train_settings *s = &run->trainer.settings;
    struct run_event event = {.type = RUN_STEP, .train = &result, .step_ms = 1e3 * seconds};
    event.tokens_per_s = seconds > 0 ? (double)(s->batch_size * s->length) / seconds : 0;
    run_tell(run, &event);
    code = due(run->trainer.step, s->log_every) ? run_log_training(run, &result) : 0;
    return code < 0 ? code : evaluate_and_save(run);
}

static int outcome(struct run *run, int code)
{
    if (code == ERR_NUMBER)
        return diverged(run, code);
    if (code < 0 && code != ERR_STOPPED)
        return code;
    if (run->save_failed)
        return err_set(ERR_FILE, "step %lld is not saved: %s", (long long)run->trainer.step,
                       run->save_error);
    if (run->best_failed)
        return err_set(ERR_FILE, "step %lld, the best, is not saved: %s", (long long)run->best.step,
                       run->save_error);
    if (run->metrics_failed)
        return err_set(ERR_FILE, "%s/metrics.jsonl lacks lines that could not be written",
                       run->folder);
    if (run->tensorboard.failed)
        return err_set(ERR_FILE, "the event file in %s lacks points that could not be written",
                       run->folder);
    if (code == ERR_STOPPED)
        err_set(code, "stopped after step %lld", (long long)run->trainer.step);
    return code;
}

int run_train(struct run *run)
{
    int code = 0;
    run_reserve_copy(run);
    run->log_time = run_now();
    run->log_step = run->trainer.step;
    if (run_lacks_evaluation(run))
        code = evaluate_and_save(run);
    while (code == 0 && run->trainer.step < run->trainer.settings.steps && !out_of_patience(run))
        code = train_one(run);
    run_end_saves(run);
    if (code == 0 && run->evaluated_step != run->trainer.step)
        code = evaluate(run); // a finished run that was resumed
    return outcome(run, code);
}
