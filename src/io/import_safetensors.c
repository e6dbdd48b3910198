// safetensors (huggingface/safetensors, README and the checks of its reader): 8 bytes of length, a
// head of JSON, then the numbers of all tensors without a gap, an overlap or a byte after them.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "import.h"
#include "json_memory.h"

// The head of a model of a thousand tensors has 120 KB. In memory JSON may take 70 times its text,
// which is to stay below what an import may take beside the file.
enum { PREFIX = 8, MOST_HEAD = 1 << 19 };

static uint64_t length_of(const unsigned char *bytes)
{
    uint64_t length = 0;
    for (int i = PREFIX - 1; i >= 0; i--)
        length = length << 8 | bytes[i];
    return length;
}

static bool is(const unsigned char *bytes, size_t size)
{
    return size > PREFIX && bytes[PREFIX] == '{' && length_of(bytes) <= UINT32_MAX;
}

// Bytes of a type; -1 for one that is not known, or has less than a byte.
static int element_of(struct import_array *array)
{
    static const struct {
        const char *name;
        int bytes;
        enum import_type type;
    } types[] = {
        {"F16", 2, IMPORT_F16},       {"BF16", 2, IMPORT_BF16},    {"F32", 4, IMPORT_F32},
        {"F64", 8, IMPORT_F64},       {"BOOL", 1, IMPORT_OTHER},   {"U8", 1, IMPORT_OTHER},
        {"I8", 1, IMPORT_OTHER},      {"U16", 2, IMPORT_OTHER},    {"I16", 2, IMPORT_OTHER},
        {"U32", 4, IMPORT_OTHER},     {"I32", 4, IMPORT_OTHER},    {"U64", 8, IMPORT_OTHER},
        {"I64", 8, IMPORT_OTHER},     {"C64", 8, IMPORT_OTHER},    {"F8_E5M2", 1, IMPORT_OTHER},
        {"F8_E4M3", 1, IMPORT_OTHER}, {"F8_E8M0", 1, IMPORT_OTHER}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(array->type_name, types[i].name) == 0) {
            array->type = types[i].type;
            return types[i].bytes;
        }
    return -1;
}

static bool read_sizes(const json_t *list, int64_t *size, int *count, size_t most)
{
    if (!json_is_array(list) || json_array_size(list) > most)
        return false;
    *count = (int)json_array_size(list);
    for (int i = 0; i < *count; i++) {
        const json_t *number = json_array_get(list, (size_t)i);
        size[i] = json_integer_value(number);
        if (!json_is_integer(number) || size[i] < 0)
            return false;
    }
    return true;
}

// {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
static int add_tensor(struct import_file *file, const char *name, json_t *tensor, int64_t head)
{
    int64_t offset[2] = {0, 0}, room = (int64_t)file->size - head;
    int two = 0;
    struct import_array *array = import_add(file, name, strlen(name));
    if (!array)
        return err_code();
    // Without json_unpack, which takes memory and says that the form is wrong where there is none.
    const char *dtype = json_string_value(json_object_get(tensor, "dtype"));
    if (!dtype || json_object_size(tensor) != 3 ||
        !read_sizes(json_object_get(tensor, "shape"), array->size, &array->dims, IMPORT_MAX_DIMS) ||
        !read_sizes(json_object_get(tensor, "data_offsets"), offset, &two, 2) || two != 2)
        return err_set(
            ERR_FORMAT,
            "'%.200s' should have a dtype, a shape of at most %d sizes, two data_offsets, "
            "and nothing else",
            name, IMPORT_MAX_DIMS);
    snprintf(array->type_name, sizeof array->type_name, "%s", dtype);
    int element = element_of(array);
    if (element < 0)
        return err_set(ERR_FORMAT, "'%.200s' has the dtype '%s', which is not known", name,
                       array->type_name);
    int64_t bytes = import_bytes(array, element);
    if (bytes < 0 || offset[0] > offset[1] || offset[1] > room || offset[1] - offset[0] != bytes)
        return err_set(
            ERR_FORMAT,
            "'%.200s' has data_offsets %lld to %lld, which are not in the file or do not "
            "fit its shape and type",
            name, (long long)offset[0], (long long)offset[1]);
    array->place = offset[0];
    array->data = file->bytes + head + offset[0];
    return 0;
}

// --- all

static int by_place(const void *a, const void *b)
{
    const struct import_array *x = a, *y = b;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return (x->count > 0) - (y->count > 0); // an empty one lies before what begins where it does
}

// Whether the tensors follow each other from the first byte to the last.
static int check_places(struct import_file *file, int64_t room)
{
    int64_t end = 0;
    if (file->arrays > 0)
        qsort(file->array, (size_t)(unsigned)file->arrays, sizeof *file->array, by_place);
    for (int i = 0; i < file->arrays; i++) {
        struct import_array *array = &file->array[i];
        if (array->place != end)
            return err_set(ERR_FORMAT,
                           "'%.200s' begins at byte %lld, and %lld would be right: tensors overlap "
                           "or leave a gap",
                           array->name, (long long)array->place, (long long)end);
        end += import_bytes(array, element_of(array));
    }
    return end == room
               ? 0
               : err_set(ERR_FORMAT, "%lld bytes follow its last tensor", (long long)(room - end));
}

// "__metadata__": texts by names, of which nothing is read.
static bool has_texts(json_t *metadata)
{
    if (!json_is_object(metadata))
        return false;
    for (void *at = json_object_iter(metadata); at; at = json_object_iter_next(metadata, at))
        if (!json_is_string(json_object_iter_value(at)))
            return false;
    return true;
}

static int add_all(struct import_file *file, json_t *root, int64_t head)
{
    int code = 0;
    for (void *at = json_object_iter(root); at && code == 0; at = json_object_iter_next(root, at))
        if (strcmp(json_object_iter_key(at), "__metadata__") != 0)
            code = add_tensor(file, json_object_iter_key(at), json_object_iter_value(at), head);
        else if (!has_texts(json_object_iter_value(at)))
            code = err_set(ERR_FORMAT, "its __metadata__ is no object of texts");
    return code < 0 ? code : check_places(file, (int64_t)file->size - head);
}

static int list(struct import_file *file)
{
    json_error_t error;
    uint64_t length = length_of(file->bytes);
    if (length > MOST_HEAD || length > file->size - PREFIX)
        return err_set(ERR_FORMAT,
                       "its safetensors head has %llu bytes, more than the file or than %d",
                       (unsigned long long)length, MOST_HEAD);
    unsigned long failures = json_memory_failures();
    json_t *root = json_loadb((const char *)file->bytes + PREFIX, (size_t)length,
                              JSON_REJECT_DUPLICATES, &error);
    int code = json_memory_check(failures);
    if (code == 0 && !json_is_object(root))
        code = err_set(ERR_FORMAT, "its safetensors head is no JSON object: %s",
                       root ? "something else" : error.text);
    if (code == 0)
        code = add_all(file, root, PREFIX + (int64_t)length);
    json_decref(root);
    return code;
}

const struct import_format import_safetensors = {
    .name = "safetensors",
    .title = "safetensors of Hugging Face: F64, F32, F16 and BF16",
    .extension = ".safetensors",
    .is = is,
    .list = list,
};
