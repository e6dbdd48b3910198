// JSON: nested lists with the axes and attributes that say what they mean.
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "export.h"
#include "json_memory.h"

// JSON has no NaN and no infinity: they become null.
static json_t *number(const struct export_array *array, int64_t index)
{
    double value = export_value(array, index);
    return isfinite(value) ? json_real(value) : json_null();
}

// Appends `value` to `list`, or drops the list where either is missing.
static json_t *append(json_t *list, json_t *value)
{
    if (list && json_array_append_new(list, value) == 0)
        return list;
    json_decref(list);
    return NULL;
}

// The list of dimension `dim` whose first element has flat index `*next`, which moves on.
static json_t *nested(const struct export_array *array, int dim, int64_t *next)
{
    if (dim == array->dims)
        return number(array, (*next)++);
    json_t *list = json_array();
    for (int64_t i = 0; list && i < array->size[dim]; i++)
        list = append(list, nested(array, dim + 1, next));
    return list;
}

static json_t *axes(const struct export_array *array)
{
    char name[32];
    json_t *list = json_array();
    for (int d = 0; list && d < array->dims; d++) {
        json_t *values = json_array();
        for (int64_t i = 0; values && i < array->size[d]; i++)
            values = append(values, json_integer(export_coordinate(array, d, i)));
        list = append(list, json_pack("{s:s, s:o}", "name", export_axis_name(array, d, name),
                                      "coordinates", values));
    }
    return list;
}

static json_t *attributes(int count, const struct export_attribute *attribute)
{
    json_t *object = json_object();
    for (int i = 0; object && i < count; i++) {
        json_t *value = attribute[i].text      ? json_string(attribute[i].text)
                        : attribute[i].is_real ? json_real(attribute[i].real)
                                               : json_integer(attribute[i].number);
        if (json_object_set_new(object, attribute[i].name, value) < 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

static json_t *table(const struct export_array *array)
{
    int64_t next = 0;
    return json_pack("{s:o, s:o, s:o}", "axes", axes(array), "attributes",
                     attributes(array->attributes, array->attribute), "data",
                     nested(array, 0, &next));
}

static int encode(const struct export_set *set, char **bytes, size_t *size)
{
    unsigned long failures = json_memory_failures();
    json_t *tables = json_object();
    int bad = 0;
    size_t digits = 9;
    for (int i = 0; i < set->arrays; i++) {
        bad |= json_object_set_new(tables, set->array[i].name, table(&set->array[i])) < 0;
        if (set->array[i].is_double)
            digits = 17;
    }
    json_t *root = json_pack("{s:o, s:o}", "attributes",
                             attributes(set->attributes, set->attribute), "tables", tables);
    char *text = bad ? NULL : json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(digits));
    json_decref(root);
    size_t length = text ? strlen(text) : 0;
    char *line = text ? realloc(text, length + 2) : NULL;
    if (!line || json_memory_check(failures) < 0) {
        free(line ? line : text);
        return err_set(ERR_MEMORY, "out of memory for the JSON text");
    }
    memcpy(line + length, "\n", 2);
    *bytes = line;
    *size = length + 1;
    return 0;
}

const struct export_format export_json = {
    .name = "json",
    .title = "text: nested lists with axes and attributes, many tables",
    .extension = ".json",
    .encode = encode,
};
