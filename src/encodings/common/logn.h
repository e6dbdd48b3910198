// Logits that grow with the logarithm of the number of keys, for the encoding and for models that
// are stretched past their training length.
#ifndef POSGRAD_ENCODINGS_LOGN_H
#define POSGRAD_ENCODINGS_LOGN_H

#include "../pe.h"

// Refuses a base that has no logarithm to divide by.
int pe_check_logn(const struct pe_context *context, double base);

// ln n / ln base of n = 1..T keys, [T].
ag_t *pe_logn_factors(const struct pe_context *context, double base, bool at_least_one);

// Multiplies the queries of a layer, and what relative tables are read with, by ln n / ln base of
// the n keys that each may see; with `at_least_one` by 1 where that is less. The factors are kept
// in context->memo[0], for all layers.
void pe_scale_by_logn(const struct pe_context *context, struct pe_attention *attention, double base,
                      bool at_least_one);

#endif
