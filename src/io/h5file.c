// HDF5, the common part: types.
#include <stdio.h>

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
