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
static void put_comment(FILE *file, const char *text)
{
    for (; *text; text++)
        fputc(isprint((unsigned char)*text) && !strchr("*\\?", *text) ? *text : '.', file);
}

static void put_attributes(FILE *file, int count, const struct export_attribute *attribute)
{
    char number[EXPORT_NUMBER];
    for (int i = 0; i < count; i++) {
        fputs(" * ", file);
        put_comment(file, attribute[i].name);
        fputs(": ", file);
        put_comment(file, export_attribute_text(&attribute[i], number));
        fputc('\n', file);
    }
}

// "/* layer 2, offset 63 from -31" and so on.
static void put_axes(FILE *file, const struct export_array *array)
{
    char name[32];
    for (int d = 0; d < array->dims; d++) {
        fputs(d ? ", " : " ", file);
        put_comment(file, export_axis_name(array, d, name));
        fprintf(file, " %lld", (long long)array->size[d]);
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
    FILE *file;
    const struct export_array *array;
    int64_t next; // element
};

// The innermost row, as many numbers as fit a line.
static void put_row(struct filler *filler, int64_t count, int indent)
{
    char text[NUMBER];
    int used = fprintf(filler->file, "%*s{", indent, "");
    for (int64_t i = 0; i < count; i++) {
        literal(filler->array, filler->next++, text);
        int size = (int)strlen(text) + 2;
        if (i > 0 && used + size > COLUMNS)
            used = fprintf(filler->file, ",\n%*s", indent + 1, "") - 2;
        else if (i > 0)
            fputs(", ", filler->file);
        fputs(text, filler->file);
        used += size;
    }
    fputc('}', filler->file);
}

static void put_level(struct filler *filler, int dim, int indent)
{
    int64_t count = filler->array->size[dim];
    if (dim + 1 == filler->array->dims) {
        put_row(filler, count, indent);
        return;
    }
    fprintf(filler->file, "%*s{\n", indent, "");
    for (int64_t i = 0; i < count; i++) {
        put_level(filler, dim + 1, indent + 1);
        fputs(i + 1 < count ? ",\n" : "\n", filler->file);
    }
    fprintf(filler->file, "%*s}", indent, "");
}

static void put_numbers(FILE *file, const struct export_array *array, const char *name)
{
    struct filler filler = {.file = file, .array = array};
    char text[NUMBER];
    fprintf(file, "static const %s %s", array->is_double ? "double" : "float", name);
    for (int d = 0; d < array->dims; d++)
        fprintf(file, "[%lld]", (long long)array->size[d]);
    fputs(" =", file);
    if (array->dims) {
        fputc('\n', file);
        put_level(&filler, 0, 0);
    } else {
        literal(array, 0, text);
        fprintf(file, " %s", text);
    }
    fputs(";\n", file);
}

static void put_coordinates(FILE *file, const struct export_array *array, int dim, const char *name)
{
    int64_t count = array->size[dim];
    fprintf(file, "static const long long %s[%lld] = {", name, (long long)count);
    for (int64_t i = 0; i < count; i++)
        fprintf(file, "%s%lld",
                !i       ? ""
                : i % 16 ? ", "
                         : ",\n ",
                (long long)export_coordinate(array, dim, i));
    fputs("};\n", file);
}

static int put_array(FILE *file, struct names *names, const struct export_array *array)
{
    const char *name = identifier(names, array->name, NULL);
    if (!name)
        return ERR_MEMORY;
    fputs("\n/* ", file);
    put_comment(file, array->name);
    fputs(array->dims ? ":" : "", file);
    put_axes(file, array);
    fputc('\n', file);
    put_attributes(file, array->attributes, array->attribute);
    fputs(" */\n", file);
    put_numbers(file, array, name);
    for (int d = 0; d < array->dims; d++) {
        char text[32];
        if (export_counts_from_zero(array, d))
            continue;
        const char *axis = identifier(names, array->name, export_axis_name(array, d, text));
        if (!axis)
            return ERR_MEMORY;
        put_coordinates(file, array, d, axis);
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

// What lies between the guard's lines, malloc'ed.
static int make_body(struct names *names, const struct export_set *set, char **body, size_t *size)
{
    FILE *file = open_memstream(body, size);
    int code = file ? 0 : err_set(ERR_MEMORY, "out of memory for the header");
    for (int i = 0; i < set->arrays && code == 0; i++)
        code = put_array(file, names, &set->array[i]);
    bool bad = file && ferror(file);
    if (file && (fclose(file) != 0 || bad) && code == 0)
        code = err_set(ERR_MEMORY, "out of memory for the header");
    return code;
}

// FNV-1a (Fowler, Noll, Vo), 64 bits.
static unsigned long long digest(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}

static int wrap(const struct export_set *set, const char *body, char **bytes, size_t *size)
{
    unsigned long long of_body = digest(body);
    FILE *file = open_memstream(bytes, size);
    if (!file)
        return err_set(ERR_MEMORY, "out of memory for the header");
    fputs("/* Written by posgrad export.\n", file);
    put_attributes(file, set->attributes, set->attribute);
    fprintf(file, " */\n#ifndef POSGRAD_%016llX_H\n#define POSGRAD_%016llX_H\n%s\n#endif\n",
            of_body, of_body, body);
    bool bad = ferror(file);
    if (fclose(file) == 0 && !bad)
        return 0;
    free(*bytes);
    return err_set(ERR_MEMORY, "out of memory for the header");
}

static int encode(const struct export_set *set, char **bytes, size_t *size)
{
    struct names names = {.count = 0};
    char *body = NULL;
    size_t body_size = 0;
    int code = check(set);
    if (code < 0)
        return code;
    arena_init(&names.arena);
    names.taken = calloc((size_t)set->arrays * (1 + EXPORT_MAX_DIMS) + 1, sizeof *names.taken);
    code = names.taken ? 0 : err_set(ERR_MEMORY, "out of memory for the names of a header");
    if (code == 0)
        code = make_body(&names, set, &body, &body_size);
    if (code == 0)
        code = wrap(set, body, bytes, size);
    free(body);
    free(names.taken);
    arena_release(&names.arena);
    return code;
}

const struct export_format export_header = {
    .name = "header",
    .title = "C header: a static const array a table, any number of them",
    .extension = ".h",
    .encode = encode,
};
