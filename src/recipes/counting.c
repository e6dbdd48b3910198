// Counting in a decoder, with and without a start token.
#include "recipe.h"

static const struct recipe_part rows[] = {
    {"none", "--pe none", NULL},
    {"rope", "--pe rope", NULL},
    {"sinusoidal", "--pe sinusoidal", NULL},
};

static const struct recipe_part columns[] = {
    {"no BOS", "--task-opt bos=0", NULL},
    {"BOS", "--task-opt bos=1", NULL},
};
enum { ROWS = sizeof rows / sizeof rows[0], COLUMNS = sizeof columns / sizeof columns[0] };

static const struct recipe_expectation expectation[ROWS][COLUMNS] = {
    {EXPECT(0, 0.25), EXPECT_NOTHING},
    {EXPECT(0, 0.25), EXPECT(0.9, 1)},
    {EXPECT(0.9, 1), EXPECT(0.9, 1)},
};

const struct recipe_def recipe_counting = {
    .name = "counting",
    .title = "modular counting in a decoder, with and without a start token",
    .source = "Chang and Bisk 2024, Language Models Need Inductive Biases to Count Inductively, "
              "arXiv 2405.20131",
    .question = "Copies of one symbol in a decoder: each must give the count so far, modulo 10.",
    .expected = "without a start token rows that see only equal values are equal, so that RoPE and "
                "no encoding are at chance; with one, RoPE counts.",
    .metric = "accuracy",
    .train = "--arch decoder --task counting --task-opt variant=modular --eval-every 0 "
             "--log-every 0",
    .small = "--length 32 --layers 4 --dim 64 --heads 4 --batch-size 32 --steps 2000 --lr 1e-3 "
             "--warmup 100",
    .full = "--length 50 --layers 4 --dim 1024 --ff-dim 4096 --heads 8 --batch-size 32 --steps "
            "200000 --lr 1e-4 --warmup 3000 --schedule constant --grad-clip 0.3",
    .rows = ROWS,
    .columns = COLUMNS,
    .row = rows,
    .column = columns,
    .expectation = &expectation[0][0],
};
