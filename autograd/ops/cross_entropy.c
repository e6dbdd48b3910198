// Cross-entropy of logits and class indices, mean over the rows that have a target.
//
// Keeps maximum and sum of exponentials of each row, not their logarithm: where one class has
// nearly all of the probability, its gradient is a small difference that a rounded logarithm would
// drown. The sum over rows is in double, in order.
//
// With smoothing e the target is (1 - e) of its class and e / V of every one (label smoothing:
// Szegedy et al. 2016, arXiv 1512.00567, section 7).
#include <math.h>

#include "../ag_ops.h"
#include "../base/err.h"
#include "../base/par.h"
#include "../kernels/vector.h"
#include "op.h"

enum { GRAIN = 1 << 13 };

struct job {
    struct ag_tensor *node;
    int64_t rows, vocab, pieces;
    real scale;
    double smoothing;
};

static struct job job_of(struct ag_tensor *node)
{
    const struct ag_tensor *logits = node->input[0];
    struct job job = {.node = node,
                      .vocab = logits->shape.size[logits->shape.dims - 1],
                      .smoothing = *(const double *)node->param};
    job.rows = logits->count / job.vocab;
    job.pieces = par_pieces(logits->count, GRAIN);
    if (job.pieces > job.rows)
        job.pieces = job.rows;
    return job;
}

// Of all of the batch, where this is a part of one.
static int64_t scored_rows(const struct ag_run *run, const struct job *job)
{
    if (run->batch)
        return run->batch->targets;
    int64_t scored = 0;
    for (int64_t row = 0; row < job->rows; row++)
        scored += job->node->input[1]->index[row] >= 0;
    return scored;
}

// Maximum and sum of exp(x - maximum) of each row.
static void forward_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct job *job = context;
    const struct ag_tensor *logits = job->node->input[0], *target = job->node->input[1];
    real *saved = job->node->saved;
    int64_t end = par_begin(job->rows, job->pieces, piece + 1);
    for (int64_t row = par_begin(job->rows, job->pieces, piece); row < end; row++) {
        const real *x = logits->data + row * job->vocab;
        BUG_ON(target->index[row] >= job->vocab);
        real largest = vector_max(x, job->vocab), sum = 0, zero = 0;
        // A logit of minus infinity has no share in the sum, but is a fault: 0 times it is NaN.
#pragma omp simd reduction(+ : sum, zero)
        for (int64_t v = 0; v < job->vocab; v++) {
            sum += vector_exp1(x[v] - largest);
            zero += x[v] * REAL(0.0);
        }
        saved[2 * row] = largest;
        saved[2 * row + 1] = sum + zero;
    }
}

// The largest logit less the smoothed target's: less (1 - e) x_target + e mean(x).
static double below_largest(const struct job *job, int64_t row)
{
    const real *x = job->node->input[0]->data + row * job->vocab;
    double largest = (double)((const real *)job->node->saved)[2 * row], below = 0;
    double target = largest - (double)x[job->node->input[1]->index[row]];
    if (job->smoothing == 0)
        return target;
    for (int64_t v = 0; v < job->vocab; v++)
        below += largest - (double)x[v];
    return (1 - job->smoothing) * target + job->smoothing * below / (double)job->vocab;
}

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    struct job job = job_of(node);
    par_run(job.pieces, forward_piece, &job);
    const int32_t *target = node->input[1]->index;
    const real *saved = node->saved;
    double sum = run->batch ? run->batch->loss : 0;
    for (int64_t row = 0; row < job.rows; row++)
        if (target[row] >= 0)
            sum += log((double)saved[2 * row + 1]) + below_largest(&job, row);
    if (run->batch)
        run->batch->loss = sum;
    int64_t scored = scored_rows(run, &job);
    node->data[0] = (real)(scored ? sum / (double)scored : 0);
}

static void smooth_targets(const struct job *job, int32_t target, real *restrict to)
{
    if (job->smoothing == 0) {
        to[target] -= job->scale;
        return;
    }
    real each = (real)((double)job->scale * job->smoothing / (double)job->vocab);
#pragma omp simd
    for (int64_t v = 0; v < job->vocab; v++)
        to[v] -= each;
    to[target] -= (real)((double)job->scale * (1 - job->smoothing));
}

static void backward_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct job *job = context;
    const struct ag_tensor *logits = job->node->input[0], *target = job->node->input[1];
    const real *saved = job->node->saved;
    bool fresh = ag_is_fresh(job->node, 0);
    int64_t end = par_begin(job->rows, job->pieces, piece + 1);
    for (int64_t row = par_begin(job->rows, job->pieces, piece); row < end; row++) {
        const real *restrict x = logits->data + row * job->vocab;
        real *restrict to = logits->grad + row * job->vocab;
        real largest = saved[2 * row], inverse = 1 / saved[2 * row + 1];
        for (int64_t v = 0; fresh && v < job->vocab; v++)
            to[v] = 0;
        if (target->index[row] < 0)
            continue;
#pragma omp simd
        for (int64_t v = 0; v < job->vocab; v++)
            to[v] += job->scale * (vector_exp1(x[v] - largest) * inverse);
        smooth_targets(job, target->index[row], to);
    }
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    struct job job = job_of(node);
    int64_t scored = scored_rows(run, &job);
    job.scale = scored ? (real)((double)node->grad[0] / (double)scored) : 0;
    if (node->input[0]->grad)
        par_run(job.pieces, backward_piece, &job);
}

static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    int64_t b = ag_case_size(rng, 3), t = ag_case_size(rng, 5), v = 1 + ag_case_size(rng, 7);
    ag_t *logits = ag_case_leaf(graph, rng, ag_shape3(b, t, v), -2, 2);
    ag_t *target = ag_case_index(graph, rng, ag_shape2(b, t), variant & 1 ? -1 : 0, (int32_t)v - 1);
    return ag_cross_entropy(graph, logits, target, variant < 2 ? 0 : variant == 2 ? 0.1 : 0.7);
}

const struct ag_op ag_op_cross_entropy = {
    .name = "cross_entropy",
    .formula =
        "mean over rows with a target of log sum_v exp(x_v) - (1 - e) x_target - e mean_v x_v",
    .flags = AG_BACKWARD_READS_INPUTS | AG_BACKWARD_HANDLES_FRESH,
    .forward = forward,
    .backward = backward,
    .variants = 4,
    .sample = sample,
};

ag_t *ag_cross_entropy(struct ag_graph *graph, ag_t *logits, ag_t *target, double smoothing)
{
    char a[96], b[96];
    int64_t vocab = logits->shape.dims ? logits->shape.size[logits->shape.dims - 1] : 0;
    if (vocab < 1 || target->type != AG_INT || target->count * vocab != logits->count)
        return ag_fail(graph, "cross_entropy: logits %s and target %s do not fit",
                       ag_shape_text(logits->shape, a), ag_shape_text(target->shape, b));
    if (!(smoothing >= 0 && smoothing < 1))
        return ag_fail(graph, "cross_entropy: smoothing %g is not in [0, 1)", smoothing);
    ag_t *node = ag_node(graph, &ag_op_cross_entropy, (struct ag_shape){0}, 2,
                         (ag_t *const[]){logits, target}, &smoothing, sizeof smoothing);
    if (!graph->error)
        node->saved_size = (size_t)(2 * target->count) * sizeof(real);
    return node;
}
