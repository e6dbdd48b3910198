// Exports: the very bytes of each format, numbers that read back to the same bits, and the way from
// a file of ours.
#include "../support/check.h"

#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zip.h>

#include "../../autograd/base/err.h"
#include "../../src/io/export_source.h"

static const float numbers[6] = {1, -0.1f, FLT_MIN, FLT_MAX, 1.0f / 3, 16777217.0f};
static const int64_t offsets[3] = {-1, 0, 1};
static const struct export_attribute attributes[] = {{.name = "encoding", .text = "shaw"},
                                                     {.name = "train_length", .number = 32}};

static struct export_array make_array(void)
{
    return (struct export_array){.name = "relative_bias",
                                 .dims = 2,
                                 .size = {2, 3},
                                 .axis = {"head", "offset"},
                                 .coordinate = {NULL, offsets},
                                 .data = numbers,
                                 .attributes = 2,
                                 .attribute = attributes};
}

static char *encode(const struct export_set *set, const char *format, size_t *size)
{
    char *bytes = NULL;
    const struct export_format *found = export_format_find(format);
    assert_non_null(found);
    check_ok(found->encode(set, &bytes, size));
    assert_non_null(bytes);
    return bytes;
}

// A header and data as the format's own description has them.
static void check_npy(const char *bytes, size_t size, const char *dict, const void *data,
                      size_t data_size)
{
    assert_true(size > data_size + 10);
    check_same_bytes(bytes, "\x93NUMPY\x01\x00", 8);
    size_t length = (unsigned char)bytes[8] + 256u * (unsigned char)bytes[9];
    assert_int_equal((10 + length) % 64, 0);
    assert_int_equal(size, 10 + length + data_size);
    check_same_bytes(bytes + 10, dict, strlen(dict));
    for (size_t i = 10 + strlen(dict); i < 10 + length - 1; i++)
        assert_int_equal(bytes[i], ' ');
    assert_int_equal(bytes[10 + length - 1], '\n');
    check_same_bytes(bytes + 10 + length, data, data_size);
}

static void npy_has_its_header_and_its_data(void **state)
{
    (void)state;
    size_t size;
    struct export_array array = make_array();
    const struct export_set set = {.arrays = 1, .array = &array};
    char *bytes = encode(&set, "npy", &size);
    check_npy(bytes, size, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", numbers,
              sizeof numbers);
    free(bytes);
    array.dims = 1; // a tuple of one has a comma
    array.size[0] = 6;
    bytes = encode(&set, "npy", &size);
    check_npy(bytes, size, "{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", numbers,
              sizeof numbers);
    free(bytes);
    const double scalar = 0.1;
    array = (struct export_array){.name = "loss", .is_double = true, .data = &scalar};
    bytes = encode(&set, "npy", &size);
    check_npy(bytes, size, "{'descr': '<f8', 'fortran_order': False, 'shape': (), }", &scalar,
              sizeof scalar);
    free(bytes);
}

// The alignment holds for every length of the shape's text.
static void npy_is_aligned_whatever_its_shape(void **state)
{
    (void)state;
    static const float one = 1;
    for (int dims = 0; dims <= EXPORT_MAX_DIMS; dims++) {
        size_t size;
        struct export_array array = {.name = "x", .dims = dims, .data = &one};
        for (int d = 0; d < dims; d++)
            array.size[d] = 1;
        const struct export_set set = {.arrays = 1, .array = &array};
        char *bytes = encode(&set, "npy", &size);
        assert_int_equal((size - sizeof one) % 64, 0);
        check_same_bytes(bytes + size - sizeof one, &one, sizeof one);
        free(bytes);
    }
}

static void csv_is_a_row_an_element(void **state)
{
    (void)state;
    size_t size;
    const struct export_array array = make_array();
    const struct export_set set = {.arrays = 1, .array = &array};
    char *bytes = encode(&set, "csv", &size);
    assert_string_equal(bytes, "head,offset,value\n"
                               "0,-1,1\n"
                               "0,0,-0.100000001\n"
                               "0,1,1.17549435e-38\n"
                               "1,-1,3.40282347e+38\n"
                               "1,0,0.333333343\n"
                               "1,1,16777216\n");
    assert_int_equal(size, strlen(bytes));
    free(bytes);
}

static void csv_quotes_what_needs_it(void **state)
{
    (void)state;
    size_t size;
    static const float number = 2;
    const struct export_array array = {
        .name = "x", .dims = 2, .size = {1, 1}, .axis = {"a,\"b\"", NULL}, .data = &number};
    const struct export_set set = {.arrays = 1, .array = &array};
    char *bytes = encode(&set, "csv", &size);
    assert_string_equal(bytes, "\"a,\"\"b\"\"\",axis_1,value\n0,0,2\n");
    free(bytes);
}

// A linear congruential walk over all bit patterns: %.9g and %.17g lose none.
static void text_reads_back_to_the_same_bits(void **state)
{
    (void)state;
    char text[32];
    uint64_t bits = 1;
    for (int i = 0; i < 20000; i++) {
        float small;
        double large;
        bits = bits * 6364136223846793005u + 1442695040888963407u;
        uint32_t high = (uint32_t)(bits >> 32);
        memcpy(&small, &high, sizeof small);
        memcpy(&large, &bits, sizeof large);
        const struct export_array floats = {.data = &small};
        const struct export_array doubles = {.data = &large, .is_double = true};
        if (isfinite(small)) {
            float back = strtof(export_number(&floats, 0, text), NULL);
            check_same_bytes(&back, &small, sizeof small);
        }
        if (isfinite(large)) {
            double back = strtod(export_number(&doubles, 0, text), NULL);
            check_same_bytes(&back, &large, sizeof large);
        }
    }
}

static void json_has_axes_attributes_and_data(void **state)
{
    (void)state;
    size_t size;
    float data[6] = {1, NAN, -0.1f, INFINITY, 1.0f / 3, 0};
    struct export_array array = make_array();
    array.data = data;
    const struct export_set set = {
        .arrays = 1, .array = &array, .attributes = 1, .attribute = &attributes[1]};
    char *bytes = encode(&set, "json", &size);
    assert_string_equal(
        bytes,
        "{\"attributes\":{\"train_length\":32},\"tables\":{\"relative_bias\":{\"axes\":["
        "{\"name\":\"head\",\"coordinates\":[0,1]},{\"name\":\"offset\",\"coordinates\":[-1,0,1]}],"
        "\"attributes\":{\"encoding\":\"shaw\",\"train_length\":32},"
        "\"data\":[[1.0,null,-0.100000001],[null,0.333333343,0.0]]}}}\n");
    json_t *parsed = json_loads(bytes, 0, NULL);
    assert_non_null(parsed);
    json_decref(parsed);
    free(bytes);
}

static void check_member(zip_t *archive, zip_int64_t index, const char *name, const char *dict,
                         const void *data, size_t data_size)
{
    static char bytes[4096];
    zip_stat_t status;
    assert_int_equal(zip_stat_index(archive, (zip_uint64_t)index, 0, &status), 0);
    assert_string_equal(status.name, name);
    assert_int_equal(status.comp_method, ZIP_CM_STORE);
    assert_true(status.size < sizeof bytes);
    zip_file_t *file = zip_fopen_index(archive, (zip_uint64_t)index, 0);
    assert_non_null(file);
    assert_int_equal(zip_fread(file, bytes, sizeof bytes), (zip_int64_t)status.size);
    assert_int_equal(zip_fclose(file), 0);
    check_npy(bytes, (size_t)status.size, dict, data, data_size);
}

// Of NumPy's texts: `width` letters each, four bytes a letter.
static void check_texts(zip_t *archive, zip_int64_t index, const char *name, const char *dict,
                        size_t width, size_t count, const char *const *text)
{
    uint32_t letter[64] = {0};
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; text[i][k]; k++)
            letter[i * width + k] = (unsigned char)text[i][k];
    check_member(archive, index, name, dict, letter, count * width * sizeof *letter);
}

static void npz_holds_every_array_and_its_coordinates(void **state)
{
    (void)state;
    size_t size;
    struct export_array arrays[2] = {make_array(), make_array()};
    arrays[1].name = "plain";
    arrays[1].coordinate[1] = NULL;
    arrays[1].axis[0] = arrays[1].axis[1] = NULL; // and so no words
    const struct export_set set = {
        .arrays = 2, .array = arrays, .attributes = 1, .attribute = &attributes[1]};
    char *bytes = encode(&set, "npz", &size);
    zip_source_t *source = zip_source_buffer_create(bytes, size, 0, NULL);
    zip_t *archive = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, NULL);
    assert_non_null(archive);
    assert_int_equal(zip_get_num_entries(archive, 0), 6);
    const char *dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
    check_member(archive, 0, "relative_bias.npy", dict, numbers, sizeof numbers);
    check_member(archive, 1, "relative_bias.offset.npy",
                 "{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }", offsets,
                 sizeof offsets);
    check_texts(archive, 2, "relative_bias.axes.npy",
                "{'descr': '<U6', 'fortran_order': False, 'shape': (2,), }", 6, 2,
                (const char *const[]){"head", "offset"});
    check_texts(archive, 3, "relative_bias.attributes.npy",
                "{'descr': '<U12', 'fortran_order': False, 'shape': (2, 2), }", 12, 4,
                (const char *const[]){"encoding", "shaw", "train_length", "32"});
    check_member(archive, 4, "plain.npy", dict, numbers, sizeof numbers);
    check_texts(archive, 5, "attributes.npy",
                "{'descr': '<U12', 'fortran_order': False, 'shape': (1, 2), }", 12, 2,
                (const char *const[]){"train_length", "32"});
    zip_discard(archive);
    free(bytes);
}

static void check_safetensors(const char *bytes, size_t size, const char *header, size_t data_size)
{
    uint64_t length;
    assert_true(size > 8);
    memcpy(&length, bytes, 8);
    assert_int_equal(length % 8, 0);
    assert_int_equal(size, 8 + length + data_size);
    assert_int_equal(length, (strlen(header) + 7) / 8 * 8);
    check_same_bytes(bytes + 8, header, strlen(header));
    for (size_t i = strlen(header); i < length; i++)
        assert_int_equal(bytes[8 + i], ' ');
}

// Widest first, then by name; what is no number is metadata.
static void safetensors_has_its_header_and_its_data(void **state)
{
    (void)state;
    size_t size;
    const double scalar = 0.1;
    struct export_array arrays[3] = {make_array(), make_array()};
    arrays[1] = (struct export_array){.name = "a", .dims = 1, .size = {6}, .data = numbers};
    arrays[2] = (struct export_array){.name = "z", .is_double = true, .data = &scalar};
    const struct export_attribute whole[] = {{.name = "format_version", .number = 1},
                                             {.name = "step", .number = 7}};
    const struct export_set set = {
        .arrays = 3, .array = arrays, .attributes = 2, .attribute = whole};
    char *bytes = encode(&set, "safetensors", &size);
    check_safetensors(
        bytes, size,
        "{\"__metadata__\":{\"format\":\"pt\",\"step\":\"7\","
        "\"relative_bias.axes\":\"head,offset\",\"relative_bias.encoding\":\"shaw\","
        "\"relative_bias.train_length\":\"32\"},"
        "\"relative_bias.offset\":{\"dtype\":\"I64\",\"shape\":[3],\"data_offsets\":[0,24]},"
        "\"z\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[24,32]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[6],\"data_offsets\":[32,56]},"
        "\"relative_bias\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[56,80]}}",
        80);
    check_same_bytes(bytes + size - 80, offsets, 24);
    check_same_bytes(bytes + size - 56, &scalar, 8);
    check_same_bytes(bytes + size - 48, numbers, 24);
    check_same_bytes(bytes + size - 24, numbers, 24);
    free(bytes);
}

static void safetensors_of_nothing_and_of_no_elements(void **state)
{
    (void)state;
    size_t size;
    const struct export_array empty = {.name = "x", .dims = 2, .size = {0, 3}};
    struct export_set set = {.arrays = 0};
    char *bytes = encode(&set, "safetensors", &size);
    check_safetensors(bytes, size, "{\"__metadata__\":{\"format\":\"pt\"}}", 0);
    free(bytes);
    set = (struct export_set){.arrays = 1, .array = &empty};
    bytes = encode(&set, "safetensors", &size);
    check_safetensors(bytes, size,
                      "{\"__metadata__\":{\"format\":\"pt\"},"
                      "\"x\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[0,0]}}",
                      0);
    free(bytes);
}

static void safetensors_refuses_names_that_it_cannot_hold(void **state)
{
    (void)state;
    size_t size;
    char *bytes;
    struct export_array arrays[2] = {make_array(), make_array()};
    const struct export_set set = {.arrays = 2, .array = arrays};
    check_error(export_safetensors_bytes(&set, &bytes, &size), ERR_ARGUMENT,
                "two arrays are called relative_bias");
    arrays[1].name = "relative_bias.offset"; // what the other's coordinates are called
    check_error(export_safetensors_bytes(&set, &bytes, &size), ERR_ARGUMENT,
                "two arrays are called relative_bias.offset");
    arrays[1].name = "__metadata__";
    check_error(export_safetensors_bytes(&set, &bytes, &size), ERR_ARGUMENT, "for itself");
    arrays[1].name = "\xff";
    check_error(export_safetensors_bytes(&set, &bytes, &size), ERR_ARGUMENT, "UTF-8");
    const struct export_attribute bad = {.name = "text", .text = "\xff"};
    arrays[1].name = "good";
    arrays[1].attributes = 1;
    arrays[1].attribute = &bad;
    check_error(export_safetensors_bytes(&set, &bytes, &size), ERR_ARGUMENT, "UTF-8");
}

static void header_is_c(void **state)
{
    (void)state;
    size_t size;
    const double scalar = 16;
    struct export_array arrays[4] = {make_array(), make_array()};
    arrays[1].name = "relative.bias"; // the same to C
    arrays[1].attributes = 0;
    arrays[1].coordinate[1] = NULL;
    arrays[2] = (struct export_array){.name = "2z*/", .is_double = true, .data = &scalar};
    arrays[3] = (struct export_array){
        .name = "w", .dims = 1, .size = {12}, .data = (const float[12]){0.333333343f}};
    const struct export_attribute whole[] = {{.name = "scale", .is_real = true, .real = 0.5},
                                             {.name = "text", .text = "a */ b\n\\?"}};
    const struct export_set set = {
        .arrays = 4, .array = arrays, .attributes = 2, .attribute = whole};
    char *bytes = encode(&set, "header", &size);
    const char *start = "/* Written by posgrad export.\n"
                        " * scale: 0.5\n"
                        " * text: a ./ b...\n"
                        " */\n"
                        "#ifndef POSGRAD_";
    check_same_bytes(bytes, start, strlen(start));
    check_same_bytes(bytes + strlen(start) + 16, "_H\n#define POSGRAD_", 18);
    size_t body = strlen(start) + 2 * 16 +
                  strlen("_H\n#define POSGRAD_"
                         "_H\n\n");
    assert_string_equal(
        bytes + body,
        "/* relative_bias: head 2, offset 3\n"
        " * encoding: shaw\n"
        " * train_length: 32\n"
        " */\n"
        "static const float relative_bias[2][3] =\n"
        "{\n"
        " {1.0f, -0.100000001f, 1.17549435e-38f},\n"
        " {3.40282347e+38f, 0.333333343f, 16777216.0f}\n"
        "};\n"
        "static const long long relative_bias_offset[3] = {-1, 0, 1};\n"
        "\n/* relative.bias: head 2, offset 3\n"
        " */\n"
        "static const float relative_bias_2[2][3] =\n"
        "{\n"
        " {1.0f, -0.100000001f, 1.17549435e-38f},\n"
        " {3.40282347e+38f, 0.333333343f, 16777216.0f}\n"
        "};\n"
        "\n/* 2z./\n"
        " */\n"
        "static const double array_2z__ = 16.0;\n"
        "\n/* w: axis_0 12\n"
        " */\n"
        "static const float w[12] =\n"
        "{0.333333343f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};\n"
        "\n#endif\n");
    free(bytes);
}

// Two headers of other numbers have other guards, or the second would be as if it were not there.
static void headers_do_not_hide_each_other(void **state)
{
    (void)state;
    size_t size;
    float other[6];
    struct export_array array = make_array();
    const struct export_set set = {.arrays = 1, .array = &array};
    char *first = encode(&set, "header", &size);
    memcpy(other, numbers, sizeof other);
    other[5] += 2;
    array.data = other;
    char *second = encode(&set, "header", &size);
    char *guard[2] = {strstr(first, "#ifndef"), strstr(second, "#ifndef")};
    assert_non_null(guard[0]);
    assert_non_null(guard[1]);
    assert_memory_not_equal(guard[0], guard[1], 32);
    free(first);
    free(second);
}

static void header_refuses_what_c_has_not(void **state)
{
    (void)state;
    size_t size;
    char *bytes;
    const struct export_format *header = export_format_find("header");
    const float bad[2] = {1, INFINITY};
    struct export_array array = {.name = "x", .dims = 1, .size = {2}, .data = bad};
    const struct export_set set = {.arrays = 1, .array = &array};
    check_error(header->encode(&set, &bytes, &size), ERR_NUMBER, "element 1");
    array.size[0] = 0;
    check_error(header->encode(&set, &bytes, &size), ERR_ARGUMENT, "no elements");
}

// What is no number goes into no file of any format, and the line says where it is.
static void no_format_takes_what_is_no_number(void **state)
{
    (void)state;
    float data[6] = {1, 2, 3, 4, -INFINITY, NAN};
    struct export_array array = make_array();
    const struct export_set set = {.arrays = 1, .array = &array};
    array.data = data;
    for (int i = 0; i < export_format_count; i++) {
        if (!export_formats[i]->encode)
            continue;
        check_error(export_write(&set, export_formats[i], "/nowhere/x"), ERR_NUMBER,
                    "relative_bias holds infinity at head 1, offset 0");
    }
    data[4] = 0;
    check_error(export_write(&set, export_formats[0], "/nowhere/x"), ERR_NUMBER,
                "relative_bias holds NaN at head 1, offset 1");
}

static void equal_arrays_give_equal_bytes(void **state)
{
    (void)state;
    const struct export_array array = make_array();
    const struct export_set set = {.arrays = 1, .array = &array};
    for (int i = 0; i < export_format_count; i++) {
        size_t first_size, second_size;
        if (!export_formats[i]->encode)
            continue;
        setenv("TZ", "UTC", 1);
        char *first = encode(&set, export_formats[i]->name, &first_size);
        setenv("TZ", "Asia/Tokyo", 1); // a date from the clock would be another one here
        tzset();
        char *second = encode(&set, export_formats[i]->name, &second_size);
        assert_int_equal(first_size, second_size);
        check_same_bytes(first, second, first_size);
        free(first);
        free(second);
    }
}

static void formats_are_found_by_name_and_extension(void **state)
{
    (void)state;
    for (int i = 0; i < export_format_count; i++) {
        char path[64];
        assert_ptr_equal(export_format_find(export_formats[i]->name), export_formats[i]);
        if (!export_formats[i]->extension)
            continue;
        snprintf(path, sizeof path, "a.b/table%s", export_formats[i]->extension);
        assert_ptr_equal(export_format_of(path), export_formats[i]);
    }
    assert_ptr_equal(export_format_of("X.NPZ"), export_format_find("npz"));
    assert_null(export_format_of("table.nyp"));
    assert_null(export_format_of(".npy")); // a name of nothing but an extension
    assert_null(export_format_of(""));
    assert_null(export_format_find("nzp"));
    assert_non_null(strstr(err_last(), "did you mean 'npz'?"));
}

static void refusals_name_the_reason(void **state)
{
    (void)state;
    struct export_array arrays[2] = {make_array(), make_array()};
    struct export_set set = {.arrays = 2, .array = arrays};
    check_error(export_write(&set, export_format_find("npy"), "/nowhere/x.npy"), ERR_ARGUMENT,
                "one array, not 2");
    set.arrays = 1;
    check_error(export_write(&set, export_format_find("npy"), "/nowhere/x.npy"), ERR_FILE,
                "/nowhere/x.npy");
    arrays[0].size[0] = INT64_MAX / 2;
    check_error(export_write(&set, export_format_find("npz"), "x.npz"), ERR_ARGUMENT, "fit");
    arrays[0].size[0] = -1;
    check_error(export_write(&set, export_format_find("csv"), "x.csv"), ERR_ARGUMENT, "fit");
}

// --- from a file of ours

static void write_file(const char *path)
{
    static const int64_t shape[] = {2, 3}, three = 3;
    static const double weights[6] = {1, 2, 3, 4, 5, 6};
    struct h5_writer *writer = h5_writer_new();
    assert_non_null(writer);
    h5_attr_int(writer, "/", "step", 7);
    h5_write(writer, "/tables/relative_bias", H5FILE_F32, 2, shape, numbers);
    h5_attr_text(writer, "/tables/relative_bias", "encoding", "shaw");
    h5_attr_int(writer, "/tables/relative_bias", "train_length", 32);
    h5_write(writer, "/scales/relative_bias/offset", H5FILE_I64, 1, &three, offsets);
    h5_attach_scale(writer, "/tables/relative_bias", 1, "offset", "/scales/relative_bias/offset");
    h5_write(writer, "/params/layers/0/attn/q/weight", H5FILE_F64, 2, shape, weights);
    h5_write(writer, "/params/head/weight", H5FILE_F32, 2, shape, numbers);
    check_ok(h5_writer_publish(writer, path));
    h5_writer_free(writer);
}

static struct h5_reader *open_file(char path[64])
{
    strcpy(path, "/tmp/posgrad-export-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_file(path);
    struct h5_reader *reader = h5_reader_open(path);
    assert_non_null(reader);
    return reader;
}

static void tables_come_with_axes_coordinates_and_attributes(void **state)
{
    (void)state;
    char path[64];
    struct h5_reader *reader = open_file(path);
    struct export_source source;
    check_ok(export_source_read(&source, reader, "/tables", NULL));
    h5_reader_close(reader); // the set owes nothing to the file
    assert_int_equal(source.set.arrays, 1);
    const struct export_array *array = &source.set.array[0];
    assert_string_equal(array->name, "relative_bias");
    assert_int_equal(array->dims, 2);
    assert_null(array->axis[0]);
    assert_string_equal(array->axis[1], "offset");
    check_same_bytes(array->coordinate[1], offsets, sizeof offsets);
    check_same_bytes(array->data, numbers, sizeof numbers);
    assert_int_equal(array->attributes, 2);
    assert_string_equal(array->attribute[0].text, "shaw");
    assert_int_equal(array->attribute[1].number, 32);
    assert_int_equal(source.set.attributes, 1);
    assert_int_equal(source.set.attribute[0].number, 7);
    export_source_release(&source);
    unlink(path);
}

static void parameters_have_dotted_names(void **state)
{
    (void)state;
    char path[64];
    struct h5_reader *reader = open_file(path);
    struct export_source source;
    check_ok(export_source_read(&source, reader, "/params", NULL));
    assert_int_equal(source.set.arrays, 2);
    assert_string_equal(source.set.array[0].name, "head.weight");
    assert_string_equal(source.set.array[1].name, "layers.0.attn.q.weight");
    assert_true(source.set.array[1].is_double);
    export_source_release(&source);
    check_ok(export_source_read(&source, reader, "/params", "layers.0.attn.q.weight"));
    assert_int_equal(source.set.arrays, 1);
    export_source_release(&source);
    check_error(export_source_read(&source, reader, "/tables", "position_table"), ERR_ARGUMENT,
                "there are: relative_bias");
    check_ok(export_source_read(&source, reader, "/nothing", NULL));
    assert_int_equal(source.set.arrays, 0);
    export_source_release(&source);
    h5_reader_close(reader);
    unlink(path);
}

CHECK_MAIN(cmocka_unit_test(npy_has_its_header_and_its_data),
           cmocka_unit_test(npy_is_aligned_whatever_its_shape),
           cmocka_unit_test(csv_is_a_row_an_element), cmocka_unit_test(csv_quotes_what_needs_it),
           cmocka_unit_test(text_reads_back_to_the_same_bits),
           cmocka_unit_test(json_has_axes_attributes_and_data),
           cmocka_unit_test(npz_holds_every_array_and_its_coordinates),
           cmocka_unit_test(safetensors_has_its_header_and_its_data),
           cmocka_unit_test(safetensors_of_nothing_and_of_no_elements),
           cmocka_unit_test(safetensors_refuses_names_that_it_cannot_hold),
           cmocka_unit_test(header_is_c), cmocka_unit_test(headers_do_not_hide_each_other),
           cmocka_unit_test(header_refuses_what_c_has_not),
           cmocka_unit_test(no_format_takes_what_is_no_number),
           cmocka_unit_test(equal_arrays_give_equal_bytes),
           cmocka_unit_test(formats_are_found_by_name_and_extension),
           cmocka_unit_test(refusals_name_the_reason),
           cmocka_unit_test(tables_come_with_axes_coordinates_and_attributes),
           cmocka_unit_test(parameters_have_dotted_names))
