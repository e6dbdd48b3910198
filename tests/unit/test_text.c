// The text task: every row is a window of the file that lies within its split, splits share no
// byte, held-out windows are the same for all seeds, and files that will not do are refused with
// the reason.
#include "../../datasets/dataset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../support/batch.h"
#include "../support/check.h"
#include "../support/folder.h"

#define MAX_ROWS BATCH_MAX_ROWS

static struct batch batch, other;
static struct dataset dataset;

static void open_task(const char *task, int64_t length, const char *options)
{
    check_ok(batch_open(&dataset, task, length, 1, options));
}

struct file {
    unsigned char *bytes;
    int64_t size;
};

static int open_path(int64_t length, const char *path)
{
    struct dataset_request request = {.task = "text", .length = length, .data_path = path};
    return dataset_open(&dataset, &request);
}

static struct file read_whole(const char *path)
{
    struct file file = {malloc(1 << 20), 0};
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    assert_non_null(file.bytes);
    file.size = (int64_t)fread(file.bytes, 1, 1 << 20, stream);
    assert_in_range(file.size, 2000, (1 << 20) - 1);
    fclose(stream);
    return file;
}

// The split of one byte, byte by byte: twentieths of the file, the 5th and 15th for validation, the
// 10th and 20th for the test.
static enum dataset_split split_of_byte(int64_t at, int64_t size)
{
    int64_t block = 0;
    while (at >= (block + 1) * size / 20)
        block++;
    return block % 10 == 4 ? DATASET_VALIDATION : block % 10 == 9 ? DATASET_TEST : DATASET_TRAIN;
}

// Where a row comes from: some place whose bytes are the row and are all of the split.
static int64_t find_window(const struct file *file, enum dataset_split split, const int32_t *tokens,
                           const int32_t *targets)
{
    for (int64_t at = 0; at + dataset.length < file->size; at++) {
        int64_t i = 0;
        while (i < dataset.length && tokens[i] == file->bytes[at + i] &&
               targets[i] == file->bytes[at + i + 1])
            i++;
        if (i < dataset.length)
            continue;
        for (i = 0; i <= dataset.length; i++)
            if (split_of_byte(at + i, file->size) != split)
                break;
        if (i > dataset.length)
            return at;
    }
    return -1;
}

static void check_text_split(const struct file *file, enum dataset_split split, bool *used)
{
    for (uint64_t step = 0; step < 4; step++) {
        batch_draw(&dataset, &batch, split, step, MAX_ROWS);
        batch_check(&dataset, &batch, MAX_ROWS);
        for (int row = 0; row < MAX_ROWS; row++) {
            assert_int_equal(batch_row_length(&dataset, &batch, row), dataset.length);
            int64_t at = find_window(file, split, batch.tokens + row * dataset.length,
                                     batch.targets + row * dataset.length);
            assert_true(at >= 0);
            memset(used + at, true, (size_t)dataset.length + 1);
        }
    }
}

static void test_text(void **state)
{
    (void)state;
    static const int64_t lengths[] = {1, 31, 200};
    struct file file = read_whole(BATCH_TEXT);
    for (int l = 0; l < 3; l++) {
        bool *used = calloc((size_t)file.size, DATASET_SPLITS);
        assert_non_null(used);
        open_task("text", lengths[l], "");
        assert_int_equal(dataset.vocab, 256);
        assert_true(dataset.bits_per_byte && dataset.needs_causal);
        int64_t reached = 0;
        for (int s = 0; s < DATASET_SPLITS; s++)
            check_text_split(&file, (enum dataset_split)s, used + s * file.size);
        for (int64_t i = 0; i < file.size; i++) {
            int splits = used[i] + used[file.size + i] + used[2 * file.size + i];
            assert_in_range(splits, 0, 1);
            reached += splits;
        }
        assert_true(lengths[l] < 200 || reached > file.size * 8 / 10);
        dataset_close(&dataset);
        free(used);
    }
    free(file.bytes);
}

static void test_text_chance(void **state)
{
    (void)state;
    struct file file = read_whole(BATCH_TEXT);
    double count[256] = {0}, all = 0, most = 0;
    for (int64_t i = 0; i < file.size; i++) {
        if (split_of_byte(i, file.size) != DATASET_TRAIN)
            continue;
        all += 1;
        count[file.bytes[i]] += 1;
        most = fmax(most, count[file.bytes[i]]);
    }
    open_task("text", 32, "");
    check_close(dataset.chance, most / all, 1e-12, 0);
    check_close(dataset.chance, 0.17, 0, 0.05); // the space, in English
    dataset_close(&dataset);
    free(file.bytes);
}

static void test_text_held_out_is_the_same_for_all_seeds(void **state)
{
    (void)state;
    for (int s = 0; s < DATASET_SPLITS; s++) {
        check_ok(batch_open(&dataset, "text", 64, 1, ""));
        batch_draw(&dataset, &batch, (enum dataset_split)s, 5, 8);
        dataset_close(&dataset);
        check_ok(batch_open(&dataset, "text", 64, 2, ""));
        batch_draw(&dataset, &other, (enum dataset_split)s, 5, 8);
        dataset_close(&dataset);
        assert_int_equal(memcmp(&batch, &other, sizeof batch) == 0, s != DATASET_TRAIN);
    }
}

// Every window of the smallest file that is allowed stays within its split.
static void test_text_smallest_file(void **state)
{
    (void)state;
    char path[] = "/tmp/posgrad-text-XXXXXX";
    int file = mkstemp(path);
    unsigned char bytes[180]; // 20 blocks of 8 + 1
    for (int i = 0; i < 180; i++)
        bytes[i] = (unsigned char)i;
    assert_true(file >= 0 && write(file, bytes, sizeof bytes) == sizeof bytes);
    check_error(open_path(9, path), ERR_FILE, "has 180 bytes; windows of length 9 take 200");
    check_ok(open_path(8, path));
    bool used[DATASET_SPLITS][256] = {{false}};
    for (int s = 0; s < DATASET_SPLITS; s++) {
        for (uint64_t step = 0; step < 40; step++) {
            batch_draw(&dataset, &batch, (enum dataset_split)s, step, 32);
            for (int i = 0; i < 32 * 8; i++)
                used[s][batch.tokens[i]] = used[s][batch.targets[i]] = true;
        }
    }
    dataset_close(&dataset);
    for (int i = 0; i < 180; i++)
        for (int s = 0; s < DATASET_SPLITS; s++)
            assert_int_equal(used[s][i], s == (int)split_of_byte(i, 180));
    // The file may be any other bytes, all the same byte too.
    assert_int_equal(ftruncate(file, 0), 0);
    assert_int_equal(ftruncate(file, 5000), 0);
    check_ok(open_path(8, path));
    check_close(dataset.chance, 1.0, 0, 0);
    dataset_close(&dataset);
    assert_int_equal(ftruncate(file, 0), 0);
    check_error(open_path(8, path), ERR_FILE, "is empty");
    close(file);
    unlink(path);
}

static void test_text_refused(void **state)
{
    (void)state;
    check_error(open_path(8, NULL), ERR_ARGUMENT, "--data FILE");
    check_error(open_path(8, ""), ERR_ARGUMENT, "--data FILE");
    check_error(open_path(8, "/nowhere/at/all"), ERR_FILE,
                "cannot open '/nowhere/at/all': No such file");
    check_error(open_path(8, "/dev/null"), ERR_FILE, "not a regular file");
    char path[] = "/tmp/posgrad-pipe-XXXXXX", fifo[64];
    assert_non_null(mkdtemp(path));
    snprintf(fifo, sizeof fifo, "%s/pipe", path);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    check_error(open_path(8, fifo), ERR_FILE,
                "not a regular file"); // and does not wait for a writer
    unlink(fifo);
    rmdir(path);
    char hidden[] = "/tmp/posgrad-hidden-XXXXXX";
    int file = mkstemp(hidden);
    assert_true(file >= 0 && fchmod(file, 0) == 0);
    close(file);
    int code = open_path(8, hidden);
    // root may read everything, and finds nothing
    check_error(code, ERR_FILE, getuid() ? "Permission denied" : "is empty");
    unlink(hidden);
    char endless[2000];
    memset(endless, 'p', sizeof endless);
    endless[sizeof endless - 1] = '\0';
    check_error(open_path(8, endless), ERR_ARGUMENT, "--data");
}

// --- several files

static char folder[64];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/posgrad-texts-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    assert_int_equal(folder_remove(folder), 0);
}

// A path within the folder; a few stay valid at a time.
static const char *in_folder(const char *name)
{
    static char path[8][128];
    static int next;
    char *p = path[next++ % 8];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

// `size` bytes that count from `first` on, with a step that makes windows differ.
static void make_file(const char *name, int64_t size, int first, int step)
{
    FILE *stream = fopen(in_folder(name), "wb");
    assert_non_null(stream);
    for (int64_t i = 0; i < size; i++)
        assert_true(fputc((int)((first + i * step) & 255), stream) != EOF);
    assert_int_equal(fclose(stream), 0);
}

// A file whose bytes say which file and which stretch of blocks of one split they are in.
static void make_marked_file(const char *name, int64_t size, int mark)
{
    FILE *stream = fopen(in_folder(name), "wb");
    assert_non_null(stream);
    for (int64_t i = 0, stretch = 0; i < size; i++) {
        stretch += i > 0 && split_of_byte(i, size) != split_of_byte(i - 1, size);
        assert_true(fputc(mark * 16 + (int)stretch, stream) != EOF);
    }
    assert_int_equal(fclose(stream), 0);
}

static void check_marked_rows(enum dataset_split split, const double *windows, double all)
{
    enum { BATCHES = 300 };
    double drawn[3] = {0};
    for (uint64_t step = 0; step < BATCHES; step++) {
        batch_draw(&dataset, &batch, split, step, 64);
        for (int64_t i = 0; i < 64 * dataset.length; i++) {
            assert_int_equal(batch.tokens[i], batch.tokens[i / dataset.length * dataset.length]);
            assert_int_equal(batch.targets[i], batch.tokens[i]);
        }
        for (int64_t row = 0; row < 64; row++)
            drawn[batch.tokens[row * dataset.length] / 16]++;
    }
    for (int f = 0; f < 3; f++) {
        double expected = BATCHES * 64 * windows[f] / all;
        check_close(drawn[f], expected, 0, 5 * sqrt(expected));
    }
}

// All windows of all files are equally likely, and none reaches beyond its stretch or its file.
static void test_text_windows_of_several_files(void **state)
{
    (void)state;
    enum { LENGTH = 4 };
    static const int64_t sizes[3] = {2000, 100, 700};
    static const char *const names[3] = {"c", "a",
                                         "b"}; // joined in this order, a folder in its own
    double windows[DATASET_SPLITS][3] = {{0}}, all[DATASET_SPLITS] = {0};
    make_folder();
    for (int f = 0; f < 3; f++) {
        make_marked_file(names[f], sizes[f], f);
        for (int64_t at = 0; at + LENGTH < sizes[f]; at++) {
            enum dataset_split split = split_of_byte(at, sizes[f]);
            bool inside = true;
            for (int i = 0; i <= LENGTH; i++)
                inside = inside && split_of_byte(at + i, sizes[f]) == split;
            windows[split][f] += inside;
            all[split] += inside;
        }
    }
    char joined[512];
    snprintf(joined, sizeof joined, "%s:%s:%s", in_folder("c"), in_folder("a"), in_folder("b"));
    for (int way = 0; way < 2; way++) {
        check_ok(open_path(LENGTH, way ? folder : joined));
        assert_string_equal(dataset.notice, "");
        check_close(dataset.chance, 400.0 / 2240, 1e-12, 0); // a stretch of the largest file
        for (int s = 0; s < DATASET_SPLITS; s++)
            check_marked_rows((enum dataset_split)s, windows[s], all[s]);
        dataset_close(&dataset);
    }
    remove_folder();
}

// A folder of one file is that file; another order, another byte or another file is other data.
static void test_text_fingerprints(void **state)
{
    (void)state;
    make_folder();
    make_file("a", 1000, 1, 7);
    make_file("b", 1000, 2, 7);
    char ab[300], ba[300];
    snprintf(ab, sizeof ab, "%s:%s", in_folder("a"), in_folder("b"));
    snprintf(ba, sizeof ba, "%s:%s", in_folder("b"), in_folder("a"));
    const char *paths[] = {in_folder("a"), in_folder("b"), ab, ba};
    uint64_t prints[5];
    for (int i = 0; i < 4; i++) {
        check_ok(open_path(8, paths[i]));
        prints[i] = dataset.fingerprint;
        dataset_close(&dataset);
    }
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < i; k++)
            assert_true(prints[i] != prints[k]);
    check_ok(open_path(8, folder));
    assert_true(dataset.fingerprint == prints[2]);
    dataset_close(&dataset);
    // Which files are too short depends on the length; that the data are the same does not.
    make_file("c", 200, 3, 7);
    check_ok(open_path(8, folder));
    prints[4] = dataset.fingerprint;
    assert_string_equal(dataset.notice, "");
    dataset_close(&dataset);
    check_ok(open_path(30, folder));
    assert_true(dataset.fingerprint == prints[4] && prints[4] != prints[2]);
    assert_non_null(strstr(dataset.notice, "1 of 3 files skipped"));
    dataset_close(&dataset);
    remove_folder();
}

// A name with ':' that is there is one name.
static void test_text_name_with_colon(void **state)
{
    (void)state;
    make_folder();
    make_file("a:b", 1000, 1, 7);
    check_ok(open_path(8, in_folder("a:b")));
    dataset_close(&dataset);
    check_error(open_path(8, in_folder("a:c")), ERR_FILE, "/a': No such file");
    remove_folder();
}

static void test_text_skips(void **state)
{
    (void)state;
    make_folder();
    make_file("good", 1000, 0, 1);
    make_file("short", 179, 0, 1);
    make_file("empty", 0, 0, 1);
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    assert_int_equal(symlink("nowhere", in_folder("gone")), 0);
    assert_int_equal(mkdir(in_folder("inner"), 0700), 0);
    check_ok(open_path(8, folder));
    assert_non_null(strstr(dataset.notice, "--data: 5 of 6 files skipped: '"));
    assert_non_null(strstr(dataset.notice, "/empty' is empty; '"));
    assert_non_null(strstr(dataset.notice, "/gone' cannot be opened: No such file"));
    assert_non_null(strstr(dataset.notice, "/inner' is a folder; and 2 more"));
    assert_null(strchr(dataset.notice, '\n'));
    dataset_close(&dataset);
    char two[300];
    snprintf(two, sizeof two, "%s:%s", in_folder("good"), in_folder("pipe"));
    check_ok(open_path(8, two));
    assert_non_null(strstr(dataset.notice, "/pipe' is not a regular file"));
    dataset_close(&dataset);
    snprintf(two, sizeof two, "%s:%s", in_folder("empty"), in_folder("short"));
    check_error(open_path(8, two), ERR_FILE, "none of 2 files can be used: '");
    check_error(open_path(8, two), ERR_FILE, "has 179 bytes; windows of length 8 take 180");
    snprintf(two, sizeof two, "%s:%s", in_folder("good"), in_folder("mistyped"));
    check_error(open_path(8, two), ERR_FILE, "/mistyped': No such file");
    snprintf(two, sizeof two, "%s::", in_folder("good"));
    check_error(open_path(8, two), ERR_FILE, "a name is empty");
    check_error(open_path(8, in_folder("inner")), ERR_FILE, "has no file");
    remove_folder();
}

// Bytes of all kinds, NUL among them, come through, and windows of another length than the model's
// stay within the same splits.
static void test_text_any_bytes_at_another_length(void **state)
{
    (void)state;
    static bool used[5000];
    make_folder();
    FILE *stream = fopen(in_folder("binary"), "wb");
    assert_non_null(stream);
    for (int i = 0; i < 2500; i++)
        assert_true(fputc(i >> 8, stream) != EOF && fputc(i & 255, stream) != EOF);
    assert_int_equal(fclose(stream), 0);
    struct file file = {malloc(5000), 0};
    assert_non_null(file.bytes);
    for (int i = 0; i < 2500; i++) {
        file.bytes[file.size++] = (unsigned char)(i >> 8);
        file.bytes[file.size++] = (unsigned char)(i & 255);
    }
    for (int64_t length = 8; length <= 200; length *= 5) {
        struct dataset_request request = {
            .task = "text", .length = length, .train_length = 8, .data_path = in_folder("binary")};
        check_ok(dataset_open(&dataset, &request));
        assert_int_equal(dataset.vocab, 256);
        for (int s = 0; s < DATASET_SPLITS; s++)
            check_text_split(&file, (enum dataset_split)s, used);
        dataset_close(&dataset);
    }
    free(file.bytes);
    remove_folder();
}

// A file larger than memory opens at once: only pages of it are looked at.
static void test_text_huge_file(void **state)
{
    (void)state;
    static const int64_t size = (int64_t)8 << 30;
    make_folder();
    make_file("huge", 4096, 1, 1);
    if (truncate(in_folder("huge"), size) != 0) {
        remove_folder();
        skip();
    }
    check_ok(open_path(64, in_folder("huge")));
    uint64_t before = dataset.fingerprint;
    check_close(dataset.chance, 1, 2.0 / 1024, 0); // zeros, but for the first of 1024 pages
    assert_true(dataset.chance < 1);
    batch_draw(&dataset, &batch, DATASET_TEST, 0, 64);
    batch_check(&dataset, &batch, 64);
    // Rows that were read ahead are those of any order.
    batch_draw(&dataset, &other, DATASET_TEST, 1, 64);
    batch_draw(&dataset, &other, DATASET_TEST, 0, 64);
    check_same_bytes(&other, &batch, sizeof batch);
    dataset_close(&dataset);
    // What lies in a page that is looked at, as the first and the last are, changes the
    // fingerprint, and so does the size.
    make_file("huge", 4096, 2, 1);
    assert_int_equal(truncate(in_folder("huge"), size), 0);
    check_ok(open_path(64, in_folder("huge")));
    assert_true(dataset.fingerprint != before);
    before = dataset.fingerprint;
    dataset_close(&dataset);
    for (int k = 0; k < 2; k++) {
        FILE *stream = fopen(in_folder("huge"), "r+b");
        assert_non_null(stream);
        assert_int_equal(fseeko(stream, size - 1 + k, SEEK_SET), 0);
        assert_true(fputc(1 - k, stream) != EOF && fclose(stream) == 0);
        check_ok(open_path(64, in_folder("huge")));
        assert_true(dataset.fingerprint != before);
        before = dataset.fingerprint;
        dataset_close(&dataset);
    }
    remove_folder();
}

CHECK_MAIN(cmocka_unit_test(test_text_windows_of_several_files),
           cmocka_unit_test(test_text_fingerprints), cmocka_unit_test(test_text_name_with_colon),
           cmocka_unit_test(test_text_skips),
           cmocka_unit_test(test_text_any_bytes_at_another_length),
           cmocka_unit_test(test_text_huge_file), cmocka_unit_test(test_text),
           cmocka_unit_test(test_text_chance),
           cmocka_unit_test(test_text_held_out_is_the_same_for_all_seeds),
           cmocka_unit_test(test_text_smallest_file), cmocka_unit_test(test_text_refused))
