// Positions drawn anew for each step and sample, as an index [B, T].
//
// Random: T distinct positions below `range`, in order (Ruoss et al. 2023, arXiv 2305.16843), by
// Floyd's method (Bentley and Floyd 1987, CACM 30), which draws T numbers whatever the range.
// Shifted: o, o + 1, ..., o + T - 1 with one offset o a sample (Kiyono et al. 2021, arXiv
// 2109.05644); outside of training o is 0. A row is a function of the run's seed and step and of
// its number, so that it is the same for any encoding, any number of threads and a resumed run.
#include <string.h>

#include "../ag_ops.h"
#include "../base/par.h"
#include "op.h"

enum { GRAIN = 1 << 10 };

struct param {
    enum ag_sampling kind;
    int64_t range;
};

struct job {
    const struct ag_run *run;
    struct ag_tensor *node;
    uint64_t stream;
};

static void draw_random(struct rng *rng, int64_t length, int64_t range, char *taken, int32_t *row)
{
    memset(taken, 0, (size_t)range);
    for (int64_t last = range - length; last < range; last++) {
        int64_t one = rng_below(rng, (uint32_t)(last + 1));
        taken[taken[one] ? last : one] = 1;
    }
    for (int64_t position = 0; position < range; position++)
        if (taken[position])
            *row++ = (int32_t)position;
}

static void draw_shifted(struct rng *rng, int64_t length, int64_t range, bool training,
                         int32_t *row)
{
    uint32_t offset = training ? rng_below(rng, (uint32_t)(range - length + 1)) : 0;
    for (int64_t i = 0; i < length; i++)
        row[i] = (int32_t)(offset + i);
}

static int64_t pieces_of(const struct ag_tensor *node)
{
    const struct param *p = node->param;
    int64_t rows = node->shape.size[0], pieces = par_pieces(rows * p->range, GRAIN);
    return pieces < rows ? pieces : rows;
}

static void run_piece(void *context, int64_t piece, int thread)
{
    const struct job *job = context;
    struct ag_tensor *node = job->node;
    const struct param *p = node->param;
    int64_t length = node->shape.size[1], pieces = pieces_of(node);
    int64_t end = par_begin(node->shape.size[0], pieces, piece + 1);
    for (int64_t b = par_begin(node->shape.size[0], pieces, piece); b < end; b++) {
        struct rng rng;
        rng_init(&rng, job->stream, job->run->step, (uint32_t)ag_whole_row(job->run, b));
        int32_t *row = node->index + b * length;
        if (p->kind == AG_RANDOM_POSITIONS)
            draw_random(&rng, length, p->range, ag_scratch(job->run, thread), row);
        else
            draw_shifted(&rng, length, p->range, job->run->training, row);
    }
}

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    struct job job = {.run = run, .node = node};
    job.stream = rng_stream(run->seed, run->training ? "positions" : "positions/evaluation");
    par_run(pieces_of(node), run_piece, &job);
}

static const struct ag_setting settings[] = {
    {"kind", AG_SETTING_INT, offsetof(struct param, kind)},
    {"range", AG_SETTING_INT64, offsetof(struct param, range)},
    {0},
};

const struct ag_op ag_op_sample_positions = {
    .name = "sample_positions",
    .formula = "y[b, :] = T positions below the range, in order",
    .flags = AG_NO_BACKWARD | AG_MAKES_INDEX,
    .forward = forward,
    .settings = settings,
};

ag_t *ag_sample_positions(struct ag_graph *graph, enum ag_sampling kind, int64_t batch,
                          int64_t length, int64_t range)
{
    struct param param = {kind, range};
    if (length > range || range > INT32_MAX)
        return ag_fail(graph, "sample_positions: %lld positions cannot be drawn from %lld",
                       (long long)length, (long long)range);
    ag_t *node = ag_node(graph, &ag_op_sample_positions, ag_shape2(batch, length), 0, NULL, &param,
                         sizeof param);
    if (!graph->error && kind == AG_RANDOM_POSITIONS)
        node->scratch_size = (size_t)range;
    return node;
}
