// Ops that go along the sequence - recurrence, taps, neural_ode - against plain loops in double, on
// shapes that are cut into many pieces, and with the same bits on any number of threads.
#include <math.h>
#include <string.h>

#include "../support/check.h"

#include "../../autograd/ag_ops.h"
#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../autograd/ops/op.h"

#ifdef POSGRAD_DOUBLE
#define TOLERANCE 1e-12
#else
#define TOLERANCE 1e-5
#endif

enum { MAX_LEAVES = 5 };

struct fixture {
    struct ag_graph graph;
    struct ag_plan *plan;
    struct rng rng;
    ag_t *leaf[MAX_LEAVES], *y;
    int leaves;
};

static void begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    ag_graph_init(&f->graph, NULL);
    rng_init(&f->rng, rng_stream(5, "sequence"), 0, 0);
}

static ag_t *leaf(struct fixture *f, struct ag_shape shape, double spread)
{
    assert_true(f->leaves < MAX_LEAVES);
    return f->leaf[f->leaves++] = ag_case_leaf(&f->graph, &f->rng, shape, -spread, spread);
}

static void run(struct fixture *f, ag_t *y)
{
    f->y = ag_keep(y);
    f->plan = ag_plan_new(&f->graph, y, true);
    if (!f->plan)
        fail_msg("%s", err_last());
    real *cotangent = arena_alloc(&f->graph.arena, (size_t)y->count * sizeof *cotangent);
    for (int64_t i = 0; i < y->count; i++)
        cotangent[i] = (real)(2 * rng_uniform(&f->rng) - 1);
    ag_forward(f->plan);
    ag_backward(f->plan, cotangent);
}

static void end(struct fixture *f)
{
    ag_plan_free(f->plan);
    ag_graph_release(&f->graph);
}

// Builds a case; the rest is the same for all ops.
typedef ag_t *build(struct fixture *f, int variant);

static void check_threads(build *make, int variants)
{
    for (int variant = 0; variant < variants; variant++) {
        struct fixture one, many;
        par_set_threads(1);
        begin(&one);
        run(&one, make(&one, variant));
        for (int threads = 2; threads <= 5; threads++) {
            par_set_threads(threads);
            begin(&many);
            run(&many, make(&many, variant));
            check_same_bytes(many.y->data, one.y->data, (size_t)one.y->count * sizeof(real));
            for (int i = 0; i < one.leaves; i++)
                check_same_bytes(many.leaf[i]->grad, one.leaf[i]->grad,
                                 (size_t)one.leaf[i]->count * sizeof(real));
            end(&many);
        }
        end(&one);
    }
    par_set_threads(0);
}

// --- recurrence

enum { RB = 11, RT = 23, RC = 37 };

// Variant bits: tanh, start.
static ag_t *make_recurrence(struct fixture *f, int variant)
{
    ag_t *x = leaf(f, ag_shape3(RB, RT, RC), 1);
    ag_t *weight = leaf(f, ag_shape2(RC, RC), 0.2);
    ag_t *start = variant & 2 ? leaf(f, ag_shape1(RC), 1) : NULL;
    return ag_recurrence(&f->graph, x, weight, start, variant & 1);
}

static void expect_recurrence(const struct fixture *f, int variant, int64_t b, double *y)
{
    const real *x = f->leaf[0]->data, *weight = f->leaf[1]->data;
    double h[RC] = {0}, next[RC];
    for (int64_t k = 0; variant & 2 && k < RC; k++)
        h[k] = (double)f->leaf[2]->data[k];
    for (int64_t t = 0; t < RT; t++) {
        for (int64_t i = 0; i < RC; i++) {
            next[i] = (double)x[(b * RT + t) * RC + i];
            for (int64_t k = 0; k < RC; k++)
                next[i] += (double)weight[i * RC + k] * h[k];
            next[i] = variant & 1 ? tanh(next[i]) : next[i];
        }
        memcpy(h, next, sizeof h);
        memcpy(y + t * RC, h, sizeof h);
    }
}

static void recurrence_is_its_formula(void **state)
{
    (void)state;
    static double want[RT * RC];
    for (int variant = 0; variant < 4; variant++) {
        struct fixture f;
        begin(&f);
        run(&f, make_recurrence(&f, variant));
        for (int64_t b = 0; b < RB; b++) {
            expect_recurrence(&f, variant, b, want);
            check_close_array(f.y->data + b * RT * RC, want, RT * RC, TOLERANCE, 10 * TOLERANCE);
        }
        end(&f);
    }
    check_threads(make_recurrence, 4);
}

// --- taps

enum { TB = 9, TT = 31, TC = 40, TK = 5 };

static ag_t *make_taps(struct fixture *f, int variant)
{
    int64_t batch = variant % 2 ? 2 : TB; // few sequences are cut by columns
    ag_t *x = leaf(f, ag_shape3(batch, TT, TC), 1);
    ag_t *weight = leaf(f, ag_shape2(TK, TC), 1);
    ag_t *index = ag_case_index(&f->graph, &f->rng, ag_shape2(TT, TK), -1, TT - 1);
    ag_t *mask = NULL;
    if (variant >= 2) // of each sequence, or one for two streams
        mask = ag_case_index(&f->graph, &f->rng, ag_shape2(variant == 2 ? batch : 1, TT), 0, 1);
    return ag_taps(&f->graph, x, weight, index, mask);
}

static void taps_are_their_formula(void **state)
{
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        struct fixture f;
        begin(&f);
        run(&f, make_taps(&f, variant));
        const int32_t *index = f.y->input[2]->index;
        const ag_t *mask = f.y->input[3];
        for (int64_t i = 0; i < f.y->count; i++) {
            int64_t c = i % TC, t = i / TC % TT, b = i / TC / TT;
            double want = 0;
            for (int64_t k = 0; k < TK; k++)
                if (index[t * TK + k] >= 0 &&
                    (!mask || mask->index[(variant == 2 ? b * TT : 0) + index[t * TK + k]]))
                    want += (double)f.leaf[1]->data[k * TC + c] *
                            (double)f.leaf[0]->data[(b * TT + index[t * TK + k]) * TC + c];
            check_close(f.y->data[i], want, TOLERANCE, TOLERANCE);
        }
        end(&f);
    }
    check_threads(make_taps, 4);
}

// --- neural_ode

enum { OR = 14, OC = 19, OT = 9, SUBSTEPS = 3 };
#define DT 0.3

static ag_t *make_ode(struct fixture *f, int variant)
{
    struct ag_neural_ode ode = {.dt = DT, .substeps = SUBSTEPS, .length = OT};
    // Rows may have any leading dimensions.
    ode.start = leaf(f, variant ? ag_shape3(2, OR / 2, OC) : ag_shape2(OR, OC), 1);
    ode.up_weight = leaf(f, ag_shape2(OC, OC + 1), 0.3);
    ode.up_bias = leaf(f, ag_shape1(OC), 0.5);
    ode.down_weight = leaf(f, ag_shape2(OC, OC + 1), 0.3);
    ode.down_bias = leaf(f, ag_shape1(OC), 0.5);
    return ag_neural_ode(&f->graph, &ode);
}

static void speed(const struct fixture *f, double t, const double *p, double *dp)
{
    double in[OC + 1], hidden[OC + 1];
    memcpy(in, p, OC * sizeof *in);
    in[OC] = hidden[OC] = t;
    for (int map = 0; map < 2; map++) {
        const real *weight = f->leaf[1 + 2 * map]->data, *bias = f->leaf[2 + 2 * map]->data;
        for (int64_t i = 0; i < OC; i++) {
            double sum = (double)bias[i];
            for (int64_t k = 0; k <= OC; k++)
                sum += (double)weight[i * (OC + 1) + k] * (map ? hidden[k] : in[k]);
            if (map)
                dp[i] = sum;
            else
                hidden[i] = fmax(sum, 0);
        }
    }
}

static void runge_kutta(const struct fixture *f, double t, double e, double *p)
{
    double k[4][OC], q[OC];
    for (int j = 0; j < 4; j++) {
        double ahead = j == 0 ? 0 : j == 3 ? e : e / 2;
        for (int64_t i = 0; i < OC; i++)
            q[i] = p[i] + (j ? ahead * k[j - 1][i] : 0);
        speed(f, t + ahead, q, k[j]);
    }
    for (int64_t i = 0; i < OC; i++)
        p[i] += e * (k[0][i] + 2 * k[1][i] + 2 * k[2][i] + k[3][i]) / 6;
}

static void neural_ode_is_its_formula(void **state)
{
    (void)state;
    for (int variant = 0; variant < 2; variant++) {
        struct fixture f;
        begin(&f);
        run(&f, make_ode(&f, variant));
        for (int64_t row = 0; row < OR; row++) {
            double p[OC];
            for (int64_t i = 0; i < OC; i++)
                p[i] = (double)f.leaf[0]->data[row * OC + i];
            for (int64_t t = 0; t < OT; t++) {
                check_close_array(f.y->data + (t * OR + row) * OC, p, OC, TOLERANCE,
                                  10 * TOLERANCE);
                for (int s = 0; s < SUBSTEPS; s++)
                    runge_kutta(&f, DT * ((double)t + (double)s / SUBSTEPS), DT / SUBSTEPS, p);
            }
        }
        end(&f);
    }
    check_threads(make_ode, 2);
}

// With dp/dt = p the solution is the exponential, up to the fifth power of the step.
static void neural_ode_grows_exponentially(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    struct ag_neural_ode ode = {.dt = 0.1, .substeps = 2, .length = 11};
    ode.start = leaf(&f, ag_shape2(1, 1), 0);
    ode.up_weight = leaf(&f, ag_shape2(1, 2), 0);
    ode.up_bias = leaf(&f, ag_shape1(1), 0);
    ode.down_weight = leaf(&f, ag_shape2(1, 2), 0);
    ode.down_bias = leaf(&f, ag_shape1(1), 0);
    ((real *)ode.start->param)[0] = 1;
    ((real *)ode.up_weight->param)[0] = ((real *)ode.down_weight->param)[0] = 1;
    run(&f, ag_neural_ode(&f.graph, &ode));
    check_close(f.y->data[10], exp(1), 1e-6, 0);
    end(&f);
}

// --- what is refused

static void expect_refusal(struct fixture *f, const char *words)
{
    assert_true(f->graph.error < 0);
    if (!strstr(f->graph.message, words))
        fail_msg("'%s' is not in '%s'", words, f->graph.message);
    end(f);
}

static void wrong_shapes_are_said(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    ag_recurrence(&f.graph, leaf(&f, ag_shape2(3, 4), 1), leaf(&f, ag_shape2(4, 4), 1), NULL, true);
    expect_refusal(&f, "[3, 4] is not [B, T, C]");
    begin(&f);
    ag_recurrence(&f.graph, leaf(&f, ag_shape3(2, 3, 4), 1), leaf(&f, ag_shape2(4, 3), 1), NULL,
                  true);
    expect_refusal(&f, "not square");
    begin(&f);
    ag_recurrence(&f.graph, leaf(&f, ag_shape3(2, 3, 4), 1), leaf(&f, ag_shape2(4, 4), 1),
                  leaf(&f, ag_shape1(3), 1), true);
    expect_refusal(&f, "start [3]");
    begin(&f);
    ag_taps(&f.graph, leaf(&f, ag_shape3(2, 3, 4), 1), leaf(&f, ag_shape2(2, 4), 1),
            ag_case_index(&f.graph, &f.rng, ag_shape2(3, 3), -1, 2), NULL);
    expect_refusal(&f, "do not fit");
    begin(&f);
    ag_taps(&f.graph, leaf(&f, ag_shape3(3, 3, 4), 1), leaf(&f, ag_shape2(2, 4), 1),
            ag_case_index(&f.graph, &f.rng, ag_shape2(3, 2), -1, 2),
            ag_case_index(&f.graph, &f.rng, ag_shape2(2, 3), 0, 1));
    expect_refusal(&f, "mask [2, 3] do not fit");
    begin(&f);
    struct ag_neural_ode ode = {.start = leaf(&f, ag_shape2(2, 3), 1),
                                .up_weight = leaf(&f, ag_shape2(3, 3), 1),
                                .up_bias = leaf(&f, ag_shape1(3), 1),
                                .down_weight = leaf(&f, ag_shape2(3, 4), 1),
                                .down_bias = leaf(&f, ag_shape1(3), 1),
                                .dt = 1,
                                .substeps = 1,
                                .length = 1};
    ag_neural_ode(&f.graph, &ode);
    expect_refusal(&f, "weights must be [3, 4]");
}

CHECK_MAIN(cmocka_unit_test(recurrence_is_its_formula), cmocka_unit_test(taps_are_their_formula),
           cmocka_unit_test(neural_ode_is_its_formula),
           cmocka_unit_test(neural_ode_grows_exponentially),
           cmocka_unit_test(wrong_shapes_are_said))
