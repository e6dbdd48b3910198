// What the encodings of a model export, as named arrays: for checkpoints and for exports at any
// length.
//
// Beside the numbers each array has what is needed to use them without this program: the names of
// its axes and the coordinates of their elements, and as attributes whose it is (`encoding`), what
// its numbers and its axes count (`unit`, `offset_unit`), which way offsets go (`distance_sign`),
// whether all layers have it (`shared_layers`), and what training met of it (`train_length`;
// `trained_rows` along the first axis that is no layer or head: of offsets, those nearer than it).
#ifndef POSGRAD_TABLE_ARRAYS_H
#define POSGRAD_TABLE_ARRAYS_H

#include "../../autograd/base/arena.h"
#include "../encodings/pe.h"
#include "export.h"

// An array for every table of `tables`, tables->count of them, in `arena`; table i has its numbers
// at value[i], which are lent. Two of one name get another: the later one's encoding goes before
// it. NULL, and err_set, where memory is short.
struct export_array *table_arrays(struct arena *arena, const struct pe_tables *tables,
                                  const real *const *value, int64_t train_length);

#endif
