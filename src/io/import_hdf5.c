// HDF5 of strangers, such as Keras's weights: libhdf5 looks at it behind a wall (foreign_hdf5.h),
// and says where the numbers lie.
//
// An array is called by its path without the first "/".
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/foreign_hdf5.h"
#include "import.h"

// The mark stands at the beginning, or behind a user block of 512, 1024, 2048, ... bytes.
static bool is(const unsigned char *bytes, size_t size)
{
    for (size_t at = 0; size >= 8 && at <= size - 8; at = at ? 2 * at : 512)
        if (memcmp(bytes + at, "\x89HDF\r\n\x1a\n", 8) == 0)
            return memcmp(bytes, "posgrad\n", 8) != 0;
    return false;
}

static void name_type(struct import_array *array, const struct foreign_set *set)
{
    static const char *const kinds[FOREIGN_KINDS] = {"no number that is read", "uint", "int",
                                                     "float"};
    if (set->kind == FOREIGN_OTHER)
        snprintf(array->type_name, sizeof array->type_name, "%s", kinds[0]);
    else
        snprintf(array->type_name, sizeof array->type_name, "%s%d%s", kinds[set->kind],
                 8 * set->element, set->big_endian ? ", big-endian" : "");
    if (set->kind == FOREIGN_REAL)
        array->type = set->element == 4 ? IMPORT_F32 : IMPORT_F64;
}

// What cannot be read is listed, and refused with its reason when it is asked for.
static int add_set(struct import_file *file, struct foreign_listing *listing, int index)
{
    const char *name = listing->entry[index].name;
    struct foreign_set *set = &listing->entry[index].set;
    struct import_array *array = import_add(file, name, strlen(name));
    if (!array)
        return err_code();
    array->place = index;
    if (foreign_hdf5_check(file->path, (int64_t)file->size, name, set) < 0) {
        array->type = IMPORT_F32; // so that load is asked, and refuses it
        snprintf(array->type_name, sizeof array->type_name, "cannot be read");
        return 0;
    }
    array->dims = set->dims;
    for (int d = 0; d < set->dims; d++)
        array->size[d] = set->size[d];
    array->big_endian = set->big_endian;
    name_type(array, set);
    if (import_bytes(array, set->element) < 0)
        return err_set(ERR_FORMAT, "the product of the sizes of '%s' does not fit", array->name);
    array->data = file->bytes + set->offset;
    return 0;
}

static int list(struct import_file *file)
{
    struct foreign_listing *listing = calloc(1, sizeof *listing);
    if (!listing)
        return err_set(ERR_MEMORY, "out of memory for the list of its datasets");
    file->state = listing;
    int code = foreign_hdf5_list(file->path, file->bytes, (int64_t)file->size, listing);
    if (code == 0 && listing->left_out)
        code = err_set(ERR_FORMAT,
                       "it has more than %d datasets, or one with a longer name than %d",
                       FOREIGN_MAX_LIST, FOREIGN_NAME - 1);
    for (int i = 0; i < listing->count && code == 0; i++)
        code = add_set(file, listing, i);
    return code;
}

static int load(struct import_file *file, const struct import_array *array)
{
    const struct foreign_listing *listing = file->state;
    struct foreign_set set = listing->entry[array->place].set;
    int code = foreign_hdf5_check(file->path, (int64_t)file->size, array->name, &set);
    BUG_ON(code == 0);
    return code;
}

static void close_listing(struct import_file *file)
{
    free(file->state);
}

const struct import_format import_hdf5 = {
    .name = "hdf5",
    .title = "HDF5 of any program, contiguous datasets of float32 and float64",
    .extension = ".h5",
    .is = is,
    .list = list,
    .load = load,
    .close = close_listing,
};
