// Files of ours are plain HDF5: libhdf5 reads in them what was written, and what posgrad once wrote
// with libhdf5 is still read.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hdf5.h>
#include <hdf5_hl.h>

#include "../../autograd/base/err.h"
#include "../../src/io/h5file.h"
#include "../../src/io/seal.h"
#include "../support/check.h"

enum { LAYERS = 300, ATTRIBUTES = 40 };

static const float f32[6] = {1, -2.5F, 3.25e-30F, 0x1p-149F, -0.0F, 1e38F};
static const int64_t two_three[] = {2, 3}, offsets[3] = {-1, 0, 1}, layers[2] = {0, 1};
static const int32_t i32[3] = {INT32_MIN, 0, INT32_MAX};
static const double f64 = 1.0 / 3;

static int set_up(void **state)
{
    static char folder[64];
    strcpy(folder, "/tmp/posgrad-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    *state = folder;
    return 0;
}

static int tear_down(void **state)
{
    unlink("file.h5");
    return rmdir(*state);
}

static void write_ours(const char *path)
{
    const int64_t three = 3, two = 2, none[] = {0, 5};
    char name[64];
    struct h5_writer *writer = h5_writer_new();
    assert_non_null(writer);
    h5_write_lent(writer, "/tables/bias", H5FILE_F32, 2, two_three, f32);
    h5_write(writer, "/scales/offset", H5FILE_I64, 1, &three, offsets);
    h5_write(writer, "/scales/layer", H5FILE_I64, 1, &two, layers);
    h5_write(writer, "/tables/half", H5FILE_F32, 2, two_three, f32);
    h5_attach_scale(writer, "/tables/bias", 0, "layer", "/scales/layer");
    h5_attach_scale(writer, "/tables/bias", 1, "offset", "/scales/offset");
    h5_attach_scale(writer, "/tables/half", 1, "offset", "/scales/offset");
    h5_write(writer, "/scalar", H5FILE_F64, 0, NULL, &f64);
    h5_write(writer, "/none", H5FILE_F64, 2, none, NULL);
    h5_write_text(writer, "/config", "{\"note\": \"\xc3\xa9\"}");
    for (int i = 0; i < LAYERS; i++) {
        snprintf(name, sizeof name, "/layers/%d/bias", i);
        h5_write(writer, name, H5FILE_I32, 1, &three, i32);
    }
    for (int i = 0; i < ATTRIBUTES; i++) {
        snprintf(name, sizeof name, "attribute%d", i);
        h5_attr_int(writer, "/layers", name, i);
    }
    h5_attr_text(writer, "/", "format", "posgrad");
    h5_attr_real(writer, "/", "norm", f64);
    check_ok(h5_writer_publish(writer, path));
    h5_writer_free(writer);
}

// --- libhdf5 reads it

static void same(hid_t file, const char *path, hid_t type, hid_t memory, const void *wanted,
                 size_t size)
{
    unsigned char found[64];
    hid_t set = H5Dopen2(file, path, H5P_DEFAULT), has = set < 0 ? -1 : H5Dget_type(set);
    assert_true(set >= 0 && size <= sizeof found);
    assert_true(H5Tequal(has, type) > 0);
    assert_true(H5Dread(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, found) >= 0);
    assert_memory_equal(found, wanted, size);
    assert_true(H5Tclose(has) >= 0 && H5Dclose(set) >= 0);
}

static void check_axis(hid_t set, unsigned axis, const char *label, hid_t scale)
{
    char found[16] = "";
    assert_int_equal(H5DSget_label(set, axis, found, sizeof found), strlen(label));
    assert_string_equal(found, label);
    assert_int_equal(H5DSget_num_scales(set, axis), scale >= 0);
    if (scale >= 0)
        assert_true(H5DSis_attached(set, scale, axis) > 0);
}

static void check_scales(hid_t file)
{
    char name[16];
    hid_t bias = H5Dopen2(file, "/tables/bias", H5P_DEFAULT);
    hid_t half = H5Dopen2(file, "/tables/half", H5P_DEFAULT);
    hid_t offset = H5Dopen2(file, "/scales/offset", H5P_DEFAULT);
    hid_t layer = H5Dopen2(file, "/scales/layer", H5P_DEFAULT);
    assert_true(H5DSis_scale(offset) > 0 && H5DSis_scale(layer) > 0 && H5DSis_scale(bias) == 0);
    assert_int_equal(H5DSget_scale_name(offset, name, sizeof name), 6);
    assert_string_equal(name, "offset");
    check_axis(bias, 0, "layer", layer);
    check_axis(bias, 1, "offset", offset);
    check_axis(half, 0, "", -1);
    check_axis(half, 1, "offset", offset);
    H5Dclose(bias);
    H5Dclose(half);
    H5Dclose(offset);
    H5Dclose(layer);
}

static void check_attributes(hid_t file)
{
    H5O_info_t info;
    hid_t group = H5Gopen2(file, "/layers", H5P_DEFAULT);
    hid_t attribute = H5Aopen(group, "attribute39", H5P_DEFAULT);
    int64_t value = 0;
    double norm = 0;
    char format[8] = "";
    assert_true(H5Oget_info2(group, &info, H5O_INFO_ALL) >= 0);
    assert_int_equal(info.num_attrs, ATTRIBUTES);
    assert_true(H5Aread(attribute, H5T_NATIVE_INT64, &value) >= 0);
    assert_int_equal(value, 39);
    assert_true(H5Aclose(attribute) >= 0 && H5Gclose(group) >= 0);
    assert_true(H5LTget_attribute_double(file, "/", "norm", &norm) >= 0);
    assert_true(norm == f64);
    assert_true(H5LTget_attribute_string(file, "/", "format", format) >= 0);
    assert_string_equal(format, "posgrad");
}

static herr_t count(hid_t object, const char *name, const H5O_info_t *info, void *context)
{
    (void)object;
    (void)name;
    (void)info;
    ++*(int *)context;
    return 0;
}

static void test_libhdf5_reads_ours(void **state)
{
    (void)state;
    int objects = 0;
    write_ours("file.h5");
    hid_t file = H5Fopen("file.h5", H5F_ACC_RDONLY, H5P_DEFAULT); // it checks all checksums
    assert_true(file >= 0);
    assert_true(H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, count, &objects, H5O_INFO_ALL) >= 0);
    assert_int_equal(objects, 4 + 7 + 2 * LAYERS);
    same(file, "/tables/bias", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, f32, sizeof f32);
    same(file, "/tables/half", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, f32, sizeof f32);
    same(file, "/scales/offset", H5T_STD_I64LE, H5T_NATIVE_INT64, offsets, sizeof offsets);
    same(file, "/scalar", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &f64, sizeof f64);
    same(file, "/layers/299/bias", H5T_STD_I32LE, H5T_NATIVE_INT32, i32, sizeof i32);
    hid_t set = H5Dopen2(file, "/none", H5P_DEFAULT), space = H5Dget_space(set);
    assert_int_equal(H5Sget_simple_extent_npoints(space), 0);
    H5Sclose(space);
    H5Dclose(set);
    char text[32] = "";
    assert_true(H5LTread_dataset_string(file, "/config", text) >= 0);
    assert_string_equal(text, "{\"note\": \"\xc3\xa9\"}");
    check_scales(file);
    check_attributes(file);
    assert_true(H5Fclose(file) >= 0);
}

// Others may add to a file of ours; it is then theirs.
static void test_libhdf5_goes_on_with_ours(void **state)
{
    (void)state;
    int64_t one = 1;
    write_ours("file.h5");
    hid_t file = H5Fopen("file.h5", H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0);
    assert_true(H5LTset_attribute_long(file, "/layers", "more", &one, 1) >= 0);
    assert_true(H5LTmake_dataset_float(file, "/layers/more", 0, NULL, f32) >= 0);
    assert_true(H5Ldelete(file, "/layers/7", H5P_DEFAULT) >= 0);
    assert_true(H5Fclose(file) >= 0);
    int objects = 0;
    file = H5Fopen("file.h5", H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, count, &objects, H5O_INFO_ALL) >= 0);
    assert_int_equal(objects, 4 + 7 + 2 * LAYERS - 2 + 1);
    assert_true(H5Fclose(file) >= 0);
    assert_null(h5_reader_open("file.h5"));
}

// --- what posgrad wrote with libhdf5: many links and attributes lie in heaps

static hid_t plan(hid_t class)
{
    hid_t list = H5Pcreate(class);
    assert_true(list >= 0 && H5Pset_obj_track_times(list, false) >= 0);
    return list;
}

static void put(hid_t file, const char *path, hid_t type, int dims, const hsize_t *size,
                const void *data)
{
    hid_t list = plan(H5P_DATASET_CREATE), links = H5Pcreate(H5P_LINK_CREATE);
    hid_t space = dims ? H5Screate_simple(dims, size, NULL) : H5Screate(H5S_SCALAR);
    assert_true(H5Pset_fill_time(list, H5D_FILL_TIME_NEVER) >= 0);
    assert_true(H5Pset_char_encoding(links, H5T_CSET_UTF8) >= 0);
    hid_t set = H5Dcreate2(file, path, type, space, links, list, H5P_DEFAULT);
    assert_true(set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    assert_true(H5Dclose(set) >= 0 && H5Sclose(space) >= 0 && H5Pclose(list) >= 0 &&
                H5Pclose(links) >= 0);
}

static void group(hid_t file, const char *path)
{
    hid_t list = plan(H5P_GROUP_CREATE);
    hid_t made = H5Gcreate2(file, path, H5P_DEFAULT, list, H5P_DEFAULT);
    assert_true(made >= 0 && H5Gclose(made) >= 0 && H5Pclose(list) >= 0);
}

static hid_t text_type(size_t size)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    assert_true(H5Tset_size(type, size) >= 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0 &&
                H5Tset_cset(type, H5T_CSET_UTF8) >= 0);
    return type;
}

static void put_attributes(hid_t file)
{
    char name[64];
    hid_t scalar = H5Screate(H5S_SCALAR), type = text_type(7), attribute;
    for (int i = 0; i < ATTRIBUTES; i++) {
        int64_t value = i;
        snprintf(name, sizeof name, "attribute%d", i);
        attribute = H5Acreate2(file, name, H5T_STD_I64LE, scalar, H5P_DEFAULT, H5P_DEFAULT);
        assert_true(attribute >= 0 && H5Awrite(attribute, H5T_NATIVE_INT64, &value) >= 0);
        H5Aclose(attribute);
    }
    attribute = H5Acreate2(file, "format", type, scalar, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(attribute >= 0 && H5Awrite(attribute, type, "posgrad") >= 0);
    H5Aclose(attribute);
    H5Sclose(scalar);
    H5Tclose(type);
}

static void put_scales(hid_t file)
{
    const hsize_t size[] = {2, 3};
    put(file, "bias", H5T_IEEE_F32LE, 2, size, f32);
    put(file, "offset", H5T_STD_I64LE, 1, &size[1], offsets);
    hid_t bias = H5Dopen2(file, "bias", H5P_DEFAULT);
    hid_t offset = H5Dopen2(file, "offset", H5P_DEFAULT);
    assert_true(H5DSset_scale(offset, "offset") >= 0 && H5DSattach_scale(bias, offset, 1) >= 0 &&
                H5DSset_label(bias, 1, "offset") >= 0);
    H5Dclose(bias);
    H5Dclose(offset);
}

static void write_old(const char *path, int members)
{
    const hsize_t three = 3;
    hid_t how = plan(H5P_FILE_CREATE), access = H5Pcreate(H5P_FILE_ACCESS);
    assert_true(H5Pset_userblock(how, SEAL_SIZE) >= 0);
    assert_true(H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18) >= 0);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, how, access);
    assert_true(file >= 0);
    group(file, "/many");
    for (int i = 0; i < members; i++) {
        char name[64];
        int32_t values[3] = {i, 2 * i, 3 * i};
        snprintf(name, sizeof name, "/many/%d", i);
        group(file, name);
        snprintf(name, sizeof name, "/many/%d/values", i);
        put(file, name, H5T_STD_I32LE, 1, &three, values);
    }
    put_attributes(file);
    put_scales(file);
    hid_t type = text_type(5);
    put(file, "config", type, 0, NULL, "hello");
    H5Tclose(type);
    assert_true(H5Pclose(how) >= 0 && H5Pclose(access) >= 0 && H5Fclose(file) >= 0);
    char *bytes;
    size_t size;
    check_ok(file_read(path, 1 << 24, &bytes, &size));
    seal_write((unsigned char *)bytes, size);
    check_ok(file_publish(path, bytes, size));
    free(bytes);
}

static int count_sets(void *context, const char *path)
{
    (void)path;
    ++*(int *)context;
    return 0;
}

static void check_old(struct h5_reader *reader, int members)
{
    char name[64];
    int64_t value = 0;
    int32_t values[3];
    for (int i = 0; i < members; i++) {
        snprintf(name, sizeof name, "/many/%d/values", i);
        check_ok(h5_read(reader, name, H5FILE_I32, 3, values));
        assert_true(values[0] == i && values[1] == 2 * i && values[2] == 3 * i);
    }
    for (int i = 0; i < ATTRIBUTES; i++) {
        snprintf(name, sizeof name, "attribute%d", i);
        check_ok(h5_read_attr_int(reader, "/", name, &value));
        assert_int_equal(value, i);
    }
    int sets = 0;
    check_ok(h5_walk(reader, "/", count_sets, &sets));
    assert_int_equal(sets, members + 3);
}

static void check_text(char *text, const char *wanted)
{
    if (!text)
        fail_msg("%s", err_last());
    assert_string_equal(text, wanted);
    free(text);
}

// From links in the header over one block of a heap and one leaf of a tree to many of both.
static void test_old_files_are_read(void **state)
{
    static const int members[] = {3, 8, 9, 20, 60, 200, 1000};
    (void)state;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        float bias[6];
        write_old("file.h5", members[i]);
        struct h5_reader *reader = h5_reader_open("file.h5");
        if (!reader)
            fail_msg("%s", err_last());
        check_old(reader, members[i]);
        check_ok(h5_read(reader, "/bias", H5FILE_F32, 6, bias));
        assert_memory_equal(bias, f32, sizeof f32);
        check_text(h5_read_text(reader, "/config"), "hello");
        check_text(h5_read_attr_text(reader, "/", "format"), "posgrad");
        check_text(h5_read_axis(reader, "/bias", 1), "offset");
        assert_null(h5_read_axis(reader, "/bias", 0));
        h5_reader_close(reader);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_libhdf5_reads_ours),
        cmocka_unit_test(test_libhdf5_goes_on_with_ours),
        cmocka_unit_test(test_old_files_are_read),
    };
    return cmocka_run_group_tests_name("plain HDF5", tests, set_up, tear_down) != 0;
}
