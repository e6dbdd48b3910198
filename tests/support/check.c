// Comparisons that a NaN or an infinity never passes: every condition is written so that NaN, which
// makes any comparison false, falls on the failing side.
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"

bool check_under_valgrind(void)
{
    const char *preloaded = getenv("LD_PRELOAD");
    return preloaded && strstr(preloaded, "vgpreload");
}

bool check_is_close(double actual, double expected, double relative, double absolute)
{
    double limit = absolute + relative * fabs(expected);
    return isfinite(actual) && isfinite(expected) && isfinite(limit) &&
           fabs(actual - expected) <= limit;
}

void check_close_at(struct check_place place, double actual, double expected, double relative,
                    double absolute)
{
    if (check_is_close(actual, expected, relative, absolute))
        return;
    print_error("%s is %.17g, not %.17g (difference %.3g; relative %.3g, absolute %.3g allowed)\n",
                place.what, actual, expected, actual - expected, relative, absolute);
    _fail(place.file, place.line);
}

static double item(struct check_array array, int64_t i)
{
    return array.is_double ? ((const double *)array.first)[i]
                           : (double)((const float *)array.first)[i];
}

void check_close_array_at(struct check_place place, struct check_array actual,
                          struct check_array expected, int64_t count, double relative,
                          double absolute)
{
    int64_t bad = 0, first = -1, worst = -1;
    double largest = -1;
    for (int64_t i = 0; i < count; i++) {
        double a = item(actual, i), e = item(expected, i), difference = fabs(a - e);
        if (check_is_close(a, e, relative, absolute))
            continue;
        bad++;
        first = first < 0 ? i : first;
        if (!(difference <= largest)) {
            largest = isnan(difference) ? HUGE_VAL : difference;
            worst = i;
        }
    }
    if (bad == 0 && count >= 0)
        return;
    if (bad == 0)
        print_error("%s: %lld items cannot be compared\n", place.what, (long long)count);
    else
        print_error("%s: %lld of %lld are wrong; first [%lld] is %.17g, not %.17g; worst [%lld] is "
                    "%.17g, not %.17g (relative %.3g, absolute %.3g allowed)\n",
                    place.what, (long long)bad, (long long)count, (long long)first,
                    item(actual, first), item(expected, first), (long long)worst,
                    item(actual, worst), item(expected, worst), relative, absolute);
    _fail(place.file, place.line);
}

void check_same_bytes_at(struct check_place place, const void *actual, const void *expected,
                         size_t size)
{
    const unsigned char *a = actual, *e = expected;
    if (size == 0 || memcmp(a, e, size) == 0)
        return;
    size_t at = 0, different = 0;
    while (a[at] == e[at])
        at++;
    for (size_t i = 0; i < size; i++)
        different += a[i] != e[i];
    print_error("%s: %zu of %zu bytes differ; the first is byte %zu: 0x%02x, not 0x%02x\n",
                place.what, different, size, at, a[at], e[at]);
    _fail(place.file, place.line);
}

void check_finite_array_at(struct check_place place, struct check_array actual, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(item(actual, i)))
            continue;
        print_error("%s[%lld] is %g\n", place.what, (long long)i, item(actual, i));
        _fail(place.file, place.line);
    }
}

void check_ok_at(struct check_place place, int code)
{
    if (code == 0)
        return;
    print_error("%s returned %d: %s\n", place.what, code, err_last());
    _fail(place.file, place.line);
}

void check_error_at(struct check_place place, int code, int expected, const char *words)
{
    if (code == expected && strstr(err_last(), words))
        return;
    print_error("%s returned %d with \"%s\"; %d with \"%s\" in its line was expected\n", place.what,
                code, err_last(), expected, words);
    _fail(place.file, place.line);
}
