// An ONNX graph in memory: what is in it already, what is stored, nodes, and the file around them.
#include "writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../autograd/base/err.h"
#include "../version.h"

// Field numbers of onnx.proto.
enum { MODEL_IR_VERSION = 1, MODEL_PRODUCER, MODEL_PRODUCER_VERSION, MODEL_GRAPH = 7 };
enum { MODEL_OPSET = 8, MODEL_METADATA = 14, OPSET_VERSION = 2 };
enum { GRAPH_NODE = 1, GRAPH_NAME = 2, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT };
enum { NODE_INPUT = 1, NODE_OUTPUT, NODE_NAME, NODE_TYPE, NODE_ATTRIBUTE };
enum { ATTRIBUTE_NAME = 1, ATTRIBUTE_REAL, ATTRIBUTE_INT, ATTRIBUTE_TEXT };
enum { ATTRIBUTE_REALS = 7, ATTRIBUTE_INTS, ATTRIBUTE_TEXTS, ATTRIBUTE_KIND = 20 };
enum { TENSOR_DIM = 1, TENSOR_TYPE = 2, TENSOR_NAME = 8, TENSOR_DATA = 9 };
enum { VALUE_NAME = 1, VALUE_TYPE, VALUE_TEXT, TYPE_TENSOR = 1, TYPE_ELEMENT = 1, TYPE_SHAPE };
enum { SHAPE_DIM = 1, DIM_VALUE = 1, DIM_NAME };
enum { PROPERTY_KEY = 1, PROPERTY_VALUE };

// A message of this format may have as many bytes, whatever machine reads it.
#define MOST_BYTES INT32_MAX

// What was written, to be found again: the bytes of the message without its name.
struct onnx_written {
    struct onnx_written *before;
    uint64_t hash;
    size_t size;
    const char *name;
    unsigned char key[];
};

int onnx_writer_init(struct onnx_writer *w, const struct onnx_sizes *sizes)
{
    size_t count = (size_t)(unsigned)sizes->graph->tensors;
    *w = (struct onnx_writer){.sizes = sizes};
    arena_init(&w->arena);
    w->value = arena_alloc(&w->arena, count * sizeof *w->value);
    w->whole = arena_alloc(&w->arena, count * sizeof *w->whole);
    if (w->value && w->whole)
        return 0;
    arena_release(&w->arena);
    return ERR_MEMORY;
}

void onnx_writer_release(struct onnx_writer *w)
{
    free(w->nodes.at);
    free(w->initializers.at);
    free(w->inputs.at);
    free(w->metadata.at);
    arena_release(&w->arena);
    memset(w, 0, sizeof *w);
}

static const char *fail(struct onnx_writer *w, int code, const char *message)
{
    if (!w->error) {
        w->error = code;
        snprintf(w->message, sizeof w->message, "%s", message);
    }
    return "";
}

const char *onnx_refuse(struct onnx_writer *w, const char *format, ...)
{
    char line[sizeof w->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    return fail(w, ERR_ARGUMENT, line);
}

static const char *out_of_memory(struct onnx_writer *w)
{
    return fail(w, ERR_MEMORY, "out of memory for an ONNX graph");
}

static const char *keep_name(struct onnx_writer *w, const char *name)
{
    const char *copy = arena_strdup(&w->arena, name);
    return copy ? copy : out_of_memory(w);
}

// "layers.0.attn/linear.17/MatMul": the node of the captured graph, and a number that no other
// has.
static const char *new_name(struct onnx_writer *w, const char *type)
{
    char name[2 * AG_NAME_SIZE + 64];
    if (w->at)
        snprintf(name, sizeof name, "%s.%s.%d", w->at->name, type, w->names++);
    else
        snprintf(name, sizeof name, "%s.%d", type, w->names++);
    return keep_name(w, name);
}

// --- what was written already

static uint64_t hash_of(const struct bytes *key)
{
    uint64_t hash = 0xcbf29ce484222325; // FNV-1a
    for (size_t i = 0; i < key->size; i++)
        hash = (hash ^ key->at[i]) * 0x100000001b3;
    return hash;
}

static const char *find(const struct onnx_writer *w, const struct bytes *key, uint64_t hash)
{
    for (const struct onnx_written *o = w->written; o; o = o->before)
        if (o->hash == hash && o->size == key->size && memcmp(o->key, key->at, key->size) == 0)
            return o->name;
    return NULL;
}

static void remember(struct onnx_writer *w, const struct bytes *key, uint64_t hash,
                     const char *name)
{
    struct onnx_written *o = arena_alloc(&w->arena, sizeof *o + key->size);
    if (!o) {
        out_of_memory(w);
        return;
    }
    *o = (struct onnx_written){w->written, hash, key->size, name};
    memcpy(o->key, key->at, key->size);
    w->written = o;
}

// --- initializers

struct tensor {
    enum onnx_type type;
    int dims;
    const int64_t *size;
    const void *data;
    size_t bytes;
};

static void put_initializer(struct onnx_writer *w, const struct tensor *tensor, const char *name)
{
    size_t opened = protobuf_open(&w->initializers, GRAPH_INITIALIZER);
    for (int d = 0; d < tensor->dims; d++)
        protobuf_int(&w->initializers, TENSOR_DIM, tensor->size[d]);
    protobuf_int(&w->initializers, TENSOR_TYPE, tensor->type);
    protobuf_text(&w->initializers, TENSOR_NAME, name);
    protobuf_bytes(&w->initializers, TENSOR_DATA, tensor->data, tensor->bytes);
    protobuf_close(&w->initializers, opened);
}

// A small one that may be there already.
static const char *constant(struct onnx_writer *w, struct tensor tensor)
{
    struct bytes key = {0};
    protobuf_int(&key, 1, tensor.type);
    for (int d = 0; d < tensor.dims; d++)
        protobuf_int(&key, 2, tensor.size[d]);
    protobuf_bytes(&key, 3, tensor.data, tensor.bytes);
    const char *name = key.failed ? out_of_memory(w) : find(w, &key, hash_of(&key));
    if (!name) {
        name = new_name(w, "constant");
        put_initializer(w, &tensor, name);
        remember(w, &key, hash_of(&key), name);
    }
    free(key.at);
    return name;
}

const char *onnx_number(struct onnx_writer *w, double number)
{
    const float value = (float)number;
    return constant(w, (struct tensor){ONNX_FLOAT, 0, NULL, &value, sizeof value});
}

const char *onnx_double(struct onnx_writer *w, double number)
{
    return constant(w, (struct tensor){ONNX_DOUBLE, 0, NULL, &number, sizeof number});
}

const char *onnx_int(struct onnx_writer *w, int64_t value)
{
    return constant(w, (struct tensor){ONNX_INT64, 0, NULL, &value, sizeof value});
}

const char *onnx_ints(struct onnx_writer *w, int count, const int64_t *value)
{
    const int64_t size = count;
    return constant(
        w, (struct tensor){ONNX_INT64, 1, &size, value, (size_t)(unsigned)count * sizeof *value});
}

// As float: the format of the weights, whatever we compute in.
const char *onnx_numbers(struct onnx_writer *w, int dims, const int64_t *size, const real *data)
{
    int64_t count = 1;
    for (int d = 0; d < dims; d++)
        count *= size[d];
    float *copy = malloc((size_t)count * sizeof *copy);
    if (!copy)
        return out_of_memory(w);
    for (int64_t i = 0; i < count; i++)
        copy[i] = (float)data[i];
    const char *name =
        constant(w, (struct tensor){ONNX_FLOAT, dims, size, copy, (size_t)count * sizeof *copy});
    free(copy);
    return name;
}

// --- tensors of the captured graph

static void put_shape(struct onnx_writer *w, struct bytes *out, const struct ag_tensor *tensor)
{
    const struct onnx_amount batch = {.batch = 1}, length = {.length = 1};
    size_t opened = protobuf_open(out, TYPE_SHAPE);
    for (int d = 0; d < tensor->shape.dims; d++) {
        struct onnx_amount size = onnx_size(w, tensor, d);
        size_t dim = protobuf_open(out, SHAPE_DIM);
        if (onnx_same_amount(size, batch))
            protobuf_text(out, DIM_NAME, "batch");
        else if (onnx_same_amount(size, length))
            protobuf_text(out, DIM_NAME, "length");
        else
            protobuf_int(out, DIM_VALUE, size.fixed);
        protobuf_close(out, dim);
    }
    protobuf_close(out, opened);
}

static void put_value(struct onnx_writer *w, struct bytes *out, int field,
                      const struct ag_tensor *tensor, const char *name, const char *text)
{
    size_t value = protobuf_open(out, field);
    protobuf_text(out, VALUE_NAME, name);
    size_t type = protobuf_open(out, VALUE_TYPE), of = protobuf_open(out, TYPE_TENSOR);
    protobuf_int(out, TYPE_ELEMENT, tensor->type == AG_INT ? ONNX_INT64 : ONNX_FLOAT);
    put_shape(w, out, tensor);
    protobuf_close(out, of);
    protobuf_close(out, type);
    if (text)
        protobuf_text(out, VALUE_TEXT, text);
    protobuf_close(out, value);
}

const char *onnx_input(struct onnx_writer *w, const struct ag_tensor *tensor, const char *name,
                       const char *text)
{
    put_value(w, &w->inputs, GRAPH_INPUT, tensor, name, text);
    if (tensor->shape.dims == 2 && !w->rows)
        w->rows = keep_name(w, name);
    return w->value[tensor->id] = keep_name(w, name);
}

struct onnx_amount onnx_size(const struct onnx_writer *w, const struct ag_tensor *tensor, int dim)
{
    return w->sizes->tensor[tensor->id].size[dim];
}

// A parameter keeps its name.
static const char *known_name(struct onnx_writer *w, const struct ag_tensor *t)
{
    char name[2 * AG_NAME_SIZE + 16];
    if (t->parameter >= 0)
        return keep_name(w, t->name);
    snprintf(name, sizeof name, "%s.%d", t->name, t->id);
    return keep_name(w, name);
}

static const char *store(struct onnx_writer *w, const struct ag_tensor *t)
{
    const char *name = known_name(w, t);
    size_t item = t->type == AG_INT ? sizeof(int64_t) : sizeof(float);
    struct tensor tensor = {t->type == AG_INT ? ONNX_INT64 : ONNX_FLOAT, t->shape.dims,
                            t->shape.size, NULL, (size_t)t->count * item};
    if (tensor.bytes >= MOST_BYTES)
        return onnx_refuse(w,
                           "%s takes %zu bytes, and an ONNX file holds 2 GB; export shorter "
                           "rows by --length, or a smaller model",
                           t->name, tensor.bytes);
    void *copy = malloc(tensor.bytes);
    if (!copy)
        return out_of_memory(w);
    for (int64_t i = 0; i < t->count; i++) {
        if (t->type == AG_INT)
            ((int64_t *)copy)[i] = onnx_index(t)[i];
        else
            ((float *)copy)[i] = (float)onnx_reals(w->sizes, t)[i];
    }
    tensor.data = copy;
    put_initializer(w, &tensor, name);
    free(copy);
    return name;
}

static const char *whole(struct onnx_writer *w, const struct ag_tensor *t)
{
    if (!w->whole[t->id])
        w->whole[t->id] = store(w, t);
    return w->whole[t->id];
}

// What the rows that there are need of it.
static const char *part(struct onnx_writer *w, const struct ag_tensor *t)
{
    const char *x = whole(w, t);
    for (int d = 0; d < t->shape.dims; d++) {
        struct onnx_amount size = onnx_size(w, t, d);
        if (onnx_is_fixed(size))
            continue;
        struct onnx_amount start = onnx_start_of(size, w->sizes->length);
        struct onnx_amount end = {.fixed = start.fixed + size.fixed,
                                  .length = start.length + size.length};
        x = onnx_slice(w, x, d, start, end, 1);
    }
    return x;
}

const char *onnx_of(struct onnx_writer *w, const struct ag_tensor *node, int i)
{
    const struct ag_tensor *t = node->input[i];
    if (!w->value[t->id])
        w->value[t->id] = part(w, t);
    return w->value[t->id];
}

const char *onnx_whole_of(struct onnx_writer *w, const struct ag_tensor *node, int i)
{
    const struct ag_tensor *t = node->input[i];
    return w->sizes->tensor[t->id].known ? whole(w, t) : onnx_of(w, node, i);
}

// --- nodes

static void put_attribute(struct bytes *out, const struct onnx_attribute *a)
{
    static const int type[] = {2, 7, 1, 6, 3, 8}; // of AttributeProto, by kind
    size_t opened = protobuf_open(out, NODE_ATTRIBUTE);
    protobuf_text(out, ATTRIBUTE_NAME, a->name);
    if (a->kind == ONNX_REAL)
        protobuf_float(out, ATTRIBUTE_REAL, (float)a->real);
    if (a->kind == ONNX_INT)
        protobuf_int(out, ATTRIBUTE_INT, a->number);
    if (a->kind == ONNX_TEXT)
        protobuf_text(out, ATTRIBUTE_TEXT, a->text);
    if (a->kind == ONNX_REALS)
        protobuf_float(out, ATTRIBUTE_REALS, (float)a->real);
    for (int64_t i = 0; a->kind == ONNX_INTS && i < a->number; i++)
        protobuf_int(out, ATTRIBUTE_INTS, a->list[i]);
    if (a->kind == ONNX_TEXTS)
        protobuf_text(out, ATTRIBUTE_TEXTS, a->text);
    protobuf_int(out, ATTRIBUTE_KIND, type[a->kind]);
    protobuf_close(out, opened);
}

static const char *put_node(struct onnx_writer *w, const char *type, const struct bytes *inputs,
                            const struct bytes *rest)
{
    const char *name = new_name(w, type);
    size_t opened = protobuf_open(&w->nodes, GRAPH_NODE);
    bytes_put(&w->nodes, inputs->at, inputs->size);
    protobuf_text(&w->nodes, NODE_OUTPUT, name);
    protobuf_text(&w->nodes, NODE_NAME, name);
    bytes_put(&w->nodes, rest->at, rest->size);
    protobuf_close(&w->nodes, opened);
    return name;
}

const char *onnx_node(struct onnx_writer *w, const char *type, int count, const char *const *input,
                      const struct onnx_attribute *attribute)
{
    struct bytes inputs = {0}, rest = {0}, key = {0};
    for (int i = 0; i < count; i++)
        protobuf_text(&inputs, NODE_INPUT, input[i]);
    protobuf_text(&rest, NODE_TYPE, type);
    for (const struct onnx_attribute *a = attribute; a && a->name; a++)
        put_attribute(&rest, a);
    bytes_put(&key, inputs.at, inputs.size);
    bytes_put(&key, rest.at, rest.size);
    bool failed = inputs.failed || rest.failed || key.failed;
    const char *name = failed ? out_of_memory(w) : find(w, &key, hash_of(&key));
    if (!name) {
        name = put_node(w, type, &inputs, &rest);
        remember(w, &key, hash_of(&key), name);
    }
    free(inputs.at);
    free(rest.at);
    free(key.at);
    return name;
}

// --- the model

void onnx_property(struct onnx_writer *w, const char *key, const char *value)
{
    size_t opened = protobuf_open(&w->metadata, MODEL_METADATA);
    protobuf_text(&w->metadata, PROPERTY_KEY, key);
    protobuf_text(&w->metadata, PROPERTY_VALUE, value);
    protobuf_close(&w->metadata, opened);
}

static void put_graph(struct onnx_writer *w, const struct ag_tensor *output, const char *name,
                      struct bytes *out)
{
    size_t graph = protobuf_open(out, MODEL_GRAPH), node = protobuf_open(&w->nodes, GRAPH_NODE);
    protobuf_text(&w->nodes, NODE_INPUT, w->value[output->id]);
    protobuf_text(&w->nodes, NODE_OUTPUT, name);
    protobuf_text(&w->nodes, NODE_NAME, name);
    protobuf_text(&w->nodes, NODE_TYPE, "Identity");
    protobuf_close(&w->nodes, node);
    bytes_put(out, w->nodes.at, w->nodes.size);
    protobuf_text(out, GRAPH_NAME, "posgrad");
    bytes_put(out, w->initializers.at, w->initializers.size);
    bytes_put(out, w->inputs.at, w->inputs.size);
    put_value(w, out, GRAPH_OUTPUT, output, name, NULL);
    protobuf_close(out, graph);
    if (w->nodes.failed || w->initializers.failed || w->inputs.failed)
        out->failed = true;
}

int onnx_writer_end(struct onnx_writer *w, const struct ag_tensor *output, const char *name,
                    struct bytes *out)
{
    if (w->error)
        return err_set(w->error, "%s", w->message);
    protobuf_int(out, MODEL_IR_VERSION, ONNX_IR_VERSION);
    protobuf_text(out, MODEL_PRODUCER, "posgrad");
    protobuf_text(out, MODEL_PRODUCER_VERSION, POSGRAD_VERSION);
    put_graph(w, output, name, out);
    size_t opset = protobuf_open(out, MODEL_OPSET);
    protobuf_int(out, OPSET_VERSION, ONNX_OPSET);
    protobuf_close(out, opset);
    bytes_put(out, w->metadata.at, w->metadata.size);
    if (w->error || out->failed || w->metadata.failed)
        return err_set(ERR_MEMORY, "out of memory for an ONNX graph");
    if (out->size > MOST_BYTES)
        return err_set(ERR_ARGUMENT,
                       "the model takes %zu bytes, and an ONNX file holds 2 GB; "
                       "export a smaller one, or --what model as npz",
                       out->size);
    return 0;
}
