// Whole files in and out: a reader sees the old file or the new one, never a part.
//
// The new bytes go to "<path>.tmp", are synced, and take the old name by rename; then the folder is
// synced, so that the new name survives a power cut. The temporary name is fixed: a killed save
// leaves at most one, and the next save reuses it. Two writers of one path must exclude each other
// (the run folder's lock does).
//
// A full disk or quota is an error from write. Where a limit on file size is set, the kernel also
// sends SIGXFSZ, which ends the process before write can return: programs must ignore that signal.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/retry.h"
#include "h5file.h"

// Linux writes at most 2 GiB a call; smaller pieces also let a signal be seen between them. Parts
// of a file that are shorter than GATHER go out together. After so many bytes the disk begins with
// them, while the next are copied.
enum { WRITE_PIECE = 1 << 28, GATHER = 1 << 15, BEGIN_AFTER = 1 << 23 };

// What is to be written.
struct parts {
    const struct file_part *part;
    size_t count;
};

int file_kind(const char *path, bool follow)
{
    struct stat status;
    if ((follow ? stat(path, &status) : lstat(path, &status)) == 0)
        return S_ISDIR(status.st_mode) ? FILE_FOLDER : FILE_OTHER;
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case EACCES:
        return FILE_NOTHING;
    default:
        return err_set(ERR_FILE, "cannot look at %s: %s", path, strerror(errno));
    }
}

int file_write_all(int fd, const void *bytes, size_t size)
{
    const char *from = bytes;
    while (size > 0) {
        ssize_t n;
        RETRY(n, write(fd, from, size < WRITE_PIECE ? size : WRITE_PIECE));
        if (n < 0)
            return -1;
        if (n == 0) { // no progress and no error: as full
            errno = ENOSPC;
            return -1;
        }
        from += n;
        size -= (size_t)n;
    }
    return 0;
}

static int write_parts(int fd, struct parts parts)
{
    char gathered[4 * GATHER];
    size_t used = 0, waiting = 0;
    for (size_t i = 0; i < parts.count; i++) {
        const struct file_part *part = &parts.part[i];
        bool small = part->size < GATHER;
        waiting += part->size;
        if (waiting >= BEGIN_AFTER) {
            sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE); // how it went is for fsync to say
            waiting = 0;
        }
        if (!small || used + part->size > sizeof gathered) {
            if (file_write_all(fd, gathered, used) < 0)
                return -1;
            used = 0;
        }
        if (small && part->size > 0) {
            memcpy(gathered + used, part->bytes, part->size);
            used += part->size;
        } else if (file_write_all(fd, part->bytes, part->size) < 0) {
            return -1;
        }
    }
    return file_write_all(fd, gathered, used);
}

static int open_retry(const char *path, int flags)
{
    int fd;
    RETRY(fd, open(path, flags | O_CLOEXEC, 0644));
    return fd;
}

static int sync_retry(int fd)
{
    int result;
    RETRY(result, fsync(fd));
    return result;
}

// An interrupted close has closed, and what was synced before is safe.
static int close_once(int fd)
{
    int result = close(fd);
    return result < 0 && errno == EINTR ? 0 : result;
}

// Writes and syncs `temporary`. A failed fsync is final: the kernel may have dropped the pages, and
// a second one would lie.
static int write_temporary(const char *temporary, struct parts parts)
{
    int fd = open_retry(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW);
    if (fd < 0)
        return err_set(ERR_FILE, "cannot create %s: %s", temporary, strerror(errno));
    const char *verb = NULL;
    if (write_parts(fd, parts) < 0)
        verb = "write";
    else if (sync_retry(fd) < 0)
        verb = "sync";
    int error = errno;
    if (close_once(fd) < 0 && !verb) {
        verb = "close";
        error = errno;
    }
    if (!verb)
        return 0;
    unlink(temporary);
    return err_set(ERR_FILE, "cannot %s %s: %s; what was there before is unchanged", verb,
                   temporary, strerror(error));
}

// Syncs the folder that holds `path`; `folder` is scratch of at least strlen(path) + 2 bytes. Some
// file systems cannot sync a folder and say EINVAL; there is nothing more to do on those.
static int sync_folder(const char *path, char *folder)
{
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) + 1 : 0;
    memcpy(folder, path, size);
    strcpy(folder + size, size ? "" : ".");
    int fd = open_retry(folder, O_RDONLY | O_DIRECTORY);
    int result = fd < 0 ? -1 : sync_retry(fd);
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (result < 0 && error != EINVAL)
        return err_set(ERR_FILE,
                       "wrote %s, but cannot sync its folder: %s; a power cut may lose it", path,
                       strerror(error));
    return 0;
}

int file_sync_folder(const char *path)
{
    char *folder = malloc(strlen(path) + 2);
    if (!folder)
        return err_set(ERR_MEMORY, "out of memory for the name of %s", path);
    int code = sync_folder(path, folder);
    free(folder);
    return code;
}

static int publish_regular(const char *path, struct parts parts)
{
    size_t length = strlen(path);
    char *temporary = malloc(length + sizeof ".tmp");
    if (!temporary)
        return err_set(ERR_MEMORY, "out of memory for the name of %s", path);
    memcpy(temporary, path, length);
    strcpy(temporary + length, ".tmp");
    int code = write_temporary(temporary, parts);
    if (code == 0 && rename(temporary, path) < 0) {
        code = err_set(ERR_FILE, "cannot rename %s to %s: %s", temporary, path, strerror(errno));
        unlink(temporary);
    }
    if (code == 0)
        code = sync_folder(path, temporary);
    free(temporary);
    return code;
}

// A device or a FIFO is written into: a file renamed to its name would take its place. Opening one
// may wait, and a signal comes in between.
static int write_special(const char *path, struct parts parts)
{
    int fd = open_retry(path, O_WRONLY | O_NOCTTY);
    if (fd < 0)
        return err_set(ERR_FILE, "cannot open %s: %s", path, strerror(errno));
    int error = write_parts(fd, parts) < 0 ? errno : 0;
    if (close_once(fd) < 0 && !error)
        error = errno;
    return error ? err_set(ERR_FILE, "cannot write %s: %s", path, strerror(error)) : 0;
}

// What a symbolic link leads to is replaced, not the link; one that leads nowhere is an error, as
// nothing could be put in its target's place atomically.
static int publish_through_link(const char *path, struct parts parts)
{
    char *target = realpath(path, NULL);
    if (!target)
        return err_set(ERR_FILE, "cannot follow the link %s: %s", path, strerror(errno));
    int code = publish_regular(target, parts);
    free(target);
    return code;
}

int file_publish_parts(const char *path, const struct file_part *part, size_t count)
{
    const struct parts parts = {part, count};
    struct stat target, link;
    size_t length = strlen(path);
    if (length && path[length - 1] == '/')
        return err_set(ERR_FILE, "%s is the name of a folder, and a file is wanted", path);
    bool there = stat(path, &target) == 0;
    if (there && S_ISDIR(target.st_mode))
        return err_set(ERR_FILE, "%s is a folder, and a file is wanted", path);
    if (there && !S_ISREG(target.st_mode))
        return write_special(path, parts);
    if (lstat(path, &link) == 0 && S_ISLNK(link.st_mode))
        return publish_through_link(path, parts);
    return publish_regular(path, parts);
}

int file_publish(const char *path, const void *bytes, size_t size)
{
    return file_publish_parts(path, &(struct file_part){bytes, size}, 1);
}

// Bytes read into `bytes`, at most `size`; -1 with errno.
static ssize_t read_all(int fd, char *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        size_t want = size - done < WRITE_PIECE ? size - done : WRITE_PIECE;
        ssize_t n;
        RETRY(n, read(fd, bytes + done, want));
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

// The size of the open file, or a code: only regular files have one that means anything.
static int regular_size(int fd, const char *path, size_t limit, size_t *size)
{
    struct stat info;
    if (fstat(fd, &info) < 0)
        return err_set(ERR_FILE, "cannot read %s: %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode))
        return err_set(ERR_FILE, "%s is a folder, and a file is wanted", path);
    if (!S_ISREG(info.st_mode))
        return err_set(ERR_FILE, "%s is not a regular file", path);
    if ((uint64_t)info.st_size > limit || (uint64_t)info.st_size >= SIZE_MAX)
        return err_set(ERR_FILE, "%s has %lld bytes, and at most %zu are read", path,
                       (long long)info.st_size, limit);
    *size = (size_t)info.st_size;
    return 0;
}

int file_read_open(int fd, const char *path, size_t limit, char **bytes, size_t *size)
{
    size_t expected = 0;
    int code = regular_size(fd, path, limit, &expected);
    if (code < 0)
        return code;
    char *block = malloc(expected + 1);
    if (!block)
        return err_set(ERR_MEMORY, "out of memory for the %zu bytes of %s", expected, path);
    ssize_t n = read_all(fd, block, expected);
    if (n < 0 || (size_t)n != expected) {
        code = n < 0 ? err_set(ERR_FILE, "cannot read %s: %s", path, strerror(errno))
                     : err_set(ERR_FILE, "%s became shorter while it was read; try again", path);
        free(block);
        return code;
    }
    block[expected] = '\0';
    *bytes = block;
    *size = expected;
    return 0;
}

int file_read(const char *path, size_t limit, char **bytes, size_t *size)
{
    *bytes = NULL;
    *size = 0;
    // O_NONBLOCK: opening a FIFO must not wait for a writer that never comes.
    int fd = open_retry(path, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return err_set(ERR_FILE, "cannot open %s: %s", path, strerror(errno));
    int code = file_read_open(fd, path, limit, bytes, size);
    close(fd);
    return code;
}
