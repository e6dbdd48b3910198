// The Transformer: pre-LN blocks, built once a length and replayed.
//
// x = tok_emb[token], the encodings' input hooks, then layers of attention and MLP, a final
// LayerNorm and a linear head. The exact form is on the design page and in README; names of
// parameters are contracts.
#ifndef POSGRAD_MODEL_H
#define POSGRAD_MODEL_H

#include "../encodings/pe.h"

struct model_config {
    int64_t layers, heads, dim, ff_dim, vocab;
    int64_t train_length;
    bool causal; // --arch decoder
    bool tie;    // head.weight is tok_emb.weight
    double dropout;
    double label_smoothing; // of the loss: 0 but for training
    int64_t parts;          // above 1: graphs are for so many equal parts of a batch
    enum ag_normaliser attention;
    int64_t grid_height, grid_width; // of the task's rows; 0 where they are no grid
    struct pe_stack pe;
    // Of graphs longer than what training met: what is done past it. Such a graph has the same
    // parameters.
    enum pe_extension extension;
};

// One captured and planned model for a batch shape.
struct model_graph {
    struct ag_graph graph;
    struct ag_plan *plan;
    ag_t *tokens, *targets, *mask; // index [B, T], written before a replay
    ag_t *logits;                  // [B, T, V], kept
    ag_t *loss;                    // scalar, kept
    ag_t *output;                  // what a plan is for: the loss, or a table
    int64_t batch, length;
};

// Refuses a config that has no meaning (dim not divisible by heads, an encoding's own check).
int model_check(const struct model_config *config);

// The context of encoding `i` of the stack outside of layers, for a graph of this size before it is
// there: what it reads of positions that training met, and what is done past them.
struct pe_context model_context(const struct model_config *config, int i, int64_t batch,
                                int64_t length);

// What the stack does in rows of `length` tokens under config->extension, in one word; of several
// encodings the one that goes furthest from what was trained, in this order:
//   inside        all positions and distances were met in training
//   hierarchical, interpolated, rescaled (ntk, yarn), wrapped: as the extension says
//   clipped       distances beyond the farthest entry share it, and training reached it
//   extrapolated  a formula goes on
//   untrained     rows of a table that still have their start
//   undefined     past a table that ends
const char *model_reach(const struct model_config *config, int64_t length);
// ERR_ARGUMENT with one line where the stack is undefined at this length, or where the extension
// has no meaning for any of its encodings. Lengths that training met are never refused.
int model_check_length(const struct model_config *config, int64_t length);

// Captures and plans. Parameters are registered in `params` by the first call and shared by later
// ones; ag_params_allocate must be called between the first model_graph_capture and
// model_graph_plan. With `tables` (else NULL) what the encodings export is built too: kept tensors
// that a forward computes.
int model_graph_capture(struct model_graph *model, const struct model_config *config,
                        struct ag_params *params, int64_t batch, int64_t length,
                        struct pe_tables *tables);
// Captures the model and keeps nothing of it: for those who read a graph and do not replay it.
int model_graph_outline(struct model_graph *model, const struct model_config *config,
                        struct ag_params *params, int64_t batch, int64_t length);
// Captures only what the encodings export, of parameters that are there already. Its forward costs
// little beside the model's, as no table depends on a batch: `tokens` and the rest stay unwritten.
// Where there are no tables, there is nothing to plan: output is NULL.
int model_tables_capture(struct model_graph *model, const struct model_config *config,
                         struct ag_params *params, int64_t length, struct pe_tables *tables);
int model_graph_plan(struct model_graph *model, bool backward);
void model_graph_release(struct model_graph *model);

// Index of the largest logit of every row into predictions [B*T]; the first of equals.
void model_predictions(const struct model_graph *model, int32_t *predictions);

#endif
