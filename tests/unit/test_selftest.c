// The test of the products at the start of a command: the products of this machine pass it, and
// products that are wrong in one place only do not.
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../autograd/kernels/selftest.h"
#include "../support/check.h"

// The plain loop, and what is wrong with it.
static enum fault {
    NO_FAULT,
    LAST_COLUMN, // of a width that fills no vector is left out
    LAST_ROW,    // of a height that fills no tile, too
    LAST_OF_RUN, // the 129th term of a sum
    TRANSPOSED,  // two turned operands are taken as they are
    ALPHA,       // is forgotten
    BETA,        // adds what was there though beta is 0
    OVERWRITES,  // what is to be added to
    BESIDE,      // a column too many is written
    BEHIND,      // a row too many
    FEWER_BITS,  // operands are rounded to those of bfloat16
    LARGE_ONLY,  // beyond a million multiplications
    PADDING,     // numbers beside the rows of an operand are added
    LOST_LANE,   // one of a run of eight
    FAULTS
} fault;

static real rounded(real x)
{
    float y = (float)x;
    uint32_t bits;
    memcpy(&bits, &y, sizeof bits);
    bits &= 0xffff0000u;
    memcpy(&y, &bits, sizeof y);
    return (real)y;
}

static real term(const struct selftest_case *c, int64_t i, int64_t j, int64_t l)
{
    bool turned = fault != TRANSPOSED || !c->transpose_a || !c->transpose_b;
    int64_t columns = c->k + (fault == PADDING && l == c->k - 1 && i == c->m - 1);
    real a = c->transpose_a && turned ? c->a[l * c->lda + i] : c->a[i * c->lda + l];
    real b = c->transpose_b && turned ? c->b[j * c->ldb + l] : c->b[l * c->ldb + j];
    if (columns > c->k && !c->transpose_a)
        a += c->a[i * c->lda + columns - 1 + 1];
    return fault == FEWER_BITS ? rounded(a) * rounded(b) : a * b;
}

static void element(const struct selftest_case *c, int64_t i, int64_t j)
{
    real sum = 0, *to = &c->c[i * c->ldc + j];
    for (int64_t l = 0; l < c->k; l++)
        if (!(fault == LAST_OF_RUN && l == 128) && !(fault == LOST_LANE && l == 7 && c->k > 100) &&
            !(fault == LARGE_ONLY && l == 0 && c->m * c->n * c->k > 1000000))
            sum += term(c, i, j, l);
    sum *= fault == ALPHA ? 1 : c->alpha;
    if (fault == BETA || (c->beta != 0 && fault != OVERWRITES))
        sum += c->beta * *to;
    *to = sum;
}

static void broken(const struct selftest_case *c)
{
    int64_t rows = c->m - (fault == LAST_ROW && c->m % 6 == 5);
    int64_t columns = c->n - (fault == LAST_COLUMN && c->n % 16 == 1 && c->n > 1);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            element(c, i, j);
    if (fault == BESIDE)
        c->c[(c->m - 1) * c->ldc + c->n] = 0;
    if (fault == BEHIND)
        c->c[c->m * c->ldc] = 0;
}

static void test_every_fault_is_found(void **state)
{
    (void)state;
    for (fault = NO_FAULT; fault < FAULTS; fault++) {
        // Of a million multiplications is one shape only, for libraries; bfloat16's bits are
        // enough for the double build's test only where the numbers are large.
        int code = selftest_run("the kernel", "take another", broken, true, true);
        if (fault == NO_FAULT)
            check_ok(code);
        else if (code == 0)
            fail_msg("fault %d is not found", (int)fault);
        else
            check_error(code, ERR_FILE, "the kernel is wrong on this processor: element [");
    }
    fault = LAST_COLUMN;
    check_error(selftest_run("x", "take another", broken, false, false), ERR_FILE,
                "; take another");
    fault = NO_FAULT;
}

static void test_large_and_beta_are_for_libraries(void **state)
{
    (void)state;
    fault = LARGE_ONLY;
    check_ok(selftest_run("x", "y", broken, true, false));
    fault = NO_FAULT;
    check_ok(selftest_run("x", "y", broken, false, false));
}

// Threads are what they were before.
static void test_products_of_this_machine(void **state)
{
    (void)state;
    par_set_threads(3);
    check_ok(selftest_products());
    assert_int_equal(par_threads(), 3);
}

CHECK_MAIN(cmocka_unit_test(test_every_fault_is_found),
           cmocka_unit_test(test_large_and_beta_are_for_libraries),
           cmocka_unit_test(test_products_of_this_machine))
