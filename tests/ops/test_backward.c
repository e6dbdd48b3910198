// What every op's backward owes the plan, over the random cases of the gradient check: where it is
// not the first to write a gradient it adds, and an input that wants no gradient changes none of
// the others.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../support/check.h"

#include "../../autograd/base/err.h"
#include "../../autograd/ops/op.h"

enum { SEEDS = 6, MOST = 1 << 18 };

// One case of one op, and the gradients of its leaves.
struct backward_case {
    const struct ag_op *op;
    int variant;
    uint64_t seed;
    struct ag_graph graph;
    struct ag_plan *plan;
    struct ag_tensor *output;
};

static struct ag_tensor *leaf(const struct backward_case *c, int number)
{
    for (struct ag_tensor *t = c->graph.first; t; t = t->next)
        if (!t->op && t->type == AG_REAL && number-- == 0)
            return t;
    return NULL;
}

// Without the gradient of leaf `without` (-1: with all). False where nothing wants one then.
static bool begin(struct backward_case *c, int without)
{
    struct rng rng;
    ag_graph_init(&c->graph, NULL);
    rng_init(&rng, rng_stream(c->seed, c->op->name), (uint64_t)c->variant, 0);
    c->output = ag_keep(c->op->sample(&c->graph, &rng, c->variant));
    if (without >= 0)
        leaf(c, without)->needs_grad = false;
    c->plan = ag_plan_new(&c->graph, c->output, true);
    if (!c->plan)
        fail_msg("%s: %s", c->op->name, err_last());
    struct ag_run *run = ag_plan_run(c->plan);
    run->seed = c->seed;
    run->step = 1;
    run->training = true;
    return c->output->grad != NULL;
}

static void end(struct backward_case *c)
{
    ag_plan_free(c->plan);
    ag_graph_release(&c->graph);
}

static void cotangent(const struct backward_case *c, real *to)
{
    struct rng rng;
    rng_init(&rng, rng_stream(c->seed, "cotangent"), 0, 0);
    assert_true(c->output->count <= MOST);
    for (int64_t i = 0; i < c->output->count; i++)
        to[i] = (real)(rng_uniform(&rng) + 0.5) * (rng_below(&rng, 2) ? 1 : -1);
}

static void visit_cases(void (*visit)(struct backward_case *c, real *given, real *grad))
{
    real *given = malloc(MOST * sizeof *given), *grad = malloc(MOST * sizeof *grad);
    assert_true(given && grad);
    for (int i = 0; i < ag_op_count; i++) {
        for (int k = 0; k < ag_ops[i]->variants * SEEDS; k++) {
            struct backward_case c = {
                .op = ag_ops[i], .variant = k / SEEDS, .seed = (uint64_t)(k % SEEDS)};
            if (!(ag_ops[i]->flags & AG_NO_BACKWARD))
                visit(&c, given, grad);
        }
    }
    free(given);
    free(grad);
}

// --- adding

// What stands in a gradient before: of its size, so that neither is lost beside the other.
static real before(int64_t i)
{
    return (real)(i % 7 - 3) / 4;
}

static void check_adds(struct backward_case *c, real *given, real *grad)
{
    if (!begin(c, -1))
        fail_msg("%s: no gradient", c->op->name);
    struct ag_tensor *node = c->output;
    cotangent(c, given);
    ag_forward(c->plan);
    ag_backward(c->plan, given);
    if (node->op != c->op || node->base) {
        end(c); // a view, or something around it: it has no kernel to call
        return;
    }
    int64_t count = 0;
    for (int k = 0; k < node->inputs; k++) {
        const struct ag_tensor *x = node->input[k];
        if (!x || !x->grad)
            continue;
        assert_true(count + x->count <= MOST);
        memcpy(grad + count, x->grad, (size_t)x->count * sizeof *grad);
        count += x->count;
    }
    ag_forward(c->plan);
    for (int k = 0; k < node->inputs; k++)
        for (int64_t i = 0; node->input[k] && node->input[k]->grad && i < node->input[k]->count;
             i++)
            node->input[k]->grad[i] = before(i);
    for (int64_t i = 0; i < node->count; i++)
        node->grad[i] = given[i];
    node->fresh = 0;
    c->op->backward(ag_plan_run(c->plan), node);
    count = 0;
    for (int k = 0; k < node->inputs; k++) {
        const struct ag_tensor *x = node->input[k];
        if (!x || !x->grad)
            continue;
        bool twice = false; // an input that is there twice was added to twice, from zero
        for (int other = 0; other < node->inputs; other++)
            twice |= other != k && node->input[other] == x;
        for (int64_t i = 0; i < x->count && !twice; i++) {
            double want = (double)grad[count + i] + (double)before(i);
            if (!check_is_close((double)x->grad[i], want, 20 * CHECK_ROUNDING, 20 * CHECK_ROUNDING))
                fail_msg("%s, case %d, seed %d: input %d, element %lld: %g is %g with %g before",
                         c->op->name, c->variant, (int)c->seed, k, (long long)i,
                         (double)grad[count + i], (double)x->grad[i], (double)before(i));
        }
        count += x->count;
    }
    end(c);
}

static void gradients_are_added_to_what_is_there(void **state)
{
    (void)state;
    visit_cases(check_adds);
}

// --- inputs without a gradient

static int64_t leaf_gradients(const struct backward_case *c, int without, real *to)
{
    int64_t count = 0;
    for (int l = 0; leaf(c, l); l++) {
        const struct ag_tensor *t = leaf(c, l);
        if (l == without || !t->grad)
            continue;
        assert_true(count + t->count <= MOST);
        memcpy(to + count, t->grad, (size_t)t->count * sizeof *to);
        count += t->count;
    }
    return count;
}

static void check_without(struct backward_case *c, real *given, real *grad)
{
    for (int without = 0;; without++) {
        begin(c, -1);
        bool there = leaf(c, without) != NULL;
        bool wanted = there && leaf(c, without)->grad;
        cotangent(c, given);
        ag_forward(c->plan);
        ag_backward(c->plan, given);
        int64_t count = leaf_gradients(c, without, grad);
        end(c);
        if (!there)
            return;
        if (!wanted || count == 0)
            continue;
        begin(c, without);
        ag_forward(c->plan);
        ag_backward(c->plan, given);
        real *other = given + c->output->count;
        assert_true(c->output->count + count <= MOST);
        assert_null(leaf(c, without)->grad);
        assert_int_equal(leaf_gradients(c, without, other), count);
        if (memcmp(other, grad, (size_t)count * sizeof *grad) != 0)
            fail_msg("%s, case %d, seed %d: other gradients without that of leaf %d", c->op->name,
                     c->variant, (int)c->seed, without);
        end(c);
    }
}

static void an_input_without_a_gradient_changes_no_other(void **state)
{
    (void)state;
    visit_cases(check_without);
}

CHECK_MAIN(cmocka_unit_test(gradients_are_added_to_what_is_there),
           cmocka_unit_test(an_input_without_a_gradient_changes_no_other))
