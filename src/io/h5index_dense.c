// Where a group has many links, or an object many attributes, libhdf5 keeps them in a fractal heap
// and their places in a B-tree. Files that posgrad wrote with libhdf5 have both.
//
// The heap is a space of its own, cut into direct blocks by a table of `width` columns: blocks of
// the first two rows are of the starting size, and of each further row twice as large. A heap of
// one block has no table. Heaps whose table has tables below it (from half a megabyte of names on)
// are refused, and so are objects of more than 4 KB, as no file of posgrad has them.
#include <string.h>

#include "h5index_inside.h"

enum { WIDTH = 4, MOST_ROWS = 9, CHECKSUM = 4, NODE_SIZE = 512 };

struct block {
    uint64_t begin;       // in the space of the heap
    struct h5_span bytes; // from its head on
};

struct heap {
    struct block block[WIDTH * MOST_ROWS];
    int blocks;
    int offset_size, length_size; // bytes, in the name of an object
    uint64_t address, start;      // of the head; bytes of the first block
    uint64_t width, rows, root;
};

struct tree {
    int type;
    uint64_t record;
    const struct heap *heap;
    int (*take)(struct h5_parse *parse, struct h5_span object);
};

static int strange(struct h5_parse *parse)
{
    return h5_refuse(parse, "keeps its links or attributes in a way that no file of posgrad does");
}

// --- the heap

static int bytes_for(uint64_t largest)
{
    int bytes = 1;
    for (; largest > 255; largest >>= 8)
        bytes++;
    return bytes;
}

static int read_heap_head(struct h5_parse *parse, struct heap *heap, int type)
{
    enum { HEAD = 142, UNUSED = 96 };
    struct h5_span span = {0};
    int code = h5_claim(parse, heap->address, HEAD + CHECKSUM, "heap", &span);
    if (code < 0)
        return code;
    bool good = h5_take_same(&span, "FRHP\0", 5);
    uint64_t name = h5_take(&span, 2), filters = h5_take(&span, 2), flags = h5_take(&span, 1);
    uint64_t largest = h5_take(&span, 4);
    h5_take_bytes(&span, UNUSED); // counts of what is free, huge and tiny
    heap->width = h5_take(&span, 2);
    heap->start = h5_take(&span, 8);
    uint64_t direct = h5_take(&span, 8), bits = h5_take(&span, 2);
    h5_take(&span, 2);
    heap->root = h5_take(&span, 8);
    heap->rows = h5_take(&span, 2);
    heap->offset_size = (int)((bits + 7) / 8);
    heap->length_size = bytes_for(largest < direct ? largest : direct);
    good = good && heap->root != H5_UNDEFINED && name == (type == H5_TREE_LINKS ? 7 : 8) &&
           filters == 0 && flags == 2 && heap->width == WIDTH &&
           (heap->start == 512 || heap->start == 1024) && direct == 65536 && bits <= 40 &&
           heap->rows <= MOST_ROWS &&
           heap->start << (heap->rows > 2 ? heap->rows - 2 : 0) <= direct &&
           1 + heap->offset_size + heap->length_size <= (int)name;
    return good && !span.bad ? 0 : strange(parse);
}

static int read_block(struct h5_parse *parse, struct heap *heap, uint64_t address, uint64_t begin,
                      uint64_t size)
{
    struct block *block = &heap->block[heap->blocks];
    int code = h5_claim(parse, address, size, "heap", &block->bytes);
    if (code < 0)
        return code;
    struct h5_span span = block->bytes;
    bool good = h5_take_same(&span, "FHDB\0", 5) && h5_take(&span, 8) == heap->address &&
                h5_take(&span, heap->offset_size) == begin;
    if (!good)
        return strange(parse);
    block->begin = begin;
    heap->blocks++;
    return 0;
}

static int read_table(struct h5_parse *parse, struct heap *heap)
{
    struct h5_span span = {0};
    uint64_t size = 13 + (uint64_t)heap->offset_size + 8 * heap->rows * WIDTH + CHECKSUM;
    int code = h5_claim(parse, heap->root, size, "heap", &span);
    if (code < 0)
        return code;
    bool good = h5_take_same(&span, "FHIB\0", 5) && h5_take(&span, 8) == heap->address &&
                h5_take(&span, heap->offset_size) == 0;
    if (!good)
        return strange(parse);
    uint64_t begin = 0;
    for (uint64_t i = 0; i < heap->rows * WIDTH && code == 0; i++) {
        uint64_t row = i / WIDTH, bytes = heap->start << (row > 1 ? row - 1 : 0);
        uint64_t address = h5_take(&span, 8);
        if (address != H5_UNDEFINED)
            code = read_block(parse, heap, address, begin, bytes);
        begin += bytes;
    }
    return code;
}

// The object that a record names: a byte of flags, offset and length.
static int take_object(struct h5_parse *parse, const struct tree *tree, struct h5_span record)
{
    const struct heap *heap = tree->heap;
    if (tree->type == H5_TREE_LINKS)
        h5_take(&record, 4); // the hash of its name
    uint64_t flags = h5_take(&record, 1), offset = h5_take(&record, heap->offset_size);
    uint64_t length = h5_take(&record, heap->length_size);
    if (flags != 0 || record.bad)
        return strange(parse);
    for (int i = 0; i < heap->blocks; i++) {
        struct h5_span object = heap->block[i].bytes;
        uint64_t begin = heap->block[i].begin;
        if (offset < begin || offset - begin >= object.left)
            continue;
        h5_take_bytes(&object, (size_t)(offset - begin));
        if (length > object.left)
            break;
        object.left = (size_t)length;
        return tree->take(parse, object);
    }
    return strange(parse);
}

// --- the tree. A node holds its records, and above the leaves the places of the nodes below: an
// address, a count of records in a byte, and in the second level the count of all below in two. Two
// levels above the leaves have room for twenty thousand names.

static int read_node(struct h5_parse *parse, const struct tree *tree, uint64_t address, int depth,
                     uint64_t records)
{
    enum { HEAD = 6 };
    struct h5_span span = {0}, pointer;
    uint64_t child = depth == 0 ? 0 : depth == 1 ? 9 : 11;
    if (HEAD + CHECKSUM + records * tree->record + (records + 1) * child > NODE_SIZE)
        return strange(parse);
    int code = h5_claim(parse, address, NODE_SIZE, "B-tree", &span);
    if (code < 0)
        return code;
    const char *signature = depth ? "BTIN\0" : "BTLF\0";
    if (!h5_take_same(&span, signature, 5) || h5_take(&span, 1) != (uint64_t)tree->type)
        return strange(parse);
    pointer = span;
    h5_take_bytes(&pointer, (size_t)(records * tree->record));
    for (uint64_t i = 0; i < records && code == 0; i++) {
        struct h5_span record = {h5_take_bytes(&span, tree->record), tree->record, false};
        code = take_object(parse, tree, record);
    }
    for (uint64_t i = 0; depth && i <= records && code == 0; i++) {
        uint64_t below = h5_take(&pointer, 8), count = h5_take(&pointer, 1);
        h5_take_bytes(&pointer, depth > 1 ? 2 : 0);
        code = read_node(parse, tree, below, depth - 1, count);
    }
    return code;
}

static int read_tree(struct h5_parse *parse, const struct tree *tree, uint64_t address)
{
    enum { HEAD = 34 };
    struct h5_span span = {0};
    int code = h5_claim(parse, address, HEAD + CHECKSUM, "B-tree", &span);
    if (code < 0)
        return code;
    bool good = h5_take_same(&span, "BTHD\0", 5) && h5_take(&span, 1) == (uint64_t)tree->type &&
                h5_take(&span, 4) == NODE_SIZE && h5_take(&span, 2) == tree->record;
    uint64_t depth = h5_take(&span, 2);
    h5_take(&span, 2);
    uint64_t root = h5_take(&span, 8), records = h5_take(&span, 2);
    if (!good || depth > 2 || span.bad)
        return strange(parse);
    return records ? read_node(parse, tree, root, (int)depth, records) : 0;
}

int h5_read_dense(struct h5_parse *parse, uint64_t heap_address, uint64_t tree_address, int type,
                  int (*take)(struct h5_parse *parse, struct h5_span object))
{
    struct heap heap = {.address = heap_address};
    struct tree tree = {type, type == H5_TREE_LINKS ? 11 : 17, &heap, take};
    int code = read_heap_head(parse, &heap, type);
    if (code == 0 && heap.rows == 0)
        code = read_block(parse, &heap, heap.root, 0, heap.start);
    else if (code == 0)
        code = read_table(parse, &heap);
    return code < 0 ? code : read_tree(parse, &tree, tree_address);
}
