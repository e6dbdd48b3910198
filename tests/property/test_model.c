// Properties of whole models: gradients with every encoding, causality, equivariance, the same
// bits.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../autograd/base/rng.h"
#include "../../src/model/model_check.h"

enum { BATCH = 3, LENGTH = 9, VOCAB = 11 };

struct fixture {
    struct model_config config;
    struct ag_params params;
    struct model_graph model;
};

static void set_up(struct fixture *f, const char *pe, bool causal, double dropout)
{
    memset(f, 0, sizeof *f);
    f->config = (struct model_config){.layers = 2,
                                      .heads = 2,
                                      .dim = 12,
                                      .ff_dim = 20,
                                      .vocab = VOCAB,
                                      .train_length = LENGTH,
                                      .causal = causal,
                                      .dropout = dropout};
    ag_params_init(&f->params);
    assert_int_equal(pe_stack_init(&f->config.pe, pe, 0, NULL), 0);
    assert_int_equal(model_check(&f->config), 0);
    assert_int_equal(model_graph_capture(&f->model, &f->config, &f->params, BATCH, LENGTH, NULL),
                     0);
    assert_int_equal(ag_params_allocate(&f->params, 5), 0);
    assert_int_equal(model_graph_plan(&f->model, true), 0);
    struct rng rng;
    rng_init(&rng, rng_stream(1, "test"), 0, 0);
    for (int64_t i = 0; i < f->params.count; i++)
        f->params.value[i] += (real)(0.4 * (rng_uniform(&rng) - 0.5));
    for (int i = 0; i < BATCH * LENGTH; i++) {
        f->model.tokens->index[i] = (int32_t)rng_below(&rng, VOCAB);
        f->model.targets->index[i] = (int32_t)rng_below(&rng, VOCAB);
        f->model.mask->index[i] = 1;
    }
}

static void tear_down(struct fixture *f)
{
    model_graph_release(&f->model);
    ag_params_release(&f->params);
    pe_stack_release(&f->config.pe);
}

static void test_none_in_an_encoder_is_permutation_equivariant(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, "none", false, 0);
    real before[BATCH * LENGTH * VOCAB];
    ag_forward(f.model.plan);
    memcpy(before, f.model.logits->data, sizeof before);
    int32_t *tokens = f.model.tokens->index, first = tokens[0];
    tokens[0] = tokens[7];
    tokens[7] = first;
    ag_forward(f.model.plan);
    const real *after = f.model.logits->data;
    for (int v = 0; v < VOCAB; v++) {
        assert_true(fabs((double)(after[v] - before[7 * VOCAB + v])) < 1e-4);
        assert_true(fabs((double)(after[7 * VOCAB + v] - before[v])) < 1e-4);
        assert_true(fabs((double)(after[3 * VOCAB + v] - before[3 * VOCAB + v])) < 1e-4);
    }
    tear_down(&f);
}

// What padding holds changes nothing elsewhere.
static void test_padding_is_hidden(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, "learned", false, 0);
    f.model.mask->index[LENGTH - 1] = 0;
    real before[VOCAB * (LENGTH - 1)];
    ag_forward(f.model.plan);
    memcpy(before, f.model.logits->data, sizeof before);
    f.model.tokens->index[LENGTH - 1] = (f.model.tokens->index[LENGTH - 1] + 3) % VOCAB;
    ag_forward(f.model.plan);
    assert_memory_equal(before, f.model.logits->data, sizeof before);
    tear_down(&f);
}

static void run_step(struct fixture *f, int threads, real *grads)
{
    par_set_threads(threads);
    set_up(f, "learned", true, 0.2);
    struct ag_run *run = ag_plan_run(f->model.plan);
    run->training = true;
    run->seed = 3;
    run->step = 9;
    ag_forward(f->model.plan);
    ag_backward(f->model.plan, NULL);
    memcpy(grads, f->params.grad, (size_t)f->params.count * sizeof *grads);
    tear_down(f);
}

static void test_same_bits_for_any_threads(void **state)
{
    (void)state;
    static real one[1 << 16], many[1 << 16];
    static const int threads[] = {2, 3, 8};
    struct fixture f;
    run_step(&f, 1, one);
    for (int i = 0; i < 3; i++) {
        memset(many, 0, sizeof many);
        run_step(&f, threads[i], many);
        assert_memory_equal(one, many, sizeof one);
    }
    par_set_threads(0);
}

// Captured graphs bake nothing in: another step drops others, the same step drops the same.
static void test_dropout_follows_the_step(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, "none", false, 0.3);
    struct ag_run *run = ag_plan_run(f.model.plan);
    run->training = true;
    real loss[3];
    for (int i = 0; i < 3; i++) {
        run->step = i == 1 ? 2 : 1;
        ag_forward(f.model.plan);
        loss[i] = f.model.loss->data[0];
    }
    assert_true(loss[0] != loss[1]);
    assert_true(loss[0] == loss[2]);
    tear_down(&f);
}

static void test_nonfinite_is_located(void **state)
{
    (void)state;
    struct fixture f;
    char text[256];
    set_up(&f, "none", false, 0);
    assert_false(ag_locate_nonfinite(f.model.plan, text, sizeof text));
    int row = ag_params_find(&f.params, "layers.1.mlp.up.weight");
    assert_true(row >= 0);
    for (int64_t i = 0; i < f.params.row[row].count; i++)
        f.params.value[f.params.row[row].offset + i] = (real)(sizeof(real) == 4 ? 3e38 : 1.7e308);
    assert_true(ag_locate_nonfinite(f.model.plan, text, sizeof text));
    assert_non_null(strstr(text, "layers.1.mlp/linear_gelu forward"));
    tear_down(&f);
}

static void test_mistakes_are_said(void **state)
{
    (void)state;
    struct pe_stack stack;
    assert_true(pe_stack_init(&stack, "lerned", 0, NULL) < 0);
    assert_non_null(strstr(err_last(), "learned"));
    assert_true(pe_stack_init(&stack, "learned+learned", 0, NULL) < 0);
    assert_true(pe_stack_init(&stack, "none+learned", 0, NULL) < 0);
    assert_true(pe_stack_init(&stack, "", 0, NULL) < 0);
    assert_true(pe_stack_init(&stack, "learned+", 0, NULL) < 0);
    const char *pair = "max_lenght=3";
    assert_true(pe_stack_init(&stack, "learned", 1, &pair) < 0);
    assert_non_null(strstr(err_last(), "max_length"));
    struct model_config config = {
        .layers = 1, .heads = 3, .dim = 16, .ff_dim = 4, .vocab = 3, .train_length = 4};
    assert_true(model_check(&config) < 0);
    assert_non_null(strstr(err_last(), "divisible"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {

        cmocka_unit_test(test_none_in_an_encoder_is_permutation_equivariant),
        cmocka_unit_test(test_padding_is_hidden),
        cmocka_unit_test(test_same_bits_for_any_threads),
        cmocka_unit_test(test_dropout_follows_the_step),
        cmocka_unit_test(test_nonfinite_is_located),
        cmocka_unit_test(test_mistakes_are_said),
    };
    return cmocka_run_group_tests_name("models", tests, NULL, NULL);
}
