// HDF5, the common part: types and paths.
#include <stdio.h>
#include <string.h>

#include "h5file_inside.h"

void h5_library_version(char *text, size_t size)
{
    unsigned version[3] = {0};
    h5_start();
    H5get_libversion(&version[0], &version[1], &version[2]);
    snprintf(text, size, "%u.%u.%u", version[0], version[1], version[2]);
}

const char *h5_image_name(const void *owner, char name[H5_IMAGE_NAME_MAX])
{
    snprintf(name, H5_IMAGE_NAME_MAX, "posgrad-image-%p", owner);
    return name;
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

hid_t h5_file_type(enum h5_type type)
{
    switch (type) {
    case H5FILE_F32:
        return H5T_IEEE_F32LE;
    case H5FILE_F64:
        return H5T_IEEE_F64LE;
    case H5FILE_I32:
        return H5T_STD_I32LE;
    default:
        return H5T_STD_I64LE;
    }
}

hid_t h5_memory_type(enum h5_type type)
{
    switch (type) {
    case H5FILE_F32:
        return H5T_NATIVE_FLOAT;
    case H5FILE_F64:
        return H5T_NATIVE_DOUBLE;
    case H5FILE_I32:
        return H5T_NATIVE_INT32;
    default:
        return H5T_NATIVE_INT64;
    }
}

bool h5_path_good(const char *path)
{
    if (path[0] != '/' || strlen(path) >= H5_PATH_MAX)
        return false;
    for (const char *p = path; *p;) {
        size_t size = strcspn(p + 1, "/");
        bool dots = (size == 1 && p[1] == '.') || (size == 2 && p[1] == '.' && p[2] == '.');
        if (dots || (size == 0 && path[1]))
            return false;
        p += 1 + size;
    }
    return true;
}

size_t h5_path_next(const char *path, size_t from, char part[H5_PATH_MAX])
{
    if (!path[from - 1] || !path[from])
        return 0;
    size_t end = from + strcspn(path + from, "/");
    memcpy(part, path, end);
    part[end] = '\0';
    return end;
}
