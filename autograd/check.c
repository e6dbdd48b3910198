// Gradient checks: central differences of fourth order against the backward pass.
//
// With a step of 1e-3 and values of order one, the truncation error of the five-point formula and
// the rounding error of double are both about 1e-12: six digits below the tolerance. Gradients so
// small that rounding would be a part of them are measured against what rounding leaves of them.
#include "check.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/rng.h"
#include "ops/op.h"

enum { DIRECTIONS = 4, RETRIES = 6, RETRIED = 24 };

#define STEP 1e-3

const char *const ag_corruption_name[AG_CORRUPTIONS] = {"nothing", "sign", "factor", "element",
                                                        "nan"};

struct checker {
    int retried; // derivatives that smaller steps were tried for
    struct ag_plan *plan;
    struct ag_tensor *output;
    int leaves;
    const struct ag_check_leaf *leaf;
    real *cotangent;
    real *grad, *start, *direction; // all leaves, one after the other
    int64_t count;
    double size; // of the scalar: the sum of its terms' sizes
    struct rng rng;
    struct ag_check *result;
};

static double value(struct checker *c)
{
    ag_forward(c->plan);
    double sum = 0, size = 0;
    for (int64_t i = 0; i < c->output->count; i++) {
        double term = (double)c->output->data[i] * (double)c->cotangent[i];
        sum += term;
        size += fabs(term);
    }
    c->size = size;
    return sum;
}

static void compare(struct checker *c, double numeric, double analytic, double scale,
                    const char *name, int64_t index)
{
    double size = fmax(fmax(fabs(numeric), fabs(analytic)), scale);
    double error = fabs(numeric - analytic) / size;
    if (!(error < HUGE_VAL))
        error = HUGE_VAL;
    if (error >= c->result->worst) {
        c->result->worst = error;
        snprintf(c->result->where, sizeof c->result->where, "%.100s[%lld]", name, (long long)index);
    }
}

// Derivative along t of value(start + t * direction) at 0, where move(c, t) puts the leaves there.
static double five_points(struct checker *c, void (*move)(struct checker *, double, void *),
                          void *context, double h)
{
    double f[4];
    static const double at[4] = {-2, -1, 1, 2};
    for (int i = 0; i < 4; i++) {
        move(c, at[i] * h, context);
        f[i] = value(c);
    }
    move(c, 0, context);
    return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h);
}

// The derivative by the step that agrees best with `analytic`: where a relu has its kink, or a
// modulus its sharp bend at zero, within a step, a smaller one may pass it by. A gradient that is
// wrong is wrong at every step.
static double derivative(struct checker *c, void (*move)(struct checker *, double, void *),
                         void *context, double h, double analytic, double floor)
{
    double best = five_points(c, move, context, h);
    bool tried = false;
    for (int i = 0; i < RETRIES; i++) {
        double size = fmax(floor, fmax(fabs(best), fabs(analytic)));
        if (fabs(best - analytic) <= 0.1 * AG_CHECK_TOLERANCE * size)
            break;
        // Kinks are few: where many derivatives disagree, it is the gradient that is wrong.
        c->retried += !tried;
        tried = true;
        if (c->retried > RETRIED)
            break;
        h /= 3;
        double other = five_points(c, move, context, h);
        if (fabs(other - analytic) < fabs(best - analytic))
            best = other;
    }
    return best;
}

struct element {
    real *value;
    real start;
};

static void move_element(struct checker *c, double t, void *context)
{
    (void)c;
    struct element *e = context;
    *e->value = (real)((double)e->start + t);
}

static void move_all(struct checker *c, double t, void *context)
{
    (void)context;
    int64_t k = 0;
    for (int l = 0; l < c->leaves; l++)
        for (int64_t i = 0; i < c->leaf[l].count; i++, k++)
            c->leaf[l].value[i] = (real)((double)c->start[k] + t * (double)c->direction[k]);
}

static double rms(const real *x, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum / (double)count);
}

// What is left of a derivative that is zero by arithmetic, as that of a bias on keys, which softmax
// does not see. Each of the four values is rounded by about an ulp of its terms, and their weights
// are 1, 8, 8 and 1 in 12 steps: 1.5 ulp a step at worst, and 1.45 is the worst that was measured,
// over 4800 such elements of whole models and for steps of 1e-3 to 1e-2 alike.
static double rounding_of(const struct checker *c, double h)
{
    const double ulp = sizeof(real) == sizeof(double) ? DBL_EPSILON : (double)FLT_EPSILON;
    return 1.5 * ulp * c->size / h;
}

// Elements whose gradient is tiny beside the others of their leaf are measured against a part of
// those, and so that rounding alone is never more than a tenth of the tolerance: a difference that
// it explains is evidence of nothing.
static double floor_of(const struct checker *c, double typical, double h)
{
    return fmax(typical, fmax(1e-6, rounding_of(c, h) / (0.1 * AG_CHECK_TOLERANCE)));
}

static void check_elements(struct checker *c, int64_t max_elements)
{
    int64_t k = 0;
    for (int l = 0; l < c->leaves; l++) {
        const struct ag_check_leaf *leaf = &c->leaf[l];
        double floor = floor_of(c, 1e-2 * rms(c->grad + k, leaf->count), STEP);
        bool all = leaf->count <= max_elements;
        for (int64_t n = 0; n < (all ? leaf->count : max_elements); n++) {
            int64_t i = all ? n : (int64_t)rng_below(&c->rng, (uint32_t)leaf->count);
            struct element e = {leaf->value + i, leaf->value[i]};
            double analytic = (double)c->grad[k + i];
            double numeric = derivative(c, move_element, &e, STEP, analytic, floor);
            compare(c, numeric, analytic, floor, leaf->name, i);
            c->result->elements++;
        }
        k += leaf->count;
    }
}

static void check_directions(struct checker *c)
{
    c->retried = 0;
    for (int d = 0; d < DIRECTIONS; d++) {
        double analytic = 0, square = 0;
        for (int64_t k = 0; k < c->count; k++) {
            c->direction[k] = (real)(2 * rng_uniform(&c->rng) - 1);
            double term = (double)c->grad[k] * (double)c->direction[k];
            analytic += term;
            square += term * term;
        }
        // All leaves move at once: the more there are, the smaller the step for the same curvature.
        double h = STEP * fmin(1, sqrt(8.0 / (double)c->count));
        // Terms of both signs may cancel in the sum: their root of squares is its usual size.
        double floor = floor_of(c, 0.1 * sqrt(square), h);
        double numeric = derivative(c, move_all, NULL, h, analytic, floor);
        compare(c, numeric, analytic, floor, "direction", d);
        c->result->directions++;
    }
}

static void corrupt(struct checker *c, enum ag_corruption corruption, int leaf)
{
    int64_t first = 0;
    for (int l = 0; l < leaf; l++)
        first += c->leaf[l].count;
    real *grad = c->grad + first;
    int64_t count = c->leaf[leaf].count, largest = 0;
    for (int64_t i = 0; i < count; i++)
        if (fabs((double)grad[i]) > fabs((double)grad[largest]))
            largest = i;
    if (corruption == AG_CORRUPT_ELEMENT)
        grad[largest] *= (real)1.1;
    if (corruption == AG_CORRUPT_NAN)
        grad[largest] = (real)NAN;
    for (int64_t i = 0; i < count; i++) {
        if (corruption == AG_CORRUPT_SIGN)
            grad[i] = -grad[i];
        if (corruption == AG_CORRUPT_FACTOR)
            grad[i] *= (real)1.01;
    }
}

static void run_check(struct checker *c, int64_t max_elements, enum ag_corruption corruption,
                      int corrupt_leaf)
{
    for (int64_t i = 0; i < c->output->count; i++)
        c->cotangent[i] = (real)(rng_uniform(&c->rng) + 0.5) * (rng_below(&c->rng, 2) ? 1 : -1);
    double f = value(c);
    if (!isfinite(f))
        compare(c, (double)NAN, f, 1, "forward", 0);
    ag_backward(c->plan, c->cotangent);
    int64_t k = 0;
    for (int l = 0; l < c->leaves; l++) {
        const struct ag_check_leaf *leaf = &c->leaf[l];
        memcpy(c->grad + k, leaf->grad, (size_t)leaf->count * sizeof(real));
        memcpy(c->start + k, leaf->value, (size_t)leaf->count * sizeof(real));
        k += leaf->count;
    }
    if (corruption != AG_CORRUPT_NOTHING)
        corrupt(c, corruption, corrupt_leaf);
    check_elements(c, max_elements);
    check_directions(c);
}

int ag_check_plan(struct ag_plan *plan, struct ag_tensor *output, int leaves,
                  const struct ag_check_leaf *leaf, int64_t max_elements, uint64_t seed,
                  enum ag_corruption corruption, int corrupt_leaf, struct ag_check *result)
{
    *result = (struct ag_check){.leaves = leaves};
    struct checker c = {
        .plan = plan, .output = output, .leaves = leaves, .leaf = leaf, .result = result};
    for (int l = 0; l < leaves; l++)
        c.count += leaf[l].count;
    rng_init(&c.rng, rng_stream(seed, "check"), 0, 0);
    size_t count = (size_t)c.count + 1;
    c.cotangent = aligned_zeroed((size_t)output->count, sizeof(real));
    c.grad = aligned_zeroed(count, sizeof(real));
    c.start = aligned_zeroed(count, sizeof(real));
    c.direction = aligned_zeroed(count, sizeof(real));
    bool good = c.cotangent && c.grad && c.start && c.direction;
    if (good)
        run_check(&c, max_elements, corruption, corrupt_leaf);
    free(c.cotangent);
    free(c.grad);
    free(c.start);
    free(c.direction);
    return good ? 0 : ERR_MEMORY;
}

// Leaves of an op's case: everything that gradients flow to.
static int collect_leaves(const struct ag_graph *graph, struct ag_check_leaf *leaf, int capacity)
{
    int leaves = 0;
    for (struct ag_tensor *t = graph->first; t && leaves < capacity; t = t->next)
        if (!t->op && t->needs_grad && t->grad)
            leaf[leaves++] = (struct ag_check_leaf){t->name, t->data, t->grad, t->count};
    return leaves;
}

int ag_check_op(const struct ag_op *op, int variant, uint64_t seed, enum ag_corruption corruption,
                int corrupt_leaf, struct ag_check *result)
{
    *result = (struct ag_check){0};
    struct ag_graph graph;
    ag_graph_init(&graph, NULL);
    struct rng rng;
    rng_init(&rng, rng_stream(seed, op->name), (uint64_t)variant, 0);
    struct ag_tensor *output = ag_keep(op->sample(&graph, &rng, variant));
    struct ag_plan *plan = ag_plan_new(&graph, output, true);
    int code = plan ? 0 : ERR_ARGUMENT;
    if (plan) {
        struct ag_check_leaf leaf[AG_MAX_INPUTS];
        struct ag_run *run = ag_plan_run(plan);
        run->seed = seed;
        run->step = 1;
        run->training = true;
        int leaves = collect_leaves(&graph, leaf, AG_MAX_INPUTS);
        result->leaves = leaves;
        if (corruption == AG_CORRUPT_NOTHING || corrupt_leaf < leaves)
            code = ag_check_plan(plan, output, leaves, leaf, 64, seed, corruption, corrupt_leaf,
                                 result);
    }
    ag_plan_free(plan);
    ag_graph_release(&graph);
    return code;
}
