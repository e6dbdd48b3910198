// The loop: step, log, evaluate, save - and every way in which it may end.
//
// What happens at a step depends on the step alone, so a run that was stopped and resumed leaves
// the same checkpoint and the same metrics (but for times) as one that was not.
#include "run.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/retry.h"
#include "../io/checkpoint.h"
#include "run_folder.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void tell(const struct run *run, const struct run_event *event)
{
    if (run->observer.observe)
        run->observer.observe(run->observer.context, run, event);
}

__attribute__((format(printf, 3, 4))) static void say(const struct run *run,
                                                      enum run_event_type type, const char *format,
                                                      ...)
{
    char message[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    err_plain(message); // settings are the words of a file
    tell(run, &(struct run_event){.type = type, .message = message});
}

// --- metrics.jsonl

struct line {
    char text[1024];
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void put(struct line *line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length =
        vsnprintf(line->text + line->used, sizeof line->text - line->used, format, arguments);
    va_end(arguments);
    BUG_ON(length < 0 || (size_t)length >= sizeof line->text - line->used);
    line->used += (size_t)length;
}

// The shortest text that reads back to the same value; JSON has no word for what is not finite.
static void put_real(struct line *line, const char *key, double value)
{
    char text[40] = "null";
    for (int digits = 6; isfinite(value) && digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    put(line, ", \"%s\": %s", key, text);
}

static void put_head(struct line *line, int64_t step, const char *split)
{
    line->used = 0;
    put(line, "{\"step\": %lld, \"split\": \"%s\"", (long long)step, split);
}

// Takes half a line back that a write left which failed.
static int cut_metrics(struct run *run)
{
    int result;
    RETRY(result, ftruncate(run->metrics, run->metrics_size));
    return result;
}

// After a line that is missing, the place where the next one belongs is made sure of.
static void write_metrics(struct run *run, struct line *line)
{
    put(line, "\n");
    bool good = (!run->metrics_failed || cut_metrics(run) == 0) &&
                file_write_all(run->metrics, line->text, line->used) == 0;
    const char *cause = good ? NULL : strerror(errno);
    line->text[line->used - 1] = '\0'; // observers get it without the newline
    if (good) {
        run->metrics_size += (int64_t)line->used;
        return;
    }
    if (!run->metrics_failed)
        say(run, RUN_WARNING, "cannot write %s/metrics.jsonl: %s; lines will be missing",
            run->folder, cause);
    run->metrics_failed = true;
    cut_metrics(run);
}

// --- the event file

// Of the columns of the history; NULL: that is no curve.
static const char *const tags[HISTORY_SPLITS][HISTORY_MAX_COLUMNS] = {
    [HISTORY_TRAIN] = {"train/loss", "train/accuracy", "optim/lr", "optim/grad_norm"},
    [HISTORY_VALIDATION] = {"eval/loss", "eval/accuracy", "eval/exact_match", NULL,
                            "eval/bits_per_byte"},
};

// A row of the history; `times` (or NULL) has what that does not. Warns once.
static void write_event(struct run *run, enum history_split split, int64_t step,
                        const double *value, const struct run_event *times)
{
    struct tensorboard_scalar scalar[HISTORY_MAX_COLUMNS + 2];
    int count = 0;
    bool failed_before = run->tensorboard.failed;
    for (int c = 0; c < history_layouts[split].columns; c++)
        if (tags[split][c] && (run->trainer.dataset.bits_per_byte ||
                               strcmp(history_layouts[split].column[c], "bits_per_byte") != 0))
            scalar[count++] = (struct tensorboard_scalar){tags[split][c], value[c]};
    if (times) {
        scalar[count++] = (struct tensorboard_scalar){"speed/step_ms", times->step_ms};
        scalar[count++] = (struct tensorboard_scalar){"speed/tokens_per_s", times->tokens_per_s};
    }
    if (tensorboard_write(&run->tensorboard, step, count, scalar) < 0 && !failed_before)
        say(run, RUN_WARNING,
            "cannot write the event file in %s: %s; points will be missing in TensorBoard",
            run->folder, err_last());
}

// All that the run has logged, where it was not for TensorBoard.
static void write_history_events(struct run *run)
{
    for (int split = 0; split < HISTORY_SPLITS; split++) {
        const struct history_series *series = &run->history.split[split];
        for (int64_t i = 0; i < series->rows; i++) {
            double value[HISTORY_MAX_COLUMNS];
            for (int c = 0; c < history_layouts[split].columns; c++)
                value[c] = series->column[c][i];
            write_event(run, (enum history_split)split, series->step[i], value, NULL);
        }
    }
}

// --- lines

static int log_training(struct run *run, const struct train_step_result *result)
{
    const struct train_settings *s = &run->trainer.settings;
    struct line line;
    double time = now(), seconds = time - run->log_time;
    double steps = (double)(run->trainer.step - run->log_step);
    struct run_event event = {.type = RUN_LOG, .train = result, .json = line.text};
    event.step_ms = 1e3 * seconds / steps;
    event.tokens_per_s = seconds > 0 ? steps * (double)(s->batch_size * s->length) / seconds : 0;
    put_head(&line, run->trainer.step, "train");
    put_real(&line, "loss", result->loss);
    put_real(&line, "accuracy", result->accuracy);
    put_real(&line, "lr", result->lr);
    put_real(&line, "grad_norm", result->grad_norm);
    put(&line, ", \"step_ms\": %.3f, \"tokens_per_s\": %.0f}", event.step_ms, event.tokens_per_s);
    write_metrics(run, &line);
    const double value[] = {result->loss, result->accuracy, result->lr, result->grad_norm};
    write_event(run, HISTORY_TRAIN, run->trainer.step, value, &event);
    tell(run, &event);
    run->log_time = now();
    run->log_step = run->trainer.step;
    return history_add(&run->history, HISTORY_TRAIN, run->trainer.step, value);
}

static int look_up(void *context);

static int evaluate(struct run *run)
{
    struct trainer *trainer = &run->trainer;
    double begin = now(), log_time = run->log_time;
    int code = trainer_evaluate_until(trainer, DATASET_VALIDATION, trainer->settings.eval_batches,
                                      look_up, run, &run->evaluation);
    run->evaluated_step = code == 0 ? trainer->step : -1;
    run->log_time = log_time + now() - begin; // the time of training steps is theirs alone
    return code;
}

// --- the best evaluation

static void no_best(struct run_best *best)
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
static void best_of_history(struct run *run)
{
    const struct history_series *series = &run->history.split[HISTORY_VALIDATION];
    enum train_metric metric = (enum train_metric)run->trainer.settings.early_stop_metric;
    no_best(&run->best);
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
    struct line line;
    struct trainer *trainer = &run->trainer;
    const struct evaluation *result = &run->evaluation;
    int code = evaluate(run);
    if (code < 0)
        return code;
    double bits = result->loss / log(2);
    double value[HISTORY_MAX_COLUMNS] = {result->loss, result->accuracy, result->exact_match,
                                         (double)trainer->settings.length, bits};
    int metric = trainer->settings.early_stop_metric;
    bool best =
        take_evaluation(&run->best, (enum train_metric)metric, trainer->step, value[metric]);
    put_head(&line, trainer->step, dataset_split_name[DATASET_VALIDATION]);
    put_real(&line, "loss", result->loss);
    put_real(&line, "accuracy", result->accuracy);
    put_real(&line, "exact_match", result->exact_match);
    put(&line, ", \"length\": %lld", (long long)trainer->settings.length);
    if (trainer->dataset.bits_per_byte)
        put_real(&line, "bits_per_byte", bits);
    if (train_settings_keep_best(&trainer->settings))
        put(&line, ", \"best\": %s", best ? "true" : "false");
    put(&line, "}");
    write_metrics(run, &line);
    write_event(run, HISTORY_VALIDATION, trainer->step, value, NULL);
    tell(run, &(struct run_event){.type = RUN_EVALUATION, .evaluation = result, .json = line.text});
    return history_add(&run->history, HISTORY_VALIDATION, trainer->step, value);
}

// --- saving. The training waits while the state is copied; the rest is beside it, and what became
// of that is said after a later step.

static void warn(const struct run *run, enum save_part part)
{
    if (run->saver.result.part[part].code < 0)
        say(run, RUN_WARNING, "%s", run->saver.result.part[part].line);
}

static void best_went(struct run *run)
{
    const struct save_result *result = &run->saver.result;
    bool failed_before = run->best_failed;
    run->best_failed = result->part[SAVE_BEST].code < 0;
    if (run->best_failed)
        snprintf(run->save_error, sizeof run->save_error, "%s", result->part[SAVE_BEST].line);
    if (run->best_failed && !failed_before)
        say(run, RUN_WARNING, "step %lld is the best and was not saved: %s; the run goes on",
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
            say(run, RUN_WARNING, "step %lld was not saved: %s; the run goes on and tries again",
                (long long)result->step, run->save_error);
        return;
    }
    if (failed_before)
        say(run, RUN_NOTICE, "step %lld is saved: %s could be written again",
            (long long)result->step, run->checkpoint);
    run->saved_step = result->step;
    tell(run, &(struct run_event){.type = RUN_SAVED, .asked = run->saver.order.asked});
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
static void take_save(struct run *run, bool wait)
{
    if (saver_ended(&run->saver, wait))
        tell_save(run, false);
}

// A step that goes well proves that the state before it, which is being saved, computes. Where it
// does not, that state is all there is, as a step that fails changes nothing; validation decides.
static int judge_save(struct run *run, int code)
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

// What a save is for.
struct occasion {
    bool best, checkpoint; // files
    bool asked;            // by the observer
    bool last;             // it ends the run
    bool here;             // beside the training it could not be, as no step is near
};

static void make_order(const struct run *run, const struct occasion *of, struct save_order *order)
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
static bool is_proven(const struct run *run)
{
    return run->evaluated_step == run->trainer.step;
}

static int save_here(struct run *run, const struct save_order *order, bool last)
{
    int code = trainer_check_state(&run->trainer, NULL);
    if (code == 0 && !is_proven(run))
        code = trainer_check_loss(&run->trainer);
    if (code == 0)
        code = saver_here(&run->saver, order, &run->trainer, &run->history);
    if (code == 0)
        tell_save(run, last);
    return code;
}

// A save that ends the run is waited for, and so is one for which there is no memory or no thread.
// ERR_NUMBER where the state is not worth keeping.
static int save(struct run *run, const struct occasion *of)
{
    double begin = now();
    struct save_order order;
    int code = ERR_MEMORY;
    take_save(run, true); // one at a time
    make_order(run, of, &order);
    if (!of->last && !of->here)
        code = saver_begin(&run->saver, &order, &run->trainer, &run->history, is_proven(run));
    if (code < 0 && code != ERR_NUMBER)
        code = save_here(run, &order, of->last);
    run->log_time += now() - begin;
    return code;
}

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
    return save(run, &(struct occasion){.checkpoint = true, .asked = true, .here = true});
}

// Whether the state was just evaluated, and is the best, and the best is kept.
static bool is_best(const struct run *run)
{
    return train_settings_keep_best(&run->trainer.settings) && is_proven(run) &&
           run->best.step == run->trainer.step;
}

// The last step is evaluated, whatever --eval-every says.
static bool evaluation_is_due(const struct run *run)
{
    const struct train_settings *s = &run->trainer.settings;
    int64_t step = run->trainer.step;
    return step == s->steps || due(step, s->eval_every);
}

// An evaluation was due here and is not in the history: a stop cut it short.
static bool lacks_evaluation(const struct run *run)
{
    const struct history_series *series = &run->history.split[HISTORY_VALIDATION];
    bool there = series->rows > 0 && series->step[series->rows - 1] == run->trainer.step;
    return run->trainer.step > 0 && evaluation_is_due(run) && !there;
}

bool run_is_done(const struct run *run)
{
    bool at_end = run->trainer.step == run->trainer.settings.steps || out_of_patience(run);
    return at_end && !lacks_evaluation(run);
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
    struct occasion of = {.best = is_best(run), .asked = asked};
    of.last = step == s->steps || out_of_patience(run) || stopping;
    of.checkpoint = of.last || asked || due(step, s->save_every);
    code = of.best || of.checkpoint ? save(run, &of) : 0;
    return code == 0 && stopping ? ERR_STOPPED : code;
}

static int train_one(struct run *run)
{
    struct train_step_result result;
    double begin = now();
    int code = trainer_step(&run->trainer, &result);
    double seconds = now() - begin;
    code = judge_save(run, code);
    if (code < 0)
        return code;
    take_save(run, false);
    const struct train_settings *s = &run->trainer.settings;
    struct run_event event = {.type = RUN_STEP, .train = &result, .step_ms = 1e3 * seconds};
    event.tokens_per_s = seconds > 0 ? (double)(s->batch_size * s->length) / seconds : 0;
    tell(run, &event);
    code = due(run->trainer.step, s->log_every) ? log_training(run, &result) : 0;
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

// The line of what ended the run stays.
static void end_saves(struct run *run)
{
    char line[1024];
    int code = err_code();
    snprintf(line, sizeof line, "%s", err_last());
    take_save(run, true);
    err_set(code, "%s", line);
}

// The memory of a copy, while no step waits for it: where saves will be made beside the training.
// Where there is none they are made without.
static void reserve_copy(struct run *run)
{
    const struct train_settings *s = &run->trainer.settings;
    int64_t every = train_settings_keep_best(s) && s->eval_every > 0 ? s->eval_every
                                                                     : s->save_every;
    if (every > 0 && run->trainer.step / every * every < s->steps - every)
        saver_reserve(&run->saver, &run->trainer);
}

int run_train(struct run *run)
{
    int code = 0;
    reserve_copy(run);
    run->log_time = now();
    run->log_step = run->trainer.step;
    if (lacks_evaluation(run))
        code = evaluate_and_save(run);
    while (code == 0 && run->trainer.step < run->trainer.settings.steps && !out_of_patience(run))
        code = train_one(run);
    end_saves(run);
    if (code == 0 && run->evaluated_step != run->trainer.step)
        code = evaluate(run); // a finished run that was resumed
    return outcome(run, code);
}

// --- beginning

static void clear(struct run *run, const struct run_observer *observer)
{
    memset(run, 0, sizeof *run);
    run->trainer.lock = run->metrics = -1;
    tensorboard_init(&run->tensorboard, -1, 0);
    run->saved_step = run->evaluated_step = -1;
    no_best(&run->best);
    if (observer)
        run->observer = *observer;
    history_init(&run->history);
}

static int set_folder(struct run *run, const char *folder)
{
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    if (length >= sizeof run->folder)
        return err_set(ERR_ARGUMENT, "the name of the run folder is too long");
    memcpy(run->folder, folder, length);
    run->folder[length] = '\0';
    snprintf(run->checkpoint, sizeof run->checkpoint, "%s/checkpoint.h5", run->folder);
    return 0;
}

static int write_config(const struct run *run, const char *text)
{
    char path[OPTION_TEXT + 64];
    snprintf(path, sizeof path, "%s/config.json", run->folder);
    return file_publish(path, text, strlen(text));
}

static int rewrite_config(const struct run *run)
{
    char *text = train_settings_to_json(&run->trainer.settings);
    int code = text ? write_config(run, text) : err_code();
    free(text);
    return code;
}

// Said once, at the start: where parts of a batch round other than the whole.
static void say_rounded(const struct run *run)
{
    const char *first = ag_plan_rounded(run->trainer.train.plan);
    if (first)
        say(run, RUN_NOTICE,
            "--accumulate %lld: %s adds up its rows in other runs than for the whole batch, so "
            "that "
            "the result is equal to rounding, not to the bit",
            (long long)run->trainer.settings.accumulate, first);
}

static int open_metrics(struct run *run)
{
    run->metrics = run_folder_metrics(run->folder, run->trainer.step, &run->metrics_size);
    return run->metrics < 0 ? run->metrics : 0;
}

// What the task left out of the data.
static void say_data(const struct run *run)
{
    if (run->trainer.dataset.notice[0])
        say(run, RUN_NOTICE, "%s", run->trainer.dataset.notice);
}

int run_start(struct run *run, const struct train_settings *settings, bool overwrite,
              const struct run_observer *observer)
{
    char folder[OPTION_TEXT];
    clear(run, observer);
    // The model is made first, and the text of config.json: a mistake in the settings touches no
    // folder.
    int code = trainer_init(&run->trainer, settings);
    char *config = code == 0 ? train_settings_to_json(&run->trainer.settings) : NULL;
    if (code == 0 && !config)
        code = err_code();
    if (code == 0)
        code = train_settings_folder(settings, folder, sizeof folder);
    if (code == 0)
        code = set_folder(run, folder);
    if (code == 0) {
        run->trainer.lock = run_folder_create(run->folder, overwrite);
        code = run->trainer.lock < 0 ? run->trainer.lock : 0;
    }
    if (code == 0 && config)
        code = write_config(run, config);
    if (code == 0)
        code = open_metrics(run);
    free(config);
    if (code < 0)
        run_release(run);
    else {
        if (settings->tensorboard)
            tensorboard_init(&run->tensorboard, run->trainer.lock, 0);
        say_data(run);
        say_rounded(run);
    }
    return code;
}

// --- resuming

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
        say(run, RUN_NOTICE,
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
            say(run, RUN_NOTICE, "resume: --%s was %s and is now %s", row->key, before, after);
    }
    if (was->steps != is->steps)
        say_steps(run, is, was->steps);
    if (!checkpoint_same_ground(checkpoint, ground_was, ground_is))
        say(run, RUN_NOTICE,
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
    return set_folder(run, folder);
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
        best_of_history(run);
    run->saved_step = checkpoint->step;
    return code;
}

// What cannot be removed is in nobody's way.
static void tidy(const struct run *run, int lock, const struct checkpoint *checkpoint)
{
    if (run_folder_tidy(lock, run->folder, checkpoint->step, checkpoint->settings.keep - 1) < 0)
        say(run, RUN_WARNING, "%s", err_last());
}

// Where TensorBoard had nothing of the run before, it gets all that was logged.
static void resume_events(struct run *run, int lock, bool before)
{
    if (!run->trainer.settings.tensorboard)
        return;
    tensorboard_init(&run->tensorboard, lock, before ? run->trainer.step + 1 : 1);
    if (!before)
        write_history_events(run);
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
        code = open_metrics(run);
    if (code == 0)
        tidy(run, lock, checkpoint);
    if (code == 0)
        resume_events(run, lock, was->tensorboard);
    if (code == 0)
        code = rewrite_config(run);
    if (code == 0) {
        say_data(run);
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
    clear(run, observer);
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

// --- going on where there is a run, else starting one

enum { MOST_GIVEN = 64 + 6 * TRAIN_MAX_PAIRS };

struct all_settings {
    int count;
    struct run_setting given[MOST_GIVEN];
    char text[MOST_GIVEN][OPTION_TEXT];
};

static void give(struct all_settings *all, const char *key, const char *value)
{
    BUG_ON(all->count == MOST_GIVEN);
    all->given[all->count++] = (struct run_setting){key, value};
}

// As if all of them had been typed, but for those of the machine.
static int give_all(struct all_settings *all, const struct train_settings *s)
{
    for (const struct option_def *row = train_options; row->key; row++) {
        if (strcmp(row->key, "out-dir") == 0 || strcmp(row->key, "threads") == 0)
            continue;
        int code = options_get(row, s, all->text[all->count], OPTION_TEXT);
        if (code < 0)
            return code;
        give(all, row->key, all->text[all->count]);
    }
    for (int k = 0; k < train_list_count; k++)
        for (int i = 0; i < train_list_length(&train_lists[k], s); i++)
            give(all, train_lists[k].key, train_list_text(&train_lists[k], s, i));
    return 0;
}

// What was given is in the run; what the run has beside that was not given.
static int check_lists(const struct run *run, const struct train_settings *s)
{
    const struct train_settings *is = &run->trainer.settings;
    for (int k = 0; k < train_list_count; k++) {
        const struct train_list *list = &train_lists[k];
        if (list->form != TRAIN_DIGESTS &&
            train_list_length(list, is) != train_list_length(list, s))
            return err_set(ERR_ARGUMENT,
                           "%s was started with another number of --%s; give the same, or another "
                           "--out-dir",
                           run->folder, list->key);
    }
    return 0;
}

static int resume_as(struct run *run, const char *folder, const struct train_settings *settings,
                     const struct run_observer *observer)
{
    struct all_settings *all = calloc(1, sizeof *all);
    if (!all)
        return err_set(ERR_MEMORY, "out of memory for the settings of a run");
    int code = give_all(all, settings);
    if (code == 0)
        code = run_resume(run, folder, all->count, all->given, observer);
    if (code == 0) {
        code = check_lists(run, settings);
        if (code < 0)
            run_release(run);
    }
    free(all);
    return code < 0 ? err_prefix(code, "%s", folder) : 0;
}

int run_go_on(struct run *run, const struct train_settings *settings, bool overwrite,
              const struct run_observer *observer)
{
    char folder[OPTION_TEXT];
    int code = train_settings_folder(settings, folder, sizeof folder);
    if (code < 0)
        return code;
    enum run_folder_state state = run_folder_look(folder);
    if (state == RUN_FOLDER_SAVED && !overwrite)
        return resume_as(run, folder, settings, observer);
    return run_start(run, settings, overwrite || state == RUN_FOLDER_BEGUN, observer);
}

void run_release(struct run *run)
{
    saver_release(&run->saver);
    if (run->metrics >= 0)
        close(run->metrics);
    tensorboard_release(&run->tensorboard);
    history_release(&run->history);
    trainer_release(&run->trainer);
    run->metrics = -1;
}
