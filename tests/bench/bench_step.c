// The step time of the shapes A to E: milliseconds, model FLOPs a second, and what share of the
// processor's own multiply-adds that is.
//
// Usage: bench_step [-j FILE] [-p] [-S] [-t THREADS] [-r ROUNDS] [-e ENCODING] [-a encoder|decoder]
// [SHAPE...]
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../autograd/kernels/peak.h"
#include "measure.h"
#include "shapes.h"

enum { ROUNDS = 9, MOST_ROUNDS = 1000, ROUND_MS = 100 };

static struct arguments {
    const char *encoding, *arch;
    const char *json; // a file that a line of JSON a row is appended to, or NULL
    int threads, rounds;
    bool profile, serve;
} arguments = {"learned", "encoder", NULL, 1, ROUNDS, false, false};

// Where the time of the passes goes, in milliseconds a step.
static void print_profile(const struct trainer *trainer, int64_t steps)
{
    struct ag_profile_row rows[128];
    int count = ag_plan_profile_rows(trainer->train.plan, rows, 128);
    double sum = 0;
    for (int i = 0; i < count; i++) {
        double ms = 1e3 * rows[i].seconds / (double)steps;
        sum += ms;
        printf("    %-16s %-8s %4d %9.3f ms", rows[i].op, rows[i].backward ? "backward" : "forward",
               rows[i].nodes, ms);
        if (rows[i].flops > 0)
            printf("  %6.1f GFLOP/s", rows[i].flops / rows[i].seconds * 1e-9);
        printf("\n");
    }
    printf("    %-16s %-8s      %9.3f ms\n", "all", "", sum);
}

// For a comparison with other programs: a line "N" trains N steps, and is answered with the
// milliseconds of one.
static void serve(struct trainer *trainer)
{
    int steps;
    bench_steps(trainer, 3);
    printf("ready\n");
    fflush(stdout);
    while (scanf("%d", &steps) == 1) {
        printf("%.6f\n", bench_steps(trainer, steps));
        fflush(stdout);
    }
    trainer_release(trainer);
}

static void measure(const char *name)
{
    static struct trainer trainer;
    double ms[MOST_ROUNDS], peak[MOST_ROUNDS];
    const struct bench_shape *shape = bench_shape_find(name);
    if (!shape || bench_trainer(&trainer, shape, arguments.encoding, arguments.arch) < 0) {
        fprintf(stderr, "bench_step: %s\n", err_last());
        exit(1);
    }
    par_set_threads(arguments.threads);
    if (arguments.serve) {
        serve(&trainer);
        return;
    }
    int steps = 1 + (int)(ROUND_MS / bench_steps(&trainer, 2));
    if (arguments.profile && ag_plan_profile(trainer.train.plan) < 0)
        exit(1);
    for (int i = 0; i < arguments.rounds; i++) {
        peak[i] = peak_flops(10) * 1e-9;
        ms[i] = bench_steps(&trainer, steps);
    }
    double median = measure_median(ms, arguments.rounds);
    double rate = bench_flops(&trainer) / (median * 1e6);
    double limit = measure_median(peak, arguments.rounds) * arguments.threads;
    printf("  %-5s %9.2f ms  %7.1f GFLOP/s  %5.1f %% of %.0f\n", name, median, rate,
           100 * rate / limit, limit);
    measure_json(
        arguments.json,
        "{\"bench\": \"step\", \"shape\": \"%s\", \"encoding\": \"%s\", \"arch\": \"%s\", "
        "\"threads\": %d, \"rounds\": %d, \"ms\": %.6g, \"gflops\": %.6g, \"limit\": %.6g}",
        name, arguments.encoding, arguments.arch, arguments.threads, arguments.rounds, median, rate,
        limit);
    if (arguments.profile)
        print_profile(&trainer, (int64_t)arguments.rounds * steps);
    fflush(stdout);
    trainer_release(&trainer);
}

int main(int argc, char **argv)
{
    static char *all[] = {"A", "B", "C", "D", "E"};
    measure_begin(argv);
    for (int option; (option = getopt(argc, argv, "t:r:e:a:j:pS")) != -1;) {
        if (option == 't')
            arguments.threads = atoi(optarg);
        else if (option == 'r')
            arguments.rounds = atoi(optarg);
        else if (option == 'e')
            arguments.encoding = optarg;
        else if (option == 'a')
            arguments.arch = optarg;
        else if (option == 'j')
            arguments.json = optarg;
        else if (option == 'S')
            arguments.serve = true;
        else if (option == 'p')
            arguments.profile = true;
        else
            return 2;
    }
    if (arguments.rounds < 1 || arguments.rounds > MOST_ROUNDS)
        arguments.rounds = ROUNDS;
    if (!arguments.serve)
        printf(
            "step, %s %s, %d thread%s (median of %d; the limit is of one thread's multiply-adds, "
            "times the threads)\n",
            arguments.encoding, arguments.arch, arguments.threads, arguments.threads > 1 ? "s" : "",
            arguments.rounds);
    if (optind == argc)
        for (int i = 0; i < 5; i++)
            measure(all[i]);
    for (int i = optind; i < argc; i++)
        measure(argv[i]);
    return 0;
}
