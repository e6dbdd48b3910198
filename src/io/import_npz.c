// NumPy's npz: a zip archive of npy files, stored or deflated (numpy.savez, savez_compressed).
//
// What an archive says of sizes is checked against the archive before memory is taken: a directory
// that is larger than 64 MB allow is not opened, an array is unpacked when it is asked for, one at
// a time, and is at most as large as the archive and 64 MB.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "../../autograd/base/err.h"
#include "import.h"

enum { MOST_FILES = IMPORT_MAX_ARRAYS, SLACK = 48 << 20 };

static bool is(const unsigned char *bytes, size_t size)
{
    return size >= 4 && (memcmp(bytes, "PK\3\4", 4) == 0 || memcmp(bytes, "PK\5\6", 4) == 0);
}

// libzip forgets now and then that it was memory that it had none of; errno, which is 0 before each
// call of it, does not.
static int zip_failed(zip_error_t *error)
{
    if (errno == ENOMEM || zip_error_code_zip(error) == ZIP_ER_MEMORY)
        return err_set(ERR_MEMORY, "out of memory for its zip archive");
    return err_set(ERR_FORMAT, "its zip archive cannot be read: %s", zip_error_strerror(error));
}

// Each file of an archive has an entry with this mark in its directory, for which libzip takes
// memory before anybody can ask how many there are.
static int count_marks(const struct import_file *file)
{
    const unsigned char *at = file->bytes, *end = file->bytes + file->size;
    int marks = 0;
    while ((at = memmem(at, (size_t)(end - at), "PK\1\2", 4))) {
        if (++marks > MOST_FILES)
            return err_set(ERR_FORMAT, "its zip archive has more than %d files", MOST_FILES);
        at += 4;
    }
    return 0;
}

// `source` is dropped here where no archive comes of it.
static int open_archive(struct import_file *file)
{
    zip_error_t error;
    zip_error_init(&error);
    errno = 0;
    zip_source_t *source = zip_source_buffer_create(file->bytes, file->size, 0, &error);
    file->state = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;
    int code = file->state ? 0 : zip_failed(&error);
    if (source && !file->state)
        zip_source_free(source);
    zip_error_fini(&error);
    return code;
}

// --- a file of the archive

// Bytes from its beginning, as many as there are, at most `size`; -1 with err_set.
static int64_t read_some(zip_file_t *from, unsigned char *bytes, int64_t size)
{
    int64_t done = 0;
    while (done < size) {
        errno = 0;
        zip_int64_t now = zip_fread(from, bytes + done, (zip_uint64_t)(size - done));
        if (now < 0) {
            zip_failed(zip_file_get_error(from));
            return -1;
        }
        if (now == 0)
            break;
        done += now;
    }
    return done;
}

static zip_file_t *open_file(const struct import_file *file, int64_t index)
{
    zip_t *archive = file->state;
    errno = 0;
    zip_file_t *from = zip_fopen_index(archive, (zip_uint64_t)index, 0);
    if (!from)
        zip_failed(zip_get_error(archive));
    return from;
}

// Its size, where it is packed in a way that is read.
static int size_of(const struct import_file *file, int64_t index, int64_t *size)
{
    zip_t *archive = file->state;
    zip_stat_t status;
    errno = 0;
    if (zip_stat_index(archive, (zip_uint64_t)index, 0, &status) < 0)
        return zip_failed(zip_get_error(archive));
    const zip_uint64_t wanted = ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if ((status.valid & wanted) != wanted || status.encryption_method != ZIP_EM_NONE)
        return err_set(ERR_FORMAT, "it is encrypted, or its zip entry is not whole");
    if (status.comp_method != ZIP_CM_STORE && status.comp_method != ZIP_CM_DEFLATE)
        return err_set(ERR_FORMAT, "it is packed by method %d of zip; stored and deflated are read",
                       status.comp_method);
    if (status.size > INT64_MAX)
        return err_set(ERR_FORMAT, "its zip entry has a size that does not fit");
    *size = (int64_t)status.size;
    return 0;
}

static int read_head(struct import_file *file, int64_t index, struct import_array *array,
                     unsigned char *bytes, int64_t size)
{
    size_t head;
    int64_t data, most = size < IMPORT_NPY_HEAD ? size : IMPORT_NPY_HEAD;
    zip_file_t *from = open_file(file, index);
    if (!from)
        return err_code();
    int64_t got = read_some(from, bytes, most);
    zip_fclose(from);
    if (got < 0)
        return err_code();
    int code = import_npy_head(array, bytes, (size_t)got, &head, &data);
    if (code < 0)
        return code;
    if (size - (int64_t)head != data)
        return err_set(ERR_FORMAT,
                       "it has %lld bytes of numbers, and its shape and type ask for %lld",
                       (long long)(size - (int64_t)head), (long long)data);
    return 0;
}

// --- list and load

// What does not end in ".npy" is no array; NumPy hands it out as bytes.
static int add_file(struct import_file *file, int64_t index, unsigned char *bytes)
{
    zip_t *archive = file->state;
    int64_t size;
    errno = 0;
    const char *name = zip_get_name(archive, (zip_uint64_t)index, ZIP_FL_ENC_RAW);
    size_t length = name ? strlen(name) : 0;
    if (!name)
        return zip_failed(zip_get_error(archive));
    if (length < 4 || strcmp(name + length - 4, ".npy") != 0)
        return 0;
    struct import_array *array = import_add(file, name, length - 4);
    if (!array)
        return err_code();
    array->place = index;
    int code = size_of(file, index, &size);
    if (code == 0)
        code = read_head(file, index, array, bytes, size);
    return code < 0 ? err_prefix(code, "'%.200s'", array->name) : 0;
}

static int list(struct import_file *file)
{
    int code = count_marks(file);
    if (code == 0)
        code = open_archive(file);
    unsigned char *bytes = code == 0 ? malloc(IMPORT_NPY_HEAD) : NULL;
    if (!bytes)
        return code < 0 ? code : err_set(ERR_MEMORY, "out of memory for the heads of its arrays");
    zip_int64_t files = zip_get_num_entries(file->state, 0);
    for (zip_int64_t i = 0; i < files && code == 0; i++)
        code = add_file(file, i, bytes);
    free(bytes);
    if (code == 0 && file->arrays == 0)
        code = err_set(ERR_FORMAT, "it is a zip archive without any .npy in it (PyTorch's own .pt "
                                   "and .bin are not read; save as safetensors)");
    return code;
}

// Reads the whole file, to the end where libzip checks its sum, and drops the head.
static int unpack(struct import_file *file, zip_file_t *from, int64_t size)
{
    struct import_array again = {0};
    size_t head = 0;
    int64_t data;
    unsigned char more;
    unsigned char *bytes = malloc((size_t)size + 1);
    if (!bytes)
        return err_set(ERR_MEMORY, "out of memory for its %lld bytes", (long long)size);
    int64_t got = read_some(from, bytes, size);
    int64_t beyond = got == size ? read_some(from, &more, 1) : 0;
    int code = got < 0 || beyond < 0 ? err_code() : 0;
    if (code == 0 && (got != size || beyond != 0))
        code = err_set(ERR_FORMAT, "it does not have the %lld bytes that it says", (long long)size);
    if (code == 0)
        code = import_npy_head(&again, bytes, (size_t)size, &head, &data);
    if (code < 0) {
        free(bytes);
        return code;
    }
    memmove(bytes, bytes + head, (size_t)size - head);
    file->loaded = bytes;
    return 0;
}

static int load(struct import_file *file, const struct import_array *array)
{
    int64_t size;
    int code = size_of(file, array->place, &size);
    if (code == 0 && size > (int64_t)file->size + SLACK)
        code = err_set(ERR_FORMAT,
                       "it has %lld bytes, and at most as many as the archive and %d MB are "
                       "unpacked; store it without compression",
                       (long long)size, SLACK >> 20);
    zip_file_t *from = code == 0 ? open_file(file, array->place) : NULL;
    if (code == 0 && !from)
        code = err_code();
    if (code == 0)
        code = unpack(file, from, size);
    if (from)
        zip_fclose(from);
    return code < 0 ? err_prefix(code, "%s: '%.200s'", file->path, array->name) : 0;
}

static void close_archive(struct import_file *file)
{
    if (file->state)
        zip_discard(file->state);
}

const struct import_format import_npz = {
    .name = "npz",
    .title = "NumPy archive, stored or deflated",
    .extension = ".npz",
    .is = is,
    .list = list,
    .load = load,
    .close = close_archive,
};
