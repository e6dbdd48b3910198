// Saves that are made beside the training: steps go on, nothing is acknowledged before it is on
// disk, and whatever ends the run waits.
//
// A disk that takes its time is a FIFO called checkpoint.h5: opening it waits for a reader, which
// these tests are when they choose to be.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../src/io/h5file.h"
#include "../../src/train/run.h"
#include "../support/check.h"
#include "../support/settings.h"
#include "../support/folder.h"

static char base[] = "/tmp/posgrad-saves-XXXXXX";
static struct train_settings settings;
static struct run run;
static volatile sig_atomic_t stop_flag;

static struct watch {
    int64_t read_at, stop_at, break_at, begin_at; // steps; 0 for never
    int64_t saves, last_saved, saved_before; // RUN_SAVED: how many, of which step; before read_at
    int64_t warned_at;
    char warning[2048];
    char *bytes; // that were read from the FIFO
    size_t size;
    pthread_t reader;
} watch;

// --- threads, of which there may be none

static bool no_threads;
static int threads_made, threads_with_signals;

// The linker puts this in place of pthread_create (see the Makefile), which a checker of threads
// may have replaced itself.
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *context)
{
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    threads_made++;
    threads_with_signals += !sigismember(&blocked, SIGTERM) || !sigismember(&blocked, SIGUSR1);
    return no_threads ? EAGAIN : __real_pthread_create(thread, attributes, function, context);
}

// --- a run, and who watches it

// Opens the FIFO, which waits for the writer and lets it go on; what is written there from now on
// is a file.
static void *read_fifo(void *context)
{
    const struct run *from = context;
    int fd = open(from->checkpoint, O_RDONLY | O_CLOEXEC);
    unlink(from->checkpoint);
    enum { MOST = 1 << 20 };
    watch.bytes = malloc(MOST);
    for (ssize_t n = 1; fd >= 0 && watch.bytes && n > 0; watch.size += (size_t)n)
        n = read(fd, watch.bytes + watch.size, MOST - watch.size);
    close(fd);
    return NULL;
}

static void on_step(const struct run *from)
{
    int64_t step = from->trainer.step;
    if (step == watch.read_at) {
        watch.saved_before = from->saved_step;
        read_fifo((void *)(uintptr_t)from);
    }
    if (step == watch.begin_at)
        pthread_create(&watch.reader, NULL, read_fifo, (void *)(uintptr_t)from);
    if (step == watch.stop_at)
        stop_flag = 1;
    for (int64_t i = 0; step == watch.break_at && i < from->trainer.params.count; i++)
        from->trainer.params.value[i] = (real)(sizeof(real) == 4 ? 1e30 : 1e300);
}

static void observe(void *context, const struct run *from, const struct run_event *event)
{
    (void)context;
    if (event->type == RUN_STEP)
        on_step(from);
    if (event->type == RUN_SAVED) {
        watch.saves++;
        assert_true(from->saved_step > watch.last_saved);
        watch.last_saved = from->saved_step;
    }
    if (event->type == RUN_WARNING) {
        watch.warned_at = from->trainer.step;
        snprintf(watch.warning, sizeof watch.warning, "%s", event->message);
    }
}

static const struct run_observer observer = {observe, NULL, &stop_flag, NULL};

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

// The file is larger than what a pipe holds, so that its writer waits for the reader again.
static void prepare(const char *folder)
{
    settings_of(&settings, "--pe learned --task probe --layers 1 --heads 2 --dim 32 --ff-dim 64 "
                           "--steps 12 --batch-size 3 --warmup 3 --length 16 --threads 1 "
                           "--log-every 2 --save-every 4 --eval-batches 1 --keep 2 --eval-every 0");
    set("out-dir", path_in(folder, ""));
    free(watch.bytes);
    memset(&watch, 0, sizeof watch);
    stop_flag = 0;
}

static void start(void)
{
    check_ok(run_start(&run, &settings, false, &observer));
}

static void finish(int wanted)
{
    int code = run_train(&run);
    if (code != wanted)
        fail_msg("run_train gave %d: %s", code, err_last());
}

static void expect_bytes(const char *path, const char *bytes, size_t size)
{
    char *found;
    size_t n;
    check_ok(file_read(path, 1 << 26, &found, &n));
    assert_int_equal(n, size);
    assert_memory_equal(found, bytes, n);
    free(found);
}

static void expect_same(const char *a, const char *b)
{
    char *bytes;
    size_t size;
    check_ok(file_read(a, 1 << 26, &bytes, &size));
    expect_bytes(b, bytes, size);
    free(bytes);
}

// --- tests

static void the_whole_run(void **state)
{
    (void)state;
    prepare("whole");
    start();
    finish(0);
    assert_int_equal(watch.saves, 3);
    assert_int_equal(threads_made, 2); // the last save is waited for, and needs none
    assert_int_equal(threads_with_signals, 0);
    run_release(&run);
}

static void steps_go_on_while_the_disk_does_not(void **state)
{
    (void)state;
    prepare("slow");
    watch.read_at = 7;
    start();
    assert_int_equal(mkfifo(run.checkpoint, 0666), 0);
    finish(0); // with saves that the training waits for, it would never come to step 5
    assert_int_equal(watch.saved_before, -1);
    assert_int_equal(watch.saves, 3);
    run_release(&run);
    expect_bytes(path_in("stopped", "checkpoint.h5"), watch.bytes, watch.size);
    expect_same(path_in("whole", "checkpoint.h5"), path_in("slow", "checkpoint.h5"));
}

// What the FIFO got at step 7 is what the state was at step 4.
static void a_run_that_stops_at_four(void **state)
{
    (void)state;
    prepare("stopped");
    watch.stop_at = 4;
    start();
    finish(ERR_STOPPED);
    run_release(&run);
}

static void a_stop_waits_for_the_save_before(void **state)
{
    (void)state;
    prepare("stop");
    watch.stop_at = watch.begin_at = 6;
    start();
    assert_int_equal(mkfifo(run.checkpoint, 0666), 0);
    finish(ERR_STOPPED);
    assert_int_equal(watch.saves, 2);
    assert_int_equal(run.saved_step, 6);
    run_release(&run);
    pthread_join(watch.reader, NULL);
    expect_bytes(path_in("stopped", "checkpoint.h5"), watch.bytes, watch.size);
    check_ok(run_resume(&run, path_in("stop", ""), 0, NULL, &observer));
    assert_int_equal(run.trainer.step, 6);
    run_release(&run);
}

static void save_every_step(const char *folder)
{
    prepare(folder);
    set("save-every", "1");
    set("keep", "12");
    start();
    finish(0);
    assert_int_equal(watch.saves, 12); // each once, in order: see observe()
    run_release(&run);
}

// The save before is under way whenever the next is due.
static void a_save_at_every_step(void **state)
{
    (void)state;
    save_every_step("every");
    no_threads = true;
    save_every_step("every-alone");
    no_threads = false;
    for (int step = 1; step < 12; step++) {
        char name[32];
        snprintf(name, sizeof name, "checkpoint-%d.h5", step);
        expect_same(path_in("every-alone", name), path_in("every", name));
    }
    expect_same(path_in("every-alone", "checkpoint.h5"), path_in("every", "checkpoint.h5"));
}

static void a_failure_is_found_later(void **state)
{
    (void)state;
    prepare("failing");
    start();
    assert_int_equal(mkdir(run.checkpoint, 0777), 0);
    finish(ERR_FILE);
    assert_true(watch.warned_at > 4 && watch.warned_at <= 8);
    assert_non_null(strstr(watch.warning, "step 4 was not saved: "));
    assert_non_null(strstr(watch.warning, "checkpoint.h5 is a folder"));
    assert_int_equal(watch.saves, 0);
    assert_int_equal(run.saved_step, -1);
    run_release(&run);
}

// Step 9 fails on parameters that are finite. Validation, which is of their average, does not: step
// 8 stays, as it would have been saved at once.
static void a_failed_step_keeps_what_computes(void **state)
{
    (void)state;
    prepare("average");
    set("ema", "0.5");
    set("keep", "1");
    watch.break_at = 8;
    start();
    finish(ERR_NUMBER);
    assert_non_null(strstr(err_last(), "step 9: the loss is "));
    assert_non_null(strstr(err_last(), "holds step 8"));
    assert_int_equal(run.saved_step, 8);
    run_release(&run);
    prepare("dropped");
    watch.break_at = 8;
    start();
    finish(ERR_NUMBER);
    assert_non_null(strstr(err_last(), "step 8: the validation loss after the update is "));
    assert_non_null(strstr(err_last(), "holds step 4"));
    run_release(&run);
    expect_same(path_in("stopped", "checkpoint.h5"), path_in("dropped", "checkpoint.h5"));
}

static void without_threads_it_saves_in_its_own(void **state)
{
    (void)state;
    no_threads = true;
    prepare("alone");
    start();
    finish(0);
    assert_int_equal(watch.saves, 3);
    run_release(&run);
    prepare("alone-broken");
    watch.break_at = 8;
    start();
    finish(ERR_NUMBER);
    assert_non_null(strstr(err_last(), "step 8: the validation loss after the update is "));
    run_release(&run);
    no_threads = false;
    expect_same(path_in("whole", "checkpoint.h5"), path_in("alone", "checkpoint.h5"));
    expect_same(path_in("whole", "checkpoint-8.h5"), path_in("alone", "checkpoint-8.h5"));
    expect_same(path_in("stopped", "checkpoint.h5"), path_in("alone-broken", "checkpoint.h5"));
}

// Whoever lets go of a run waits for its save, but for one that nothing has proven.
static void a_release_waits_and_drops(void **state)
{
    (void)state;
    static struct saver saver;
    for (int proven = 0; proven < 2; proven++) {
        struct save_order order = {.metrics = -1, .events = -1, .elder = -1, .keep = 1};
        prepare(proven ? "proven" : "unproven");
        start();
        snprintf(order.best, sizeof order.best, "%s", path_in(proven ? "proven" : "unproven", "b"));
        check_ok(saver_begin(&saver, &order, &run.trainer, &run.history, proven));
        assert_true(saver_is_unjudged(&saver) == !proven);
        saver_release(&saver);
        assert_int_equal(access(order.best, F_OK), proven ? 0 : -1);
        assert_false(saver_ended(&saver, true));
        run_release(&run);
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
    free(watch.bytes);
    return folder_remove(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_run),
        cmocka_unit_test(a_run_that_stops_at_four),
        cmocka_unit_test(steps_go_on_while_the_disk_does_not),
        cmocka_unit_test(a_stop_waits_for_the_save_before),
        cmocka_unit_test(a_save_at_every_step),
        cmocka_unit_test(a_failure_is_found_later),
        cmocka_unit_test(a_failed_step_keeps_what_computes),
        cmocka_unit_test(without_threads_it_saves_in_its_own),
        cmocka_unit_test(a_release_waits_and_drops),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
