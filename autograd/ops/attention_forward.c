// Attention, forward: a piece is one block of query rows of one head of one sequence.
#include <string.h>

#include "../base/par.h"
#include "../kernels/gemm.h"
#include "attention_inside.h"

// sum_j A_ij V[r(i,j)]: weights that share a row of the table are summed first.
static void add_value_relative(const struct attention_work *w, const struct attention_block *b,
                               struct attention_scratch *s, real *output)
{
    const struct attention_param *p = w->p;
    struct attention_lookup l = attention_lookup_of(w, b, BY_VALUE, 0, b->columns);
    memset(s->window, 0, (size_t)(b->rows * l.count) * sizeof *s->window);
    for (int64_t i = 0; i < b->rows; i++)
        attention_scatter(p, &l, b->first + i, 0, attention_end(p, b->first + i),
                          s->scores + i * b->columns, s->window + i * l.count);
    gemm(false, false, b->rows, p->head_dim, l.count, 1, s->window, l.count,
         l.table + l.low * l.stride, l.stride, 1, output, p->width);
}

static void forward_piece(void *context, int64_t piece, int thread)
{
    const struct attention_work *w = context;
    const struct attention_param *p = w->p;
    int64_t blocks = (p->length + ATTENTION_BLOCK - 1) / ATTENTION_BLOCK, pair = piece / blocks;
    struct attention_block b =
        attention_block_of(p, pair / p->heads, pair % p->heads, piece % blocks * ATTENTION_BLOCK);
    struct attention_scratch s = attention_scratch_of(w, thread);
    attention_weights(w, &b, &s, attention_kept(w, &b));
    attention_apply_factor(w, &b, &s, s.scores);
    attention_drop(w, &b, s.scores);
    real *output = w->node->data + attention_place(p, &b, p->length, b.first);
    gemm(false, false, b.rows, p->head_dim, b.columns, 1, s.scores, b.columns,
         w->node->input[VALUE]->data + attention_place(p, &b, p->keys, 0), p->width, 0, output,
         p->width);
    if (attention_table_of(w->node, BY_VALUE))
        add_value_relative(w, &b, &s, output);
}

void attention_forward(const struct ag_run *run, struct ag_tensor *node)
{
    struct attention_work w = attention_work_of(run, node);
    int64_t blocks = (w.p->length + ATTENTION_BLOCK - 1) / ATTENTION_BLOCK;
    par_run_in_region(w.p->batch * w.p->heads * blocks, forward_piece, &w);
}
