// Shapes by name. The task is one whose batches are random strings, so that the embedding's
// gradient is as scattered as in earnest.
#include "shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "measure.h"

static const struct bench_shape shapes[] = {
    {"A", 2, 64, 4, 256, 32, 32, 32},       {"B", 4, 128, 4, 512, 64, 32, 64},
    {"C", 6, 256, 8, 1024, 128, 16, 256},   {"D", 6, 384, 6, 1536, 256, 16, 256},
    {"E", 4, 256, 8, 1024, 1024, 2, 256},   {"long", 4, 128, 4, 512, 512, 4, 64},
    {"far", 4, 256, 8, 1024, 4096, 1, 256},
};

const struct bench_shape *bench_shape_find(const char *name)
{
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (strcmp(shapes[i].name, name) == 0)
            return &shapes[i];
    err_set(ERR_ARGUMENT, "no shape %s; there are A, B, C, D, E, long and far", name);
    return NULL;
}

static int64_t grid_height(int64_t length)
{
    int64_t height = 1;
    for (int64_t h = 1; h * h <= length; h++)
        if (length % h == 0)
            height = h;
    return height;
}

static bool is_on_a_grid(const char *pe)
{
    const struct pe_def *def = pe_find(pe);
    return def && strcmp(def->family, "grid") == 0;
}

void bench_settings(struct train_settings *s, const struct bench_shape *shape, const char *pe,
                    const char *arch)
{
    enum { SPECIAL = 2 }; // symbols of the task that are no letters: its separator and its blank
    train_settings_init(s);
    s->layers = shape->layers;
    s->dim = shape->dim;
    s->heads = shape->heads;
    s->ff_dim = shape->ff_dim;
    s->length = shape->length;
    s->batch_size = shape->batch;
    s->steps = INT32_MAX;
    s->arch = strcmp(arch, "decoder") == 0;
    snprintf(s->task, sizeof s->task, "copy");
    snprintf(s->pe, sizeof s->pe, "%s", pe);
    snprintf(s->task_opt[s->task_opts++], sizeof s->task_opt[0], "symbols=%lld",
             (long long)(shape->vocab - SPECIAL));
    if (is_on_a_grid(pe))
        snprintf(s->pe_opt[s->pe_opts++], sizeof s->pe_opt[0], "grid_height=%lld",
                 (long long)grid_height(shape->length));
}

int bench_trainer(struct trainer *trainer, const struct bench_shape *shape, const char *pe,
                  const char *arch)
{
    struct train_settings *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(ERR_MEMORY, "out of memory for the settings");
    bench_settings(s, shape, pe, arch);
    int code = trainer_init(trainer, s);
    free(s);
    return code;
}

double bench_steps(struct trainer *trainer, int steps)
{
    struct train_step_result result;
    double start = measure_now(CLOCK_MONOTONIC);
    for (int i = 0; i < steps; i++)
        if (trainer_step(trainer, &result) < 0)
            abort();
    return (measure_now(CLOCK_MONOTONIC) - start) / steps;
}

double bench_flops(const struct trainer *trainer)
{
    const struct train_settings *s = &trainer->settings;
    double tokens = (double)(s->batch_size * s->length), parameters = 0;
    for (int i = 0; i < trainer->params.rows; i++) {
        const struct ag_parameter *p = &trainer->params.row[i];
        if (strcmp(p->name, "tok_emb.weight") != 0 && strncmp(p->name, "pe.", 3) != 0)
            parameters += (double)p->count;
    }
    double attention = 12 * (double)(s->layers * s->length * s->dim) * (s->arch ? 0.5 : 1);
    return tokens * (6 * parameters + attention);
}

double bench_products(struct trainer *trainer)
{
    struct ag_profile_row rows[128];
    double sum = 0;
    if (ag_plan_profile(trainer->train.plan) < 0)
        return 0;
    bench_steps(trainer, 1);
    int count = ag_plan_profile_rows(trainer->train.plan, rows, 128);
    for (int i = 0; i < count; i++)
        sum += rows[i].flops;
    return sum;
}
