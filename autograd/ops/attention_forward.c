// Attention, forward: a piece is one block of query rows of one head of one sequence.
#include "../base/par.h"
#include "../kernels/gemm.h"
#include "attention_inside.h"

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
    gemm(false, false, b.rows, p->head_dim, b.columns, 1, s.scores, b.stride,
         w->node->input[VALUE]->data + attention_place(p, &b, p->keys, 0), p->width, 0, output,
         p->width);
    struct attention_sums sums = {.from = s.scores, .sum = output};
    if (attention_table_of(w->node, BY_VALUE))
        attention_add_sums(w, &b, BY_VALUE, 1, &sums, &s);
}

void attention_forward(const struct ag_run *run, struct ag_tensor *node)
{
    struct attention_work w = attention_work_of(run, node);
    int64_t blocks = (w.p->length + ATTENTION_BLOCK - 1) / ATTENTION_BLOCK;
    attention_prepare(&w);
    par_run_in_region(w.p->batch * w.p->heads * blocks, forward_piece, &w);
}
