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

// --- shared by translations
// [B, T, C] to [B, H, T, D], and back.
const char *onnx_split_heads(struct onnx_writer *w, const struct ag_tensor *tensor, const char *x,
                             int64_t heads);
const char *onnx_join_heads(struct onnx_writer *w, const struct ag_tensor *tensor, const char *x,
                            int64_t heads);
// Which pairs of a query and a key count, as BOOL [T, S], [B, 1, 1, S] or [B, 1, T, S]; NULL: all.
// The mask is input `mask` of the node.
const char *onnx_visible(struct onnx_writer *w, const struct ag_tensor *node, int query, int key,
                         int mask, bool causal);
// Offsets j - i [T, S] of `count` queries and `keys` keys.
const char *onnx_offsets(struct onnx_writer *w, struct onnx_amount count, struct onnx_amount keys);
const char *onnx_gelu(struct onnx_writer *w, const char *x);

#endif
