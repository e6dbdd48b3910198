// Transformer-XL's attention, for the two encodings that differ in who shares u and v.
#ifndef POSGRAD_ENCODINGS_TRANSFORMER_XL_H
#define POSGRAD_ENCODINGS_TRANSFORMER_XL_H

#include "../pe.h"

struct transformer_xl_settings {
    int64_t clamp_length;
};
extern const struct option_def transformer_xl_options[];

int transformer_xl_check(const struct pe_context *context);
// u and v [H, D] of all layers, or of each.
void transformer_xl_attention(const struct pe_context *context, struct pe_attention *attention,
                              bool shared);
// clamp_length; 0 where there is none.
int64_t transformer_xl_clips_at(const struct pe_context *context);
void transformer_xl_tables(const struct pe_context *context, struct pe_tables *tables, bool shared);

#endif
