// What mathematics says of the probe: which rows of a Transformer's output can differ when all
// tokens of the input are the same.
//
// Where every row of attention weights sums to 1 and all values are equal, all outputs are equal,
// whatever the logits; residuals, LayerNorm and MLP act on each row alone and cannot part equal
// rows again (Su 2022, Scientific Spaces, article 9105). From that and an encoding's claims the
// answer follows for each stack, architecture and normaliser, with a start token and without.
#ifndef POSGRAD_ENCODINGS_THEOREM_H
#define POSGRAD_ENCODINGS_THEOREM_H

#include "../pe.h"

enum pe_rows {
    PE_ROWS_EQUAL,    // all equal tokens have equal outputs: accuracy 1/n at best
    PE_ROWS_BORDERS,  // only those near an end of the row, or near a start token, differ
    PE_ROWS_MIRRORED, // row i equals row n-1-i, and no others are equal
    PE_ROWS_DIFFER,   // all may differ: the probe can be solved
};
extern const char *const theorem_text[]; // "equal", "equal but at the borders", ...

// The claims of row `i` of a stack under its settings.
unsigned pe_stack_claims(const struct pe_stack *stack, int i);

// What may differ. `start_token` is a first token unlike the others, whose own row is not asked
// about.
enum pe_rows pe_theorem(const struct pe_stack *stack, bool causal, bool start_token,
                        enum ag_normaliser normaliser);

#endif
