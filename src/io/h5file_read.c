// Reading our own HDF5: the digest first, then libhdf5 on the very bytes that were checked.
//
// A digest finds accidents, not malice, so the reader also refuses what can make libhdf5 open
// another file or believe a false size: links that are not hard, layouts that are not contiguous,
// filters, external storage, sizes that the file cannot hold.
#include <hdf5_hl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "h5file_inside.h"
#include "seal.h"

enum { MAX_RANK = 32, MAX_DEPTH = 32 };

// More than any checkpoint of a model that fits this program; a larger file is a mistake.
static const size_t size_limit = (size_t)1 << 36;

struct h5_reader {
    char *bytes; // the file; libhdf5 reads from here
    size_t size;
    hid_t file;
    char name[512]; // for messages
};

// --- open and close

// The core driver asks these for a copy of the image wherever it would make one; all of them are
// the reader's own bytes. (H5LTopen_file_image does the like and leaks a little each time.)
static void *lend_image(size_t size, H5FD_file_image_op_t operation, void *context)
{
    struct h5_reader *reader = context;
    (void)operation;
    return size == reader->size ? reader->bytes : NULL;
}

static void *copy_image(void *to, const void *from, size_t size, H5FD_file_image_op_t operation,
                        void *context)
{
    (void)operation;
    (void)context;
    return to == from ? to : memcpy(to, from, size);
}

static void *refuse_growth(void *image, size_t size, H5FD_file_image_op_t operation, void *context)
{
    (void)image;
    (void)size;
    (void)operation;
    (void)context;
    return NULL;
}

static herr_t keep_image(void *image, H5FD_file_image_op_t operation, void *context)
{
    (void)image;
    (void)operation;
    (void)context;
    return 0;
}

static void *same_context(void *context)
{
    return context;
}

static herr_t keep_context(void *context)
{
    (void)context;
    return 0;
}

static bool set_image(hid_t access, struct h5_reader *reader)
{
    H5FD_file_image_callbacks_t callbacks = {
        .image_malloc = lend_image,
        .image_memcpy = copy_image,
        .image_realloc = refuse_growth,
        .image_free = keep_image,
        .udata_copy = same_context,
        .udata_free = keep_context,
        .udata = reader,
    };
    return H5Pset_fapl_core(access, 1 << 16, false) >= 0 &&
           H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0 &&
           H5Pset_file_image_callbacks(access, &callbacks) >= 0 &&
           H5Pset_file_image(access, reader->bytes, reader->size) >= 0;
}

static int open_image(struct h5_reader *reader)
{
    char cause[H5_CAUSE_MAX], name[H5_IMAGE_NAME_MAX];
    h5_start();
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0 && set_image(access, reader))
        reader->file = H5Fopen(h5_image_name(reader, name), H5F_ACC_RDONLY, access);
    int code = 0;
    if (reader->file < 0)
        code = err_set(ERR_FORMAT, "%s: libhdf5 cannot open it: %s", reader->name, h5_cause(cause));
    if (access >= 0)
        H5Pclose(access);
    return code;
}

struct h5_reader *h5_reader_open(const char *file_path)
{
    struct h5_reader *reader = calloc(1, sizeof *reader);
    if (!reader) {
        err_set(ERR_MEMORY, "out of memory to read %s", file_path);
        return NULL;
    }
    reader->file = -1;
    snprintf(reader->name, sizeof reader->name, "%s", file_path);
    if (file_read(file_path, size_limit, &reader->bytes, &reader->size) < 0 ||
        seal_check((unsigned char *)reader->bytes, reader->size, file_path) < 0 ||
        open_image(reader) < 0) {
        h5_reader_close(reader);
        return NULL;
    }
    return reader;
}

void h5_reader_close(struct h5_reader *reader)
{
    if (!reader)
        return;
    if (reader->file >= 0)
        H5Fclose(reader->file);
    H5Eclear2(H5E_DEFAULT);
    free(reader->bytes);
    free(reader);
}

// --- finding objects

// Whether every part of `path` is there by a hard link; 0 no, 1 yes, or ERR_FORMAT.
static int find_links(struct h5_reader *reader, const char *path)
{
    char part[H5_PATH_MAX];
    if (!h5_path_good(path))
        return err_set(ERR_FORMAT, "%s: '%s' is not a path", reader->name, path);
    for (size_t end = h5_path_next(path, 1, part); end; end = h5_path_next(path, end + 1, part)) {
        H5L_info_t link;
        if (H5Lexists(reader->file, part, H5P_DEFAULT) <= 0)
            return 0;
        if (H5Lget_info(reader->file, part, &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD)
            return err_set(ERR_FORMAT, "%s: %s is a link to elsewhere, which is not followed",
                           reader->name, part);
    }
    return 1;
}

bool h5_has(struct h5_reader *reader, const char *path)
{
    bool found = find_links(reader, path) == 1;
    H5Eclear2(H5E_DEFAULT);
    return found;
}

// The object at `path`, or -1 with ERR_FORMAT set.
static hid_t open_object(struct h5_reader *reader, const char *path)
{
    char cause[H5_CAUSE_MAX];
    int found = find_links(reader, path);
    if (found == 0)
        err_set(ERR_FORMAT, "%s has no %s", reader->name, path);
    if (found != 1)
        return -1;
    hid_t object = H5Oopen(reader->file, path, H5P_DEFAULT);
    if (object < 0)
        err_set(ERR_FORMAT, "%s: cannot open %s: %s", reader->name, path, h5_cause(cause));
    return object;
}

static bool stored_plainly(hid_t set)
{
    hid_t plan = H5Dget_create_plist(set);
    if (plan < 0)
        return false;
    bool plain = H5Pget_layout(plan) == H5D_CONTIGUOUS && H5Pget_nfilters(plan) == 0 &&
                 H5Pget_external_count(plan) == 0;
    return H5Pclose(plan) >= 0 && plain;
}

// A dataset with the types that its elements and its sizes have.
struct opened {
    hid_t set, type, space;
};

static void close_set(struct opened *opened)
{
    if (opened->space >= 0)
        H5Sclose(opened->space);
    if (opened->type >= 0)
        H5Tclose(opened->type);
    if (opened->set >= 0)
        H5Oclose(opened->set);
}

static int open_set(struct h5_reader *reader, const char *path, struct opened *opened)
{
    opened->type = opened->space = -1;
    opened->set = open_object(reader, path);
    if (opened->set < 0)
        return ERR_FORMAT;
    const char *wrong = NULL;
    if (H5Iget_type(opened->set) != H5I_DATASET)
        wrong = "is not a dataset";
    else if (!stored_plainly(opened->set))
        wrong = "is not stored contiguously in this file";
    else if ((opened->type = H5Dget_type(opened->set)) < 0 ||
             (opened->space = H5Dget_space(opened->set)) < 0)
        wrong = "has no type or no size";
    if (!wrong)
        return 0;
    close_set(opened);
    return err_set(ERR_FORMAT, "%s: %s %s", reader->name, path, wrong);
}

// --- datasets

static int type_of(hid_t file_type)
{
    for (int i = 0; i < H5FILE_TYPES; i++)
        if (H5Tequal(file_type, h5_file_type((enum h5_type)i)) > 0)
            return i;
    return -1;
}

// Elements of a scalar or simple space, or -1.
static int64_t count_of(hid_t space)
{
    H5S_class_t class = H5Sget_simple_extent_type(space);
    if (class != H5S_SCALAR && class != H5S_SIMPLE)
        return -1;
    return H5Sget_simple_extent_npoints(space);
}

static int shape_of(const struct opened *opened, enum h5_type *type, int *dims, int64_t *size,
                    int max_dims)
{
    hsize_t extent[MAX_RANK];
    int found = type_of(opened->type);
    if (found < 0 || count_of(opened->space) < 0)
        return -1;
    int rank = H5Sget_simple_extent_ndims(opened->space);
    if (rank < 0 || rank > max_dims || rank > MAX_RANK ||
        H5Sget_simple_extent_dims(opened->space, extent, NULL) != rank)
        return -1;
    for (int i = 0; i < rank; i++) {
        if (extent[i] > INT64_MAX)
            return -1;
        size[i] = (int64_t)extent[i];
    }
    *type = (enum h5_type)found;
    *dims = rank;
    return 0;
}

int h5_shape(struct h5_reader *reader, const char *path, enum h5_type *type, int *dims,
             int64_t *size, int max_dims)
{
    struct opened opened;
    if (open_set(reader, path, &opened) < 0)
        return ERR_FORMAT;
    int code = 0;
    if (shape_of(&opened, type, dims, size, max_dims) < 0)
        code = err_set(ERR_FORMAT, "%s: %s is not a numeric array of at most %d dimensions",
                       reader->name, path, max_dims);
    close_set(&opened);
    return code;
}

static int read_numbers(struct h5_reader *reader, const char *path, const struct opened *opened,
                        enum h5_type type, int64_t count, void *data)
{
    char cause[H5_CAUSE_MAX];
    size_t bytes = 0;
    int64_t there = count_of(opened->space);
    if (type_of(opened->type) != (int)type)
        return err_set(ERR_FORMAT, "%s: %s is not of type %s", reader->name, path,
                       h5_type_name(type));
    if (there != count)
        return err_set(ERR_FORMAT, "%s: %s has %lld elements, and %lld are wanted", reader->name,
                       path, (long long)there, (long long)count);
    if (count < 0 || __builtin_mul_overflow((size_t)count, h5_type_size(type), &bytes) ||
        bytes > reader->size || H5Dget_storage_size(opened->set) != bytes)
        return err_set(ERR_FORMAT, "%s: %s does not hold what its size says", reader->name, path);
    if (count > 0 &&
        H5Dread(opened->set, h5_memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        return err_set(ERR_FORMAT, "%s: cannot read %s: %s", reader->name, path, h5_cause(cause));
    return 0;
}

int h5_read(struct h5_reader *reader, const char *path, enum h5_type type, int64_t count,
            void *data)
{
    struct opened opened;
    if (open_set(reader, path, &opened) < 0)
        return ERR_FORMAT;
    int code = read_numbers(reader, path, &opened, type, count, data);
    close_set(&opened);
    return code;
}

// --- text

// Bytes of one fixed-length string, or 0 when the type or the count is another.
static size_t text_size(const struct h5_reader *reader, hid_t type, hid_t space, hsize_t stored)
{
    if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0 || count_of(space) != 1)
        return 0;
    size_t size = H5Tget_size(type);
    return size == stored && size <= reader->size ? size : 0;
}

// `size` + 1 zeroed bytes for a text, or NULL.
static char *new_text(const struct h5_reader *reader, const char *path, size_t size)
{
    if (size == 0) {
        err_set(ERR_FORMAT, "%s: %s is not a text of fixed length", reader->name, path);
        return NULL;
    }
    char *text = calloc(1, size + 1);
    if (!text)
        err_set(ERR_MEMORY, "out of memory for the text %s of %s", path, reader->name);
    return text;
}

// Says why a text could not be read, and drops it.
static char *lost_text(const struct h5_reader *reader, const char *path, char *text)
{
    char cause[H5_CAUSE_MAX];
    err_set(ERR_FORMAT, "%s: cannot read %s: %s", reader->name, path, h5_cause(cause));
    free(text);
    return NULL;
}

char *h5_read_text(struct h5_reader *reader, const char *path)
{
    struct opened opened;
    if (open_set(reader, path, &opened) < 0)
        return NULL;
    size_t size = text_size(reader, opened.type, opened.space, H5Dget_storage_size(opened.set));
    char *text = new_text(reader, path, size);
    if (text && H5Dread(opened.set, opened.type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) < 0)
        text = lost_text(reader, path, text);
    close_set(&opened);
    return text;
}

// --- attributes

// Opens attribute `name` of the object at `path` with its type and space; `set` is the attribute.
static int open_attribute(struct h5_reader *reader, const char *path, const char *name,
                          struct opened *opened)
{
    opened->set = opened->type = opened->space = -1;
    hid_t object = open_object(reader, path);
    if (object < 0)
        return ERR_FORMAT;
    if (H5Aexists(object, name) > 0)
        opened->set = H5Aopen(object, name, H5P_DEFAULT);
    H5Oclose(object);
    if (opened->set < 0)
        return err_set(ERR_FORMAT, "%s: %s has no attribute '%s'", reader->name, path, name);
    opened->type = H5Aget_type(opened->set);
    opened->space = H5Aget_space(opened->set);
    return 0;
}

static void close_attribute(struct opened *opened)
{
    if (opened->set >= 0)
        H5Aclose(opened->set);
    opened->set = -1;
    close_set(opened);
}

static int read_attribute(struct h5_reader *reader, const char *path, const char *name,
                          enum h5_type type, void *value)
{
    struct opened opened;
    char cause[H5_CAUSE_MAX];
    int code = open_attribute(reader, path, name, &opened);
    if (code < 0)
        return code;
    if (type_of(opened.type) != (int)type || count_of(opened.space) != 1)
        code = err_set(ERR_FORMAT, "%s: attribute %s of %s is not one %s", reader->name, name, path,
                       h5_type_name(type));
    else if (H5Aread(opened.set, h5_memory_type(type), value) < 0)
        code = err_set(ERR_FORMAT, "%s: cannot read attribute %s of %s: %s", reader->name, name,
                       path, h5_cause(cause));
    close_attribute(&opened);
    return code;
}

int h5_read_attr_int(struct h5_reader *reader, const char *path, const char *name, int64_t *value)
{
    return read_attribute(reader, path, name, H5FILE_I64, value);
}

int h5_read_attr_real(struct h5_reader *reader, const char *path, const char *name, double *value)
{
    return read_attribute(reader, path, name, H5FILE_F64, value);
}

char *h5_read_attr_text(struct h5_reader *reader, const char *path, const char *name)
{
    struct opened opened;
    if (open_attribute(reader, path, name, &opened) < 0)
        return NULL;
    size_t size = text_size(reader, opened.type, opened.space, H5Aget_storage_size(opened.set));
    char *text = new_text(reader, name, size);
    if (text && H5Aread(opened.set, opened.type, text) < 0)
        text = lost_text(reader, name, text);
    close_attribute(&opened);
    return text;
}

char *h5_read_axis(struct h5_reader *reader, const char *path, int dim)
{
    struct opened opened;
    char cause[H5_CAUSE_MAX];
    if (open_set(reader, path, &opened) < 0)
        return NULL;
    unsigned axis = (unsigned)dim;
    int rank = H5Sget_simple_extent_ndims(opened.space);
    ssize_t size = dim >= 0 && dim < rank ? H5DSget_label(opened.set, axis, NULL, 0) : 0;
    char *label = NULL;
    if (size < 0)
        err_set(ERR_FORMAT, "%s: cannot read the axes of %s: %s", reader->name, path,
                h5_cause(cause));
    else if (size == 0)
        err_set(ERR_FORMAT, "%s: axis %d of %s has no name", reader->name, dim, path);
    else if ((size_t)size < reader->size)
        label = new_text(reader, path, (size_t)size);
    if (label && H5DSget_label(opened.set, axis, label, (size_t)size + 1) != size)
        label = lost_text(reader, path, label);
    close_set(&opened);
    return label;
}

// --- walking

struct walk {
    struct h5_reader *reader;
    int (*visit)(void *context, const char *path);
    void *context;
    char path[H5_PATH_MAX]; // of the object at hand
};

static int walk_object(struct walk *walk, int depth);

// Puts the name of link `i` of `group` after the first `length` bytes of the path.
static int append_name(struct walk *walk, hid_t group, hsize_t i, size_t length)
{
    size_t used = length;
    if (used > 1) // "/" needs no second slash
        walk->path[used++] = '/';
    size_t room = sizeof walk->path - used;
    ssize_t n = H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, walk->path + used,
                                   room, H5P_DEFAULT);
    if (n <= 0 || (size_t)n >= room) {
        walk->path[length] = '\0';
        return err_set(ERR_FORMAT, "%s: a name in %s cannot be read", walk->reader->name,
                       walk->path);
    }
    return 0;
}

static int walk_group(struct walk *walk, hid_t group, int depth)
{
    H5G_info_t info;
    size_t length = strlen(walk->path);
    if (depth >= MAX_DEPTH || length + 2 >= sizeof walk->path || H5Gget_info(group, &info) < 0)
        return err_set(ERR_FORMAT, "%s: cannot list %s", walk->reader->name, walk->path);
    int code = 0;
    for (hsize_t i = 0; code == 0 && i < info.nlinks; i++) {
        code = append_name(walk, group, i, length);
        if (code == 0)
            code = walk_object(walk, depth + 1);
        walk->path[length] = '\0';
    }
    return code;
}

static int walk_object(struct walk *walk, int depth)
{
    hid_t object = open_object(walk->reader, walk->path);
    if (object < 0)
        return ERR_FORMAT;
    H5I_type_t kind = H5Iget_type(object);
    int code = 0;
    if (kind == H5I_GROUP)
        code = walk_group(walk, object, depth);
    H5Oclose(object);
    return kind == H5I_DATASET ? walk->visit(walk->context, walk->path) : code;
}

int h5_walk(struct h5_reader *reader, const char *path,
            int (*visit)(void *context, const char *path), void *context)
{
    struct walk *walk = calloc(1, sizeof *walk);
    if (!walk)
        return err_set(ERR_MEMORY, "out of memory to list %s", reader->name);
    walk->reader = reader;
    walk->visit = visit;
    walk->context = context;
    int code = 0;
    if (strlen(path) >= sizeof walk->path)
        code = err_set(ERR_FORMAT, "%s: a path is too long", reader->name);
    else
        strcpy(walk->path, path);
    if (code == 0)
        code = walk_object(walk, 0);
    free(walk);
    return code;
}
