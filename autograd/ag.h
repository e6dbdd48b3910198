// Autograd: captured once, planned once, replayed.
//
// Model code calls builders (ag_ops.h) that look like define-by-run but only record nodes in a
// graph. A plan orders the nodes, works out which gradients are needed, gives every tensor a place
// in one block of memory by its lifetime, and then replays two flat lists: ag_forward and
// ag_backward. Replaying allocates nothing and cannot fail.
//
// Dimension letters, here and everywhere: B batch, T query length, S key length, H heads, D head
// size, C width (H*D), F feed-forward width, L layers, V vocabulary. All arrays are row-major and
// contiguous.
#ifndef POSGRAD_AG_H
#define POSGRAD_AG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/real.h"

#define AG_MAX_DIMS 5
#define AG_MAX_INPUTS 20
#define AG_NAME_SIZE 128

enum ag_type { AG_REAL, AG_INT };

struct ag_shape {
    int dims; // 0 is a scalar
    int64_t size[AG_MAX_DIMS];
};

// A tensor is the node that makes it. Fields are read by ops; only graph.c and plan.c write them.
struct ag_tensor {
    const char *name; // for messages: "layers.0.attn.q/linear"
    enum ag_type type;
    struct ag_shape shape;
    int64_t count;  // elements
    real *data;     // AG_REAL: valid while the plan says so
    int32_t *index; // AG_INT
    real *grad;     // same shape as data; NULL when no gradient is needed
    bool needs_grad;
    bool varies; // depends on an input: differs from replay to replay, whatever the parameters

    const struct ag_op *op; // NULL for leaves: inputs, constants, parameters
    int inputs;
    struct ag_tensor *input[AG_MAX_INPUTS]; // an optional input that is absent is NULL
    void *param;                            // the op's own struct, in the graph's arena
    size_t saved_size;                      // bytes that forward keeps for backward
    void *saved;
    size_t scratch_size; // bytes a thread that forward or backward may use
    size_t shared_size;  // bytes that forward or backward may use, the same for all threads
    size_t partial_size; // bytes that backward shares among its threads: partial sums
    void *partial;
    unsigned fresh; // bit i: backward must overwrite input i's gradient, not add to it

    int id;                 // place in capture order
    bool keep;              // data outlives the replay (outputs)
    struct ag_tensor *base; // a view shares data and grad with its base; NULL otherwise
    int parameter;          // row of struct ag_params, or -1
    struct ag_tensor *next; // capture order
};

// Parameters live outside of graphs: the graphs of all lengths share them.
enum ag_decay { AG_NO_DECAY, AG_DECAY };

// What a parameter starts as.
enum ag_init_kind {
    AG_INIT_NORMAL,     // N(mean, spread); spread 0 is the constant mean
    AG_INIT_UNIFORM,    // uniform in [mean - spread, mean + spread)
    AG_INIT_ORTHOGONAL, // [N, N]: spread times a random orthogonal matrix
    // [..., C]: the sinusoid's frequencies, spread^(-2 floor(c / 2) / C) in channel c of every row
    AG_INIT_FREQUENCIES,
};
struct ag_init {
    enum ag_init_kind kind;
    double mean, spread;
};

struct ag_parameter {
    char name[AG_NAME_SIZE]; // "layers.0.attn.q.weight"
    struct ag_shape shape;
    int64_t count, offset; // elements, place in the slabs
    enum ag_decay decay;   // matrices decay; embeddings, norms, biases, position tables do not
    bool frozen;           // no gradient is computed for it
    struct ag_init init;
};

struct ag_params {
    struct ag_parameter *row;
    int rows, capacity;
    int64_t count; // elements in all
    real *value;   // [count], 64-byte aligned; NULL until ag_params_allocate
    real *grad;    // [count]
};

void ag_params_init(struct ag_params *params);
void ag_params_release(struct ag_params *params);
// Row of `name`, or -1.
int ag_params_find(const struct ag_params *params, const char *name);
// The name that is nearest to `name`, for a typo; NULL when none is near enough.
const char *ag_params_nearest(const struct ag_params *params, const char *name);
// Makes the slabs once all parameters are known, and draws each parameter's start from its own
// stream "init/NAME", so that no parameter's start depends on which others there are.
int ag_params_allocate(struct ag_params *params, uint64_t seed);

struct ag_graph {
    struct arena arena;
    struct ag_params *params;
    struct ag_tensor *first, *last;
    int tensors;
    // Above 1: a replay is one of so many equal parts of a batch, of `rows` sequences each. What
    // varies has them as its first dimension, once or several times over (one stream after the
    // other). Set before anything is captured.
    int64_t parts, rows;
    int error; // the first error wins; its line is in message
    char message[512];
    char scope[AG_NAME_SIZE];     // put before the names of new nodes
    struct ag_tensor placeholder; // what builders return once something is wrong
};

// An empty graph over `params` (borrowed; may be NULL for a graph without parameters).
void ag_graph_init(struct ag_graph *graph, struct ag_params *params);
void ag_graph_release(struct ag_graph *graph);
// Names the part of the model that is being built, for messages and dropout streams.
__attribute__((format(printf, 2, 3))) void ag_scope(struct ag_graph *graph, const char *format,
                                                    ...);
// Records the user's mistake (the first one wins) and returns a harmless placeholder, so that
// builders need no checks; ag_plan_new reports it.
__attribute__((format(printf, 2, 3))) struct ag_tensor *ag_fail(struct ag_graph *graph,
                                                                const char *format, ...);
// The same with the line and the code that were stored last (err_last).
struct ag_tensor *ag_fail_last(struct ag_graph *graph);

struct ag_shape ag_shape1(int64_t a);
struct ag_shape ag_shape2(int64_t a, int64_t b);
struct ag_shape ag_shape3(int64_t a, int64_t b, int64_t c);
struct ag_shape ag_shape4(int64_t a, int64_t b, int64_t c, int64_t d);
struct ag_shape ag_shape5(int64_t a, int64_t b, int64_t c, int64_t d, int64_t e);
// Elements, or -1 when the product does not fit or a size is < 1.
int64_t ag_shape_count(struct ag_shape shape);
bool ag_shape_equal(struct ag_shape a, struct ag_shape b);
// "[2, 3, 4]" into `text`, which is returned.
const char *ag_shape_text(struct ag_shape shape, char text[96]);

// Leaves. A parameter is created on first use (of its name) and shared after; another shape for the
// same name is an error. Inputs are written by the caller between replays; constants are copied
// now.
struct ag_tensor *ag_parameter(struct ag_graph *graph, const char *name, struct ag_shape shape,
                               double init_mean, double init_std, enum ag_decay decay);
// As ag_parameter, with a start that is not normal.
struct ag_tensor *ag_parameter_from(struct ag_graph *graph, const char *name, struct ag_shape shape,
                                    struct ag_init init, enum ag_decay decay);
struct ag_tensor *ag_input(struct ag_graph *graph, const char *name, struct ag_shape shape);
struct ag_tensor *ag_input_index(struct ag_graph *graph, const char *name, struct ag_shape shape);
struct ag_tensor *ag_constant(struct ag_graph *graph, struct ag_shape shape, const real *data);
struct ag_tensor *ag_constant_index(struct ag_graph *graph, struct ag_shape shape,
                                    const int32_t *index);
// An input that gradients flow to: the leaves of a gradient check.
struct ag_tensor *ag_leaf(struct ag_graph *graph, const char *name, struct ag_shape shape);
// The data of `tensor` stays readable after a replay. Returns `tensor`.
struct ag_tensor *ag_keep(struct ag_tensor *tensor);

// One batch as several replays: what they share.
struct ag_batch {
    int64_t part, parts; // which replay this is, from 0 on, of how many; the caller sets it
    int64_t rows;        // sequences of a part
    int64_t targets;     // that are scored in the whole batch: what losses are divided by
    double loss;         // the sum of losses of the parts so far: 0 before the first
};

// What a replay may know beside the tensors: captured graphs bake nothing in that changes by step.
struct ag_run {
    struct ag_batch *batch; // NULL: a replay is a whole batch
    uint64_t seed, step;    // dropout masks are a function of these and the node's name
    bool training;          // dropout is the identity when false
    char *scratch;          // [threads][scratch_stride]
    size_t scratch_stride;
    void *shared; // as large as the largest shared_size
};

struct ag_plan;

// Plans `graph` (borrowed, must outlive the plan) so that `output`, a scalar unless a cotangent is
// given to ag_backward, and every kept tensor are computed; `backward` says whether gradients are
// wanted. Returns NULL with the graph's own error, or ERR_MEMORY, or where the BLAS is not safe
// with par_threads() threads.
struct ag_plan *ag_plan_new(struct ag_graph *graph, struct ag_tensor *output, bool backward);
void ag_plan_free(struct ag_plan *plan);
struct ag_run *ag_plan_run(struct ag_plan *plan);

void ag_forward(struct ag_plan *plan);
// As ag_forward; and where infinity goes into what has a limit there, as sigmoid or the weights of
// attention, NaN comes out. For replays without a backward, which would make NaN of it.
void ag_forward_watched(struct ag_plan *plan);
// In a graph of parts, which needs ag_plan_run(plan)->batch, gradients of what does not vary are
// added up over the replays from part 0 on, and those of the parameters are complete after the last
// part. The loss and every gradient then have the bits of the whole batch where ag_plan_rounded
// says NULL.
//
// Overwrites the gradients of the parameters that the plan reaches (and of leaves); gradients of
// parameters that it does not reach are left alone. `cotangent` has the output's shape; NULL is
// all ones.
void ag_backward(struct ag_plan *plan, const real *cotangent);

// Replays forward, then backward, checking every result: the first node whose data (or whose
// inputs' gradients) are not finite is named in `text` ("layers.0.attn/attention forward").
// Returns false when all is finite. Slow; for the message after a bad step.
bool ag_locate_nonfinite(struct ag_plan *plan, char *text, size_t size);

// In a plan of parts: what is the first whose sum over rows is cut elsewhere than in the whole
// batch, and so rounded in another way ("layers.0.attn/linear"); NULL where nothing is.
const char *ag_plan_rounded(const struct ag_plan *plan);

struct ag_plan_stats {
    int instructions; // forward and backward
    size_t planned;   // bytes of the block
    size_t unplanned; // bytes if every tensor had its own
};
struct ag_plan_stats ag_plan_stats(const struct ag_plan *plan);

// Where the time of replays goes. Once switched on, every instruction is timed (some 50 ns each).
// ERR_MEMORY.
int ag_plan_profile(struct ag_plan *plan);
struct ag_profile_row {
    const char *op; // its name; "zero" for gradients that are set to zero
    bool backward;
    int nodes;
    double seconds, flops; // of all replays; flops is 0 where the op does not count them
};
// A row for each op and pass that took any time, the slowest first; at most `most` of them. Returns
// how many.
int ag_plan_profile_rows(const struct ag_plan *plan, struct ag_profile_row *rows, int most);

#endif
