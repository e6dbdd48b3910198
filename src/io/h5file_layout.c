// The bytes of an HDF5 file around its data: superblock, object headers, global heap.
//
// Everything is in the simplest form that HDF5 has for it: superblock 2, one chunk a header, hard
// links and attributes in the headers of their objects however many there are, contiguous datasets.
// After the user block come all headers, then one collection of the global heap where axes have
// names, then the data, each on a boundary of 8 bytes. Headers are written twice: where things lie
// is known once the first time has measured them.
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "h5file_inside.h"
#include "h5index.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "data is written as it lies in memory");

static const uint64_t nowhere = UINT64_MAX;
static const char zeros[8] = {0};

enum { ALIGN = 8, HEAP_SIZE = 4096, HEAP_HEAD = 16 };

// The name of one more piece of text or of a reference in the heap, as a value of variable length
// holds it: its length, the heap, its number there.
struct heap {
    struct bytes objects;
    uint64_t address;
    uint32_t count;
};

// --- checksums

static uint32_t rotate(uint32_t x, int bits)
{
    return x << bits | x >> (32 - bits);
}

// Up to 12 bytes as three numbers; what is not there is zero.
static void add_block(uint32_t s[3], const unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size && i < 12; i++)
        s[i / 4] += (uint32_t)p[i] << (8 * (i % 4));
}

// Bob Jenkins' lookup3 hash with start value 0, as HDF5 seals its metadata.
static uint32_t checksum(const unsigned char *p, size_t size)
{
    static const int mix[6] = {4, 6, 8, 16, 19, 4};
    static const int last[7] = {14, 11, 25, 16, 4, 14, 24};
    uint32_t s[3];
    s[0] = s[1] = s[2] = 0xdeadbeefU + (uint32_t)size;
    for (; size > 12; size -= 12, p += 12) {
        add_block(s, p, 12);
        for (int i = 0; i < 6; i++) { // (a,c), (b,a), (c,b), twice
            uint32_t *x = &s[i % 3], *y = &s[(i + 2) % 3], *z = &s[(i + 1) % 3];
            *x -= *y;
            *x ^= rotate(*y, mix[i]);
            *y += *z;
        }
    }
    add_block(s, p, size);
    for (int i = 0; i < 7; i++) { // c^b, a^c, b^a, and again, and c^b
        uint32_t *x = &s[(i + 2) % 3], *y = &s[(i + 1) % 3];
        *x ^= *y;
        *x -= rotate(*y, last[i]);
    }
    return s[2];
}

// The checksum of everything from `begin` on.
static void put_checksum(struct bytes *bytes, size_t begin)
{
    bytes_put_little(bytes, bytes->failed ? 0 : checksum(bytes->at + begin, bytes->size - begin),
                     4);
}

// --- types and sizes

static size_t type_bytes(int type)
{
    return type == H5_TEXT ? 8 : type == H5FILE_F32 || type == H5FILE_F64 ? 20 : 12;
}

// `text` is the length of a text.
static void put_type(struct bytes *bytes, int type, size_t text)
{
    static const unsigned char i32[] = {0x10, 0x08, 0, 0, 4, 0, 0, 0, 0, 0, 32, 0};
    static const unsigned char i64[] = {0x10, 0x08, 0, 0, 8, 0, 0, 0, 0, 0, 64, 0};
    static const unsigned char f32[] = {0x11, 0x20, 0x1f, 0, 4, 0,  0,   0, 0, 0,
                                        32,   0,    23,   8, 0, 23, 127, 0, 0, 0};
    static const unsigned char f64[] = {0x11, 0x20, 0x3f, 0,  8, 0,  0,    0, 0, 0,
                                        64,   0,    52,   11, 0, 52, 0xff, 3, 0, 0};
    static const unsigned char *const numbers[] = {f32, f64, i32, i64};
    if (type == H5_TEXT) {
        bytes_put_little(bytes, 0x13 | 0x11 << 8, 4); // padded with NULs, UTF-8
        bytes_put_little(bytes, text, 4);
    } else {
        bytes_put(bytes, numbers[type], type_bytes(type));
    }
}

static size_t space_bytes(int dims)
{
    return 4 + 8 * (size_t)dims;
}

static void put_space(struct bytes *bytes, int dims, const int64_t *extent)
{
    bytes_put_little(bytes, 2, 1);
    bytes_put_little(bytes, (uint64_t)dims, 1);
    bytes_put_little(bytes, 0, 1); // sizes are fixed
    bytes_put_little(bytes, dims > 0, 1);
    for (int i = 0; i < dims; i++)
        bytes_put_little(bytes, (uint64_t)extent[i], 8);
}

// --- messages of object headers

enum {
    MESSAGE_SPACE = 0x01,
    MESSAGE_LINKS = 0x02,
    MESSAGE_TYPE = 0x03,
    MESSAGE_FILL = 0x05,
    MESSAGE_LINK = 0x06,
    MESSAGE_LAYOUT = 0x08,
    MESSAGE_GROUP = 0x0a,
    MESSAGE_ATTRIBUTE = 0x0c,
    MESSAGE_ATTRIBUTES = 0x15,
    CONSTANT = 1,     // a flag: cannot be written over
    DO_NOT_SHARE = 4, // a flag
};

static void put_message(struct bytes *bytes, int message, size_t size, int flags)
{
    bytes_put_little(bytes, (uint64_t)message, 1);
    bytes_put_little(bytes, size, 2);
    bytes_put_little(bytes, (uint64_t)flags, 1);
}

// Head and name of an attribute; its type, sizes and value follow.
static void put_attribute_head(struct bytes *bytes, const char *name, size_t type, size_t space,
                               size_t value)
{
    size_t length = strlen(name) + 1;
    put_message(bytes, MESSAGE_ATTRIBUTE, 9 + length + type + space + value, 0);
    bytes_put_little(bytes, 3, 1);
    bytes_put_little(bytes, 0, 1);
    bytes_put_little(bytes, length, 2);
    bytes_put_little(bytes, type, 2);
    bytes_put_little(bytes, space, 2);
    bytes_put_little(bytes, 0, 1); // its name is ASCII
    bytes_put(bytes, name, length);
}

void h5_put_attribute(struct bytes *bytes, const char *name, int type, const void *value,
                      size_t size)
{
    put_attribute_head(bytes, name, type_bytes(type), space_bytes(0), size);
    put_type(bytes, type, size);
    put_space(bytes, 0, NULL);
    bytes_put(bytes, value, size);
}

// No heap and no tree: all links or attributes are in the header.
static void put_all_here(struct bytes *bytes, int message, int flags)
{
    put_message(bytes, message, 18, flags);
    bytes_put_little(bytes, 0, 2);
    bytes_put_little(bytes, nowhere, 8);
    bytes_put_little(bytes, nowhere, 8);
}

static void put_links(struct bytes *bytes, const struct h5_writer *writer,
                      const struct h5_entry *group)
{
    enum { HAS_CHARSET = 0x10, UTF8 = 1 };
    put_all_here(bytes, MESSAGE_LINKS, 0);
    put_message(bytes, MESSAGE_GROUP, 2, CONSTANT);
    bytes_put_little(bytes, 0, 2);
    for (uint32_t i = group->first_child; i; i = writer->entry[i].next) {
        const struct h5_entry *child = &writer->entry[i];
        size_t length = strlen(child->name);
        put_message(bytes, MESSAGE_LINK, 4 + length + 8, 0);
        bytes_put_little(bytes, 1, 1);
        bytes_put_little(bytes, HAS_CHARSET, 1);
        bytes_put_little(bytes, UTF8, 1);
        bytes_put_little(bytes, length, 1);
        bytes_put(bytes, child->name, length);
        bytes_put_little(bytes, child->address, 8);
    }
}

static void put_dataset(struct bytes *bytes, const struct h5_entry *set)
{
    enum { FILL_VERSION = 3, FILL_NEVER = 0x06, LAYOUT_VERSION = 3, CONTIGUOUS = 1 };
    put_message(bytes, MESSAGE_SPACE, space_bytes(set->dims), 0);
    put_space(bytes, set->dims, set->extent);
    put_message(bytes, MESSAGE_TYPE, type_bytes(set->type), CONSTANT);
    put_type(bytes, set->type, set->size);
    put_message(bytes, MESSAGE_FILL, 2, CONSTANT);
    bytes_put_little(bytes, FILL_VERSION | FILL_NEVER << 8, 2);
    put_message(bytes, MESSAGE_LAYOUT, 18, 0);
    bytes_put_little(bytes, LAYOUT_VERSION | CONTIGUOUS << 8, 2);
    bytes_put_little(bytes, set->size ? set->data_address : nowhere, 8);
    bytes_put_little(bytes, set->size, 8);
}

// --- dimension scales, as libhdf5_hl writes them

// A value of variable length: its place in the heap.
static void put_in_heap(struct bytes *bytes, struct heap *heap, uint64_t length, const void *value,
                        size_t size)
{
    heap->count++;
    bytes_put_little(bytes, length, 4);
    bytes_put_little(bytes, heap->address, 8);
    bytes_put_little(bytes, heap->count, 4);
    bytes_put_little(&heap->objects, heap->count, 8); // no count of references
    bytes_put_little(&heap->objects, size, 8);
    bytes_put(&heap->objects, value, size);
    bytes_put(&heap->objects, zeros, (ALIGN - size % ALIGN) % ALIGN);
}

static const struct h5_scale *scale_of(const struct h5_writer *writer, uint32_t set, int dim)
{
    for (uint32_t i = 0; i < writer->scales; i++)
        if (writer->scale[i].set == set && writer->scale[i].dim == dim)
            return &writer->scale[i];
    return NULL;
}

// What a dataset says of the scales of its axes; an axis that has none holds zeros.
static void put_axes(struct bytes *bytes, const struct h5_writer *writer, uint32_t set,
                     struct heap *heap)
{
    static const unsigned char list[] = {0x19, 0, 0, 0, 16, 0, 0, 0, 0x17, 0, 0, 0, 8, 0, 0, 0};
    static const unsigned char labels[] = {0x19, 1, 0, 0, 16, 0, 0, 0, 0x10, 0,
                                           0,    0, 1, 0, 0,  0, 0, 0, 8,    0};
    int dims = writer->entry[set].dims;
    const int64_t extent = dims;
    const struct h5_scale *scale;
    put_attribute_head(bytes, "DIMENSION_LIST", sizeof list, space_bytes(1), 16 * (size_t)dims);
    bytes_put(bytes, list, sizeof list);
    put_space(bytes, 1, &extent);
    for (int i = 0; i < dims; i++) {
        if ((scale = scale_of(writer, set, i)))
            put_in_heap(bytes, heap, 1, &writer->entry[scale->scale].address, 8);
        else
            bytes_put(bytes, (char[16]){0}, 16);
    }
    put_attribute_head(bytes, "DIMENSION_LABELS", sizeof labels, space_bytes(1), 16 * (size_t)dims);
    bytes_put(bytes, labels, sizeof labels);
    put_space(bytes, 1, &extent);
    for (int i = 0; i < dims; i++) {
        if ((scale = scale_of(writer, set, i)))
            put_in_heap(bytes, heap, strlen(scale->label), scale->label, strlen(scale->label));
        else
            bytes_put(bytes, (char[16]){0}, 16);
    }
}

// A text of libhdf5_hl: ends with a NUL, ASCII.
static void put_old_text(struct bytes *bytes, const char *name, const char *text)
{
    size_t size = strlen(text) + 1;
    put_attribute_head(bytes, name, 8, space_bytes(0), size);
    bytes_put_little(bytes, 0x13, 4);
    bytes_put_little(bytes, size, 4);
    put_space(bytes, 0, NULL);
    bytes_put(bytes, text, size);
}

// What a scale says of itself and of the `count` axes that it is of.
static void put_scale(struct bytes *bytes, const struct h5_writer *writer, uint32_t scale,
                      int64_t count, const char *label)
{
    // Of a reference, "dataset", and an integer, "dimension".
    static const unsigned char list[] = {
        0x36, 2,    0, 0, 16,   0, 0, 0, 'd', 'a', 't', 'a', 's', 'e', 't', 0,
        0,    0x17, 0, 0, 0,    8, 0, 0, 0,   'd', 'i', 'm', 'e', 'n', 's', 'i',
        'o',  'n',  0, 8, 0x10, 8, 0, 0, 4,   0,   0,   0,   0,   0,   32,  0};
    put_old_text(bytes, "CLASS", "DIMENSION_SCALE");
    put_old_text(bytes, "NAME", label);
    put_attribute_head(bytes, "REFERENCE_LIST", sizeof list, space_bytes(1), 16 * (size_t)count);
    bytes_put(bytes, list, sizeof list);
    put_space(bytes, 1, &count);
    for (uint32_t i = 0; i < writer->scales; i++) {
        if (writer->scale[i].scale != scale)
            continue;
        bytes_put_little(bytes, writer->entry[writer->scale[i].set].address, 8);
        bytes_put_little(bytes, (uint64_t)writer->scale[i].dim, 8);
    }
}

// --- the head of a file

static void put_superblock(struct bytes *bytes, uint64_t root, uint64_t end)
{
    static const unsigned char start[] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n', 2, 8, 8, 0};
    size_t begin = bytes->size;
    bytes_put(bytes, start, sizeof start);
    bytes_put_little(bytes, SEAL_SIZE, 8);
    bytes_put_little(bytes, nowhere, 8);
    bytes_put_little(bytes, end, 8); // counted from the first byte of the file, unlike all else
    bytes_put_little(bytes, root, 8);
    put_checksum(bytes, begin);
}

// Attributes come behind a message that says where they are, without which libhdf5 counts none.
static void put_attributes(struct bytes *bytes, const struct h5_writer *writer, uint32_t index,
                           struct heap *heap)
{
    const struct bytes *own = &writer->entry[index].attributes;
    const char *label = NULL; // where it is a scale: that of its first axis
    bool has_axes = false;
    int64_t count = 0;
    for (uint32_t i = 0; i < writer->scales; i++) {
        const struct h5_scale *scale = &writer->scale[i];
        has_axes = has_axes || scale->set == index;
        if (scale->scale == index && count++ == 0)
            label = scale->label;
    }
    if (own->size == 0 && !has_axes && count == 0)
        return;
    put_all_here(bytes, MESSAGE_ATTRIBUTES, DO_NOT_SHARE);
    bytes_put(bytes, own->at, own->size);
    if (has_axes)
        put_axes(bytes, writer, index, heap);
    if (count > 0)
        put_scale(bytes, writer, index, count, label);
}

static void put_header(struct bytes *bytes, struct h5_writer *writer, uint32_t index,
                       struct heap *heap)
{
    enum { SIZE_IN_4_BYTES = 2, SIZE_AT = 6 };
    struct h5_entry *entry = &writer->entry[index];
    size_t begin = bytes->size, messages;
    entry->address = begin - SEAL_SIZE;
    bytes_put(bytes, "OHDR\2", 5);
    bytes_put_little(bytes, SIZE_IN_4_BYTES, 1);
    bytes_put_little(bytes, 0, 4);
    messages = bytes->size;
    if (entry->is_group)
        put_links(bytes, writer, entry);
    else
        put_dataset(bytes, entry);
    put_attributes(bytes, writer, index, heap);
    for (int i = 0; i < 4 && !bytes->failed; i++)
        bytes->at[begin + SIZE_AT + (size_t)i] =
            (unsigned char)((bytes->size - messages) >> (8 * i));
    put_checksum(bytes, begin);
}

static void pad(struct bytes *bytes)
{
    bytes_put(bytes, zeros, (ALIGN - bytes->size % ALIGN) % ALIGN);
}

// The collection of all objects, and what is free behind them as an object of number 0.
static void put_heap(struct bytes *bytes, struct heap *heap)
{
    static const unsigned char nothing[HEAP_SIZE] = {0};
    size_t used = HEAP_HEAD + heap->objects.size + HEAP_HEAD;
    size_t size = (used + HEAP_SIZE - 1) / HEAP_SIZE * HEAP_SIZE;
    size_t unused = size - used + HEAP_HEAD;
    if (heap->count == 0)
        return;
    pad(bytes);
    heap->address = bytes->size - SEAL_SIZE;
    bytes_put(bytes, "GCOL\1\0\0\0", 8);
    bytes_put_little(bytes, size, 8);
    bytes_put(bytes, heap->objects.at, heap->objects.size);
    bytes_put_little(bytes, 0, 8);
    bytes_put_little(bytes, unused, 8);
    bytes_put(bytes, nothing, unused - HEAP_HEAD);
}

// Headers and heap with the places of everything as the last call left them. Returns the size of
// the whole file.
static uint64_t put_head(struct h5_writer *writer, struct heap *heap, uint64_t end)
{
    struct bytes *bytes = &writer->head;
    bytes->size = 0;
    heap->objects.size = 0;
    heap->count = 0;
    bytes_put(bytes, (char[SEAL_SIZE]){0}, SEAL_SIZE);
    put_superblock(bytes, writer->entry[0].address, end);
    for (uint32_t i = 0; i < writer->entries; i++)
        put_header(bytes, writer, i, heap);
    put_heap(bytes, heap);
    pad(bytes);
    uint64_t at = bytes->size;
    for (uint32_t i = 0; i < writer->entries; i++) {
        struct h5_entry *entry = &writer->entry[i];
        if (entry->is_group || entry->size == 0)
            continue;
        entry->data_address = at - SEAL_SIZE;
        at += (entry->size + ALIGN - 1) / ALIGN * ALIGN;
    }
    return at;
}

// --- the whole

static bool list_parts(struct h5_writer *writer)
{
    size_t room = 1 + 2 * (size_t)writer->entries;
    struct file_part *part = realloc(writer->part, room * sizeof *part);
    if (!part)
        return false;
    writer->part = part;
    *part++ = (struct file_part){writer->head.at, writer->head.size};
    for (uint32_t i = 0; i < writer->entries; i++) {
        const struct h5_entry *entry = &writer->entry[i];
        if (entry->is_group || entry->size == 0)
            continue;
        *part++ = (struct file_part){entry->data, entry->size};
        if (entry->size % ALIGN)
            *part++ = (struct file_part){zeros, ALIGN - entry->size % ALIGN};
    }
    writer->parts = (size_t)(part - writer->part);
    return true;
}

int h5_layout(struct h5_writer *writer)
{
    struct heap heap = {0};
    if (writer->scales > H5_INDEX_MAX_LABELS)
        return err_set(ERR_ARGUMENT, "%u axes have names, and at most %d can", writer->scales,
                       H5_INDEX_MAX_LABELS);
    writer->head.failed = false;
    put_head(writer, &heap, put_head(writer, &heap, 0));
    bool good = !writer->head.failed && !heap.objects.failed && list_parts(writer);
    free(heap.objects.at);
    if (!good)
        return err_set(ERR_MEMORY, "out of memory for the head of a file");
    seal_parts(writer->head.at, writer->part, writer->parts);
    writer->sealed = true;
    return 0;
}
