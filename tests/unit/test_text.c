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
    check_error(open_path(8, "/tmp"), ERR_FILE, "'/tmp' is a folder");
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

CHECK_MAIN(cmocka_unit_test(test_text), cmocka_unit_test(test_text_chance),
           cmocka_unit_test(test_text_held_out_is_the_same_for_all_seeds),
           cmocka_unit_test(test_text_smallest_file), cmocka_unit_test(test_text_refused))
