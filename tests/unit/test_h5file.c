// HDF5 files of ours: what goes in comes out, the same calls give the same bytes, and no damaged
// file is believed.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/rng.h"
#include "../../src/io/h5file.h"
#include "../support/check.h"

struct fixture {
    char folder[64], path[96], temporary[104];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->folder, "/tmp/posgrad-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/file.h5", f->folder);
    snprintf(f->temporary, sizeof f->temporary, "%s.tmp", f->path);
    *state = f;
    return 0;
}

// Fails when a test left a file behind that it did not know of.
static int tear_down(void **state)
{
    struct fixture *f = *state;
    unlink(f->path);
    int result = rmdir(f->folder);
    free(f);
    return result;
}

static bool there(const char *path)
{
    return access(path, F_OK) == 0;
}

static void assert_said(const char *words)
{
    if (!strstr(err_last(), words))
        fail_msg("'%s' is not in '%s'", words, err_last());
}

// --- contents

static const float f32[6] = {1, -2.5F, 3.25e-30F, 0x1p-149F, -0.0F, 1e38F};
static const double f64[4] = {1.0 / 3, -1e300, 0x1p-1074, 0};
static const int32_t i32[3] = {INT32_MIN, 0, INT32_MAX};
static const int64_t i64[2] = {INT64_MIN, INT64_MAX};
static const char json[] = "{\"pe\": \"rope\", \"note\": \"\xc3\xa9\xe2\x88\x82\"}";
static const char weight[] = "/params/layers/0/attn/q/weight";

// A writer with one of everything; `value` tells two of them apart.
static struct h5_writer *fill(double value)
{
    const int64_t two_three[] = {2, 3}, four[] = {1, 4, 1}, three[] = {3}, two[] = {2},
                  none[] = {0, 5};
    struct h5_writer *writer = h5_writer_new();
    assert_non_null(writer);
    h5_write(writer, weight, H5FILE_F32, 2, two_three, f32);
    h5_write(writer, "/f64", H5FILE_F64, 3, four, f64);
    h5_write(writer, "/tables/offset", H5FILE_I32, 1, three, i32);
    h5_write(writer, "/tables/deep/i64", H5FILE_I64, 1, two, i64);
    h5_write(writer, "/history/none", H5FILE_F64, 2, none, NULL);
    h5_write(writer, "/scalar", H5FILE_F64, 0, NULL, &value);
    for (int i = 0; i < 20; i++) { // enough for the dense storage of links and attributes
        char path[64];
        snprintf(path, sizeof path, "/params/layers/%d/bias", i);
        h5_write(writer, path, H5FILE_I32, 1, three, i32);
        snprintf(path, sizeof path, "attribute%d", i);
        h5_attr_int(writer, "/params", path, i);
    }
    h5_write_text(writer, "/config", json);
    h5_write_text(writer, "/empty", "");
    h5_attr_text(writer, "/", "format", "posgrad-checkpoint");
    h5_attr_text(writer, "/", "nothing", "");
    h5_attr_int(writer, "/", "step", INT64_MIN);
    h5_attr_real(writer, weight, "norm", 1.0 / 3);
    h5_attach_scale(writer, weight, 1, "offset", "/tables/offset");
    return writer;
}

static int publish(const char *path, double value)
{
    struct h5_writer *writer = fill(value);
    int code = h5_writer_publish(writer, path);
    h5_writer_free(writer);
    return code;
}

static struct h5_reader *open_good(const char *path)
{
    struct h5_reader *reader = h5_reader_open(path);
    if (!reader)
        fail_msg("%s", err_last());
    return reader;
}

static char *read_whole(const char *path, size_t *size)
{
    char *bytes = NULL;
    if (file_read(path, 1 << 24, &bytes, size) < 0)
        fail_msg("%s", err_last());
    return bytes;
}

// The one number by which files of `fill` differ.
static double value_of(const char *path)
{
    double value = 0;
    struct h5_reader *reader = open_good(path);
    check_ok(h5_read(reader, "/scalar", H5FILE_F64, 1, &value));
    h5_reader_close(reader);
    return value;
}

// --- round trip

static void check_array(struct h5_reader *reader, const char *path, enum h5_type type,
                        const void *expected, int64_t count, size_t size)
{
    unsigned char actual[64];
    assert_true((size_t)count * size <= sizeof actual);
    if (h5_read(reader, path, type, count, actual) < 0)
        fail_msg("%s", err_last());
    assert_memory_equal(actual, expected, (size_t)count * size);
}

static void test_arrays_come_back(void **state)
{
    struct fixture *f = *state;
    check_ok(publish(f->path, 7));
    assert_false(there(f->temporary));
    struct h5_reader *reader = open_good(f->path);
    check_array(reader, weight, H5FILE_F32, f32, 6, 4);
    check_array(reader, "/f64", H5FILE_F64, f64, 4, 8);
    check_array(reader, "/tables/offset", H5FILE_I32, i32, 3, 4);
    check_array(reader, "/tables/deep/i64", H5FILE_I64, i64, 2, 8);
    check_array(reader, "/history/none", H5FILE_F64, f64, 0, 8);
    check_array(reader, "/params/layers/19/bias", H5FILE_I32, i32, 3, 4);
    h5_reader_close(reader);
    assert_true(value_of(f->path) == 7);
}

static void check_shape(struct h5_reader *reader, const char *path, enum h5_type type, int dims,
                        const int64_t *size)
{
    enum h5_type found_type = H5FILE_TYPES;
    int found_dims = -1;
    int64_t found[4];
    if (h5_shape(reader, path, &found_type, &found_dims, found, 4) < 0)
        fail_msg("%s", err_last());
    assert_int_equal(found_type, type);
    assert_int_equal(found_dims, dims);
    for (int i = 0; i < dims; i++)
        assert_int_equal(found[i], size[i]);
}

static void test_shapes_come_back(void **state)
{
    struct fixture *f = *state;
    enum h5_type type;
    int dims;
    int64_t size[4];
    check_ok(publish(f->path, 7));
    struct h5_reader *reader = open_good(f->path);
    check_shape(reader, weight, H5FILE_F32, 2, (const int64_t[]){2, 3});
    check_shape(reader, "/f64", H5FILE_F64, 3, (const int64_t[]){1, 4, 1});
    check_shape(reader, "/history/none", H5FILE_F64, 2, (const int64_t[]){0, 5});
    check_shape(reader, "/scalar", H5FILE_F64, 0, NULL);
    assert_int_equal(h5_shape(reader, "/f64", &type, &dims, size, 2), ERR_FORMAT);
    assert_int_equal(h5_shape(reader, "/config", &type, &dims, size, 4), ERR_FORMAT);
    assert_int_equal(h5_shape(reader, "/params", &type, &dims, size, 4), ERR_FORMAT);
    h5_reader_close(reader);
}

static void check_text(char *actual, const char *expected)
{
    if (!actual)
        fail_msg("%s", err_last());
    assert_string_equal(actual, expected);
    free(actual);
}

static void test_text_and_attributes_come_back(void **state)
{
    struct fixture *f = *state;
    int64_t step = 0;
    double norm = 0;
    check_ok(publish(f->path, 7));
    struct h5_reader *reader = open_good(f->path);
    check_text(h5_read_text(reader, "/config"), json);
    check_text(h5_read_text(reader, "/empty"), "");
    check_text(h5_read_attr_text(reader, "/", "format"), "posgrad-checkpoint");
    check_text(h5_read_attr_text(reader, "/", "nothing"), "");
    check_ok(h5_read_attr_int(reader, "/", "step", &step));
    assert_true(step == INT64_MIN);
    check_ok(h5_read_attr_int(reader, "/params", "attribute17", &step));
    assert_int_equal(step, 17);
    check_ok(h5_read_attr_real(reader, weight, "norm", &norm));
    assert_true(norm == 1.0 / 3);
    check_text(h5_read_attr_text(reader, "/tables/offset", "CLASS"), "DIMENSION_SCALE");
    check_text(h5_read_attr_text(reader, "/tables/offset", "NAME"), "offset");
    h5_reader_close(reader);
}

static void test_long_text_comes_back(void **state)
{
    struct fixture *f = *state;
    enum { SIZE = 200000 };
    char *text = malloc(SIZE + 1);
    assert_non_null(text);
    for (int i = 0; i < SIZE; i++)
        text[i] = (char)('a' + i % 26);
    text[SIZE] = '\0';
    struct h5_writer *writer = h5_writer_new();
    h5_write_text(writer, "/long", text);
    h5_attr_text(writer, "/", "long", text + SIZE - H5_ATTRIBUTE_MAX);
    check_ok(h5_writer_publish(writer, f->path));
    struct h5_reader *reader = open_good(f->path);
    check_text(h5_read_text(reader, "/long"), text);
    check_text(h5_read_attr_text(reader, "/", "long"), text + SIZE - H5_ATTRIBUTE_MAX);
    h5_reader_close(reader);
    h5_attr_text(writer, "/", "longer", text + SIZE - H5_ATTRIBUTE_MAX - 1); // for a dataset
    check_error(h5_writer_publish(writer, f->path), ERR_ARGUMENT, "longer");
    h5_writer_free(writer);
    free(text);
}

static void test_reader_is_strict(void **state)
{
    struct fixture *f = *state;
    double d[8];
    int64_t i;
    check_ok(publish(f->path, 7));
    struct h5_reader *reader = open_good(f->path);
    assert_true(h5_has(reader, weight) && h5_has(reader, "/") && h5_has(reader, "/params/layers"));
    static const char *const absent[] = {"",
                                         "f64",
                                         "/f64/x",
                                         "//f64",
                                         "/f64/",
                                         "/./f64",
                                         "/params/../f64",
                                         "/nothing",
                                         "/nothing/at/all"};
    for (size_t k = 0; k < sizeof absent / sizeof absent[0]; k++) {
        assert_false(h5_has(reader, absent[k]));
        assert_int_equal(h5_read(reader, absent[k], H5FILE_F64, 4, d), ERR_FORMAT);
    }
    check_error(h5_read(reader, "/f64", H5FILE_F32, 4, d), ERR_FORMAT, "float32");
    check_error(h5_read(reader, "/f64", H5FILE_F64, 3, d), ERR_FORMAT, "4 elements");
    assert_int_equal(h5_read(reader, "/f64", H5FILE_F64, -1, d), ERR_FORMAT);
    assert_int_equal(h5_read(reader, "/params", H5FILE_F64, 4, d), ERR_FORMAT);
    assert_null(h5_read_text(reader, "/f64"));
    assert_null(h5_read_attr_text(reader, "/", "step"));
    assert_null(h5_read_attr_text(reader, "/", "absent"));
    assert_said("no attribute 'absent'");
    assert_int_equal(h5_read_attr_int(reader, weight, "norm", &i), ERR_FORMAT);
    assert_int_equal(h5_read_attr_real(reader, "/", "step", d), ERR_FORMAT);
    assert_int_equal(h5_read_attr_real(reader, "/nothing", "step", d), ERR_FORMAT);
    h5_reader_close(reader);
}

// --- walking

struct visits {
    int count, stop_at;
    char path[64][64];
};

static int note(void *context, const char *path)
{
    struct visits *visits = context;
    assert_true(visits->count < 64);
    snprintf(visits->path[visits->count++], 64, "%s", path);
    return visits->count == visits->stop_at ? 5 : 0;
}

static void test_walk_is_in_order_of_name(void **state)
{
    struct fixture *f = *state;
    struct visits all = {0}, some = {.stop_at = 2};
    check_ok(publish(f->path, 7));
    struct h5_reader *reader = open_good(f->path);
    check_ok(h5_walk(reader, "/", note, &all));
    assert_int_equal(all.count, 28);
    for (int i = 1; i < all.count; i++)
        assert_true(strcmp(all.path[i - 1], all.path[i]) < 0);
    assert_string_equal(all.path[0], "/config");
    memset(&all, 0, sizeof all);
    check_ok(h5_walk(reader, "/tables", note, &all));
    assert_int_equal(all.count, 2);
    assert_string_equal(all.path[0], "/tables/deep/i64");
    assert_string_equal(all.path[1], "/tables/offset");
    assert_int_equal(h5_walk(reader, "/params", note, &some), 5);
    assert_int_equal(some.count, 2);
    assert_int_equal(h5_walk(reader, "/nothing", note, &some), ERR_FORMAT);
    h5_reader_close(reader);
}

// --- writing

// Leaves blocks full of other bytes for the next allocations, as a long-running process does.
static void dirty_heap(void)
{
    void *block[64];
    for (int i = 0; i < 64; i++) {
        size_t size = (size_t)(i + 1) * 512;
        block[i] = malloc(size);
        assert_non_null(block[i]);
        memset(block[i], 0xa5, size);
    }
    for (int i = 0; i < 64; i++)
        free(block[i]);
}

static void test_same_calls_same_bytes(void **state)
{
    struct fixture *f = *state;
    size_t size[3];
    char *bytes[3];
    for (int i = 0; i < 3; i++) {
        if (i == 1)
            sleep(1); // HDF5 keeps times in seconds
        struct h5_writer *writer = fill(i < 2 ? 7 : 8);
        dirty_heap();
        check_ok(h5_writer_publish(writer, f->path));
        h5_writer_free(writer);
        bytes[i] = read_whole(f->path, &size[i]);
    }
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(bytes[0], bytes[1], size[0]);
    assert_int_equal(size[0], size[2]);
    assert_memory_not_equal(bytes[0], bytes[2], size[0]);
    for (int i = 0; i < 3; i++)
        free(bytes[i]);
}

static void test_first_error_is_kept(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"", "/", "x", "/x/", "//x", "/x/../y", "/x/./y"};
    const int64_t one[] = {1}, minus[] = {-1}, huge[] = {INT64_MAX, INT64_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct h5_writer *writer = h5_writer_new();
        h5_write(writer, bad[i], H5FILE_F64, 1, one, f64);
        h5_write(writer, "/good", H5FILE_F64, 1, one, f64);
        assert_int_equal(h5_writer_publish(writer, f->path), ERR_ARGUMENT);
        h5_writer_free(writer);
    }
    for (int i = 0; i < 7; i++) {
        struct h5_writer *writer = h5_writer_new();
        h5_write(writer, "/a/b", H5FILE_F64, 1, one, f64);
        if (i == 0)
            h5_write(writer, "/a/b", H5FILE_F64, 1, one, f64); // twice
        else if (i == 1)
            h5_write(writer, "/a/b/c", H5FILE_F64, 1, one, f64); // under a dataset
        else if (i == 2)
            h5_write(writer, "/c", H5FILE_F64, 1, minus, f64);
        else if (i == 3)
            h5_write(writer, "/c", H5FILE_F64, 2, huge, f64);
        else if (i == 4)
            h5_attr_int(writer, "/absent", "x", 1);
        else if (i == 5)
            h5_attach_scale(writer, "/a/b", 0, "x", "/absent");
        else
            h5_attach_scale(writer, "/a/b", 1, "x", "/a/b"); // no axis 1, and not to itself
        h5_write(writer, "/", H5FILE_F64, 1, one, f64);
        assert_true(h5_writer_publish(writer, f->path) < 0);
        assert_said(f->path);
        assert_null(strstr(err_last(), "'/'"));
        h5_writer_free(writer);
    }
    assert_false(there(f->path) || there(f->temporary));
    h5_writer_free(NULL);
    h5_reader_close(NULL);
}

static void test_files_do_not_mix(void **state)
{
    struct fixture *f = *state;
    double a = 0, b = 0;
    struct h5_writer *first = fill(1), *second = fill(2);
    check_ok(h5_writer_publish(first, f->path));
    struct h5_reader *one = open_good(f->path);
    check_ok(h5_writer_publish(second, f->path));
    struct h5_reader *two = open_good(f->path);
    check_ok(h5_read(two, "/scalar", H5FILE_F64, 1, &b));
    h5_writer_free(second);
    check_ok(h5_read(one, "/scalar", H5FILE_F64, 1, &a));
    assert_true(a == 1 && b == 2);
    h5_reader_close(one);
    check_ok(h5_read(two, "/scalar", H5FILE_F64, 1, &b));
    assert_true(b == 2);
    h5_attr_int(first, "/", "later", 1); // a writer goes on after a publish
    check_ok(h5_writer_publish(first, f->path));
    h5_writer_free(first);
    h5_reader_close(two);
    assert_true(value_of(f->path) == 1);
}

// --- damage

static void put_file(const char *path, const char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void assert_refused(const char *path, const char *what, size_t at)
{
    struct h5_reader *reader = h5_reader_open(path);
    if (reader || !strstr(err_last(), path))
        fail_msg("%s at %zu was believed", what, at);
}

static void test_every_flip_is_refused(void **state)
{
    struct fixture *f = *state;
    struct rng rng;
    size_t size;
    check_ok(publish(f->path, 7));
    char *bytes = read_whole(f->path, &size);
    rng_init(&rng, rng_stream(1, "flips"), 0, 0);
    for (int i = 0; i < 800; i++) {
        size_t at = i < 400 ? rng_below(&rng, 512) : rng_below(&rng, (uint32_t)size);
        char old = bytes[at];
        bytes[at] = (char)(old ^ (1 << rng_below(&rng, 8)));
        put_file(f->path, bytes, size);
        assert_refused(f->path, "a flip", at);
        bytes[at] = old;
    }
    for (size_t at = 0; at < size; at += 512) { // a lost sector
        char sector[512];
        size_t length = size - at < 512 ? size - at : 512;
        memcpy(sector, bytes + at, length);
        memset(bytes + at, 0xff, length);
        put_file(f->path, bytes, size);
        assert_refused(f->path, "a lost sector", at);
        memcpy(bytes + at, sector, length);
    }
    put_file(f->path, bytes, size);
    assert_true(value_of(f->path) == 7);
    free(bytes);
}

static void test_every_truncation_is_refused(void **state)
{
    struct fixture *f = *state;
    struct rng rng;
    size_t size;
    check_ok(publish(f->path, 7));
    char *bytes = read_whole(f->path, &size);
    rng_init(&rng, rng_stream(1, "cuts"), 0, 0);
    for (int i = 0; i < 300; i++) {
        size_t cut = i < 20 ? (size_t)i : rng_below(&rng, i < 100 ? 600 : (uint32_t)size);
        put_file(f->path, bytes, cut);
        assert_refused(f->path, "a cut", cut);
        assert_said(cut ? "truncated" : "empty");
    }
    put_file(f->path, bytes, size - 1);
    assert_refused(f->path, "a cut", size - 1);
    char *longer = calloc(1, size + 10);
    assert_non_null(longer);
    memcpy(longer, bytes, size);
    put_file(f->path, longer, size + 10);
    assert_refused(f->path, "a tail", size);
    assert_said("10 bytes were added");
    free(longer);
    free(bytes);
}

static void test_other_files_are_told_apart(void **state)
{
    struct fixture *f = *state;
    size_t size;
    assert_null(h5_reader_open(f->path));
    assert_said("No such file");
    check_ok(publish(f->path, 7));
    char *bytes = read_whole(f->path, &size);
    put_file(f->path, bytes + 512, size - 512);
    assert_null(h5_reader_open(f->path));
    assert_said("is an HDF5 file, but not one that posgrad wrote");
    free(bytes);
    put_file(f->path, "hello, this is text", 19);
    assert_null(h5_reader_open(f->path));
    assert_said("is not a posgrad file");
    assert_null(h5_reader_open(f->folder));
    assert_said("is a folder");
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(mkfifo(f->path, 0600), 0);
    assert_null(h5_reader_open(f->path));
    assert_said("not a regular file");
}

// --- publishing

static void test_full_disk_keeps_the_old_file(void **state)
{
    struct fixture *f = *state;
    struct rlimit old, small;
    check_ok(publish(f->path, 7));
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    for (rlim_t limit = 0; limit <= 8192; limit += 4096) {
        small = old;
        small.rlim_cur = limit;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        int code = publish(f->path, 8);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        check_error(code, ERR_FILE, "File too large");
        assert_said(f->path);
        assert_false(there(f->temporary));
        assert_true(value_of(f->path) == 7);
    }
    signal(SIGXFSZ, before);
    check_ok(publish(f->path, 8));
    assert_true(value_of(f->path) == 8);
}

static void test_folders_that_cannot_be_written(void **state)
{
    struct fixture *f = *state;
    char path[160];
    snprintf(path, sizeof path, "%s/absent/file.h5", f->folder);
    check_error(publish(path, 7), ERR_FILE, path);
    assert_said("No such file");
    // A folder has the name: the rename is refused.
    assert_int_equal(mkdir(f->path, 0700), 0);
    check_error(publish(f->path, 7), ERR_FILE, f->path);
    assert_false(there(f->temporary));
    assert_int_equal(rmdir(f->path), 0);
}

static void test_read_only_folder(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(chmod(f->folder, 0500), 0);
    bool writable = access(f->folder, W_OK) == 0; // as root
    int code = writable ? ERR_FILE : publish(f->path, 7);
    bool made = there(f->path);
    assert_int_equal(chmod(f->folder, 0700), 0);
    if (writable)
        skip();
    check_error(code, ERR_FILE, "Permission denied");
    assert_false(made);
}

static void test_publish_replaces_whole_files(void **state)
{
    struct fixture *f = *state;
    struct stat info;
    char *bytes;
    size_t size;
    put_file(f->temporary, "left by a kill", 14);
    check_ok(file_publish(f->path, "a\0b", 3));
    assert_false(there(f->temporary));
    check_ok(file_read(f->path, 3, &bytes, &size));
    assert_int_equal(size, 3);
    assert_memory_equal(bytes, "a\0b", 4); // with the NUL after it
    free(bytes);
    assert_int_equal(file_read(f->path, 2, &bytes, &size), ERR_FILE);
    assert_null(bytes);
    assert_said("at most 2");
    assert_int_equal(stat(f->path, &info), 0);
    mode_t mask = umask(0);
    umask(mask);
    assert_int_equal(info.st_mode & 0777, 0644 & ~mask);
    check_ok(file_publish(f->path, "", 0));
    check_ok(file_read(f->path, 10, &bytes, &size));
    assert_int_equal(size, 0);
    free(bytes);
}

static void test_publish_beside(void **state)
{
    struct fixture *f = *state;
    char here[4096];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(f->folder), 0);
    int code = publish("file.h5", 9); // a name without a folder
    assert_int_equal(chdir(here), 0);
    assert_int_equal(code, 0);
    assert_true(value_of(f->path) == 9);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_arrays_come_back),
        CASE(test_shapes_come_back),
        CASE(test_text_and_attributes_come_back),
        CASE(test_long_text_comes_back),
        CASE(test_reader_is_strict),
        CASE(test_walk_is_in_order_of_name),
        CASE(test_same_calls_same_bytes),
        CASE(test_first_error_is_kept),
        CASE(test_files_do_not_mix),
        CASE(test_every_flip_is_refused),
        CASE(test_every_truncation_is_refused),
        CASE(test_other_files_are_told_apart),
        CASE(test_full_disk_keeps_the_old_file),
        CASE(test_folders_that_cannot_be_written),
        CASE(test_read_only_folder),
        CASE(test_publish_replaces_whole_files),
        CASE(test_publish_beside),
    };
    return cmocka_run_group_tests_name("HDF5 files", tests, NULL, NULL) != 0;
}
