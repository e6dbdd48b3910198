// Matrix products by OpenBLAS; small ones by our own tiles, which have nothing to set up.
#include "gemm.h"

#include <cblas.h>

#include "product.h"

// Up to so many multiplications a product is small; fewer where the right operand must be packed.
enum { SMALL = 1 << 18, SMALL_PACKED = 1 << 12 };

void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, real alpha,
          const real *a, int64_t lda, const real *b, int64_t ldb, real beta, real *c, int64_t ldc)
{
    if (m * n * k <= (transpose_b ? SMALL_PACKED : SMALL) && (beta == 0 || beta == 1)) {
        product_any(transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta != 0, c, ldc);
        return;
    }
    gemm_by_library(transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

void gemm_by_library(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                     real alpha, const real *a, int64_t lda, const real *b, int64_t ldb, real beta,
                     real *c, int64_t ldc)
{
    enum CBLAS_TRANSPOSE ta = transpose_a ? CblasTrans : CblasNoTrans;
    enum CBLAS_TRANSPOSE tb = transpose_b ? CblasTrans : CblasNoTrans;
#ifdef POSGRAD_DOUBLE
    cblas_dgemm(CblasRowMajor, ta, tb, (int)m, (int)n, (int)k, alpha, a, (int)lda, b, (int)ldb,
                beta, c, (int)ldc);
#else
    cblas_sgemm(CblasRowMajor, ta, tb, (int)m, (int)n, (int)k, alpha, a, (int)lda, b, (int)ldb,
                beta, c, (int)ldc);
#endif
}

const char *gemm_kernel(void)
{
    return openblas_get_corename();
}

const char *gemm_library(void)
{
    return openblas_get_config();
}
