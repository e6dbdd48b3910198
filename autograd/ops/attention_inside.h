// What the parts of the attention op share: attention.c (builder, gradient check),
// attention_scores.c (queries and keys to weights), attention_forward.c and attention_backward.c
// (the two passes), attention_relative.c (products with tables by relative position),
// attention_lookup.c (which row of a table a pair has).
//
// Work goes by blocks of query rows of one head of one sequence. Of the T x S scores only two
// numbers a row are kept; backward makes the same weights again from them.
#ifndef POSGRAD_ATTENTION_INSIDE_H
#define POSGRAD_ATTENTION_INSIDE_H

#include "../ag_ops.h"
#include "op.h"

enum { ATTENTION_BLOCK = 64 }; // query rows, and keys of a tile

// The tables that are looked up by relative position, in the order of their inputs.
enum attention_table { BY_QUERY, BY_KEY, BY_VALUE, BY_BIAS, BY_FACTOR, ATTENTION_TABLES };

enum attention_input {
    QUERY,
    KEY,
    VALUE,
    KEY_MASK,
    RELATIVE_QUERY,
    RELATIVE_KEY,
    DENSE_BIAS,
    ROW_BIAS,
    COLUMN_BIAS,
    FIRST_TABLE, // a table and its index each
    ATTENTION_INPUTS = FIRST_TABLE + 2 * ATTENTION_TABLES
};

struct attention_param {
    int64_t batch, length, keys, heads, head_dim, width;
    double scale, dropout;
    bool causal, dense_batched;
    enum ag_normaliser normaliser;
    int64_t groups; // pieces of backward a head, each a run of sequences
    // Pieces whose partial sums are added up: more than groups where the parts of a batch keep
    // theirs until the last one.
    int64_t all_groups;
    // Of each table: rows, width of a head's part (D or 1), distance from head to head (0: shared).
    int64_t rows[ATTENTION_TABLES], part[ATTENTION_TABLES], apart[ATTENTION_TABLES];
    // Width of the grid that its offsets are of, or 0; how many offsets there are.
    int64_t grid[ATTENTION_TABLES], offsets[ATTENTION_TABLES];
    // Rows of its partial sums: its own, or one an offset for biases and factors by offset.
    int64_t slots[ATTENTION_TABLES];
    // Queries (of a key-relative table: keys) whose products with it are made at once.
    int64_t strip[ATTENTION_TABLES];
    // Where in the node's saved memory, counted in reals, the table's transpose and runs are.
    int64_t turned[ATTENTION_TABLES], runs[ATTENTION_TABLES];
};

struct attention_work {
    const struct ag_run *run;
    struct ag_tensor *node;
    const struct attention_param *p;
    uint64_t dropout_stream;
    double rate; // 0 when this replay does not drop
};
struct attention_work attention_work_of(const struct ag_run *run, struct ag_tensor *node);

// One block of query rows of one head.
struct attention_block {
    int64_t batch, head, first, rows;
    int64_t columns; // keys that any row may see
    int64_t stride;  // from row to row of scores
};
struct attention_block attention_block_of(const struct attention_param *p, int64_t batch,
                                          int64_t head, int64_t first);
// The rows of `b` from its row `from` on, as many as a strip of the table has.
struct attention_block attention_strip_of(const struct attention_param *p,
                                          const struct attention_block *b,
                                          enum attention_table table, int64_t from);

// The distance from row to row: an odd number of cache lines or so, as rows at a power of two of
// bytes would share few lines of the cache. (1023 numbers apart, a product took half as long
// again.)
static inline int64_t attention_stride(int64_t columns)
{
    return ((columns + 15) / 16 | 1) * 16;
}

// Whole vectors: a product that writes up to 15 numbers more than are read is faster than one with
// a ragged end.
static inline int64_t attention_whole(int64_t count)
{
    return (count + 15) / 16 * 16;
}

// Keys that query `i` of the sequence may see end here.
static inline int64_t attention_end(const struct attention_param *p, int64_t i)
{
    return p->causal ? i + 1 : p->keys;
}

// Row `i` of the head's columns in a [B, rows, C] array.
static inline int64_t attention_place(const struct attention_param *p,
                                      const struct attention_block *b, int64_t rows, int64_t i)
{
    return (b->batch * rows + i) * p->width + b->head * p->head_dim;
}

// Which input of the op the table is; its index is the next.
static inline int attention_input_of(enum attention_table table)
{
    return FIRST_TABLE + 2 * (int)table;
}

static inline struct ag_tensor *attention_table_of(const struct ag_tensor *node,
                                                   enum attention_table table)
{
    return node->input[attention_input_of(table)];
}

static inline const struct ag_tensor *attention_index_of(const struct ag_tensor *node,
                                                         enum attention_table table)
{
    return node->input[attention_input_of(table) + 1];
}

// Whether the row of a pair depends on its offset alone.
static inline bool attention_by_offset(const struct ag_tensor *index)
{
    return !index || index->shape.dims == 1;
}

// What tables are read with: the relative query or key where there is one.
static inline int attention_reader(const struct ag_tensor *node, enum attention_table table)
{
    if (table == BY_KEY)
        return node->input[RELATIVE_KEY] ? RELATIVE_KEY : KEY;
    return node->input[RELATIVE_QUERY] ? RELATIVE_QUERY : QUERY;
}

// The scratch of one thread, cut up.
struct attention_scratch {
    real *scores, *grad; // [64, S], rows a stride apart
    real *window;        // [strip, rows of a table that it may reach]
    real *column;        // of a bias or factor, one head's: its rows, or one an offset
    real *row;           // [S]
    real *turned;        // [64, 64]
    // Of one head of one sequence. Rows of a [B, T, C] array are often a power of two apart and
    // would share few lines of the caches, so what is read or written many times is put together.
    real *keys, *values;         // transposed, in panels of the product
    real *rows;                  // [S, D]: values in forward, keys in backward
    real *key_grad, *value_grad; // [S, D]
    real *query, *output;        // [64, D], of the block, for backward; of the output, its gradient
};
size_t attention_scratch_size(const struct attention_param *p, struct ag_tensor *const *input);
struct attention_scratch attention_scratch_of(const struct attention_work *w, int thread);

// --- attention_scores.c

// Puts what the blocks of a head of a sequence share together: the keys in panels, and for backward
// the values, too; the rows that weights or their gradients are multiplied with.
void attention_pack(const struct attention_work *w, const struct attention_block *b,
                    struct attention_scratch *s, bool backward);
// The head's columns of `count` rows from row `first` on of a [B, rows, C] array, to [count, D].
void attention_copy_rows(const struct attention_param *p, const struct attention_block *b,
                         int64_t rows, int64_t first, int64_t count, const real *from, real *to);

// The weights of a block, [rows, columns], before factor and dropout; zeros where a key is hidden.
// `kept` has two numbers a row, what is subtracted before exp and the factor after it: written by
// the first pass, which leaves that factor to its caller, and read by the second.
void attention_weights(const struct attention_work *w, const struct attention_block *b,
                       struct attention_scratch *s, real *kept);
void attention_make_scores(const struct attention_work *w, const struct attention_block *b,
                           struct attention_scratch *s);
void attention_weights_again(const struct attention_work *w, const struct attention_block *b,
                             struct attention_scratch *s, const real *kept);
// s->grad [rows, columns]: dL/dweights in, dL/dscores out, given the weights in s->scores.
void attention_normaliser_backward(const struct attention_work *w, const struct attention_block *b,
                                   struct attention_scratch *s, const real *kept);
// Both at once, from scores, where nothing comes between them: no factor and no dropout.
void attention_weights_and_backward(const struct attention_work *w, const struct attention_block *b,
                                    struct attention_scratch *s, const real *kept);
// Multiplies by the factor and by the dropout mask over (1 - rate), where there are any.
void attention_apply_factor(const struct attention_work *w, const struct attention_block *b,
                            struct attention_scratch *s, real *weights);
void attention_drop(const struct attention_work *w, const struct attention_block *b, real *weights);
// What is kept of the rows of a block.
real *attention_kept(const struct attention_work *w, const struct attention_block *b);

// --- attention_lookup.c

// Offsets that follow each other in an index by offset and whose rows do, too: step 0 is a row for
// all of them (a clip, a bucket), 1 and -1 are tables in the order of offsets and against it.
struct attention_run {
    int32_t begin, row, step; // offsets are counted from 0, which is 1 - T
};
struct attention_runs {
    int32_t count;              // 0: runs are too short to be worth it
    int32_t clip;               // the run in the middle of a clip, or -1: not one
    struct attention_run run[]; // one more ends the last
};

// What is the same for all blocks of a replay: transposed tables, runs of indices. Into the node's
// saved memory, of which attention_saved_size gives the bytes (and p->turned, p->runs the places).
size_t attention_saved_size(struct attention_param *p, struct ag_tensor *const *input);
void attention_prepare(const struct attention_work *w);

// One table as one block sees it.
struct attention_lookup {
    const real *table;                // the head's part of row 0
    int64_t stride;                   // from row to row
    const real *turned;               // the head's part of the transpose: D rows, a stride apart
    const int32_t *index;             // of query 0; NULL: the row of (i, j) is j - i + T - 1
    int64_t step;                     // from the index of a query to that of the next
    int64_t low, count;               // rows that the block reaches: the window
    const struct attention_run *run;  // of the first offset; NULL: not by runs
    const struct attention_run *clip; // the middle of a clip; NULL: not one
    int64_t grid;                     // its width, where offsets are of two coordinates, or 0
};
// The window of query rows of `b` and of keys [begin, end).
struct attention_lookup attention_lookup_of(const struct attention_work *w,
                                            const struct attention_block *b,
                                            enum attention_table table, int64_t begin, int64_t end);
// A bias or factor: one head's numbers, as the returned lookup finds them, into `column`. By
// offset, that is one number an offset, and no index.
struct attention_lookup attention_column_of(const struct attention_work *w,
                                            const struct attention_block *b,
                                            enum attention_table table, real *column);

// For query `i` and keys [begin, end), r = r(i,j) - low: row[j] += source[r]; row[j] *= source[r].
void attention_gather(const struct attention_param *p, const struct attention_lookup *l, int64_t i,
                      int64_t begin, int64_t end, const real *source, real *row);
void attention_gather_times(const struct attention_param *p, const struct attention_lookup *l,
                            int64_t i, int64_t begin, int64_t end, const real *source, real *row);
// target[r] += row[j].
void attention_scatter(const struct attention_param *p, const struct attention_lookup *l, int64_t i,
                       int64_t begin, int64_t end, const real *row, real *target);
// By offset only: `count` offsets from `offset` on, counted from 1 - T, in place of a query's keys.
void attention_gather_offsets(const struct attention_param *p, const struct attention_lookup *l,
                              int64_t offset, int64_t count, const real *source, real *row);
void attention_scatter_offsets(const struct attention_param *p, const struct attention_lookup *l,
                               int64_t offset, int64_t count, const real *row, real *target);
// The same for an index by pair and sources of one row a key, [end - begin, count].
void attention_gather_by_key(const struct attention_lookup *l, int64_t i, int64_t begin,
                             int64_t end, const real *source, real *row);
void attention_scatter_by_key(const struct attention_lookup *l, int64_t i, int64_t begin,
                              int64_t end, const real *row, real *target);

// --- attention_relative.c: R is the table, `at` a block's rows of head_dim, `at_row` apart

// to[i,j] += alpha <at_i, R[r(i,j)]>.
void attention_add_products(const struct attention_work *w, const struct attention_block *b,
                            enum attention_table table, real alpha, const real *at, int64_t at_row,
                            struct attention_scratch *s, real *to);
// With W[i,r] = sum of from[i,j] over the keys j whose row is r: sum_i gets alpha sum_r W[i,r] R[r]
// (added, or in place of what is there), table_sum[r] += alpha sum_i W[i,r] at_i; NULL: not wanted.
struct attention_sums {
    const real *from;
    real *sum;
    int64_t sum_row; // from row to row
    bool overwrite;
    const real *at;
    int64_t at_row;
    real *table_sum;
};
void attention_add_sums(const struct attention_work *w, const struct attention_block *b,
                        enum attention_table table, real alpha, const struct attention_sums *sums,
                        struct attention_scratch *s);
// The same for the key-relative table; `at` and `sum` are of the keys.
void attention_add_key_products(const struct attention_work *w, const struct attention_block *b,
                                real alpha, const real *at, int64_t at_row,
                                struct attention_scratch *s, real *to);
void attention_add_key_sums(const struct attention_work *w, const struct attention_block *b,
                            real alpha, const struct attention_sums *sums,
                            struct attention_scratch *s);

// --- the two passes
void attention_forward(const struct ag_run *run, struct ag_tensor *node);
void attention_backward(const struct ag_run *run, struct ag_tensor *node);

#endif
