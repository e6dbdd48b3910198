// Option tables: what is accepted, what is refused with which words, and text that reads back.
#include "../../autograd/base/options.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../support/check.h"

struct settings {
    int64_t steps, any;
    double rate;
    bool bos;
    char path[OPTION_TEXT];
    int kind;
};

static const struct option_def table[] = {
    {"max_steps", OPTION_INT, offsetof(struct settings, steps), "100", 0, 1e6, NULL, "updates"},
    {"any", OPTION_INT, offsetof(struct settings, any), "0", (double)INT64_MIN, (double)INT64_MAX,
     NULL, "any integer"},
    {"rate", OPTION_REAL, offsetof(struct settings, rate), "1e-3", -1e300, 1e300, NULL, "a number"},
    {"bos", OPTION_BOOL, offsetof(struct settings, bos), "no", 0, 0, NULL, "start token"},
    {"path", OPTION_STRING, offsetof(struct settings, path), "", 0, 0, NULL, "a file"},
    {"kind", OPTION_CHOICE, offsetof(struct settings, kind), "linear", 0, 0, "softmax|linear|relu2",
     "normaliser"},
    {.key = NULL},
};

static struct settings settings;

static int set(const char *key, const char *value)
{
    return options_set(table, &settings, "--task-opt of task x", key, value);
}

static int reset(void **state)
{
    (void)state;
    memset(&settings, 0x5a, sizeof settings);
    options_defaults(table, &settings);
    return 0;
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(settings.steps, 100);
    assert_int_equal(settings.any, 0);
    check_close(settings.rate, 1e-3, 0, 0);
    assert_false(settings.bos);
    assert_string_equal(settings.path, "");
    assert_int_equal(settings.kind, 1);
    options_defaults(NULL, &settings);
}

static void test_int(void **state)
{
    (void)state;
    check_ok(set("max_steps", "7"));
    assert_int_equal(settings.steps, 7);
    check_ok(set("max_steps", "0"));
    check_ok(set("max_steps", "1000000"));
    check_ok(set("any", "-9223372036854775808"));
    assert_true(settings.any == INT64_MIN);
    check_ok(set("any", "9223372036854775807"));
    assert_true(settings.any == INT64_MAX);
}

static void test_int_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    "1e3", "nan", "inf", "1.0", "7x",    "7 ",  " 7",
                                      "\t7", "+7",  "-",   "--7", "0x7", "seven", "7,0", "1_000"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char words[64];
        // (a message is one line: control characters are told as '?')
        const char *told = bad[i][0] == '\t' ? "?7" : bad[i];
        snprintf(words, sizeof words, "max_steps '%s' is not a whole number", told);
        check_error(set("max_steps", bad[i]), ERR_ARGUMENT, words);
    }
    static const char *const far[] = {"99999999999999999999", "-99999999999999999999", "-1",
                                      "1000001", "9223372036854775808"};
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
        check_error(set("max_steps", far[i]), ERR_ARGUMENT, far[i]);
        check_error(set("max_steps", far[i]), ERR_ARGUMENT, "from 0 to 1000000");
    }
    check_error(set("any", "9223372036854775808"), ERR_ARGUMENT, "out of range");
    check_error(set("any", "-9223372036854775809"), ERR_ARGUMENT, "out of range");
    assert_int_equal(settings.steps, 100); // a refusal changes nothing
    assert_int_equal(settings.any, 0);
}

static void test_real(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0.25", 0.25}, {"1e3", 1000}, {"-2", -2},
                {".5", 0.5},    {"0", 0},      {"1e-320", 1e-320}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        check_ok(set("rate", good[i].text));
        check_close(settings.rate, good[i].value, 0, 0);
    }
}

static void test_real_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",     "nan",  "-nan", "inf", "-inf", "infinity", "1e999",
                                      "1.5x", "1.5 ", " 1.5", "\n1", "one",  "1,5",      "NAN(1)"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_error(set("rate", bad[i]), ERR_ARGUMENT, "is not a finite number");
    check_error(set("rate", "1e301"), ERR_ARGUMENT, "from -1e+300 to 1e+300");
    check_close(settings.rate, 1e-3, 0, 0);
}

static void test_bool(void **state)
{
    (void)state;
    static const char *const on[] = {"1", "yes", "true", "on", "Yes", "TRUE"};
    static const char *const off[] = {"0", "no", "false", "off"};
    for (size_t i = 0; i < sizeof on / sizeof on[0]; i++) {
        settings.bos = false;
        check_ok(set("bos", on[i]));
        assert_true(settings.bos);
    }
    for (size_t i = 0; i < sizeof off / sizeof off[0]; i++) {
        settings.bos = true;
        check_ok(set("bos", off[i]));
        assert_false(settings.bos);
    }
    static const char *const bad[] = {"", "2", "y", "01", "nope", "1 "};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_error(set("bos", bad[i]), ERR_ARGUMENT, "is not yes or no");
}

static void test_string(void **state)
{
    (void)state;
    char longest[OPTION_TEXT + 1];
    memset(longest, 'a', sizeof longest);
    longest[OPTION_TEXT - 1] = '\0';
    check_ok(set("path", longest));
    assert_string_equal(settings.path, longest);
    longest[OPTION_TEXT - 1] = 'a';
    longest[OPTION_TEXT] = '\0';
    check_error(set("path", longest), ERR_ARGUMENT, "path is longer than 1023 bytes");
    check_ok(set("path", ""));
    assert_string_equal(settings.path, "");
}

static void test_choice(void **state)
{
    (void)state;
    check_ok(set("kind", "softmax"));
    assert_int_equal(settings.kind, 0);
    check_ok(set("kind", "relu2"));
    assert_int_equal(settings.kind, 2);
    check_error(set("kind", "sotfmax"), ERR_ARGUMENT, "did you mean 'softmax'?");
    check_error(set("kind", "unheard-of"), ERR_ARGUMENT, "softmax|linear|relu2");
    check_error(set("kind", ""), ERR_ARGUMENT, "kind");
    check_error(set("kind", "soft"), ERR_ARGUMENT, "kind");
    assert_int_equal(settings.kind, 2);
}

static void test_keys(void **state)
{
    (void)state;
    check_ok(set("max-steps", "5"));
    assert_int_equal(settings.steps, 5);
    check_ok(set("max_steps", "6"));
    assert_int_equal(settings.steps, 6);
    assert_ptr_equal(options_find(table, "max-steps"), &table[0]);
    assert_null(options_find(table, "max"));
    assert_null(options_find(table, ""));
    assert_null(options_find(NULL, "max"));
    check_error(set("max_stesp", "5"), ERR_ARGUMENT,
                "--task-opt of task x: no option 'max_stesp'; did you mean 'max_steps'?");
    check_error(set("completely_different", "5"), ERR_ARGUMENT, "no option 'completely_different'");
    assert_null(strstr(err_last(), "did you mean"));
    check_error(options_set(NULL, &settings, "task y", "bos", "1"), ERR_ARGUMENT,
                "there are no options");
}

static void test_pairs(void **state)
{
    (void)state;
    check_ok(options_set_pair(table, &settings, "w", "max_steps=12"));
    assert_int_equal(settings.steps, 12);
    check_ok(options_set_pair(table, &settings, "w", "path=a=b="));
    assert_string_equal(settings.path, "a=b=");
    check_ok(options_set_pair(table, &settings, "w", "path="));
    assert_string_equal(settings.path, "");
    static const char *const bad[] = {"", "=", "=3", "max_steps", "bos"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_error(options_set_pair(table, &settings, "w", bad[i]), ERR_ARGUMENT,
                    "is not KEY=VALUE");
    check_error(options_set_pair(table, &settings, "w", "max_steps="), ERR_ARGUMENT,
                "max_steps ''");
    char endless[400];
    memset(endless, 'k', sizeof endless);
    endless[300] = '=';
    endless[399] = '\0';
    check_error(options_set_pair(table, &settings, "w", endless), ERR_ARGUMENT, "KEY=VALUE");
}

// What options_get prints, options_set reads back to the same bytes.
static void check_round_trip(const char *key)
{
    char text[OPTION_TEXT], again[OPTION_TEXT];
    const struct option_def *option = options_find(table, key);
    struct settings before = settings;
    int size = options_get(option, &settings, text, sizeof text);
    assert_int_equal(size, strlen(text));
    check_ok(set(key, text));
    check_same_bytes(&settings, &before, sizeof settings);
    options_get(option, &settings, again, sizeof again);
    assert_string_equal(again, text);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const double numbers[] = {0.1, 1.0 / 3, 1e-3, 5e-324, 1e300, -0.0, 123456789.125, 2};
    static const int64_t integers[] = {0, -1, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        settings.rate = numbers[i];
        check_round_trip("rate");
    }
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        settings.any = integers[i];
        check_round_trip("any");
    }
    for (settings.kind = 0; settings.kind < 3; settings.kind++)
        check_round_trip("kind");
    check_ok(set("path", "a b|'=\"ü"));
    check_ok(set("kind", "softmax"));
    for (int on = 0; on < 2; on++) {
        settings.bos = on;
        check_round_trip("bos");
    }
    check_round_trip("path");
}

static void test_get_is_short_and_bounded(void **state)
{
    (void)state;
    char text[8];
    settings.rate = 0.1;
    assert_int_equal(options_get(options_find(table, "rate"), &settings, text, 4), 3);
    assert_string_equal(text, "0.1");
    char digits[32];
    settings.rate = 1.0 / 3;
    options_get(options_find(table, "rate"), &settings, digits, sizeof digits);
    assert_string_equal(digits, "0.3333333333333333");
    check_error(options_get(options_find(table, "rate"), &settings, text, 3), ERR_ARGUMENT, "rate");
    check_ok(set("path", "eightlong"));
    check_error(options_get(options_find(table, "path"), &settings, text, 8), ERR_ARGUMENT, "path");
}

static void test_names(void **state)
{
    (void)state;
    static const char *const names[] = {"alibi", "rope", "t5", "transformer-xl", "kerple-log"};
    enum { NAMES = sizeof names / sizeof names[0] };
    assert_int_equal(name_index(names, NAMES, "transformer_xl"), 3);
    assert_int_equal(name_index(names, NAMES, "rop"), -1);
    assert_int_equal(name_index(names, NAMES, "ropes"), -1);
    assert_int_equal(name_index(names, NAMES, ""), -1);
    assert_int_equal(name_index(names, 0, "rope"), -1);
    static const struct {
        const char *typed, *meant;
    } typos[] = {{"alibbi", "alibi"},
                 {"laibi", "alibi"},
                 {"laiib", "alibi"}, // two swaps
                 {"rpoe", "rope"},
                 {"ROPE", "rope"},
                 {"tranformer-xl", "transformer-xl"},
                 {"kerple_lgo", "kerple-log"}};
    for (size_t i = 0; i < sizeof typos / sizeof typos[0]; i++) {
        const char *near = name_nearest(names, NAMES, typos[i].typed);
        assert_non_null(near);
        assert_string_equal(near, typos[i].meant);
    }
    assert_null(name_nearest(names, NAMES, "sinusoidal"));
    assert_null(name_nearest(names, 0, "rope"));
    char endless[300];
    memset(endless, 'a', sizeof endless);
    endless[299] = '\0';
    assert_int_equal(name_index(names, NAMES, endless), -1);
    assert_null(name_nearest(names, NAMES, endless));
    assert_null(name_nearest(names, NAMES, "xx"));
    assert_null(name_nearest(names, NAMES, ""));
}

#define TEST(name) cmocka_unit_test_setup(name, reset)

CHECK_MAIN(TEST(test_defaults), TEST(test_int), TEST(test_int_refused), TEST(test_real),
           TEST(test_real_refused), TEST(test_bool), TEST(test_string), TEST(test_choice),
           TEST(test_keys), TEST(test_pairs), TEST(test_round_trip),
           TEST(test_get_is_short_and_bounded), TEST(test_names))
