// A moving average of the weights: one pass over the slab, cut into fixed pieces.
//
// The correction for the start is put into the decay of each step, d_t = d (1 - d^(t-1)) / (1 -
// d^t): the slab always holds the average itself, ready to be used.
#include <math.h>
#include <string.h>

#include "../autograd/base/err.h"
#include "../autograd/base/par.h"
#include "optim.h"

enum { GRAIN = 1 << 13 };

struct work {
    const struct ag_params *params;
    int64_t pieces;
    real take; // what the newest weights count
    real *average;
};

static void average_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct work *work = context;
    const real *restrict value = work->params->value;
    real *restrict average = work->average;
    int64_t begin = par_begin(work->params->count, work->pieces, piece);
    int64_t end = par_begin(work->params->count, work->pieces, piece + 1);
    if (work->take == 1) { // the first: exactly the weights
        memcpy(average + begin, value + begin, (size_t)(end - begin) * sizeof *average);
        return;
    }
#pragma omp simd
    for (int64_t i = begin; i < end; i++)
        average[i] += work->take * (value[i] - average[i]);
}

void average_update(const struct ag_params *params, int64_t step, double decay, real *average)
{
    BUG_ON(step < 1 || !(decay > 0 && decay < 1));
    // 1 - d_t, of which 1 - decay is left once decay^step is nothing.
    double take = (1 - decay) / (1 - pow(decay, (double)step));
    struct work work = {.params = params,
                        .pieces = par_pieces(params->count, GRAIN),
                        .take = (real)take,
                        .average = average};
    par_run(work.pieces, average_piece, &work);
}
