// Golden data: named arrays in a file that tests/golden/make_golden.py wrote (the format is
// described there).
//
// The reader is strict, as a test that skips what it does not understand tests nothing: every size
// is checked, names are unique, and the file ends with its last array.
#ifndef POSGRAD_TESTS_GOLDEN_H
#define POSGRAD_TESTS_GOLDEN_H

#include <stddef.h>
#include <stdint.h>

#include "../../autograd/ag.h"

enum golden_type { GOLDEN_REAL, GOLDEN_INT, GOLDEN_TEXT, GOLDEN_SINGLE };

struct golden_array {
    char name[AG_NAME_SIZE];
    enum golden_type type;
    struct ag_shape shape; // dims 0 is a scalar
    int64_t count;
    const double *real;   // GOLDEN_REAL
    const int32_t *index; // GOLDEN_INT
    const char *text;     // GOLDEN_TEXT, `count` bytes, no NUL
    const float *single;  // GOLDEN_SINGLE
};

struct golden {
    char path[256];
    unsigned char *bytes;
    struct golden_array *array;
    int arrays;
};

// Reads a file. ERR_FILE, ERR_FORMAT or ERR_MEMORY leave nothing to release.
int golden_read(struct golden *golden, const char *path);
// As golden_read, from memory (copied); `path` is for messages.
int golden_parse(struct golden *golden, const char *path, const void *bytes, size_t size);
void golden_release(struct golden *golden);

// The array PREFIX/NAME (a NULL prefix: NAME), or NULL.
const struct golden_array *golden_find(const struct golden *golden, const char *prefix,
                                       const char *name);
// As golden_find, but a missing array, another type, or a count that is not 1 fails the test.
const struct golden_array *golden_get(const struct golden *golden, const char *prefix,
                                      const char *name, enum golden_type type);
double golden_real(const struct golden *golden, const char *prefix, const char *name);
int64_t golden_int(const struct golden *golden, const char *prefix, const char *name);
void golden_text(const struct golden *golden, const char *prefix, const char *name, char *text,
                 size_t size);

// Element i of an array of numbers, double or float.
double golden_value(const struct golden_array *array, int64_t i);

// The largest difference over the largest number of the reference; `scale` replaces the latter
// where the reference is all zeros. Infinite when anything is not finite, or when zeros are
// expected, `scale` is 0 and something else is there.
double golden_error(const double *reference, int64_t count, const real *actual, double scale);
double golden_largest(const double *reference, int64_t count);

// What an error must stay below: the rounding of the build, with room for sums.
#ifdef POSGRAD_DOUBLE
#define GOLDEN_TOLERANCE 1e-10
#else
#define GOLDEN_TOLERANCE 1e-5
#endif

#endif
