// Reading arrays back for export: everything is copied into one arena, so that a set owes the file
// nothing.
#include "export_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/options.h"
#include "table_arrays.h"

enum { MAX_ARRAYS = 4096, PATH_SIZE = 1024, MAX_ATTRIBUTES = 24 };

int run_file(const char *run, char *path, size_t size)
{
    int kind = file_kind(run, true);
    if (kind < 0)
        return kind;
    int length = snprintf(path, size, "%s%s", run, kind == FILE_FOLDER ? "/checkpoint.h5" : "");
    if (length < 0 || (size_t)length >= size)
        return err_set(ERR_ARGUMENT, "the name of the run is too long");
    return 0;
}

struct reading {
    struct export_source *source;
    struct h5_reader *reader;
    const char *group;
    char *path[MAX_ARRAYS], *name[MAX_ARRAYS];
    int count;
};

static int short_of_memory(void)
{
    return err_set(ERR_MEMORY, "out of memory for the arrays to export");
}

// "/params/layers/0/attn/q/weight" is called "layers.0.attn.q.weight".
static int add_path(void *context, const char *path)
{
    struct reading *reading = context;
    if (reading->count == MAX_ARRAYS)
        return err_set(ERR_FORMAT, "%s has more than %d arrays", reading->group, MAX_ARRAYS);
    char *whole = arena_strdup(&reading->source->arena, path);
    char *name = arena_strdup(&reading->source->arena, path + strlen(reading->group) + 1);
    if (!whole || !name)
        return short_of_memory();
    for (char *p = name; *p; p++)
        if (*p == '/')
            *p = '.';
    reading->path[reading->count] = whole;
    reading->name[reading->count++] = name;
    return 0;
}

// A malloc'ed text moved to the arena; NULL where there was none or memory is short.
static char *keep(struct reading *reading, char *text)
{
    char *kept = text ? arena_strdup(&reading->source->arena, text) : NULL;
    free(text);
    return kept;
}

// Coordinates lie in /scales/TABLE/AXIS; an array without any counts from 0.
static int read_axis(struct reading *reading, int i, struct export_array *array, int dim)
{
    char path[PATH_SIZE];
    array->axis[dim] = keep(reading, h5_read_axis(reading->reader, reading->path[i], dim));
    if (!array->axis[dim])
        return err_code() == ERR_MEMORY ? ERR_MEMORY : 0;
    int length = snprintf(path, sizeof path, "/scales/%s/%s", array->name, array->axis[dim]);
    if (length < 0 || (size_t)length >= sizeof path || !h5_has(reading->reader, path))
        return 0;
    int64_t *value = arena_alloc(&reading->source->arena, (size_t)array->size[dim] * sizeof *value);
    if (!value)
        return short_of_memory();
    array->coordinate[dim] = value;
    return h5_read(reading->reader, path, H5FILE_I64, array->size[dim], value);
}

static int read_data(struct reading *reading, int i, struct export_array *array)
{
    enum h5_type type;
    int code = h5_shape(reading->reader, reading->path[i], &type, &array->dims, array->size,
                        EXPORT_MAX_DIMS);
    if (code < 0)
        return code;
    if (type != H5FILE_F32 && type != H5FILE_F64)
        return err_set(ERR_FORMAT, "%s does not hold real numbers", reading->path[i]);
    array->is_double = type == H5FILE_F64;
    int64_t count = export_count(array);
    if (count < 0)
        return err_set(ERR_FORMAT, "%s has a size that does not fit", reading->path[i]);
    void *data = arena_alloc(&reading->source->arena,
                             (size_t)count * (array->is_double ? sizeof(double) : sizeof(float)));
    if (!data)
        return short_of_memory();
    array->data = data;
    return h5_read(reading->reader, reading->path[i], type, count, data);
}

// The attributes of `path` that are among `names`, texts or whole numbers.
static int read_attributes(struct reading *reading, const char *path, const char *const *names,
                           int *count, const struct export_attribute **attributes)
{
    struct export_attribute *list =
        arena_alloc(&reading->source->arena, MAX_ATTRIBUTES * sizeof *list);
    if (!list)
        return short_of_memory();
    *count = 0;
    for (int i = 0; names[i] && *count < MAX_ATTRIBUTES; i++) {
        struct export_attribute *one = &list[*count];
        *one = (struct export_attribute){.name = names[i]};
        one->text = keep(reading, h5_read_attr_text(reading->reader, path, names[i]));
        if (!one->text && err_code() == ERR_MEMORY)
            return ERR_MEMORY;
        if (!one->text)
            one->is_real = h5_read_attr_real(reading->reader, path, names[i], &one->real) == 0;
        if (one->text || one->is_real ||
            h5_read_attr_int(reading->reader, path, names[i], &one->number) == 0)
            ++*count;
    }
    *attributes = list;
    return 0;
}

static int read_array(struct reading *reading, int i, struct export_array *array)
{
    static const char *const names[] = {"encoding",
                                        "distance_sign",
                                        "unit",
                                        "position_unit",
                                        "query_unit",
                                        "key_unit",
                                        "keys_unit",
                                        "offset_unit",
                                        "tap_unit",
                                        "row_offset_unit",
                                        "column_offset_unit",
                                        "row_tap_unit",
                                        "column_tap_unit",
                                        "rotation_layout",
                                        "logit_scale",
                                        "shared_layers",
                                        "train_length",
                                        "trained_rows",
                                        NULL};
    array->name = reading->name[i];
    int code = read_data(reading, i, array);
    for (int d = 0; d < array->dims && code == 0; d++)
        code = read_axis(reading, i, array, d);
    if (code == 0)
        code = read_attributes(reading, reading->path[i], names, &array->attributes,
                               &array->attribute);
    return code;
}

static int no_such(int count, const char *const *list, const char *name)
{
    char all[512] = "";
    for (int i = 0; i < count; i++) {
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", list[i]);
    }
    if (strlen(all) < 200)
        return err_set(ERR_ARGUMENT, "no array is called '%s'; there are: %s", name, all);
    const char *near = name_nearest(list, count, name);
    return err_set(ERR_ARGUMENT, "no array is called '%s'%s%s%s", name,
                   near ? "; did you mean '" : "; 'posgrad inspect' shows all", near ? near : "",
                   near ? "'?" : "");
}

// Attributes of the whole file.
static int read_identity(struct reading *reading)
{
    static const char *const names[] = {
        "format",       "format_version", "posgrad_version", "step",      "seed",  "precision",
        "blas_version", "blas_kernel",    "length",          "extension", "reach", NULL};
    struct export_set *set = &reading->source->set;
    return read_attributes(reading, "/", names, &set->attributes, &set->attribute);
}

static int read_all(struct reading *reading, const char *name)
{
    struct export_set *set = &reading->source->set;
    int code = 0;
    set->group = reading->group;
    if (h5_has(reading->reader, reading->group))
        code = h5_walk(reading->reader, reading->group, add_path, reading);
    if (code < 0)
        return code;
    struct export_array *array =
        arena_alloc(&reading->source->arena, (size_t)reading->count * sizeof *array);
    if (!array)
        return short_of_memory();
    set->array = array;
    for (int i = 0; i < reading->count && code == 0; i++)
        if (!name || strcmp(name, reading->name[i]) == 0)
            code = read_array(reading, i, &array[set->arrays++]);
    if (code == 0 && name && reading->count && !set->arrays)
        code = no_such(reading->count, (const char *const *)reading->name, name);
    return code < 0 ? code : read_identity(reading);
}

// --- computed

static struct export_attribute attribute_text(const char *name, const char *text)
{
    return (struct export_attribute){.name = name, .text = text};
}

// What the file's attributes do not say: of which rows the arrays are.
static int add_length(struct reading *reading, const struct model_config *config, int64_t length)
{
    struct export_set *set = &reading->source->set;
    int code = read_identity(reading);
    struct export_attribute *list =
        arena_alloc(&reading->source->arena, (size_t)(set->attributes + 3) * sizeof *list);
    if (code < 0 || !list)
        return code < 0 ? code : ERR_MEMORY;
    int count = set->attributes;
    for (int i = 0; i < count; i++)
        list[i] = set->attribute[i];
    list[count++] = (struct export_attribute){.name = "length", .number = length};
    if (config->extension != PE_EXTEND_NONE)
        list[count++] = attribute_text("extension", pe_extension_name[config->extension]);
    list[count++] = attribute_text("reach", model_reach(config, length));
    set->attribute = list;
    set->attributes = count;
    return 0;
}

// The numbers of the tables, moved to the arena, as arrays.
static int take_tables(struct reading *reading, const struct pe_tables *tables,
                       int64_t train_length, const char *name)
{
    struct export_set *set = &reading->source->set;
    const real *value[PE_MAX_TABLES];
    const char *names[PE_MAX_TABLES];
    for (int i = 0; i < tables->count; i++) {
        size_t size = (size_t)tables->table[i].tensor->count * sizeof(real);
        real *copy = arena_alloc(&reading->source->arena, size);
        if (!copy)
            return ERR_MEMORY;
        memcpy(copy, tables->table[i].tensor->data, size);
        value[i] = copy;
    }
    struct export_array *array = table_arrays(&reading->source->arena, tables, value, train_length);
    if (!array)
        return ERR_MEMORY;
    for (int i = 0; i < tables->count; i++) {
        names[i] = array[i].name;
        if (!name || strcmp(name, names[i]) == 0)
            array[set->arrays++] = array[i];
    }
    set->array = array;
    return name && tables->count && !set->arrays ? no_such(tables->count, names, name) : 0;
}

static int compute(struct reading *reading, struct trainer *trainer, const struct export_length *at,
                   const char *name)
{
    struct model_config config = trainer->config;
    struct model_graph graph;
    struct pe_tables tables = {.exact = true};
    config.extension = at->extension;
    int code = model_check_length(&config, at->length);
    if (code == 0)
        code = model_tables_capture(&graph, &config, trainer_judged(trainer), at->length, &tables);
    if (code != 0)
        return code;
    if (graph.output)
        code = model_graph_plan(&graph, false);
    if (code == 0 && graph.plan) {
        ag_plan_run(graph.plan)->seed = (uint64_t)trainer->settings.seed;
        ag_forward(graph.plan);
    }
    if (code == 0)
        code = take_tables(reading, &tables, config.train_length, name);
    if (code == 0)
        code = add_length(reading, &config, at->length);
    model_graph_release(&graph);
    return code;
}

int export_source_compute(struct export_source *source, struct h5_reader *reader,
                          struct trainer *trainer, const struct export_length *at, const char *name)
{
    memset(source, 0, sizeof *source);
    arena_init(&source->arena);
    struct reading *reading = calloc(1, sizeof *reading);
    if (!reading)
        return short_of_memory();
    reading->source = source;
    reading->reader = reader;
    source->set.group = "/tables";
    int code = compute(reading, trainer, at, name);
    free(reading);
    if (code < 0)
        export_source_release(source);
    return code;
}

int export_source_read(struct export_source *source, struct h5_reader *reader, const char *group,
                       const char *name)
{
    memset(source, 0, sizeof *source);
    arena_init(&source->arena);
    struct reading *reading = calloc(1, sizeof *reading);
    if (!reading)
        return short_of_memory();
    reading->source = source;
    reading->reader = reader;
    reading->group = group;
    int code = read_all(reading, name);
    free(reading);
    if (code < 0)
        export_source_release(source);
    return code;
}

void export_source_release(struct export_source *source)
{
    arena_release(&source->arena);
    memset(&source->set, 0, sizeof source->set);
}
