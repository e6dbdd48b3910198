// What relative encodings share: rows by offset, biases that add up, sinusoids of offsets.
//
// The offset of query i and key j is j - i everywhere; its place in an index or an exported table
// is offset + T - 1, from 0 to 2T - 2.
#ifndef POSGRAD_ENCODINGS_RELATIVE_H
#define POSGRAD_ENCODINGS_RELATIVE_H

#include "../pe.h"

// A constant index [2T - 1]: the row of each offset, as `row` says, which gets the encoding's
// settings in its context.
ag_t *pe_offset_index(const struct pe_context *context,
                      int64_t (*row)(const struct pe_context *context, int64_t offset));

// `offset` within [-limit, limit].
int64_t pe_clip(int64_t offset, int64_t limit);

// Adds a table of biases to the logits of one layer; with one there already, their sum is made.
void pe_add_bias(const struct pe_context *context, struct pe_attention *attention,
                 struct ag_relative bias);

// A table [rows, H] by offset as an export: [head, offset].
ag_t *pe_by_offset(const struct pe_context *context, struct ag_relative relative);

// Sines and cosines of first + step k, k = 0..rows-1, as a constant [rows, width]; frequencies are
// base^(-2c/width). Angles in double. Interleaved sin, cos, or all sines and then all cosines.
ag_t *pe_sinusoids(const struct pe_context *context, int64_t rows, double first, double step,
                   int64_t width, double base, bool interleaved);

#endif
