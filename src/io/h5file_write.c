// Writing HDF5: a tree of groups and datasets whose bytes are a pure function of the calls that
// made it.
//
// Nothing here touches the disk, and large data stays where its owner has it: h5_writer_publish
// lays the file out, and hands its parts to file_publish_parts. So a failure at any point leaves
// the old file, and no copy of the file is ever in memory.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "h5file_inside.h"

// The index refuses more.
enum { MOST_ENTRIES = 1 << 18 };

__attribute__((format(printf, 3, 4))) static void fail(struct h5_writer *writer, int code,
                                                       const char *format, ...)
{
    if (writer->error)
        return;
    writer->error = code;
    va_list list;
    va_start(list, format);
    vsnprintf(writer->message, sizeof writer->message, format, list);
    va_end(list);
}

static void no_memory(struct h5_writer *writer)
{
    fail(writer, ERR_MEMORY, "out of memory");
}

// --- start and end

// A new entry at the end of the list of its parent's children, or 0.
static uint32_t add_entry(struct h5_writer *writer, uint32_t parent, const char *name,
                          size_t length, bool is_group)
{
    if (writer->entries == writer->entry_room) {
        uint32_t room = writer->entry_room ? 2 * writer->entry_room : 64;
        struct h5_entry *larger =
            room <= MOST_ENTRIES ? realloc(writer->entry, room * sizeof *larger) : NULL;
        if (!larger) {
            no_memory(writer);
            return 0;
        }
        writer->entry = larger;
        writer->entry_room = room;
    }
    uint32_t index = writer->entries;
    struct h5_entry *entry = &writer->entry[index], *above = &writer->entry[parent];
    memset(entry, 0, sizeof *entry);
    entry->name = strndup(name, length);
    if (!entry->name) {
        no_memory(writer);
        return 0;
    }
    entry->is_group = is_group;
    entry->parent = parent;
    if (index > 0) {
        entry->depth = (uint8_t)(above->depth + 1);
        if (above->last_child)
            writer->entry[above->last_child].next = index;
        else
            above->first_child = index;
        above->last_child = index;
    }
    writer->entries++;
    writer->sealed = false;
    return index;
}

struct h5_writer *h5_writer_new(void)
{
    struct h5_writer *writer = calloc(1, sizeof *writer);
    if (writer)
        add_entry(writer, 0, "", 0, true);
    if (!writer || writer->error) {
        h5_writer_free(writer);
        err_set(ERR_MEMORY, "out of memory for an HDF5 file");
        return NULL;
    }
    return writer;
}

void h5_writer_free(struct h5_writer *writer)
{
    if (!writer)
        return;
    for (uint32_t i = 0; i < writer->entries; i++) {
        free(writer->entry[i].name);
        free(writer->entry[i].copy);
        free(writer->entry[i].attributes.at);
    }
    for (uint32_t i = 0; i < writer->scales; i++)
        free(writer->scale[i].label);
    free(writer->entry);
    free(writer->scale);
    free(writer->head.at);
    free(writer->part);
    free(writer);
}

// --- paths

// "/a/b" of printable parts, none of which is empty, "." or "..".
static bool path_good(const char *path)
{
    if (path[0] != '/' || strlen(path) >= H5_PATH_MAX)
        return false;
    for (const char *p = path; *p; p++)
        if (*p < ' ' || *p > '~')
            return false;
    for (const char *p = path; *p;) {
        size_t size = strcspn(p + 1, "/");
        bool dots = (size == 1 && p[1] == '.') || (size == 2 && p[1] == '.' && p[2] == '.');
        if (dots || size > H5_NAME_MAX || (size == 0 && path[1]))
            return false;
        p += 1 + size;
    }
    return true;
}

static uint32_t find_child(const struct h5_writer *writer, uint32_t parent, const char *name,
                           size_t length)
{
    uint32_t child = writer->entry[parent].first_child;
    // What was made last is asked for most.
    uint32_t last = writer->entry[parent].last_child;
    if (last && strncmp(writer->entry[last].name, name, length) == 0 &&
        !writer->entry[last].name[length])
        return last;
    for (; child; child = writer->entry[child].next)
        if (strncmp(writer->entry[child].name, name, length) == 0 &&
            !writer->entry[child].name[length])
            break;
    return child;
}

// The entry at a good path: true and its index where it is there.
static bool find_entry(const struct h5_writer *writer, const char *path, uint32_t *index)
{
    *index = 0;
    for (const char *p = path; p[1];) {
        size_t length = strcspn(p + 1, "/");
        *index = find_child(writer, *index, p + 1, length);
        if (*index == 0)
            return false;
        p += 1 + length;
        if (!*p)
            break;
    }
    return true;
}

// A new dataset at `path`, with the groups above it, or NULL.
static struct h5_entry *add_dataset(struct h5_writer *writer, const char *path)
{
    uint32_t at = 0;
    for (const char *p = path + 1;;) {
        size_t length = strcspn(p, "/");
        bool last = !p[length];
        uint32_t child = find_child(writer, at, p, length);
        bool under_dataset = !writer->entry[at].is_group;
        if (under_dataset || (child && last) || writer->entry[at].depth >= H5_DEPTH_MAX) {
            fail(writer, ERR_FILE, "cannot write %s: %s", path,
                 under_dataset ? "a part of its path is a dataset"
                 : child       ? "it is there already"
                               : "it lies too deep");
            return NULL;
        }
        at = child ? child : add_entry(writer, at, p, length, !last);
        if (at == 0)
            return NULL;
        if (last)
            return &writer->entry[at];
        p += length + 1;
    }
}

// --- datasets

static bool sizes_good(int dims, const int64_t *size, size_t *bytes)
{
    for (int i = 0; i < dims; i++)
        if (size[i] < 0 || __builtin_mul_overflow(*bytes, (size_t)size[i], bytes))
            return false;
    return true;
}

static struct h5_entry *put_dataset(struct h5_writer *writer, const char *path, int type, int dims,
                                    const int64_t *size, size_t bytes)
{
    struct h5_entry *entry = add_dataset(writer, path);
    if (!entry)
        return NULL;
    entry->type = type;
    entry->dims = dims;
    entry->size = bytes;
    for (int i = 0; i < dims; i++)
        entry->extent[i] = size[i];
    return entry;
}

static void copy_data(struct h5_writer *writer, struct h5_entry *entry, const void *data)
{
    if (!entry || entry->size == 0)
        return;
    entry->copy = data ? malloc(entry->size) : NULL;
    if (entry->copy)
        memcpy(entry->copy, data, entry->size);
    else
        no_memory(writer);
    entry->data = entry->copy;
}

static struct h5_entry *put_numbers(struct h5_writer *writer, const char *path, enum h5_type type,
                                    int dims, const int64_t *size)
{
    size_t bytes = h5_type_size(type);
    if (writer->error)
        return NULL;
    if (!path_good(path) || !path[1])
        fail(writer, ERR_ARGUMENT, "'%s' is not the path of a dataset", path);
    else if (dims < 0 || dims > H5_RANK_MAX || !sizes_good(dims, size, &bytes))
        fail(writer, ERR_ARGUMENT, "the sizes of %s make no array", path);
    return writer->error ? NULL : put_dataset(writer, path, (int)type, dims, size, bytes);
}

void h5_write(struct h5_writer *writer, const char *path, enum h5_type type, int dims,
              const int64_t *size, const void *data)
{
    copy_data(writer, put_numbers(writer, path, type, dims, size), data);
}

void h5_write_lent(struct h5_writer *writer, const char *path, enum h5_type type, int dims,
                   const int64_t *size, const void *data)
{
    struct h5_entry *entry = put_numbers(writer, path, type, dims, size);
    if (entry && entry->size > 0 && !data)
        no_memory(writer); // whoever was to make it has none
    if (entry)
        entry->data = data;
}

// HDF5 has no strings of length 0: "" is one NUL.
static size_t text_size(const char *text)
{
    return text[0] ? strlen(text) : 1;
}

void h5_write_text(struct h5_writer *writer, const char *path, const char *text)
{
    if (writer->error)
        return;
    if (!path_good(path) || !path[1] || strlen(text) > H5_TEXT_MAX)
        fail(writer, ERR_ARGUMENT, "cannot write a text of %zu bytes to '%s'", strlen(text), path);
    else
        copy_data(writer, put_dataset(writer, path, H5_TEXT, 0, NULL, text_size(text)), text);
}

// --- attributes

// Whether the messages have an attribute of this name: a head of 4 bytes, 9 of the attribute, name.
static bool has_attribute(const struct bytes *bytes, const char *name)
{
    for (size_t at = 0; at + 13 < bytes->size;) {
        const unsigned char *message = bytes->at + at;
        if (strcmp((const char *)message + 13, name) == 0)
            return true;
        at += 4U + message[1] + 256U * message[2];
    }
    return false;
}

static void put_attribute(struct h5_writer *writer, const char *path, const char *name, int type,
                          const void *value, size_t size)
{
    uint32_t index;
    if (writer->error)
        return;
    if (!path_good(path) || !name[0] || strlen(name) > H5_NAME_MAX || strchr(name, '/')) {
        fail(writer, ERR_ARGUMENT, "'%s' of '%s' names no attribute", name, path);
        return;
    }
    if (size > H5_ATTRIBUTE_MAX) {
        fail(writer, ERR_ARGUMENT, "attribute %s of %s has %zu bytes, and at most %d go there",
             name, path, size, H5_ATTRIBUTE_MAX);
        return;
    }
    if (!find_entry(writer, path, &index)) {
        fail(writer, ERR_FILE, "cannot write attribute %s of %s: there is no such object", name,
             path);
        return;
    }
    struct bytes *bytes = &writer->entry[index].attributes;
    if (has_attribute(bytes, name)) {
        fail(writer, ERR_FILE, "cannot write attribute %s of %s: it is there already", name, path);
        return;
    }
    h5_put_attribute(bytes, name, type, value, size);
    writer->sealed = false;
    if (bytes->failed)
        no_memory(writer);
}

void h5_attr_text(struct h5_writer *writer, const char *path, const char *name, const char *text)
{
    put_attribute(writer, path, name, H5_TEXT, text, text_size(text));
}

void h5_attr_int(struct h5_writer *writer, const char *path, const char *name, int64_t value)
{
    put_attribute(writer, path, name, H5FILE_I64, &value, sizeof value);
}

void h5_attr_real(struct h5_writer *writer, const char *path, const char *name, double value)
{
    put_attribute(writer, path, name, H5FILE_F64, &value, sizeof value);
}

// --- dimension scales

static void add_scale(struct h5_writer *writer, const struct h5_scale *scale, const char *label)
{
    if (writer->scales == writer->scale_room) {
        uint32_t room = writer->scale_room ? 2 * writer->scale_room : 16;
        struct h5_scale *larger = realloc(writer->scale, room * sizeof *larger);
        if (!larger) {
            no_memory(writer);
            return;
        }
        writer->scale = larger;
        writer->scale_room = room;
    }
    struct h5_scale *added = &writer->scale[writer->scales];
    *added = *scale;
    added->label = strdup(label);
    if (!added->label)
        no_memory(writer);
    else
        writer->scales++;
    writer->sealed = false;
}

// Why an axis cannot have this scale, or NULL.
static const char *scale_fault(const struct h5_writer *writer, const struct h5_scale *scale)
{
    const struct h5_entry *set = &writer->entry[scale->set];
    if (set->is_group || writer->entry[scale->scale].is_group)
        return "a group has no axes";
    if (scale->set == scale->scale)
        return "it would be its own scale";
    if (scale->dim >= set->dims)
        return "there is no such axis";
    for (uint32_t i = 0; i < writer->scales; i++) {
        const struct h5_scale *other = &writer->scale[i];
        if (other->set == scale->set && other->dim == scale->dim)
            return "the axis has one already";
        if (other->set == scale->scale || other->scale == scale->set)
            return "a scale has no scales";
    }
    return NULL;
}

void h5_attach_scale(struct h5_writer *writer, const char *path, int dim, const char *label,
                     const char *scale_path)
{
    struct h5_scale scale = {.dim = dim};
    if (writer->error)
        return;
    if (dim < 0 || !path_good(path) || !path_good(scale_path) || !label[0] ||
        strlen(label) > H5_NAME_MAX) {
        fail(writer, ERR_ARGUMENT, "cannot attach '%s' to axis %d of '%s'", scale_path, dim, path);
        return;
    }
    bool there = find_entry(writer, path, &scale.set) &&
                 find_entry(writer, scale_path, &scale.scale);
    const char *fault = there ? scale_fault(writer, &scale) : "there is no such dataset";
    if (fault)
        fail(writer, ERR_FILE, "cannot attach %s to axis %d of %s: %s", scale_path, dim, path,
             fault);
    else
        add_scale(writer, &scale, label);
}

// --- the file

int h5_writer_seal(struct h5_writer *writer, const char *file_path)
{
    if (writer->error)
        return err_set(writer->error, "cannot write %s: %s", file_path, writer->message);
    int code = writer->sealed ? 0 : h5_layout(writer);
    return code < 0 ? err_prefix(code, "cannot write %s", file_path) : 0;
}

int h5_writer_publish(struct h5_writer *writer, const char *file_path)
{
    int code = h5_writer_seal(writer, file_path);
    return code < 0 ? code : file_publish_parts(file_path, writer->part, writer->parts);
}

int h5_writer_bytes(struct h5_writer *writer, const char *file_path, char **bytes, size_t *size)
{
    int code = h5_writer_seal(writer, file_path);
    if (code < 0)
        return code;
    *size = 0;
    for (size_t i = 0; i < writer->parts; i++)
        *size += writer->part[i].size;
    char *end = *bytes = malloc(*size + 1);
    if (!end)
        return err_set(ERR_MEMORY, "out of memory for the %zu bytes of %s", *size, file_path);
    for (size_t i = 0; i < writer->parts; i++) {
        memcpy(end, writer->part[i].bytes, writer->part[i].size);
        end += writer->part[i].size;
    }
    return 0;
}
