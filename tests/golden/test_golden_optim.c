// Optimizers against torch.optim: five updates of a matrix (with weight decay) and a vector
// (without) under given gradients, each step with another rate, one case with clipping.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../optim/optim.h"
#include "../support/check.h"
#include "../support/golden.h"

#define FILE_NAME "tests/golden/optimizers.bin"
enum { STEPS = 5, MAX_OPTIONS = 4 };

static const char *const part_name[] = {"matrix", "vector"};

struct fixture {
    const struct golden *golden;
    const char *name;
    struct ag_graph graph;
    struct ag_params params;
    struct optimizer optimizer;
};

static const struct golden_array *part(const struct fixture *f, int k, const char *what)
{
    char name[64];
    snprintf(name, sizeof name, "%s/%s", part_name[k], what);
    return golden_get(f->golden, f->name, name, GOLDEN_REAL);
}

static void set_up(struct fixture *f, const struct golden *golden, const char *name)
{
    memset(f, 0, sizeof *f);
    f->golden = golden;
    f->name = name;
    ag_params_init(&f->params);
    ag_graph_init(&f->graph, &f->params);
    for (int k = 0; k < 2; k++)
        ag_parameter(&f->graph, part_name[k], part(f, k, "start")->shape, 0, 0,
                     k == 0 ? AG_DECAY : AG_NO_DECAY);
    assert_int_equal(f->graph.error, 0);
    assert_int_equal(ag_params_allocate(&f->params, 0), 0);
    char optimizer[32], options[64];
    const char *pair[MAX_OPTIONS];
    int pairs = 0;
    golden_text(golden, name, "optimizer", optimizer, sizeof optimizer);
    golden_text(golden, name, "options", options, sizeof options);
    for (char *word = strtok(options, " "); word; word = strtok(NULL, " ")) {
        assert_true(pairs < MAX_OPTIONS);
        pair[pairs++] = word;
    }
    if (optimizer_init(&f->optimizer, optimizer, &f->params, pairs, pair) < 0)
        fail_msg("%s: %s", name, err_last());
}

static void tear_down(struct fixture *f)
{
    optimizer_release(&f->optimizer);
    ag_graph_release(&f->graph);
    ag_params_release(&f->params);
}

// Writes row `row` of a golden array where the parameter is, in `slab`.
static void put(const struct fixture *f, int k, const char *what, int64_t row, real *slab)
{
    const struct ag_parameter *parameter = &f->params.row[ag_params_find(&f->params, part_name[k])];
    const struct golden_array *array = part(f, k, what);
    assert_true((row + 1) * parameter->count <= array->count);
    for (int64_t i = 0; i < parameter->count; i++)
        slab[parameter->offset + i] = (real)array->real[row * parameter->count + i];
}

static int step_differs(const struct fixture *f, int64_t step)
{
    int wrong = 0;
    for (int k = 0; k < 2; k++) {
        const struct ag_parameter *parameter =
            &f->params.row[ag_params_find(&f->params, part_name[k])];
        const double *expected = part(f, k, "values")->real + step * parameter->count;
        double error =
            golden_error(expected, parameter->count, f->params.value + parameter->offset, 0);
        if (error < GOLDEN_TOLERANCE)
            continue;
        print_error("%s: %s after update %d: relative error %g\n", f->name, part_name[k],
                    (int)step + 1, error);
        wrong++;
    }
    return wrong;
}

static int norm_differs(const struct fixture *f, int64_t step, double norm)
{
    double sum = 0;
    for (int k = 0; k < 2; k++) {
        const struct golden_array *array = part(f, k, "grads");
        int64_t count = array->count / STEPS;
        for (int64_t i = 0; i < count; i++)
            sum += array->real[step * count + i] * array->real[step * count + i];
    }
    if (fabs(norm - sqrt(sum)) < 1e-12 * sqrt(sum))
        return 0; // gradients are exact in float and the sum is in double, in both builds
    print_error("%s: norm %.17g instead of %.17g\n", f->name, norm, sqrt(sum));
    return 1;
}

static int case_differs(const struct golden *golden, const char *name)
{
    struct fixture f;
    int wrong = 0;
    set_up(&f, golden, name);
    const struct golden_array *lr = golden_get(golden, name, "lr", GOLDEN_REAL);
    assert_int_equal(lr->count, STEPS);
    for (int k = 0; k < 2; k++)
        put(&f, k, "start", 0, f.params.value);
    for (int64_t step = 0; step < STEPS; step++) {
        for (int k = 0; k < 2; k++)
            put(&f, k, "grads", step, f.params.grad);
        double norm = optimizer_grad_norm(&f.optimizer);
        wrong += norm_differs(&f, step, norm);
        optimizer_update(&f.optimizer, step + 1, lr->real[step],
                         golden_real(golden, name, "weight_decay"), norm,
                         golden_real(golden, name, "clip"));
        wrong += step_differs(&f, step);
    }
    tear_down(&f);
    return wrong;
}

// Every case of the file, found by the array that each has.
static void test_optimizers_agree_with_pytorch(void **state)
{
    (void)state;
    struct golden golden;
    int wrong = 0, cases = 0;
    if (golden_read(&golden, FILE_NAME) < 0)
        fail_msg("%s", err_last());
    for (int i = 0; i < golden.arrays; i++) {
        char name[AG_NAME_SIZE];
        size_t size = strcspn(golden.array[i].name, "/");
        if (strcmp(golden.array[i].name + size, "/optimizer") != 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)size, golden.array[i].name);
        wrong += case_differs(&golden, name);
        cases++;
    }
    golden_release(&golden);
    assert_true(cases >= 9);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_optimizers_agree_with_pytorch),
    };
    return cmocka_run_group_tests_name("optimizers against PyTorch", tests, NULL, NULL);
}
