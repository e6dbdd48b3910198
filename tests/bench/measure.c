// A clock in milliseconds, medians, and the processor's peak.
#include "measure.h"

#include <stdlib.h>

double measure_now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double measure_median(double *x, int count)
{
    qsort(x, (size_t)count, sizeof *x, ascending);
    return x[count / 2];
}

#if defined __AVX512F__
enum { VECTOR_BYTES = 64 };
#elif defined __AVX__
enum { VECTOR_BYTES = 32 };
#else
enum { VECTOR_BYTES = 16 };
#endif
typedef float vector __attribute__((vector_size(VECTOR_BYTES)));

double measure_peak(void)
{
    enum { SUMS = 12, TURNS = 400000, LANES = VECTOR_BYTES / sizeof(float) };
    vector sum[SUMS], factor = (vector){0} + 0.999f, term = (vector){0} + 0.001f;
    for (int i = 0; i < SUMS; i++)
        sum[i] = (vector){0} + (float)i;
    double start = measure_now(CLOCK_MONOTONIC);
    for (int turn = 0; turn < TURNS; turn++) {
#pragma GCC unroll 12
        for (int i = 0; i < SUMS; i++)
            sum[i] = sum[i] * factor + term;
    }
    double ms = measure_now(CLOCK_MONOTONIC) - start;
    volatile float seen = 0;
    for (int i = 0; i < SUMS; i++)
        seen = seen + sum[i][0];
    return 2.0 * SUMS * LANES * TURNS / (ms * 1e6);
}
