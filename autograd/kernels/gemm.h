// Matrix products on raw pointers, one thread a call.
//
// Only gemm.c and blas.c include cblas.h. Work is cut into pieces above this file: one call always
// computes the same bits, as OpenBLAS's own threads are never used.
#ifndef POSGRAD_GEMM_H
#define POSGRAD_GEMM_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/real.h"

// c [m, n] = alpha * op(a) [m, k] * op(b) [k, n] + beta * c, row-major, op transposes where asked.
// lda, ldb and ldc are the distances between stored rows. With beta 0, c may hold anything, NaN
// too. As product.h has it, b may be read a little behind its end.
void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, real alpha,
          const real *a, int64_t lda, const real *b, int64_t ldb, real beta, real *c, int64_t ldc);

// The same by OpenBLAS, whatever the size; what a test of it calls.
void gemm_by_library(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                     real alpha, const real *a, int64_t lda, const real *b, int64_t ldb, real beta,
                     real *c, int64_t ldc);

// Which kernels the library chose for this CPU ("SkylakeX"), and what it is ("OpenBLAS 0.3.21
// ..."): bits depend on both, so checkpoints hold them.
const char *gemm_kernel(void);
const char *gemm_library(void);

#endif
