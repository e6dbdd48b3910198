// Binary multiplication: the product of two numbers, the lowest bit first. Every bit of the answer
// depends on all bits at or below its place.
#include <math.h>

#include "../binary.h"

// Numbers of up to SMALL bits are enumerated for the chance.
enum { SMALL = 7 };
struct table {
    struct binary_bit bit[SMALL + 1][SMALL + 1][2 * SMALL]; // of a bits, of b bits, k
};

static void enumerate(int a, int b, struct binary_bit *bit)
{
    double each = 1.0 / (((1 << a) - 1) * ((1 << b) - 1));
    for (int x = 1; x < 1 << a; x++)
        for (int y = 1; y < 1 << b; y++)
            for (int k = 0; k < a + b; k++) {
                bit[k].below += x * y < 1 << k ? each : 0;
                bit[k].one += x * y >> k & 1 ? each : 0;
            }
}

// P(bit k is 1), k below the bits of x: it is fair where y has a 1 at k or below, and 0 elsewhere.
static double low_bit(int64_t a, int64_t b, int64_t k)
{
    double fair = 0.5 / (1 - exp2((double)-a));
    if (k >= b)
        return fair;
    return fair * (1 - (exp2((double)(b - k - 1)) - 1) / (exp2((double)b) - 1));
}

// Exact for small numbers, and for the bits below the longer number's length. The top bits of a
// product hang on the top bits of its factors: those of larger numbers are taken from the numbers
// of SMALL bits, to about 2^-SMALL, and those that lie too deep for that are as good as fair.
static struct binary_bit bit(const void *context, int64_t a, int64_t b, int64_t k)
{
    const struct table *table = context;
    if (a < b)
        return bit(context, b, a, k);
    int64_t small_a = a < SMALL ? a : SMALL, small_b = b < SMALL ? b : SMALL;
    int64_t same = k - (a + b) + small_a + small_b; // as far from the top
    struct binary_bit result = {1, 0};
    if (same >= small_a + small_b)
        return result;
    result = same >= 0 ? table->bit[small_a][small_b][same] : (struct binary_bit){0, 0.5};
    if (k < a && a > SMALL)
        result.one = fmin(low_bit(a, b, k), 1 - result.below);
    return result;
}

static int open(struct dataset *dataset)
{
    static const struct string_rule rule = {
        .symbols = BINARY_SYMBOLS, .shortest = BINARY_SHORTEST, .step = 1};
    int code = string_open(dataset, &rule);
    if (code < 0)
        return code;
    struct table table = {0};
    for (int a = 1; a <= SMALL; a++)
        for (int b = 1; b <= a; b++)
            enumerate(a, b, table.bit[a][b]);
    binary_set_facts(dataset, bit, &table);
    return 0;
}

// Long multiplication: each place of the answer first counts its ones, at most n of them, and then
// the counts are carried.
static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    struct binary_row r = binary_lay_out(dataset, split, rng, row);
    for (int64_t i = 0; i < r.a; i++)
        if (r.x[i])
            for (int64_t j = 0; j < r.b; j++)
                r.answer[i + j] += r.y[j];
    int32_t carry = 0;
    for (int64_t i = 0; i < r.n - 1; i++) {
        int32_t sum = r.answer[i] + carry;
        r.answer[i] = sum & 1;
        carry = sum >> 1;
    }
    binary_close(&r);
}

const struct task_def task_binary_multiplication = {
    .name = "binary-multiplication",
    .title = "two binary numbers, lowest bit first, then their product",
    .source = "Deletang et al. 2023, Neural Networks and the Chomsky Hierarchy, arXiv 2207.02098; "
              "Ruoss et al. 2023, arXiv 2305.16843",
    .scored = "the answer's bits and its end; exact match of the whole answer",
    .options = string_length_options,
    .settings_size = sizeof(struct string_settings),
    .open = open,
    .sample = sample,
    .token_name = string_token_name,
};
