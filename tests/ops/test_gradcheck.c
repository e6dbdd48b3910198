// Every op against central differences, and the check itself against gradients that are wrong on
// purpose.
//
// In the float build differences of floats are too coarse to judge by (the best relative error
// there is about 1e-4), so only the double build compares; the float build runs the same cases and
// asks for finite values.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../autograd/check.h"
#include "../../autograd/base/err.h"
#include "../../autograd/ops/op.h"

enum { REPEATS = 3 };
static const double SEEN = 1e-3; // a corruption is, in the first case whose error is as large

static double worst_of(const struct ag_op *op, enum ag_corruption corruption, int leaf, int *leaves)
{
    double worst = 0;
    struct ag_check check;
    for (int i = 0; i < op->variants * REPEATS; i++) {
        int code = ag_check_op(op, i % op->variants, (uint64_t)(i / op->variants), corruption, leaf,
                               &check);
        if (code < 0)
            print_error("%s: %s\n", op->name, err_last());
        assert_int_equal(code, 0);
        if (!(check.worst <= worst))
            worst = check.worst;
        if (check.leaves > *leaves)
            *leaves = check.leaves;
        if (corruption != AG_CORRUPT_NOTHING && !(worst < SEEN))
            break;
    }
    return worst;
}

static void test_every_op_is_right(void **state)
{
    (void)state;
    for (int i = 0; i < ag_op_count; i++) {
        int leaves = 0;
        if (ag_ops[i]->flags & AG_NO_BACKWARD)
            continue;
        double worst = worst_of(ag_ops[i], AG_CORRUPT_NOTHING, 0, &leaves);
        assert_true(leaves > 0);
#ifdef POSGRAD_DOUBLE
        if (!(worst < AG_CHECK_TOLERANCE))
            print_error("%s: relative error %g\n", ag_ops[i]->name, worst);
        assert_true(worst < AG_CHECK_TOLERANCE);
#else
        assert_true(worst < HUGE_VAL);
#endif
    }
}

#ifdef POSGRAD_DOUBLE
static void test_every_corruption_is_seen(void **state)
{
    (void)state;
    for (int i = 0; i < ag_op_count; i++) {
        int leaves = 0;
        if (ag_ops[i]->flags & AG_NO_BACKWARD)
            continue;
        worst_of(ag_ops[i], AG_CORRUPT_NOTHING, 0, &leaves);
        for (int leaf = 0; leaf < leaves; leaf++) {
            for (enum ag_corruption c = AG_CORRUPT_SIGN; c < AG_CORRUPTIONS; c++) {
                int ignored = 0;
                double worst = worst_of(ag_ops[i], c, leaf, &ignored);
                if (worst < SEEN)
                    print_error("%s: %s of input %d was not seen (%g)\n", ag_ops[i]->name,
                                ag_corruption_name[c], leaf, worst);
                assert_true(worst >= SEEN);
            }
        }
    }
}

#endif

static void test_names_are_in_order(void **state)
{
    (void)state;
    for (int i = 1; i < ag_op_count; i++)
        assert_true(strcmp(ag_ops[i - 1]->name, ag_ops[i]->name) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_op_is_right),
#ifdef POSGRAD_DOUBLE
        cmocka_unit_test(test_every_corruption_is_seen),
#endif
        cmocka_unit_test(test_names_are_in_order),
    };
    return cmocka_run_group_tests_name("gradient checks", tests, NULL, NULL);
}
