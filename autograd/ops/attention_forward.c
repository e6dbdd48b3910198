// Attention, forward: a piece is a run of blocks of query rows of one head of one sequence.
#include "../base/par.h"
#include "../kernels/finite.h"
#include "../kernels/product.h"
#include "attention_inside.h"

static void forward_block(const struct attention_work *w, const struct attention_block *b,
                          struct attention_scratch *s)
{
    const struct attention_param *p = w->p;
    real *kept = attention_kept(w, b);
    real *output = w->node->data + attention_place(p, b, p->length, b->first);
    attention_weights(w, b, s, kept);
    attention_apply_factor(w, b, s, s->scores);
    attention_drop(w, b, s->scores);
    product_rows(false, b->rows, p->head_dim, b->columns, 1, s->scores, b->stride, s->rows,
                 p->head_dim, false, output, p->width);
    struct attention_sums sums = {.from = s->scores, .sum = output, .sum_row = p->width};
    if (attention_table_of(w->node, BY_VALUE))
        attention_add_sums(w, b, BY_VALUE, 1, &sums, s);
    for (int64_t i = 0; i < b->rows; i++)
#pragma omp simd
        for (int64_t d = 0; d < p->head_dim; d++)
            output[i * p->width + d] *= kept[2 * i + 1];
}

static int64_t block_count(const struct attention_param *p)
{
    return (p->length + ATTENTION_BLOCK - 1) / ATTENTION_BLOCK;
}

// Runs of blocks: keys are put in panels for each, so they are few where there is work enough.
static int64_t cut_count(const struct attention_param *p)
{
    enum { ENOUGH = 32 };
    int64_t blocks = block_count(p), cuts = ENOUGH / (p->batch * p->heads);
    return cuts < 1 ? 1 : cuts < blocks ? cuts : blocks;
}

static void forward_piece(void *context, int64_t piece, int thread)
{
    const struct attention_work *w = context;
    const struct attention_param *p = w->p;
    int64_t blocks = block_count(p), cuts = cut_count(p), pair = piece / cuts, cut = piece % cuts;
    int64_t end = par_begin(blocks, cuts, cut + 1);
    struct attention_scratch s = attention_scratch_of(w, thread);
    struct attention_block b = attention_block_of(p, pair / p->heads, pair % p->heads, 0);
    attention_pack(w, &b, &s, false);
    for (int64_t block = par_begin(blocks, cuts, cut); block < end; block++) {
        b = attention_block_of(p, pair / p->heads, pair % p->heads, block * ATTENTION_BLOCK);
        forward_block(w, &b, &s);
    }
}

void attention_forward(const struct ag_run *run, struct ag_tensor *node)
{
    struct attention_work w = attention_work_of(run, node);
    attention_prepare(&w);
    par_run(w.p->batch * w.p->heads * cut_count(w.p), forward_piece, &w);
    // A bias of -infinity would hide a key.
    const struct ag_tensor *bias[] = {attention_table_of(node, BY_BIAS), node->input[COLUMN_BIAS],
                                      node->input[DENSE_BIAS]};
    for (int k = 0; k < 3; k++)
        if (bias[k])
            finite_or_nan(bias[k]->data, bias[k]->count, node->data, node->count);
}
