// Differences of two files: both are read whole, and their arrays walked in order of name.
#include "difference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../io/export_source.h"
#include "../io/json_memory.h"
#include "json_text.h"
#include "table.h"

enum { PATH_SIZE = 4096, SIDES = 2 };

// Arrays that are compared; what follows from them is not.
static const char *const groups[] = {"/params", "/ema", "/optimizer"};
enum { GROUPS = sizeof groups / sizeof groups[0] };

struct sides {
    char path[SIDES][PATH_SIZE];
    struct h5_reader *reader[SIDES];
};

static int no_memory(void)
{
    return err_set(ERR_MEMORY, "out of memory for a comparison");
}

// --- options and versions

// Of a file that has none, an empty one. NULL where memory is short.
static json_t *config_of(struct h5_reader *reader)
{
    json_error_t error;
    char *text = h5_has(reader, "/config") ? h5_read_text(reader, "/config") : NULL;
    json_t *config = text ? json_loads(text, 0, &error) : NULL;
    bool none = text ? !config : err_code() != ERR_MEMORY;
    free(text);
    return none ? json_object() : config;
}

static json_t *attributes_of(struct h5_reader *reader)
{
    static const char *const names[] = {
        "format",           "format_version", "posgrad_version", "precision", "blas_version",
        "blas_kernel",      "vector_level",   "compiler",        "c_library", "denormals",
        "data_fingerprint", "step",           "best_step"};
    json_t *attributes = json_object();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int64_t number;
        char *text = h5_read_attr_text(reader, "/", names[i]);
        if (!text && err_code() == ERR_MEMORY) {
            json_decref(attributes);
            return NULL;
        }
        if (text)
            json_object_set_new(attributes, names[i], json_string(text));
        else if (h5_read_attr_int(reader, "/", names[i], &number) == 0)
            json_object_set_new(attributes, names[i], json_integer(number));
        free(text);
    }
    return attributes;
}

static void put_pair(json_t *pairs, const char *key, json_t *a, json_t *b)
{
    json_object_set_new(
        pairs, key,
        json_pack("[o, o]", a ? json_incref(a) : json_null(), b ? json_incref(b) : json_null()));
}

// {KEY: [of a, of b]} for each key whose values differ; takes over both.
static json_t *differing(json_t *a, json_t *b)
{
    json_t *pairs = a && b ? json_object() : NULL, *value;
    const char *key;
    json_object_foreach (a, key, value) {
        json_t *other = json_object_get(b, key);
        if (!other || !json_equal(value, other))
            put_pair(pairs, key, value, other);
    }
    json_object_foreach (b, key, value)
        if (!json_object_get(a, key))
            put_pair(pairs, key, NULL, value);
    json_decref(a);
    json_decref(b);
    return pairs;
}

// --- arrays

static json_t *shape_of(const struct export_array *array)
{
    json_t *shape = json_array();
    for (int d = 0; d < array->dims; d++)
        json_array_append_new(shape, json_integer(array->size[d]));
    return shape;
}

static bool same_shape(const struct export_array *a, const struct export_array *b)
{
    bool same = a->dims == b->dims;
    for (int d = 0; same && d < a->dims; d++)
        same = a->size[d] == b->size[d];
    return same;
}

static bool same_bits(const struct export_array *a, const struct export_array *b)
{
    size_t size = (size_t)export_count(a) * (a->is_double ? sizeof(double) : sizeof(float));
    return a->is_double == b->is_double && memcmp(a->data, b->data, size) == 0;
}

static json_t *number_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *numbers_differ(const struct export_array *a, const struct export_array *b)
{
    double absolute = 0, relative = 0;
    int64_t count = export_count(a);
    for (int64_t i = 0; i < count; i++) {
        double x = export_value(a, i), y = export_value(b, i), distance = fabs(x - y);
        double larger = fmax(fabs(x), fabs(y));
        // A NaN is the largest from the first one on.
        absolute = distance <= absolute ? absolute : distance;
        if (larger > 0 || isnan(distance))
            relative = distance / larger <= relative ? relative : distance / larger;
        if (isnan(absolute))
            break;
    }
    return json_pack("{s:s, s:o, s:b, s:o, s:o}", "name", a->name, "shape", shape_of(a),
                     "bitwise_equal", 0, "absolute", number_or_null(absolute), "relative",
                     number_or_null(relative));
}

static json_t *only_in(const struct export_array *array, const char *side)
{
    return json_pack("{s:s, s:o, s:s}", "name", array->name, "shape", shape_of(array), "only_in",
                     side);
}

// Both lists are in order of name, so they are walked as in a merge.
static json_t *compare_sets(const struct export_set *a, const struct export_set *b)
{
    json_t *different = json_array();
    json_int_t both = 0, equal = 0;
    for (int i = 0, k = 0; i < a->arrays || k < b->arrays;) {
        const struct export_array *x = i < a->arrays ? &a->array[i] : NULL;
        const struct export_array *y = k < b->arrays ? &b->array[k] : NULL;
        BUG_ON(!x && !y);
        int order = x && y ? strcmp(x->name, y->name) : x ? -1 : 1;
        i += order <= 0;
        k += order >= 0;
        both += order == 0;
        if (order)
            json_array_append_new(different, order < 0 ? only_in(x, "a") : only_in(y, "b"));
        else if (!same_shape(x, y))
            json_array_append_new(different, json_pack("{s:s, s:[o, o]}", "name", x->name, "shapes",
                                                       shape_of(x), shape_of(y)));
        else if (same_bits(x, y))
            equal++;
        else
            json_array_append_new(different, numbers_differ(x, y));
    }
    return json_pack("{s:I, s:I, s:o}", "both", both, "bitwise_equal", equal, "different",
                     different);
}

static int by_name(const void *a, const void *b)
{
    const struct export_array *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int compare_group(struct sides *sides, const char *group, json_t *found)
{
    struct export_source source[SIDES];
    for (int s = 0; s < SIDES; s++) {
        int code = export_source_read(&source[s], sides->reader[s], group, NULL);
        if (code < 0 && s == 1)
            export_source_release(&source[0]);
        if (code < 0)
            return err_prefix(code, "%s", sides->path[s]);
        // Dots for slashes change the order; the arrays are the source's own.
        qsort((void *)(uintptr_t)source[s].set.array, (size_t)source[s].set.arrays,
              sizeof *source[s].set.array, by_name);
    }
    json_t *compared = compare_sets(&source[0].set, &source[1].set);
    export_source_release(&source[0]);
    export_source_release(&source[1]);
    return json_object_set_new(found, group + 1, compared) < 0 ? no_memory() : 0;
}

// --- all

static int open_sides(struct sides *sides, const char *const run[SIDES])
{
    for (int s = 0; s < SIDES; s++) {
        int code = run_file(run[s], sides->path[s], sizeof sides->path[s]);
        if (code < 0)
            return code;
        sides->reader[s] = h5_reader_open(sides->path[s]); // checks the digest
        if (!sides->reader[s])
            return ERR_FILE;
    }
    return 0;
}

static int fill(struct sides *sides, json_t *found)
{
    int code = 0;
    json_object_set_new(found, "a", json_text(sides->path[0]));
    json_object_set_new(found, "b", json_text(sides->path[1]));
    json_object_set_new(found, "equal", json_false());
    code |= json_object_set_new(
        found, "options", differing(config_of(sides->reader[0]), config_of(sides->reader[1])));
    code |= json_object_set_new(
        found, "versions",
        differing(attributes_of(sides->reader[0]), attributes_of(sides->reader[1])));
    if (code < 0)
        return no_memory();
    for (int i = 0; i < GROUPS && code == 0; i++)
        code = compare_group(sides, groups[i], found);
    return code;
}

static bool is_equal(const json_t *found)
{
    bool equal = json_object_size(json_object_get(found, "options")) == 0 &&
                 json_object_size(json_object_get(found, "versions")) == 0;
    for (int i = 0; i < GROUPS; i++) {
        const json_t *group = json_object_get(found, groups[i] + 1);
        equal = equal && json_array_size(json_object_get(group, "different")) == 0;
    }
    return equal;
}

json_t *difference_find(const char *a, const char *b)
{
    unsigned long failures = json_memory_failures();
    struct sides *sides = calloc(1, sizeof *sides);
    json_t *found = json_object();
    int code = sides && found ? open_sides(sides, (const char *const[]){a, b}) : no_memory();
    if (code == 0)
        code = fill(sides, found);
    if (code == 0)
        json_object_set_new(found, "equal", json_boolean(is_equal(found)));
    if (code == 0)
        code = json_memory_check(failures);
    for (int s = 0; sides && s < SIDES; s++)
        if (sides->reader[s])
            h5_reader_close(sides->reader[s]);
    free(sides);
    if (code == 0)
        return found;
    json_decref(found);
    return NULL;
}

bool difference_is_none(const json_t *difference)
{
    return json_is_true(json_object_get(difference, "equal"));
}

// --- for people

static void put_value(struct table *table, const json_t *value)
{
    char *text = json_is_string(value)
                     ? NULL
                     : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
    const char *shown = json_is_string(value) ? json_string_value(value) : text;
    table_cell(table, "%s", json_is_null(value) ? "-" : shown && *shown ? shown : "''");
    free(text);
}

static int print_pairs(const json_t *difference, const char *group, FILE *file)
{
    json_t *pairs = json_object_get(difference, group), *pair;
    const char *key;
    struct table table;
    if (json_object_size(pairs) == 0)
        return 0;
    table_init(&table, "lll");
    table_cell(&table, "%s", group);
    table_cell(&table, "A");
    table_cell(&table, "B");
    json_object_foreach (pairs, key, pair) {
        table_cell(&table, "%s", key);
        put_value(&table, json_array_get(pair, 0));
        put_value(&table, json_array_get(pair, 1));
    }
    int code = table_print(&table, file);
    putc('\n', file);
    table_release(&table);
    return code;
}

static void put_shape(struct table *table, const json_t *shape)
{
    char text[160] = "";
    const json_t *size;
    size_t i;
    json_array_foreach (shape, i, size) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%lld", i ? ", " : "",
                 (long long)json_integer_value(size));
    }
    table_cell(table, "[%s]", text);
}

static void put_number(struct table *table, const json_t *number)
{
    if (json_is_real(number))
        table_cell(table, "%.3g", json_real_value(number));
    else
        table_cell(table, "not finite");
}

static void put_row(struct table *table, const json_t *row)
{
    const char *side = json_string_value(json_object_get(row, "only_in"));
    const json_t *shapes = json_object_get(row, "shapes");
    table_cell(table, "%s", json_string_value(json_object_get(row, "name")));
    put_shape(table, shapes ? json_array_get(shapes, 0) : json_object_get(row, "shape"));
    if (side) {
        table_cell(table, "only in %s", *side == 'a' ? "A" : "B");
        table_cell(table, "%s", "");
    } else if (shapes) {
        put_shape(table, json_array_get(shapes, 1));
        table_cell(table, "another shape in B");
    } else {
        put_number(table, json_object_get(row, "absolute"));
        put_number(table, json_object_get(row, "relative"));
    }
}

static int print_parameters(const json_t *found, FILE *file)
{
    const json_t *different = json_object_get(found, "different"), *row;
    struct table table;
    size_t i;
    if (json_array_size(different) == 0)
        return 0;
    table_init(&table, "llll");
    table_cell(&table, "name");
    table_cell(&table, "shape");
    table_cell(&table, "largest difference");
    table_cell(&table, "relative");
    json_array_foreach (different, i, row)
        put_row(&table, row);
    int code = table_print(&table, file);
    table_release(&table);
    return code;
}

static void print_count(const json_t *found, const char *title, FILE *file)
{
    json_int_t both = json_integer_value(json_object_get(found, "both"));
    if (both || json_array_size(json_object_get(found, "different")))
        fprintf(file, "%s: %lld in both, %lld of them equal bit for bit\n", title, (long long)both,
                (long long)json_integer_value(json_object_get(found, "bitwise_equal")));
}

int difference_text(const json_t *difference, FILE *file)
{
    const char *a = json_string_value(json_object_get(difference, "a"));
    const char *b = json_string_value(json_object_get(difference, "b"));
    unsigned long failures = json_memory_failures();
    if (difference_is_none(difference)) {
        fprintf(file, "equal: %s and %s, in options, versions, %lld parameters and the optimizer\n",
                a, b,
                (long long)json_integer_value(
                    json_object_get(json_object_get(difference, "params"), "both")));
        return 0;
    }
    fprintf(file, "A  %s\nB  %s\n\n", a, b);
    int code = print_pairs(difference, "options", file);
    if (code == 0)
        code = print_pairs(difference, "versions", file);
    const json_t *params = json_object_get(difference, "params");
    print_count(params, "parameters", file);
    if (code == 0)
        code = print_parameters(params, file);
    print_count(json_object_get(difference, "ema"), "averages of parameters", file);
    print_count(json_object_get(difference, "optimizer"), "optimizer state", file);
    return code < 0 ? code : json_memory_check(failures);
}
