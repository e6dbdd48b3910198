// Ops that are one ONNX node or a few: element by element, by shape, along one dimension, products.
#include <math.h>

#include "../../../autograd/ops/op.h"
#include "translate.h"

// --- one node of the same inputs

#define UNARY(name, type)                                                                          \
    const char *onnx_op_##name(struct onnx_writer *w, const struct ag_tensor *node)                \
    {                                                                                              \
        return onnx_unary(w, type, onnx_of(w, node, 0));                                           \
    }
UNARY(abs, "Abs")
UNARY(cos, "Cos")
UNARY(dropout, "Identity") // nothing is dropped outside of training
UNARY(exp, "Exp")
UNARY(log, "Log")
UNARY(neg, "Neg")
UNARY(reciprocal, "Reciprocal")
UNARY(relu, "Relu")
UNARY(sigmoid, "Sigmoid")
UNARY(sin, "Sin")
UNARY(softplus, "Softplus")
UNARY(sqrt, "Sqrt")
UNARY(tanh, "Tanh")

#define BINARY(name, type)                                                                         \
    const char *onnx_op_##name(struct onnx_writer *w, const struct ag_tensor *node)                \
    {                                                                                              \
        return onnx_binary(w, type, onnx_of(w, node, 0), onnx_of(w, node, 1));                     \
    }
BINARY(add, "Add")
BINARY(div, "Div")
BINARY(mul, "Mul")
BINARY(sub, "Sub")

// --- element by element

const char *onnx_op_square(struct onnx_writer *w, const struct ag_tensor *node)
{
    return onnx_binary(w, "Mul", onnx_of(w, node, 0), onnx_of(w, node, 0));
}

const char *onnx_op_affine(struct onnx_writer *w, const struct ag_tensor *node)
{
    const char *x = onnx_of(w, node, 0);
    double scale = ag_setting_of(node, "scale"), shift = ag_setting_of(node, "shift");
    if (scale != 1)
        x = onnx_binary(w, "Mul", x, onnx_number(w, scale));
    return shift != 0 ? onnx_binary(w, "Add", x, onnx_number(w, shift)) : x;
}

// x Phi(x); the node that is one itself arrives in opset 20.
static const char *gelu(struct onnx_writer *w, const char *x)
{
    const char *erf = onnx_unary(w, "Erf", onnx_binary(w, "Mul", x, onnx_number(w, sqrt(0.5))));
    const char *half = onnx_binary(w, "Mul", x, onnx_number(w, 0.5));
    return onnx_binary(w, "Mul", half, onnx_binary(w, "Add", erf, onnx_number(w, 1)));
}

const char *onnx_op_gelu(struct onnx_writer *w, const struct ag_tensor *node)
{
    return gelu(w, onnx_of(w, node, 0));
}

// In double, less whole turns, as the op does.
const char *onnx_op_angle(struct onnx_writer *w, const struct ag_tensor *node)
{
    const double turn = 6.283185307179586477;
    const char *a = onnx_cast(w, onnx_of(w, node, 0), ONNX_DOUBLE);
    const char *x = onnx_binary(w, "Mul", a, onnx_cast(w, onnx_of(w, node, 1), ONNX_DOUBLE));
    const char *turns = onnx_unary(w, "Round", onnx_binary(w, "Mul", x, onnx_double(w, 1 / turn)));
    const char *whole = onnx_binary(w, "Mul", turns, onnx_double(w, turn));
    return onnx_cast(w, onnx_binary(w, "Sub", x, whole), ONNX_FLOAT);
}

// --- shape

static const struct onnx_amount *sizes_of(const struct onnx_writer *w, const struct ag_tensor *t)
{
    return w->sizes->tensor[t->id].size;
}

const char *onnx_op_reshape(struct onnx_writer *w, const struct ag_tensor *node)
{
    const struct ag_tensor *x = node->input[0];
    return onnx_reshape(w, onnx_of(w, node, 0), x->shape.dims, sizes_of(w, x), node->shape.dims,
                        sizes_of(w, node));
}

const char *onnx_op_slice(struct onnx_writer *w, const struct ag_tensor *node)
{
    int dim = (int)ag_setting_of(node, "dim");
    struct onnx_amount start = w->sizes->tensor[node->id].start, size = onnx_size(w, node, dim);
    struct onnx_amount end = {start.fixed + size.fixed, start.batch + size.batch,
                              start.length + size.length, start.both + size.both};
    return onnx_slice(w, onnx_of(w, node, 0), dim, start, end, 1);
}

const char *onnx_op_concat(struct onnx_writer *w, const struct ag_tensor *node)
{
    const char *part[AG_MAX_INPUTS];
    for (int i = 0; i < node->inputs; i++)
        part[i] = onnx_of(w, node, i);
    return onnx_concat(w, node->inputs, part, (int)ag_setting_of(node, "dim"));
}

const char *onnx_op_transpose(struct onnx_writer *w, const struct ag_tensor *node)
{
    int64_t perm[AG_MAX_DIMS];
    int low = (int)ag_setting_of(node, "low"), high = (int)ag_setting_of(node, "high");
    for (int d = 0; d < node->shape.dims; d++)
        perm[d] = d == low ? high : d == high ? low : d;
    return onnx_transpose(w, onnx_of(w, node, 0), node->shape.dims, perm);
}

const char *onnx_op_gather(struct onnx_writer *w, const struct ag_tensor *node)
{
    return onnx_gather(w, onnx_of(w, node, 0), onnx_of(w, node, 1), 0);
}

const char *onnx_op_scatter_add(struct onnx_writer *w, const struct ag_tensor *node)
{
    const char *shape = onnx_amounts(w, node->shape.dims, sizes_of(w, node));
    const char *zeros = onnx_binary(w, "Expand", onnx_number(w, 0), shape);
    const char *index = onnx_unsqueeze(w, onnx_of(w, node, 1), 1, (const int64_t[]){1});
    return onnx_node(w, "ScatterND", 3, (const char *const[]){zeros, index, onnx_of(w, node, 0)},
                     (const struct onnx_attribute[]){{"reduction", ONNX_TEXT, .text = "add"}, {0}});
}

// --- along one dimension

const char *onnx_op_sum(struct onnx_writer *w, const struct ag_tensor *node)
{
    return onnx_sum(w, onnx_of(w, node, 0), (int)ag_setting_of(node, "dim"), true);
}

const char *onnx_op_mean(struct onnx_writer *w, const struct ag_tensor *node)
{
    const char *x = onnx_of(w, node, 0);
    const int64_t dim = (int64_t)ag_setting_of(node, "dim");
    return onnx_node(
        w, "ReduceMean", 1, &x,
        (const struct onnx_attribute[]){{"axes", ONNX_INTS, .number = 1, .list = &dim}, {0}});
}

const char *onnx_op_max(struct onnx_writer *w, const struct ag_tensor *node)
{
    return onnx_max(w, onnx_of(w, node, 0), (int)ag_setting_of(node, "dim"));
}

const char *onnx_op_cumsum(struct onnx_writer *w, const struct ag_tensor *node)
{
    const char *axis = onnx_int(w, (int64_t)ag_setting_of(node, "dim"));
    const struct onnx_attribute attribute[] = {
        {"reverse", ONNX_INT, .number = (int64_t)ag_setting_of(node, "reverse")}, {0}};
    return onnx_node(w, "CumSum", 2, (const char *const[]){onnx_of(w, node, 0), axis}, attribute);
}

const char *onnx_op_softmax(struct onnx_writer *w, const struct ag_tensor *node)
{
    const char *x = onnx_of(w, node, 0);
    return onnx_node(w, "Softmax", 1, &x,
                     (const struct onnx_attribute[]){{"axis", ONNX_INT, .number = -1}, {0}});
}

const char *onnx_op_layer_norm(struct onnx_writer *w, const struct ag_tensor *node)
{
    const char *const input[] = {onnx_of(w, node, 0), onnx_of(w, node, 1), onnx_of(w, node, 2)};
    return onnx_node(w, "LayerNormalization", 3, input,
                     (const struct onnx_attribute[]){
                         {"axis", ONNX_INT, .number = -1},
                         {"epsilon", ONNX_REAL, .real = ag_setting_of(node, "epsilon")},
                         {0}});
}

// --- products

// The weight stays [out, in] as it is everywhere else; what loads the file turns it once.
const char *onnx_op_linear(struct onnx_writer *w, const struct ag_tensor *node)
{
    const char *weight = onnx_transpose(w, onnx_of(w, node, 1), 2, (const int64_t[]){1, 0});
    const char *y = onnx_binary(w, "MatMul", onnx_of(w, node, 0), weight);
    return node->input[2] ? onnx_binary(w, "Add", y, onnx_of(w, node, 2)) : y;
}

const char *onnx_op_linear_add(struct onnx_writer *w, const struct ag_tensor *node)
{
    return onnx_binary(w, "Add", onnx_op_linear(w, node), onnx_of(w, node, 3));
}

const char *onnx_op_linear_gelu(struct onnx_writer *w, const struct ag_tensor *node)
{
    return gelu(w, onnx_op_linear(w, node));
}

// One side of a product, its last two dimensions changed where it comes transposed.
static const char *side(struct onnx_writer *w, const struct ag_tensor *node, int i, bool turned)
{
    const char *x = onnx_of(w, node, i);
    int64_t perm[AG_MAX_DIMS];
    int dims = node->input[i]->shape.dims;
    if (!turned)
        return x;
    for (int d = 0; d < dims; d++)
        perm[d] = d == dims - 1 ? dims - 2 : d == dims - 2 ? dims - 1 : d;
    return onnx_transpose(w, x, dims, perm);
}

const char *onnx_op_matmul(struct onnx_writer *w, const struct ag_tensor *node)
{
    return onnx_binary(w, "MatMul", side(w, node, 0, ag_setting_of(node, "transpose_a") != 0),
                       side(w, node, 1, ag_setting_of(node, "transpose_b") != 0));
}
