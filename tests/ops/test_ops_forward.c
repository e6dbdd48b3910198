// Every op against the formula that defines it, written out naively in double.
//
// The gradient check cannot see a wrong function whose derivative fits it, and its cases are too
// small to be cut into pieces; here are values, special values, shapes large enough for many
// pieces, and what is refused.
#include <math.h>
#include <string.h>

#include "../support/check.h"
#include "../support/exact_sum.h"

#include "../../autograd/ag_ops.h"
#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../autograd/ops/op.h"

#ifdef POSGRAD_DOUBLE
#define TOLERANCE 1e-12
#else
#define TOLERANCE 1e-6
#endif

struct fixture {
    struct ag_graph graph;
    struct ag_plan *plan;
    struct rng rng;
};

static void begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    ag_graph_init(&f->graph, NULL);
    rng_init(&f->rng, rng_stream(7, "forward"), 0, 0);
}

static void end(struct fixture *f)
{
    ag_plan_free(f->plan);
    ag_graph_release(&f->graph);
}

static ag_t *leaf(struct fixture *f, struct ag_shape shape, double low, double high)
{
    return ag_case_leaf(&f->graph, &f->rng, shape, low, high);
}

static ag_t *index_of(struct fixture *f, struct ag_shape shape, int32_t low, int32_t high)
{
    return ag_case_index(&f->graph, &f->rng, shape, low, high);
}

// Plans and runs `output`; with `cotangent`, backward too.
static void run(struct fixture *f, ag_t *output, const real *cotangent)
{
    f->plan = ag_plan_new(&f->graph, ag_keep(output), true);
    if (!f->plan)
        print_error("%s\n", err_last());
    assert_non_null(f->plan);
    struct ag_run *how = ag_plan_run(f->plan);
    how->seed = 3;
    how->step = 1;
    how->training = true;
    ag_forward(f->plan);
    if (cotangent)
        ag_backward(f->plan, cotangent);
}

static real *random_reals(struct fixture *f, int64_t count)
{
    real *x = arena_alloc(&f->graph.arena, (size_t)count * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < count; i++)
        x[i] = (real)(2 * rng_uniform(&f->rng) - 1);
    return x;
}

// `scale` is the size of the terms that `want` is a sum of; rounding is measured by it.
static void close_to(const char *what, int64_t i, double got, double want, double scale)
{
    bool good = check_is_close(got, want, TOLERANCE, TOLERANCE * scale) ||
                (isinf(want) && got == want) || (isnan(want) && isnan(got));
    if (!good)
        print_error("%s[%lld] is %.9g, not %.9g\n", what, (long long)i, got, want);
    assert_true(good);
}

// --- elementwise

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}
static double softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}
static double relu(double x)
{
    return x > 0 || isnan(x) ? x : 0;
}
static double square(double x)
{
    return x * x;
}
static double reciprocal(double x)
{
    return 1 / x;
}
static double neg(double x)
{
    return -x;
}
static double gelu(double x)
{
    return 0.5 * x * erfc(-x * 0.70710678118654752440);
}

typedef ag_t *unary_builder(struct ag_graph *graph, ag_t *x);

static const struct unary {
    const char *name;
    unary_builder *build;
    double (*value)(double);
    double low, high;
    double at_minus_infinity, at_infinity;
} unary[] = {
    {"exp", ag_exp, exp, -20, 20, 0, (double)INFINITY},
    {"log", ag_log, log, 1e-6, 1e3, (double)NAN, (double)INFINITY},
    {"sin", ag_sin, sin, -30, 30, (double)NAN, (double)NAN},
    {"cos", ag_cos, cos, -30, 30, (double)NAN, (double)NAN},
    {"tanh", ag_tanh, tanh, -12, 12, -1, 1},
    {"sigmoid", ag_sigmoid, sigmoid, -40, 40, 0, 1},
    {"softplus", ag_softplus, softplus, -40, 40, 0, (double)INFINITY},
    {"relu", ag_relu, relu, -3, 3, 0, (double)INFINITY},
    {"abs", ag_abs, fabs, -3, 3, (double)INFINITY, (double)INFINITY},
    {"sqrt", ag_sqrt, sqrt, 0, 100, (double)NAN, (double)INFINITY},
    {"square", ag_square, square, -9, 9, (double)INFINITY, (double)INFINITY},
    {"reciprocal", ag_reciprocal, reciprocal, 0.01, 9, 0, 0},
    {"neg", ag_neg, neg, -9, 9, (double)INFINITY, -(double)INFINITY},
    {"gelu", ag_gelu, gelu, -9, 9, (double)NAN, (double)INFINITY}, // -inf * 0
};

static void test_unary(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 7, 33, 40001};
    for (size_t u = 0; u < sizeof unary / sizeof unary[0]; u++)
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            struct fixture f;
            begin(&f);
            ag_t *x = ag_keep(leaf(&f, ag_shape1(sizes[s]), unary[u].low, unary[u].high));
            ag_t *y = unary[u].build(&f.graph, x);
            run(&f, y, NULL);
            for (int64_t i = 0; i < x->count; i++)
                close_to(unary[u].name, i, (double)y->data[i], unary[u].value((double)x->data[i]),
                         1e-2);
            end(&f);
        }
}

// The same value among others, at every place: no part of an array is computed otherwise.
static void test_unary_special_values(void **state)
{
    (void)state;
    for (size_t u = 0; u < sizeof unary / sizeof unary[0]; u++) {
        struct fixture f;
        begin(&f);
        ag_t *x = ag_keep(leaf(&f, ag_shape1(19), 0.5, 1));
        ag_t *y = unary[u].build(&f.graph, x);
        run(&f, y, NULL);
        for (int64_t at = 0; at < x->count; at++) {
            const double special[] = {(double)NAN, -(double)INFINITY, (double)INFINITY};
            const double want[] = {(double)NAN, unary[u].at_minus_infinity, unary[u].at_infinity};
            real old = x->data[at];
            for (int k = 0; k < 3; k++) {
                x->data[at] = (real)special[k];
                ag_forward(f.plan);
                close_to(unary[u].name, at, (double)y->data[at], want[k], 0);
            }
            x->data[at] = old;
        }
        end(&f);
    }
}

// A product that is an angle: where it is less than half a turn it is the product, to the bit, and
// beyond the same direction, up to a million turns.
static void test_angles(void **state)
{
    (void)state;
    const double places[] = {0, 1, 3, 100, 12345, 1e6, -1e6, 16777215};
    struct fixture f;
    begin(&f);
    ag_t *place = ag_keep(leaf(&f, ag_shape2(8, 1), 0, 1));
    ag_t *rate = ag_keep(leaf(&f, ag_shape1(5), 0.1, 1));
    ag_t *y = ag_angle(&f.graph, place, rate);
    run(&f, y, NULL);
    for (int i = 0; i < 8; i++)
        place->data[i] = (real)places[i];
    ag_forward(f.plan);
    for (int i = 0; i < 40; i++) {
        long double angle = (long double)place->data[i / 5] * (long double)rate->data[i % 5];
        real product = place->data[i / 5] * rate->data[i % 5];
        assert_true(fabs((double)y->data[i]) <= M_PI * (1 + CHECK_ROUNDING));
        check_close(cos((double)y->data[i]), (double)cosl(angle), 0, 3e-7);
        check_close(sin((double)y->data[i]), (double)sinl(angle), 0, 3e-7);
        if (fabsl(angle) < 3)
            check_same_bytes(&y->data[i], &product, sizeof product);
    }
    rate->data[0] = (real)INFINITY;
    ag_forward(f.plan);
    assert_true(isnan(y->data[5]));
    end(&f);
}

// Infinity goes into what has a limit there: a backward makes NaN of it, and so does a replay that
// is watched.
static void test_infinity_is_seen_at_a_limit(void **state)
{
    (void)state;
    for (size_t u = 0; u < sizeof unary / sizeof unary[0]; u++)
        for (int sign = -1; sign <= 1; sign += 2) {
            struct fixture f;
            begin(&f);
            ag_t *x = ag_keep(leaf(&f, ag_shape1(19), 0.5, 1));
            ag_t *y = unary[u].build(&f.graph, x);
            run(&f, y, NULL);
            x->data[7] = (real)INFINITY * (real)sign;
            ag_forward(f.plan);
            ag_backward(f.plan, NULL);
            assert_true(isnan(x->grad[7]) || !isfinite(y->data[7]));
            assert_true(isfinite(x->grad[6]) && isfinite(x->grad[8]));
            ag_forward_watched(f.plan);
            assert_true(isnan(y->data[7]));
            end(&f);
        }
}

// Where a naive formula would overflow or cancel.
static void test_unary_stays_accurate_in_the_tails(void **state)
{
    (void)state;
    const double at[] = {1000, -1000, 80, -80, 20, -20, 1e-4, -1e-4};
    for (size_t u = 4; u <= 6; u++) {
        struct fixture f;
        begin(&f);
        ag_t *x = ag_keep(leaf(&f, ag_shape1(8), 0, 1));
        ag_t *y = unary[u].build(&f.graph, x);
        run(&f, y, NULL);
        for (int i = 0; i < 8; i++)
            x->data[i] = (real)at[i];
        ag_forward(f.plan);
        for (int64_t i = 0; i < 8; i++)
            close_to(unary[u].name, i, (double)y->data[i], unary[u].value((double)x->data[i]), 0);
        end(&f);
    }
}

static void test_affine(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    ag_t *x = ag_keep(leaf(&f, ag_shape2(211, 83), -2, 2));
    ag_t *y = ag_affine(&f.graph, x, -1.5, 0.25);
    real *g = random_reals(&f, x->count);
    run(&f, y, g);
    for (int64_t i = 0; i < x->count; i++) {
        close_to("affine", i, (double)y->data[i], -1.5 * (double)x->data[i] + 0.25, 1);
        close_to("affine grad", i, (double)x->grad[i], -1.5 * (double)g[i], 1);
    }
    end(&f);
}

// --- two tensors

typedef ag_t *binary_builder(struct ag_graph *graph, ag_t *a, ag_t *b);

static const struct binary {
    const char *name;
    binary_builder *build;
} binary[] = {{"add", ag_add}, {"sub", ag_sub}, {"mul", ag_mul}, {"div", ag_div}};

// Value, and derivatives by a and b.
static void binary_value(int kind, double a, double b, double out[3])
{
    const double all[4][3] = {
        {a + b, 1, 1}, {a - b, 1, -1}, {a * b, b, a}, {a / b, 1 / b, -a / (b * b)}};
    memcpy(out, all[kind], sizeof all[kind]);
}

static int64_t broadcast_place(struct ag_shape out, struct ag_shape x, int64_t i)
{
    int64_t place = 0, stride = 1;
    for (int d = 1; d <= out.dims; d++) {
        int64_t at = i % out.size[out.dims - d];
        i /= out.size[out.dims - d];
        if (d > x.dims)
            continue;
        place += x.size[x.dims - d] == 1 ? 0 : at * stride;
        stride *= x.size[x.dims - d];
    }
    return place;
}

static void check_grad(const char *what, const ag_t *x, const double *want, const double *scale)
{
    for (int64_t i = 0; i < x->count; i++)
        close_to(what, i, (double)x->grad[i], want[i], scale[i]);
}

static void check_binary(int kind, struct ag_shape a_shape, struct ag_shape b_shape)
{
    struct fixture f;
    begin(&f);
    ag_t *x[2] = {ag_keep(leaf(&f, a_shape, 0.5, 2)), ag_keep(leaf(&f, b_shape, 0.5, 2))};
    ag_t *y = binary[kind].build(&f.graph, x[0], x[1]);
    real *g = random_reals(&f, y->count);
    run(&f, y, g);
    double *want[2], *scale[2];
    for (int k = 0; k < 2; k++) {
        want[k] = arena_alloc(&f.graph.arena, (size_t)x[k]->count * sizeof(double));
        scale[k] = arena_alloc(&f.graph.arena, (size_t)x[k]->count * sizeof(double));
        assert_true(want[k] && scale[k]);
    }
    for (int64_t i = 0; i < y->count; i++) {
        double v[3];
        int64_t at[2];
        for (int k = 0; k < 2; k++)
            at[k] = broadcast_place(y->shape, x[k]->shape, i);
        binary_value(kind, (double)x[0]->data[at[0]], (double)x[1]->data[at[1]], v);
        close_to(binary[kind].name, i, (double)y->data[i], v[0], 1);
        for (int k = 0; k < 2; k++) {
            want[k][at[k]] += (double)g[i] * v[k + 1];
            scale[k][at[k]] += fabs((double)g[i] * v[k + 1]);
        }
    }
    for (int k = 0; k < 2; k++)
        check_grad(binary[kind].name, x[k], want[k], scale[k]);
    end(&f);
}

static void test_binary(void **state)
{
    (void)state;
    const struct ag_shape shapes[][2] = {
        {ag_shape3(5, 70, 129), ag_shape3(5, 70, 129)},
        {ag_shape3(5, 70, 129), ag_shape2(70, 129)},
        {ag_shape3(5, 70, 129), ag_shape1(129)},
        {ag_shape3(5, 70, 129), ag_shape3(5, 70, 1)},
        {ag_shape3(5, 70, 129), ag_shape3(5, 1, 129)},
        {ag_shape3(5, 70, 129), ag_shape2(70, 1)},
        {ag_shape3(5, 70, 129), ag_shape3(5, 1, 1)},
        {ag_shape3(5, 70, 129), ag_shape1(1)},
        {ag_shape2(211, 1), ag_shape2(1, 173)},
        {ag_shape4(3, 1, 41, 1), ag_shape4(1, 7, 1, 43)},
        {ag_shape5(3, 1, 5, 1, 29), ag_shape5(1, 7, 5, 11, 1)},
        {ag_shape3(1, 1, 1), ag_shape2(3, 1)},
        {ag_shape3(1, 3, 7), ag_shape2(3, 1)},
        {ag_shape1(40001), ag_shape1(1)},
        {(struct ag_shape){0}, ag_shape2(2, 3)},
        {(struct ag_shape){0}, (struct ag_shape){0}},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int kind = 0; kind < 4; kind++) {
            check_binary(kind, shapes[i][0], shapes[i][1]);
            check_binary(kind, shapes[i][1], shapes[i][0]);
        }
}

static void test_the_same_tensor_twice(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    ag_t *x = ag_keep(leaf(&f, ag_shape2(9, 13), 0.5, 2));
    ag_t *y = ag_mul(&f.graph, x, ag_add(&f.graph, x, x));
    real *g = random_reals(&f, y->count);
    run(&f, y, g);
    for (int64_t i = 0; i < y->count; i++)
        close_to("x (x + x)", i, (double)x->grad[i], 4 * (double)x->data[i] * (double)g[i], 1);
    end(&f);
}

// --- shape

static int64_t place_of(struct ag_shape shape, const int64_t *at)
{
    int64_t place = 0;
    for (int d = 0; d < shape.dims; d++)
        place = place * shape.size[d] + at[d];
    return place;
}

static void coordinates(struct ag_shape shape, int64_t i, int64_t *at)
{
    for (int d = shape.dims - 1; d >= 0; d--) {
        at[d] = i % shape.size[d];
        i /= shape.size[d];
    }
}

static void check_copy(const char *what, const ag_t *y, int64_t i, const ag_t *x, int64_t k,
                       const real *g)
{
    if (y->data[i] != x->data[k] || x->grad[k] != g[i])
        print_error("%s: element %lld\n", what, (long long)i);
    assert_true(y->data[i] == x->data[k] && x->grad[k] == g[i]);
}

static void test_transpose(void **state)
{
    (void)state;
    const struct ag_shape shapes[] = {ag_shape4(3, 7, 1, 5), ag_shape4(2, 33, 17, 40),
                                      ag_shape4(1, 1, 130, 70)};
    for (size_t s = 0; s < 3; s++)
        for (int pair = 0; pair < 16; pair++) {
            struct fixture f;
            begin(&f);
            int a = pair / 4, b = pair % 4;
            if (a == b) {
                end(&f);
                continue;
            }
            ag_t *x = ag_keep(leaf(&f, shapes[s], -1, 1));
            ag_t *y = ag_transpose(&f.graph, x, a, b - 4);
            real *g = random_reals(&f, y->count);
            run(&f, y, g);
            for (int64_t i = 0; i < y->count; i++) {
                int64_t at[AG_MAX_DIMS];
                coordinates(y->shape, i, at);
                int64_t swap = at[a];
                at[a] = at[b];
                at[b] = swap;
                check_copy("transpose", y, i, x, place_of(x->shape, at), g);
            }
            end(&f);
        }
}

static void test_slice(void **state)
{
    (void)state;
    const struct ag_shape shape = ag_shape3(31, 37, 41);
    for (int dim = -3; dim < 3; dim++)
        for (int64_t start = 0; start < 31; start += 15) {
            struct fixture f;
            begin(&f);
            int64_t length = start == 0 ? 31 : start == 15 ? 3 : 1;
            ag_t *x = ag_keep(leaf(&f, shape, -1, 1));
            ag_t *y = ag_slice(&f.graph, x, dim, start, length);
            real *g = random_reals(&f, y->count);
            run(&f, y, g);
            int d = dim < 0 ? dim + 3 : dim;
            assert_int_equal(y->shape.size[d], length);
            double inside = 0, all = 0;
            for (int64_t i = 0; i < y->count; i++) {
                int64_t at[AG_MAX_DIMS];
                coordinates(y->shape, i, at);
                at[d] += start;
                check_copy("slice", y, i, x, place_of(x->shape, at), g);
                inside += fabs((double)g[i]);
            }
            for (int64_t i = 0; i < x->count; i++)
                all += fabs((double)x->grad[i]);
            close_to("gradient outside of the slice", 0, all, inside, inside);
            end(&f);
        }
}

static void test_concat(void **state)
{
    (void)state;
    const struct ag_shape shape = ag_shape3(29, 31, 23);
    for (int dim = -3; dim < 3; dim++) {
        struct fixture f;
        begin(&f);
        ag_t *x[3];
        int d = dim < 0 ? dim + 3 : dim;
        for (int k = 0; k < 3; k++) {
            struct ag_shape part = shape;
            part.size[d] = 1 + 6 * k;
            x[k] = ag_keep(leaf(&f, part, -1, 1));
        }
        ag_t *y = ag_concat(&f.graph, 3, x, dim);
        assert_int_equal(y->shape.size[d], 21);
        real *g = random_reals(&f, y->count);
        run(&f, y, g);
        for (int64_t i = 0; i < y->count; i++) {
            int64_t at[AG_MAX_DIMS];
            coordinates(y->shape, i, at);
            int k = at[d] < 1 ? 0 : at[d] < 8 ? 1 : 2;
            at[d] -= k == 0 ? 0 : k == 1 ? 1 : 8;
            check_copy("concat", y, i, x[k], place_of(x[k]->shape, at), g);
        }
        end(&f);
    }
}

static void test_reshape(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    ag_t *x = ag_keep(leaf(&f, ag_shape3(4, 3, 5), -1, 1));
    ag_t *y = ag_affine(&f.graph, ag_reshape(&f.graph, x, ag_shape2(6, 10)), 1, 0);
    real *g = random_reals(&f, y->count);
    run(&f, y, g);
    for (int64_t i = 0; i < y->count; i++)
        check_copy("reshape", y, i, x, i, g);
    end(&f);
}

// --- along one dimension

enum { SUM, MEAN, MAX, CUMSUM, CUMSUM_REVERSE, REDUCTIONS };
static const char *const reduction_name[] = {"sum", "mean", "max", "cumsum", "reverse cumsum"};

static ag_t *reduce(struct ag_graph *graph, int kind, ag_t *x, int dim)
{
    return kind == SUM    ? ag_sum(graph, x, dim)
           : kind == MEAN ? ag_mean(graph, x, dim)
           : kind == MAX  ? ag_max(graph, x, dim)
                          : ag_cumsum(graph, x, dim, kind == CUMSUM_REVERSE);
}

// Line of n elements, `stride` apart: what it gives (in the same layout), and its gradient.
static void check_line(int kind, const ag_t *x, const ag_t *y, const real *g, int64_t from,
                       int64_t out, int64_t n, int64_t stride)
{
    const char *what = reduction_name[kind];
    double sum = 0, after = 0;
    int64_t best = 0;
    for (int64_t k = 0; k < n; k++) {
        int64_t at = kind == CUMSUM_REVERSE ? n - 1 - k : k;
        sum += (double)x->data[from + at * stride];
        if (x->data[from + k * stride] > x->data[from + best * stride])
            best = k;
        if (kind >= CUMSUM)
            close_to(what, at, (double)y->data[from + at * stride], sum, (double)n);
    }
    if (kind < CUMSUM)
        close_to(what, out, (double)y->data[out],
                 kind == SUM    ? sum
                 : kind == MEAN ? sum / (double)n
                                : (double)x->data[from + best * stride],
                 kind == SUM ? (double)n : 1);
    for (int64_t k = n - 1; k >= 0; k--) {
        int64_t at = kind == CUMSUM_REVERSE ? n - 1 - k : k;
        if (kind >= CUMSUM)
            after += (double)g[from + at * stride];
        double want = kind == SUM    ? (double)g[out]
                      : kind == MEAN ? (double)g[out] / (double)n
                      : kind == MAX  ? (k == best ? (double)g[out] : 0)
                                     : after;
        close_to(what, at, (double)x->grad[from + at * stride], want, (double)n);
    }
}

static void test_reductions(void **state)
{
    (void)state;
    const struct ag_shape shapes[] = {ag_shape3(3, 5, 7), ag_shape3(1, 1, 1), ag_shape3(33, 1, 65),
                                      ag_shape3(40, 50, 30)};
    for (int kind = 0; kind < REDUCTIONS; kind++)
        for (int s = 0; s < 4; s++)
            for (int dim = -3; dim < 3; dim++) {
                struct fixture f;
                begin(&f);
                ag_t *x = ag_keep(leaf(&f, shapes[s], -1, 1));
                ag_t *y = reduce(&f.graph, kind, x, dim);
                real *g = random_reals(&f, y->count);
                run(&f, y, g);
                int d = dim < 0 ? dim + 3 : dim;
                int64_t outer = 1, inner = 1, n = x->shape.size[d];
                for (int k = 0; k < 3; k++)
                    *(k < d ? &outer : &inner) *= k == d ? 1 : x->shape.size[k];
                assert_int_equal(y->shape.size[d], kind < CUMSUM ? 1 : n);
                for (int64_t i = 0; i < outer * inner; i++)
                    check_line(kind, x, y, g, i / inner * n * inner + i % inner, i, n, inner);
                end(&f);
            }
}

static void test_max_of_equals_and_of_nan(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    ag_t *x = ag_keep(leaf(&f, ag_shape2(2, 5), 0, 1));
    ag_t *y = ag_max(&f.graph, x, -1);
    const real g[] = {2, 3};
    run(&f, y, g);
    const real values[] = {1, 4, 4, 2, 4, 0, 9, REAL(1.0), 3, 1};
    memcpy(x->data, values, sizeof values);
    x->data[7] = (real)NAN;
    ag_forward(f.plan);
    ag_backward(f.plan, g);
    const real want[] = {0, 2, 0, 0, 0, 0, 0, 3, 0, 0};
    for (int i = 0; i < 10; i++)
        close_to("max grad", i, (double)x->grad[i], (double)want[i], 0);
    assert_true(y->data[0] == 4);
    assert_true(isnan(y->data[1]));
    end(&f);
}

static void test_sums_of_everything(void **state)
{
    (void)state;
    for (int mean = 0; mean < 2; mean++)
        for (int64_t n = 1; n < 100000; n = n * 7 + 2) {
            struct fixture f;
            begin(&f);
            ag_t *x = ag_keep(leaf(&f, ag_shape2(n, 3), -1, 1));
            ag_t *y = mean ? ag_mean_all(&f.graph, x) : ag_sum_all(&f.graph, x);
            assert_int_equal(y->shape.dims, 0);
            const real g[] = {REAL(1.25)};
            run(&f, y, g);
            double sum = 0, count = mean ? (double)x->count : 1;
            for (int64_t i = 0; i < x->count; i++) {
                sum += (double)x->data[i];
                close_to("sum grad", i, (double)x->grad[i], 1.25 / count, 0);
            }
            close_to("sum of all", n, (double)y->data[0], sum / count, 0);
            end(&f);
        }
}

// --- indexed rows

static void check_gather(struct ag_shape table_shape, struct ag_shape index_shape)
{
    struct fixture f;
    begin(&f);
    int64_t rows = table_shape.size[0];
    ag_t *table = ag_keep(leaf(&f, table_shape, -1, 1));
    ag_t *index = ag_keep(index_of(&f, index_shape, 0, (int32_t)rows - 1));
    ag_t *y = ag_gather(&f.graph, table, index);
    real *g = random_reals(&f, y->count);
    run(&f, y, g);
    int64_t c = table->count / rows;
    double *want = arena_alloc(&f.graph.arena, (size_t)table->count * sizeof *want);
    double *scale = arena_alloc(&f.graph.arena, (size_t)table->count * sizeof *scale);
    assert_true(want && scale);
    for (int64_t i = 0; i < y->count; i++) {
        int64_t at = index->index[i / c] * c + i % c;
        assert_true(y->data[i] == table->data[at]);
        want[at] += (double)g[i];
        scale[at] += fabs((double)g[i]);
    }
    check_grad("gather", table, want, scale);
    end(&f);
}

static void test_gather(void **state)
{
    (void)state;
    check_gather(ag_shape2(64, 64), ag_shape2(32, 32));
    check_gather(ag_shape2(1000, 130), ag_shape2(7, 50));
    check_gather(ag_shape2(33, 3), ag_shape2(130, 131));
    check_gather(ag_shape1(5), ag_shape1(30011));
    check_gather(ag_shape3(6, 5, 3), ag_shape3(3, 4, 5));
    check_gather(ag_shape2(1, 1), ag_shape1(1));
    check_gather(ag_shape2(20000, 2), ag_shape1(20));
}

static void check_scatter(struct ag_shape shape, int64_t rows)
{
    struct fixture f;
    begin(&f);
    ag_t *x = ag_keep(leaf(&f, shape, -1, 1));
    ag_t *index = ag_keep(index_of(&f, ag_shape1(shape.size[0]), 0, (int32_t)rows - 1));
    ag_t *y = ag_scatter_add(&f.graph, x, index, rows);
    real *g = random_reals(&f, y->count);
    run(&f, y, g);
    int64_t c = x->count / shape.size[0];
    double *want = arena_alloc(&f.graph.arena, (size_t)y->count * sizeof *want);
    assert_non_null(want);
    for (int64_t i = 0; i < x->count; i++) {
        int64_t at = index->index[i / c] * c + i % c;
        want[at] += (double)x->data[i];
        assert_true(x->grad[i] == g[at]);
    }
    for (int64_t i = 0; i < y->count; i++)
        close_to("scatter_add", i, (double)y->data[i], want[i], (double)shape.size[0]);
    end(&f);
}

static void test_scatter_add(void **state)
{
    (void)state;
    check_scatter(ag_shape2(1000, 70), 33);
    check_scatter(ag_shape3(50, 3, 5), 7);
    check_scatter(ag_shape1(30011), 4);
    check_scatter(ag_shape2(1, 1), 3);
}

// --- what a Transformer is made of

// The mean is five times the deviation, and its sum in float is as good as the compiler's vectors
// are long: hence the scales.
// No tolerance grows with the width: the mean is as exact as the rows are wide or far from zero.
static void check_layer_norm(int64_t rows, int64_t c, double low, double high)
{
    struct fixture f;
    begin(&f);
    ag_t *x = ag_keep(leaf(&f, ag_shape2(rows, c), low, high));
    ag_t *gain = ag_keep(leaf(&f, ag_shape1(c), 0.5, 1.5));
    ag_t *bias = ag_keep(leaf(&f, ag_shape1(c), -1, 1));
    ag_t *y = ag_layer_norm(&f.graph, x, gain, bias, 1e-5);
    real *g = random_reals(&f, y->count);
    run(&f, y, g);
    double *sums = arena_alloc(&f.graph.arena, (size_t)(2 * c) * sizeof *sums);
    assert_non_null(sums);
    for (int64_t r = 0; r < rows; r++) {
        const real *row = x->data + r * c;
        struct exact_sum exact = {0, 0}; // for the double build, where double is no reference
        double variance = 0, dot = 0, total = 0;
        for (int64_t i = 0; i < c; i++)
            exact_add(&exact, (double)row[i]);
        double mean = exact_total(&exact) / (double)c;
        for (int64_t i = 0; i < c; i++)
            variance += square((double)row[i] - mean) / (double)c;
        double scale = 1 / sqrt(variance + 1e-5);
        for (int64_t i = 0; i < c; i++) {
            double z = ((double)row[i] - mean) * scale, d = (double)g[r * c + i];
            close_to("layer_norm", i, (double)y->data[r * c + i],
                     z * (double)gain->data[i] + (double)bias->data[i], 1);
            sums[i] += d * z;
            sums[c + i] += d;
            dot += d * (double)gain->data[i] * z / (double)c;
            total += d * (double)gain->data[i] / (double)c;
        }
        for (int64_t i = 0; i < c; i++) {
            double z = ((double)row[i] - mean) * scale;
            double d = (double)g[r * c + i] * (double)gain->data[i];
            close_to("layer_norm dx", i, (double)x->grad[r * c + i], scale * (d - total - z * dot),
                     scale);
        }
    }
    for (int64_t i = 0; i < c; i++) {
        close_to("layer_norm dgain", i, (double)gain->grad[i], sums[i], 2 * sqrt((double)rows));
        close_to("layer_norm dbias", i, (double)bias->grad[i], sums[c + i], 2 * sqrt((double)rows));
    }
    end(&f);
}

static void test_layer_norm(void **state)
{
    (void)state;
    check_layer_norm(1, 1, 2, 4);
    check_layer_norm(3, 5, 2, 4);
    check_layer_norm(1031, 64, 2, 4);
    check_layer_norm(700, 33, 2, 4);
    check_layer_norm(5, 5000, 2, 4);
    check_layer_norm(2, 100003, 2, 4);
    check_layer_norm(5, 64, 990, 1000);
    check_layer_norm(5, 5000, 100, 101);
    if (sizeof(real) == sizeof(float)) // where the mean may be off by a tenth of the deviation
        check_layer_norm(5, 60, 1e6, 1e6 + 1);
}

static void test_softmax(void **state)
{
    (void)state;
    const struct ag_shape shapes[] = {ag_shape1(1), ag_shape3(3, 5, 7), ag_shape2(700, 33),
                                      ag_shape2(3, 20011)};
    for (int s = 0; s < 4; s++) {
        struct fixture f;
        begin(&f);
        ag_t *x = ag_keep(leaf(&f, shapes[s], 990, 1000)); // exp of it would overflow
        ag_t *y = ag_softmax(&f.graph, x);
        real *g = random_reals(&f, y->count);
        run(&f, y, g);
        int64_t c = x->shape.size[x->shape.dims - 1];
        for (int64_t r = 0; r < x->count / c; r++) {
            double sum = 0, dot = 0;
            for (int64_t i = 0; i < c; i++)
                sum += exp((double)x->data[r * c + i] - 1000);
            for (int64_t i = 0; i < c; i++)
                dot += exp((double)x->data[r * c + i] - 1000) / sum * (double)g[r * c + i];
            for (int64_t i = 0; i < c; i++) {
                double p = exp((double)x->data[r * c + i] - 1000) / sum;
                close_to("softmax", i, (double)y->data[r * c + i], p, 0.2);
                close_to("softmax grad", i, (double)x->grad[r * c + i],
                         p * ((double)g[r * c + i] - dot), 0.2);
            }
        }
        end(&f);
    }
}

static void check_cross_entropy(struct ag_shape shape, double size, int32_t lowest,
                                double smoothing)
{
    struct fixture f;
    begin(&f);
    int64_t v = shape.size[shape.dims - 1];
    struct ag_shape leading = shape;
    leading.dims--;
    ag_t *x = ag_keep(leaf(&f, shape, -size, size));
    ag_t *target = ag_keep(index_of(&f, leading, lowest, lowest == -9 ? -1 : (int32_t)v - 1));
    ag_t *y = ag_cross_entropy(&f.graph, x, target, smoothing);
    assert_int_equal(y->shape.dims, 0);
    const real g[] = {REAL(0.75)};
    run(&f, y, g);
    double loss = 0, counted = 0;
    for (int64_t r = 0; r < target->count; r++)
        counted += target->index[r] >= 0;
    for (int64_t r = 0; r < target->count; r++) {
        double sum = 0;
        for (int64_t i = 0; i < v; i++)
            sum += exp((double)x->data[r * v + i] - size);
        int32_t t = target->index[r];
        for (int64_t i = 0; i < v; i++) {
            double p = exp((double)x->data[r * v + i] - size) / sum;
            double q = (1 - smoothing) * (i == t) + smoothing / (double)v;
            double want = t < 0 ? 0 : 0.75 * (p - q) / counted;
            if (t >= 0)
                loss += q * (log(sum) + size - (double)x->data[r * v + i]) / counted;
            close_to("cross_entropy grad", i, (double)x->grad[r * v + i], want,
                     t < 0 ? 0 : 1 / counted);
        }
    }
    close_to("cross_entropy", v, (double)y->data[0], loss, 0);
    end(&f);
}

static void test_cross_entropy(void **state)
{
    (void)state;
    check_cross_entropy(ag_shape2(7, 5), 2, 0, 0);
    check_cross_entropy(ag_shape3(3, 4, 9), 2, -3, 0);
    check_cross_entropy(ag_shape2(1031, 64), 4, -1, 0);
    check_cross_entropy(ag_shape2(3, 20011), 4, 0, 0);
    check_cross_entropy(ag_shape2(9, 1), 4, 0, 0);
    check_cross_entropy(ag_shape2(5, 7), 300, 0, 0); // naive exponentials overflow
    check_cross_entropy(ag_shape2(5, 7), 3, -9, 0);  // all ignored: loss 0, no gradient
    check_cross_entropy(ag_shape3(3, 4, 9), 2, -3, 0.1);
    check_cross_entropy(ag_shape2(1031, 64), 4, -1, 0.9);
    check_cross_entropy(ag_shape2(5, 7), 300, 0, 0.25);
}

static void test_cross_entropy_of_nan(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    const int32_t targets[] = {1, -1, 4};
    ag_t *x = ag_keep(leaf(&f, ag_shape2(3, 5), -1, 1));
    ag_t *y = ag_cross_entropy(&f.graph, x, ag_constant_index(&f.graph, ag_shape1(3), targets), 0);
    run(&f, y, NULL);
    for (int i = 0; i < 15; i++) {
        real old = x->data[i];
        x->data[i] = (real)NAN;
        ag_forward(f.plan);
        assert_true(isnan(y->data[0]) || i / 5 == 1); // an ignored row is not read
        x->data[i] = old;
    }
    end(&f);
}

// --- dropout

static void test_dropout_rates(void **state)
{
    (void)state;
    const double rates[] = {0.1, 0.5, 0.9};
    for (int r = 0; r < 3; r++) {
        struct fixture f;
        begin(&f);
        ag_t *x = ag_keep(leaf(&f, ag_shape2(501, 201), 1, 2));
        ag_t *y = ag_dropout(&f.graph, x, rates[r]);
        real *g = random_reals(&f, y->count);
        run(&f, y, g);
        double dropped = 0, keep = 1 / (1 - rates[r]), n = (double)x->count;
        for (int64_t i = 0; i < x->count; i++) {
            bool gone = y->data[i] == 0;
            dropped += gone;
            close_to("dropout", i, (double)y->data[i], gone ? 0 : keep * (double)x->data[i], 0);
            close_to("dropout grad", i, (double)x->grad[i], gone ? 0 : keep * (double)g[i], 0);
        }
        // Five standard deviations of the binomial distribution.
        assert_true(fabs(dropped / n - rates[r]) < 5 * sqrt(rates[r] * (1 - rates[r]) / n));
        end(&f);
    }
}

static int64_t differences(const real *a, const real *b, int64_t count)
{
    int64_t different = 0;
    for (int64_t i = 0; i < count; i++)
        different += (a[i] == 0) != (b[i] == 0);
    return different;
}

static void test_dropout_depends_on_seed_step_and_name(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    ag_t *x = ag_keep(leaf(&f, ag_shape1(4001), 1, 2));
    ag_scope(&f.graph, "one");
    ag_t *one = ag_keep(ag_dropout(&f.graph, x, 0.5));
    ag_scope(&f.graph, "two");
    ag_t *two = ag_keep(ag_dropout(&f.graph, x, 0.5));
    run(&f, ag_add(&f.graph, one, two), NULL);
    real *first = random_reals(&f, x->count);
    memcpy(first, one->data, (size_t)x->count * sizeof *first);
    assert_true(differences(first, two->data, x->count) > 1800);
    struct ag_run *how = ag_plan_run(f.plan);
    how->step++;
    ag_forward(f.plan);
    assert_true(differences(first, one->data, x->count) > 1800);
    how->step--;
    how->seed++;
    ag_forward(f.plan);
    assert_true(differences(first, one->data, x->count) > 1800);
    how->seed--;
    ag_forward(f.plan);
    assert_memory_equal(first, one->data, (size_t)x->count * sizeof *first);
    how->training = false;
    ag_forward(f.plan);
    assert_memory_equal(x->data, one->data, (size_t)x->count * sizeof *first);
    end(&f);
}

static void test_dropout_rate_0_is_nothing(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    ag_t *x = leaf(&f, ag_shape1(3), 1, 2);
    assert_ptr_equal(ag_dropout(&f.graph, x, 0), x);
    end(&f);
}

// --- the same bits for any number of threads

// Everything that is cut into pieces, in one graph, at sizes that give many pieces.
static ag_t *large_graph(struct fixture *f)
{
    struct ag_graph *graph = &f->graph;
    ag_t *table = leaf(f, ag_shape2(50, 96), -1, 1);
    ag_t *x = ag_gather(graph, table, index_of(f, ag_shape2(16, 60), 0, 49));
    x = ag_add(graph, x, leaf(f, ag_shape2(60, 96), -1, 1));
    x = ag_mul(graph, x, leaf(f, ag_shape1(96), 0.5, 1));
    x = ag_mul(graph, x, leaf(f, ag_shape3(16, 60, 1), 0.5, 1));
    x = ag_add(graph, x, leaf(f, ag_shape1(1), 0.5, 1));
    x = ag_layer_norm(graph, x, leaf(f, ag_shape1(96), 0.5, 1), leaf(f, ag_shape1(96), -1, 1),
                      1e-5);
    x = ag_dropout(graph, ag_gelu(graph, x), 0.2);
    x = ag_transpose(graph, x, 1, 2);
    x = ag_cumsum(graph, ag_affine(graph, x, 0.5, 0.1), 1, true);
    ag_t *bell = ag_exp(graph, ag_neg(graph, ag_square(graph, x)));
    x = ag_add(graph, ag_softmax(graph, ag_tanh(graph, x)), bell);
    x = ag_add(graph, x, ag_sum(graph, x, 0));
    x = ag_add(graph, x, ag_max(graph, x, -1));
    x = ag_concat(graph, 2, (ag_t *[]){x, ag_slice(graph, x, 2, 3, 40)}, 2);
    ag_t *rows = ag_reshape(graph, x, ag_shape2(16 * 96, 100));
    ag_t *sums = ag_scatter_add(graph, rows, index_of(f, ag_shape1(16 * 96), 0, 8), 9);
    ag_t *loss = ag_cross_entropy(graph, rows, index_of(f, ag_shape1(16 * 96), -1, 99), 0);
    return ag_add(graph, loss, ag_add(graph, ag_mean_all(graph, sums), ag_sum_all(graph, x)));
}

static uint64_t hash_of(uint64_t hash, const real *x, int64_t count)
{
    const unsigned char *byte = (const unsigned char *)x;
    for (size_t i = 0; i < (size_t)count * sizeof *x; i++)
        hash = (hash ^ byte[i]) * 0x100000001B3u;
    return hash;
}

static void test_threads_do_not_matter(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 8};
    uint64_t first = 0;
    for (int i = 0; i < 4; i++) {
        struct fixture f;
        par_set_threads(threads[i]);
        begin(&f);
        ag_t *y = large_graph(&f);
        const real g[] = {1};
        run(&f, y, g);
        assert_true(isfinite(y->data[0]));
        uint64_t hash = hash_of(1, y->data, 1);
        for (const struct ag_tensor *t = f.graph.first; t; t = t->next)
            if (!t->op && t->grad)
                hash = hash_of(hash, t->grad, t->count);
        if (i == 0)
            first = hash;
        assert_true(hash == first);
        end(&f);
    }
    par_set_threads(0);
}

// --- what is refused

typedef ag_t *mistake(struct fixture *f, ag_t *x, ag_t *index); // x [4, 6], index [4]

static ag_t *wrong_add(struct fixture *f, ag_t *x, ag_t *index)
{
    (void)index;
    return ag_add(&f->graph, x, leaf(f, ag_shape1(5), 0, 1));
}
static ag_t *wrong_reshape(struct fixture *f, ag_t *x, ag_t *index)
{
    (void)index;
    return ag_reshape(&f->graph, x, ag_shape2(5, 5));
}
static ag_t *wrong_slice(struct fixture *f, ag_t *x, ag_t *index)
{
    (void)index;
    return ag_slice(&f->graph, x, 1, 4, 3);
}
static ag_t *wrong_slice_start(struct fixture *f, ag_t *x, ag_t *index)
{
    (void)index;
    return ag_slice(&f->graph, x, 1, -1, 3);
}
static ag_t *wrong_slice_far(struct fixture *f, ag_t *x, ag_t *index)
{
    (void)index;
    return ag_slice(&f->graph, x, 1, 2, INT64_MAX);
}
static ag_t *wrong_concat(struct fixture *f, ag_t *x, ag_t *index)
{
    (void)index;
    return ag_concat(&f->graph, 2, (ag_t *[]){x, leaf(f, ag_shape2(3, 5), 0, 1)}, 1);
}
static ag_t *wrong_transpose(struct fixture *f, ag_t *x, ag_t *index)
{
    (void)index;
    return ag_transpose(&f->graph, x, 0, 2);
}
static ag_t *wrong_sum(struct fixture *f, ag_t *x, ag_t *index)
{
    (void)index;
    return ag_sum(&f->graph, x, 2);
}
static ag_t *wrong_mean(struct fixture *f, ag_t *x, ag_t *index)
{
    (void)index;
    return ag_mean(&f->graph, x, -3);
}
static ag_t *wrong_max(struct fixture *f, ag_t *x, ag_t *index)
{
    (void)index;
    return ag_max(&f->graph, x, 7);
}
static ag_t *wrong_cumsum(struct fixture *f, ag_t *x, ag_t *index)
{
    (void)index;
    return ag_cumsum(&f->graph, x, 2, false);
}
static ag_t *wrong_gather(struct fixture *f, ag_t *x, ag_t *index)
{
    (void)index;
    return ag_gather(&f->graph, x, x);
}
static ag_t *wrong_scatter(struct fixture *f, ag_t *x, ag_t *index)
{
    (void)x;
    return ag_scatter_add(&f->graph, leaf(f, ag_shape2(3, 5), 0, 1), index, 9);
}
static ag_t *wrong_scatter_rows(struct fixture *f, ag_t *x, ag_t *index)
{
    return ag_scatter_add(&f->graph, x, index, 0);
}
static ag_t *wrong_layer_norm(struct fixture *f, ag_t *x, ag_t *index)
{
    (void)index;
    ag_t *gain = leaf(f, ag_shape1(5), 0, 1);
    return ag_layer_norm(&f->graph, x, gain, gain, 1e-5);
}
static ag_t *wrong_softmax(struct fixture *f, ag_t *x, ag_t *index)
{
    (void)index;
    return ag_softmax(&f->graph, ag_sum_all(&f->graph, x));
}
static ag_t *wrong_dropout(struct fixture *f, ag_t *x, ag_t *index)
{
    (void)index;
    return ag_dropout(&f->graph, x, 1);
}
static ag_t *wrong_dropout_nan(struct fixture *f, ag_t *x, ag_t *index)
{
    (void)index;
    return ag_dropout(&f->graph, x, (double)NAN);
}
static ag_t *wrong_cross_entropy(struct fixture *f, ag_t *x, ag_t *index)
{
    (void)index;
    return ag_cross_entropy(&f->graph, x, index_of(f, ag_shape1(3), 0, 1), 0);
}

static void test_mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        mistake *make;
        const char *says[2];
    } row[] = {
        {wrong_add, {"add", "[5]"}},
        {wrong_reshape, {"reshape", "[5, 5]"}},
        {wrong_slice, {"slice", "[4, 6]"}},
        {wrong_slice_start, {"slice", "-1"}},
        {wrong_slice_far, {"slice", "[4, 6]"}},
        {wrong_concat, {"concat", "[3, 5]"}},
        {wrong_transpose, {"transpose", "[4, 6]"}},
        {wrong_sum, {"sum", "2"}},
        {wrong_mean, {"mean", "-3"}},
        {wrong_max, {"max", "7"}},
        {wrong_cumsum, {"cumsum", "2"}},
        {wrong_gather, {"gather", "index"}},
        {wrong_scatter, {"scatter_add", "[3, 5]"}},
        {wrong_scatter_rows, {"scatter_add", "0"}},
        {wrong_layer_norm, {"layer_norm", "[4, 6]"}},
        {wrong_softmax, {"softmax", "[]"}},
        {wrong_dropout, {"dropout", "1"}},
        {wrong_dropout_nan, {"dropout", "nan"}},
        {wrong_cross_entropy, {"cross_entropy", "[3]"}},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct fixture f;
        begin(&f);
        ag_t *x = leaf(&f, ag_shape2(4, 6), -1, 1), *index = index_of(&f, ag_shape1(4), 0, 1);
        ag_t *y = row[i].make(&f, x, index);
        assert_null(ag_plan_new(&f.graph, y, true));
        for (int k = 0; k < 2; k++)
            if (!strstr(err_last(), row[i].says[k])) {
                print_error("mistake %d (%s): \"%s\" lacks \"%s\"\n", (int)i, row[i].says[0],
                            err_last(), row[i].says[k]);
                assert_true(false);
            }
        end(&f);
    }
}

CHECK_MAIN(cmocka_unit_test(test_unary), cmocka_unit_test(test_unary_special_values),
           cmocka_unit_test(test_angles), cmocka_unit_test(test_infinity_is_seen_at_a_limit),
           cmocka_unit_test(test_unary_stays_accurate_in_the_tails), cmocka_unit_test(test_affine),
           cmocka_unit_test(test_binary), cmocka_unit_test(test_the_same_tensor_twice),
           cmocka_unit_test(test_transpose), cmocka_unit_test(test_slice),
           cmocka_unit_test(test_concat), cmocka_unit_test(test_reshape),
           cmocka_unit_test(test_reductions), cmocka_unit_test(test_max_of_equals_and_of_nan),
           cmocka_unit_test(test_sums_of_everything), cmocka_unit_test(test_gather),
           cmocka_unit_test(test_scatter_add), cmocka_unit_test(test_layer_norm),
           cmocka_unit_test(test_softmax), cmocka_unit_test(test_cross_entropy),
           cmocka_unit_test(test_cross_entropy_of_nan), cmocka_unit_test(test_dropout_rates),
           cmocka_unit_test(test_dropout_depends_on_seed_step_and_name),
           cmocka_unit_test(test_dropout_rate_0_is_nothing),
           cmocka_unit_test(test_threads_do_not_matter), cmocka_unit_test(test_mistakes_are_named))
