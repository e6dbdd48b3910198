// What encodings share in building their graphs: parameters by name, and tables of all layers.
#ifndef POSGRAD_ENCODINGS_BUILD_H
#define POSGRAD_ENCODINGS_BUILD_H

#include "../pe.h"

// The parameter pe.NAME.SUFFIX that all layers share, or layers.N.pe.NAME.SUFFIX of the context's
// layer, where NAME is the encoding's. Starts as N(mean, std); never decays.
ag_t *pe_shared(const struct pe_context *context, const char *suffix, struct ag_shape shape,
                double mean, double std);
ag_t *pe_of_layer(const struct pe_context *context, const char *suffix, struct ag_shape shape,
                  double mean, double std);

// x [..., in] through a linear map [out, in] with bias, called SUFFIX.weight and SUFFIX.bias:
// shared by the layers, or the layer's own. Weights start as N(0, 0.02) and decay, as those of the
// model.
ag_t *pe_linear(const struct pe_context *context, bool shared, const char *suffix, ag_t *x,
                int64_t out);

// The first T rows of a table [max_length, C]; fails where the table ends before.
ag_t *pe_rows(const struct pe_context *context, ag_t *table);
// x [B, T, C] plus the rows of its positions.
ag_t *pe_add_positions(const struct pe_context *context, ag_t *x, ag_t *table);

// What `make` builds for each layer, [...], side by side: [layers, ...]. For exports.
ag_t *pe_all_layers(const struct pe_context *context,
                    ag_t *(*make)(const struct pe_context *context));

#endif
