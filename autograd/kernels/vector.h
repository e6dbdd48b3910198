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

#ifdef POSGRAD_DOUBLE
static inline real vector_exp1(real x)
{
    return exp(x);
}
static inline real vector_normal1(real x)
{
    return 0.5 * erfc(-x * 0.70710678118654752440);
}
#else
// exp(x) = 2^n exp(r), n the nearest integer to x / ln 2, |r| <= ln 2 / 2; a polynomial of degree 6
// for exp(r).
static inline float vector_exp1(float x)
{
    const float round =
        12582912.0f; // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
    float clamped = x < -87.33654f ? -87.33654f : x > 88.72283f ? 88.72283f : x;
    float shifted = clamped * 1.44269504f + round;
    float n = shifted - round;
    float r = clamped - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    float p = 1.38145388e-3f; // minimax, 3e-9 relative
    p = p * r + 8.36874515e-3f;
    p = p * r + 4.16683908e-2f;
    p = p * r + 1.66665204e-1f;
    p = p * r + 0.499999934f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    // 2^n in two halves, as n may be 128 where the result is still finite.
    int32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    int32_t whole = bits - 0x4B400000, half = whole >> 1;
    uint32_t first = (uint32_t)(half + 127) << 23, second = (uint32_t)(whole - half + 127) << 23;
    float a, b;
    memcpy(&a, &first, sizeof a);
    memcpy(&b, &second, sizeof b);
    float y = p * a * b;
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

// y = exp(x - shift), returns the sum of y; y may be x.
static inline real vector_exp_sum(real *y, const real *x, real shift, int64_t count)
{
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; i++) {
        real e = vector_exp1(x[i] - shift);
        y[i] = e;
        sum += e;
    }
    return sum;
}

#endif
