// Files of our own: checkpoints, and whatever else is sealed (h5file.h).
//
// A parameter is called as in the model: /params/layers/0/attn/q/weight is layers.0.attn.q.weight.
// What else is in a file with parameters has its path, tables/position_table, and stands beside
// them. In a file without any, /tables/position_table is position_table.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "h5index.h"
#include "import.h"
#include "seal.h"

static bool is(const unsigned char *bytes, size_t size)
{
    return size >= 8 && memcmp(bytes, "posgrad\n", 8) == 0;
}

// The path without its first "/"; its length, or -1 where it is longer than a name may be.
static int path_of(const struct h5_index *index, const struct h5_index_node *node,
                   char path[IMPORT_NAME_MAX + 1])
{
    size_t at = IMPORT_NAME_MAX;
    path[at] = '\0';
    for (; node != index->node; node = &index->node[node->parent]) {
        if (at < node->length + 1)
            return -1;
        if (path[at])
            path[--at] = '/';
        at -= node->length;
        memcpy(path + at, node->name, node->length);
    }
    memmove(path, path + at, IMPORT_NAME_MAX + 1 - at);
    return IMPORT_NAME_MAX - (int)at;
}

static int describe(struct import_array *array, const struct h5_index_values *values)
{
    static const char *const types[] = {"float32", "float64", "int32", "int64"};
    if (values->rank > IMPORT_MAX_DIMS)
        return err_set(ERR_FORMAT, "'%s' has more than %d dimensions", array->name,
                       IMPORT_MAX_DIMS);
    snprintf(array->type_name, sizeof array->type_name, "%s", types[values->kind]);
    array->type = values->kind == H5_INDEX_F32   ? IMPORT_F32
                  : values->kind == H5_INDEX_F64 ? IMPORT_F64
                                                 : IMPORT_OTHER;
    array->dims = values->rank;
    for (int d = 0; d < array->dims; d++)
        array->size[d] = (int64_t)h5_index_extent(values, d);
    array->data = values->data;
    if (import_bytes(array, values->item) != (int64_t)values->size)
        return err_set(ERR_FORMAT, "'%s' has another size than its shape", array->name);
    return 0;
}

static int add_node(struct import_file *file, const struct h5_index *index, const char *group,
                    const struct h5_index_node *node)
{
    char path[IMPORT_NAME_MAX + 1];
    size_t skip = strlen(group);
    int length = path_of(index, node, path);
    if (length < 0)
        return err_set(ERR_FORMAT, "a name is longer than %d bytes", IMPORT_NAME_MAX);
    bool inside = (size_t)length > skip && memcmp(path, group, skip) == 0;
    char *name = path + (inside ? skip : 0);
    for (char *p = name; inside && *p; p++)
        *p = *p == '/' ? '.' : *p;
    struct import_array *array = import_add(file, name, strlen(name));
    if (!array)
        return err_code();
    array->beside = !inside;
    return describe(array, &node->values);
}

static int list(struct import_file *file)
{
    struct h5_index index = {0};
    int code = seal_check(file->bytes, file->size, "it");
    if (code == 0)
        code = h5_index_open(&index, file->bytes, file->size, "it");
    if (code != 0)
        return code;
    const char *group = h5_index_find(&index, "/params")   ? "params/"
                        : h5_index_find(&index, "/tables") ? "tables/"
                                                           : "";
    for (size_t i = 0; i < index.nodes && code == 0; i++)
        if (!index.node[i].is_group && index.node[i].values.kind <= H5_INDEX_I64)
            code = add_node(file, &index, group, &index.node[i]);
    h5_index_close(&index);
    return code;
}

const struct import_format import_posgrad = {
    .name = "posgrad",
    .title = "posgrad's own HDF5: checkpoints, traces, exports",
    .extension = ".h5",
    .is = is,
    .list = list,
};
