// An ONNX graph that is being written: nodes and initializers as protocol buffers, and the tensors
// of a captured graph that they compute.
//
// Every function that adds to the graph returns the name of a value, which lives as long as the
// writer. The same node of the same inputs is written once, so that what layers share (masks,
// offsets, sizes) needs no care. Errors are sticky: memory that was short, or what a translation
// could not say; names are then "", and onnx_writer_end reports the first.
//
// Format: onnx.proto of the ONNX project; operators as in opset 17.
#ifndef POSGRAD_ONNX_WRITER_H
#define POSGRAD_ONNX_WRITER_H

#include "../../../autograd/base/arena.h"
#include "../protobuf.h"
#include "sizes.h"

enum { ONNX_OPSET = 17, ONNX_IR_VERSION = 8 };
enum onnx_type { ONNX_FLOAT = 1, ONNX_INT64 = 7, ONNX_BOOL = 9, ONNX_DOUBLE = 11 };

struct onnx_written;
struct onnx_writer {
    const struct onnx_sizes *sizes;
    struct arena arena;
    struct bytes nodes, initializers, inputs; // fields of GraphProto
    struct bytes metadata;                    // and of ModelProto
    const char **value, **whole;              // [tensors]: names; whole: of known ones, unsliced
    const struct ag_tensor *at;               // whose nodes are being written
    const char *rows;                         // an input [B, T]: where both are read from
    struct onnx_written *written;             // what is there already, the last first
    int names;
    int error;
    char message[512];
};

int onnx_writer_init(struct onnx_writer *w, const struct onnx_sizes *sizes);
void onnx_writer_release(struct onnx_writer *w);
// A line of the model's metadata.
void onnx_property(struct onnx_writer *w, const char *key, const char *value);
// The whole model, with `output` as what it computes; appends to `out`. The first error.
int onnx_writer_end(struct onnx_writer *w, const struct ag_tensor *output, const char *name,
                    struct bytes *out);
// Records that something cannot be said; returns "".
__attribute__((format(printf, 2, 3))) const char *onnx_refuse(struct onnx_writer *w,
                                                              const char *format, ...);

// --- tensors of the captured graph
// An input of the ONNX graph, of the shape of `tensor`.
const char *onnx_input(struct onnx_writer *w, const struct ag_tensor *tensor, const char *name,
                       const char *text);
// The value of input `i` of `node`, and, of a known one that is longer than the rows, as it is
// stored.
const char *onnx_of(struct onnx_writer *w, const struct ag_tensor *node, int i);
const char *onnx_whole_of(struct onnx_writer *w, const struct ag_tensor *node, int i);
struct onnx_amount onnx_size(const struct onnx_writer *w, const struct ag_tensor *tensor, int dim);

// --- numbers that are stored
const char *onnx_number(struct onnx_writer *w, double number); // a scalar
const char *onnx_numbers(struct onnx_writer *w, int dims, const int64_t *size, const real *data);
const char *onnx_ints(struct onnx_writer *w, int count, const int64_t *value); // [count]
const char *onnx_int(struct onnx_writer *w, int64_t value);                    // a scalar
const char *onnx_double(struct onnx_writer *w, double number);                 // a scalar of DOUBLE
// [count] of what is known when it runs.
const char *onnx_amounts(struct onnx_writer *w, int count, const struct onnx_amount *amount);

// --- nodes
struct onnx_attribute {
    const char *name; // NULL ends a list
    enum { ONNX_INT, ONNX_INTS, ONNX_REAL, ONNX_REALS, ONNX_TEXT, ONNX_TEXTS } kind;
    int64_t number;
    const int64_t *list; // [number]
    double real;         // REALS is a list of this one
    const char *text;    // and TEXTS of this
};
// `input` is [count]; an absent one is "". `attribute` may be NULL.
const char *onnx_node(struct onnx_writer *w, const char *type, int count, const char *const *input,
                      const struct onnx_attribute *attribute);
const char *onnx_unary(struct onnx_writer *w, const char *type, const char *x);
const char *onnx_binary(struct onnx_writer *w, const char *type, const char *a, const char *b);
const char *onnx_where(struct onnx_writer *w, const char *condition, const char *yes,
                       const char *no);
const char *onnx_cast(struct onnx_writer *w, const char *x, enum onnx_type type);
const char *onnx_gather(struct onnx_writer *w, const char *table, const char *index, int axis);
const char *onnx_concat(struct onnx_writer *w, int count, const char *const *x, int axis);
const char *onnx_transpose(struct onnx_writer *w, const char *x, int dims, const int64_t *perm);
const char *onnx_slice(struct onnx_writer *w, const char *x, int axis, struct onnx_amount start,
                       struct onnx_amount end, int64_t step);
// From dimensions `from` to `to`: sizes that stay in their place are not spelled out.
const char *onnx_reshape(struct onnx_writer *w, const char *x, int from_dims,
                         const struct onnx_amount *from, int to_dims, const struct onnx_amount *to);
// New dimensions of size 1 at these places of the result, and away with them.
const char *onnx_unsqueeze(struct onnx_writer *w, const char *x, int count, const int64_t *axis);
const char *onnx_squeeze(struct onnx_writer *w, const char *x, int axis);
// A sum, or a maximum, along one dimension, kept with size 1 or dropped.
const char *onnx_sum(struct onnx_writer *w, const char *x, int axis, bool keep);
const char *onnx_max(struct onnx_writer *w, const char *x, int axis);
const char *onnx_range(struct onnx_writer *w, struct onnx_amount count); // 0 .. count - 1

#endif
