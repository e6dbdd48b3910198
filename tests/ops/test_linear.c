// Backward of linear layers against the triple loop in double, where it goes by several chunks of
// rows and several blocks of a chunk (wide layers), and where rows of x are a panel as they are.
#include <stdlib.h>

#include "../support/check.h"

#include "../../autograd/ag_ops.h"
#include "../../autograd/base/err.h"
#include "../../autograd/ops/op.h"

struct layer {
    int64_t m, n, k; // rows, outputs, inputs
    struct ag_graph graph;
    ag_t *x, *weight, *bias, *residual, *output;
    struct ag_plan *plan;
    real *cotangent;
};

static void begin(struct layer *l)
{
    struct rng rng;
    rng_init(&rng, 1, 0, 0);
    ag_graph_init(&l->graph, NULL);
    l->x = ag_case_leaf(&l->graph, &rng, ag_shape2(l->m, l->k), -1, 1);
    l->weight = ag_case_leaf(&l->graph, &rng, ag_shape2(l->n, l->k), -1, 1);
    l->bias = ag_case_leaf(&l->graph, &rng, ag_shape1(l->n), -1, 1);
    l->residual = ag_case_leaf(&l->graph, &rng, ag_shape2(l->m, l->n), -1, 1);
    l->output = ag_keep(ag_linear_add(&l->graph, l->x, l->weight, l->bias, l->residual));
    l->plan = ag_plan_new(&l->graph, l->output, true);
    if (!l->plan)
        fail_msg("%s", err_last());
    l->cotangent = malloc((size_t)(l->m * l->n) * sizeof *l->cotangent);
    assert_non_null(l->cotangent);
    for (int64_t i = 0; i < l->m * l->n; i++)
        l->cotangent[i] = (real)(2 * rng_uniform(&rng) - 1);
    ag_forward(l->plan);
    ag_backward(l->plan, l->cotangent);
}

static void end(struct layer *l)
{
    free(l->cotangent);
    ag_plan_free(l->plan);
    ag_graph_release(&l->graph);
}

// to[i, j] = sum over l of a[i, l] b[l, j]; strides as given.
static void multiply(int64_t m, int64_t n, int64_t k, const real *a, int64_t a_row,
                     int64_t a_column, const real *b, double *to)
{
    for (int64_t i = 0; i < m * n; i++)
        to[i] = 0;
    for (int64_t i = 0; i < m; i++)
        for (int64_t l = 0; l < k; l++)
            for (int64_t j = 0; j < n; j++)
                to[i * n + j] += (double)a[i * a_row + l * a_column] * (double)b[l * n + j];
}

static void close_to(const real *actual, const double *expected, int64_t count, int64_t terms)
{
    double tolerance = CHECK_ROUNDING * (double)terms / 10;
    for (int64_t i = 0; i < count; i++)
        check_close((double)actual[i], expected[i], 0, tolerance);
}

static void compare(int64_t m, int64_t n, int64_t k)
{
    static struct layer l;
    l = (struct layer){.m = m, .n = n, .k = k};
    int64_t most = m * k > n * k ? m * k : n * k;
    double *expected = malloc((size_t)(most > n ? most : n) * sizeof *expected);
    assert_non_null(expected);
    begin(&l);
    multiply(m, k, n, l.cotangent, n, 1, l.weight->data, expected);
    close_to(l.x->grad, expected, m * k, n);
    multiply(n, k, m, l.cotangent, 1, n, l.x->data, expected);
    close_to(l.weight->grad, expected, n * k, m);
    for (int64_t j = 0; j < n; j++) {
        expected[j] = 0;
        for (int64_t i = 0; i < m; i++)
            expected[j] += (double)l.cotangent[i * n + j];
    }
    close_to(l.bias->grad, expected, n, m);
    check_same_bytes(l.residual->grad, l.cotangent, (size_t)(m * n) * sizeof(real));
    end(&l);
    free(expected);
}

static void wide_layers(void **state)
{
    (void)state;
    compare(1300, 1000, 9); // 8 chunks of 2 blocks
    compare(1301, 9, 1000);
    compare(613, 1100, 64);
}

static void rows_that_are_a_panel(void **state)
{
    (void)state;
    static const int64_t widths[] = {8, 16, 32, 64}; // of which one is a panel, whatever the level
    for (int i = 0; i < 4; i++)
        compare(101, 33, widths[i]);
}

CHECK_MAIN(cmocka_unit_test(wide_layers), cmocka_unit_test(rows_that_are_a_panel))
