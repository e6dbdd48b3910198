// The model against PyTorch: logits, loss and every gradient of every golden file.
//
// The files come from tests/golden/make_golden.py, which writes the Transformer out from its
// formulas. A tensor's error is its largest difference over the reference's largest number; nothing
// but rounding may be left.
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../src/model/model.h"
#include "../support/check.h"
#include "../support/golden.h"

// The files that must be there; others may join them.
static const char *const files[] = {
    "none_encoder",    "none_decoder",       "learned_encoder",
    "learned_decoder", "sinusoidal_encoder", "sinusoidal_decoder",
};

struct fixture {
    struct golden golden;
    struct model_config config;
    struct ag_params params;
    struct model_graph model;
};

static void check_code(int code)
{
    if (code < 0)
        print_error("%s\n", err_last());
    assert_int_equal(code, 0);
}

static void read_config(struct fixture *f)
{
    const struct golden *g = &f->golden;
    char pe[64];
    f->config = (struct model_config){
        .layers = golden_int(g, "config", "layers"),
        .heads = golden_int(g, "config", "heads"),
        .dim = golden_int(g, "config", "dim"),
        .ff_dim = golden_int(g, "config", "ff_dim"),
        .vocab = golden_int(g, "config", "vocab"),
        .train_length = golden_int(g, "config", "train_length"),
        .causal = golden_int(g, "config", "causal") != 0,
        .tie = golden_int(g, "config", "tie") != 0,
    };
    golden_text(g, "config", "pe", pe, sizeof pe);
    check_code(pe_stack_init(&f->config.pe, pe, 0, NULL));
    check_code(model_check(&f->config));
}

// Gradients start as NaN, so that one that is never written is seen.
static void fill_params(struct fixture *f)
{
    for (int64_t i = 0; i < f->params.count; i++)
        f->params.value[i] = f->params.grad[i] = (real)NAN;
    for (int r = 0; r < f->params.rows; r++) {
        const struct ag_parameter *row = &f->params.row[r];
        const struct golden_array *array = golden_get(&f->golden, "params", row->name, GOLDEN_REAL);
        if (!ag_shape_equal(row->shape, array->shape))
            fail_msg("%s: %s has another shape", f->golden.path, row->name);
        for (int64_t i = 0; i < row->count; i++)
            f->params.value[row->offset + i] = (real)array->real[i];
    }
}

// A file holds what its name says: else the tests of a whole encoding could be another one's.
static void check_name(const struct fixture *f)
{
    char pe[64], path[256];
    golden_text(&f->golden, "config", "pe", pe, sizeof pe);
    snprintf(path, sizeof path, "tests/golden/model_%s_%s.bin", pe,
             f->config.causal ? "decoder" : "encoder");
    assert_string_equal(path, f->golden.path);
}

static void fill_batch(struct fixture *f)
{
    ag_t *const input[] = {f->model.tokens, f->model.targets, f->model.mask};
    static const char *const name[] = {"tokens", "targets", "mask"};
    for (int k = 0; k < 3; k++) {
        const struct golden_array *array = golden_get(&f->golden, "batch", name[k], GOLDEN_INT);
        assert_true(ag_shape_equal(array->shape, input[k]->shape));
        memcpy(input[k]->index, array->index, (size_t)array->count * sizeof *array->index);
    }
}

static void set_up(struct fixture *f, const char *path)
{
    memset(f, 0, sizeof *f);
    check_code(golden_read(&f->golden, path));
    read_config(f);
    check_name(f);
    ag_params_init(&f->params);
    check_code(model_graph_capture(&f->model, &f->config, &f->params,
                                   golden_int(&f->golden, "config", "batch"),
                                   golden_int(&f->golden, "config", "length"), NULL));
    check_code(ag_params_allocate(&f->params, 0));
    check_code(model_graph_plan(&f->model, true));
    fill_params(f);
    fill_batch(f);
}

static void tear_down(struct fixture *f)
{
    model_graph_release(&f->model);
    ag_params_release(&f->params);
    pe_stack_release(&f->config.pe);
    golden_release(&f->golden);
}

// Every parameter has a golden value and gradient, and neither has a name that the model lacks.
static int names_differ(const struct fixture *f)
{
    int wrong = 0, values = 0, grads = 0;
    for (int i = 0; i < f->golden.arrays; i++) {
        const char *name = f->golden.array[i].name;
        bool value = strncmp(name, "params/", 7) == 0, grad = strncmp(name, "grads/", 6) == 0;
        values += value;
        grads += grad;
        if ((value || grad) && ag_params_find(&f->params, strchr(name, '/') + 1) < 0) {
            print_error("%s: the model has no %s\n", f->golden.path, name);
            wrong++;
        }
    }
    if (values != f->params.rows || grads != f->params.rows) {
        print_error("%s: %d values and %d gradients for %d parameters\n", f->golden.path, values,
                    grads, f->params.rows);
        wrong++;
    }
    return wrong;
}

static int differs(const struct fixture *f, const char *what, const struct golden_array *array,
                   const real *actual, double scale)
{
    double error = golden_error(array->real, array->count, actual, scale);
    if (error < GOLDEN_TOLERANCE)
        return 0;
    print_error("%s: %s: relative error %g\n", f->golden.path, what, error);
    return 1;
}

// A gradient that is zero by arithmetic (attn.k.bias) is rounding here: measured against its
// weight's.
static double scale_of(const struct fixture *f, const char *name)
{
    char weight[AG_NAME_SIZE];
    size_t size = strlen(name);
    if (size < 5 || strcmp(name + size - 5, ".bias") != 0)
        return 0;
    snprintf(weight, sizeof weight, "%.*s.weight", (int)(size - 5), name);
    const struct golden_array *array = golden_get(&f->golden, "grads", weight, GOLDEN_REAL);
    return golden_largest(array->real, array->count);
}

static int grads_differ(const struct fixture *f)
{
    int wrong = 0;
    for (int r = 0; r < f->params.rows; r++) {
        const struct ag_parameter *row = &f->params.row[r];
        const struct golden_array *array = golden_get(&f->golden, "grads", row->name, GOLDEN_REAL);
        assert_true(ag_shape_equal(row->shape, array->shape));
        wrong +=
            differs(f, array->name, array, f->params.grad + row->offset, scale_of(f, row->name));
    }
    return wrong;
}

// Twice, as the second replay finds the block of memory full of the first one's numbers.
static int model_differs(const char *path)
{
    struct fixture f;
    set_up(&f, path);
    int wrong = names_differ(&f);
    const struct golden_array *logits = golden_get(&f.golden, "outputs", "logits", GOLDEN_REAL);
    const struct golden_array *loss = golden_get(&f.golden, "outputs", "loss", GOLDEN_REAL);
    assert_true(ag_shape_equal(logits->shape, f.model.logits->shape));
    assert_int_equal(loss->count, 1);
    for (int replay = 0; replay < 2; replay++) {
        ag_forward(f.model.plan);
        wrong += differs(&f, "logits", logits, f.model.logits->data, 0);
        wrong += differs(&f, "loss", loss, f.model.loss->data, 0);
        ag_backward(f.model.plan, NULL);
        wrong += grads_differ(&f);
    }
    tear_down(&f);
    return wrong;
}

static void test_models_agree_with_pytorch(void **state)
{
    (void)state;
    glob_t found;
    int wrong = 0;
    assert_int_equal(glob("tests/golden/model_*.bin", 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= sizeof files / sizeof files[0]);
    for (size_t i = 0; i < found.gl_pathc; i++)
        wrong += model_differs(found.gl_pathv[i]);
    globfree(&found);
    assert_int_equal(wrong, 0);
}

static void test_no_file_is_missing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[256];
        struct golden golden;
        snprintf(path, sizeof path, "tests/golden/model_%s.bin", files[i]);
        check_code(golden_read(&golden, path));
        golden_release(&golden);
    }
}

// A comparison that cannot fail says nothing: one parameter a little off must be seen.
static void test_a_wrong_parameter_is_seen(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, "tests/golden/model_learned_encoder.bin");
    for (int r = 0; r < f.params.rows; r++) {
        const struct ag_parameter *row = &f.params.row[r];
        const size_t size = strlen(row->name);
        if (size > 11 && strcmp(row->name + size - 11, "attn.k.bias") == 0)
            continue; // the softmax does not see it
        real *value = f.params.value + row->offset, before = *value;
        *value += (real)0.01;
        ag_forward(f.model.plan);
        const struct golden_array *logits = golden_get(&f.golden, "outputs", "logits", GOLDEN_REAL);
        double error = golden_error(logits->real, logits->count, f.model.logits->data, 0);
        if (!(error > 2 * GOLDEN_TOLERANCE))
            print_error("%s changed and the logits did not (%g)\n", row->name, error);
        assert_true(error > 2 * GOLDEN_TOLERANCE);
        *value = before;
    }
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models_agree_with_pytorch),
        cmocka_unit_test(test_no_file_is_missing),
        cmocka_unit_test(test_a_wrong_parameter_is_seen),
    };
    return cmocka_run_group_tests_name("models against PyTorch", tests, NULL, NULL);
}
