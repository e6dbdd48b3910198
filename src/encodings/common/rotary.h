// What rotary encodings share: tables of cosines and sines, and turning queries and keys by them.
#ifndef POSGRAD_ENCODINGS_ROTARY_H
#define POSGRAD_ENCODINGS_ROTARY_H

#include "../pe.h"

// Constants [T, pairs] of the cosines and sines of angle(context, position, pair), made in double.
void pe_rotation(const struct pe_context *context, int64_t pairs,
                 double (*angle)(const struct pe_context *context, int64_t position, int64_t pair),
                 ag_t **cosine, ag_t **sine);

// The angles themselves, [T, pairs].
ag_t *pe_angles(const struct pe_context *context, int64_t pairs,
                double (*angle)(const struct pe_context *context, int64_t position, int64_t pair));

// Turns op.query and op.key of one layer.
void pe_turn(const struct pe_context *context, struct pe_attention *attention, ag_t *cosine,
             ag_t *sine, enum ag_layout layout);

#endif
