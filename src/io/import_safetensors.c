// safetensors (huggingface/safetensors, README and the checks of its reader): 8 bytes of length, a
// head of JSON, then the numbers of all tensors without a gap, an overlap or a byte after them.
//
// The JSON is of one fixed form, and is read by a parser of that form alone: nothing nests in it,
// nothing is built from it but the list of tensors, and what is of another form is refused.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "import.h"

enum { PREFIX = 8, MOST_HEAD = 100000000 };

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

// --- tokens of JSON

struct json {
    const char *at, *end;
};

static void skip_blanks(struct json *json)
{
    while (json->at < json->end && strchr(" \t\r\n", *json->at) && *json->at)
        json->at++;
}

static bool take(struct json *json, char mark)
{
    skip_blanks(json);
    if (json->at == json->end || *json->at != mark)
        return false;
    json->at++;
    return true;
}

static bool take_number(struct json *json, int64_t *number)
{
    skip_blanks(json);
    const char *begin = json->at;
    for (*number = 0; json->at < json->end && *json->at >= '0' && *json->at <= '9'; json->at++)
        if (json->at - begin == 18)
            return false;
        else
            *number = *number * 10 + (*json->at - '0');
    return json->at > begin && (*begin != '0' || json->at == begin + 1);
}

static int take_hex(struct json *json)
{
    static const char digits[] = "0123456789abcdef";
    int code = 0;
    for (int i = 0; i < 4; i++) {
        if (json->at == json->end || !*json->at)
            return -1;
        char letter = *json->at++;
        const char *digit = strchr(digits, letter >= 'A' && letter <= 'F' ? letter + 32 : letter);
        if (!digit)
            return -1;
        code = code << 4 | (int)(digit - digits);
    }
    return code;
}

// The UTF-8 of a character; its length.
static int encode(unsigned code, char to[4])
{
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    int length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (int i = length - 1; i > 0; i--, code >>= 6)
        to[i] = (char)(0x80 | (code & 0x3F));
    to[0] = (char)(length == 1 ? code : lead[length] | code);
    return length;
}

// What follows "\u"; two of them are a character beyond 16 bits.
static int take_unicode(struct json *json, char to[4])
{
    int code = take_hex(json);
    if (code <= 0 || (code >= 0xDC00 && code < 0xE000))
        return -1;
    if (code < 0xD800 || code >= 0xE000)
        return encode((unsigned)code, to);
    if (json->end - json->at < 6 || json->at[0] != '\\' || json->at[1] != 'u')
        return -1;
    json->at += 2;
    int low = take_hex(json);
    if (low < 0xDC00 || low >= 0xE000)
        return -1;
    return encode(0x10000 + ((unsigned)code - 0xD800) * 0x400 + ((unsigned)low - 0xDC00), to);
}

// What follows a backslash.
static int take_escape(struct json *json, char to[4])
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if (json->at == json->end || !*json->at)
        return -1;
    char letter = *json->at++;
    const char *found = strchr(letters, letter);
    if (letter == 'u')
        return take_unicode(json, to);
    if (!found)
        return -1;
    to[0] = meant[found - letters];
    return 1;
}

// A string of at most `most` bytes into `to`, which has four more; its length, or -1. With NULL it
// may be of any length, and is skipped.
static int64_t take_string(struct json *json, char *to, int64_t most)
{
    int64_t length = 0;
    char one[4];
    if (!take(json, '"'))
        return -1;
    while (json->at < json->end && *json->at != '"') {
        int bytes = 1;
        one[0] = *json->at++;
        if ((unsigned char)one[0] < ' ')
            return -1;
        if (one[0] == '\\')
            bytes = take_escape(json, one);
        if (bytes < 0 || (to && length + bytes > most))
            return -1;
        for (int i = 0; to && i < bytes; i++)
            to[length + i] = one[i];
        length += bytes;
    }
    return take(json, '"') ? length : -1;
}

// A word of `size` bytes with its NUL.
static bool take_word(struct json *json, char *word, int64_t size)
{
    int64_t length = take_string(json, word, size - 1);
    if (length >= 0)
        word[length] = '\0';
    return length >= 0;
}

// [1, 2, 3]; how many, or -1.
static int take_list(struct json *json, int64_t *number, int most)
{
    int count = 0;
    if (!take(json, '['))
        return -1;
    if (take(json, ']'))
        return 0;
    do {
        if (count == most || !take_number(json, &number[count++]))
            return -1;
    } while (take(json, ','));
    return take(json, ']') ? count : -1;
}

// --- tensors

static int malformed(const struct json *json, const char *begin, const char *what)
{
    return err_set(ERR_FORMAT, "its safetensors head is not as it should be at byte %lld: %s",
                   (long long)(json->at - begin), what);
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

// {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, in any order, each once. NULL, or
// what is wrong. The place is kept as 64 bits of the beginning; the end is in `end`.
static const char *take_tensor(struct json *json, struct import_array *array, int64_t offset[2])
{
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    bool seen[3] = {false};
    char key[24];
    if (!take(json, '{'))
        return "a tensor is an object of dtype, shape and data_offsets";
    do {
        int which = 0;
        if (!take_word(json, key, sizeof key - 4) || !take(json, ':'))
            return "a tensor has dtype, shape and data_offsets";
        while (which < 3 && strcmp(key, keys[which]) != 0)
            which++;
        if (which == 3 || seen[which])
            return "a tensor has dtype, shape and data_offsets, once each and nothing else";
        seen[which] = true;
        if (which == 0 && !take_word(json, array->type_name, sizeof array->type_name - 4))
            return "a dtype is a short text";
        if (which == 1 && (array->dims = take_list(json, array->size, IMPORT_MAX_DIMS)) < 0)
            return "a shape is a list of at most 8 sizes";
        if (which == 2 && take_list(json, offset, 2) != 2)
            return "data_offsets are two numbers";
    } while (take(json, ','));
    return !take(json, '}')                ? "an object does not end"
           : seen[0] && seen[1] && seen[2] ? NULL
                                           : "a tensor lacks dtype, shape or data_offsets";
}

static int add_tensor(struct import_file *file, struct json *json, const char *begin,
                      const char *name, int64_t length)
{
    int64_t offset[2] = {0, 0}, room = (int64_t)file->size - (json->end - (char *)file->bytes);
    struct import_array *array = import_add(file, name, (size_t)length);
    if (!array)
        return err_code();
    const char *wrong = take_tensor(json, array, offset);
    if (wrong)
        return malformed(json, begin, wrong);
    int element = element_of(array);
    if (element < 0)
        return err_set(ERR_FORMAT, "'%.200s' has the dtype '%s', which is not known", array->name,
                       array->type_name);
    int64_t bytes = import_bytes(array, element);
    if (bytes < 0 || offset[0] > offset[1] || offset[1] > room || offset[1] - offset[0] != bytes)
        return err_set(
            ERR_FORMAT,
            "'%.200s' has data_offsets %lld to %lld, which are not in the file or do not "
            "fit its shape and type",
            array->name, (long long)offset[0], (long long)offset[1]);
    array->place = offset[0];
    array->data = (unsigned char *)json->end + offset[0];
    return 0;
}

// "__metadata__": texts by texts, of which nothing is read.
static bool skip_metadata(struct json *json)
{
    if (!take(json, '{'))
        return false;
    if (take(json, '}'))
        return true;
    do {
        if (take_string(json, NULL, 0) < 0 || !take(json, ':') || take_string(json, NULL, 0) < 0)
            return false;
    } while (take(json, ','));
    return take(json, '}');
}

static int take_entry(struct import_file *file, struct json *json, const char *begin,
                      bool *metadata)
{
    char name[IMPORT_NAME_MAX + 4];
    int64_t length = take_string(json, name, IMPORT_NAME_MAX);
    if (length < 0 || !take(json, ':'))
        return malformed(json, begin, "the name of a tensor is wanted, of at most 1024 bytes");
    bool is_metadata = length == 12 && memcmp(name, "__metadata__", 12) == 0;
    if (!is_metadata)
        return add_tensor(file, json, begin, name, length);
    if (*metadata || !skip_metadata(json))
        return malformed(json, begin, "__metadata__ comes once, and has texts by texts");
    *metadata = true;
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
    qsort(file->array, (size_t)file->arrays, sizeof *file->array, by_place);
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

static int list(struct import_file *file)
{
    uint64_t length = length_of(file->bytes);
    bool metadata = false;
    if (length > MOST_HEAD || length > file->size - PREFIX)
        return err_set(ERR_FORMAT,
                       "its safetensors head has %llu bytes, more than the file or than %d",
                       (unsigned long long)length, MOST_HEAD);
    const char *begin = (const char *)file->bytes + PREFIX;
    struct json json = {begin, begin + length};
    int code = 0;
    if (!take(&json, '{'))
        return malformed(&json, begin, "an object is wanted");
    if (!take(&json, '}')) {
        do
            code = take_entry(file, &json, begin, &metadata);
        while (code == 0 && take(&json, ','));
        if (code == 0 && !take(&json, '}'))
            code = malformed(&json, begin, "a comma or the end of the object is wanted");
    }
    skip_blanks(&json);
    if (code == 0 && json.at != json.end)
        code = malformed(&json, begin, "something follows the object");
    return code < 0 ? code : check_places(file, (int64_t)(file->size - PREFIX - length));
}

const struct import_format import_safetensors = {
    .name = "safetensors",
    .title = "safetensors of Hugging Face: F64, F32, F16 and BF16",
    .extension = ".safetensors",
    .is = is,
    .list = list,
};
