// What a save costs in all, beside a plain write and sync of the same bytes.
//
// Saves and plain writes take turns. A save is what the program does: a copy of the state, the look
// at all numbers, the digest, temporary file, fsync, rename, fsync of the folder. Plain is a file
// that is truncated, written in one call and synced; and, as no new file is safe without it, the
// same with a sync of its folder. Memory is what the process needs at most while it saves, the copy
// included, above what it had before the first save.
//
// Usage: bench_save_cost [-j FILE] [-r ROUNDS] [-d FOLDER] [SHAPE]
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../src/io/h5file.h"
#include "../../src/train/saver.h"
#include "measure.h"
#include "shapes.h"

enum { ROUNDS = 15, MOST_ROUNDS = 200, STEPS = 12 };

static struct trainer trainer;
static struct saver saver;
static struct history history;
static struct save_order order;
static char plain[OPTION_TEXT + 64];

static void fail(const char *line)
{
    fprintf(stderr, "bench_save_cost: %s\n", line);
    exit(1);
}

// --- memory, in bytes: now, and the most since the last call of forget_peak

static double memory(const char *key)
{
    char line[256];
    double kilobytes = -1;
    FILE *status = fopen("/proc/self/status", "r");
    if (!status)
        fail("there is no /proc/self/status");
    while (fgets(line, sizeof line, status))
        if (strncmp(line, key, strlen(key)) == 0)
            kilobytes = atof(line + strlen(key));
    fclose(status);
    return 1024 * kilobytes;
}

static void forget_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file || fputs("5", file) < 0 || fclose(file) != 0)
        fail("cannot reset the peak of memory");
}

// --- the contestants, in milliseconds

static double save_once(void)
{
    double begin = measure_now(CLOCK_MONOTONIC);
    if (saver_begin(&saver, &order, &trainer, &history, true) < 0)
        fail(err_last());
    saver_ended(&saver, true);
    double ms = measure_now(CLOCK_MONOTONIC) - begin;
    for (int i = 0; i < SAVE_PARTS; i++)
        if (saver.result.part[i].code < 0)
            fail(saver.result.part[i].line);
    return ms;
}

static double write_once(const char *bytes, size_t size, bool with_folder)
{
    double begin = measure_now(CLOCK_MONOTONIC);
    int file = open(plain, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0 || write(file, bytes, size) != (ssize_t)size || fsync(file) < 0 || close(file) < 0)
        fail("cannot write");
    int folder = with_folder ? open(order.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (with_folder && (folder < 0 || fsync(folder) < 0 || close(folder) < 0))
        fail("cannot sync the folder");
    return measure_now(CLOCK_MONOTONIC) - begin;
}

struct result {
    double save, write, write_folder; // milliseconds, medians
    double ratio, ratio_folder;       // medians of save / write and save / write_folder
    double fastest;                   // the fastest save / the fastest write
    double bytes, peak;               // of the file; of memory, above what there was before
    double step;                      // milliseconds
};

static void measure(struct result *result, int rounds)
{
    double save[MOST_ROUNDS], alone[MOST_ROUNDS], folder[MOST_ROUNDS];
    double ratio[MOST_ROUNDS], ratio_folder[MOST_ROUNDS];
    char *bytes;
    size_t size;
    double before = memory("VmRSS:");
    forget_peak();
    save_once();
    result->peak = memory("VmHWM:") - before;
    if (file_read(order.checkpoint, SIZE_MAX - 1, &bytes, &size) < 0)
        fail(err_last());
    for (int i = -1; i < rounds; i++) { // the first round is for the disk to wake up
        int at = i < 0 ? 0 : i;
        save[at] = save_once();
        alone[at] = write_once(bytes, size, false);
        folder[at] = write_once(bytes, size, true);
        ratio[at] = save[at] / alone[at];
        ratio_folder[at] = save[at] / folder[at];
    }
    free(bytes);
    result->bytes = (double)size;
    result->save = measure_median(save, rounds);
    result->write = measure_median(alone, rounds);
    result->write_folder = measure_median(folder, rounds);
    result->fastest = save[0] / alone[0]; // they are sorted
    result->ratio = measure_median(ratio, rounds);
    result->ratio_folder = measure_median(ratio_folder, rounds);
}

// Some rows, as a run has them.
static void make_history(void)
{
    const double row[HISTORY_MAX_COLUMNS] = {1.5, 0.25, 1e-3, 1};
    history_init(&history);
    for (int64_t step = 10; step <= 500; step += 10)
        if (history_add(&history, HISTORY_TRAIN, step, row) < 0 ||
            (step % 100 == 0 && history_add(&history, HISTORY_VALIDATION, step, row) < 0))
            fail(err_last());
}

static void report(const struct bench_shape *shape, const struct result *result, const char *json)
{
    double every = (double)trainer.settings.save_every;
    double share = 100 * result->save / (every * result->step);
    double memory_ratio = result->peak / result->bytes;
    printf("  %-4s %6.2f MB: saved in %.2f ms; written and synced in %.2f (x %.2f; the fastest of "
           "both x %.2f), with its folder %.2f (x %.2f)\n"
           "       memory at most %.2f of the file; every %g steps of %.2f ms a save is %.2f %%\n",
           shape->name, 1e-6 * result->bytes, result->save, result->write, result->ratio,
           result->fastest, result->write_folder, result->ratio_folder, memory_ratio, every,
           result->step, share);
    measure_json(json,
                 "{\"bench\": \"save_cost\", \"shape\": \"%s\", \"bytes\": %.0f, \"save_ms\": "
                 "%.6g, \"write_ms\": %.6g, \"write_folder_ms\": %.6g, \"ratio\": %.6g, "
                 "\"fastest\": %.6g, \"ratio_folder\": %.6g, \"memory\": %.6g, \"percent\": %.6g}",
                 shape->name, result->bytes, result->save, result->write, result->write_folder,
                 result->ratio, result->fastest, result->ratio_folder, memory_ratio, share);
}

static void open_folder(const char *folder)
{
    snprintf(order.folder, sizeof order.folder, "%s", folder);
    snprintf(order.checkpoint, sizeof order.checkpoint, "%s/checkpoint.h5", folder);
    snprintf(plain, sizeof plain, "%s/plain", folder);
    char metrics[OPTION_TEXT + 64];
    snprintf(metrics, sizeof metrics, "%s/metrics.jsonl", folder);
    order.elder = -1;
    order.keep = 1;
    order.lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    order.metrics = open(metrics, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (order.lock < 0 || order.metrics < 0)
        fail("cannot use the folder");
}

int main(int argc, char **argv)
{
    char scratch[] = "/tmp/posgrad-bench-XXXXXX", command[64];
    const char *json = NULL, *folder = NULL;
    int rounds = ROUNDS;
    struct result result = {0};
    measure_begin(argv);
    for (int option; (option = getopt(argc, argv, "j:r:d:")) != -1;) {
        if (option == 'j')
            json = optarg;
        else if (option == 'r')
            rounds = atoi(optarg);
        else if (option == 'd')
            folder = optarg;
        else
            return 2;
    }
    if (rounds < 1 || rounds > MOST_ROUNDS)
        rounds = ROUNDS;
    const struct bench_shape *shape = bench_shape_find(optind < argc ? argv[optind] : "C");
    if (!shape || bench_trainer(&trainer, shape, "learned", "encoder") < 0)
        fail(err_last());
    bool own = !folder;
    if (own && !(folder = mkdtemp(scratch)))
        fail("cannot make a folder");
    open_folder(folder);
    make_history();
    result.step = bench_steps(&trainer, STEPS);
    measure(&result, rounds);
    report(shape, &result, json);
    saver_release(&saver);
    history_release(&history);
    trainer_release(&trainer);
    snprintf(command, sizeof command, "rm -r %s", scratch);
    return own ? system(command) != 0 : 0;
}
