// NumPy's npz: a zip archive of npy files, stored, with one fixed date, so that equal arrays give
// equal bytes.
//
// An axis that does not simply count from 0 brings its coordinates along as NAME.AXIS.
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
    for (int i = 0; i < set->arrays && code == 0; i++)
        code = add_array(packing, &set->array[i]);
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
    packing.bytes = calloc((size_t)set->arrays * (1 + EXPORT_MAX_DIMS), sizeof *packing.bytes);
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
