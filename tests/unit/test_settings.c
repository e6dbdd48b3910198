// Settings: defaults of the design page, the way through JSON and back, and what is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../autograd/base/err.h"
#include "../../src/train/train.h"
#include "../support/settings.h"

static struct train_settings settings, other;

static void expect_error(int code, int wanted, const char *part)
{
    assert_int_equal(code, wanted);
    if (!strstr(err_last(), part))
        fail_msg("the line '%s' does not say '%s'", err_last(), part);
}

static void defaults_are_those_of_the_design(void **state)
{
    (void)state;
    train_settings_init(&settings);
    assert_int_equal(settings.arch, 0);
    assert_int_equal(settings.layers, 2);
    assert_int_equal(settings.heads, 4);
    assert_int_equal(settings.dim, 64);
    assert_int_equal(settings.ff_dim, 256);
    assert_int_equal(settings.length, 32);
    assert_int_equal(settings.batch_size, 32);
    assert_int_equal(settings.steps, 1000);
    assert_true(settings.lr == 1e-3 && settings.weight_decay == 0.01 && settings.grad_clip == 1);
    assert_true(settings.dropout == 0);
    assert_string_equal(settings.schedule, "cosine");
    assert_string_equal(settings.optimizer, "adamw");
    assert_int_equal(settings.warmup, 100);
    assert_int_equal(settings.seed, 0);
    assert_int_equal(settings.threads, 0);
    assert_int_equal(settings.save_every, 500);
    assert_int_equal(settings.keep, 1);
    assert_int_equal(settings.eval_every, 100);
    assert_int_equal(settings.log_every, 10);
    assert_false(settings.tie);
}

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void set(const char *key, const char *value)
{
    settings_set(&settings, key, value);
}

static void json_gives_back_every_field(void **state)
{
    (void)state;
    train_settings_init(&settings);
    set("pe", "learned");
    set("task", "probe");
    set("arch", "decoder");
    set("batch_size", "7"); // '_' for '-'
    set("lr", "0.1");
    set("dropout", "0.30000000000000004");
    set("weight-decay", "1e-300");
    set("tie", "yes");
    set("seed", "123456789012345");
    set("data", "a \"quoted\" na\\me \xc3\xa9");
    set("task-opt", "bos=1");
    set("task-opt", "mixed=1");
    set("pe-opt", "text=a=b");
    set("init-from", "a file.npz:wpe:0=pe.learned.weight");
    set("init_sha256", DIGEST);
    set("init-resize", "hierarchical");
    set("freeze", "pe.*,head.weight");
    set("freeze", "ln_f.*");
    char *text = train_settings_to_json(&settings);
    assert_non_null(text);
    assert_non_null(strstr(text, "\"batch_size\": 7"));
    assert_non_null(strstr(text, "\"lr\": 0.1,"));
    assert_non_null(strstr(text, "\"tie\": true"));
    train_settings_init(&other);
    if (train_settings_from_json(&other, text) != 0)
        fail_msg("%s", err_last());
    assert_memory_equal(&settings, &other, sizeof settings);
    char *again = train_settings_to_json(&other);
    assert_string_equal(text, again);
    free(text);
    free(again);
}

static void keys_are_complete(void **state)
{
    (void)state;
    train_settings_init(&settings);
    char *text = train_settings_to_json(&settings);
    for (const struct option_def *row = train_options; row->key; row++) {
        char key[64] = "\"";
        strncat(key, row->key, 60);
        for (char *p = key; *p; p++)
            if (*p == '-')
                *p = '_';
        strcat(key, "\"");
        if (!strstr(text, key))
            fail_msg("%s is not in the JSON", key);
    }
    free(text);
}

static void mistakes_name_the_key(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"{\"layerz\": 2}", "layers"},
        {"{\"layers\": 0}", "layers"},
        {"{\"layers\": 1.5}", "layers"},
        {"{\"layers\": null}", "layers"},
        {"{\"layers\": [1]}", "layers"},
        {"{\"lr\": \"nan\"}", "lr"},
        {"{\"task_opt\": \"a=1\"}", "task-opt"},
        {"{\"task_opt\": [1]}", "task-opt"},
        {"{\"task_opt\": [\"a\"]}", "KEY=VALUE"},
        {"{\"freeze\": \"pe.*\"}", "'freeze' must be a list of texts"},
        {"{\"init_from\": [1]}", "'init-from' must be a list of texts"},
        {"{\"init_from\": [\"\"]}", "init-from"},
        {"{\"init_sha256\": [\"12\"]}", "SHA-256"},
        {"[]", "object"},
        {"{", "line 1"},
        {"{\"dim\": 8, \"dim\": 9}", "duplicate"},
        {"", "config"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        train_settings_init(&settings);
        int code = train_settings_from_json(&settings, bad[i][0]);
        assert_true(code < 0);
        expect_error(code, code, bad[i][1]);
    }
}

static void values_are_parsed_strictly(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"steps", "12abc"},
        {"steps", ""},
        {"steps", "-1"},
        {"steps", "99999999999999999999"},
        {"lr", "nan"},
        {"lr", "1e999"},
        {"lr", "-1"},
        {"arch", "decodr"},
        {"dropout", "1"},
        {"threads", "257"},
        {"tie", "perhaps"},
        {"pe-opt", "x"},
        {"pe-opt", "=x"},
        {"nothing", "1"},
        {"freeze", ""},
        {"init-from", ""},
        {"init-sha256", DIGEST "0"},
        {"init-resize", "stretch"},
    };
    train_settings_init(&settings);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int code = train_settings_assign(&settings, bad[i][0], bad[i][1]);
        if (code != ERR_ARGUMENT)
            fail_msg("--%s '%s' was taken", bad[i][0], bad[i][1]);
        char flag[64];
        snprintf(flag, sizeof flag, "--%s", bad[i][0]);
        expect_error(code, ERR_ARGUMENT, flag);
    }
}

static void pairs_have_an_end(void **state)
{
    (void)state;
    train_settings_init(&settings);
    for (int i = 0; i < TRAIN_MAX_PAIRS; i++)
        set("pe-opt", "a=1");
    expect_error(train_settings_assign(&settings, "pe-opt", "a=1"), ERR_ARGUMENT, "64");
    char longer[OPTION_TEXT];
    memset(longer, 'x', sizeof longer);
    longer[1] = '=';
    longer[OPTION_TEXT / 4] = '\0';
    expect_error(train_settings_assign(&settings, "task-opt", longer), ERR_ARGUMENT, "longer");
    longer[OPTION_TEXT / 4 - 1] = '\0';
    set("task-opt", longer);
    assert_string_equal(settings.task_opt[0], longer);
}

// A path may be longer than a pair.
static void paths_have_another_end(void **state)
{
    (void)state;
    char longer[OPTION_TEXT + 1];
    memset(longer, 'x', sizeof longer);
    longer[OPTION_TEXT] = '\0';
    train_settings_init(&settings);
    expect_error(train_settings_assign(&settings, "init-from", longer), ERR_ARGUMENT, "1023");
    longer[OPTION_TEXT - 1] = '\0';
    set("init-from", longer);
    assert_string_equal(settings.init_from[0], longer);
}

static void names_are_checked(void **state)
{
    (void)state;
    train_settings_init(&settings);
    expect_error(train_settings_check(&settings), ERR_ARGUMENT, "--pe");
    set("pe", "learned");
    expect_error(train_settings_check(&settings), ERR_ARGUMENT, "--task");
    set("task", task_list[0]->name);
    assert_int_equal(train_settings_check(&settings), 0);
    set("pe", "learnd");
    expect_error(train_settings_check(&settings), ERR_ARGUMENT, "learned");
    set("pe", "learned+");
    expect_error(train_settings_check(&settings), ERR_ARGUMENT, "");
    set("pe", "learned");
    set("schedule", "cosin");
    expect_error(train_settings_check(&settings), ERR_ARGUMENT, "cosine");
    set("schedule", "cosine");
    set("optimizer", "adanw");
    expect_error(train_settings_check(&settings), ERR_ARGUMENT, "adamw");
}

static void names_are_kept_as_the_lists_spell_them(void **state)
{
    (void)state;
    train_settings_init(&settings);
    set("pe", "SINUSOIDAL+Learned");
    set("task", "Probe");
    set("optimizer", "AdamW");
    set("schedule", "inverse_sqrt");
    assert_string_equal(settings.pe, "sinusoidal+learned");
    assert_string_equal(settings.task, "probe");
    assert_string_equal(settings.optimizer, "adamw");
    assert_string_equal(settings.schedule, "inverse-sqrt");
    set("pe", "Learned+lerned"); // left as typed, for the line that refuses it
    assert_string_equal(settings.pe, "Learned+lerned");
    train_settings_init(&settings);
    assert_int_equal(train_settings_from_json(&settings, "{\"pe\": \"Learned\"}"), 0);
    assert_string_equal(settings.pe, "learned");
}

static void folder_is_named_after_the_run(void **state)
{
    (void)state;
    char folder[OPTION_TEXT];
    train_settings_init(&settings);
    set("pe", "learned");
    set("task", "probe");
    set("seed", "3");
    assert_int_equal(train_settings_folder(&settings, folder, sizeof folder), 0);
    assert_string_equal(folder, "runs/probe-learned-s3");
    set("out-dir", "elsewhere");
    assert_int_equal(train_settings_folder(&settings, folder, sizeof folder), 0);
    assert_string_equal(folder, "elsewhere");
    expect_error(train_settings_folder(&settings, folder, 3), ERR_ARGUMENT, "--out-dir");
}

static void what_does_not_fit_together(void **state)
{
    (void)state;
    train_settings_init(&settings);
    set("pe", "learned");
    set("task", "probe");
    assert_int_equal(train_settings_check(&settings), 0);
    assert_false(train_settings_keep_best(&settings));
    set("accumulate", "5");
    expect_error(train_settings_check(&settings), ERR_ARGUMENT, "--accumulate 5 does not divide");
    set("accumulate", "8");
    assert_int_equal(train_settings_check(&settings), 0);
    set("patience", "2");
    assert_true(train_settings_keep_best(&settings));
    assert_int_equal(train_settings_check(&settings), 0);
    set("eval-every", "0");
    expect_error(train_settings_check(&settings), ERR_ARGUMENT, "--patience");
    set("eval-every", "1");
    set("init-skip", "2");
    expect_error(train_settings_check(&settings), ERR_ARGUMENT, "--init-skip is for the file");
    set("init-resize", "truncate");
    expect_error(train_settings_check(&settings), ERR_ARGUMENT, "--init-resize is for the file");
    set("init-from", "a.npy");
    set("init-sha256", DIGEST);
    assert_int_equal(train_settings_check(&settings), 0);
    set("init-sha256", DIGEST);
    expect_error(train_settings_check(&settings), ERR_ARGUMENT, "more often than --init-from");
    expect_error(train_settings_assign(&settings, "ema", "1"), ERR_ARGUMENT,
                 "ema 1 is out of range; it must be from 0 to 0.9999999");
    expect_error(train_settings_assign(&settings, "label-smoothing", "1"), ERR_ARGUMENT,
                 "label-smoothing");
    expect_error(train_settings_assign(&settings, "early-stop-metric", "f1"), ERR_ARGUMENT,
                 "exact_match");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_design),
        cmocka_unit_test(json_gives_back_every_field),
        cmocka_unit_test(keys_are_complete),
        cmocka_unit_test(mistakes_name_the_key),
        cmocka_unit_test(values_are_parsed_strictly),
        cmocka_unit_test(pairs_have_an_end),
        cmocka_unit_test(paths_have_another_end),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(names_are_kept_as_the_lists_spell_them),
        cmocka_unit_test(folder_is_named_after_the_run),
        cmocka_unit_test(what_does_not_fit_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
