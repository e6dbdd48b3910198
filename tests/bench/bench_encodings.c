// What an encoding costs: the step time of each beside that of the same model with none.
//
// Pairs, interleaved: in every round a few steps of both; the ratio is the median of the rounds'.
// Beside it stands the ratio of what their products count, as some encodings multiply more.
// Usage: bench_encodings [-j FILE] [-t THREADS] [-r ROUNDS] [-s SHAPE] [-a encoder|decoder]
// [ENCODING...]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "measure.h"
#include "shapes.h"

enum { ROUNDS = 15, MOST_ROUNDS = 1000, ROUND_MS = 60 };

static struct arguments {
    const char *shape[2], *arch;
    const char *json; // a file that a line of JSON a row is appended to, or NULL
    int threads, rounds;
} arguments = {{"B", "long"}, "encoder", NULL, 0, ROUNDS};

static void give_up(void)
{
    fprintf(stderr, "bench_encodings: %s\n", err_last());
    exit(1);
}

static void compare(struct trainer *none, double products, const struct bench_shape *shape,
                    const char *pe)
{
    static double ms[MOST_ROUNDS], base[MOST_ROUNDS], ratio[MOST_ROUNDS];
    static struct trainer trainer;
    if (bench_trainer(&trainer, shape, pe, arguments.arch) < 0)
        give_up();
    par_set_threads(arguments.threads);
    bench_steps(&trainer, 2);
    int steps = 1 + (int)(ROUND_MS / bench_steps(none, 2));
    for (int i = 0; i < arguments.rounds; i++) {
        base[i] = bench_steps(none, steps);
        ms[i] = bench_steps(&trainer, steps);
        ratio[i] = ms[i] / base[i];
    }
    double more = bench_products(&trainer) / products;
    printf("  %-16s %9.2f ms  %9.2f ms none  %6.3f  FLOPs %.2f\n", pe,
           measure_median(ms, arguments.rounds), measure_median(base, arguments.rounds),
           measure_median(ratio, arguments.rounds), more);
    fflush(stdout);
    measure_json(
        arguments.json,
        "{\"bench\": \"encoding\", \"shape\": \"%s\", \"encoding\": \"%s\", \"arch\": \"%s\", "
        "\"threads\": %d, \"rounds\": %d, \"ms\": %.6g, \"none_ms\": %.6g, \"ratio\": %.6g, "
        "\"flops_ratio\": %.6g}",
        shape->name, pe, arguments.arch, par_threads(), arguments.rounds,
        measure_median(ms, arguments.rounds), measure_median(base, arguments.rounds),
        measure_median(ratio, arguments.rounds), more);
    trainer_release(&trainer);
}

static void compare_all(const char *name, int count, char **pe)
{
    static struct trainer none, counted;
    const struct bench_shape *shape = bench_shape_find(name);
    if (!shape || bench_trainer(&none, shape, "none", arguments.arch) < 0)
        give_up();
    if (bench_trainer(&counted, shape, "none", arguments.arch) < 0)
        give_up();
    double products = bench_products(&counted);
    trainer_release(&counted);
    par_set_threads(arguments.threads); // (a trainer sets its own)
    printf("encodings, %s: layers %lld dim %lld heads %lld length %lld batch %lld, %s, threads %d "
           "(median of %d)\n",
           name, (long long)shape->layers, (long long)shape->dim, (long long)shape->heads,
           (long long)shape->length, (long long)shape->batch, arguments.arch, par_threads(),
           arguments.rounds);
    for (int i = 0; i < count; i++)
        compare(&none, products, shape, pe[i]);
    for (int i = 0; i < pe_count && count == 0; i++)
        if (strcmp(pe_list[i]->name, "none") != 0) {
            char one[128];
            pe_smallest_stack(pe_list[i], one);
            compare(&none, products, shape, one);
        }
    trainer_release(&none);
}

int main(int argc, char **argv)
{
    measure_begin(argv);
    for (int option; (option = getopt(argc, argv, "t:r:s:a:j:")) != -1;) {
        if (option == 't')
            arguments.threads = atoi(optarg);
        else if (option == 'r')
            arguments.rounds = atoi(optarg);
        else if (option == 's')
            arguments.shape[0] = optarg, arguments.shape[1] = NULL;
        else if (option == 'j')
            arguments.json = optarg;
        else if (option == 'a')
            arguments.arch = optarg;
        else
            return 2;
    }
    if (arguments.rounds < 1 || arguments.rounds > MOST_ROUNDS)
        arguments.rounds = ROUNDS;
    for (int i = 0; i < 2 && arguments.shape[i]; i++)
        compare_all(arguments.shape[i], argc - optind, argv + optind);
    return 0;
}
