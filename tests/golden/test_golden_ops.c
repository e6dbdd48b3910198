// Single ops against torch.nn.functional: the output, and the gradient of every input for a random
// cotangent.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../autograd/ag_ops.h"
#include "../../autograd/base/err.h"
#include "../support/check.h"
#include "../support/golden.h"

#define FILE_NAME "tests/golden/ops.bin"
enum { MAX_LEAVES = 4, MAX_COUNT = 4096 };

// One case while it is built: what it reads from, and the inputs that get gradients.
struct op_case {
    const char *name;
    const struct golden *golden;
    struct ag_graph graph;
    ag_t *leaf[MAX_LEAVES];
    int leaves;
    ag_t *index; // targets or mask
    const char *index_name;
};

static ag_t *leaf(struct op_case *c, const char *name)
{
    const struct golden_array *array = golden_get(c->golden, c->name, name, GOLDEN_REAL);
    assert_true(c->leaves < MAX_LEAVES);
    return c->leaf[c->leaves++] = ag_leaf(&c->graph, name, array->shape);
}

static ag_t *index_input(struct op_case *c, const char *name)
{
    const struct golden_array *array = golden_get(c->golden, c->name, name, GOLDEN_INT);
    c->index_name = name;
    return c->index = ag_input_index(&c->graph, name, array->shape);
}

typedef ag_t *op_build(struct op_case *c);

static ag_t *build_layer_norm(struct op_case *c)
{
    ag_t *x = leaf(c, "x"), *gain = leaf(c, "gain"), *bias = leaf(c, "bias");
    return ag_layer_norm(&c->graph, x, gain, bias, 1e-5);
}

static ag_t *build_gelu(struct op_case *c)
{
    return ag_gelu(&c->graph, leaf(c, "x"));
}

static ag_t *build_softmax(struct op_case *c)
{
    return ag_softmax(&c->graph, leaf(c, "x"));
}

static ag_t *build_cross_entropy(struct op_case *c)
{
    ag_t *x = leaf(c, "x");
    return ag_cross_entropy(&c->graph, x, index_input(c, "target"), 0);
}

static ag_t *build_attention(struct op_case *c)
{
    struct ag_attention attention = {
        .query = leaf(c, "query"),
        .key = leaf(c, "key"),
        .value = leaf(c, "value"),
        .key_mask = index_input(c, "mask"),
        .heads = golden_int(c->golden, c->name, "heads"),
        .scale = golden_real(c->golden, c->name, "scale"),
        .causal = golden_int(c->golden, c->name, "causal") != 0,
    };
    return ag_attention(&c->graph, &attention);
}

// Without a mask the op takes another way; where all keys are there the answer is the same.
static ag_t *build_attention_unmasked(struct op_case *c)
{
    struct ag_attention attention = {
        .query = leaf(c, "query"),
        .key = leaf(c, "key"),
        .value = leaf(c, "value"),
        .heads = golden_int(c->golden, c->name, "heads"),
        .scale = golden_real(c->golden, c->name, "scale"),
        .causal = golden_int(c->golden, c->name, "causal") != 0,
    };
    return ag_attention(&c->graph, &attention);
}

static void fill_leaf(const struct golden *golden, const char *name, ag_t *x)
{
    const struct golden_array *array = golden_get(golden, name, x->name, GOLDEN_REAL);
    for (int64_t i = 0; i < array->count; i++)
        x->data[i] = (real)array->real[i];
    for (int64_t i = 0; i < array->count; i++)
        x->grad[i] = (real)NAN; // ag_backward overwrites the gradients of leaves
}

static void fill(struct op_case *c)
{
    for (int i = 0; i < c->leaves; i++)
        fill_leaf(c->golden, c->name, c->leaf[i]);
    if (!c->index)
        return;
    const struct golden_array *array = golden_get(c->golden, c->name, c->index_name, GOLDEN_INT);
    memcpy(c->index->index, array->index, (size_t)array->count * sizeof *array->index);
}

static int differs(const struct op_case *c, const char *name, const real *actual)
{
    const struct golden_array *array = golden_get(c->golden, c->name, name, GOLDEN_REAL);
    double error = golden_error(array->real, array->count, actual, 0);
    if (error < GOLDEN_TOLERANCE)
        return 0;
    print_error("%s: relative error %g\n", array->name, error);
    return 1;
}

static int case_differs(const struct golden *golden, const char *name, op_build *build)
{
    struct op_case c = {.name = name, .golden = golden};
    real cotangent[MAX_COUNT];
    ag_graph_init(&c.graph, NULL);
    ag_t *output = ag_keep(build(&c));
    struct ag_plan *plan = ag_plan_new(&c.graph, output, true);
    if (!plan)
        fail_msg("%s: %s", name, err_last());
    assert_true(
        ag_shape_equal(output->shape, golden_get(golden, name, "output", GOLDEN_REAL)->shape));
    const struct golden_array *array = golden_get(golden, name, "cotangent", GOLDEN_REAL);
    assert_true(array->count == output->count && output->count <= MAX_COUNT);
    for (int64_t i = 0; i < array->count; i++)
        cotangent[i] = (real)array->real[i];
    fill(&c);
    ag_forward(plan);
    int wrong = differs(&c, "output", output->data);
    ag_backward(plan, cotangent);
    for (int i = 0; i < c.leaves; i++) {
        char grad[64];
        snprintf(grad, sizeof grad, "grad_%s", c.leaf[i]->name);
        wrong += differs(&c, grad, c.leaf[i]->grad);
    }
    ag_plan_free(plan);
    ag_graph_release(&c.graph);
    return wrong;
}

static const struct {
    const char *name;
    op_build *build;
} cases[] = {
    {"layer_norm", build_layer_norm},
    {"layer_norm_far", build_layer_norm},
    {"layer_norm_one", build_layer_norm},
    {"gelu", build_gelu},
    {"gelu_tail", build_gelu},
    {"softmax", build_softmax},
    {"softmax_large", build_softmax},
    {"softmax_one", build_softmax},
    {"cross_entropy", build_cross_entropy},
    {"cross_entropy_large", build_cross_entropy},
    {"attention", build_attention},
    {"attention", build_attention_unmasked},
    {"attention_causal", build_attention},
    {"attention_causal", build_attention_unmasked},
    {"attention_cross", build_attention},
    {"attention_padded", build_attention},
    {"attention_causal_padded", build_attention},
};

static void test_ops_agree_with_pytorch(void **state)
{
    (void)state;
    struct golden golden;
    int wrong = 0;
    int code = golden_read(&golden, FILE_NAME);
    if (code < 0)
        fail_msg("%s", err_last());
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        wrong += case_differs(&golden, cases[i].name, cases[i].build);
    golden_release(&golden);
    assert_int_equal(wrong, 0);
}

// Every case of the file is in the table.
static void test_no_case_is_left_out(void **state)
{
    (void)state;
    struct golden golden;
    assert_int_equal(golden_read(&golden, FILE_NAME), 0);
    for (int i = 0; i < golden.arrays; i++) {
        size_t size = strcspn(golden.array[i].name, "/"), found = 0;
        for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++)
            found += strlen(cases[k].name) == size &&
                     strncmp(cases[k].name, golden.array[i].name, size) == 0;
        assert_true(found > 0);
    }
    golden_release(&golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ops_agree_with_pytorch),
        cmocka_unit_test(test_no_case_is_left_out),
    };
    return cmocka_run_group_tests_name("ops against PyTorch", tests, NULL, NULL);
}
