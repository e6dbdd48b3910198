// Capture: nodes in the order in which the model code made them.
//
// The first mistake is recorded and every later builder returns a placeholder, so that model code
// reads without checks; ag_plan_new reports the mistake once.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ag.h"
#include "base/err.h"
#include "ops/op.h"

static struct ag_shape shape_of(int dims, int64_t a, int64_t b, int64_t c, int64_t d, int64_t e)
{
    return (struct ag_shape){.dims = dims, .size = {a, b, c, d, e}};
}
struct ag_shape ag_shape1(int64_t a)
{
    return shape_of(1, a, 0, 0, 0, 0);
}
struct ag_shape ag_shape2(int64_t a, int64_t b)
{
    return shape_of(2, a, b, 0, 0, 0);
}
struct ag_shape ag_shape3(int64_t a, int64_t b, int64_t c)
{
    return shape_of(3, a, b, c, 0, 0);
}
struct ag_shape ag_shape4(int64_t a, int64_t b, int64_t c, int64_t d)
{
    return shape_of(4, a, b, c, d, 0);
}
struct ag_shape ag_shape5(int64_t a, int64_t b, int64_t c, int64_t d, int64_t e)
{
    return shape_of(5, a, b, c, d, e);
}

int64_t ag_shape_count(struct ag_shape shape)
{
    int64_t count = 1;
    for (int i = 0; i < shape.dims; i++) {
        // 2^48 elements are more than any machine holds and leave room for byte counts.
        if (shape.size[i] < 1 || shape.size[i] > (INT64_C(1) << 48) / count)
            return -1;
        count *= shape.size[i];
    }
    return count;
}

bool ag_shape_equal(struct ag_shape a, struct ag_shape b)
{
    if (a.dims != b.dims)
        return false;
    for (int i = 0; i < a.dims; i++)
        if (a.size[i] != b.size[i])
            return false;
    return true;
}

const char *ag_shape_text(struct ag_shape shape, char text[96])
{
    size_t used = (size_t)snprintf(text, 96, "[");
    for (int i = 0; i < shape.dims && used < 96; i++)
        used += (size_t)snprintf(text + used, 96 - used, i ? ", %lld" : "%lld",
                                 (long long)shape.size[i]);
    if (used < 95)
        strcpy(text + used, "]");
    return text;
}

void ag_graph_init(struct ag_graph *graph, struct ag_params *params)
{
    memset(graph, 0, sizeof *graph);
    arena_init(&graph->arena);
    graph->params = params;
    graph->placeholder = (struct ag_tensor){
        .name = "placeholder", .shape = ag_shape1(1), .count = 1, .parameter = -1};
}

void ag_graph_release(struct ag_graph *graph)
{
    arena_release(&graph->arena);
    memset(graph, 0, sizeof *graph);
}

void ag_scope(struct ag_graph *graph, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(graph->scope, sizeof graph->scope, format, arguments);
    va_end(arguments);
}

static struct ag_tensor *graph_append(struct ag_graph *graph, const char *name, enum ag_type type,
                                      struct ag_shape shape, int64_t count)
{
    struct ag_tensor *tensor = arena_alloc(&graph->arena, sizeof *tensor);
    char *copy = arena_strdup(&graph->arena, name);
    if (!tensor || !copy) {
        if (!graph->error) {
            graph->error = ERR_MEMORY;
            snprintf(graph->message, sizeof graph->message, "out of memory while building %s",
                     name);
        }
        return &graph->placeholder;
    }
    tensor->name = copy;
    tensor->type = type;
    tensor->shape = shape;
    tensor->count = count;
    tensor->parameter = -1;
    tensor->id = graph->tensors++;
    if (graph->last)
        graph->last->next = tensor;
    else
        graph->first = tensor;
    graph->last = tensor;
    return tensor;
}

struct ag_tensor *ag_fail(struct ag_graph *graph, const char *format, ...)
{
    if (!graph->error) {
        char line[376];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(line, sizeof line, format, arguments);
        va_end(arguments);
        graph->error = ERR_ARGUMENT;
        snprintf(graph->message, sizeof graph->message, "%s%s%s", graph->scope,
                 graph->scope[0] ? ": " : "", line);
    }
    return &graph->placeholder;
}

struct ag_tensor *ag_fail_last(struct ag_graph *graph)
{
    int code = err_code();
    bool first = !graph->error;
    ag_fail(graph, "%s", err_last());
    if (first && code < 0)
        graph->error = code;
    return &graph->placeholder;
}

static struct ag_tensor *leaf_new(struct ag_graph *graph, const char *name, enum ag_type type,
                                  struct ag_shape shape)
{
    char text[96];
    int64_t count = ag_shape_count(shape);
    if (count < 0)
        return ag_fail(graph, "%s cannot have shape %s", name, ag_shape_text(shape, text));
    return graph_append(graph, name, type, shape, count);
}

static struct ag_tensor *input_new(struct ag_graph *graph, const char *name, enum ag_type type,
                                   struct ag_shape shape)
{
    struct ag_tensor *leaf = leaf_new(graph, name, type, shape);
    leaf->varies = true;
    return leaf;
}

struct ag_tensor *ag_input(struct ag_graph *graph, const char *name, struct ag_shape shape)
{
    return input_new(graph, name, AG_REAL, shape);
}

struct ag_tensor *ag_input_index(struct ag_graph *graph, const char *name, struct ag_shape shape)
{
    return input_new(graph, name, AG_INT, shape);
}

struct ag_tensor *ag_leaf(struct ag_graph *graph, const char *name, struct ag_shape shape)
{
    struct ag_tensor *leaf = leaf_new(graph, name, AG_REAL, shape);
    leaf->needs_grad = true;
    return leaf;
}

// Constants keep their values in the graph; the plan copies them into its block.
static struct ag_tensor *constant_new(struct ag_graph *graph, enum ag_type type,
                                      struct ag_shape shape, const void *data, size_t size)
{
    struct ag_tensor *leaf = leaf_new(graph, "constant", type, shape);
    if (graph->error)
        return leaf;
    leaf->param = arena_alloc(&graph->arena, (size_t)leaf->count * size);
    if (!leaf->param) {
        graph->error = ERR_MEMORY;
        snprintf(graph->message, sizeof graph->message, "%s", err_last());
        return leaf;
    }
    memcpy(leaf->param, data, (size_t)leaf->count * size);
    return leaf;
}

struct ag_tensor *ag_constant(struct ag_graph *graph, struct ag_shape shape, const real *data)
{
    return constant_new(graph, AG_REAL, shape, data, sizeof *data);
}

struct ag_tensor *ag_constant_index(struct ag_graph *graph, struct ag_shape shape,
                                    const int32_t *index)
{
    return constant_new(graph, AG_INT, shape, index, sizeof *index);
}

struct ag_tensor *ag_keep(struct ag_tensor *tensor)
{
    for (struct ag_tensor *t = tensor; t; t = t->base)
        t->keep = true;
    return tensor;
}

bool ag_row_by_row(const struct ag_tensor *node, int64_t parts)
{
    (void)node;
    (void)parts;
    return true;
}

bool ag_parts_fit(int64_t rows, int64_t pieces, int64_t parts)
{
    return parts > 1 && rows % parts == 0 && pieces % parts == 0 &&
           (pieces == parts || rows % pieces == 0);
}

struct ag_tensor *ag_node(struct ag_graph *graph, const struct ag_op *op, struct ag_shape shape,
                          int inputs, struct ag_tensor *const *input, const void *param,
                          size_t param_size)
{
    BUG_ON(inputs > AG_MAX_INPUTS);
    char name[2 * AG_NAME_SIZE], text[96];
    snprintf(name, sizeof name, "%s%s%s", graph->scope, graph->scope[0] ? "/" : "", op->name);
    if (graph->error)
        return ag_fail(graph, "an earlier mistake");
    int64_t count = ag_shape_count(shape);
    if (count < 0)
        return ag_fail(graph, "the result of %s cannot have shape %s", op->name,
                       ag_shape_text(shape, text));
    enum ag_type type = op->flags & AG_MAKES_INDEX ? AG_INT : AG_REAL;
    struct ag_tensor *node = graph_append(graph, name, type, shape, count);
    if (graph->error)
        return node;
    node->op = op;
    node->inputs = inputs;
    node->varies = inputs == 0; // made of nothing but the run
    for (int i = 0; i < inputs; i++) {
        node->input[i] = input[i];
        node->varies = node->varies || (input[i] && input[i]->varies);
        if (input[i] && input[i]->needs_grad && !(op->flags & AG_NO_BACKWARD))
            node->needs_grad = true;
    }
    if (op->flags & AG_VIEW)
        node->base = input[0];
    if (param_size) {
        node->param = arena_alloc(&graph->arena, param_size);
        if (!node->param) {
            graph->error = ERR_MEMORY;
            snprintf(graph->message, sizeof graph->message, "%s", err_last());
            return node;
        }
        memcpy(node->param, param, param_size);
    }
    return node;
}
