// The matrix product against plain loops in double, forward and backward: either side transposed,
// either side without a batch, sizes on both sides of every border (a strip of a shared side, what
// is small enough for tiles of our own), and what is refused.
#include <math.h>
#include <string.h>

#include "../support/check.h"

#include "../../autograd/ag_ops.h"
#include "../../autograd/base/err.h"
#include "../../autograd/ops/op.h"

enum shared { BOTH_BATCHED, A_SHARED, B_SHARED, NO_BATCH };

struct sizes {
    int64_t outer, inner, m, n, k; // a batch [outer, inner]; outer 0: [inner]
    bool transpose_a, transpose_b;
    enum shared shared;
};

static struct ag_shape shape_of(const struct sizes *s, bool batched, int64_t rows, int64_t columns)
{
    if (!batched)
        return ag_shape2(rows, columns);
    return s->outer ? ag_shape4(s->outer, s->inner, rows, columns)
                    : ag_shape3(s->inner, rows, columns);
}

// Where element (i, j) of matrix `at` of a side lies.
static int64_t place(bool batched, bool transposed, int64_t rows, int64_t columns, int64_t at,
                     int64_t i, int64_t j)
{
    int64_t first = batched ? at * rows * columns : 0;
    return first + (transposed ? j * rows + i : i * columns + j);
}

static void check_product(const struct sizes *s)
{
    struct ag_graph graph;
    struct rng rng;
    ag_graph_init(&graph, NULL);
    rng_init(&rng, rng_stream(9, "matmul"), 0, 0);
    bool batch_a = s->shared == BOTH_BATCHED || s->shared == B_SHARED;
    bool batch_b = s->shared == BOTH_BATCHED || s->shared == A_SHARED;
    int64_t m = s->m, n = s->n, k = s->k;
    ag_t *a = ag_case_leaf(
        &graph, &rng, shape_of(s, batch_a, s->transpose_a ? k : m, s->transpose_a ? m : k), -1, 1);
    ag_t *b = ag_case_leaf(
        &graph, &rng, shape_of(s, batch_b, s->transpose_b ? n : k, s->transpose_b ? k : n), -1, 1);
    ag_t *c = ag_keep(ag_matmul(&graph, a, s->transpose_a, b, s->transpose_b));
    struct ag_plan *plan = ag_plan_new(&graph, c, true);
    if (!plan)
        fail_msg("%s", err_last());
    int64_t batch = batch_a || batch_b ? (s->outer ? s->outer : 1) * s->inner : 1;
    assert_int_equal(c->count, batch * m * n);
    assert_true(ag_shape_equal(c->shape, shape_of(s, batch_a || batch_b, m, n)));
    real *dc = arena_alloc(&graph.arena, (size_t)c->count * sizeof *dc);
    double *da = arena_alloc(&graph.arena, (size_t)a->count * sizeof *da);
    double *db = arena_alloc(&graph.arena, (size_t)b->count * sizeof *db);
    assert_true(dc && da && db);
    for (int64_t i = 0; i < c->count; i++)
        dc[i] = (real)(2 * rng_uniform(&rng) - 1);
    ag_forward(plan);
    ag_backward(plan, dc);
    double absolute = CHECK_ROUNDING *
                      sqrt((double)(k + (batch_a && batch_b ? 1 : batch) * (m + n)));
    for (int64_t at = 0; at < batch; at++) {
        for (int64_t i = 0; i < m; i++) {
            for (int64_t j = 0; j < n; j++) {
                double sum = 0, d = (double)dc[(at * m + i) * n + j];
                for (int64_t l = 0; l < k; l++) {
                    int64_t in_a = place(batch_a, s->transpose_a, m, k, at, i, l);
                    int64_t in_b = place(batch_b, s->transpose_b, k, n, at, l, j);
                    sum += (double)a->data[in_a] * (double)b->data[in_b];
                    da[in_a] += d * (double)b->data[in_b];
                    db[in_b] += d * (double)a->data[in_a];
                }
                check_close(c->data[(at * m + i) * n + j], sum, CHECK_ROUNDING, absolute);
            }
        }
    }
    check_close_array(a->grad, da, a->count, CHECK_ROUNDING, absolute);
    check_close_array(b->grad, db, b->count, CHECK_ROUNDING, absolute);
    ag_plan_free(plan);
    ag_graph_release(&graph);
}

static void is_the_triple_loop(void **state)
{
    (void)state;
    static const struct sizes sizes[] = {
        {.inner = 1, .m = 1, .n = 1, .k = 1},   {.inner = 3, .m = 5, .n = 2, .k = 7},
        {.inner = 2, .m = 31, .n = 33, .k = 3}, {.inner = 2, .m = 65, .n = 4, .k = 70},
        {.inner = 2, .m = 6, .n = 66, .k = 64}, {.inner = 1, .m = 70, .n = 65, .k = 71},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int how = 0; how < 16; how++) {
            struct sizes s = sizes[i];
            s.outer = i % 2 ? 2 : 0;
            s.transpose_a = how & 1;
            s.transpose_b = how & 2;
            s.shared = (enum shared)(how / 4);
            check_product(&s);
        }
    }
}

static void check_refused(struct ag_shape a, bool transpose_a, struct ag_shape b, bool transpose_b)
{
    struct ag_graph graph;
    struct rng rng;
    ag_graph_init(&graph, NULL);
    rng_init(&rng, rng_stream(9, "matmul"), 0, 0);
    ag_matmul(&graph, ag_case_leaf(&graph, &rng, a, -1, 1), transpose_a,
              ag_case_leaf(&graph, &rng, b, -1, 1), transpose_b);
    if (!graph.error)
        fail_msg("not refused");
    assert_non_null(strstr(graph.message, "do not fit"));
    ag_graph_release(&graph);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    check_refused(ag_shape2(3, 4), false, ag_shape2(3, 5), false);
    check_refused(ag_shape2(3, 4), true, ag_shape2(4, 5), false);
    check_refused(ag_shape2(3, 4), false, ag_shape2(4, 5), true);
    check_refused(ag_shape1(4), false, ag_shape2(4, 5), false);
    check_refused(ag_shape2(3, 4), false, ag_shape1(4), false);
    check_refused(ag_shape3(2, 3, 4), false, ag_shape3(5, 4, 6), false);
    check_refused(ag_shape3(1, 3, 4), false, ag_shape3(2, 4, 6), false);
    check_refused(ag_shape4(2, 7, 3, 4), false, ag_shape3(7, 4, 6), false);
    check_refused(ag_shape4(2, 7, 3, 4), false, ag_shape4(2, 8, 4, 6), false);
    check_refused(ag_shape4(2, 7, 3, 4), false, ag_shape4(3, 7, 4, 6), false);
}

CHECK_MAIN(cmocka_unit_test(is_the_triple_loop), cmocka_unit_test(what_does_not_fit_is_refused))
