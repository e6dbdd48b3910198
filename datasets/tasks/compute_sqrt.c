// Square root: floor of the root of a binary number, the highest bit first. The top bits of the
// answer need the top of the string, the low ones all of it.
#include <math.h>

#include "../binary.h"

static int64_t root_bits(int64_t n)
{
    return (n + 1) / 2;
}

// P(slot is 1) - 1/2. Roots with the leading bits t belong to numbers from t^2 to (t + 1)^2, in
// units of which there are 2^units in all numbers of n bits.
static double lean(int64_t n, int64_t slot)
{
    int units = 2 * (int)slot + (n % 2 ? 1 : 2);
    double size = ldexp(1, -units), one = 0;
    for (int64_t t = 1; t < (int64_t)2 << slot; t += 2)
        one += fmin(1, size * (double)((t + 1) * (t + 1))) - fmin(1, size * (double)(t * t));
    return one / (1 - exp2((double)-n)) - 0.5; // no number is 0
}

// Exact for 12 slots; bits behind lean by less than 2^-13.
static struct string_guess guess(const void *context, int64_t n)
{
    (void)context;
    int64_t m = root_bits(n);
    double right = 0.5 * (double)m;
    for (int64_t slot = 0; slot < m && slot < 12; slot++)
        right += fabs(lean(n, slot));
    return (struct string_guess){right, (double)m};
}

static int open(struct dataset *dataset)
{
    static const struct string_rule rule = {
        .symbols = 2, .shortest = 1, .step = 1, .answer = root_bits};
    int code = string_open(dataset, &rule);
    if (code < 0)
        return code;
    const struct string_settings *s = dataset->settings;
    double n = (double)s->min_length;
    dataset->chance = string_chance(dataset, guess, NULL);
    dataset->row_bits = n + log1p(-exp2(-n)) / log(2);
    return 0;
}

// Digit `place` above the last of a number that is written in digits[0..end).
static int32_t digit(const int32_t *digits, int64_t end, int64_t place)
{
    return place < end ? digits[end - 1 - place] : 0;
}

// Digit of 4 root + 1, the root having `count` bits.
static int32_t trial_digit(const int32_t *root, int64_t count, int64_t place)
{
    return place < 2 ? place == 0 : digit(root, count, place - 2);
}

// Whether what is left of the number in left[0..end) is at least 4 root + 1.
static bool reaches(const int32_t *left, int64_t end, const int32_t *root, int64_t count)
{
    for (int64_t place = count + 2; place >= 0; place--) {
        int32_t difference = digit(left, end, place) - trial_digit(root, count, place);
        if (difference != 0)
            return difference > 0;
    }
    return true;
}

// Takes 4 root + 1 off.
static void subtract(int32_t *left, int64_t end, const int32_t *root, int64_t count)
{
    int32_t borrow = 0;
    for (int64_t place = 0; place < count + 3 && place < end; place++) {
        int32_t difference = left[end - 1 - place] - trial_digit(root, count, place) - borrow;
        borrow = difference < 0;
        left[end - 1 - place] = difference + 2 * borrow;
    }
}

// The root by hand, in base 2: two more digits of the number each time, and the root's next bit is
// 1 where 4 root + 1 can be taken off what is left. That is at most 2 root and so needs few digits.
// It is kept in the targets before the answer, which are ignored again at the end.
static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    int64_t n = string_lay_out(dataset, split, rng, row), m = root_bits(n);
    int32_t *left = row->targets, *root = row->targets + n + 1;
    binary_fill(rng, row->tokens, n);
    for (int64_t i = 0; i < n; i++)
        left[i] = row->tokens[i];
    for (int64_t i = 0; i < m; i++) {
        int64_t end = 2 * (i + 1) - n % 2;
        root[i] = reaches(left, end, root, i);
        if (root[i])
            subtract(left, end, root, i);
    }
    for (int64_t i = 0; i < n; i++)
        left[i] = DATASET_IGNORE;
}

const struct task_def task_compute_sqrt = {
    .name = "compute-sqrt",
    .title = "a binary number, then the floor of its square root",
    .source = "Deletang et al. 2023, Neural Networks and the Chomsky Hierarchy, arXiv 2207.02098; "
              "Ruoss et al. 2023, arXiv 2305.16843",
    .scored = "the answer's bits; exact match of the whole answer",
    .options = string_length_options,
    .settings_size = sizeof(struct string_settings),
    .open = open,
    .sample = sample,
    .token_name = string_token_name,
};
