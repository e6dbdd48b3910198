// Sum, difference, product, quotient of two tensors with broadcasting; and the product as an angle.
//
// The result is walked as rows of its last dimension; for every row each side has an offset and a
// step of 0 or 1. The gradient of a side that is repeated sums over its repeats: the rows are cut
// by what they add to, not by where they come from, so that the order of the sum is fixed.
#include <math.h>
#include <string.h>

#include "../ag_ops.h"
#include "../base/par.h"
#include "op.h"

enum kind { ADD, SUB, MUL, DIV, ANGLE };

struct side {
    int64_t stride[AG_MAX_DIMS]; // in elements, 0 where the dimension is repeated
    bool same;                   // has the result's shape
    int64_t period;              // > 0: element i of the result is element i % period of this side
};

struct param {
    enum kind kind;
    bool angle; // of kind MUL: less whole turns
    struct side side[2];
};

enum { GRAIN = 1 << 14 };

static struct side side_of(const struct ag_shape *out, const struct ag_tensor *x)
{
    struct side s = {.same = ag_shape_equal(*out, x->shape)};
    int shift = out->dims - x->shape.dims;
    int64_t stride = 1;
    bool trailing = true; // x is the last dimensions of the result, repeated as a whole
    for (int d = x->shape.dims - 1; d >= 0; d--) {
        s.stride[d + shift] = x->shape.size[d] == 1 ? 0 : stride;
        stride *= x->shape.size[d];
    }
    bool ended = false;
    for (int d = x->shape.dims - 1; d >= 0; d--) {
        bool equal = x->shape.size[d] == out->size[d + shift];
        trailing = trailing && (ended ? x->shape.size[d] == 1 : equal || x->shape.size[d] == 1);
        ended = ended || !equal;
    }
    s.period = trailing ? x->count : 0;
    return s;
}

static int64_t offset_of(const struct ag_shape *out, const struct side *s, int64_t i)
{
    if (s->same)
        return i;
    if (s->period)
        return i % s->period;
    int64_t offset = 0;
    for (int d = out->dims - 1; d >= 0; d--) {
        offset += i % out->size[d] * s->stride[d];
        i /= out->size[d];
    }
    return offset;
}

// A run of elements over which both sides step by 0 or 1.
static int64_t row_length(const struct ag_tensor *node)
{
    const struct param *p = node->param;
    if (p->side[0].same && p->side[1].same)
        return node->count;
    for (int k = 0; k < 2; k++)
        if (p->side[k].same && p->side[1 - k].period)
            return p->side[1 - k].period > 1 ? p->side[1 - k].period : node->count;
    return node->shape.dims ? node->shape.size[node->shape.dims - 1] : 1;
}

static int64_t step_of(const struct ag_tensor *node, const struct side *s)
{
    if (s->same || s->period > 1)
        return 1;
    return node->shape.dims ? s->stride[node->shape.dims - 1] : 0;
}

static real apply(enum kind kind, real a, real b)
{
    return kind == ADD ? a + b : kind == SUB ? a - b : kind == MUL ? a * b : a / b;
}

// a b less as many turns as are in it, which leaves at most half a turn. In double, where the
// product of two floats is exact: a position of a million times a frequency has no digit left
// behind the point in float. A turn is in two parts, of which the first has so few bits that its
// multiples are exact.
static inline real angle_of(real a, real b)
{
    const double high = 6.28318548202514648, low = -1.74845552783219577e-07;
    const double whole = 0x1.8p52; // adding it leaves the nearest whole number
    double x = (double)a * (double)b;
    double turns = (x * 0.159154943091895336 + whole) - whole;
    return (real)((x - turns * high) - turns * low);
}

static void make_angles(const real *restrict a, int64_t step_a, const real *restrict b,
                        int64_t step_b, real *restrict y, int64_t n)
{
    if (step_a == 0) { // the product of either is the other's
        const real *c = a;
        a = b;
        b = c;
        step_a = step_b;
        step_b = 0;
    }
    if (step_a == 1 && step_b == 0) {
        real same = *b;
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            y[i] = angle_of(a[i], same);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        y[i] = angle_of(a[i * step_a], b[i * step_b]);
}

struct job {
    struct ag_tensor *node;
    int64_t pieces, row, which;
};

static void forward_row(const struct ag_tensor *node, int64_t begin, int64_t end)
{
    const struct param *p = node->param;
    const real *a = node->input[0]->data + offset_of(&node->shape, &p->side[0], begin);
    const real *b = node->input[1]->data + offset_of(&node->shape, &p->side[1], begin);
    int64_t step_a = step_of(node, &p->side[0]), step_b = step_of(node, &p->side[1]);
    real *y = node->data + begin;
    int64_t n = end - begin;
    if (p->kind == ADD && step_a == 1 && step_b == 1) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            y[i] = a[i] + b[i];
        return;
    }
    if (p->angle) {
        make_angles(a, step_a, b, step_b, y, n);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        y[i] = apply(p->kind, a[i * step_a], b[i * step_b]);
}

static void forward_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct job *job = context;
    int64_t end = par_begin(job->node->count, job->pieces, piece + 1);
    for (int64_t i = par_begin(job->node->count, job->pieces, piece); i < end;) {
        int64_t stop = (i / job->row + 1) * job->row;
        forward_row(job->node, i, stop < end ? stop : end);
        i = stop;
    }
}

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    struct job job = {node, par_pieces(node->count, GRAIN), row_length(node), 0};
    par_run(job.pieces, forward_piece, &job);
}

// Adds the part of side `which` of elements [begin, end) of the result, all in one row.
static void backward_row(const struct ag_tensor *node, int which, int64_t begin, int64_t end)
{
    const struct param *p = node->param;
    int64_t at[2] = {offset_of(&node->shape, &p->side[0], begin),
                     offset_of(&node->shape, &p->side[1], begin)};
    int64_t step[2] = {step_of(node, &p->side[0]), step_of(node, &p->side[1])};
    const real *a = node->input[0]->data + at[0], *b = node->input[1]->data + at[1];
    const real *g = node->grad + begin;
    real *to = node->input[which]->grad + at[which];
    int64_t n = end - begin, t = step[which];
    if (p->kind == ADD && t == 1 && p->side[which].same && ag_is_fresh(node, which)) {
        memcpy(to, g, (size_t)n * sizeof *to);
        return;
    }
    if (p->kind == ADD && t == 1) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            to[i] += g[i];
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        real x = a[i * step[0]], y = b[i * step[1]];
        real d = p->kind == ADD || (p->kind == SUB && which == 0) ? g[i]
                 : p->kind == SUB                                 ? -g[i]
                 : p->kind == MUL                                 ? g[i] * (which ? x : y)
                 : y - y != 0                                     ? (real)NAN // not 0
                 : which                                          ? -g[i] * x / (y * y)
                                                                  : g[i] / y;
        to[i * t] += d;
    }
}

static void backward_elements(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct job *job = context;
    int64_t end = par_begin(job->node->count, job->pieces, piece + 1);
    for (int64_t i = par_begin(job->node->count, job->pieces, piece); i < end;) {
        int64_t stop = (i / job->row + 1) * job->row;
        backward_row(job->node, (int)job->which, i, stop < end ? stop : end);
        i = stop;
    }
}

// A side that is repeated as a whole: a piece owns some of its elements and adds their repeats in
// order.
static void backward_repeats(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct job *job = context;
    int64_t begin = par_begin(job->row, job->pieces, piece);
    int64_t end = par_begin(job->row, job->pieces, piece + 1);
    for (int64_t first = 0; first < job->node->count; first += job->row)
        backward_row(job->node, (int)job->which, first + begin, first + end);
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    const struct param *p = node->param;
    for (int which = 0; which < 2; which++) {
        struct ag_tensor *input = node->input[which];
        if (!input->grad)
            continue;
        if (ag_is_fresh(node, which) && !(p->kind == ADD && p->side[which].same))
            memset(input->grad, 0, (size_t)input->count * sizeof *input->grad);
        struct job job = {node, 1, row_length(node), which};
        if (p->side[which].same) {
            job.pieces = par_pieces(node->count, GRAIN);
            par_run(job.pieces, backward_elements, &job);
        } else if (p->side[which].period > 1 && p->side[which].period == job.row) {
            job.pieces = par_pieces(job.row, 256);
            par_run(job.pieces, backward_repeats, &job);
        } else {
            backward_elements(&job, 0, 0);
        }
    }
}

static bool broadcast(struct ag_shape *out, const struct ag_shape *a, const struct ag_shape *b)
{
    out->dims = a->dims > b->dims ? a->dims : b->dims;
    for (int d = 1; d <= out->dims; d++) {
        int64_t x = d <= a->dims ? a->size[a->dims - d] : 1;
        int64_t y = d <= b->dims ? b->size[b->dims - d] : 1;
        if (x != y && x != 1 && y != 1)
            return false;
        out->size[out->dims - d] = x > y ? x : y;
    }
    return true;
}

static ag_t *build(struct ag_graph *graph, const struct ag_op *op, enum kind kind, ag_t *a, ag_t *b)
{
    struct ag_shape out = {0};
    char ta[96], tb[96];
    if (!broadcast(&out, &a->shape, &b->shape))
        return ag_fail(graph, "%s: shapes %s and %s do not fit", op->name,
                       ag_shape_text(a->shape, ta), ag_shape_text(b->shape, tb));
    struct param p = {.kind = kind == ANGLE ? MUL : kind,
                      .angle = kind == ANGLE,
                      .side = {side_of(&out, a), side_of(&out, b)}};
    return ag_node(graph, op, out, 2, (ag_t *const[]){a, b}, &p, sizeof p);
}

typedef ag_t *builder(struct ag_graph *graph, ag_t *a, ag_t *b);

static ag_t *random_case(struct ag_graph *graph, struct rng *rng, int variant, builder *build_op)
{
    int64_t b = ag_case_size(rng, 3), t = ag_case_size(rng, 5), c = ag_case_size(rng, 7);
    struct ag_shape full = ag_shape3(b, t, c), other[] = {full,
                                                          ag_shape2(t, c),
                                                          ag_shape1(c),
                                                          ag_shape3(b, 1, c),
                                                          ag_shape3(b, t, 1),
                                                          ag_shape2(t, 1),
                                                          ag_shape1(1)};
    bool swapped = variant >= 7;
    double high = build_op == ag_angle ? 1.7 : 2; // products stay below half a turn
    ag_t *x = ag_case_leaf(graph, rng, swapped ? other[variant - 7] : full, 0.5, high);
    ag_t *y = ag_case_leaf(graph, rng, swapped ? full : other[variant], 0.5, high);
    if (variant == 13) // both sides repeated
        x = ag_case_leaf(graph, rng, ag_shape3(b, 1, c), 0.5, high);
    if (variant == 13)
        y = ag_case_leaf(graph, rng, ag_shape3(1, t, 1), 0.5, high);
    return build_op(graph, x, y);
}

#define BINARY(NAME, KIND, TEXT, FLAGS)                                                            \
    static struct ag_tensor *NAME##_sample(struct ag_graph *graph, struct rng *rng, int variant)   \
    {                                                                                              \
        return random_case(graph, rng, variant, ag_##NAME);                                        \
    }                                                                                              \
    const struct ag_op ag_op_##NAME = {                                                            \
        .name = #NAME,                                                                             \
        .formula = (TEXT),                                                                         \
        .flags = (FLAGS),                                                                          \
        .forward = forward,                                                                        \
        .backward = backward,                                                                      \
        .same_sums = ag_row_by_row,                                                                \
        .variants = 14,                                                                            \
        .sample = NAME##_sample,                                                                   \
    };                                                                                             \
    ag_t *ag_##NAME(struct ag_graph *graph, ag_t *a, ag_t *b)                                      \
    {                                                                                              \
        return build(graph, &ag_op_##NAME, KIND, a, b);                                            \
    }

// The data of a sum's sides is addressed but never read by backward_row's first branch only, so
// inputs are kept.
BINARY(add, ADD, "y = a + b, broadcast", AG_BACKWARD_READS_INPUTS | AG_BACKWARD_HANDLES_FRESH)
BINARY(sub, SUB, "y = a - b, broadcast", AG_BACKWARD_READS_INPUTS | AG_BACKWARD_HANDLES_FRESH)
BINARY(mul, MUL, "y = a b, broadcast", AG_BACKWARD_READS_INPUTS | AG_BACKWARD_HANDLES_FRESH)
BINARY(div, DIV, "y = a / b, broadcast",
       AG_BACKWARD_READS_INPUTS | AG_BACKWARD_HANDLES_FRESH | AG_HAS_LIMITS)
BINARY(angle, ANGLE, "y = a b less whole turns, at most half a turn, broadcast",
       AG_BACKWARD_READS_INPUTS | AG_BACKWARD_HANDLES_FRESH)
