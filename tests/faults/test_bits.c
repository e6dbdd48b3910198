// The same bits: every case of the lists ends in one checkpoint, to the byte, with any number of
// threads and however often it was stopped and resumed, each time with another number of them.
//
// In the short form each case is run twice, in different ways from case to case. STEPS asks for the
// long one: so many steps of models that are large enough for every op to be cut into pieces, with
// 1, 2, 3 and 8 threads and three ways to be stopped (`make faults` has STEPS=200).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../src/io/h5file.h"
#include "../../src/train/run.h"
#include "../support/check.h"
#include "../support/run_cases.h"

static char base[] = "/tmp/posgrad-bits-XXXXXX";
static char text[64], folder[64];
static struct train_settings settings;
static struct run run;
static char name[160];

enum { SHORT = 5, MOST_STOPS = 3 };
static int64_t steps = SHORT;
static bool is_long;

// One way to get to the end: the threads of each part, and the steps after which it is stopped.
struct way {
    int parts;
    int threads[MOST_STOPS + 1];
    int64_t stop[MOST_STOPS];
};

// --- one run

static int64_t stop_at;
static volatile sig_atomic_t stop_flag;

static void observe(void *context, const struct run *from, const struct run_event *event)
{
    (void)context;
    if (event->type == RUN_STEP && from->trainer.step == stop_at)
        stop_flag = 1;
}

static const struct run_observer observer = {observe, NULL, &stop_flag, NULL};

static void empty(const char *of)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", of);
    assert_int_equal(system(command), 0);
}

// Lengths and SHA-256 of the file, as its seal has them: what it says of itself was checked when it
// was written, and is checked again here.
struct digest {
    size_t size;
    unsigned char sha256[32];
};

static struct digest digest_of(const char *path)
{
    struct digest digest;
    char *bytes;
    struct h5_reader *reader = h5_reader_open(path);
    if (!reader)
        fail_msg("%s: %s", name, err_last());
    h5_reader_close(reader);
    check_ok(file_read(path, 1 << 28, &bytes, &digest.size));
    memcpy(digest.sha256, bytes + 24, sizeof digest.sha256);
    free(bytes);
    return digest;
}

static void begin(int part, int threads)
{
    char number[16];
    snprintf(number, sizeof number, "%d", threads);
    struct run_setting given = {"threads", number};
    settings.threads = threads;
    int code = part ? run_resume(&run, folder, 1, &given, &observer)
                    : run_start(&run, &settings, false, &observer);
    if (code < 0)
        fail_msg("%s: %s", name, err_last());
    assert_int_equal(run.trainer.settings.threads, threads);
}

static struct digest go(const struct way *way)
{
    char path[96];
    empty(folder);
    for (int part = 0; part < way->parts; part++) {
        bool last = part == way->parts - 1;
        stop_at = last ? -1 : way->stop[part];
        stop_flag = 0;
        begin(part, way->threads[part]);
        int code = run_train(&run);
        if (code != (last ? 0 : ERR_STOPPED))
            fail_msg("%s: run_train gave %d: %s", name, code, err_last());
        run_release(&run);
    }
    snprintf(path, sizeof path, "%s/checkpoint.h5", folder);
    return digest_of(path);
}

// --- all ways of all cases

static void print_way(const struct way *way)
{
    print_error("  %d threads", way->threads[0]);
    for (int i = 1; i < way->parts; i++)
        print_error(", stopped after step %d, %d threads", (int)way->stop[i - 1], way->threads[i]);
    print_error("\n");
}

static int differing, runs;

static void compare(const struct way *ways, int count)
{
    struct digest first = go(&ways[0]), other;
    for (int i = 1; i < count; i++) {
        other = go(&ways[i]);
        if (first.size == other.size && memcmp(first.sha256, other.sha256, 32) == 0)
            continue;
        differing++;
        print_error("%s: two ways end in different bytes\n", name);
        print_way(&ways[0]);
        print_way(&ways[i]);
    }
    runs += count;
}

static void every_way(void)
{
    const struct way ways[] = {
        {1, {1}, {0}},
        {1, {2}, {0}},
        {1, {3}, {0}},
        {1, {8}, {0}},
        {2, {8, 1}, {1}},
        {3, {1, 3, 2}, {steps / 3, steps / 2}},
        {4, {2, 8, 1, 3}, {steps / 4, steps / 4 + 1, steps - 1}},
    };
    compare(ways, sizeof ways / sizeof ways[0]);
}

static void two_ways(int index)
{
    static const int threads[] = {2, 3, 8};
    const struct way ways[] = {
        {1, {1}, {0}},
        {2, {threads[index % 3], threads[(index + 1) % 3]}, {1 + index % (steps - 1)}},
    };
    compare(ways, 2);
}

static const char small[] = "--layers 1 --heads 2 --dim 16 --ff-dim 24 --batch-size 4 --warmup 2 "
                            "--dropout 0.1 --lr 0.003 --eval-every 2 --log-every 1 --save-every 0 "
                            "--eval-batches 1";
static const char large[] =
    "--layers 1 --heads 4 --dim 64 --ff-dim 68 --batch-size 12 --warmup 10 "
    "--dropout 0.1 --lr 0.002 --eval-every 50 --log-every 7 --save-every 80 "
    "--eval-batches 1";

static void all_ways_end_in_the_same_bytes(void **state)
{
    (void)state;
    char number[24];
    const char *asked = getenv("POSGRAD_BITS_CASES"); // "FIRST-LAST"
    int first = 0, last = run_case_count() - 1;
    if (asked && sscanf(asked, "%d-%d", &first, &last) != 2)
        fail_msg("POSGRAD_BITS_CASES=%s is not FIRST-LAST", asked);
    snprintf(number, sizeof number, "%lld", (long long)steps);
    for (int i = first; i <= last; i++) {
        run_case_settings(i, is_long ? large : small, text, &settings, name);
        check_ok(train_settings_assign(&settings, "steps", number));
        snprintf(settings.out_dir, sizeof settings.out_dir, "%s", folder);
        if (is_long)
            every_way();
        else
            two_ways(i);
    }
    printf("%d cases, %d runs of %lld steps: %d differ from the first of their case in the SHA-256 "
           "of their state\n",
           last - first + 1, runs, (long long)steps, differing);
    assert_int_equal(differing, 0);
}

static int set_up(void **state)
{
    (void)state;
    const char *asked = getenv("POSGRAD_BITS_STEPS");
    is_long = asked && atoi(asked) >= 8;
    steps = is_long ? atoi(asked) : SHORT;
    if (!mkdtemp(base))
        return -1;
    snprintf(text, sizeof text, "%s/text", base);
    snprintf(folder, sizeof folder, "%s/run", base);
    run_case_write_text(text);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    empty(base);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_ways_end_in_the_same_bytes)};
    return cmocka_run_group_tests(tests, set_up, tear_down) != 0;
}
