// The model against PyTorch: logits, loss and every gradient of every golden file.
//
// The files come from tests/golden/make_golden.py, which writes the Transformer out from its
// formulas. A tensor's error is its largest difference over the reference's largest number; nothing
// but rounding may be left.
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "../support/check.h"
#include "../support/golden_model.h"

// The files that must be there; others may join them.
static const char *const files[] = {
    "none_encoder",    "none_decoder",       "learned_encoder",
    "learned_decoder", "sinusoidal_encoder", "sinusoidal_decoder",
};

struct fixture {
    struct golden golden;
    struct golden_model m;
};

// A file holds what its name says: else the tests of a whole encoding could be another one's.
static void check_name(const struct fixture *f)
{
    char pe[64], path[256];
    golden_text(&f->golden, "config", "pe", pe, sizeof pe);
    snprintf(path, sizeof path, "tests/golden/model_%s_%s.bin", pe,
             f->m.config.causal ? "decoder" : "encoder");
    assert_string_equal(path, f->golden.path);
}

static void set_up(struct fixture *f, const char *path)
{
    check_ok(golden_read(&f->golden, path));
    check_ok(golden_model_open(&f->m, &f->golden, NULL));
    check_name(f);
}

static void tear_down(struct fixture *f)
{
    golden_model_close(&f->m);
    golden_release(&f->golden);
}

static int model_differs(const char *path)
{
    struct fixture f;
    set_up(&f, path);
    int wrong = golden_model_differs(&f.m);
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
        check_ok(golden_read(&golden, path));
        golden_release(&golden);
    }
}

// A comparison that cannot fail says nothing: one parameter a little off must be seen.
static void test_a_wrong_parameter_is_seen(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, "tests/golden/model_learned_encoder.bin");
    for (int r = 0; r < f.m.params.rows; r++) {
        const struct ag_parameter *row = &f.m.params.row[r];
        const size_t size = strlen(row->name);
        if (size > 11 && strcmp(row->name + size - 11, "attn.k.bias") == 0)
            continue; // the softmax does not see it
        real *value = f.m.params.value + row->offset, before = *value;
        *value += (real)0.01;
        ag_forward(f.m.model.plan);
        double error = golden_model_logits_error(&f.m);
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
