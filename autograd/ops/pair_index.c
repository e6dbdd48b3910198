// Which row of a table each pair of positions reads: y[b, i, j] = row[p_j - p_i + R - 1].
//
// `row` has an entry for each offset of positions below R. What attention takes as an index by
// batch and pair.
#include "../ag_ops.h"
#include "../base/err.h"
#include "../base/par.h"
#include "op.h"

enum { GRAIN = 1 << 14 };

static void run_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    struct ag_tensor *node = context;
    const struct ag_tensor *position = node->input[0], *row = node->input[1];
    int64_t length = node->shape.size[2], middle = row->count / 2;
    int64_t rows = node->count / length, pieces = par_pieces(node->count, GRAIN);
    int64_t end = par_begin(rows, pieces, piece + 1);
    for (int64_t r = par_begin(rows, pieces, piece); r < end; r++) {
        const int32_t *key = position->index + r / length * length;
        int32_t query = key[r % length], *to = node->index + r * length;
        for (int64_t j = 0; j < length; j++) {
            int64_t at = key[j] - query + middle;
            BUG_ON(at < 0 || at >= row->count);
            to[j] = row->index[at];
        }
    }
}

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    par_run(par_pieces(node->count, GRAIN), run_piece, node);
}

const struct ag_op ag_op_pair_index = {
    .name = "pair_index",
    .formula = "y[b, i, j] = row[p[b, j] - p[b, i] + R - 1]",
    .flags = AG_NO_BACKWARD | AG_MAKES_INDEX,
    .forward = forward,
};

ag_t *ag_pair_index(struct ag_graph *graph, ag_t *position, ag_t *row)
{
    char a[96], b[96];
    if (position->type != AG_INT || position->shape.dims != 2 || row->type != AG_INT ||
        row->shape.dims != 1 || row->count % 2 == 0)
        return ag_fail(graph, "pair_index: positions %s and rows %s do not fit",
                       ag_shape_text(position->shape, a), ag_shape_text(row->shape, b));
    int64_t length = position->shape.size[1];
    return ag_node(graph, &ag_op_pair_index, ag_shape3(position->shape.size[0], length, length), 2,
                   (ag_t *const[]){position, row}, NULL, 0);
}
