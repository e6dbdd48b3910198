// Folders written whole: what may be replaced, what never is, and what a failure leaves.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../src/io/h5file.h"
#include "../../src/io/publish_folder.h"
#include "../support/check.h"

static char scratch[] = "/tmp/posgrad-folder-XXXXXX";
static const struct folder_file first[] = {{"mark", "one", 3}, {"data", "uno", 3}};
static const struct folder_file second[] = {{"mark", "two", 3}, {"data", "duo!", 4}};

static int publish(const struct folder_file *file, bool overwrite)
{
    return folder_publish("out", file, 2, overwrite);
}

static void is(const char *path, const char *text)
{
    char *bytes;
    size_t size;
    check_ok(file_read(path, 100, &bytes, &size));
    assert_int_equal(size, strlen(text));
    check_same_bytes(bytes, text, size);
    free(bytes);
}

static void put(const char *path)
{
    check_ok(file_publish(path, "old", 3));
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

// What the tests below make.
static int clean(void **state)
{
    (void)state;
    static const char *const names[] = {
        "out/mark",     "out/data",     "out/strange",     "out/data.tmp",     "out",
        "out.tmp/mark", "out.tmp/data", "out.tmp/strange", "out.tmp/mark.tmp", "out.tmp",
        "target/mark",  "target/data",  "target"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (unlink(names[i]) < 0)
            rmdir(names[i]);
    assert_false(is_there("out") || is_there("out.tmp") || is_there("out.old"));
    return 0;
}

static void a_folder_is_made_and_replaced(void **state)
{
    (void)state;
    check_ok(publish(first, false));
    is("out/mark", "one");
    is("out/data", "uno");
    check_error(publish(second, false), ERR_FILE,
                "there already; give another name, or --overwrite");
    is("out/data", "uno");
    check_ok(publish(second, true));
    is("out/mark", "two");
    is("out/data", "duo!");
    check_ok(folder_publish("out//", first, 2, true)); // the same name
    is("out/data", "uno");
    assert_false(is_there("out.tmp") || is_there("out.old"));
}

static void an_empty_folder_will_do(void **state)
{
    (void)state;
    assert_int_equal(mkdir("out", 0777), 0);
    check_ok(folder_check("out", first, 2, false));
    check_ok(publish(first, false));
    is("out/mark", "one");
}

static void no_other_folder_is_touched(void **state)
{
    (void)state;
    assert_int_equal(mkdir("out", 0777), 0);
    put("out/data");
    check_error(publish(first, true), ERR_FILE, "no export has made");
    check_error(folder_check("out", first, 2, true), ERR_FILE, "no mark");
    put("out/mark");
    put("out/strange");
    check_error(publish(first, true), ERR_FILE, "holds strange");
    is("out/data", "old");
    is("out/strange", "old");
    assert_false(is_there("out.tmp"));
}

static void a_file_is_no_folder(void **state)
{
    (void)state;
    put("out");
    check_error(publish(first, true), ERR_FILE, "is no folder");
    is("out", "old");
    check_error(folder_publish("nowhere/out", first, 2, false), ERR_FILE,
                "nowhere/out.tmp: No such file");
}

static void what_a_link_leads_to_is_replaced(void **state)
{
    (void)state;
    assert_int_equal(mkdir("target", 0777), 0);
    assert_int_equal(symlink("target", "out"), 0);
    check_ok(publish(first, false));
    is("target/mark", "one");
    check_ok(publish(second, true));
    is("target/data", "duo!");
    struct stat status;
    assert_int_equal(lstat("out", &status), 0);
    assert_true(S_ISLNK(status.st_mode));
}

static void the_rest_of_a_killed_write_is_taken_over(void **state)
{
    (void)state;
    assert_int_equal(mkdir("out.tmp", 0777), 0);
    put("out.tmp/mark.tmp");
    put("out.tmp/data");
    check_ok(publish(first, false));
    is("out/data", "uno");
    assert_false(is_there("out.tmp") || is_there("out/mark.tmp"));
    clean(NULL);
    assert_int_equal(mkdir("out.tmp", 0777), 0);
    put("out.tmp/data"); // somebody else's
    check_error(publish(first, false), ERR_FILE, "out.tmp is a folder");
    is("out.tmp/data", "old");
    assert_false(is_there("out"));
}

static void two_writers_exclude_each_other(void **state)
{
    (void)state;
    assert_int_equal(mkdir("out.tmp", 0777), 0);
    int fd = open("out.tmp", O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    check_error(publish(first, false), ERR_FILE, "by another process");
    close(fd);
    check_ok(publish(first, false));
}

// A limit on the size of files is a disk that fills in the midst of the second file.
static void a_failure_leaves_what_was_there(void **state)
{
    (void)state;
    check_ok(publish(first, false));
    struct rlimit before, none = {3, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    int code = publish(second, true);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    check_error(code, ERR_FILE, "out.tmp/data");
    is("out/mark", "one");
    is("out/data", "uno");
    assert_false(is_there("out.tmp"));
}

static int begin(void **state)
{
    (void)state;
    return mkdtemp(scratch) && chdir(scratch) == 0 ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    return chdir("/") == 0 && rmdir(scratch) == 0 ? 0 : -1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, NULL, clean)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_folder_is_made_and_replaced),    TEST(an_empty_folder_will_do),
        TEST(no_other_folder_is_touched),       TEST(a_file_is_no_folder),
        TEST(what_a_link_leads_to_is_replaced), TEST(the_rest_of_a_killed_write_is_taken_over),
        TEST(two_writers_exclude_each_other),   TEST(a_failure_leaves_what_was_there),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, begin, end) != 0;
}
