// Step time with one thread and with all, interleaved in one process; medians and their ratio.
//
// Usage: bench_threads [layers dim heads length batch vocab]; the default is the shape that the
// README quotes.
#include <stdio.h>
#include <stdlib.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../src/train/train.h"
#include "measure.h"

enum { ROUNDS = 15, STEPS = 6, WARM = 5 };

static double time_steps(struct trainer *trainer, int threads)
{
    struct train_step_result result;
    par_set_threads(threads);
    double start = measure_now(CLOCK_MONOTONIC);
    for (int i = 0; i < STEPS; i++)
        if (trainer_step(trainer, &result) < 0)
            exit(1);
    return (measure_now(CLOCK_MONOTONIC) - start) / STEPS;
}

int main(int argc, char **argv)
{
    measure_begin(argv);
    static const int64_t standard[6] = {4, 128, 4, 64, 32, 64};
    int64_t shape[6];
    for (int i = 0; i < 6; i++)
        shape[i] = argc == 7 ? atoll(argv[i + 1]) : standard[i];
    static struct train_settings settings;
    static struct trainer trainer;
    train_settings_init(&settings);
    settings.layers = shape[0];
    settings.dim = shape[1];
    settings.heads = shape[2];
    settings.ff_dim = 4 * shape[1];
    settings.length = shape[3];
    settings.batch_size = shape[4];
    settings.steps = 1000000;
    snprintf(settings.task, sizeof settings.task, "copy");
    snprintf(settings.pe, sizeof settings.pe, "learned");
    snprintf(settings.task_opt[0], sizeof settings.task_opt[0], "symbols=%lld",
             (long long)shape[5]);
    settings.task_opts = 1;
    if (trainer_init(&trainer, &settings) < 0) {
        fprintf(stderr, "%s\n", err_last());
        return 1;
    }
    par_set_threads(0);
    int all = par_threads();
    double one[ROUNDS], many[ROUNDS], ratio[ROUNDS];
    for (int i = 0; i < WARM; i++)
        time_steps(&trainer, i % 2 ? all : 1);
    for (int i = 0; i < ROUNDS; i++) {
        one[i] = time_steps(&trainer, 1);
        many[i] = time_steps(&trainer, all);
        ratio[i] = one[i] / many[i];
    }
    printf("layers %lld dim %lld heads %lld length %lld batch %lld: %.2f ms a step with 1 thread, "
           "%.2f ms with %d, ratio %.2f (median of %d)\n",
           (long long)shape[0], (long long)shape[1], (long long)shape[2], (long long)shape[3],
           (long long)shape[4], measure_median(one, ROUNDS), measure_median(many, ROUNDS), all,
           measure_median(ratio, ROUNDS), ROUNDS);
    trainer_release(&trainer);
    return 0;
}
