// What numbers below the smallest normal one cost: a step of shape A as it is, beside the same step
// with parameters so small that their products are no normal numbers, which are zero here. One
// thread, interleaved. (Some processors take a hundred times as long for such numbers where they
// are kept, others take no longer.)
//
// Usage: bench_denormals [-j FILE]; FILE gets a line of JSON.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "measure.h"
#include "shapes.h"

enum { ROUNDS = 9, STEPS = 20 };

// Parameters of 1e-21 and below: what they make of each other is below 1e-42.
#define SMALL 1e-21

static double time_case(struct trainer *trainer, const real *value, double factor)
{
    struct train_step_result result;
    for (int64_t i = 0; i < trainer->params.count; i++)
        trainer->params.value[i] = (real)((double)value[i] * factor);
    double start = measure_now(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < STEPS; i++)
        if (trainer_gradients(trainer, &result) < 0) {
            fprintf(stderr, "%s\n", err_last());
            exit(1);
        }
    return (measure_now(CLOCK_THREAD_CPUTIME_ID) - start) / STEPS;
}

int main(int argc, char **argv)
{
    measure_begin(argv);
    static struct trainer trainer;
    double ratio[ROUNDS];
    par_set_threads(1);
    if (bench_trainer(&trainer, bench_shape_find("A"), "learned", "encoder") < 0) {
        fprintf(stderr, "%s\n", err_last());
        return 1;
    }
    size_t size = (size_t)trainer.params.count * sizeof(real);
    real *value = malloc(size);
    if (!value)
        return 1;
    memcpy(value, trainer.params.value, size);
    time_case(&trainer, value, 1); // warms up
    for (int r = 0; r < ROUNDS; r++) {
        double normal = time_case(&trainer, value, 1);
        ratio[r] = time_case(&trainer, value, SMALL) / normal;
    }
    double median = measure_median(ratio, ROUNDS);
    printf("denormals: %.2f of the time of a step without any (median of %d)\n", median, ROUNDS);
    measure_json(argc == 3 && strcmp(argv[1], "-j") == 0 ? argv[2] : NULL,
                 "{\"bench\": \"denormals\", \"ratio\": %.3f}", median);
    free(value);
    trainer_release(&trainer);
    return 0;
}
