// The elementary functions of kernels/vector.h against libm in double, over the whole range.
//
// Arguments walk through all magnitudes of both signs in geometric steps, and densely around 0.
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../support/check.h"

#include "../../autograd/kernels/vector.h"

static void exp_all(real *y, const real *x, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = vector_exp1(x[i]);
}
static void normal_all(real *y, const real *x, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = vector_normal1(x[i]);
}
static void tanh_all(real *y, const real *x, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = vector_tanh1(x[i]);
}
static void sigmoid_all(real *y, const real *x, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = vector_sigmoid1(x[i]);
}

static double normal(double x)
{
    return 0.5 * erfc(-x * 0.70710678118654752440);
}
static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static const struct function {
    const char *name;
    void (*all)(real *y, const real *x, int64_t n);
    double (*value)(double);
    double ulps; // allowed, in units of the last place of the result
    double at_minus_infinity, at_infinity;
} functions[] = {
    {"exp", exp_all, exp, 1.5, 0, (double)INFINITY},
    {"normal", normal_all, normal, 5, 0, 1},
    {"tanh", tanh_all, tanh, 2.5, -1, 1},
    {"sigmoid", sigmoid_all, sigmoid, 2.5, 0, 1},
};
enum { FUNCTIONS = sizeof functions / sizeof functions[0], CHUNK = 4096 };

// Error in units of EPSILON times the result; what is below the normal numbers may be flushed to 0.
#ifdef POSGRAD_DOUBLE
static const double epsilon = DBL_EPSILON, smallest = DBL_MIN, largest = DBL_MAX;
#else
static const double epsilon = (double)FLT_EPSILON, smallest = (double)FLT_MIN,
                    largest = (double)FLT_MAX;
#endif

static double error_of(double got, double want)
{
    if (want > largest * (1 + epsilon / 4))
        return got == (double)INFINITY ? 0 : (double)INFINITY;
    double distance = fabs(got - want);
    if (!(distance < (double)INFINITY))
        return (double)INFINITY;
    return fabs(want) < smallest && distance <= smallest ? 0 : distance / (epsilon * fabs(want));
}

struct worst {
    double error, at;
};

static void sweep_chunk(const struct function *f, const real *x, int64_t n, struct worst *worst)
{
    real y[CHUNK];
    f->all(y, x, n);
    for (int64_t i = 0; i < n; i++) {
        double error = error_of((double)y[i], f->value((double)x[i]));
        if (!(error <= worst->error))
            *worst = (struct worst){error, (double)x[i]};
    }
}

// All magnitudes: geometric steps from the smallest number to the largest, and even ones around 0.
static void sweep(const struct function *f, struct worst *worst)
{
    real x[CHUNK];
    int64_t n = 0;
    for (double size = smallest; size < largest; size *= 1.00017)
        for (int sign = -1; sign <= 1; sign += 2) {
            x[n++] = (real)(sign * size);
            if (n == CHUNK) {
                sweep_chunk(f, x, n, worst);
                n = 0;
            }
        }
    sweep_chunk(f, x, n, worst);
    for (int64_t k = -300; k < 300; k++) {
        for (int64_t i = 0; i < CHUNK; i++)
            x[i] = (real)((double)k * 0.35 + (double)i * (0.35 / CHUNK));
        sweep_chunk(f, x, CHUNK, worst);
    }
}

static void test_accuracy(void **state)
{
    (void)state;
    for (int i = 0; i < FUNCTIONS; i++) {
        struct worst worst = {0, 0};
        sweep(&functions[i], &worst);
        if (!(worst.error <= functions[i].ulps))
            print_error("%s(%.9g) is wrong by %.3g units of the last place\n", functions[i].name,
                        worst.at, worst.error);
        assert_true(worst.error <= functions[i].ulps);
    }
}

// x Phi(x) and its derivative: where they are small, to so many units of the last place of 1.
static void test_gelu(void **state)
{
    (void)state;
    real x[CHUNK], y[CHUNK], derivative[CHUNK];
    double worst[2] = {0};
    for (int64_t k = -60; k < 60; k++) {
        for (int64_t i = 0; i < CHUNK; i++)
            y[i] = x[i] = (real)((double)k * 0.35 + (double)i * (0.35 / CHUNK));
        vector_gelu(y, derivative, CHUNK);
        for (int64_t i = 0; i < CHUNK; i++) {
            double at = (double)x[i], density = exp(-0.5 * at * at) * 0.39894228040143268;
            double error[2] = {fabs((double)y[i] - at * normal(at)),
                               fabs((double)derivative[i] - normal(at) - at * density)};
            error[0] /= epsilon * (fabs(at) * normal(at) + 1e-3);
            error[1] /= epsilon;
            for (int n = 0; n < 2; n++)
                worst[n] = error[n] <= worst[n] ? worst[n] : error[n];
        }
    }
    if (!(worst[0] <= 5 && worst[1] <= 3))
        print_error("gelu is wrong by %.3g, its derivative by %.3g units\n", worst[0], worst[1]);
    assert_true(worst[0] <= 5 && worst[1] <= 3); // 5 as Phi alone
    real special[3] = {(real)NAN, (real)INFINITY, 300}, slope[3];
    vector_gelu(special, slope, 3);
    assert_true(isnan(special[0]) && isnan(slope[0]));
    assert_true(isinf(special[1]) && special[2] == 300 && slope[2] == 1);
}

static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static void test_special_values(void **state)
{
    (void)state;
    for (int i = 0; i < FUNCTIONS; i++)
        for (int at = 0; at < 19; at++) {
            real x[19] = {0}, y[19];
            const double special[] = {(double)NAN, -(double)INFINITY, (double)INFINITY};
            const double want[] = {(double)NAN, functions[i].at_minus_infinity,
                                   functions[i].at_infinity};
            for (int k = 0; k < 3; k++) {
                x[at] = (real)special[k];
                functions[i].all(y, x, 19);
                assert_true(same((double)y[at], want[k]));
                for (int j = 0; j < 19; j++) // its neighbours do not notice
                    assert_true(j == at || (double)y[j] == functions[i].value(0));
            }
        }
}

static void test_exp_at_its_ends(void **state)
{
    (void)state;
    // The largest argument with a finite result, and the first without.
    const double last = log(largest), first = log(smallest);
    assert_true(vector_exp1((real)(last * (1 - epsilon / 2))) < (real)INFINITY);
    assert_true(vector_exp1((real)(last * (1 + epsilon))) == (real)INFINITY);
    assert_true((double)vector_exp1((real)(first * (1 - epsilon / 2))) >= smallest);
    assert_true(vector_exp1((real)(2 * log(smallest))) == 0);
    assert_true(vector_exp1(0) == 1);
}

// However an array is cut, every element gets the same bits.
static void test_cuts_do_not_matter(void **state)
{
    (void)state;
    enum { COUNT = 331 };
    real x[COUNT], whole[COUNT], parts[COUNT];
    for (int i = 0; i < COUNT; i++)
        x[i] = (real)(7 * sin(1.7 * i));
    for (int f = 0; f < FUNCTIONS; f++) {
        functions[f].all(whole, x, COUNT);
        for (int size = 1; size < 70; size++) {
            memset(parts, 0, sizeof parts);
            for (int i = 0; i < COUNT; i += size)
                functions[f].all(parts + i, x + i, i + size < COUNT ? size : COUNT - i);
            check_same_bytes(parts, whole, sizeof whole);
        }
    }
}

static void test_max(void **state)
{
    (void)state;
    real x[67];
    for (int n = 1; n <= 67; n++)
        for (int at = 0; at < n; at++) {
            for (int i = 0; i < n; i++)
                x[i] = (real)(-100 - i);
            x[at] = -3;
            assert_true(vector_max(x, n) == -3);
            x[at] = (real)INFINITY;
            assert_true(vector_max(x, n) == (real)INFINITY);
        }
    for (int i = 0; i < 67; i++)
        x[i] = -(real)INFINITY;
    assert_true(vector_max(x, 67) == -(real)INFINITY);
}

static void test_exp_sum(void **state)
{
    (void)state;
    real x[67], y[67];
    for (int n = 1; n <= 67; n++) {
        double sum = 0;
        for (int i = 0; i < n; i++) {
            x[i] = (real)(1000 + 3 * sin(i)); // exp of it overflows, of the difference does not
            sum += exp((double)x[i] - 1003);
        }
        x[n / 2] = -(real)INFINITY; // a hidden place
        sum -= exp(1000 + 3 * sin(n / 2) - 1003);
        check_close(vector_exp_sum(y, x, 1003, n), sum, 100 * CHECK_ROUNDING, CHECK_ROUNDING);
        for (int i = 0; i < n; i++)
            check_close(y[i], exp((double)x[i] - 1003), CHECK_ROUNDING, 0);
        check_close(vector_exp_sum(x, x, 1003, n), sum, 100 * CHECK_ROUNDING, CHECK_ROUNDING);
        check_same_bytes(x, y, (size_t)n * sizeof *x); // in place as well
        y[n / 2] = (real)NAN;
        assert_true(isnan(vector_exp_sum(y, y, 0, n)));
    }
}

// A weight is exp of its argument, or, in float, 0 where no sum of weights would notice it: none is
// subnormal, nor becomes so when it is multiplied by what a gradient may be.
static void test_weight(void **state)
{
    (void)state;
    for (double x = 0; x > -110; x -= 0.37) {
        double weight = (double)vector_weight1((real)x), true_weight = exp((double)(real)x);
        if (CHECK_ROUNDING < 1e-10 || x > -60)
            check_close(weight, true_weight, 2 * CHECK_ROUNDING, 0);
        else
            assert_true(weight == 0);
        assert_true(weight == 0 || weight > 1e-38 / 1e-11 || CHECK_ROUNDING < 1e-10);
    }
    assert_true(vector_weight1(-(real)INFINITY) == 0);
    assert_true(isnan(vector_weight1((real)NAN)));
}

CHECK_MAIN(cmocka_unit_test(test_weight), cmocka_unit_test(test_accuracy),
           cmocka_unit_test(test_gelu), cmocka_unit_test(test_special_values),
           cmocka_unit_test(test_exp_at_its_ends), cmocka_unit_test(test_cuts_do_not_matter),
           cmocka_unit_test(test_max), cmocka_unit_test(test_exp_sum))
