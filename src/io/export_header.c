// A C header: each array as a static const one, for programs that read no files.
//
// The text is C11 and C++ without a warning, and reads back to the same bits. Names are made of the
// arrays': what C does not allow in one becomes '_', and a number parts two that would be the same.
// The guard ends with a digest of the text, so that headers of two runs do not hide each other.
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/arena.h"
#include "../../autograd/base/err.h"
#include "bytes.h"
#include "export.h"

enum { COLUMNS = 96, NUMBER = 40 };

// --- names

struct names {
    struct arena arena;
    const char **taken;
    int count;
};

static bool is_taken(const struct names *names, const char *name)
{
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->taken[i], name) == 0)
            return true;
    return false;
}

// An identifier that none before it is, or NULL. `axis` (NULL: none) is joined to the name.
static const char *identifier(struct names *names, const char *name, const char *axis)
{
    size_t room = strlen(name) + (axis ? strlen(axis) : 0) + 24;
    char *text = arena_alloc(&names->arena, room);
    if (!text)
        return NULL;
    bool bad_start = !isalpha((unsigned char)name[0]);
    snprintf(text, room, "%s%s%s%s", bad_start ? "array_" : "", name, axis ? "_" : "",
             axis ? axis : "");
    for (char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p) || (unsigned char)*p > 127)
            *p = '_';
    size_t length = strlen(text);
    for (int k = 2; is_taken(names, text); k++)
        snprintf(text + length, room - length, "_%d", k);
    names->taken[names->count++] = text;
    return text;
}

// --- text

// What a comment may hold: no star that would end it or open another, and nothing that means more
// to a preprocessor.
static void put_comment(struct bytes *out, const char *text)
{
    for (; *text; text++)
        bytes_put(out, isprint((unsigned char)*text) && !strchr("*\\?", *text) ? text : ".", 1);
}

static void put_attributes(struct bytes *out, int count, const struct export_attribute *attribute)
{
    char number[EXPORT_NUMBER];
    for (int i = 0; i < count; i++) {
        bytes_print(out, " * ");
        put_comment(out, attribute[i].name);
        bytes_print(out, ": ");
        put_comment(out, export_attribute_text(&attribute[i], number));
        bytes_print(out, "\n");
    }
}

// "/* layer 2, offset 63 from -31" and so on.
static void put_axes(struct bytes *out, const struct export_array *array)
{
    char name[32];
    for (int d = 0; d < array->dims; d++) {
        bytes_print(out, "%s", d ? ", " : " ");
        put_comment(out, export_axis_name(array, d, name));
        bytes_print(out, " %lld", (long long)array->size[d]);
    }
}

// A literal of the array's type: a decimal point or an exponent, and 'f' for float.
static void literal(const struct export_array *array, int64_t index, char text[NUMBER])
{
    char number[32];
    export_number(array, index, number);
    snprintf(text, NUMBER, "%s%s%s", number, strpbrk(number, ".e") ? "" : ".0",
             array->is_double ? "" : "f");
}

// --- arrays

struct filler {
    struct bytes *out;
    const struct export_array *array;
    int64_t next; // element
};

// The innermost row, as many numbers as fit a line.
static void put_row(struct filler *filler, int64_t count, int indent)
{
    char text[NUMBER];
    int used = indent + 1;
    bytes_print(filler->out, "%*s{", indent, "");
    for (int64_t i = 0; i < count; i++) {
        literal(filler->array, filler->next++, text);
        int size = (int)strlen(text) + 2;
        bool full = i > 0 && used + size > COLUMNS;
        if (full)
            bytes_print(filler->out, ",\n%*s%s", indent + 1, "", text);
        else
            bytes_print(filler->out, "%s%s", i > 0 ? ", " : "", text);
        used = (full ? indent + 1 : used) + size;
    }
    bytes_print(filler->out, "}");
}

static void put_level(struct filler *filler, int dim, int indent)
{
    int64_t count = filler->array->size[dim];
    if (dim + 1 == filler->array->dims) {
        put_row(filler, count, indent);
        return;
    }
    bytes_print(filler->out, "%*s{\n", indent, "");
    for (int64_t i = 0; i < count; i++) {
        put_level(filler, dim + 1, indent + 1);
        bytes_print(filler->out, "%s", i + 1 < count ? ",\n" : "\n");
    }
    bytes_print(filler->out, "%*s}", indent, "");
}

static void put_numbers(struct bytes *out, const struct export_array *array, const char *name)
{
    struct filler filler = {.out = out, .array = array};
    char text[NUMBER];
    bytes_print(out, "static const %s %s", array->is_double ? "double" : "float", name);
    for (int d = 0; d < array->dims; d++)
        bytes_print(out, "[%lld]", (long long)array->size[d]);
    bytes_print(out, " =");
    if (array->dims) {
        bytes_print(out, "\n");
        put_level(&filler, 0, 0);
    } else {
        literal(array, 0, text);
        bytes_print(out, " %s", text);
    }
    bytes_print(out, ";\n");
}

static void put_coordinates(struct bytes *out, const struct export_array *array, int dim,
                            const char *name)
{
    int64_t count = array->size[dim];
    bytes_print(out, "static const long long %s[%lld] = {", name, (long long)count);
    for (int64_t i = 0; i < count; i++)
        bytes_print(out, "%s%lld",
                    !i       ? ""
                    : i % 16 ? ", "
                             : ",\n ",
                    (long long)export_coordinate(array, dim, i));
    bytes_print(out, "};\n");
}

static int put_array(struct bytes *out, struct names *names, const struct export_array *array)
{
    const char *name = identifier(names, array->name, NULL);
    if (!name)
        return ERR_MEMORY;
    bytes_print(out, "\n/* ");
    put_comment(out, array->name);
    bytes_print(out, "%s", array->dims ? ":" : "");
    put_axes(out, array);
    bytes_print(out, "\n");
    put_attributes(out, array->attributes, array->attribute);
    bytes_print(out, " */\n");
    put_numbers(out, array, name);
    for (int d = 0; d < array->dims; d++) {
        char text[32];
        if (export_counts_from_zero(array, d))
            continue;
        const char *axis = identifier(names, array->name, export_axis_name(array, d, text));
        if (!axis)
            return ERR_MEMORY;
        put_coordinates(out, array, d, axis);
    }
    return 0;
}

// --- the file

// C has no arrays of nothing, and no literals of what is no number.
static int check(const struct export_set *set)
{
    for (int i = 0; i < set->arrays; i++) {
        const struct export_array *array = &set->array[i];
        int64_t count = export_count(array);
        if (count == 0)
            return err_set(ERR_ARGUMENT, "%s has no elements, and C has no such array",
                           array->name);
        for (int64_t k = 0; k < count; k++)
            if (!isfinite(export_value(array, k)))
                return err_set(ERR_NUMBER, "%s holds a number that is not finite, at element %lld",
                               array->name, (long long)k);
    }
    return 0;
}

// FNV-1a (Fowler, Noll, Vo), 64 bits.
static unsigned long long digest(const struct bytes *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < text->size; i++)
        hash = (hash ^ text->at[i]) * 0x100000001b3u;
    return hash;
}

// The comment at the top, the guard, and what lies in it.
static void wrap(struct bytes *out, const struct export_set *set, const struct bytes *body)
{
    unsigned long long of_body = digest(body);
    bytes_print(out, "/* Written by posgrad export.\n");
    put_attributes(out, set->attributes, set->attribute);
    bytes_print(out, " */\n#ifndef POSGRAD_%016llX_H\n#define POSGRAD_%016llX_H\n", of_body,
                of_body);
    bytes_put(out, body->at, body->size);
    bytes_print(out, "\n#endif\n");
    bytes_put(out, "", 1); // a NUL, which is not of the file
}

static int put_all(struct bytes *out, struct names *names, const struct export_set *set)
{
    struct bytes body = {0};
    int code = 0;
    for (int i = 0; i < set->arrays && code == 0; i++)
        code = put_array(&body, names, &set->array[i]);
    if (code == 0)
        wrap(out, set, &body);
    if (code == 0 && (body.failed || out->failed))
        code = err_set(ERR_MEMORY, "out of memory for the header");
    free(body.at);
    return code;
}

static int encode(const struct export_set *set, char **bytes, size_t *size)
{
    struct names names = {.count = 0};
    struct bytes out = {0};
    int code = check(set);
    if (code < 0)
        return code;
    arena_init(&names.arena);
    names.taken = calloc((size_t)set->arrays * (1 + EXPORT_MAX_DIMS) + 1, sizeof *names.taken);
    code = names.taken ? 0 : err_set(ERR_MEMORY, "out of memory for the names of a header");
    if (code == 0)
        code = put_all(&out, &names, set);
    free(names.taken);
    arena_release(&names.arena);
    if (code < 0) {
        free(out.at);
        return code;
    }
    *bytes = (char *)out.at;
    *size = out.size - 1;
    return 0;
}

const struct export_format export_header = {
    .name = "header",
    .title = "C header: a static const array a table, any number of them",
    .extension = ".h",
    .encode = encode,
};
