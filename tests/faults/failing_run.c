// One command of the program in a process of its own: see failing_run.h.
#include "failing_run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../src/cli/entry.h"
#include "../../src/io/h5file.h"
#include "../support/check.h"

// --- folders

static void add_file(struct failing_folder *folder, const char *path, const char *name)
{
    assert_true(folder->files < FAILING_FILES);
    struct failing_file *file = &folder->file[folder->files++];
    snprintf(file->name, sizeof file->name, "%s", name);
    check_ok(file_read(path, (size_t)1 << 30, &file->bytes, &file->size));
}

static void read_into(struct failing_folder *folder, const char *path, const char *prefix)
{
    struct dirent **entry;
    int count = scandir(path, &entry, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char whole[1024], name[512];
        struct stat status;
        snprintf(whole, sizeof whole, "%s/%s", path, entry[i]->d_name);
        snprintf(name, sizeof name, "%s%s", prefix, entry[i]->d_name);
        bool dots = strcmp(entry[i]->d_name, ".") == 0 || strcmp(entry[i]->d_name, "..") == 0;
        free(entry[i]);
        if (dots || lstat(whole, &status) < 0)
            continue;
        if (S_ISDIR(status.st_mode)) {
            strcat(name, "/");
            read_into(folder, whole, name);
        } else {
            add_file(folder, whole, name);
        }
    }
    if (count >= 0)
        free(entry);
}

void failing_folder_read(struct failing_folder *folder, const char *path)
{
    memset(folder, 0, sizeof *folder);
    read_into(folder, path, "");
}

// What is in the folder, but not itself: a file system may be mounted there.
static void empty(const char *path)
{
    struct dirent **entry;
    int count = scandir(path, &entry, NULL, NULL);
    for (int i = 0; i < count; i++) {
        char whole[1024];
        bool dots = strcmp(entry[i]->d_name, ".") == 0 || strcmp(entry[i]->d_name, "..") == 0;
        snprintf(whole, sizeof whole, "%s/%s", path, entry[i]->d_name);
        free(entry[i]);
        if (dots || unlink(whole) == 0)
            continue;
        empty(whole);
        assert_int_equal(rmdir(whole), 0);
    }
    if (count >= 0)
        free(entry);
}

static bool write_file(const char *path, const struct failing_file *file)
{
    FILE *out = fopen(path, "w");
    if (!out)
        return false;
    bool good = fwrite(file->bytes, 1, file->size, out) == file->size;
    return fclose(out) == 0 && good;
}

bool failing_folder_write(const struct failing_folder *folder, const char *path)
{
    bool good = mkdir(path, 0777) == 0 || errno == EEXIST;
    empty(path);
    for (int i = 0; i < folder->files; i++) {
        char whole[1024];
        snprintf(whole, sizeof whole, "%s/%s", path, folder->file[i].name);
        for (char *p = whole + strlen(path) + 1; (p = strchr(p, '/')); *p++ = '/') {
            *p = '\0';
            mkdir(whole, 0777);
        }
        good = good && write_file(whole, &folder->file[i]);
    }
    return good;
}

void failing_folder_release(struct failing_folder *folder)
{
    for (int i = 0; i < folder->files; i++)
        free(folder->file[i].bytes);
    folder->files = 0;
}

const struct failing_file *failing_folder_find(const struct failing_folder *folder,
                                               const char *name)
{
    for (int i = 0; i < folder->files; i++)
        if (strcmp(folder->file[i].name, name) == 0)
            return &folder->file[i];
    return NULL;
}

// --- a command

enum { WORDS = 64 };

static int cut(char *text, char *word[WORDS])
{
    int count = 0;
    char *rest = NULL;
    for (char *p = strtok_r(text, " ", &rest); p; p = strtok_r(NULL, " ", &rest)) {
        assert_true(count < WORDS - 1);
        word[count++] = p;
    }
    word[count] = NULL;
    return count;
}

static void set_limit(int which, rlim_t value)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)which, &limit) == 0 && value <= limit.rlim_max)
        limit.rlim_cur = value;
    setrlimit((__rlimit_resource_t)which, &limit);
}

static void become_command(const struct failing_limits *limits, const int stream[2])
{
    static char buffer[1 << 16];
    int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, 0);
    dup2(stream[0], 1);
    dup2(stream[1], 2);
    for (int fd = 3; fd < 256; fd++)
        close(fd);
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    tzset();                  // what the C library keeps from its first use on
    signal(SIGXFSZ, SIG_IGN); // as main() has it
    set_limit(RLIMIT_CORE, 0);
    if (limits && limits->file_size)
        set_limit(RLIMIT_FSIZE, (rlim_t)limits->file_size);
    if (limits && limits->descriptors)
        set_limit(RLIMIT_NOFILE, (rlim_t)limits->descriptors);
    alarm(limits && limits->seconds ? (unsigned)limits->seconds : 60);
}

static void run_child(const char *command, const struct failing_plan *plan,
                      const struct failing_limits *limits, struct failing_report *report,
                      const int stream[2])
{
    static char text[4096];
    char *word[WORDS];
    snprintf(text, sizeof text, "%s", command);
    int count = cut(text, word);
    become_command(limits, stream);
    failing_watch_signals(report);
    failing_arm(plan, report);
    int status = POSGRAD_ENTRY(count, word);
    failing_disarm();
    fflush(stdout);
    set_limit(RLIMIT_NOFILE, 256); // LeakSanitizer opens files of its own
    exit(status);
}

// All that is written to a pipe until its other end is closed.
static char *read_stream(int fd)
{
    size_t size = 0, room = 1 << 12;
    char *text = malloc(room);
    assert_non_null(text);
    for (ssize_t n; (n = read(fd, text + size, room - size - 1)) > 0;) {
        size += (size_t)n;
        if (room - size < 2) {
            room *= 2;
            text = realloc(text, room);
            assert_non_null(text);
        }
    }
    text[size] = '\0';
    close(fd);
    return text;
}

void failing_run(const char *command, const struct failing_plan *plan,
                 const struct failing_limits *limits, struct failing_outcome *outcome)
{
    static struct failing_report *shared;
    if (!shared)
        shared =
            mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    memset(shared, 0, sizeof *shared);
    int out[2], err[2]; // pipes, as a limit on the size of files is not for them
    assert_int_equal(pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC), 0);
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_child(command, plan, limits, shared, (const int[]){out[1], err[1]});
    close(out[1]);
    close(err[1]);
    outcome->out = read_stream(out[0]);
    outcome->err = read_stream(err[0]); // no command fills a pipe with errors
    while (waitpid(child, &outcome->status, 0) < 0)
        assert_int_equal(errno, EINTR);
    outcome->report = shared;
}

void failing_outcome_release(struct failing_outcome *outcome)
{
    free(outcome->out);
    free(outcome->err);
    outcome->out = outcome->err = NULL;
}

int failing_is_posgrad(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[0], "posgrad") != 0)
        return -1;
    signal(SIGXFSZ, SIG_IGN);
    int status = POSGRAD_ENTRY(argc - 1, argv + 1);
    if (fflush(stdout) == 0)
        return status;
    fprintf(stderr, "posgrad: cannot write the output: %s\n", strerror(errno)); // as main does
    return 1;
}
