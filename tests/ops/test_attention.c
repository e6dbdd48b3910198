// The attention op against its plain reference: every term alone and many together, forward and
// every gradient.
#include <math.h>

#include "../support/attention_case.h"
#include "../support/check.h"

// Of the largest sum of absolute values that an element of the array is a sum of, as the sums
// themselves may cancel (softmax does not see what is added to a whole row). A score is a sum of a
// few numbers of order one, and exp makes a relative error of its rounding, some ten units in the
// last place. This is about four times the worst that was seen, which the last test prints.
#ifdef POSGRAD_DOUBLE
#define TOLERANCE 1e-14
#else
#define TOLERANCE 4e-6
#endif

static double worst_seen;

static const char *const role_name[PLAIN_ARRAYS] = {
    "query",          "key",        "value",       "relative query", "relative key",
    "dense bias",     "row bias",   "column bias", "query-relative", "key-relative",
    "value-relative", "bias table", "factor table"};

static double largest(const double *x, int64_t count)
{
    double most = 0;
    for (int64_t i = 0; i < count; i++)
        most = fmax(most, fabs(x[i]));
    return most;
}

static void close_to(const struct attention_case *c, const char *what, const real *got,
                     const double *want, double size, int64_t count)
{
    char text[256];
    double error = 0;
    for (int64_t i = 0; i < count; i++) {
        double difference = fabs((double)got[i] - want[i]);
        if (!(difference <= error))
            error = difference < HUGE_VAL ? difference : HUGE_VAL;
    }
    if (size > 0)
        worst_seen = fmax(worst_seen, error / size);
    if (!(error <= TOLERANCE * size))
        fail_msg("%s of %s is wrong by %g, of %g", what,
                 attention_settings_text(&c->settings, text), error, size);
}

// A tensor in several roles gets the sum of their gradients; `times` is how often the op ran on it.
static void compare(struct attention_case *c, double times)
{
    struct attention_plain p;
    attention_case_plain(c, &p);
    close_to(c, "the output", c->output->data, p.output, largest(p.output, c->output->count),
             c->output->count);
    for (int k = 0; k < PLAIN_ARRAYS; k++) {
        const ag_t *x = c->x[k];
        if (!x)
            continue;
        double *want = attention_case_memory(c, x->count * (int64_t)sizeof *want), size = 0;
        for (int other = 0; other < PLAIN_ARRAYS; other++) {
            for (int64_t i = 0; i < x->count && c->x[other] == x; i++)
                want[i] += times * p.grad[other][i];
            if (c->x[other] == x)
                size += times * largest(p.size[other], x->count);
        }
        close_to(c, role_name[k], x->grad, want, size, x->count);
    }
}

static void check(const struct attention_settings *settings)
{
    struct attention_case c;
    attention_case_all(&c, settings);
    compare(&c, 1);
    attention_case_end(&c);
}

static const int64_t lengths[] = {1, 2, 63, 64, 65, 130};
enum { LENGTHS = sizeof lengths / sizeof lengths[0] };

static void test_lengths(void **state)
{
    (void)state;
    for (int t = 0; t < LENGTHS; t++) {
        for (int s = 0; s < LENGTHS; s++)
            check(&(struct attention_settings){
                .batch = 2, .heads = 2, .head_dim = 3, .length = lengths[t], .keys = lengths[s]});
        for (enum attention_mask_kind mask = 0; mask < MASKS; mask++)
            check(&(struct attention_settings){2, 2, 3, lengths[t], lengths[t], .causal = true,
                                               .mask = mask});
    }
}

// The tables, through everything that they can be looked up with.
static void check_table(int term)
{
    for (enum attention_lookup_kind lookup = 0; lookup < LOOKUPS; lookup++)
        for (int t = 0; t < LENGTHS; t++)
            for (int variant = 0; variant < 4; variant++)
                check(&(struct attention_settings){
                    lookup == LOOKUP_BATCH || lookup == LOOKUP_FAR ? 2 : 1, 2, 3, lengths[t],
                    variant & 1 ? lengths[t] : lengths[(t + 3) % LENGTHS], .terms = 1 << term,
                    .lookup = lookup, .shared = variant > 1, .causal = variant & 1});
}

static void test_query_relative(void **state)
{
    (void)state;
    check_table(PLAIN_BY_QUERY);
}

static void test_key_relative(void **state)
{
    (void)state;
    check_table(PLAIN_BY_KEY);
}

static void test_value_relative(void **state)
{
    (void)state;
    check_table(PLAIN_BY_VALUE);
}

static void test_bias_table(void **state)
{
    (void)state;
    check_table(PLAIN_BY_BIAS);
}

static void test_factor_table(void **state)
{
    (void)state;
    check_table(PLAIN_BY_FACTOR);
}

static void test_other_terms(void **state)
{
    (void)state;
    static const int terms[] = {CASE_DENSE_BIAS,
                                CASE_ROW_BIAS,
                                CASE_COLUMN_BIAS,
                                CASE_BY_QUERY | CASE_RELATIVE_QUERY,
                                CASE_BY_KEY | CASE_RELATIVE_KEY,
                                CASE_TERMS};
    for (int k = 0; k < 6; k++)
        for (int t = 0; t < LENGTHS; t++)
            for (int variant = 0; variant < 4; variant++)
                check(&(struct attention_settings){
                    3, 2, 4, lengths[t], variant & 1 ? lengths[t] : lengths[(t + 2) % LENGTHS],
                    .terms = terms[k], .dense_batched = variant > 1, .causal = variant & 1});
}

static const enum ag_normaliser normalisers[] = {AG_SOFTMAX, AG_RELU2, AG_L2, AG_SOFTMAX1};

static void test_normalisers(void **state)
{
    (void)state;
    for (int n = 0; n < 4; n++)
        for (enum attention_mask_kind mask = 0; mask < MASKS; mask++)
            for (int t = 0; t < LENGTHS; t++)
                for (int variant = 0; variant < 4; variant++)
                    check(&(struct attention_settings){
                        2, 2, 3, lengths[t], lengths[t],
                        .terms = variant > 1 ? CASE_ROW_BIAS | CASE_BY_FACTOR : 0,
                        .causal = variant & 1, .mask = mask, .normaliser = normalisers[n]});
}

static void test_dropout(void **state)
{
    (void)state;
    for (int t = 0; t < LENGTHS; t++)
        for (int variant = 0; variant < 4; variant++)
            check(&(struct attention_settings){2, 3, 2, lengths[t], lengths[t],
                                               .terms = variant > 1 ? CASE_BY_VALUE | CASE_BY_FACTOR
                                                                    : 0,
                                               .causal = variant & 1, .dropout = 0.3});
}

// Drawn at random: sizes, terms, lookup, masks, normaliser, dropout.
static struct attention_settings drawn(struct rng *rng)
{
    struct attention_settings s = {.batch = 1 + rng_below(rng, 3), .heads = 1 + rng_below(rng, 3)};
    s.head_dim = 1 + rng_below(rng, 5);
    s.causal = rng_below(rng, 2);
    s.length = rng_below(rng, 3) ? 1 + rng_below(rng, 70) : lengths[rng_below(rng, LENGTHS)];
    s.keys = s.causal ? s.length : 1 + rng_below(rng, 140);
    s.terms = (int)rng_below(rng, 1u << PLAIN_ARRAYS);
    if (!(s.terms & CASE_BY_QUERY))
        s.terms &= ~CASE_RELATIVE_QUERY;
    if (!(s.terms & CASE_BY_KEY))
        s.terms &= ~CASE_RELATIVE_KEY;
    s.lookup = rng_below(rng, LOOKUPS);
    s.shared = rng_below(rng, 2);
    s.dense_batched = rng_below(rng, 2);
    s.mask = rng_below(rng, MASKS);
    s.normaliser = normalisers[rng_below(rng, 4)];
    s.dropout = rng_below(rng, 2) ? 0.2 : 0;
    return s;
}

static void test_any_terms_together(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, rng_stream(1, "together"), 0, 0);
    for (int i = 0; i < 150; i++) {
        struct attention_settings settings = drawn(&rng);
        check(&settings);
    }
}

// More sequences than there are pieces of backward.
static void test_many_sequences(void **state)
{
    (void)state;
    for (enum attention_lookup_kind lookup = 0; lookup < LOOKUPS; lookup++)
        check(&(struct attention_settings){
            19, 2, 2, 5, 5, .terms = CASE_TERMS | CASE_RELATIVE_QUERY, .lookup = lookup});
}

// One tensor in several roles: its gradient is their sum.
static void test_one_tensor_in_many_roles(void **state)
{
    (void)state;
    for (enum attention_lookup_kind lookup = 0; lookup < LOOKUPS; lookup++) {
        struct attention_case c;
        attention_case_begin(&c, &(struct attention_settings){2, 2, 2, 67, 67, CASE_TERMS,
                                                              .lookup = lookup, .shared = true});
        c.a.key = c.a.value = c.a.relative_key = c.a.query;
        c.a.key_relative = c.a.value_relative = c.a.query_relative;
        c.a.factor = c.a.bias = c.a.query_relative; // two heads, two columns
        c.a.column_bias = c.a.row_bias;
        attention_case_build(&c);
        attention_case_plan(&c, c.output);
        attention_case_run(&c);
        compare(&c, 1);
        attention_case_end(&c);
    }
}

// Where two ops read the same tensors, the second to run backward adds to what the first has left.
static void test_gradients_are_added_to(void **state)
{
    (void)state;
    for (int batched = 0; batched < 2; batched++) {
        struct attention_case c;
        attention_case_begin(&c, &(struct attention_settings){3, 2, 2, 66, 66,
                                                              CASE_TERMS | CASE_RELATIVE_QUERY,
                                                              .dense_batched = batched});
        attention_case_build(&c);
        ag_t *again = ag_attention(&c.graph, &c.a);
        attention_case_plan(&c, ag_add(&c.graph, c.output, again));
        attention_case_run(&c);
        attention_case_run(&c); // and a replay starts anew
        compare(&c, 2);
        attention_case_end(&c);
    }
}

static void test_evaluation_drops_nothing(void **state)
{
    (void)state;
    struct attention_case c;
    attention_case_begin(&c, &(struct attention_settings){2, 2, 3, 9, 9, .dropout = 0.5});
    attention_case_build(&c);
    attention_case_plan(&c, c.output);
    ag_plan_run(c.plan)->training = false;
    attention_case_run(&c);
    c.a.dropout = 0;
    compare(&c, 1);
    attention_case_end(&c);
}

static void test_the_reference_is_not_blind(void **state)
{
    (void)state;
    struct attention_case c;
    struct attention_plain p;
    attention_case_all(
        &c, &(struct attention_settings){2, 2, 3, 9, 7, CASE_TERMS, .normaliser = AG_RELU2});
    attention_case_plain(&c, &p);
    for (int k = 0; k < PLAIN_ARRAYS; k++)
        assert_true(!p.x[k] || largest(p.grad[k], c.x[k]->count) > 0.05);
    print_message("worst error of all tests: %.2g of what the sums are of; %.2g allowed\n",
                  worst_seen, TOLERANCE);
    attention_case_end(&c);
}

CHECK_MAIN(cmocka_unit_test(test_lengths), cmocka_unit_test(test_query_relative),
           cmocka_unit_test(test_key_relative), cmocka_unit_test(test_value_relative),
           cmocka_unit_test(test_bias_table), cmocka_unit_test(test_factor_table),
           cmocka_unit_test(test_other_terms), cmocka_unit_test(test_normalisers),
           cmocka_unit_test(test_dropout), cmocka_unit_test(test_any_terms_together),
           cmocka_unit_test(test_many_sequences), cmocka_unit_test(test_one_tensor_in_many_roles),
           cmocka_unit_test(test_gradients_are_added_to),
           cmocka_unit_test(test_evaluation_drops_nothing),
           cmocka_unit_test(test_the_reference_is_not_blind))
