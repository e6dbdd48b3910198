// Products with tables by relative position.
//
// A strip of queries (or keys) is multiplied with all rows of the table that it reaches, and the
// products are handed out to the pairs; the other way round, what the pairs of a strip have for one
// row is summed before it is multiplied. Where pairs are few beside the rows that they reach, as at
// positions drawn from many, each pair is multiplied with its own row instead.
#include <string.h>

#include "../kernels/product.h"
#include "../kernels/transpose.h"
#include "attention_inside.h"

enum { SPARSE = 8 }; // rows a pair from which on the product with all of them costs more

static bool is_sparse(const struct attention_lookup *l, int64_t pairs)
{
    return l->step > 0 && l->count > SPARSE * pairs;
}

// The row of a pair, and its place in a gradient of the table.
static inline int64_t row_of(const struct attention_lookup *l, int64_t i, int64_t j)
{
    return l->index[l->step * i + j];
}

static inline real dot(const real *restrict a, const real *restrict b, int64_t n)
{
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t k = 0; k < n; k++)
        sum += a[k] * b[k];
    return sum;
}

static inline void add_times(real *restrict to, real factor, const real *restrict x, int64_t n)
{
#pragma omp simd
    for (int64_t k = 0; k < n; k++)
        to[k] += factor * x[k];
}

// Query i of the whole block, counted from its first, with keys [0, end).
static void add_pair_products(const struct attention_param *p, const struct attention_block *b,
                              const struct attention_lookup *l, int64_t i, real alpha,
                              const real *at, int64_t at_row, real *to)
{
    int64_t end = attention_end(p, b->first + i);
    for (int64_t j = 0; j < end; j++)
        to[i * b->stride + j] += alpha * dot(at + i * at_row,
                                             l->table + row_of(l, b->first + i, j) * l->stride,
                                             p->head_dim);
}

static void add_pair_sums(const struct attention_param *p, const struct attention_block *b,
                          const struct attention_lookup *l, int64_t i, real alpha,
                          const struct attention_sums *sums)
{
    int64_t end = attention_end(p, b->first + i), d = p->head_dim;
    const real *from = sums->from + i * b->stride;
    if (sums->sum && sums->overwrite)
        memset(sums->sum + i * sums->sum_row, 0, (size_t)d * sizeof(real));
    for (int64_t j = 0; j < end; j++) {
        int64_t row = row_of(l, b->first + i, j);
        if (sums->sum)
            add_times(sums->sum + i * sums->sum_row, alpha * from[j], l->table + row * l->stride,
                      d);
        if (sums->table_sum)
            add_times(sums->table_sum + row * d, alpha * from[j], sums->at + i * sums->at_row, d);
    }
}

void attention_add_products(const struct attention_work *w, const struct attention_block *b,
                            enum attention_table table, real alpha, const real *at, int64_t at_row,
                            struct attention_scratch *s, real *to)
{
    const struct attention_param *p = w->p;
    for (int64_t from = 0; from < b->rows; from += p->strip[table]) {
        struct attention_block strip = attention_strip_of(p, b, table, from);
        struct attention_lookup l = attention_lookup_of(w, &strip, table, 0, strip.columns);
        if (is_sparse(&l, strip.columns)) {
            for (int64_t i = from; i < from + strip.rows; i++)
                add_pair_products(p, b, &l, i, alpha, at, at_row, to);
            continue;
        }
        int64_t width = attention_whole(l.count);
        product_rows(false, strip.rows, width, p->head_dim, alpha, at + from * at_row, at_row,
                     l.turned + l.low, attention_stride(p->rows[table]), false, s->window, width);
        for (int64_t i = 0; i < strip.rows; i++)
            attention_gather(p, &l, strip.first + i, 0, attention_end(p, strip.first + i),
                             s->window + i * width, to + (from + i) * b->stride);
    }
}

// W[i,r] of a strip, [rows, count].
static void fill_window(const struct attention_param *p, const struct attention_block *strip,
                        const struct attention_lookup *l, const real *from, real *window)
{
    for (int64_t i = 0; i < strip->rows; i++) {
        const real *row = from + i * strip->stride;
        real *to = window + i * l->count;
        int64_t end = attention_end(p, strip->first + i);
        if (l->index) {
            memset(to, 0, (size_t)l->count * sizeof *to);
            attention_scatter(p, l, strip->first + i, 0, end, row, to);
            continue;
        }
        int64_t first = p->length - 1 - (strip->first + i) - l->low;
        memset(to, 0, (size_t)first * sizeof *to);
        memcpy(to + first, row, (size_t)end * sizeof *to);
        memset(to + first + end, 0, (size_t)(l->count - first - end) * sizeof *to);
    }
}

void attention_add_sums(const struct attention_work *w, const struct attention_block *b,
                        enum attention_table table, real alpha, const struct attention_sums *sums,
                        struct attention_scratch *s)
{
    const struct attention_param *p = w->p;
    int64_t d = p->head_dim;
    for (int64_t from = 0; from < b->rows; from += p->strip[table]) {
        struct attention_block strip = attention_strip_of(p, b, table, from);
        struct attention_lookup l = attention_lookup_of(w, &strip, table, 0, strip.columns);
        if (is_sparse(&l, strip.columns)) {
            for (int64_t i = from; i < from + strip.rows; i++)
                add_pair_sums(p, b, &l, i, alpha, sums);
            continue;
        }
        fill_window(p, &strip, &l, sums->from + from * b->stride, s->window);
        if (sums->sum)
            product_rows(false, strip.rows, d, l.count, alpha, s->window, l.count,
                         l.table + l.low * l.stride, l.stride, !sums->overwrite,
                         sums->sum + from * sums->sum_row, sums->sum_row);
        if (sums->table_sum)
            product_rows(true, l.count, d, strip.rows, alpha, s->window, l.count,
                         sums->at + from * sums->at_row, sums->at_row, true,
                         sums->table_sum + l.low * d, d);
    }
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// By offset, what the queries of the block share with key `j` are neighbours, the last query first:
// `count` offsets from *from on. A causal mask leaves those from query j on.
static int64_t offsets_of_key(const struct attention_param *p, const struct attention_block *b,
                              int64_t j, int64_t *from)
{
    int64_t last = b->first + b->rows - 1, first = p->causal && j > b->first ? j : b->first;
    *from = j - last + p->length - 1;
    return last - first + 1;
}

// to[i, begin + k] += window[k, r(i, begin + k)], and the way back.
static void hand_out(const struct attention_param *p, const struct attention_block *b,
                     const struct attention_lookup *l, int64_t begin, int64_t end,
                     struct attention_scratch *s, real *to)
{
    if (l->step > 0) {
        for (int64_t i = 0; i < b->rows; i++)
            attention_gather_by_key(l, b->first + i, begin,
                                    smaller(attention_end(p, b->first + i), end), s->window,
                                    to + i * b->stride);
        return;
    }
    memset(s->turned, 0, (size_t)((end - begin) * ATTENTION_BLOCK) * sizeof(real));
    for (int64_t j = begin; j < end; j++) {
        int64_t from, count = offsets_of_key(p, b, j, &from);
        attention_gather_offsets(p, l, from, count, s->window + (j - begin) * l->count,
                                 s->turned + (j - begin) * ATTENTION_BLOCK);
    }
    transpose(end - begin, b->rows, s->turned, ATTENTION_BLOCK,
              to + (b->rows - 1) * b->stride + begin, -b->stride, true);
}

static void collect(const struct attention_param *p, const struct attention_block *b,
                    const struct attention_lookup *l, int64_t begin, int64_t end,
                    struct attention_scratch *s, const real *from)
{
    memset(s->window, 0, (size_t)((end - begin) * l->count) * sizeof(real));
    if (l->step > 0) {
        for (int64_t i = 0; i < b->rows; i++)
            attention_scatter_by_key(l, b->first + i, begin,
                                     smaller(attention_end(p, b->first + i), end),
                                     from + i * b->stride, s->window);
        return;
    }
    transpose(b->rows, end - begin, from + (b->rows - 1) * b->stride + begin, -b->stride, s->turned,
              ATTENTION_BLOCK, false);
    for (int64_t j = begin; j < end; j++) {
        int64_t at, count = offsets_of_key(p, b, j, &at);
        attention_scatter_offsets(p, l, at, count, s->turned + (j - begin) * ATTENTION_BLOCK,
                                  s->window + (j - begin) * l->count);
    }
}

// The same where keys read the table: keys [begin, end) with all queries of the block.
static void add_key_pair_products(const struct attention_param *p, const struct attention_block *b,
                                  const struct attention_lookup *l, int64_t begin, int64_t end,
                                  real alpha, const real *at, int64_t at_row, real *to)
{
    for (int64_t i = 0; i < b->rows; i++) {
        int64_t stop = smaller(attention_end(p, b->first + i), end);
        for (int64_t j = begin; j < stop; j++)
            to[i * b->stride + j] += alpha * dot(at + j * at_row,
                                                 l->table + row_of(l, b->first + i, j) * l->stride,
                                                 p->head_dim);
    }
}

static void add_key_pair_sums(const struct attention_param *p, const struct attention_block *b,
                              const struct attention_lookup *l, int64_t begin, int64_t end,
                              real alpha, const struct attention_sums *sums)
{
    int64_t d = p->head_dim;
    for (int64_t i = 0; i < b->rows; i++) {
        int64_t stop = smaller(attention_end(p, b->first + i), end);
        const real *from = sums->from + i * b->stride;
        for (int64_t j = begin; j < stop; j++) {
            int64_t row = row_of(l, b->first + i, j);
            if (sums->sum)
                add_times(sums->sum + j * sums->sum_row, alpha * from[j],
                          l->table + row * l->stride, d);
            if (sums->table_sum)
                add_times(sums->table_sum + row * d, alpha * from[j], sums->at + j * sums->at_row,
                          d);
        }
    }
}

void attention_add_key_products(const struct attention_work *w, const struct attention_block *b,
                                real alpha, const real *at, int64_t at_row,
                                struct attention_scratch *s, real *to)
{
    const struct attention_param *p = w->p;
    for (int64_t begin = 0; begin < b->columns; begin += p->strip[BY_KEY]) {
        int64_t end = smaller(begin + p->strip[BY_KEY], b->columns);
        struct attention_lookup l = attention_lookup_of(w, b, BY_KEY, begin, end);
        if (is_sparse(&l, b->rows)) {
            add_key_pair_products(p, b, &l, begin, end, alpha, at, at_row, to);
            continue;
        }
        product_rows(false, end - begin, l.count, p->head_dim, alpha, at + begin * at_row, at_row,
                     l.turned + l.low, attention_stride(p->rows[BY_KEY]), false, s->window,
                     l.count);
        hand_out(p, b, &l, begin, end, s, to);
    }
}

void attention_add_key_sums(const struct attention_work *w, const struct attention_block *b,
                            real alpha, const struct attention_sums *sums,
                            struct attention_scratch *s)
{
    const struct attention_param *p = w->p;
    int64_t d = p->head_dim;
    for (int64_t begin = 0; begin < b->columns; begin += p->strip[BY_KEY]) {
        int64_t end = smaller(begin + p->strip[BY_KEY], b->columns), keys = end - begin;
        struct attention_lookup l = attention_lookup_of(w, b, BY_KEY, begin, end);
        if (is_sparse(&l, b->rows)) {
            add_key_pair_sums(p, b, &l, begin, end, alpha, sums);
            continue;
        }
        collect(p, b, &l, begin, end, s, sums->from);
        if (sums->sum)
            product_rows(false, keys, d, l.count, alpha, s->window, l.count,
                         l.table + l.low * l.stride, l.stride, true,
                         sums->sum + begin * sums->sum_row, sums->sum_row);
        if (sums->table_sum)
            product_rows(true, l.count, d, keys, alpha, s->window, l.count,
                         sums->at + begin * sums->at_row, sums->at_row, true,
                         sums->table_sum + l.low * d, d);
    }
}
