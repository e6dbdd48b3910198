// Reading our own HDF5: the digest first, then the index, then values out of the very bytes that
// were checked.
//
// A digest finds accidents, not malice, so the index (h5index.h) is of our own making and refuses
// whatever no file of posgrad has. libhdf5 has no part in this.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "h5file_inside.h"
#include "h5index.h"
#include "seal.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are read as they lie in memory");

// More than any checkpoint of a model that fits this program; a larger file is a mistake.
static const size_t size_limit = (size_t)1 << 36;

struct h5_reader {
    char *bytes; // the file
    struct h5_index index;
    char name[512]; // for messages
};

// --- open and close

struct h5_reader *h5_reader_take(char *bytes, size_t size, const char *name)
{
    struct h5_reader *reader = calloc(1, sizeof *reader);
    if (!reader) {
        free(bytes);
        err_set(ERR_MEMORY, "out of memory to read %s", name);
        return NULL;
    }
    snprintf(reader->name, sizeof reader->name, "%s", name);
    reader->bytes = bytes;
    const unsigned char *file = (unsigned char *)bytes;
    if (seal_check(file, size, name) < 0 ||
        h5_index_open(&reader->index, file, size, reader->name) < 0) {
        h5_reader_close(reader);
        return NULL;
    }
    return reader;
}

struct h5_reader *h5_reader_open(const char *file_path)
{
    char *bytes;
    size_t size;
    if (file_read(file_path, size_limit, &bytes, &size) < 0)
        return NULL;
    return h5_reader_take(bytes, size, file_path);
}

void h5_reader_close(struct h5_reader *reader)
{
    if (!reader)
        return;
    h5_index_close(&reader->index);
    free(reader->bytes);
    free(reader);
}

// --- finding objects

bool h5_has(struct h5_reader *reader, const char *path)
{
    return h5_index_find(&reader->index, path);
}

// The object at `path`, or NULL with ERR_FORMAT set.
static const struct h5_index_node *find_object(struct h5_reader *reader, const char *path)
{
    const struct h5_index_node *node = h5_index_find(&reader->index, path);
    if (!node)
        err_set(ERR_FORMAT, "%s has no %s", reader->name, path);
    return node;
}

static const struct h5_index_values *find_values(struct h5_reader *reader, const char *path)
{
    const struct h5_index_node *node = find_object(reader, path);
    if (!node)
        return NULL;
    if (node->is_group) {
        err_set(ERR_FORMAT, "%s: %s is not a dataset", reader->name, path);
        return NULL;
    }
    return &node->values;
}

// --- datasets

int h5_shape(struct h5_reader *reader, const char *path, enum h5_type *type, int *dims,
             int64_t *size, int max_dims)
{
    const struct h5_index_values *values = find_values(reader, path);
    if (!values)
        return ERR_FORMAT;
    if (values->kind > H5_INDEX_I64 || values->rank > max_dims)
        return err_set(ERR_FORMAT, "%s: %s is not a numeric array of at most %d dimensions",
                       reader->name, path, max_dims);
    for (int i = 0; i < values->rank; i++)
        size[i] = (int64_t)h5_index_extent(values, i);
    *type = (enum h5_type)values->kind;
    *dims = values->rank;
    return 0;
}

int h5_read(struct h5_reader *reader, const char *path, enum h5_type type, int64_t count,
            void *data)
{
    const struct h5_index_values *values = find_values(reader, path);
    if (!values)
        return ERR_FORMAT;
    if (values->kind != (int)type)
        return err_set(ERR_FORMAT, "%s: %s is not of type %s", reader->name, path,
                       h5_type_name(type));
    if (count < 0 || values->count != (uint64_t)count)
        return err_set(ERR_FORMAT, "%s: %s has %lld elements, and %lld are wanted", reader->name,
                       path, (long long)values->count, (long long)count);
    if (values->size > 0)
        memcpy(data, values->data, values->size);
    return 0;
}

// --- text

// A malloc'ed copy with a NUL after it; `what` and `path` are for the message.
static char *copy_text(const struct h5_reader *reader, const unsigned char *bytes, uint64_t size,
                       const char *path)
{
    char *text = malloc((size_t)size + 1);
    if (!text) {
        err_set(ERR_MEMORY, "out of memory for the text %s of %s", path, reader->name);
        return NULL;
    }
    memcpy(text, bytes, (size_t)size);
    text[size] = '\0';
    return text;
}

static char *read_text(const struct h5_reader *reader, const struct h5_index_values *values,
                       const char *path)
{
    if (values->kind == H5_INDEX_TEXT && values->count == 1 && values->size <= H5_TEXT_MAX)
        return copy_text(reader, values->data, values->size, path);
    err_set(ERR_FORMAT, "%s: %s is not a text of fixed length and at most %d bytes", reader->name,
            path, H5_TEXT_MAX);
    return NULL;
}

char *h5_read_text(struct h5_reader *reader, const char *path)
{
    const struct h5_index_values *values = find_values(reader, path);
    return values ? read_text(reader, values, path) : NULL;
}

// --- attributes

static const struct h5_index_values *find_attribute(struct h5_reader *reader, const char *path,
                                                    const char *name)
{
    const struct h5_index_node *node = find_object(reader, path);
    const struct h5_index_attribute *attribute =
        node ? h5_index_attribute(&reader->index, node, name) : NULL;
    if (node && !attribute)
        err_set(ERR_FORMAT, "%s: %s has no attribute '%s'", reader->name, path, name);
    return attribute ? &attribute->values : NULL;
}

static int read_attribute(struct h5_reader *reader, const char *path, const char *name,
                          enum h5_type type, void *value)
{
    const struct h5_index_values *values = find_attribute(reader, path, name);
    if (!values)
        return ERR_FORMAT;
    if (values->kind != (int)type || values->count != 1)
        return err_set(ERR_FORMAT, "%s: attribute %s of %s is not one %s", reader->name, name, path,
                       h5_type_name(type));
    memcpy(value, values->data, values->size);
    return 0;
}

int h5_read_attr_int(struct h5_reader *reader, const char *path, const char *name, int64_t *value)
{
    return read_attribute(reader, path, name, H5FILE_I64, value);
}

int h5_read_attr_real(struct h5_reader *reader, const char *path, const char *name, double *value)
{
    return read_attribute(reader, path, name, H5FILE_F64, value);
}

char *h5_read_attr_text(struct h5_reader *reader, const char *path, const char *name)
{
    const struct h5_index_values *values = find_attribute(reader, path, name);
    return values ? read_text(reader, values, name) : NULL;
}

char *h5_read_axis(struct h5_reader *reader, const char *path, int dim)
{
    const struct h5_index_node *node = find_object(reader, path);
    const struct h5_index_attribute *labels =
        node ? h5_index_attribute(&reader->index, node, "DIMENSION_LABELS") : NULL;
    const unsigned char *text = NULL;
    int64_t size = -1;
    if (!node)
        return NULL;
    if (labels && dim >= 0)
        size = h5_index_label(&reader->index, &labels->values, (uint64_t)dim, &text);
    if (size < 0) {
        err_set(ERR_FORMAT, "%s: axis %d of %s has no name", reader->name, dim, path);
        return NULL;
    }
    return copy_text(reader, text, (uint64_t)size, path);
}

// --- walking

struct walk {
    struct h5_reader *reader;
    int (*visit)(void *context, const char *path);
    void *context;
    char path[H5_PATH_MAX]; // of the object at hand
};

// The index is at most H5_INDEX_MAX_DEPTH deep.
static int walk_object(struct walk *walk, const struct h5_index_node *node)
{
    const struct h5_index *index = &walk->reader->index;
    if (!node->is_group)
        return walk->visit(walk->context, walk->path);
    size_t length = strlen(walk->path);
    size_t slash = length > 1; // "/" needs no second one
    int code = 0;
    for (uint32_t i = 0; i < node->children && code == 0; i++) {
        const struct h5_index_node *child = &index->node[node->first_child + i];
        if (length + slash + child->length >= sizeof walk->path)
            return err_set(ERR_FORMAT, "%s: a path below %s is too long", walk->reader->name,
                           walk->path);
        snprintf(walk->path + length, sizeof walk->path - length, "%s%.*s", slash ? "/" : "",
                 (int)child->length, (const char *)child->name);
        code = walk_object(walk, child);
        walk->path[length] = '\0';
    }
    return code;
}

int h5_walk(struct h5_reader *reader, const char *path,
            int (*visit)(void *context, const char *path), void *context)
{
    const struct h5_index_node *node = find_object(reader, path);
    if (!node)
        return ERR_FORMAT;
    struct walk *walk = calloc(1, sizeof *walk);
    if (!walk)
        return err_set(ERR_MEMORY, "out of memory to list %s", reader->name);
    walk->reader = reader;
    walk->visit = visit;
    walk->context = context;
    int code = 0;
    if (strlen(path) >= sizeof walk->path)
        code = err_set(ERR_FORMAT, "%s: a path is too long", reader->name);
    else
        strcpy(walk->path, path);
    if (code == 0)
        code = walk_object(walk, node);
    free(walk);
    return code;
}
