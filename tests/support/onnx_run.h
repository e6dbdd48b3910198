// A reader and a plain evaluator of ONNX files: the operators that posgrad writes, as the ONNX
// documentation defines them, in double.
//
// It knows nothing of how the files are made. All that a runtime would refuse fails the test: a
// value that is read before it is there, two of one name, sizes that do not fit, types that an
// operator does not take, an operator or an attribute that is not known.
#ifndef POSGRAD_TESTS_ONNX_RUN_H
#define POSGRAD_TESTS_ONNX_RUN_H

#include "../../autograd/base/arena.h"
#include "check.h"

enum { ONNX_RUN_DIMS = 8 };

// Every type is kept as double: integers in these files are small.
struct onnx_value {
    const char *name;
    int type, dims; // of TensorProto
    int64_t size[ONNX_RUN_DIMS], count;
    double *data; // NULL: an input that was not given
    struct onnx_value *next;
};

// An input or an output as the file declares it.
struct onnx_declared {
    const char *name;
    int type, dims;
    int64_t size[ONNX_RUN_DIMS];          // 0 where it has a name
    const char *size_name[ONNX_RUN_DIMS]; // "batch"
    struct onnx_declared *next;
};

struct onnx_attr {
    const char *name, *text; // the last of several texts
    int64_t number, list[ONNX_RUN_DIMS];
    double real;
    int count;
    struct onnx_attr *next;
};

struct onnx_run_node {
    const char *type, *name, *output, *input[32];
    int inputs;
    struct onnx_attr *attribute;
    struct onnx_run_node *next;
};

struct onnx_property_read {
    const char *key, *value;
    struct onnx_property_read *next;
};

struct onnx_file {
    struct arena arena, scratch; // scratch: of one run
    int64_t ir_version, opset;
    const char *producer;
    struct onnx_value *initializer;
    struct onnx_declared *input, *output;
    struct onnx_run_node *node;
    struct onnx_property_read *property;
    struct onnx_value *values; // of a run
    int nodes;
};

// Parses `bytes` and checks what can be without running it.
void onnx_file_open(struct onnx_file *file, const void *bytes, size_t size);
void onnx_file_close(struct onnx_file *file);
const struct onnx_value *onnx_file_initializer(const struct onnx_file *file, const char *name);
const char *onnx_file_property(const struct onnx_file *file, const char *key); // NULL: none
bool onnx_file_takes(const struct onnx_file *file, const char *input);

// One run: give every input, then ask for the output, which is valid until the next begin.
void onnx_run_begin(struct onnx_file *file);
void onnx_run_give(struct onnx_file *file, const char *input, int dims, const int64_t *size,
                   const int32_t *data);
void onnx_run_give_reals(struct onnx_file *file, const char *input, int dims, const int64_t *size,
                         const real *data);
const struct onnx_value *onnx_run_output(struct onnx_file *file);

#endif
