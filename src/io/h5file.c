// HDF5, the common part: types, and blocks that grow.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/quiet_hdf5.h"
#include "h5file_inside.h"

void h5_library_version(char *text, size_t size)
{
    unsigned version[3] = {0};
    h5_start();
    H5get_libversion(&version[0], &version[1], &version[2]);
    snprintf(text, size, "%u.%u.%u", version[0], version[1], version[2]);
}

size_t h5_type_size(enum h5_type type)
{
    return type == H5FILE_F32 || type == H5FILE_I32 ? 4 : 8;
}

const char *h5_type_name(enum h5_type type)
{
    static const char *const names[H5FILE_TYPES] = {"float32", "float64", "int32", "int64"};
    return names[type];
}

static bool grow(struct h5_bytes *bytes, size_t size)
{
    size_t wanted = bytes->size + size, room = bytes->room ? bytes->room : 64;
    if (bytes->failed || wanted < size)
        return false;
    while (room < wanted)
        room *= 2;
    if (room > bytes->room) {
        unsigned char *larger = realloc(bytes->at, room);
        if (!larger)
            return false;
        bytes->at = larger;
        bytes->room = room;
    }
    return true;
}

void h5_put_bytes(struct h5_bytes *bytes, const void *from, size_t size)
{
    if (size == 0)
        return;
    if (!grow(bytes, size)) {
        bytes->failed = true;
        return;
    }
    memcpy(bytes->at + bytes->size, from, size);
    bytes->size += size;
}

void h5_put(struct h5_bytes *bytes, uint64_t value, int size)
{
    unsigned char little[8];
    for (int i = 0; i < 8; i++)
        little[i] = (unsigned char)(value >> (8 * i));
    h5_put_bytes(bytes, little, (size_t)size);
}
