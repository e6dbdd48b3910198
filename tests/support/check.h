// Comparisons for tests, over cmocka's, that a NaN or an infinity never passes.
//
// Every test includes this file instead of cmocka.h. cmocka 1.1.5's own comparison of floats lets
// NaN and infinities pass, so none of its floating-point assertions is used in this tree. A failing
// check prints the expression, both numbers and the place, and ends the test. Call from the test's
// own thread only: pieces of parallel work write into arrays, and the test compares afterwards.
#ifndef POSGRAD_TESTS_CHECK_H
#define POSGRAD_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../autograd/base/real.h"

// Whether |actual - expected| <= absolute + relative * |expected|. False when any of the four is
// not finite, even for two equal infinities: a test that expects one says so with isinf.
bool check_is_close(double actual, double expected, double relative, double absolute);

// Whether valgrind runs the test: it makes system calls that the wall around libhdf5 forbids, and
// flushes no denormals.
bool check_under_valgrind(void);

// Where a comparison is written, for its message.
struct check_place {
    const char *what, *file;
    int line;
};
#define CHECK_PLACE(what) ((struct check_place){#what, __FILE__, __LINE__})

// Two numbers.
#define check_close(actual, expected, relative, absolute)                                          \
    check_close_at(CHECK_PLACE(actual), (double)(actual), (double)(expected), relative, absolute)
void check_close_at(struct check_place place, double actual, double expected, double relative,
                    double absolute);

// `count` numbers; each array is of float or of double. The message names the first index that is
// wrong, how many are, and the worst.
#define check_close_array(actual, expected, count, relative, absolute)                             \
    check_close_array_at(CHECK_PLACE(actual), CHECK_ARRAY(actual), CHECK_ARRAY(expected),          \
                         (int64_t)(count), relative, absolute)
struct check_array {
    const void *first;
    bool is_double;
};
#define CHECK_ARRAY(array)                                                                         \
    ((struct check_array){(array), _Generic(*(array), float : false, double : true)})
void check_close_array_at(struct check_place place, struct check_array actual,
                          struct check_array expected, int64_t count, double relative,
                          double absolute);

// `size` bytes, for results that must be the same to the bit.
#define check_same_bytes(actual, expected, size)                                                   \
    check_same_bytes_at(CHECK_PLACE(actual), actual, expected, size)
void check_same_bytes_at(struct check_place place, const void *actual, const void *expected,
                         size_t size);

// Every number is finite.
#define check_finite_array(actual, count)                                                          \
    check_finite_array_at(CHECK_PLACE(actual), CHECK_ARRAY(actual), (int64_t)(count))
void check_finite_array_at(struct check_place place, struct check_array actual, int64_t count);

// A call that returns 0 or an error: success (the message shows err_last), or this error with
// `words` in its line.
#define check_ok(call) check_ok_at(CHECK_PLACE(call), call)
void check_ok_at(struct check_place place, int code);
#define check_error(call, expected, words) check_error_at(CHECK_PLACE(call), call, expected, words)
void check_error_at(struct check_place place, int code, int expected, const char *words);

// The rounding that remains after a handful of operations in this build.
#ifdef POSGRAD_DOUBLE
#define CHECK_ROUNDING 1e-13
#else
#define CHECK_ROUNDING 1e-5
#endif

// A test program's main: CHECK_MAIN(cmocka_unit_test(a), cmocka_unit_test(b)). The exit status is 1
// however many fail; cmocka's own count would be 0 again at 256.
#define CHECK_MAIN(...)                                                                            \
    int main(void)                                                                                 \
    {                                                                                              \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                                           \
        return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL) != 0;                      \
    }

#endif
