// HDF5 files of images: a dataset [count, height, width] of unsigned bytes, or of reals from 0 to
// 1, and a dataset [count] of labels, of any integers.
//
// Where these lie in the file says libhdf5 behind a wall (see foreign_hdf5.h), and what it says is
// checked before it is believed. Bytes are used where they are mapped; reals are made bytes.
#include <math.h>
#include <stdlib.h>

#include "../autograd/base/err.h"
#include "../autograd/base/foreign_hdf5.h"
#include "image_file.h"

// A dataset that was found.
struct source {
    const char *path, *name; // for messages
    const struct foreign_set *set;
    const unsigned char *bytes; // the file
};

// --- images

static bool is_byte(const struct foreign_set *set)
{
    return set->kind == FOREIGN_UNSIGNED && set->element == 1;
}

static int check_images(const struct source *source)
{
    const struct foreign_set *set = source->set;
    if (!is_byte(set) && set->kind != FOREIGN_REAL)
        return err_set(ERR_FORMAT,
                       "'%s': dataset '%s' is of another type than unsigned bytes or reals of 4 or "
                       "8 bytes",
                       source->path, source->name);
    if (set->dims != 3)
        return err_set(ERR_FORMAT,
                       "'%s': dataset '%s' has %d dimensions; 3 are wanted, count, height "
                       "and width",
                       source->path, source->name, set->dims);
    if (set->size[0] && set->size[1] && set->size[2])
        return 0;
    return err_set(ERR_FORMAT, "'%s': dataset '%s' has no pixels: sizes %lld, %lld, %lld",
                   source->path, source->name, (long long)set->size[0], (long long)set->size[1],
                   (long long)set->size[2]);
}

// Reals from 0 to 1 as bytes, the nearest.
static int convert(const struct source *source, unsigned char *to)
{
    const struct foreign_set *set = source->set;
    int64_t count = foreign_set_count(set);
    for (int64_t i = 0; i < count; i++) {
        float x = (float)foreign_set_real(set, source->bytes, i);
        if (!(x >= 0 && x <= 1))
            return err_set(ERR_FORMAT,
                           "'%s': dataset '%s' has %g in image %lld; reals must be from 0 to 1",
                           source->path, source->name, (double)x,
                           (long long)(i / (set->size[1] * set->size[2])));
        to[i] = (unsigned char)lrintf(x * 255);
    }
    return 0;
}

static int take_images(struct image_set *images, const struct source *source)
{
    const struct foreign_set *set = source->set;
    int code = check_images(source);
    if (code < 0)
        return code;
    images->count = set->size[0];
    images->height = set->size[1];
    images->width = set->size[2];
    images->pixels = source->bytes + set->offset;
    if (is_byte(set))
        return 0;
    images->pixels = images->read = malloc((size_t)foreign_set_count(set));
    if (!images->read)
        return err_set(ERR_MEMORY, "out of memory for %lld images of '%s'",
                       (long long)images->count, source->path);
    return convert(source, images->read);
}

// --- labels

static int check_labels(const struct source *source, int64_t images)
{
    const struct foreign_set *set = source->set;
    bool integers = set->kind == FOREIGN_UNSIGNED || set->kind == FOREIGN_SIGNED;
    if (!integers || set->dims != 1)
        return err_set(ERR_FORMAT,
                       "'%s': dataset '%s' has %d dimensions and %s; labels are one integer an "
                       "image",
                       source->path, source->name, set->dims,
                       integers ? "integers" : "no integers");
    if (set->size[0] != images)
        return err_set(ERR_FORMAT, "'%s': dataset '%s' has %lld labels for %lld images",
                       source->path, source->name, (long long)set->size[0], (long long)images);
    return 0;
}

static int take_labels(struct image_set *images, const struct source *source)
{
    int code = check_labels(source, images->count);
    if (code < 0)
        return code;
    images->label = malloc((size_t)images->count * sizeof *images->label);
    if (!images->label)
        return err_set(ERR_MEMORY, "out of memory for %lld labels", (long long)images->count);
    for (int64_t i = 0; i < images->count; i++) {
        int64_t label = foreign_set_integer(source->set, source->bytes, i);
        if (label < 0 || label >= IMAGE_MAX_CLASSES)
            return err_set(ERR_FORMAT,
                           "'%s': dataset '%s' has the label %lld of image %lld; labels are from "
                           "0 to %d",
                           source->path, source->name, (long long)label, (long long)i,
                           IMAGE_MAX_CLASSES - 1);
        images->label[i] = (uint16_t)label;
        if (label >= images->classes)
            images->classes = label + 1;
    }
    return 0;
}

int image_set_read_hdf5(struct image_set *images, const char *path, const struct image_names *names,
                        struct data_file *file)
{
    const char *name[] = {names->images_set, names->labels_set};
    struct foreign_set set[2];
    if (names->labels_path[0])
        return err_set(ERR_ARGUMENT,
                       "--task-opt of task images: labels=FILE is for IDX files; the labels of the "
                       "HDF5 file '%s' are in it, by labels_name",
                       path);
    int code = foreign_hdf5_find(path, file->bytes, file->size, 2, name, set);
    if (code == 0)
        code = take_images(images, &(struct source){path, name[0], &set[0], file->bytes});
    if (code == 0)
        code = take_labels(images, &(struct source){path, name[1], &set[1], file->bytes});
    if (code < 0)
        return err_prefix(code, "--data");
    if (!images->read) { // the pixels are those of the file
        images->mapped = *file;
        *file = (struct data_file){0};
    }
    return 0;
}
