// Tasks against a reading of their rows.
#include "answers.h"

#include <math.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "batch.h"
#include "check.h"

static struct batch batch, other;

int64_t answers_option(const struct dataset *dataset, const char *key)
{
    const struct option_def *o = options_find(dataset->task->options, key);
    assert_non_null(o);
    const char *field = (const char *)dataset->settings + o->offset;
    int64_t number = 0;
    int word = 0;
    bool flag = false;
    if (o->type == OPTION_INT)
        memcpy(&number, field, sizeof number);
    if (o->type == OPTION_CHOICE)
        memcpy(&word, field, sizeof word);
    if (o->type == OPTION_BOOL)
        memcpy(&flag, field, sizeof flag);
    return number + word + flag;
}

static void open_case(struct dataset *dataset, const struct answers_case *c)
{
    check_ok(batch_open(dataset, c->task, c->length, 1, c->options));
}

// Answers to all rows of the batch, in `answers`; their targets must be the same.
static void answer_batch(const struct dataset *dataset, answer_row *answer, int64_t rows,
                         int32_t *answers)
{
    batch_check(dataset, &batch, rows);
    for (int64_t i = 0; i < rows * dataset->length; i++)
        answers[i] = DATASET_IGNORE;
    for (int64_t row = 0; row < rows; row++) {
        int64_t n = batch_row_length(dataset, &batch, row), first = row * dataset->length;
        for (int64_t i = 0; i < n; i++)
            assert_int_equal(batch.mask[first + i], 1);
        answer(dataset, batch.tokens + first, n, answers + first);
    }
    for (int64_t i = 0; i < rows * dataset->length; i++)
        assert_int_equal(batch.targets[i], answers[i]);
}

static void check_right(const struct dataset *dataset, int64_t rows, const int32_t *answers)
{
    struct dataset_score score = {0};
    dataset_score(&score, rows, dataset->length, answers, batch.targets);
    assert_int_equal(score.rows, rows); // every row asks for something
    assert_int_equal(score.rows_correct, rows);
    assert_int_equal(score.correct, score.scored);
}

static void check_rows(const struct answers_case *c)
{
    enum { ROWS = 16, STEPS = 20 };
    static int32_t answers[BATCH_MAX];
    bool seen[BATCH_MAX_LENGTH + 1] = {false};
    struct dataset dataset;
    open_case(&dataset, c);
    for (uint64_t step = 0; step < STEPS; step++) {
        batch_draw(&dataset, &batch, (enum dataset_split)(step % DATASET_SPLITS), step, ROWS);
        answer_batch(&dataset, c->answer, ROWS, answers);
        check_right(&dataset, ROWS, answers);
        for (int64_t row = 0; row < ROWS; row++)
            seen[batch_row_length(&dataset, &batch, row)] = true;
    }
    for (int64_t n = 0; n <= dataset.length; n++)
        assert_int_equal(seen[n],
                         n >= c->shortest && n <= c->longest && (n - c->shortest) % c->step == 0);
    dataset_close(&dataset);
}

static double best_share(const int64_t *counts, int64_t classes, int64_t all)
{
    int64_t most = 0;
    for (int64_t k = 0; k < classes; k++)
        most = counts[k] > most ? counts[k] : most;
    return (double)most / (double)all;
}

static void check_chance(const struct answers_case *c)
{
    enum { MAX_CLASSES = 1024, STEPS = 100 };
    static int32_t noise[BATCH_MAX];
    int64_t counts[MAX_CLASSES] = {0};
    struct dataset dataset;
    struct dataset_score random = {0};
    struct rng rng;
    rng_init(&rng, rng_stream(0, "noise"), 0, 0);
    open_case(&dataset, c);
    assert_true(dataset.vocab <= MAX_CLASSES);
    for (uint64_t step = 0; step < STEPS; step++) {
        batch_draw(&dataset, &batch, DATASET_TRAIN, step, BATCH_MAX_ROWS);
        for (int64_t i = 0; i < BATCH_MAX_ROWS * dataset.length; i++) {
            noise[i] = (int32_t)rng_below(&rng, (uint32_t)dataset.vocab);
            if (batch.targets[i] != DATASET_IGNORE)
                counts[batch.targets[i]]++;
        }
        dataset_score(&random, BATCH_MAX_ROWS, dataset.length, noise, batch.targets);
    }
    double scored = (double)random.scored, blind = 1 / (double)dataset.vocab;
    double chance = dataset.chance, share = best_share(counts, dataset.vocab, random.scored);
    check_close(share, chance, 0, 6 * sqrt(chance * (1 - chance) / scored) + 1e-12);
    check_close((double)random.correct / scored, blind, 0, 6 * sqrt(blind / scored));
    dataset_close(&dataset);
}

static bool check_bits(const struct answers_case *c)
{
    enum { STEPS = 150, MAX_KINDS = 4096, FEW = 10 };
    static int32_t kinds[MAX_KINDS * 32];
    struct dataset dataset;
    open_case(&dataset, c);
    double expected = exp2(dataset.row_bits);
    size_t size = (size_t)dataset.length * sizeof(int32_t);
    bool few = c->shortest == c->longest && dataset.length <= 32 && dataset.row_bits <= FEW;
    int64_t seen = 0;
    for (uint64_t step = 0; few && step < STEPS; step++) {
        batch_draw(&dataset, &batch, DATASET_TRAIN, step, BATCH_MAX_ROWS);
        for (int64_t row = 0; row < BATCH_MAX_ROWS && seen < MAX_KINDS; row++) {
            const int32_t *tokens = batch.tokens + row * dataset.length;
            int64_t k = 0;
            while (k < seen && memcmp(kinds + k * dataset.length, tokens, size) != 0)
                k++;
            if (k == seen)
                memcpy(kinds + seen++ * dataset.length, tokens, size);
        }
    }
    if (few)
        assert_true((double)seen > 0.99 * expected - 0.5);
    dataset_close(&dataset);
    return few;
}

static void check_bytes(const struct answers_case *c)
{
    enum { ROWS = 16 };
    struct dataset dataset;
    open_case(&dataset, c);
    size_t some = (size_t)(3 * dataset.length) * sizeof(int32_t);
    batch_draw(&dataset, &batch, DATASET_VALIDATION, 7, ROWS);
    batch_draw(&dataset, &other, DATASET_VALIDATION, 8, ROWS);
    if (dataset.row_bits >= DATASET_SPLIT_BITS)
        assert_memory_not_equal(other.tokens, batch.tokens, some);
    batch_draw(&dataset, &other, DATASET_VALIDATION, 7, ROWS);
    check_same_bytes(&other, &batch, sizeof batch);
    batch_draw(&dataset, &other, DATASET_VALIDATION, 7, 3);
    check_same_bytes(other.tokens, batch.tokens, some);
    check_same_bytes(other.targets, batch.targets, some);
    dataset_close(&dataset);
}

void answers_check_evaluation(const struct answers_case *c, int64_t length, int64_t filled)
{
    enum { ROWS = 16 };
    static int32_t answers[BATCH_MAX];
    struct dataset dataset;
    open_case(&dataset, c);
    int64_t vocab = dataset.vocab;
    dataset_close(&dataset);
    check_ok(batch_open_evaluation(&dataset, c->task, length, c->length, c->options));
    assert_int_equal(dataset.vocab, vocab);
    batch_draw(&dataset, &batch, DATASET_TEST, 0, ROWS);
    answer_batch(&dataset, c->answer, ROWS, answers);
    check_right(&dataset, ROWS, answers);
    for (int64_t row = 0; row < ROWS; row++)
        assert_int_equal(batch_row_length(&dataset, &batch, row), filled);
    dataset_close(&dataset);
}

void answers_check(const struct answers_case *cases, int count)
{
    for (int i = 0; i < count; i++)
        check_rows(&cases[i]);
}

void answers_check_chance(const struct answers_case *cases, int count)
{
    for (int i = 0; i < count; i++)
        check_chance(&cases[i]);
}

int answers_check_bits(const struct answers_case *cases, int count)
{
    int few = 0;
    for (int i = 0; i < count; i++)
        few += check_bits(&cases[i]);
    return few;
}

void answers_check_bytes(const struct answers_case *cases, int count)
{
    for (int i = 0; i < count; i++)
        check_bytes(&cases[i]);
}

void answers_check_refused(const struct answers_refusal *refused, int count)
{
    for (int i = 0; i < count; i++) {
        const struct answers_refusal *r = &refused[i];
        struct dataset dataset;
        memset(&dataset, 0x5a, sizeof dataset);
        int code = r->train_length ? batch_open_evaluation(&dataset, r->task, r->length,
                                                           r->train_length, r->options)
                                   : batch_open(&dataset, r->task, r->length, 0, r->options);
        check_error(code, ERR_ARGUMENT, r->words);
        assert_null(dataset.task);
        dataset_close(&dataset);
    }
}
