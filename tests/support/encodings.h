// What the tests of encodings walk - every row of pe_list, its options, normalisers and stacks -
// and the small model that they hold each to.
//
// Nothing here knows an encoding by name: a new row is found, its options are turned by their
// types, and what it claims says what must hold.
#ifndef POSGRAD_TESTS_ENCODINGS_H
#define POSGRAD_TESTS_ENCODINGS_H

#include "../../src/model/model.h"
#include "check.h"

enum { ENCODING_PAIRS = 4, ENCODING_VOCAB = 29 }; // a size that no other dimension has

// A stack with its options, in an encoder or a decoder.
struct encoding_case {
    char pe[64];
    int pairs;
    char pair[ENCODING_PAIRS][48];
    enum ag_normaliser attention;
    bool causal;
};

// Which cases: every row as it is is always among them.
enum encoding_walk {
    ENCODING_ROWS = 0,
    ENCODING_OPTIONS = 1,     // each option turned, alone, and tables made so short that they clip
    ENCODING_NORMALISERS = 2, // the rows under each --attention
    ENCODING_STACKS = 4,      // every pair of rows, in both orders
};
// Calls visit for each case that the encodings do not refuse, until one returns false; fails the
// test where it did, and where a row as it is has neither an encoder nor a decoder. Returns the
// number of cases.
typedef bool encoding_visit(const struct encoding_case *what);
int encoding_walk(unsigned walk, encoding_visit *visit);

// "shaw values=no, decoder" for messages.
struct encoding_text {
    char text[256];
};
struct encoding_text encoding_text(const struct encoding_case *what);

// What all encodings of the stack claim, under these settings.
unsigned encoding_claims(const struct pe_stack *stack);

// Rows of tokens are a grid for those that ask for one, and a line for all others.
struct encoding_shape {
    int64_t batch, height, width;
    int64_t layers, heads, dim; // 0: 2, 2, 16
    double dropout;
    int threads; // 0: 1, as small models wait for threads longer than they compute
};

struct encoding_model {
    struct model_config config;
    struct ag_params params;
    struct model_graph graph;
    struct pe_tables tables;
    int64_t length;
};

// Builds and plans the model, with backward and tables, and draws its parameters, each by its name
// and larger than training starts: what two models share is equal. Tokens and targets are random,
// and nothing is padding. An error leaves nothing to close.
int encoding_open(struct encoding_model *m, const struct encoding_case *what,
                  const struct encoding_shape *shape);
// The same, and an error fails the test.
void encoding_build(struct encoding_model *m, const struct encoding_case *what,
                    const struct encoding_shape *shape);
void encoding_close(struct encoding_model *m);

// A graph of another length on the parameters of a model. Fill its batch before a forward.
int encoding_capture(struct encoding_model *m, int64_t length, struct model_graph *graph,
                     struct pe_tables *tables);

// Whether `name` is a parameter of an encoding.
bool encoding_owns(const char *name);
// The hooks' context outside of layers for encoding `i` of the stack.
struct pe_context encoding_context(const struct encoding_model *m, int i);

// The largest |a - b|; infinite where one is not finite.
double encoding_distance(const real *a, const real *b, int64_t count);
// Rounding of logits through the whole model, and a difference that is none.
#define ENCODING_SAME (50 * CHECK_ROUNDING)
#define ENCODING_OTHER (1e-3)

#endif
