// NumPy's npy, version 1.0: magic, a Python dict of type and shape padded so that the data starts
// at a multiple of 64 bytes, then the data as it is in memory (NumPy Enhancement Proposal 1;
// numpy.lib.format).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "export.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "npy is written as little-endian straight from memory"
#endif

enum { ALIGNMENT = 64, PREFIX = 10, HEADER_MAX = 512 };

// "(3, 4)", and "(3,)" for one dimension, as Python spells tuples.
static void put_shape(char *text, size_t room, int dims, const int64_t *size)
{
    size_t used = (size_t)snprintf(text, room, "(");
    for (int d = 0; d < dims && used < room; d++)
        used += (size_t)snprintf(text + used, room - used, "%lld%s", (long long)size[d],
                                 d + 1 < dims ? ", "
                                 : dims == 1  ? ","
                                              : "");
    if (used < room)
        snprintf(text + used, room - used, ")");
}

int export_npy_bytes(const char *descr, int dims, const int64_t *size, const void *data,
                     size_t data_size, char **bytes, size_t *file_size)
{
    char shape[EXPORT_MAX_DIMS * 24], header[HEADER_MAX];
    put_shape(shape, sizeof shape, dims, size);
    int used = snprintf(header, sizeof header,
                        "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape);
    BUG_ON(used < 0 || used >= HEADER_MAX - ALIGNMENT - PREFIX);
    // The line feed that ends the header is the last byte before a multiple of 64.
    size_t whole = (PREFIX + (size_t)used + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    size_t length = whole - PREFIX;
    *file_size = whole + data_size;
    *bytes = malloc(*file_size);
    if (!*bytes)
        return err_set(ERR_MEMORY, "out of memory for an array of %zu bytes", data_size);
    memcpy(*bytes, "\x93NUMPY\x01\x00", 8);
    (*bytes)[8] = (char)(length & 0xff);
    (*bytes)[9] = (char)(length >> 8);
    memset(*bytes + PREFIX, ' ', length);
    memcpy(*bytes + PREFIX, header, (size_t)used);
    (*bytes)[whole - 1] = '\n';
    if (data_size)
        memcpy(*bytes + whole, data, data_size);
    return 0;
}

static int encode(const struct export_set *set, char **bytes, size_t *size)
{
    const struct export_array *array = &set->array[0];
    size_t item = array->is_double ? sizeof(double) : sizeof(float);
    return export_npy_bytes(array->is_double ? "<f8" : "<f4", array->dims, array->size, array->data,
                            (size_t)export_count(array) * item, bytes, size);
}

const struct export_format export_npy = {
    .name = "npy",
    .title = "NumPy array (numpy.load); one table a file",
    .extension = ".npy",
    .one_array = true,
    .encode = encode,
};
