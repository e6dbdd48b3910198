// What the writer, the layout and the reader of HDF5 files share: types, names, and the tree of a
// file that is being made.
//
// Only h5file*.c include this.
#ifndef POSGRAD_H5FILE_INSIDE_H
#define POSGRAD_H5FILE_INSIDE_H

#include "bytes.h"
#include "h5file.h"
#include "seal.h"

enum { H5_PATH_MAX = 1024, H5_NAME_MAX = 255, H5_RANK_MAX = 32, H5_DEPTH_MAX = 32 };
enum { H5_TEXT = H5FILE_TYPES }; // of fixed length; the others are those of enum h5_type

size_t h5_type_size(enum h5_type type);
const char *h5_type_name(enum h5_type type);

// A group or a dataset. Indices are of the writer's list; 0, the root, ends lists of children.
struct h5_entry {
    char *name;
    uint32_t parent, first_child, last_child, next;
    uint8_t depth;
    bool is_group;
    struct bytes attributes; // as messages of an object header
    // Of a dataset.
    int type, dims;
    int64_t extent[H5_RANK_MAX];
    const void *data;
    void *copy;  // of data, or NULL where it was lent
    size_t size; // of data
    // Where they come to lie, behind the user block.
    uint64_t address, data_address;
};

// Axis `dim` of the dataset `set` has its coordinates in the dataset `scale`.
struct h5_scale {
    uint32_t set, scale;
    int dim;
    char *label;
};

struct h5_writer {
    struct h5_entry *entry; // the first is "/"
    uint32_t entries, entry_room;
    struct h5_scale *scale;
    uint32_t scales, scale_room;
    int error; // the first one
    char message[1024];
    // The file as it is laid out: everything but the data, and that in its order.
    bool sealed;
    struct bytes head; // from the user block on
    struct file_part *part;
    size_t parts;
};

// h5file_layout.c: one attribute as a message; `type` is of enum h5_type or H5_TEXT.
void h5_put_attribute(struct bytes *bytes, const char *name, int type, const void *value,
                      size_t size);
// Lays the file out and seals it: head and parts. ERR_MEMORY, ERR_ARGUMENT.
int h5_layout(struct h5_writer *writer);

#endif
