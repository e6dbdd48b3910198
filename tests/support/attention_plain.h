// The attention op again, as its formula in ag_ops.h reads: the reference that the real one is
// tested against.
//
// Loops over b, h, i and j in double; all T x S matrices are kept; every gradient is written out by
// hand. Nothing is shared with autograd/ops/attention*.c.
#ifndef POSGRAD_TESTS_ATTENTION_PLAIN_H
#define POSGRAD_TESTS_ATTENTION_PLAIN_H

#include "../../autograd/ag_ops.h"

// What gradients flow to, with shapes as in struct ag_attention.
enum plain_array {
    PLAIN_QUERY,
    PLAIN_KEY,
    PLAIN_VALUE,
    PLAIN_RELATIVE_QUERY,
    PLAIN_RELATIVE_KEY,
    PLAIN_DENSE_BIAS,
    PLAIN_ROW_BIAS,
    PLAIN_COLUMN_BIAS,
    PLAIN_BY_QUERY, // the tables, here and below
    PLAIN_BY_KEY,
    PLAIN_BY_VALUE,
    PLAIN_BY_BIAS,
    PLAIN_BY_FACTOR,
    PLAIN_ARRAYS
};

struct attention_plain {
    int64_t batch, length, keys, heads, head_dim;
    double scale, dropout;
    bool causal, dense_batched;
    enum ag_normaliser normaliser;
    const int32_t *key_mask;       // [B, S] or NULL
    const double *x[PLAIN_ARRAYS]; // NULL: absent
    double *grad[PLAIN_ARRAYS];    // added to, where x is present
    double *size[PLAIN_ARRAYS];    // the same sums of absolute values: what rounding is measured by
    int64_t columns[PLAIN_ARRAYS]; // of the tables
    const int32_t *index[PLAIN_ARRAYS]; // of the tables; its dimensions: 0 is no index
    int index_dims[PLAIN_ARRAYS];
    int64_t grid_width[PLAIN_ARRAYS]; // of tables whose offsets are of two coordinates, else 0
    uint64_t seed, step;              // of the dropout mask, with the name of the node
    const char *name;
    double *score, *weight;           // [B, H, T, S]: S and A of the formula
    double *kept;                     // [B, H, T, S]: 0 where dropped, else 1 / (1 - dropout)
    double *weight_grad, *score_grad; // [B, H, T, S]
    double *output;                   // [B, T, C]
};

// The matrices and `output` are the caller's memory.
void attention_plain_forward(struct attention_plain *p);
// After attention_plain_forward; `cotangent` is [B, T, C].
void attention_plain_backward(struct attention_plain *p, const double *cotangent);

#endif
