// A model from a golden file: built as its config says, filled with its parameters and batch, and
// compared with its logits, loss and gradients.
//
// A file holds one model (config/, batch/, params/, grads/, outputs/), or several cases, each under
// CASE/; what a case lacks is then looked up under shared/. There, the gradients of the
// Transformer's own parameters may be one vector, grads/transformer, in the order of params/.
#ifndef POSGRAD_TESTS_GOLDEN_MODEL_H
#define POSGRAD_TESTS_GOLDEN_MODEL_H

#include "../../src/model/model.h"
#include "golden.h"

struct golden_model {
    const struct golden *golden;
    char scope[64]; // "CASE/", or "" in a file of one model
    struct model_config config;
    struct ag_params params;
    struct model_graph model;
};

// Builds the model of `name` (NULL: the file's only one). Gradients start as NaN. An error (an
// encoding that is not there) leaves nothing to close; what a file must have and lacks fails the
// test.
int golden_model_open(struct golden_model *m, const struct golden *golden, const char *name);
void golden_model_close(struct golden_model *m);

// Compares names, logits, loss and every gradient, over two replays; prints what is wrong and
// returns how much.
int golden_model_differs(struct golden_model *m);

// The error of the logits as they are now.
double golden_model_logits_error(const struct golden_model *m);

#endif
