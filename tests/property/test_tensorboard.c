// A run with --tensorboard: its event files have the points of metrics.jsonl, whatever ended the
// run and how often it went on, and nothing else of the run is other than without.
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../src/io/h5file.h"
#include "../../src/train/run.h"
#include "../support/check.h"
#include "../support/events.h"
#include "../support/folder.h"

static char base[] = "/tmp/posgrad-tensorboard-XXXXXX";
static struct train_settings settings;
static struct run run;
static struct events events;

struct watch {
    int64_t kill_at;    // this step ends the process, once there is a checkpoint; 0: never
    int64_t full_after; // from this step on the event file is on a full disk
    int64_t save_at;    // a save is made in the evaluation of this step, and the process ends after
    int warnings, notices;
    char warning[1024];
};
static struct watch watch;

static volatile sig_atomic_t save_flag;

static void observe(void *context, const struct run *from, const struct run_event *event)
{
    (void)context;
    if (event->type == RUN_STEP && watch.kill_at && from->trainer.step == watch.kill_at) {
        for (int i = 0; i < 60000 && access(from->checkpoint, F_OK) != 0; i++)
            usleep(1000); // it is written beside the steps
        raise(SIGKILL);
    }
    if (event->type == RUN_STEP && watch.full_after && from->trainer.step == watch.full_after) {
        int full = open("/dev/full", O_WRONLY);
        dup2(full, from->tensorboard.fd);
        close(full);
    }
    if (watch.save_at && from->trainer.step == watch.save_at) {
        save_flag |= event->type == RUN_STEP;
        if (event->type == RUN_EVALUATION && from->saved_step == watch.save_at)
            raise(SIGKILL);
    }
    watch.notices += event->type == RUN_NOTICE;
    if (event->type == RUN_WARNING) {
        watch.warnings++;
        snprintf(watch.warning, sizeof watch.warning, "%s", event->message);
    }
}

static const struct run_observer observer = {observe, NULL, NULL, &save_flag};

static void set(const char *key, const char *value)
{
    check_ok(train_settings_assign(&settings, key, value));
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
    static const char *const values[][2] = {
        {"pe", "learned"},   {"task", "probe"}, {"layers", "1"},       {"heads", "2"},
        {"dim", "8"},        {"ff-dim", "12"},  {"batch-size", "3"},   {"steps", "12"},
        {"warmup", "3"},     {"length", "16"},  {"log-every", "2"},    {"eval-every", "3"},
        {"save-every", "4"}, {"threads", "1"},  {"eval-batches", "2"}, {"tensorboard", "yes"},
        {"keep", "9"},
    };
    train_settings_init(&settings);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        set(values[i][0], values[i][1]);
    set("out-dir", path_in(folder, ""));
    memset(&watch, 0, sizeof watch);
}

static void start(void)
{
    check_ok(run_start(&run, &settings, false, &observer));
}

static void resume(const char *folder, int count, const struct run_setting *given)
{
    check_ok(run_resume(&run, path_in(folder, ""), count, given, &observer));
}

static void finish(void)
{
    check_ok(run_train(&run));
    run_release(&run);
}

static char *contents(const char *folder, const char *name, size_t *size)
{
    char *bytes;
    if (file_read(path_in(folder, name), 1 << 26, &bytes, size) < 0)
        fail_msg("%s", err_last());
    return bytes;
}

// --- the same points

// Of a number of a line; lines have fewer digits of times.
static void expect_point(const json_t *line, int64_t step, const char *key, const char *tag)
{
    const json_t *number = json_object_get(line, key);
    float value = (float)NAN;
    if (!number)
        return;
    if (events_find(&events, tag, step, &value) != 1)
        fail_msg("%s is there %d times at step %d", tag, events_find(&events, tag, step, &value),
                 (int)step);
    double wanted = json_number_value(number);
    if (strncmp(tag, "speed/", 6) == 0)
        check_close(value, wanted, 1e-6, strcmp(key, "step_ms") == 0 ? 0.0006 : 0.6);
    else if (value != (float)wanted)
        fail_msg("%s is %.9g at step %d, and %.9g in the line", tag, (double)value, (int)step,
                 wanted);
}

// Of a folder with lines of `lines`; `times` where these are of one process with its points.
static void expect_same_points(const char *folder, const char *lines, bool times)
{
    static const char *const train[][2] = {
        {"loss", "train/loss"},       {"accuracy", "train/accuracy"},
        {"lr", "optim/lr"},           {"grad_norm", "optim/grad_norm"},
        {"step_ms", "speed/step_ms"}, {"tokens_per_s", "speed/tokens_per_s"}};
    static const char *const eval[][2] = {{"loss", "eval/loss"},
                                          {"accuracy", "eval/accuracy"},
                                          {"exact_match", "eval/exact_match"},
                                          {"bits_per_byte", "eval/bits_per_byte"}};
    char *line = NULL;
    size_t capacity = 0;
    int expected = 0;
    FILE *file = fopen(path_in(lines, "metrics.jsonl"), "r");
    assert_non_null(file);
    events_read(&events, path_in(folder, ""));
    while (getline(&line, &capacity, file) > 0) {
        json_t *object = json_loads(line, 0, NULL);
        assert_non_null(object);
        bool training = json_object_get(object, "lr");
        int64_t step = json_integer_value(json_object_get(object, "step"));
        for (int i = 0; i < (training ? times ? 6 : 4 : 4); i++) {
            const char *const *pair = training ? train[i] : eval[i];
            expected += json_object_get(object, pair[0]) != NULL;
            expect_point(object, step, pair[0], pair[1]);
        }
        json_decref(object);
    }
    free(line);
    fclose(file);
    assert_true(expected > 30);
    if (times)
        assert_int_equal(events.points, expected); // and no others
}

// --- tests

static void points_of_a_run(void **state)
{
    (void)state;
    prepare("whole");
    start();
    finish();
    expect_same_points("whole", "whole", true);
    assert_int_equal(events.files, 1);
    assert_int_equal(watch.warnings, 0);
}

static json_t *config_of(const char *folder)
{
    json_t *config = json_load_file(path_in(folder, "config.json"), 0, NULL);
    assert_non_null(config);
    return config;
}

// But for the setting itself, which config.json remembers, a run has the bytes of one without.
static void nothing_else_changes(void **state)
{
    (void)state;
    size_t n, m;
    prepare("without");
    set("tensorboard", "no");
    start();
    finish();
    events_read(&events, path_in("without", ""));
    assert_int_equal(events.files, 0);
    char *x = contents("whole", "checkpoint.h5", &n), *y = contents("without", "checkpoint.h5", &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
    json_t *with = config_of("whole"), *without = config_of("without");
    assert_true(json_is_true(json_object_get(with, "tensorboard")));
    assert_true(json_is_false(json_object_get(without, "tensorboard")));
    for (int i = 0; i < 2; i++) {
        json_object_del(i ? with : without, "tensorboard");
        json_object_del(i ? with : without, "out_dir");
    }
    assert_true(json_equal(with, without));
    json_decref(with);
    json_decref(without);
    expect_same_points("whole", "without", false); // with the values of its lines
}

// Ends the process of a run at once, without a warning.
static void kill_run(const char *folder, bool go_on)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int code = go_on ? run_resume(&run, path_in(folder, ""), 0, NULL, &observer)
                         : run_start(&run, &settings, false, &observer);
        _exit(code < 0 || run_train(&run) < 0 ? 1 : 2);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void append_half_a_record(const char *folder)
{
    events_read(&events, path_in(folder, ""));
    assert_true(events.files > 0);
    FILE *file = fopen(path_in(folder, events.file[events.files - 1]), "a");
    assert_non_null(file);
    fwrite("\x30\0\0\0\0\0\0\0abcdef", 1, 14, file);
    fclose(file);
}

// Killed twice, with half a record at the end of a file each time.
static void a_kill_and_a_resume(void **state)
{
    (void)state;
    prepare("long");
    set("steps", "400");
    start();
    finish();
    prepare("killed");
    set("steps", "400");
    watch.kill_at = 7;
    kill_run("killed", false);
    append_half_a_record("killed");
    watch.kill_at = 200;
    kill_run("killed", true);
    append_half_a_record("killed");
    watch.kill_at = 0;
    resume("killed", 0, NULL);
    finish();
    expect_same_points("killed", "long", false);
    expect_same_points("killed", "killed", false);
    assert_true(events.torn);
    events_read(&events, path_in("killed", ""));
    int points = events.points;
    events_read(&events, path_in("long", ""));
    assert_int_equal(points, events.points);
}

// A checkpoint that was asked for in an evaluation does not know of it. The line and the points of
// the evaluation are there when the process ends, and it is made anew.
static void a_kill_after_an_evaluation(void **state)
{
    (void)state;
    static const char head[] = "\"step\": 6, \"split\": \"validation\"";
    float value;
    size_t size;
    prepare("evaluated");
    watch.save_at = 6;
    kill_run("evaluated", false);
    watch.save_at = 0;
    events_read(&events, path_in("evaluated", ""));
    assert_int_equal(events_find(&events, "eval/loss", 6, &value), 1);
    resume("evaluated", 0, NULL);
    finish();
    expect_same_points("evaluated", "evaluated", false);
    assert_int_equal(events_find(&events, "eval/loss", 6, &value), 1);
    assert_int_equal(events_find(&events, "train/loss", 6, &value), 1);
    char *lines = contents("evaluated", "metrics.jsonl", &size);
    int count = 0;
    for (const char *p = lines; (p = strstr(p, head)); p++)
        count++;
    free(lines);
    assert_int_equal(count, 1);
}

// An elder checkpoint takes the place of the last one: what came after it is made anew.
static void going_back(void **state)
{
    (void)state;
    static const struct run_setting longer[] = {{"steps", "13"}};
    prepare("back");
    start();
    finish();
    assert_int_equal(rename(path_in("back", "checkpoint-4.h5"), path_in("back", "checkpoint.h5")),
                     0);
    resume("back", 1, longer);
    finish();
    expect_same_points("back", "back", false);
    assert_int_equal(events.files, 2);
    assert_true(events.forgotten > 20);
    float value;
    assert_int_equal(events_find(&events, "eval/loss", 13, &value), 1);
    // Nothing to do, and nothing to say.
    resume("back", 0, NULL);
    finish();
    events_read(&events, path_in("back", ""));
    assert_int_equal(events.files, 2);
}

// Turned on when a run goes on, also at its end: all that was logged is there.
static void turned_on_late(void **state)
{
    (void)state;
    static const struct run_setting on[] = {{"tensorboard", "yes"}},
                                    off[] = {{"tensorboard", "no"}};
    prepare("late");
    set("tensorboard", "no");
    start();
    finish();
    resume("late", 1, on);
    assert_int_equal(watch.notices, 1); // that --tensorboard was no
    finish();
    expect_same_points("late", "late", false);
    assert_int_equal(events.files, 1);
    resume("late", 1, off);
    finish();
    resume("late", 1, on);
    finish();
    expect_same_points("late", "late", false); // once each
    assert_int_equal(events.files, 2);
}

static void overwriting(void **state)
{
    (void)state;
    prepare("over");
    start();
    finish();
    events_read(&events, path_in("over", ""));
    char old[160];
    memcpy(old, events.file[0], sizeof old);
    FILE *file = fopen(path_in("over", "events.out.tfevents.1.x.0"), "w");
    assert_non_null(file);
    fclose(file);
    check_ok(run_start(&run, &settings, true, &observer));
    assert_int_equal(access(path_in("over", old), F_OK), -1);
    assert_int_equal(access(path_in("over", "events.out.tfevents.1.x.0"), F_OK), 0);
    finish();
    assert_int_equal(unlink(path_in("over", "events.out.tfevents.1.x.0")), 0);
    expect_same_points("over", "over", true);
}

// The training goes on; what is missing is said once, and at the end.
static void a_full_disk(void **state)
{
    (void)state;
    size_t n, m;
    if (access("/dev/full", W_OK) != 0)
        skip();
    prepare("full");
    watch.full_after = 5;
    start();
    check_error(run_train(&run), ERR_FILE, "event file in ");
    run_release(&run);
    assert_int_equal(watch.warnings, 1);
    assert_non_null(strstr(watch.warning, "cannot write the event file in "));
    assert_non_null(strstr(watch.warning, "No space left"));
    char *x = contents("whole", "checkpoint.h5", &n), *y = contents("full", "checkpoint.h5", &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
    events_read(&events, path_in("full", ""));
    assert_false(events.torn);
    float value;
    assert_int_equal(events_find(&events, "train/loss", 4, &value), 1);
    assert_int_equal(events_find(&events, "train/loss", 6, &value), 0);
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
        cmocka_unit_test(a_kill_and_a_resume), // forks, and so comes before any thread
        cmocka_unit_test(a_kill_after_an_evaluation),
        cmocka_unit_test(points_of_a_run),
        cmocka_unit_test(nothing_else_changes),
        cmocka_unit_test(going_back),
        cmocka_unit_test(turned_on_late),
        cmocka_unit_test(overwriting),
        cmocka_unit_test(a_full_disk),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down) != 0;
}
