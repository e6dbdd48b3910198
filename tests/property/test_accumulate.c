// --accumulate: a batch in parts is the batch. Where no sum over rows is cut elsewhere, to the bit,
// and the plan knows where that is; else to rounding.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../src/train/train.h"
#include "../support/check.h"
#include "../support/settings.h"

static struct train_settings settings;

static void set(const char *key, const char *value)
{
    settings_set(&settings, key, value);
}

// Sizes at which every cut of the whole batch is one between parts: 24 x 16 rows of 128 numbers are
// 64 tiles of linear layers, 8 of their chunks, 6 pieces of layer norms and 8 of attention.
static void prepare(const char *pe, const char *task)
{
    settings_of(&settings, "--layers 1 --heads 2 --dim 128 --ff-dim 128 --warmup 0 --steps 10 "
                           "--batch-size 48 --length 16 --threads 1 --lr 0.01 --dropout 0.1 "
                           "--label-smoothing 0.1");
    set("pe", pe);
    set("task", task);
}

static bool begin(struct trainer *trainer, const char *parts)
{
    set("accumulate", parts);
    return trainer_init(trainer, &settings) == 0;
}

struct outcome {
    struct train_step_result step[2];
    struct evaluation before;
};

static void advance(struct trainer *trainer, struct outcome *outcome)
{
    memset(outcome, 0, sizeof *outcome);
    check_ok(trainer_evaluate(trainer, DATASET_VALIDATION, 1, &outcome->before));
    for (int i = 0; i < 2; i++)
        check_ok(trainer_step(trainer, &outcome->step[i]));
}

static double farthest(const struct trainer *a, const struct trainer *b)
{
    double worst = 0;
    for (int64_t i = 0; i < a->params.count; i++) {
        double d = fabs((double)a->params.grad[i] - (double)b->params.grad[i]);
        worst = d <= worst ? worst : d;
    }
    return worst;
}

// Returns whether the bits had to be the same.
static bool compare(struct trainer *whole, const struct outcome *want, const char *parts)
{
    struct trainer other;
    struct outcome outcome;
    if (!begin(&other, parts))
        fail_msg("%s in %s parts: %s", settings.pe, parts, err_last());
    advance(&other, &outcome);
    const char *rounded = ag_plan_rounded(other.train.plan);
    size_t size = (size_t)whole->params.count * sizeof(real);
    // Scores do not sum over rows of other sequences: they are the same whatever is rounded.
    if (memcmp(&outcome.before, &want->before, sizeof outcome.before) != 0)
        fail_msg("%s: an evaluation in %s parts has other bits", settings.pe, parts);
    if (!rounded && (memcmp(&outcome, want, sizeof outcome) != 0 ||
                     memcmp(whole->params.value, other.params.value, size) != 0))
        fail_msg("%s: %s parts have other bits, and the plan does not say so", settings.pe, parts);
    double distance = farthest(whole, &other);
    if (!(distance < 2000 * CHECK_ROUNDING))
        fail_msg("%s: %s parts give gradients that are %g off (%s)", settings.pe, parts, distance,
                 rounded ? rounded : "same bits");
    trainer_release(&other);
    return !rounded;
}

static int exact;

static void hold(const char *const *parts)
{
    struct trainer whole;
    struct outcome want;
    if (!begin(&whole, "1"))
        fail_msg("%s: %s", settings.pe, err_last());
    assert_null(ag_plan_rounded(whole.train.plan));
    advance(&whole, &want);
    for (int i = 0; parts[i]; i++)
        exact += compare(&whole, &want, parts[i]);
    trainer_release(&whole);
}

static const char *const halves[] = {"2", NULL}, *const several[] = {"2", "4", "3", NULL};

static void parts_are_the_batch(void **state)
{
    (void)state;
    // Two streams one after the other; queries of one layer with weights that keys have, too; a
    // product over time.
    static const char *const rounded[] = {"complex", "deberta-emd", "rnn"};
    for (int p = 0; p < pe_count; p++) {
        struct trainer any;
        char stack[128];
        pe_smallest_stack(pe_list[p], stack);
        prepare(stack, "copy");
        set("batch-size", "24");
        if (!begin(&any, "1")) { // a decoder's, or one that wants a grid
            set("arch", "decoder");
            if (!begin(&any, "1"))
                continue;
        }
        trainer_release(&any);
        exact = 0;
        hold(halves);
        bool named = false;
        for (size_t i = 0; i < sizeof rounded / sizeof rounded[0]; i++)
            named = named ||
                    strcmp(strrchr(stack, '+') ? strrchr(stack, '+') + 1 : stack, rounded[i]) == 0;
        if (exact == named)
            fail_msg("%s has %s bits in two parts", settings.pe, exact ? "the same" : "other");
    }
}

static void what_is_exact_is_known(void **state)
{
    (void)state;
    static const char *const same[] = {"none", "learned", "sinusoidal", "rope",          "t5",
                                       "shaw", "deberta", "t5+urpe",    "transformer-xl"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        struct trainer trainer;
        prepare(same[i], "copy");
        assert_true(begin(&trainer, "4"));
        const char *rounded = ag_plan_rounded(trainer.train.plan);
        if (rounded)
            fail_msg("%s: %s rounds otherwise", same[i], rounded);
        trainer_release(&trainer);
    }
    // The head adds to the same gradient as the embedding, in turns.
    struct trainer tied;
    prepare("learned", "copy");
    set("tie", "yes");
    assert_true(begin(&tied, "2"));
    assert_non_null(ag_plan_rounded(tied.train.plan));
    trainer_release(&tied);
    hold(several);
    // 900 rows are no whole number of tiles.
    prepare("learned", "copy");
    set("batch-size", "36");
    set("length", "25");
    hold(several);
}

static void normalisers_and_threads(void **state)
{
    (void)state;
    static const char *const normalisers[] = {"linear", "relu2", "l2", "softmax1"};
    for (int i = 0; i < 4; i++) {
        prepare("learned", "reverse");
        set("arch", "decoder");
        set("attention", normalisers[i]);
        set("batch-size", "24");
        set("threads", i % 2 ? "2" : "3");
        hold(halves);
    }
}

static void memory_falls(void **state)
{
    (void)state;
    size_t planned[2];
    for (int i = 0; i < 2; i++) {
        struct trainer trainer;
        prepare("rope", "copy");
        assert_true(begin(&trainer, i ? "8" : "1"));
        planned[i] = ag_plan_stats(trainer.train.plan).planned;
        trainer_release(&trainer);
    }
    if (!(planned[1] < planned[0] / 4))
        fail_msg("%zu bytes in 8 parts, %zu as a whole", planned[1], planned[0]);
}

CHECK_MAIN(cmocka_unit_test(parts_are_the_batch), cmocka_unit_test(what_is_exact_is_known),
           cmocka_unit_test(normalisers_and_threads), cmocka_unit_test(memory_falls))
