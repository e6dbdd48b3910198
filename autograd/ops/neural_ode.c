// The solution of a neural differential equation at every position (Chen et al. 2018, arXiv
// 1806.07366, as FLOATER uses it: Liu et al. 2020, arXiv 2003.09229):
// dp/dt = W_down [relu(W_up [p; t] + c_up); t] + c_down.
//
// The classical Runge-Kutta method of order four with fixed steps. Backward is that of the
// discretised solver, stage by stage from the end, and so exact for what forward computed; an
// adjoint equation would be solved with an error of its own. It keeps nothing but the output: the
// stages between two positions are made again. Rows of the state are independent: a piece takes a
// few through all of time, and sums its part of the weights' gradients, which are added in order.
#include <string.h>

#include "../ag_ops.h"
#include "../base/par.h"
#include "../kernels/gemm.h"
#include "op.h"

enum { START, UP_WEIGHT, UP_BIAS, DOWN_WEIGHT, DOWN_BIAS, INPUTS };
enum { STAGES = 4, ROWS = 3, MAX_PIECES = 8 };

// Stage j is taken at t + node[j] step, and counts weight[j].
static const double stage_node[STAGES] = {0, 0.5, 0.5, 1};
static const double stage_weight[STAGES] = {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6};

struct param {
    int64_t rows, width, length, substeps;
    double dt;
};

struct job {
    const struct ag_run *run;
    struct ag_tensor *node;
};

// Some rows on their way through time. Blocks of the stages between two positions are
// [substeps][STAGES][rows, width].
struct walk {
    const struct ag_tensor *node;
    int64_t first, rows, width, size; // size: rows * width
    real *state;                      // [rows, width]
    real *slope;                      // [STAGES][rows, width]
    real *point, *hidden;             // what a stage was evaluated at, its hidden layer
    real *d_slope, *d_hidden;         // their gradients, d_hidden before the relu
    real *grad, *d_point, *sum;       // [rows, width]: of the state, of a stage, of all stages
};

static int64_t piece_count(const struct param *p)
{
    int64_t pieces = par_pieces(p->rows, ROWS);
    return pieces < MAX_PIECES ? pieces : MAX_PIECES;
}

static int64_t scratch_count(const struct param *p)
{
    int64_t pieces = piece_count(p), rows = (p->rows + pieces - 1) / pieces;
    return rows * p->width * (4 + STAGES + 4 * STAGES * p->substeps);
}

static struct walk walk_of(const struct job *job, int64_t piece, int thread)
{
    const struct param *p = job->node->param;
    int64_t pieces = piece_count(p);
    struct walk w = {.node = job->node, .width = p->width};
    w.first = par_begin(p->rows, pieces, piece);
    w.rows = par_begin(p->rows, pieces, piece + 1) - w.first;
    w.size = w.rows * w.width;
    w.state = ag_scratch(job->run, thread);
    w.grad = w.state + w.size;
    w.d_point = w.grad + w.size;
    w.sum = w.d_point + w.size;
    w.slope = w.sum + w.size;
    w.point = w.slope + STAGES * w.size;
    w.hidden = w.point + p->substeps * STAGES * w.size;
    w.d_slope = w.hidden + p->substeps * STAGES * w.size;
    w.d_hidden = w.d_slope + p->substeps * STAGES * w.size;
    return w;
}

// y [rows, width] = W [x; t] + c
static void affine(const struct walk *w, int weight_input, const real *x, double t, real *y)
{
    const real *weight = w->node->input[weight_input]->data;
    const real *bias = w->node->input[weight_input + 1]->data;
    int64_t c = w->width;
    for (int64_t k = 0; k < c; k++)
        y[k] = bias[k] + (real)t * weight[k * (c + 1) + c];
    for (int64_t r = 1; r < w->rows; r++)
        memcpy(y + r * c, y, (size_t)c * sizeof *y);
    gemm(false, true, w->rows, c, c, 1, x, c, weight, c + 1, 1, y, c);
}

static double step_of(const struct param *p)
{
    return p->dt / (double)p->substeps;
}

// When stage `stage` of substep `substep` after `position` is evaluated.
static double time_of(const struct param *p, int64_t position, int64_t substep, int64_t stage)
{
    return (double)position * p->dt + ((double)substep + stage_node[stage]) * step_of(p);
}

// One Runge-Kutta step of the state; what the stages saw goes to `slot` of point and hidden.
static void advance(const struct walk *w, int64_t position, int64_t substep, int64_t slot)
{
    const struct param *p = w->node->param;
    double step = step_of(p);
    for (int64_t j = 0; j < STAGES; j++) {
        real *point = w->point + (slot * STAGES + j) * w->size;
        real *hidden = w->hidden + (slot * STAGES + j) * w->size;
        const real *slope = w->slope + (j > 0 ? j - 1 : 0) * w->size;
        real ahead = (real)(j > 0 ? stage_node[j] * step : 0);
        for (int64_t i = 0; i < w->size; i++)
            point[i] = w->state[i] + (j > 0 ? ahead * slope[i] : 0);
        double t = time_of(p, position, substep, j);
        affine(w, UP_WEIGHT, point, t, hidden);
        for (int64_t i = 0; i < w->size; i++)
            hidden[i] = hidden[i] < 0 ? 0 : hidden[i];
        affine(w, DOWN_WEIGHT, hidden, t, w->slope + j * w->size);
    }
    for (int64_t j = 0; j < STAGES; j++)
        for (int64_t i = 0; i < w->size; i++)
            w->state[i] += (real)(step * stage_weight[j]) * w->slope[j * w->size + i];
}

static int64_t place(const struct walk *w, int64_t position)
{
    return (position * ((const struct param *)w->node->param)->rows + w->first) * w->width;
}

static void forward_piece(void *context, int64_t piece, int thread)
{
    const struct job *job = context;
    const struct param *p = job->node->param;
    struct walk w = walk_of(job, piece, thread);
    size_t size = (size_t)w.size * sizeof(real);
    memcpy(w.state, job->node->input[START]->data + w.first * w.width, size);
    memcpy(job->node->data + place(&w, 0), w.state, size);
    for (int64_t i = 1; i < p->length; i++) {
        for (int64_t s = 0; s < p->substeps; s++)
            advance(&w, i - 1, s, 0);
        memcpy(job->node->data + place(&w, i), w.state, size);
    }
}

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    struct job job = {run, node};
    par_run_in_region(piece_count(node->param), forward_piece, &job);
}

// The state's gradient from after a substep to before it.
static void retreat(const struct walk *w, int64_t substep)
{
    double step = step_of(w->node->param);
    real *grad = w->grad, *d_point = w->d_point, *sum = w->sum;
    int64_t c = w->width;
    memset(sum, 0, (size_t)w->size * sizeof *sum);
    for (int64_t j = STAGES - 1; j >= 0; j--) {
        int64_t at = (substep * STAGES + j) * w->size;
        real *d_slope = w->d_slope + at, *d_hidden = w->d_hidden + at;
        real count = (real)(step * stage_weight[j]);
        real ahead = (real)(j < STAGES - 1 ? step * stage_node[j + 1] : 0);
        for (int64_t i = 0; i < w->size; i++)
            d_slope[i] = count * grad[i] + (j < STAGES - 1 ? ahead * d_point[i] : 0);
        gemm(false, false, w->rows, c, c, 1, d_slope, c, w->node->input[DOWN_WEIGHT]->data, c + 1,
             0, d_hidden, c);
        for (int64_t i = 0; i < w->size; i++)
            d_hidden[i] = w->hidden[at + i] > 0 ? d_hidden[i] : 0;
        gemm(false, false, w->rows, c, c, 1, d_hidden, c, w->node->input[UP_WEIGHT]->data, c + 1, 0,
             d_point, c);
        for (int64_t i = 0; i < w->size; i++)
            sum[i] += d_point[i];
    }
    for (int64_t i = 0; i < w->size; i++)
        grad[i] += sum[i];
}

// Elements of the gradients of one map: weight [C, C + 1], then bias [C].
static int64_t map_size(int64_t width)
{
    return width * (width + 2);
}

// Adds the gradients of one map, summed over the stages after `position`.
static void add_map(const struct walk *w, int64_t position, const real *in, const real *d_out,
                    real *weight)
{
    const struct param *p = w->node->param;
    int64_t c = w->width, stages = p->substeps * STAGES;
    real *bias = weight + c * (c + 1);
    gemm(true, false, c, c, stages * w->rows, 1, d_out, c, in, c, 1, weight, c + 1);
    for (int64_t i = 0; i < stages * w->rows; i++) {
        int64_t stage = i / w->rows;
        real t = (real)time_of(p, position, stage / STAGES, stage % STAGES);
        for (int64_t k = 0; k < c; k++) {
            bias[k] += d_out[i * c + k];
            weight[k * (c + 1) + c] += t * d_out[i * c + k];
        }
    }
}

// The state's gradient from position + 1 to position, and what the stages between add to the maps'.
static void go_back(const struct walk *w, int64_t position, real *up, real *down)
{
    const struct param *p = w->node->param;
    memcpy(w->state, w->node->data + place(w, position), (size_t)w->size * sizeof(real));
    for (int64_t s = 0; s < p->substeps; s++)
        advance(w, position, s, s);
    for (int64_t s = p->substeps - 1; s >= 0; s--)
        retreat(w, s);
    add_map(w, position, w->point, w->d_hidden, up);
    add_map(w, position, w->hidden, w->d_slope, down);
}

static void backward_piece(void *context, int64_t piece, int thread)
{
    const struct job *job = context;
    const struct ag_tensor *node = job->node;
    struct walk w = walk_of(job, piece, thread);
    real *up = (real *)node->partial + 2 * piece * map_size(w.width);
    real *down = up + map_size(w.width);
    memset(up, 0, (size_t)(2 * map_size(w.width)) * sizeof *up);
    memset(w.grad, 0, (size_t)w.size * sizeof *w.grad);
    for (int64_t i = ((const struct param *)node->param)->length - 1; i >= 0; i--) {
        const real *grad = node->grad + place(&w, i);
        for (int64_t k = 0; k < w.size; k++)
            w.grad[k] += grad[k];
        if (i > 0)
            go_back(&w, i - 1, up, down);
    }
    if (!node->input[START]->grad)
        return;
    real *start = node->input[START]->grad + w.first * w.width;
    bool fresh = ag_is_fresh(node, START);
    for (int64_t k = 0; k < w.size; k++)
        start[k] = w.grad[k] + (fresh ? 0 : start[k]);
}

// Adds the pieces' sums to the gradient of one input, in order.
static void sum_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct ag_tensor *node = context;
    const struct param *p = node->param;
    int input = UP_WEIGHT + (int)piece;
    real *grad = node->input[input]->grad;
    if (!grad)
        return;
    int64_t stride = 2 * map_size(p->width);
    const real *part = (const real *)node->partial;
    part += input >= DOWN_WEIGHT ? map_size(p->width) : 0;
    part += input == UP_BIAS || input == DOWN_BIAS ? p->width * (p->width + 1) : 0;
    bool fresh = ag_is_fresh(node, input);
    for (int64_t i = 0; i < node->input[input]->count; i++) {
        real sum = fresh ? 0 : grad[i];
        for (int64_t k = 0; k < piece_count(p); k++)
            sum += part[k * stride + i];
        grad[i] = sum;
    }
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    struct job job = {run, node};
    par_run_in_region(piece_count(node->param), backward_piece, &job);
    par_run(INPUTS - UP_WEIGHT, sum_piece, node);
}

// Hidden units stay on their side of the relu's kink: their bias is far from zero.
static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    int64_t rows = variant == 2 ? 2 * ROWS + 1 : ag_case_size(rng, 3), c = ag_case_size(rng, 5);
    struct ag_neural_ode ode = {.dt = 0.1, .substeps = variant + 1, .length = ag_case_size(rng, 5)};
    ode.start = ag_case_leaf(graph, rng, ag_shape2(rows, c), -1, 1);
    ode.up_weight = ag_case_leaf(graph, rng, ag_shape2(c, c + 1), -0.2, 0.2);
    ode.up_bias = ag_case_leaf(graph, rng, ag_shape1(c), 2.5, 3.5);
    for (int64_t k = 0; k < c; k += 2)
        ((real *)ode.up_bias->param)[k] *= variant == 1 ? -1 : 1;
    ode.down_weight = ag_case_leaf(graph, rng, ag_shape2(c, c + 1), -0.2, 0.2);
    ode.down_bias = ag_case_leaf(graph, rng, ag_shape1(c), -1, 1);
    return ag_neural_ode(graph, &ode);
}

const struct ag_op ag_op_neural_ode = {
    .name = "neural_ode",
    .formula = "p(i dt) of dp/dt = W_down [relu(W_up [p; t] + c_up); t] + c_down, by RK4",
    .flags = AG_BACKWARD_READS_INPUTS | AG_BACKWARD_READS_OUTPUT | AG_BACKWARD_HANDLES_FRESH |
             AG_HAS_LIMITS,
    .forward = forward,
    .backward = backward,
    .variants = 3,
    .sample = sample,
};

static bool is_map(const ag_t *weight, const ag_t *bias, int64_t c)
{
    return weight->shape.dims == 2 && weight->shape.size[0] == c &&
           weight->shape.size[1] == c + 1 && bias->shape.dims == 1 && bias->count == c;
}

ag_t *ag_neural_ode(struct ag_graph *graph, const struct ag_neural_ode *ode)
{
    char text[96];
    struct ag_shape shape = {.dims = ode->start->shape.dims + 1, .size = {ode->length}};
    if (shape.dims < 2 || shape.dims > AG_MAX_DIMS)
        return ag_fail(graph, "neural_ode: start %s is not [..., C]",
                       ag_shape_text(ode->start->shape, text));
    memcpy(shape.size + 1, ode->start->shape.size,
           (size_t)ode->start->shape.dims * sizeof *shape.size);
    int64_t c = shape.size[shape.dims - 1];
    if (!is_map(ode->up_weight, ode->up_bias, c) || !is_map(ode->down_weight, ode->down_bias, c))
        return ag_fail(graph, "neural_ode: weights must be [%lld, %lld], biases [%lld]",
                       (long long)c, (long long)c + 1, (long long)c);
    if (ode->length < 1 || ode->substeps < 1 || !(ode->dt > 0))
        return ag_fail(graph, "neural_ode: length, substeps and dt must be positive");
    struct param p = {ode->start->count / c, c, ode->length, ode->substeps, ode->dt};
    ag_t *input[INPUTS] = {ode->start, ode->up_weight, ode->up_bias, ode->down_weight,
                           ode->down_bias};
    ag_t *node = ag_node(graph, &ag_op_neural_ode, shape, INPUTS, input, &p, sizeof p);
    if (graph->error)
        return node;
    node->scratch_size = (size_t)scratch_count(&p) * sizeof(real);
    node->partial_size = (size_t)(2 * piece_count(&p) * map_size(c)) * sizeof(real);
    return node;
}
