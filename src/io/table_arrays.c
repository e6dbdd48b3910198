// Tables as arrays: names, axes with their coordinates, attributes.
#include "table_arrays.h"

#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"

enum { NAME_SIZE = 64, MOST_ATTRIBUTES = 16 };

// What an axis counts; those that are not here count rows of a table, and need no word for it.
static const struct {
    const char *axis, *attribute, *unit;
} axis_units[] = {{"position", "position_unit", "tokens"},
                  {"query", "query_unit", "tokens"},
                  {"key", "key_unit", "tokens"},
                  {"keys", "keys_unit", "tokens"},
                  {"offset", "offset_unit", "tokens"},
                  {"tap", "tap_unit", "tokens"},
                  {"row_offset", "row_offset_unit", "rows"},
                  {"column_offset", "column_offset_unit", "columns"},
                  {"row_tap", "row_tap_unit", "rows"},
                  {"column_tap", "column_tap_unit", "columns"}};
enum { AXIS_UNITS = sizeof axis_units / sizeof axis_units[0] };

static bool is_offset(const char *axis)
{
    return strstr(axis, "offset") != NULL;
}

// A stack may hold two tables of one name; the later one then carries its encoding's name too.
static char *unique_name(struct arena *arena, const struct pe_tables *tables, int index)
{
    const struct pe_table *table = &tables->table[index];
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s", table->name);
    for (int i = 0; i < index; i++)
        if (strcmp(tables->table[i].name, table->name) == 0)
            snprintf(name, sizeof name, "%s_%s", table->encoding, table->name);
    return arena_strdup(arena, name);
}

// Offsets are centred on 0, everything else counts from its first, mostly 0.
static int add_axis(struct arena *arena, const struct pe_table *table, struct export_array *array,
                    int dim)
{
    int64_t count = table->tensor->shape.size[dim];
    bool centred = table->distance_sign && is_offset(table->axis[dim]);
    int64_t first = centred ? -(count / 2) : table->first[dim];
    array->size[dim] = count;
    array->axis[dim] = table->axis[dim];
    if (first == 0)
        return 0;
    int64_t *coordinate = arena_alloc(arena, (size_t)count * sizeof *coordinate);
    if (!coordinate)
        return ERR_MEMORY;
    for (int64_t i = 0; i < count; i++)
        coordinate[i] = first + i;
    array->coordinate[dim] = coordinate;
    return 0;
}

// Training may have met more than a short row has.
static int64_t trained_rows(const struct pe_table *table)
{
    int dim = 0;
    while (dim + 1 < table->tensor->shape.dims &&
           (strcmp(table->axis[dim], "layer") == 0 || strcmp(table->axis[dim], "head") == 0))
        dim++;
    int64_t count = table->tensor->shape.size[dim];
    int64_t most = is_offset(table->axis[dim]) ? count / 2 + 1 : count;
    return table->trained_rows < most ? table->trained_rows : most;
}

struct attributes {
    struct export_attribute list[MOST_ATTRIBUTES];
    int count;
};

static void add_text(struct attributes *attributes, const char *name, const char *text)
{
    if (text)
        attributes->list[attributes->count++] =
            (struct export_attribute){.name = name, .text = text};
}

static void add_number(struct attributes *attributes, const char *name, int64_t number)
{
    attributes->list[attributes->count++] =
        (struct export_attribute){.name = name, .number = number};
}

static void collect(struct attributes *attributes, const struct pe_table *table,
                    int64_t train_length)
{
    add_text(attributes, "encoding", table->encoding);
    add_text(attributes, "distance_sign", table->distance_sign);
    add_text(attributes, "unit", table->unit);
    for (int d = 0; d < table->tensor->shape.dims; d++)
        for (int i = 0; i < AXIS_UNITS; i++)
            if (strcmp(table->axis[d], axis_units[i].axis) == 0)
                add_text(attributes, axis_units[i].attribute, axis_units[i].unit);
    add_text(attributes, "rotation_layout", table->layout);
    if (table->scale != 0)
        attributes->list[attributes->count++] =
            (struct export_attribute){.name = "logit_scale", .is_real = true, .real = table->scale};
    add_number(attributes, "shared_layers", table->shared_layers);
    add_number(attributes, "train_length", train_length);
    add_number(attributes, "trained_rows", trained_rows(table));
}

static int add_attributes(struct arena *arena, const struct pe_table *table,
                          struct export_array *array, int64_t train_length)
{
    struct attributes attributes = {.count = 0};
    collect(&attributes, table, train_length);
    size_t size = (size_t)attributes.count * sizeof attributes.list[0];
    struct export_attribute *kept = arena_alloc(arena, size);
    if (!kept)
        return ERR_MEMORY;
    memcpy(kept, attributes.list, size);
    array->attributes = attributes.count;
    array->attribute = kept;
    return 0;
}

struct export_array *table_arrays(struct arena *arena, const struct pe_tables *tables,
                                  const real *const *value, int64_t train_length)
{
    struct export_array *list = arena_alloc(arena, (size_t)tables->count * sizeof *list);
    if (!list)
        return NULL;
    for (int i = 0; i < tables->count; i++) {
        const struct pe_table *table = &tables->table[i];
        struct export_array *array = &list[i];
        array->name = unique_name(arena, tables, i);
        array->is_double = sizeof(real) == sizeof(double);
        array->data = value[i];
        array->dims = table->tensor->shape.dims;
        int code = array->name ? 0 : ERR_MEMORY;
        for (int d = 0; d < array->dims && code == 0; d++)
            code = add_axis(arena, table, array, d);
        if (code == 0)
            code = add_attributes(arena, table, array, train_length);
        if (code < 0)
            return NULL;
    }
    return list;
}
