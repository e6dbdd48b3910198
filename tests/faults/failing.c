// System calls and allocations that fail when a test asks for it: see failing.h.
//
// Functions of the C library are replaced by ones of the same name, which the dynamic linker gives
// to libraries as well. An allocation's block is remembered with who asked for it until it is
// freed.
#include "failing.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static struct failing_plan plan;
static struct failing_report *report;
static atomic_bool armed;
static atomic_long calls;
static _Thread_local bool inside; // what is called from here is not counted

// --- who called

// "library+address" of each frame, the innermost first, but for the first `skip`.
static void put_trace(char *text, size_t size, void *const *frame, int frames, int skip)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = skip; i < frames && used < size; i++) {
        Dl_info info;
        bool known = dladdr(frame[i], &info) && info.dli_fname;
        const char *slash = known ? strrchr(info.dli_fname, '/') : NULL;
        const char *file = slash ? slash + 1 : known ? info.dli_fname : "?";
        uintptr_t address = (uintptr_t)frame[i] - (known ? (uintptr_t)info.dli_fbase : 0);
        int length = snprintf(text + used, size - used, "%s%s+0x%lx %s", used ? "\n" : "", file,
                              (unsigned long)address,
                              known && info.dli_sname ? info.dli_sname : "");
        used += length > 0 ? (size_t)length : 0;
    }
}

static void trace_here(char *text, size_t size, int skip)
{
    void *frame[FAILING_FRAMES];
    bool before = inside;
    inside = true;
    int frames = backtrace(frame, FAILING_FRAMES);
    put_trace(text, size, frame, frames, skip);
    inside = before;
}

// From the frame of this address on: how many are before it, a sanitizer's among them, is not
// known.
static void trace_from(char *text, size_t size, const void *address)
{
    void *frame[FAILING_FRAMES];
    bool before = inside;
    int skip = 0;
    inside = true;
    int frames = backtrace(frame, FAILING_FRAMES);
    while (skip < frames && frame[skip] != address)
        skip++;
    put_trace(text, size, frame, frames, skip < frames ? skip : 0);
    inside = before;
}

static void on_end(int number)
{
    if (report && !report->end[0])
        trace_from(report->end, sizeof report->end, __builtin_return_address(0));
    raise(number); // its default, as SA_RESETHAND has it
}

void failing_watch_signals(struct failing_report *to)
{
    static const int ends[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM};
    static char stack[1 << 16];
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = on_end,
                               .sa_flags = (int)(SA_RESETHAND | SA_ONSTACK | SA_NODEFER)};
    report = to;
    trace_here(report->end, sizeof report->end, 0); // what it needs is loaded now
    report->end[0] = '\0';
    sigaltstack(&alternate, NULL);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        sigaction(ends[i], &action, NULL);
}

// --- counting

// Names of open files, by descriptor.
enum { DESCRIPTORS = 256, NAME = 512 };
static char name_of[DESCRIPTORS][NAME];

static const char *path_of(int fd)
{
    return fd >= 0 && fd < DESCRIPTORS ? name_of[fd] : "";
}

// Whether this call is one that fails.
static bool fails(unsigned classes, const char *call, const char *path)
{
    if (!atomic_load(&armed) || inside || !(classes & plan.classes))
        return false;
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (!plan.at || number < plan.at || (number > plan.at && !plan.lasting))
        return false;
    if (number == plan.at) {
        report->classes = classes;
        snprintf(report->call, sizeof report->call, "%s", call);
        snprintf(report->path, sizeof report->path, "%s", path ? path : "");
        trace_here(report->trace, sizeof report->trace, 3);
    }
    report->failed++;
    return true;
}

static bool refuses(unsigned classes, const char *call, const char *path)
{
    if (!plan.error || !fails(classes, call, path))
        return false;
    errno = plan.error;
    return true;
}

// Half of `size`, where this call is one that does not do all.
static size_t portion(const char *call, size_t size, int fd)
{
    return !plan.error && size > 1 && fails(FAILING_MOVE, call, path_of(fd)) ? size / 2 : size;
}

static int opened(int fd, const char *path)
{
    if (fd >= 0 && fd < DESCRIPTORS)
        snprintf(name_of[fd], NAME, "%s", path);
    return fd;
}

// The C library's own function behind one of ours.
#define NEXT(name)                                                                                 \
    static __typeof__(name) *next;                                                                 \
    if (!next) {                                                                                   \
        void *found_ = dlsym(RTLD_NEXT, #name);                                                    \
        memcpy(&next, &found_, sizeof next);                                                       \
    }

// A library may end the process itself.
void exit(int status)
{
    NEXT(exit)
    if (atomic_load(&armed) && report && !report->end[0])
        trace_here(report->end, sizeof report->end, 2);
    next(status);
    _exit(status);
}

// --- system calls

static mode_t mode_of(int flags, va_list list)
{
    bool makes = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
    return makes ? va_arg(list, mode_t) : 0;
}

static unsigned open_classes(int flags)
{
    return FAILING_OPEN | (flags & O_CREAT ? FAILING_CREATE : 0);
}

int open(const char *path, int flags, ...)
{
    NEXT(open)
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return refuses(open_classes(flags), "open", path) ? -1 : opened(next(path, flags, mode), path);
}

int openat(int folder, const char *path, int flags, ...)
{
    NEXT(openat)
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return refuses(open_classes(flags), "openat", path)
               ? -1
               : opened(next(folder, path, flags, mode), path);
}

FILE *fopen(const char *path, const char *mode)
{
    NEXT(fopen)
    unsigned classes = FAILING_STREAM | (mode[0] == 'r' ? 0 : FAILING_CREATE);
    return refuses(classes, "fopen", path) ? NULL : next(path, mode);
}

DIR *opendir(const char *path)
{
    NEXT(opendir)
    return refuses(FAILING_STREAM, "opendir", path) ? NULL : next(path);
}

int close(int fd)
{
    NEXT(close)
    bool bad = refuses(FAILING_CLOSE, "close", path_of(fd));
    int result = next(fd);
    if (bad)
        errno = plan.error;
    return bad ? -1 : result;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    NEXT(write)
    if (refuses(FAILING_WRITE, "write", path_of(fd)))
        return -1;
    return next(fd, bytes, portion("write", size, fd));
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    NEXT(pwrite)
    if (refuses(FAILING_WRITE, "pwrite", path_of(fd)))
        return -1;
    return next(fd, bytes, portion("pwrite", size, fd), at);
}

ssize_t writev(int fd, const struct iovec *piece, int count)
{
    NEXT(writev)
    return refuses(FAILING_WRITE, "writev", path_of(fd)) ? -1 : next(fd, piece, count);
}

int ftruncate(int fd, off_t size)
{
    NEXT(ftruncate)
    return refuses(FAILING_WRITE, "ftruncate", path_of(fd)) ? -1 : next(fd, size);
}

int fallocate(int fd, int mode, off_t at, off_t size)
{
    NEXT(fallocate)
    return refuses(FAILING_WRITE, "fallocate", path_of(fd)) ? -1 : next(fd, mode, at, size);
}

int posix_fallocate(int fd, off_t at, off_t size)
{
    NEXT(posix_fallocate)
    return refuses(FAILING_WRITE, "posix_fallocate", path_of(fd)) ? plan.error : next(fd, at, size);
}

ssize_t read(int fd, void *bytes, size_t size)
{
    NEXT(read)
    if (refuses(FAILING_READ, "read", path_of(fd)))
        return -1;
    return next(fd, bytes, portion("read", size, fd));
}

ssize_t pread(int fd, void *bytes, size_t size, off_t at)
{
    NEXT(pread)
    if (refuses(FAILING_READ, "pread", path_of(fd)))
        return -1;
    return next(fd, bytes, portion("pread", size, fd), at);
}

int fsync(int fd)
{
    NEXT(fsync)
    return refuses(FAILING_SYNC, "fsync", path_of(fd)) ? -1 : next(fd);
}

int fdatasync(int fd)
{
    NEXT(fdatasync)
    return refuses(FAILING_SYNC, "fdatasync", path_of(fd)) ? -1 : next(fd);
}

int mkdir(const char *path, mode_t mode)
{
    NEXT(mkdir)
    return refuses(FAILING_NAME | FAILING_CREATE, "mkdir", path) ? -1 : next(path, mode);
}

int rename(const char *from, const char *to)
{
    NEXT(rename)
    return refuses(FAILING_NAME, "rename", to) ? -1 : next(from, to);
}

int renameat(int a, const char *from, int b, const char *to)
{
    NEXT(renameat)
    return refuses(FAILING_NAME, "renameat", to) ? -1 : next(a, from, b, to);
}

int link(const char *from, const char *to)
{
    NEXT(link)
    return refuses(FAILING_NAME, "link", to) ? -1 : next(from, to);
}

int linkat(int a, const char *from, int b, const char *to, int flags)
{
    NEXT(linkat)
    return refuses(FAILING_NAME, "linkat", to) ? -1 : next(a, from, b, to, flags);
}

int unlink(const char *path)
{
    NEXT(unlink)
    return refuses(FAILING_NAME, "unlink", path) ? -1 : next(path);
}

int unlinkat(int folder, const char *path, int flags)
{
    NEXT(unlinkat)
    return refuses(FAILING_NAME, "unlinkat", path) ? -1 : next(folder, path, flags);
}

int flock(int fd, int operation)
{
    NEXT(flock)
    return refuses(FAILING_LOOK, "flock", path_of(fd)) ? -1 : next(fd, operation);
}

int stat(const char *path, struct stat *status)
{
    NEXT(stat)
    return refuses(FAILING_LOOK, "stat", path) ? -1 : next(path, status);
}

int lstat(const char *path, struct stat *status)
{
    NEXT(lstat)
    return refuses(FAILING_LOOK, "lstat", path) ? -1 : next(path, status);
}

int fstat(int fd, struct stat *status)
{
    NEXT(fstat)
    return refuses(FAILING_LOOK, "fstat", path_of(fd)) ? -1 : next(fd, status);
}

int faccessat(int folder, const char *path, int mode, int flags)
{
    NEXT(faccessat)
    return refuses(FAILING_LOOK, "faccessat", path) ? -1 : next(folder, path, mode, flags);
}

int access(const char *path, int mode)
{
    NEXT(access)
    return refuses(FAILING_LOOK, "access", path) ? -1 : next(path, mode);
}

ssize_t readlink(const char *path, char *text, size_t size)
{
    NEXT(readlink)
    return refuses(FAILING_LOOK, "readlink", path) ? -1 : next(path, text, size);
}

char *realpath(const char *path, char *text)
{
    NEXT(realpath)
    return refuses(FAILING_LOOK, "realpath", path) ? NULL : next(path, text);
}

struct dirent *readdir(DIR *folder)
{
    NEXT(readdir)
    return refuses(FAILING_LOOK, "readdir", "") ? NULL : next(folder);
}

// --- allocations

#if FAILING_MEMORY
// glibc's own, under the names that it keeps for replacements like these.
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

// Blocks that were asked for while armed and not freed, in a table with open addressing.
enum { SLOTS = 1 << 18 };
static struct {
    void *block; // NULL: never used; table: freed
    void *caller;
    size_t size;
} table[SLOTS];
static atomic_flag table_lock = ATOMIC_FLAG_INIT;

static size_t slot_of(const void *block)
{
    return (size_t)(((uintptr_t)block >> 4) * 0x9E3779B97F4A7C15u >> 40) % SLOTS;
}

static void *remember(void *block, void *caller, size_t size)
{
    if (!block || !atomic_load(&armed) || inside)
        return block;
    while (atomic_flag_test_and_set(&table_lock))
        ;
    for (size_t i = slot_of(block), n = 0; n < SLOTS; i = (i + 1) % SLOTS, n++)
        if (!table[i].block || table[i].block == (void *)table) {
            table[i].block = block;
            table[i].caller = caller;
            table[i].size = size;
            break;
        }
    atomic_flag_clear(&table_lock);
    return block;
}

static void forget(const void *block)
{
    if (!block || !atomic_load(&armed))
        return;
    while (atomic_flag_test_and_set(&table_lock))
        ;
    for (size_t i = slot_of(block), n = 0; table[i].block && n < SLOTS; i = (i + 1) % SLOTS, n++)
        if (table[i].block == block) {
            table[i].block = (void *)table;
            break;
        }
    atomic_flag_clear(&table_lock);
}

#define CALLER __builtin_return_address(0)

static bool no_memory(const char *call)
{
    if (!fails(FAILING_ALLOC, call, NULL))
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return no_memory("malloc") ? NULL : remember(__libc_malloc(size), CALLER, size);
}

void *calloc(size_t count, size_t size)
{
    return no_memory("calloc") ? NULL : remember(__libc_calloc(count, size), CALLER, count * size);
}

void *realloc(void *block, size_t size)
{
    if (no_memory("realloc"))
        return NULL;
    forget(block); // before another thread can get its place
    void *moved = __libc_realloc(block, size);
    if (!moved && size)
        remember(block, CALLER, size);
    return remember(moved, CALLER, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return no_memory("aligned_alloc") ? NULL
                                      : remember(__libc_memalign(alignment, size), CALLER, size);
}

void *memalign(size_t alignment, size_t size);
void *memalign(size_t alignment, size_t size)
{
    return no_memory("memalign") ? NULL : remember(__libc_memalign(alignment, size), CALLER, size);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    if (no_memory("posix_memalign"))
        return ENOMEM;
    *block = remember(__libc_memalign(alignment, size), CALLER, size);
    return *block ? 0 : ENOMEM;
}

void free(void *block)
{
    forget(block);
    __libc_free(block);
}

// Asked for by whoever wants the copy.
char *strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = no_memory("strdup") ? NULL : remember(__libc_malloc(size), CALLER, size);
    return copy ? memcpy(copy, text, size) : NULL;
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    NEXT(mmap)
    if (fails(FAILING_MAP, "mmap", flags & MAP_ANONYMOUS ? NULL : path_of(fd))) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return next(at, size, protection, flags, fd, offset);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
                   void *context)
{
    NEXT(pthread_create)
    return fails(FAILING_THREAD, "pthread_create", NULL)
               ? EAGAIN
               : next(thread, attributes, function, context);
}

static void count_left(void)
{
    extern const char __executable_start, etext;
    size_t used = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        Dl_info info;
        const char *caller = table[i].caller;
        if (!table[i].block || table[i].block == (void *)table)
            continue;
        bool own = caller >= &__executable_start && caller < &etext;
        bool known = dladdr(caller, &info) && info.dli_fname;
        const char *slash = known ? strrchr(info.dli_fname, '/') : NULL;
        const char *file = slash ? slash + 1 : "?";
        long *count = own                                    ? &report->left_own
                      : strncmp(file, "libjansson", 10) == 0 ? &report->left_jansson
                      : strncmp(file, "libzip", 6) == 0      ? &report->left_zip
                      : strncmp(file, "libc.", 5) == 0       ? &report->left_libc
                                                             : NULL;
        if (!count)
            continue;
        ++*count;
        if (used < sizeof report->left)
            used += (size_t)snprintf(
                report->left + used, sizeof report->left - used, "%s%s+0x%lx %s %zu bytes",
                used ? "\n" : "", file,
                (unsigned long)((uintptr_t)caller - (uintptr_t)(known ? info.dli_fbase : 0)),
                known && info.dli_sname ? info.dli_sname : "", table[i].size);
    }
}
#else
// A sanitizer has the allocation functions, and finds itself what is not given back. The linker
// gives calls of our own objects, and theirs alone, to these (--wrap).
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
int __real_posix_memalign(void **block, size_t alignment, size_t size);
char *__real_strdup(const char *text);
int __real_vasprintf(char **text, const char *format, va_list list);
FILE *__real_open_memstream(char **text, size_t *size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
int __wrap_posix_memalign(void **block, size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_vasprintf(char **text, const char *format, va_list list);
FILE *__wrap_open_memstream(char **text, size_t *size);

static bool no_memory(const char *call)
{
    if (!fails(FAILING_ALLOC, call, NULL))
        return false;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return no_memory("malloc") ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return no_memory("calloc") ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return no_memory("realloc") ? NULL : __real_realloc(block, size);
}

int __wrap_posix_memalign(void **block, size_t alignment, size_t size)
{
    return no_memory("posix_memalign") ? ENOMEM : __real_posix_memalign(block, alignment, size);
}

char *__wrap_strdup(const char *text)
{
    return no_memory("strdup") ? NULL : __real_strdup(text);
}

int __wrap_vasprintf(char **text, const char *format, va_list list)
{
    return no_memory("vasprintf") ? -1 : __real_vasprintf(text, format, list);
}

FILE *__wrap_open_memstream(char **text, size_t *size)
{
    return no_memory("open_memstream") ? NULL : __real_open_memstream(text, size);
}

static void count_left(void)
{
}
#endif

// --- on and off

static int descriptors(void)
{
    int count = 0;
    for (int fd = 3; fd < DESCRIPTORS; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

void failing_arm(const struct failing_plan *wanted, struct failing_report *to)
{
    plan = *wanted;
    report = to;
    report->left_descriptors = -descriptors();
    atomic_store(&calls, 0);
    atomic_store(&armed, true);
}

void failing_disarm(void)
{
    atomic_store(&armed, false);
    report->calls = atomic_load(&calls);
    report->left_descriptors += descriptors();
    count_left();
}
