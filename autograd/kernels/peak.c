// Sums enough to hide how long each takes, and nothing that touches memory.
#include "peak.h"

#include <time.h>

#include "../base/real.h"
#include "unroll.h"

#if defined __AVX512F__
enum { BYTES = 64 };
#elif defined __AVX__
enum { BYTES = 32 };
#else
enum { BYTES = 16 };
#endif
enum { SUMS = 12, LANES = BYTES / sizeof(real), TURNS = 20000 };

typedef real vector __attribute__((vector_size(BYTES)));

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double peak_flops(double milliseconds)
{
    vector sum[SUMS], factor = (vector){0} + REAL(0.999), term = (vector){0} + REAL(0.001);
    double start = seconds_now(), seconds = 0, flops = 0;
    for (int i = 0; i < SUMS; i++)
        sum[i] = (vector){0} + (real)i;
    while (seconds * 1e3 < milliseconds) {
        for (int turn = 0; turn < TURNS; turn++) {
            UNROLL(12)
            for (int i = 0; i < SUMS; i++)
                sum[i] = sum[i] * factor + term;
        }
        flops += 2.0 * SUMS * LANES * TURNS;
        seconds = seconds_now() - start;
    }
    volatile real seen = 0; // so that the sums are made
    for (int i = 0; i < SUMS; i++)
        seen = seen + sum[i][0];
    return flops / seconds;
}
