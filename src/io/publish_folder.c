// Whole folders in: a reader sees the old folder or the new one, never a part.
//
// The files go to "<path>.tmp", which is locked, one by one as file_publish writes them; then the
// folder takes its name by rename, or, where an elder one has it, the two change places and the
// elder one is removed. The first file is the mark of such folders: by it a folder is known to be
// one that may be replaced, or a rest of a write that was killed.
#include "publish_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/retry.h"
#include "h5file.h"

struct folder {
    const struct folder_file *file;
    int count;
    char path[4096], temporary[4096 + 8];
};

static bool is_file_of(const struct folder *folder, const char *name)
{
    for (int i = 0; i < folder->count; i++) {
        size_t length = strlen(folder->file[i].name);
        if (strncmp(name, folder->file[i].name, length) == 0 &&
            (name[length] == '\0' || strcmp(name + length, ".tmp") == 0))
            return true;
    }
    return false;
}

// What is in the folder at `path`: the first name that is no file of ours into `stranger`.
static int look(const struct folder *folder, const char *path, bool *empty, bool *marked,
                char stranger[256])
{
    DIR *stream = opendir(path);
    if (!stream)
        return err_set(ERR_FILE, "cannot read the folder %s: %s", path, strerror(errno));
    *empty = true;
    *marked = false;
    stranger[0] = '\0';
    struct dirent *entry;
    while (errno = 0, (entry = readdir(stream))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        *empty = false;
        size_t mark = strlen(folder->file[0].name);
        *marked |= strncmp(entry->d_name, folder->file[0].name, mark) == 0;
        if (!*stranger && !is_file_of(folder, entry->d_name))
            snprintf(stranger, 256, "%s", entry->d_name);
    }
    int error = errno;
    closedir(stream);
    return error ? err_set(ERR_FILE, "cannot read the folder %s: %s", path, strerror(error)) : 0;
}

// Refuses a folder at `path` that holds anything but files of ours.
static int check_ours(const struct folder *folder, const char *path)
{
    bool empty, marked;
    char stranger[256];
    int code = look(folder, path, &empty, &marked, stranger);
    if (code < 0 || empty)
        return code;
    if (!marked)
        return err_set(ERR_FILE,
                       "%s is a folder that no export has made (it has no %s); give another name",
                       path, folder->file[0].name);
    if (*stranger)
        return err_set(ERR_FILE,
                       "%s holds %s, which no export has made; move it, or give another "
                       "name",
                       path, stranger);
    return 0;
}

static int check_target(const struct folder *folder, bool overwrite)
{
    bool empty, marked;
    char stranger[256];
    int kind = file_kind(folder->path, true);
    if (kind < 0 || kind == FILE_NOTHING)
        return kind < 0 ? kind : 0;
    if (kind == FILE_OTHER)
        return err_set(ERR_FILE,
                       "%s is there already and is no folder, and one is to be written; "
                       "give another name",
                       folder->path);
    int code = look(folder, folder->path, &empty, &marked, stranger);
    if (code < 0 || empty)
        return code;
    code = check_ours(folder, folder->path);
    if (code == 0 && !overwrite)
        code = err_set(ERR_FILE, "%s is there already; give another name, or --overwrite",
                       folder->path);
    return code;
}

// Removes the files of ours in the folder at `path`, and the folder where nothing else is in it.
static void remove_ours(const struct folder *folder, const char *path)
{
    char name[4096 + 512];
    for (int i = folder->count - 1; i >= 0; i--) { // the mark last
        snprintf(name, sizeof name, "%s/%s.tmp", path, folder->file[i].name);
        unlink(name);
        name[strlen(name) - 4] = '\0';
        unlink(name);
    }
    rmdir(path);
}

// Makes the temporary folder and locks it, or takes over the rest of a write that was killed.
// Returns its descriptor.
static int make_temporary(const struct folder *folder)
{
    const char *path = folder->temporary;
    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        return err_set(ERR_FILE, "cannot make the folder %s: %s", path, strerror(errno));
    int fd;
    RETRY(fd, open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd < 0)
        return err_set(ERR_FILE, "cannot open the folder %s: %s", path, strerror(errno));
    int code = 0;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        code = errno == EWOULDBLOCK
                   ? err_set(ERR_FILE,
                             "%s is being written by another process; wait for it, or give "
                             "another name",
                             folder->path)
                   : err_set(ERR_FILE, "cannot lock the folder %s: %s", path, strerror(errno));
    if (code == 0)
        code = check_ours(folder, path);
    if (code < 0) {
        close(fd);
        return code;
    }
    return fd;
}

// The elder folder is beside the new one for a moment where the file system cannot let the two
// change places in one step.
static int change_places(const struct folder *folder)
{
    if (renameat2(AT_FDCWD, folder->temporary, AT_FDCWD, folder->path, RENAME_EXCHANGE) == 0)
        return 0;
    char aside[4096 + 16];
    snprintf(aside, sizeof aside, "%s.old", folder->path);
    if ((errno != EINVAL && errno != ENOSYS) || rename(folder->path, aside) < 0)
        return -1;
    if (rename(folder->temporary, folder->path) == 0)
        return rename(aside, folder->temporary);
    int error = errno;
    rename(aside, folder->path);
    errno = error;
    return -1;
}

static int put_in_place(const struct folder *folder)
{
    if (rename(folder->temporary, folder->path) == 0) // nothing there, or an empty folder
        return file_sync_folder(folder->path);
    if ((errno != ENOTEMPTY && errno != EEXIST) || change_places(folder) < 0) {
        int code = err_set(ERR_FILE, "cannot rename %s to %s: %s", folder->temporary, folder->path,
                           strerror(errno));
        remove_ours(folder, folder->temporary);
        return code;
    }
    int code = file_sync_folder(folder->path);
    remove_ours(folder, folder->temporary); // what was there before
    return code;
}

static int write_files(const struct folder *folder)
{
    char name[4096 + 512];
    int code = 0;
    for (int i = 0; i < folder->count && code == 0; i++) {
        snprintf(name, sizeof name, "%s/%s", folder->temporary, folder->file[i].name);
        code = file_publish(name, folder->file[i].bytes, folder->file[i].size);
    }
    return code;
}

// The name without slashes at its end; of a link where it leads.
static int name_folder(struct folder *folder, const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length + 1 > sizeof folder->path)
        return err_set(ERR_ARGUMENT, "the name of the folder to write is too long");
    memcpy(folder->path, path, length);
    folder->path[length] = '\0';
    struct stat status;
    if (lstat(folder->path, &status) == 0 && S_ISLNK(status.st_mode)) {
        char *target = realpath(folder->path, NULL);
        if (!target)
            return err_set(ERR_FILE, "cannot follow the link %s: %s", folder->path,
                           strerror(errno));
        snprintf(folder->path, sizeof folder->path, "%s", target);
        free(target);
    }
    snprintf(folder->temporary, sizeof folder->temporary, "%s.tmp", folder->path);
    return 0;
}

int folder_check(const char *path, const struct folder_file *file, int count, bool overwrite)
{
    struct folder folder = {.file = file, .count = count};
    int code = name_folder(&folder, path);
    return code < 0 ? code : check_target(&folder, overwrite);
}

int folder_publish(const char *path, const struct folder_file *file, int count, bool overwrite)
{
    struct folder folder = {.file = file, .count = count};
    int code = name_folder(&folder, path);
    if (code == 0)
        code = check_target(&folder, overwrite);
    int fd = code == 0 ? make_temporary(&folder) : code;
    if (fd < 0)
        return fd;
    code = write_files(&folder);
    if (code == 0)
        code = put_in_place(&folder);
    else
        remove_ours(&folder, folder.temporary);
    close(fd);
    return code;
}
