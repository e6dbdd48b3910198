// Attention spelled out: scores, weights and outputs of all pairs of a query and a key.
//
// What our op does in tiles is here the formula as it stands in ag_ops.h, with T x S scores.
// Tables by relative position are gathered to one row a pair, [B or 1, H or 1, T, S, D], of
// offsets that are computed from the length: the tables themselves stay as long as they are, with
// the offset 0 in their middle.
#include <float.h>

#include "../../../autograd/ops/attention_inside.h"
#include "translate.h"

// --- shared by both kinds of attention

// [B, T, C] to [B, H, T, D], and back.
static const char *split_heads(struct onnx_writer *w, const struct ag_tensor *tensor, const char *x,
                               int64_t heads)
{
    const struct onnx_amount *size = w->sizes->tensor[tensor->id].size;
    const struct onnx_amount apart[] = {size[0], size[1], onnx_fixed(heads),
                                        onnx_fixed(tensor->shape.size[2] / heads)};
    return onnx_transpose(w, onnx_reshape(w, x, 3, size, 4, apart), 4,
                          (const int64_t[]){0, 2, 1, 3});
}

static const char *join_heads(struct onnx_writer *w, const struct ag_tensor *tensor, const char *x,
                              int64_t heads)
{
    const struct onnx_amount *size = w->sizes->tensor[tensor->id].size;
    const struct onnx_amount apart[] = {size[0], size[1], onnx_fixed(heads),
                                        onnx_fixed(tensor->shape.size[2] / heads)};
    x = onnx_transpose(w, x, 4, (const int64_t[]){0, 2, 1, 3});
    return onnx_reshape(w, x, 4, apart, 3, size);
}

// Offsets j - i [T, S] of `count` queries and `keys` keys.
static const char *offsets_of(struct onnx_writer *w, struct onnx_amount count,
                              struct onnx_amount keys)
{
    const int64_t first[] = {0}, second[] = {1};
    return onnx_binary(w, "Sub", onnx_unsqueeze(w, onnx_range(w, keys), 1, first),
                       onnx_unsqueeze(w, onnx_range(w, count), 1, second));
}

// Which pairs of a query and a key count, as BOOL [T, S], [B, 1, 1, S] or [B, 1, T, S]; NULL: all.
// The last are inputs of the node.
static const char *visible_of(struct onnx_writer *w, const struct ag_tensor *node, int query,
                              int key, int mask)
{
    const char *past = NULL, *there = NULL;
    if (ag_setting_of(node, "causal") != 0) {
        const char *offsets =
            offsets_of(w, onnx_size(w, node->input[query], 1), onnx_size(w, node->input[key], 1));
        past = onnx_binary(w, "LessOrEqual", offsets, onnx_int(w, 0));
    }
    if (node->input[mask])
        there = onnx_unsqueeze(w, onnx_cast(w, onnx_of(w, node, mask), ONNX_BOOL), 2,
                               (const int64_t[]){1, 2});
    return past && there ? onnx_binary(w, "And", past, there) : past ? past : there;
}

static const char *hide(struct onnx_writer *w, const char *visible, const char *x, double instead)
{
    return visible ? onnx_where(w, visible, x, onnx_number(w, instead)) : x;
}

// --- tables by relative position

struct attention {
    struct onnx_writer *w;
    const struct ag_tensor *node;
    struct onnx_amount batch, queries, keys;
    int64_t heads, head_dim;
    const char *visible; // NULL: all
};

static struct attention attention_of(struct onnx_writer *w, const struct ag_tensor *node)
{
    const struct ag_tensor *query = node->input[QUERY], *key = node->input[KEY];
    struct attention a = {.w = w,
                          .node = node,
                          .batch = onnx_size(w, query, 0),
                          .queries = onnx_size(w, query, 1),
                          .keys = onnx_size(w, key, 1),
                          .heads = (int64_t)ag_setting_of(node, "heads")};
    a.head_dim = query->shape.size[2] / a.heads;
    a.visible = visible_of(w, node, QUERY, KEY, KEY_MASK);
    return a;
}

static const char *plus(struct onnx_writer *w, const char *x, int64_t n)
{
    return onnx_binary(w, "Add", x, onnx_int(w, n));
}

// Offsets on a grid `width` wide, (y_j - y_i + Y - 1)(2 width - 1) + x_j - x_i + width - 1, of a
// table that is for Y rows of queries.
static const char *grid_offsets(const struct attention *a, int64_t width)
{
    struct onnx_writer *w = a->w;
    int64_t down = a->node->input[QUERY]->shape.size[1] / width;
    const char *part[2]; // y and x
    const char *side[2] = {onnx_range(w, a->keys), onnx_range(w, a->queries)};
    const char *y[2], *x[2];
    for (int64_t k = 0; k < 2; k++) { // 0: keys, 1: queries
        const char *place = onnx_unsqueeze(w, side[k], 1, &k);
        y[k] = onnx_binary(w, "Div", place, onnx_int(w, width));
        x[k] = onnx_binary(w, "Sub", place, onnx_binary(w, "Mul", y[k], onnx_int(w, width)));
    }
    part[0] = plus(w, onnx_binary(w, "Sub", y[0], y[1]), down - 1);
    part[0] = onnx_binary(w, "Mul", part[0], onnx_int(w, 2 * width - 1));
    part[1] = plus(w, onnx_binary(w, "Sub", x[0], x[1]), width - 1);
    return onnx_binary(w, "Add", part[0], part[1]);
}

// Offsets as rows of `table`: one that is stored is for the rows that were captured, however short
// these are.
static const char *from_middle(const struct attention *a, const struct ag_tensor *table)
{
    struct onnx_amount middle = table->varies ? a->queries
                                              : onnx_fixed(a->node->input[QUERY]->shape.size[1]);
    middle.fixed--;
    return onnx_binary(a->w, "Add", offsets_of(a->w, a->queries, a->keys),
                       onnx_amounts(a->w, 1, &middle));
}

// Which row of table k a pair has: [T, S] or [B, T, S].
static const char *rows(const struct attention *a, enum attention_table k, bool *by_batch)
{
    int at = attention_input_of(k) + 1;
    const struct ag_tensor *index = a->node->input[at];
    int64_t width = k == BY_BIAS     ? (int64_t)ag_setting_of(a->node, "bias_grid")
                    : k == BY_FACTOR ? (int64_t)ag_setting_of(a->node, "factor_grid")
                                     : 0;
    *by_batch = index && index->shape.dims == 3;
    if (index && index->shape.dims > 1)
        return onnx_of(a->w, a->node, at);
    const char *offset = width ? grid_offsets(a, width)
                               : from_middle(a, index ? index : a->node->input[at - 1]);
    return index ? onnx_gather(a->w, onnx_whole_of(a->w, a->node, at), offset, 0) : offset;
}

// Table k of biases or factors as [H, T, S] or [B, H, T, S].
static const char *by_pair(const struct attention *a, enum attention_table k)
{
    bool by_batch;
    const char *row = rows(a, k, &by_batch);
    const char *each =
        onnx_gather(a->w, onnx_whole_of(a->w, a->node, attention_input_of(k)), row, 0);
    return by_batch ? onnx_transpose(a->w, each, 4, (const int64_t[]){0, 3, 1, 2})
                    : onnx_transpose(a->w, each, 3, (const int64_t[]){2, 0, 1});
}

// Table k of vectors as [B or 1, H or 1, T, S, D].
static const char *vectors(const struct attention *a, enum attention_table k)
{
    bool by_batch;
    struct onnx_writer *w = a->w;
    const struct ag_tensor *table = a->node->input[attention_input_of(k)];
    const char *row = rows(a, k, &by_batch);
    const char *each = onnx_gather(w, onnx_whole_of(w, a->node, attention_input_of(k)), row, 0);
    if (table->shape.size[1] == a->head_dim) // one for all heads
        return by_batch ? onnx_unsqueeze(w, each, 1, (const int64_t[]){1})
                        : onnx_unsqueeze(w, each, 2, (const int64_t[]){0, 1});
    const struct onnx_amount c = onnx_fixed(a->heads * a->head_dim), h = onnx_fixed(a->heads),
                             d = onnx_fixed(a->head_dim);
    if (by_batch) {
        const struct onnx_amount from[] = {a->batch, a->queries, a->keys, c};
        const struct onnx_amount to[] = {a->batch, a->queries, a->keys, h, d};
        return onnx_transpose(w, onnx_reshape(w, each, 4, from, 5, to), 5,
                              (const int64_t[]){0, 3, 1, 2, 4});
    }
    const struct onnx_amount from[] = {a->queries, a->keys, c}, to[] = {a->queries, a->keys, h, d};
    each =
        onnx_transpose(w, onnx_reshape(w, each, 3, from, 4, to), 4, (const int64_t[]){2, 0, 1, 3});
    return onnx_unsqueeze(w, each, 1, (const int64_t[]){0});
}

// --- scores

static const char *heads_of(const struct attention *a, int input)
{
    return split_heads(a->w, a->node->input[input], onnx_of(a->w, a->node, input), a->heads);
}

// scores + what the queries read in their table: q [B, H, T, 1, D] times R [.., T, D, S].
static const char *add_by_query(const struct attention *a, const char *scores)
{
    if (!attention_table_of(a->node, BY_QUERY))
        return scores;
    int reader = a->node->input[RELATIVE_QUERY] ? RELATIVE_QUERY : QUERY;
    const char *q = onnx_unsqueeze(a->w, heads_of(a, reader), 1, (const int64_t[]){3});
    const char *r = onnx_transpose(a->w, vectors(a, BY_QUERY), 5, (const int64_t[]){0, 1, 2, 4, 3});
    const char *product = onnx_squeeze(a->w, onnx_binary(a->w, "MatMul", q, r), 3);
    return onnx_binary(a->w, "Add", scores, product);
}

// The same of the keys: K [.., S, T, D] times k [B, H, S, D, 1].
static const char *add_by_key(const struct attention *a, const char *scores)
{
    if (!attention_table_of(a->node, BY_KEY))
        return scores;
    int reader = a->node->input[RELATIVE_KEY] ? RELATIVE_KEY : KEY;
    const char *k = onnx_unsqueeze(a->w, heads_of(a, reader), 1, (const int64_t[]){4});
    const char *r = onnx_transpose(a->w, vectors(a, BY_KEY), 5, (const int64_t[]){0, 1, 3, 2, 4});
    const char *product = onnx_squeeze(a->w, onnx_binary(a->w, "MatMul", r, k), 4);
    product = onnx_transpose(a->w, product, 4, (const int64_t[]){0, 1, 3, 2});
    return onnx_binary(a->w, "Add", scores, product);
}

// What is added to scores is never scaled.
static const char *add_biases(const struct attention *a, const char *scores)
{
    struct onnx_writer *w = a->w;
    if (attention_table_of(a->node, BY_BIAS))
        scores = onnx_binary(w, "Add", scores, by_pair(a, BY_BIAS));
    if (a->node->input[DENSE_BIAS])
        scores = onnx_binary(w, "Add", scores, onnx_of(w, a->node, DENSE_BIAS));
    for (int i = ROW_BIAS; i <= COLUMN_BIAS; i++) {
        if (!a->node->input[i])
            continue;
        const char *bias = onnx_transpose(w, onnx_of(w, a->node, i), 3, (const int64_t[]){0, 2, 1});
        bias = onnx_unsqueeze(w, bias, 1, (const int64_t[]){i == ROW_BIAS ? 3 : 2});
        scores = onnx_binary(w, "Add", scores, bias);
    }
    return scores;
}

static const char *product_of(struct onnx_writer *w, const char *query, const char *key)
{
    return onnx_binary(w, "MatMul", query,
                       onnx_transpose(w, key, 4, (const int64_t[]){0, 1, 3, 2}));
}

static const char *scores_of(const struct attention *a)
{
    const char *scores = product_of(a->w, heads_of(a, QUERY), heads_of(a, KEY));
    scores = add_by_key(a, add_by_query(a, scores));
    scores = onnx_binary(a->w, "Mul", scores, onnx_number(a->w, ag_setting_of(a->node, "scale")));
    return add_biases(a, scores);
}

// --- weights; a query that may see no key has none

static const char *softmax(const struct attention *a, const char *scores)
{
    const char *hidden = hide(a->w, a->visible, scores, -(double)FLT_MAX);
    const char *weights =
        onnx_node(a->w, "Softmax", 1, &hidden,
                  (const struct onnx_attribute[]){{"axis", ONNX_INT, .number = -1}, {0}});
    return hide(a->w, a->visible, weights, 0);
}

// max(S, 0)^2 / n of the n keys of the sequence that are not hidden.
static const char *relu2(const struct attention *a, const char *scores)
{
    struct onnx_writer *w = a->w;
    const char *positive = onnx_unary(w, "Relu", scores), *keys;
    if (a->node->input[KEY_MASK]) {
        const char *mask = onnx_cast(w, onnx_of(w, a->node, KEY_MASK), ONNX_BOOL);
        mask = onnx_unsqueeze(w, onnx_cast(w, mask, ONNX_FLOAT), 2, (const int64_t[]){1, 2});
        keys = onnx_sum(w, mask, 3, true);
    } else {
        keys = onnx_cast(w, onnx_amounts(w, 1, &a->keys), ONNX_FLOAT);
    }
    const char *weights = onnx_binary(w, "Div", onnx_binary(w, "Mul", positive, positive), keys);
    return hide(w, a->visible, weights, 0);
}

// exp(S - m) over 1 and the sum of all, or over the root of the sum of squares, m the largest.
static const char *exponentials(const struct attention *a, const char *scores, bool is_l2)
{
    struct onnx_writer *w = a->w;
    const char *most = onnx_max(w, hide(w, a->visible, scores, -(double)FLT_MAX), 3), *sum;
    if (!is_l2)
        most = onnx_unary(w, "Relu", most); // the 1 is exp(0)
    const char *lower = hide(w, a->visible, onnx_binary(w, "Sub", scores, most), -(double)FLT_MAX);
    const char *each = onnx_unary(w, "Exp", lower);
    if (is_l2) {
        sum = onnx_sum(w, onnx_binary(w, "Mul", each, each), 3, true);
        sum = onnx_unary(w, "Sqrt", onnx_binary(w, "Max", sum, onnx_number(w, (double)FLT_MIN)));
    } else {
        const char *one = onnx_unary(w, "Exp", onnx_unary(w, "Neg", most));
        sum = onnx_binary(w, "Add", onnx_sum(w, each, 3, true), one);
    }
    return onnx_binary(w, "Div", each, sum);
}

static const char *weights_of(const struct attention *a, const char *scores)
{
    switch ((enum ag_normaliser)ag_setting_of(a->node, "normaliser")) {
    case AG_SOFTMAX:
        return softmax(a, scores);
    case AG_RELU2:
        return relu2(a, scores);
    case AG_L2:
        return exponentials(a, scores, true);
    case AG_SOFTMAX1:
        return exponentials(a, scores, false);
    default:
        return onnx_refuse(a->w, "%s has a normaliser that is not known to ONNX", a->node->name);
    }
}

// --- the two ops

const char *onnx_op_attention(struct onnx_writer *w, const struct ag_tensor *node)
{
    struct attention a = attention_of(w, node);
    const char *weights = weights_of(&a, scores_of(&a));
    if (attention_table_of(node, BY_FACTOR))
        weights = onnx_binary(w, "Mul", weights, by_pair(&a, BY_FACTOR));
    const char *output = onnx_binary(w, "MatMul", weights, heads_of(&a, VALUE));
    if (attention_table_of(node, BY_VALUE)) {
        const char *row = onnx_unsqueeze(w, weights, 1, (const int64_t[]){3}); // [B, H, T, 1, S]
        const char *more = onnx_binary(w, "MatMul", row, vectors(&a, BY_VALUE));
        output = onnx_binary(w, "Add", output, onnx_squeeze(w, more, 3));
    }
    return join_heads(w, node, output, a.heads);
}

// By pairs, too, as it is the same and needs no state that runs along.
const char *onnx_op_linear_attention(struct onnx_writer *w, const struct ag_tensor *node)
{
    enum { TURNED_QUERY, TURNED_KEY, FEATURE_QUERY, FEATURE_KEY, VALUES, MASK }; // of the op
    int64_t heads = (int64_t)ag_setting_of(node, "heads");
    const char *by_head[VALUES + 1];
    for (int i = 0; i <= VALUES; i++)
        by_head[i] = split_heads(w, node->input[i], onnx_of(w, node, i), heads);
    const char *visible = visible_of(w, node, FEATURE_QUERY, FEATURE_KEY, MASK);
    const char *turned =
        hide(w, visible, product_of(w, by_head[TURNED_QUERY], by_head[TURNED_KEY]), 0);
    const char *plain =
        hide(w, visible, product_of(w, by_head[FEATURE_QUERY], by_head[FEATURE_KEY]), 0);
    const char *sum =
        onnx_binary(w, "Max", onnx_sum(w, plain, 3, true), onnx_number(w, (double)FLT_MIN));
    const char *output =
        onnx_binary(w, "Div", onnx_binary(w, "MatMul", turned, by_head[VALUES]), sum);
    return join_heads(w, node, output, heads);
}
