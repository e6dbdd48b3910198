// Rows of the string-to-string tasks, read back and guessed.
#include "strings.h"

#include <math.h>
#include <string.h>

#include "check.h"

enum { ROWS = BATCH_MAX_ROWS, STEPS = 9 };

static struct dataset dataset;
static struct batch batch, answers;

// Tokens before SEP, which is the last but one of the vocabulary.
static int64_t text_size(const struct batch *b, int64_t row)
{
    const int32_t *tokens = b->tokens + row * dataset.length;
    int64_t size = 0;
    while (size < dataset.length && tokens[size] != dataset.vocab - 2)
        size++;
    return size;
}

// The row must be string, SEP, as many BLANK as the reference has slots, and padding; the right
// answers are left in `answers`. Returns the size of the string.
static int64_t check_row(const struct strings_case *one, int64_t row)
{
    static int32_t answer[2 * BATCH_MAX_LENGTH + 2];
    const int32_t *tokens = batch.tokens + row * dataset.length;
    const int32_t *targets = batch.targets + row * dataset.length;
    int64_t size = text_size(&batch, row), slots = one->reference(tokens, size, answer);
    int64_t end = size + 1 + slots;
    assert_int_equal(batch_row_length(&dataset, &batch, row), end);
    for (int64_t i = 0; i < end; i++) {
        assert_int_equal(batch.mask[row * dataset.length + i], 1);
        if (i < size)
            assert_in_range(tokens[i], 0, one->symbols - 1);
        else
            assert_int_equal(tokens[i], one->symbols + (i > size));
        int32_t right = i > size ? answer[i - size - 1] : DATASET_IGNORE;
        assert_int_equal(targets[i], right);
        answers.tokens[row * dataset.length + i] = right;
    }
    return size;
}

static void check_noise(const struct dataset_score *noise)
{
    double scored = (double)noise->scored, expected = 1.0 / (double)dataset.vocab;
    check_close((double)noise->correct / scored, expected, 0, 5 * sqrt(expected / scored));
}

void strings_check(const struct strings_case *one)
{
    struct dataset_score right = {0}, noise = {0};
    struct rng rng;
    bool seen[BATCH_MAX_LENGTH + 1] = {false};
    rng_init(&rng, rng_stream(0, "noise"), 0, 0);
    check_ok(batch_open(&dataset, one->task, one->length, 1, one->options));
    assert_int_equal(dataset.vocab, one->symbols + 2);
    for (int step = 0; step < STEPS; step++) {
        batch_draw(&dataset, &batch, (enum dataset_split)(step % DATASET_SPLITS), (uint64_t)step,
                   ROWS);
        batch_check(&dataset, &batch, ROWS);
        for (int64_t row = 0; row < ROWS; row++)
            seen[check_row(one, row)] = true;
        dataset_score(&right, ROWS, dataset.length, answers.tokens, batch.targets);
        for (int64_t i = 0; i < ROWS * dataset.length; i++)
            answers.tokens[i] = (int32_t)rng_below(&rng, (uint32_t)dataset.vocab);
        dataset_score(&noise, ROWS, dataset.length, answers.tokens, batch.targets);
    }
    assert_int_equal(right.rows, STEPS * ROWS);
    assert_int_equal(right.rows_correct, right.rows);
    assert_int_equal(right.correct, right.scored);
    check_noise(&noise);
    assert_true(seen[one->shortest] && seen[one->longest]);
    for (int64_t size = 0; size <= BATCH_MAX_LENGTH; size++)
        assert_true(!seen[size] || (size >= one->shortest && size <= one->longest));
    dataset_close(&dataset);
}

// --- chance

enum { GUESS_LENGTH = 72, GUESS_SYMBOLS = 20, LEARN = 500, SCORE = 300 };
static int32_t counts[GUESS_LENGTH][GUESS_LENGTH][GUESS_SYMBOLS]; // size, slot, symbol

static int32_t best_guess(const int32_t *count)
{
    int32_t best = 0;
    for (int32_t symbol = 1; symbol < GUESS_SYMBOLS; symbol++)
        if (count[symbol] > count[best])
            best = symbol;
    return best;
}

// How much better than chance the guesses are in a row; counts the row instead while learning.
static double guess_row(int64_t row, bool learning, double *scored)
{
    double excess = 0;
    int64_t size = text_size(&batch, row);
    for (int64_t i = size + 1; i < dataset.length; i++) {
        int32_t target = batch.targets[row * dataset.length + i];
        if (target == DATASET_IGNORE)
            continue;
        int32_t *count = counts[size][i - size - 1];
        count[target] += learning;
        excess += (best_guess(count) == target) - dataset.chance;
        *scored += 1;
    }
    return excess;
}

void strings_check_chance(const char *task, int64_t length, const char *options)
{
    double excess = 0, squares = 0, scored = 0;
    assert_true(length <= GUESS_LENGTH);
    memset(counts, 0, sizeof counts);
    check_ok(batch_open(&dataset, task, length, 5, options));
    for (uint64_t step = 0; step < LEARN + SCORE; step++) {
        bool learning = step < LEARN;
        batch_draw(&dataset, &batch, DATASET_TRAIN, step, ROWS);
        for (int64_t row = 0; row < ROWS; row++) {
            double counted = 0, one = guess_row(row, learning, &counted);
            excess += learning ? 0 : one;
            squares += learning ? 0 : one * one;
            scored += learning ? 0 : counted;
        }
    }
    // Rows are independent, answers of a row are not. The guesses learned are a little worse than
    // the best.
    double error = 5 * sqrt(squares) + 0.002 * scored;
    if (fabs(excess) > error)
        fail_msg("%s, length %lld, %s: chance is said to be %f, and is %f", task, (long long)length,
                 options, dataset.chance, dataset.chance + excess / scored);
    dataset_close(&dataset);
}
