// Errors: the line, its prefix, its limit, its thread; and the abort that only our own bugs bring.
#include "../../autograd/base/err.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/check.h"

static void test_set_returns_its_code(void **state)
{
    (void)state;
    assert_int_equal(err_set(ERR_FILE, "cannot open '%s': %d", "x", 7), ERR_FILE);
    assert_string_equal(err_last(), "cannot open 'x': 7");
    assert_int_equal(err_code(), ERR_FILE);
    assert_int_equal(err_set(ERR_MEMORY, "short"), ERR_MEMORY);
    assert_string_equal(err_last(), "short");
    assert_int_equal(err_code(), ERR_MEMORY);
}

static void test_prefix(void **state)
{
    (void)state;
    err_set(ERR_FORMAT, "damaged");
    assert_int_equal(err_prefix(ERR_FILE, "run %d", 3), ERR_FILE);
    assert_int_equal(err_code(), ERR_FILE);
    assert_string_equal(err_last(), "run 3: damaged");
    err_prefix(ERR_FILE, "%s", "posgrad");
    assert_string_equal(err_last(), "posgrad: run 3: damaged");
}

static void test_its_own_line_as_argument(void **state)
{
    (void)state;
    err_set(ERR_FILE, "inner");
    err_set(ERR_FILE, "outer (%s)", err_last());
    assert_string_equal(err_last(), "outer (inner)");
}

static void test_long_lines_are_cut(void **state)
{
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    err_set(ERR_FILE, "%s", text);
    assert_int_equal(strlen(err_last()), 1023);
    err_prefix(ERR_FILE, "%s", text);
    assert_in_range(strlen(err_last()), 900, 1023);
}

// Names of strangers are in messages: they can neither make a second line nor steer a terminal.
static void test_lines_are_plain(void **state)
{
    (void)state;
    err_set(ERR_FILE, "no dataset '%s'", "a\nb\033[2Jc\177\302\233m\303\244");
    assert_string_equal(err_last(), "no dataset 'a?b?[2Jc???m\303\244'");
    err_prefix(ERR_FILE, "%s", "x\ty");
    assert_string_equal(err_last(), "x?y: no dataset 'a?b?[2Jc???m\303\244'");
}

static void *other_thread(void *failed)
{
    bool *different = failed;
    *different = strcmp(err_last(), "") != 0;
    err_set(ERR_NUMBER, "theirs");
    return NULL;
}

static void test_one_line_a_thread(void **state)
{
    (void)state;
    pthread_t thread;
    bool failed = true;
    err_set(ERR_FILE, "mine");
    assert_int_equal(pthread_create(&thread, NULL, other_thread, &failed), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(failed);
    assert_string_equal(err_last(), "mine");
}

static void test_bug_aborts(void **state)
{
    (void)state;
    BUG_ON(1 > 2);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        BUG_ON(2 > 1);
        _exit(0);
    }
    int status = 0;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

CHECK_MAIN(cmocka_unit_test(test_set_returns_its_code), cmocka_unit_test(test_prefix),
           cmocka_unit_test(test_its_own_line_as_argument),
           cmocka_unit_test(test_long_lines_are_cut), cmocka_unit_test(test_lines_are_plain),
           cmocka_unit_test(test_one_line_a_thread), cmocka_unit_test(test_bug_aborts))
