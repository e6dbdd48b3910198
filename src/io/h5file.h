// HDF5 files of ours: laid out, sealed with a digest, published by rename.
//
// A file is plain HDF5 of format V18 (contiguous datasets, fixed-length strings, hard links, no
// filters, no times), preceded by a 512-byte user block that holds its length and the SHA-256 of
// everything after. Its bytes are made by us, without libhdf5 (h5file_layout.c), and go to a
// temporary file; then fsync, rename, fsync of the folder. It is read back only after the digest
// was checked, so damage is found and never believed, and by an index of our own (h5index.h) that
// refuses all that no file of ours has, so libhdf5 never sees a stranger's file.
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
// Paths are absolute and ASCII, "/params/layers/0/attn/q/weight"; groups are made as needed. Errors
// are sticky: the first one is reported by h5_writer_seal and h5_writer_publish.
void h5_write(struct h5_writer *writer, const char *path, enum h5_type type, int dims,
              const int64_t *size, const void *data);
// The same without a copy: `data` stays as it is until the writer is freed or has published it.
void h5_write_lent(struct h5_writer *writer, const char *path, enum h5_type type, int dims,
                   const int64_t *size, const void *data);
enum { H5_TEXT_MAX = 1 << 18 }; // bytes of a text
void h5_write_text(struct h5_writer *writer, const char *path, const char *text);
// Attributes of the object at `path` ("/" is the file). What may be longer than H5_ATTRIBUTE_MAX
// bytes is a dataset's.
enum { H5_ATTRIBUTE_MAX = 4000 };
void h5_attr_text(struct h5_writer *writer, const char *path, const char *name, const char *text);
void h5_attr_int(struct h5_writer *writer, const char *path, const char *name, int64_t value);
void h5_attr_real(struct h5_writer *writer, const char *path, const char *name, double value);
// Labels axis `dim` of the dataset at `path` and attaches the dataset at `scale_path` to it as a
// dimension scale (making it one, named `label`, where it is not yet). An axis has one scale at
// most.
void h5_attach_scale(struct h5_writer *writer, const char *path, int dim, const char *label,
                     const char *scale_path);
// Lays the file out and computes its digest, which publishing does otherwise; nothing that was lent
// may change any more. The line of an error names `file_path`, which is not touched.
int h5_writer_seal(struct h5_writer *writer, const char *file_path);
// Seals the file where it is not, and publishes it to `file_path`, atomically; replaces what is
// there. On failure the old file stays, no temporary file stays, and the line names file and cause.
int h5_writer_publish(struct h5_writer *writer, const char *file_path);
// Seals the file likewise, and gives its bytes, malloc'ed.
int h5_writer_bytes(struct h5_writer *writer, const char *file_path, char **bytes, size_t *size);

// --- reading
struct h5_reader;
// Reads the whole file, checks length and digest, and then its index. NULL with the reason
// (missing, no posgrad file, truncated, damaged, something in it that posgrad never writes).
struct h5_reader *h5_reader_open(const char *file_path);
// The same of bytes in memory, malloc'ed, which the reader takes over, also when it refuses them.
struct h5_reader *h5_reader_take(char *bytes, size_t size, const char *name);
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
// What is at `path`, or where a link leads with `follow`; ERR_FILE where the system does not tell.
// What may not be seen is nothing: whoever opens it is told why.
enum file_kind { FILE_NOTHING, FILE_FOLDER, FILE_OTHER };
int file_kind(const char *path, bool follow);
// All of `size` bytes to an open file, however many calls that takes; -1 with errno.
int file_write_all(int fd, const void *bytes, size_t size);
// The same of bytes that lie in several places.
struct file_part {
    const void *bytes;
    size_t size;
};
int file_publish_parts(const char *path, const struct file_part *part, size_t count);
// Syncs the folder that holds `path`, so that a rename to it outlives a power cut.
int file_sync_folder(const char *path);
// The whole file in a malloc'ed block, a NUL after it; at most `limit` bytes.
int file_read(const char *path, size_t limit, char **bytes, size_t *size);
// The same of an open file, from where it is; `path` is its name in messages.
int file_read_open(int fd, const char *path, size_t limit, char **bytes, size_t *size);

#endif
