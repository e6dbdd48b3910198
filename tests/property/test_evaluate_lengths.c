// Scores at other lengths: at the training's own they are the training's, and whatever is cut into
// pieces gives the same.
#include <math.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../src/train/evaluate_lengths.h"
#include "../support/check.h"
#include "../support/settings.h"

static struct train_settings settings;
static struct trainer trainer;

static void set(const char *key, const char *value)
{
    settings_set(&settings, key, value);
}

static void prepare(const char *pe, const char *task, const char *threads)
{
    settings_of(&settings, "--layers 1 --heads 2 --dim 16 --ff-dim 16 --steps 30 --batch-size 6 "
                           "--eval-batches 3 --warmup 1 --lr 0.01 --length 9 --dropout 0.1");
    set("pe", pe);
    set("task", task);
    set("threads", threads);
}

static void start(void)
{
    struct train_step_result step;
    check_ok(trainer_init(&trainer, &settings));
    for (int i = 0; i < 10; i++)
        check_ok(trainer_step(&trainer, &step));
}

static struct length_score score_at(int64_t length, struct length_request request)
{
    struct length_score score = {.length = length};
    check_ok(evaluate_lengths(&trainer, &request, 1, &score));
    return score;
}

static void the_training_length_is_the_trainings(void **state)
{
    (void)state;
    static const char *const pes[] = {"none", "learned", "t5", "rope"};
    for (int i = 0; i < 4; i++) {
        prepare(pes[i], "copy", "1");    // at one length its strings are all as long as fit
        set("ema", i % 2 ? "0.9" : "0"); // it is the average that is judged
        struct evaluation wanted;
        start();
        check_ok(trainer_evaluate(&trainer, DATASET_VALIDATION, 3, &wanted));
        struct length_score score =
            score_at(9, (struct length_request){.split = DATASET_VALIDATION});
        check_same_bytes(&score.result, &wanted, sizeof wanted);
        assert_string_equal(score.reach, "inside");
        assert_true(score.accuracy.low <= wanted.accuracy &&
                    wanted.accuracy <= score.accuracy.high);
        assert_true(score.chance == trainer.dataset.chance);
        // The test split is another one.
        score = score_at(9, (struct length_request){.split = DATASET_TEST});
        assert_true(score.result.loss != wanted.loss);
        trainer_release(&trainer);
    }
}

static void pieces_change_nothing(void **state)
{
    (void)state;
    prepare("rope", "copy", "1");
    start();
    struct length_request request = {.split = DATASET_TEST, .samples = 17};
    struct length_score whole = score_at(40, request);
    assert_int_equal(whole.result.rows, 17);
    for (int64_t rows = 1; rows <= 6; rows++) {
        request.tokens_at_once = rows * 40;
        struct length_score score = score_at(40, request);
        assert_true(score.result.accuracy == whole.result.accuracy);
        assert_true(score.result.scored == whole.result.scored && score.result.rows == 17);
        check_close(score.result.loss, whole.result.loss, 10 * CHECK_ROUNDING, 0);
    }
    // The first rows are the same, however many follow: their counts are no larger than those of
    // all.
    request.samples = 5;
    struct length_score few = score_at(40, request);
    assert_int_equal(few.result.rows, 5);
    assert_true(few.result.accuracy * (double)few.result.scored <=
                whole.result.accuracy * (double)whole.result.scored + 1e-9);
    trainer_release(&trainer);
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    struct length_score score[3][4];
    static const char *const threads[] = {"1", "2", "5"};
    for (int t = 0; t < 3; t++) {
        struct length_request request = {.split = DATASET_VALIDATION};
        memset(score[t], 0, sizeof score[t]);
        for (int i = 0; i < 4; i++)
            score[t][i].length = 5 + 20 * i;
        prepare("t5", "copy", threads[t]);
        start();
        check_ok(evaluate_lengths(&trainer, &request, 4, score[t]));
        trainer_release(&trainer);
        for (int i = 0; i < 4; i++)
            check_same_bytes(&score[t][i].result, &score[0][i].result, sizeof score[t][i].result);
    }
}

static void what_cannot_be_says_why(void **state)
{
    (void)state;
    struct length_score score[3] = {{.length = 9}, {.length = 10}, {.length = 2}};
    struct length_request request = {.split = DATASET_VALIDATION};
    prepare("learned", "copy", "1");
    start();
    check_ok(evaluate_lengths(&trainer, &request, 3, score));
    assert_true(score[0].scored && !score[1].scored && !score[2].scored);
    assert_non_null(strstr(score[1].reason, "learned"));
    assert_string_equal(score[1].reach, "undefined");
    assert_non_null(strstr(score[2].reason, "copy"));
    check_error(evaluate_lengths(&trainer, &request, 2, score + 1), ERR_ARGUMENT, "learned");
    trainer_release(&trainer);
    // The probe has no names for places past those of the training.
    prepare("rope", "probe", "1");
    start();
    check_error(evaluate_lengths(&trainer, &request, 1, score + 1), ERR_ARGUMENT, "classes");
    check_ok(evaluate_lengths(&trainer, &request, 1, score + 2));
    trainer_release(&trainer);
}

// Logits that are no numbers are never right.
static void no_number_is_no_answer(void **state)
{
    (void)state;
    prepare("none", "copy", "1");
    start();
    for (int64_t i = 0; i < trainer.params.count; i++)
        trainer.params.value[i] = (real)NAN;
    struct length_score score = score_at(9, (struct length_request){.split = DATASET_VALIDATION});
    assert_true(isnan(score.result.loss));
    assert_true(score.result.accuracy == 0 && score.result.scored > 0);
    trainer_release(&trainer);
}

CHECK_MAIN(cmocka_unit_test(the_training_length_is_the_trainings),
           cmocka_unit_test(pieces_change_nothing), cmocka_unit_test(threads_change_no_bit),
           cmocka_unit_test(what_cannot_be_says_why), cmocka_unit_test(no_number_is_no_answer))
