// What every task of the list is held to, whatever it is: batches are functions of their arguments
// alone, tokens and answers are in range, splits share no row, lengths reach what was asked, and a
// model can be scored on longer rows with the vocabulary that it has.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../support/batch.h"
#include "../support/check.h"

enum { ROWS = BATCH_MAX_ROWS };

static struct dataset dataset;
static struct batch batch, other;

// Tasks differ in the lengths that they can make: most of these, and one of them at least.
static const int64_t lengths[] = {32, 33, 36, 49, 64, 128};
enum { LENGTHS = sizeof lengths / sizeof lengths[0] };

// Opens task t at one of the lengths, or says that it cannot be.
static bool open_at(int t, int64_t length, const char *options)
{
    int code = batch_open(&dataset, task_list[t]->name, length, 1, options);
    if (code < 0)
        check_error(code, ERR_ARGUMENT, task_list[t]->name);
    return code == 0;
}

static void open_any(int t)
{
    for (int i = LENGTHS - 1; i >= 0; i--)
        if (open_at(t, lengths[i], ""))
            return;
    fail_msg("task %s: %s", task_list[t]->name, err_last());
}

// --- ranges

static void check_ranges(void)
{
    assert_true(dataset.vocab >= 2);
    assert_true(dataset.chance > 0 && dataset.chance <= 1 && dataset.row_bits >= 0);
    for (int s = 0; s < DATASET_SPLITS; s++) {
        struct dataset_score score = {0};
        batch_draw(&dataset, &batch, (enum dataset_split)s, 2, ROWS);
        batch_check(&dataset, &batch, ROWS);
        dataset_score(&score, ROWS, dataset.length, batch.targets, batch.targets);
        assert_int_equal(score.rows, ROWS); // every row asks something
        assert_int_equal(score.correct, score.scored);
        assert_int_equal(score.rows_correct, ROWS);
    }
}

static void test_ranges(void **state)
{
    (void)state;
    for (int t = 0; t < task_count; t++) {
        int opened = 0;
        for (int i = 0; i < LENGTHS; i++) {
            if (!open_at(t, lengths[i], ""))
                continue;
            check_ranges();
            dataset_close(&dataset);
            opened++;
        }
        assert_true(opened > 0);
    }
}

// --- same arguments, same bytes

static void check_same_rows(const struct batch *a, const struct batch *b, int64_t rows)
{
    size_t size = (size_t)(rows * dataset.length) * sizeof(int32_t);
    check_same_bytes(a->tokens, b->tokens, size);
    check_same_bytes(a->targets, b->targets, size);
    check_same_bytes(a->mask, b->mask, size);
}

static void check_pure(int t, enum dataset_split split)
{
    open_any(t);
    int64_t length = dataset.length;
    batch_draw(&dataset, &batch, split, 7, ROWS);
    batch_draw(&dataset, &other, (enum dataset_split)((split + 1) % DATASET_SPLITS), 3, ROWS);
    batch_draw(&dataset, &other, split, 7, ROWS); // nothing is remembered from the one before
    check_same_rows(&other, &batch, ROWS);
    for (int64_t rows = 1; rows < ROWS; rows += 9) { // rows do not depend on how many there are
        batch_draw(&dataset, &other, split, 7, rows);
        check_same_rows(&other, &batch, rows);
    }
    dataset_close(&dataset);
    check_ok(batch_open(&dataset, task_list[t]->name, length, 1, ""));
    batch_draw(&dataset, &other, split, 7, ROWS);
    check_same_rows(&other, &batch, ROWS);
    dataset_close(&dataset);
}

static void test_same_arguments_same_bytes(void **state)
{
    (void)state;
    for (int t = 0; t < task_count; t++)
        for (int s = 0; s < DATASET_SPLITS; s++)
            check_pure(t, (enum dataset_split)s);
}

// --- splits

struct drawn {
    uint64_t hash;
    int split;
};
enum { BATCHES = 24, DRAWN = DATASET_SPLITS * BATCHES * ROWS };
static struct drawn drawn[DRAWN];

static uint64_t row_hash(int64_t row)
{
    uint64_t hash = 0;
    for (int64_t i = row * dataset.length; i < (row + 1) * dataset.length; i++)
        hash = hash * 6364136223846793005u + (uint64_t)(2 * batch.tokens[i] + batch.mask[i] + 1);
    return hash;
}

static int by_hash(const void *a, const void *b)
{
    const struct drawn *x = a, *y = b;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static void check_splits(void)
{
    int count = 0;
    for (int s = 0; s < DATASET_SPLITS; s++)
        for (uint64_t step = 0; step < BATCHES; step++) {
            batch_draw(&dataset, &batch, (enum dataset_split)s, step, ROWS);
            for (int64_t row = 0; row < ROWS; row++)
                drawn[count++] = (struct drawn){row_hash(row), s};
        }
    qsort(drawn, DRAWN, sizeof drawn[0], by_hash);
    for (int i = 1; i < DRAWN; i++)
        if (drawn[i].hash == drawn[i - 1].hash && drawn[i].split != drawn[i - 1].split)
            fail_msg("task %s, length %lld: a row of %s is one of %s", dataset.task->name,
                     (long long)dataset.length, dataset_split_name[drawn[i].split],
                     dataset_split_name[drawn[i - 1].split]);
}

// At the shortest rows that there are enough of, too: with few to choose from, any would be met.
static void test_splits_share_no_row(void **state)
{
    (void)state;
    for (int t = 0; t < task_count; t++) {
        int64_t least = 0;
        for (int64_t length = 2; length <= 128; length++) {
            if (!open_at(t, length, ""))
                continue;
            if (dataset.row_bits >= DATASET_SPLIT_BITS && (!least || length == 128)) {
                check_splits();
                least = length;
            }
            dataset_close(&dataset);
        }
    }
}

// --- lengths

struct sizes {
    int64_t least, most;
};

static struct sizes row_sizes(void)
{
    struct sizes sizes = {dataset.length, 0};
    for (uint64_t step = 0; step < 30; step++) {
        batch_draw(&dataset, &batch, DATASET_TRAIN, step, ROWS);
        for (int64_t row = 0; row < ROWS; row++) {
            int64_t size = batch_row_length(&dataset, &batch, row);
            sizes.least = size < sizes.least ? size : sizes.least;
            sizes.most = size > sizes.most ? size : sizes.most;
        }
    }
    return sizes;
}

static void test_lengths_reach_what_was_asked(void **state)
{
    (void)state;
    for (int t = 0; t < task_count; t++) {
        if (!options_find(task_list[t]->options, "min_length"))
            continue;
        open_any(t);
        struct sizes longest = row_sizes();
        dataset_close(&dataset);
        // One task has no row of less than 9.
        bool short_ones = open_at(t, lengths[LENGTHS - 1], "min_length=4");
        assert_true(short_ones || open_at(t, lengths[LENGTHS - 1], "min_length=9"));
        struct sizes all = row_sizes();
        dataset_close(&dataset);
        assert_true(
            open_at(t, lengths[LENGTHS - 1],
                    short_ones ? "min_length=4 max_length=8" : "min_length=9 max_length=13"));
        struct sizes few = row_sizes();
        dataset_close(&dataset);
        assert_int_equal(all.most, longest.most);
        assert_true(all.least < all.most && few.least == all.least);
        assert_true(few.least < few.most && few.most < all.most);
    }
}

// --- scoring at other lengths

// The lengths that the settings ask for are those of the training.
static int open_to_score(int t, int64_t train_length, int64_t length)
{
    static const char *const pairs[] = {"min_length=4", "max_length=6"};
    bool has_lengths = options_find(task_list[t]->options, "min_length") != NULL;
    struct dataset_request request = {
        .task = task_list[t]->name,
        .length = length,
        .train_length = train_length,
        .seed = 1,
        .data_path = task_list[t]->file == DATASET_FILE_REQUIRED ? BATCH_TEXT : NULL,
        .pair_count = has_lengths ? 2 : 0,
        .pairs = pairs};
    return dataset_open(&dataset, &request);
}

// Rows are as long as each other and fill the length, but for what the task cannot make.
static void check_full(void)
{
    batch_draw(&dataset, &batch, DATASET_TEST, 1, ROWS);
    batch_check(&dataset, &batch, ROWS);
    int64_t size = batch_row_length(&dataset, &batch, 0);
    assert_true(4 * size > 3 * dataset.length);
    for (int64_t row = 1; row < ROWS; row++)
        assert_int_equal(batch_row_length(&dataset, &batch, row), size);
}

static void test_scored_at_other_lengths(void **state)
{
    (void)state;
    for (int t = 0; t < task_count; t++) {
        open_any(t);
        int64_t train_length = dataset.length, vocab = dataset.vocab;
        dataset_close(&dataset);
        check_ok(open_to_score(t, train_length, train_length));
        check_full();
        dataset_close(&dataset);
        for (int64_t length = 16; length <= 256; length += 16) {
            int code = open_to_score(t, train_length, length);
            if (code < 0) { // some answers are of the trained length alone
                check_error(code, ERR_ARGUMENT, task_list[t]->name);
                continue;
            }
            assert_int_equal(dataset.vocab, vocab);
            check_full();
            dataset_close(&dataset);
        }
    }
}

CHECK_MAIN(cmocka_unit_test(test_ranges), cmocka_unit_test(test_same_arguments_same_bytes),
           cmocka_unit_test(test_splits_share_no_row),
           cmocka_unit_test(test_lengths_reach_what_was_asked),
           cmocka_unit_test(test_scored_at_other_lengths))
