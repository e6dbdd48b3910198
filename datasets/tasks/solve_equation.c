// Solve equation: an expression with brackets and + -, in which an x stands for a digit, "=", and
// its value mod 5; the digit.
//
// Without products there is one solution. x is the first digit at or behind a place that is drawn,
// going round, as in the papers' code.
#include "../expressions.h"
#include "../strings.h"

enum { X = EXPRESSION_TIMES, EQUALS, SYMBOLS };

static int open(struct dataset *dataset)
{
    static const struct string_rule rule = {
        .symbols = SYMBOLS, .shortest = 3, .step = 1, .answer = string_one, .signs = "+-()x="};
    int code = string_open(dataset, &rule);
    if (code < 0)
        return code;
    const struct string_settings *s = dataset->settings;
    dataset->chance = 1.0 /
                      EXPRESSION_MODULUS; // each digit is as likely, whatever stands around it
    // Which digit is hidden adds to this; where it is one of two, it adds little.
    dataset->row_bits = expression_bits(s->min_length - 2, false);
    return 0;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    int64_t n = string_lay_out(dataset, split, rng, row), size = n - 2;
    int32_t *tokens = row->tokens;
    int32_t value = expression_draw(rng, tokens, row->targets, size, false);
    for (int64_t i = 0; i < size; i++)
        row->targets[i] = DATASET_IGNORE; // was working space
    int64_t at = rng_below(rng, (uint32_t)size);
    while (tokens[at] >= EXPRESSION_MODULUS)
        at = (at + 1) % size;
    row->targets[n + 1] = tokens[at];
    tokens[at] = X;
    tokens[size] = EQUALS;
    tokens[size + 1] = value;
}

const struct task_def task_solve_equation = {
    .name = "solve-equation",
    .title = "an expression with + - and x for a digit, = and its value mod 5; the digit",
    .source = "Deletang et al. 2023, Neural Networks and the Chomsky Hierarchy, arXiv 2207.02098; "
              "Ruoss et al. 2023, arXiv 2305.16843",
    .scored = "the one answer",
    .options = string_length_options,
    .settings_size = sizeof(struct string_settings),
    .open = open,
    .sample = sample,
    .token_name = string_token_name,
};
