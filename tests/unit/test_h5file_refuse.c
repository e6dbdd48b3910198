// Files with a right digest that posgrad did not write: what could make libhdf5 open another file,
// or believe a false size, is refused by the reader.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hdf5.h>

#include "../../autograd/base/err.h"
#include "../../src/io/h5file.h"
#include "../../src/io/seal.h"
#include "../support/check.h"

struct fixture {
    char folder[64], path[96], other[96];
};

static const float numbers[4] = {1, 2, 3, 4};

static hid_t plan_of(H5D_layout_t layout)
{
    hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
    assert_true(plan >= 0 && H5Pset_layout(plan, layout) >= 0);
    return plan;
}

static void put(hid_t file, const char *name, hid_t type, const void *data, hid_t plan)
{
    const hsize_t four = 4;
    hid_t space = H5Screate_simple(1, &four, NULL);
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    assert_true(set >= 0);
    if (data)
        assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Dclose(set);
    H5Sclose(space);
    if (plan != H5P_DEFAULT)
        H5Pclose(plan);
}

static void put_layouts(hid_t file, const char *other)
{
    const hsize_t two = 2, four = 4;
    hid_t plan = plan_of(H5D_CHUNKED);
    H5Pset_chunk(plan, 1, &two);
    put(file, "chunked", H5T_NATIVE_FLOAT, numbers, plan);
    plan = plan_of(H5D_CHUNKED);
    H5Pset_chunk(plan, 1, &two);
    H5Pset_fletcher32(plan);
    put(file, "filtered", H5T_NATIVE_FLOAT, numbers, plan);
    put(file, "compact", H5T_NATIVE_FLOAT, numbers, plan_of(H5D_COMPACT));
    plan = plan_of(H5D_CONTIGUOUS);
    assert_true(H5Pset_external(plan, other, 0, sizeof numbers) >= 0);
    put(file, "external", H5T_NATIVE_FLOAT, NULL, plan);
    plan = plan_of(H5D_VIRTUAL);
    hid_t space = H5Screate_simple(1, &four, NULL);
    assert_true(H5Pset_virtual(plan, space, other, "/good", space) >= 0);
    H5Sclose(space);
    put(file, "virtual", H5T_NATIVE_FLOAT, NULL, plan);
    put(file, "unwritten", H5T_NATIVE_FLOAT, NULL, H5P_DEFAULT); // has a size and no bytes
}

static void put_links(hid_t file, const char *other)
{
    hid_t group = H5Gcreate2(file, "links", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(group >= 0);
    assert_true(H5Lcreate_soft("/good", group, "soft", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    assert_true(H5Lcreate_external(other, "/good", group, "elsewhere", H5P_DEFAULT, H5P_DEFAULT) >=
                0);
    H5Gclose(group);
    assert_true(H5Lcreate_soft("/inner", file, "soft-group", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    group = H5Gcreate2(file, "inner", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    put(group, "good", H5T_NATIVE_FLOAT, numbers, H5P_DEFAULT);
    assert_true(H5Lcreate_hard(file, "/inner", group, "circle", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    H5Gclose(group);
}

static void put_texts(hid_t file)
{
    const char *words[4] = {"a", "b", "c", "d"};
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    put(file, "words", type, words, H5P_DEFAULT);
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(file, "word", type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(attribute >= 0 && H5Awrite(attribute, type, words) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}

// Puts a right user block on the file, as somebody who knows its form would.
static void seal(const char *path)
{
    char *bytes;
    size_t size;
    check_ok(file_read(path, 1 << 24, &bytes, &size));
    seal_write((unsigned char *)bytes, size);
    check_ok(file_publish(path, bytes, size));
    free(bytes);
}

static int set_up(void **state)
{
    static struct fixture f;
    strcpy(f.folder, "/tmp/posgrad-test-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    snprintf(f.path, sizeof f.path, "%s/file.h5", f.folder);
    snprintf(f.other, sizeof f.other, "%s/other.h5", f.folder);
    check_ok(file_publish(f.other, "0123456789abcdef", 16));
    hid_t create = H5Pcreate(H5P_FILE_CREATE);
    assert_true(H5Pset_userblock(create, SEAL_SIZE) >= 0);
    hid_t file = H5Fcreate(f.path, H5F_ACC_TRUNC, create, H5P_DEFAULT);
    assert_true(file >= 0);
    put(file, "good", H5T_NATIVE_FLOAT, numbers, H5P_DEFAULT);
    put(file, "big-endian", H5T_IEEE_F32BE, NULL, H5P_DEFAULT);
    put_layouts(file, f.other);
    put_links(file, f.other);
    put_texts(file);
    assert_true(H5Fclose(file) >= 0);
    H5Pclose(create);
    seal(f.path);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    unlink(f->path);
    unlink(f->other);
    return rmdir(f->folder);
}

static void test_only_plain_datasets_are_read(void **state)
{
    static const char *const bad[] = {"/chunked",         "/filtered",       "/compact",
                                      "/external",        "/virtual",        "/unwritten",
                                      "/big-endian",      "/words",          "/links/soft",
                                      "/links/elsewhere", "/soft-group/good"};
    struct fixture *f = *state;
    struct h5_reader *reader = h5_reader_open(f->path);
    if (!reader)
        fail_msg("%s", err_last());
    float found[4];
    check_ok(h5_read(reader, "/good", H5FILE_F32, 4, found));
    assert_memory_equal(found, numbers, sizeof found);
    check_ok(h5_read(reader, "/inner/good", H5FILE_F32, 4, found));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (h5_read(reader, bad[i], H5FILE_F32, 4, found) != ERR_FORMAT)
            fail_msg("%s was read", bad[i]);
    assert_null(h5_read_text(reader, "/words"));
    assert_null(h5_read_attr_text(reader, "/", "word"));
    assert_false(h5_has(reader, "/links/soft"));
    assert_false(h5_has(reader, "/soft-group/good"));
    h5_reader_close(reader);
}

static int count(void *context, const char *path)
{
    (void)path;
    return ++*(int *)context > 1000;
}

static void test_walks_end(void **state)
{
    struct fixture *f = *state;
    int visits = 0;
    struct h5_reader *reader = h5_reader_open(f->path);
    assert_non_null(reader);
    assert_int_equal(h5_walk(reader, "/inner", count, &visits), ERR_FORMAT); // goes in a circle
    assert_int_equal(h5_walk(reader, "/links", count, &visits), ERR_FORMAT);
    h5_reader_close(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_plain_datasets_are_read),
        cmocka_unit_test(test_walks_end),
    };
    return cmocka_run_group_tests_name("HDF5 that is refused", tests, set_up, tear_down) != 0;
}
