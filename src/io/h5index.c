// The index of a file of ours: superblock, the tree of objects, and that nothing overlaps.
#include "h5index_inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seal.h"

// More than any checkpoint has: bounds for what a small file can make us keep, together 64 MB.
enum { MAX_ITEMS = 1 << 18, MAX_EXTENTS = 1 << 19 };

// --- cursor

uint64_t h5_take(struct h5_span *span, int bytes)
{
    uint64_t value = 0;
    const unsigned char *at = h5_take_bytes(span, (size_t)bytes);
    for (int i = 0; at && i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

const unsigned char *h5_take_bytes(struct h5_span *span, size_t size)
{
    if (size > span->left) {
        span->bad = true;
        span->left = 0;
        return NULL;
    }
    const unsigned char *at = span->at;
    span->at += size;
    span->left -= size;
    return at;
}

bool h5_take_same(struct h5_span *span, const void *bytes, size_t size)
{
    const unsigned char *at = h5_take_bytes(span, size);
    return at && memcmp(at, bytes, size) == 0;
}

// --- memory and messages

// Makes an array of items one longer. The new one, zeroed, or NULL.
static void *append(struct h5_parse *parse, void **array, size_t *count, size_t *room, size_t item,
                    size_t limit)
{
    if (*count == *room) {
        size_t more = *room ? 2 * *room : 64;
        if (more > limit) {
            err_set(ERR_FORMAT, "%s has more objects than any file of posgrad", parse->index->name);
            return NULL;
        }
        void *larger = realloc(*array, more * item);
        if (!larger) {
            err_set(ERR_MEMORY, "out of memory for the index of %s", parse->index->name);
            return NULL;
        }
        *array = larger;
        *room = more;
    }
    void *element = (char *)*array + (*count)++ * item;
    memset(element, 0, item);
    return element;
}

struct h5_index_node *h5_new_node(struct h5_parse *parse)
{
    struct h5_index *index = parse->index;
    return append(parse, (void **)&index->node, &index->nodes, &index->node_room,
                  sizeof *index->node, MAX_ITEMS);
}

struct h5_index_attribute *h5_new_attribute(struct h5_parse *parse)
{
    struct h5_index *index = parse->index;
    return append(parse, (void **)&index->attribute, &index->attributes, &index->attribute_room,
                  sizeof *index->attribute, MAX_ITEMS);
}

// The path of a node, cut at its front where it is long.
static const char *path_of(const struct h5_index *index, uint32_t node, char *text, size_t size)
{
    char *at = text + size - 1;
    *at = '\0';
    for (uint32_t i = node; i > 0; i = index->node[i].parent) {
        const struct h5_index_node *here = &index->node[i];
        if (here->length + 1 > (size_t)(at - text))
            break;
        at -= here->length;
        memcpy(at, here->name, here->length);
        *--at = '/';
    }
    return *at ? at : "/";
}

int h5_refuse(struct h5_parse *parse, const char *format, ...)
{
    char path[256], words[256];
    va_list list;
    va_start(list, format);
    vsnprintf(words, sizeof words, format, list);
    va_end(list);
    return err_set(ERR_FORMAT, "%s: %s %s", parse->index->name,
                   path_of(parse->index, parse->node, path, sizeof path), words);
}

int h5_claim(struct h5_parse *parse, uint64_t address, uint64_t size, const char *what,
             struct h5_span *span)
{
    const struct h5_index *index = parse->index;
    uint64_t body = index->size - SEAL_SIZE; // addresses count from the end of the user block
    if (address > body || size > body - address)
        return h5_refuse(parse, "has its %s outside the file", what);
    if (size >
        body - parse->claimed) // so all is read in linear time, before overlaps are looked for
        return h5_refuse(parse, "is linked twice, or shares its bytes with something else");
    parse->claimed += size;
    struct h5_extent *extent = append(parse, (void **)&parse->extent, &parse->extents,
                                      &parse->extent_room, sizeof *extent, MAX_EXTENTS);
    if (!extent)
        return err_code();
    *extent = (struct h5_extent){address, address + size, parse->node};
    *span = (struct h5_span){index->bytes + SEAL_SIZE + address, (size_t)size, false};
    return 0;
}

// --- the parse

// Where "/" is. libhdf5 counts from the user block, and the end of the file from its start.
static int read_superblock(struct h5_parse *parse, uint64_t *root)
{
    static const unsigned char start[] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n', 2, 8, 8, 0};
    struct h5_span span = {0};
    int code = h5_claim(parse, 0, 48, "superblock", &span);
    if (code < 0)
        return code;
    if (!h5_take_same(&span, start, sizeof start))
        return h5_refuse(parse, "begins in a way that no file of posgrad does");
    uint64_t base = h5_take(&span, 8), extension = h5_take(&span, 8), end = h5_take(&span, 8);
    *root = h5_take(&span, 8);
    if (extension != H5_UNDEFINED)
        return h5_refuse(parse, "has a superblock extension, which no file of posgrad has");
    if (base != SEAL_SIZE || end != parse->index->size)
        return h5_refuse(parse, "is not as long as it says");
    return 0;
}

static int by_begin(const void *a, const void *b)
{
    const struct h5_extent *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static int check_extents(struct h5_parse *parse)
{
    uint64_t end = 0;
    qsort(parse->extent, parse->extents, sizeof *parse->extent, by_begin);
    for (size_t i = 0; i < parse->extents; i++) {
        const struct h5_extent *extent = &parse->extent[i];
        if (extent->begin < end) {
            parse->node = extent->node;
            return h5_refuse(parse, "is linked twice, or shares its bytes with something else");
        }
        end = extent->end;
    }
    return 0;
}

static int compare_names(const unsigned char *a, size_t size_a, const unsigned char *b,
                         size_t size_b)
{
    int order = memcmp(a, b, size_a < size_b ? size_a : size_b);
    return order ? order : (size_a > size_b) - (size_a < size_b);
}

static int by_name(const void *a, const void *b)
{
    const struct h5_index_node *x = a, *y = b;
    return compare_names(x->name, x->length, y->name, y->length);
}

static int by_attribute_name(const void *a, const void *b)
{
    const struct h5_index_attribute *x = a, *y = b;
    return compare_names(x->name, x->length, y->name, y->length);
}

static bool sort_unique(void *items, size_t count, size_t size,
                        int (*compare)(const void *a, const void *b))
{
    qsort(items, count, size, compare);
    for (size_t i = 1; i < count; i++)
        if (compare((char *)items + (i - 1) * size, (char *)items + i * size) == 0)
            return false;
    return true;
}

// In order of name, and each name once.
static int sort_names(struct h5_parse *parse)
{
    const struct h5_index *index = parse->index;
    struct h5_index_node *here = &index->node[parse->node];
    if (here->children > 1 &&
        !sort_unique(&index->node[here->first_child], here->children, sizeof *index->node, by_name))
        return h5_refuse(parse, "has two links of one name");
    if (here->attributes > 1 &&
        !sort_unique(&index->attribute[here->first_attribute], here->attributes,
                     sizeof *index->attribute, by_attribute_name))
        return h5_refuse(parse, "has two attributes of one name");
    return 0;
}

// Every node is read once, in the order in which links to it were found, so groups that hold each
// other only fill the list up to its limit.
static int read_tree(struct h5_parse *parse, uint64_t root)
{
    struct h5_index *index = parse->index;
    struct h5_index_node *first = h5_new_node(parse);
    if (!first)
        return err_code();
    first->address = root;
    for (size_t i = 0; i < index->nodes; i++) {
        parse->node = (uint32_t)i;
        index->node[i].first_child = (uint32_t)index->nodes;
        index->node[i].first_attribute = (uint32_t)index->attributes;
        int code = h5_read_object(parse);
        if (code < 0)
            return code;
        index->node[i].children = (uint32_t)index->nodes - index->node[i].first_child;
        index->node[i].attributes = (uint32_t)index->attributes - index->node[i].first_attribute;
        code = sort_names(parse);
        if (code < 0)
            return code;
    }
    return 0;
}

int h5_index_open(struct h5_index *index, const unsigned char *bytes, size_t size, const char *name)
{
    struct h5_parse parse = {.index = index};
    uint64_t root = 0;
    memset(index, 0, sizeof *index);
    index->name = name;
    index->bytes = bytes;
    index->size = size;
    BUG_ON(size < SEAL_SIZE);
    int code = read_superblock(&parse, &root);
    if (code == 0)
        code = read_tree(&parse, root);
    if (code == 0)
        code = check_extents(&parse);
    free(parse.extent);
    if (code < 0)
        h5_index_close(index);
    return code;
}

void h5_index_close(struct h5_index *index)
{
    free(index->node);
    free(index->attribute);
    index->node = NULL;
    index->attribute = NULL;
    index->nodes = index->attributes = 0;
}

// --- finding

static const struct h5_index_node *find_child(const struct h5_index *index,
                                              const struct h5_index_node *group, const char *name,
                                              size_t length)
{
    const unsigned char *wanted = (const unsigned char *)name;
    uint32_t low = 0, high = group->children;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct h5_index_node *child = &index->node[group->first_child + middle];
        int order = compare_names(wanted, length, child->name, child->length);
        if (order == 0)
            return child;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct h5_index_node *h5_index_find(const struct h5_index *index, const char *path)
{
    const struct h5_index_node *node = index->node;
    if (path[0] != '/')
        return NULL;
    while (node && *path) {
        size_t length = strcspn(++path, "/");
        if (length > 0)
            node = find_child(index, node, path, length);
        else if (*path || node != index->node) // "//" and "/a/"; "/" alone is good
            node = NULL;
        path += length;
    }
    return node;
}

const struct h5_index_attribute *h5_index_attribute(const struct h5_index *index,
                                                    const struct h5_index_node *node,
                                                    const char *name)
{
    size_t length = strlen(name);
    for (uint32_t i = 0; i < node->attributes; i++) {
        const struct h5_index_attribute *attribute = &index->attribute[node->first_attribute + i];
        if (attribute->length == length && memcmp(attribute->name, name, length) == 0)
            return attribute;
    }
    return NULL;
}

uint64_t h5_index_extent(const struct h5_index_values *values, int dim)
{
    struct h5_span span = {values->extent + 8 * (size_t)dim, 8, false};
    return h5_take(&span, 8);
}

// A collection of the global heap: a head of 16 bytes, then objects of a number, a count of
// references and a size, each padded to 8 bytes; number 0 is what is free behind them.
int64_t h5_index_label(const struct h5_index *index, const struct h5_index_values *values,
                       uint64_t i, const unsigned char **text)
{
    enum { MOST_OBJECTS = 1 << 16 }; // their numbers have 16 bits
    static const unsigned char head[8] = {'G', 'C', 'O', 'L', 1, 0, 0, 0};
    if (values->kind != H5_INDEX_LABELS || i >= values->count)
        return -1;
    struct h5_span element = {values->data + i * values->item, values->item, false};
    uint64_t length = h5_take(&element, 4), address = h5_take(&element, 8);
    uint64_t number = h5_take(&element, 4), body = index->size - SEAL_SIZE;
    if (length == 0 || address > body)
        return -1;
    struct h5_span heap = {index->bytes + SEAL_SIZE + address, (size_t)(body - address), false};
    bool good = h5_take_same(&heap, head, sizeof head);
    uint64_t size = h5_take(&heap, 8);
    if (!good || size < 16 || size - 16 > heap.left)
        return -1;
    heap.left = (size_t)size - 16;
    for (int k = 0; k < MOST_OBJECTS && heap.left >= 16; k++) {
        uint64_t found = h5_take(&heap, 2);
        h5_take_bytes(&heap, 6);
        uint64_t held = h5_take(&heap, 8);
        if (found == 0 || held > heap.left)
            return -1;
        if (found == number) {
            *text = heap.at;
            return length <= held ? (int64_t)length : -1;
        }
        h5_take_bytes(&heap, (size_t)((held + 7) / 8 * 8));
    }
    return -1;
}
