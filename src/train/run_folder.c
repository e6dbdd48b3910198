// The run folder. The lock is a flock on the folder itself: it goes with the process, however that
// ends, so that nothing has to be taken over from a dead owner, and no file of it can be left
// behind.
//
// On NFS and its like the flock of a folder is known to one machine alone. metrics.jsonl, which is
// open for writing as long as a run lasts and is never replaced, is locked as well: of that Linux
// makes a lock of the server (flock(2)), which keeps other machines out, and which the server drops
// when the machine that has it is gone. Where a file system has no locks that second one is
// missing.
#include "run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/options.h"
#include "../../autograd/base/retry.h"
#include "../io/h5file.h"
#include "../io/json_memory.h"
#include "tensorboard.h"

int run_folders_make(const char *folder)
{
    char path[OPTION_TEXT];
    size_t length = strlen(folder);
    if (length == 0 || length >= sizeof path)
        return err_set(ERR_ARGUMENT, "the name of the run folder is empty or too long");
    strcpy(path, folder);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        path[i] = '\0';
        if (mkdir(path, 0777) < 0 && errno != EEXIST)
            return err_set(ERR_FILE, "cannot make the folder %s: %s", path, strerror(errno));
        path[i] = i < length ? '/' : '\0';
    }
    return 0;
}

// The process that has the flock of what `fd` is, as Linux tells it; 0 where it does not.
static int holder(int fd)
{
    char line[256];
    struct stat info;
    int found = 0;
    FILE *file = fstat(fd, &info) == 0 ? fopen("/proc/locks", "re") : NULL;
    while (file && fgets(line, sizeof line, file)) {
        int pid;
        unsigned major_of, minor_of;
        unsigned long long inode;
        if (sscanf(line, "%*s FLOCK %*s WRITE %d %x:%x:%llu", &pid, &major_of, &minor_of, &inode) ==
                4 &&
            inode == info.st_ino && makedev(major_of, minor_of) == info.st_dev)
            found = pid;
    }
    if (file)
        fclose(file);
    return found;
}

static int in_use(int fd, const char *folder)
{
    char who[32] = "";
    int pid = holder(fd);
    if (pid > 0)
        snprintf(who, sizeof who, " (pid %d)", pid);
    return err_set(ERR_FILE,
                   "%s is being written by another process%s; wait for it, or give --out-dir",
                   folder, who);
}

// A descriptor of the folder, or -1 with errno.
static int open_folder(const char *folder)
{
    int fd;
    RETRY(fd, open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return fd;
}

int run_folder_lock(const char *folder)
{
    int fd = open_folder(folder);
    if (fd < 0)
        return err_set(ERR_FILE, "cannot open the run folder %s: %s", folder, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    int code = errno == EWOULDBLOCK ? in_use(fd, folder)
                                    : err_set(ERR_FILE, "cannot lock the run folder %s: %s", folder,
                                              strerror(errno));
    close(fd);
    return code;
}

int run_folder_check(int fd, const char *folder)
{
    struct stat ours, there;
    bool found = stat(folder, &there) == 0;
    if ((!found && errno != ENOENT && errno != ENOTDIR) || fstat(fd, &ours) < 0)
        return err_set(ERR_FILE, "cannot look at the run folder %s: %s", folder, strerror(errno));
    if (found && ours.st_dev == there.st_dev && ours.st_ino == there.st_ino)
        return 0;
    return err_set(ERR_FILE, "%s is no longer the folder that the run is in: put that back there",
                   folder);
}

// The second lock, of the open metrics.jsonl: 0 also where the file system has no locks.
static int lock_metrics(int metrics, const char *folder)
{
    if (flock(metrics, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return 0;
    return in_use(metrics, folder);
}

// Whether a process on another machine has it.
static int check_metrics(int fd, const char *folder)
{
    int metrics = openat(fd, "metrics.jsonl", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    int code = metrics < 0 ? 0 : lock_metrics(metrics, folder);
    if (metrics >= 0)
        close(metrics);
    return code;
}

// --- elder checkpoints: checkpoint-STEP.h5

// The step in the name of an elder checkpoint, or -1.
static int64_t elder_step(const char *name)
{
    static const char head[] = "checkpoint-";
    size_t length = sizeof head - 1, digits = 0;
    if (strncmp(name, head, length) != 0)
        return -1;
    name += length;
    digits = strspn(name, "0123456789");
    return digits > 0 && digits < 19 && strcmp(name + digits, ".h5") == 0 ? strtoll(name, NULL, 10)
                                                                          : -1;
}

static void elder_name(char name[64], int64_t step)
{
    snprintf(name, 64, "checkpoint-%lld.h5", (long long)step);
}

// The greatest step below `below` that an elder checkpoint has, or -1. ERR_FILE is less than -1.
static int64_t next_elder(const char *folder, int64_t below)
{
    int64_t best = -1;
    DIR *dir = opendir(folder);
    if (!dir)
        return err_set(ERR_FILE, "cannot list the run folder %s: %s", folder, strerror(errno));
    for (struct dirent *entry; (entry = readdir(dir));) {
        int64_t step = elder_step(entry->d_name);
        if (step < below && step > best)
            best = step;
    }
    closedir(dir);
    return best;
}

// Where there are no hard links, a copy.
static int copy_elder(const char *folder, const char *name)
{
    char from[OPTION_TEXT + 64], to[OPTION_TEXT + 80], *bytes;
    size_t size;
    snprintf(from, sizeof from, "%s/checkpoint.h5", folder);
    snprintf(to, sizeof to, "%s/%s", folder, name);
    int code = file_read(from, SIZE_MAX - 1, &bytes, &size);
    if (code < 0)
        return code;
    code = file_publish(to, bytes, size);
    free(bytes);
    return code;
}

int run_folder_keep(int fd, const char *folder, int64_t step)
{
    char name[64];
    static const char temporary[] = "checkpoint-elder.h5.tmp";
    elder_name(name, step);
    unlinkat(fd, temporary, 0);
    if (linkat(fd, "checkpoint.h5", fd, temporary, 0) < 0)
        return errno == ENOENT ? 0 : copy_elder(folder, name);
    int code = 0;
    if (renameat(fd, temporary, fd, name) < 0)
        code = err_set(ERR_FILE, "cannot keep %s/%s: %s", folder, name, strerror(errno));
    unlinkat(fd, temporary, 0); // rename leaves it where both names are of one file already
    return code;
}

int run_folder_prune(int fd, const char *folder, int64_t step, int64_t count)
{
    for (int64_t elder = step, n = 1; (elder = next_elder(folder, elder)) >= 0; n++) {
        char name[64];
        elder_name(name, elder);
        if (n > count && unlinkat(fd, name, 0) < 0 && errno != ENOENT)
            return err_set(ERR_FILE, "cannot remove %s/%s: %s", folder, name, strerror(errno));
    }
    return 0;
}

// --- what kills leave behind

// Whether it is the name of a file that was being written.
static bool is_temporary(const char *name)
{
    static const char *const files[] = {"checkpoint.h5.tmp", "best.h5.tmp",
                                        "checkpoint-elder.h5.tmp", "config.json.tmp"};
    static const char tail[] = ".tmp";
    char stem[64];
    size_t length = strlen(name), end = sizeof tail - 1;
    if (name_index(files, sizeof files / sizeof files[0], name) >= 0)
        return true;
    if (length < end || length - end >= sizeof stem || strcmp(name + length - end, tail) != 0)
        return false;
    memcpy(stem, name, length - end);
    stem[length - end] = '\0';
    return elder_step(stem) >= 0;
}

static int remove_files(int fd, const char *folder, bool (*goes)(const char *name))
{
    int code = 0;
    DIR *dir = opendir(folder);
    if (!dir)
        return err_set(ERR_FILE, "cannot list the run folder %s: %s", folder, strerror(errno));
    for (struct dirent *entry; code == 0 && (entry = readdir(dir));)
        if (goes(entry->d_name) && unlinkat(fd, entry->d_name, 0) < 0 && errno != ENOENT)
            code = err_set(ERR_FILE, "cannot remove %s/%s: %s", folder, entry->d_name,
                           strerror(errno));
    closedir(dir);
    return code;
}

int run_folder_tidy(int fd, const char *folder, int64_t step, int64_t count)
{
    int code = remove_files(fd, folder, is_temporary);
    int pruned = run_folder_prune(fd, folder, step, count);
    return code < 0 ? code : pruned;
}

// 1 when there is nothing in the folder, or what a run left that was killed before it began.
static int is_empty(const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return err_set(ERR_FILE, "cannot list the run folder %s: %s", folder, strerror(errno));
    int empty = 1;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, "config.json.tmp") != 0)
            empty = 0;
    closedir(dir);
    return empty;
}

// --- overwriting

// Whether the files are of a run: somebody else's folder may hold a checkpoint.h5 or a config.json,
// too.
static int check_is_run(int fd, const char *folder)
{
    char path[OPTION_TEXT + 32], *text = NULL;
    size_t size;
    bool any = false;
    static const char *const files[] = {"checkpoint.h5", "best.h5", "metrics.jsonl", "config.json"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        any = any || faccessat(fd, files[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    if (!any)
        return 0;
    snprintf(path, sizeof path, "%s/config.json", folder);
    unsigned long failures = json_memory_failures();
    int code = file_kind(path, true);
    if (code > FILE_NOTHING)
        code = file_read(path, 1 << 20, &text, &size);
    json_t *config = code == 0 && text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    if (code == 0)
        code = json_memory_check(failures);
    if (code < 0) {
        json_decref(config);
        return code;
    }
    bool ours = json_is_string(json_object_get(config, "pe")) &&
                json_is_string(json_object_get(config, "task"));
    json_decref(config);
    return ours
               ? 0
               : err_set(ERR_FILE,
                         "%s holds files that --overwrite would remove, and its config.json is not "
                         "that of a run; give another --out-dir, or remove them yourself",
                         folder);
}

static int remove_run(int fd, const char *folder)
{
    // The checkpoints go first: whatever stops this half way, no state is left beside another's
    // config.
    static const char *const files[] = {"checkpoint.h5", "best.h5", "metrics.jsonl", "config.json"};
    int code = check_is_run(fd, folder);
    if (code == 0)
        code = check_metrics(fd, folder);
    if (code == 0)
        code = run_folder_tidy(fd, folder, INT64_MAX, 0);
    if (code == 0)
        code = remove_files(fd, folder, tensorboard_is_file);
    for (size_t i = 0; i < sizeof files / sizeof files[0] && code == 0; i++)
        if (unlinkat(fd, files[i], 0) < 0 && errno != ENOENT)
            code = err_set(ERR_FILE, "cannot remove %s/%s: %s", folder, files[i], strerror(errno));
    return code;
}

int run_folder_create(const char *folder, bool overwrite)
{
    int code = run_folders_make(folder);
    if (code < 0)
        return code;
    int fd = run_folder_lock(folder);
    if (fd < 0)
        return fd;
    if (overwrite) {
        code = remove_run(fd, folder);
    } else {
        code = is_empty(folder);
        if (code == 0)
            code = err_set(ERR_FILE,
                           "%s is there already; go on with --resume %s, or give --overwrite or "
                           "another --out-dir",
                           folder, folder);
    }
    if (code >= 0)
        return fd;
    close(fd);
    return code;
}

enum run_folder_state run_folder_look(const char *folder)
{
    int fd = open_folder(folder);
    if (fd < 0)
        return RUN_FOLDER_NONE;
    bool saved = faccessat(fd, "checkpoint.h5", F_OK, 0) == 0;
    bool best = faccessat(fd, "best.h5", F_OK, 0) == 0;
    bool begun = faccessat(fd, "config.json", F_OK, 0) == 0;
    begun = begun && !best && next_elder(folder, INT64_MAX) < 0;
    close(fd);
    return saved ? RUN_FOLDER_SAVED : begun ? RUN_FOLDER_BEGUN : RUN_FOLDER_NONE;
}

// Whether a line is one of what the checkpoint of `step` knows.
static bool is_known(const json_t *line, int64_t step, bool evaluated)
{
    const json_t *at = json_object_get(line, "step");
    const char *split = json_string_value(json_object_get(line, "split"));
    if (!json_is_integer(at))
        return false;
    bool training = split && strcmp(split, "train") == 0;
    return json_integer_value(at) <= (training || evaluated ? step : step - 1);
}

// Bytes of the leading lines that are whole, are JSON and known; a code where not all could be
// looked at.
static int64_t kept_bytes(FILE *file, const char *path, int64_t step, bool evaluated)
{
    unsigned long failures = json_memory_failures();
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    int64_t kept = 0;
    while ((length = getline(&line, &capacity, file)) > 0) {
        json_t *object = line[length - 1] == '\n' ? json_loadb(line, (size_t)length, 0, NULL)
                                                  : NULL;
        bool keep = is_known(object, step, evaluated);
        json_decref(object);
        if (!keep)
            break;
        kept += length;
    }
    int cause = errno;
    free(line);
    if (length < 0 && !feof(file))
        return err_set(cause == ENOMEM ? ERR_MEMORY : ERR_FILE, "cannot read %s: %s", path,
                       strerror(cause));
    return json_memory_check(failures) < 0 ? err_prefix(ERR_MEMORY, "%s", path) : kept;
}

static int cut_metrics(int fd, const char *path, int64_t step, bool evaluated, int64_t *size)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return err_set(ERR_FILE, "cannot read %s: %s", path, strerror(errno));
    int64_t kept = kept_bytes(file, path, step, evaluated);
    fclose(file);
    if (kept < 0)
        return (int)kept;
    int result;
    RETRY(result, ftruncate(fd, kept));
    *size = kept;
    return result == 0 ? 0
                       : err_set(ERR_FILE, "cannot cut %s back to step %lld: %s", path,
                                 (long long)step, strerror(errno));
}

int run_folder_metrics(const char *folder, int64_t step, bool evaluated, int64_t *size)
{
    char path[OPTION_TEXT + 32];
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    int fd;
    RETRY(fd, open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
    if (fd < 0)
        return err_set(ERR_FILE, "cannot open %s: %s", path, strerror(errno));
    int code = lock_metrics(fd, folder);
    if (code == 0)
        code = cut_metrics(fd, path, step, evaluated, size);
    if (code == 0)
        return fd;
    close(fd);
    return code;
}
