// A test of the matrix products that is short enough for every start of a command that computes.
//
// A library may choose a kernel that is wrong on this processor, and our own tiles are compiled for
// each level of vector code; a result that is wrong in the last columns of an odd shape trains on
// without a word. So some shapes around every edge are compared with the plain loop. All numbers
// are whole, and as large as they may be with all sums exact: a right kernel has one answer, to the
// bit, in whatever order it adds.
#ifndef POSGRAD_SELFTEST_H
#define POSGRAD_SELFTEST_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/real.h"

// c [m, n] = alpha op(a) op(b) + beta c, as gemm() of gemm.h has it. `room` has space for b in
// panels.
struct selftest_case {
    bool transpose_a, transpose_b;
    int64_t m, n, k;
    real alpha, beta;
    const real *a, *b;
    int64_t lda, ldb;
    real *c;
    int64_t ldc;
    real *room;
};
typedef void selftest_product(const struct selftest_case *c);

// Holds one kernel to the plain loop: ERR_FILE where an element is wrong, or one beside the result
// was written; the line begins with `what` and ends with `advice`. Beta is 0 (over NaN) and 1, and,
// where `any_beta`, another number. `large` adds a shape that is beyond what libraries have kernels
// for small products for.
int selftest_run(const char *what, const char *advice, selftest_product *function, bool any_beta,
                 bool large);

// All that this program multiplies with: our own tiles, and OpenBLAS. Some 2 ms, on one thread.
// Call before threads are set.
int selftest_products(void);

#endif
