// What rotary encodings share: tables of cosines and sines, and turning queries and keys by them.
#ifndef POSGRAD_ENCODINGS_ROTARY_H
#define POSGRAD_ENCODINGS_ROTARY_H

#include "../pe.h"

// The frequency of a pair, base^(-pair / pairs), or what the context's extension makes of it: ntk
// (bloc97 2023) enlarges the base, so that the slowest pair turns as interpolated and the fastest
// as before; yarn (Peng et al. 2023, arXiv 2309.00071) interpolates the slow pairs alone.
double pe_frequency(const struct pe_context *context, double base, int64_t pairs, int64_t pair);
// What yarn multiplies logits by, (0.1 ln(L / N) + 1)^2; else 1.
double pe_temperature(const struct pe_context *context);

// Cosines and sines of angle(context, position, pair), made in double: constants [T, pairs], or, at
// given positions, [B, T, 1, pairs].
void pe_rotation(const struct pe_context *context, int64_t pairs,
                 double (*angle)(const struct pe_context *context, int64_t position, int64_t pair),
                 ag_t **cosine, ag_t **sine);

// Rows [..., pairs] of `table` at the given positions, [B, T, H or 1, pairs]; without any the
// table.
ag_t *pe_by_place(const struct pe_context *context, ag_t *table);

// Exports angles in radians, a row for each place or position, [T, pairs], and what the model makes
// of them: rotation_angles, rotation_cosine and rotation_sine. `layout` says which channels are a
// pair.
void pe_export_rotation(const struct pe_context *context, struct pe_tables *tables, int64_t pairs,
                        double (*angle)(const struct pe_context *context, int64_t position,
                                        int64_t pair),
                        const char *layout);

// The angles themselves, a row for each place or position: [T, pairs].
ag_t *pe_angles(const struct pe_context *context, int64_t pairs,
                double (*angle)(const struct pe_context *context, int64_t position, int64_t pair));

// Turns op.query and op.key of one layer.
void pe_turn(const struct pe_context *context, struct pe_attention *attention, ag_t *cosine,
             ag_t *sine, enum ag_layout layout);

#endif
