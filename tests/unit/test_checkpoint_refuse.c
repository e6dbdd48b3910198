// Checkpoints with a right digest and good HDF5 that are not what they say: each is refused with a
// line that names what is wrong, and none makes the program take memory for a model that the file
// does not hold.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../src/io/checkpoint.h"
#include "../support/check.h"
#include "../support/settings.h"

static char folder[] = "/tmp/posgrad-refuse-XXXXXX", path[64];
static struct train_settings settings;
static struct trainer trainer, other;
static struct checkpoint checkpoint;
static struct history history;

// How the next checkpoint differs from a good one. Names are those of datasets.
static struct {
    const char *absent, *integers, *transposed, *longer, *deeper, *not_finite;
    const char *extra;           // one more dataset
    const char *key, *value;     // a setting of /config that is another
    const char *config;          // in place of /config
    const char *format;          // of the attribute
    const char *text_step;       // the step as a text
    int64_t version, step, rows; // rows of the history's columns but `step`
    const char *column;          // of the history that is absent
    bool no_config;
} twist;

static bool is(const char *name, const char *which)
{
    return which && strcmp(name, which) == 0;
}

static void put_row(struct h5_writer *writer, const char *prefix, const struct ag_parameter *row)
{
    char name[AG_NAME_SIZE + 64];
    int64_t size[AG_MAX_DIMS + 1], count = 2 * row->count;
    int dims = row->shape.dims;
    snprintf(name, sizeof name, "%s/%s", prefix, row->name);
    for (char *p = name; *p; p++)
        if (*p == '.')
            *p = '/';
    if (is(name, twist.absent))
        return;
    memcpy(size, row->shape.size, sizeof row->shape.size);
    if (is(name, twist.transposed)) {
        size[0] = row->shape.size[1];
        size[1] = row->shape.size[0];
    }
    if (is(name, twist.longer))
        size[0]++;
    if (is(name, twist.deeper))
        size[dims++] = 1;
    real *values = calloc((size_t)count, sizeof *values);
    assert_non_null(values);
    if (is(name, twist.not_finite))
        values[row->count - 1] = (real)NAN;
    h5_write(writer, name, is(name, twist.integers) ? H5FILE_I32 : CHECKPOINT_REAL, dims, size,
             values);
    free(values);
}

static void put_history(struct h5_writer *writer)
{
    static const char *const columns[] = {"loss", "accuracy", "lr", "grad_norm"};
    const double values[8] = {1, 0.5, 0.25};
    const int64_t steps[3] = {1, 2, 3}, three = 3;
    h5_write(writer, "/history/train/step", H5FILE_I64, 1, &three, steps);
    for (int i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "/history/train/%s", columns[i]);
        if (!is(columns[i], twist.column))
            h5_write(writer, name, H5FILE_F64, 1, &twist.rows, values);
    }
}

static void put_config(struct h5_writer *writer)
{
    struct train_settings twisted = settings;
    if (twist.key)
        check_ok(train_settings_assign(&twisted, twist.key, twist.value));
    char *config = checkpoint_config(&twisted);
    assert_non_null(config);
    if (!twist.no_config)
        h5_write_text(writer, "/config", twist.config ? twist.config : config);
    free(config);
}

static void put_checkpoint(void)
{
    struct h5_writer *writer = h5_writer_new();
    const int64_t one = 1;
    const double zero = 0;
    assert_non_null(writer);
    h5_attr_text(writer, "/", "format", twist.format ? twist.format : CHECKPOINT_FORMAT);
    h5_attr_int(writer, "/", "format_version", twist.version);
    if (twist.text_step)
        h5_attr_text(writer, "/", "step", twist.text_step);
    else
        h5_attr_int(writer, "/", "step", twist.step);
    put_config(writer);
    for (int i = 0; i < trainer.params.rows; i++) {
        put_row(writer, "/params", &trainer.params.row[i]);
        put_row(writer, "/optimizer/m", &trainer.params.row[i]);
        put_row(writer, "/optimizer/v", &trainer.params.row[i]);
    }
    put_history(writer);
    if (twist.extra)
        h5_write(writer, twist.extra, H5FILE_F64, 1, &one, &zero);
    check_ok(h5_writer_publish(writer, path));
    h5_writer_free(writer);
}

// Everything that a resumed run reads.
static int load(void)
{
    int code = checkpoint_open(&checkpoint, path);
    if (code < 0)
        return code;
    code = checkpoint_init_trainer(&checkpoint, &other);
    if (code == 0)
        code = checkpoint_read_params(&checkpoint, &other);
    if (code == 0)
        code = checkpoint_read_optimizer(&checkpoint, &other);
    if (code == 0)
        code = checkpoint_read_history(&checkpoint, &history);
    history_release(&history);
    trainer_release(&other);
    checkpoint_close(&checkpoint);
    return code;
}

static int forget(void **state)
{
    (void)state;
    memset(&twist, 0, sizeof twist);
    twist.version = CHECKPOINT_VERSION;
    twist.rows = 3;
    return 0;
}

static void refused(const char *words)
{
    put_checkpoint();
    int code = load();
    if (code != ERR_FORMAT || !strstr(err_last(), words))
        fail_msg("'%s' is not in '%s' (%d)", words, code < 0 ? err_last() : "it was read", code);
    if (!strstr(err_last(), path) || strchr(err_last(), '\n'))
        fail_msg("the line is '%s'", err_last());
    forget(NULL);
}

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/checkpoint.h5", folder);
    settings_of(&settings, "--pe learned --task probe --layers 2 --heads 2 --dim 8 --ff-dim 12 "
                           "--length 8 --batch-size 2 --threads 1");
    check_ok(trainer_init(&trainer, &settings));
    return forget(state);
}

static int tear_down(void **state)
{
    (void)state;
    trainer_release(&trainer);
    unlink(path);
    return rmdir(folder);
}

static void test_the_rest_is_good(void **state)
{
    (void)state;
    put_checkpoint();
    check_ok(load());
}

// --- parameters

static void test_missing_parameter(void **state)
{
    (void)state;
    twist.absent = "/params/layers/1/ln2/bias";
    refused("has no /params/layers/1/ln2/bias");
    twist.absent = "/params/tok_emb/weight";
    refused("has no /params/tok_emb/weight");
    twist.absent = "/params/pe/learned/weight";
    refused("has no /params/pe/learned/weight");
}

static void test_extra_parameter(void **state)
{
    (void)state;
    twist.extra = "/params/layers/1/attn/bonus";
    refused("parameters, and the model has");
    twist.extra = "/params/layers/2/ln1/bias";
    refused("parameters, and the model has");
}

static void test_parameter_of_another_type(void **state)
{
    (void)state;
    twist.integers = "/params/layers/0/attn/q/weight";
    refused("/params/layers/0/attn/q/weight does not hold real numbers");
}

static void test_parameter_of_another_shape(void **state)
{
    (void)state;
    twist.transposed = "/params/layers/0/mlp/down/weight";
    refused("/params/layers/0/mlp/down/weight has shape");
    twist.longer = "/params/ln_f/bias";
    refused("/params/ln_f/bias has shape");
    twist.deeper = "/params/ln_f/bias";
    refused("/params/ln_f/bias has shape");
}

static void test_parameter_that_is_not_finite(void **state)
{
    (void)state;
    twist.not_finite = "/params/head/weight";
    refused("/params/head/weight holds a number that is not finite");
}

static void test_group_in_place_of_a_parameter(void **state)
{
    (void)state;
    twist.absent = "/params/ln_f/bias";
    twist.extra = "/params/ln_f/bias/below";
    refused("/params/ln_f/bias is not a dataset");
}

// --- the optimizer's state

static void test_missing_state(void **state)
{
    (void)state;
    twist.absent = "/optimizer/v/head/weight";
    refused("has no /optimizer/v/head/weight");
}

static void test_extra_state(void **state)
{
    (void)state;
    twist.extra = "/optimizer/v/bonus";
    refused("/optimizer holds");
    twist.extra = "/optimizer/w/head/weight";
    refused("/optimizer holds");
}

static void test_state_of_another_shape(void **state)
{
    (void)state;
    twist.longer = "/optimizer/m/ln_f/weight";
    refused("/optimizer/m/ln_f/weight has shape");
    twist.integers = "/optimizer/m/ln_f/weight";
    refused("/optimizer/m/ln_f/weight does not hold real numbers");
}

static void test_state_that_is_not_finite(void **state)
{
    (void)state;
    twist.not_finite = "/optimizer/v/ln_f/weight";
    refused("/optimizer/v/ln_f/weight holds a number that is not finite");
}

// --- settings that ask for more than the file holds

static void test_settings_of_a_larger_model(void **state)
{
    static const char *const larger[][3] = {
        {"layers", "1024", "has no /params/layers/2/mlp/up/weight"},
        {"dim", "1048576", "/params/tok_emb/weight has shape [8, 8]"},
        {"ff-dim", "4194304", "/params/layers/0/mlp/up/weight has shape [12, 8]"},
        {"length", "1048576", "/params/tok_emb/weight has shape"},
        {"pe", "shaw", "has no /params/layers/0/pe/shaw"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof larger / sizeof larger[0]; i++) {
        twist.key = larger[i][0];
        twist.value = larger[i][1];
        refused(larger[i][2]);
    }
}

static void test_settings_that_are_none(void **state)
{
    (void)state;
    twist.no_config = true;
    refused("has no /config");
    for (int i = 0; i < 4; i++) {
        static const char *const texts[] = {"", "{", "[1, 2]", "\"\\u0000\""};
        twist.config = texts[i];
        put_checkpoint();
        assert_true(load() < 0);
        assert_non_null(strstr(err_last(), path));
        forget(NULL);
    }
    twist.config = "{\"pe\": \"learned\", \"task\": \"probe\", \"depth\": 2}";
    put_checkpoint();
    assert_true(load() < 0);
    assert_non_null(strstr(err_last(), "depth"));
    forget(NULL);
}

// --- attributes

static void test_lying_attributes(void **state)
{
    (void)state;
    twist.format = "posgrad-trace";
    refused("is no posgrad checkpoint");
    twist.version = CHECKPOINT_VERSION + 1;
    refused("has format version 2");
    twist.version = INT64_MIN;
    refused("has format version -9223372036854775808");
    twist.step = -1;
    refused("step -1 is negative");
    twist.text_step = "7";
    refused("attribute step of / is not one int64");
}

// --- history

static void test_history_of_other_lengths(void **state)
{
    (void)state;
    twist.rows = 2;
    refused("/history/train/loss is no column of 3 numbers");
    twist.rows = 4;
    refused("/history/train/loss is no column of 3 numbers");
    twist.column = "grad_norm";
    refused("has no /history/train/grad_norm");
}

#define CASE(name) cmocka_unit_test_setup(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_the_rest_is_good),
        CASE(test_missing_parameter),
        CASE(test_extra_parameter),
        CASE(test_parameter_of_another_type),
        CASE(test_parameter_of_another_shape),
        CASE(test_parameter_that_is_not_finite),
        CASE(test_group_in_place_of_a_parameter),
        CASE(test_missing_state),
        CASE(test_extra_state),
        CASE(test_state_of_another_shape),
        CASE(test_state_that_is_not_finite),
        CASE(test_settings_of_a_larger_model),
        CASE(test_settings_that_are_none),
        CASE(test_lying_attributes),
        CASE(test_history_of_other_lengths),
    };
    return cmocka_run_group_tests_name("checkpoints that are refused", tests, set_up, tear_down) !=
           0;
}
