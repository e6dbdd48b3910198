// ag_rotate against its formula in plain loops: every shape of tables, both layouts, both ways.
#include <math.h>
#include <string.h>

#include "../support/check.h"

#include "../../autograd/ag_ops.h"
#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../autograd/ops/op.h"

struct shape {
    int64_t batch, length, heads, head_dim, pairs;
    int table; // [T, P], [T, H, P], [B, T, 1, P], [B, T, H, P]
};

struct fixture {
    struct shape shape;
    struct ag_graph graph;
    struct ag_plan *plan;
    ag_t *x, *cosine, *sine, *y;
    real *cotangent;
};

static void begin(struct fixture *f, struct shape s, enum ag_layout layout, bool inverse)
{
    struct rng rng;
    memset(f, 0, sizeof *f);
    f->shape = s;
    ag_graph_init(&f->graph, NULL);
    rng_init(&rng, rng_stream(3, "rotate"), 0, 0);
    struct ag_shape tables[] = {ag_shape2(s.length, s.pairs), ag_shape3(s.length, s.heads, s.pairs),
                                ag_shape4(s.batch, s.length, 1, s.pairs),
                                ag_shape4(s.batch, s.length, s.heads, s.pairs)};
    struct ag_shape shape = ag_shape3(s.batch, s.length, s.heads * s.head_dim);
    f->x = ag_case_leaf(&f->graph, &rng, shape, -1, 1);
    f->cosine = ag_case_leaf(&f->graph, &rng, tables[s.table], -1, 1);
    f->sine = ag_case_leaf(&f->graph, &rng, tables[s.table], -1, 1);
    f->y = ag_rotate(&f->graph, f->x, f->cosine, f->sine, s.heads, layout, inverse);
    f->plan = ag_plan_new(&f->graph, ag_keep(f->y), true);
    assert_non_null(f->plan);
    f->cotangent = arena_alloc(&f->graph.arena, (size_t)f->x->count * sizeof(real));
    for (int64_t i = 0; i < f->x->count; i++)
        f->cotangent[i] = (real)(2 * rng_uniform(&rng) - 1);
    ag_forward(f->plan);
    ag_backward(f->plan, f->cotangent);
}

static void end(struct fixture *f)
{
    ag_plan_free(f->plan);
    ag_graph_release(&f->graph);
}

static int64_t entry(const struct shape *s, int64_t b, int64_t t, int64_t h, int64_t c)
{
    switch (s->table) {
    case 0:
        return t * s->pairs + c;
    case 1:
        return (t * s->heads + h) * s->pairs + c;
    case 2:
        return (b * s->length + t) * s->pairs + c;
    default:
        return ((b * s->length + t) * s->heads + h) * s->pairs + c;
    }
}

struct expected {
    double *y, *d_x, *d_cos, *d_sin;
};

static void pair(const struct fixture *f, const struct expected *e, int64_t at_a, int64_t at_b,
                 int64_t at, double sign)
{
    double a = (double)f->x->data[at_a], b = (double)f->x->data[at_b];
    double ga = (double)f->cotangent[at_a], gb = (double)f->cotangent[at_b];
    double cosine = (double)f->cosine->data[at], sine = sign * (double)f->sine->data[at];
    e->y[at_a] = a * cosine - b * sine;
    e->y[at_b] = b * cosine + a * sine;
    e->d_x[at_a] = ga * cosine + gb * sine;
    e->d_x[at_b] = gb * cosine - ga * sine;
    e->d_cos[at] += ga * a + gb * b;
    e->d_sin[at] += sign * (gb * a - ga * b);
}

static void compute(const struct fixture *f, const struct expected *e, enum ag_layout layout,
                    double sign)
{
    const struct shape *s = &f->shape;
    for (int64_t i = 0; i < f->x->count; i++) { // channels past the pairs
        e->y[i] = (double)f->x->data[i];
        e->d_x[i] = (double)f->cotangent[i];
    }
    for (int64_t b = 0; b < s->batch; b++)
        for (int64_t t = 0; t < s->length; t++)
            for (int64_t h = 0; h < s->heads; h++)
                for (int64_t c = 0; c < s->pairs; c++) {
                    int64_t head = ((b * s->length + t) * s->heads + h) * s->head_dim;
                    int64_t first = layout == AG_HALF ? c : 2 * c;
                    int64_t second = layout == AG_HALF ? c + s->pairs : 2 * c + 1;
                    pair(f, e, head + first, head + second, entry(s, b, t, h, c), sign);
                }
}

static double *numbers(struct fixture *f, int64_t count)
{
    double *x = arena_alloc(&f->graph.arena, (size_t)count * sizeof *x);
    assert_non_null(x);
    memset(x, 0, (size_t)count * sizeof *x);
    return x;
}

static void check(struct shape shape, enum ag_layout layout, bool inverse)
{
    struct fixture f;
    begin(&f, shape, layout, inverse);
    int64_t n = f.x->count, rows = f.cosine->count;
    struct expected e = {numbers(&f, n), numbers(&f, n), numbers(&f, rows), numbers(&f, rows)};
    compute(&f, &e, layout, inverse ? -1 : 1);
    double sums = (double)(shape.batch * shape.heads); // terms of a table's gradient
    check_close_array(f.y->data, e.y, n, 0, CHECK_ROUNDING);
    check_close_array(f.x->grad, e.d_x, n, 0, CHECK_ROUNDING);
    check_close_array(f.cosine->grad, e.d_cos, rows, 0, CHECK_ROUNDING * sums);
    check_close_array(f.sine->grad, e.d_sin, rows, 0, CHECK_ROUNDING * sums);
    end(&f);
}

static void test_against_the_formula(void **state)
{
    (void)state;
    static const struct shape shapes[] = {
        {3, 70, 4, 16, 8, 0}, {2, 5, 3, 7, 2, 0}, {1, 1, 1, 2, 1, 0},   {2, 130, 2, 33, 16, 0},
        {3, 70, 4, 16, 8, 1}, {2, 2, 2, 4, 2, 1}, {3, 70, 4, 16, 8, 2}, {2, 2, 2, 4, 2, 2},
        {2, 9, 3, 5, 1, 3},   {2, 2, 2, 4, 2, 3},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int k = 0; k < 4; k++)
            check(shapes[i], k % 2 ? AG_HALF : AG_PAIR, k / 2);
}

static void test_golden_numbers(void **state)
{
    (void)state;
    static const double golden[2][4] = {{-2.234742, 0.077004, 2.919405, 4.059196},
                                        {-3.144039, 1.919605, -0.339143, 4.039197}};
    const real x[] = {1, 2, 3, 4}, cosine[] = {(real)cos(2), (real)cos(0.02)},
               sine[] = {(real)sin(2), (real)sin(0.02)};
    for (enum ag_layout layout = AG_PAIR; layout <= AG_HALF; layout++) {
        struct ag_graph graph;
        ag_graph_init(&graph, NULL);
        ag_t *y = ag_rotate(&graph, ag_constant(&graph, ag_shape3(1, 1, 4), x),
                            ag_constant(&graph, ag_shape2(1, 2), cosine),
                            ag_constant(&graph, ag_shape2(1, 2), sine), 1, layout, false);
        struct ag_plan *plan = ag_plan_new(&graph, ag_keep(y), false);
        assert_non_null(plan);
        ag_forward(plan);
        check_close_array(y->data, golden[layout], 4, 0, 1e-6);
        ag_plan_free(plan);
        ag_graph_release(&graph);
    }
}

static void test_threads_do_not_matter(void **state)
{
    (void)state;
    struct shape shape = {5, 130, 4, 34, 16, 1};
    struct fixture one, many;
    par_set_threads(1);
    begin(&one, shape, AG_PAIR, false);
    par_set_threads(7);
    begin(&many, shape, AG_PAIR, false);
    par_set_threads(0);
    check_same_bytes(many.y->data, one.y->data, (size_t)one.y->count * sizeof(real));
    check_same_bytes(many.x->grad, one.x->grad, (size_t)one.x->count * sizeof(real));
    check_same_bytes(many.sine->grad, one.sine->grad, (size_t)one.sine->count * sizeof(real));
    end(&one);
    end(&many);
}

static void refuse(struct ag_shape x, struct ag_shape cosine, struct ag_shape sine, int64_t heads)
{
    struct ag_graph graph;
    ag_graph_init(&graph, NULL);
    ag_t *y = ag_rotate(&graph, ag_leaf(&graph, "x", x), ag_leaf(&graph, "cos", cosine),
                        ag_leaf(&graph, "sin", sine), heads, AG_PAIR, false);
    assert_null(ag_plan_new(&graph, y, true));
    assert_non_null(strstr(err_last(), "rotate"));
    ag_graph_release(&graph);
}

static void test_mistakes_are_named(void **state)
{
    (void)state;
    struct ag_shape x = ag_shape3(2, 3, 8), table = ag_shape2(3, 2);
    refuse(ag_shape2(3, 8), table, table, 2);
    refuse(x, table, table, 3);
    refuse(x, ag_shape2(3, 1), ag_shape2(3, 1), 3);
    refuse(x, table, table, 0);
    refuse(x, ag_shape2(2, 2), ag_shape2(2, 2), 2);
    refuse(x, ag_shape2(3, 3), ag_shape2(3, 3), 2);
    refuse(x, table, ag_shape2(3, 1), 2);
    refuse(x, ag_shape3(3, 1, 2), ag_shape3(3, 1, 2), 2);
    refuse(x, ag_shape3(2, 3, 2), ag_shape3(2, 3, 2), 2);
    refuse(x, ag_shape4(1, 3, 2, 2), ag_shape4(1, 3, 2, 2), 2);
    refuse(x, ag_shape1(2), ag_shape1(2), 2);
}

CHECK_MAIN(cmocka_unit_test(test_against_the_formula), cmocka_unit_test(test_golden_numbers),
           cmocka_unit_test(test_threads_do_not_matter), cmocka_unit_test(test_mistakes_are_named))
