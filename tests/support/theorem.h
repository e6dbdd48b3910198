// The cells of the table of the probe: every encoding of the list, and the stacks, options and
// normalisers that the theorem tells apart; each as encoder and decoder, with a start token and
// without.
#ifndef POSGRAD_TESTS_THEOREM_H
#define POSGRAD_TESTS_THEOREM_H

#include "../../src/encodings/common/theorem.h"

struct theorem_row {
    const char *pe;        // a stack, as --pe takes it
    const char *option;    // one --pe-opt, or NULL
    const char *attention; // as --attention takes it
    bool on_grid;          // an encoding of the stack needs a grid
};

// Rows of the table; each encoding of pe_list has one with its default options.
int theorem_rows(void);
struct theorem_row theorem_row(int i);
// "rope values=v, l2 attention", for a message.
const char *theorem_row_text(const struct theorem_row *row, char text[96]);

// What the theorem says of one cell, or a negative code. A row on a grid has no place for a start
// token: *meaningful is false then.
int theorem_verdict(const struct theorem_row *row, bool causal, bool start_token, bool *meaningful,
                    enum pe_rows *verdict);
enum ag_normaliser theorem_normaliser(const struct theorem_row *row);

#endif
