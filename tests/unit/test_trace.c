// A trace holds what the step computed, and parameters may come from a file of the other build.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../autograd/base/err.h"
#include "../../src/io/checkpoint.h"
#include "../../src/io/trace.h"
#include "../support/settings.h"

static char folder[] = "/tmp/posgrad-trace-XXXXXX";
static char path[64];
static struct train_settings settings;
static struct trainer trainer, other;

static void start(void)
{
    settings_of(&settings, "--pe learned --task probe --layers 1 --heads 2 --dim 8 --ff-dim 12 "
                           "--length 8 --batch-size 2 --threads 1");
    if (trainer_init(&trainer, &settings) < 0)
        fail_msg("%s", err_last());
}

static void same(struct h5_reader *reader, const char *name, int64_t count, const real *wanted)
{
    real *read = calloc((size_t)count, sizeof *read);
    assert_non_null(read);
    if (h5_read(reader, name, CHECKPOINT_REAL, count, read) < 0)
        fail_msg("%s", err_last());
    assert_memory_equal(read, wanted, (size_t)count * sizeof *read);
    free(read);
}

static int count_one(void *context, const char *name)
{
    (void)name;
    ++*(int *)context;
    return 0;
}

static void a_trace_is_the_next_step(void **state)
{
    (void)state;
    struct train_step_result result;
    int64_t step = 0;
    int count = 0;
    start();
    assert_int_equal(trainer_step(&trainer, &result), 0);
    size_t size = (size_t)trainer.params.count * sizeof(real);
    real *before = malloc(size);
    assert_non_null(before);
    memcpy(before, trainer.params.value, size);
    if (trace_write(path, &trainer) < 0)
        fail_msg("%s", err_last());
    assert_memory_equal(before, trainer.params.value, size);
    assert_int_equal(trainer.step, 1);
    free(before);
    struct h5_reader *reader = h5_reader_open(path);
    assert_non_null(reader);
    assert_int_equal(h5_read_attr_int(reader, "/", "step", &step), 0);
    assert_int_equal(step, 2);
    same(reader, "/outputs/loss", 1, trainer.train.loss->data);
    same(reader, "/outputs/logits", trainer.train.logits->count, trainer.train.logits->data);
    int row = ag_params_find(&trainer.params, "layers.0.attn.q.weight");
    int64_t at = trainer.params.row[row].offset, elements = trainer.params.row[row].count;
    same(reader, "/params/layers/0/attn/q/weight", elements, trainer.params.value + at);
    same(reader, "/grads/layers/0/attn/q/weight", elements, trainer.params.grad + at);
    assert_int_equal(h5_walk(reader, "/grads", count_one, &count), 0);
    assert_int_equal(count, trainer.params.rows);
    assert_true(h5_has(reader, "/batch/tokens") && h5_has(reader, "/batch/targets") &&
                h5_has(reader, "/batch/mask") && h5_has(reader, "/config"));
    h5_reader_close(reader);
    trainer_release(&trainer);
}

// A file as the other build would have written it: the same numbers, rounded to float, in its type.
static void write_as_other(void)
{
    const struct ag_params *params = &trainer.params;
    bool wide = CHECKPOINT_REAL == H5FILE_F32;
    char *config = checkpoint_config(&trainer.settings);
    struct h5_writer *writer = h5_writer_new();
    assert_true(config && writer);
    checkpoint_write_identity(writer, CHECKPOINT_FORMAT, CHECKPOINT_VERSION, &trainer, 7);
    h5_write_text(writer, "/config", config);
    for (int i = 0; i < params->rows; i++) {
        const struct ag_parameter *row = &params->row[i];
        double *f64 = calloc((size_t)row->count, sizeof *f64);
        float *f32 = calloc((size_t)row->count, sizeof *f32);
        char name[AG_NAME_SIZE + 16];
        assert_true(f64 && f32);
        snprintf(name, sizeof name, "/params/%s", row->name);
        for (char *p = name; *p; p++)
            *p = *p == '.' ? '/' : *p;
        for (int64_t k = 0; k < row->count; k++)
            f64[k] = (double)(f32[k] = (float)params->value[row->offset + k]);
        h5_write(writer, name, wide ? H5FILE_F64 : H5FILE_F32, row->shape.dims, row->shape.size,
                 wide ? (void *)f64 : (void *)f32);
        free(f64);
        free(f32);
    }
    if (h5_writer_publish(writer, path) < 0)
        fail_msg("%s", err_last());
    h5_writer_free(writer);
    free(config);
}

static void the_other_precision_is_read(void **state)
{
    (void)state;
    start();
    write_as_other();
    if (checkpoint_load_trainer(&other, path, 1) < 0)
        fail_msg("%s", err_last());
    assert_int_equal(other.step, 7);
    for (int i = 0; i < other.params.rows; i++)
        for (int64_t k = 0; k < other.params.row[i].count; k++) {
            int64_t at = other.params.row[i].offset + k;
            assert_true(other.params.value[at] == (real)(float)trainer.params.value[at]);
        }
    trainer_release(&trainer);
    trainer_release(&other);
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/trace.h5", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trace_is_the_next_step),
        cmocka_unit_test(the_other_precision_is_read),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
