// safetensors: a length, a JSON header of names, types, shapes and places, then the numbers as they
// are in memory (the format's own description: huggingface.co/docs/safetensors).
//
// Tensors go as the reference writer puts them, the widest type first and then by name, with a
// header that is padded to a multiple of 8, so that every number is aligned in a mapped file. What
// the format has no place for - axes and attributes - is in its metadata, texts by name. An axis
// that does not simply count from 0 brings its coordinates along as NAME.AXIS.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/arena.h"
#include "../../autograd/base/err.h"
#include "export.h"
#include "json_memory.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors is written as little-endian straight from memory"
#endif

enum { HEADER_LIMIT = 100000000, ALIGNMENT = 8, PREFIX = 8 };

// In the order that they stand in a file.
enum kind { I64, F64, F32 };
static const char *const kind_name[] = {"I64", "F64", "F32"};

struct tensor {
    const char *name;
    enum kind kind;
    int dims;
    const int64_t *size;
    const void *data;
    size_t bytes;
};

struct packing {
    struct arena arena; // of names
    struct tensor *tensor;
    int count;
    size_t bytes; // of all tensors
};

static int no_memory(void)
{
    return err_set(ERR_MEMORY, "out of memory for the safetensors file");
}

// "TABLE.WHAT" in the arena, or NULL.
static char *joined(struct packing *packing, const char *table, const char *what)
{
    size_t room = strlen(table) + strlen(what) + 2;
    char *name = arena_alloc(&packing->arena, room);
    if (name)
        snprintf(name, room, "%s.%s", table, what);
    return name;
}

static int add_coordinates(struct packing *packing, const struct export_array *array, int dim)
{
    char axis[32];
    char *name = joined(packing, array->name, export_axis_name(array, dim, axis));
    if (!name)
        return ERR_MEMORY;
    packing->tensor[packing->count++] = (struct tensor){
        name, I64, 1, &array->size[dim], array->coordinate[dim], (size_t)array->size[dim] * 8};
    return 0;
}

static int add_array(struct packing *packing, const struct export_array *array)
{
    enum kind kind = array->is_double ? F64 : F32;
    size_t item = array->is_double ? sizeof(double) : sizeof(float);
    packing->tensor[packing->count++] =
        (struct tensor){array->name, kind,        array->dims,
                        array->size, array->data, (size_t)export_count(array) * item};
    int code = 0;
    for (int d = 0; d < array->dims && code == 0; d++)
        if (!export_counts_from_zero(array, d))
            code = add_coordinates(packing, array, d);
    return code;
}

static int in_order(const void *a, const void *b)
{
    const struct tensor *one = a, *other = b;
    return one->kind != other->kind ? (int)one->kind - (int)other->kind
                                    : strcmp(one->name, other->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

// A header has each name once, and one name is its own.
static int check_names(struct packing *packing)
{
    qsort(packing->tensor, (size_t)packing->count, sizeof *packing->tensor, by_name);
    for (int i = 0; i < packing->count; i++) {
        const char *name = packing->tensor[i].name;
        if (strcmp(name, "__metadata__") == 0)
            return err_set(ERR_ARGUMENT, "safetensors keeps the name %s for itself", name);
        if (i > 0 && strcmp(packing->tensor[i - 1].name, name) == 0)
            return err_set(ERR_ARGUMENT, "two arrays are called %s, and safetensors holds one",
                           name);
    }
    return 0;
}

static int collect(struct packing *packing, const struct export_set *set)
{
    packing->tensor = calloc((size_t)set->arrays * (1 + EXPORT_MAX_DIMS) + 1,
                             sizeof *packing->tensor); // + 1: of no arrays there is a file, too
    int code = packing->tensor ? 0 : no_memory();
    for (int i = 0; i < set->arrays && code == 0; i++)
        code = add_array(packing, &set->array[i]);
    if (code == 0)
        code = check_names(packing);
    if (code < 0)
        return code;
    qsort(packing->tensor, (size_t)packing->count, sizeof *packing->tensor, in_order);
    for (int i = 0; i < packing->count; i++)
        packing->bytes += packing->tensor[i].bytes;
    return 0;
}

static int no_text(const char *name)
{
    return err_set(ERR_ARGUMENT, "%s is no UTF-8, as safetensors wants texts and names", name);
}

// Metadata holds texts only.
static int put_text(json_t *metadata, const char *key, const char *text)
{
    return json_object_set_new(metadata, key, json_string(text)) < 0 ? no_text(key) : 0;
}

static int put_attribute(json_t *metadata, const char *key, const struct export_attribute *one)
{
    char number[EXPORT_NUMBER];
    return put_text(metadata, key, export_attribute_text(one, number));
}

// "TABLE.axes": "head,offset", and an entry an attribute; an array of no names has nothing to say.
static int put_table(struct packing *packing, json_t *metadata, const struct export_array *array)
{
    char axes[EXPORT_MAX_DIMS * 33] = "", axis[32];
    bool named = false;
    for (int d = 0; d < array->dims; d++) {
        size_t used = strlen(axes);
        snprintf(axes + used, sizeof axes - used, "%s%s", d ? "," : "",
                 export_axis_name(array, d, axis));
        named = named || array->axis[d];
    }
    char *key = joined(packing, array->name, "axes");
    int code = key ? 0 : ERR_MEMORY;
    if (code == 0 && named)
        code = put_text(metadata, key, axes);
    for (int i = 0; i < array->attributes && code == 0; i++) {
        key = joined(packing, array->name, array->attribute[i].name);
        code = key ? put_attribute(metadata, key, &array->attribute[i]) : ERR_MEMORY;
    }
    return code;
}

// "format" is what readers look for: whose order of dimensions it is. Our own format and its
// version are of the file that all came from.
static int put_metadata(struct packing *packing, json_t *root, const struct export_set *set)
{
    json_t *metadata = json_pack("{s:s}", "format", "pt");
    int code = 0;
    for (int i = 0; i < set->attributes && code == 0; i++)
        if (!export_is_format(&set->attribute[i]))
            code = put_attribute(metadata, set->attribute[i].name, &set->attribute[i]);
    for (int i = 0; i < set->arrays && code == 0; i++)
        code = put_table(packing, metadata, &set->array[i]);
    json_object_set_new(root, "__metadata__", metadata);
    return code;
}

static int put_tensors(const struct packing *packing, json_t *root)
{
    size_t begin = 0;
    for (int i = 0; i < packing->count; i++) {
        const struct tensor *tensor = &packing->tensor[i];
        size_t end = begin + tensor->bytes;
        json_t *shape = json_array();
        for (int d = 0; d < tensor->dims; d++)
            json_array_append_new(shape, json_integer(tensor->size[d]));
        json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", kind_name[tensor->kind], "shape",
                                  shape, "data_offsets", (json_int_t)begin, (json_int_t)end);
        if (json_object_set_new(root, tensor->name, entry) < 0)
            return no_text(tensor->name);
        begin = end;
    }
    return 0;
}

// The header, malloc'ed; NULL, and err_set.
static char *make_header(struct packing *packing, const struct export_set *set)
{
    unsigned long failures = json_memory_failures();
    json_t *root = json_object();
    int code = put_metadata(packing, root, set);
    if (code == 0)
        code = put_tensors(packing, root);
    char *text = code == 0 ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (json_memory_check(failures) == 0 && code == 0)
        return text;
    free(text);
    return NULL;
}

static int lay_out(const struct packing *packing, const char *header, char **bytes, size_t *size)
{
    size_t used = strlen(header);
    size_t length = (used + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (length > HEADER_LIMIT)
        return err_set(ERR_ARGUMENT, "there are too many arrays for a safetensors header");
    *size = PREFIX + length + packing->bytes;
    *bytes = malloc(*size);
    if (!*bytes)
        return err_set(ERR_MEMORY, "out of memory for a safetensors file of %zu bytes", *size);
    const uint64_t stored = length;
    memcpy(*bytes, &stored, PREFIX);
    memset(*bytes + PREFIX, ' ', length);
    memcpy(*bytes + PREFIX, header, used);
    char *end = *bytes + PREFIX + length;
    for (int i = 0; i < packing->count; i++) {
        if (packing->tensor[i].bytes)
            memcpy(end, packing->tensor[i].data, packing->tensor[i].bytes);
        end += packing->tensor[i].bytes;
    }
    return 0;
}

int export_safetensors_bytes(const struct export_set *set, char **bytes, size_t *size)
{
    struct packing packing = {.count = 0};
    arena_init(&packing.arena);
    int code = collect(&packing, set);
    char *header = code == 0 ? make_header(&packing, set) : NULL;
    if (code == 0)
        code = header ? lay_out(&packing, header, bytes, size) : err_code();
    free(header);
    free(packing.tensor);
    arena_release(&packing.arena);
    return code;
}

const struct export_format export_safetensors = {
    .name = "safetensors",
    .title = "safetensors.torch.load_file, of any number of tables",
    .extension = ".safetensors",
    .encode = export_safetensors_bytes,
};
