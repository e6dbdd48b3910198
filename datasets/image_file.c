// Files of images: which format it is, and IDX.
//
// IDX (LeCun, Cortes, Burges, the MNIST database): two zero bytes, a type (8: unsigned bytes), the
// number of dimensions, each size in four bytes, the highest first, then the bytes. MNIST keeps
// images and labels in two files: train-images-idx3-ubyte and train-labels-idx1-ubyte.
#include "image_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../autograd/base/err.h"

enum { MAX_DIMS = 3 };

// --- IDX

struct idx {
    int64_t size[MAX_DIMS];
    const unsigned char *data;
};

static int64_t big_endian(const unsigned char *b)
{
    return (int64_t)b[0] << 24 | (int64_t)b[1] << 16 | (int64_t)b[2] << 8 | b[3];
}

static int check_magic(const struct data_file *file, const char *path, int dims)
{
    const unsigned char *b = file->bytes;
    if (file->size < 4 + 4 * dims)
        return err_set(ERR_FORMAT, "'%s' ends within its head: %lld bytes", path,
                       (long long)file->size);
    if (b[0] != 0 || b[1] != 0)
        return err_set(ERR_FORMAT, "'%s' is no IDX file: it begins with %02x %02x, not 00 00", path,
                       b[0], b[1]);
    if (b[2] != 8)
        return err_set(ERR_FORMAT,
                       "'%s' is an IDX file of type %02x; 08, unsigned bytes, is wanted", path,
                       b[2]);
    if (b[3] != dims)
        return err_set(ERR_FORMAT, "'%s' has %d dimensions; %s", path, b[3],
                       dims == 3 ? "images have 3 (count, height, width)" : "labels have 1");
    return 0;
}

// The product, or -1 where one is none or the product is too large.
static int64_t bytes_of(int64_t count, int64_t height, int64_t width)
{
    int64_t size;
    if (count < 1 || height < 1 || width < 1 || __builtin_mul_overflow(count, height, &size) ||
        __builtin_mul_overflow(size, width, &size))
        return -1;
    return size;
}

// The sizes, and that the file has just the bytes that they take.
static int parse(struct idx *idx, const struct data_file *file, const char *path, int dims)
{
    int code = check_magic(file, path, dims);
    if (code < 0)
        return code;
    for (int i = 0; i < MAX_DIMS; i++)
        idx->size[i] = i < dims ? big_endian(file->bytes + 4 + 4 * i) : 1;
    idx->data = file->bytes + 4 + 4 * dims;
    int64_t there = file->size - 4 - 4 * dims;
    int64_t size = bytes_of(idx->size[0], idx->size[1], idx->size[2]);
    if (size == there)
        return 0;
    char shape[64];
    snprintf(shape, sizeof shape, dims == 3 ? "%lld images of %lld by %lld" : "%lld labels",
             (long long)idx->size[0], (long long)idx->size[1], (long long)idx->size[2]);
    if (size < 0)
        return err_set(ERR_FORMAT, "'%s' says that it has %s, which cannot be", path, shape);
    return err_set(ERR_FORMAT, "'%s' %s: %s take %lld bytes, and it has %lld", path,
                   there < size ? "is cut short" : "has more than its head says", shape,
                   (long long)size, (long long)there);
}

// In place: "train-images-idx3-ubyte" to "train-labels-idx1-ubyte", as far as it is there.
static bool name_labels(char *name)
{
    char *images = strstr(name, "images"), *rank = strstr(name, "idx3");
    if (images)
        memcpy(images, "labels", 6); // NOLINT(bugprone-not-null-terminated-result): amid a name
    if (images && rank)
        memcpy(rank, "idx1", 4); // NOLINT(bugprone-not-null-terminated-result)
    return images != NULL;
}

static int find_labels(char labels[OPTION_TEXT], const char *path, const struct image_names *names)
{
    snprintf(labels, OPTION_TEXT, "%s", names->labels_path[0] ? names->labels_path : path);
    if (names->labels_path[0])
        return 0;
    char *slash = strrchr(labels, '/');
    if (name_labels(slash ? slash + 1 : labels))
        return 0;
    return err_set(ERR_FILE,
                   "--data: the name of '%s' has no 'images' in it, by which its labels would be "
                   "found; give them with --task-opt labels=FILE",
                   path);
}

static int copy_labels(struct image_set *set, const struct data_file *file, const char *path)
{
    struct idx idx;
    int code = parse(&idx, file, path, 1);
    if (code < 0)
        return code;
    if (idx.size[0] != set->count)
        return err_set(ERR_FORMAT, "'%s' has %lld labels for %lld images", path,
                       (long long)idx.size[0], (long long)set->count);
    set->label = malloc((size_t)set->count * sizeof *set->label);
    if (!set->label)
        return err_set(ERR_MEMORY, "out of memory for %lld labels", (long long)set->count);
    for (int64_t i = 0; i < set->count; i++) {
        set->label[i] = idx.data[i];
        if (idx.data[i] >= set->classes)
            set->classes = idx.data[i] + 1;
    }
    int64_t pages = data_file_pages(file->size, file->size, 1);
    set->fingerprint = data_file_join(set->fingerprint, data_file_fingerprint(file, pages));
    return 0;
}

static int read_labels(struct image_set *set, const char *path)
{
    struct data_file file;
    int code = data_file_open(&file, path);
    if (code == 0)
        code = copy_labels(set, &file, path);
    data_file_close(&file);
    return code < 0 ? err_prefix(code, "labels (--task-opt labels=FILE)") : 0;
}

static int read_idx(struct image_set *set, const char *path, const struct image_names *names,
                    struct data_file *file)
{
    struct idx idx;
    char labels[OPTION_TEXT];
    int code = parse(&idx, file, path, 3);
    if (code < 0)
        return err_prefix(code, "--data");
    set->count = idx.size[0];
    set->height = idx.size[1];
    set->width = idx.size[2];
    code = find_labels(labels, path, names);
    if (code == 0)
        code = read_labels(set, labels);
    if (code < 0)
        return code;
    set->pixels = idx.data;
    set->mapped = *file;
    *file = (struct data_file){0};
    return 0;
}

// --- any format

static bool is_hdf5(const struct data_file *file)
{
    static const unsigned char signature[8] = "\211HDF\r\n\032\n";
    // Behind a user block of 512 bytes, or twice as many, or twice that, ...
    for (int64_t at = 0; file->size - at >= 8; at = at ? 2 * at : 512)
        if (memcmp(file->bytes + at, signature, sizeof signature) == 0)
            return true;
    return false;
}

static int read_format(struct image_set *set, const char *path, const struct image_names *names,
                       struct data_file *file)
{
    const unsigned char *b = file->bytes;
    set->fingerprint = data_file_fingerprint(file, data_file_pages(file->size, file->size, 1));
    if (is_hdf5(file))
        return image_set_read_hdf5(set, path, names, file);
    if (file->size >= 2 && b[0] == 0x1F && b[1] == 0x8B)
        return err_set(ERR_FORMAT, "--data: '%s' is compressed; unpack it with gunzip first", path);
    if (file->size >= 2 && b[0] == 0 && b[1] == 0)
        return read_idx(set, path, names, file);
    return err_set(ERR_FORMAT, "--data: '%s' is neither an IDX file nor HDF5", path);
}

int image_set_open(struct image_set *set, const char *path, const struct image_names *names)
{
    struct data_file file;
    *set = (struct image_set){0};
    int code = data_file_open(&file, path);
    if (code < 0)
        return err_prefix(code, "--data");
    code = read_format(set, path, names, &file);
    data_file_close(&file);
    if (code < 0)
        image_set_close(set);
    return code;
}

void image_set_close(struct image_set *set)
{
    data_file_close(&set->mapped);
    free(set->read);
    free(set->label);
    *set = (struct image_set){0};
}
