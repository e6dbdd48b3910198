// HDF5 files of images: a dataset [count, height, width] of unsigned bytes, or of reals from 0 to
// 1, and a dataset [count] of labels, of any integers.
//
// They are read whole, into bytes. Such a file has no digest of ours, so what it says is checked
// before it is believed, and what would open other files (external links and storage, virtual
// datasets) or could crash libhdf5 (pieces, filters) is refused.
#include <math.h>
#include <stdlib.h>

#include "../autograd/base/err.h"
#include "../autograd/base/quiet_hdf5.h"
#include "image_file.h"

enum { MAX_RANK = 32, BLOCK = 1 << 20 }; // pixels that are converted at a time

// A dataset with its types and sizes.
struct source {
    const char *path, *name; // for messages
    hid_t set, type, space;
    int dims;
    hsize_t size[MAX_RANK];
};

static void close_source(struct source *source)
{
    if (source->space >= 0)
        H5Sclose(source->space);
    if (source->type >= 0)
        H5Tclose(source->type);
    if (source->set >= 0)
        H5Dclose(source->set);
}

// For links that lead to another file.
static herr_t refuse_link(const char *parent_file, const char *parent_group, const char *child_file,
                          const char *child_object, unsigned *flags, hid_t access, void *context)
{
    (void)parent_file, (void)parent_group, (void)child_file, (void)child_object;
    (void)flags, (void)access, (void)context;
    return -1;
}

static hid_t open_set(hid_t file, const char *name)
{
    hid_t set = -1, access = H5Pcreate(H5P_DATASET_ACCESS);
    if (access >= 0 && H5Pset_elink_cb(access, refuse_link, NULL) >= 0)
        set = H5Dopen2(file, name, access);
    if (access >= 0)
        H5Pclose(access);
    return set;
}

// NULL where the elements lie in this file as they are. Pieces and filters are not read, as damaged
// ones can crash libhdf5 1.10.8: it believes what they say of their sizes.
static const char *wrong_storage(hid_t set)
{
    hid_t plan = H5Dget_create_plist(set);
    if (plan < 0)
        return "says nothing of its storage";
    H5D_layout_t layout = H5Pget_layout(plan);
    bool external = H5Pget_external_count(plan) != 0, filtered = H5Pget_nfilters(plan) != 0;
    H5Pclose(plan);
    if (layout == H5D_VIRTUAL || external)
        return "is kept in another file, which is not opened";
    if (layout == H5D_CHUNKED || filtered)
        return "is in pieces or compressed; h5repack -l CONTI -f NONE makes a plain copy";
    return NULL;
}

// Whether the storage has all elements; `limit` is the size of the file.
static bool all_stored(const struct source *source, int64_t limit)
{
    hsize_t bytes = H5Tget_size(source->type);
    for (int i = 0; i < source->dims; i++)
        if (__builtin_mul_overflow(bytes, source->size[i], &bytes))
            return false;
    return bytes <= (hsize_t)limit && H5Dget_storage_size(source->set) == bytes;
}

static int open_source(struct source *source, hid_t file, const char *path, const char *name,
                       int64_t limit)
{
    char cause[H5_CAUSE_MAX];
    *source = (struct source){.path = path, .name = name, .set = -1, .type = -1, .space = -1};
    source->set = open_set(file, name);
    if (source->set < 0)
        return err_set(ERR_FORMAT,
                       "--data: '%s' has no dataset '%s' that can be opened (%s); --task-opt "
                       "images_name and labels_name say where they are",
                       path, name, h5_cause(cause));
    const char *wrong = wrong_storage(source->set);
    if (!wrong && ((source->type = H5Dget_type(source->set)) < 0 ||
                   (source->space = H5Dget_space(source->set)) < 0))
        wrong = "has no type or no size";
    if (!wrong) {
        source->dims = H5Sget_simple_extent_ndims(source->space);
        if (source->dims < 0 || source->dims > MAX_RANK ||
            H5Sget_simple_extent_dims(source->space, source->size, NULL) != source->dims)
            wrong = "is no array";
        else if (!all_stored(source, limit))
            wrong = "was never written, or is larger than the file";
    }
    return wrong ? err_set(ERR_FORMAT, "--data: '%s': dataset '%s' %s", path, name, wrong) : 0;
}

static int lost(const struct source *source)
{
    char cause[H5_CAUSE_MAX];
    return err_set(ERR_FORMAT, "--data: '%s': dataset '%s' cannot be read: %s", source->path,
                   source->name, h5_cause(cause));
}

// --- images

static bool is_byte(const struct source *source)
{
    return H5Tget_class(source->type) == H5T_INTEGER && H5Tget_size(source->type) == 1 &&
           H5Tget_sign(source->type) == H5T_SGN_NONE;
}

static int check_images(const struct source *source)
{
    if (!is_byte(source) && H5Tget_class(source->type) != H5T_FLOAT)
        return err_set(ERR_FORMAT,
                       "--data: '%s': dataset '%s' is of another type than unsigned bytes or reals",
                       source->path, source->name);
    if (source->dims != 3)
        return err_set(ERR_FORMAT,
                       "--data: '%s': dataset '%s' has %d dimensions; 3 are wanted, count, height "
                       "and width",
                       source->path, source->name, source->dims);
    if (source->size[0] && source->size[1] && source->size[2])
        return 0;
    return err_set(ERR_FORMAT, "--data: '%s': dataset '%s' has no pixels: sizes %lld, %lld, %lld",
                   source->path, source->name, (long long)source->size[0],
                   (long long)source->size[1], (long long)source->size[2]);
}

// `count` images from number `first` on.
static bool read_images(const struct source *source, hsize_t first, hsize_t count, hid_t type,
                        void *data)
{
    const hsize_t start[3] = {first, 0, 0}, size[3] = {count, source->size[1], source->size[2]};
    hid_t here = H5Screate_simple(3, size, NULL);
    bool good = here >= 0 &&
                H5Sselect_hyperslab(source->space, H5S_SELECT_SET, start, NULL, size, NULL) >= 0 &&
                H5Dread(source->set, type, here, source->space, H5P_DEFAULT, data) >= 0;
    if (here >= 0)
        H5Sclose(here);
    return good;
}

// Reals from 0 to 1 as bytes, the nearest.
static int convert(const struct source *source, int64_t first, const float *from, int64_t count,
                   unsigned char *to)
{
    for (int64_t i = 0; i < count; i++) {
        if (!(from[i] >= 0 && from[i] <= 1))
            return err_set(ERR_FORMAT,
                           "--data: '%s': dataset '%s' has %g in image %lld; reals must be from 0 "
                           "to 1",
                           source->path, source->name, (double)from[i],
                           (long long)(first + i / (int64_t)(source->size[1] * source->size[2])));
        to[i] = (unsigned char)lrintf(from[i] * 255);
    }
    return 0;
}

static int read_reals(struct image_set *set, const struct source *source)
{
    int64_t one = set->height * set->width, block = one < BLOCK ? BLOCK / one : 1;
    float *part = malloc((size_t)(block * one) * sizeof *part);
    int code = part ? 0 : err_set(ERR_MEMORY, "out of memory for images of '%s'", source->path);
    for (int64_t i = 0; i < set->count && code == 0; i += block) {
        int64_t count = set->count - i < block ? set->count - i : block;
        if (read_images(source, (hsize_t)i, (hsize_t)count, H5T_NATIVE_FLOAT, part))
            code = convert(source, i, part, count * one, set->read + i * one);
        else
            code = lost(source);
    }
    free(part);
    return code;
}

static int take_images(struct image_set *set, hid_t file, const char *path, const char *name,
                       int64_t limit)
{
    struct source source;
    int code = open_source(&source, file, path, name, limit);
    if (code == 0)
        code = check_images(&source);
    if (code == 0) {
        set->count = (int64_t)source.size[0];
        set->height = (int64_t)source.size[1];
        set->width = (int64_t)source.size[2];
        set->pixels = set->read = malloc((size_t)(set->count * set->height * set->width));
        if (!set->read)
            code = err_set(ERR_MEMORY, "out of memory for %lld images of '%s'",
                           (long long)set->count, path);
    }
    if (code == 0 && !is_byte(&source))
        code = read_reals(set, &source);
    else if (code == 0 && !read_images(&source, 0, source.size[0], H5T_NATIVE_UCHAR, set->read))
        code = lost(&source);
    close_source(&source);
    return code;
}

// --- labels

static int check_labels(const struct source *source, int64_t images)
{
    if (H5Tget_class(source->type) != H5T_INTEGER || source->dims != 1)
        return err_set(ERR_FORMAT,
                       "--data: '%s': dataset '%s' has %d dimensions and %s; labels are one "
                       "integer an image",
                       source->path, source->name, source->dims,
                       H5Tget_class(source->type) == H5T_INTEGER ? "integers" : "no integers");
    if (source->size[0] != (hsize_t)images)
        return err_set(ERR_FORMAT, "--data: '%s': dataset '%s' has %llu labels for %lld images",
                       source->path, source->name, (unsigned long long)source->size[0],
                       (long long)images);
    return 0;
}

static int copy_labels(struct image_set *set, const struct source *source, const int64_t *from)
{
    for (int64_t i = 0; i < set->count; i++) {
        if (from[i] < 0 || from[i] >= IMAGE_MAX_CLASSES)
            return err_set(ERR_FORMAT,
                           "--data: '%s': dataset '%s' has the label %lld of image %lld; labels "
                           "are from 0 to %d",
                           source->path, source->name, (long long)from[i], (long long)i,
                           IMAGE_MAX_CLASSES - 1);
        set->label[i] = (uint16_t)from[i];
        if (from[i] >= set->classes)
            set->classes = from[i] + 1;
    }
    return 0;
}

static int read_labels(struct image_set *set, const struct source *source)
{
    int64_t *wide = malloc((size_t)set->count * sizeof *wide);
    set->label = malloc((size_t)set->count * sizeof *set->label);
    int code = 0;
    if (!wide || !set->label)
        code = err_set(ERR_MEMORY, "out of memory for %lld labels", (long long)set->count);
    else if (H5Dread(source->set, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, wide) < 0)
        code = lost(source);
    else
        code = copy_labels(set, source, wide);
    free(wide);
    return code;
}

static int take_labels(struct image_set *set, hid_t file, const char *path, const char *name,
                       int64_t limit)
{
    struct source source;
    int code = open_source(&source, file, path, name, limit);
    if (code == 0)
        code = check_labels(&source, set->count);
    if (code == 0)
        code = read_labels(set, &source);
    close_source(&source);
    return code;
}

int image_set_read_hdf5(struct image_set *set, const char *path, const struct image_names *names,
                        const struct data_file *whole)
{
    char cause[H5_CAUSE_MAX];
    if (names->labels_path[0])
        return err_set(ERR_ARGUMENT,
                       "--task-opt of task images: labels=FILE is for IDX files; the labels of the "
                       "HDF5 file '%s' are in it, by labels_name",
                       path);
    h5_start();
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0)
        return err_set(ERR_FORMAT, "--data: libhdf5 cannot open '%s': %s", path, h5_cause(cause));
    int code = take_images(set, file, path, names->images_set, whole->size);
    if (code == 0)
        code = take_labels(set, file, path, names->labels_set, whole->size);
    H5Fclose(file);
    H5Eclear2(H5E_DEFAULT);
    return code;
}
