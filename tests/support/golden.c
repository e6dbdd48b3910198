// Reads golden data: see golden.h. Data parts are 8-byte aligned in the file, so arrays point into
// its bytes.
#include "golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "check.h"

#define GOLDEN_MAGIC "PGGOLDEN"
#define GOLDEN_VERSION 1
#define GOLDEN_MAX_BYTES (INT64_C(1) << 24)
#define GOLDEN_MAX_ARRAYS 4096

struct reader {
    const char *path;
    const unsigned char *bytes;
    size_t size, at;
};

// The next `size` bytes and their padding, which must be zero; NULL when the file ends before.
static const unsigned char *take(struct reader *reader, size_t size)
{
    size_t all = (size + 7) / 8 * 8, at = reader->at;
    if (all > reader->size - at)
        return NULL;
    for (size_t i = size; i < all; i++)
        if (reader->bytes[at + i])
            return NULL;
    reader->at += all;
    return reader->bytes + at;
}

static int damaged(const struct reader *reader, const char *what)
{
    return err_set(ERR_FORMAT, "%s: %s near byte %zu; the scripts in tests/golden write it again",
                   reader->path, what, reader->at);
}

static int read_shape(struct reader *reader, struct golden_array *array, uint32_t dims)
{
    if (dims > AG_MAX_DIMS)
        return damaged(reader, "too many dimensions");
    const unsigned char *sizes = take(reader, dims * sizeof(int64_t));
    if (!sizes)
        return damaged(reader, "cut short");
    array->shape.dims = (int)dims;
    memcpy(array->shape.size, sizes, dims * sizeof(int64_t));
    if (array->type == GOLDEN_TEXT && dims == 1 && array->shape.size[0] == 0)
        array->count = 0; // an empty text
    else
        array->count = ag_shape_count(array->shape);
    if (array->count < 0 || array->count > GOLDEN_MAX_BYTES)
        return damaged(reader, "a shape that cannot be");
    return 0;
}

static int read_name(struct reader *reader, struct golden_array *array, uint32_t size)
{
    if (size == 0 || size >= sizeof array->name)
        return damaged(reader, "a name that is empty or too long");
    const unsigned char *name = take(reader, size);
    if (!name || memchr(name, '\0', size))
        return damaged(reader, "a damaged name");
    memcpy(array->name, name, size);
    array->name[size] = '\0';
    return 0;
}

static int read_array(struct reader *reader, struct golden_array *array)
{
    static const size_t element[] = {sizeof(double), sizeof(int32_t), 1, sizeof(float)};
    uint32_t head[4];
    const unsigned char *bytes = take(reader, sizeof head);
    if (!bytes)
        return damaged(reader, "cut short");
    memcpy(head, bytes, sizeof head);
    if (head[1] > GOLDEN_SINGLE || head[3] != 0)
        return damaged(reader, "an unknown type");
    array->type = (enum golden_type)head[1];
    int code = read_shape(reader, array, head[2]);
    if (code == 0)
        code = read_name(reader, array, head[0]);
    if (code < 0)
        return code;
    const void *data = take(reader, (size_t)array->count * element[array->type]);
    if (!data)
        return damaged(reader, "cut short");
    array->real = array->type == GOLDEN_REAL ? data : NULL;
    array->index = array->type == GOLDEN_INT ? data : NULL;
    array->text = array->type == GOLDEN_TEXT ? data : NULL;
    array->single = array->type == GOLDEN_SINGLE ? data : NULL;
    for (int64_t i = 0; (array->real || array->single) && i < array->count; i++)
        if (!isfinite(golden_value(array, i)))
            return damaged(reader, "a number that is not finite");
    return 0;
}

static int read_arrays(struct reader *reader, struct golden *golden)
{
    uint32_t numbers[2];
    const unsigned char *magic = take(reader, 8), *bytes = magic ? take(reader, 8) : NULL;
    if (!bytes || memcmp(magic, GOLDEN_MAGIC, 8) != 0)
        return damaged(reader, "this is no golden file");
    memcpy(numbers, bytes, sizeof numbers);
    if (numbers[0] != GOLDEN_VERSION)
        return damaged(reader, "another version, or another byte order");
    if (numbers[1] > GOLDEN_MAX_ARRAYS)
        return damaged(reader, "too many arrays");
    golden->array = calloc((size_t)numbers[1] + 1, sizeof *golden->array);
    if (!golden->array)
        return err_set(ERR_MEMORY, "out of memory for the arrays of %s", reader->path);
    for (uint32_t i = 0; i < numbers[1]; i++) {
        int code = read_array(reader, &golden->array[i]);
        if (code < 0)
            return code;
        if (golden_find(golden, NULL, golden->array[i].name))
            return damaged(reader, "a name that was there before");
        golden->arrays++;
    }
    return reader->at == reader->size ? 0 : damaged(reader, "more than the last array");
}

int golden_parse(struct golden *golden, const char *path, const void *bytes, size_t size)
{
    memset(golden, 0, sizeof *golden);
    snprintf(golden->path, sizeof golden->path, "%s", path);
    golden->bytes = malloc(size + 1);
    if (!golden->bytes)
        return err_set(ERR_MEMORY, "out of memory for %s", path);
    memcpy(golden->bytes, bytes, size);
    struct reader reader = {.path = golden->path, .bytes = golden->bytes, .size = size};
    int code = read_arrays(&reader, golden);
    if (code < 0)
        golden_release(golden);
    return code;
}

int golden_read(struct golden *golden, const char *path)
{
    memset(golden, 0, sizeof *golden);
    FILE *file = fopen(path, "rb");
    if (!file)
        return err_set(ERR_FILE, "cannot open %s; tests run in the root of the repository", path);
    size_t limit = (size_t)GOLDEN_MAX_BYTES;
    unsigned char *bytes = malloc(limit);
    size_t size = bytes ? fread(bytes, 1, limit, file) : 0;
    int code = !bytes                          ? err_set(ERR_MEMORY, "out of memory for %s", path)
               : ferror(file) || size == limit ? err_set(ERR_FILE, "cannot read all of %s", path)
                                               : golden_parse(golden, path, bytes, size);
    free(bytes);
    fclose(file);
    return code;
}

void golden_release(struct golden *golden)
{
    free(golden->bytes);
    free(golden->array);
    memset(golden, 0, sizeof *golden);
}

const struct golden_array *golden_find(const struct golden *golden, const char *prefix,
                                       const char *name)
{
    size_t size = prefix ? strlen(prefix) : 0;
    for (int i = 0; i < golden->arrays; i++) {
        const char *full = golden->array[i].name;
        if (!prefix && strcmp(full, name) == 0)
            return &golden->array[i];
        if (prefix && strncmp(full, prefix, size) == 0 && full[size] == '/' &&
            strcmp(full + size + 1, name) == 0)
            return &golden->array[i];
    }
    return NULL;
}

const struct golden_array *golden_get(const struct golden *golden, const char *prefix,
                                      const char *name, enum golden_type type)
{
    const struct golden_array *array = golden_find(golden, prefix, name);
    if (!array || array->type != type)
        fail_msg("%s: no %s%s%s of type %d", golden->path, prefix ? prefix : "", prefix ? "/" : "",
                 name, (int)type);
    return array;
}

double golden_real(const struct golden *golden, const char *prefix, const char *name)
{
    const struct golden_array *array = golden_get(golden, prefix, name, GOLDEN_REAL);
    assert_int_equal(array->count, 1);
    return array->real[0];
}

int64_t golden_int(const struct golden *golden, const char *prefix, const char *name)
{
    const struct golden_array *array = golden_get(golden, prefix, name, GOLDEN_INT);
    assert_int_equal(array->count, 1);
    return array->index[0];
}

void golden_text(const struct golden *golden, const char *prefix, const char *name, char *text,
                 size_t size)
{
    const struct golden_array *array = golden_get(golden, prefix, name, GOLDEN_TEXT);
    assert_true((size_t)array->count < size);
    memcpy(text, array->text, (size_t)array->count);
    text[array->count] = '\0';
}

double golden_value(const struct golden_array *array, int64_t i)
{
    assert_true(array->real || array->single);
    return array->real ? array->real[i] : (double)array->single[i];
}

double golden_largest(const double *reference, int64_t count)
{
    double largest = 0;
    for (int64_t i = 0; i < count; i++)
        if (fabs(reference[i]) > largest)
            largest = fabs(reference[i]);
    return largest;
}

double golden_error(const double *reference, int64_t count, const real *actual, double scale)
{
    double largest = golden_largest(reference, count), worst = 0;
    for (int64_t i = 0; i < count; i++) {
        double difference = fabs((double)actual[i] - reference[i]);
        if (!(difference <= worst)) // a NaN is never small
            worst = isfinite(difference) ? difference : (double)INFINITY;
    }
    if (worst == 0)
        return 0;
    return largest > 0 ? worst / largest : scale > 0 ? worst / scale : (double)INFINITY;
}
