// The same bits: stopped and resumed or not, with any number of threads, and - but for its own part
// - with any encoding. (faults/test_bits does so with whole runs over all lists.)
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../autograd/kernels/level.h"
#include "../../autograd/ops/op.h"
#include "../../src/io/checkpoint.h"
#include "../support/settings.h"

enum { STEPS = 12, CUT = 5 };

static char folder[] = "/tmp/posgrad-resume-XXXXXX";
static char checkpoint_path[64], text_path[64];
static struct train_settings settings;

static void set(const char *key, const char *value)
{
    settings_set(&settings, key, value);
}

static void small_run(const char *pe, const char *task)
{
    settings_of(&settings, "--layers 1 --heads 2 --dim 8 --ff-dim 12 --batch-size 3 --steps 12 "
                           "--warmup 3 --dropout 0.2 --lr 0.01 --threads 1");
    set("pe", pe);
    set("task", task);
    if (task_find(task)->file == DATASET_FILE_REQUIRED)
        set("data", text_path);
}

// Tasks differ in the lengths that they can make, and some want a decoder.
static void start(struct trainer *trainer)
{
    static const char *const lengths[] = {"16", "17", "25", "24", "33"};
    static const char *const archs[] = {"encoder", "decoder"};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (int a = 0; a < 2; a++) {
            set("length", lengths[i]);
            set("arch", archs[a]);
            if (trainer_init(trainer, &settings) == 0)
                return;
        }
    }
    fail_msg("task %s: %s", settings.task, err_last());
}

static void begin(struct trainer *trainer)
{
    if (trainer_init(trainer, &settings) < 0)
        fail_msg("%s", err_last());
}

static void advance(struct trainer *trainer, int steps)
{
    struct train_step_result result;
    for (int i = 0; i < steps; i++)
        if (trainer_step(trainer, &result) < 0)
            fail_msg("%s", err_last());
}

static void expect_same(const struct trainer *a, const struct trainer *b, const char *what)
{
    size_t size = (size_t)a->params.count * sizeof(real);
    assert_int_equal(a->step, b->step);
    assert_int_equal(a->params.count, b->params.count);
    if (memcmp(a->params.value, b->params.value, size) != 0)
        fail_msg("%s %s %s: parameters differ %s", settings.task, settings.optimizer,
                 settings.schedule, what);
    for (int k = 0; k < a->optimizer.def->states; k++)
        if (memcmp(a->optimizer.state[k], b->optimizer.state[k], size) != 0)
            fail_msg("%s %s %s: optimizer state %s differs %s", settings.task, settings.optimizer,
                     settings.schedule, a->optimizer.def->state_name[k], what);
    assert_int_equal(!a->averaged.value, !b->averaged.value);
    if (a->averaged.value && memcmp(a->averaged.value, b->averaged.value, size) != 0)
        fail_msg("the average differs %s", what);
}

static void restore(struct trainer *trainer)
{
    static struct checkpoint checkpoint;
    if (checkpoint_open(&checkpoint, checkpoint_path) < 0)
        fail_msg("%s", err_last());
    // Everything comes from the file: the settings too.
    checkpoint.settings.threads = 1;
    if (trainer_init(trainer, &checkpoint.settings) < 0 ||
        checkpoint_read_params(&checkpoint, trainer) < 0 ||
        checkpoint_read_optimizer(&checkpoint, trainer) < 0)
        fail_msg("%s", err_last());
    checkpoint_close(&checkpoint);
}

static void check_resume(void)
{
    struct trainer whole, part, resumed;
    struct history history;
    history_init(&history);
    start(&whole);
    advance(&whole, STEPS);
    begin(&part);
    advance(&part, CUT);
    if (checkpoint_save(checkpoint_path, &part, &history) < 0)
        fail_msg("%s", err_last());
    restore(&resumed);
    expect_same(&part, &resumed, "after loading");
    advance(&resumed, STEPS - CUT);
    expect_same(&whole, &resumed, "after going on");
    trainer_release(&whole);
    trainer_release(&part);
    trainer_release(&resumed);
}

// What the options add to the state of a run, one by one and all together.
static const char *const features[][2] = {
    {"ema", "0.9"}, {"accumulate", "3"}, {"label-smoothing", "0.1"}, {"curriculum", "8"}};
enum { FEATURES = sizeof features / sizeof features[0] };

static void every_feature_resumes(void **state)
{
    (void)state;
    for (int f = 0; f <= FEATURES; f++) {
        struct evaluation before, after;
        struct trainer trainer, resumed;
        struct history history;
        history_init(&history);
        small_run("t5", "copy");
        set("task-opt", "min_length=1");
        for (int k = 0; k < FEATURES; k++)
            if (f == k || f == FEATURES)
                set(features[k][0], features[k][1]);
        check_resume();
        // Evaluations, which are of the average where there is one, are the same after loading.
        begin(&trainer);
        advance(&trainer, CUT);
        assert_int_equal(trainer_evaluate(&trainer, DATASET_VALIDATION, 1, &before), 0);
        assert_int_equal(checkpoint_save(checkpoint_path, &trainer, &history), 0);
        restore(&resumed);
        assert_int_equal(trainer_evaluate(&resumed, DATASET_VALIDATION, 1, &after), 0);
        assert_memory_equal(&before, &after, sizeof before);
        trainer_release(&trainer);
        trainer_release(&resumed);
    }
}

// A feature that is on changes the run; at its default it changes nothing.
static void features_do_something(void **state)
{
    (void)state;
    for (int f = 0; f < FEATURES; f++) {
        struct evaluation plain, other;
        struct trainer trainer;
        for (int on = 0; on < 2; on++) {
            small_run("learned", "copy");
            set("task-opt", "min_length=1");
            if (on)
                set(features[f][0], features[f][1]);
            start(&trainer);
            advance(&trainer, 3);
            assert_int_equal(
                trainer_evaluate(&trainer, DATASET_VALIDATION, 1, on ? &other : &plain), 0);
            trainer_release(&trainer);
        }
        bool same = memcmp(&plain, &other, sizeof plain) == 0;
        if (same && strcmp(features[f][0], "accumulate") != 0)
            fail_msg("--%s changes nothing", features[f][0]);
    }
}

// The same parameters are judged alike with label smoothing and without; training is not.
static void smoothing_is_of_training_alone(void **state)
{
    (void)state;
    struct evaluation result[2];
    struct train_step_result step[2];
    for (int i = 0; i < 2; i++) {
        struct trainer trainer;
        small_run("learned", "copy");
        set("label-smoothing", i ? "0.3" : "0");
        start(&trainer);
        assert_int_equal(trainer_evaluate(&trainer, DATASET_VALIDATION, 1, &result[i]), 0);
        assert_int_equal(trainer_step(&trainer, &step[i]), 0);
        trainer_release(&trainer);
    }
    assert_memory_equal(&result[0], &result[1], sizeof result[0]);
    assert_true(step[0].loss != step[1].loss && step[0].accuracy == step[1].accuracy);
}

// An evaluation is of the average: that of a run without one whose parameters are the average.
static void evaluations_are_of_the_average(void **state)
{
    (void)state;
    struct trainer with, without;
    struct evaluation average, same, raw;
    small_run("learned", "copy");
    set("ema", "0.9");
    start(&with);
    advance(&with, CUT);
    set("ema", "0");
    begin(&without);
    advance(&without, CUT);
    size_t size = (size_t)with.params.count * sizeof(real);
    assert_memory_equal(with.params.value, without.params.value,
                        size); // training knows nothing of it
    assert_ptr_equal(trainer_judged(&with), &with.averaged);
    assert_ptr_equal(trainer_judged(&without), &without.params);
    assert_int_equal(trainer_evaluate(&with, DATASET_VALIDATION, 1, &average), 0);
    assert_int_equal(trainer_evaluate(&without, DATASET_VALIDATION, 1, &raw), 0);
    memcpy(without.params.value, with.averaged.value, size);
    assert_int_equal(trainer_evaluate(&without, DATASET_VALIDATION, 1, &same), 0);
    assert_memory_equal(&average, &same, sizeof same);
    assert_true(average.loss != raw.loss);
    trainer_release(&with);
    trainer_release(&without);
}

// The positions that an evaluation of so many batches drew last.
static void drawn_last(struct trainer *trainer, int64_t batches, int32_t *positions, int64_t count)
{
    struct evaluation evaluation;
    const struct ag_tensor *drawn = NULL;
    for (struct ag_tensor *t = trainer->evaluation.graph.first; t; t = t->next)
        if (t->type == AG_INT && strstr(t->name, "/sample_positions"))
            drawn = t;
    assert_true(drawn && drawn->count == count);
    if (trainer_evaluate(trainer, DATASET_VALIDATION, batches, &evaluation) < 0)
        fail_msg("%s", err_last());
    memcpy(positions, drawn->index, (size_t)count * sizeof *positions);
}

// Positions of an evaluation belong to its batches: other ones for each, and always the same.
static void an_evaluation_draws_the_same_positions_again(void **state)
{
    (void)state;
    struct trainer trainer;
    int32_t first[3 * 16], second[3 * 16], again[3 * 16];
    small_run("random-positions+learned", "probe");
    set("length", "16");
    begin(&trainer);
    drawn_last(&trainer, 1, first, 3 * 16);
    advance(&trainer, 2);
    drawn_last(&trainer, 2, second, 3 * 16);
    assert_memory_not_equal(first, second, sizeof first);
    drawn_last(&trainer, 1, again, 3 * 16);
    assert_memory_equal(again, first, sizeof first);
    trainer_release(&trainer);
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    static const char *const threads[] = {"2", "3", "8"};
    struct trainer one, many;
    small_run("learned", task_list[0]->name);
    set("ema", "0.9");
    set("label-smoothing", "0.1");
    set("accumulate", "2");
    set("batch-size", "32"); // enough for more than one piece
    set("dim", "64");
    set("ff-dim", "128");
    set("heads", "4");
    start(&one);
    advance(&one, STEPS);
    for (int i = 0; i < 3; i++) {
        set("threads", threads[i]);
        begin(&many);
        advance(&many, STEPS);
        expect_same(&one, &many, "between threads");
        trainer_release(&many);
    }
    trainer_release(&one);
}

static char *file_bytes(size_t *size)
{
    char *bytes;
    if (file_read(checkpoint_path, 1 << 26, &bytes, size) < 0)
        fail_msg("%s", err_last());
    return bytes;
}

static void equal_state_gives_equal_files(void **state)
{
    (void)state;
    char *bytes[2];
    size_t size[2];
    for (int i = 0; i < 2; i++) {
        struct trainer trainer;
        struct history history;
        history_init(&history);
        small_run("learned", task_list[0]->name);
        set("threads", i ? "2" : "1");
        set("out-dir", i ? "here" : "there");
        start(&trainer);
        advance(&trainer, 3);
        history_add(&history, HISTORY_TRAIN, 3, (double[]){1, 2, 3, 4});
        if (checkpoint_save(checkpoint_path, &trainer, &history) < 0)
            fail_msg("%s", err_last());
        bytes[i] = file_bytes(&size[i]);
        history_release(&history);
        trainer_release(&trainer);
    }
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(bytes[0], bytes[1], size[0]);
    free(bytes[0]);
    free(bytes[1]);
}

// What the bits of a run depend on is in its file, and a resume says what of it is another now.
static void a_change_of_ground_is_told(void **state)
{
    (void)state;
    static struct checkpoint checkpoint;
    char was[CHECKPOINT_GROUND], is[CHECKPOINT_GROUND], wanted[128];
    struct trainer trainer;
    struct history history;
    history_init(&history);
    small_run("learned", task_list[0]->name);
    start(&trainer);
    assert_int_equal(checkpoint_save(checkpoint_path, &trainer, &history), 0);
    trainer_release(&trainer);
    assert_int_equal(checkpoint_open(&checkpoint, checkpoint_path), 0);
    assert_true(checkpoint_same_ground(&checkpoint, was, is));
    assert_string_equal(was, "");
    checkpoint_close(&checkpoint);
    // One that an older program wrote has fewer; what it has not is not told of.
    struct h5_writer *writer = h5_writer_new();
    h5_attr_text(writer, "/", "vector_level", level_own());
    h5_attr_text(writer, "/", "compiler", "gcc 1.42");
    h5_attr_text(writer, "/", "denormals", "sometimes");
    assert_int_equal(h5_writer_publish(writer, checkpoint_path), 0);
    h5_writer_free(writer);
    checkpoint.reader = h5_reader_open(checkpoint_path);
    assert_non_null(checkpoint.reader);
    assert_false(checkpoint_same_ground(&checkpoint, was, is));
    assert_string_equal(was, "compiler gcc 1.42, denormals sometimes");
    snprintf(wanted, sizeof wanted, "compiler %s, denormals %s", level_compiler(), par_denormals());
    assert_string_equal(is, wanted);
    checkpoint_close(&checkpoint);
}

static void expect_same_batches(struct trainer *a, struct trainer *b, const char *pe)
{
    struct train_step_result result;
    for (int step = 0; step < 3; step++) {
        advance(a, 1);
        if (trainer_step(b, &result) < 0)
            fail_msg("%s", err_last());
        size_t size = (size_t)a->train.tokens->count * sizeof(int32_t);
        if (memcmp(a->train.tokens->index, b->train.tokens->index, size) != 0 ||
            memcmp(a->train.targets->index, b->train.targets->index, size) != 0 ||
            memcmp(a->train.mask->index, b->train.mask->index, size) != 0)
            fail_msg("--pe %s changes the batches", pe);
    }
}

static void expect_same_start(const struct trainer *a, const struct trainer *b, const char *pe)
{
    for (int i = 0; i < a->params.rows; i++) {
        const struct ag_parameter *row = &a->params.row[i];
        int other = ag_params_find(&b->params, row->name);
        if (other < 0)
            fail_msg("--pe %s has no parameter %s", pe, row->name);
        if (memcmp(a->params.value + row->offset, b->params.value + b->params.row[other].offset,
                   (size_t)row->count * sizeof(real)) != 0)
            fail_msg("--pe %s changes the start of %s", pe, row->name);
    }
}

// A mask is a function of seed, step and the node's name: the same names, the same masks.
static struct ag_tensor *next_dropout(struct ag_tensor *tensor)
{
    while (tensor && (!tensor->op || (strcmp(tensor->op->name, "dropout") != 0 &&
                                      strcmp(tensor->op->name, "attention") != 0)))
        tensor = tensor->next;
    return tensor;
}

static void expect_same_masks(const struct trainer *a, const struct trainer *b, const char *pe)
{
    struct ag_tensor *x = next_dropout(a->train.graph.first);
    struct ag_tensor *y = next_dropout(b->train.graph.first);
    int count = 0;
    for (; x && y; x = next_dropout(x->next), y = next_dropout(y->next), count++)
        if (strcmp(x->name, y->name) != 0)
            fail_msg("--pe %s changes the dropout of %s to %s", pe, x->name, y->name);
    assert_true(!x && !y);
    assert_true(count >= 3);
}

static bool makes_streams(const struct trainer *trainer)
{
    for (int i = 0; i < trainer->config.pe.count; i++)
        if (trainer->config.pe.def[i]->output)
            return true;
    return false;
}

static void runs_are_paired(void **state)
{
    (void)state;
    for (int t = 0; t < task_count; t++) {
        for (int p = 0; p < pe_count; p++) {
            struct trainer none, other;
            char pe[128];
            pe_smallest_stack(pe_list[p], pe);
            small_run("none", task_list[t]->name);
            start(&none);
            set("pe", pe);
            begin(&other);
            expect_same_start(&none, &other, pe);
            // An encoding that makes another stream of it, as the complex one does, has other units
            // to drop.
            if (!makes_streams(&other))
                expect_same_masks(&none, &other, pe);
            expect_same_batches(&none, &other, pe);
            trainer_release(&none);
            trainer_release(&other);
        }
    }
}

// A file of another model is refused and the reason names the place.
static void another_model_is_refused(void **state)
{
    (void)state;
    static struct checkpoint checkpoint;
    struct trainer trainer, other;
    struct history history;
    history_init(&history);
    small_run("learned", task_list[0]->name);
    start(&trainer);
    assert_int_equal(checkpoint_save(checkpoint_path, &trainer, &history), 0);
    set("dim", "12");
    begin(&other);
    assert_int_equal(checkpoint_open(&checkpoint, checkpoint_path), 0);
    assert_int_equal(checkpoint_read_params(&checkpoint, &other), ERR_FORMAT);
    assert_non_null(strstr(err_last(), "tok_emb"));
    trainer_release(&other);
    set("dim", "8");
    set("pe", "none");
    begin(&other);
    assert_int_equal(checkpoint_read_params(&checkpoint, &other), ERR_FORMAT);
    checkpoint_close(&checkpoint);
    trainer_release(&other);
    trainer_release(&trainer);
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(checkpoint_path, sizeof checkpoint_path, "%s/checkpoint.h5", folder);
    snprintf(text_path, sizeof text_path, "%s/text", folder);
    FILE *file = fopen(text_path, "w");
    if (!file)
        return -1;
    for (int i = 0; i < 20000; i++)
        fprintf(file, "%d bottles, ", i * 7919 % 1000);
    return fclose(file);
}

static int tear_down(void **state)
{
    (void)state;
    unlink(checkpoint_path);
    unlink(text_path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_evaluation_draws_the_same_positions_again),
        cmocka_unit_test(every_feature_resumes),
        cmocka_unit_test(features_do_something),
        cmocka_unit_test(smoothing_is_of_training_alone),
        cmocka_unit_test(evaluations_are_of_the_average),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(equal_state_gives_equal_files),
        cmocka_unit_test(a_change_of_ground_is_told),
        cmocka_unit_test(runs_are_paired),
        cmocka_unit_test(another_model_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
