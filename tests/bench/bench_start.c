// How long `posgrad train` takes to start: from exec to its first step, and to the end of a run of
// one step, which evaluates and saves. The model is the program's own default, on one thread.
//
// The first step is seen by its line on stdout, which is flushed before the evaluation begins. The
// test of the matrix products, which is part of it, is timed by itself as well: its first call in a
// process, as in a start.
//
// Usage: bench_start [-j FILE] [-r RUNS] PROGRAM
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../autograd/kernels/selftest.h"
#include "measure.h"

enum { RUNS = 15, MOST_RUNS = 200 };

// Milliseconds, of the wall and of the processor.
static struct times {
    double first, first_cpu, end, end_cpu;
} result[MOST_RUNS];

static void begin(const char *program, const char *folder, const int ends[2])
{
    char *const argv[] = {
        "posgrad",     "train",       "--pe", "learned",   "--task",
        "copy",        "--steps",     "1",    "--json",    "--threads",
        "1",           "--log-every", "1",    "--out-dir", (char *)(uintptr_t)folder,
        "--overwrite", NULL};
    dup2(ends[1], STDOUT_FILENO);
    execv(program, argv);
    perror(program);
    _exit(127);
}

// False where the program failed.
static bool run_once(const char *program, const char *folder, struct times *t)
{
    int ends[2], status = 0;
    char text[4096];
    clockid_t clock;
    struct rusage used = {0};
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    double start = measure_now(CLOCK_MONOTONIC);
    pid_t child = fork();
    if (child == 0)
        begin(program, folder, ends);
    close(ends[1]);
    bool good = child > 0 && read(ends[0], text, sizeof text) > 0;
    t->first = measure_now(CLOCK_MONOTONIC) - start;
    if (good && clock_getcpuclockid(child, &clock) == 0)
        t->first_cpu = measure_now(clock);
    while (good && read(ends[0], text, sizeof text) > 0)
        ;
    close(ends[0]);
    good = child > 0 && wait4(child, &status, 0, &used) == child && status == 0 && good;
    t->end = measure_now(CLOCK_MONOTONIC) - start;
    t->end_cpu = 1e3 * (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 1e-3 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    return good;
}

// The median of one of the four times.
static double median_of(int runs, size_t field)
{
    double x[MOST_RUNS];
    for (int i = 0; i < runs; i++)
        x[i] = *(const double *)(const void *)((const char *)&result[i] + field);
    return measure_median(x, runs);
}

int main(int argc, char **argv)
{
    const char *json = NULL;
    char folder[] = "/tmp/posgrad-bench-XXXXXX", command[64];
    int runs = RUNS;
    bool good = true;
    for (int option; (option = getopt(argc, argv, "j:r:")) != -1;) {
        if (option == 'j')
            json = optarg;
        else if (option == 'r')
            runs = atoi(optarg);
        else
            return 2;
    }
    if (optind >= argc || !mkdtemp(folder))
        return 2;
    double selftest = measure_now(CLOCK_PROCESS_CPUTIME_ID);
    if (selftest_products() < 0)
        return 1;
    selftest = measure_now(CLOCK_PROCESS_CPUTIME_ID) - selftest;
    runs = runs < 1 || runs > MOST_RUNS ? RUNS : runs;
    for (int i = 0; i < runs && good; i++)
        good = run_once(argv[optind], folder, &result[i]);
    snprintf(command, sizeof command, "rm -r %s", folder);
    if (system(command) != 0 || !good)
        return 1;
    double first = median_of(runs, offsetof(struct times, first));
    double first_cpu = median_of(runs, offsetof(struct times, first_cpu));
    double end = median_of(runs, offsetof(struct times, end));
    double end_cpu = median_of(runs, offsetof(struct times, end_cpu));
    printf(
        "start: the first step is done after %.1f ms (%.1f of the processor), the run after %.1f "
        "(%.1f); median of %d; the test of the products takes %.2f of the processor\n",
        first, first_cpu, end, end_cpu, runs, selftest);
    measure_json(
        json,
        "{\"bench\": \"start\", \"first_ms\": %.6g, \"first_cpu_ms\": %.6g, \"end_ms\": %.6g, "
        "\"end_cpu_ms\": %.6g, \"selftest_cpu_ms\": %.6g}",
        first, first_cpu, end, end_cpu, selftest);
    return 0;
}
