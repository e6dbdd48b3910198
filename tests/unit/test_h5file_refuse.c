// HDF5 files with a right digest that posgrad did not write: whatever libhdf5 can make that could
// lead to another file, to a false size or round in circles is refused, by name, when the file is
// opened.
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
    hid_t file;
};

static const float numbers[4] = {1, 2, 3, 4};
static const hsize_t four = 4;

// --- making files

// Links and datasets as posgrad's: no times, so that nothing but what a test adds is strange.
static hid_t plan(hid_t class)
{
    hid_t list = H5Pcreate(class);
    assert_true(list >= 0 && H5Pset_obj_track_times(list, false) >= 0);
    return list;
}

static hid_t data_plan(void)
{
    return plan(H5P_DATASET_CREATE);
}

static void put_in(hid_t place, const char *name, hid_t type, const void *data, hid_t list)
{
    hid_t space = H5Screate_simple(1, &four, NULL);
    hid_t set = H5Dcreate2(place, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    assert_true(set >= 0);
    if (data)
        assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    assert_true(H5Dclose(set) >= 0 && H5Sclose(space) >= 0 && H5Pclose(list) >= 0);
}

static hid_t group(hid_t place, const char *name)
{
    hid_t list = plan(H5P_GROUP_CREATE);
    hid_t made = H5Gcreate2(place, name, H5P_DEFAULT, list, H5P_DEFAULT);
    assert_true(made >= 0 && H5Pclose(list) >= 0);
    return made;
}

static void attribute(hid_t place, const char *name, hid_t type, hid_t space, const void *data)
{
    hid_t made = H5Acreate2(place, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(made >= 0);
    if (data)
        assert_true(H5Awrite(made, type, data) >= 0);
    assert_true(H5Aclose(made) >= 0 && H5Sclose(space) >= 0);
}

static hid_t create(const char *path, H5F_libver_t version, bool times)
{
    hid_t how = H5Pcreate(H5P_FILE_CREATE), access = H5Pcreate(H5P_FILE_ACCESS);
    assert_true(H5Pset_userblock(how, SEAL_SIZE) >= 0);
    assert_true(H5Pset_obj_track_times(how, times) >= 0);
    assert_true(H5Pset_libver_bounds(access, version, H5F_LIBVER_V110) >= 0);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, how, access);
    assert_true(file >= 0 && H5Pclose(how) >= 0 && H5Pclose(access) >= 0);
    return file;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->folder, "/tmp/posgrad-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/file.h5", f->folder);
    snprintf(f->other, sizeof f->other, "%s/other.h5", f->folder);
    check_ok(file_publish(f->other, "0123456789abcdef", 16));
    f->file = create(f->path, H5F_LIBVER_V18, false);
    put_in(f->file, "good", H5T_NATIVE_FLOAT, numbers, data_plan());
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    unlink(f->path);
    unlink(f->other);
    int result = rmdir(f->folder);
    free(f);
    return result;
}

// Ends the file and puts a right user block on it, as somebody who knows its form would.
static void seal(struct fixture *f)
{
    char *bytes;
    size_t size;
    assert_true(H5Fclose(f->file) >= 0);
    check_ok(file_read(f->path, 1 << 24, &bytes, &size));
    seal_write((unsigned char *)bytes, size);
    check_ok(file_publish(f->path, bytes, size));
    free(bytes);
}

static void refused(struct fixture *f, const char *words)
{
    seal(f);
    struct h5_reader *reader = h5_reader_open(f->path);
    if (reader)
        fail_msg("a file was opened that should be refused: %s", words);
    if (!strstr(err_last(), words))
        fail_msg("'%s' is not in '%s'", words, err_last());
    assert_int_equal(err_code(), ERR_FORMAT);
    assert_non_null(strstr(err_last(), f->path));
    assert_null(strchr(err_last(), '\n'));
}

// Puts other bytes in the place of some in the sealed file, under a right digest again.
static void patch(struct fixture *f, const void *from, const void *to, size_t length)
{
    char *bytes;
    size_t size;
    check_ok(file_read(f->path, 1 << 24, &bytes, &size));
    char *at = memmem(bytes, size, from, length);
    assert_non_null(at);
    memcpy(at, to, length);
    seal_write((unsigned char *)bytes, size);
    check_ok(file_publish(f->path, bytes, size));
    free(bytes);
}

static void still_refused(struct fixture *f, const char *words)
{
    assert_null(h5_reader_open(f->path));
    if (!strstr(err_last(), words))
        fail_msg("'%s' is not in '%s'", words, err_last());
}

// The file again, without the message that counts the links to an object.
static void hide_link_count(struct fixture *f, const char *words)
{
    patch(f, "\x16\5\0\4\0\2\0\0\0", "\0\5\0\4\0\2\0\0\0", 9);
    still_refused(f, words);
}

// Nothing strange: so it is what the other tests add that is refused.
static void test_the_rest_is_good(void **state)
{
    struct fixture *f = *state;
    float found[4];
    hid_t inner = group(f->file, "inner");
    put_in(inner, "good", H5T_NATIVE_FLOAT, numbers, data_plan());
    assert_true(H5Gclose(inner) >= 0);
    seal(f);
    struct h5_reader *reader = h5_reader_open(f->path);
    if (!reader)
        fail_msg("%s", err_last());
    check_ok(h5_read(reader, "/inner/good", H5FILE_F32, 4, found));
    assert_memory_equal(found, numbers, sizeof found);
    h5_reader_close(reader);
}

// --- links

static void test_external_link(void **state)
{
    struct fixture *f = *state;
    assert_true(H5Lcreate_external(f->other, "/good", f->file, "x", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    refused(f, "/ has an external link");
}

static void test_soft_link(void **state)
{
    struct fixture *f = *state;
    assert_true(H5Lcreate_soft("/good", f->file, "soft", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    refused(f, "/ has a soft link");
}

static void test_soft_link_loop(void **state)
{
    struct fixture *f = *state;
    hid_t params = group(f->file, "params");
    assert_true(H5Lcreate_soft("/params/b", params, "a", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    assert_true(H5Lcreate_soft("/params/a", params, "b", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    assert_true(H5Gclose(params) >= 0);
    refused(f, "/params has a soft link");
}

static void test_hard_link_circle(void **state)
{
    struct fixture *f = *state;
    hid_t inner = group(f->file, "inner");
    assert_true(H5Lcreate_hard(f->file, "/inner", inner, "circle", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    assert_true(H5Gclose(inner) >= 0);
    refused(f, "/inner is linked more than once");
    hide_link_count(f, "is linked twice");
}

static void test_two_links_to_one_dataset(void **state)
{
    struct fixture *f = *state;
    assert_true(H5Lcreate_hard(f->file, "/good", f->file, "again", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    refused(f, "is linked more than once");
    hide_link_count(f, "is linked twice");
}

static hid_t follow(const char *name, hid_t group_at, const void *value, size_t size, hid_t list,
                    hid_t access)
{
    (void)name;
    (void)group_at;
    (void)value;
    (void)size;
    (void)list;
    (void)access;
    return -1;
}

static void test_link_of_a_kind_of_its_own(void **state)
{
    static const H5L_class_t class = {
        .version = H5L_LINK_CLASS_T_VERS, .id = (H5L_type_t)100, .trav_func = follow};
    struct fixture *f = *state;
    assert_true(H5Lregister(&class) >= 0);
    assert_true(H5Lcreate_ud(f->file, "own", (H5L_type_t)100, "0123456789", 10, H5P_DEFAULT,
                             H5P_DEFAULT) >= 0);
    refused(f, "/ has a link of a kind");
}

static void test_many_soft_links(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 30; i++) { // enough for a heap and a B-tree
        char name[16];
        snprintf(name, sizeof name, "soft%d", i);
        assert_true(H5Lcreate_soft("/good", f->file, name, H5P_DEFAULT, H5P_DEFAULT) >= 0);
    }
    refused(f, "/ has a soft link");
}

static void test_deep_groups(void **state)
{
    struct fixture *f = *state;
    hid_t at = f->file;
    for (int i = 0; i < 40; i++) {
        hid_t next = group(at, "deeper");
        if (at != f->file)
            H5Gclose(at);
        at = next;
    }
    H5Gclose(at);
    refused(f, "lies deeper than any group");
}

static void test_name_for_the_terminal(void **state)
{
    struct fixture *f = *state;
    put_in(f->file, "\033[2Jgood", H5T_NATIVE_FLOAT, numbers, data_plan());
    refused(f, "a link whose name is none");
}

static void test_names_that_lead_elsewhere(void **state)
{
    static const char *const names[] = {"\2..", "\2x/", "\2/x", "\2x"}; // the last ends in a NUL
    struct fixture *f = *state;
    put_in(f->file, "x-", H5T_NATIVE_FLOAT, numbers, data_plan());
    seal(f);
    for (int i = 0; i < 4; i++) {
        patch(f, i ? names[i - 1] : "\2x-", names[i], 3);
        still_refused(f, "a link whose name is none");
    }
}

static void test_name_of_the_group_itself(void **state)
{
    struct fixture *f = *state;
    put_in(f->file, "x", H5T_NATIVE_FLOAT, numbers, data_plan());
    seal(f);
    patch(f, "\1\0\1x", "\1\0\1.", 4);
    still_refused(f, "a link whose name is none");
}

// --- where data lies

static void test_external_storage(void **state)
{
    struct fixture *f = *state;
    hid_t list = data_plan();
    assert_true(H5Pset_external(list, f->other, 0, sizeof numbers) >= 0);
    put_in(f->file, "external", H5T_NATIVE_FLOAT, NULL, list);
    refused(f, "/external has its data in another file");
}

static void test_virtual_dataset(void **state)
{
    struct fixture *f = *state;
    hid_t list = data_plan(), space = H5Screate_simple(1, &four, NULL);
    assert_true(H5Pset_virtual(list, space, f->other, "/good", space) >= 0 && H5Sclose(space) >= 0);
    put_in(f->file, "virtual", H5T_NATIVE_FLOAT, NULL, list);
    refused(f, "/virtual is a virtual dataset");
}

static void test_chunked_dataset(void **state)
{
    struct fixture *f = *state;
    const hsize_t two = 2;
    hid_t list = data_plan();
    assert_true(H5Pset_chunk(list, 1, &two) >= 0);
    put_in(f->file, "chunked", H5T_NATIVE_FLOAT, numbers, list);
    refused(f, "/chunked is a chunked dataset");
}

static void test_two_datasets_in_one_place(void **state)
{
    struct fixture *f = *state;
    uint64_t place[2];
    for (int i = 0; i < 2; i++) {
        put_in(f->file, i ? "a" : "b", H5T_NATIVE_FLOAT, numbers, data_plan());
        hid_t set = H5Dopen2(f->file, i ? "a" : "b", H5P_DEFAULT);
        assert_true(H5Fflush(f->file, H5F_SCOPE_GLOBAL) >= 0);
        place[i] = H5Dget_offset(set) - SEAL_SIZE;
        assert_true(H5Dclose(set) >= 0);
    }
    seal(f);
    patch(f, &place[0], &place[1], 8);
    still_refused(f, "shares its bytes");
}

static void test_data_behind_the_end(void **state)
{
    struct fixture *f = *state;
    const uint64_t far[] = {UINT64_MAX - 7, (uint64_t)1 << 40};
    put_in(f->file, "x", H5T_NATIVE_FLOAT, numbers, data_plan());
    hid_t set = H5Dopen2(f->file, "x", H5P_DEFAULT);
    uint64_t place = H5Dget_offset(set) - SEAL_SIZE;
    assert_true(H5Dclose(set) >= 0);
    seal(f);
    patch(f, &place, &far[0], 8);
    still_refused(f, "/x has its data outside the file");
    patch(f, &far[0], &far[1], 8);
    still_refused(f, "/x has its data outside the file");
}

// Declares 4 TB and stores nothing.
static void test_shape_bomb(void **state)
{
    struct fixture *f = *state;
    const hsize_t huge = (hsize_t)1 << 40, two = 2;
    hid_t list = data_plan(), space = H5Screate_simple(1, &huge, NULL);
    assert_true(H5Pset_chunk(list, 1, &two) >= 0);
    hid_t set =
        H5Dcreate2(f->file, "bomb", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, list, H5P_DEFAULT);
    assert_true(set >= 0 && H5Dclose(set) >= 0 && H5Sclose(space) >= 0 && H5Pclose(list) >= 0);
    refused(f, "/bomb is a chunked dataset");
}

static void test_shape_bomb_in_place(void **state)
{
    struct fixture *f = *state;
    const hsize_t huge = (hsize_t)1 << 40;
    hid_t list = data_plan(), space = H5Screate_simple(1, &huge, NULL);
    hid_t set =
        H5Dcreate2(f->file, "bomb", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, list, H5P_DEFAULT);
    assert_true(set >= 0 && H5Dclose(set) >= 0 && H5Sclose(space) >= 0 && H5Pclose(list) >= 0);
    refused(f, "/bomb does not hold what its size says");
}

static void test_compact_dataset(void **state)
{
    struct fixture *f = *state;
    hid_t list = data_plan();
    assert_true(H5Pset_layout(list, H5D_COMPACT) >= 0);
    put_in(f->file, "compact", H5T_NATIVE_FLOAT, numbers, list);
    refused(f, "/compact is a compact dataset");
}

static void test_size_without_bytes(void **state)
{
    struct fixture *f = *state;
    put_in(f->file, "unwritten", H5T_NATIVE_FLOAT, NULL, data_plan());
    refused(f, "/unwritten does not hold what its size says");
}

static void test_filter(void **state)
{
    struct fixture *f = *state;
    const hsize_t two = 2;
    hid_t list = data_plan();
    assert_true(H5Pset_chunk(list, 1, &two) >= 0 && H5Pset_fletcher32(list) >= 0);
    put_in(f->file, "filtered", H5T_NATIVE_FLOAT, numbers, list);
    refused(f, "/filtered has filters");
}

static size_t pass(unsigned flags, size_t count, const unsigned values[], size_t size, size_t *room,
                   void **bytes)
{
    (void)flags;
    (void)count;
    (void)values;
    (void)room;
    (void)bytes;
    return size;
}

// A filter that libhdf5 would look for among its plugins, code of anybody.
static void test_filter_plugin(void **state)
{
    enum { NUMBER = 32015 };
    static const H5Z_class2_t class = {H5Z_CLASS_T_VERS, NUMBER, 1, 1, "plugin", NULL, NULL, pass};
    struct fixture *f = *state;
    const hsize_t two = 2;
    hid_t list = data_plan();
    assert_true(H5Zregister(&class) >= 0 && H5Pset_chunk(list, 1, &two) >= 0);
    assert_true(H5Pset_filter(list, NUMBER, H5Z_FLAG_MANDATORY, 0, NULL) >= 0);
    put_in(f->file, "plugin", H5T_NATIVE_FLOAT, numbers, list);
    assert_true(H5Zunregister(NUMBER) >= 0);
    refused(f, "/plugin has filters");
}

// --- types

static void test_types_of_others(void **state)
{
    struct fixture *f = *state;
    const hid_t types[] = {H5T_IEEE_F32BE, H5T_STD_U32LE,  H5T_STD_I16LE,  H5T_STD_I64BE,
                           H5T_STD_B32LE,  H5T_UNIX_D32LE, H5T_STD_REF_OBJ};
    enum { TYPES = sizeof types / sizeof types[0] };
    for (int i = 0; i < TYPES; i++) {
        if (i > 0)
            f->file = create(f->path, H5F_LIBVER_V18, false);
        hid_t space = H5Screate(H5S_SCALAR), list = data_plan();
        hid_t set = H5Dcreate2(f->file, "x", types[i], space, H5P_DEFAULT, list, H5P_DEFAULT);
        assert_true(set >= 0 && H5Dclose(set) >= 0 && H5Pclose(list) >= 0 && H5Sclose(space) >= 0);
        refused(f, "/x holds values of a type");
    }
}

// Reals of another form than IEEE's, in as many bytes.
static void test_real_with_fields_of_its_own(void **state)
{
    struct fixture *f = *state;
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    assert_true(H5Tset_ebias(type, 126) >= 0);
    put_in(f->file, "x", type, NULL, data_plan());
    H5Tclose(type);
    refused(f, "/x holds values of a type");
}

static void test_type_of_another_version(void **state)
{
    struct fixture *f = *state;
    seal(f);
    patch(f, "\x11\x20\x1f\0\4", "\x51\x20\x1f\0\4", 5);
    still_refused(f, "/good holds values of a type");
}

static void test_compound_type(void **state)
{
    struct fixture *f = *state;
    hid_t type = H5Tcreate(H5T_COMPOUND, 16);
    assert_true(H5Tinsert(type, "a", 0, H5T_NATIVE_DOUBLE) >= 0);
    put_in(f->file, "x", type, NULL, data_plan());
    H5Tclose(type);
    refused(f, "/x holds values of a type");
}

static void test_text_of_any_length(void **state)
{
    struct fixture *f = *state;
    const char *words[4] = {"a", "b", "c", "d"};
    hid_t type = H5Tcopy(H5T_C_S1);
    assert_true(H5Tset_size(type, H5T_VARIABLE) >= 0);
    put_in(f->file, "words", type, words, data_plan());
    H5Tclose(type);
    refused(f, "/words holds values of a type");
}

static void test_named_type(void **state)
{
    struct fixture *f = *state;
    hid_t type = H5Tcopy(H5T_IEEE_F32LE), list = plan(H5P_DATATYPE_CREATE);
    assert_true(H5Tcommit2(f->file, "type", type, H5P_DEFAULT, list, H5P_DEFAULT) >= 0);
    H5Tclose(type);
    H5Pclose(list);
    refused(f, "/type is neither a group nor a dataset");
}

static void test_shared_type(void **state)
{
    struct fixture *f = *state;
    hid_t inner = group(f->file, "a");
    hid_t type = H5Tcopy(H5T_IEEE_F32LE), list = plan(H5P_DATATYPE_CREATE);
    assert_true(H5Tcommit_anon(f->file, type, list, H5P_DEFAULT) >= 0);
    put_in(inner, "x", type, numbers, data_plan());
    H5Tclose(type);
    H5Pclose(list);
    H5Gclose(inner);
    refused(f, "/a/x shares a part of its header");
}

// --- attributes

static void test_attribute_of_any_length(void **state)
{
    struct fixture *f = *state;
    const char *word = "word";
    hid_t type = H5Tcopy(H5T_C_S1);
    assert_true(H5Tset_size(type, H5T_VARIABLE) >= 0);
    attribute(f->file, "word", type, H5Screate(H5S_SCALAR), &word);
    H5Tclose(type);
    refused(f, "/ has the attribute word, of a type");
}

static void test_attribute_of_another_type(void **state)
{
    struct fixture *f = *state;
    const int16_t one = 1;
    attribute(f->file, "step", H5T_STD_I16LE, H5Screate(H5S_SCALAR), &one);
    refused(f, "/ has the attribute step, of a type");
}

static void test_attribute_without_a_value(void **state)
{
    struct fixture *f = *state;
    attribute(f->file, "step", H5T_STD_I64LE, H5Screate(H5S_NULL), NULL);
    refused(f, "/ has the attribute step, which does not hold what its size says");
}

static void test_attribute_that_is_large(void **state)
{
    struct fixture *f = *state;
    enum { SIZE = 100000 };
    char *text = calloc(1, SIZE);
    hid_t type = H5Tcopy(H5T_C_S1);
    assert_true(text && H5Tset_size(type, SIZE) >= 0);
    attribute(f->file, "large", type, H5Screate(H5S_SCALAR), text);
    free(text);
    H5Tclose(type);
    refused(f, "keeps its links or attributes in a way");
}

// Says that it holds 2^40 numbers, and 2^61 of them, whose bytes are 0 modulo 2^64.
static void test_attribute_that_lies(void **state)
{
    static const unsigned char space[] = {2, 1, 1, 1, 7, 0, 0, 0, 0, 0,
                                          0, 0, 7, 0, 0, 0, 0, 0, 0, 0};
    static const unsigned char huge[] = {2, 1, 1, 1, 0, 0, 0, 0, 0, 1,
                                         0, 0, 0, 0, 0, 0, 0, 1, 0, 0};
    static const unsigned char larger[] = {2, 1,  1, 1, 0, 0, 0, 0, 0, 0,
                                           0, 32, 0, 0, 0, 0, 0, 0, 0, 32};
    struct fixture *f = *state;
    const hsize_t seven = 7;
    const int64_t values[7] = {0};
    attribute(f->file, "seven", H5T_STD_I64LE, H5Screate_simple(1, &seven, NULL), values);
    seal(f);
    patch(f, space, huge, sizeof space);
    still_refused(f, "seven, which does not hold what its size says");
    patch(f, huge, larger, sizeof space);
    still_refused(f, "seven, which does not hold what its size says");
}

// Each would be looked for in the heap from its beginning.
static void test_names_of_axes_without_end(void **state)
{
    struct fixture *f = *state;
    const hsize_t count = 4001;
    char **names = calloc(count, sizeof *names);
    hid_t type = H5Tcopy(H5T_C_S1);
    assert_true(names && H5Tset_size(type, H5T_VARIABLE) >= 0);
    for (hsize_t i = 0; i < count; i++)
        names[i] = "x";
    // In two attributes, as one of a small header has at most 64 KB.
    for (int i = 0; i < 2; i++) {
        const hsize_t half = i ? count / 2 : count - count / 2;
        hid_t inner = group(f->file, i ? "a" : "b");
        attribute(inner, "DIMENSION_LABELS", type, H5Screate_simple(1, &half, NULL), names);
        assert_true(H5Gclose(inner) >= 0);
    }
    free(names);
    H5Tclose(type);
    refused(f, "has names for more axes");
}

// --- files

static void test_groups_of_the_old_kind(void **state)
{
    struct fixture *f = *state;
    assert_true(H5Fclose(f->file) >= 0);
    f->file = create(f->path, H5F_LIBVER_EARLIEST, false);
    refused(f, "begins in a way that no file of posgrad does");
}

static void test_newer_superblock(void **state)
{
    struct fixture *f = *state;
    assert_true(H5Fclose(f->file) >= 0);
    f->file = create(f->path, H5F_LIBVER_V110, false);
    refused(f, "begins in a way that no file of posgrad does");
}

static void test_objects_with_times(void **state)
{
    struct fixture *f = *state;
    put_in(f->file, "x", H5T_NATIVE_FLOAT, numbers, H5Pcreate(H5P_DATASET_CREATE));
    refused(f, "/x has an object header of a kind");
}

static void test_links_in_order_of_making(void **state)
{
    struct fixture *f = *state;
    hid_t list = plan(H5P_GROUP_CREATE);
    assert_true(H5Pset_link_creation_order(list, H5P_CRT_ORDER_TRACKED) >= 0);
    hid_t made = H5Gcreate2(f->file, "x", H5P_DEFAULT, list, H5P_DEFAULT);
    assert_true(made >= 0 && H5Gclose(made) >= 0 && H5Pclose(list) >= 0);
    refused(f, "/x counts its links");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_the_rest_is_good),
        CASE(test_external_link),
        CASE(test_soft_link),
        CASE(test_soft_link_loop),
        CASE(test_hard_link_circle),
        CASE(test_two_links_to_one_dataset),
        CASE(test_link_of_a_kind_of_its_own),
        CASE(test_many_soft_links),
        CASE(test_deep_groups),
        CASE(test_name_for_the_terminal),
        CASE(test_names_that_lead_elsewhere),
        CASE(test_name_of_the_group_itself),
        CASE(test_external_storage),
        CASE(test_virtual_dataset),
        CASE(test_chunked_dataset),
        CASE(test_two_datasets_in_one_place),
        CASE(test_data_behind_the_end),
        CASE(test_shape_bomb),
        CASE(test_shape_bomb_in_place),
        CASE(test_compact_dataset),
        CASE(test_size_without_bytes),
        CASE(test_filter),
        CASE(test_filter_plugin),
        CASE(test_types_of_others),
        CASE(test_real_with_fields_of_its_own),
        CASE(test_type_of_another_version),
        CASE(test_compound_type),
        CASE(test_text_of_any_length),
        CASE(test_named_type),
        CASE(test_shared_type),
        CASE(test_attribute_of_any_length),
        CASE(test_attribute_of_another_type),
        CASE(test_attribute_without_a_value),
        CASE(test_attribute_that_is_large),
        CASE(test_attribute_that_lies),
        CASE(test_names_of_axes_without_end),
        CASE(test_groups_of_the_old_kind),
        CASE(test_newer_superblock),
        CASE(test_objects_with_times),
        CASE(test_links_in_order_of_making),
    };
    return cmocka_run_group_tests_name("HDF5 that is refused", tests, NULL, NULL) != 0;
}
