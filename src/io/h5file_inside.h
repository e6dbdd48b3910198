// What the writer and the reader of HDF5 files share: quiet start-up, error lines, types, paths.
//
// Only h5file*.c include this, and through it hdf5.h.
#ifndef POSGRAD_H5FILE_INSIDE_H
#define POSGRAD_H5FILE_INSIDE_H

#include <hdf5.h>

#include "h5file.h"

enum { H5_PATH_MAX = 1024, H5_CAUSE_MAX = 256, H5_IMAGE_NAME_MAX = 64 };

// Silences libhdf5 and forbids it plugins and work at exit (1.10.8 can crash there after a full
// disk).
void h5_start(void);

// libhdf5's reason for the call that just failed, from the place nearest to the cause.
const char *h5_cause(char cause[H5_CAUSE_MAX]);

// A name for the image of `owner`. Nothing on disk has it, but the core driver takes two open
// images of one name for one file.
const char *h5_image_name(const void *owner, char name[H5_IMAGE_NAME_MAX]);

size_t h5_type_size(enum h5_type type);
const char *h5_type_name(enum h5_type type);
hid_t h5_file_type(enum h5_type type);   // little-endian; borrowed
hid_t h5_memory_type(enum h5_type type); // this machine's; borrowed

// "/a/b" with no empty, "." or ".." part, shorter than H5_PATH_MAX.
bool h5_path_good(const char *path);
// Copies the part of `path` that ends before the '/' at or after `from` ("/a" of "/a/b"), and
// returns where it ends; 0 when `from` is past the last part. Start with from = 1.
size_t h5_path_next(const char *path, size_t from, char part[H5_PATH_MAX]);

#endif
