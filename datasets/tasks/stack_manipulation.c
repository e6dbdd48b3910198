// Stack manipulation: a stack of bits, its bottom first, then actions; the stack that they leave,
// its top first, then a 2.
//
// Actions are 2 (take the top off; nothing happens to an empty stack), 3 (push 0) and 4 (push 1).
// What is behind the closing 2 is not scored, but its slots are there: n + 1, which any stack fits.
#include <math.h>

#include "../strings.h"

enum { POP = 2, PUSH = 3, SYMBOLS = 5, END = 2 };

static int64_t answer_slots(int64_t n)
{
    return n + 1;
}

// Every bit of a stack is fair, whatever happens to others, so what can be guessed is the height. A
// walk over the actions, in which strings with a first stack of `begun` bits join when as many
// tokens are read. Longer strings are taken for ones of 1024.
static struct string_guess guess(const void *context, int64_t n)
{
    (void)context;
    enum { MOST = 1024 };
    double height[MOST + 2] = {0};
    struct string_guess all = {0};
    n = n < MOST ? n : MOST;
    for (int64_t begun = 1; begun < n; begun++) {
        height[begun] += 1 / (double)(n - 1);
        double below = height[0]; // what an empty stack's pop leaves where it was
        for (int64_t h = 0; h <= begun + 1; h++) {
            double here = height[h];
            height[h] = height[h + 1] / 3 + below * (h == 0 ? 1 : 2) / 3;
            below = here;
        }
    }
    double above = 1;
    for (int64_t slot = 0; slot <= n; slot++) {
        all.scored += above;
        above -= height[slot];
        all.right += fmax(height[slot], above / 2);
    }
    return all;
}

static int open(struct dataset *dataset)
{
    static const struct string_rule rule = {
        .symbols = SYMBOLS, .shortest = 2, .step = 1, .answer = answer_slots};
    int code = string_open(dataset, &rule);
    if (code < 0)
        return code;
    const struct string_settings *s = dataset->settings;
    double n = (double)s->min_length;
    dataset->chance = string_chance(dataset, guess, NULL);
    dataset->row_bits = log2(n - 1) + n - 1 + log2(3); // the likeliest row has one action
    return 0;
}

// The stack is worked on in the slots of its answer, bottom first, and turned at the end.
static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    int64_t n = string_lay_out(dataset, split, rng, row);
    int64_t height = 1 + rng_below(rng, (uint32_t)(n - 1));
    int32_t *stack = row->targets + n + 1;
    string_fill(rng, row->tokens, height, 2);
    string_fill(rng, row->tokens + height, n - height, 3);
    for (int64_t i = height; i < n; i++)
        row->tokens[i] += POP;
    for (int64_t i = 0; i < height; i++)
        stack[i] = row->tokens[i];
    for (int64_t i = height; i < n; i++) {
        if (row->tokens[i] >= PUSH)
            stack[height++] = row->tokens[i] - PUSH;
        else if (height > 0)
            stack[--height] = DATASET_IGNORE;
    }
    for (int64_t i = 0, k = height - 1; i < k; i++, k--) {
        int32_t bit = stack[i];
        stack[i] = stack[k];
        stack[k] = bit;
    }
    stack[height] = END;
}

const struct task_def task_stack_manipulation = {
    .name = "stack-manipulation",
    .title = "a stack of bits and actions on it, then the stack that is left",
    .source = "Deletang et al. 2023, Neural Networks and the Chomsky Hierarchy, arXiv 2207.02098; "
              "Ruoss et al. 2023, arXiv 2305.16843",
    .scored = "the answer's bits and its end; exact match of the whole answer",
    .options = string_length_options,
    .settings_size = sizeof(struct string_settings),
    .open = open,
    .sample = sample,
    .token_name = string_token_name,
};
