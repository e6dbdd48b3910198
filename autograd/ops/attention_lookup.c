// Tables by relative position: which row a pair (i, j) has, and the way between rows and pairs.
//
// An index by offset is mostly made of runs: a clip or a wide bucket has one row for many offsets,
// and elsewhere rows go up or down with the offset. Found once a replay, they turn look-ups into
// loops over neighbours.
#include <string.h>

#include "../base/par.h"
#include "attention_inside.h"

enum {
    WORTH = 4,    // offsets of a run, on average, from which on runs are used
    GRAIN = 32768 // numbers to transpose that are worth a thread
};

// --- once a replay

size_t attention_saved_size(struct attention_param *p, struct ag_tensor *const *input)
{
    const int64_t line = 16;
    int64_t count = 2 * p->batch * p->heads * p->length; // what is kept of the rows comes first
    for (enum attention_table k = BY_QUERY; k <= BY_VALUE; k++) {
        const struct ag_tensor *table = input[attention_input_of(k)];
        const struct ag_tensor *index = input[attention_input_of(k) + 1];
        count = (count + line - 1) / line * line;
        p->turned[k] = count;
        if (table)
            count += table->shape.size[1] * attention_stride(p->rows[k]);
        p->runs[k] = count;
        if (table && index && index->shape.dims == 1) {
            size_t bytes = sizeof(struct attention_runs) +
                           (size_t)(index->count + 1) * sizeof(struct attention_run);
            count += (int64_t)((bytes + sizeof(real) - 1) / sizeof(real));
        }
    }
    return (size_t)count * sizeof(real);
}

// A clip is one run of rows in the order of offsets, and at most one row for all offsets on either
// side of it.
static int32_t middle_of_clip(const struct attention_runs *runs)
{
    int32_t middle = runs->count > 0 && runs->run[0].step == 0 ? 1 : 0;
    bool one = middle < runs->count && runs->run[middle].step == 1;
    bool end = middle + 1 == runs->count ||
               (middle + 2 == runs->count && runs->run[middle + 1].step == 0);
    return one && end ? middle : -1;
}

static void find_runs(const int32_t *index, int64_t offsets, struct attention_runs *runs)
{
    int32_t count = 0;
    for (int64_t o = 0, next; o < offsets; o = next) {
        int64_t step = o + 1 < offsets ? (int64_t)index[o + 1] - index[o] : 0;
        bool short_one = step < -1 || step > 1;
        for (next = o + 1; !short_one && next < offsets && index[next] - index[next - 1] == step;)
            next++;
        runs->run[count++] =
            (struct attention_run){(int32_t)o, index[o], short_one ? 0 : (int32_t)step};
    }
    runs->run[count].begin = (int32_t)offsets;
    runs->count = count * (int64_t)WORTH > offsets ? 0 : count;
    runs->clip = middle_of_clip(runs);
}

struct turn {
    const struct ag_tensor *table;
    real *to;
    int64_t pieces;
};

static void turn_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct turn *t = context;
    int64_t rows = t->table->shape.size[0], columns = t->table->shape.size[1];
    int64_t stride = attention_stride(rows);
    int64_t begin = par_begin(columns, t->pieces, piece);
    int64_t end = par_begin(columns, t->pieces, piece + 1);
    for (int64_t first = 0; first < rows; first += 16) {
        int64_t last = first + 16 < rows ? first + 16 : rows;
        for (int64_t c = begin; c < end; c++)
            for (int64_t r = first; r < last; r++)
                t->to[c * stride + r] = t->table->data[r * columns + c];
    }
}

static struct attention_runs *runs_of(const struct attention_work *w, enum attention_table table)
{
    return (struct attention_runs *)((real *)w->node->saved + w->p->runs[table]);
}

void attention_prepare(const struct attention_work *w)
{
    const struct attention_param *p = w->p;
    for (enum attention_table k = BY_QUERY; k <= BY_VALUE; k++) {
        const struct ag_tensor *table = attention_table_of(w->node, k);
        const struct ag_tensor *index = attention_index_of(w->node, k);
        if (!table)
            continue;
        struct turn turn = {
            table, (real *)w->node->saved + p->turned[k],
            par_pieces(table->shape.size[1], (GRAIN + p->rows[k] - 1) / p->rows[k])};
        par_run(turn.pieces, turn_piece, &turn);
        if (index && index->shape.dims == 1)
            find_runs(index->index, index->count, runs_of(w, k));
    }
}

// --- once a block

static const int32_t *index_of(const struct attention_lookup *l, int64_t i)
{
    return l->index ? l->index + l->step * i : NULL;
}

static void widen(const int32_t *index, int64_t count, int64_t *low, int64_t *high)
{
    int32_t least = index[0], most = index[0];
#pragma omp simd reduction(min : least) reduction(max : most)
    for (int64_t k = 0; k < count; k++) {
        least = index[k] < least ? index[k] : least;
        most = index[k] > most ? index[k] : most;
    }
    *low = least < *low ? least : *low;
    *high = most > *high ? most : *high;
}

// On a grid: the row offsets of the block, and all column offsets.
static void find_grid_offsets(const struct attention_param *p, const struct attention_block *b,
                              int64_t width, int64_t end, int64_t *from, int64_t *to)
{
    int64_t above = p->length / width - 1, across = 2 * width - 1;
    *from = (above - (b->first + b->rows - 1) / width) * across;
    *to = ((end - 1) / width - b->first / width + above + 1) * across - 1;
}

// By offset, the pairs of a block reach one run of offsets: [*from, *to], counted from 1 - T.
static void find_offsets(const struct attention_param *p, const struct attention_block *b,
                         int64_t begin, int64_t end, int64_t *from, int64_t *to)
{
    *from = begin - (b->first + b->rows - 1) + p->length - 1;
    *to = end - 1 - b->first + p->length - 1;
    if (p->causal && *to > p->length - 1)
        *to = p->length - 1;
}

// The first and the last row that the pairs reach.
static void find_window(const struct attention_param *p, const struct attention_block *b,
                        struct attention_lookup *l, int64_t rows, int64_t begin, int64_t end)
{
    int64_t low = INT64_MAX, high = -1, from, to;
    find_offsets(p, b, begin, end, &from, &to);
    if (!l->index) {
        low = from;
        high = to;
    } else if (l->step < 0) {
        widen(l->index - (p->length - 1) + from, to - from + 1, &low, &high);
    } else {
        for (int64_t i = b->first; i < b->first + b->rows; i++) {
            int64_t stop = attention_end(p, i) < end ? attention_end(p, i) : end;
            if (stop > begin)
                widen(index_of(l, i) + begin, stop - begin, &low, &high);
        }
    }
    l->low = low;
    l->count = high - low + 1;
    // Whole vectors of rows, where the table has so many: what they cost is less than a ragged end.
    int64_t whole = attention_whole(l->count);
    if (whole <= rows - low)
        l->count = whole;
}

// The last run that begins at offset `from` or before.
static const struct attention_run *run_at(const struct attention_runs *runs, int64_t from)
{
    int32_t low = 0, high = runs->count;
    while (high - low > 1) {
        int32_t middle = low + (high - low) / 2;
        if (runs->run[middle].begin <= from)
            low = middle;
        else
            high = middle;
    }
    return runs->run + low;
}

// Table and index, without a window.
static struct attention_lookup lookup_begin(const struct attention_work *w,
                                            const struct attention_block *b,
                                            enum attention_table table)
{
    const struct attention_param *p = w->p;
    const struct ag_tensor *rows = attention_table_of(w->node, table);
    const struct ag_tensor *index = attention_index_of(w->node, table);
    struct attention_lookup l = {.table = rows->data + b->head * p->apart[table],
                                 .stride = rows->shape.size[1],
                                 .grid = p->grid[table]};
    if (index && index->shape.dims == 1) {
        l.index = index->index + p->length - 1;
        l.step = -1;
    } else if (index) {
        int64_t sequence = index->shape.dims == 3 ? p->length * p->keys : 0;
        l.index = index->index + b->batch * sequence;
        l.step = p->keys;
    }
    return l;
}

struct attention_lookup attention_lookup_of(const struct attention_work *w,
                                            const struct attention_block *b,
                                            enum attention_table table, int64_t begin, int64_t end)
{
    const struct attention_param *p = w->p;
    struct attention_lookup l = lookup_begin(w, b, table);
    l.turned = (const real *)w->node->saved + p->turned[table] +
               b->head * p->apart[table] * attention_stride(p->rows[table]);
    find_window(p, b, &l, p->rows[table], begin, end);
    if (l.step < 0 && runs_of(w, table)->count) {
        int64_t from, to;
        find_offsets(p, b, begin, end, &from, &to);
        l.run = run_at(runs_of(w, table), from);
        int32_t clip = runs_of(w, table)->clip;
        l.clip = clip < 0 ? NULL : runs_of(w, table)->run + clip;
    }
    return l;
}

struct attention_lookup attention_column_of(const struct attention_work *w,
                                            const struct attention_block *b,
                                            enum attention_table table, real *column)
{
    const struct attention_param *p = w->p;
    struct attention_lookup l = lookup_begin(w, b, table);
    int64_t from, to, stride = l.stride;
    if (l.index && l.step > 0) {
        // A look at all pairs for the rows that they have pays where there are more rows than that.
        l.count = p->rows[table];
        if (l.count > b->rows * b->columns)
            find_window(p, b, &l, p->rows[table], 0, b->columns);
        for (int64_t r = 0; r < l.count; r++)
            column[r] = l.table[(l.low + r) * stride];
        return l;
    }
    if (l.grid)
        find_grid_offsets(p, b, l.grid, b->columns, &from, &to);
    else
        find_offsets(p, b, 0, b->columns, &from, &to);
    const int32_t *row = l.index ? l.index - (p->length - 1) : NULL;
    for (int64_t o = from; o <= to; o++)
        column[o - from] = l.table[(row ? row[o] : o) * stride];
    l.index = NULL;
    l.low = from;
    l.count = to - from + 1;
    return l;
}

// --- once a row

// What of one run falls into `count` offsets from `offset` on: offsets [begin, end), counted from
// `offset`; `row` is that of `begin`, and the next is `step` further.
struct piece {
    const struct attention_run *run;
    int64_t offset, count;
    int64_t begin, end, row, step;
};

static inline bool piece_next(struct piece *x)
{
    x->begin = x->end;
    if (x->begin >= x->count)
        return false;
    while (x->run[1].begin <= x->offset + x->begin)
        x->run++;
    x->end = x->run[1].begin - x->offset;
    x->row = x->run->row + x->run->step * (x->offset + x->begin - x->run->begin);
    x->step = x->run->step;
    x->end = x->end < x->count ? x->end : x->count;
    return true;
}

static void gather_runs(const struct attention_lookup *l, struct piece x,
                        const real *restrict source, real *restrict row)
{
    while (piece_next(&x)) {
        const real *from = source + x.row - l->low;
        real *to = row + x.begin;
        int64_t n = x.end - x.begin;
        if (x.step == 0) {
#pragma omp simd
            for (int64_t k = 0; k < n; k++)
                to[k] += from[0];
        } else if (x.step > 0) {
#pragma omp simd
            for (int64_t k = 0; k < n; k++)
                to[k] += from[k];
        } else {
#pragma omp simd
            for (int64_t k = 0; k < n; k++)
                to[k] += from[-k];
        }
    }
}

static void scatter_runs(const struct attention_lookup *l, struct piece x, const real *restrict row,
                         real *restrict target)
{
    while (piece_next(&x)) {
        const real *from = row + x.begin;
        real *to = target + x.row - l->low, sum = 0;
        int64_t n = x.end - x.begin;
        if (x.step == 0) {
#pragma omp simd reduction(+ : sum)
            for (int64_t k = 0; k < n; k++)
                sum += from[k];
            to[0] += sum;
        } else if (x.step > 0) {
#pragma omp simd
            for (int64_t k = 0; k < n; k++)
                to[k] += from[k];
        } else {
#pragma omp simd
            for (int64_t k = 0; k < n; k++)
                to[-k] += from[k];
        }
    }
}

// --- a clip: whole vectors of offsets, as three short loops of any length would be mispredicted

enum { VECTOR = 16 };

// `count` offsets from `offset` on: those below `left` share a row, those from `right` on another,
// and offset k between has source[shift + k].
struct clip {
    int64_t left, right, shift, before, behind; // the last two: the rows that are shared
};

static inline struct clip clip_of(const struct attention_lookup *l, int64_t offset, int64_t count)
{
    const struct attention_run *middle = l->clip;
    struct clip x = {.left = middle->begin - offset, .right = middle[1].begin - offset};
    x.left = x.left < 0 ? 0 : x.left < count ? x.left : count;
    x.right = x.right < x.left ? x.left : x.right < count ? x.right : count;
    x.shift = middle->row - l->low + offset - middle->begin;
    x.before = x.left > 0 ? middle[-1].row - l->low : 0;
    x.behind = x.right < count ? middle[1].row - l->low : 0;
    return x;
}

// Reads up to VECTOR - 1 numbers around source and row, and adds zero to those behind row.
static void gather_clip(const struct attention_lookup *l, int64_t offset, int64_t count,
                        const real *restrict source, real *restrict row)
{
    struct clip x = clip_of(l, offset, count);
    real before = source[x.before], behind = source[x.behind];
    int64_t k = 0;
    for (; k + VECTOR <= x.left; k += VECTOR)
#pragma omp simd
        for (int c = 0; c < VECTOR; c++)
            row[k + c] += before;
    for (; k < x.right || k < x.left; k += VECTOR) {
        int left = (int)(x.left - k), right = (int)(x.right - k), end = (int)(count - k);
#pragma omp simd
        for (int c = 0; c < VECTOR; c++) {
            real v = source[x.shift + k + c];
            v = c < left ? before : v;
            v = c >= right ? behind : v;
            row[k + c] += c < end ? v : 0;
        }
    }
    for (; k < count; k += VECTOR) {
        int end = (int)(count - k);
#pragma omp simd
        for (int c = 0; c < VECTOR; c++)
            row[k + c] += c < end ? behind : 0;
    }
}

static real sum_of(const real *part)
{
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int c = 0; c < VECTOR; c++)
        sum += part[c];
    return sum;
}

// Reads up to VECTOR - 1 numbers behind row; those around target are written as they are.
static void scatter_clip(const struct attention_lookup *l, int64_t offset, int64_t count,
                         const real *restrict row, real *restrict target)
{
    struct clip x = clip_of(l, offset, count);
    real before[VECTOR] = {0}, behind[VECTOR] = {0};
    int64_t k = 0;
    for (; k + VECTOR <= x.left; k += VECTOR)
#pragma omp simd
        for (int c = 0; c < VECTOR; c++)
            before[c] += row[k + c];
    for (; k < x.right || k < x.left; k += VECTOR) {
        int left = (int)(x.left - k), right = (int)(x.right - k), end = (int)(count - k);
        real *to = target + x.shift + k;
#pragma omp simd
        for (int c = 0; c < VECTOR; c++) {
            real v = row[k + c];
            before[c] += c < left ? v : 0;
            behind[c] += c >= right && c < end ? v : 0;
            to[c] += c >= left && c < right ? v : 0;
        }
    }
    for (; k < count; k += VECTOR) {
        int end = (int)(count - k);
#pragma omp simd
        for (int c = 0; c < VECTOR; c++)
            behind[c] += c < end ? row[k + c] : 0;
    }
    if (x.left > 0)
        target[x.before] += sum_of(before);
    if (x.right < count)
        target[x.behind] += sum_of(behind);
}

// --- a grid: the keys of one of its rows have neighbouring rows of the table

enum grid_pass { GRID_ADD, GRID_TIMES, GRID_SCATTER };

// `count` grid rows of `n` keys each: pairs are `width` apart, rows of the table `across`.
static inline void grid_rows(enum grid_pass pass, int64_t count, int64_t n, int64_t width,
                             int64_t across, real *restrict pairs, real *restrict rows)
{
    for (int64_t y = 0; y < count; y++, pairs += width, rows += across) {
#pragma omp simd
        for (int64_t x = 0; x < n; x++) {
            if (pass == GRID_ADD)
                pairs[x] += rows[x];
            else if (pass == GRID_TIMES)
                pairs[x] *= rows[x];
            else
                rows[x] += pairs[x];
        }
    }
}

// Keys [begin, end) of query i, whose table row with key 0 is `rows` (a scatter changes `rows`, the
// others `pairs`). Loops of a known length are whole vectors: grids of 64 to 1024 tokens have
// rows of 8, 16 or 32.
static inline void grid_pass(enum grid_pass pass, int64_t width, int64_t begin, int64_t end,
                             real *pairs, real *rows)
{
    int64_t across = 2 * width - 1, y = begin / width, x = begin % width;
    if (x > 0) {
        int64_t n = width - x < end - begin ? width - x : end - begin;
        grid_rows(pass, 1, n, width, across, pairs + begin, rows + y * across + x);
        begin += n;
        y++;
    }
    int64_t whole = (end - begin) / width, rest = (end - begin) % width;
    if (width == 8)
        grid_rows(pass, whole, 8, 8, 15, pairs + begin, rows + y * across);
    else if (width == 16)
        grid_rows(pass, whole, 16, 16, 31, pairs + begin, rows + y * across);
    else if (width == 32)
        grid_rows(pass, whole, 32, 32, 63, pairs + begin, rows + y * across);
    else
        grid_rows(pass, whole, width, width, across, pairs + begin, rows + y * across);
    if (rest > 0)
        grid_rows(pass, 1, rest, width, across, pairs + end - rest, rows + (y + whole) * across);
}

// The row of the table that query i has with key 0, counted from the first of the window.
static int64_t grid_row(const struct attention_param *p, const struct attention_lookup *l,
                        int64_t i)
{
    int64_t above = p->length / l->grid - 1;
    return (above - i / l->grid) * (2 * l->grid - 1) + l->grid - 1 - i % l->grid - l->low;
}

void attention_gather_offsets(const struct attention_param *p, const struct attention_lookup *l,
                              int64_t offset, int64_t count, const real *restrict source,
                              real *restrict row)
{
    if (l->clip) {
        gather_clip(l, offset, count, source, row);
    } else if (l->run) {
        gather_runs(l, (struct piece){.run = l->run, .offset = offset, .count = count}, source,
                    row);
    } else if (!l->index) {
        source += offset - l->low;
#pragma omp simd
        for (int64_t k = 0; k < count; k++)
            row[k] += source[k];
    } else {
        const int32_t *index = l->index - (p->length - 1) + offset;
        source -= l->low;
#pragma omp simd
        for (int64_t k = 0; k < count; k++)
            row[k] += source[index[k]];
    }
}

void attention_gather(const struct attention_param *p, const struct attention_lookup *l, int64_t i,
                      int64_t begin, int64_t end, const real *restrict source, real *restrict row)
{
    if (l->grid) {
        grid_pass(GRID_ADD, l->grid, begin, end, row, (real *)source + grid_row(p, l, i));
    } else if (l->step <= 0) {
        attention_gather_offsets(p, l, p->length - 1 - i + begin, end - begin, source, row + begin);
    } else {
        const int32_t *index = index_of(l, i);
        source -= l->low;
#pragma omp simd
        for (int64_t j = begin; j < end; j++)
            row[j] += source[index[j]];
    }
}

void attention_gather_times(const struct attention_param *p, const struct attention_lookup *l,
                            int64_t i, int64_t begin, int64_t end, const real *restrict source,
                            real *restrict row)
{
    const int32_t *index = index_of(l, i);
    if (l->grid) {
        grid_pass(GRID_TIMES, l->grid, begin, end, row, (real *)source + grid_row(p, l, i));
    } else if (!index) {
        source += p->length - 1 - i - l->low;
#pragma omp simd
        for (int64_t j = begin; j < end; j++)
            row[j] *= source[j];
    } else {
        source -= l->low;
#pragma omp simd
        for (int64_t j = begin; j < end; j++)
            row[j] *= source[index[j]];
    }
}

// Neighbours that share a row are summed before they are added: often enough all of a row do.
static void scatter_pairs(const int32_t *index, int64_t begin, int64_t end,
                          const real *restrict row, real *restrict target)
{
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

void attention_scatter_offsets(const struct attention_param *p, const struct attention_lookup *l,
                               int64_t offset, int64_t count, const real *restrict row,
                               real *restrict target)
{
    if (l->clip) {
        scatter_clip(l, offset, count, row, target);
    } else if (l->run) {
        scatter_runs(l, (struct piece){.run = l->run, .offset = offset, .count = count}, row,
                     target);
    } else if (!l->index) {
        target += offset - l->low;
#pragma omp simd
        for (int64_t k = 0; k < count; k++)
            target[k] += row[k];
    } else {
        scatter_pairs(l->index - (p->length - 1) + offset, 0, count, row, target - l->low);
    }
}

void attention_scatter(const struct attention_param *p, const struct attention_lookup *l, int64_t i,
                       int64_t begin, int64_t end, const real *restrict row, real *restrict target)
{
    if (l->grid)
        grid_pass(GRID_SCATTER, l->grid, begin, end, (real *)row, target + grid_row(p, l, i));
    else if (l->step <= 0)
        attention_scatter_offsets(p, l, p->length - 1 - i + begin, end - begin, row + begin,
                                  target);
    else
        scatter_pairs(index_of(l, i), begin, end, row, target - l->low);
}

void attention_gather_by_key(const struct attention_lookup *l, int64_t i, int64_t begin,
                             int64_t end, const real *restrict source, real *restrict row)
{
    const int32_t *index = index_of(l, i) + begin;
    row += begin;
#pragma omp simd
    for (int64_t k = 0; k < end - begin; k++)
        row[k] += source[k * l->count + index[k] - l->low];
}

void attention_scatter_by_key(const struct attention_lookup *l, int64_t i, int64_t begin,
                              int64_t end, const real *restrict row, real *restrict target)
{
    const int32_t *index = index_of(l, i) + begin;
    row += begin;
    for (int64_t k = 0; k < end - begin; k++)
        target[k * l->count + index[k] - l->low] += row[k];
}
