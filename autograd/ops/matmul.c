// Batched matrix product, either side transposed, either side without a batch.
//
// Forward and the gradient of a batched side: a piece is one matrix of the batch. The gradient of a
// side that is shared by the batch is summed over it in order, in one piece for each strip of its
// rows.
#include "../ag_ops.h"
#include "../base/par.h"
#include "../kernels/gemm.h"
#include "op.h"

struct param {
    bool transpose_a, transpose_b;
    bool shared_a, shared_b; // this side has no leading dimensions and the other has
    int64_t batch, m, n, k;
};

enum { STRIP = 32 };

static const real *matrix_a(const struct ag_tensor *node, int64_t i)
{
    const struct param *p = node->param;
    return node->input[0]->data + (p->shared_a ? 0 : i * p->m * p->k);
}

static const real *matrix_b(const struct ag_tensor *node, int64_t i)
{
    const struct param *p = node->param;
    return node->input[1]->data + (p->shared_b ? 0 : i * p->k * p->n);
}

static void forward_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    struct ag_tensor *node = context;
    const struct param *p = node->param;
    gemm(p->transpose_a, p->transpose_b, p->m, p->n, p->k, 1, matrix_a(node, piece),
         p->transpose_a ? p->m : p->k, matrix_b(node, piece), p->transpose_b ? p->k : p->n, 0,
         node->data + piece * p->m * p->n, p->n);
}

static void forward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    par_run_in_region(((const struct param *)node->param)->batch, forward_piece, node);
}

// Rows [begin, begin + count) of the stored matrix a of batch entry i: da = dc op(b)^T, or its
// transpose.
static void grad_a(const struct ag_tensor *node, int64_t i, int64_t begin, int64_t count, real beta)
{
    const struct param *p = node->param;
    const real *dc = node->grad + i * p->m * p->n, *b = matrix_b(node, i);
    int64_t ldb = p->transpose_b ? p->k : p->n;
    real *da = node->input[0]->grad + (p->shared_a ? 0 : i * p->m * p->k);
    if (!p->transpose_a) // [m, k]
        gemm(false, !p->transpose_b, count, p->k, p->n, 1, dc + begin * p->n, p->n, b, ldb, beta,
             da + begin * p->k, p->k);
    else // stored [k, m]: da^T = op(b) dc^T
        gemm(p->transpose_b, true, count, p->m, p->n, 1,
             b + (p->transpose_b ? begin : begin * p->n), ldb, dc, p->n, beta, da + begin * p->m,
             p->m);
}

static void grad_b(const struct ag_tensor *node, int64_t i, int64_t begin, int64_t count, real beta)
{
    const struct param *p = node->param;
    const real *dc = node->grad + i * p->m * p->n, *a = matrix_a(node, i);
    int64_t lda = p->transpose_a ? p->m : p->k;
    real *db = node->input[1]->grad + (p->shared_b ? 0 : i * p->k * p->n);
    if (!p->transpose_b) // [k, n]: db = op(a)^T dc
        gemm(!p->transpose_a, false, count, p->n, p->m, 1,
             a + (p->transpose_a ? begin * p->m : begin), lda, dc, p->n, beta, db + begin * p->n,
             p->n);
    else // stored [n, k]: db^T = dc^T op(a)
        gemm(true, p->transpose_a, count, p->k, p->m, 1, dc + begin, p->n, a, lda, beta,
             db + begin * p->k, p->k);
}

typedef void side_function(const struct ag_tensor *node, int64_t i, int64_t begin, int64_t count,
                           real beta);

struct side {
    const struct ag_tensor *node;
    side_function *function;
    int64_t batch, rows; // rows of the stored matrix
    bool shared, fresh;
};

static void side_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct side *s = context;
    if (!s->shared) {
        s->function(s->node, piece, 0, s->rows, s->fresh ? 0 : 1);
        return;
    }
    int64_t begin = piece * STRIP;
    int64_t count = begin + STRIP < s->rows ? STRIP : s->rows - begin;
    for (int64_t i = 0; i < s->batch; i++)
        s->function(s->node, i, begin, count, s->fresh && i == 0 ? 0 : 1);
}

static void side_run(struct side *s)
{
    par_run_in_region(s->shared ? (s->rows + STRIP - 1) / STRIP : s->batch, side_piece, s);
}

static void backward(const struct ag_run *run, struct ag_tensor *node)
{
    (void)run;
    const struct param *p = node->param;
    if (node->input[0]->grad)
        side_run(&(struct side){node, grad_a, p->batch, p->transpose_a ? p->k : p->m, p->shared_a,
                                ag_is_fresh(node, 0)});
    if (node->input[1]->grad)
        side_run(&(struct side){node, grad_b, p->batch, p->transpose_b ? p->n : p->k, p->shared_b,
                                ag_is_fresh(node, 1)});
}

static struct ag_tensor *sample(struct ag_graph *graph, struct rng *rng, int variant)
{
    bool ta = variant & 1, tb = variant & 2;
    int shared = variant / 4; // 0: both batched, 1: a shared, 2: b shared, 3: no batch
    int64_t batch = ag_case_size(rng, 4), m = ag_case_size(rng, 7), n = ag_case_size(rng, 7);
    int64_t k = ag_case_size(rng, 7);
    if (variant == 4)
        m = STRIP + 1;
    struct ag_shape a = ag_shape3(batch, ta ? k : m, ta ? m : k);
    struct ag_shape b = ag_shape3(batch, tb ? n : k, tb ? k : n);
    if (shared & 1)
        a = ag_shape2(a.size[1], a.size[2]);
    if (shared & 2)
        b = ag_shape2(b.size[1], b.size[2]);
    return ag_matmul(graph, ag_case_leaf(graph, rng, a, -1, 1), ta,
                     ag_case_leaf(graph, rng, b, -1, 1), tb);
}

static const struct ag_setting settings[] = {
    {"transpose_a", AG_SETTING_BOOL, offsetof(struct param, transpose_a)},
    {"transpose_b", AG_SETTING_BOOL, offsetof(struct param, transpose_b)},
    {0},
};

const struct ag_op ag_op_matmul = {
    .name = "matmul",
    .formula = "c = a b, batched, either side transposed",
    .flags = AG_BACKWARD_READS_INPUTS | AG_BACKWARD_HANDLES_FRESH,
    .forward = forward,
    .backward = backward,
    .settings = settings,
    .variants = 16,
    .sample = sample,
};

static bool same_leading(struct ag_shape a, struct ag_shape b)
{
    if (a.dims != b.dims)
        return false;
    for (int i = 0; i + 2 < a.dims; i++)
        if (a.size[i] != b.size[i])
            return false;
    return true;
}

ag_t *ag_matmul(struct ag_graph *graph, ag_t *a, bool transpose_a, ag_t *b, bool transpose_b)
{
    char ta[96], tb[96];
    int da = a->shape.dims, db = b->shape.dims;
    bool good = da >= 2 && db >= 2 && (da == 2 || db == 2 || same_leading(a->shape, b->shape));
    struct param p = {.transpose_a = transpose_a, .transpose_b = transpose_b, .batch = 1};
    int64_t inner = 0;
    if (good) {
        p.m = a->shape.size[transpose_a ? da - 1 : da - 2];
        p.k = a->shape.size[transpose_a ? da - 2 : da - 1];
        inner = b->shape.size[transpose_b ? db - 1 : db - 2];
        p.n = b->shape.size[transpose_b ? db - 2 : db - 1];
    }
    if (!good || inner != p.k)
        return ag_fail(graph, "matmul: %s%s and %s%s do not fit", ag_shape_text(a->shape, ta),
                       transpose_a ? "^T" : "", ag_shape_text(b->shape, tb),
                       transpose_b ? "^T" : "");
    struct ag_shape shape = da >= db ? a->shape : b->shape;
    p.shared_a = da == 2 && db > 2;
    p.shared_b = db == 2 && da > 2;
    for (int i = 0; i + 2 < shape.dims; i++)
        p.batch *= shape.size[i];
    shape.size[shape.dims - 2] = p.m;
    shape.size[shape.dims - 1] = p.n;
    return ag_node(graph, &ag_op_matmul, shape, 2, (ag_t *const[]){a, b}, &p, sizeof p);
}
