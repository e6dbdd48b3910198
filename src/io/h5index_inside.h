// What the files of the index parser share: a bounded cursor, and the parse that is under way.
//
// Only h5index*.c include this.
#ifndef POSGRAD_H5INDEX_INSIDE_H
#define POSGRAD_H5INDEX_INSIDE_H

#include "../../autograd/base/err.h"
#include "h5index.h"

#define H5_UNDEFINED UINT64_MAX // an address that leads nowhere

// --- a cursor over some bytes. Reading past the end gives zeros and is remembered.
struct h5_span {
    const unsigned char *at;
    size_t left;
    bool bad;
};
uint64_t h5_take(struct h5_span *span, int bytes); // a little-endian number
const unsigned char *h5_take_bytes(struct h5_span *span, size_t size);
// Whether the next bytes are these; takes them.
bool h5_take_same(struct h5_span *span, const void *bytes, size_t size);

// --- the parse
struct h5_extent {
    uint64_t begin, end;
    uint32_t node; // whose it is
};

struct h5_parse {
    struct h5_index *index;
    struct h5_extent *extent; // bytes that belong to somebody
    size_t extents, extent_room;
    uint64_t claimed; // bytes of all of them
    uint32_t node;    // at hand
    uint32_t labels;  // of axes, so far
};

// `size` bytes at `address`, which become those of the node at hand. ERR_FORMAT where the file has
// none there ("FILE: PATH has its `what` outside the file"), ERR_MEMORY.
int h5_claim(struct h5_parse *parse, uint64_t address, uint64_t size, const char *what,
             struct h5_span *span);
// ERR_FORMAT: "FILE: PATH <words>", of the node at hand.
__attribute__((format(printf, 2, 3))) int h5_refuse(struct h5_parse *parse, const char *format,
                                                    ...);
// The next node or attribute, zeroed; NULL (err_set) where there is no memory or there are too
// many.
struct h5_index_node *h5_new_node(struct h5_parse *parse);
struct h5_index_attribute *h5_new_attribute(struct h5_parse *parse);

// h5index_object.c: reads the object header of the node at hand.
int h5_read_object(struct h5_parse *parse);
// One link and one attribute, as they are in headers and in heaps.
int h5_read_link(struct h5_parse *parse, struct h5_span link);
int h5_read_attribute(struct h5_parse *parse, struct h5_span attribute);

// h5index_dense.c: calls `take` for every object of the fractal heap that the records of a B-tree
// of `type` name.
enum { H5_TREE_LINKS = 5, H5_TREE_ATTRIBUTES = 8 };
int h5_read_dense(struct h5_parse *parse, uint64_t heap, uint64_t tree, int type,
                  int (*take)(struct h5_parse *parse, struct h5_span object));

#endif
