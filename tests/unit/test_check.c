// The comparisons of tests/support: what must pass passes, and NaN, infinities and single wrong
// items do not. A check that should fail runs in a child process, through cmocka's own verdict.
#include "../support/check.h"

#include <fcntl.h>
#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../autograd/base/err.h"

// Whether a group with this one test ends in failure; its words go nowhere.
static bool fails(CMUnitTestFunction test)
{
    pid_t child = fork();
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, STDOUT_FILENO);
        dup2(nowhere, STDERR_FILENO);
        const struct CMUnitTest tests[] = {{"expected to fail", test, NULL, NULL, NULL}};
        _exit(cmocka_run_group_tests(tests, NULL, NULL) != 0);
    }
    int status = 0;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status) == 1;
}

#define FAILING(name, statement)                                                                   \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        statement;                                                                                 \
    }

static const float ones[3] = {1, 1, 1}, middle_off[3] = {1, 1.5f, 1}, last_nan[3] = {1, 1, NAN};
static const double ones_double[3] = {1, 1, 1}, infinite[3] = {1, 1, (double)INFINITY};

FAILING(nan_actual, check_close(NAN, 1.0, 1e9, 1e9))
FAILING(nan_expected, check_close(1.0, NAN, 1e9, 1e9))
FAILING(nan_both, check_close(NAN, NAN, 1e9, 1e9))
FAILING(infinite_actual, check_close(INFINITY, 1.0, 1e9, 1e9))
FAILING(infinite_both, check_close(INFINITY, INFINITY, 1e9, 1e9))
FAILING(infinite_tolerance, check_close(1.0, 2.0, (double)INFINITY, 0.0))
FAILING(too_far, check_close(1.0, 1.1, 0.05, 0.0))
FAILING(wrong_sign, check_close(-1.0, 1.0, 1e-3, 1e-3))
FAILING(array_off, check_close_array(middle_off, ones, 3, 1e-3, 0))
FAILING(array_nan, check_close_array(last_nan, ones, 3, 1e-3, 0))
FAILING(array_nan_both, check_close_array(last_nan, last_nan, 3, 1e-3, 0))
FAILING(array_infinite, check_close_array(infinite, infinite, 3, 1e-3, 0))
FAILING(array_of_two_types, check_close_array(last_nan, ones_double, 3, 1e-3, 0))
FAILING(array_negative_count, check_close_array(ones, ones, -1, 1e-3, 0))
FAILING(bytes_differ, check_same_bytes("abcd", "abed", 4))
FAILING(not_finite_nan, check_finite_array(last_nan, 3))
FAILING(not_finite_infinity, check_finite_array(infinite, 3))
FAILING(not_ok, check_ok(err_set(ERR_FILE, "no such thing")))
FAILING(no_error, check_error(0, ERR_FILE, ""))
FAILING(wrong_error, check_error(err_set(ERR_FILE, "a b"), ERR_MEMORY, "a"))
FAILING(wrong_words, check_error(err_set(ERR_FILE, "a b"), ERR_FILE, "c"))

static void test_what_must_fail(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        CMUnitTestFunction test;
    } cases[] = {
        {"nan_actual", nan_actual},
        {"nan_expected", nan_expected},
        {"nan_both", nan_both},
        {"infinite_actual", infinite_actual},
        {"infinite_both", infinite_both},
        {"infinite_tolerance", infinite_tolerance},
        {"too_far", too_far},
        {"wrong_sign", wrong_sign},
        {"array_off", array_off},
        {"array_nan", array_nan},
        {"array_nan_both", array_nan_both},
        {"array_infinite", array_infinite},
        {"array_of_two_types", array_of_two_types},
        {"array_negative_count", array_negative_count},
        {"bytes_differ", bytes_differ},
        {"not_finite_nan", not_finite_nan},
        {"not_finite_infinity", not_finite_infinity},
        {"not_ok", not_ok},
        {"no_error", no_error},
        {"wrong_error", wrong_error},
        {"wrong_words", wrong_words},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (!fails(cases[i].test))
            fail_msg("%s passed", cases[i].name);
}

FAILING(passes, check_close(1.0, 1.0, 0, 0))

static void test_what_must_pass(void **state)
{
    (void)state;
    assert_false(fails(passes)); // the child's verdict can be good, too
    check_close(1.0, 1.0, 0, 0);
    check_close(0.0, -0.0, 0, 0);
    check_close(1.04, 1.0, 0.05, 0);
    check_close(1e-9, 0.0, 0.05, 1e-8);
    check_close_array(ones, ones_double, 3, 0, 0);
    check_close_array(ones, last_nan, 2, 0, 0);
    check_close_array(ones, ones, 0, 0, 0);
    check_same_bytes("abcd", "abed", 2);
    check_same_bytes(last_nan, last_nan, sizeof last_nan);
    check_finite_array(ones, 3);
    check_ok(0);
    check_error(err_set(ERR_FILE, "no 'x' here"), ERR_FILE, "'x'");
}

static void test_is_close(void **state)
{
    (void)state;
    assert_true(check_is_close(-2, -2.1, 0.05, 0));
    assert_false(check_is_close(-2, -2.2, 0.05, 0));
    assert_false(check_is_close(2, -2, 0.05, 0));
    assert_false(check_is_close(1e308, -1e308, 1, 0));
    assert_false(check_is_close((double)INFINITY, -(double)INFINITY, 1, 1));
    assert_false(check_is_close(1, 1, (double)NAN, 0));
    assert_false(check_is_close(1, 1, 0, (double)NAN));
}

CHECK_MAIN(cmocka_unit_test(test_is_close), cmocka_unit_test(test_what_must_pass),
           cmocka_unit_test(test_what_must_fail))
