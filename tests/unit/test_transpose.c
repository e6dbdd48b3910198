// kernels/transpose.h: whole squares and what is beside them, rows apart and in reverse.
#include "../support/check.h"

#include "../../autograd/kernels/transpose.h"

enum { MOST = 70, APART = 3 };

static void test_every_element(void **state)
{
    (void)state;
    static real from[MOST * (MOST + APART)], to[MOST * (MOST + APART)];
    for (int64_t i = 0; i < MOST * (MOST + APART); i++)
        from[i] = (real)(i + 1);
    for (int64_t rows = 1; rows < MOST; rows += 5) {
        for (int64_t columns = 1; columns < MOST; columns += 3) {
            for (int how = 0; how < 8; how++) {
                bool add = how & 1, from_end = how & 2, to_end = how & 4;
                int64_t from_row = columns + APART, to_row = rows + APART;
                for (int64_t i = 0; i < columns * to_row; i++)
                    to[i] = (real)(-i);
                transpose(rows, columns, from + (from_end ? (rows - 1) * from_row : 0),
                          from_end ? -from_row : from_row,
                          to + (to_end ? (columns - 1) * to_row : 0), to_end ? -to_row : to_row,
                          add);
                for (int64_t j = 0; j < columns; j++) {
                    for (int64_t i = 0; i < to_row; i++) {
                        int64_t row = from_end ? rows - 1 - i : i;
                        int64_t column = to_end ? columns - 1 - j : j;
                        real before = (real)(-(j * to_row + i));
                        real want = i >= rows ? before
                                              : from[row * from_row + column] + (add ? before : 0);
                        assert_true(to[j * to_row + i] == want);
                    }
                }
            }
        }
    }
}

CHECK_MAIN(cmocka_unit_test(test_every_element))
