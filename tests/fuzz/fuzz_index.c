// Fuzzing the reader of our own files: seal, index, and everything that is in a file.
//
// The first byte chooses. Even: the rest is a file as it is. Odd: it is what follows the user
// block, which is put before it with right digests, as a stranger would; with bit 1 the superblock
// says the right length, too. Then every value, text and name of a file that was not refused is
// read.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../src/io/h5file.h"
#include "../../src/io/h5index.h"
#include "../../src/io/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { END_AT = SEAL_SIZE + 28, LARGEST = 1 << 20, RANK = 32 };

// A malloc'ed file.
static char *make_file(const uint8_t *data, size_t size, size_t *made)
{
    bool sealed = data[0] & 1;
    size_t before = sealed ? SEAL_SIZE : 0;
    *made = before + size - 1;
    char *file = malloc(*made + 1);
    if (!file)
        exit(1);
    memset(file, 0, before);
    memcpy(file + before, data + 1, size - 1);
    if (sealed && (data[0] & 2) && *made >= END_AT + 8)
        for (int i = 0; i < 8; i++)
            file[END_AT + i] = (char)(*made >> (8 * i));
    if (sealed)
        seal_write((unsigned char *)file, *made);
    return file;
}

static int read_numbers(struct h5_reader *reader, const char *path)
{
    enum h5_type type;
    int dims;
    int64_t extent[RANK], count = 1;
    if (h5_shape(reader, path, &type, &dims, extent, RANK) < 0)
        return 0;
    for (int i = 0; i < dims; i++)
        if (__builtin_mul_overflow(count, extent[i], &count))
            count = 0; // of an empty one
    // No dataset is larger than its file.
    BUG_ON(count > 2 * LARGEST);
    void *values = malloc((size_t)count * 8 + 1);
    if (!values)
        exit(1);
    int code = h5_read(reader, path, type, count, values);
    free(values);
    for (int i = -1; i <= dims; i++)
        free(h5_read_axis(reader, path, i));
    return code;
}

static int visit(void *context, const char *path)
{
    struct h5_reader *reader = context;
    BUG_ON(!h5_has(reader, path));
    free(h5_read_text(reader, path));
    free(h5_read_attr_text(reader, path, "encoding"));
    read_numbers(reader, path);
    return 0;
}

static uint64_t sum_values(const struct h5_index_values *values)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < values->size && values->data; i++)
        sum += values->data[i];
    for (int i = 0; i < values->rank; i++)
        sum += h5_index_extent(values, i);
    return sum;
}

// Every byte that the index leads to.
static uint64_t read_index(const unsigned char *file, size_t size)
{
    struct h5_index index;
    uint64_t sum = 0;
    if (size < SEAL_SIZE || h5_index_open(&index, file, size, "index") < 0)
        return 0;
    for (size_t i = 0; i < index.nodes; i++)
        sum += sum_values(&index.node[i].values);
    for (size_t i = 0; i < index.attributes; i++) {
        const struct h5_index_values *values = &index.attribute[i].values;
        sum += sum_values(values);
        for (uint64_t k = 0; k < 40; k++) {
            const unsigned char *text;
            int64_t length = h5_index_label(&index, values, k, &text);
            for (int64_t j = 0; j < length; j++)
                sum += text[j];
        }
    }
    h5_index_close(&index);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t made;
    int64_t step;
    double norm;
    if (size < 1 || size > LARGEST)
        return 0;
    char *file = make_file(data, size, &made);
    volatile uint64_t sum = read_index((unsigned char *)file, made);
    (void)sum;
    struct h5_reader *reader = h5_reader_take(file, made, "file");
    BUG_ON(!reader && (!err_last()[0] || err_code() >= 0));
    if (!reader)
        return 0;
    free(h5_read_attr_text(reader, "/", "format"));
    h5_read_attr_int(reader, "/", "step", &step);
    h5_read_attr_real(reader, "/", "norm", &norm);
    h5_walk(reader, "/", visit, reader);
    h5_reader_close(reader);
    return 0;
}
