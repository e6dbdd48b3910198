// Imports: named arrays out of files that anybody may have made.
//
// A format is one file, one const struct import_format, one row in import_list.h. It says which
// bytes are of it, and lists the arrays: name, type, sizes, and where the numbers lie. A file is
// known by its first bytes, never by its name. What it says of itself is checked before anything is
// allocated or read: memory is at most twice the file and 64 MB. A hostile file costs a line.
#ifndef POSGRAD_IMPORT_H
#define POSGRAD_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../autograd/base/arena.h"

enum {
    IMPORT_MAX_DIMS = 8,
    IMPORT_MAX_ARRAYS = 1 << 16,
    IMPORT_NAME_MAX = 1024, // bytes of a name
    IMPORT_DIGEST = 65,     // a SHA-256 in hexadecimal digits, with its NUL
};

// What numbers are read; all else is IMPORT_OTHER, which can be listed and no more.
enum import_type { IMPORT_OTHER, IMPORT_F16, IMPORT_BF16, IMPORT_F32, IMPORT_F64 };

struct import_array {
    const char *name;   // UTF-8 as a rule, and any bytes but NUL
    char type_name[32]; // as the format spells it: "<f4", "BF16", "float64"
    enum import_type type;
    int dims; // 0 is a scalar
    int64_t size[IMPORT_MAX_DIMS], count;
    bool big_endian;
    bool by_columns; // the first index runs fastest
    bool beside;     // beside the parameters: optimizer state, tables, batches of a file of ours
    const unsigned char *data; // the numbers, unaligned; NULL: import_load makes them
    int64_t place;             // of the format: where that finds them
};

struct import_file {
    const struct import_format *format;
    const char *path;           // borrowed, for lines
    const unsigned char *bytes; // the whole file
    size_t size;
    int arrays;
    struct import_array *array; // in order of name, each name once
    int room;
    struct arena names;
    void *state;           // the format's own
    unsigned char *loaded; // numbers of the array that was loaded last
};

struct import_format {
    const char *name, *title;
    const char *extension; // that such files have as a rule
    bool (*is)(const unsigned char *bytes, size_t size);
    // Adds every array to `file`, in any order.
    int (*list)(struct import_file *file);
    // Makes the numbers of an array whose `data` is NULL: malloc'ed, into file->loaded. The line of
    // an error begins with the path. NULL where there are none such.
    int (*load)(struct import_file *file, const struct import_array *array);
    void (*close)(struct import_file *file); // frees `state`; may be NULL
};

extern const struct import_format *const import_formats[];
extern const int import_format_count;

// Reads the file at `path` (which must stay) and lists it. ERR_FILE, ERR_FORMAT with what is wrong
// in it, ERR_MEMORY; lines begin with the path. On failure nothing is left.
int import_open(struct import_file *file, const char *path);
void import_close(struct import_file *file); // also of one that is zeroed
// The array called `name`, a "/" before it left out; NULL where there is none.
const struct import_array *import_look(const struct import_file *file, const char *name);
// The same with err_set (ERR_ARGUMENT): the nearest name, or those that there are.
const struct import_array *import_find(const struct import_file *file, const char *name);
// The names of `file`, separated by commas, as many as fit into `text`, and how many are left out.
void import_names(const struct import_file *file, char *text, size_t size);
// Makes the numbers of `array` readable for import_value until the next call of it. ERR_FORMAT
// where they are no real numbers.
int import_load(struct import_file *file, const struct import_array *array);
// Element `index`, row-major, of the array that was loaded last.
double import_value(const struct import_file *file, const struct import_array *array,
                    int64_t index);
// "[1024, 768]" into `text`, which is returned.
const char *import_shape(const struct import_array *array, char text[192]);
// SHA-256 of the file.
void import_digest(const struct import_file *file, char digest[IMPORT_DIGEST]);

// --- shared by formats

// A zeroed array more, with a copy of the `length` bytes of its name; NULL (err_set) where there
// are too many, the name is empty, too long or has a NUL in it, or memory is short.
struct import_array *import_add(struct import_file *file, const char *name, size_t length);
// Fills in `count`; the bytes of all elements of `element` bytes, or -1 where a size is negative or
// the product does not fit.
int64_t import_bytes(struct import_array *array, int64_t element);
// Reads the head of an npy file of which the first `available` bytes are at `bytes`: type, sizes
// and order into `array`; `head` gets its length and `data` the bytes of the numbers after it.
// ERR_FORMAT.
enum { IMPORT_NPY_HEAD = 12 + (1 << 16) }; // the longest head that is read
int import_npy_head(struct import_array *array, const unsigned char *bytes, size_t available,
                    size_t *head, int64_t *data);

#endif
