// Shapes, whole numbers, the plain loop, and what to say.
#include "selftest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/err.h"
#include "../base/par.h"
#include "blas.h"
#include "gemm.h"
#include "level.h"
#include "product.h"

struct shape {
    int64_t m, n, k;
};
// Around tiles of 6 rows, vectors of 4 to 16 numbers, panels of 8 to 64 columns and runs of 128.
static const struct shape shapes[] = {
    {1, 1, 1},    {2, 3, 5},  {5, 15, 3},  {6, 16, 128}, {7, 17, 129},   {13, 33, 131},
    {12, 64, 64}, {6, 65, 5}, {11, 63, 2}, {4, 130, 7},  {3, 31, 1},     {2, 47, 127},
    {8, 48, 257}, {9, 8, 9},  {10, 4, 33}, {17, 9, 18},  {103, 101, 99}, // the last one is the
                                                                         // large one
};
enum {
    SHAPES = sizeof shapes / sizeof shapes[0],
    MOST_M = 103,
    MOST_N = 130,
    MOST_K = 257,
    PAD = 3, // numbers beside a row
    ROOM = MOST_K * (MOST_N + 64),
    // Bits of which sums and what is added to them stay exact.
    BITS = sizeof(real) == 4 ? 21 : 50
};

// One shape: operands in both orders, what their product is, and where results go.
struct work {
    struct shape shape;
    real a[2][(MOST_M + PAD) * (MOST_K + PAD)], b[2][(MOST_N + PAD) * (MOST_K + PAD)];
    real exact[MOST_M * MOST_N], c[(MOST_M + 1) * (MOST_N + PAD)], room[ROOM];
};

static const real guard = 12345;       // beside the rows of c
static const real outside = (real)NAN; // beside those of a and b

// Whole numbers between -most and most, the same at every start.
static real whole(uint32_t *state, int64_t most)
{
    *state = *state * 1664525u + 1013904223u;
    return (real)((int64_t)(*state >> 8) * (2 * most + 1) / (1 << 24) - most);
}

// A matrix [rows, columns], as it is and transposed, with NaN beside its rows and behind the last.
static void fill(real *straight, real *turned, int64_t rows, int64_t columns, int64_t most,
                 uint32_t *state)
{
    for (int64_t i = 0; i < rows * (columns + PAD) + PRODUCT_BEHIND; i++)
        straight[i] = outside;
    for (int64_t i = 0; i < columns * (rows + PAD) + PRODUCT_BEHIND; i++)
        turned[i] = outside;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            straight[i * (columns + PAD) + j] = turned[j * (rows + PAD) + i] = whole(state, most);
}

static void prepare(struct work *w, const struct shape *shape)
{
    int64_t m = shape->m, n = shape->n, k = shape->k;
    int64_t most = (int64_t)sqrt((double)((int64_t)1 << BITS) / (double)k);
    uint32_t state = (uint32_t)(m * 7919 + n * 31 + k);
    w->shape = *shape;
    fill(w->a[0], w->a[1], m, k, most, &state);
    fill(w->b[0], w->b[1], k, n, most, &state);
    memset(w->exact, 0, (size_t)(m * n) * sizeof(real));
    for (int64_t i = 0; i < m; i++)
        for (int64_t l = 0; l < k; l++)
            for (int64_t j = 0; j < n; j++)
                w->exact[i * n + j] += w->a[0][i * (k + PAD) + l] * w->b[0][l * (n + PAD) + j];
}

// What was in c before.
static real before(int64_t i, int64_t j, real beta)
{
    return beta == 0 ? (real)NAN : (real)((i * 5 + j * 3) % 17 * 2 - 16);
}

static int compare(const struct work *w, const struct selftest_case *c, const char *what,
                   const char *advice)
{
    for (int64_t i = 0; i <= c->m; i++)
        for (int64_t j = 0; j < c->ldc; j++) {
            real want = guard, found = c->c[i * c->ldc + j];
            if (i < c->m && j < c->n)
                want = c->alpha * w->exact[i * c->n + j] +
                       (c->beta == 0 ? 0 : c->beta * before(i, j, c->beta));
            if (!(found == want))
                return err_set(ERR_FILE,
                               "%s is wrong on this processor: element [%d, %d] of [%d, %d] by "
                               "[%d, %d]%s%s is %.9g in place of %.9g; %s",
                               what, (int)i, (int)j, (int)c->m, (int)c->k, (int)c->k, (int)c->n,
                               c->transpose_a ? ", left one transposed" : "",
                               c->transpose_b ? ", right one transposed" : "", (double)found,
                               (double)want, advice);
        }
    return 0;
}

static int try_case(struct work *w, selftest_product *function, bool transpose_a, bool transpose_b,
                    real alpha, real beta, const char *what, const char *advice)
{
    int64_t m = w->shape.m, n = w->shape.n, k = w->shape.k;
    struct selftest_case c = {.transpose_a = transpose_a,
                              .transpose_b = transpose_b,
                              .m = m,
                              .n = n,
                              .k = k,
                              .alpha = alpha,
                              .beta = beta,
                              .a = w->a[transpose_a],
                              .b = w->b[transpose_b],
                              .lda = (transpose_a ? m : k) + PAD,
                              .ldb = (transpose_b ? k : n) + PAD,
                              .c = w->c,
                              .ldc = n + PAD,
                              .room = w->room};
    for (int64_t i = 0; i <= m; i++)
        for (int64_t j = 0; j < c.ldc; j++)
            w->c[i * c.ldc + j] = i < m && j < n ? before(i, j, beta) : guard;
    function(&c);
    return compare(w, &c, what, advice);
}

int selftest_run(const char *what, const char *advice, selftest_product *function, bool any_beta,
                 bool large)
{
    static const real factor[][2] = {{1, 0}, {-2, 1}, {(real)0.5, 2}}; // alpha, beta
    struct work *w = malloc(sizeof *w);
    int code = 0;
    if (!w)
        return err_set(ERR_MEMORY, "out of memory for the test of the products");
    for (int s = 0; s < SHAPES - !large && code == 0; s++) {
        prepare(w, &shapes[s]);
        for (int f = 0; f < 2 + any_beta && code == 0; f += s == SHAPES - 1 ? 2 : 1)
            for (int t = 0; t < 4 && code == 0; t++)
                code =
                    try_case(w, function, t & 1, t & 2, factor[f][0], factor[f][1], what, advice);
    }
    free(w);
    return code;
}

// --- what is tested

static void own_rows(const struct selftest_case *c)
{
    product_any(c->transpose_a, c->transpose_b, c->m, c->n, c->k, c->alpha, c->a, c->lda, c->b,
                c->ldb, c->beta != 0, c->c, c->ldc);
}

static void own_panels(const struct selftest_case *c)
{
    product_pack(c->room, c->transpose_b, c->k, c->n, c->b, c->ldb, 0, product_panels(c->n));
    product(&(struct product){.m = c->m,
                              .n = c->n,
                              .k = c->k,
                              .a = c->a,
                              .a_row = c->transpose_a ? 1 : c->lda,
                              .a_column = c->transpose_a ? c->lda : 1,
                              .b = c->room,
                              .alpha = c->alpha,
                              .add = c->beta != 0 ? c->c : NULL,
                              .add_row = c->ldc,
                              .c = c->c,
                              .c_row = c->ldc});
}

static void library(const struct selftest_case *c)
{
    gemm_by_library(c->transpose_a, c->transpose_b, c->m, c->n, c->k, c->alpha, c->a, c->lda, c->b,
                    c->ldb, c->beta, c->c, c->ldc);
}

static int test_own(void)
{
    char what[64], advice[128] = "report it with the lines of 'posgrad system'";
    snprintf(what, sizeof what, "posgrad's own product (%s)", level_own());
    for (int i = 0; level_names[i] && level_names[i + 1]; i++)
        if (strcmp(level_names[i], level_own()) == 0)
            snprintf(advice, sizeof advice,
                     "set " LEVEL_VARIABLE "=%s for other kernels, and report it",
                     level_names[i + 1]);
    int code = selftest_run(what, advice, own_rows, false, false);
    return code < 0 ? code : selftest_run(what, advice, own_panels, false, false);
}

static int test_library(void)
{
    char what[96], advice[160] = "install another OpenBLAS";
    struct blas_cpu cpu = blas_cpu();
    const char *other = blas_other_core(gemm_kernel(), &cpu);
    snprintf(what, sizeof what, "OpenBLAS's product (kernels %.30s)", gemm_kernel());
    if (other)
        snprintf(advice, sizeof advice,
                 "set " BLAS_CORE_VARIABLE "=%s for other kernels, or install another OpenBLAS",
                 other);
    return selftest_run(what, advice, library, true, true);
}

int selftest_products(void)
{
    int threads = par_threads(); // with one, OpenBLAS uses none of its own
    par_set_threads(1);
    int code = blas_check_room(1);
    if (code == 0)
        code = test_own();
    if (code == 0)
        code = test_library();
    par_set_threads(threads);
    return code;
}
