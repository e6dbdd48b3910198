// What the writer and the reader of HDF5 files share: types, names, paths.
//
// Only h5file*.c include this.
#ifndef POSGRAD_H5FILE_INSIDE_H
#define POSGRAD_H5FILE_INSIDE_H

#include "../../autograd/base/quiet_hdf5.h"
#include "h5file.h"

enum { H5_PATH_MAX = 1024, H5_IMAGE_NAME_MAX = 64 };

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
