// Rows of two binary numbers, and how well what follows from them can be guessed without them.
#include "binary.h"

#include <math.h>

void binary_fill(struct rng *rng, int32_t *bits, int64_t count)
{
    int32_t any = 0;
    while (!any) {
        string_fill(rng, bits, count, 2);
        for (int64_t i = 0; i < count; i++)
            any |= bits[i];
    }
}

struct binary_row binary_lay_out(const struct dataset *dataset, enum dataset_split split,
                                 struct rng *rng, struct dataset_row *row)
{
    int64_t n = string_lay_out(dataset, split, rng, row);
    int64_t a = 1 + rng_below(rng, (uint32_t)(n - 2)), b = n - 1 - a;
    binary_fill(rng, row->tokens, a);
    row->tokens[a] = 2;
    binary_fill(rng, row->tokens + a + 1, b);
    int32_t *answer = row->targets + n + 1;
    for (int64_t i = 0; i < n; i++)
        answer[i] = 0;
    return (struct binary_row){n, row->tokens, row->tokens + a + 1, a, b, answer};
}

void binary_close(const struct binary_row *row)
{
    int64_t end = row->n - 1;
    while (row->answer[end - 1] == 0)
        end--;
    row->answer[end] = 2;
    for (int64_t i = end + 1; i < row->n; i++)
        row->answer[i] = DATASET_IGNORE;
}

// --- chance

struct facts {
    struct binary_bit (*bit)(const void *context, int64_t a, int64_t b, int64_t k);
    const void *context;
};

// Slot k, over the lengths of the first number (64 evenly spaced ones where there are more): it is
// scored where the answer has k bits or more, and has the 2 where it has k.
static struct string_guess guess_slot(const struct facts *facts, int64_t n, int64_t k)
{
    int64_t used = n - 2 < 64 ? n - 2 : 64;
    double ends = 0, ones = 0, zeros = 0;
    for (int64_t i = 0; i < used; i++) {
        int64_t a = 1 + string_spaced(i, used, n - 2), b = n - 1 - a;
        struct binary_bit bit = facts->bit(facts->context, a, b, k);
        ends += bit.below - (k > 0 ? facts->bit(facts->context, a, b, k - 1).below : 0);
        ones += bit.one;
        zeros += 1 - bit.below - bit.one;
    }
    double right = fmax(ends, fmax(ones, zeros));
    return (struct string_guess){right / (double)used, (ends + ones + zeros) / (double)used};
}

// No answer reaches the slots from n on. All slots of short strings, 128 of longer ones.
static struct string_guess guess(const void *context, int64_t n)
{
    int64_t used = n < 128 ? n : 128;
    double each = (double)n / (double)used;
    struct string_guess all = {0};
    for (int64_t i = 0; i < used; i++) {
        struct string_guess slot = guess_slot(context, n, string_spaced(i, used, n));
        all.right += slot.right * each;
        all.scored += slot.scored * each;
    }
    return all;
}

// The likeliest row has a number of one bit, which must be 1, and one of n - 2.
void binary_set_facts(struct dataset *dataset,
                      struct binary_bit (*bit)(const void *context, int64_t a, int64_t b,
                                               int64_t k),
                      const void *context)
{
    const struct string_settings *s = dataset->settings;
    struct facts facts = {bit, context};
    double rest = (double)(s->min_length - 2);
    dataset->chance = string_chance(dataset, guess, &facts);
    dataset->row_bits = log2(rest) + rest + log1p(-exp2(-rest)) / log(2);
}
