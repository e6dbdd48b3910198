// What the benchmarks share: a clock in milliseconds, medians, results as JSON lines.
#ifndef POSGRAD_TESTS_MEASURE_H
#define POSGRAD_TESTS_MEASURE_H

#include <time.h>

// First in main(): the BLAS and the waiting of threads as the program itself has them, which may
// start the benchmark anew.
void measure_begin(char **argv);
// Milliseconds of a clock: CLOCK_MONOTONIC, or CLOCK_THREAD_CPUTIME_ID for what this thread worked.
double measure_now(clockid_t clock);
// The median of `count` numbers, which are sorted by it.
double measure_median(double *x, int count);
// Appends a line to `file`; does nothing where that is NULL. A file that cannot be written ends the
// program.
__attribute__((format(printf, 2, 3))) void measure_json(const char *file, const char *format, ...);

#endif
