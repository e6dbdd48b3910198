// ag_linear_attention against the double loop of its formula, and against its own promises.
#include <math.h>
#include <string.h>

#include "../support/check.h"

#include "../../autograd/ag_ops.h"
#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../autograd/ops/op.h"

struct shape {
    int64_t batch, length, keys, heads, head_dim;
    bool causal, masked;
};

struct fixture {
    struct shape shape;
    struct ag_graph graph;
    struct ag_plan *plan;
    struct ag_linear_attention a;
    ag_t *output;
    real *cotangent;
};

static void begin(struct fixture *f, struct shape s)
{
    struct rng rng;
    memset(f, 0, sizeof *f);
    f->shape = s;
    ag_graph_init(&f->graph, NULL);
    rng_init(&rng, rng_stream(4, "linear attention"), 0, 0);
    struct ag_shape q = ag_shape3(s.batch, s.length, s.heads * s.head_dim);
    struct ag_shape k = ag_shape3(s.batch, s.keys, s.heads * s.head_dim);
    f->a = (struct ag_linear_attention){
        .turned_query = ag_case_leaf(&f->graph, &rng, q, -1, 1),
        .turned_key = ag_case_leaf(&f->graph, &rng, k, -1, 1),
        .query = ag_case_leaf(&f->graph, &rng, q, 0.2, 1.5),
        .key = ag_case_leaf(&f->graph, &rng, k, 0.2, 1.5),
        .value = ag_case_leaf(&f->graph, &rng, k, -1, 1),
        .heads = s.heads,
        .causal = s.causal,
    };
    if (s.masked) // half of the keys, and the first of all
        f->a.key_mask = ag_case_index(&f->graph, &rng, ag_shape2(s.batch, s.keys), 0, 1);
    f->output = ag_keep(ag_linear_attention(&f->graph, &f->a));
    f->plan = ag_plan_new(&f->graph, f->output, true);
    assert_non_null(f->plan);
    f->cotangent = arena_alloc(&f->graph.arena, (size_t)f->output->count * sizeof(real));
    for (int64_t i = 0; i < f->output->count; i++)
        f->cotangent[i] = (real)(2 * rng_uniform(&rng) - 1);
}

static void end(struct fixture *f)
{
    ag_plan_free(f->plan);
    ag_graph_release(&f->graph);
}

static int64_t row(const struct shape *s, int64_t length, int64_t b, int64_t h, int64_t i)
{
    return (b * length + i) * s->heads * s->head_dim + h * s->head_dim;
}

static double inner(const struct shape *s, const ag_t *x, int64_t i, const ag_t *y, int64_t j)
{
    double sum = 0;
    for (int64_t k = 0; k < s->head_dim; k++)
        sum += (double)x->data[i + k] * (double)y->data[j + k];
    return sum;
}

static bool allowed(const struct fixture *f, int64_t b, int64_t i, int64_t j)
{
    const struct shape *s = &f->shape;
    return (!s->causal || j <= i) && (!s->masked || f->a.key_mask->index[b * s->keys + j]);
}

struct gradients {
    double *turned_query, *turned_key, *query, *key, *value;
};

static void axpy(int64_t n, double scale, const real *x, double *y)
{
    for (int64_t k = 0; k < n; k++)
        y[k] += scale * (double)x[k];
}

// The gradients of one query of one head, once its output `o` and its denominator are known.
static void differentiate(const struct fixture *f, const struct gradients *g, int64_t b, int64_t h,
                          int64_t i, const double *o, double denominator)
{
    const struct shape *s = &f->shape;
    int64_t d = s->head_dim, qi = row(s, s->length, b, h, i);
    double along = 0; // <dO, O>
    for (int64_t k = 0; k < d; k++)
        along += (double)f->cotangent[qi + k] * o[k];
    for (int64_t j = 0; j < s->keys; j++) {
        if (!allowed(f, b, i, j))
            continue;
        int64_t kj = row(s, s->keys, b, h, j);
        double d_product = 0, d_denominator = -along / denominator;
        for (int64_t k = 0; k < d; k++)
            d_product += (double)f->cotangent[qi + k] * (double)f->a.value->data[kj + k];
        d_product /= denominator;
        double product = inner(s, f->a.turned_query, qi, f->a.turned_key, kj);
        axpy(d, product / denominator, f->cotangent + qi, g->value + kj);
        axpy(d, d_product, f->a.turned_key->data + kj, g->turned_query + qi);
        axpy(d, d_product, f->a.turned_query->data + qi, g->turned_key + kj);
        axpy(d, d_denominator, f->a.key->data + kj, g->query + qi);
        axpy(d, d_denominator, f->a.query->data + qi, g->key + kj);
    }
}

// Output of one query of one head into o; its denominator, or 0 where it sees no key.
static double apply(const struct fixture *f, int64_t b, int64_t h, int64_t i, double *o)
{
    const struct shape *s = &f->shape;
    int64_t d = s->head_dim, qi = row(s, s->length, b, h, i);
    double denominator = 0;
    memset(o, 0, (size_t)d * sizeof *o);
    for (int64_t j = 0; j < s->keys; j++) {
        if (!allowed(f, b, i, j))
            continue;
        int64_t kj = row(s, s->keys, b, h, j);
        denominator += inner(s, f->a.query, qi, f->a.key, kj);
        axpy(d, inner(s, f->a.turned_query, qi, f->a.turned_key, kj), f->a.value->data + kj, o);
    }
    for (int64_t k = 0; k < d && denominator > 0; k++)
        o[k] /= denominator;
    return denominator;
}

static double *numbers(struct fixture *f, int64_t count)
{
    double *x = arena_alloc(&f->graph.arena, (size_t)count * sizeof *x);
    assert_non_null(x);
    memset(x, 0, (size_t)count * sizeof *x);
    return x;
}

// Sums of as many terms as there are keys or queries, in the precision of the build.
static void check_close_sums(const struct shape *s, const real *actual, const double *expected,
                             int64_t count)
{
    check_close_array(actual, expected, count, 0, CHECK_ROUNDING * (1 + 0.1 * (double)s->length));
}

static void check(struct shape s)
{
    struct fixture f;
    begin(&f, s);
    ag_forward(f.plan);
    ag_backward(f.plan, f.cotangent);
    int64_t n = f.output->count, m = f.a.value->count;
    double *want = numbers(&f, n);
    struct gradients g = {numbers(&f, n), numbers(&f, m), numbers(&f, n), numbers(&f, m),
                          numbers(&f, m)};
    for (int64_t b = 0; b < s.batch; b++)
        for (int64_t h = 0; h < s.heads; h++)
            for (int64_t i = 0; i < s.length; i++) {
                double *o = want + row(&s, s.length, b, h, i), denominator = apply(&f, b, h, i, o);
                if (denominator > 0)
                    differentiate(&f, &g, b, h, i, o, denominator);
            }
    check_close_sums(&s, f.output->data, want, n);
    check_close_sums(&s, f.a.turned_query->grad, g.turned_query, n);
    check_close_sums(&s, f.a.turned_key->grad, g.turned_key, m);
    check_close_sums(&s, f.a.query->grad, g.query, n);
    check_close_sums(&s, f.a.key->grad, g.key, m);
    check_close_sums(&s, f.a.value->grad, g.value, m);
    end(&f);
}

static void test_against_the_double_loop(void **state)
{
    (void)state;
    static const struct shape shapes[] = {
        {2, 9, 9, 3, 5, false, false},    {2, 9, 9, 3, 5, true, false},
        {2, 9, 4, 2, 8, false, true},     {2, 9, 9, 2, 8, true, true},
        {1, 1, 1, 1, 1, true, false},     {1, 1, 1, 1, 1, false, true},
        {1, 64, 64, 2, 4, true, true},    {2, 65, 65, 1, 16, true, true},
        {1, 200, 150, 1, 7, false, true}, {1, 150, 150, 2, 7, true, false},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        check(shapes[i]);
}

static void test_a_query_without_a_key_gives_0(void **state)
{
    (void)state;
    for (int causal = 0; causal < 2; causal++) {
        struct fixture f;
        begin(&f, (struct shape){2, 5, 5, 1, 3, causal, true});
        for (int64_t j = 0; j < 10; j++) // none in the first sequence, the last two in the second
            f.a.key_mask->index[j] = j >= 8;
        ag_forward(f.plan);
        ag_backward(f.plan, f.cotangent);
        for (int64_t i = 0; i < (causal ? 24 : 15); i++)
            assert_true(f.output->data[i] == 0 && f.a.query->grad[i] == 0);
        check_finite_array(f.output->data, f.output->count);
        check_finite_array(f.a.query->grad, f.a.query->count);
        for (int64_t i = 0; i < 24; i++)
            assert_true(f.a.value->grad[i] == 0 && f.a.key->grad[i] == 0);
        end(&f);
    }
}

// What a key holds that a query may not see changes no bit of its output.
static void test_no_query_sees_the_future(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, (struct shape){1, 130, 130, 2, 4, true, false});
    static real before[130 * 8];
    ag_forward(f.plan);
    memcpy(before, f.output->data, sizeof before);
    f.a.key->data[70 * 8] += 1;
    f.a.turned_key->data[70 * 8 + 5] += 1;
    f.a.value->data[70 * 8] = (real)NAN;
    ag_forward(f.plan);
    check_same_bytes(f.output->data, before, 64 * 8 * sizeof(real));
    assert_true(memcmp(f.output->data + 70 * 8, before + 70 * 8, 8 * sizeof(real)) != 0);
    end(&f);
}

static void test_threads_do_not_matter(void **state)
{
    (void)state;
    struct shape shape = {3, 130, 130, 4, 16, true, true};
    struct fixture f[2];
    for (int i = 0; i < 2; i++) {
        par_set_threads(i ? 7 : 1);
        begin(&f[i], shape);
        ag_forward(f[i].plan);
        ag_backward(f[i].plan, f[i].cotangent);
    }
    par_set_threads(0);
    size_t size = (size_t)f[0].output->count * sizeof(real);
    check_same_bytes(f[1].output->data, f[0].output->data, size);
    check_same_bytes(f[1].a.key->grad, f[0].a.key->grad, size);
    check_same_bytes(f[1].a.turned_query->grad, f[0].a.turned_query->grad, size);
    end(&f[0]);
    end(&f[1]);
}

static void test_mistakes_are_named(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct ag_graph graph;
        ag_graph_init(&graph, NULL);
        ag_t *x = ag_leaf(&graph, "x", ag_shape3(2, 3, 4));
        ag_t *short_x = ag_leaf(&graph, "short", ag_shape3(2, 2, 4));
        struct ag_linear_attention a = {x, x, x, x, x, NULL, 2, true};
        if (i == 0)
            a.heads = 3;
        if (i == 1)
            a.turned_query = short_x;
        if (i == 2)
            a.turned_key = a.key = a.value = short_x;
        if (i == 3)
            a.key_mask = x;
        assert_null(ag_plan_new(&graph, ag_linear_attention(&graph, &a), true));
        assert_non_null(strstr(err_last(), "linear_attention"));
        ag_graph_release(&graph);
    }
}

CHECK_MAIN(cmocka_unit_test(test_against_the_double_loop),
           cmocka_unit_test(test_a_query_without_a_key_gives_0),
           cmocka_unit_test(test_no_query_sees_the_future),
           cmocka_unit_test(test_threads_do_not_matter), cmocka_unit_test(test_mistakes_are_named))
