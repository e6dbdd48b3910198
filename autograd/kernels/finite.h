// Whether numbers are finite, many at a time.
#ifndef POSGRAD_FINITE_H
#define POSGRAD_FINITE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "../base/real.h"

// 0, or NaN where one of x [count] is not finite: 0 times a number that is not is NaN, and sums
// keep it.
static inline real finite_sum(const real *x, int64_t count)
{
    real zero = 0;
#pragma omp simd reduction(+ : zero)
    for (int64_t i = 0; i < count; i++)
        zero += x[i] * REAL(0.0);
    return zero;
}

static inline bool finite_all(const real *x, int64_t count)
{
    return finite_sum(x, count) == 0;
}

// For what has a limit at infinity: y [n] is NaN where x [count] is not finite, which would be seen
// nowhere in it.
static inline void finite_or_nan(const real *x, int64_t count, real *y, int64_t n)
{
    if (finite_all(x, count))
        return;
    for (int64_t i = 0; i < n; i++)
        y[i] = (real)NAN;
}

#endif
