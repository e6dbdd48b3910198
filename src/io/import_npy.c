// NumPy's npy, versions 1.0 and 2.0: a head that is a Python dict of type, order and sizes, then
// the numbers (NumPy Enhancement Proposal 1; numpy.lib.format).
//
// Only the dict that NumPy itself writes is read: its three keys, once each, in any order.
#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "import.h"

enum { PREFIX = 10 }; // magic, version and length of version 1.0

static bool is(const unsigned char *bytes, size_t size)
{
    return size >= 6 && memcmp(bytes, "\x93NUMPY", 6) == 0;
}

// --- the dict

struct text {
    const char *at, *end;
};

static void skip_blanks(struct text *text)
{
    while (text->at < text->end && *text->at == ' ')
        text->at++;
}

static bool take(struct text *text, const char *word)
{
    size_t length = strlen(word);
    skip_blanks(text);
    if ((size_t)(text->end - text->at) < length || memcmp(text->at, word, length) != 0)
        return false;
    text->at += length;
    return true;
}

// A word in quotes of either kind, shorter than `size`.
static bool take_quoted(struct text *text, char *word, size_t size)
{
    skip_blanks(text);
    if (text->at == text->end || (*text->at != '\'' && *text->at != '"'))
        return false;
    const char *begin = text->at + 1;
    const char *end = memchr(begin, *text->at, (size_t)(text->end - begin));
    if (!end || (size_t)(end - begin) >= size)
        return false;
    memcpy(word, begin, (size_t)(end - begin));
    word[end - begin] = '\0';
    text->at = end + 1;
    return strlen(word) == (size_t)(end - begin);
}

static bool take_size(struct text *text, int64_t *size)
{
    int digits = 0;
    skip_blanks(text);
    for (*size = 0; text->at < text->end && *text->at >= '0' && *text->at <= '9'; text->at++) {
        if (digits++ == 18)
            return false;
        *size = *size * 10 + (*text->at - '0');
    }
    return digits > 0;
}

// "()", "(3,)", "(3, 4)"; "(3)" is a number to Python, and no shape.
static bool take_shape(struct text *text, struct import_array *array)
{
    bool comma = true;
    if (!take(text, "("))
        return false;
    while (!take(text, ")")) {
        if (!comma || array->dims == IMPORT_MAX_DIMS ||
            !take_size(text, &array->size[array->dims++]))
            return false;
        comma = take(text, ",");
    }
    return array->dims != 1 || comma;
}

static bool take_order(struct text *text, struct import_array *array)
{
    array->by_columns = take(text, "True");
    return array->by_columns || take(text, "False");
}

// One "KEY: VALUE"; false where it is none of the three, or one comes twice.
static bool take_pair(struct text *text, struct import_array *array, bool seen[3])
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    char key[16];
    int which = 0;
    if (!take_quoted(text, key, sizeof key) || !take(text, ":"))
        return false;
    while (which < 3 && strcmp(key, keys[which]) != 0)
        which++;
    if (which == 3 || seen[which])
        return false;
    seen[which] = true;
    return which == 0   ? take_quoted(text, array->type_name, sizeof array->type_name)
           : which == 1 ? take_order(text, array)
                        : take_shape(text, array);
}

static bool take_dict(struct text *text, struct import_array *array)
{
    bool seen[3] = {false};
    bool comma = true;
    if (!take(text, "{"))
        return false;
    while (!take(text, "}")) {
        if (!comma || !take_pair(text, array, seen))
            return false;
        comma = take(text, ",");
    }
    skip_blanks(text);
    return seen[0] && seen[1] && seen[2] && text->end - text->at == 1 && *text->at == '\n';
}

// --- the type: order of bytes, kind, bytes of one

static int64_t element_of(struct import_array *array)
{
    const char *name = array->type_name;
    struct text digits = {name + 2, name + strlen(name)};
    int64_t bytes;
    if (strlen(name) < 3 || !strchr("<>|=", name[0]) || !strchr("biufcmMSUV", name[1]) ||
        !take_size(&digits, &bytes) || digits.at != digits.end)
        return -1;
    array->big_endian = name[0] == '>';
    if (name[1] == 'f' && (name[0] == '<' || name[0] == '>'))
        array->type = bytes == 2   ? IMPORT_F16
                      : bytes == 4 ? IMPORT_F32
                      : bytes == 8 ? IMPORT_F64
                                   : IMPORT_OTHER;
    if (name[1] == 'U' && __builtin_mul_overflow(bytes, 4, &bytes)) // letters
        return -1;
    return bytes;
}

// --- the head

static int prefix_of(const unsigned char *bytes, size_t available, size_t *prefix, size_t *length)
{
    if (available < PREFIX || !is(bytes, available))
        return err_set(ERR_FORMAT, "its npy head is cut short, or does not begin as one");
    bool second = bytes[6] == 2;
    if ((bytes[6] != 1 && bytes[6] != 2) || bytes[7] != 0)
        return err_set(ERR_FORMAT, "it is npy of version %d.%d, and 1.0 and 2.0 are read", bytes[6],
                       bytes[7]);
    *prefix = second ? PREFIX + 2 : PREFIX;
    *length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (second && available >= *prefix)
        *length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (*prefix + *length > IMPORT_NPY_HEAD)
        return err_set(ERR_FORMAT, "its npy head has %zu bytes, and at most %d are read", *length,
                       IMPORT_NPY_HEAD);
    if (available < *prefix + *length)
        return err_set(ERR_FORMAT, "its npy head of %zu bytes is cut short", *length);
    return 0;
}

int import_npy_head(struct import_array *array, const unsigned char *bytes, size_t available,
                    size_t *head, int64_t *data)
{
    size_t prefix, length;
    int code = prefix_of(bytes, available, &prefix, &length);
    if (code < 0)
        return code;
    struct text text = {(const char *)bytes + prefix, (const char *)bytes + prefix + length};
    if (!take_dict(&text, array))
        return err_set(ERR_FORMAT,
                       "its npy head is not the dict of descr, fortran_order and shape (at most %d "
                       "sizes) that NumPy writes for plain types",
                       IMPORT_MAX_DIMS);
    int64_t element = element_of(array);
    if (element < 0)
        return err_set(ERR_FORMAT, "its type '%s' is no plain type of NumPy's, and is not read",
                       array->type_name);
    *data = import_bytes(array, element);
    if (*data < 0)
        return err_set(ERR_FORMAT, "the product of its sizes does not fit");
    *head = prefix + length;
    return 0;
}

// --- a file

// The array is called as the file is, without folder and extension.
static void stem(const char *path, const char **name, size_t *length)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    const char *dot = strrchr(base, '.');
    *name = *base ? base : "array";
    *length = *base && dot && dot > base ? (size_t)(dot - base) : strlen(*name);
}

static int list(struct import_file *file)
{
    const char *name;
    size_t length, head;
    int64_t data;
    stem(file->path, &name, &length);
    struct import_array *array = import_add(file, name, length);
    if (!array)
        return err_code();
    int code = import_npy_head(array, file->bytes, file->size, &head, &data);
    if (code < 0)
        return code;
    if ((uint64_t)data != file->size - head)
        return err_set(ERR_FORMAT,
                       "it has %zu bytes of numbers, and its shape and type ask for %lld",
                       file->size - head, (long long)data);
    array->data = file->bytes + head;
    return 0;
}

const struct import_format import_npy = {
    .name = "npy",
    .title = "NumPy array, versions 1.0 and 2.0",
    .extension = ".npy",
    .is = is,
    .list = list,
};
