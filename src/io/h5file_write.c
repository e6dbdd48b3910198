// Writing HDF5: an image in memory whose bytes are a pure function of the calls that made it.
//
// Nothing here touches the disk: the core driver holds the file, h5_writer_publish takes its image,
// puts the user block before it, and hands both to file_publish. So a failure at any point leaves
// the old file.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "h5file_inside.h"
#include "seal.h"

#include <hdf5_hl.h>

enum { MAX_RANK = 32, GROWTH = 1 << 20 };

struct h5_writer {
    hid_t file;
    hid_t group_plan, data_plan, link_plan; // property lists; -1 while not there
    int error;                              // the first one
    char message[1024];
};

__attribute__((format(printf, 3, 4))) static void fail(struct h5_writer *writer, int code,
                                                       const char *format, ...)
{
    if (writer->error)
        return;
    writer->error = code;
    va_list list;
    va_start(list, format);
    vsnprintf(writer->message, sizeof writer->message, format, list);
    va_end(list);
}

static void fail_hdf5(struct h5_writer *writer, const char *verb, const char *path)
{
    char cause[H5_CAUSE_MAX];
    fail(writer, ERR_FILE, "cannot %s %s: %s", verb, path, h5_cause(cause));
}

// --- start and end

// The image of a file of format V18 (checksummed metadata, read by every HDF5 since 1.8), room for
// the user block, and no clock anywhere.
static hid_t create_file(const struct h5_writer *writer)
{
    char name[H5_IMAGE_NAME_MAX];
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    hid_t create = H5Pcreate(H5P_FILE_CREATE);
    hid_t file = -1;
    bool good = access >= 0 && create >= 0 && H5Pset_fapl_core(access, GROWTH, false) >= 0 &&
                H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18) >= 0 &&
                H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0 &&
                H5Pset_userblock(create, SEAL_SIZE) >= 0 &&
                H5Pset_obj_track_times(create, false) >= 0;
    if (good)
        file = H5Fcreate(h5_image_name(writer, name), H5F_ACC_TRUNC, create, access);
    if (access >= 0)
        H5Pclose(access);
    if (create >= 0)
        H5Pclose(create);
    return file;
}

static bool make_plans(struct h5_writer *writer)
{
    writer->group_plan = H5Pcreate(H5P_GROUP_CREATE);
    writer->data_plan = H5Pcreate(H5P_DATASET_CREATE);
    writer->link_plan = H5Pcreate(H5P_LINK_CREATE);
    return writer->group_plan >= 0 && writer->data_plan >= 0 && writer->link_plan >= 0 &&
           H5Pset_obj_track_times(writer->group_plan, false) >= 0 &&
           H5Pset_obj_track_times(writer->data_plan, false) >= 0 &&
           H5Pset_layout(writer->data_plan, H5D_CONTIGUOUS) >= 0 &&
           H5Pset_fill_time(writer->data_plan, H5D_FILL_TIME_NEVER) >= 0 &&
           H5Pset_char_encoding(writer->link_plan, H5T_CSET_UTF8) >= 0;
}

struct h5_writer *h5_writer_new(void)
{
    h5_start();
    struct h5_writer *writer = calloc(1, sizeof *writer);
    if (!writer) {
        err_set(ERR_MEMORY, "out of memory for an HDF5 file");
        return NULL;
    }
    writer->group_plan = writer->data_plan = writer->link_plan = -1;
    writer->file = create_file(writer);
    if (writer->file < 0 || !make_plans(writer)) {
        char cause[H5_CAUSE_MAX];
        err_set(ERR_MEMORY, "cannot start an HDF5 file in memory: %s", h5_cause(cause));
        h5_writer_free(writer);
        return NULL;
    }
    return writer;
}

void h5_writer_free(struct h5_writer *writer)
{
    if (!writer)
        return;
    const hid_t plan[] = {writer->group_plan, writer->data_plan, writer->link_plan};
    for (int i = 0; i < 3; i++)
        if (plan[i] >= 0)
            H5Pclose(plan[i]);
    if (writer->file >= 0)
        H5Fclose(writer->file);
    free(writer);
}

// --- datasets

// Makes the groups above `path`, one part at a time, so that all are made alike.
static bool make_groups(struct h5_writer *writer, const char *path)
{
    char part[H5_PATH_MAX];
    const char *last = strrchr(path, '/');
    for (size_t end = h5_path_next(path, 1, part); end && path + end <= last;
         end = h5_path_next(path, end + 1, part)) {
        htri_t there = H5Lexists(writer->file, part, H5P_DEFAULT);
        hid_t group = -1;
        if (there == 0)
            group =
                H5Gcreate2(writer->file, part, writer->link_plan, writer->group_plan, H5P_DEFAULT);
        if (there < 0 || (there == 0 && (group < 0 || H5Gclose(group) < 0))) {
            fail_hdf5(writer, "make the group", part);
            return false;
        }
    }
    return true;
}

// Makes one dataset and fills it; `space` may hold no elements.
static bool put_dataset(struct h5_writer *writer, const char *path, hid_t file_type,
                        hid_t memory_type, hid_t space, const void *data)
{
    hid_t set = H5Dcreate2(writer->file, path, file_type, space, writer->link_plan,
                           writer->data_plan, H5P_DEFAULT);
    if (set < 0)
        return false;
    bool good = H5Sget_simple_extent_npoints(space) == 0 ||
                H5Dwrite(set, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    return H5Dclose(set) >= 0 && good;
}

static hid_t make_space(int dims, const int64_t *size)
{
    hsize_t extent[MAX_RANK];
    for (int i = 0; i < dims; i++)
        extent[i] = (hsize_t)size[i];
    return dims ? H5Screate_simple(dims, extent, NULL) : H5Screate(H5S_SCALAR);
}

static bool sizes_good(int dims, const int64_t *size, size_t item)
{
    size_t bytes = item;
    for (int i = 0; i < dims; i++)
        if (size[i] < 0 || __builtin_mul_overflow(bytes, (size_t)size[i], &bytes))
            return false;
    return true;
}

void h5_write(struct h5_writer *writer, const char *path, enum h5_type type, int dims,
              const int64_t *size, const void *data)
{
    if (writer->error)
        return;
    if (!h5_path_good(path) || !path[1])
        fail(writer, ERR_ARGUMENT, "'%s' is not the path of a dataset", path);
    else if (dims < 0 || dims > MAX_RANK || !sizes_good(dims, size, h5_type_size(type)))
        fail(writer, ERR_ARGUMENT, "the sizes of %s make no array", path);
    if (writer->error || !make_groups(writer, path))
        return;
    hid_t space = make_space(dims, size);
    bool good = space >= 0 &&
                put_dataset(writer, path, h5_file_type(type), h5_memory_type(type), space, data);
    if (!good)
        fail_hdf5(writer, "write", path);
    if (space >= 0)
        H5Sclose(space);
}

// A string type of the text's own length. Variable-length strings are what libhdf5 crashes on when
// a file is damaged, so there are none. HDF5 has no strings of length 0: "" is one NUL.
static hid_t make_text_type(const char *text)
{
    size_t size = strlen(text);
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 &&
        (H5Tset_size(type, size ? size : 1) < 0 || H5Tset_strpad(type, H5T_STR_NULLPAD) < 0 ||
         H5Tset_cset(type, H5T_CSET_UTF8) < 0)) {
        H5Tclose(type);
        return -1;
    }
    return type;
}

void h5_write_text(struct h5_writer *writer, const char *path, const char *text)
{
    if (writer->error)
        return;
    if (!h5_path_good(path) || !path[1] || strlen(text) > INT32_MAX) {
        fail(writer, ERR_ARGUMENT, "cannot write a text of %zu bytes to '%s'", strlen(text), path);
        return;
    }
    if (!make_groups(writer, path))
        return;
    hid_t type = make_text_type(text);
    hid_t space = H5Screate(H5S_SCALAR);
    if (type < 0 || space < 0 || !put_dataset(writer, path, type, type, space, text))
        fail_hdf5(writer, "write", path);
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
}

// --- attributes

static bool put_attribute(hid_t object, const char *name, hid_t file_type, hid_t memory_type,
                          const void *data)
{
    hid_t space = H5Screate(H5S_SCALAR);
    if (space < 0)
        return false;
    hid_t attribute = H5Acreate2(object, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool good = attribute >= 0 && H5Awrite(attribute, memory_type, data) >= 0;
    if (attribute >= 0 && H5Aclose(attribute) < 0)
        good = false;
    return H5Sclose(space) >= 0 && good;
}

static void write_attribute(struct h5_writer *writer, const char *path, const char *name,
                            hid_t file_type, hid_t memory_type, const void *data)
{
    if (!h5_path_good(path) || !name[0]) {
        fail(writer, ERR_ARGUMENT, "'%s' of '%s' names no attribute", name, path);
        return;
    }
    hid_t object = H5Oopen(writer->file, path, H5P_DEFAULT);
    bool good = object >= 0 && put_attribute(object, name, file_type, memory_type, data);
    if (!good) {
        char cause[H5_CAUSE_MAX];
        fail(writer, ERR_FILE, "cannot write attribute %s of %s: %s", name, path, h5_cause(cause));
    }
    if (object >= 0)
        H5Oclose(object);
}

void h5_attr_text(struct h5_writer *writer, const char *path, const char *name, const char *text)
{
    if (writer->error)
        return;
    hid_t type = make_text_type(text);
    if (type < 0) {
        fail_hdf5(writer, "make the type of an attribute of", path);
        return;
    }
    write_attribute(writer, path, name, type, type, text);
    H5Tclose(type);
}

void h5_attr_int(struct h5_writer *writer, const char *path, const char *name, int64_t value)
{
    if (!writer->error)
        write_attribute(writer, path, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

void h5_attr_real(struct h5_writer *writer, const char *path, const char *name, double value)
{
    if (!writer->error)
        write_attribute(writer, path, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

// --- dimension scales

static bool attach(hid_t set, int dim, const char *label, hid_t scale)
{
    htri_t is_scale = H5DSis_scale(scale);
    return is_scale >= 0 && (is_scale || H5DSset_scale(scale, label) >= 0) &&
           H5DSattach_scale(set, scale, (unsigned)dim) >= 0 &&
           H5DSset_label(set, (unsigned)dim, label) >= 0;
}

void h5_attach_scale(struct h5_writer *writer, const char *path, int dim, const char *label,
                     const char *scale_path)
{
    if (writer->error)
        return;
    if (dim < 0 || !h5_path_good(path) || !h5_path_good(scale_path)) {
        fail(writer, ERR_ARGUMENT, "cannot attach '%s' to axis %d of '%s'", scale_path, dim, path);
        return;
    }
    hid_t set = H5Dopen2(writer->file, path, H5P_DEFAULT);
    hid_t scale = set < 0 ? -1 : H5Dopen2(writer->file, scale_path, H5P_DEFAULT);
    if (scale < 0 || !attach(set, dim, label, scale)) {
        char cause[H5_CAUSE_MAX];
        fail(writer, ERR_FILE, "cannot attach %s to axis %d of %s: %s", scale_path, dim, path,
             h5_cause(cause));
    }
    if (scale >= 0)
        H5Dclose(scale);
    if (set >= 0)
        H5Dclose(set);
}

// --- the image

static uint32_t rotate(uint32_t x, int bits)
{
    return x << bits | x >> (32 - bits);
}

static uint32_t load_le32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

// Bob Jenkins' lookup3 hash of the 44 bytes of a version 2 superblock, as HDF5 uses it (start value
// 0): three full blocks of 12 bytes, then a last one of 8.
static uint32_t superblock_checksum(const unsigned char *p)
{
    static const int mix[6] = {4, 6, 8, 16, 19, 4};
    static const int last[7] = {14, 11, 25, 16, 4, 14, 24};
    uint32_t s[3];
    s[0] = s[1] = s[2] = 0xdeadbeefU + 44;
    for (int block = 0; block < 3; block++, p += 12) {
        for (int i = 0; i < 3; i++)
            s[i] += load_le32(p + 4 * i);
        for (int i = 0; i < 6; i++) { // (a,c), (b,a), (c,b), twice
            uint32_t *x = &s[i % 3], *y = &s[(i + 2) % 3], *z = &s[(i + 1) % 3];
            *x -= *y;
            *x ^= rotate(*y, mix[i]);
            *y += *z;
        }
    }
    s[0] += load_le32(p);
    s[1] += load_le32(p + 4);
    for (int i = 0; i < 7; i++) { // c^b, a^c, b^a, and again, and c^b
        uint32_t *x = &s[(i + 2) % 3], *y = &s[(i + 1) % 3];
        *x ^= *y;
        *x -= rotate(*y, last[i]);
    }
    return s[2];
}

// H5Fget_file_image of 1.10.8 clears a flag of the superblock and forgets its checksum. Doing it
// again is harmless where it was right.
static int mend_superblock(unsigned char *image, size_t size)
{
    enum { VERSION_AT = 8, CHECKSUM_AT = 44, SUPERBLOCK = 48 };
    static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    if (size < SUPERBLOCK || memcmp(image, signature, 8) != 0 || image[VERSION_AT] != 2)
        return err_set(ERR_FILE,
                       "this libhdf5 makes an image of another form; use HDF5 1.10 to 1.14");
    uint32_t sum = superblock_checksum(image);
    for (int i = 0; i < 4; i++)
        image[CHECKSUM_AT + i] = (unsigned char)(sum >> (8 * i));
    return 0;
}

// The user block and the image in one malloc'ed block. The image that libhdf5 gives starts after
// the user block, though its addresses count from before it.
static int take_image(struct h5_writer *writer, unsigned char **bytes, size_t *size)
{
    char cause[H5_CAUSE_MAX];
    ssize_t image = -1;
    if (H5Fflush(writer->file, H5F_SCOPE_GLOBAL) >= 0)
        image = H5Fget_file_image(writer->file, NULL, 0);
    if (image <= 0)
        return err_set(ERR_MEMORY, "cannot make the HDF5 image: %s", h5_cause(cause));
    *size = SEAL_SIZE + (size_t)image;
    *bytes = malloc(*size);
    if (!*bytes)
        return err_set(ERR_MEMORY, "out of memory for a file of %zu bytes", *size);
    int code = 0;
    if (H5Fget_file_image(writer->file, *bytes + SEAL_SIZE, (size_t)image) != image)
        code = err_set(ERR_MEMORY, "cannot make the HDF5 image: %s", h5_cause(cause));
    else
        code = mend_superblock(*bytes + SEAL_SIZE, (size_t)image);
    if (code < 0) {
        free(*bytes);
        *bytes = NULL;
    }
    return code;
}

int h5_writer_image(struct h5_writer *writer, const char *file_path, unsigned char **bytes,
                    size_t *size)
{
    if (writer->error)
        return err_set(writer->error, "cannot write %s: %s", file_path, writer->message);
    int code = take_image(writer, bytes, size);
    if (code < 0)
        return err_prefix(code, "cannot write %s", file_path);
    seal_write(*bytes, *size);
    return 0;
}

int h5_writer_publish(struct h5_writer *writer, const char *file_path)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    int code = h5_writer_image(writer, file_path, &bytes, &size);
    if (code == 0)
        code = file_publish(file_path, bytes, size);
    free(bytes);
    return code;
}
