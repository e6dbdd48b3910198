// Gradient checks: central differences against the backward pass.
//
// The scalar that is differentiated is <output, cotangent> with a random cotangent, as a plain sum
// is blind to every op that keeps a sum. Every element of small leaves (and a random choice of
// large ones) is compared, and several random directions through all leaves at once. A comparison
// passes only if it is true: NaN never does. To know that a check can fail, the gradients can be
// corrupted on purpose before they are compared.
#ifndef POSGRAD_CHECK_H
#define POSGRAD_CHECK_H

#include "ag.h"

#define AG_CHECK_TOLERANCE 1e-6 // relative, in double

enum ag_corruption {
    AG_CORRUPT_NOTHING,
    AG_CORRUPT_SIGN,    // the gradient of one input times -1
    AG_CORRUPT_FACTOR,  // times 1.01
    AG_CORRUPT_ELEMENT, // one element (the largest) times 1.1
    AG_CORRUPT_NAN,     // one element NaN
    AG_CORRUPTIONS
};
extern const char *const ag_corruption_name[AG_CORRUPTIONS];

struct ag_check {
    double worst;                 // largest relative error seen; NaN and inf count as inf
    int64_t elements, directions; // comparisons made
    int leaves;
    char where[AG_NAME_SIZE + 64]; // of the worst: "x[17]", "direction 2"
};

// Something whose value depends on arrays that the check may change.
struct ag_check_leaf {
    const char *name;
    real *value;
    const real *grad;
    int64_t count;
};

// Compares the gradients of `leaves` of a plan whose graph has just the given output. Runs at most
// `max_elements` elements a leaf. `corrupt_leaf` is the leaf that `corruption` strikes. Leaves are
// put back as they were. ERR_MEMORY only; a bad gradient is in result->worst.
int ag_check_plan(struct ag_plan *plan, struct ag_tensor *output, int leaves,
                  const struct ag_check_leaf *leaf, int64_t max_elements, uint64_t seed,
                  enum ag_corruption corruption, int corrupt_leaf, struct ag_check *result);

struct ag_op;
// One random case of an op (see op.h), drawn from `seed`.
int ag_check_op(const struct ag_op *op, int variant, uint64_t seed, enum ag_corruption corruption,
                int corrupt_leaf, struct ag_check *result);

#endif
