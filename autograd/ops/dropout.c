// Inverted dropout (Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014, JMLR 15).
//
// The mask is not kept: element e is dropped or not by counter e / 4 of the stream "dropout/NODE"
// at the run's step, so backward, another thread count and a resumed run make the same one. The
// elements of a part of a batch are counted as those of the whole.
#include <string.h>

#include "../ag_ops.h"
#include "../base/par.h"
#include "op.h"

enum { GRAIN = 1 << 12 };

// A run of elements that lie together here and in the whole batch's tensor.
struct job {
    const struct ag_run *run;
    struct ag_tensor *node;
    int64_t begin, end;     // elements here
    int64_t whole;          // place of the first in the whole batch's tensor
    int64_t blocks, pieces; // blocks of four elements of that
    uint64_t stream;
    bool backward;
};

static void mask_block(const struct job *job, int64_t block, real factor[4])
{
    double rate = *(const double *)job->node->param;
    uint32_t threshold = (uint32_t)(rate * 4294967296.0);
    const uint32_t key[2] = {(uint32_t)job->stream, (uint32_t)(job->stream >> 32)};
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)job->run->step,
                                 (uint32_t)(job->run->step >> 32)};
    uint32_t bits[4];
    rng_philox(counter, key, bits);
    for (int k = 0; k < 4; k++)
        factor[k] = bits[k] < threshold ? 0 : (real)(1 / (1 - rate));
}

static void run_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct job *job = context;
    struct ag_tensor *node = job->node, *x = node->input[0];
    int64_t end = par_begin(job->blocks, job->pieces, piece + 1);
    int64_t shift = job->whole % 4; // elements of the first block that are another part's
    for (int64_t block = par_begin(job->blocks, job->pieces, piece); block < end; block++) {
        real factor[4] = {1, 1, 1, 1};
        if (job->run->training)
            mask_block(job, job->whole / 4 + block, factor);
        int64_t k = block ? 0 : shift;
        for (int64_t e = job->begin + 4 * block - shift + k; k < 4 && e < job->end; e++, k++) {
            if (job->backward)
                x->grad[e] += factor[k] * node->grad[e];
            else
                node->data[e] = factor[k] * x->data[e];
        }
    }
}

// All of it at once, or, of a part of a batch, stream by stream.
static void run_all(const struct ag_run *run, struct ag_tensor *node, bool backward)
{
    char name[2 * AG_NAME_SIZE + 16] = "dropout/";
    strncat(name, node->name, sizeof name - 16);
    bool in_parts = run->batch && node->varies;
    int64_t rows = in_parts ? run->batch->rows : 1;
    int64_t count = in_parts ? node->count / node->shape.size[0] * rows : node->count;
    struct job job = {
        .run = run, .node = node, .stream = rng_stream(run->seed, name), .backward = backward};
    for (int64_t begin = 0; begin < node->count; begin += count) {
        job.begin = begin;
        job.end = begin + count;
        job.whole = in_parts ? ag_whole_row(run, begin / count * rows) * (count / rows) : 0;
        job.blocks = (job.whole % 4 + count + 3) / 4;
        job.pieces = par_pieces(job.blocks, GRAIN);
        par_run(job.pieces, run_piece, &job);
    }
}

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    run_all(run, node, false);
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    if (node->input[0]->grad)
        run_all(run, node, true);
}

static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    struct ag_shape shape = ag_shape2(ag_case_size(rng, 5), 7 + ag_case_size(rng, 7));
    return ag_dropout(graph, ag_case_leaf(graph, rng, shape, -1, 1), variant ? 0.5 : 0.1);
}

const struct ag_op ag_op_dropout = {
    .name = "dropout",
    .formula = "y = x m / (1 - rate), m = 0 with probability rate, else 1",
    .forward = forward,
    .backward = backward,
    .variants = 2,
    .sample = sample,
};

ag_t *ag_dropout(struct ag_graph *graph, ag_t *x, double rate)
{
    if (!(rate >= 0 && rate < 1))
        return ag_fail(graph, "dropout: rate %g is not in [0, 1)", rate);
    return rate == 0 ? x : ag_node(graph, &ag_op_dropout, x->shape, 1, &x, &rate, sizeof rate);
}
