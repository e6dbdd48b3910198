// The folder of the embedding projector, byte for byte.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../src/io/export.h"
#include "../../src/io/h5file.h"
#include "../support/check.h"
#include "../support/folder.h"

static char base[] = "/tmp/posgrad-projector-XXXXXX";
static const float numbers[8] = {1, -0.1f, 1.0f / 3, 16777217.0f, 0, -0.0f, 1e-30f, 2};
static const int64_t offsets[2] = {-1, 1};

static const struct export_format *format(void)
{
    const struct export_format *found = export_format_find("projector");
    assert_non_null(found);
    return found;
}

static const char *folder(void)
{
    static char path[64];
    snprintf(path, sizeof path, "%s/out", base);
    return path;
}

static void expect_file(const char *name, const char *wanted)
{
    char path[128], *text;
    size_t size;
    snprintf(path, sizeof path, "%s/%s", folder(), name);
    if (file_read(path, 1 << 20, &text, &size) < 0)
        fail_msg("%s", err_last());
    assert_string_equal(text, wanted);
    free(text);
}

static void a_row_a_position(void **state)
{
    (void)state;
    const struct export_array table = {.name = "position_table",
                                       .dims = 2,
                                       .size = {2, 4},
                                       .axis = {"position", "channel"},
                                       .data = numbers};
    const struct export_set set = {.arrays = 1, .array = &table};
    check_ok(export_write_folder(&set, format(), folder(), false));
    expect_file("projector_config.pbtxt", "embeddings {\n"
                                          "  tensor_name: \"position_table\"\n"
                                          "  tensor_shape: 2\n"
                                          "  tensor_shape: 4\n"
                                          "  tensor_path: \"tensors.tsv\"\n"
                                          "  metadata_path: \"metadata.tsv\"\n"
                                          "}\n");
    expect_file("tensors.tsv", "1\t-0.100000001\t0.333333343\t16777216\n"
                               "0\t-0\t1e-30\t2\n");
    expect_file("metadata.tsv", "0\n1\n");
    check_error(export_write_folder(&set, format(), folder(), false), ERR_FILE, "--overwrite");
}

// Rows of several axes, names that mean something to the formats, and a folder that is replaced.
static void a_row_of_several_axes(void **state)
{
    (void)state;
    const struct export_array table = {.name = "relative\"key\\\n",
                                       .dims = 3,
                                       .size = {2, 2, 2},
                                       .axis = {"layer", "off\tset", "channel"},
                                       .coordinate = {NULL, offsets, NULL},
                                       .data = numbers};
    const struct export_set set = {.arrays = 1, .array = &table};
    check_ok(export_write_folder(&set, format(), folder(), true));
    expect_file("projector_config.pbtxt", "embeddings {\n"
                                          "  tensor_name: \"relative\\\"key\\\\\\012\"\n"
                                          "  tensor_shape: 4\n"
                                          "  tensor_shape: 2\n"
                                          "  tensor_path: \"tensors.tsv\"\n"
                                          "  metadata_path: \"metadata.tsv\"\n"
                                          "}\n");
    expect_file("tensors.tsv", "1\t-0.100000001\n0.333333343\t16777216\n0\t-0\n"
                               "1e-30\t2\n");
    expect_file("metadata.tsv", "label\tlayer\toff set\n"
                                "layer 0, off set -1\t0\t-1\n"
                                "layer 0, off set 1\t0\t1\n"
                                "layer 1, off set -1\t1\t-1\n"
                                "layer 1, off set 1\t1\t1\n");
}

static void refusals(void **state)
{
    (void)state;
    float broken[] = {1, (float)NAN};
    struct export_array table[] = {{.name = "slopes", .dims = 1, .size = {8}, .data = numbers},
                                   {.name = "slopes", .dims = 1, .size = {8}, .data = numbers}};
    struct export_set set = {.arrays = 1, .array = table};
    char path[64];
    snprintf(path, sizeof path, "%s/never", base);
    check_error(export_write_folder(&set, format(), path, false), ERR_ARGUMENT, "no rows");
    table[0].dims = 2;
    table[0].size[1] = 0;
    check_error(export_write_folder(&set, format(), path, false), ERR_ARGUMENT, "no rows");
    table[0].size[0] = 1;
    table[0].size[1] = 2;
    table[0].data = broken;
    check_error(export_write_folder(&set, format(), path, false), ERR_NUMBER, "slopes holds NaN");
    set.arrays = 2;
    check_error(export_write_folder(&set, format(), path, false), ERR_ARGUMENT, "not 2");
    assert_int_equal(access(path, F_OK), -1);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(base) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return folder_remove(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_a_position),
        cmocka_unit_test(a_row_of_several_axes),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down) != 0;
}
