// What the benchmarks share: a clock in milliseconds, and medians.
#ifndef POSGRAD_TESTS_MEASURE_H
#define POSGRAD_TESTS_MEASURE_H

#include <time.h>

// Milliseconds of a clock: CLOCK_MONOTONIC, or CLOCK_THREAD_CPUTIME_ID for what this thread worked.
double measure_now(clockid_t clock);
// The median of `count` numbers, which are sorted by it.
double measure_median(double *x, int count);

#endif
