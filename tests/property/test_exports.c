// Every format of export against the arrays that it was made of, and so against every other: each
// file is read back by a reader of its own, number by number, to the bit, with coordinates, names
// of axes and attributes.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "../../autograd/base/err.h"
#include "../../src/io/h5file.h"
#include "../../src/io/table_arrays.h"
#include "../support/encodings.h"

static const struct encoding_shape shape = {.batch = 1, .height = 3, .width = 4};

// What a reader hands on, to be compared with an array of the set.
struct finding {
    const char *format;
    const struct export_array *array;
};

static void check_value(const struct finding *f, int64_t index, double value)
{
    double own = export_value(f->array, index);
    value = f->array->is_double ? value : (double)(float)value;
    if (memcmp(&value, &own, sizeof own) != 0)
        fail_msg("%s: element %lld of %s is %.17g, and was %.17g", f->format, (long long)index,
                 f->array->name, value, own);
}

static void check_raw(const struct finding *f, const void *data, size_t size)
{
    size_t item = f->array->is_double ? sizeof(double) : sizeof(float);
    if (size != (size_t)export_count(f->array) * item || memcmp(data, f->array->data, size) != 0)
        fail_msg("%s: the bytes of %s are not its own", f->format, f->array->name);
}

static void check_place(const struct finding *f, int dim, int64_t index, int64_t coordinate)
{
    if (coordinate != export_coordinate(f->array, dim, index))
        fail_msg("%s: coordinate %lld of axis %d of %s is %lld", f->format, (long long)index, dim,
                 f->array->name, (long long)coordinate);
}

static void check_places(const struct finding *f, int dim, const void *bytes)
{
    for (int64_t i = 0; i < f->array->size[dim]; i++) {
        int64_t coordinate;
        memcpy(&coordinate, (const char *)bytes + i * 8, 8);
        check_place(f, dim, i, coordinate);
    }
}

static void check_word(const struct finding *f, const char *what, const char *word, const char *own)
{
    if (!word || strcmp(word, own) != 0)
        fail_msg("%s: %s of %s is %s, and was %s", f->format, what, f->array->name,
                 word ? word : "missing", own);
}

// --- npy and npz

static const char *npy_data(const char *bytes, char dict[256])
{
    size_t length = (unsigned char)bytes[8] + 256u * (unsigned char)bytes[9];
    snprintf(dict, 256, "%.*s", (int)length, bytes + 10);
    return bytes + 10 + length;
}

static void check_npy(const struct finding *f, const char *bytes, size_t size)
{
    char dict[256], wanted[256];
    const char *data = npy_data(bytes, dict);
    int used = snprintf(wanted, sizeof wanted, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                        f->array->is_double ? "<f8" : "<f4");
    for (int d = 0; d < f->array->dims; d++)
        used += snprintf(wanted + used, sizeof wanted - (size_t)used, "%s%lld%s", d ? ", " : "",
                         (long long)f->array->size[d], f->array->dims == 1 ? "," : "");
    snprintf(wanted + used, sizeof wanted - (size_t)used, "), }");
    if (strncmp(dict, wanted, strlen(wanted)) != 0)
        fail_msg("%s: %s has the head %s", f->format, f->array->name, dict);
    check_raw(f, data, size - (size_t)(data - bytes));
}

// A member of the archive, malloc'ed; NULL where there is none.
static char *member(zip_t *archive, const char *name, const char *suffix, size_t *size)
{
    char path[256];
    zip_stat_t status;
    snprintf(path, sizeof path, "%s%s%s.npy", name, suffix ? "." : "", suffix ? suffix : "");
    if (zip_stat(archive, path, 0, &status) < 0)
        return NULL;
    char *bytes = malloc((size_t)status.size);
    zip_file_t *file = zip_fopen(archive, path, 0);
    assert_non_null(bytes);
    assert_non_null(file);
    assert_int_equal(zip_fread(file, bytes, status.size), (zip_int64_t)status.size);
    assert_int_equal(zip_fclose(file), 0);
    *size = (size_t)status.size;
    return bytes;
}

// Text `index` of an array of texts.
static void npy_text(const char *bytes, size_t index, char text[256])
{
    char dict[256];
    const char *data = npy_data(bytes, dict);
    size_t width = strtoul(strstr(dict, "<U") + 2, NULL, 10);
    for (size_t k = 0; k < width; k++)
        text[k] = data[4 * (index * width + k)];
    text[width] = '\0';
}

static void check_npz_words(const struct finding *f, zip_t *archive)
{
    char text[256], number[EXPORT_NUMBER];
    size_t size;
    char *axes = member(archive, f->array->name, "axes", &size);
    char *attributes = member(archive, f->array->name, "attributes", &size);
    assert_non_null(axes);
    assert_non_null(attributes);
    for (int d = 0; d < f->array->dims; d++) {
        npy_text(axes, (size_t)d, text);
        check_word(f, "an axis", text, f->array->axis[d]);
    }
    for (int i = 0; i < f->array->attributes; i++) {
        npy_text(attributes, 2 * (size_t)i, text);
        check_word(f, "the name of an attribute", text, f->array->attribute[i].name);
        npy_text(attributes, 2 * (size_t)i + 1, text);
        check_word(f, "an attribute", text, export_attribute_text(&f->array->attribute[i], number));
    }
    free(axes);
    free(attributes);
}

static void check_npz(const struct export_set *set, const char *bytes, size_t size)
{
    zip_source_t *source = zip_source_buffer_create(bytes, size, 0, NULL);
    zip_t *archive = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, NULL);
    assert_non_null(archive);
    for (int i = 0; i < set->arrays; i++) {
        const struct finding f = {"npz", &set->array[i]};
        char dict[256], *one = member(archive, f.array->name, NULL, &size);
        assert_non_null(one);
        check_npy(&f, one, size);
        free(one);
        for (int d = 0; d < f.array->dims; d++) {
            one = member(archive, f.array->name, f.array->axis[d], &size);
            assert_true(!one == export_counts_from_zero(f.array, d));
            if (one)
                check_places(&f, d, npy_data(one, dict));
            free(one);
        }
        check_npz_words(&f, archive);
    }
    zip_discard(archive);
}

// --- safetensors

static void check_metadata(const struct finding *f, const json_t *metadata)
{
    char key[128], axes[256] = "", number[EXPORT_NUMBER];
    for (int d = 0; d < f->array->dims; d++) {
        size_t used = strlen(axes);
        snprintf(axes + used, sizeof axes - used, "%s%s", d ? "," : "", f->array->axis[d]);
    }
    snprintf(key, sizeof key, "%s.axes", f->array->name);
    check_word(f, "axes", json_string_value(json_object_get(metadata, key)), axes);
    for (int i = 0; i < f->array->attributes; i++) {
        snprintf(key, sizeof key, "%s.%s", f->array->name, f->array->attribute[i].name);
        check_word(f, key, json_string_value(json_object_get(metadata, key)),
                   export_attribute_text(&f->array->attribute[i], number));
    }
}

// The bytes of a tensor that is there; its shape is the array's, or its axis' length.
static const char *tensor(const struct finding *f, const json_t *header, const char *data,
                          const char *suffix, size_t *size)
{
    char name[128];
    json_int_t begin, end;
    snprintf(name, sizeof name, "%s%s%s", f->array->name, suffix ? "." : "", suffix ? suffix : "");
    json_t *entry = json_object_get(header, name);
    if (!entry)
        return NULL;
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    check_word(f, "the type", type, suffix ? "I64" : f->array->is_double ? "F64" : "F32");
    const json_t *sizes = json_object_get(entry, "shape");
    for (int d = 0; d < f->array->dims && !suffix; d++)
        assert_int_equal(json_integer_value(json_array_get(sizes, (size_t)d)), f->array->size[d]);
    assert_int_equal(json_array_size(sizes), suffix ? 1 : f->array->dims);
    assert_int_equal(json_unpack(entry, "{s:[I, I]}", "data_offsets", &begin, &end), 0);
    *size = (size_t)(end - begin);
    return data + begin;
}

static void check_safetensors(const struct export_set *set, const char *bytes, size_t size)
{
    uint64_t length;
    memcpy(&length, bytes, 8);
    json_t *header = json_loadb(bytes + 8, (size_t)length, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(header);
    const json_t *metadata = json_object_get(header, "__metadata__");
    const char *data = bytes + 8 + length;
    size_t all = 0, some = 0;
    for (int i = 0; i < set->arrays; i++) {
        const struct finding f = {"safetensors", &set->array[i]};
        const char *own = tensor(&f, header, data, NULL, &some);
        assert_non_null(own);
        check_raw(&f, own, some);
        all += some;
        for (int d = 0; d < f.array->dims; d++) {
            own = tensor(&f, header, data, f.array->axis[d], &some);
            assert_true(!own == export_counts_from_zero(f.array, d));
            if (own) {
                check_places(&f, d, own);
                all += some;
            }
        }
        check_metadata(&f, metadata);
    }
    assert_int_equal(size, 8 + length + all);
    json_decref(header);
}

// --- JSON

static void check_json_list(const struct finding *f, const json_t *list, int dim, int64_t *next)
{
    if (dim == f->array->dims) {
        assert_true(json_is_real(list));
        check_value(f, (*next)++, json_real_value(list));
        return;
    }
    assert_int_equal(json_array_size(list), f->array->size[dim]);
    for (size_t i = 0; i < json_array_size(list); i++)
        check_json_list(f, json_array_get(list, i), dim + 1, next);
}

static void check_json_attributes(const struct finding *f, const json_t *attributes)
{
    assert_int_equal(json_object_size(attributes), f->array->attributes);
    for (int i = 0; i < f->array->attributes; i++) {
        const struct export_attribute *own = &f->array->attribute[i];
        const json_t *one = json_object_get(attributes, own->name);
        if (own->text)
            check_word(f, own->name, json_string_value(one), own->text);
        else if (own->is_real)
            check_close(json_real_value(one), own->real, 1e-8, 0);
        else
            assert_int_equal(json_integer_value(one), own->number);
    }
}

static void check_json(const struct export_set *set, const char *bytes, size_t size)
{
    json_t *root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *tables = json_object_get(root, "tables");
    assert_int_equal(json_object_size(tables), set->arrays);
    for (int i = 0; i < set->arrays; i++) {
        const struct finding f = {"json", &set->array[i]};
        const json_t *table = json_object_get(tables, f.array->name);
        int64_t next = 0;
        check_json_list(&f, json_object_get(table, "data"), 0, &next);
        for (int d = 0; d < f.array->dims; d++) {
            const json_t *axis = json_array_get(json_object_get(table, "axes"), (size_t)d);
            const json_t *places = json_object_get(axis, "coordinates");
            check_word(&f, "an axis", json_string_value(json_object_get(axis, "name")),
                       f.array->axis[d]);
            assert_int_equal(json_array_size(places), f.array->size[d]);
            for (int64_t k = 0; k < f.array->size[d]; k++)
                check_place(&f, d, k, json_integer_value(json_array_get(places, (size_t)k)));
        }
        check_json_attributes(&f, json_object_get(table, "attributes"));
    }
    json_decref(root);
}

// --- CSV

static void check_csv(const struct finding *f, const char *text)
{
    char head[256] = "";
    for (int d = 0; d < f->array->dims; d++) {
        size_t used = strlen(head);
        snprintf(head + used, sizeof head - used, "%s,", f->array->axis[d]);
    }
    strcat(head, "value\n");
    assert_int_equal(strncmp(text, head, strlen(head)), 0);
    text += strlen(head);
    for (int64_t i = 0; i < export_count(f->array); i++) {
        int64_t stride = export_count(f->array);
        char *end;
        for (int d = 0; d < f->array->dims; d++) {
            stride /= f->array->size[d];
            check_place(f, d, i / stride % f->array->size[d], strtoll(text, &end, 10));
            assert_int_equal(*end, ',');
            text = end + 1;
        }
        check_value(f, i, strtod(text, &end));
        assert_int_equal(*end, '\n');
        text = end + 1;
    }
    assert_int_equal(*text, '\0');
}

// --- HDF5

static void check_h5_attributes(const struct finding *f, struct h5_reader *reader, const char *path)
{
    for (int i = 0; i < f->array->attributes; i++) {
        const struct export_attribute *own = &f->array->attribute[i];
        int64_t number = -1;
        double number_real = -1;
        char *text = NULL;
        if (own->text)
            text = h5_read_attr_text(reader, path, own->name);
        else if (own->is_real)
            check_ok(h5_read_attr_real(reader, path, own->name, &number_real));
        else
            check_ok(h5_read_attr_int(reader, path, own->name, &number));
        if (own->text)
            check_word(f, own->name, text, own->text);
        else if (own->is_real)
            check_close(number_real, own->real, 0, 0);
        else
            assert_int_equal(number, own->number);
        free(text);
    }
}

static void check_h5_axis(const struct finding *f, struct h5_reader *reader, const char *path,
                          int dim)
{
    char scale[256];
    char *label = h5_read_axis(reader, path, dim);
    check_word(f, "an axis", label, f->array->axis[dim]);
    free(label);
    snprintf(scale, sizeof scale, "/scales/%s/%s", f->array->name, f->array->axis[dim]);
    int64_t *place = calloc((size_t)f->array->size[dim], sizeof *place);
    assert_non_null(place);
    check_ok(h5_read(reader, scale, H5FILE_I64, f->array->size[dim], place));
    check_places(f, dim, place);
    free(place);
}

static void check_h5(const struct export_set *set, const char *bytes, size_t size)
{
    char *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    struct h5_reader *reader = h5_reader_take(copy, size, "export.h5");
    assert_non_null(reader);
    for (int i = 0; i < set->arrays; i++) {
        const struct finding f = {"h5", &set->array[i]};
        char path[256];
        enum h5_type type;
        int dims;
        int64_t sizes[EXPORT_MAX_DIMS];
        size_t item = f.array->is_double ? sizeof(double) : sizeof(float);
        snprintf(path, sizeof path, "/tables/%s", f.array->name);
        check_ok(h5_shape(reader, path, &type, &dims, sizes, EXPORT_MAX_DIMS));
        assert_int_equal(dims, f.array->dims);
        check_same_bytes(sizes, f.array->size, (size_t)dims * sizeof *sizes);
        char *data = malloc((size_t)export_count(f.array) * item);
        assert_non_null(data);
        check_ok(h5_read(reader, path, type, export_count(f.array), data));
        check_raw(&f, data, (size_t)export_count(f.array) * item);
        free(data);
        for (int d = 0; d < dims; d++)
            check_h5_axis(&f, reader, path, d);
        check_h5_attributes(&f, reader, path);
    }
    h5_reader_close(reader);
}

// --- C header

// The text behind "NAME[2][3] =" where that is a declaration of this type; NULL where it is none.
static const char *declared(const char *text, const char *type, const char *name, int dims,
                            const int64_t *size)
{
    char line[256];
    int used = snprintf(line, sizeof line, "static const %s %s", type, name);
    for (int d = 0; d < dims; d++)
        used += snprintf(line + used, sizeof line - (size_t)used, "[%lld]", (long long)size[d]);
    snprintf(line + used, sizeof line - (size_t)used, " =");
    const char *at = strstr(text, line);
    return at ? at + strlen(line) : NULL;
}

// The next number, past braces, commas and blanks.
static double next_number(const char **text)
{
    char *end;
    *text += strspn(*text, "{}, \n");
    double value = strtod(*text, &end);
    assert_true(end > *text);
    *text = end + (*end == 'f');
    return value;
}

// The comment before a table: its axes with their lengths, its attributes.
static void check_comment(const struct finding *f, const char *text)
{
    char wanted[2048], number[EXPORT_NUMBER];
    int used = snprintf(wanted, sizeof wanted, "\n/* %s:", f->array->name);
    for (int d = 0; d < f->array->dims; d++)
        used += snprintf(wanted + used, sizeof wanted - (size_t)used, "%s %s %lld", d ? "," : "",
                         f->array->axis[d], (long long)f->array->size[d]);
    for (int i = 0; i < f->array->attributes; i++)
        used += snprintf(wanted + used, sizeof wanted - (size_t)used, "\n * %s: %s",
                         f->array->attribute[i].name,
                         export_attribute_text(&f->array->attribute[i], number));
    if (!strstr(text, wanted))
        fail_msg("header: there is no comment '%s'", wanted);
}

static void check_header(const struct export_set *set, const char *bytes)
{
    for (int i = 0; i < set->arrays; i++) {
        const struct finding f = {"header", &set->array[i]};
        char name[128];
        const char *type = f.array->is_double ? "double" : "float";
        const char *text = declared(bytes, type, f.array->name, f.array->dims, f.array->size);
        assert_non_null(text);
        check_comment(&f, bytes);
        for (int64_t k = 0; k < export_count(f.array); k++)
            check_value(&f, k, next_number(&text));
        text += strspn(text, "}\n ");
        assert_int_equal(*text, ';');
        for (int d = 0; d < f.array->dims; d++) {
            snprintf(name, sizeof name, "%s_%s", f.array->name, f.array->axis[d]);
            text = declared(bytes, "long long", name, 1, &f.array->size[d]);
            assert_true(!text == export_counts_from_zero(f.array, d));
            for (int64_t k = 0; text && k < f.array->size[d]; k++)
                check_place(&f, d, k, (int64_t)next_number(&text));
        }
    }
}

// --- all of them

struct file {
    char *bytes;
    size_t size;
};

static void encode(const struct export_set *set, const char *format, struct file *file)
{
    check_ok(export_format_find(format)->encode(set, &file->bytes, &file->size));
}

static int formats_checked;

static void check_one(const struct export_set *set, const char *format)
{
    struct file file;
    encode(set, format, &file);
    if (strcmp(format, "npz") == 0)
        check_npz(set, file.bytes, file.size);
    else if (strcmp(format, "safetensors") == 0)
        check_safetensors(set, file.bytes, file.size);
    else if (strcmp(format, "json") == 0)
        check_json(set, file.bytes, file.size);
    else if (strcmp(format, "h5") == 0)
        check_h5(set, file.bytes, file.size);
    else if (strcmp(format, "header") == 0)
        check_header(set, file.bytes);
    else
        fail_msg("format %s is read back by nothing here", format);
    formats_checked++;
    free(file.bytes);
}

// Formats that hold one array, once an array.
static void check_single(const struct export_set *set, const char *format)
{
    for (int i = 0; i < set->arrays; i++) {
        const struct export_set one = {.arrays = 1, .array = &set->array[i]};
        const struct finding f = {format, &set->array[i]};
        struct file file;
        encode(&one, format, &file);
        if (strcmp(format, "npy") == 0)
            check_npy(&f, file.bytes, file.size);
        else if (strcmp(format, "csv") == 0)
            check_csv(&f, file.bytes);
        else
            fail_msg("format %s is read back by nothing here", format);
        formats_checked++;
        free(file.bytes);
    }
}

static bool formats_agree(const struct encoding_case *what)
{
    struct encoding_model m;
    struct arena arena;
    const real *value[PE_MAX_TABLES];
    encoding_build(&m, what, &shape);
    ag_forward(m.graph.plan);
    for (int i = 0; i < m.tables.count; i++)
        value[i] = m.tables.table[i].tensor->data;
    arena_init(&arena);
    struct export_array *array = table_arrays(&arena, &m.tables, value, m.length);
    assert_non_null(array);
    const struct export_set set = {.arrays = m.tables.count, .array = array, .group = "/tables"};
    for (int i = 0; i < export_format_count && set.arrays; i++) {
        if (!export_formats[i]->encode)
            continue;
        if (export_formats[i]->one_array)
            check_single(&set, export_formats[i]->name);
        else
            check_one(&set, export_formats[i]->name);
    }
    arena_release(&arena);
    encoding_close(&m);
    return true;
}

static void all_formats_hold_the_same(void **state)
{
    (void)state;
    formats_checked = 0;
    encoding_walk(ENCODING_OPTIONS, formats_agree);
    assert_true(formats_checked > 1000);
}

CHECK_MAIN(cmocka_unit_test(all_formats_hold_the_same))
