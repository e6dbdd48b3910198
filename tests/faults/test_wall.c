// The wall between us and strangers' files: readers behind it that crash, hang, lie or try to get
// out, and crafted HDF5 files that kill libhdf5. None of them ends this process, and each becomes
// one line.
//
// POSGRAD_FILES damaged HDF5 files are opened as images, 300 where it is not set, and each fourth
// of them as a file of arrays.
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hdf5.h>

#ifdef __linux__
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#include "../../autograd/base/err.h"
#include "../../autograd/base/foreign_hdf5.h"
#include "../../autograd/base/rng.h"
#include "../../autograd/base/wall.h"
#include "../../datasets/image_file.h"
#include "../../src/io/import.h"
#include "../support/check.h"
#include "../support/folder.h"

enum { SHORT = 300 };

static const struct wall_limits limits = {
    .memory = (int64_t)64 << 20, .seconds = 1, .patience = 60};

// --- readers

static void echo(const void *context, void *answer)
{
    memcpy(answer, context, 100000);
}

static void test_an_answer(void **state)
{
    (void)state;
    static unsigned char bytes[100000], answer[100000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7);
    check_ok(wall_ask(echo, bytes, &limits, answer, sizeof answer));
    check_same_bytes(answer, bytes, sizeof bytes);
}

static void abort_there(const void *context, void *answer)
{
    (void)context, (void)answer;
    abort();
}

static void write_nowhere(const void *context, void *answer)
{
    (void)answer;
    *(volatile char *)(uintptr_t)context = 1;
}

static void end_early(const void *context, void *answer)
{
    (void)context, (void)answer;
    _exit(0);
}

static void compute_for_ever(const void *context, void *answer)
{
    (void)context;
    for (volatile unsigned char *n = answer;; ++*n)
        ;
}

// AddressSanitizer catches some signals and leaves, so that its reader "ended without an answer".
#ifdef __SANITIZE_ADDRESS__
#define CRASHED(how) "its reader "
#else
#define CRASHED(how) "its reader crashed (signal " how
#endif

static void test_crashes(void **state)
{
    (void)state;
    int answer;
    check_error(wall_ask(abort_there, NULL, &limits, &answer, sizeof answer), ERR_FORMAT,
                CRASHED("")); // 11 where it may not even send itself 6
    check_error(wall_ask(write_nowhere, (void *)8, &limits, &answer, sizeof answer), ERR_FORMAT,
                CRASHED("11"));
    check_error(wall_ask(end_early, NULL, &limits, &answer, sizeof answer), ERR_FORMAT,
                "its reader ended without an answer");
}

static void test_hangs(void **state)
{
    (void)state;
    int answer;
    check_error(wall_ask(compute_for_ever, NULL, &limits, &answer, sizeof answer), ERR_FORMAT,
                "its reader did not come to an end within 1 s of computing");
}

#ifdef __linux__
static void wait_for_ever(const void *context, void *answer)
{
    (void)context;
    for (;;)
        syscall(SYS_futex, answer, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void test_waits(void **state)
{
    (void)state;
    int answer;
    struct wall_limits impatient = limits;
    impatient.patience = 1;
    check_error(wall_ask(wait_for_ever, NULL, &impatient, &answer, sizeof answer), ERR_FORMAT,
                "its reader gave no answer within 1 s");
}
#endif

// --- ways out

enum way {
    OPEN_FILE,
    MAKE_SOCKET,
    MAKE_PIPE,
    LARGE_MEMORY,
    // The following only a filter forbids.
    WRITE_ELSEWHERE,
    MAP_A_FILE,
    MAP_FOR_CODE,
    RUN_PROGRAM,
    MAKE_PROCESS,
    SEND_SIGNAL,
    WAYS
};
static const char *const way_name[WAYS] = {
    "open a file", "make a socket", "make a pipe",   "take 1 GB",      "write elsewhere",
    "map a file",  "map code",      "run a program", "make a process", "send a signal"};

static int a_file; // open before the wall is there

static bool try_way(enum way way)
{
    char *program[] = {(char *)(uintptr_t) "/bin/true", NULL};
    switch (way) {
    case OPEN_FILE:
        return open("/dev/null", O_RDONLY) >= 0;
    case MAKE_SOCKET:
        return socket(AF_INET, SOCK_STREAM, 0) >= 0;
    case MAKE_PIPE:
        return pipe((int[2]){0, 0}) == 0;
    case LARGE_MEMORY:
        return mmap(NULL, 1 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
               MAP_FAILED;
    case WRITE_ELSEWHERE:
        return write(a_file, "x", 1) == 1;
    case MAP_A_FILE:
        return mmap(NULL, 1, PROT_READ, MAP_PRIVATE, a_file, 0) != MAP_FAILED;
    case MAP_FOR_CODE:
        return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                    0) != MAP_FAILED;
    case RUN_PROGRAM:
        return execv(program[0], program) == 0;
    case MAKE_PROCESS:
        return fork() >= 0;
    case SEND_SIGNAL:
        return kill(getppid(), 0) == 0;
    default:
        return false;
    }
}

static void try_all(const void *context, void *answer)
{
    const int *last = context;
    bool *open_way = answer;
    for (int i = 0; i <= *last; i++)
        open_way[i] = try_way((enum way)i);
}

// Whether a process may filter its system calls here: by one filter that lets all of them pass.
static bool kernel_filters(void)
{
#ifdef __linux__
    struct sock_filter step = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {1, &step};
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
              prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 1;
#else
    return false;
#endif
}

static void check_closed(const struct wall_limits *with, int last)
{
    bool is_open[WAYS];
    check_ok(wall_ask(try_all, &last, with, is_open, sizeof is_open));
    for (int i = 0; i <= last; i++)
        if (is_open[i])
            fail_msg("behind the wall one can %s", way_name[i]);
}

static void test_no_way_out(void **state)
{
    (void)state;
    a_file = open("/dev/zero", O_RDWR);
    assert_true(a_file >= 0);
    struct wall_limits alone = limits;
    alone.no_filter = true;
    check_closed(&alone, LARGE_MEMORY);
#if defined __x86_64__ || defined __aarch64__
    assert_true(wall_has_filter() || !kernel_filters());
#endif
    if (wall_has_filter())
        check_closed(&limits, WAYS - 1);
    else
        print_message("no filter of system calls here: what only it forbids was not tried\n");
    close(a_file);
}

// --- lies

static struct foreign_set honest(void)
{
    return (struct foreign_set){
        .kind = FOREIGN_UNSIGNED, .element = 2, .dims = 2, .size = {5, 10}, .offset = 900};
}

static void test_lies(void **state)
{
    (void)state;
    struct foreign_set set = honest();
    check_ok(foreign_hdf5_check("x", 1000, "y", &set));
    check_error(foreign_hdf5_check("x", 999, "y", &set), ERR_FORMAT, "larger than the file");
    const struct {
        int32_t fault, kind, element, dims;
        int64_t size, offset;
    } lies[] = {
        {FOREIGN_FAULTS, FOREIGN_REAL, 4, 1, 1, 0},
        {-1, FOREIGN_REAL, 4, 1, 1, 0},
        {0, FOREIGN_KINDS, 4, 1, 1, 0},
        {0, -1, 4, 1, 1, 0},
        {0, FOREIGN_REAL, 4, 9, 1, 0},
        {0, FOREIGN_REAL, 4, -1, 1, 0},
        {0, FOREIGN_REAL, 4, 1, -1, 0},
        {0, FOREIGN_REAL, 4, 1, INT64_MAX, 0},
        {0, FOREIGN_REAL, 4, 8, 1 << 20, 0},
        {0, FOREIGN_REAL, 0, 1, 1, 0},
        {0, FOREIGN_REAL, -4, 1, 1, 0},
        {0, FOREIGN_REAL, 4, 1, 1, -1},
        {0, FOREIGN_REAL, 4, 1, 1, 997},
        {0, FOREIGN_REAL, 4, 1, 1, INT64_MAX},
        {0, FOREIGN_REAL, INT32_MAX, 1, 1, 0},
        {0, FOREIGN_REAL, 4, 1, 251, 0},
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        set = (struct foreign_set){.fault = lies[i].fault,
                                   .kind = lies[i].kind,
                                   .element = lies[i].element,
                                   .dims = lies[i].dims,
                                   .offset = lies[i].offset};
        for (int d = 0; d < FOREIGN_MAX_DIMS; d++)
            set.size[d] = lies[i].size;
        memset(set.detail, 'x', sizeof set.detail); // no end
        check_error(foreign_hdf5_check("x", 1000, "y", &set), ERR_FORMAT, "'x'");
    }
    // What is of no kind that is read is told from what is.
    set = honest();
    set.element = 3;
    set.offset = 0;
    check_ok(foreign_hdf5_check("x", 1000, "y", &set));
    assert_int_equal(set.kind, FOREIGN_OTHER);
}

static void test_elements(void **state)
{
    (void)state;
    static const unsigned char bytes[] = {9, 0xFF, 0xFE, 1, 2, 3, 4, 5, 0x3F, 0x80, 0, 0};
    struct foreign_set set = {
        .kind = FOREIGN_SIGNED, .element = 2, .dims = 1, .size = {3}, .offset = 1};
    assert_int_equal(foreign_set_integer(&set, bytes, 0), -257);
    set.big_endian = 1;
    assert_int_equal(foreign_set_integer(&set, bytes, 0), -2);
    set.kind = FOREIGN_UNSIGNED;
    assert_int_equal(foreign_set_integer(&set, bytes, 0), 0xFFFE);
    set.element = 8;
    assert_true(foreign_set_integer(&set, bytes, 0) == INT64_MAX);
    set = (struct foreign_set){
        .kind = FOREIGN_REAL, .element = 4, .dims = 1, .size = {1}, .offset = 8, .big_endian = 1};
    check_close(foreign_set_real(&set, bytes, 0), 1, 0, 0);
}

// --- damaged files. A small file of images, in an old format and in a newer one, with some bytes
// changed, goes through the whole reader. libhdf5 may do what it likes.

enum { COUNT = 40, SIDE = 4, MAX_FILE = 1 << 14 };

static char folder[] = "/tmp/posgrad-wall-XXXXXX";
static char path[128];

static const char *path_of(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void add_set(hid_t group, const char *name, int dims, const hsize_t *size, const void *data)
{
    hid_t space = H5Screate_simple(dims, size, NULL);
    hid_t set = H5Dcreate2(group, name, H5T_STD_U8LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(set >= 0);
    assert_true(H5Dwrite(set, H5T_NATIVE_UCHAR, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

static size_t make_file(bool newer, unsigned char *bytes)
{
    unsigned char pixels[COUNT * SIDE * SIDE], labels[COUNT];
    for (int i = 0; i < COUNT * SIDE * SIDE; i++)
        pixels[i] = (unsigned char)(i * 37);
    for (int i = 0; i < COUNT; i++)
        labels[i] = (unsigned char)(i % 3);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (newer)
        H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18);
    hid_t file = H5Fcreate(path_of("made.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, access);
    assert_true(file >= 0);
    hid_t group = H5Gcreate2(file, "train", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    add_set(group, "images", 3, (hsize_t[]){COUNT, SIDE, SIDE}, pixels);
    add_set(group, "labels", 1, (hsize_t[]){COUNT}, labels);
    H5Gclose(group);
    H5Fclose(file);
    H5Pclose(access);
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    size_t size = fread(bytes, 1, MAX_FILE, stream);
    fclose(stream);
    assert_in_range(size, 1000, MAX_FILE - 1);
    return size;
}

static void put_file(const char *name, const unsigned char *bytes, size_t size)
{
    FILE *stream = fopen(path_of(name), "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, size, stream), size);
    assert_int_equal(fclose(stream), 0);
}

static const struct image_names names = {"", "train/images", "train/labels"};

// Opens the file at `path`. What comes out is an image set whose every pixel can be read, or a
// line.
static int open_images(void)
{
    struct image_set set;
    int code = image_set_open(&set, path, &names);
    if (code == 0) {
        unsigned sum = 0;
        assert_in_range(set.count, 1, MAX_FILE);
        for (int64_t i = 0; i < set.count * set.height * set.width; i++)
            sum += set.pixels[i];
        assert_true(sum <= 255u * (unsigned)MAX_FILE); // (that all can be read matters)
        for (int64_t i = 0; i < set.count; i++)
            assert_in_range(set.label[i], 0, set.classes - 1);
    } else {
        assert_true(code == ERR_FORMAT && strncmp(err_last(), "--data: ", 8) == 0);
    }
    image_set_close(&set);
    return code;
}

// The same as a file of arrays: what comes out is a list, of which each array can be read or is
// refused, or a line.
static int open_arrays(void)
{
    struct import_file file;
    int code = import_open(&file, path);
    assert_true(code == 0 || (code == ERR_FORMAT && strncmp(err_last(), path, 4) == 0));
    for (int i = 0; code == 0 && i < file.arrays; i++) {
        const struct import_array *array = &file.array[i];
        double sum = 0;
        int loaded = import_load(&file, array);
        assert_true(loaded == 0 || loaded == ERR_FORMAT);
        assert_in_range(array->count, 0, MAX_FILE);
        for (int64_t k = 0; loaded == 0 && k < array->count; k++)
            sum += fabs(import_value(&file, array, k));
        assert_true(!(sum < 0)); // (that all can be read matters)
    }
    import_close(&file);
    return code;
}

static void damage(struct rng *rng, unsigned char *bytes, size_t *size)
{
    static const unsigned char values[] = {0, 1, 2, 3, 4, 8, 0x10, 0x7F, 0x80, 0xFE, 0xFF};
    for (uint32_t left = 1 + rng_below(rng, 4); left > 0; left--) {
        size_t at = rng_below(rng, (uint32_t)*size);
        if (bytes[at] == 0 && rng_below(rng, 4))
            continue; // most of a small file is empty
        if (rng_below(rng, 2))
            bytes[at] ^= (unsigned char)(1 << rng_below(rng, 8));
        else
            bytes[at] = values[rng_below(rng, sizeof values)];
    }
    if (rng_below(rng, 50) == 0)
        *size = rng_below(rng, (uint32_t)*size) + 1;
}

static void test_damaged_files(void **state)
{
    (void)state;
    static unsigned char good[2][MAX_FILE], bytes[MAX_FILE];
    const char *asked = getenv("POSGRAD_FILES");
    int wanted = asked ? (int)strtol(asked, NULL, 10) : SHORT, opened = 0, died = 0;
    size_t all[2] = {make_file(false, good[0]), make_file(true, good[1])};
    for (int i = 0; i < 2; i++) {
        put_file("good.h5", good[i], all[i]);
        check_ok(open_images());
        check_ok(open_arrays());
    }
    for (int i = 0; i < wanted; i++) {
        struct rng rng;
        size_t size = all[i % 2];
        rng_init(&rng, rng_stream(1, "damage"), (uint64_t)i, 0);
        memcpy(bytes, good[i % 2], size);
        damage(&rng, bytes, &size);
        put_file("bad.h5", bytes, size);
        if (open_images() == 0)
            opened++;
        else if (strstr(err_last(), "its reader"))
            died++;
        if (i % 4 == 0)
            open_arrays();
    }
    print_message("%d damaged files: %d open, %d refused, %d ended their reader\n", wanted, opened,
                  wanted - opened - died, died);
}

// Found by search: h5dump of HDF5 1.10.8 ends with a signal on each. The first has a heap of names
// whose place is far beyond the file (H5F__accum_read), the second a type that divides by zero
// (H5T_copy), the third has libhdf5 write past the end of its memory.
static void test_files_that_kill(void **state)
{
    (void)state;
    unsigned version[3];
    const struct image_names at_top = {"", "images", "labels"};
    assert_true(H5get_libversion(&version[0], &version[1], &version[2]) >= 0);
    bool old = version[0] == 1 && version[1] == 10 && version[2] <= 8;
    for (int i = 1; i <= 3; i++) {
        struct image_set set;
        snprintf(path, sizeof path, "tests/faults/kills_hdf5_%d.h5", i);
        check_error(image_set_open(&set, path, &at_top), ERR_FORMAT, "--data: 'tests/faults/");
        if (old)
            assert_non_null(strstr(err_last(), "cannot be read with libhdf5: " CRASHED("")));
        open_arrays();
    }
}

static int set_up(void **state)
{
    (void)state;
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer),       cmocka_unit_test(test_crashes),
        cmocka_unit_test(test_hangs),
#ifdef __linux__
        cmocka_unit_test(test_waits),
#endif
        cmocka_unit_test(test_no_way_out),      cmocka_unit_test(test_lies),
        cmocka_unit_test(test_elements),        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_files_that_kill),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down) != 0;
}
