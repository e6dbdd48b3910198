// Exports: named arrays, or a whole model, in files of a format that other programs read.
//
// A format is one file, one const struct export_format, one row in export_list.h. One of arrays is
// a pure function from them to bytes; one of models also knows how ours computes, and says how far
// the other program will compute the same. Equal state gives equal bytes, whatever the day and the
// machine.
#ifndef POSGRAD_EXPORT_H
#define POSGRAD_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct h5_writer;
struct folder_file;

enum { EXPORT_MAX_DIMS = 8, EXPORT_FOLDER_FILES = 8 };

struct export_attribute {
    const char *name;
    const char *text; // or NULL, and it is the number, or the real one
    int64_t number;
    bool is_real;
    double real;
};

struct export_array {
    const char *name; // "position_table"
    int dims;         // 0 is a scalar
    int64_t size[EXPORT_MAX_DIMS];
    const char *axis[EXPORT_MAX_DIMS];          // "position"; NULL: the axis has no name
    const int64_t *coordinate[EXPORT_MAX_DIMS]; // [size] of the axis; NULL: 0, 1, 2, ...
    bool is_double;
    const void *data; // float or double, row-major
    int attributes;
    const struct export_attribute *attribute;
};

struct export_set {
    int arrays, attributes;
    const struct export_array *array;
    const struct export_attribute *attribute; // of the whole
    const char *group; // where the arrays stand in a file of ours, "/tables"; NULL: nowhere
};

// A model that a run trained, for a format that needs more than its numbers.
struct trainer;
enum { EXPORT_VERDICT = 256 };
struct export_model {
    struct trainer *trainer; // its parameters are those to export
    int64_t length;          // longest rows that are asked for; 0: as many as there can be
    bool overwrite;
    char *verdict; // [EXPORT_VERDICT], out: "exact", "exact up to length 32"
};

struct export_format {
    const char *name, *title;
    const char *extension; // ".npy"; NULL: what is written is a folder
    bool one_array;        // a file holds exactly one
    // Of arrays: the file's bytes, malloc'ed.
    int (*encode)(const struct export_set *set, char **bytes, size_t *size);
    // Of arrays, of a format that is a folder: its files in place of one, at most
    // EXPORT_FOLDER_FILES, their bytes malloc'ed, that first by which such a folder is known. How
    // many, or a code; of those that were made the caller frees the bytes all the same.
    int (*encode_folder)(const struct export_set *set, struct folder_file *file);
    // Of models, in place of both: writes `path`, or refuses with the part that the format does not
    // have and the nearest thing that it does.
    int (*write_model)(const struct export_model *model, const char *path);
};

extern const struct export_format *const export_formats[];
extern const int export_format_count;

// By name; NULL, and err_set with the nearest one.
const struct export_format *export_format_find(const char *name);
// By the extension of `path`; NULL, and err_set with those that there are.
const struct export_format *export_format_of(const char *path);
// Encodes and publishes to `path`, atomically; "-" is stdout. ERR_ARGUMENT when the format holds
// one array and the set another number; ERR_NUMBER where a number is not finite, with its place.
int export_write(const struct export_set *set, const struct export_format *format,
                 const char *path);
// The same of a format that is a folder, which `overwrite` lets replace one that it made.
int export_write_folder(const struct export_set *set, const struct export_format *format,
                        const char *path, bool overwrite);

// --- shared by formats
// The bytes to `path`, atomically; "-" is stdout.
int export_publish(const char *path, const char *bytes, size_t size);
// Elements, or -1 when the product does not fit.
int64_t export_count(const struct export_array *array);
double export_value(const struct export_array *array, int64_t index);
int64_t export_coordinate(const struct export_array *array, int dim, int64_t index);
bool export_counts_from_zero(const struct export_array *array, int dim);
// The name of an axis into `text`: "axis_2" where it has none.
const char *export_axis_name(const struct export_array *array, int dim, char text[32]);
// What an attribute says: its text, or its number into `text`.
enum { EXPORT_NUMBER = 32 };
const char *export_attribute_text(const struct export_attribute *attribute,
                                  char text[EXPORT_NUMBER]);
// Whether the attribute says what format the arrays came from, or its version.
bool export_is_format(const struct export_attribute *attribute);
// A number that reads back to the same bits ("%.9g" for float); "nan", "inf", "-inf" for the
// others.
const char *export_number(const struct export_array *array, int64_t index, char text[32]);
// A file in npy format of the raw `bytes`; `descr` is "<f4", "<f8" or "<i8". malloc'ed.
int export_npy_bytes(const char *descr, int dims, const int64_t *size, const void *data,
                     size_t data_size, char **bytes, size_t *file_size);
// The array as the dataset GROUP/NAME, a group for each dot of the name, with attributes, labels
// and scales of those axes that have names. Its numbers are lent, as h5_write_lent's.
void export_h5_array(struct h5_writer *writer, const char *group, const struct export_array *array);
// A file in safetensors format of all arrays, with the metadata "format": "pt" that readers of
// models want, and the attributes of the set beside it. Names go as they are. malloc'ed.
// ERR_ARGUMENT where two names are the same, or one is no UTF-8.
int export_safetensors_bytes(const struct export_set *set, char **bytes, size_t *size);

#endif
