// Random expressions, drawn and worked out without recursion, whose depth no stack would hold.
#include "expressions.h"

#include <math.h>

// --- drawing

// An expression of up to 4 tokens; returns its value.
static int32_t draw_digit(struct rng *rng, int32_t *tokens, int32_t n)
{
    int32_t digit = (int32_t)rng_below(rng, EXPRESSION_MODULUS);
    if (n > 2) {
        tokens[0] = EXPRESSION_OPEN;
        tokens[n - 1] = EXPRESSION_CLOSE;
        tokens++;
    }
    if (n % 2 == 0)
        *tokens++ = EXPRESSION_MINUS;
    *tokens = digit;
    return n % 2 ? digit : expression_modulo(-digit);
}

static int32_t draw_operator(struct rng *rng, bool times)
{
    static const int32_t operators[] = {EXPRESSION_PLUS, EXPRESSION_MINUS, EXPRESSION_TIMES};
    return operators[rng_below(rng, times ? 3 : 2)];
}

static int32_t apply(int32_t op, int32_t left, int32_t right)
{
    return expression_modulo(op == EXPRESSION_PLUS    ? left + right
                             : op == EXPRESSION_MINUS ? left - right
                                                      : left * right);
}

// At the first token of every expression inside the whole one, `work` has how many tokens it has
// until it is drawn, then how many its left part has, and once it is worked out, its value as
// -1 - value. Elsewhere it has 0. Parts are behind the beginning of what they are parts of: drawing
// goes forwards, and values come backwards.
int32_t expression_draw(struct rng *rng, int32_t *tokens, int32_t *work, int64_t n, bool times)
{
    for (int64_t i = 0; i < n; i++)
        work[i] = 0;
    work[0] = (int32_t)n;
    for (int64_t i = 0; i < n; i++) {
        int32_t size = work[i];
        if (size > 4) {
            int32_t left = 1 + (int32_t)rng_below(rng, (uint32_t)(size - 4));
            tokens[i] = EXPRESSION_OPEN;
            tokens[i + 1 + left] = draw_operator(rng, times);
            tokens[i + size - 1] = EXPRESSION_CLOSE;
            work[i] = work[i + 1] = left;
            work[i + 2 + left] = size - 3 - left;
        } else if (size > 0) {
            work[i] = -1 - draw_digit(rng, tokens + i, size);
        }
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        int32_t left = work[i];
        if (left > 0)
            work[i] = -1 - apply(tokens[i + 1 + left], -1 - work[i + 1], -1 - work[i + 2 + left]);
    }
    return -1 - work[0];
}

// --- how likely

double expression_bits(int64_t n, bool times)
{
    enum { MOST = 64 };
    double bits[MOST + 1] = {0};
    for (int m = 1; m <= MOST; m++) {
        bits[m] = log2(EXPRESSION_MODULUS);
        if (m <= 4)
            continue;
        double least = HUGE_VAL;
        for (int left = 1; left <= m - 4; left++)
            least = fmin(least, bits[left] + bits[m - 3 - left]);
        bits[m] = log2(m - 4) + log2(times ? 3 : 2) + least;
    }
    return bits[n < MOST ? n : MOST];
}
