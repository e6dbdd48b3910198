// What relative encodings share: rows by offset, biases that add up, sinusoids of offsets.
//
// The offset of query i and key j is j - i everywhere; its place in an index or an exported table
// is offset + T - 1, from 0 to 2T - 2.
#ifndef POSGRAD_ENCODINGS_RELATIVE_H
#define POSGRAD_ENCODINGS_RELATIVE_H

#include "../pe.h"

// A constant index [2T - 1]: the row of each offset, as `row` says, which gets the encoding's
// settings in its context. Where positions are given T is position_count. What exports read.
ag_t *pe_offset_index(const struct pe_context *context,
                      int64_t (*row)(const struct pe_context *context, int64_t offset));

// What looks `table` up by the offsets of the graph: by `row`, at given positions or not, and past
// the offsets that training met as the extension says. The index is kept in context->memo[slot],
// for all layers.
struct ag_relative pe_relative(const struct pe_context *context, int slot, ag_t *table,
                               int64_t (*row)(const struct pe_context *context, int64_t offset));

// Whether positions are drawn, so that offsets differ from sample to sample.
bool pe_has_positions(const struct pe_context *context);
// One more than the largest offset that a table must have: T, or, of given positions, their count.
int64_t pe_offset_count(const struct pe_context *context);

// `offset` within [-limit, limit].
int64_t pe_clip(int64_t offset, int64_t limit);

// Adds a table of biases to the logits of one layer; with one there already, their sum is made.
void pe_add_bias(const struct pe_context *context, struct pe_attention *attention,
                 struct ag_relative bias);

// ALiBi's slope of head 0..heads-1, with the rule of its released code for what is no power of two.
double pe_alibi_slope(int64_t head, int64_t heads);

// For exports: a row of `table` [rows, C] an offset, [2T - 1, C], of offsets past training as the
// extension says.
ag_t *pe_offset_rows(const struct pe_context *context, ag_t *table,
                     int64_t (*row)(const struct pe_context *context, int64_t offset));
// Rows of offsets whose channels are those of all heads, [2T - 1, H D], by head: [H, 2T - 1, D].
ag_t *pe_heads_by_offset(const struct pe_context *context, ag_t *rows);

// Sines and cosines of first + step k, k = 0..rows-1, as a constant [rows, width]; frequencies are
// base^(-2c/width). Angles in double. Interleaved sin, cos, or all sines and then all cosines.
ag_t *pe_sinusoids(const struct pe_context *context, int64_t rows, double first, double step,
                   int64_t width, double base, bool interleaved);

#endif
