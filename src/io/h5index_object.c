// Object headers of the index: what a group or a dataset says of itself, and its attributes.
#include <string.h>

#include "h5index_inside.h"
#include "seal.h"

// --- types

// What follows a type's head of 8 bytes, byte for byte; integers are signed, reals are IEEE.
static const unsigned char type_i32[] = {0x08, 0, 0, 4, 0, 0, 0, 0, 0, 32, 0};
static const unsigned char type_i64[] = {0x08, 0, 0, 8, 0, 0, 0, 0, 0, 64, 0};
static const unsigned char type_f32[] = {0x20, 0x1f, 0, 4, 0,  0,   0, 0, 0, 32,
                                         0,    23,   8, 0, 23, 127, 0, 0, 0};
static const unsigned char type_f64[] = {0x20, 0x3f, 0,  8, 0,  0,    0, 0, 0, 64,
                                         0,    52,   11, 0, 52, 0xff, 3, 0, 0};

enum { CLASS_INTEGER, CLASS_REAL, CLASS_TEXT = 3, CLASS_COMPOUND = 6, CLASS_VARIABLE = 9 };
enum { VARIABLE_SIZE = 16, SCALE_SIZE = 16 };

static bool is_number(struct h5_span span, const unsigned char *type, size_t size)
{
    return span.left == size && h5_take_same(&span, type, size);
}

// Texts and what else has a size of its own: the rest after the class's byte.
static bool read_other_type(struct h5_index_values *values, int class, struct h5_span span)
{
    uint64_t bits = h5_take(&span, 3), item = h5_take(&span, 4);
    if (class == CLASS_TEXT && bits <= 0x11 &&
        (bits & 0xe) == 0) { // ASCII or UTF-8; end or pad NUL
        values->kind = H5_INDEX_TEXT;
    } else if (class == CLASS_VARIABLE && item == VARIABLE_SIZE && (bits & ~0x100U) <= 1) {
        values->kind = bits & 1 ? H5_INDEX_LABELS : H5_INDEX_LINKS;
    } else if (class == CLASS_COMPOUND && item == SCALE_SIZE) {
        values->kind = H5_INDEX_LINKS;
    } else {
        return false;
    }
    values->item = (uint32_t)item;
    return !span.bad && item > 0;
}

// False where no file of ours has a value of this type.
static bool read_type(struct h5_index_values *values, struct h5_span span)
{
    static const struct {
        const unsigned char *type;
        uint8_t size, class, kind, item;
    } numbers[] = {{type_f32, sizeof type_f32, CLASS_REAL, H5_INDEX_F32, 4},
                   {type_f64, sizeof type_f64, CLASS_REAL, H5_INDEX_F64, 8},
                   {type_i32, sizeof type_i32, CLASS_INTEGER, H5_INDEX_I32, 4},
                   {type_i64, sizeof type_i64, CLASS_INTEGER, H5_INDEX_I64, 8}};
    int head = (int)h5_take(&span, 1), class = head & 15, version = head >> 4;
    if (version < 1 || version > 3)
        return false;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (class == numbers[i].class && is_number(span, numbers[i].type, numbers[i].size)) {
            values->kind = numbers[i].kind;
            values->item = numbers[i].item;
            return true;
        }
    }
    return read_other_type(values, class, span);
}

// Rank and sizes; false where they are not fixed, or their product has no place in memory.
static bool read_space(struct h5_index_values *values, struct h5_span span)
{
    uint64_t version = h5_take(&span, 1), rank = h5_take(&span, 1), flags = h5_take(&span, 1);
    uint64_t type = h5_take(&span, 1);
    if (version != 2 || rank > H5_INDEX_MAX_RANK || flags > 1 || type != (rank > 0))
        return false;
    values->rank = (uint8_t)rank;
    values->extent = h5_take_bytes(&span, 8 * (size_t)rank);
    if (!values->extent || span.bad)
        return false;
    if (flags && !h5_take_same(&span, values->extent, 8 * (size_t)rank)) // may grow
        return false;
    bool good = true, empty = false;
    values->count = 1;
    for (int i = 0; i < (int)rank; i++) {
        uint64_t size = h5_index_extent(values, i);
        good = good && size <= INT64_MAX;
        empty = empty || size == 0;
        if (!empty && __builtin_mul_overflow(values->count, size, &values->count))
            good = false;
    }
    values->count = empty ? 0 : values->count;
    return good && values->count <= INT64_MAX;
}

static bool measure(struct h5_index_values *values)
{
    return !__builtin_mul_overflow(values->count, (uint64_t)values->item, &values->size);
}

// --- names, links, attributes

// Printable, so that a name can be shown, and no part of a path.
static bool name_good(const unsigned char *name, size_t length)
{
    if (!name || length == 0 || length > 255 || (name[0] == '.' && length == 1) ||
        (length == 2 && name[0] == '.' && name[1] == '.'))
        return false;
    for (size_t i = 0; i < length; i++)
        if (name[i] < ' ' || name[i] > '~' || name[i] == '/')
            return false;
    return true;
}

int h5_read_link(struct h5_parse *parse, struct h5_span link)
{
    enum { SIZE_BITS = 3, HAS_ORDER = 4, HAS_TYPE = 8, HAS_CHARSET = 16 };
    uint64_t version = h5_take(&link, 1), flags = h5_take(&link, 1);
    uint64_t type = flags & HAS_TYPE ? h5_take(&link, 1) : 0;
    if (type == 1)
        return h5_refuse(parse, "has a soft link, which is not followed");
    if (type == 64)
        return h5_refuse(parse, "has an external link, a link to another file, which is not "
                                "followed");
    h5_take(&link, flags & HAS_CHARSET ? 1 : 0);
    uint64_t length = h5_take(&link, 1 << (flags & SIZE_BITS));
    const unsigned char *name = h5_take_bytes(&link, (size_t)length);
    uint64_t address = h5_take(&link, 8);
    if (version != 1 || (flags & HAS_ORDER) || flags > 31 || type != 0 || link.bad)
        return h5_refuse(parse, "has a link of a kind that no file of posgrad has");
    if (!name_good(name, (size_t)length))
        return h5_refuse(parse, "has a link whose name is none");
    int depth = parse->index->node[parse->node].depth + 1;
    if (depth > H5_INDEX_MAX_DEPTH)
        return h5_refuse(parse, "lies deeper than any group of posgrad, or in itself");
    struct h5_index_node *child = h5_new_node(parse);
    if (!child)
        return err_code();
    child->name = name;
    child->length = (uint32_t)length;
    child->address = address;
    child->parent = parse->node;
    child->depth = (uint8_t)depth;
    return 0;
}

// The types of dimension scales are for their own attributes.
static bool type_fits(int kind, const char *name)
{
    if (kind == H5_INDEX_LABELS)
        return strcmp(name, "DIMENSION_LABELS") == 0;
    return kind != H5_INDEX_LINKS || strcmp(name, "DIMENSION_LIST") == 0 ||
           strcmp(name, "REFERENCE_LIST") == 0;
}

// Each label is looked for in a heap, from its beginning: few enough that no file makes that long.
static int count_labels(struct h5_parse *parse, const struct h5_index_values *values)
{
    struct h5_span span = {values->data, (size_t)values->size, false};
    for (uint64_t i = 0; values->kind == H5_INDEX_LABELS && i < values->count; i++) {
        parse->labels += h5_take(&span, 4) > 0;
        h5_take_bytes(&span, values->item - 4);
    }
    return parse->labels <= H5_INDEX_MAX_LABELS
               ? 0
               : h5_refuse(parse, "has names for more axes than any file of posgrad");
}

int h5_read_attribute(struct h5_parse *parse, struct h5_span span)
{
    struct h5_index_attribute *attribute = h5_new_attribute(parse);
    if (!attribute)
        return err_code();
    uint64_t version = h5_take(&span, 1), flags = h5_take(&span, 1), length = h5_take(&span, 2);
    uint64_t type_size = h5_take(&span, 2), space_size = h5_take(&span, 2);
    h5_take(&span, 1);
    const unsigned char *name = h5_take_bytes(&span, (size_t)length);
    if (version != 3 || flags != 0 || span.bad || length < 2 || name[length - 1] != '\0' ||
        !name_good(name, (size_t)length - 1))
        return h5_refuse(parse, "has an attribute of a form that no file of posgrad has");
    int shown = (int)length - 1;
    struct h5_span type = {h5_take_bytes(&span, (size_t)type_size), (size_t)type_size, false};
    struct h5_span space = {h5_take_bytes(&span, (size_t)space_size), (size_t)space_size, false};
    struct h5_index_values *values = &attribute->values;
    if (span.bad || !read_type(values, type) || !type_fits(values->kind, (const char *)name))
        return h5_refuse(parse, "has the attribute %.*s, of a type that no file of posgrad has",
                         shown, (const char *)name);
    if (!read_space(values, space) || !measure(values) || values->size > span.left)
        return h5_refuse(parse, "has the attribute %.*s, which does not hold what its size says",
                         shown, (const char *)name);
    attribute->name = name;
    attribute->length = (uint32_t)length - 1;
    values->data = span.at;
    return count_labels(parse, values);
}

// --- headers

enum {
    MESSAGE_NOTHING = 0x00,
    MESSAGE_SPACE = 0x01,
    MESSAGE_LINKS = 0x02,
    MESSAGE_TYPE = 0x03,
    MESSAGE_FILL = 0x05,
    MESSAGE_LINK = 0x06,
    MESSAGE_EXTERNAL = 0x07,
    MESSAGE_LAYOUT = 0x08,
    MESSAGE_GROUP = 0x0a,
    MESSAGE_FILTERS = 0x0b,
    MESSAGE_ATTRIBUTE = 0x0c,
    MESSAGE_MORE = 0x10,
    MESSAGE_OLD_GROUP = 0x11,
    MESSAGE_ATTRIBUTES = 0x15,
    MESSAGE_LINK_COUNT = 0x16,
};

// What one header said so far; each but links and attributes at most once.
struct object {
    struct h5_span space, type, layout, links, attributes;
    bool has_link;
    int chunks; // of the header
};

static const char *why_not(uint64_t message)
{
    switch (message) {
    case MESSAGE_EXTERNAL:
        return "has its data in another file (external storage)";
    case MESSAGE_FILTERS:
        return "has filters";
    case MESSAGE_LINK_COUNT:
        return "is linked more than once";
    case MESSAGE_OLD_GROUP:
        return "is a group of the old kind";
    default:
        return NULL;
    }
}

static int keep_once(struct h5_parse *parse, struct h5_span *place, struct h5_span message)
{
    if (place->at)
        return h5_refuse(parse, "says something of itself twice");
    *place = message;
    return 0;
}

static int read_messages(struct h5_parse *parse, struct object *object, struct h5_span chunk);

static int read_chunk(struct h5_parse *parse, struct object *object, struct h5_span where)
{
    enum { MOST_CHUNKS = 64, SIGNATURE = 4, CHECKSUM = 4 };
    struct h5_span chunk = {0};
    uint64_t address = h5_take(&where, 8), size = h5_take(&where, 8);
    if (where.bad || size < SIGNATURE + CHECKSUM || ++object->chunks > MOST_CHUNKS)
        return h5_refuse(parse, "has an object header that goes on nowhere");
    int code = h5_claim(parse, address, size, "object header", &chunk);
    if (code < 0)
        return code;
    if (!h5_take_same(&chunk, "OCHK", SIGNATURE))
        return h5_refuse(parse, "has an object header that goes on nowhere");
    chunk.left -= CHECKSUM;
    return read_messages(parse, object, chunk);
}

static int read_message(struct h5_parse *parse, struct object *object, uint64_t type,
                        struct h5_span message)
{
    switch (type) {
    case MESSAGE_NOTHING:
    case MESSAGE_FILL: // all values are written
    case MESSAGE_GROUP:
        return 0;
    case MESSAGE_SPACE:
        return keep_once(parse, &object->space, message);
    case MESSAGE_TYPE:
        return keep_once(parse, &object->type, message);
    case MESSAGE_LAYOUT:
        return keep_once(parse, &object->layout, message);
    case MESSAGE_LINKS:
        return keep_once(parse, &object->links, message);
    case MESSAGE_ATTRIBUTES:
        return keep_once(parse, &object->attributes, message);
    case MESSAGE_LINK:
        object->has_link = true;
        return h5_read_link(parse, message);
    case MESSAGE_ATTRIBUTE:
        return h5_read_attribute(parse, message);
    case MESSAGE_MORE:
        return read_chunk(parse, object, message);
    default:
        break;
    }
    const char *why = why_not(type);
    return why ? h5_refuse(parse, "%s, which no file of posgrad has", why)
               : h5_refuse(parse, "has a message of type %d, which no file of posgrad has",
                           (int)type);
}

static int read_messages(struct h5_parse *parse, struct object *object, struct h5_span chunk)
{
    enum { HEAD = 4, MAY_BE_SHARED = 2 };
    while (chunk.left >= HEAD) { // fewer are a gap
        uint64_t type = h5_take(&chunk, 1), size = h5_take(&chunk, 2), flags = h5_take(&chunk, 1);
        struct h5_span message = {chunk.at, (size_t)size, false};
        if (!h5_take_bytes(&chunk, (size_t)size))
            return h5_refuse(parse, "has an object header that ends in the middle");
        if (flags & MAY_BE_SHARED)
            return h5_refuse(parse, "shares a part of its header, which no file of posgrad does");
        int code = read_message(parse, object, type, message);
        if (code < 0)
            return code;
    }
    return 0;
}

static int read_layout(struct h5_parse *parse, struct h5_index_values *values,
                       struct h5_span layout)
{
    static const char *const kinds[] = {"compact", "contiguous", "chunked", "virtual"};
    struct h5_span data = {0};
    uint64_t version = h5_take(&layout, 1), kind = h5_take(&layout, 1);
    if ((version == 3 || version == 4) && kind != 1 && kind < 4)
        return h5_refuse(parse, "is a %s dataset, and all of posgrad's are contiguous",
                         kinds[kind]);
    uint64_t address = h5_take(&layout, 8), size = h5_take(&layout, 8);
    if (version != 3 || kind != 1 || layout.bad)
        return h5_refuse(parse, "is stored in a way that no file of posgrad has");
    if (values->size != (address == H5_UNDEFINED ? 0 : size))
        return h5_refuse(parse, "does not hold what its size says");
    if (values->size == 0)
        return 0;
    int code = h5_claim(parse, address, size, "data", &data);
    values->data = data.at;
    return code;
}

static int read_dataset(struct h5_parse *parse, const struct object *object)
{
    struct h5_index_values *values = &parse->index->node[parse->node].values;
    if (!object->space.at || !object->type.at || !object->layout.at)
        return h5_refuse(parse, "is neither a group nor a dataset");
    if (!read_type(values, object->type) || values->kind > H5_INDEX_TEXT)
        return h5_refuse(parse, "holds values of a type that no file of posgrad has");
    if (!read_space(values, object->space) || !measure(values))
        return h5_refuse(parse, "has sizes that make no array of fixed size");
    return read_layout(parse, values, object->layout);
}

// Where links or attributes are many, they are in a heap, and a B-tree has their places.
static int read_many(struct h5_parse *parse, struct h5_span where, int type,
                     int (*take)(struct h5_parse *parse, struct h5_span object), bool *any)
{
    *any = false;
    if (!where.at)
        return 0;
    uint64_t version = h5_take(&where, 1), flags = h5_take(&where, 1);
    uint64_t heap = h5_take(&where, 8), tree = h5_take(&where, 8);
    if (version != 0 || flags != 0 || where.bad)
        return h5_refuse(parse, "counts its links or attributes as no file of posgrad does");
    *any = heap != H5_UNDEFINED;
    return *any ? h5_read_dense(parse, heap, tree, type, take) : 0;
}

static int read_parts(struct h5_parse *parse, const struct object *object)
{
    bool many;
    struct h5_index_node *node = &parse->index->node[parse->node];
    node->is_group = object->links.at;
    int code = read_many(parse, object->attributes, H5_TREE_ATTRIBUTES, h5_read_attribute, &many);
    if (code < 0)
        return code;
    if (!node->is_group)
        return object->has_link ? h5_refuse(parse, "has links, and is no group")
                                : read_dataset(parse, object);
    if (object->space.at || object->type.at || object->layout.at)
        return h5_refuse(parse, "is both a group and a dataset");
    code = read_many(parse, object->links, H5_TREE_LINKS, h5_read_link, &many);
    return code == 0 && many && object->has_link ? h5_refuse(parse, "has links in two places")
                                                 : code;
}

int h5_read_object(struct h5_parse *parse)
{
    enum { HAS_TIMES = 0x20, HAS_PHASE = 0x10, HAS_ORDER = 0x0c, MOST_HEAD = 32, CHECKSUM = 4 };
    struct h5_span head, chunk = {0};
    struct object object = {0};
    const struct h5_index *index = parse->index;
    uint64_t address = index->node[parse->node].address;
    // How long it is, is in it: look first, then claim it.
    uint64_t body = index->size - SEAL_SIZE;
    if (address >= body)
        return h5_refuse(parse, "has its object header outside the file");
    head.at = index->bytes + SEAL_SIZE + address;
    head.left = (size_t)(body - address);
    head.bad = false;
    bool good = h5_take_same(&head, "OHDR\2", 5);
    uint64_t flags = h5_take(&head, 1);
    if (!good || (flags & ~3U))
        return h5_refuse(parse, "has an object header of a kind that no file of posgrad has");
    uint64_t size = h5_take(&head, 1 << (flags & 3));
    uint64_t before = 6 + (1U << (flags & 3));
    if (head.bad || size > head.left || head.left - size < CHECKSUM)
        return h5_refuse(parse, "has an object header that ends outside the file");
    int code = h5_claim(parse, address, before + size + CHECKSUM, "object header", &chunk);
    if (code < 0)
        return code;
    chunk.left -= CHECKSUM;
    h5_take_bytes(&chunk, (size_t)before);
    code = read_messages(parse, &object, chunk);
    return code < 0 ? code : read_parts(parse, &object);
}
