// HDF5, as every file of ours is: plain for h5py and h5dump, sealed so that posgrad reads it, too.
//
// Arrays stand where they stand in a checkpoint, "/tables/NAME" with "/scales/NAME/AXIS", or
// "/params/..." with a group a dot; what is made of one can be exported and inspected again.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "export.h"
#include "h5file.h"

enum { PATH_SIZE = 1024 };

static void put_attributes(struct h5_writer *writer, const char *path, int count,
                           const struct export_attribute *attribute)
{
    for (int i = 0; i < count; i++) {
        if (attribute[i].text)
            h5_attr_text(writer, path, attribute[i].name, attribute[i].text);
        else if (attribute[i].is_real)
            h5_attr_real(writer, path, attribute[i].name, attribute[i].real);
        else
            h5_attr_int(writer, path, attribute[i].name, attribute[i].number);
    }
}

static void put_scale(struct h5_writer *writer, const char *path, const struct export_array *array,
                      int dim)
{
    char scale[PATH_SIZE];
    snprintf(scale, sizeof scale, "/scales/%.256s/%.256s", array->name, array->axis[dim]);
    int64_t count = array->size[dim];
    int64_t *value = malloc((size_t)count * sizeof *value);
    for (int64_t i = 0; value && i < count; i++)
        value[i] = export_coordinate(array, dim, i);
    h5_write(writer, scale, H5FILE_I64, 1, &count, value); // reports memory that is short
    free(value);
    h5_attach_scale(writer, path, dim, array->axis[dim], scale);
}

// "layers.0.attn.q.weight" in "/params" is "/params/layers/0/attn/q/weight".
static void path_of(char path[PATH_SIZE], const char *group, const char *name)
{
    snprintf(path, PATH_SIZE, "%s/%s", group, name); // a path that was cut is refused as there
    for (char *p = path + strlen(group); *p; p++)
        if (*p == '.')
            *p = '/';
}

void export_h5_array(struct h5_writer *writer, const char *group, const struct export_array *array)
{
    char path[PATH_SIZE];
    path_of(path, group, array->name);
    h5_write_lent(writer, path, array->is_double ? H5FILE_F64 : H5FILE_F32, array->dims,
                  array->size, array->data);
    put_attributes(writer, path, array->attributes, array->attribute);
    for (int d = 0; d < array->dims; d++)
        if (array->axis[d])
            put_scale(writer, path, array, d);
}

// Of the file that all came from everything is said but its format.
static void put_identity(struct h5_writer *writer, const struct export_set *set)
{
    h5_attr_text(writer, "/", "format", "posgrad-export");
    h5_attr_int(writer, "/", "format_version", 1);
    for (int i = 0; i < set->attributes; i++)
        if (!export_is_format(&set->attribute[i]))
            put_attributes(writer, "/", 1, &set->attribute[i]);
}

static int encode(const struct export_set *set, char **bytes, size_t *size)
{
    struct h5_writer *writer = h5_writer_new();
    if (!writer)
        return ERR_MEMORY;
    put_identity(writer, set);
    for (int i = 0; i < set->arrays; i++)
        export_h5_array(writer, set->group ? set->group : "", &set->array[i]);
    int code = h5_writer_bytes(writer, "the HDF5 file", bytes, size);
    h5_writer_free(writer);
    return code;
}

const struct export_format export_h5 = {
    .name = "h5",
    .title = "HDF5 (h5py.File) of any number of tables, axes as scales",
    .extension = ".h5",
    .encode = encode,
};
