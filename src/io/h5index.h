// What is in an HDF5 file of ours, found by a parser of our own.
//
// libhdf5 believes what a file says of itself and crashes where that is a lie, so it never sees a
// file of a stranger. This parser knows only the few structures that posgrad has ever written
// (superblock 2, object headers 2, hard links and small attributes in them or in fractal heaps,
// contiguous datasets of four number types and texts) and refuses all else by name. It reads the
// whole index of a file when that is opened: every offset and size is checked before it is used,
// and no two structures may share a byte, so there are no circles and nothing is counted twice.
#ifndef POSGRAD_H5INDEX_H
#define POSGRAD_H5INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The first four are those of enum h5_type.
enum h5_index_kind {
    H5_INDEX_F32,
    H5_INDEX_F64,
    H5_INDEX_I32,
    H5_INDEX_I64,
    H5_INDEX_TEXT,   // of fixed length
    H5_INDEX_LABELS, // texts in the global heap: the names of axes
    H5_INDEX_LINKS,  // references of dimension scales, which nobody reads
};

enum { H5_INDEX_MAX_RANK = 32, H5_INDEX_MAX_DEPTH = 32, H5_INDEX_MAX_LABELS = 4000 };

// Numbers or texts, of a dataset or an attribute; everything points into the bytes of the file.
struct h5_index_values {
    const unsigned char *data;   // size bytes
    const unsigned char *extent; // rank little-endian numbers of 8 bytes
    uint64_t size, count;
    uint32_t item; // bytes of one
    uint8_t kind, rank;
};

struct h5_index_attribute {
    const unsigned char *name;
    uint32_t length; // of the name
    struct h5_index_values values;
};

// A group or a dataset. The children of a group follow each other, in order of name.
struct h5_index_node {
    const unsigned char *name;
    uint64_t address; // of its object header
    uint32_t length;  // of the name
    uint32_t parent, first_child, children, first_attribute, attributes;
    uint8_t depth;
    bool is_group;
    struct h5_index_values values; // of a dataset
};

struct h5_index {
    const char *name; // of the file, for messages
    const unsigned char *bytes;
    size_t size;
    struct h5_index_node *node; // the first is "/"
    size_t nodes, node_room;
    struct h5_index_attribute *attribute;
    size_t attributes, attribute_room;
};

// Parses the `size` bytes of a whole file, its user block included, whose digests are good; they
// must stay as long as the index. ERR_FORMAT with the first thing that no file of ours has;
// ERR_MEMORY. Memory: at most twice the file, and 64 MB.
int h5_index_open(struct h5_index *index, const unsigned char *bytes, size_t size,
                  const char *name);
void h5_index_close(struct h5_index *index);

// The object at an absolute path, or NULL.
const struct h5_index_node *h5_index_find(const struct h5_index *index, const char *path);
const struct h5_index_attribute *h5_index_attribute(const struct h5_index *index,
                                                    const struct h5_index_node *node,
                                                    const char *name);
// Size of axis `dim`, which is below the rank.
uint64_t h5_index_extent(const struct h5_index_values *values, int dim);
// The text that element `i` of H5_INDEX_LABELS names; its length, or -1 where it is not there.
int64_t h5_index_label(const struct h5_index *index, const struct h5_index_values *values,
                       uint64_t i, const unsigned char **text);

#endif
