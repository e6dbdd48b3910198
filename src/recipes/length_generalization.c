// Trained short and tested twice as long: copy, reverse and addition in a decoder.
#include "recipe.h"

static const struct recipe_part rows[] = {
    {"none", "--pe none", NULL}, {"t5", "--pe t5", NULL},           {"alibi", "--pe alibi", NULL},
    {"rope", "--pe rope", NULL}, {"learned", "--pe learned", NULL},
};

static const struct recipe_part columns[] = {
    {"copy 8", "--task copy --length 17", "--lengths 17"},
    {"copy 16", "--task copy --length 17", "--lengths 17,33"},
    {"reverse 8", "--task reverse --length 17", "--lengths 17"},
    {"reverse 16", "--task reverse --length 17", "--lengths 17,33"},
    {"addition 4", "--task addition --length 15", "--lengths 15"},
    {"addition 8", "--task addition --length 15", "--lengths 15,27"},
};
enum { ROWS = sizeof rows / sizeof rows[0], COLUMNS = sizeof columns / sizeof columns[0] };

#define NO EXPECT_NOTHING
#define FIT EXPECT(0.95, 1)
#define ROPE EXPECT_ABOVE(4)
static const struct recipe_expectation expectation[ROWS][COLUMNS] = {
    {NO, ROPE, NO, ROPE, NO, ROPE}, // none
    {NO, ROPE, NO, ROPE, NO, ROPE}, // t5
    {NO, ROPE, NO, ROPE, NO, ROPE}, // alibi
    {FIT, NO, FIT, NO, NO, NO},     // rope
    {FIT, NO, FIT, NO, NO, NO},     // learned: it ends at the trained length
};

const struct recipe_def recipe_length_generalization = {
    .name = "length-generalization",
    .title = "copy, reverse and addition at twice the trained length",
    .source = "Kazemnejad et al. 2023, The Impact of Positional Encoding on Length Generalization "
              "in Transformers, arXiv 2305.19466",
    .question = "A decoder trained on strings of up to N symbols is scored on strings of 2N.",
    .expected = "no encoding generalises best, then T5's bias, ALiBi, RoPE, absolute positions "
                "(the paper's ranking; its results are figures).",
    .remark =
        "2 layers and 3000 steps for 12 and 40000. Answers are asked for at blank slots, so that "
        "no "
        "earlier answer can be leaned on. At this size the ranking comes in part only: without "
        "an encoding, with T5's and with ALiBi a model keeps more than with RoPE, but none of "
        "them fits the trained lengths as RoPE and a learned table do, and none is exact at "
        "twice the length.",
    .metric = "accuracy",
    .eval = "--samples 512",
    .train = "--arch decoder --task-opt min_length=1 --eval-every 0 --log-every 0",
    .small = "--layers 2 --dim 64 --heads 4 --batch-size 64 --steps 3000 --lr 1e-3 --warmup 100",
    .full = "--layers 12 --dim 768 --ff-dim 3072 --heads 12 --batch-size 64 --steps 40000 --lr "
            "3e-5 --weight-decay 0.05 --schedule linear --warmup 2400",
    .rows = ROWS,
    .columns = COLUMNS,
    .row = rows,
    .column = columns,
    .expectation = &expectation[0][0],
};
