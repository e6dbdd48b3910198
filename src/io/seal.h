// The 512-byte user block before the HDF5 bytes of a file: what it is, how long, and its digest.
//
//   0   8  magic "posgrad\n"
//   8   4  format of this block (1), little-endian
//   12  4  length of this block (512)
//   16  8  length of the whole file
//   24  32 SHA-256 of every byte after this block
//   56     zeros
//   480 32 SHA-256 of bytes 0..479
//
// HDF5 skips it; together the two digests cover every byte of the file.
#ifndef POSGRAD_SEAL_H
#define POSGRAD_SEAL_H

#include <stddef.h>

enum { SEAL_SIZE = 512 };

struct file_part; // h5file.h

// Fills the first SEAL_SIZE bytes of `file` to fit the `size - SEAL_SIZE` bytes after them.
void seal_write(unsigned char *file, size_t size);
// The same for a file in parts, of which the first begins at `file` and is no shorter than the
// block.
void seal_parts(unsigned char *file, const struct file_part *part, size_t parts);

// 0 when `file` is whole and as it was written; otherwise ERR_FORMAT with one of: empty, no posgrad
// file, truncated, damaged, newer. `path` is for the message.
int seal_check(const unsigned char *file, size_t size, const char *path);

#endif
