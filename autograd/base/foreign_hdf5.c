// Strangers' HDF5: the look behind the wall, the check of what it says, and the elements.
#include "foreign_hdf5.h"

#include <hdf5_hl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "quiet_hdf5.h"
#include "wall.h"

enum { MAX_NAME = 1024 };

// --- behind the wall. Whatever is left open here ends with the child.

struct question {
    const unsigned char *bytes;
    int64_t size;
    int count;
    const char *const *name;
};

static void refuse(struct foreign_set *set, enum foreign_fault fault, const char *detail)
{
    set->fault = (int32_t)fault;
    snprintf(set->detail, sizeof set->detail, "%.*s", FOREIGN_DETAIL - 1, detail);
}

static void refuse_with_cause(struct foreign_set *set, enum foreign_fault fault)
{
    char cause[H5_CAUSE_MAX];
    refuse(set, fault, h5_cause(cause));
}

// What kind of link the last part of `path` is; the parts before it are known to be hard.
static bool check_link(hid_t file, const char *path, struct foreign_set *set)
{
    H5L_info_t info;
    char value[MAX_NAME];
    const char *other_file = NULL, *object = NULL;
    unsigned flags;
    if (H5Lget_info(file, path, &info, H5P_DEFAULT) < 0) {
        refuse_with_cause(set, FOREIGN_NO_SET);
        return false;
    }
    if (info.type == H5L_TYPE_HARD)
        return true;
    memset(value, 0, sizeof value);
    bool known = info.u.val_size < sizeof value &&
                 H5Lget_val(file, path, value, sizeof value, H5P_DEFAULT) >= 0;
    if (info.type == H5L_TYPE_SOFT)
        refuse(set, FOREIGN_SOFT_LINK, known ? value : "?");
    else if (info.type == H5L_TYPE_EXTERNAL)
        refuse(set, FOREIGN_EXTERNAL_LINK,
               known && H5Lunpack_elink_val(value, info.u.val_size, &flags, &other_file, &object) >=
                            0
                   ? other_file
                   : "?");
    else
        refuse(set, FOREIGN_STRANGE_LINK, "");
    return false;
}

// "a", "a/b", "a/b/c" of "a/b/c", one after the other.
static bool check_links(hid_t file, const char *name, struct foreign_set *set)
{
    char path[MAX_NAME];
    for (const char *end = name; *end;) {
        end += strspn(end, "/");
        end += strcspn(end, "/");
        int length = snprintf(path, sizeof path, "%.*s", (int)(end - name), name);
        if (length >= (int)sizeof path) {
            refuse(set, FOREIGN_NO_SET, "the name is too long");
            return false;
        }
        if (!check_link(file, path, set))
            return false;
        if (!end[strspn(end, "/")])
            break;
    }
    return true;
}

static void look_at_storage(hid_t data, struct foreign_set *set)
{
    hid_t plan = H5Dget_create_plist(data);
    H5D_layout_t layout = H5Pget_layout(plan);
    int external = H5Pget_external_count(plan);
    char file[FOREIGN_DETAIL] = "?";
    if (external > 0) {
        H5Pget_external(plan, 0, sizeof file - 1, file, NULL, NULL);
        refuse(set, FOREIGN_EXTERNAL_STORAGE, file);
    } else if (layout == H5D_VIRTUAL) {
        H5Pget_virtual_filename(plan, 0, file, sizeof file - 1);
        refuse(set, FOREIGN_VIRTUAL, file);
    } else if (layout != H5D_CONTIGUOUS || external < 0 || H5Pget_nfilters(plan) != 0) {
        refuse(set, FOREIGN_IN_PIECES, "");
    }
}

static bool is_real(hid_t type)
{
    return H5Tequal(type, H5T_IEEE_F32LE) > 0 || H5Tequal(type, H5T_IEEE_F32BE) > 0 ||
           H5Tequal(type, H5T_IEEE_F64LE) > 0 || H5Tequal(type, H5T_IEEE_F64BE) > 0;
}

static bool is_integer(hid_t type)
{
    return H5Tget_class(type) == H5T_INTEGER && H5Tget_offset(type) == 0 &&
           H5Tget_precision(type) == 8 * H5Tget_size(type);
}

static void look_at_type(hid_t data, struct foreign_set *set)
{
    hid_t type = H5Dget_type(data);
    H5T_order_t order = H5Tget_order(type);
    set->element = (int32_t)H5Tget_size(type);
    set->big_endian = order == H5T_ORDER_BE;
    set->kind = FOREIGN_OTHER;
    if (is_real(type))
        set->kind = FOREIGN_REAL;
    else if (is_integer(type) && (order == H5T_ORDER_BE || order == H5T_ORDER_LE))
        set->kind = H5Tget_sign(type) == H5T_SGN_NONE ? FOREIGN_UNSIGNED : FOREIGN_SIGNED;
}

static void look_at_place(hid_t data, struct foreign_set *set)
{
    hid_t space = H5Dget_space(data);
    hsize_t size[FOREIGN_MAX_DIMS], all = 1;
    int dims = H5Sget_simple_extent_type(space) == H5S_SIMPLE ? H5Sget_simple_extent_ndims(space)
                                                              : -1;
    if (dims < 0 || dims > FOREIGN_MAX_DIMS ||
        H5Sget_simple_extent_dims(space, size, NULL) != dims) {
        refuse(set, FOREIGN_NO_ARRAY, "");
        return;
    }
    set->dims = dims;
    for (int i = 0; i < dims; i++) {
        set->size[i] = (int64_t)size[i];
        all = size[i] ? all : 0;
    }
    haddr_t offset = H5Dget_offset(data);
    set->offset = (int64_t)offset;
    if (all == 0)
        set->offset = 0;
    else if (offset == HADDR_UNDEF)
        refuse(set, FOREIGN_NOT_WRITTEN, "");
}

static void look_at(hid_t file, const char *name, struct foreign_set *set)
{
    if (!check_links(file, name, set))
        return;
    hid_t data = H5Dopen2(file, name, H5P_DEFAULT);
    if (data < 0) {
        refuse_with_cause(set, FOREIGN_NO_SET);
        return;
    }
    look_at_storage(data, set);
    if (set->fault == FOREIGN_GOOD)
        look_at_type(data, set);
    if (set->fault == FOREIGN_GOOD)
        look_at_place(data, set);
}

// The image is not written, as the file is opened for reading.
static hid_t open_image(const struct question *question)
{
    return H5LTopen_file_image((void *)(uintptr_t)question->bytes, (size_t)question->size,
                               H5LT_FILE_IMAGE_DONT_COPY | H5LT_FILE_IMAGE_DONT_RELEASE);
}

static void look(const void *context, void *answer)
{
    const struct question *question = context;
    struct foreign_set *set = answer;
    h5_start();
    hid_t file = open_image(question);
    for (int i = 0; i < question->count; i++)
        if (file >= 0)
            look_at(file, question->name[i], &set[i]);
        else if (i == 0)
            refuse_with_cause(&set[i], FOREIGN_NO_FILE);
}

// --- behind the wall, too: what there is

struct listing {
    hid_t file;
    struct foreign_listing *to;
};

// Called for each link; groups are walked once, however many links lead to them.
static herr_t list_link(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    struct listing *listing = context;
    struct foreign_listing *to = listing->to;
    struct foreign_set set = {0};
    (void)group;
    if (info->type != H5L_TYPE_HARD)
        return 0;
    look_at(listing->file, name, &set);
    if (set.fault == FOREIGN_NO_SET) // a group, or a type
        return 0;
    if (to->count == FOREIGN_MAX_LIST || strlen(name) >= FOREIGN_NAME) {
        to->left_out++;
        return 0;
    }
    strcpy(to->entry[to->count].name, name);
    to->entry[to->count++].set = set;
    return 0;
}

static void list(const void *context, void *answer)
{
    const struct question *question = context;
    struct listing listing = {.to = answer};
    char cause[H5_CAUSE_MAX];
    h5_start();
    listing.file = open_image(question);
    if (listing.file < 0 ||
        H5Lvisit(listing.file, H5_INDEX_NAME, H5_ITER_INC, list_link, &listing) < 0)
        snprintf(listing.to->cause, sizeof listing.to->cause, "%.*s", FOREIGN_DETAIL - 1,
                 h5_cause(cause));
}

// --- before it

#define LOST "'%s': dataset '%s' was never written, or is larger than the file"

static int refused(const char *path, const char *name, const struct foreign_set *set)
{
    const char *d = set->detail;
    switch ((enum foreign_fault)set->fault) {
    case FOREIGN_NO_FILE:
        return err_set(ERR_FORMAT, "libhdf5 cannot open '%s': %s", path, d);
    case FOREIGN_NO_SET:
        return err_set(ERR_FORMAT, "'%s' has no dataset '%s' that can be opened (%s)", path, name,
                       d);
    case FOREIGN_SOFT_LINK:
        return err_set(ERR_FORMAT,
                       "'%s': '%s' goes through a soft link to '%s', which is not followed; give "
                       "the name that it leads to",
                       path, name, d);
    case FOREIGN_EXTERNAL_LINK:
        return err_set(ERR_FORMAT,
                       "'%s': '%s' goes through an external link to the file '%s', which is not "
                       "opened",
                       path, name, d);
    case FOREIGN_STRANGE_LINK:
        return err_set(ERR_FORMAT, "'%s': '%s' goes through a link of a strange kind", path, name);
    case FOREIGN_EXTERNAL_STORAGE:
        return err_set(ERR_FORMAT,
                       "'%s': dataset '%s' is kept in another file, '%s', which is not opened",
                       path, name, d);
    case FOREIGN_VIRTUAL:
        return err_set(ERR_FORMAT,
                       "'%s': dataset '%s' is a virtual one, of the file '%s', which is not opened",
                       path, name, d);
    case FOREIGN_IN_PIECES:
        return err_set(ERR_FORMAT,
                       "'%s': dataset '%s' is in pieces or compressed; h5repack -l CONTI -f NONE "
                       "makes a plain copy",
                       path, name);
    case FOREIGN_NO_ARRAY:
        return err_set(ERR_FORMAT, "'%s': dataset '%s' is no array of at most %d dimensions", path,
                       name, FOREIGN_MAX_DIMS);
    case FOREIGN_NOT_WRITTEN:
        return err_set(ERR_FORMAT, LOST, path, name);
    default:
        return err_set(ERR_FORMAT, "'%s': libhdf5 gives no sense for dataset '%s'", path, name);
    }
}

// Whether elements of that many bytes are of that kind.
static bool is_read(const struct foreign_set *set)
{
    int32_t n = set->element;
    if (set->kind == FOREIGN_REAL)
        return n == 4 || n == 8;
    return set->kind != FOREIGN_OTHER && (n == 1 || n == 2 || n == 4 || n == 8);
}

// The bytes of all elements, or -1 where no file could have them.
static int64_t bytes_of(const struct foreign_set *set)
{
    int64_t bytes = set->element;
    if (bytes < 1)
        return -1;
    for (int i = 0; i < set->dims; i++)
        if (set->size[i] < 0 || __builtin_mul_overflow(bytes, set->size[i], &bytes))
            return -1;
    return bytes;
}

int foreign_hdf5_check(const char *path, int64_t size, const char *name, struct foreign_set *set)
{
    set->detail[FOREIGN_DETAIL - 1] = '\0';
    if (set->fault != FOREIGN_GOOD || set->kind < 0 || set->kind >= FOREIGN_KINDS ||
        set->dims < 0 || set->dims > FOREIGN_MAX_DIMS)
        return refused(path, name, set);
    int64_t bytes = bytes_of(set);
    if (bytes < 0 || set->offset < 0 || set->offset > size || bytes > size - set->offset)
        return err_set(ERR_FORMAT, LOST, path, name);
    if (!is_read(set))
        set->kind = FOREIGN_OTHER;
    return 0;
}

// libhdf5 takes little more than its own tables; the file's bytes are there already.
static const struct wall_limits limits = {
    .memory = (int64_t)64 << 20, .seconds = 10, .patience = 60};

int foreign_hdf5_check_list(const char *path, struct foreign_listing *listing)
{
    bool good = listing->count >= 0 && listing->count <= FOREIGN_MAX_LIST;
    listing->cause[FOREIGN_DETAIL - 1] = '\0';
    if (listing->cause[0])
        return err_set(ERR_FORMAT, "libhdf5 cannot open '%s': %s", path, listing->cause);
    for (int i = 0; good && i < listing->count; i++)
        good = listing->entry[i].name[0] && memchr(listing->entry[i].name, '\0', FOREIGN_NAME);
    return good ? 0 : err_set(ERR_FORMAT, "'%s': libhdf5 gives no sense for its datasets", path);
}

int foreign_hdf5_list(const char *path, const unsigned char *bytes, int64_t size,
                      struct foreign_listing *listing)
{
    const struct question question = {.bytes = bytes, .size = size};
    int code = wall_ask(list, &question, &limits, listing, sizeof *listing);
    if (code < 0)
        return err_prefix(code, "'%s' cannot be read with libhdf5", path);
    return foreign_hdf5_check_list(path, listing);
}

int foreign_hdf5_find(const char *path, const unsigned char *bytes, int64_t size, int count,
                      const char *const *name, struct foreign_set *set)
{
    const struct question question = {bytes, size, count, name};
    BUG_ON(count > FOREIGN_MAX_SETS);
    int code = wall_ask(look, &question, &limits, set, (size_t)count * sizeof *set);
    if (code < 0)
        return err_prefix(code, "'%s' cannot be read with libhdf5", path);
    for (int i = 0; i < count && code == 0; i++)
        code = foreign_hdf5_check(path, size, name[i], &set[i]);
    return code;
}

// --- elements

int64_t foreign_set_count(const struct foreign_set *set)
{
    int64_t count = 1;
    for (int i = 0; i < set->dims; i++)
        count *= set->size[i];
    return count;
}

// The bytes of an element as a number, whatever they are.
static uint64_t bits_of(const struct foreign_set *set, const unsigned char *bytes, int64_t i)
{
    const unsigned char *at = bytes + set->offset + i * set->element;
    uint64_t bits = 0;
    for (int k = 0; k < set->element; k++)
        bits = bits << 8 | at[set->big_endian ? k : set->element - 1 - k];
    return bits;
}

int64_t foreign_set_integer(const struct foreign_set *set, const unsigned char *bytes, int64_t i)
{
    uint64_t bits = bits_of(set, bytes, i);
    int unused = 64 - 8 * set->element;
    if (set->kind == FOREIGN_UNSIGNED)
        return bits > INT64_MAX ? INT64_MAX : (int64_t)bits;
    return (int64_t)(bits << unused) >> unused;
}

double foreign_set_real(const struct foreign_set *set, const unsigned char *bytes, int64_t i)
{
    uint64_t bits = bits_of(set, bytes, i);
    union {
        uint32_t bits;
        float number;
    } single = {.bits = (uint32_t)bits};
    union {
        uint64_t bits;
        double number;
    } wide = {.bits = bits};
    return set->element == 4 ? (double)single.number : wide.number;
}
