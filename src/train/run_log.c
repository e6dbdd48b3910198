// What is logged: a line of metrics.jsonl, a point for TensorBoard, a row of the history.
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/retry.h"
#include "../io/h5file.h"
#include "run_folder.h"
#include "run_inside.h"

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
        run_say(run, RUN_WARNING, "cannot write %s/metrics.jsonl: %s; lines will be missing",
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
        run_say(run, RUN_WARNING,
                "cannot write the event file in %s: %s; points will be missing in TensorBoard",
                run->folder, err_last());
}

void run_log_history(struct run *run, int64_t first_step)
{
    for (int split = 0; split < HISTORY_SPLITS; split++) {
        const struct history_series *series = &run->history.split[split];
        for (int64_t i = 0; i < series->rows; i++) {
            double value[HISTORY_MAX_COLUMNS];
            for (int c = 0; c < history_layouts[split].columns; c++)
                value[c] = series->column[c][i];
            if (series->step[i] >= first_step)
                write_event(run, (enum history_split)split, series->step[i], value, NULL);
        }
    }
}

// --- what is logged

int run_log_training(struct run *run, const struct train_step_result *result)
{
    const struct train_settings *s = &run->trainer.settings;
    struct line line;
    double time = run_now(), seconds = time - run->log_time;
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
    run_tell(run, &event);
    run->log_time = run_now();
    run->log_step = run->trainer.step;
    return history_add(&run->history, HISTORY_TRAIN, run->trainer.step, value);
}

int run_log_evaluation(struct run *run, const double value[HISTORY_MAX_COLUMNS], bool best)
{
    struct line line;
    const struct trainer *trainer = &run->trainer;
    const struct evaluation *result = &run->evaluation;
    put_head(&line, trainer->step, dataset_split_name[DATASET_VALIDATION]);
    put_real(&line, "loss", result->loss);
    put_real(&line, "accuracy", result->accuracy);
    put_real(&line, "exact_match", result->exact_match);
    put(&line, ", \"length\": %lld", (long long)trainer->settings.length);
    if (trainer->dataset.bits_per_byte)
        put_real(&line, "bits_per_byte", result->loss / log(2));
    if (train_settings_keep_best(&trainer->settings))
        put(&line, ", \"best\": %s", best ? "true" : "false");
    put(&line, "}");
    write_metrics(run, &line);
    write_event(run, HISTORY_VALIDATION, trainer->step, value, NULL);
    run_tell(run,
             &(struct run_event){.type = RUN_EVALUATION, .evaluation = result, .json = line.text});
    return history_add(&run->history, HISTORY_VALIDATION, trainer->step, value);
}

int run_open_metrics(struct run *run)
{
    run->metrics = run_folder_metrics(run->folder, run->trainer.step, run_has_evaluation(run),
                                      &run->metrics_size);
    return run->metrics < 0 ? run->metrics : 0;
}
