// Tasks: each against a slow and obvious reading of its own rows, the scorer, that batches are
// functions of their arguments alone, that splits share nothing, and what is refused with which
// words.
#include "../../datasets/dataset.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../support/batch.h"
#include "../support/check.h"

static struct batch batch, other;
static struct dataset dataset;

static void open_task(const char *task, int64_t length, const char *options)
{
    check_ok(batch_open(&dataset, task, length, 1, options));
}

// --- probe

static void check_probe_row(const struct batch *b, int64_t row, bool bos)
{
    int64_t n = batch_row_length(&dataset, b, row);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = row * dataset.length + i;
        assert_int_equal(b->mask[at], 1);
        assert_int_equal(b->tokens[at], bos && i == 0 ? dataset.vocab - 1 : 0);
        assert_int_equal(b->targets[at], i - bos); // -1, ignored, at the start token
    }
}

static void test_probe(void **state)
{
    (void)state;
    for (int64_t length = 1; length <= 33; length += 4) {
        for (int bos = 0; bos < 2 && length > bos; bos++) {
            open_task("probe", length, bos ? "bos=1" : "");
            assert_int_equal(dataset.vocab, (length > 2 ? length : 2) + bos);
            check_close(dataset.chance, 1.0 / (double)(length - bos), 1e-15, 0);
            batch_draw(&dataset, &batch, DATASET_TRAIN, 3, 5);
            batch_check(&dataset, &batch, 5);
            for (int row = 0; row < 5; row++) {
                assert_int_equal(batch_row_length(&dataset, &batch, row), length);
                check_probe_row(&batch, row, bos);
            }
            dataset_close(&dataset);
        }
    }
}

// With mixed=1 all rows of a batch are as long as each other, all lengths come, and the accuracy of
// always saying "first" is what the task calls chance.
static void test_probe_mixed(void **state)
{
    (void)state;
    enum { LENGTH = 9, BATCHES = 3000 };
    for (int bos = 0; bos < 2; bos++) {
        int seen[LENGTH + 1] = {0};
        double first = 0, scored = 0;
        open_task("probe", LENGTH, bos ? "mixed=1 bos=1" : "mixed=1");
        for (uint64_t step = 0; step < BATCHES; step++) {
            batch_draw(&dataset, &batch, DATASET_TRAIN, step, 4);
            int64_t n = batch_row_length(&dataset, &batch, 0) - bos;
            assert_in_range(n, 1, LENGTH - bos);
            seen[n]++;
            first += 1;
            scored += (double)n;
            for (int row = 0; row < 4; row++) {
                assert_int_equal(batch_row_length(&dataset, &batch, row), n + bos);
                check_probe_row(&batch, row, bos);
            }
        }
        double each = (double)BATCHES / (LENGTH - bos);
        for (int n = 1; n <= LENGTH - bos; n++)
            check_close(seen[n], each, 0, 5 * sqrt(each));
        check_close(first / scored, dataset.chance, 0.03, 0);
        dataset_close(&dataset);
    }
}

// --- probe2d

// What cell t of a grid of that width says, by the name of the answer.
static int64_t cell_says(const char *answer, int64_t t, int64_t width)
{
    if (strcmp(answer, "both") == 0)
        return t;
    return strcmp(answer, "row") == 0 ? t / width : t % width;
}

static void check_grid(const char *sizes, int64_t length, int64_t height, int64_t width)
{
    static const char *const answers[] = {"both", "row", "column"};
    const int64_t classes[] = {length, height, width};
    for (int k = 0; k < 3; k++) {
        char text[96];
        snprintf(text, sizeof text, "%s answer=%s", sizes, answers[k]);
        open_task("probe2d", length, text);
        assert_int_equal(dataset.grid_height, height);
        assert_int_equal(dataset.grid_width, width);
        assert_int_equal(dataset.vocab, classes[k] > 2 ? classes[k] : 2);
        check_close(dataset.chance, 1.0 / (double)classes[k], 1e-15, 0);
        batch_draw(&dataset, &batch, DATASET_TEST, 1, 3);
        batch_check(&dataset, &batch, 3);
        for (int64_t i = 0; i < 3 * length; i++) {
            assert_true(batch.mask[i] == 1 && batch.tokens[i] == 0);
            assert_int_equal(batch.targets[i], cell_says(answers[k], i % length, width));
        }
        dataset_close(&dataset);
    }
}

static void test_probe2d(void **state)
{
    (void)state;
    check_grid("", 1, 1, 1);
    check_grid("", 49, 7, 7);
    check_grid("height=3", 12, 3, 4);
    check_grid("width=3", 12, 4, 3);
    check_grid("height=1", 12, 1, 12);
    check_grid("height=12 width=1", 12, 12, 1);
    open_task("probe", 9, ""); // a row is no grid
    assert_true(dataset.grid_height == 0 && dataset.grid_width == 0);
    dataset_close(&dataset);
}

// --- copy and reverse

static void check_string_row(const struct batch *b, int64_t row, bool reverse, int64_t symbols)
{
    const int32_t *tokens = b->tokens + row * dataset.length;
    const int32_t *targets = b->targets + row * dataset.length;
    int64_t size = batch_row_length(&dataset, b, row), n = (size - 1) / 2;
    assert_int_equal(size, 2 * n + 1);
    for (int64_t i = 0; i < dataset.length; i++) {
        assert_int_equal(b->mask[row * dataset.length + i], i < size);
        if (i < n)
            assert_in_range(tokens[i], 0, symbols - 1);
        else if (i < size)
            assert_int_equal(tokens[i], i == n ? symbols : symbols + 1);
        if (i <= n || i >= size)
            assert_int_equal(targets[i], DATASET_IGNORE);
        else
            assert_int_equal(targets[i], reverse ? tokens[size - 1 - i] : tokens[i - n - 1]);
    }
}

static void check_string_task(const char *task, int64_t length, const char *options,
                              int64_t symbols, int64_t shortest, int64_t longest)
{
    bool seen[BATCH_MAX_LENGTH] = {false};
    open_task(task, length, options);
    assert_int_equal(dataset.vocab, symbols + 2);
    check_close(dataset.chance, 1.0 / (double)symbols, 1e-15, 0);
    for (uint64_t step = 0; step < 20; step++) {
        batch_draw(&dataset, &batch, DATASET_TRAIN, step, 16);
        batch_check(&dataset, &batch, 16);
        for (int64_t row = 0; row < 16; row++) {
            check_string_row(&batch, row, task[0] == 'r', symbols);
            seen[(batch_row_length(&dataset, &batch, row) - 1) / 2] = true;
        }
    }
    for (int64_t n = 0; n < BATCH_MAX_LENGTH; n++)
        assert_int_equal(seen[n], n >= shortest && n <= longest);
    dataset_close(&dataset);
}

static void test_strings(void **state)
{
    (void)state;
    static const char *const tasks[] = {"copy", "reverse"};
    for (int t = 0; t < 2; t++) {
        check_string_task(tasks[t], 32, "", 16, 15, 15);
        check_string_task(tasks[t], 33, "", 16, 16, 16);
        check_string_task(tasks[t], 3, "symbols=2", 2, 1, 1);
        check_string_task(tasks[t], 32, "symbols=5 min_length=3", 5, 3, 15);
        check_string_task(tasks[t], 32, "max_length=4", 16, 4, 4);
        check_string_task(tasks[t], 32, "max-length=9 min-length=2", 16, 2, 9);
        check_string_task(tasks[t], 255, "symbols=300 max_length=127", 300, 127, 127);
    }
}

// --- all tasks

static const struct {
    const char *task;
    int64_t length;
    const char *options;
} cases[] = {
    {"probe", 32, ""},
    {"probe", 32, "mixed=1 bos=1"},
    {"copy", 32, ""},
    {"copy", 32, "min_length=1"},
    {"reverse", 32, "symbols=3 min_length=5"},
    {"text", 32, ""},
    {"probe2d", 32, "height=4"},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static void test_same_arguments_same_bytes(void **state)
{
    (void)state;
    for (int c = 0; c < CASES; c++) {
        open_task(cases[c].task, cases[c].length, cases[c].options);
        batch_draw(&dataset, &batch, DATASET_VALIDATION, 7, 16);
        batch_draw(&dataset, &other, DATASET_TRAIN, 7,
                   16); // nothing is remembered from one batch to another
        batch_draw(&dataset, &other, DATASET_VALIDATION, 7, 16);
        check_same_bytes(&other, &batch, sizeof batch);
        dataset_close(&dataset);
        open_task(cases[c].task, cases[c].length, cases[c].options);
        batch_draw(&dataset, &other, DATASET_VALIDATION, 7, 16);
        check_same_bytes(&other, &batch, sizeof batch);
        // Rows do not depend on how many come after them.
        batch_draw(&dataset, &other, DATASET_VALIDATION, 7, 3);
        check_same_bytes(other.tokens, batch.tokens, 3 * 32 * sizeof(int32_t));
        dataset_close(&dataset);
    }
}

static bool same_row(const int32_t *a, const int32_t *b)
{
    return memcmp(a, b, (size_t)dataset.length * sizeof *a) == 0;
}

// No row of one (split, step, index) is a row of another, in tasks whose rows are random enough.
static void test_splits_steps_rows_and_seeds_differ(void **state)
{
    (void)state;
    static int32_t rows[256][BATCH_MAX_LENGTH];
    for (int c = 2; c < 4; c++) {
        int count = 0;
        for (int k = 0; k < 16; k++) {
            check_ok(batch_open(&dataset, cases[c].task, 33, (uint64_t)(k / 8), "symbols=16"));
            batch_draw(&dataset, &batch, (enum dataset_split)(k % 8 % 3), (uint64_t)(k % 8 / 3),
                       16);
            for (int row = 0; row < 16; row++)
                memcpy(rows[count++], batch.tokens + row * 33, 33 * sizeof(int32_t));
            if (k < 15)
                dataset_close(&dataset);
        }
        for (int i = 0; i < count; i++)
            for (int j = 0; j < i; j++)
                assert_false(same_row(rows[i], rows[j]));
        dataset_close(&dataset);
    }
}

// Right answers score 1; random ones about chance (each task's own chance is for the best guess,
// which for text is the commonest byte, so noise stays below it there).
static void test_scores(void **state)
{
    (void)state;
    static int32_t noise[BATCH_MAX];
    for (int c = 0; c < CASES; c++) {
        struct rng rng;
        struct dataset_score right = {0}, random = {0};
        rng_init(&rng, rng_stream(0, "noise"), 0, 0);
        open_task(cases[c].task, cases[c].length, cases[c].options);
        bool strings = strcmp(cases[c].task, "copy") == 0 || strcmp(cases[c].task, "reverse") == 0;
        uint32_t answers = (uint32_t)dataset.vocab - (strings ? 2 : 0);
        for (uint64_t step = 0; step < 60; step++) {
            batch_draw(&dataset, &batch, DATASET_TEST, step, 32);
            for (int i = 0; i < 32 * 32; i++)
                noise[i] = (int32_t)rng_below(&rng, answers);
            dataset_score(&right, 32, 32, batch.targets, batch.targets);
            dataset_score(&random, 32, 32, noise, batch.targets);
        }
        assert_true(right.scored > 0 && right.rows == 60 * 32);
        assert_int_equal(right.correct, right.scored);
        assert_int_equal(right.rows_correct, right.rows);
        assert_int_equal(random.scored, right.scored);
        double scored = (double)random.scored, expected = 1.0 / answers;
        check_close((double)random.correct / scored, expected, 0, 5 * sqrt(expected / scored));
        if (strings)
            check_close(expected, dataset.chance, 1e-12, 0);
        else
            assert_true(expected <= dataset.chance);
        dataset_close(&dataset);
    }
}

static void test_score_counts(void **state)
{
    (void)state;
    enum { I = DATASET_IGNORE };
    static const int32_t targets[4][4] = {{1, 2, I, I}, {3, I, I, 3}, {I, I, I, I}, {0, 0, 0, 0}};
    static const int32_t guesses[4][4] = {{1, 2, 9, 9}, {3, 1, 1, 0}, {I, I, I, I}, {0, 0, 0, 1}};
    struct dataset_score score = {0};
    dataset_score(&score, 4, 4, guesses[0], targets[0]);
    assert_int_equal(score.scored, 8);
    assert_int_equal(score.correct, 6);
    assert_int_equal(score.rows, 3);
    assert_int_equal(score.rows_correct, 1);
    dataset_score(&score, 4, 4, targets[0], targets[0]); // adds
    assert_int_equal(score.scored, 16);
    assert_int_equal(score.correct, 14);
    assert_int_equal(score.rows, 6);
    assert_int_equal(score.rows_correct, 4);
    dataset_score(&score, 0, 4, NULL, NULL);
    assert_int_equal(score.rows, 6);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *task;
        int64_t length;
        const char *options, *words;
    } bad[] = {
        {"cpoy", 32, "", "did you mean 'copy'?"},
        {"zzzzzz", 32, "", "posgrad list tasks"},
        {"copy", 0, "", "length 0 is out of range"},
        {"copy", -5, "", "length -5"},
        {"copy", (int64_t)1 << 40, "", "out of range"},
        {"copy", 2, "", "at least 3"},
        {"copy", 32, "symbls=4", "did you mean 'symbols'?"},
        {"copy", 32, "symbols=1", "symbols 1 is out of range"},
        {"copy", 32, "symbols=four", "symbols 'four'"},
        {"copy", 32, "max_length=16", "max_length 16 does not fit length 32"},
        {"reverse", 32, "min_length=16", "min_length 16"},
        {"reverse", 32, "max_length=3 min_length=4", "min_length 4"},
        {"reverse", 32, "bos=1", "--task-opt of task reverse: no option 'bos'"},
        {"probe", 1, "bos=1", "bos=1"},
        {"probe", 8, "bos=maybe", "bos 'maybe'"},
        {"probe", 8, "bos", "'bos' is not KEY=VALUE"},
        {"probe2d", 12, "", "length 12 is not a square"},
        {"probe2d", 12, "height=5", "5 by 2 is not the length 12"},
        {"probe2d", 12, "width=24", "0 by 24"},
        {"probe2d", 12, "height=3 width=3", "3 by 3"},
        {"probe2d", 16, "answer=rows", "did you mean 'row'?"},
        {"text", 8, "bos=1", "there are no options"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        memset(&dataset, 0x5a, sizeof dataset);
        int code = batch_open(&dataset, bad[i].task, bad[i].length, 0, bad[i].options);
        check_error(code, ERR_ARGUMENT, bad[i].words);
        assert_null(dataset.task); // nothing is left open, and closing is harmless
        dataset_close(&dataset);
    }
    struct dataset_request request = {.task = "copy", .length = 32, .data_path = BATCH_TEXT};
    check_error(dataset_open(&dataset, &request), ERR_ARGUMENT, "leave out --data");
}

// At another length than the training's the vocabulary stays, and rows are as long as fit.
static void test_evaluation(void **state)
{
    (void)state;
    const char *pairs[] = {"min_length=2", "max_length=5"};
    struct dataset_request request = {
        .task = "copy", .length = 31, .train_length = 11, .pair_count = 2, .pairs = pairs};
    check_ok(dataset_open(&dataset, &request));
    batch_draw(&dataset, &batch, DATASET_TEST, 0, 64);
    batch_check(&dataset, &batch, 64);
    for (int64_t row = 0; row < 64; row++)
        assert_int_equal(batch_row_length(&dataset, &batch, row), 31);
    dataset_close(&dataset);
    request = (struct dataset_request){.task = "probe", .length = 16, .train_length = 8};
    check_error(dataset_open(&dataset, &request), ERR_ARGUMENT, "train with --task-opt classes=16");
    const char *classes[] = {"classes=20"};
    request.pair_count = 1;
    request.pairs = classes;
    check_ok(dataset_open(&dataset, &request));
    assert_int_equal(dataset.vocab, 20);
    dataset_close(&dataset);
    request = (struct dataset_request){.task = "probe2d", .length = 16, .train_length = 9};
    check_error(dataset_open(&dataset, &request), ERR_ARGUMENT, "is not scored at length 16");
}

static uint64_t row_hash(const struct batch *b, int64_t row)
{
    uint64_t hash = 0;
    for (int64_t i = 0; i < dataset.length; i++)
        hash = hash * 6364136223846793005u + (uint64_t)(2 * b->tokens[row * dataset.length + i] +
                                                        b->mask[row * dataset.length + i] + 1);
    return hash;
}

// Strings of 13 bits: 8192 rows, of which each split has its own.
static void test_splits_share_no_row(void **state)
{
    (void)state;
    enum { DRAWN = 4096 };
    static uint64_t seen[DATASET_SPLITS][DRAWN];
    open_task("copy", 27, "symbols=2");
    for (int s = 0; s < DATASET_SPLITS; s++)
        for (int i = 0; i < DRAWN; i++) {
            if (i % 64 == 0)
                batch_draw(&dataset, &batch, (enum dataset_split)s, (uint64_t)i / 64, 64);
            seen[s][i] = row_hash(&batch, i % 64);
        }
    for (int i = 0; i < DRAWN; i++)
        for (int k = 0; k < DRAWN; k++) {
            assert_true(seen[DATASET_TRAIN][i] != seen[DATASET_VALIDATION][k]);
            assert_true(seen[DATASET_TRAIN][i] != seen[DATASET_TEST][k]);
            assert_true(seen[DATASET_VALIDATION][i] != seen[DATASET_TEST][k]);
        }
    dataset_close(&dataset);
}

// The longest row grows with the steps; held-out rows are of all lengths from the start.
static void test_curriculum(void **state)
{
    (void)state;
    const char *pairs[] = {"min_length=3", "max_length=23"};
    struct dataset_request request = {
        .task = "copy", .length = 47, .curriculum = 100, .pair_count = 2, .pairs = pairs};
    check_ok(dataset_open(&dataset, &request));
    for (uint64_t step = 1; step <= 120; step += 7) {
        int64_t most = 3 + 20 * (int64_t)(step < 100 ? step : 100) / 100, longest = 0, held_out = 0;
        batch_draw(&dataset, &batch, DATASET_TRAIN, step, 64);
        batch_draw(&dataset, &other, DATASET_TEST, step, 64);
        for (int64_t row = 0; row < 64; row++) {
            int64_t n = (batch_row_length(&dataset, &batch, row) - 1) / 2;
            int64_t m = (batch_row_length(&dataset, &other, row) - 1) / 2;
            assert_in_range(n, 3, most);
            longest = n > longest ? n : longest;
            held_out = m > held_out ? m : held_out;
        }
        assert_true(longest >= most - 2);
        assert_true(held_out >= 21);
    }
    dataset_close(&dataset);
}

// Where there is nothing to grow, one line says so.
static void test_curriculum_needs_lengths(void **state)
{
    (void)state;
    static const char *const pairs[] = {"min_length=7"};
    struct dataset_request request = {.task = "copy", .length = 15, .curriculum = 10};
    check_error(dataset_open(&dataset, &request), ERR_ARGUMENT, "give --task-opt min_length=N");
    assert_null(dataset.task);
    request.pair_count = 1;
    request.pairs = pairs; // as long as the longest
    check_error(dataset_open(&dataset, &request), ERR_ARGUMENT, "draws no lengths");
    request.length = 17;
    check_ok(dataset_open(&dataset, &request));
    assert_int_equal(dataset.curriculum, 10);
    dataset_close(&dataset);
    request = (struct dataset_request){.task = "probe", .length = 15, .curriculum = 10};
    check_error(dataset_open(&dataset, &request), ERR_ARGUMENT, "give --task-opt mixed=1");
    request = (struct dataset_request){.task = "probe2d", .length = 16, .curriculum = 10};
    check_error(dataset_open(&dataset, &request), ERR_ARGUMENT, "leave out --curriculum");
}

// A length that all rows of a batch share grows, too, with any seed.
static void test_curriculum_of_the_probe(void **state)
{
    (void)state;
    static const char *const pairs[] = {"mixed=1"};
    struct dataset_request request = {
        .task = "probe", .length = 3, .curriculum = 100, .pair_count = 1, .pairs = pairs};
    for (request.seed = 0; request.seed < 50; request.seed++) {
        check_ok(dataset_open(&dataset, &request));
        for (uint64_t step = 1; step < 50; step++) { // 2 come from step 50 on
            batch_draw(&dataset, &batch, DATASET_TRAIN, step, 4);
            assert_int_equal(batch_row_length(&dataset, &batch, 3), 1);
        }
        dataset_close(&dataset);
    }
}

static void test_list(void **state)
{
    (void)state;
    for (int i = 0; i < task_count; i++) {
        const struct task_def *task = task_list[i];
        assert_ptr_equal(task_find(task->name), task);
        assert_true(i == 0 || strcmp(task_list[i - 1]->name, task->name) < 0);
        assert_true(task->title && task->source && task->scored && task->open && task->sample);
        for (const struct option_def *o = task->options; o && o->key; o++)
            assert_true(o->help && o->help[0]);
    }
}

CHECK_MAIN(cmocka_unit_test(test_evaluation), cmocka_unit_test(test_splits_share_no_row),
           cmocka_unit_test(test_curriculum), cmocka_unit_test(test_curriculum_needs_lengths),
           cmocka_unit_test(test_curriculum_of_the_probe), cmocka_unit_test(test_list),
           cmocka_unit_test(test_probe), cmocka_unit_test(test_probe_mixed),
           cmocka_unit_test(test_probe2d), cmocka_unit_test(test_strings),
           cmocka_unit_test(test_same_arguments_same_bytes),
           cmocka_unit_test(test_splits_steps_rows_and_seeds_differ), cmocka_unit_test(test_scores),
           cmocka_unit_test(test_score_counts), cmocka_unit_test(test_refused))
