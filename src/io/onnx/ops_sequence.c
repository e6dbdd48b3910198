// Ops along the sequence: recurrences, taps, rotations, positions.
#include <stdio.h>

#include "../../../autograd/ops/op.h"
#include "translate.h"

// h_t = f(x_t + U h_{t-1}): ONNX's RNN, whose input weight is the identity. It wants [T, B, C] and
// gives [T, 1, B, C].
const char *onnx_op_recurrence(struct onnx_writer *w, const struct ag_tensor *node)
{
    const int64_t c = node->shape.size[2], one[] = {0}, swap[] = {1, 0, 2}, size[] = {1, c, c};
    real *identity = arena_alloc(&w->arena, (size_t)(c * c) * sizeof *identity);
    if (!identity)
        return onnx_refuse(w, "out of memory for an ONNX graph");
    for (int64_t i = 0; i < c; i++)
        identity[i * c + i] = 1;
    const char *start = "";
    if (node->input[2]) {
        const struct onnx_amount all[] = {onnx_fixed(1), onnx_size(w, node, 0), onnx_fixed(c)};
        start = onnx_binary(w, "Expand", onnx_of(w, node, 2), onnx_amounts(w, 3, all));
    }
    const struct onnx_attribute affine[] = {{"activation_alpha", ONNX_REALS, .real = 1},
                                            {"activation_beta", ONNX_REALS, .real = 0},
                                            {"activations", ONNX_TEXTS, .text = "Affine"},
                                            {"hidden_size", ONNX_INT, .number = c},
                                            {0}};
    const struct onnx_attribute tanh[] = {
        {"activations", ONNX_TEXTS, .text = "Tanh"}, {"hidden_size", ONNX_INT, .number = c}, {0}};
    const char *const input[] = {onnx_transpose(w, onnx_of(w, node, 0), 3, swap),
                                 onnx_numbers(w, 3, size, identity),
                                 onnx_unsqueeze(w, onnx_of(w, node, 1), 1, one),
                                 "",
                                 "",
                                 start};
    const char *y = onnx_node(w, "RNN", *start ? 6 : 3, input,
                              ag_setting_of(node, "tanh") != 0 ? tanh : affine);
    return onnx_transpose(w, onnx_squeeze(w, y, 1), 3, swap);
}

// Rows that the mask hides are zero: x * mask [B, T, 1]. Where x is several streams of the same
// rows, so is the mask.
static const char *masked(struct onnx_writer *w, const struct ag_tensor *node, const char *x)
{
    const char *copy[AG_MAX_INPUTS];
    int64_t streams = node->shape.size[0] / node->input[3]->shape.size[0];
    const char *mask = onnx_cast(w, onnx_cast(w, onnx_of(w, node, 3), ONNX_BOOL), ONNX_FLOAT);
    if (streams > AG_MAX_INPUTS)
        return onnx_refuse(w, "%s: %lld streams are too many for ONNX", node->name,
                           (long long)streams);
    for (int64_t i = 0; i < streams; i++)
        copy[i] = mask;
    if (streams > 1)
        mask = onnx_concat(w, (int)streams, copy, 0);
    return onnx_binary(w, "Mul", x, onnx_unsqueeze(w, mask, 1, (const int64_t[]){2}));
}

// What is gathered from has a row of zeros before and behind: tap -1 reads the first, and what
// leads past the end, as it does where the rows are shorter than they may be, the last.
const char *onnx_op_taps(struct onnx_writer *w, const struct ag_tensor *node)
{
    const char *x = onnx_of(w, node, 0), *index = onnx_of(w, node, 2);
    if (node->input[3])
        x = masked(w, node, x);
    const char *first = onnx_slice(w, x, 1, onnx_fixed(0), onnx_fixed(1), 1);
    const char *zero = onnx_binary(w, "Mul", first, onnx_number(w, 0));
    const char *rows = onnx_concat(w, 3, (const char *const[]){zero, x, zero}, 1);
    struct onnx_amount last = onnx_size(w, node, 1);
    last.fixed++;
    index = onnx_binary(w, "Add", index, onnx_int(w, 1));
    index = onnx_binary(w, "Min", index, onnx_amounts(w, 1, &last));
    const char *taps = onnx_gather(w, rows, index, 1); // [B, T, K, C]
    return onnx_sum(w, onnx_binary(w, "Mul", taps, onnx_of(w, node, 1)), 2, false);
}

// cos and sin as [.., H or 1, P].
static const char *by_head(struct onnx_writer *w, const struct ag_tensor *node, int i)
{
    const char *table = onnx_of(w, node, i);
    return node->input[i]->shape.dims == 2 ? onnx_unsqueeze(w, table, 1, (const int64_t[]){1})
                                           : table;
}

// Channels `start`, start + step, ... below `end` of each head.
static const char *channels(struct onnx_writer *w, const char *x, int64_t start, int64_t end,
                            int64_t step)
{
    return onnx_slice(w, x, 3, onnx_fixed(start), onnx_fixed(end), step);
}

// y_a and y_b of all pairs, in the order of the layout: [B, T, H, 2P].
static const char *together(struct onnx_writer *w, const struct ag_tensor *node, const char *a,
                            const char *b, bool half)
{
    int64_t heads = (int64_t)ag_setting_of(node, "heads");
    const struct ag_shape *table = &node->input[1]->shape;
    int64_t pairs = table->size[table->dims - 1];
    const int64_t last[] = {4};
    if (half)
        return onnx_concat(w, 2, (const char *const[]){a, b}, 3);
    const char *both = onnx_concat(
        w, 2, (const char *const[]){onnx_unsqueeze(w, a, 1, last), onnx_unsqueeze(w, b, 1, last)},
        4);
    const struct onnx_amount batch = onnx_size(w, node, 0), length = onnx_size(w, node, 1);
    const struct onnx_amount from[] = {batch, length, onnx_fixed(heads), onnx_fixed(pairs),
                                       onnx_fixed(2)};
    const struct onnx_amount to[] = {batch, length, onnx_fixed(heads), onnx_fixed(2 * pairs)};
    return onnx_reshape(w, both, 5, from, 4, to);
}

const char *onnx_op_rotate(struct onnx_writer *w, const struct ag_tensor *node)
{
    bool half = ag_setting_of(node, "half") != 0, inverse = ag_setting_of(node, "inverse") != 0;
    const struct ag_shape *table = &node->input[1]->shape;
    int64_t heads = (int64_t)ag_setting_of(node, "heads"), d = node->shape.size[2] / heads;
    int64_t pairs = table->size[table->dims - 1];
    const struct onnx_amount batch = onnx_size(w, node, 0), length = onnx_size(w, node, 1);
    const struct onnx_amount joined[] = {batch, length, onnx_fixed(heads * d)};
    const struct onnx_amount apart[] = {batch, length, onnx_fixed(heads), onnx_fixed(d)};
    const char *x = onnx_reshape(w, onnx_of(w, node, 0), 3, joined, 4, apart);
    const char *a = channels(w, x, 0, half ? pairs : 2 * pairs, half ? 1 : 2);
    const char *b = channels(w, x, half ? pairs : 1, 2 * pairs, half ? 1 : 2);
    const char *cosine = by_head(w, node, 1), *sine = by_head(w, node, 2);
    const char *with_sine[] = {onnx_binary(w, "Mul", b, sine), onnx_binary(w, "Mul", a, sine)};
    const char *turned_a =
        onnx_binary(w, inverse ? "Add" : "Sub", onnx_binary(w, "Mul", a, cosine), with_sine[0]);
    const char *turned_b =
        onnx_binary(w, inverse ? "Sub" : "Add", onnx_binary(w, "Mul", b, cosine), with_sine[1]);
    const char *y = together(w, node, turned_a, turned_b, half);
    if (2 * pairs < d)
        y = onnx_concat(w, 2, (const char *const[]){y, channels(w, x, 2 * pairs, d, 1)}, 3);
    return onnx_reshape(w, y, 4, apart, 3, joined);
}

// What is drawn anew for each row cannot be in a file: positions below the range, in order, are an
// input. Those that are moved in training start at 0 outside of it.
const char *onnx_op_sample_positions(struct onnx_writer *w, const struct ag_tensor *node)
{
    const struct onnx_amount size[] = {onnx_size(w, node, 0), onnx_size(w, node, 1)};
    if ((enum ag_sampling)ag_setting_of(node, "kind") == AG_RANDOM_POSITIONS) {
        char text[96];
        snprintf(text, sizeof text, "positions of the tokens, below %lld and in order, any of them",
                 (long long)ag_setting_of(node, "range"));
        return onnx_input(w, node, "positions", text);
    }
    return onnx_binary(w, "Expand", onnx_range(w, size[1]), onnx_amounts(w, 2, size));
}

// row [2R - 1] at p_j - p_i + R - 1.
const char *onnx_op_pair_index(struct onnx_writer *w, const struct ag_tensor *node)
{
    const char *position = onnx_of(w, node, 0);
    const char *key = onnx_unsqueeze(w, position, 1, (const int64_t[]){1});
    const char *query = onnx_unsqueeze(w, position, 1, (const int64_t[]){2});
    const char *offset = onnx_binary(w, "Sub", key, query);
    offset = onnx_binary(w, "Add", offset, onnx_int(w, node->input[1]->count / 2));
    return onnx_gather(w, onnx_whole_of(w, node, 1), offset, 0);
}
