// Arrays of a file and what their numbers are like: see array_facts.h.
#include "array_facts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../autograd/base/err.h"
#include "../io/import.h"
#include "../io/json_memory.h"
#include "json_text.h"

// --- gathering

struct summary {
    double min, max, mean, std;
    int64_t finite;
};

// In one pass, of distances from the first number, which loses nothing where all are far from 0.
static struct summary summarise(const struct import_file *file, const struct import_array *array)
{
    struct summary s = {0};
    double first = 0, sum = 0, squares = 0;
    for (int64_t i = 0; i < array->count; i++) {
        double x = import_value(file, array, i);
        if (!isfinite(x))
            continue;
        if (s.finite++ == 0)
            first = s.min = s.max = x;
        s.min = x < s.min ? x : s.min;
        s.max = x > s.max ? x : s.max;
        sum += x - first;
        squares += (x - first) * (x - first);
    }
    double n = (double)s.finite;
    s.mean = s.finite ? first + sum / n : 0;
    s.std = s.finite ? sqrt(fmax(0, squares / n - sum / n * (sum / n))) : 0;
    return s;
}

// Numbers that are too large for their own sum have no mean.
static void put_number(json_t *row, const char *key, double value)
{
    json_object_set_new(row, key, isfinite(value) ? json_real(value) : json_null());
}

static int put_numbers(json_t *row, struct import_file *file, const struct import_array *array)
{
    if (array->type == IMPORT_OTHER)
        return 0;
    int code = import_load(file, array);
    if (code == ERR_MEMORY)
        return code;
    if (code < 0) {
        json_object_set_new(row, "error", json_text(err_last()));
        return 0;
    }
    struct summary s = summarise(file, array);
    json_object_set_new(row, "not_finite", json_integer(array->count - s.finite));
    if (s.finite) {
        put_number(row, "min", s.min);
        put_number(row, "max", s.max);
        put_number(row, "mean", s.mean);
        put_number(row, "std", s.std);
    }
    return 0;
}

static json_t *row_of(const struct import_array *array)
{
    json_t *row = json_object(), *shape = json_array();
    for (int d = 0; d < array->dims; d++)
        json_array_append_new(shape, json_integer(array->size[d]));
    json_object_set_new(row, "name", json_text(array->name));
    json_object_set_new(row, "type", json_text(array->type_name));
    json_object_set_new(row, "shape", shape);
    json_object_set_new(row, "count", json_integer(array->count));
    return row;
}

static int gather(json_t *facts, struct import_file *file)
{
    char digest[IMPORT_DIGEST];
    json_t *arrays = json_array();
    int code = 0;
    import_digest(file, digest);
    json_object_set_new(facts, "file", json_text(file->path));
    json_object_set_new(facts, "bytes", json_integer((json_int_t)file->size));
    json_object_set_new(facts, "format", json_string(file->format->name));
    json_object_set_new(facts, "sha256", json_string(digest));
    for (int i = 0; i < file->arrays && code == 0; i++) {
        json_t *row = row_of(&file->array[i]);
        code = put_numbers(row, file, &file->array[i]);
        json_array_append_new(arrays, row);
    }
    json_object_set_new(facts, "arrays", arrays);
    return code;
}

int array_facts(json_t *facts, const char *path)
{
    struct import_file file;
    unsigned long failures = json_memory_failures();
    int code = import_open(&file, path);
    if (code < 0)
        return code;
    code = gather(facts, &file);
    import_close(&file);
    return code < 0 ? code : json_memory_check(failures);
}

// --- printing

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "?";
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static void print_shape(const json_t *shape)
{
    json_t *size;
    size_t i;
    putchar('[');
    json_array_foreach (shape, i, size)
        printf("%s%lld", i ? ", " : "", (long long)json_integer_value(size));
    putchar(']');
}

static void print_row(const json_t *row)
{
    static const char *const keys[] = {"min", "max", "mean", "std"};
    printf("  %-40s %10lld  %-7s ", text_of(row, "name"), number_of(row, "count"),
           text_of(row, "type"));
    print_shape(json_object_get(row, "shape"));
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *value = json_object_get(row, keys[i]);
        if (json_is_real(value))
            printf("%s%s %.5g", i ? ", " : "  ", keys[i], json_real_value(value));
    }
    if (number_of(row, "not_finite"))
        printf("  %lld not finite", number_of(row, "not_finite"));
    if (json_object_get(row, "error"))
        printf("  %s", text_of(row, "error"));
    putchar('\n');
}

void array_facts_print(const json_t *facts)
{
    json_t *arrays = json_object_get(facts, "arrays"), *row;
    size_t i;
    printf("file     %s, %lld bytes\n", text_of(facts, "file"), number_of(facts, "bytes"));
    printf("format   %s\n", text_of(facts, "format"));
    printf("sha256   %s\n", text_of(facts, "sha256"));
    printf("arrays: %zu\n", json_array_size(arrays));
    json_array_foreach (arrays, i, row)
        print_row(row);
}
