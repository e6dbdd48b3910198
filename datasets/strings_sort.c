// Sorted strings: the sort, and how well the answer can be guessed without the string.
#include <math.h>

#include "strings.h"

// --- rows

// Moves v[i] down the heap of `count` until no child is larger.
static void sift(int32_t *v, int64_t i, int64_t count)
{
    int32_t moved = v[i];
    for (int64_t child; (child = 2 * i + 1) < count; i = child) {
        if (child + 1 < count && v[child + 1] > v[child])
            child++;
        if (v[child] <= moved)
            break;
        v[i] = v[child];
    }
    v[i] = moved;
}

// Heapsort: in place, and no string is slow.
static void sort(int32_t *v, int64_t count)
{
    for (int64_t i = count / 2 - 1; i >= 0; i--)
        sift(v, i, count);
    for (int64_t last = count - 1; last > 0; last--) {
        int32_t largest = v[0];
        v[0] = v[last];
        v[last] = largest;
        sift(v, 0, last);
    }
}

void string_sample_sort(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                        struct dataset_row *row)
{
    int64_t n = string_draw(dataset, split, rng, row);
    for (int64_t i = 0; i < n; i++)
        row->targets[n + 1 + i] = row->tokens[i];
    sort(row->targets + n + 1, n);
}

// --- chance

static double log_factorial(int64_t n)
{
    int sign; // lgamma would write it to a variable of the library
    return lgamma_r((double)n + 1, &sign);
}

// P(C <= k) for C ~ Binomial(n, p): the shorter tail, term by term.
static double at_most(int64_t n, double p, int64_t k)
{
    if (k >= n || p <= 0)
        return 1;
    if (p >= 1)
        return 0;
    double odds = p / (1 - p), sum = 0;
    bool low = (double)k < (double)n * p;
    int64_t i = low ? k : k + 1;
    double term = exp(log_factorial(n) - log_factorial(i) - log_factorial(n - i) +
                      (double)i * log(p) + (double)(n - i) * log1p(-p));
    for (; i >= 0 && i <= n && term > 1e-17; i += low ? -1 : 1) {
        sum += term;
        term *= low ? (double)i / (double)(n - i + 1) / odds
                    : (double)(n - i) / (double)(i + 1) * odds;
    }
    return low ? sum : 1 - sum;
}

struct slot {
    int64_t n, k, symbols;
};

// P(the slot holds symbol a): at most k symbols are below a, and more than k are not above it.
static double holds(const struct slot *slot, int64_t a)
{
    double m = (double)slot->symbols;
    if (a < 0 || a >= slot->symbols)
        return 0;
    return at_most(slot->n, (double)a / m, slot->k) -
           at_most(slot->n, (double)(a + 1) / m, slot->k);
}

// The likeliest symbol of a slot: the k-th of n uniform numbers has one peak, so symbols are tried
// from there until they are less likely.
static double best_of_slot(const struct slot *slot)
{
    int64_t peak = slot->n > 1 ? slot->k * slot->symbols / (slot->n - 1) : 0;
    double best = holds(slot, peak), next;
    for (int64_t a = peak - 1; (next = holds(slot, a)) > best; a--)
        best = next;
    for (int64_t a = peak + 1; (next = holds(slot, a)) > best; a++)
        best = next;
    return best;
}

// All slots of short strings, 256 evenly spaced ones of longer ones.
static struct string_guess guess(const void *context, int64_t n)
{
    const struct string_settings *s = context;
    int64_t used = n < 256 ? n : 256;
    double sum = 0;
    for (int64_t i = 0; i < used; i++) {
        struct slot slot = {n, string_spaced(i, used, n), s->symbols};
        sum += best_of_slot(&slot);
    }
    return (struct string_guess){sum / (double)used * (double)n, (double)n};
}

int string_open_sort(struct dataset *dataset)
{
    int code = string_open_uniform(dataset);
    if (code == 0)
        dataset->chance = string_chance(dataset, guess, dataset->settings);
    return code;
}
