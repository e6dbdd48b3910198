// Images with labels, out of files of others: IDX (the format of MNIST) or HDF5.
#ifndef POSGRAD_IMAGE_FILE_H
#define POSGRAD_IMAGE_FILE_H

#include "data_file.h"

enum { IMAGE_MAX_CLASSES = 1 << 16 };

struct image_set {
    int64_t count, height, width;
    const unsigned char *pixels; // [count, height, width], 0 to 255
    uint16_t *label;             // [count], below `classes`
    int64_t classes;             // the largest label and one
    uint64_t fingerprint;        // of the bytes of the files
    struct data_file mapped;     // where the pixels are those of a file,
    unsigned char *read;         // or they were read
};

// Where things are, as the user says.
struct image_names {
    const char *labels_path;             // the file of labels of an IDX file; "": beside it
    const char *images_set, *labels_set; // datasets of an HDF5 file
};

// Opens the file that the first bytes at `path` say it is. ERR_FILE or ERR_FORMAT with one line
// that begins with an option; nothing is left open then.
int image_set_open(struct image_set *set, const char *path, const struct image_names *names);
void image_set_close(struct image_set *set); // also of one that is zeroed

// The reader of HDF5: count, sizes, pixels and labels. `file` is the whole file, which is taken
// where the pixels are in it as they are wanted.
int image_set_read_hdf5(struct image_set *set, const char *path, const struct image_names *names,
                        struct data_file *file);

#endif
