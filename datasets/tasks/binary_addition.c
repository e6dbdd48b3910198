// Binary addition: the sum of two numbers, the lowest bit first. A carry can come from any
// distance.
#include <math.h>

#include "../binary.h"

static double power(int64_t exponent)
{
    return ldexp(1, (int)exponent);
}

// One number below 2^a, zero among them.
static struct binary_bit of_one(int64_t a, int64_t k)
{
    return (struct binary_bit){k < a ? power(k - a) : 1, k < a ? 0.5 : 0};
}

// The sum of numbers below 2^a and 2^b, zero among them; a is not the less. Bits below a are fair,
// whatever y is, and bit a is the carry. A sum is below 2^k in a triangle of pairs where 2^k is in
// the reach of both, in a trapezium where it is in that of x.
static struct binary_bit of_two(int64_t a, int64_t b, int64_t k)
{
    double below = k > a    ? 1
                   : k <= b ? power(k - a) * power(k - b) * (1 + power(-k)) / 2
                            : power(k - a) - (power(b - a) - power(-a)) / 2;
    return (struct binary_bit){below, k < a ? 0.5 : k == a ? 1 - below : 0};
}

// The same without the zeros: what they add is taken off.
static struct binary_bit bit(const void *context, int64_t a, int64_t b, int64_t k)
{
    (void)context;
    double zero_x = power(-a), zero_y = power(-b);
    struct binary_bit both = of_two(a > b ? a : b, a > b ? b : a, k);
    struct binary_bit x = of_one(a, k), y = of_one(b, k);
    double left = (1 - zero_x) * (1 - zero_y);
    return (struct binary_bit){
        (both.below - zero_x * y.below - zero_y * x.below + zero_x * zero_y) / left,
        (both.one - zero_x * y.one - zero_y * x.one) / left};
}

static int64_t answer(int64_t n)
{
    return n + 1;
}

static int open(struct dataset *dataset)
{
    static const struct string_rule rule = {
        .symbols = BINARY_SYMBOLS, .shortest = BINARY_SHORTEST, .step = 1, .answer = answer};
    int code = string_open(dataset, &rule);
    if (code == 0)
        binary_set_facts(dataset, bit, NULL);
    return code;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    struct binary_row r = binary_lay_out(dataset, split, rng, row);
    int32_t carry = 0;
    for (int64_t i = 0; i < r.n - 1; i++) {
        int32_t sum = (i < r.a ? r.x[i] : 0) + (i < r.b ? r.y[i] : 0) + carry;
        r.answer[i] = sum & 1;
        carry = sum >> 1;
    }
    binary_close(&r);
}

const struct task_def task_binary_addition = {
    .name = "binary-addition",
    .title = "two binary numbers, lowest bit first, then their sum",
    .source = "Deletang et al. 2023, Neural Networks and the Chomsky Hierarchy, arXiv 2207.02098; "
              "Ruoss et al. 2023, arXiv 2305.16843",
    .scored = "the answer's bits and its end; exact match of the whole answer",
    .options = string_length_options,
    .settings_size = sizeof(struct string_settings),
    .open = open,
    .sample = sample,
    .token_name = string_token_name,
};
