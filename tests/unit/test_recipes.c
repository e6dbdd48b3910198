// Recipes: every cell of every table is a training and an evaluation that can be, at both sizes;
// expectations have a meaning; the words of commands are put together as they should be.
#include "../../src/recipes/recipe.h"

#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../src/train/train.h"
#include "../support/batch.h"
#include "../support/check.h"
#include "../support/settings.h"

enum { TEXT = 2048 };

// The model is made as narrow as its heads allow, of two layers and for one row: whether its
// options are right does not take the paper's size, whose parameters take seconds to draw.
static void check_training(const struct recipe_def *recipe, const char *train)
{
    static struct train_settings settings;
    static struct trainer trainer;
    settings_of(&settings, train);
    settings.batch_size = 1;
    settings.layers = settings.layers < 2 ? settings.layers : 2;
    settings.dim = 8 * settings.heads;
    settings.ff_dim = 32;
    settings.threads = 1;
    if (recipe->needs_text)
        strcpy(settings.data, BATCH_TEXT);
    if (trainer_init(&trainer, &settings) < 0)
        fail_msg("recipe %s: %s: %s", recipe->name, train, err_last());
    trainer_release(&trainer);
}

static void every_cell_can_be_trained(void **state)
{
    (void)state;
    char train[TEXT], eval[TEXT], other[TEXT];
    for (int i = 0; i < recipe_count; i++) {
        struct recipe_request request = {.recipe = recipe_list[i], .seeds = 1, .first_seed = 7};
        for (int full = 0; full <= (recipe_list[i]->full != NULL); full++) {
            request.full = full;
            for (int row = 0; row < recipe_list[i]->rows; row++)
                for (int column = 0; column < recipe_list[i]->columns; column++) {
                    check_ok(recipe_commands(&request, row, column, 0, train, eval, TEXT));
                    bool alike = column > 0;
                    if (alike)
                        check_ok(recipe_commands(&request, row, column - 1, 0, other, eval, TEXT));
                    if (!alike || strcmp(train, other) != 0)
                        check_training(recipe_list[i], train);
                    assert_non_null(strstr(train, "--seed 7"));
                }
        }
    }
}

static void expectations_have_a_meaning(void **state)
{
    (void)state;
    for (int i = 0; i < recipe_count; i++) {
        const struct recipe_def *recipe = recipe_list[i];
        assert_true(strcmp(recipe->metric, "accuracy") == 0 ||
                    strcmp(recipe->metric, "exact_match") == 0);
        assert_true(recipe->title && recipe->source && recipe->question && recipe->expected);
        int judged = 0;
        for (int at = 0; at < recipe->rows * recipe->columns; at++) {
            const struct recipe_expectation *e = &recipe->expectation[at];
            assert_int_equal(isnan(e->low), isnan(e->high));
            judged += !isnan(e->low) || e->above > 0;
            assert_true(e->above >= 0 && e->above <= recipe->rows);
            if (!isnan(e->low))
                assert_true(e->low >= 0 && e->low <= e->high && e->high <= 1);
            if (!isnan(e->source))
                assert_true(e->source >= 0 && e->source <= 1);
        }
        if (judged == 0)
            fail_msg("recipe %s expects nothing", recipe->name);
    }
}

static void what_is_nearer_to_the_cell_wins(void **state)
{
    (void)state;
    static const struct recipe_part row = {"r", "--layers 4 --pe-opt a=1 --tie", "--samples 8"};
    static const struct recipe_part column = {"c", "--pe-opt b=2", "--lengths 3"};
    static const struct recipe_expectation any = EXPECT_NOTHING;
    const struct recipe_def recipe = {.name = "x",
                                      .train = "--tie --layers 2 --steps 9",
                                      .small = "--dim 8",
                                      .full = "--dim 64",
                                      .eval = "--split test",
                                      .rows = 1,
                                      .columns = 1,
                                      .row = &row,
                                      .column = &column,
                                      .expectation = &any};
    struct recipe_request request = {.recipe = &recipe, .train = "--steps 5", .seeds = 1};
    char train[TEXT], eval[TEXT];
    check_ok(recipe_commands(&request, 0, 0, 0, train, eval, TEXT));
    assert_string_equal(train,
                        "--dim 8 --layers 4 --pe-opt a=1 --tie --pe-opt b=2 --steps 5 --seed 0");
    assert_string_equal(eval, "--split test --samples 8 --lengths 3");
    request.full = true;
    check_ok(recipe_commands(&request, 0, 0, 0, train, eval, TEXT));
    assert_non_null(strstr(train, "--dim 64"));
    check_error(recipe_commands(&request, 0, 0, 0, train, eval, 16), ERR_ARGUMENT, "longer than");
}

static void names(void **state)
{
    (void)state;
    assert_ptr_equal(recipe_find("length_generalization"), recipe_find("length-generalization"));
    assert_null(recipe_find("urp"));
    assert_non_null(strstr(err_last(), "did you mean 'urpe'?"));
    assert_null(recipe_find("zebra crossing"));
    assert_non_null(strstr(err_last(), "--list"));
}

CHECK_MAIN(cmocka_unit_test(every_cell_can_be_trained),
           cmocka_unit_test(expectations_have_a_meaning),
           cmocka_unit_test(what_is_nearer_to_the_cell_wins), cmocka_unit_test(names))
