// The transpose of a matrix, by squares that fit the registers.
#ifndef POSGRAD_TRANSPOSE_H
#define POSGRAD_TRANSPOSE_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/real.h"

// to[j, i] = from[i, j], or that added, i < rows, j < columns; rows are from_row and to_row apart,
// which may be negative. The two must not overlap.
void transpose(int64_t rows, int64_t columns, const real *from, int64_t from_row, real *to,
               int64_t to_row, bool add);

#endif
