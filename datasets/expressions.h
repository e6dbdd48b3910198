// Random expressions of n tokens with brackets, mod 5, as in Deletang et al. 2023, arXiv
// 2207.02098:
//
//     n = 1   d            n = 3   ( d )
//     n = 2   - d          n = 4   ( - d )
//     n > 4   ( L op R )   L has 1 to n - 4 tokens, each as likely, and R what is left
//
// with a digit d and an operator op that are uniform too.
#ifndef POSGRAD_EXPRESSIONS_H
#define POSGRAD_EXPRESSIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "../autograd/base/rng.h"

// The tokens below 5 are the digits.
enum {
    EXPRESSION_MODULUS = 5,
    EXPRESSION_PLUS = EXPRESSION_MODULUS,
    EXPRESSION_MINUS,
    EXPRESSION_OPEN,
    EXPRESSION_CLOSE,
    EXPRESSION_TIMES,                         // the last, as some expressions have none
    EXPRESSION_SYMBOLS = EXPRESSION_TIMES + 1 // with it
};

static inline int32_t expression_modulo(int32_t value)
{
    return (value % EXPRESSION_MODULUS + EXPRESSION_MODULUS) % EXPRESSION_MODULUS;
}

// Writes an expression into tokens[0..n), whose operators are + and -, and * where `times`; returns
// its value. `work` has n entries; what it holds afterwards is of no use.
int32_t expression_draw(struct rng *rng, int32_t *tokens, int32_t *work, int64_t n, bool times);

// -log2 of the probability of the likeliest expression of n tokens (for n > 64: of 64).
double expression_bits(int64_t n, bool times);

#endif
