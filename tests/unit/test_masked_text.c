// The masked-text task: rows are windows of the text with some bytes behind MASK, just as many as
// the rate says, everywhere equally often; what is masked is scored, and nothing else.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../support/batch.h"
#include "../support/check.h"

enum { LENGTH = 32, ROWS = 64, MASK = 256 };

static struct batch batch, other;
static struct dataset dataset;

static void open_task(int64_t length, uint64_t seed, const char *options)
{
    check_ok(batch_open(&dataset, "masked-text", length, seed, options));
}

// The row as it was before anything was hidden.
static void restore(const struct batch *b, int64_t row, unsigned char *bytes)
{
    for (int64_t i = 0; i < dataset.length; i++) {
        int64_t at = row * dataset.length + i;
        bytes[i] =
            (unsigned char)(b->targets[at] == DATASET_IGNORE ? b->tokens[at] : b->targets[at]);
    }
}

static unsigned char text[1 << 17];
static int64_t text_size;

static void read_text(void)
{
    FILE *stream = fopen(BATCH_TEXT, "rb");
    assert_non_null(stream);
    text_size = (int64_t)fread(text, 1, sizeof text, stream);
    assert_in_range(text_size, 2000, sizeof text - 1);
    fclose(stream);
}

// 20 blocks: the 5th and 15th are for validation, the 10th and 20th for the test.
static bool within(int64_t at, int64_t length, enum dataset_split split)
{
    for (int64_t i = at; i < at + length; i++) {
        int64_t block = 0;
        while (i >= (block + 1) * text_size / 20)
            block++;
        int owner = block % 10 == 4 ? DATASET_VALIDATION : block % 10 == 9 ? DATASET_TEST : 0;
        if (owner != (int)split)
            return false;
    }
    return true;
}

// Restored rows are windows of their split.
static void test_rows_are_windows(void **state)
{
    (void)state;
    unsigned char bytes[LENGTH];
    read_text();
    open_task(LENGTH, 1, "random=0.2 keep=0.2");
    assert_int_equal(dataset.vocab, 257);
    assert_true(dataset.needs_bidirectional && !dataset.needs_causal && !dataset.bits_per_byte);
    for (int s = 0; s < DATASET_SPLITS; s++) {
        batch_draw(&dataset, &batch, (enum dataset_split)s, 3, ROWS);
        batch_check(&dataset, &batch, ROWS);
        for (int64_t row = 0; row < ROWS; row++) {
            bool found = false;
            restore(&batch, row, bytes);
            for (int64_t at = 0; at + LENGTH <= text_size && !found; at++)
                found = memcmp(text + at, bytes, LENGTH) == 0 &&
                        within(at, LENGTH, (enum dataset_split)s);
            assert_true(found);
        }
    }
    dataset_close(&dataset);
}

static void check_count(int64_t length, const char *options, int64_t masked)
{
    double at[BATCH_MAX_LENGTH] = {0};
    enum { BATCHES = 50 };
    open_task(length, 1, options);
    for (uint64_t step = 0; step < BATCHES; step++) {
        batch_draw(&dataset, &batch, DATASET_TRAIN, step, ROWS);
        batch_check(&dataset, &batch, ROWS);
        for (int64_t row = 0; row < ROWS; row++) {
            int64_t count = 0;
            for (int64_t i = 0; i < length; i++) {
                bool hidden = batch.tokens[row * length + i] == MASK;
                assert_int_equal(hidden, batch.targets[row * length + i] != DATASET_IGNORE);
                assert_int_equal(batch.mask[row * length + i], 1);
                count += hidden;
                at[i] += hidden;
            }
            assert_int_equal(count, masked);
        }
    }
    double each = BATCHES * ROWS * (double)masked / (double)length;
    for (int64_t i = 0; i < length; i++)
        check_close(at[i], each, 0, 5 * sqrt(each));
    dataset_close(&dataset);
}

static void test_count(void **state)
{
    (void)state;
    check_count(32, "", 5); // 4.8
    check_count(30, "", 5); // 4.5
    check_count(29, "", 4); // 4.35
    check_count(3, "", 1);  // 0.45
    check_count(1, "", 1);
    check_count(20, "mask_rate=0", 1);
    check_count(20, "mask_rate=1", 20);
    check_count(200, "mask_rate=0.5", 100);
}

// What is shown at the masked places: MASK, the byte itself, or any byte.
static void test_keep_and_random(void **state)
{
    (void)state;
    double shown[3] = {0}, all = 0;
    open_task(LENGTH, 1, "mask_rate=0.5 keep=0.1 random=0.3");
    for (uint64_t step = 0; step < 40; step++) {
        batch_draw(&dataset, &batch, DATASET_TRAIN, step, ROWS);
        for (int64_t i = 0; i < ROWS * LENGTH; i++) {
            int32_t target = batch.targets[i], token = batch.tokens[i];
            if (target == DATASET_IGNORE)
                continue;
            all += 1;
            shown[token == MASK ? 0 : token == target ? 1 : 2] += 1;
        }
    }
    assert_true(all == 40 * ROWS * 16);
    check_close(shown[0] / all, 0.6, 0, 5 * sqrt(0.6 * 0.4 / all));
    check_close(shown[1] / all, 0.1 + 0.3 / 256, 0, 5 * sqrt(0.1 / all));
    check_close(shown[2] / all, 0.3 - 0.3 / 256, 0, 5 * sqrt(0.3 / all));
    dataset_close(&dataset);
}

// Held-out rows, masks and all, are the same for all seeds; training rows are not.
static void test_seeds(void **state)
{
    (void)state;
    for (int s = 0; s < DATASET_SPLITS; s++) {
        open_task(LENGTH, 1, "");
        batch_draw(&dataset, &batch, (enum dataset_split)s, 5, 8);
        batch_draw(&dataset, &other, (enum dataset_split)s, 5, 8);
        check_same_bytes(&other, &batch, sizeof batch);
        batch_draw(&dataset, &other, (enum dataset_split)s, 6, 8);
        assert_true(memcmp(&other, &batch, sizeof batch) != 0);
        dataset_close(&dataset);
        open_task(LENGTH, 2, "");
        batch_draw(&dataset, &other, (enum dataset_split)s, 5, 8);
        dataset_close(&dataset);
        assert_int_equal(memcmp(&batch, &other, sizeof batch) == 0, s != DATASET_TRAIN);
    }
}

// The text itself scores 1, and its commonest byte about chance.
static void test_scores(void **state)
{
    (void)state;
    static int32_t guess[ROWS * LENGTH];
    struct dataset_score right = {0}, constant = {0};
    for (int64_t i = 0; i < ROWS * LENGTH; i++)
        guess[i] = ' ';
    open_task(LENGTH, 1, "");
    for (uint64_t step = 0; step < 60; step++) {
        batch_draw(&dataset, &batch, DATASET_TRAIN, step, ROWS);
        dataset_score(&right, ROWS, LENGTH, batch.targets, batch.targets);
        dataset_score(&constant, ROWS, LENGTH, guess, batch.targets);
    }
    assert_int_equal(right.correct, right.scored);
    assert_int_equal(right.scored, 60 * ROWS * 5);
    assert_int_equal(right.rows, 60 * ROWS);
    // Windows overlap: rows are less independent than draws.
    check_close((double)constant.correct / (double)constant.scored, dataset.chance, 0, 0.02);
    dataset_close(&dataset);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *options, *words;
    } bad[] = {
        {"keep=0.6 random=0.6", "keep 0.6 and random 0.6 are more than 1 together"},
        {"mask_rate=1.5", "mask_rate 1.5 is out of range"},
        {"mask_rate=nan", "mask_rate 'nan'"},
        {"mask_rat=1", "did you mean 'mask_rate'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_error(batch_open(&dataset, "masked-text", LENGTH, 0, bad[i].options), ERR_ARGUMENT,
                    bad[i].words);
    struct dataset_request request = {.task = "masked-text", .length = LENGTH};
    check_error(dataset_open(&dataset, &request), ERR_ARGUMENT, "task masked-text reads a file");
    request.data_path = "/dev/null";
    check_error(dataset_open(&dataset, &request), ERR_FILE, "not a regular file");
    request.data_path = BATCH_TEXT;
    request.length = 1 << 20;
    check_error(dataset_open(&dataset, &request), ERR_FILE,
                "windows of length 1048576 take 20971520");
}

// A window has no byte more than the row: a file of 20 times the length will do.
static void test_smallest_file(void **state)
{
    (void)state;
    char path[] = "/tmp/posgrad-masked-XXXXXX", bytes[160] = {0};
    int file = mkstemp(path);
    assert_true(file >= 0 && write(file, bytes, sizeof bytes) == sizeof bytes);
    close(file);
    struct dataset_request request = {.task = "masked-text", .length = 8, .data_path = path};
    check_ok(dataset_open(&dataset, &request));
    batch_draw(&dataset, &batch, DATASET_TEST, 0, ROWS);
    batch_check(&dataset, &batch, ROWS);
    check_close(dataset.chance, 1, 0, 0);
    dataset_close(&dataset);
    request.length = 9;
    check_error(dataset_open(&dataset, &request), ERR_FILE,
                "has 160 bytes; windows of length 9 take 180");
    unlink(path);
}

CHECK_MAIN(cmocka_unit_test(test_rows_are_windows), cmocka_unit_test(test_count),
           cmocka_unit_test(test_keep_and_random), cmocka_unit_test(test_seeds),
           cmocka_unit_test(test_scores), cmocka_unit_test(test_refused),
           cmocka_unit_test(test_smallest_file))
