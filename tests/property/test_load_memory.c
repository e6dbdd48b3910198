// What a file can make the program take: at most twice its own size and 64 MB, whatever it says.
//
// The allocation functions of the whole process are replaced by ones that count bytes. Files are a
// checkpoint of a run, the worst that the index takes (as many objects and attributes as it allows,
// each as small as it can be), checkpoints whose settings ask for a larger model, and the worst of
// the formats of import: as many arrays as there may be, and one that unpacks to much more.
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../src/io/checkpoint.h"
#include "../../src/io/import.h"
#include "../../src/io/seal.h"
#include "../support/check.h"
#include "../support/settings.h"

#ifdef __has_feature
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    HAS_FEATURE(address_sanitizer) || HAS_FEATURE(thread_sanitizer)
#define REPLACED 0 // the sanitizer has replaced them itself
#else
#define REPLACED 1
#endif

static atomic_long now, peak;

#if REPLACED
// glibc's own, under the names that it keeps for replacements like these.
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

static long held(void *block)
{
    return block ? (long)malloc_usable_size(block) : 0;
}

static void *counted(void *block, long before)
{
    long more = held(block) - before, sum = atomic_fetch_add(&now, more) + more;
    long most = atomic_load(&peak);
    while (sum > most && !atomic_compare_exchange_weak(&peak, &most, sum))
        continue;
    return block;
}

void *malloc(size_t size)
{
    return counted(__libc_malloc(size), 0);
}

void *calloc(size_t count, size_t size)
{
    return counted(__libc_calloc(count, size), 0);
}

void *realloc(void *block, size_t size)
{
    long before = held(block);
    void *larger = __libc_realloc(block, size);
    return larger ? counted(larger, before) : NULL;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return counted(__libc_memalign(alignment, size), 0);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    *block = counted(__libc_memalign(alignment, size), 0);
    return *block ? 0 : ENOMEM;
}

void free(void *block)
{
    atomic_fetch_sub(&now, held(block));
    __libc_free(block);
}
#endif

static void need_counts(void)
{
    if (!REPLACED)
        skip();
}

static long start_counting(void)
{
    long before = atomic_load(&now);
    atomic_store(&peak, before);
    return before;
}

static void within(long before, size_t file, const char *what)
{
    long taken = atomic_load(&peak) - before, allowed = 2 * (long)file + (64L << 20);
    if (taken > allowed)
        fail_msg("%s: %ld bytes for a file of %zu", what, taken, file);
}

static char folder[] = "/tmp/posgrad-memory-XXXXXX", path[64];
static struct train_settings settings;
static struct trainer trainer;
static struct checkpoint checkpoint;

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file.h5", folder);
    settings_of(&settings,
                "--pe sinusoidal --task probe --layers 6 --heads 4 --dim 128 --ff-dim 512 "
                "--length 16 --batch-size 2 --threads 1");
    check_ok(trainer_init(&trainer, &settings));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    trainer_release(&trainer);
    unlink(path);
    return rmdir(folder);
}

static size_t size_of_file(void)
{
    char *bytes;
    size_t size;
    check_ok(file_read(path, 1 << 28, &bytes, &size));
    free(bytes);
    return size;
}

// --- a checkpoint

static void save(const char *key, const char *value)
{
    struct history history = {0};
    struct train_settings before = trainer.settings;
    if (key)
        check_ok(train_settings_assign(&trainer.settings, key, value));
    check_ok(checkpoint_save(path, &trainer, &history));
    trainer.settings = before;
}

static int read_one(void *context, const char *name)
{
    struct h5_reader *reader = context;
    enum h5_type type;
    int dims;
    int64_t extent[8], count = 1;
    if (h5_shape(reader, name, &type, &dims, extent, 8) < 0) {
        free(h5_read_text(reader, name));
        return 0;
    }
    for (int i = 0; i < dims; i++)
        count *= extent[i];
    void *values = malloc((size_t)count * 8 + 1);
    assert_non_null(values);
    check_ok(h5_read(reader, name, type, count, values));
    free(values);
    return 0;
}

// Its own bytes, and of what is read the largest array.
static void test_a_checkpoint(void **state)
{
    (void)state;
    need_counts();
    save(NULL, NULL);
    size_t size = size_of_file();
    long before = start_counting();
    struct h5_reader *reader = h5_reader_open(path);
    assert_non_null(reader);
    check_ok(h5_walk(reader, "/", read_one, reader));
    h5_reader_close(reader);
    within(before, size, "a checkpoint");
    long taken = atomic_load(&peak) - before;
    assert_in_range(taken, size, size + size / 4);
    assert_int_equal(atomic_load(&now), before);
    // Into a trainer that is there.
    before = start_counting();
    check_ok(checkpoint_open(&checkpoint, path));
    check_ok(checkpoint_read_params(&checkpoint, &trainer));
    check_ok(checkpoint_read_optimizer(&checkpoint, &trainer));
    checkpoint_close(&checkpoint);
    taken = atomic_load(&peak) - before;
    assert_in_range(taken, size, size + size / 16 + (1 << 20));
}

// Settings of more than the file holds are found before memory is taken for it: most of these
// models have 400 MB or more.
static void test_settings_of_a_larger_model(void **state)
{
    static const char *const larger[][2] = {
        {"layers", "500"}, {"dim", "4096"},      {"ff-dim", "100000"},
        {"pe", "shaw"},    {"length", "400000"},
    };
    (void)state;
    need_counts();
    for (size_t i = 0; i < sizeof larger / sizeof larger[0]; i++) {
        struct trainer other;
        save(larger[i][0], larger[i][1]);
        size_t size = size_of_file();
        long before = start_counting();
        check_ok(checkpoint_open(&checkpoint, path));
        assert_int_equal(checkpoint_init_trainer(&checkpoint, &other), ERR_FORMAT);
        checkpoint_close(&checkpoint);
        within(before, size, larger[i][0]);
        assert_int_equal(atomic_load(&now), before);
    }
}

// --- the worst that the index takes, made by hand

enum {
    ITEMS = 1 << 18,
    LINK = 4 + 4 + 4 + 8,
    ATTRIBUTE = 4 + 9 + 5 + 8 + 4 + 1,
    GROUP = 6 + 1 + 22 + 4
};

static unsigned char *put(unsigned char *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *at++ = (unsigned char)(value >> (8 * i));
    return at;
}

// Four letters that no other number has.
static unsigned char *put_name(unsigned char *at, uint32_t i)
{
    for (int k = 0; k < 4; k++, i /= 26)
        *at++ = (unsigned char)('a' + i % 26);
    return at;
}

static unsigned char *put_links_message(unsigned char *at)
{
    at = put(at, 0x02 | 18 << 8, 4);
    at = put(at, 0, 2);
    at = put(at, UINT64_MAX, 8);
    return put(at, UINT64_MAX, 8);
}

// A root with so many empty groups and attributes. malloc'ed; `size` is that of the file.
static char *make_worst(uint32_t groups, uint32_t attributes, size_t *size)
{
    size_t messages = 22 + (size_t)groups * LINK + (size_t)attributes * ATTRIBUTE;
    size_t root = 48, first = root + 10 + messages + 4;
    *size = SEAL_SIZE + first + (size_t)groups * GROUP;
    char *file = calloc(1, *size + 1);
    assert_non_null(file);
    unsigned char *at = (unsigned char *)file + SEAL_SIZE;
    memcpy(at, "\x89HDF\r\n\x1a\n\2\10\10", 11);
    put(put(put(put(at + 12, SEAL_SIZE, 8), UINT64_MAX, 8), *size, 8), root, 8);
    at += root;
    memcpy(at, "OHDR\2\2", 6);
    at = put_links_message(put(at + 6, messages, 4));
    for (uint32_t i = 0; i < groups; i++) {
        at = put(put(at, 0x06 | (LINK - 4) << 8, 4), 1 | 4 << 16, 3);
        at = put(put_name(at, i), first + (uint64_t)i * GROUP, 8);
        at = put(at, 0, LINK - 4 - 15); // longer than it must be
    }
    for (uint32_t i = 0; i < attributes; i++) {
        at = put(put(at, 0x0c | (ATTRIBUTE - 4) << 8, 4), 3 | 5 << 16, 4);
        at = put(put(at, 8 | 4 << 16, 4), 0, 1);
        at = put(put_name(at, i), 0, 1);
        at = put(put(at, 0x13 | 0x11 << 8, 4), 1, 4);
        at = put(put(at, 2, 4), 'x', 1);
    }
    at += 4;
    for (uint32_t i = 0; i < groups; i++) {
        memcpy(at, "OHDR\2\0", 6);
        at = put_links_message(put(at + 6, 22, 1)) + 4;
    }
    assert_true(at == (unsigned char *)file + *size);
    seal_write((unsigned char *)file, *size);
    return file;
}

static void test_the_worst_index(void **state)
{
    (void)state;
    need_counts();
    size_t size;
    char *file = make_worst(ITEMS - 1, ITEMS, &size);
    check_ok(file_publish(path, file, size));
    free(file);
    long before = start_counting();
    struct h5_reader *reader = h5_reader_open(path);
    if (!reader)
        fail_msg("%s", err_last());
    assert_true(h5_has(reader, "/baaa"));
    h5_reader_close(reader);
    within(before, size, "as many objects as there may be");
}

static void test_more_than_the_index_takes(void **state)
{
    (void)state;
    need_counts();
    for (int i = 0; i < 2; i++) {
        size_t size;
        char *file = make_worst(ITEMS - 1 + (i == 0), ITEMS + (i == 1), &size);
        check_ok(file_publish(path, file, size));
        free(file);
        long before = start_counting();
        assert_null(h5_reader_open(path));
        assert_non_null(strstr(err_last(), "more objects than any file"));
        within(before, size, "more objects than there may be");
        assert_int_equal(atomic_load(&now), before);
    }
}

// --- formats of import

static struct import_file import;

// Opens the file of these bytes, and loads each array of it; `refusal` is in the line where it is
// refused (NULL: it is not).
static void import_within(const void *bytes, size_t size, const char *refusal, const char *what)
{
    check_ok(file_publish(path, bytes, size));
    long before = start_counting();
    int code = import_open(&import, path);
    if ((code < 0) != (refusal != NULL) || (refusal && !strstr(err_last(), refusal)))
        fail_msg("%s: %d, %s", what, code, err_last());
    for (int i = 0; i < import.arrays; i++)
        import_load(&import, &import.array[i]);
    import_close(&import);
    within(before, size, what);
    assert_int_equal(atomic_load(&now), before);
}

// A file of safetensors of a head of `size` bytes and no numbers; free'd by the caller.
static char *safetensors_of(size_t size)
{
    char *file = malloc(8 + size + 1);
    assert_non_null(file);
    put((unsigned char *)file, size, 8);
    memset(file + 8, ' ', size);
    return file;
}

enum { MOST_HEAD = 1 << 19 }; // bytes of a head that is read

static void test_as_many_tensors_as_there_may_be(void **state)
{
    (void)state;
    need_counts();
    enum { TENSOR = 56 };
    for (size_t more = 0; more < 2; more++) {
        char *file = safetensors_of(MOST_HEAD + more), *at = file + 8;
        size_t count = (MOST_HEAD - 1) / TENSOR;
        for (size_t i = 0; i < count; i++) {
            char name[5] = {0};
            put_name((unsigned char *)name, (uint32_t)i);
            int length = snprintf(at, TENSOR + 1,
                                  "%c\"%s\":{\"dtype\":\"F32\",\"shape\":[0],\"data_"
                                  "offsets\":[0,0]}",
                                  i ? ',' : '{', name);
            assert_in_range(length, 1, TENSOR);
            at[length] = ' '; // for the NUL
            at += TENSOR;
        }
        *at = '}';
        import_within(file, 8 + MOST_HEAD + more, more ? "more than the file or than" : NULL,
                      "tensors");
        free(file);
    }
}

// What takes the most memory of its length in JSON: objects of nothing.
static void test_the_worst_head(void **state)
{
    (void)state;
    need_counts();
    static const char begin[] = "{\"a\":[{}";
    char *file = safetensors_of(MOST_HEAD), *at = file + 8 + sizeof begin - 1;
    memcpy(file + 8, begin, sizeof begin - 1);
    for (; at < file + 8 + MOST_HEAD - 8; at += 3)
        memcpy(at, ",{}", 3);
    memcpy(at, "]}", 2);
    import_within(file, 8 + MOST_HEAD, "should have a dtype", "objects of nothing");
    free(file);
}

// A directory of zip of so many files, all of which lie in the same place and are an empty array.
static void test_as_many_files_as_a_zip_may_have(void **state)
{
    (void)state;
    need_counts();
    tzset(); // keeps what libzip asks for first
    static const char npy[] =
        "\x93NUMPY\1\0\x38\0{'descr': '<f4', 'fortran_order': False, 'shape': "
        "(0,)}\n";
    enum { NAME = 8, NPY = sizeof npy - 1, LOCAL = 30 + NAME + NPY, ENTRY = 46 + NAME, END = 22 };
    size_t count = 65535, size = LOCAL + count * ENTRY + END;
    unsigned char *file = calloc(1, size + 1), *at = file;
    assert_non_null(file);
    at = put(put(at, 0x04034b50, 4), 10, 2);
    at = put(put(put(put(at + 12, NPY, 4), NPY, 4), NAME, 2), 0, 2);
    memcpy(at, "aaaa.npy", NAME);
    memcpy(at + NAME, npy, NPY);
    at += NAME + NPY;
    for (uint32_t i = 0; i < count; i++) {
        unsigned char *entry = at;
        put(put(put(entry, 0x02014b50, 4), 10, 2), 10, 2);
        put(put(put(entry + 20, NPY, 4), NPY, 4), NAME, 2);
        memcpy(put_name(entry + 46, i), ".npy", 4);
        at += ENTRY;
    }
    at = put(put(at, 0x06054b50, 4), 0, 4);
    at = put(put(put(put(put(at, count, 2), count, 2), count * ENTRY, 4), LOCAL, 4), 0, 2);
    assert_true(at == file + size);
    import_within(file, size, NULL, "files of a zip");
    free(file);
}

static void test_the_worst_index_imported(void **state)
{
    (void)state;
    need_counts();
    size_t size;
    char *file = make_worst(ITEMS - 1, ITEMS, &size);
    import_within(file, size, "no arrays", "as many objects as there may be, imported");
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_checkpoint),
        cmocka_unit_test(test_settings_of_a_larger_model),
        cmocka_unit_test(test_the_worst_index),
        cmocka_unit_test(test_more_than_the_index_takes),
        cmocka_unit_test(test_as_many_tensors_as_there_may_be),
        cmocka_unit_test(test_the_worst_head),
        cmocka_unit_test(test_as_many_files_as_a_zip_may_have),
        cmocka_unit_test(test_the_worst_index_imported),
    };
    return cmocka_run_group_tests_name("memory at loading", tests, set_up, tear_down) != 0;
}
