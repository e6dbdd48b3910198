// HDF5 files of ours: built in memory, sealed with a digest, published by rename.
//
// Only h5file*.c of this folder include hdf5.h. A file is written as an image in memory (core
// driver, format V18, contiguous, fixed-length strings, no times), preceded by a 512-byte user
// block that holds its length and the SHA-256 of everything after; then temporary file, fsync,
// rename, fsync of the folder. It is read back only after the digest was checked, so damage is
// found and never believed.
#ifndef POSGRAD_H5FILE_H
#define POSGRAD_H5FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum h5_type { H5FILE_F32, H5FILE_F64, H5FILE_I32, H5FILE_I64, H5FILE_TYPES };

// --- writing
struct h5_writer;
// Starts a file in memory. NULL (err_set) when memory is short.
struct h5_writer *h5_writer_new(void);
void h5_writer_free(struct h5_writer *writer); // also after a publish; drops what was not published
// Paths are absolute, "/params/layers/0/attn/q/weight"; groups are made as needed. Errors are
// sticky: the first one is reported by h5_writer_publish.
void h5_write(struct h5_writer *writer, const char *path, enum h5_type type, int dims,
              const int64_t *size, const void *data);
void h5_write_text(struct h5_writer *writer, const char *path, const char *text);
// Attributes of the object at `path` ("/" is the file).
void h5_attr_text(struct h5_writer *writer, const char *path, const char *name, const char *text);
void h5_attr_int(struct h5_writer *writer, const char *path, const char *name, int64_t value);
void h5_attr_real(struct h5_writer *writer, const char *path, const char *name, double value);
// Labels axis `dim` of the dataset at `path` and attaches the dataset at `scale_path` to it as a
// dimension scale (making it one, named `label`, where it is not yet).
void h5_attach_scale(struct h5_writer *writer, const char *path, int dim, const char *label,
                     const char *scale_path);
// The bytes of the finished file, sealed, in a malloc'ed block; the line of an error names
// `file_path`, which is not touched.
int h5_writer_image(struct h5_writer *writer, const char *file_path, unsigned char **bytes,
                    size_t *size);
// The image, published to `file_path`, atomically; replaces what is there. On failure the old file
// stays, no temporary file stays, and the line names file and cause.
int h5_writer_publish(struct h5_writer *writer, const char *file_path);

// --- reading
struct h5_reader;
// Reads the whole file, checks length and digest, opens it from memory. NULL with the reason
// (missing, no posgrad file, truncated, damaged).
struct h5_reader *h5_reader_open(const char *file_path);
void h5_reader_close(struct h5_reader *reader);
bool h5_has(struct h5_reader *reader, const char *path);
// Rank and sizes of a dataset; ERR_FORMAT when it is not there or has more than `max_dims`
// dimensions.
int h5_shape(struct h5_reader *reader, const char *path, enum h5_type *type, int *dims,
             int64_t *size, int max_dims);
// Reads a dataset that must have exactly this type and element count into `data`.
int h5_read(struct h5_reader *reader, const char *path, enum h5_type type, int64_t count,
            void *data);
// A malloc'ed copy of a text dataset, or NULL.
char *h5_read_text(struct h5_reader *reader, const char *path);
int h5_read_attr_int(struct h5_reader *reader, const char *path, const char *name, int64_t *value);
int h5_read_attr_real(struct h5_reader *reader, const char *path, const char *name, double *value);
char *h5_read_attr_text(struct h5_reader *reader, const char *path, const char *name); // malloc'ed
// The label of axis `dim` of a dataset, malloc'ed; NULL (err_set) where it has none.
char *h5_read_axis(struct h5_reader *reader, const char *path, int dim);
// Calls visit for every dataset under `path` in order of name, with its full path; stops and
// returns the first non-zero result.
int h5_walk(struct h5_reader *reader, const char *path,
            int (*visit)(void *context, const char *path), void *context);

// The version of libhdf5 at run time, "1.10.8".
void h5_library_version(char *text, size_t size);

// --- shared by every file that posgrad writes
// Writes `size` bytes to `path` through "<path>.tmp": write, fsync, rename, fsync of the folder.
// Mode 0644 less umask. On failure the old file stays and the temporary file is removed; only when
// the folder's sync fails is the new file there already, and the line says so. Of a symbolic link
// the target is replaced; a device or FIFO is written into, without any of this. A limit on file
// size (ulimit -f) also raises SIGXFSZ: programs must ignore it, or they end before the error.
int file_publish(const char *path, const void *bytes, size_t size);
// All of `size` bytes to an open file, however many calls that takes; -1 with errno.
int file_write_all(int fd, const void *bytes, size_t size);
// The whole file in a malloc'ed block, a NUL after it; at most `limit` bytes.
int file_read(const char *path, size_t limit, char **bytes, size_t *size);

#endif
