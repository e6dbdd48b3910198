// Attention: one op for the scores, weights and outputs of nearly every position encoding.
//
// The formula is in ag_ops.h. Work goes by blocks of query rows, and only two numbers a row are
// kept of the T x S scores, from which backward makes the same weights again (Dao et al. 2022,
// arXiv 2205.14135; Rabe and Staats 2021, arXiv 2112.05682). Terms that are absent cost nothing.
#include <string.h>

#include "../base/err.h"
#include "../kernels/product.h"
#include "attention_inside.h"

enum {
    GROUPS = 8, // pieces of backward a head, where tables have partial sums
    SHORT_STRIP = 16
};

struct attention_work attention_work_of(const struct ag_run *run, struct ag_tensor *node)
{
    struct attention_work w = {.run = run, .node = node, .p = node->param};
    if (run->training && w.p->dropout > 0) {
        char name[2 * AG_NAME_SIZE + 16] = "dropout/";
        strncat(name, node->name, sizeof name - 16);
        w.rate = w.p->dropout;
        w.dropout_stream = rng_stream(run->seed, name);
    }
    return w;
}

struct attention_block attention_block_of(const struct attention_param *p, int64_t batch,
                                          int64_t head, int64_t first)
{
    struct attention_block b = {.batch = batch, .head = head, .first = first};
    b.rows = first + ATTENTION_BLOCK < p->length ? ATTENTION_BLOCK : p->length - first;
    b.columns = p->causal ? first + b.rows : p->keys;
    b.stride = attention_stride(b.columns);
    return b;
}

struct attention_block attention_strip_of(const struct attention_param *p,
                                          const struct attention_block *b,
                                          enum attention_table table, int64_t from)
{
    struct attention_block strip = *b;
    strip.first += from;
    strip.rows = b->rows - from < p->strip[table] ? b->rows - from : p->strip[table];
    if (p->causal)
        strip.columns = strip.first + strip.rows;
    return strip;
}

// Numbers of the largest window: the rows that a strip can reach at most are all of them, or,
// without an index, its run of offsets.
static int64_t widest_window(const struct attention_param *p, struct ag_tensor *const *input)
{
    int64_t widest = 0;
    for (enum attention_table k = BY_QUERY; k <= BY_VALUE; k++) {
        int64_t reach =
            attention_whole((k == BY_KEY ? ATTENTION_BLOCK : p->keys) + p->strip[k] - 1);
        int64_t rows = input[attention_input_of(k) + 1] || p->rows[k] < reach ? p->rows[k] : reach;
        int64_t count = attention_whole(rows) * p->strip[k];
        widest = count > widest ? count : widest;
    }
    return widest;
}

static int64_t longest_column(const struct attention_param *p)
{
    int64_t longest = 0;
    for (enum attention_table k = BY_BIAS; k <= BY_FACTOR; k++) {
        int64_t offsets = p->grid[k] ? p->offsets[k] : p->keys + ATTENTION_BLOCK - 1;
        int64_t count = p->rows[k] > offsets ? p->rows[k] : offsets;
        longest = p->rows[k] && count > longest ? count : longest;
    }
    return longest;
}

// Numbers of [count, D]; products may read a little behind.
static int64_t rows_size(const struct attention_param *p, int64_t count)
{
    return attention_whole(count * p->head_dim + PRODUCT_BEHIND);
}

size_t attention_scratch_size(const struct attention_param *p, struct ag_tensor *const *input)
{
    int64_t count = 2 * ATTENTION_BLOCK * attention_stride(p->keys) +
                    attention_whole(widest_window(p, input)) + attention_whole(longest_column(p)) +
                    attention_whole(p->keys) +
                    2 * attention_whole(product_packed(p->head_dim, p->keys)) +
                    ATTENTION_BLOCK * ATTENTION_BLOCK + 3 * rows_size(p, p->keys) +
                    2 * rows_size(p, ATTENTION_BLOCK);
    return (size_t)count * sizeof(real);
}

struct attention_scratch attention_scratch_of(const struct attention_work *w, int thread)
{
    const struct attention_param *p = w->p;
    struct attention_scratch s = {.scores = ag_scratch(w->run, thread)};
    s.grad = s.scores + ATTENTION_BLOCK * attention_stride(p->keys);
    s.window = s.grad + ATTENTION_BLOCK * attention_stride(p->keys);
    s.column = s.window + attention_whole(widest_window(p, w->node->input));
    s.row = s.column + attention_whole(longest_column(p));
    s.keys = s.row + attention_whole(p->keys);
    s.values = s.keys + attention_whole(product_packed(p->head_dim, p->keys));
    s.turned = s.values + attention_whole(product_packed(p->head_dim, p->keys));
    s.rows = s.turned + ATTENTION_BLOCK * ATTENTION_BLOCK;
    s.key_grad = s.rows + rows_size(p, p->keys);
    s.value_grad = s.key_grad + rows_size(p, p->keys);
    s.query = s.value_grad + rows_size(p, p->keys);
    s.output = s.query + rows_size(p, ATTENTION_BLOCK);
    return s;
}

// --- the gradient check

static ag_t *case_index(struct ag_graph *graph, struct rng *rng, int kind,
                        const struct ag_shape *query, int64_t keys, int64_t rows)
{
    int64_t batch = query->size[0], length = query->size[1];
    struct ag_shape shape = kind == 1   ? ag_shape1(length + keys - 1)
                            : kind == 2 ? ag_shape2(length, keys)
                                        : ag_shape3(batch, length, keys);
    return kind ? ag_case_index(graph, rng, shape, 0, (int32_t)rows - 1) : NULL;
}

// A table with an index of one of the four kinds, rows of D or of C columns.
static struct ag_relative case_table(struct ag_graph *graph, struct rng *rng, int kind,
                                     const struct ag_attention *a, int64_t columns)
{
    int64_t keys = a->key->shape.size[1];
    // Of a single row softmax would see nothing, and the check would measure rounding.
    int64_t rows = kind ? 1 + ag_case_size(rng, 5) : a->query->shape.size[1] + keys - 1;
    struct ag_relative relative = {
        .table = ag_case_leaf(graph, rng, ag_shape2(rows, columns), 0.2, 1)};
    relative.index = case_index(graph, rng, kind, &a->query->shape, keys, rows);
    return relative;
}

// Which terms a variant has.
enum {
    CAUSAL = 1,
    MASKED = 2,
    DROPPED = 4,
    LONG = 8, // more than one block
    TABLES = 16,
    SHARED = 32,  // tables of D columns
    READERS = 64, // relative query and key of their own
    DENSE = 128,
    BATCHED = 256,
    BIAS = 512,
    FACTOR = 1024,
    GRID = 2048, // bias and factor by both coordinates
};
static const struct variant {
    int has;
    int index; // kind: 0 none, 1 by offset, 2 dense, 3 dense and batched
    enum ag_normaliser normaliser;
} variants[] = {
    {0, 0, AG_SOFTMAX},
    {CAUSAL, 0, AG_SOFTMAX},
    {MASKED, 0, AG_SOFTMAX},
    {CAUSAL | MASKED | LONG, 0, AG_SOFTMAX},
    {DROPPED, 0, AG_SOFTMAX},
    {CAUSAL | DROPPED, 0, AG_SOFTMAX},
    {TABLES, 0, AG_SOFTMAX},
    {TABLES | SHARED | CAUSAL | MASKED, 1, AG_SOFTMAX},
    {TABLES | READERS, 2, AG_SOFTMAX},
    {TABLES | SHARED | READERS | CAUSAL | LONG, 1, AG_SOFTMAX},
    {TABLES | LONG | BIAS, 0, AG_SOFTMAX},
    {BIAS | FACTOR | MASKED, 1, AG_SOFTMAX},
    {BIAS | FACTOR | CAUSAL | DROPPED | TABLES, 3, AG_SOFTMAX},
    {BIAS | FACTOR, 0, AG_L2},
    {DENSE | CAUSAL, 0, AG_SOFTMAX},
    {DENSE | BATCHED | MASKED, 0, AG_SOFTMAX},
    {DENSE | BIAS | CAUSAL, 2, AG_SOFTMAX1},
    {DENSE | MASKED | FACTOR, 1, AG_L2},
    {BIAS | CAUSAL | MASKED, 1, AG_RELU2},
    {MASKED, 0, AG_SOFTMAX1},
    {GRID | BIAS | FACTOR, 0, AG_SOFTMAX},
    {GRID | BIAS | FACTOR | CAUSAL | MASKED, 1, AG_SOFTMAX},
};

// A table by the offsets of a grid, with an index or a row an offset.
static struct ag_relative grid_table(struct ag_graph *graph, struct rng *rng, int kind,
                                     const struct ag_attention *a, int64_t width)
{
    int64_t down = a->query->shape.size[1] / width + a->key->shape.size[1] / width - 1;
    int64_t offsets = down * (2 * width - 1), rows = kind ? 1 + ag_case_size(rng, 5) : offsets;
    struct ag_relative relative = {.grid_width = width};
    relative.table = ag_case_leaf(graph, rng, ag_shape2(rows, a->heads), 0.2, 1);
    if (kind)
        relative.index = ag_case_index(graph, rng, ag_shape1(offsets), 0, (int32_t)rows - 1);
    return relative;
}

static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    const struct variant *v = &variants[variant];
    bool is_long = v->has & LONG;
    int64_t batch = is_long ? 1 : ag_case_size(rng, 3), heads = is_long ? 1 : ag_case_size(rng, 3);
    int64_t d = ag_case_size(rng, 4);
    int64_t length = is_long ? ATTENTION_BLOCK + 3 : ag_case_size(rng, 9), c = heads * d;
    int64_t keys = v->has & (CAUSAL | LONG) ? length : ag_case_size(rng, 9);
    int64_t width = v->has & GRID ? ag_case_size(rng, 3) : 0;
    if (width) {
        length = width * ag_case_size(rng, 3);
        keys = v->has & CAUSAL ? length : width * ag_case_size(rng, 3);
    }
    // Away from the kink of relu at 0.
    double low = v->normaliser == AG_RELU2 ? 0.3 : -1;
    // Many keys share the weight: a larger scale keeps gradients well above rounding.
    struct ag_attention a = {.heads = heads, .scale = is_long ? 3 : 0.7, .causal = v->has & CAUSAL};
    a.normaliser = v->normaliser;
    a.dropout = v->has & DROPPED ? 0.3 : 0;
    a.query = ag_case_leaf(graph, rng, ag_shape3(batch, length, c), low, 1);
    a.key = ag_case_leaf(graph, rng, ag_shape3(batch, keys, c), low, 1);
    a.value = ag_case_leaf(graph, rng, ag_shape3(batch, keys, c), -1, 1);
    if (v->has & MASKED)
        a.key_mask = ag_case_index(graph, rng, ag_shape2(batch, keys), 0, 1);
    if (v->has & TABLES) {
        int64_t columns = v->has & SHARED ? d : c;
        a.query_relative = case_table(graph, rng, v->index, &a, columns);
        a.key_relative = case_table(graph, rng, v->index, &a, columns);
        a.value_relative = case_table(graph, rng, v->index, &a, columns);
    }
    if (v->has & READERS) {
        a.relative_query = ag_case_leaf(graph, rng, ag_shape3(batch, length, c), -1, 1);
        a.relative_key = ag_case_leaf(graph, rng, ag_shape3(batch, keys, c), -1, 1);
    }
    if (v->has & BIAS) {
        a.bias = width ? grid_table(graph, rng, v->index, &a, width)
                       : case_table(graph, rng, v->index, &a, heads);
        // Softmax and its like do not see what is added to a whole row.
        if (v->normaliser == AG_RELU2 || v->normaliser == AG_SOFTMAX1)
            a.row_bias = ag_case_leaf(graph, rng, ag_shape3(batch, length, heads), 0, 1);
        a.column_bias = ag_case_leaf(graph, rng, ag_shape3(batch, keys, heads), 0, 1);
    }
    if (v->has & FACTOR)
        a.factor = width ? grid_table(graph, rng, v->index, &a, width)
                         : case_table(graph, rng, v->index, &a, heads);
    if (v->has & DENSE)
        a.dense_bias = ag_case_leaf(graph, rng,
                                    v->has & BATCHED ? ag_shape4(batch, heads, length, keys)
                                                     : ag_shape3(heads, length, keys),
                                    -1, 1);
    return ag_attention(graph, &a);
}

// Of the products with queries, keys and values, and of those with tables; scores are made twice.
static double flops(const struct ag_tensor *node, bool backward)
{
    const struct attention_param *p = node->param;
    double pairs = (double)(p->batch * p->heads * p->length) * (double)p->keys;
    double products = backward ? 5 : 2;
    for (enum attention_table k = BY_QUERY; k <= BY_VALUE; k++)
        if (attention_table_of(node, k))
            products += backward ? 3 : 1;
    return 2 * products * (double)p->head_dim * pairs * (p->causal ? 0.5 : 1);
}

static bool same_sums(const struct ag_tensor *node, int64_t parts)
{
    (void)parts;
    const struct attention_param *p = node->param;
    return p->all_groups > p->groups;
}

static const struct ag_setting settings[] = {
    {"heads", AG_SETTING_INT64, offsetof(struct attention_param, heads)},
    {"scale", AG_SETTING_DOUBLE, offsetof(struct attention_param, scale)},
    {"causal", AG_SETTING_BOOL, offsetof(struct attention_param, causal)},
    {"normaliser", AG_SETTING_INT, offsetof(struct attention_param, normaliser)},
    {"bias_grid", AG_SETTING_INT64, offsetof(struct attention_param, grid[BY_BIAS])},
    {"factor_grid", AG_SETTING_INT64, offsetof(struct attention_param, grid[BY_FACTOR])},
    {0},
};

const struct ag_op ag_op_attention = {
    .name = "attention",
    .formula =
        "O_i = sum_j normaliser_j(scale <q_i, k_j> + terms by relative position) v_j, by heads",
    .flags = AG_BACKWARD_READS_INPUTS | AG_BACKWARD_HANDLES_FRESH | AG_KEEPS_PARTIAL |
             AG_HAS_LIMITS,
    .forward = attention_forward,
    .backward = attention_backward,
    .same_sums = same_sums,
    .flops = flops,
    .settings = settings,
    .variants = sizeof variants / sizeof variants[0],
    .sample = sample,
};

// --- the builder: each check records its mistake and says false

static const char *const table_name[ATTENTION_TABLES] = {"query-relative", "key-relative",
                                                         "value-relative", "bias", "factor"};

static bool fits(struct ag_graph *graph, const struct ag_attention *a)
{
    const struct ag_shape *q = &a->query->shape, *k = &a->key->shape;
    char query[96], key[96], value[96];
    bool real_numbers = a->query->type == AG_REAL && a->key->type == AG_REAL &&
                        a->value->type == AG_REAL;
    if (real_numbers && q->dims == 3 && k->dims == 3 && ag_shape_equal(*k, a->value->shape) &&
        q->size[0] == k->size[0] && q->size[2] == k->size[2])
        return true;
    ag_fail(graph, "attention: query %s, key %s and value %s do not fit",
            ag_shape_text(a->query->shape, query), ag_shape_text(a->key->shape, key),
            ag_shape_text(a->value->shape, value));
    return false;
}

static bool settings_fit(struct ag_graph *graph, const struct attention_param *p)
{
    // Rows and offsets are counted in 32 bits.
    if (p->length + p->keys > INT32_MAX || p->width > INT32_MAX)
        ag_fail(graph, "attention: %lld queries, %lld keys and width %lld are too many",
                (long long)p->length, (long long)p->keys, (long long)p->width);
    else if (p->heads < 1 || p->width % p->heads)
        ag_fail(graph, "attention: width %lld is not divisible by %lld heads", (long long)p->width,
                (long long)p->heads);
    else if (p->causal && p->length != p->keys)
        ag_fail(graph, "attention: a causal mask needs as many keys as queries");
    else if (!(p->dropout >= 0 && p->dropout < 1))
        ag_fail(graph, "attention: dropout %g is not in [0, 1)", p->dropout);
    else if (p->normaliser == AG_LINEAR)
        ag_fail(graph, "attention: linear attention has an op of its own");
    return !graph->error;
}

static bool is_shape(struct ag_graph *graph, const char *what, const ag_t *tensor,
                     struct ag_shape shape)
{
    char is[96], wanted[96];
    if (!tensor || (tensor->type == AG_REAL && ag_shape_equal(tensor->shape, shape)))
        return true;
    ag_fail(graph, "attention: %s is %s%s, and %s is wanted", what,
            tensor->type == AG_REAL ? "" : "an index ", ag_shape_text(tensor->shape, is),
            ag_shape_text(shape, wanted));
    return false;
}

// What nothing reads would be left without a gradient.
static bool is_read(struct ag_graph *graph, const char *what, const ag_t *reader, const ag_t *table)
{
    if (reader && !table)
        ag_fail(graph, "attention: a relative %s needs a %s-relative table to read", what, what);
    return table || !reader;
}

static bool extras_fit(struct ag_graph *graph, const struct ag_attention *a,
                       const struct attention_param *p)
{
    const ag_t *dense = a->dense_bias;
    struct ag_shape one = ag_shape3(p->heads, p->length, p->keys);
    struct ag_shape all = ag_shape4(p->batch, p->heads, p->length, p->keys);
    char mask[96];
    if (a->key_mask && (a->key_mask->type != AG_INT ||
                        !ag_shape_equal(a->key_mask->shape, ag_shape2(p->batch, p->keys)))) {
        ag_fail(graph, "attention: the key mask is %s; an index [%lld, %lld] is wanted",
                ag_shape_text(a->key_mask->shape, mask), (long long)p->batch, (long long)p->keys);
        return false;
    }
    return is_read(graph, "query", a->relative_query, a->query_relative.table) &&
           is_read(graph, "key", a->relative_key, a->key_relative.table) &&
           is_shape(graph, "the relative query", a->relative_query, a->query->shape) &&
           is_shape(graph, "the relative key", a->relative_key, a->key->shape) &&
           is_shape(graph, "the row bias", a->row_bias, ag_shape3(p->batch, p->length, p->heads)) &&
           is_shape(graph, "the column bias", a->column_bias,
                    ag_shape3(p->batch, p->keys, p->heads)) &&
           is_shape(graph, "the dense bias", dense, p->dense_batched ? all : one);
}

// An index is a constant or is written between replays; what is known now is checked now.
static bool index_fits(struct ag_graph *graph, enum attention_table k, const ag_t *index,
                       const struct attention_param *p)
{
    char shape[96];
    const char *name = table_name[k];
    int64_t rows = p->rows[k];
    struct ag_shape by_offset = ag_shape1(p->offsets[k]);
    struct ag_shape dense = ag_shape2(p->length, p->keys);
    struct ag_shape batched = ag_shape3(p->batch, p->length, p->keys);
    bool by_pair = ag_shape_equal(index->shape, dense) || ag_shape_equal(index->shape, batched);
    if (index->type != AG_INT ||
        !(ag_shape_equal(index->shape, by_offset) || (by_pair && !p->grid[k]))) {
        ag_fail(graph, "attention: the index of the %s table is %s; by offset, %lld entries%s",
                name, ag_shape_text(index->shape, shape), (long long)p->offsets[k],
                p->grid[k] ? ", is wanted" : ", by pair, or by batch and pair is wanted");
        return false;
    }
    const int32_t *value = index->op ? NULL : index->param;
    for (int64_t i = 0; value && i < index->count; i++) {
        if (value[i] < 0 || value[i] >= rows) {
            ag_fail(graph, "attention: the %s table has %lld rows, and its index names row %d",
                    name, (long long)rows, (int)value[i]);
            return false;
        }
    }
    return true;
}

// Sets how the offsets of table k are counted.
static bool grid_fits(struct ag_graph *graph, struct attention_param *p, enum attention_table k,
                      int64_t width)
{
    bool by_head = k == BY_BIAS || k == BY_FACTOR;
    p->grid[k] = width;
    p->offsets[k] = p->length + p->keys - 1;
    if (width == 0)
        return true;
    if (!by_head || width < 0 || p->length % width || p->keys % width) {
        ag_fail(graph,
                "attention: the %s table cannot be on a grid %lld wide of %lld queries and %lld "
                "keys; biases and factors can, of whole rows",
                table_name[k], (long long)width, (long long)p->length, (long long)p->keys);
        return false;
    }
    p->offsets[k] = (p->length / width + p->keys / width - 1) * (2 * width - 1);
    return true;
}

static bool table_fits(struct ag_graph *graph, struct attention_param *p, enum attention_table k,
                       const struct ag_relative *relative)
{
    char shape[96];
    const ag_t *table = relative->table;
    if (!table)
        return true;
    bool by_head = k == BY_BIAS || k == BY_FACTOR;
    int64_t columns = table->type == AG_REAL && table->shape.dims == 2 ? table->shape.size[1] : 0;
    bool shared = !by_head && columns == p->head_dim;
    bool fits_int = table->shape.size[0] <= INT32_MAX;
    if (!fits_int || (!shared && columns != (by_head ? p->heads : p->width))) {
        ag_fail(graph, "attention: the %s table is %s; %s are wanted", table_name[k],
                ag_shape_text(table->shape, shape),
                !fits_int ? "fewer rows"
                : by_head ? "a column a head"
                          : "head_dim or all columns");
        return false;
    }
    p->rows[k] = table->shape.size[0];
    p->part[k] = by_head ? 1 : p->head_dim;
    p->apart[k] = shared ? 0 : p->part[k];
    if (!grid_fits(graph, p, k, relative->grid_width))
        return false;
    if (relative->index)
        return index_fits(graph, k, relative->index, p);
    if (p->rows[k] == p->offsets[k])
        return true;
    ag_fail(graph, "attention: the %s table is %s; without an index it needs a row an offset, %lld",
            table_name[k], ag_shape_text(table->shape, shape), (long long)p->offsets[k]);
    return false;
}

// How a table is worked with. A run of offsets is longer than a strip of queries by the strip, and
// all of it is multiplied: strips are short where a table has many rows.
static void choose(struct attention_param *p, const ag_t *index, enum attention_table k)
{
    bool by_offset = attention_by_offset(index);
    p->strip[k] = by_offset && p->rows[k] > ATTENTION_BLOCK ? SHORT_STRIP : ATTENTION_BLOCK;
    p->slots[k] = by_offset && (k == BY_BIAS || k == BY_FACTOR) && p->rows[k] ? p->offsets[k]
                                                                              : p->rows[k];
}

// Heads that share a table have partial sums of their own: there may be more than can be counted.
static bool sums_fit(struct ag_graph *graph, const struct attention_param *p,
                     enum attention_table k)
{
    if (!p->slots[k] || ag_shape_count(ag_shape4(p->heads, GROUPS, p->slots[k], p->part[k])) > 0)
        return true;
    ag_fail(graph, "attention: the %s table has too many rows, %lld, for %lld heads", table_name[k],
            (long long)p->rows[k], (long long)p->heads);
    return false;
}

// Bytes of the partial sums: those of the tables, and of a dense bias that sequences share. Whether
// gradients will be wanted is known to the plan only, so the most is asked for.
static size_t partial_size(const struct attention_param *p, const struct ag_attention *a)
{
    int64_t count = 0;
    for (enum attention_table k = 0; k < ATTENTION_TABLES; k++)
        count += p->slots[k] * p->part[k];
    if (a->dense_bias && !p->dense_batched)
        count += p->length * p->keys;
    return (size_t)(p->heads * p->all_groups * count) * sizeof(real);
}

// One piece a sequence, or, where pieces have partial sums, few. Those of a part of a batch are the
// whole batch's, if parts end between them and all that is summed is the same for all parts.
static void choose_groups(struct attention_param *p, const struct ag_attention *a,
                          ag_t *const *input, int64_t parts)
{
    p->groups = p->all_groups = p->batch;
    if (!partial_size(p, a))
        return;
    int64_t batch = ag_whole(p->batch, parts), groups = batch < GROUPS ? batch : GROUPS;
    bool apart = ag_parts_fit(batch, groups, parts);
    for (enum attention_table k = 0; k < ATTENTION_TABLES; k++)
        apart = apart && !(input[attention_input_of(k)] && input[attention_input_of(k)]->varies);
    apart = apart && !(a->dense_bias && !p->dense_batched && a->dense_bias->varies);
    if (apart) {
        p->groups = groups / parts;
        p->all_groups = groups;
    } else if (p->groups > GROUPS) {
        p->groups = p->all_groups = GROUPS;
    }
}

ag_t *ag_attention(struct ag_graph *graph, const struct ag_attention *a)
{
    if (!fits(graph, a))
        return &graph->placeholder;
    struct attention_param p = {.batch = a->query->shape.size[0],
                                .length = a->query->shape.size[1],
                                .keys = a->key->shape.size[1],
                                .heads = a->heads,
                                .width = a->query->shape.size[2],
                                .scale = a->scale,
                                .dropout = a->dropout,
                                .causal = a->causal,
                                .normaliser = a->normaliser};
    if (!settings_fit(graph, &p))
        return &graph->placeholder;
    p.head_dim = p.width / p.heads;
    p.dense_batched = a->dense_bias && a->dense_bias->shape.dims == 4;
    const struct ag_relative *relative[ATTENTION_TABLES] = {
        &a->query_relative, &a->key_relative, &a->value_relative, &a->bias, &a->factor};
    ag_t *input[ATTENTION_INPUTS] = {a->query,          a->key,          a->value,      a->key_mask,
                                     a->relative_query, a->relative_key, a->dense_bias, a->row_bias,
                                     a->column_bias};
    bool good = extras_fit(graph, a, &p);
    for (enum attention_table k = 0; k < ATTENTION_TABLES && good; k++) {
        good = table_fits(graph, &p, k, relative[k]);
        choose(&p, relative[k]->index, k);
        good = good && sums_fit(graph, &p, k);
        input[attention_input_of(k)] = relative[k]->table;
        input[attention_input_of(k) + 1] = relative[k]->index;
    }
    if (!good)
        return &graph->placeholder;
    size_t saved_size = attention_saved_size(&p, input);
    choose_groups(&p, a, input, graph->parts);
    ag_t *node =
        ag_node(graph, &ag_op_attention, a->query->shape, ATTENTION_INPUTS, input, &p, sizeof p);
    if (graph->error)
        return node;
    node->saved_size = saved_size;
    node->scratch_size = attention_scratch_size(&p, input);
    node->partial_size = partial_size(&p, a);
    return node;
}
