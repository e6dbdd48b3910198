// A tensor seen along one dimension: [outer, n, inner].
#ifndef POSGRAD_AXIS_H
#define POSGRAD_AXIS_H

#include "../ag.h"

struct axis {
    int64_t outer, n, inner;
    int dim; // counted from 0; -1 when the tensor has no such dimension
};

// Dimension `dim` of `shape`; negative counts from the end.
static inline struct axis axis_of(const struct ag_shape *shape, int dim)
{
    struct axis a = {1, 1, 1, dim < 0 ? dim + shape->dims : dim};
    if (a.dim < 0 || a.dim >= shape->dims) {
        a.dim = -1;
        return a;
    }
    for (int d = 0; d < shape->dims; d++)
        *(d < a.dim ? &a.outer : d == a.dim ? &a.n : &a.inner) *= shape->size[d];
    return a;
}

#endif
