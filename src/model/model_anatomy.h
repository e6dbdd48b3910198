// What a stack of encodings does to the plain Transformer, read off the graph that it builds: for
// exports to programs that have some of these parts and no others.
//
// Nothing here knows an encoding by name. A hook that adds to the stream what does not depend on
// the tokens has added a table of positions, whatever made that table; and so on.
#ifndef POSGRAD_MODEL_ANATOMY_H
#define POSGRAD_MODEL_ANATOMY_H

#include "model.h"

struct model_anatomy_layer {
    // What turns queries and keys alike, [T, P] or [T, H, P]; NULL: nothing does.
    ag_t *cosine, *sine;
    enum ag_layout layout;
    // What queries are read with by the distance of the key, each layer's or shared.
    struct ag_relative keys;
    // What is added to the logits by the distance of the key, [rows, H]; of several, the sum.
    struct ag_relative bias;
    double scale; // of logits before the bias, over the usual one
};

struct model_anatomy {
    struct ag_graph *graph;
    ag_t *positions; // [T, C], added to the embeddings of tokens; NULL: nothing is
    struct model_anatomy_layer *layer;
    // Which encodings did these; NULL where none did.
    const char *positions_by, *rotation_by, *keys_by, *bias_by;
    // The first encoding that does anything else, and what: "changes the values".
    const char *other_by, *other;
};

// Captures the model for one row of `length` tokens, as it is outside of training, and says what
// the stack does there. The tensors are kept, and hold their numbers after model_graph_plan and a
// forward; where there are none, model->output is NULL and there is nothing to plan.
int model_anatomy_capture(struct model_graph *model, const struct model_config *config,
                          struct ag_params *params, int64_t length, struct model_anatomy *anatomy);

void model_anatomy_release(struct model_anatomy *anatomy);

// The row of a table of these by which keys at `offset` (key minus query) are read, after a
// forward.
const real *model_anatomy_row(const struct ag_relative *relative, int64_t offset);

// How many tokens the stack is meant for: up to the end of its shortest table, and where formulas
// go on, as many as training had.
int64_t model_anatomy_length(const struct model_config *config);

// --- for the builder of the model, in the order of the hooks; nothing where `anatomy` is NULL
void model_anatomy_input(struct model_anatomy *anatomy, const char *name, ag_t *was, ag_t *is);
// Any hook on the stream but at the input.
void model_anatomy_stream(struct model_anatomy *anatomy, const char *name, const ag_t *was,
                          const ag_t *is);
void model_anatomy_attention(struct model_anatomy *anatomy, const char *name, int64_t layer,
                             const struct pe_attention *was, const struct pe_attention *is);
// Something else than these, in words.
void model_anatomy_other(struct model_anatomy *anatomy, const char *name, const char *what);

#endif
