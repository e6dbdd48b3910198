// How time and memory grow with the length: a row of the table for each length, at dim 256,
// batch 1.
//
// FLOPs are those of the products that the step does; the last column is how much more the time has
// grown than they since the shortest length. Memory is what the plan of the training step asks for;
// what is divided by the length should stay, too.
// Usage: bench_growth [-j FILE] [-t THREADS] [-r ROUNDS] [ENCODING...]
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "measure.h"
#include "shapes.h"

enum { ROUNDS = 5, MOST_ROUNDS = 100, LONGEST = 4096, ROUND_MS = 100 };

static struct arguments {
    const char *json; // a file that a line of JSON a row is appended to, or NULL
    int threads, rounds;
} arguments = {NULL, 1, ROUNDS};

// Returns the FLOPs a second; `first` is that of the shortest length, or 0.
static double measure(const char *encoding, int64_t length, double first)
{
    static struct trainer trainer;
    const struct bench_shape shape = {"growth", 4, 256, 8, 1024, length, 1, 256};
    double ms[MOST_ROUNDS];
    if (bench_trainer(&trainer, &shape, encoding, "encoder") < 0) {
        fprintf(stderr, "bench_growth: %s\n", err_last());
        exit(1);
    }
    par_set_threads(arguments.threads);
    int steps = 1 + (int)(ROUND_MS / bench_steps(&trainer, 2));
    for (int i = 0; i < arguments.rounds; i++)
        ms[i] = bench_steps(&trainer, steps);
    double median = measure_median(ms, arguments.rounds);
    double rate = bench_products(&trainer) / (median * 1e6), slower = first > 0 ? first / rate : 1;
    double bytes = (double)ag_plan_stats(trainer.train.plan).planned;
    printf("  %-15s %5lld %9.2f ms  %7.1f GFLOP/s  %7.1f MB, %6.2f KB a token  %5.2f\n", encoding,
           (long long)length, median, rate, bytes * 1e-6, bytes * 1e-3 / (double)length, slower);
    measure_json(arguments.json,
                 "{\"bench\": \"growth\", \"encoding\": \"%s\", \"length\": %lld, \"threads\": %d, "
                 "\"ms\": %.6g, \"gflops\": %.6g, \"plan_bytes\": %.0f, \"over_flops\": %.4g}",
                 encoding, (long long)length, arguments.threads, median, rate, bytes, slower);
    fflush(stdout);
    trainer_release(&trainer);
    return first > 0 ? first : rate;
}

int main(int argc, char **argv)
{
    static char *standard[] = {"learned", "t5", "shaw", "rope", "transformer-xl", "urpe", "bias2d"};
    measure_begin(argv);
    for (int option; (option = getopt(argc, argv, "j:t:r:")) != -1;) {
        if (option == 'j')
            arguments.json = optarg;
        else if (option == 't')
            arguments.threads = atoi(optarg);
        else if (option == 'r')
            arguments.rounds = atoi(optarg);
        else
            return 2;
    }
    if (arguments.rounds < 1 || arguments.rounds > MOST_ROUNDS)
        arguments.rounds = ROUNDS;
    char **encoding = optind < argc ? argv + optind : standard;
    int count = optind < argc ? argc - optind : (int)(sizeof standard / sizeof standard[0]);
    printf("growth: layers 4 dim 256 heads 8 batch 1, %d thread%s (median of %d)\n",
           arguments.threads, arguments.threads == 1 ? "" : "s", arguments.rounds);
    for (int i = 0; i < count; i++) {
        double first = 0;
        for (int64_t length = 256; length <= LONGEST; length *= 2)
            first = measure(encoding[i], length, first);
    }
    return 0;
}
