// posgrad inspect: what is in a checkpoint or a trace, or in a file of arrays of somebody else's,
// and what its tables look like.
//
// The facts are gathered once as a JSON object; the text for people is printed from it.
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/retry.h"
#include "../io/export_source.h"
#include "../io/json_memory.h"
#include "../io/import.h"
#include "../report/array_facts.h"
#include "../report/picture.h"
#include "command.h"
#include "output.h"
#include "train_arguments.h"

enum { LINE = 100 };

struct inspection {
    struct h5_reader *reader;
    const char *group; // of the walk at hand
    json_t *list;      // of the walk at hand
    json_int_t count;  // elements of the walk at hand
};

static int no_memory(void)
{
    return err_set(ERR_MEMORY, "out of memory");
}

// --- gathering

static json_t *shape_json(int dims, const int64_t *size, json_int_t *count)
{
    json_t *shape = json_array();
    *count = 1;
    for (int d = 0; d < dims; d++) {
        json_array_append_new(shape, json_integer(size[d]));
        *count *= size[d];
    }
    return shape;
}

static json_t *axes_json(struct h5_reader *reader, const char *path, int dims)
{
    json_t *axes = json_array();
    for (int d = 0; d < dims; d++) {
        char *label = h5_read_axis(reader, path, d);
        if (!label && err_code() == ERR_MEMORY) {
            json_decref(axes);
            return NULL;
        }
        json_array_append_new(axes, label ? json_string(label) : json_null());
        free(label);
    }
    return axes;
}

static int add_dataset(void *context, const char *path)
{
    static const char *const types[] = {"float32", "float64", "int32", "int64"};
    struct inspection *inspection = context;
    enum h5_type type;
    int dims;
    int64_t size[EXPORT_MAX_DIMS];
    json_int_t count;
    int code = h5_shape(inspection->reader, path, &type, &dims, size, EXPORT_MAX_DIMS);
    if (code < 0)
        return code;
    char name[1024];
    snprintf(name, sizeof name, "%s", path + strlen(inspection->group) + 1);
    for (char *p = name; *p; p++)
        if (*p == '/')
            *p = '.';
    json_t *shape = shape_json(dims, size, &count);
    json_t *row = json_pack("{s:s, s:s, s:o, s:I}", "name", name, "type", types[type], "shape",
                            shape, "count", count);
    int bad = 0;
    if (strcmp(inspection->group, "/tables") == 0)
        bad = json_object_set_new(row, "axes", axes_json(inspection->reader, path, dims));
    inspection->count += count;
    return json_array_append_new(inspection->list, row) < 0 || bad < 0 ? no_memory() : 0;
}

// The datasets under /GROUP as a list of that name, where there are any.
static int add_group(json_t *facts, struct h5_reader *reader, const char *group)
{
    char path[64];
    snprintf(path, sizeof path, "/%s", group);
    struct inspection inspection = {.reader = reader, .group = path, .list = json_array()};
    int code = h5_has(reader, path) ? h5_walk(reader, path, add_dataset, &inspection) : 0;
    if (code == 0 && strcmp(group, "params") == 0)
        json_object_set_new(facts, "parameters", json_integer(inspection.count));
    if (code == 0 && json_object_set(facts, group, inspection.list) < 0)
        code = no_memory();
    json_decref(inspection.list);
    return code;
}

static int add_attributes(json_t *facts, struct h5_reader *reader)
{
    static const char *const names[] = {"format",       "format_version", "step",
                                        "seed",         "precision",      "posgrad_version",
                                        "blas_version", "blas_kernel",    "vector_level",
                                        "compiler",     "c_library",      "denormals"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int64_t number;
        char *text = h5_read_attr_text(reader, "/", names[i]);
        if (!text && err_code() == ERR_MEMORY)
            return ERR_MEMORY;
        if (text)
            json_object_set_new(facts, names[i], json_string(text));
        else if (h5_read_attr_int(reader, "/", names[i], &number) == 0)
            json_object_set_new(facts, names[i], json_integer(number));
        free(text);
    }
    return 0;
}

static int add_config(json_t *facts, struct h5_reader *reader)
{
    char *text = h5_has(reader, "/config") ? h5_read_text(reader, "/config") : NULL;
    if (!text)
        return err_code() == ERR_MEMORY ? ERR_MEMORY : 0;
    json_error_t error;
    json_t *config = json_loads(text, 0, &error);
    free(text);
    if (json_memory_check(0) < 0) {
        json_decref(config);
        return ERR_MEMORY;
    }
    if (!config)
        return err_set(ERR_FORMAT, "/config is not JSON: %s", error.text);
    return json_object_set_new(facts, "config", config) < 0 ? no_memory() : 0;
}

static int gather_ours(json_t *facts, struct h5_reader *reader, const char *path)
{
    static const char *const groups[] = {"params", "ema", "tables", "batch", "outputs"};
    struct stat status;
    if (stat(path, &status) < 0)
        return err_set(ERR_FILE, "cannot look at %s: %s", path, strerror(errno));
    json_object_set_new(facts, "file", json_string(path));
    json_object_set_new(facts, "bytes", json_integer(status.st_size));
    json_object_set_new(facts, "digest", json_string("ok"));
    int code = add_attributes(facts, reader);
    if (code == 0)
        code = add_config(facts, reader);
    for (size_t i = 0; i < sizeof groups / sizeof groups[0] && code == 0; i++)
        code = add_group(facts, reader, groups[i]);
    if (code == 0)
        code = json_memory_check(0);
    return code < 0 ? err_prefix(code, "%s", path) : 0;
}

// The first bytes of a file into `mark`; how many there are, or ERR_FILE. O_NONBLOCK: opening a
// pipe must not wait for whoever writes into it.
static int first_bytes(const char *path, char *mark, size_t size)
{
    int descriptor;
    size_t done = 0;
    ssize_t more = 1;
    RETRY(descriptor, open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (descriptor < 0)
        return err_set(ERR_FILE, "cannot open %s: %s", path, strerror(errno));
    while (more > 0 && done < size) {
        RETRY(more, read(descriptor, mark + done, size - done));
        done += more > 0 ? (size_t)more : 0;
    }
    int code = more < 0 ? err_set(ERR_FILE, "cannot read %s: %s", path, strerror(errno)) : 0;
    close(descriptor);
    return code < 0 ? code : (int)done;
}

// Whether it is a file that is none of ours, whole or damaged. ERR_FILE.
static int look_foreign(const char *path, bool *is)
{
    char mark[8];
    int size = first_bytes(path, mark, sizeof mark);
    *is = size == sizeof mark && memcmp(mark, "posgrad\n", sizeof mark) != 0;
    return size < 0 ? size : 0;
}

// --- printing

static const char *text_of(const json_t *facts, const char *key)
{
    const char *text = json_string_value(json_object_get(facts, key));
    return text ? text : "?";
}

static long long number_of(const json_t *facts, const char *key)
{
    return (long long)json_integer_value(json_object_get(facts, key));
}

// Settings as "key value", as many as fit a line; empty ones are left out.
static void print_config(json_t *config)
{
    const char *key;
    json_t *value;
    int used = 0;
    json_object_foreach (config, key, value) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
        if (text && strcmp(text, "\"\"") != 0 && strcmp(text, "[]") != 0) {
            int size = (int)(strlen(key) + strlen(text)) + 3;
            if (used && used + size > LINE) {
                fputs(",\n", stdout);
                used = 0;
            }
            used += printf("%s%s ", used ? ", " : "         ", key);
            const char *bare = json_string_value(value);
            used += printf("%s", bare ? bare : text);
        }
        free(text);
    }
    putchar('\n');
}

static void print_group(const json_t *facts, const char *group, const char *title)
{
    json_t *list = json_object_get(facts, group), *row;
    size_t i, k;
    if (json_array_size(list) == 0)
        return;
    printf("%s\n", title);
    json_array_foreach (list, i, row) {
        char shape[256] = "[";
        json_t *size, *axes = json_object_get(row, "axes"), *axis;
        json_array_foreach (json_object_get(row, "shape"), k, size) {
            size_t used = strlen(shape);
            snprintf(shape + used, sizeof shape - used, "%s%lld", k ? ", " : "",
                     (long long)json_integer_value(size));
        }
        printf("  %-40s %10lld  %s]", text_of(row, "name"), number_of(row, "count"), shape);
        json_array_foreach (axes, k, axis)
            printf("%s%s", k ? ", " : "  ", json_is_string(axis) ? json_string_value(axis) : "?");
        putchar('\n');
    }
}

static int print_text(const json_t *facts)
{
    printf("file     %s, %lld bytes, digest ok\n", text_of(facts, "file"),
           number_of(facts, "bytes"));
    printf("format   %s %lld, posgrad %s, %s\n", text_of(facts, "format"),
           number_of(facts, "format_version"), text_of(facts, "posgrad_version"),
           text_of(facts, "precision"));
    printf("BLAS     %s, kernels %s\n", text_of(facts, "blas_version"),
           text_of(facts, "blas_kernel"));
    if (json_object_get(facts, "compiler"))
        printf("built    %s, vectors %s, C library %s, denormals %s\n", text_of(facts, "compiler"),
               text_of(facts, "vector_level"), text_of(facts, "c_library"),
               text_of(facts, "denormals"));
    printf("step     %lld, seed %lld\n", number_of(facts, "step"), number_of(facts, "seed"));
    json_t *config = json_object_get(facts, "config");
    if (config) {
        puts("settings");
        print_config(config);
    }
    char title[64];
    snprintf(title, sizeof title, "parameters: %lld", number_of(facts, "parameters"));
    print_group(facts, "params", title);
    print_group(facts, "ema", "moving average of the parameters");
    print_group(facts, "tables", "tables");
    print_group(facts, "batch", "batch");
    print_group(facts, "outputs", "outputs");
    return json_memory_check(0);
}

// What the file says is not the terminal's to obey.
static int print_shown(const json_t *facts)
{
    json_t *shown = output_shown(facts);
    if (!shown)
        return no_memory();
    int code = 0;
    if (json_object_get(shown, "arrays"))
        array_facts_print(shown);
    else
        code = print_text(shown);
    json_decref(shown);
    return code;
}

// --- pictures

static bool has_array(struct h5_reader *reader, const char *group, const char *name)
{
    char path[1024];
    int length = snprintf(path, sizeof path, "%s/%s", group, name);
    for (char *p = path + strlen(group); *p; p++)
        if (*p == '.')
            *p = '/';
    return length > 0 && (size_t)length < sizeof path && h5_has(reader, path);
}

// The table, or the parameter, that is called `name`, as a picture; without a name small ones of
// all tables.
static int print_pictures(struct h5_reader *reader, const char *run, const char *name)
{
    struct export_source source;
    bool parameter = name && !has_array(reader, "/tables", name) &&
                     has_array(reader, "/params", name);
    int code = export_source_read(&source, reader, parameter ? "/params" : "/tables", name);
    if (code < 0)
        return code;
    struct plot_style style = plot_style_of(stdout);
    for (int i = 0; i < source.set.arrays; i++) {
        if (!name)
            putchar('\n');
        picture_print(&source.set.array[i], name, &style, stdout);
    }
    int arrays = source.set.arrays;
    export_source_release(&source);
    return arrays || !name ? 0 : err_set(ERR_ARGUMENT, "%s has no tables", run);
}

// The numbers of an array of somebody else's as a table of ours; the caller frees its data.
static int load_foreign(struct import_file *file, const struct import_array *array,
                        struct export_array *table)
{
    int code = import_load(file, array);
    double *value = code == 0 ? calloc((size_t)array->count + 1, sizeof *value) : NULL;
    if (!value)
        return code < 0 ? code : no_memory();
    for (int64_t i = 0; i < array->count; i++)
        value[i] = import_value(file, array, i);
    *table = (struct export_array){
        .name = array->name, .dims = array->dims, .is_double = true, .data = value};
    memcpy(table->size, array->size, sizeof table->size);
    return 0;
}

static int print_foreign_picture(const char *path, const char *name)
{
    struct import_file file;
    struct export_array table = {0};
    int code = import_open(&file, path);
    if (code < 0)
        return code;
    const struct import_array *array = import_find(&file, name);
    code = array ? load_foreign(&file, array, &table) : err_code();
    if (code == 0) {
        struct plot_style style = plot_style_of(stdout);
        picture_print(&table, true, &style, stdout);
    }
    free((void *)table.data);
    import_close(&file);
    return code;
}

// --- the command

enum { KEY_PICTURE = 0x3000, KEY_TABLE };
struct arguments {
    const char *run, *table;
    bool json, picture;
};

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "one JSON object", 0},
    {"picture", KEY_PICTURE, NULL, 0,
     "small pictures of the tables, also where stdout is no terminal", 0},
    {"table", KEY_TABLE, "NAME", 0,
     "only this table, or this parameter, as a picture of all its layers and heads", 0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case 'j':
        arguments->json = true;
        return 0;
    case KEY_PICTURE:
        arguments->picture = true;
        return 0;
    case KEY_TABLE:
        arguments->table = value;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->run)
            command_refuse(state, "'%s' is one RUN too many", value);
        arguments->run = value;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

// What is in a file of ours, or, where there is no `reader`, of somebody else.
static int print_facts(const struct arguments *arguments, struct h5_reader *reader,
                       const char *path)
{
    json_t *facts = json_object();
    int code = !facts   ? no_memory()
               : reader ? gather_ours(facts, reader, path)
                        : array_facts(facts, path);
    if (code == 0 && arguments->json)
        code = output_json(json_incref(facts));
    else if (code == 0)
        code = print_shown(facts);
    json_decref(facts);
    return code;
}

static int inspect_foreign(const struct arguments *arguments, const char *path)
{
    if (arguments->picture)
        return err_set(ERR_ARGUMENT,
                       "%s is none of posgrad's files: give --table NAME for a picture", path);
    return arguments->table ? print_foreign_picture(path, arguments->table)
                            : print_facts(arguments, NULL, path);
}

static int inspect_ours(const struct arguments *arguments, const char *path)
{
    int code = 0;
    struct h5_reader *reader = h5_reader_open(path); // checks the digest
    if (!reader)
        return ERR_FILE;
    if (!arguments->table)
        code = print_facts(arguments, reader, path);
    if (code == 0 &&
        (arguments->table || arguments->picture || (!arguments->json && plot_terminal(stdout))))
        code = print_pictures(reader, arguments->run, arguments->table);
    h5_reader_close(reader);
    return code;
}

static int inspect(const struct arguments *arguments)
{
    char path[4096];
    bool foreign = false;
    int code = run_file(arguments->run, path, sizeof path);
    if (code == 0 && strcmp(arguments->run, path) == 0) // a file, not the folder of a run
        code = look_foreign(path, &foreign);
    if (code < 0)
        return code;
    return foreign ? inspect_foreign(arguments, path) : inspect_ours(arguments, path);
}

static int check_usage(const struct arguments *arguments)
{
    if (!arguments->run)
        return err_set(ERR_ARGUMENT, "RUN is missing: the folder of a run, or a file");
    if (arguments->json && (arguments->picture || arguments->table))
        return err_set(ERR_ARGUMENT, "--json has no pictures; 'posgrad export' has the numbers");
    return 0;
}

static int run_command(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "RUN|FILE",
        "Shows what is in a checkpoint or a trace, after its digest was checked, and on a terminal "
        "what its tables look like; or which arrays are in a file of npy, npz, safetensors or "
        "HDF5: names, types, shapes, and what their numbers are like.",
        NULL,
        NULL,
        NULL};
    struct arguments arguments = {0};
    int parsed = command_parse("inspect", &argp, argc, argv, &arguments);
    if (parsed != 0)
        return parsed;
    if (check_usage(&arguments) < 0)
        return command_usage("inspect", err_last());
    return inspect(&arguments) < 0 ? command_error(NULL) : 0;
}

const struct command command_inspect = {
    .name = "inspect",
    .title = "what is in a checkpoint, a trace or a file of arrays, and what tables look like",
    .run = run_command,
};
