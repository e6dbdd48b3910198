// The nodes that translations are made of: a function an operator, and sizes that are known when
// the graph runs.
#include "../../../autograd/base/err.h"
#include "writer.h"

const char *onnx_unary(struct onnx_writer *w, const char *type, const char *x)
{
    return onnx_node(w, type, 1, &x, NULL);
}

const char *onnx_binary(struct onnx_writer *w, const char *type, const char *a, const char *b)
{
    return onnx_node(w, type, 2, (const char *const[]){a, b}, NULL);
}

const char *onnx_where(struct onnx_writer *w, const char *condition, const char *yes,
                       const char *no)
{
    return onnx_node(w, "Where", 3, (const char *const[]){condition, yes, no}, NULL);
}

const char *onnx_cast(struct onnx_writer *w, const char *x, enum onnx_type type)
{
    return onnx_node(w, "Cast", 1, &x,
                     (const struct onnx_attribute[]){{"to", ONNX_INT, .number = type}, {0}});
}

const char *onnx_gather(struct onnx_writer *w, const char *table, const char *index, int axis)
{
    return onnx_node(w, "Gather", 2, (const char *const[]){table, index},
                     (const struct onnx_attribute[]){{"axis", ONNX_INT, .number = axis}, {0}});
}

const char *onnx_concat(struct onnx_writer *w, int count, const char *const *x, int axis)
{
    return onnx_node(w, "Concat", count, x,
                     (const struct onnx_attribute[]){{"axis", ONNX_INT, .number = axis}, {0}});
}

const char *onnx_transpose(struct onnx_writer *w, const char *x, int dims, const int64_t *perm)
{
    return onnx_node(
        w, "Transpose", 1, &x,
        (const struct onnx_attribute[]){{"perm", ONNX_INTS, .number = dims, .list = perm}, {0}});
}

const char *onnx_unsqueeze(struct onnx_writer *w, const char *x, int count, const int64_t *axis)
{
    return onnx_binary(w, "Unsqueeze", x, onnx_ints(w, count, axis));
}

const char *onnx_squeeze(struct onnx_writer *w, const char *x, int axis)
{
    return onnx_binary(w, "Squeeze", x, onnx_ints(w, 1, (const int64_t[]){axis}));
}

const char *onnx_sum(struct onnx_writer *w, const char *x, int axis, bool keep)
{
    const char *axes = onnx_ints(w, 1, (const int64_t[]){axis});
    return onnx_node(w, "ReduceSum", 2, (const char *const[]){x, axes},
                     (const struct onnx_attribute[]){{"keepdims", ONNX_INT, .number = keep}, {0}});
}

// (Axes become an input as those of a sum in opset 18.)
const char *onnx_max(struct onnx_writer *w, const char *x, int axis)
{
    const int64_t axes = axis;
    return onnx_node(
        w, "ReduceMax", 1, &x,
        (const struct onnx_attribute[]){{"axes", ONNX_INTS, .number = 1, .list = &axes}, {0}});
}

// --- sizes

// Dimension `axis` of the rows, as [1].
static const char *row_size(struct onnx_writer *w, int64_t axis)
{
    BUG_ON(!w->rows);
    return onnx_node(w, "Shape", 1, &w->rows,
                     (const struct onnx_attribute[]){{"start", ONNX_INT, .number = axis},
                                                     {"end", ONNX_INT, .number = axis + 1},
                                                     {0}});
}

// sum (NULL: 0) + factor x
static const char *add_times(struct onnx_writer *w, const char *sum, int64_t factor, const char *x)
{
    if (factor != 1)
        x = onnx_binary(w, "Mul", x, onnx_ints(w, 1, &factor));
    return sum ? onnx_binary(w, "Add", sum, x) : x;
}

static const char *amount(struct onnx_writer *w, struct onnx_amount n)
{
    if (onnx_is_fixed(n))
        return onnx_ints(w, 1, &n.fixed);
    const char *sum = n.fixed ? onnx_ints(w, 1, &n.fixed) : NULL;
    if (n.batch)
        sum = add_times(w, sum, n.batch, row_size(w, 0));
    if (n.length)
        sum = add_times(w, sum, n.length, row_size(w, 1));
    if (n.both)
        sum = add_times(w, sum, n.both, onnx_binary(w, "Mul", row_size(w, 0), row_size(w, 1)));
    return sum;
}

const char *onnx_amounts(struct onnx_writer *w, int count, const struct onnx_amount *n)
{
    const char *each[AG_MAX_DIMS + 1];
    int64_t fixed[AG_MAX_DIMS + 1];
    bool all = true;
    for (int i = 0; i < count; i++) {
        fixed[i] = n[i].fixed;
        all = all && onnx_is_fixed(n[i]);
    }
    if (all)
        return onnx_ints(w, count, fixed);
    for (int i = 0; i < count; i++)
        each[i] = amount(w, n[i]);
    return count == 1 ? each[0] : onnx_concat(w, count, each, 0);
}

const char *onnx_slice(struct onnx_writer *w, const char *x, int axis, struct onnx_amount start,
                       struct onnx_amount end, int64_t step)
{
    const int64_t axes = axis;
    return onnx_node(w, "Slice", 5,
                     (const char *const[]){x, onnx_amounts(w, 1, &start), onnx_amounts(w, 1, &end),
                                           onnx_ints(w, 1, &axes), onnx_ints(w, 1, &step)},
                     NULL);
}

// 0 is the size of the same place in x, -1 what is left for one.
const char *onnx_reshape(struct onnx_writer *w, const char *x, int from_dims,
                         const struct onnx_amount *from, int to_dims, const struct onnx_amount *to)
{
    struct onnx_amount shape[AG_MAX_DIMS + 1];
    bool left = false;
    for (int d = 0; d < to_dims; d++) {
        shape[d] = to[d];
        if (onnx_is_fixed(to[d]))
            continue;
        if (d < from_dims && onnx_same_amount(from[d], to[d])) {
            shape[d] = onnx_fixed(0);
        } else if (!left) {
            shape[d] = onnx_fixed(-1);
            left = true;
        }
    }
    return onnx_binary(w, "Reshape", x, onnx_amounts(w, to_dims, shape));
}

const char *onnx_range(struct onnx_writer *w, struct onnx_amount count)
{
    const char *end = onnx_is_fixed(count) ? onnx_int(w, count.fixed)
                                           : onnx_squeeze(w, onnx_amounts(w, 1, &count), 0);
    return onnx_node(w, "Range", 3, (const char *const[]){onnx_int(w, 0), end, onnx_int(w, 1)},
                     NULL);
}
