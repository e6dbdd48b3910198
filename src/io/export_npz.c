// NumPy's npz: a zip archive of npy files, stored, with one fixed date, so that equal arrays give
// equal bytes.
//
// An axis that does not simply count from 0 brings its coordinates along as NAME.AXIS. Where axes
// have names, NAME.axes is their list, and NAME.attributes and attributes are pairs of texts, which
// dict() takes.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "../../autograd/base/err.h"
#include "export.h"

enum { FIRST_DAY = 1 << 5 | 1 }; // 1980-01-01 as DOS has it, the first day of zip

// An archive under way. Files are the caller's until it is closed: libzip, given them, frees them
// in some failures and not in others.
struct packing {
    zip_t *archive;
    char **bytes; // of each file
    int files;
};

// An archive in memory fails for want of that alone; libzip forgets the reason now and then.
static int zip_failed(const char *what, zip_error_t *error)
{
    bool known = zip_error_code_zip(error) != ZIP_ER_OK;
    return err_set(ERR_MEMORY, "cannot make the zip archive: %s: %s", what,
                   known ? zip_error_strerror(error) : "out of memory, it seems");
}

// Puts NAME.npy into the archive, with `bytes` that are then the packing's.
static int add_file(struct packing *packing, const char *name, char *bytes, size_t size)
{
    zip_t *archive = packing->archive;
    char path[256];
    packing->bytes[packing->files++] = bytes;
    int length = snprintf(path, sizeof path, "%s.npy", name);
    if (length < 0 || (size_t)length >= sizeof path)
        return err_set(ERR_ARGUMENT, "the name %s is too long for an archive", name);
    zip_source_t *source = zip_source_buffer(archive, bytes, size, 0);
    if (!source)
        return zip_failed(path, zip_get_error(archive));
    zip_int64_t index = zip_file_add(archive, path, source, ZIP_FL_ENC_UTF_8);
    if (index < 0) {
        zip_source_free(source);
        return zip_failed(path, zip_get_error(archive));
    }
    if (zip_set_file_compression(archive, (zip_uint64_t)index, ZIP_CM_STORE, 0) < 0 ||
        zip_file_set_dostime(archive, (zip_uint64_t)index, 0, FIRST_DAY, 0) < 0)
        return zip_failed(path, zip_get_error(archive));
    return 0;
}

// Texts as NumPy has them: all as wide as the widest, a letter four bytes.
static int add_texts(struct packing *packing, const char *name, int dims, const int64_t *size,
                     const char *const *text)
{
    size_t width = 1, count = (size_t)(size[0] * (dims > 1 ? size[1] : 1)), file_size = 0;
    char descr[24], *bytes = NULL;
    for (size_t i = 0; i < count; i++) {
        BUG_ON(!text[i]);
        width = strlen(text[i]) > width ? strlen(text[i]) : width;
    }
    uint32_t *letter = calloc(count * width + 1, sizeof *letter);
    if (!letter)
        return err_set(ERR_MEMORY, "out of memory for the texts of an archive");
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; text[i][k]; k++)
            letter[i * width + k] = (unsigned char)text[i][k];
    snprintf(descr, sizeof descr, "<U%zu", width);
    int code = export_npy_bytes(descr, dims, size, letter, count * width * sizeof *letter, &bytes,
                                &file_size);
    free(letter);
    return code < 0 ? code : add_file(packing, name, bytes, file_size);
}

static int add_attributes(struct packing *packing, const char *name, int count,
                          const struct export_attribute *attribute)
{
    const int64_t size[2] = {count, 2};
    size_t room = (size_t)count + 1;
    char(*number)[EXPORT_NUMBER] = calloc(room, sizeof *number);
    const char **text = calloc(2 * room, sizeof *text);
    int code = number && text ? 0 : err_set(ERR_MEMORY, "out of memory for attributes");
    for (int i = 0; i < count && code == 0; i++) {
        text[2 * i] = attribute[i].name;
        text[2 * i + 1] = export_attribute_text(&attribute[i], number[i]);
    }
    if (code == 0)
        code = add_texts(packing, name, 2, size, text);
    free(text);
    free(number);
    return code;
}

static bool has_named_axes(const struct export_array *array)
{
    for (int d = 0; d < array->dims; d++)
        if (array->axis[d])
            return true;
    return false;
}

// The names of the axes, and what the array's attributes say.
static int add_words(struct packing *packing, const struct export_array *array)
{
    char axis[EXPORT_MAX_DIMS][32], name[192];
    const char *text[EXPORT_MAX_DIMS];
    const int64_t size = array->dims;
    for (int d = 0; d < array->dims; d++)
        text[d] = export_axis_name(array, d, axis[d]);
    snprintf(name, sizeof name, "%.120s.axes", array->name);
    int code = add_texts(packing, name, 1, &size, text);
    snprintf(name, sizeof name, "%.120s.attributes", array->name);
    return code < 0 ? code : add_attributes(packing, name, array->attributes, array->attribute);
}

static int add_coordinates(struct packing *packing, const struct export_array *array, int dim)
{
    char axis[32], name[192], *bytes = NULL;
    size_t size = 0;
    snprintf(name, sizeof name, "%.120s.%s", array->name, export_axis_name(array, dim, axis));
    int code = export_npy_bytes("<i8", 1, &array->size[dim], array->coordinate[dim],
                                (size_t)array->size[dim] * sizeof(int64_t), &bytes, &size);
    return code < 0 ? code : add_file(packing, name, bytes, size);
}

static int add_array(struct packing *packing, const struct export_array *array)
{
    char *bytes = NULL;
    size_t size = 0;
    const struct export_set one = {.arrays = 1, .array = array};
    const struct export_format *npy = export_format_find("npy");
    int code = npy->encode(&one, &bytes, &size);
    if (code == 0)
        code = add_file(packing, array->name, bytes, size);
    for (int d = 0; d < array->dims && code == 0; d++)
        if (!export_counts_from_zero(array, d))
            code = add_coordinates(packing, array, d);
    if (code == 0 && has_named_axes(array))
        code = add_words(packing, array);
    return code;
}

// What the closed archive left in `source`.
static int take_bytes(zip_source_t *source, char **bytes, size_t *size)
{
    zip_stat_t status;
    if (zip_source_open(source) < 0)
        return zip_failed("open", zip_source_error(source));
    int code = 0;
    if (zip_source_stat(source, &status) < 0 || !(status.valid & ZIP_STAT_SIZE)) {
        code = zip_failed("size", zip_source_error(source));
    } else {
        *size = (size_t)status.size;
        *bytes = malloc(*size);
        if (!*bytes)
            code = err_set(ERR_MEMORY, "out of memory for an archive of %zu bytes", *size);
    }
    if (code == 0 && zip_source_read(source, *bytes, *size) != (zip_int64_t)*size) {
        free(*bytes);
        *bytes = NULL;
        code = zip_failed("read", zip_source_error(source));
    }
    zip_source_close(source);
    return code;
}

// Adds all arrays and closes the archive, which is dropped where that fails.
static int pack(struct packing *packing, const struct export_set *set)
{
    int code = 0;
    bool named = false;
    for (int i = 0; i < set->arrays && code == 0; i++) {
        named = named || has_named_axes(&set->array[i]);
        code = add_array(packing, &set->array[i]);
    }
    if (code == 0 && named)
        code = add_attributes(packing, "attributes", set->attributes, set->attribute);
    if (code == 0 && zip_close(packing->archive) < 0)
        code = zip_failed("close", zip_get_error(packing->archive));
    else if (code == 0)
        return 0;
    zip_discard(packing->archive);
    return code;
}

// The archive into the memory that `source` has.
static int pack_into(zip_source_t *source, const struct export_set *set)
{
    zip_error_t error;
    struct packing packing = {.files = 0};
    packing.bytes = calloc((size_t)set->arrays * (3 + EXPORT_MAX_DIMS) + 1, sizeof *packing.bytes);
    if (!packing.bytes)
        return err_set(ERR_MEMORY, "out of memory for the files of an archive");
    zip_error_init(&error);
    packing.archive = zip_open_from_source(source, ZIP_CREATE | ZIP_TRUNCATE, &error);
    int code = packing.archive ? 0 : zip_failed("start", &error);
    zip_error_fini(&error);
    if (code == 0) {
        zip_source_keep(source); // beyond zip_close, which drops the archive's own hold
        code = pack(&packing, set);
    }
    for (int i = 0; i < packing.files; i++)
        free(packing.bytes[i]);
    free(packing.bytes);
    return code;
}

static int encode(const struct export_set *set, char **bytes, size_t *size)
{
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(NULL, 0, 0, &error);
    int code = source ? pack_into(source, set) : zip_failed("start", &error);
    zip_error_fini(&error);
    if (code == 0)
        code = take_bytes(source, bytes, size);
    if (source)
        zip_source_free(source);
    return code;
}

const struct export_format export_npz = {
    .name = "npz",
    .title = "NumPy archive (numpy.load) of any number of tables",
    .extension = ".npz",
    .encode = encode,
};
