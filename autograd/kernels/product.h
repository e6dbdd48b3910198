// Matrix products of our own: small tiles of the result in registers, one operand in panels.
//
// A tile of 6 rows by a few vectors of columns is summed in registers over a run of k (Goto and van
// de Geijn 2008, ACM TOMS 34; Van Zee and van de Geijn 2015, ACM TOMS 41: the micro-kernel); the
// right operand comes in panels as wide as a tile, so that what a tile reads of it lies together. A
// weight is put in panels once and multiplied with every row of a batch, which is where this gains
// over a library that packs anew in every call.
//
// One thread a call; work is cut into pieces above this file. One call always computes the same
// bits, and so does a row of the result wherever the rows are cut.
#ifndef POSGRAD_PRODUCT_H
#define POSGRAD_PRODUCT_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/real.h"

// Rows of a tile: cuts between rows are best at its multiples.
enum { PRODUCT_ROWS = 6, PRODUCT_BEHIND = 15 };

// The right operand [k, n], in panels of product_panel() columns (the last may be narrower, and is
// filled up with zeros).
int64_t product_panel(void);
int64_t product_panels(int64_t n);
// Numbers that all panels have.
int64_t product_packed(int64_t k, int64_t n);
// Puts panels [begin, end) of op(b) into `packed`; b is [k, n], or, where `transpose`, [n, k], and
// its stored rows are `b_row` apart.
void product_pack(real *packed, bool transpose, int64_t k, int64_t n, const real *b, int64_t b_row,
                  int64_t begin, int64_t end);
// c = alpha a b + bias + add, [m, n].
struct product {
    int64_t m, n, k;
    const real *a; // element (i, l) is a[i * a_row + l * a_column]; one of the two is 1
    int64_t a_row, a_column;
    // Packed; or, where b_row is not 0, stored rows that far apart, as they are. Behind the last of
    // those PRODUCT_BEHIND numbers must be readable; they do not matter.
    const real *b;
    int64_t b_row;
    real alpha;
    const real *bias; // [n], or NULL
    const real *add;  // [m, n], rows add_row apart, or NULL; it may be c
    int64_t add_row;
    real *c;
    int64_t c_row;
};
void product(const struct product *p);
// Panels [begin, end) of the result only.
void product_part(const struct product *p, int64_t begin, int64_t end);

// c = alpha op(a) b, or that added to c, of stored rows a_row, b_row and c_row apart: a is [m, k],
// or [k, m] where `transpose`. As struct product has it, b may be read a little behind its end.
void product_rows(bool transpose, int64_t m, int64_t n, int64_t k, real alpha, const real *a,
                  int64_t a_row, const real *b, int64_t b_row, bool add, real *c, int64_t c_row);

// The same with op(b): [n, k] as it is stored, where `transpose_b`. It is packed a part at a time,
// on the stack.
void product_any(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, real alpha,
                 const real *a, int64_t a_row, const real *b, int64_t b_row, bool add, real *c,
                 int64_t c_row);

#endif
