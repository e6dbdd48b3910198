// What each op is in ONNX: a row an op in list.h, a function a row.
#ifndef POSGRAD_ONNX_TRANSLATE_H
#define POSGRAD_ONNX_TRANSLATE_H

#include "writer.h"

// Writes the nodes that compute `node` of values that are written already, and returns the name of
// the last. A node comes here only where it depends on the batch: what is made of parameters alone
// is stored as it is.
typedef const char *onnx_translation(struct onnx_writer *w, const struct ag_tensor *node);

#define ONNX_OP(name) onnx_translation onnx_op_##name;
#include "list.h"
#undef ONNX_OP

// By the node's op, or a refusal that names it.
const char *onnx_translate(struct onnx_writer *w, const struct ag_tensor *node);
// Whether the op has a row.
bool onnx_can_translate(const char *op);

// Everything that is computed, in the order of the capture. An input of the captured graph is one
// here, too, unless it was made one before.
void onnx_translate_all(struct onnx_writer *w);

#endif
