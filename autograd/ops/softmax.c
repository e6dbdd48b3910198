// Softmax over the last dimension.
#include "../ag_ops.h"
#include "../base/par.h"
#include "../kernels/finite.h"
#include "../kernels/vector.h"
#include "op.h"

enum { GRAIN = 1 << 13 };

struct job {
    struct ag_tensor *node;
    int64_t rows, width, pieces;
};

static struct job job_of(struct ag_tensor *node)
{
    int64_t width = node->shape.size[node->shape.dims - 1];
    int64_t rows = node->count / width, pieces = par_pieces(node->count, GRAIN);
    return (struct job){node, rows, width, pieces > rows ? rows : pieces};
}

static void forward_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct job *job = context;
    int64_t end = par_begin(job->rows, job->pieces, piece + 1);
    for (int64_t row = par_begin(job->rows, job->pieces, piece); row < end; row++) {
        const real *x = job->node->input[0]->data + row * job->width;
        real *y = job->node->data + row * job->width;
        real zero = finite_sum(x, job->width); // -infinity has no share, but is a fault
        real sum = vector_exp_sum(y, x, vector_max(x, job->width), job->width) + zero;
        for (int64_t i = 0; i < job->width; i++)
            y[i] /= sum;
    }
}

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    struct job job = job_of(node);
    par_run(job.pieces, forward_piece, &job);
}

static void backward_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct job *job = context;
    int64_t end = par_begin(job->rows, job->pieces, piece + 1);
    for (int64_t row = par_begin(job->rows, job->pieces, piece); row < end; row++) {
        const real *restrict y = job->node->data + row * job->width;
        const real *restrict g = job->node->grad + row * job->width;
        real *restrict to = job->node->input[0]->grad + row * job->width;
        real dot = 0;
        for (int64_t i = 0; i < job->width; i++)
            dot += y[i] * g[i];
        for (int64_t i = 0; i < job->width; i++)
            to[i] += y[i] * (g[i] - dot);
    }
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    struct job job = job_of(node);
    if (node->input[0]->grad)
        par_run(job.pieces, backward_piece, &job);
}

static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    struct ag_shape shape = variant ? ag_shape2(ag_case_size(rng, 5), 1 + ag_case_size(rng, 8))
                                    : ag_shape1(1 + ag_case_size(rng, 8));
    return ag_softmax(graph, ag_case_leaf(graph, rng, shape, -2, 2));
}

const struct ag_op ag_op_softmax = {
    .name = "softmax",
    .formula = "y_i = exp(x_i) / sum_j exp(x_j)",
    .flags = AG_BACKWARD_READS_OUTPUT | AG_HAS_LIMITS,
    .forward = forward,
    .backward = backward,
    .variants = 2,
    .sample = sample,
};

ag_t *ag_softmax(struct ag_graph *graph, ag_t *x)
{
    char text[96];
    if (x->shape.dims < 1)
        return ag_fail(graph, "softmax: %s has no last dimension", ag_shape_text(x->shape, text));
    return ag_node(graph, &ag_op_softmax, x->shape, 1, &x, NULL, 0);
}
