// Which sizes of a captured graph grow with the batch or with the length.
//
// A graph is captured for one batch and one length, with numbers in it that were computed for
// these. The same model is captured at other sizes, too, and the graphs are held against each
// other, node by node: a dimension that was 2 T - 1 in one and is 2 T - 1 in all is one, and a
// table that all lengths read the first rows, or the middle, of needs only be there once. What
// is found to hold at the lengths that are tried is taken to hold between them.
#ifndef POSGRAD_ONNX_SIZES_H
#define POSGRAD_ONNX_SIZES_H

#include "../../model/model.h"

// fixed + batch B + (length + both B) T for a batch of B rows of T tokens.
struct onnx_amount {
    int64_t fixed, batch, length, both;
};

static inline struct onnx_amount onnx_fixed(int64_t n)
{
    return (struct onnx_amount){.fixed = n};
}
static inline bool onnx_is_fixed(struct onnx_amount n)
{
    return n.batch == 0 && n.length == 0 && n.both == 0;
}
static inline bool onnx_same_amount(struct onnx_amount a, struct onnx_amount b)
{
    return a.fixed == b.fixed && a.batch == b.batch && a.length == b.length && a.both == b.both;
}
int64_t onnx_amount_at(struct onnx_amount n, int64_t batch, int64_t length);

// What is known of a tensor of the graph, by its id.
struct onnx_tensor {
    // What the output needs: computed anew for each batch, or known now as it depends on parameters
    // alone.
    bool computed, known;
    int order;                            // of those that are computed
    struct onnx_amount size[AG_MAX_DIMS]; // of the dimensions
    struct onnx_amount start;             // of its setting "start"
};

struct onnx_sizes {
    struct ag_graph *graph;
    struct ag_plan *plan;  // replayed: its known tensors have their values; NULL: there are none
    int64_t batch, length; // that it was captured at
    struct onnx_tensor *tensor; // [graph->tensors]
    bool reads_past;            // what is compared is an index, and places past the rows read zero
    bool settled;    // sizes were seen to grow with the length, or not: no more is learned
    bool any_length; // the graph is one for lengths up to `length`, else for it alone
    char reason[3 * AG_NAME_SIZE]; // why not
};

// Sorts the tensors of `graph` (borrowed) that `output` needs, and computes those that are known;
// all sizes are fixed at what they are. ERR_MEMORY, ERR_NUMBER where a known one is not finite.
int onnx_sizes_init(struct onnx_sizes *sizes, struct ag_graph *graph, struct ag_tensor *output);
void onnx_sizes_release(struct onnx_sizes *sizes);

// Captures `config` for rows of up to `length` tokens into `model`, and finds which of its sizes
// grow, from captures at other batches and lengths. The caller releases both.
int onnx_sizes_of_model(struct onnx_sizes *sizes, struct model_graph *model,
                        const struct model_config *config, struct ag_params *params,
                        int64_t length);

// The first tensor that is computed behind `after` (NULL: of all) in the order of the capture, or
// NULL.
struct ag_tensor *onnx_next(const struct onnx_sizes *sizes, const struct ag_tensor *after);
// Values of a known tensor, AG_REAL or AG_INT.
const real *onnx_reals(const struct onnx_sizes *sizes, const struct ag_tensor *tensor);
const int32_t *onnx_index(const struct ag_tensor *tensor);

// Where a known tensor of the longest rows holds that of shorter ones, along a dimension that
// grows: its start.
struct onnx_amount onnx_start_of(struct onnx_amount size, int64_t longest);

#endif
