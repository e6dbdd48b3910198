// What binary-addition and binary-multiplication share: two numbers, the lowest bit first, with a 2
// between them; the answer without the zeros above its highest bit, then a 2.
//
// The string has n tokens, of which the numbers have n - 1. How many of these each number has is
// drawn, 1 to n - 2, and each number is uniform over what is not 0. What is behind the closing 2 is
// not scored, but its slots are there, so that the row does not tell how long the answer is.
#ifndef POSGRAD_BINARY_H
#define POSGRAD_BINARY_H

#include "strings.h"

#define BINARY_SYMBOLS 3 // 0, 1, and 2
#define BINARY_SHORTEST 3

struct binary_row {
    int64_t n;
    const int32_t *x, *y; // a and b bits; a + b = n - 1
    int64_t a, b;
    int32_t *answer; // bits 0 to n - 2 of the result, 0 until the task sets them
};

// Sets dataset->chance and ->row_bits, for `bit` that knows of numbers of a and b bits.
struct binary_bit {
    double below, one; // P(result < 2^k); P(bit k of the result is 1)
};
void binary_set_facts(struct dataset *dataset,
                      struct binary_bit (*bit)(const void *context, int64_t a, int64_t b,
                                               int64_t k),
                      const void *context);

struct binary_row binary_lay_out(const struct dataset *dataset, enum dataset_split split,
                                 struct rng *rng, struct dataset_row *row);

// Ends the answer behind its highest bit; one is set.
void binary_close(const struct binary_row *row);

// Uniform over the numbers of `count` bits that are not 0.
void binary_fill(struct rng *rng, int32_t *bits, int64_t count);

#endif
