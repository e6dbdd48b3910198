// Numbers of a file for a parameter: whether they fit, how a table of positions is resized.
#ifndef POSGRAD_INIT_TABLE_H
#define POSGRAD_INIT_TABLE_H

#include "../io/import.h"
#include "train.h"

// An array and the parameter that it starts.
struct init_pair {
    const struct import_file *file;
    const struct import_array *array;
    const struct ag_parameter *row;
    bool positions; // the parameter is a table [positions, channels]
    int resize;     // enum init_resize, of tables of positions alone, and
    int64_t skip;   // rows that are left out at their beginning
};

// Whether the shapes are equal, or can be made so as `resize` says. ERR_ARGUMENT, with both shapes
// and the ways out.
int init_fit(const struct init_pair *pair);
// The numbers of an array that fits and was loaded, row-major, into `value`. ERR_FORMAT where one
// is not finite, or is not in this type of numbers.
int init_fill(const struct init_pair *pair, real *value);
bool init_same_shape(const struct import_array *array, const struct ag_parameter *row);

#endif
