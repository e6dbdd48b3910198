// What the benchmarks share: a clock in milliseconds, medians, the processor's peak.
#ifndef POSGRAD_TESTS_MEASURE_H
#define POSGRAD_TESTS_MEASURE_H

#include <time.h>

// Milliseconds of a clock: CLOCK_MONOTONIC, or CLOCK_THREAD_CPUTIME_ID for what this thread worked.
double measure_now(clockid_t clock);
// The median of `count` numbers, which are sorted by it.
double measure_median(double *x, int count);
// GFLOP/s of one thread that does nothing but multiply and add in registers, in float: what no
// product can be faster than.
double measure_peak(void);

#endif
