// Elementwise functions of one tensor: a row each, with f and its derivative given x and y = f(x).
#include <math.h>

#include "../ag_ops.h"
#include "../base/par.h"
#include "../kernels/vector.h"
#include "op.h"

enum { GRAIN = 1 << 13 };

#ifdef POSGRAD_DOUBLE
#define M(name) name
#else
#define M(name) name##f
#endif

struct job {
    struct ag_tensor *node;
    int64_t pieces;
};

// FORWARD and BACKWARD are expressions in x, y and (BACKWARD) the gradient g.
#define UNARY(NAME, TEXT, LOW, HIGH, FORWARD, BACKWARD)                                            \
    static void NAME##_forward_piece(void *context, int64_t piece, int thread)                     \
    {                                                                                              \
        (void)thread;                                                                              \
        const struct job *job = context;                                                           \
        const real *in = job->node->input[0]->data;                                                \
        real *out = job->node->data;                                                               \
        int64_t end = par_begin(job->node->count, job->pieces, piece + 1);                         \
        _Pragma("omp simd") for (int64_t i = par_begin(job->node->count, job->pieces, piece);      \
                                 i < end; i++)                                                     \
        {                                                                                          \
            real x = in[i];                                                                        \
            out[i] = FORWARD;                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void NAME##_forward(const struct ag_run *run, struct ag_tensor *node)                   \
    {                                                                                              \
        (void)run;                                                                                 \
        struct job job = {node, par_pieces(node->count, GRAIN)};                                   \
        par_run(job.pieces, NAME##_forward_piece, &job);                                           \
    }                                                                                              \
    static void NAME##_backward_piece(void *context, int64_t piece, int thread)                    \
    {                                                                                              \
        (void)thread;                                                                              \
        const struct job *job = context;                                                           \
        const real *in = job->node->input[0]->data, *out = job->node->data;                        \
        const real *grad = job->node->grad;                                                        \
        real *to = job->node->input[0]->grad;                                                      \
        real old = ag_is_fresh(job->node, 0) ? 0 : 1;                                              \
        int64_t end = par_begin(job->node->count, job->pieces, piece + 1);                         \
        for (int64_t i = par_begin(job->node->count, job->pieces, piece); i < end; i++) {          \
            real x = in[i], y = out[i], g = grad[i];                                               \
            (void)y;                                                                               \
            (void)x;                                                                               \
            to[i] = (old != 0 ? to[i] : 0) + (BACKWARD);                                           \
        }                                                                                          \
    }                                                                                              \
    static void NAME##_backward(const struct ag_run *run, struct ag_tensor *node)                  \
    {                                                                                              \
        (void)run;                                                                                 \
        struct job job = {node, par_pieces(node->count, GRAIN)};                                   \
        if (node->input[0]->grad)                                                                  \
            par_run(job.pieces, NAME##_backward_piece, &job);                                      \
    }                                                                                              \
    static struct ag_tensor *NAME##_sample(struct ag_graph *graph, struct rng *rng, int variant)   \
    {                                                                                              \
        struct ag_shape shape =                                                                    \
            variant ? ag_shape3(ag_case_size(rng, 3), ag_case_size(rng, 5), ag_case_size(rng, 7))  \
                    : ag_shape1(ag_case_size(rng, 9));                                             \
        return ag_##NAME(graph, ag_case_leaf(graph, rng, shape, LOW, HIGH));                       \
    }                                                                                              \
    const struct ag_op ag_op_##NAME = {                                                            \
        .name = #NAME,                                                                             \
        .formula = (TEXT),                                                                         \
        .flags = AG_BACKWARD_READS_INPUTS | AG_BACKWARD_READS_OUTPUT | AG_BACKWARD_HANDLES_FRESH | \
                 AG_HAS_LIMITS,                                                                    \
        .forward = NAME##_forward,                                                                 \
        .backward = NAME##_backward,                                                               \
        .variants = 2,                                                                             \
        .sample = NAME##_sample,                                                                   \
    };                                                                                             \
    ag_t *ag_##NAME(struct ag_graph *graph, ag_t *x)                                               \
    {                                                                                              \
        return ag_node(graph, &ag_op_##NAME, x->shape, 1, &x, NULL, 0);                            \
    }

// Where f has a finite limit at infinity its derivative would hide that x was not finite.
#define LIMITED(derivative) (x - x == 0 ? (derivative) : (real)NAN)

// Names, formulas, a range for random cases away from kinks and poles, f, g f'.
UNARY(exp, "y = exp(x)", -2, 2, vector_exp1(x), LIMITED(g *y))
UNARY(log, "y = log(x)", 0.5, 3, M(log)(x), g / x)
UNARY(sin, "y = sin(x)", -3, 3, M(sin)(x), g *M(cos)(x))
UNARY(cos, "y = cos(x)", -3, 3, M(cos)(x), -g *M(sin)(x))
UNARY(tanh, "y = tanh(x)", -2, 2, vector_tanh1(x), LIMITED(g *(1 - y * y)))
UNARY(sigmoid, "y = 1 / (1 + exp(-x))", -3, 3, vector_sigmoid1(x), LIMITED(g *y *(1 - y)))
UNARY(softplus, "y = log(1 + exp(x))", -3, 3,
      (x > 0 ? x : 0) + M(log1p)(vector_exp1(x > 0 ? -x : x)), LIMITED(g *vector_sigmoid1(x)))
UNARY(relu, "y = max(x, 0)", 0.05, 2, x > 0 ? x : (x != x ? x : 0), LIMITED(x > 0 ? g : 0))
UNARY(abs, "y = |x|", -2, -0.05, M(fabs)(x), x > 0 ? g : (x < 0 ? -g : 0))
UNARY(sqrt, "y = sqrt(x)", 0.5, 3, M(sqrt)(x), g / (2 * y))
UNARY(square, "y = x^2", -2, 2, x *x, 2 * g * x)
UNARY(reciprocal, "y = 1 / x", 0.5, 3, 1 / x, LIMITED(-g *y *y))
UNARY(neg, "y = -x", -2, 2, -x, -g)
// gelu: y = x Phi(x), y' = Phi(x) + x phi(x).
UNARY(gelu, "y = x Phi(x), Phi the normal distribution function", -3, 3, x *vector_normal1(x),
      g *(vector_normal1(x) + x * REAL(0.39894228040143267794) * vector_exp1(REAL(-0.5) * x * x)))
