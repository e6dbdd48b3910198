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

// How many rows a table that is computed must have: the graph's length, or, where positions are
// given or rows are made of those that training met, position_count.
int64_t pe_row_count(const struct pe_context *context);

// The rows of `table` [N, C] for positions 0..T-1 [T, C], or for context->position [..., C].
// Past position_count they are made as the extension says; without one, lengths past N fail with a
// line that names the encoding.
ag_t *pe_rows(const struct pe_context *context, ag_t *table);

// Where token i stands, as a number: i, or interpolated between those that training met.
double pe_place(const struct pe_context *context, int64_t i);

// pe_place of 0..count-1, a constant [count, 1].
ag_t *pe_places(const struct pe_context *context, int64_t count);

// Rows [count, C...] of `table` at first + step k, k = 0..count-1: between two rows their mean by
// distance. `row` (NULL: itself) maps whole numbers to rows of the table.
ag_t *pe_between_rows(const struct pe_context *context, ag_t *table, int64_t count, double first,
                      double step,
                      int64_t (*row)(const struct pe_context *context, int64_t number));

// The first `count` of the n^2 positions that a table [n, C] makes (Su 2020, article 7947), or all
// of the table where it has more.
ag_t *pe_hierarchy(const struct pe_context *context, ag_t *table, double alpha, int64_t count);

// The row of an option table for the length of a trained table, and what follows from it: its rows,
// which are position_count where `max_length` is 0, and the refusal of fewer than those.
#define PE_MAX_LENGTH_OPTION(settings)                                                             \
    {                                                                                              \
        "max_length", OPTION_INT, offsetof(settings, max_length), "0", 0, 1 << 24, NULL,           \
            "rows of the table (0: the positions that training meets)"                             \
    }
int64_t pe_table_length(const struct pe_context *context, int64_t max_length);
int pe_check_table_length(const struct pe_context *context, int64_t max_length);

// Adds a table to the exports, by its fields, and keeps its tensor.
#define pe_export(tables, ...) pe_export_table(tables, (struct pe_table){__VA_ARGS__})
void pe_export_table(struct pe_tables *tables, struct pe_table table);
// What exports show of a table [N, C] of positions: all of it, or, where they are to be exact, the
// rows of the graph's tokens [T, C]. Where positions are drawn, these may be any.
ag_t *pe_exported_rows(const struct pe_context *context, const struct pe_tables *tables,
                       ag_t *table);
// Exports those of `table` [position, channel] as the position_table; training reached its first
// `trained_rows`.
void pe_export_positions(const struct pe_context *context, struct pe_tables *tables, ag_t *table,
                         int64_t trained_rows);

// What `make` builds for each layer, [...], side by side: [layers, ...]. For exports.
ag_t *pe_all_layers(const struct pe_context *context,
                    ag_t *(*make)(const struct pe_context *context));

#endif
