// Elementary functions over arrays: branch-free bodies that the compiler turns into vector code.
//
// In float they are polynomials after exact range reduction (Cody and Waite 1980), within about
// 1e-7 relative of libm, and the same bits wherever an array is cut; in double they are libm's. NaN
// in gives NaN out.
#ifndef POSGRAD_VECTOR_H
#define POSGRAD_VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "../base/real.h"

// a b + c, in one instruction where the build has one: libm's would take a hundred times as long.
static inline real vector_fma1(real a, real b, real c)
{
#if defined POSGRAD_DOUBLE && (defined __FMA__ || defined __aarch64__)
    return __builtin_fma(a, b, c);
#elif defined __FMA__ || defined __aarch64__
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

#ifdef POSGRAD_DOUBLE
static inline real vector_exp1(real x)
{
    return exp(x);
}
static inline real vector_exp_below1(real x)
{
    return exp(x);
}
static inline real vector_normal1(real x)
{
    return 0.5 * erfc(-x * 0.70710678118654752440);
}
#else
union vector_float {
    float number;
    uint32_t bits;
};

static inline uint32_t vector_bits1(float x)
{
    return (union vector_float){.number = x}.bits;
}

static inline float vector_of_bits1(uint32_t bits)
{
    return (union vector_float){.bits = bits}.number;
}

// exp(x) = 2^n exp(r), n the nearest integer to x / ln 2, |r| <= ln 2 / 2; a polynomial of degree 6
// for exp(r). `power` gets n.
static inline float vector_exp_reduced1(float x, int32_t *power)
{
    const float round =
        12582912.0f; // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
    float shifted = vector_fma1(x, 1.44269504f, round);
    float n = shifted - round;
    float r = vector_fma1(n, -0.693359375f, x);
    r = vector_fma1(n, 2.12194440e-4f, r);
    float p = 1.38145388e-3f; // minimax, 3e-9 relative
    p = vector_fma1(p, r, 8.36874515e-3f);
    p = vector_fma1(p, r, 4.16683908e-2f);
    p = vector_fma1(p, r, 1.66665204e-1f);
    p = vector_fma1(p, r, 0.499999934f);
    p = vector_fma1(p, r, 1.0f);
    p = vector_fma1(p, r, 1.0f);
    *power = (int32_t)vector_bits1(shifted) - 0x4B400000;
    return p;
}

// exp(x) for x <= 0, as softmax has it: 2^n is a number of its own then.
static inline float vector_exp_below1(float x)
{
    int32_t n;
    float p = vector_exp_reduced1(x < -87.33654f ? -87.33654f : x, &n);
    return x < -87.33654f ? 0.0f : p * vector_of_bits1((uint32_t)(n + 127) << 23);
}

static inline float vector_exp1(float x)
{
    int32_t whole;
    float p = vector_exp_reduced1(x < -87.33654f ? -87.33654f
                                  : x > 88.72283f ? 88.72283f
                                                  : x,
                                  &whole);
    // 2^n in two halves, as n may be 128 where the result is still finite.
    int32_t half = whole >> 1;
    float y = p * vector_of_bits1((uint32_t)(half + 127) << 23);
    y *= vector_of_bits1((uint32_t)(whole - half + 127) << 23);
    y = x < -87.33654f ? 0.0f : y;
    y = x > 88.72283f ? INFINITY : y;
    return x != x ? x : y;
}

// The normal distribution function Phi(x) = erfc(-x / sqrt 2) / 2, by erfc(z) = t exp(-z^2 + Q(t)),
// t = 1 / (1 + z / 2), z >= 0 (Press et al., Numerical Recipes in C, 2nd ed. 1992,
// section 6.2: 1.2e-7 relative everywhere). As erfc, not 1 + erf, the left tail keeps its digits.
// z^2 = x^2 / 2 takes its rounding error along.
static inline float vector_normal1(float x)
{
    float u = fabsf(x);
    u = u > 21.0f ? 21.0f : u; // exp(-220) is 0 in float, and infinity has no rounding error
    float s = 0.5f * u * u, error = fmaf(0.5f * u, u, -s);
    float z = u * 0.707106781f;
    float t = 1.0f / (1.0f + 0.5f * z);
    float q = 0.17087277f;
    q = q * t - 0.82215223f;
    q = q * t + 1.48851587f;
    q = q * t - 1.13520398f;
    q = q * t + 0.27886807f;
    q = q * t - 0.18628806f;
    q = q * t + 0.09678418f;
    q = q * t + 0.37409196f;
    q = q * t + 1.00002368f;
    q = q * t - 1.26551223f;
    float tail = 0.5f * t * vector_exp1(-s) * vector_exp1(q - error);
    float y = x < 0 ? tail : 1.0f - tail;
    return x != x ? x : y;
}
#endif

static inline real vector_sqrt1(real x)
{
#ifdef POSGRAD_DOUBLE
    return sqrt(x);
#else
    return sqrtf(x);
#endif
}

static inline real vector_tanh1(real x)
{
#ifdef POSGRAD_DOUBLE
    return tanh(x);
#else
    // (1 - e) / (1 + e), e = exp(-2|x|); near 0, where that cancels, the odd series to x^9.
    float z = fabsf(x), e = vector_exp1(-2.0f * z), s = x * x;
    float far = (1.0f - e) / (1.0f + e);
    far = x < 0 ? -far : far;
    float p = 62.0f / 2835.0f;
    p = p * s - 17.0f / 315.0f;
    p = p * s + 2.0f / 15.0f;
    p = p * s - 1.0f / 3.0f;
    p = p * s + 1.0f;
    float y = z < 0.25f ? x * p : far;
    return x != x ? x : y;
#endif
}

static inline real vector_sigmoid1(real x)
{
    // exp of a negative number never overflows.
    real e = vector_exp1(x < 0 ? x : -x);
    return x < 0 ? e / (1 + e) : 1 / (1 + e);
}

// x becomes GELU(x) = x Phi(x), Phi the normal distribution function, and `derivative` gets Phi(x)
// + x phi(x) (Hendrycks and Gimpel 2016, arXiv 1606.08415).
//
// In float Phi(-u) = exp(-u^2 / 2) P(t), t = 1 / (1 + u / 4), u >= 0, P a polynomial that was
// fitted to 1.5e-8 relative (the form is that of Hastings 1955, Approximations for Digital
// Computers). The exponential is phi's, too.
static inline void vector_gelu(real *restrict x, real *restrict derivative, int64_t count)
{
#pragma omp simd
    for (int64_t i = 0; i < count; i++) {
#ifdef POSGRAD_DOUBLE
        real normal = vector_normal1(x[i]), density = 0.39894228040143268 * exp(-0.5 * x[i] * x[i]);
        real bounded = x[i];
#else
        float u = x[i] < 0 ? -x[i] : x[i];
        u = u > 14.0f ? 14.0f : u; // exp(-98) is 0 in float
        float s = 0.5f * u * u, error = vector_fma1(0.5f * u, u, -s);
        float e = vector_exp_below1(-s);
        e = vector_fma1(e, -error, e);
        float t = 1.0f / vector_fma1(u, 0.25f, 1.0f);
        float p = 0.0339468978f;
        p = vector_fma1(p, t, -0.196178213f);
        p = vector_fma1(p, t, 0.395003378f);
        p = vector_fma1(p, t, -0.333471686f);
        p = vector_fma1(p, t, 0.304488748f);
        p = vector_fma1(p, t, -0.0203849934f);
        p = vector_fma1(p, t, 0.121568240f);
        p = vector_fma1(p, t, 0.0948201939f);
        p = vector_fma1(p, t, 0.100229003f);
        p = vector_fma1(p, t, -2.16004100e-5f);
        float tail = e * p, density = 0.39894228f * e;
        float normal = x[i] < 0 ? tail : 1.0f - tail;
        float bounded = x[i] < 0 ? -u : u; // infinity times 0 is no number
#endif
        derivative[i] = vector_fma1(bounded, density, normal);
        x[i] *= normal;
    }
}

static inline real vector_max(const real *x, int64_t count)
{
    real largest = -(real)INFINITY;
#ifndef __clang__ // whose max starts from the smallest finite number, which is above -infinity
#pragma omp simd reduction(max : largest)
#endif
    for (int64_t i = 0; i < count; i++)
        largest = x[i] > largest ? x[i] : largest;
    return largest;
}

// exp(x), x <= 0, for a weight beside others of which the largest is about 1: below exp(-60), which
// no sum of them would notice, it is 0. Else far keys have weights and gradients so small that they
// are subnormal, and products with those take ten times as long (ALiBi at 512 tokens: 1.7 of a step
// without it). In double nothing is so far.
static inline real vector_weight1(real x)
{
#ifdef POSGRAD_DOUBLE
    return vector_exp_below1(x);
#else
    float e = vector_exp_below1(x);
    return x < -60.0f ? 0.0f : e;
#endif
}

// y = exp(x - shift), x <= shift, as weights; returns the sum of y; y may be x.
static inline real vector_exp_sum(real *y, const real *x, real shift, int64_t count)
{
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; i++) {
        real e = vector_weight1(x[i] - shift);
        y[i] = e;
        sum += e;
    }
    return sum;
}

#endif
