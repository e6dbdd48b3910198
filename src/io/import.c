// The list of formats of import, what is common to them, and the numbers.
#include "import.h"

#include <math.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/options.h"
#include "h5file.h"

#define FORMAT(name) extern const struct import_format import_##name;
#include "import_list.h"
#undef FORMAT

#define FORMAT(name) &import_##name,
const struct import_format *const import_formats[] = {
#include "import_list.h"
};
#undef FORMAT
enum { FORMATS = sizeof import_formats / sizeof import_formats[0] };
const int import_format_count = FORMATS;

// More than any model that fits this program; a larger file is a mistake.
static const size_t size_limit = (size_t)1 << 36;

// --- arrays

enum { NAMES_ROOM = 4 << 20 };

struct import_array *import_add(struct import_file *file, const char *name, size_t length)
{
    if (length == 0 || length > IMPORT_NAME_MAX || memchr(name, '\0', length)) {
        err_set(ERR_FORMAT, "an array has a name that is empty, longer than %d bytes, or has a NUL",
                IMPORT_NAME_MAX);
        return NULL;
    }
    // A path in a tree of groups repeats the names of those, so that paths may be longer than a
    // file.
    if (file->arrays == IMPORT_MAX_ARRAYS || file->names.used > file->size + NAMES_ROOM) {
        err_set(ERR_FORMAT, "it holds more than %d arrays, or names longer than itself",
                IMPORT_MAX_ARRAYS);
        return NULL;
    }
    if (file->arrays == file->room) {
        int room = file->room ? 2 * file->room : 16;
        struct import_array *grown = realloc(file->array, (size_t)room * sizeof *grown);
        if (grown) {
            file->array = grown;
            file->room = room;
        }
    }
    char *copy = file->arrays < file->room ? arena_alloc(&file->names, length + 1) : NULL;
    if (!copy) {
        err_set(ERR_MEMORY, "out of memory for the list of its arrays");
        return NULL;
    }
    memcpy(copy, name, length);
    struct import_array *array = &file->array[file->arrays++];
    *array = (struct import_array){.name = copy};
    return array;
}

int64_t import_bytes(struct import_array *array, int64_t element)
{
    int64_t count = 1, bytes;
    bool empty = false;
    for (int d = 0; d < array->dims; d++) {
        if (array->size[d] < 0)
            return -1;
        empty = empty || array->size[d] == 0;
        if (array->size[d] > 0 && __builtin_mul_overflow(count, array->size[d], &count))
            return -1;
    }
    array->count = empty ? 0 : count;
    return __builtin_mul_overflow(count, element, &bytes) ? -1 : empty ? 0 : bytes;
}

static int by_name(const void *a, const void *b)
{
    const struct import_array *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int put_in_order(struct import_file *file)
{
    if (file->arrays == 0)
        return err_set(ERR_FORMAT, "it holds no arrays");
    qsort(file->array, (size_t)file->arrays, sizeof *file->array, by_name);
    for (int i = 1; i < file->arrays; i++)
        if (by_name(&file->array[i - 1], &file->array[i]) == 0)
            return err_set(ERR_FORMAT, "it holds the name '%.200s' twice", file->array[i].name);
    return 0;
}

// --- open and close

// Its number, or -1.
static int format_of(const unsigned char *bytes, size_t size)
{
    for (int i = 0; i < FORMATS; i++)
        if (import_formats[i]->is(bytes, size))
            return i;
    return -1;
}

static int unknown(void)
{
    char all[128] = "";
    for (int i = 0; i < FORMATS; i++) {
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", import_formats[i]->name);
    }
    return err_set(ERR_FORMAT, "it is of none of the formats that are read: %s", all);
}

int import_open(struct import_file *file, const char *path)
{
    char *bytes;
    memset(file, 0, sizeof *file);
    int code = file_read(path, size_limit, &bytes, &file->size);
    if (code < 0)
        return code;
    file->path = path;
    file->bytes = (unsigned char *)bytes;
    arena_init(&file->names);
    int format = format_of(file->bytes, file->size);
    if (format < 0) {
        code = unknown();
    } else {
        file->format = import_formats[format];
        code = file->format->list(file);
    }
    if (code == 0)
        code = put_in_order(file);
    if (code < 0) {
        import_close(file);
        return err_prefix(code, "%s", path);
    }
    return 0;
}

void import_close(struct import_file *file)
{
    if (!file->bytes)
        return;
    if (file->format && file->format->close)
        file->format->close(file);
    arena_release(&file->names);
    free(file->array);
    free(file->loaded);
    free((void *)(uintptr_t)file->bytes);
    memset(file, 0, sizeof *file);
}

void import_digest(const struct import_file *file, char digest[IMPORT_DIGEST])
{
    struct sha256_ctx context;
    uint8_t sum[SHA256_DIGEST_SIZE];
    sha256_init(&context);
    sha256_update(&context, file->size, file->bytes);
    sha256_digest(&context, sizeof sum, sum);
    for (size_t i = 0; i < sizeof sum; i++)
        snprintf(digest + 2 * i, 3, "%02x", sum[i]);
}

// --- names

void import_names(const struct import_file *file, char *text, size_t size)
{
    enum { TAIL = 24 };
    size_t used = 0;
    *text = '\0';
    for (int i = 0; i < file->arrays; i++) {
        const char *name = file->array[i].name;
        if (used + strlen(name) + 2 + TAIL >= size) {
            snprintf(text + used, size - used, "%s%d more", i ? " and " : "", file->arrays - i);
            return;
        }
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", name);
    }
}

// A part of a name is near to it: "wpe", "wpe.weight" to "transformer.wpe.weight".
static const char *nearest(const struct import_file *file, const char *name)
{
    const char *near = NULL;
    for (int i = 0; i < file->arrays && *name; i++)
        if (strstr(file->array[i].name, name))
            return file->array[i].name;
    const char **names = calloc((size_t)(unsigned)file->arrays, sizeof *names);
    for (int i = 0; names && i < file->arrays; i++)
        names[i] = file->array[i].name;
    if (names)
        near = name_nearest(names, file->arrays, name);
    free(names);
    return near;
}

const struct import_array *import_look(const struct import_file *file, const char *name)
{
    const struct import_array key = {.name = name + (*name == '/')};
    return bsearch(&key, file->array, (size_t)file->arrays, sizeof key, by_name);
}

const struct import_array *import_find(const struct import_file *file, const char *name)
{
    const struct import_array *found = import_look(file, name);
    if (found)
        return found;
    const char *near = nearest(file, name);
    char all[400];
    import_names(file, all, sizeof all);
    if (near)
        err_set(ERR_ARGUMENT, "%s has no array called '%.200s'; did you mean '%.200s'?", file->path,
                name, near);
    else
        err_set(ERR_ARGUMENT, "%s has no array called '%.200s'; it has %s", file->path, name, all);
    return NULL;
}

const char *import_shape(const struct import_array *array, char text[192])
{
    size_t used = (size_t)snprintf(text, 192, "[");
    for (int d = 0; d < array->dims; d++)
        used += (size_t)snprintf(text + used, 192 - used, "%s%lld", d ? ", " : "",
                                 (long long)array->size[d]);
    snprintf(text + used, 192 - used, "]");
    return text;
}

// --- numbers

int import_load(struct import_file *file, const struct import_array *array)
{
    if (array->type == IMPORT_OTHER)
        return err_set(ERR_FORMAT,
                       "%s: '%.200s' is of type %s; real numbers are wanted, of 16, 32 or 64 bits",
                       file->path, array->name, array->type_name);
    free(file->loaded);
    file->loaded = NULL;
    if (array->data)
        return 0;
    if (file->format->load)
        return file->format->load(file, array);
    return array->count == 0 ? 0 // what is empty has no place
                             : err_set(ERR_FORMAT, "%s: '%.200s' has no numbers in the file",
                                       file->path, array->name);
}

// IEEE 754: a half is a sign, 5 bits of exponent with bias 15, 10 of fraction.
static double half(uint32_t bits)
{
    int exponent = (int)(bits >> 10 & 31);
    double fraction = (double)(bits & 1023) / 1024;
    double size = exponent == 31  ? (bits & 1023 ? (double)NAN : (double)INFINITY)
                  : exponent == 0 ? ldexp(fraction, -14)
                                  : ldexp(1 + fraction, exponent - 15);
    return bits >> 15 ? -size : size;
}

static double single(uint32_t bits)
{
    float number;
    memcpy(&number, &bits, sizeof number);
    return (double)number;
}

static double number_of(enum import_type type, uint64_t bits)
{
    double number;
    switch (type) {
    case IMPORT_F16:
        return half((uint32_t)bits);
    case IMPORT_BF16: // the upper half of a single
        return single((uint32_t)bits << 16);
    case IMPORT_F32:
        return single((uint32_t)bits);
    default:
        memcpy(&number, &bits, sizeof number);
        return number;
    }
}

// Where element `index`, row-major, lies in an array whose first index runs fastest.
static int64_t by_columns(const struct import_array *array, int64_t index)
{
    int64_t place = 0, step = array->count;
    for (int d = array->dims - 1; d >= 0; d--) {
        step /= array->size[d];
        place += index % array->size[d] * step;
        index /= array->size[d];
    }
    return place;
}

double import_value(const struct import_file *file, const struct import_array *array, int64_t index)
{
    static const int element[] = {
        [IMPORT_F16] = 2, [IMPORT_BF16] = 2, [IMPORT_F32] = 4, [IMPORT_F64] = 8};
    int64_t place = array->by_columns ? by_columns(array, index) : index;
    int size = element[array->type];
    const unsigned char *at = (array->data ? array->data : file->loaded) + place * size;
    uint64_t bits = 0;
    for (int k = 0; k < size; k++)
        bits = bits << 8 | at[array->big_endian ? k : size - 1 - k];
    return number_of(array->type, bits);
}
