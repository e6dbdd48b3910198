// The reader of golden data refuses what is damaged: else a golden test could pass on nothing.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../support/check.h"
#include "../support/golden.h"

#define FILE_NAME "tests/golden/optimizers.bin"

static unsigned char *whole_file(size_t *size)
{
    enum { LIMIT = 1 << 16 };
    FILE *file = fopen(FILE_NAME, "rb");
    assert_non_null(file);
    unsigned char *bytes = malloc(LIMIT);
    assert_non_null(bytes);
    *size = fread(bytes, 1, LIMIT, file);
    assert_true(*size > 64 && *size < LIMIT);
    fclose(file);
    return bytes;
}

static void test_every_cut_is_refused(void **state)
{
    (void)state;
    size_t size;
    struct golden golden;
    unsigned char *bytes = whole_file(&size);
    assert_int_equal(golden_parse(&golden, "whole", bytes, size), 0);
    golden_release(&golden);
    for (size_t n = 0; n < size; n++)
        assert_true(golden_parse(&golden, "cut", bytes, n) < 0);
    bytes[size] = 0;
    assert_true(golden_parse(&golden, "one byte more", bytes, size + 1) < 0);
    free(bytes);
}

static void test_damage_is_survived(void **state)
{
    (void)state;
    size_t size;
    struct golden golden;
    unsigned char *bytes = whole_file(&size);
    for (size_t n = 0; n < 256; n++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[n] ^= (unsigned char)(1 << bit);
            if (golden_parse(&golden, "flipped", bytes, size) == 0)
                golden_release(&golden); // a bit of a number or a name
            else if (n >= 16)
                assert_null(golden.bytes);
            if (n < 16)
                assert_null(golden.array); // magic, version and count are all needed
            bytes[n] ^= (unsigned char)(1 << bit);
        }
    }
    free(bytes);
}

// One array of floats, `name` "x", of three numbers.
struct single_file {
    char magic[8];
    uint32_t version, arrays, name_size, type, dims, zero;
    int64_t size;
    char name[8];
    float number[4]; // the last is padding
};

static void test_floats_are_read(void **state)
{
    (void)state;
    struct single_file file = {"PGGOLDEN", 1, 1, 1, GOLDEN_SINGLE, 1, 0, 3, "x", {1.5f, -2, 0.1f}};
    struct golden golden;
    check_ok(golden_parse(&golden, "floats", &file, sizeof file));
    const struct golden_array *array = golden_get(&golden, NULL, "x", GOLDEN_SINGLE);
    assert_int_equal(array->count, 3);
    assert_true(golden_value(array, 0) == 1.5 && golden_value(array, 1) == -2);
    assert_true(golden_value(array, 2) == (double)0.1f);
    golden_release(&golden);
    file.number[2] = (float)NAN;
    check_error(golden_parse(&golden, "not finite", &file, sizeof file), ERR_FORMAT, "not finite");
    file.number[2] = 0;
    file.number[3] = 1;
    assert_true(golden_parse(&golden, "padding", &file, sizeof file) < 0);
    file.number[3] = 0;
    file.type = GOLDEN_SINGLE + 1;
    check_error(golden_parse(&golden, "type", &file, sizeof file), ERR_FORMAT, "unknown type");
}

static void test_errors_are_never_nan(void **state)
{
    (void)state;
    const double reference[] = {1, -4, 0}, zeros[] = {0, 0};
    const real right[] = {1, -4, 0}, wrong[] = {1, -4, 1}, lost[] = {(real)NAN, -4, 0};
    const real infinite[] = {1, -4, (real)INFINITY};
    assert_true(golden_error(reference, 3, right, 0) == 0);
    assert_true(golden_error(reference, 3, wrong, 0) == 0.25);
    assert_true(isinf(golden_error(reference, 3, lost, 0)));
    assert_true(isinf(golden_error(reference, 3, infinite, 0)));
    assert_true(golden_error(zeros, 1, right + 2, 0) == 0);
    assert_true(isinf(golden_error(zeros, 2, wrong, 0)));
    assert_true(golden_error(zeros, 2, wrong, 8) == 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cut_is_refused),
        cmocka_unit_test(test_damage_is_survived),
        cmocka_unit_test(test_floats_are_read),
        cmocka_unit_test(test_errors_are_never_nan),
    };
    return cmocka_run_group_tests_name("the reader of golden data", tests, NULL, NULL);
}
