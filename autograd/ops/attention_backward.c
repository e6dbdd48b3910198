// Attention, backward: a piece is one head of a run of sequences, block after block, as the
// gradients of keys and values sum over blocks, and those of tables over sequences.
//
// Every piece has its own partial sums of the tables' gradients; later loops add them up in the
// order of the pieces.
#include <string.h>

#include "../base/par.h"
#include "../kernels/product.h"
#include "attention_inside.h"

static real *grad_of(const struct attention_work *w, int input)
{
    const struct ag_tensor *tensor = w->node->input[input];
    return tensor ? tensor->grad : NULL;
}

static real *table_grad(const struct attention_work *w, enum attention_table table)
{
    return grad_of(w, attention_input_of(table));
}

static bool dense_needs_sum(const struct attention_work *w)
{
    return grad_of(w, DENSE_BIAS) && !w->p->dense_batched;
}

static bool keeps_sums(const struct attention_work *w)
{
    return w->p->all_groups > w->p->groups;
}

// Where the partial sums of one piece start: the tables one after the other, then the dense bias.
struct partial {
    real *table[ATTENTION_TABLES], *dense;
};

static int64_t partial_count(const struct attention_param *p, enum attention_table table)
{
    return p->slots[table] * p->part[table];
}

static struct partial partial_of(const struct attention_work *w, int64_t piece)
{
    const struct attention_param *p = w->p;
    int64_t pieces = p->heads * p->all_groups;
    struct partial partial = {0};
    real *at = w->node->partial;
    for (enum attention_table k = 0; k < ATTENTION_TABLES; k++) {
        if (!table_grad(w, k))
            continue;
        partial.table[k] = at + piece * partial_count(p, k);
        at += pieces * partial_count(p, k);
    }
    if (dense_needs_sum(w))
        partial.dense = at + piece * p->length * p->keys;
    return partial;
}

static void zero_partial(const struct attention_work *w, const struct partial *partial)
{
    for (enum attention_table k = 0; k < ATTENTION_TABLES; k++)
        if (partial->table[k])
            memset(partial->table[k], 0, (size_t)partial_count(w->p, k) * sizeof(real));
    if (partial->dense)
        memset(partial->dense, 0, (size_t)(w->p->length * w->p->keys) * sizeof(real));
}

// What one block works on.
struct pass {
    const struct attention_work *w;
    struct attention_block b;
    struct attention_scratch s;
    struct partial partial;
};

// dL/dweights: <dO_i, v_j + V[r(i,j)]>.
static void weights_grad(struct pass *x)
{
    const struct attention_param *p = x->w->p;
    const struct attention_block *b = &x->b;
    product(&(struct product){.m = b->rows,
                              .n = b->columns,
                              .k = p->head_dim,
                              .a = x->s.output,
                              .a_row = p->head_dim,
                              .a_column = 1,
                              .b = x->s.values,
                              .alpha = 1,
                              .c = x->s.grad,
                              .c_row = b->stride});
    if (attention_table_of(x->w->node, BY_VALUE))
        attention_add_products(x->w, b, BY_VALUE, 1, x->s.output, p->head_dim, &x->s, x->s.grad);
}

// dC[r] = sum of A_ij dL/d(A C)_ij, then dL/dA.
static void factor_grad(struct pass *x)
{
    const struct attention_param *p = x->w->p;
    const struct attention_block *b = &x->b;
    if (!attention_table_of(x->w->node, BY_FACTOR))
        return;
    struct attention_lookup l = attention_column_of(x->w, b, BY_FACTOR, x->s.column);
    for (int64_t i = 0; i < b->rows && x->partial.table[BY_FACTOR]; i++) {
        const real *a = x->s.scores + i * b->stride, *g = x->s.grad + i * b->stride;
#pragma omp simd
        for (int64_t j = 0; j < b->columns; j++)
            x->s.row[j] = a[j] * g[j];
        attention_scatter(p, &l, b->first + i, 0, attention_end(p, b->first + i), x->s.row,
                          x->partial.table[BY_FACTOR] + l.low);
    }
    attention_apply_factor(x->w, b, &x->s, x->s.grad);
}

static void value_grad(struct pass *x)
{
    const struct attention_param *p = x->w->p;
    const struct attention_block *b = &x->b;
    real *d_value = grad_of(x->w, VALUE), *d_table = x->partial.table[BY_VALUE];
    if (!d_value && !d_table)
        return;
    attention_apply_factor(x->w, b, &x->s, x->s.scores);
    attention_drop(x->w, b, x->s.scores);
    if (d_value)
        product_rows(true, b->columns, p->head_dim, b->rows, 1, x->s.scores, b->stride, x->s.output,
                     p->head_dim, b->first > 0 || p->causal, x->s.value_grad, p->head_dim);
    struct attention_sums sums = {
        .from = x->s.scores, .at = x->s.output, .at_row = p->head_dim, .table_sum = d_table};
    if (d_table)
        attention_add_sums(x->w, b, BY_VALUE, 1, &sums, &x->s);
}

static void query_key_grad(struct pass *x)
{
    const struct attention_param *p = x->w->p;
    const struct attention_block *b = &x->b;
    struct ag_tensor *const *input = x->w->node->input;
    int64_t at_query = attention_place(p, b, p->length, b->first);
    if (input[QUERY]->grad)
        product_rows(false, b->rows, p->head_dim, b->columns, (real)p->scale, x->s.grad, b->stride,
                     x->s.rows, p->head_dim, !ag_is_fresh(x->w->node, QUERY),
                     input[QUERY]->grad + at_query, p->width);
    if (input[KEY]->grad)
        product_rows(true, b->columns, p->head_dim, b->rows, (real)p->scale, x->s.grad, b->stride,
                     x->s.query, p->head_dim, b->first > 0 || p->causal, x->s.key_grad,
                     p->head_dim);
}

// S_ij = scale <rq_i, R[r(i,j)]>.
static void query_relative_grad(struct pass *x)
{
    const struct attention_param *p = x->w->p;
    const struct attention_block *b = &x->b;
    if (!attention_table_of(x->w->node, BY_QUERY))
        return;
    int reader = attention_reader(x->w->node, BY_QUERY);
    const struct ag_tensor *query = x->w->node->input[reader];
    int64_t at = attention_place(p, b, p->length, b->first);
    struct attention_sums sums = {
        .from = x->s.grad,
        .sum = query->grad ? query->grad + at : NULL,
        .sum_row = p->width,
        // The query's own gradient was begun by query_key_grad; a relative query begins here.
        .overwrite = reader == RELATIVE_QUERY && ag_is_fresh(x->w->node, reader),
        .at = query->data + at,
        .at_row = p->width,
        .table_sum = x->partial.table[BY_QUERY]};
    if (sums.sum || sums.table_sum)
        attention_add_sums(x->w, b, BY_QUERY, (real)p->scale, &sums, &x->s);
}

// S_ij = scale <rk_j, K[r(i,j)]>.
static void key_relative_grad(struct pass *x)
{
    const struct attention_param *p = x->w->p;
    const struct attention_block *b = &x->b;
    if (!attention_table_of(x->w->node, BY_KEY))
        return;
    const struct ag_tensor *key = x->w->node->input[attention_reader(x->w->node, BY_KEY)];
    int64_t at = attention_place(p, b, p->keys, 0);
    struct attention_sums sums = {.from = x->s.grad,
                                  .sum = key->grad ? key->grad + at : NULL,
                                  .sum_row = p->width,
                                  .at = key->data + at,
                                  .at_row = p->width,
                                  .table_sum = x->partial.table[BY_KEY]};
    if (sums.sum || sums.table_sum)
        attention_add_key_sums(x->w, b, (real)p->scale, &sums, &x->s);
}

static void table_bias_grad(struct pass *x)
{
    const struct attention_param *p = x->w->p;
    const struct attention_block *b = &x->b;
    if (!x->partial.table[BY_BIAS])
        return;
    struct attention_lookup l = attention_column_of(x->w, b, BY_BIAS, x->s.column);
    for (int64_t i = 0; i < b->rows; i++)
        attention_scatter(p, &l, b->first + i, 0, attention_end(p, b->first + i),
                          x->s.grad + i * b->stride, x->partial.table[BY_BIAS] + l.low);
}

static void dense_bias_grad(struct pass *x)
{
    const struct attention_param *p = x->w->p;
    const struct attention_block *b = &x->b;
    real *to = x->partial.dense;
    if (!grad_of(x->w, DENSE_BIAS))
        return;
    if (!to) {
        to = grad_of(x->w, DENSE_BIAS) + (b->batch * p->heads + b->head) * p->length * p->keys;
        if (ag_is_fresh(x->w->node, DENSE_BIAS))
            memset(to + b->first * p->keys, 0, (size_t)(b->rows * p->keys) * sizeof *to);
    }
    for (int64_t i = 0; i < b->rows; i++)
#pragma omp simd
        for (int64_t j = 0; j < b->columns; j++)
            to[(b->first + i) * p->keys + j] += x->s.grad[i * b->stride + j];
}

static void row_bias_grad(struct pass *x)
{
    const struct attention_param *p = x->w->p;
    const struct attention_block *b = &x->b;
    real *to = grad_of(x->w, ROW_BIAS);
    for (int64_t i = 0; i < b->rows && to; i++) {
        real sum = 0, *at = to + (b->batch * p->length + b->first + i) * p->heads + b->head;
#pragma omp simd reduction(+ : sum)
        for (int64_t j = 0; j < b->columns; j++)
            sum += x->s.grad[i * b->stride + j];
        *at = ag_is_fresh(x->w->node, ROW_BIAS) ? sum : *at + sum;
    }
}

static void column_bias_grad(struct pass *x)
{
    const struct attention_param *p = x->w->p;
    const struct attention_block *b = &x->b;
    real *to = grad_of(x->w, COLUMN_BIAS);
    if (!to)
        return;
    memset(x->s.row, 0, (size_t)b->columns * sizeof(real));
    for (int64_t i = 0; i < b->rows; i++)
#pragma omp simd
        for (int64_t j = 0; j < b->columns; j++)
            x->s.row[j] += x->s.grad[i * b->stride + j];
    for (int64_t j = 0; j < b->columns; j++)
        to[(b->batch * p->keys + j) * p->heads + b->head] += x->s.row[j];
}

// From queries, keys and the output's gradient to weights and the scores' gradient.
static void scores_grad(struct pass *x)
{
    const real *kept = attention_kept(x->w, &x->b);
    if (!attention_table_of(x->w->node, BY_FACTOR) && !(x->w->rate > 0)) {
        attention_make_scores(x->w, &x->b, &x->s);
        weights_grad(x);
        attention_weights_and_backward(x->w, &x->b, &x->s, kept);
        return;
    }
    attention_weights_again(x->w, &x->b, &x->s, kept);
    weights_grad(x);
    attention_drop(x->w, &x->b, x->s.grad);
    factor_grad(x);
    attention_normaliser_backward(x->w, &x->b, &x->s, kept);
}

static void backward_block(struct pass *x)
{
    const struct attention_param *p = x->w->p;
    const struct attention_block *b = &x->b;
    attention_copy_rows(p, b, p->length, b->first, b->rows, x->w->node->input[QUERY]->data,
                        x->s.query);
    attention_copy_rows(p, b, p->length, b->first, b->rows, x->w->node->grad, x->s.output);
    scores_grad(x);
    query_key_grad(x);
    query_relative_grad(x);
    key_relative_grad(x);
    table_bias_grad(x);
    dense_bias_grad(x);
    row_bias_grad(x);
    column_bias_grad(x);
    value_grad(x); // last, as it changes the weights
}

// Whether the sums of the blocks are all that the gradient gets so far: nobody else began it, and
// no table adds to it.
static bool begins_with_sums(const struct attention_work *w, int k)
{
    bool read = attention_table_of(w->node, BY_KEY) && attention_reader(w->node, BY_KEY) == k;
    return ag_is_fresh(w->node, k) && !read;
}

// Gradients that blocks add to start at zero where this op is the first to write them.
static void zero_fresh(const struct attention_work *w, int64_t batch, int64_t head)
{
    static const int summed[] = {KEY, RELATIVE_KEY};
    const struct attention_param *p = w->p;
    for (int k = 0; k < 2; k++) {
        real *grad = grad_of(w, summed[k]);
        if (!grad || !ag_is_fresh(w->node, summed[k]) || begins_with_sums(w, summed[k]))
            continue;
        for (int64_t j = 0; j < p->keys; j++)
            memset(grad + (batch * p->keys + j) * p->width + head * p->head_dim, 0,
                   (size_t)p->head_dim * sizeof *grad);
    }
    real *column = grad_of(w, COLUMN_BIAS);
    if (column && ag_is_fresh(w->node, COLUMN_BIAS))
        for (int64_t j = 0; j < p->keys; j++)
            column[(batch * p->keys + j) * p->heads + head] = 0;
}

// The gradients of keys or values, once all blocks are summed.
static void write_sums(const struct attention_work *w, const struct attention_block *b, int k,
                       const real *restrict from)
{
    const struct attention_param *p = w->p;
    bool begins = begins_with_sums(w, k);
    real *restrict to = grad_of(w, k);
    if (!to)
        return;
    to += attention_place(p, b, p->keys, 0);
    for (int64_t j = 0; j < p->keys; j++, to += p->width, from += p->head_dim)
#pragma omp simd
        for (int64_t d = 0; d < p->head_dim; d++)
            to[d] = begins ? from[d] : to[d] + from[d];
}

// Heads of a sequence are pieces one after the other, as their rows are neighbours in memory.
static struct attention_block first_of(const struct attention_param *p, int64_t piece)
{
    int64_t group = piece / p->heads;
    return (struct attention_block){.head = piece % p->heads,
                                    .batch = par_begin(p->batch, p->groups, group)};
}

static void ask_for_rows(const struct attention_param *p, const struct attention_block *b,
                         int64_t rows, const real *from)
{
    enum { LINE = 64 / sizeof(real) };
    from += attention_place(p, b, rows, 0);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t d = 0; d < p->head_dim; d += LINE)
            __builtin_prefetch(from + i * p->width + d, 0, 2);
}

// Asks for what a short sequence's next head will read: a row of it is a line or two among those of
// the other heads, which the processor's own guesses do not find.
static void ask_for(const struct attention_work *w, const struct attention_block *b)
{
    enum { MOST = 1 << 12 }; // numbers of one of the four
    const struct attention_param *p = w->p;
    struct ag_tensor *const *input = w->node->input;
    if (b->batch >= p->batch || p->length * p->head_dim > MOST || p->keys * p->head_dim > MOST)
        return;
    ask_for_rows(p, b, p->keys, input[KEY]->data);
    ask_for_rows(p, b, p->keys, input[VALUE]->data);
    ask_for_rows(p, b, p->length, input[QUERY]->data);
    ask_for_rows(p, b, p->length, w->node->grad);
}

static void backward_piece(void *context, int64_t piece, int thread)
{
    const struct attention_work *w = context;
    const struct attention_param *p = w->p;
    struct attention_block next = first_of(p, piece);
    int64_t head = next.head, group = piece / p->heads, batch = next.batch;
    int64_t earlier = keeps_sums(w) ? w->run->batch->part * p->groups : 0;
    struct pass x = {.w = w,
                     .s = attention_scratch_of(w, thread),
                     .partial = partial_of(w, head * p->all_groups + earlier + group)};
    zero_partial(w, &x.partial);
    for (int64_t end = par_begin(p->batch, p->groups, group + 1); batch < end; batch++) {
        zero_fresh(w, batch, head);
        x.b = attention_block_of(p, batch, head, 0);
        attention_pack(w, &x.b, &x.s, true);
        next.batch = batch + 1;
        if (next.batch == end)
            next = first_of(p, piece + par_threads());
        ask_for(w, &next);
        if (p->causal) { // the first block writes the first keys only
            memset(x.s.key_grad, 0, (size_t)(p->keys * p->head_dim) * sizeof(real));
            memset(x.s.value_grad, 0, (size_t)(p->keys * p->head_dim) * sizeof(real));
        }
        for (int64_t first = 0; first < p->length; first += ATTENTION_BLOCK) {
            x.b = attention_block_of(p, batch, head, first);
            backward_block(&x);
        }
        write_sums(w, &x.b, KEY, x.s.key_grad);
        write_sums(w, &x.b, VALUE, x.s.value_grad);
    }
}

// One table whose partial sums are to be added up, in the order of the pieces.
struct table_sum {
    const struct attention_work *w;
    enum attention_table table;
    int64_t cuts; // runs of rows, or of heads
};

// A run of rows of a table of vectors; those of a shared one sum over all heads.
static void sum_rows(void *context, int64_t cut, int thread)
{
    (void)thread;
    const struct table_sum *sum = context;
    const struct attention_work *w = sum->w;
    const struct attention_param *p = w->p;
    enum attention_table k = sum->table;
    int64_t part = p->part[k], stride = attention_table_of(w->node, k)->shape.size[1];
    int64_t pieces = p->heads * p->all_groups, count = partial_count(p, k);
    int64_t begin = par_begin(p->rows[k], sum->cuts, cut);
    int64_t end = par_begin(p->rows[k], sum->cuts, cut + 1);
    const real *from = partial_of(w, 0).table[k];
    real *to = table_grad(w, k);
    if (ag_is_fresh(w->node, attention_input_of(k)))
        memset(to + begin * stride, 0, (size_t)((end - begin) * stride) * sizeof *to);
    for (int64_t piece = 0; piece < pieces; piece++) {
        int64_t column = piece / p->all_groups * p->apart[k];
        for (int64_t r = begin; r < end; r++)
#pragma omp simd
            for (int64_t c = 0; c < part; c++)
                to[r * stride + column + c] += from[piece * count + r * part + c];
    }
}

// One head of a bias or factor. The first piece's sums take up the others'.
static void sum_column(const struct attention_work *w, enum attention_table k, int64_t head)
{
    const struct attention_param *p = w->p;
    const struct ag_tensor *index = attention_index_of(w->node, k);
    real *column = partial_of(w, head * p->all_groups).table[k], *to = table_grad(w, k) + head;
    int64_t slots = p->slots[k];
    for (int64_t g = 1; g < p->all_groups; g++)
#pragma omp simd
        for (int64_t r = 0; r < slots; r++)
            column[r] += column[g * slots + r];
    for (int64_t r = 0; r < p->rows[k] && ag_is_fresh(w->node, attention_input_of(k)); r++)
        to[r * p->heads] = 0;
    for (int64_t r = 0; r < slots; r++)
        to[(index && index->shape.dims == 1 ? index->index[r] : r) * p->heads] += column[r];
}

static void sum_columns(void *context, int64_t cut, int thread)
{
    (void)thread;
    const struct table_sum *sum = context;
    int64_t heads = sum->w->p->heads, end = par_begin(heads, sum->cuts, cut + 1);
    for (int64_t head = par_begin(heads, sum->cuts, cut); head < end; head++)
        sum_column(sum->w, sum->table, head);
}

static void sum_table(const struct attention_work *w, enum attention_table table)
{
    enum { GRAIN = 32768 }; // additions that are worth a thread
    const struct attention_param *p = w->p;
    bool columns = table == BY_BIAS || table == BY_FACTOR;
    int64_t each = p->all_groups * (columns ? p->slots[table] : p->heads * p->part[table]);
    struct table_sum sum = {w, table, 0};
    if (!table_grad(w, table))
        return;
    sum.cuts = par_pieces(columns ? p->heads : p->rows[table], (GRAIN + each - 1) / each);
    par_run(sum.cuts, columns ? sum_columns : sum_rows, &sum);
}

static void sum_dense_row(void *context, int64_t row, int thread)
{
    (void)thread;
    const struct attention_work *w = context;
    const struct attention_param *p = w->p;
    int64_t head = row / p->length, i = row % p->length, size = p->length * p->keys;
    real *to = grad_of(w, DENSE_BIAS) + row * p->keys;
    const real *from = partial_of(w, 0).dense + head * p->all_groups * size + i * p->keys;
    if (ag_is_fresh(w->node, DENSE_BIAS))
        memset(to, 0, (size_t)p->keys * sizeof *to);
    for (int64_t g = 0; g < p->all_groups; g++)
#pragma omp simd
        for (int64_t j = 0; j < p->keys; j++)
            to[j] += from[g * size + j];
}

// Before the first part: the sums are added once all parts are there.
static void zero_sums(const struct attention_work *w)
{
    for (int input = 0; input < ATTENTION_INPUTS; input++) {
        bool summed = input >= FIRST_TABLE || (input == DENSE_BIAS && dense_needs_sum(w));
        const struct ag_tensor *tensor = summed ? w->node->input[input] : NULL;
        if (tensor && tensor->grad && ag_is_fresh(w->node, input))
            memset(tensor->grad, 0, (size_t)tensor->count * sizeof(real));
    }
}

void attention_backward(const struct ag_run *run, struct ag_tensor *node)
{
    struct attention_work w = attention_work_of(run, node);
    const struct attention_param *p = w.p;
    par_run(p->heads * p->groups, backward_piece, &w);
    if (keeps_sums(&w) && run->batch->part == 0)
        zero_sums(&w);
    if (keeps_sums(&w) && run->batch->part < run->batch->parts - 1)
        return;
    for (enum attention_table k = 0; k < ATTENTION_TABLES; k++)
        sum_table(&w, k);
    if (dense_needs_sum(&w))
        par_run(p->heads * p->length, sum_dense_row, &w);
}
