// Formats of import: each read to the bit in every type of numbers, and what is not as it should be
// refused with a line that says so, before memory is taken for it.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include <hdf5.h>

#include "../../autograd/base/err.h"
#include "../../src/io/export.h"
#include "../../src/io/h5file.h"
#include "../../src/io/import.h"
#include "../support/check.h"

static char folder[] = "/tmp/posgrad-import-XXXXXX", path[64];
static struct import_file file;

static int make_folder(void **state)
{
    (void)state;
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    remove(path);
    return remove(folder);
}

// --- files, byte by byte

struct bytes {
    unsigned char byte[1 << 16];
    size_t size;
};
static struct bytes made;

static void put(const void *bytes, size_t size)
{
    assert_true(made.size + size <= sizeof made.byte);
    memcpy(made.byte + made.size, bytes, size);
    made.size += size;
}

static void put_number(uint64_t number, int bytes)
{
    for (int i = 0; i < bytes; i++)
        put(&(unsigned char){(unsigned char)(number >> (8 * i))}, 1);
}

static void put_text(const char *text)
{
    put(text, strlen(text));
}

static void put_zeros(size_t count)
{
    static const unsigned char zeros[1 << 14];
    assert_true(count <= sizeof zeros);
    put(zeros, count);
}

static void write_made(void)
{
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_true(fwrite(made.byte, 1, made.size, stream) == made.size);
    assert_int_equal(fclose(stream), 0);
}

// An npy file: its head in version 1 or 2, and so many zeros.
static void make_npy(int version, const char *dict, size_t zeros)
{
    made.size = 0;
    put("\x93NUMPY", 6);
    put_number((uint64_t)version, 2);
    put_number(strlen(dict) + 1, version == 1 ? 2 : 4);
    put_text(dict);
    put_text("\n");
    put_zeros(zeros);
}

static void make_safetensors(const char *head, size_t zeros)
{
    made.size = 0;
    put_number(strlen(head), 8);
    put_text(head);
    put_zeros(zeros);
}

// --- what is read

static void open_made(void)
{
    write_made();
    check_ok(import_open(&file, path));
}

static void expect(const char *name, const char *type, const char *shape, const double *value,
                   int64_t count)
{
    char text[192];
    const struct import_array *array = import_find(&file, name);
    if (!array)
        fail_msg("%s", err_last());
    assert_string_equal(array->type_name, type);
    assert_string_equal(import_shape(array, text), shape);
    assert_int_equal(array->count, count);
    check_ok(import_load(&file, array));
    for (int64_t i = 0; i < count; i++) {
        double is = import_value(&file, array, i);
        if (memcmp(&is, &value[i], sizeof is) != 0)
            fail_msg("%s: element %d is %g, not %g", name, (int)i, is, value[i]);
    }
}

static void npy_is_read(void **state)
{
    (void)state;
    static const double wanted[6] = {1, -2.5, (double)0.1f, (double)3e38f, -0.0, (double)1e-40f};
    static const float value[6] = {1, -2.5f, 0.1f, 3e38f, -0.0f, 1e-40f};
    static const float columns[6] = {1, 3e38f, -2.5f, -0.0f, 0.1f, 1e-40f};
    make_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   ", 0);
    put(value, sizeof value);
    open_made();
    assert_string_equal(file.format->name, "npy");
    expect("file", "<f4", "[2, 3]", wanted, 6);
    import_close(&file);
    // Keys in another order, double quotes, version 2, first index fastest.
    make_npy(2, "{\"shape\": (2,3), 'fortran_order':True,'descr': \"<f4\"}", 0);
    put(columns, sizeof columns);
    open_made();
    expect("file", "<f4", "[2, 3]", wanted, 6);
    import_close(&file);
    make_npy(1, "{'descr': '>f8', 'fortran_order': False, 'shape': (1,), }", 0);
    put("\x3f\xf8\0\0\0\0\0\0", 8);
    open_made();
    expect("file", ">f8", "[1]", (const double[]){1.5}, 1);
    import_close(&file);
    make_npy(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (), }", 0);
    put("\0\0\0\0\0\0\xf8\x3f", 8);
    open_made();
    expect("file", "<f8", "[]", (const double[]){1.5}, 1);
    import_close(&file);
    make_npy(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 0), }", 0);
    open_made();
    expect("file", "<f4", "[3, 0]", NULL, 0);
    import_close(&file);
}

static void three_dimensions_by_columns(void **state)
{
    (void)state;
    double wanted[24];
    make_npy(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3, 4), }", 0);
    for (int k = 0; k < 4; k++)
        for (int j = 0; j < 3; j++)
            for (int i = 0; i < 2; i++) {
                float value = (float)(100 * i + 10 * j + k);
                put(&value, sizeof value);
                wanted[(i * 3 + j) * 4 + k] = (double)value;
            }
    open_made();
    expect("file", "<f4", "[2, 3, 4]", wanted, 24);
    import_close(&file);
}

// Numbers of 16 bits: the least, the largest, what is below the least normal one, and no numbers.
static void halves_are_read(void **state)
{
    (void)state;
    static const uint16_t half[] = {0x3c00, 0xc000, 0x7bff, 0x0001, 0x0400, 0x8000, 0x7c00, 0xfc00};
    static const double wanted[] = {
        1, -2, 65504, 0x1p-24, 0x1p-14, -0.0, (double)INFINITY, -(double)INFINITY};
    static const uint16_t brain[] = {0x3f80, 0xc000, 0x7f7f, 0x0001, 0x7f80};
    static const double brains[] = {1, -2, 0x1.fep127, 0x1p-133, (double)INFINITY};
    make_npy(1, "{'descr': '<f2', 'fortran_order': False, 'shape': (8,), }", 0);
    put(half, sizeof half);
    open_made();
    expect("file", "<f2", "[8]", wanted, 8);
    import_close(&file);
    make_safetensors("{\"b\":{\"dtype\":\"BF16\",\"shape\":[5],\"data_offsets\":[0,10]},"
                     "\"n\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[10,12]}}",
                     0);
    put(brain, sizeof brain);
    put_number(0x7e00, 2);
    open_made();
    expect("b", "BF16", "[5]", brains, 5);
    const struct import_array *nan = import_find(&file, "n");
    check_ok(import_load(&file, nan));
    assert_true(isnan(import_value(&file, nan, 0)));
    import_close(&file);
}

static void safetensors_is_read(void **state)
{
    (void)state;
    static const float value[2] = {0.25f, -7};
    // Blanks, keys in any order, escapes, a scalar, an empty one, integers, padding.
    make_safetensors(
        "{ \"__metadata__\" : {\"format\":\"pt\", \"\\u00e9\":\"\"},"
        "\"wpe\\u002eweight\\ud83d\\ude00\":{ \"shape\":[2, 1],\"data_offsets\":[8,16],\"dtype\":"
        "\"F32\"}, \"s\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]},"
        "\"none\":{\"dtype\":\"F32\",\"shape\":[0,9],\"data_offsets\":[8,8]},"
        "\"ids\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[16,24]}}   ",
        0);
    put("\0\0\0\0\0\0\xf8\x3f", 8);
    put(value, sizeof value);
    put_zeros(8);
    open_made();
    assert_string_equal(file.format->name, "safetensors");
    assert_int_equal(file.arrays, 4);
    expect("wpe.weight\xf0\x9f\x98\x80", "F32", "[2, 1]", (const double[]){0.25, -7}, 2);
    expect("s", "F64", "[]", (const double[]){1.5}, 1);
    expect("none", "F32", "[0, 9]", NULL, 0);
    const struct import_array *ids = import_find(&file, "ids");
    assert_non_null(ids);
    check_error(import_load(&file, ids), ERR_FORMAT, "type I64");
    import_close(&file);
}

// --- zip

struct packed {
    const char *name;
    const void *bytes;
    size_t size;
    int method;
};

static void make_zip(const struct packed *packed, int count)
{
    remove(path);
    zip_t *archive = zip_open(path, ZIP_CREATE, NULL);
    assert_non_null(archive);
    for (int i = 0; i < count; i++) {
        zip_source_t *source = zip_source_buffer(archive, packed[i].bytes, packed[i].size, 0);
        zip_int64_t index = zip_file_add(archive, packed[i].name, source, ZIP_FL_ENC_UTF_8);
        assert_true(index >= 0);
        assert_int_equal(
            zip_set_file_compression(archive, (zip_uint64_t)index, packed[i].method, 0), 0);
    }
    assert_int_equal(zip_close(archive), 0);
}

// The bytes of `path` as made, to be damaged.
static void read_back(void)
{
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    made.size = fread(made.byte, 1, sizeof made.byte, stream);
    assert_int_equal(fclose(stream), 0);
}

static struct bytes array_of_four;

static void make_array_of_four(void)
{
    static const float value[4] = {1, 2, 3, 4};
    make_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", 0);
    put(value, sizeof value);
    array_of_four = made;
}

static void npz_is_read(void **state)
{
    (void)state;
    static const double wanted[4] = {1, 2, 3, 4};
    make_array_of_four();
    const struct packed packed[] = {
        {"a.npy", array_of_four.byte, array_of_four.size, ZIP_CM_STORE},
        {"deep/b.weight.npy", array_of_four.byte, array_of_four.size, ZIP_CM_DEFLATE},
        {"notes.txt", "hello", 5, ZIP_CM_STORE}};
    make_zip(packed, 3);
    check_ok(import_open(&file, path));
    assert_string_equal(file.format->name, "npz");
    assert_int_equal(file.arrays, 2);
    expect("a", "<f4", "[4]", wanted, 4);
    expect("deep/b.weight", "<f4", "[4]", wanted, 4);
    expect("/a", "<f4", "[4]", wanted, 4);
    import_close(&file);
}

// --- what our own exports make

static void exports_come_back(void **state)
{
    (void)state;
    static const double value[6] = {1, -0.1, 3e-310, 1e300, 5, 6};
    static const int64_t coordinates[2] = {-1, 0};
    const struct export_array array = {.name = "table",
                                       .dims = 2,
                                       .size = {2, 3},
                                       .axis = {"offset", "head"},
                                       .coordinate = {coordinates, NULL},
                                       .is_double = true,
                                       .data = value};
    const struct export_set set = {.arrays = 1, .array = &array};
    check_ok(export_write(&set, export_format_find("npz"), path));
    check_ok(import_open(&file, path));
    assert_int_equal(file.arrays, 5); // beside it coordinates, and names and attributes as texts
    expect("table", "<f8", "[2, 3]", value, 6);
    import_close(&file);
    check_ok(export_write(&set, export_format_find("npy"), path));
    check_ok(import_open(&file, path));
    expect("file", "<f8", "[2, 3]", value, 6);
    import_close(&file);
}

static void write_ours(bool parameters)
{
    static const float value[2] = {0.5f, -0.5f};
    struct h5_writer *writer = h5_writer_new();
    assert_non_null(writer);
    if (parameters)
        h5_write(writer, "/params/layers/0/pe/t5/weight", H5FILE_F32, 2, (int64_t[]){2, 1}, value);
    h5_write(writer, "/tables/bias", H5FILE_F32, 1, (int64_t[]){2}, value);
    h5_write(writer, "/scales/bias/offset", H5FILE_I64, 1, (int64_t[]){1}, (int64_t[]){7});
    h5_write_text(writer, "/config", "{}");
    check_ok(h5_writer_publish(writer, path));
    h5_writer_free(writer);
}

static void our_files_are_read(void **state)
{
    (void)state;
    static const double wanted[2] = {0.5, -0.5};
    write_ours(true);
    check_ok(import_open(&file, path));
    assert_string_equal(file.format->name, "posgrad");
    assert_int_equal(file.arrays, 3);
    expect("layers.0.pe.t5.weight", "float32", "[2, 1]", wanted, 2);
    expect("/tables/bias", "float32", "[2]", wanted, 2);
    assert_false(import_look(&file, "layers.0.pe.t5.weight")->beside);
    assert_true(import_look(&file, "tables/bias")->beside);
    import_close(&file);
    write_ours(false);
    check_ok(import_open(&file, path));
    expect("bias", "float32", "[2]", wanted, 2);
    assert_false(import_look(&file, "bias")->beside);
    import_close(&file);
}

// --- HDF5 of others

static void put_set(hid_t at, const char *name, hid_t in_file, hid_t plan)
{
    const hsize_t size[2] = {2, 3};
    const double value[6] = {1, 2, 3, 4, 5, 6};
    hid_t space = H5Screate_simple(2, size, NULL);
    hid_t set = H5Dcreate2(at, name, in_file, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    assert_true(set >= 0);
    assert_true(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, value) >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

static void make_hdf5(void)
{
    const hsize_t pieces[2] = {1, 3};
    hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
    hid_t h5 = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t group = H5Gcreate2(h5, "model", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(h5 >= 0 && group >= 0);
    H5Pset_chunk(plan, 2, pieces);
    put_set(group, "wpe:0", H5T_IEEE_F32LE, H5P_DEFAULT);
    put_set(h5, "big", H5T_IEEE_F64BE, H5P_DEFAULT);
    put_set(h5, "ids", H5T_STD_I32LE, H5P_DEFAULT);
    put_set(h5, "pieces", H5T_IEEE_F32LE, plan);
    H5Lcreate_hard(h5, "/", group, "again", H5P_DEFAULT, H5P_DEFAULT); // a circle
    H5Lcreate_soft("/big", h5, "soft", H5P_DEFAULT, H5P_DEFAULT);
    H5Pclose(plan);
    H5Gclose(group);
    H5Fclose(h5);
}

// A dataset of no numbers has no place in a file.
static void empty_arrays_of_ours_are_read(void **state)
{
    (void)state;
    struct h5_writer *writer = h5_writer_new();
    assert_non_null(writer);
    h5_write(writer, "/params/none", H5FILE_F32, 2, (int64_t[]){3, 0}, "");
    check_ok(h5_writer_publish(writer, path));
    h5_writer_free(writer);
    check_ok(import_open(&file, path));
    expect("none", "float32", "[3, 0]", NULL, 0);
    import_close(&file);
}

static void foreign_hdf5_is_read(void **state)
{
    (void)state;
    if (check_under_valgrind())
        skip();
    static const double wanted[6] = {1, 2, 3, 4, 5, 6};
    char names[256];
    make_hdf5();
    check_ok(import_open(&file, path));
    assert_string_equal(file.format->name, "hdf5");
    import_names(&file, names, sizeof names);
    assert_string_equal(names, "big, ids, model/wpe:0, pieces");
    expect("model/wpe:0", "float32", "[2, 3]", wanted, 6);
    expect("big", "float64, big-endian", "[2, 3]", wanted, 6);
    check_error(import_load(&file, import_look(&file, "ids")), ERR_FORMAT, "int32");
    check_error(import_load(&file, import_look(&file, "pieces")), ERR_FORMAT, "in pieces");
    import_close(&file);
}

// --- names

static void names_that_are_not_there(void **state)
{
    (void)state;
    char text[40];
    make_safetensors("{\"h.wpe.weight\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},"
                     "\"h.wte.weight\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},"
                     "\"other\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}",
                     0);
    open_made();
    assert_null(import_find(&file, "wpe.weight"));
    assert_non_null(strstr(err_last(), "did you mean 'h.wpe.weight'?"));
    assert_null(import_find(&file, "othr"));
    assert_non_null(strstr(err_last(), "did you mean 'other'?"));
    assert_null(import_find(&file, "something else"));
    assert_non_null(strstr(err_last(), "it has h.wpe.weight, h.wte.weight, other"));
    import_names(&file, text, sizeof text);
    assert_string_equal(text, "h.wpe.weight and 2 more");
    import_close(&file);
}

static void the_digest_is_of_the_bytes(void **state)
{
    (void)state;
    char digest[IMPORT_DIGEST];
    make_safetensors("{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0);
    open_made();
    import_digest(&file, digest);
    import_close(&file);
    assert_string_equal(digest, "a08f264b79fbaebd692997c82fe389d16ddcffd458eff758d20fab3274d861c9");
}

// --- what is refused

static void expect_refusal(const char *what, const char *words)
{
    write_made();
    int code = import_open(&file, path);
    if (code == 0)
        fail_msg("%s is not refused", what);
    if (code != ERR_FORMAT || !strstr(err_last(), words) || strncmp(err_last(), path, 4) != 0)
        fail_msg("%s: '%s' does not say '%s'", what, err_last(), words);
    assert_null(file.bytes);
}

#define NPY(rest) "{'descr': '<f4', 'fortran_order': False, " rest "}"

static void bad_npy_is_refused(void **state)
{
    (void)state;
    static const struct {
        int version;
        const char *dict, *words;
        size_t zeros;
    } bad[] = {
        {1, NPY("'shape': (2, 3), "), "has 20 bytes", 20}, // too few
        {1, NPY("'shape': (2, 3), "), "has 25 bytes", 25}, // one at the end
        {3, NPY("'shape': (2, 3), "), "version 3.0", 24},
        {1, NPY("'shape': (6), "), "dict", 24}, // a number to Python
        {1, NPY("'shape': (-1,), "), "dict", 24},
        {1, NPY("'shape': (1.5,), "), "dict", 24},
        {1, NPY("'shape': [6], "), "dict", 24},
        {1, NPY("'shape': (1,1,1,1,1,1,1,1,1), "), "dict", 4}, // nine of them
        {1, NPY("'shape': (2 3), "), "dict", 24},
        {1, NPY("'shape': (4294967296, 4294967296), "), "does not fit", 0},
        {1, NPY("'shape': (9223372036854775807,), "), "dict", 0},
        {1, NPY("'shape': (1000000000000,), "), "ask for 4000000000000", 4},
        {1, NPY(""), "dict", 4}, // no shape
        {1, NPY("'shape': (1,), 'shape': (1,), "), "dict", 4},
        {1, NPY("'shape': (1,), 'more': 1, "), "dict", 4},
        {1, NPY("'shape': (1,)"), "dict", 4}, // see below
        {1, "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "'|O'", 8},
        {1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "dict", 4},
        {1, "{'descr': 'float', 'fortran_order': False, 'shape': (1,)}", "plain type", 4},
        {1, "{'descr': '<f', 'fortran_order': False, 'shape': (1,)}", "plain type", 4},
        {1, "{'descr': '<U4611686018427387904', 'fortran_order': False, 'shape': (1,)}",
         "plain type", 4},
        {1, "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}", "dict", 4},
        {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} import os", "dict", 4},
        {1, "", "dict", 0},
        {1, "(((((((((((((((((((((((((((", "dict", 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        make_npy(bad[i].version, bad[i].dict, bad[i].zeros);
        if (strcmp(bad[i].dict, NPY("'shape': (1,)")) == 0)
            made.byte[10 + strlen(bad[i].dict)] = ' '; // no newline ends it
        expect_refusal(bad[i].dict, bad[i].words);
    }
    make_npy(1, NPY("'shape': (6,)"), 24);
    for (size_t size = 6; size < 10; size++) {
        made.size = size;
        expect_refusal("a head without its length", "cut short");
    }
    make_npy(1, NPY("'shape': (6,)"), 0);
    made.size -= 3;
    expect_refusal("a head that is cut", "cut short");
    make_npy(2, NPY("'shape': (6,)"), 24);
    made.byte[11] = 0x7f;
    expect_refusal("a head of two gigabytes", "at most");
    made.size = 11;
    expect_refusal("a head of version 2 without its length", "cut short");
}

#define T(name, shape, offsets)                                                                    \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" offsets "]}"

static void bad_safetensors_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *head, *words;
        size_t zeros;
    } bad[] = {
        {"{" T("a", "2", "0,8") "," T("b", "2", "4,12") "}", "overlap", 12},
        {"{" T("a", "2", "0,8") "," T("b", "2", "0,8") "}", "overlap", 8},
        {"{" T("a", "2", "0,8") "," T("b", "1", "12,16") "}", "overlap or leave a gap", 16},
        {"{" T("a", "1", "4,8") "}", "gap", 8},
        {"{" T("a", "2", "0,8") "}", "1 bytes follow", 9},
        {"{" T("a", "2", "0,8") "}", "not in the file", 7},
        {"{" T("a", "2", "8,0") "}", "not in the file", 8},
        {"{" T("a", "3", "0,8") "}", "fit its shape", 8},
        {"{" T("a", "4294967296,4294967296", "0,8") "}", "fit its shape", 8},
        {"{" T("a", "99999999999999999999", "0,8") "}", "too big integer", 8},
        {"{" T("a", "-2", "0,8") "}", "should have", 8},
        {"{" T("a", "2.0", "0,8") "}", "should have", 8},
        {"{" T("a", "02", "0,8") "}", "no JSON object", 8},
        {"{" T("a", "1,1,1,1,1,1,1,1,2", "0,8") "}", "at most 8", 8},
        {"{" T("a", "2", "0") "}", "two data_offsets", 8},
        {"{" T("a", "2", "0,8,8") "}", "two data_offsets", 8},
        {"{" T("a", "1", "0,4") "," T("a", "1", "4,8") "}", "duplicate object key", 8},
        {"{" T("a", "1", "0,4") "," T("\\u0061", "1", "4,8") "}", "duplicate object key", 8},
        {"{" T("", "2", "0,8") "}", "name that is empty", 8},
        {"{" T("\\u0000", "2", "0,8") "}", "no JSON object", 8},
        {"{" T("\\ud800", "2", "0,8") "}", "no JSON object", 8},
        {"{" T("\\x", "2", "0,8") "}", "no JSON object", 8},
        {"{" T("a\n", "2", "0,8") "}", "no JSON object", 8},
        {"{\"a\":{\"dtype\":\"F128\",\"shape\":[],\"data_offsets\":[0,8]}}", "'F128'", 8},
        {"{\"a\":{\"dtype\":32,\"shape\":[],\"data_offsets\":[0,8]}}", "should have", 8},
        {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", "should have", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2]}}", "duplicate object key", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":1}}", "nothing else",
         8},
        {"{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}", "no JSON object", 8},
        {"{\"__metadata__\":{\"a\":{\"b\":{}}}," T("a", "2", "0,8") "}", "texts", 8},
        {"{\"__metadata__\":{},\"__metadata__\":{}," T("a", "2", "0,8") "}", "duplicate object key",
         8},
        {"{" T("a", "2", "0,8") "", "no JSON object", 8},
        {"{" T("a", "2", "0,8") ",}", "no JSON object", 8},
        {"{" T("a", "2", "0,8") "} {", "end of file expected", 8},
        {"{\"a", "no JSON object", 8},
        {"{}", "no arrays", 0},
        {"{\"__metadata__\":{}}", "no arrays", 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        make_safetensors(bad[i].head, bad[i].zeros);
        expect_refusal(bad[i].head, bad[i].words);
    }
    make_safetensors("{" T("a", "2", "0,8") "}", 8);
    made.byte[0]++;
    made.byte[0] += 8;
    expect_refusal("a head longer than the file", "more than the file");
    made.byte[3] = 0x7f;
    expect_refusal("a head of two gigabytes", "more than the file or than");
    made.byte[7] = 0x7f;
    expect_refusal("a head of an exabyte", "none of the formats");
}

static void bad_zip_is_refused(void **state)
{
    (void)state;
    make_array_of_four();
    const struct packed good = {"a.npy", array_of_four.byte, array_of_four.size, ZIP_CM_DEFLATE};
    const struct packed stored = {"a.npy", array_of_four.byte, array_of_four.size, ZIP_CM_STORE};
    make_zip(&good, 1);
    read_back();
    const struct bytes whole = made;
    for (size_t size = 4; size < whole.size; size += 7) {
        made.size = size;
        expect_refusal("an archive that is cut", "zip archive");
    }
    made = whole;
    made.size = 0;
    expect_refusal("no byte", "none of the formats");
    make_zip(&(struct packed){"a.txt", "hello", 5, ZIP_CM_STORE}, 1);
    read_back();
    expect_refusal("an archive without arrays", "without any .npy");
    make_zip(&(struct packed){"a.npy", "hello world", 11, ZIP_CM_STORE}, 1);
    read_back();
    expect_refusal("a file that is no npy", "'a': its npy head");
    make_zip(&(struct packed){".npy", array_of_four.byte, array_of_four.size, ZIP_CM_STORE}, 1);
    read_back();
    expect_refusal("a name that is empty", "name that is empty");
    // The method, in both heads.
    make_zip(&stored, 1);
    read_back();
    unsigned char *central = memmem(made.byte, made.size, "PK\1\2", 4);
    assert_non_null(central);
    made.byte[8] = central[10] = 12;
    expect_refusal("bzip2", "method 12");
    made.byte[8] = central[10] = 0;
    made.byte[6] = central[8] = 1;
    expect_refusal("an encrypted file", "encrypted");
}

// The array of the made archive, which is listed, cannot be loaded.
static void expect_no_load(const char *what, const char *words)
{
    open_made();
    int code = import_load(&file, &file.array[0]);
    if (code != ERR_FORMAT || !strstr(err_last(), words))
        fail_msg("%s: %d, '%s' does not say '%s'", what, code, err_last(), words);
    import_close(&file);
}

// What shows only when it is unpacked: a sum that is wrong, and a bomb: 200 MB of zeros in 200 KB.
static void bad_zip_is_not_unpacked(void **state)
{
    (void)state;
    make_array_of_four();
    make_zip(&(struct packed){"a.npy", array_of_four.byte, array_of_four.size, ZIP_CM_STORE}, 1);
    read_back();
    unsigned char *numbers = memmem(made.byte, made.size, "\0\0\x80\x3f", 4);
    assert_non_null(numbers);
    numbers[0]++;
    expect_no_load("a wrong sum", "CRC");
    const char *dict = NPY("'shape': (50000000,), ");
    size_t head = 10 + strlen(dict) + 1, size = head + 200000000;
    unsigned char *bomb = calloc(1, size);
    assert_non_null(bomb);
    make_npy(1, dict, 0);
    memcpy(bomb, made.byte, made.size);
    make_zip(&(struct packed){"a.npy", bomb, size, ZIP_CM_DEFLATE}, 1);
    free(bomb);
    check_ok(import_open(&file, path));
    check_error(import_load(&file, &file.array[0]), ERR_FORMAT, "at most as many");
    import_close(&file);
}

static void other_files_are_refused(void **state)
{
    (void)state;
    made.size = 0;
    put_text("GIF89a and so on, of which nothing is known");
    expect_refusal("a picture", "hdf5, npy, npz, posgrad, safetensors");
    check_error(import_open(&file, "/tmp"), ERR_FILE, "folder");
    check_error(import_open(&file, "/dev/null"), ERR_FILE, "regular");
    check_error(import_open(&file, "/tmp/no such file"), ERR_FILE, "cannot open");
    write_ours(true);
    read_back();
    made.byte[made.size / 2] ^= 1;
    expect_refusal("a file of ours that is damaged", "damaged");
    made.size /= 2;
    expect_refusal("a file of ours that is cut", "truncated");
    make_hdf5();
    read_back();
    made.size = 200;
    expect_refusal("HDF5 that is cut", "libhdf5");
    made.size = 8;
    expect_refusal("the mark of HDF5 alone", "libhdf5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npy_is_read),
        cmocka_unit_test(three_dimensions_by_columns),
        cmocka_unit_test(halves_are_read),
        cmocka_unit_test(safetensors_is_read),
        cmocka_unit_test(npz_is_read),
        cmocka_unit_test(exports_come_back),
        cmocka_unit_test(our_files_are_read),
        cmocka_unit_test(empty_arrays_of_ours_are_read),
        cmocka_unit_test(foreign_hdf5_is_read),
        cmocka_unit_test(names_that_are_not_there),
        cmocka_unit_test(the_digest_is_of_the_bytes),
        cmocka_unit_test(bad_npy_is_refused),
        cmocka_unit_test(bad_safetensors_is_refused),
        cmocka_unit_test(bad_zip_is_refused),
        cmocka_unit_test(bad_zip_is_not_unpacked),
        cmocka_unit_test(other_files_are_refused),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, make_folder, remove_folder) != 0;
}
