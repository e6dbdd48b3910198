// What an op is: one file, one const struct, one row in list.h.
//
// An op makes one tensor. Its builder (in ag_ops.h) checks the arguments and calls ag_node; the
// rest of the struct is used by the replay and by the gradient check, which walks list.h.
#ifndef POSGRAD_OP_H
#define POSGRAD_OP_H

#include "../ag.h"
#include "../base/rng.h"

enum ag_op_flags {
    AG_BACKWARD_READS_INPUTS = 1, // backward reads input data: the plan keeps it until then
    AG_BACKWARD_READS_OUTPUT = 2, // backward reads the node's own data
    AG_BACKWARD_HANDLES_FRESH =
        4,                  // backward honours node->fresh; otherwise the replay zeroes first
    AG_VIEW = 8,            // no kernel: the output shares its first input's memory
    AG_NO_BACKWARD = 16,    // not differentiable, on purpose (argmax, comparisons)
    AG_KEEPS_PARTIAL = 128, // in a graph of parts, `partial` is kept from one part to the next
    AG_LINEAR_GRAD = 32,    // informative: the derivative is exact under central differences
    AG_MAKES_INDEX = 64,    // the output is an index (AG_INT), not numbers
    AG_HAS_LIMITS = 256,    // infinity in may give a finite number, which ag_forward_watched sees
    // Backward adds the output's gradient, as it is, to that of the last input, which has its
    // shape. Where nobody did before, the plan may give both the same memory: nothing is to be done
    // then.
    AG_PASSES_GRADIENT = 512,
};

typedef void ag_kernel(const struct ag_run *run, struct ag_tensor *node);

// What a builder was given beside its tensors, and where in the op's param it is: for those who
// read a captured graph, as an export does.
enum ag_setting_type { AG_SETTING_INT64, AG_SETTING_INT, AG_SETTING_BOOL, AG_SETTING_DOUBLE };
struct ag_setting {
    const char *name;
    enum ag_setting_type type; // an enum is an INT
    size_t offset;
};

struct ag_op {
    const char *name;    // as in list.h
    const char *formula; // one line for `posgrad gradcheck --verbose` and the docs
    unsigned flags;
    ag_kernel *forward;
    // Adds to input[i]->grad for every input whose grad is not NULL (overwrites where fresh says
    // so), given node->grad.
    ag_kernel *backward;
    // In a graph of parts: whether the gradients of inputs that do not vary are sums over rows in
    // the same order, whether a batch comes whole or in `parts`. NULL: no.
    bool (*same_sums)(const struct ag_tensor *node, int64_t parts);
    // Additions and multiplications of one forward or backward, for profiles; NULL: not counted.
    double (*flops)(const struct ag_tensor *node, bool backward);
    const struct ag_setting *settings; // ended by one without a name; NULL: there are none
    // Builds one random case for the gradient check: leaves (ag_leaf, filled through
    // ag_case_leaf), then the op. `variant` runs over 0..variants-1; shapes are drawn from `rng`,
    // odd sizes and size 1 among them. Values must stay away from kinks.
    int variants;
    struct ag_tensor *(*sample)(struct ag_graph *graph, struct rng *rng, int variant);
};

// Appends a node. `param` (param_size bytes) is copied into the graph. Names it SCOPE/op. Returns
// the placeholder when the graph already failed.
struct ag_tensor *ag_node(struct ag_graph *graph, const struct ag_op *op, struct ag_shape shape,
                          int inputs, struct ag_tensor *const *input, const void *param,
                          size_t param_size);

// Helpers of samples: a leaf filled with uniform values in [low, high], drawn from `rng` (the data
// is set when the plan is made); a random size in 1..max that is odd or 1 often enough; a random
// index tensor with entries in [low, high].
struct ag_tensor *ag_case_leaf(struct ag_graph *graph, struct rng *rng, struct ag_shape shape,
                               double low, double high);
struct ag_tensor *ag_case_index(struct ag_graph *graph, struct rng *rng, struct ag_shape shape,
                                int32_t low, int32_t high);
int64_t ag_case_size(struct rng *rng, int64_t max);

// This node's scratch of a thread, 64-byte aligned.
static inline void *ag_scratch(const struct ag_run *run, int thread)
{
    return run->scratch + (size_t)thread * run->scratch_stride;
}

static inline bool ag_is_fresh(const struct ag_tensor *node, int input)
{
    return (node->fresh >> input) & 1u;
}

// For ag_op.same_sums of an op that adds to those gradients row after row.
bool ag_row_by_row(const struct ag_tensor *node, int64_t parts);
// The same of one that cuts `rows` into par_begin's runs: `pieces` of the whole batch's rows. Where
// it is true, a part is to be cut into pieces / parts.
bool ag_parts_fit(int64_t rows, int64_t pieces, int64_t parts);
// `rows` of a part, as many as the whole batch has; parts is 0 or 1 where a replay is all of it.
static inline int64_t ag_whole(int64_t rows, int64_t parts)
{
    return parts > 1 ? rows * parts : rows;
}

// The place in the whole batch of row `row` of the first dimension in this replay.
static inline int64_t ag_whole_row(const struct ag_run *run, int64_t row)
{
    const struct ag_batch *batch = run->batch;
    return batch
               ? (row / batch->rows * batch->parts + batch->part) * batch->rows + row % batch->rows
               : row;
}

// A setting of the node by its name, which its op must have: numbers up to 2^53 are exact.
double ag_setting_of(const struct ag_tensor *node, const char *name);

// The list of all ops, in order of name.
extern const struct ag_op *const ag_ops[];
extern const int ag_op_count;

#endif
