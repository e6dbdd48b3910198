// kernels/product.h against the triple loop, in double: sizes around every tile and panel, both
// layouts of the left operand, all that is added; and what it promises of bits and of memory.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../support/check.h"
#include "../support/guarded.h"

#include "../../autograd/base/rng.h"
#include "../../autograd/kernels/gemm.h"
#include "../../autograd/kernels/product.h"

enum { GUARD = 3, MOST = 400 * 160 };

// One case, and room for it.
static struct fixture {
    struct product p;
    real a[MOST], b[MOST], packed[MOST], bias[512], add[MOST], c[MOST], other[MOST];
} * f;

static struct rng rng;

static int set_up(void **state)
{
    (void)state;
    rng_init(&rng, rng_stream(1, "product"), 0, 0);
    f = malloc(sizeof *f);
    return f ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    free(f);
    return 0;
}

static void fill(real *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = (real)(2 * rng_uniform(&rng) - 1);
}

struct layout {
    bool a_transposed, b_transposed, bias, add, as_it_is;
    double alpha;
};

static void make_case(int64_t m, int64_t n, int64_t k, const struct layout *l)
{
    int64_t c_row = n + GUARD;
    assert_true(m * c_row <= MOST && k * (n + 64) <= MOST && m * (k + GUARD) <= MOST);
    fill(f->a, m * k + GUARD * (m + k));
    fill(f->b, n * k);
    fill(f->bias, n);
    fill(f->add, m * c_row);
    memset(f->packed, 0xff, sizeof f->packed); // NaN: what is not filled in shows
    product_pack(f->packed, l->b_transposed, k, n, f->b, l->b_transposed ? k : n, 0,
                 product_panels(n));
    for (int64_t i = 0; i < m * c_row; i++)
        f->c[i] = (real)NAN;
    f->p = (struct product){.m = m,
                            .n = n,
                            .k = k,
                            .a = f->a,
                            .a_row = l->a_transposed ? 1 : k + GUARD,
                            .a_column = l->a_transposed ? m + GUARD : 1,
                            .b = l->as_it_is ? f->b : f->packed,
                            .b_row = l->as_it_is ? n : 0,
                            .alpha = (real)l->alpha,
                            .bias = l->bias ? f->bias : NULL,
                            .add = l->add ? f->add : NULL,
                            .add_row = c_row,
                            .c = f->c,
                            .c_row = c_row};
}

static void compare(const struct layout *l)
{
    const struct product *p = &f->p;
    for (int64_t i = 0; i < p->m; i++) {
        for (int64_t j = 0; j < p->n; j++) {
            double sum = 0, size = 1;
            for (int64_t x = 0; x < p->k; x++) {
                double product = (double)f->a[i * p->a_row + x * p->a_column] *
                                 (double)f->b[l->b_transposed ? j * p->k + x : x * p->n + j];
                sum += product;
                size += fabs(product);
            }
            sum *= l->alpha;
            sum += p->bias ? (double)p->bias[j] : 0;
            sum += p->add ? (double)p->add[i * p->add_row + j] : 0;
            check_close(f->c[i * p->c_row + j], sum, 0, CHECK_ROUNDING * size * 0.1);
        }
        for (int64_t j = p->n; j < p->c_row; j++)
            assert_true(isnan(f->c[i * p->c_row + j])); // not its to write
    }
}

static void test_is_the_triple_loop(void **state)
{
    (void)state;
    static const int64_t m[] = {1, 2, 5, 6, 7, 11, 12, 64},
                         n[] = {1, 3, 8, 15, 16, 17, 32, 48, 63, 64, 65, 100, 128, 130},
                         k[] = {0, 1, 2, 3, 16, 127, 128, 129, 143, 144, 145, 300};
    for (size_t x = 0; x < sizeof m / sizeof m[0]; x++)
        for (size_t y = 0; y < sizeof n / sizeof n[0]; y++)
            for (size_t z = 0; z < sizeof k / sizeof k[0]; z++) {
                unsigned bits = (unsigned)rng_below(&rng, 32);
                struct layout l = {bits & 1, bits & 2, bits & 4, bits & 8, false, 1};
                l.alpha = bits & 16 ? 1 : -0.7;
                make_case(m[x], n[y], k[z], &l);
                product(&f->p);
                compare(&l);
            }
}

// The same of rows as they are stored, of which a little more is read than there is: not a NaN of
// that may show.
static void test_rows_need_no_packing(void **state)
{
    (void)state;
    for (int64_t n = 1; n <= 2 * product_panel() + 1; n++) {
        struct layout l = {n % 3 == 0, false, false, n % 2, true, 1};
        make_case(13, n, 150, &l);
        for (int64_t i = 0; i < PRODUCT_BEHIND; i++)
            f->b[n * 150 + i] = (real)NAN;
        product(&f->p);
        compare(&l);
        if (l.add)
            memcpy(f->c, f->add, sizeof f->c);
        for (int64_t i = 0; i < 13; i++)
            for (int64_t j = n; j < f->p.c_row; j++)
                f->c[i * f->p.c_row + j] = (real)NAN;
        product_rows(l.a_transposed, 13, n, 150, 1, f->a, (l.a_transposed ? 13 : 150) + GUARD, f->b,
                     n, l.add, f->c, f->p.c_row);
        compare(&l);
    }
}

// Whatever is transposed, with more than one run of k.
static void test_any_layout(void **state)
{
    (void)state;
    static const int64_t n[] = {1, 7, 16, 64, 65, 130}, k[] = {1, 33, 128, 300};
    for (size_t x = 0; x < sizeof n / sizeof n[0]; x++) {
        for (size_t y = 0; y < sizeof k / sizeof k[0]; y++) {
            for (int how = 0; how < 8; how++) {
                struct layout l = {how & 1, how & 2, false, how & 4, true, 0.5};
                make_case(13, n[x], k[y], &l);
                if (l.add)
                    memcpy(f->c, f->add, sizeof f->c);
                for (int64_t i = 0; i < 13; i++)
                    for (int64_t j = n[x]; j < f->p.c_row; j++)
                        f->c[i * f->p.c_row + j] = (real)NAN;
                product_any(l.a_transposed, l.b_transposed, 13, n[x], k[y], (real)l.alpha, f->a,
                            (l.a_transposed ? 13 : k[y]) + GUARD, f->b,
                            l.b_transposed ? k[y] : n[x], l.add, f->c, f->p.c_row);
                compare(&l);
            }
        }
    }
}

// gemm takes these kernels or the library's, by size and beta.
static void test_gemm_of_every_kind(void **state)
{
    (void)state;
    static const double betas[] = {0, 1, 0.5, -2};
    static const int64_t sizes[] = {7, 100}; // cubes: one of either way
    for (int kind = 0; kind < 32; kind++) {
        bool transpose_a = kind & 1, transpose_b = kind & 2;
        int64_t n = sizes[kind >> 2 & 1];
        double beta = betas[kind >> 3];
        fill(f->a, n * n);
        fill(f->b, n * n + 64);
        fill(f->c, n * n);
        memcpy(f->other, f->c, sizeof f->c);
        gemm(transpose_a, transpose_b, n, n, n, (real)1.5, f->a, n, f->b, n, (real)beta, f->c, n);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++) {
                double sum = 0;
                for (int64_t l = 0; l < n; l++)
                    sum += (double)f->a[transpose_a ? l * n + i : i * n + l] *
                           (double)f->b[transpose_b ? j * n + l : l * n + j];
                check_close(f->c[i * n + j], 1.5 * sum + beta * (double)f->other[i * n + j], 0,
                            sizeof(real) == sizeof(float) ? 1e-4 : 1e-12);
            }
    }
}

static void test_adds_to_itself(void **state)
{
    (void)state;
    struct layout l = {.add = true, .alpha = 1};
    make_case(20, 100, 200, &l);
    memcpy(f->c, f->add, sizeof f->c);
    for (int64_t i = 0; i < 20; i++)
        for (int64_t j = 100; j < f->p.c_row; j++)
            f->c[i * f->p.c_row + j] = (real)NAN;
    f->p.add = f->c;
    product(&f->p);
    f->p.add = f->add;
    compare(&l);
}

// Rows have the same bits wherever they are cut, and panels whoever multiplies them.
static void test_cuts_do_not_matter(void **state)
{
    (void)state;
    struct layout l = {.bias = true, .alpha = 1};
    for (int transposed = 0; transposed < 2; transposed++) {
        l.a_transposed = transposed;
        make_case(64, 100, 150, &l);
        product(&f->p);
        struct product part = f->p;
        for (int64_t rows = 1; rows <= 17; rows++) {
            memset(f->other, 0, sizeof f->other);
            for (int64_t first = 0; first < 64; first += rows) {
                part.m = first + rows < 64 ? rows : 64 - first;
                part.a = f->p.a + first * f->p.a_row;
                part.c = f->other + first * part.c_row;
                for (int64_t panel = product_panels(100); panel-- > 0;)
                    product_part(&part, panel, panel + 1);
            }
            for (int64_t i = 0; i < 64; i++)
                check_same_bytes(f->other + i * part.c_row, f->c + i * part.c_row,
                                 100 * sizeof(real));
        }
    }
}

// Panels are packed by themselves, and as many numbers as promised.
static void test_packing(void **state)
{
    (void)state;
    for (int64_t n = 1; n <= 2 * product_panel() + 1; n += 7) {
        int64_t k = 21, count = product_packed(k, n);
        fill(f->b, n * k);
        for (int transpose = 0; transpose < 2; transpose++) {
            int64_t b_row = transpose ? k : n;
            memset(f->packed, 0xff, sizeof f->packed);
            memset(f->other, 0xff, sizeof f->other);
            product_pack(f->packed, transpose, k, n, f->b, b_row, 0, product_panels(n));
            for (int64_t panel = product_panels(n); panel-- > 0;)
                product_pack(f->other, transpose, k, n, f->b, b_row, panel, panel + 1);
            check_same_bytes(f->other, f->packed, (size_t)count * sizeof(real));
            check_finite_array(f->packed, count);
            assert_true(isnan(f->packed[count]));
        }
    }
}

// Nothing is read behind the left operand, the bias or what is added, and nothing is written behind
// the result, whatever part of a tile is left over.
static void test_stays_within_its_memory(void **state)
{
    (void)state;
    static const int64_t n[] = {1, 15, 16, 17, 64, 65};
    for (int64_t m = 1; m <= 13; m++) {
        for (size_t x = 0; x < sizeof n / sizeof n[0]; x++) {
            for (int how = 0; how < 2; how++) {
                int64_t k = 19 + m, packed = product_packed(k, n[x]);
                struct guarded a = guarded_new((size_t)(m * k) * sizeof(real));
                struct guarded b = guarded_new((size_t)packed * sizeof(real));
                struct guarded bias = guarded_new((size_t)n[x] * sizeof(real));
                struct guarded add = guarded_new((size_t)(m * n[x]) * sizeof(real));
                struct guarded c = guarded_new((size_t)(m * n[x]) * sizeof(real));
                fill(a.start, m * k);
                fill(f->b, n[x] * k);
                product_pack(b.start, false, k, n[x], f->b, n[x], 0, product_panels(n[x]));
                product(&(struct product){.m = m,
                                          .n = n[x],
                                          .k = k,
                                          .a = a.start,
                                          .a_row = how ? 1 : k,
                                          .a_column = how ? m : 1,
                                          .b = b.start,
                                          .alpha = 1,
                                          .bias = bias.start,
                                          .add = add.start,
                                          .add_row = n[x],
                                          .c = c.start,
                                          .c_row = n[x]});
                check_finite_array((real *)c.start, m * n[x]);
                guarded_free(&a);
                guarded_free(&b);
                guarded_free(&bias);
                guarded_free(&add);
                guarded_free(&c);
            }
        }
    }
}

static void test_nan_goes_through_and_is_not_read_from_the_result(void **state)
{
    (void)state;
    struct layout l = {.alpha = 1};
    make_case(7, 20, 9, &l);
    f->a[3 * f->p.a_row] = (real)NAN;
    product(&f->p);
    for (int64_t i = 0; i < 7; i++)
        for (int64_t j = 0; j < 20; j++)
            assert_true(isnan(f->c[i * f->p.c_row + j]) == (i == 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_the_triple_loop),
        cmocka_unit_test(test_rows_need_no_packing),
        cmocka_unit_test(test_any_layout),
        cmocka_unit_test(test_gemm_of_every_kind),
        cmocka_unit_test(test_adds_to_itself),
        cmocka_unit_test(test_cuts_do_not_matter),
        cmocka_unit_test(test_packing),
        cmocka_unit_test(test_stays_within_its_memory),
        cmocka_unit_test(test_nan_goes_through_and_is_not_read_from_the_result),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down) != 0;
}
