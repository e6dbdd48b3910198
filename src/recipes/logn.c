// Log-n scaling: logits that grow with the logarithm of the row keep attention as sharp on long
// rows as on those of the training.
#include "recipe.h"

static const struct recipe_part rows[] = {
    {"rope", "--pe rope", NULL},
    {"rope+logn", "--pe rope+logn", NULL},
};

static const struct recipe_part columns[] = {
    {"64", NULL, "--lengths 64"},
    {"128", NULL, "--lengths 128"},
    {"256", NULL, "--lengths 256"},
    {"512", NULL, "--lengths 512"},
};
enum { ROWS = sizeof rows / sizeof rows[0], COLUMNS = sizeof columns / sizeof columns[0] };

// The article's table, in shares.
static const struct recipe_expectation expectation[ROWS][COLUMNS] = {
    {EXPECT_SOURCE(0.4327, 0), EXPECT_SOURCE(0.3653, 0), EXPECT_SOURCE(0.2302, 0),
     EXPECT_SOURCE(0.1512, 0)},
    {EXPECT_SOURCE(0.4311, 0), EXPECT_SOURCE(0.4117, 1), EXPECT_SOURCE(0.3404, 1),
     EXPECT_SOURCE(0.2015, 1)},
};

const struct recipe_def recipe_logn = {
    .name = "logn",
    .title = "log-n scaling of the logits on masked text, past the trained length",
    .source = "Su Jianlin, Scientific Spaces, article 8823 (its numbers are of RoFormer-small on "
              "Chinese words); Chiang and Cholak 2022, arXiv 2202.12172",
    .question = "Masked bytes of a text, trained in rows of 64 and restored in longer ones.",
    .expected = "accuracy falls with the length of the row, and less with the scale.",
    .metric = "accuracy",
    .train = "--arch encoder --task masked-text --length 64 --eval-every 0 --log-every 0",
    .small = "--layers 3 --dim 128 --heads 4 --ff-dim 512 --batch-size 32 --steps 4000 --lr 1e-3 "
             "--warmup 200",
    .full = "--layers 6 --dim 384 --heads 6 --ff-dim 1536 --batch-size 256 --steps 200000 --lr "
            "1e-4 --warmup 5000",
    .needs_text = true,
    .rows = ROWS,
    .columns = COLUMNS,
    .row = rows,
    .column = columns,
    .expectation = &expectation[0][0],
};
