// The run folder: what a run leaves does not depend on where it was stopped, and nothing is lost or
// overwritten without being asked for.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../autograd/base/err.h"
#include "../../src/io/h5file.h"
#include "../../src/train/run.h"
#include "../support/settings.h"
#include "../support/folder.h"

static char base[] = "/tmp/posgrad-run-XXXXXX";
static struct train_settings settings;
static struct run run;

// What the observer saw and does.
struct watch {
    int64_t stop_at, break_at; // steps; 0 for never
    int64_t stop_after;        // the evaluation of this step
    int64_t save_at;           // step
    bool saved_before;         // its evaluation
    bool lift;                 // what is in the way of checkpoint.h5, once it was warned of
    int warnings, notices, saves;
    char notice[2048], warning[2048];
};
static struct watch watch;
static volatile sig_atomic_t stop_flag, save_flag;

// What is broken at break_at: a parameter, the optimizer's state, or parameters that are finite and
// whose products are not.
static int broken_place;

static void break_state(const struct trainer *trainer)
{
    if (broken_place == 0)
        trainer->params.value[0] = (real)NAN;
    if (broken_place == 1)
        trainer->optimizer.state[0][0] = (real)INFINITY;
    for (int64_t i = 0; broken_place == 2 && i < trainer->params.count; i++)
        trainer->params.value[i] = (real)(sizeof(real) == 4 ? 1e30 : 1e300);
}

static void observe(void *context, const struct run *from, const struct run_event *event)
{
    struct watch *w = context;
    int64_t step = from->trainer.step;
    if (event->type == RUN_STEP && step == w->stop_at)
        stop_flag = 1;
    if (event->type == RUN_EVALUATION && step == w->stop_after)
        stop_flag = 1;
    if (event->type == RUN_STEP && step == w->break_at)
        break_state(&from->trainer);
    if (event->type == RUN_STEP && step == w->save_at)
        save_flag = 1;
    w->saves += event->type == RUN_SAVED;
    if (event->type == RUN_SAVED && event->asked)
        w->saved_before = from->saved_step == step && from->evaluated_step < step;
    if (event->type == RUN_NOTICE) {
        w->notices++;
        snprintf(w->notice + strlen(w->notice), sizeof w->notice - strlen(w->notice), "%s\n",
                 event->message);
    }
    if (event->type == RUN_WARNING) {
        w->warnings++;
        if (w->lift)
            rmdir(from->checkpoint);
        snprintf(w->warning, sizeof w->warning, "%s", event->message);
    }
}

static const struct run_observer observer = {observe, &watch, &stop_flag, &save_flag};

static void set(const char *key, const char *value)
{
    settings_set(&settings, key, value);
}

static const char *path_in(const char *folder, const char *name)
{
    static char path[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s%s%s", base, folder, *name ? "/" : "", name);
    return path[turn];
}

static void prepare(const char *folder)
{
    settings_of(&settings,
                "--pe learned --task probe --layers 1 --heads 2 --dim 8 --ff-dim 12 "
                "--batch-size 3 --steps 12 --warmup 3 --length 16 --log-every 2 "
                "--eval-every 3 --save-every 4 --threads 1 --eval-batches 2 --dropout 0.1");
    set("out-dir", path_in(folder, ""));
    memset(&watch, 0, sizeof watch);
    stop_flag = save_flag = 0;
}

static void start(bool overwrite)
{
    if (run_start(&run, &settings, overwrite, &observer) < 0)
        fail_msg("%s", err_last());
}

static void resume(const char *folder, int count, const struct run_setting *given)
{
    stop_flag = 0;
    watch.stop_at = 0;
    if (run_resume(&run, path_in(folder, ""), count, given, &observer) < 0)
        fail_msg("%s", err_last());
}

static void finish(int wanted)
{
    int code = run_train(&run);
    if (code != wanted)
        fail_msg("run_train gave %d: %s", code, err_last());
    run_release(&run);
}

static char *contents(const char *path, size_t *size)
{
    char *bytes;
    if (file_read(path, 1 << 26, &bytes, size) < 0)
        fail_msg("%s", err_last());
    return bytes;
}

// Cuts the timing fields, which are the last two of a training line.
static char *without_times(const char *path)
{
    size_t size;
    char *text = contents(path, &size), *to = text;
    for (char *p = text; *p;) {
        if (strncmp(p, ", \"step_ms\"", 11) == 0)
            p += strcspn(p, "}");
        else
            *to++ = *p++;
    }
    *to = '\0';
    return text;
}

static void expect_same_metrics(const char *a, const char *b)
{
    char *x = without_times(path_in(a, "metrics.jsonl"));
    char *y = without_times(path_in(b, "metrics.jsonl"));
    assert_string_equal(x, y);
    assert_non_null(strstr(x, "\"step\": 12, \"split\": \"validation\", \"loss\": "));
    free(x);
    free(y);
}

static void expect_same_checkpoint(const char *a, const char *b)
{
    size_t n, m;
    char *x = contents(path_in(a, "checkpoint.h5"), &n);
    char *y = contents(path_in(b, "checkpoint.h5"), &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

static void a_stop_leaves_no_trace(void **state)
{
    (void)state;
    prepare("whole");
    start(false);
    finish(0);
    assert_int_equal(watch.saves, 3);
    for (int64_t stop = 1; stop < 12; stop++) {
        char folder[32];
        snprintf(folder, sizeof folder, "stopped-%d", (int)stop);
        prepare(folder);
        watch.stop_at = stop;
        start(false);
        finish(ERR_STOPPED);
        // Lines past the checkpoint, and half a line, are what a kill leaves.
        FILE *file = fopen(path_in(folder, "metrics.jsonl"), "a");
        fprintf(file, "{\"step\": %d, \"split\": \"train\"}\n{\"step\": 1", (int)stop + 1);
        fclose(file);
        resume(folder, 0, NULL);
        finish(0);
        expect_same_metrics("whole", folder);
        expect_same_checkpoint("whole", folder);
    }
}

// One that would last for hours is left, and made when the run goes on.
static void a_stop_cuts_an_evaluation_short(void **state)
{
    (void)state;
    static const struct run_setting shorter[] = {{"eval-batches", "2"}};
    for (int64_t stop = 3; stop <= 12; stop += 9) {
        char folder[32];
        size_t size;
        snprintf(folder, sizeof folder, "cut-%d", (int)stop);
        prepare(folder);
        if (stop == 12)
            set("eval-every", "0"); // the last one is made all the same
        set("eval-batches", "1000000");
        watch.stop_at = stop;
        start(false);
        finish(ERR_STOPPED);
        char *lines = contents(path_in(folder, "metrics.jsonl"), &size);
        assert_null(strstr(lines, "validation"));
        free(lines);
        resume(folder, 1, shorter);
        assert_int_equal(run.trainer.step, stop);
        assert_false(run_is_done(&run));
        assert_int_equal(run_train(&run), 0);
        assert_true(run_is_done(&run));
        run_release(&run);
        if (stop == 3) {
            expect_same_metrics("whole", folder);
            continue;
        }
        // The last line is there, and in the checkpoint.
        lines = contents(path_in(folder, "metrics.jsonl"), &size);
        assert_non_null(strstr(lines, "\"step\": 12, \"split\": \"validation\""));
        free(lines);
        resume(folder, 0, NULL);
        assert_int_equal(run.history.split[HISTORY_VALIDATION].rows, 1);
        run_release(&run);
    }
}

static void config_repeats_the_run(void **state)
{
    (void)state;
    size_t size;
    prepare("again");
    char *text = contents(path_in("whole", "config.json"), &size);
    assert_int_equal(train_settings_from_json(&settings, text), 0);
    free(text);
    set("out-dir", path_in("again", ""));
    start(false);
    finish(0);
    expect_same_metrics("whole", "again");
    expect_same_checkpoint("whole", "again");
}

static void expect_refusal(int code, int wanted, const char *part)
{
    assert_int_equal(code, wanted);
    if (!strstr(err_last(), part))
        fail_msg("the line '%s' does not say '%s'", err_last(), part);
}

static void folders_are_not_overwritten(void **state)
{
    (void)state;
    size_t size;
    prepare("whole");
    expect_refusal(run_start(&run, &settings, false, &observer), ERR_FILE, "--overwrite");
    prepare("taken");
    start(false);
    FILE *file = fopen(path_in("taken", "notes"), "w");
    assert_non_null(file);
    fclose(file);
    static struct run second;
    expect_refusal(run_start(&second, &settings, true, &observer), ERR_FILE, "another process");
    expect_refusal(run_resume(&second, path_in("taken", ""), 0, NULL, &observer), ERR_FILE,
                   "another process");
    finish(0);
    start(true);
    assert_int_equal(access(path_in("taken", "checkpoint.h5"), F_OK), -1);
    assert_int_equal(access(path_in("taken", "notes"), F_OK), 0);
    finish(0);
    free(contents(path_in("taken", "checkpoint.h5"), &size));
}

static void a_mistake_touches_no_folder(void **state)
{
    (void)state;
    prepare("whole");
    set("heads", "3");
    expect_refusal(run_start(&run, &settings, true, &observer), ERR_ARGUMENT, "--heads");
    assert_int_equal(access(path_in("whole", "checkpoint.h5"), F_OK), 0);
    prepare("never");
    set("heads", "3");
    expect_refusal(run_start(&run, &settings, false, &observer), ERR_ARGUMENT, "--heads");
    assert_int_equal(access(path_in("never", ""), F_OK), -1);
}

static void resume_keeps_what_defines_the_run(void **state)
{
    (void)state;
    static const struct run_setting bad[] = {
        {"pe", "none"},      {"dim", "16"},          {"lr", "0.1"},  {"seed", "1"},
        {"task", "copy"},    {"steps", "3"},         {"steps", "x"}, {"out-dir", "x"},
        {"task-opt", "a=1"}, {"schedule", "linear"},
    };
    static const struct run_setting good[] = {
        {"dim", "8"}, {"steps", "20"}, {"log_every", "1"}, {"threads", "2"}};
    prepare("longer");
    watch.stop_at = 5;
    start(false);
    finish(ERR_STOPPED);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int code = run_resume(&run, path_in("longer", ""), 1, &bad[i], &observer);
        expect_refusal(code, ERR_ARGUMENT, bad[i].key);
    }
    watch.notices = 0;
    resume("longer", 4, good);
    assert_int_equal(watch.notices, 4);
    assert_non_null(strstr(watch.notice, "--steps was 12 and is now 20"));
    assert_non_null(strstr(watch.notice, "cosine schedule"));
    assert_non_null(strstr(watch.notice, "--threads was 1 and is now 2"));
    assert_int_equal(run.trainer.settings.steps, 20);
    finish(0);
    resume("longer", 0, NULL); // a finished run: nothing to do, its result is there
    assert_int_equal(run.trainer.step, 20);
    assert_int_equal(run.trainer.settings.threads, 2);
    assert_int_equal(run_train(&run), 0);
    assert_int_equal(run.evaluated_step, 20);
    run_release(&run);
}

static void a_failed_save_is_tried_again(void **state)
{
    (void)state;
    prepare("failing");
    start(false);
    assert_int_equal(mkdir(run.checkpoint, 0777), 0); // rename() cannot replace a folder
    assert_int_equal(run_train(&run), ERR_FILE);
    assert_int_equal(run.trainer.step, 12);
    assert_int_equal(watch.warnings, 1); // said once, and as the outcome
    assert_non_null(strstr(watch.warning, "step 4 was not saved"));
    assert_non_null(strstr(err_last(), "step 12 is not saved: "));
    assert_non_null(strstr(err_last(), "checkpoint.h5"));
    run_release(&run);
    prepare("mended");
    watch.lift = true;
    start(false);
    assert_int_equal(mkdir(run.checkpoint, 0777), 0);
    finish(0);
    assert_int_equal(watch.warnings, 1);
    assert_non_null(strstr(watch.notice, "step 8 is saved"));
    assert_int_equal(watch.saves, 2);
    expect_same_checkpoint("whole", "mended");
}

static void divergence_keeps_the_last_good_state(void **state)
{
    (void)state;
    prepare("broken");
    watch.break_at = 6;
    set("eval-every", "0");
    start(false);
    expect_refusal(run_train(&run), ERR_NUMBER, "step 7");
    assert_non_null(strstr(err_last(), "holds step 4"));
    assert_non_null(strstr(err_last(), "tok_emb.weight"));
    run_release(&run);
    resume("broken", 0, NULL);
    assert_int_equal(run.trainer.step, 4);
    run_release(&run);
}

// A state that cannot go on never takes the place of one that can.
static void a_broken_state_is_not_saved(void **state)
{
    (void)state;
    static const char *const places[] = {"an element of tok_emb.weight",
                                         "the optimizer's m of tok_emb"};
    for (int k = 0; k < 3; k++) {
        prepare(k == 0 ? "broken-0" : k == 1 ? "broken-1" : "broken-2");
        set("eval-every", "0");
        watch.break_at = 8; // where a save is due
        broken_place = k;
        start(false);
        expect_refusal(run_train(&run), ERR_NUMBER, "step 8: ");
        assert_non_null(strstr(err_last(), k < 2 ? places[k] : "validation loss after the update"));
        assert_non_null(strstr(err_last(), "holds step 4"));
        run_release(&run);
    }
    broken_place = 0;
}

static void an_evaluation_names_the_first_op(void **state)
{
    (void)state;
    prepare("broken-3");
    set("eval-every", "1");
    watch.break_at = 6;
    broken_place = 2;
    start(false);
    expect_refusal(run_train(&run), ERR_NUMBER, "step 6: the validation loss after the update is ");
    assert_non_null(strstr(err_last(), "first seen in layers.0"));
    run_release(&run);
    broken_place = 0;
}

// --- the best evaluation, and the end by itself

static void patient(const char *folder)
{
    prepare(folder);
    set("steps", "200");
    set("lr", "0.3"); // too high: soon nothing gets better
    set("schedule", "constant");
    set("patience", "3");
    set("ema", "0.5");
}

static void expect_same_best(const char *a, const char *b)
{
    size_t n, m;
    char *x = contents(path_in(a, "best.h5"), &n);
    char *y = contents(path_in(b, "best.h5"), &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

static void a_run_ends_itself(void **state)
{
    (void)state;
    patient("patient");
    start(false);
    assert_int_equal(run_train(&run), 0);
    int64_t end = run.trainer.step, best = run.best.step;
    assert_true(run_ended_early(&run));
    assert_true(end < 200 && best >= 3 && end == best + 9); // evaluations are 3 steps apart
    // By hand, from the history.
    const struct history_series *series = &run.history.split[HISTORY_VALIDATION];
    for (int64_t i = 0; i < series->rows; i++) {
        if (series->step[i] < best)
            assert_true(series->column[0][i] > run.best.value);
        else
            assert_true(series->column[0][i] >= run.best.value);
    }
    run_release(&run);
    // Stopped at any step, it ends at the same one, with the same files.
    for (int64_t stop = 2; stop < end; stop += 7) {
        char folder[32];
        snprintf(folder, sizeof folder, "patient-%d", (int)stop);
        patient(folder);
        watch.stop_at = stop;
        start(false);
        finish(ERR_STOPPED);
        resume(folder, 0, NULL);
        assert_int_equal(run_train(&run), 0);
        assert_int_equal(run.trainer.step, end);
        assert_int_equal(run.best.step, best);
        run_release(&run);
        expect_same_checkpoint("patient", folder);
        expect_same_best("patient", folder);
    }
    // At its end it stays there, until it is given more patience.
    resume("patient", 0, NULL);
    finish(0);
    static const struct run_setting more[] = {{"patience", "4"}}, none[] = {{"patience", "0"}};
    expect_refusal(run_resume(&run, path_in("patient", ""), 1, none, &observer), ERR_ARGUMENT,
                   "--patience");
    resume("patient", 1, more);
    assert_int_equal(run_train(&run), 0);
    assert_true(run.trainer.step > end);
    run_release(&run);
}

// best.h5 is the checkpoint that a run which ends there leaves.
static void the_best_is_a_checkpoint(void **state)
{
    (void)state;
    static struct run other;
    patient("best");
    set("early-stop-metric", "accuracy");
    set("patience", "0");
    set("keep-best", "yes");
    set("steps", "30");
    start(false);
    assert_int_equal(run_train(&run), 0);
    int64_t best = run.best.step;
    const struct history_series *series = &run.history.split[HISTORY_VALIDATION];
    double most = 0;
    for (int64_t i = 0; i < series->rows; i++)
        most = series->column[1][i] > most ? series->column[1][i] : most;
    assert_true(run.best.value == most);
    run_release(&run);
    patient("best-alone");
    set("early-stop-metric", "accuracy");
    set("patience", "0");
    set("keep-best", "yes");
    set("steps", "30");
    watch.stop_after = best;
    assert_int_equal(run_start(&other, &settings, false, &observer), 0);
    assert_int_equal(run_train(&other), best == 30 ? 0 : ERR_STOPPED);
    run_release(&other);
    expect_same_best("best", "best-alone");
    size_t n, m;
    char *x = contents(path_in("best-alone", "best.h5"), &n);
    char *y = contents(path_in("best-alone", "checkpoint.h5"), &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

static void going_on_needs_the_same_settings(void **state)
{
    (void)state;
    prepare("on");
    assert_int_equal(run_go_on(&run, &settings, false, &observer), 0); // starts
    assert_int_equal(run.trainer.step, 0);
    run_release(&run);
    assert_int_equal(run_go_on(&run, &settings, false, &observer), 0); // never saved: anew
    watch.stop_at = 5;
    finish(ERR_STOPPED);
    stop_flag = 0;
    watch.stop_at = 0;
    set("threads", "2");
    assert_int_equal(run_go_on(&run, &settings, false, &observer), 0);
    assert_int_equal(run.trainer.step, 5);
    finish(0);
    expect_same_checkpoint("whole", "on");
    set("dim", "16");
    expect_refusal(run_go_on(&run, &settings, false, &observer), ERR_ARGUMENT, "--dim is 8");
    set("dim", "8");
    set("task-opt", "bos=1");
    expect_refusal(run_go_on(&run, &settings, false, &observer), ERR_ARGUMENT, "--task-opt");
}

static void a_save_on_request_changes_nothing(void **state)
{
    (void)state;
    prepare("asked");
    start(false);
    save_flag = 1;
    finish(0);
    assert_int_equal(watch.saves, 4);
    assert_int_equal(save_flag, 0);
    expect_same_metrics("whole", "asked");
    expect_same_checkpoint("whole", "asked");
}

// Nor does one in the middle of an evaluation, which is not waited for. A kill in it leaves that
// save.
static void a_save_on_request_in_an_evaluation(void **state)
{
    (void)state;
    for (int64_t step = 3; step <= 12; step += 3) {
        prepare("asked-early");
        watch.save_at = step;
        start(true);
        finish(0);
        assert_true(watch.saved_before);
        expect_same_metrics("whole", "asked-early");
        expect_same_checkpoint("whole", "asked-early");
    }
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(base) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return folder_remove(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_leaves_no_trace),
        cmocka_unit_test(a_stop_cuts_an_evaluation_short),
        cmocka_unit_test(config_repeats_the_run),
        cmocka_unit_test(folders_are_not_overwritten),
        cmocka_unit_test(a_mistake_touches_no_folder),
        cmocka_unit_test(resume_keeps_what_defines_the_run),
        cmocka_unit_test(a_failed_save_is_tried_again),
        cmocka_unit_test(divergence_keeps_the_last_good_state),
        cmocka_unit_test(a_broken_state_is_not_saved),
        cmocka_unit_test(an_evaluation_names_the_first_op),
        cmocka_unit_test(a_save_on_request_changes_nothing),
        cmocka_unit_test(a_save_on_request_in_an_evaluation),
        cmocka_unit_test(a_run_ends_itself),
        cmocka_unit_test(the_best_is_a_checkpoint),
        cmocka_unit_test(going_on_needs_the_same_settings),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
