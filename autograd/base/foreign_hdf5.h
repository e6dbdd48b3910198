// HDF5 files of strangers: where in the file the elements of a dataset lie, and what they are.
//
// libhdf5 crashes on crafted files, and opens other files where one says so. So it looks at a
// stranger's file only behind a wall (see wall.h), in a child process that has the file's bytes and
// nothing else. What comes back are numbers - type, sizes, offset - that are checked against the
// size of the file; the elements are then read here, without libhdf5, from the bytes that are
// mapped.
//
// Refused, by name: what lies in another file (external links and storage, virtual datasets), links
// that are not hard, and elements that are not in one piece (chunks, filters, compact storage).
#ifndef POSGRAD_FOREIGN_HDF5_H
#define POSGRAD_FOREIGN_HDF5_H

#include <stdbool.h>
#include <stdint.h>

enum {
    FOREIGN_MAX_DIMS = 8,
    FOREIGN_MAX_SETS = 4,
    FOREIGN_DETAIL = 160,
    FOREIGN_MAX_LIST = 1024, // datasets of a listing
    FOREIGN_NAME = 256,      // bytes of a name in it, with its NUL
};

enum foreign_kind {
    FOREIGN_OTHER, // neither of the following: not read
    FOREIGN_UNSIGNED,
    FOREIGN_SIGNED,
    FOREIGN_REAL, // IEEE, 4 or 8 bytes
    FOREIGN_KINDS
};

enum foreign_fault {
    FOREIGN_GOOD,
    FOREIGN_NO_FILE,
    FOREIGN_NO_SET,
    FOREIGN_SOFT_LINK,
    FOREIGN_EXTERNAL_LINK,
    FOREIGN_STRANGE_LINK,
    FOREIGN_EXTERNAL_STORAGE,
    FOREIGN_VIRTUAL,
    FOREIGN_IN_PIECES,
    FOREIGN_NO_ARRAY,
    FOREIGN_NOT_WRITTEN,
    FOREIGN_FAULTS
};

// A dataset, as the child says.
struct foreign_set {
    int32_t fault, kind, element, dims; // element: bytes of one; 1, 2, 4 or 8 where it is read
    int32_t big_endian;
    int64_t size[FOREIGN_MAX_DIMS], offset;
    char detail[FOREIGN_DETAIL]; // of the fault: a file, a name, libhdf5's reason
};

// Looks at the datasets `name` of the file that is mapped at `bytes`; `path` is for the line of an
// error, which begins with it. ERR_FORMAT. Not while another thread is inside libhdf5.
int foreign_hdf5_find(const char *path, const unsigned char *bytes, int64_t size, int count,
                      const char *const *name, struct foreign_set *set);

// All datasets of a file that hard links lead to, by their path without the first "/".
struct foreign_listing {
    int32_t count;
    int32_t left_out;           // more than FOREIGN_MAX_LIST, or with a name that is too long
    char cause[FOREIGN_DETAIL]; // where libhdf5 cannot open the file: why
    struct {
        char name[FOREIGN_NAME];
        struct foreign_set set; // not checked yet
    } entry[FOREIGN_MAX_LIST];
};

// Lists the file that is mapped at `bytes`. ERR_FORMAT. What a set says is believed after
// foreign_hdf5_check; names are texts, and may be any.
int foreign_hdf5_list(const char *path, const unsigned char *bytes, int64_t size,
                      struct foreign_listing *listing);
// What is looked at after the child has answered, as it may lie: counts in their range, names that
// end.
int foreign_hdf5_check_list(const char *path, struct foreign_listing *listing);

// What foreign_hdf5_find does with each answer: 0 where it can be of a file of `size` bytes, so
// that all elements lie in it.
int foreign_hdf5_check(const char *path, int64_t size, const char *name, struct foreign_set *set);

// The product of the sizes.
int64_t foreign_set_count(const struct foreign_set *set);
// Element `i` of a set that was found, out of the bytes of the file. Integers beyond int64_t are
// its largest.
int64_t foreign_set_integer(const struct foreign_set *set, const unsigned char *bytes, int64_t i);
double foreign_set_real(const struct foreign_set *set, const unsigned char *bytes, int64_t i);

#endif
