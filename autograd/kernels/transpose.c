// Squares of as many rows as a row has lanes: in each round, row i and row i + N / 2 are dealt out
// alternately into rows 2i and 2i + 1; after log2 N rounds rows are columns.
#include "transpose.h"
#include "unroll.h"

enum { BYTES = 64, SIDE = BYTES / sizeof(real), HALF = SIDE / 2 };

typedef real row_vector __attribute__((vector_size(BYTES), aligned(sizeof(real)), may_alias));

#ifdef POSGRAD_DOUBLE
enum { ROUNDS = 3 };
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
enum { ROUNDS = 4 };
#define LOW(a, b)                                                                                  \
    __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH(a, b)                                                                                 \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#endif

static void square(const real *from, int64_t from_row, real *to, int64_t to_row, bool add)
{
    row_vector x[SIDE], y[SIDE];
    UNROLL(16)
    for (int i = 0; i < SIDE; i++)
        x[i] = *(const row_vector *)(from + i * from_row);
    UNROLL(4)
    for (int round = 0; round < ROUNDS; round++) {
        UNROLL(8)
        for (int i = 0; i < HALF; i++) {
            y[2 * i] = LOW(x[i], x[i + HALF]);
            y[2 * i + 1] = HIGH(x[i], x[i + HALF]);
        }
        UNROLL(16)
        for (int i = 0; i < SIDE; i++)
            x[i] = y[i];
    }
    if (add) {
        UNROLL(16)
        for (int i = 0; i < SIDE; i++)
            *(row_vector *)(to + i * to_row) += x[i];
    } else {
        UNROLL(16)
        for (int i = 0; i < SIDE; i++)
            *(row_vector *)(to + i * to_row) = x[i];
    }
}

static void piecewise(int64_t rows, int64_t columns, const real *from, int64_t from_row, real *to,
                      int64_t to_row, bool add)
{
    for (int64_t j = 0; j < columns; j++)
        for (int64_t i = 0; i < rows; i++)
            to[j * to_row + i] = from[i * from_row + j] + (add ? to[j * to_row + i] : 0);
}

void transpose(int64_t rows, int64_t columns, const real *from, int64_t from_row, real *to,
               int64_t to_row, bool add)
{
    for (int64_t i = 0; i < rows; i += SIDE) {
        int64_t height = rows - i < SIDE ? rows - i : SIDE;
        for (int64_t j = 0; j < columns; j += SIDE) {
            int64_t width = columns - j < SIDE ? columns - j : SIDE;
            const real *a = from + i * from_row + j;
            real *b = to + j * to_row + i;
            for (int64_t r = 0; r < SIDE; r++) // of the square below, whose rows are far apart
                __builtin_prefetch(a + (SIDE + r) * from_row);
            if (height == SIDE && width == SIDE)
                square(a, from_row, b, to_row, add);
            else
                piecewise(height, width, a, from_row, b, to_row, add);
        }
    }
}
