// Fuzzing the readers of arrays that anybody may have made: npy, npz, safetensors, and our own
// files as far as import reads them.
//
// The first byte chooses. 0: the rest is a file as it is. 1: it is what follows the user block of a
// file of ours, which is put before it with right digests. 2: it is the beginning of what a reader
// of HDF5 that a crafted file has taken over lists from behind the wall. All arrays of a file that
// was not refused are read, twice, and asked for by name.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/foreign_hdf5.h"
#include "../../src/io/import.h"
#include "../../src/io/seal.h"
#include "input.h"

enum { END_AT = SEAL_SIZE + 28, LARGEST = 1 << 20 };

static struct foreign_listing listing;

static void read_listing(const uint8_t *data, size_t size)
{
    memset(&listing, 0, sizeof listing);
    memcpy(&listing, data, size < sizeof listing ? size : sizeof listing);
    int code = foreign_hdf5_check_list("file", &listing);
    fuzz_judge(code);
    for (int i = 0; code == 0 && i < listing.count; i++) {
        BUG_ON(strlen(listing.entry[i].name) >= FOREIGN_NAME);
        fuzz_judge(
            foreign_hdf5_check("file", 1 << 16, listing.entry[i].name, &listing.entry[i].set));
    }
}

static double read_array(struct import_file *file, const struct import_array *array)
{
    double sum = 0;
    char shape[192];
    int code = import_load(file, array);
    fuzz_judge(code);
    import_shape(array, shape);
    if (code < 0)
        return 0;
    // What is unpacked is at most so much larger than its file.
    BUG_ON(array->count > ((int64_t)64 << 20));
    for (int64_t i = 0; i < array->count; i++)
        sum += import_value(file, array, i);
    return isfinite(sum) ? sum : 0;
}

static void read_file(const char *path)
{
    struct import_file file;
    char names[200], digest[IMPORT_DIGEST];
    int code = import_open(&file, path);
    fuzz_judge(code);
    if (code < 0)
        return;
    import_names(&file, names, sizeof names);
    import_digest(&file, digest);
    BUG_ON(strlen(names) >= sizeof names || strlen(digest) != IMPORT_DIGEST - 1);
    for (int i = 0; i < file.arrays; i++) {
        const struct import_array *array = &file.array[i];
        BUG_ON(array->name[0] != '/' && import_find(&file, array->name) != array);
        BUG_ON(read_array(&file, array) != read_array(&file, array));
    }
    BUG_ON(!import_find(&file, "a") && err_code() != ERR_ARGUMENT);
    import_close(&file);
}

static bool is_foreign_hdf5(const uint8_t *data, size_t size)
{
    return size >= 8 && memmem(data, size, "\x89HDF\r\n\x1a\n", 8) &&
           memcmp(data, "posgrad\n", 8) != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_file file;
    if (size < 1 || size > LARGEST)
        return 0;
    int how = *data++ % 3;
    size--;
    // A child process for each would be slow; tests/faults/test_wall.c has damaged files for it.
    if (how == 2 || (how == 0 && is_foreign_hdf5(data, size))) {
        read_listing(data, size);
        return 0;
    }
    size_t before = how == 1 ? SEAL_SIZE : 0, made = before + size;
    unsigned char *bytes = calloc(made + 1, 1);
    BUG_ON(!bytes);
    if (size)
        memcpy(bytes + before, data, size);
    for (int i = 0; how == 1 && i < 8 && made >= END_AT + 8; i++)
        bytes[END_AT + i] = (unsigned char)(made >> (8 * i));
    if (how == 1)
        seal_write(bytes, made);
    fuzz_file_make(&file, bytes, made);
    free(bytes);
    read_file(file.path);
    fuzz_file_close(&file);
    return 0;
}
