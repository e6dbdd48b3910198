// Counting variables: a program of one instruction a token. SET x makes x zero, INC x adds one,
// PASS does nothing, PRINT x asks for the value of x, on that token.
//
//     SET a  SET b  INC a  PASS  PRINT b  INC a  PRINT a      answers 0 at the first, 2 at the
//     second
//
// What has to be counted is only the increments of one variable since its last set, wherever they
// stand. The paper names the instructions and the numbers of variables (1, 3, 5); the rest is ours:
// a row begins with a SET of each variable and ends with a PRINT; between, an instruction is PASS
// with probability `pass`, and otherwise SET, INC or PRINT with weights 1, 4 and 2, of any
// variable. An increment of a variable that stands at `limit` becomes a PASS. No token tells an
// answer, so encoders and decoders get the same task.
#include <math.h>
#include <string.h>

#include "../row.h"

enum { MAX_VARIABLES = 64, MAX_LIMIT = 255 };
enum { SETS = 1, INCREMENTS = 4, PRINTS = 2, ALL = SETS + INCREMENTS + PRINTS }; // weights

struct settings {
    int64_t variables, limit;
    double pass;
    struct row_lengths lengths;
};

static const struct option_def options[] = {
    {"variables", OPTION_INT, offsetof(struct settings, variables), "3", 1, MAX_VARIABLES, NULL,
     "different variables"},
    {"limit", OPTION_INT, offsetof(struct settings, limit), "9", 1, MAX_LIMIT, NULL,
     "the largest value of a variable"},
    {"pass", OPTION_REAL, offsetof(struct settings, pass), "0.3", 0, 1, NULL,
     "probability that an instruction does nothing"},
    ROW_LENGTH_OPTIONS(settings, "instructions"),
    {.key = NULL},
};

// One instruction on: the chance of each value of a variable.
static void step_values(const struct settings *s, double *chance)
{
    double each = (1 - s->pass) / (double)(ALL * s->variables);
    double set = SETS * each, add = INCREMENTS * each;
    for (int64_t v = s->limit; v >= 0; v--)
        chance[v] = chance[v] * (1 - set - (v < s->limit ? add : 0)) +
                    (v > 0 ? chance[v - 1] * add : 0) + (v == 0 ? set : 0);
}

// The best constant answer, over all rows: by the chances of the values at each print. Instruction
// t of n prints with probability `print`, and the last for sure.
static double best_constant(const struct settings *s)
{
    double chance[MAX_LIMIT + 1] = {1}, before[MAX_LIMIT + 1] = {0}, right[MAX_LIMIT + 1] = {0};
    double print = (1 - s->pass) * PRINTS / ALL, scored = 0, best = 0;
    for (int64_t t = s->variables; t < s->lengths.max; t++) {
        bool may_end = t + 1 >= s->lengths.min;
        scored += may_end ? print * (double)(t - s->variables) + 1 : 0;
        for (int64_t v = 0; v <= s->limit; v++) {
            right[v] += may_end ? before[v] + chance[v] : 0;
            before[v] += print * chance[v];
        }
        step_values(s, chance);
    }
    for (int64_t v = 0; v <= s->limit; v++)
        best = right[v] > best ? right[v] : best;
    return best / scored;
}

static int open_count_variables(struct dataset *dataset)
{
    struct settings *s = dataset->settings;
    int64_t least = s->variables + 1;
    struct row_rule rule = {.least = least, .fits = dataset->length, .needed = least, .unit = 1};
    int code = row_lengths_settle(dataset, &s->lengths, rule);
    if (code < 0)
        return code;
    double each = (1 - s->pass) / ALL, variable = log2((double)s->variables);
    double bits = row_surprise(s->pass) + row_surprise(SETS * each) +
                  row_surprise(INCREMENTS * each) + row_surprise(PRINTS * each) +
                  (1 - s->pass) * variable;
    int64_t tokens = 3 * s->variables + 1;
    dataset->vocab = tokens > s->limit + 1 ? tokens : s->limit + 1;
    dataset->chance = best_constant(s);
    dataset->row_bits = variable + (double)(s->lengths.min - least) * bits;
    return 0;
}

// SET x, INC x, PRINT x and PASS are the tokens x, V + x, 2 V + x and 3 V of V variables.
static int64_t draw_instruction(const struct settings *s, struct rng *rng, const int64_t *values)
{
    int64_t pass = 3 * s->variables;
    if (rng_uniform(rng) < s->pass)
        return pass;
    int64_t drawn = rng_below(rng, (uint32_t)(ALL * s->variables));
    int64_t x = drawn % s->variables, weight = drawn / s->variables;
    if (weight < SETS)
        return x;
    if (weight < SETS + INCREMENTS)
        return values[x] < s->limit ? s->variables + x : pass;
    return 2 * s->variables + x;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    const struct settings *s = dataset->settings;
    int64_t n = row_draw_length(dataset, split, rng, s->lengths, 1), variables = s->variables;
    int64_t values[MAX_VARIABLES] = {0};
    for (int64_t at = 0; at < n;) {
        int64_t token = at < variables ? at
                        : at == n - 1  ? 2 * variables + rng_below(rng, (uint32_t)variables)
                                       : draw_instruction(s, rng, values);
        int64_t instruction = token / variables, x = token % variables;
        if (instruction == 0)
            values[x] = 0;
        if (instruction == 1)
            values[x]++;
        if (instruction == 2)
            row_ask(row, &at, token, values[x]);
        else
            row_put(row, &at, token);
    }
}

const struct task_def task_count_variables = {
    .name = "count-variables",
    .title = "a program that sets, increments and prints variables; each print gives the value",
    .source =
        "Golovneva et al. 2024, Contextual Position Encoding: Learning to Count What's Important, "
        "arXiv 2405.18719",
    .scored = "prints",
    .options = options,
    .settings_size = sizeof(struct settings),
    .open = open_count_variables,
    .sample = sample,
};
