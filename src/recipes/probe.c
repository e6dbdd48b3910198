// The probe's table: which encodings tell apart the copies of one token.
//
// All is decided by mathematics: where values are equal and weights sum to one, every row is the
// same, whatever the logits are. tests/property/test_theorem shows it exactly, without training;
// here the accuracy shows what that means.
#include "recipe.h"

#define SOLVED EXPECT(0.99, 1)
// 4 layers of 3 taps mark 4 places from each end; of the rest, which are equal, one is right.
#define REACH(n) EXPECT(8.5 / (n), 9.5 / (n))
#define CHANCE EXPECT(0, 0.125) // one class of 16 is 0.0625; rounding may choose among equals

static const struct recipe_part rows[] = {
    {"none", "--pe none", NULL},
    {"learned", "--pe learned", NULL},
    {"sinusoidal", "--pe sinusoidal", NULL},
    {"conv, 4 layers", "--pe conv --pe-opt where=each --layers 4", NULL},
    {"alibi", "--pe alibi", NULL},
    {"rope", "--pe rope", NULL},
    {"rope on values too", "--pe rope --pe-opt values=vo", NULL},
    {"t5", "--steps 2000 --pe t5 --pe-opt max_distance=17", NULL},
    {"shaw, keys only", "--pe shaw --pe-opt values=no", NULL},
    {"shaw", "--pe shaw", NULL},
    {"t5+urpe", "--pe t5+urpe --pe-opt max_distance=17", NULL},
    {"rope+urpe", "--pe rope+urpe", NULL},
};

static const struct recipe_part columns[] = {
    {"encoder", "--arch encoder", NULL},
    {"decoder", "--arch decoder", NULL},
    {"encoder, BOS", "--arch encoder --task-opt bos=1", NULL},
    {"decoder, BOS", "--arch decoder --task-opt bos=1", NULL},
};
enum { ROWS = sizeof rows / sizeof rows[0], COLUMNS = sizeof columns / sizeof columns[0] };

static const struct recipe_expectation expectation[ROWS][COLUMNS] = {
    {CHANCE, CHANCE, CHANCE, SOLVED}, // none: a decoder sees how far the start token is diluted
    {SOLVED, SOLVED, SOLVED, SOLVED}, // learned
    {SOLVED, SOLVED, SOLVED, SOLVED}, // sinusoidal
    {REACH(16), SOLVED, REACH(15), SOLVED}, // conv: four places from either end, and no others
    {CHANCE, CHANCE, SOLVED, SOLVED},       // alibi
    {CHANCE, CHANCE, SOLVED, SOLVED},       // rope
    {SOLVED, SOLVED, SOLVED, SOLVED},       // rope on values too
    {CHANCE, CHANCE, SOLVED, SOLVED},       // t5
    {CHANCE, CHANCE, SOLVED, SOLVED},       // shaw, keys only
    {SOLVED, SOLVED, SOLVED, SOLVED},       // shaw
    {SOLVED, SOLVED, SOLVED, SOLVED},       // t5+urpe
    {SOLVED, SOLVED, SOLVED, SOLVED},       // rope+urpe
};

const struct recipe_def recipe_probe = {
    .name = "probe",
    .title = "which encodings can name the place of equal tokens",
    .source = "Su Jianlin, Scientific Spaces, article 9105; Luo et al. 2022, arXiv 2205.13401",
    .question = "A row is 16 copies of one token, and each copy must name its own position.",
    .expected = "relative encodings that act before the softmax fail without a start token, as "
                "every weighted mean of equal values is that value; URPE, absolute encodings and "
                "whatever acts on the values solve it.",
    .metric = "accuracy",
    .train = "--task probe --length 16 --layers 2 --dim 64 --heads 4 --batch-size 8 --steps 800 "
             "--lr 2e-3 --warmup 50 --eval-every 0 --log-every 0 --save-every 0",
    .small = "",
    .rows = ROWS,
    .columns = COLUMNS,
    .row = rows,
    .column = columns,
    .expectation = &expectation[0][0],
};
