// A model as an ONNX file.
#ifndef POSGRAD_ONNX_MODEL_H
#define POSGRAD_ONNX_MODEL_H

#include "writer.h"

enum { ONNX_VERDICT = 256 };
struct onnx_property {
    const char *key, *value;
};

// Appends the file to `out` (out->at is free'd by the caller): the forward pass for rows of up to
// `length` tokens where the encoding's graph is one for all lengths, else of exactly `length`.
// Inputs are `tokens` and `mask` (1 for a token, 0 for padding), INT64 [batch, length], and, of an
// encoding that draws them, `positions`; the output is `logits`, FLOAT [batch, length, vocabulary].
// The parameters are initializers of their names. The metadata are the properties, and `rows`:
// what `verdict` says of the length. Parameters are as they are now; nothing is drawn, and equal
// ones make equal bytes. ERR_NUMBER where one is not finite.
int onnx_model(const struct model_config *config, struct ag_params *params, int64_t length,
               const struct onnx_property *property, int properties, struct bytes *out,
               char verdict[ONNX_VERDICT]);

#endif
