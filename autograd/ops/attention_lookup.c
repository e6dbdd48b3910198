// Tables by relative position: which rows a block reaches, and the way between rows and pairs (i,
// j).
//
// Products with a table are made for the rows that a block reaches, all at once, and then handed
// out to the pairs. With an index by offset the neighbours j and j + 1 often share a row (a clip, a
// wide bucket), so gradients are summed over such a run before they are added.
#include "attention_inside.h"

static const int32_t *index_of(const struct attention_lookup *l, int64_t i)
{
    return l->index ? l->index + l->step * i : NULL;
}

static void widen(const int32_t *index, int64_t count, int64_t *low, int64_t *high)
{
    for (int64_t k = 0; k < count; k++) {
        *low = index[k] < *low ? index[k] : *low;
        *high = index[k] > *high ? index[k] : *high;
    }
}

// The first and the last row that the pairs reach.
static void find_window(const struct attention_param *p, const struct attention_block *b,
                        struct attention_lookup *l, int64_t begin, int64_t end)
{
    int64_t last = b->first + b->rows - 1, low = INT64_MAX, high = -1;
    // By offset, the pairs of the block reach one run of offsets.
    int64_t from = begin - last, to = end - 1 - b->first;
    if (p->causal && to > 0)
        to = 0;
    if (!l->index) {
        low = from + p->length - 1;
        high = to + p->length - 1;
    } else if (l->step < 0) {
        widen(l->index + from, to - from + 1, &low, &high);
    } else {
        for (int64_t i = b->first; i <= last; i++) {
            int64_t stop = attention_end(p, i) < end ? attention_end(p, i) : end;
            if (stop > begin)
                widen(index_of(l, i) + begin, stop - begin, &low, &high);
        }
    }
    l->low = low;
    l->count = high - low + 1;
}

struct attention_lookup attention_lookup_of(const struct attention_work *w,
                                            const struct attention_block *b,
                                            enum attention_table table, int64_t begin, int64_t end)
{
    const struct attention_param *p = w->p;
    const struct ag_tensor *rows = attention_table_of(w->node, table);
    const struct ag_tensor *index = w->node->input[FIRST_TABLE + 2 * table + 1];
    struct attention_lookup l = {.table = rows->data + b->head * p->apart[table],
                                 .stride = rows->shape.size[1]};
    if (index && index->shape.dims == 1) {
        l.index = index->index + p->length - 1;
        l.step = -1;
    } else if (index) {
        int64_t sequence = index->shape.dims == 3 ? p->length * p->keys : 0;
        l.index = index->index + b->batch * sequence;
        l.step = p->keys;
    }
    find_window(p, b, &l, begin, end);
    return l;
}

void attention_gather(const struct attention_param *p, const struct attention_lookup *l, int64_t i,
                      int64_t begin, int64_t end, const real *restrict source, real *restrict row)
{
    const int32_t *index = index_of(l, i);
    if (!index) {
        source += p->length - 1 - i - l->low;
#pragma omp simd
        for (int64_t j = begin; j < end; j++)
            row[j] += source[j];
        return;
    }
    source -= l->low;
#pragma omp simd
    for (int64_t j = begin; j < end; j++)
        row[j] += source[index[j]];
}

void attention_scatter(const struct attention_param *p, const struct attention_lookup *l, int64_t i,
                       int64_t begin, int64_t end, const real *restrict row, real *restrict target)
{
    const int32_t *index = index_of(l, i);
    if (!index) {
        target += p->length - 1 - i - l->low;
#pragma omp simd
        for (int64_t j = begin; j < end; j++)
            target[j] += row[j];
        return;
    }
    target -= l->low;
    for (int64_t j = begin, next; j < end; j = next) {
        for (next = j + 1; next < end && index[next] == index[j];)
            next++;
        real sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t k = j; k < next; k++)
            sum += row[k];
        target[index[j]] += sum;
    }
}

void attention_gather_by_key(const struct attention_param *p, const struct attention_lookup *l,
                             int64_t i, int64_t begin, int64_t end, const real *restrict source,
                             real *restrict row)
{
    const int32_t *index = index_of(l, i);
    int64_t n = l->count, low = index ? l->low : l->low + i - (p->length - 1);
#pragma omp simd
    for (int64_t j = begin; j < end; j++)
        row[j] += source[(j - begin) * n + (index ? index[j] : j) - low];
}

void attention_scatter_by_key(const struct attention_param *p, const struct attention_lookup *l,
                              int64_t i, int64_t begin, int64_t end, const real *restrict row,
                              real *restrict target)
{
    const int32_t *index = index_of(l, i);
    int64_t n = l->count, low = index ? l->low : l->low + i - (p->length - 1);
    for (int64_t j = begin; j < end; j++)
        target[(j - begin) * n + (index ? index[j] : j) - low] += row[j];
}

void attention_column(const struct attention_lookup *l, real *column)
{
    const real *from = l->table + l->low * l->stride;
    for (int64_t r = 0; r < l->count; r++)
        column[r] = from[r * l->stride];
}
