// Where the plan puts gradients: that of a residual stream goes on in the memory of the one behind
// it, unless somebody else has written there or wants to read it, and no gradient differs by that.
#include "../support/check.h"

#include "../../autograd/ag_ops.h"
#include "../../autograd/base/err.h"
#include "../../autograd/ops/op.h"

enum { ROWS = 7, WIDTH = 5, BLOCKS = 3, LEAVES = 2 + 3 * BLOCKS };

// A stream of pre-LN blocks: r = r + LayerNorm(r) W^T.
struct stream {
    struct ag_graph graph;
    ag_t *leaf[LEAVES], *residual[BLOCKS], *output;
    int leaves;
    struct ag_plan *plan;
    struct rng rng;
};

static ag_t *leaf(struct stream *s, struct ag_shape shape)
{
    return s->leaf[s->leaves++] = ag_case_leaf(&s->graph, &s->rng, shape, 0, 1);
}

// With `kept`, every residual is read after a replay; with `tapped`, the first is a part of the
// output, too, whose gradient comes before that of the second block.
static void begin(struct stream *s, bool kept, bool tapped)
{
    *s = (struct stream){0};
    rng_init(&s->rng, 1, 0, 0);
    ag_graph_init(&s->graph, NULL);
    ag_t *r = ag_tanh(&s->graph, leaf(s, ag_shape2(ROWS, WIDTH)));
    for (int i = 0; i < BLOCKS; i++) {
        ag_t *gain = leaf(s, ag_shape1(WIDTH)), *bias = leaf(s, ag_shape1(WIDTH));
        ag_t *x = ag_layer_norm(&s->graph, r, gain, bias, 1e-5);
        r = ag_linear_add(&s->graph, x, leaf(s, ag_shape2(WIDTH, WIDTH)), NULL, r);
        s->residual[i] = kept ? ag_keep(r) : r;
    }
    ag_t *all = tapped ? ag_add(&s->graph, r, s->residual[0]) : r;
    s->output = ag_keep(ag_sum_all(&s->graph, ag_square(&s->graph, all)));
    s->plan = ag_plan_new(&s->graph, s->output, true);
    if (!s->plan)
        fail_msg("%s", err_last());
    ag_forward(s->plan);
    ag_backward(s->plan, NULL);
}

static void end(struct stream *s)
{
    ag_plan_free(s->plan);
    ag_graph_release(&s->graph);
}

static void same_gradients(const struct stream *a, const struct stream *b)
{
    assert_int_equal(a->leaves, b->leaves);
    for (int k = 0; k < a->leaves; k++) {
        check_finite_array(a->leaf[k]->grad, a->leaf[k]->count);
        check_same_bytes(a->leaf[k]->grad, b->leaf[k]->grad,
                         (size_t)a->leaf[k]->count * sizeof(real));
    }
}

static void goes_on(void **state)
{
    (void)state;
    static struct stream shared, apart;
    begin(&shared, false, false);
    begin(&apart, true, false);
    for (int i = 1; i < BLOCKS; i++) {
        assert_ptr_equal(shared.residual[i]->grad, shared.residual[0]->grad);
        assert_ptr_not_equal(apart.residual[i]->grad, apart.residual[i - 1]->grad);
    }
    assert_true(ag_plan_stats(shared.plan).planned < ag_plan_stats(apart.plan).planned);
    same_gradients(&shared, &apart);
    end(&shared);
    end(&apart);
}

static void not_where_another_wrote(void **state)
{
    (void)state;
    static struct stream shared, apart;
    begin(&shared, false, true);
    begin(&apart, true, true);
    assert_ptr_equal(shared.residual[1]->grad, shared.residual[2]->grad);
    assert_ptr_not_equal(shared.residual[0]->grad, shared.residual[1]->grad);
    same_gradients(&shared, &apart);
    end(&shared);
    end(&apart);
}

CHECK_MAIN(cmocka_unit_test(goes_on), cmocka_unit_test(not_where_another_wrote))
