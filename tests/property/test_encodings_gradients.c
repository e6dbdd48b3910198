// Gradients of every encoding through a whole model, against central differences in double: each
// row with each of its options and normalisers, and every pair, in an encoder and a decoder, at
// lengths 1, 2 and 7, and where offsets are past the clip or the largest bucket.
//
// In the float build differences are too coarse to judge by; there gradients must be finite.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/check.h"
#include "../../autograd/base/err.h"
#include "../support/encodings.h"

enum { MAX_PARAMS = 128 };

// The parameters of the encoding, or all others.
static int leaves_of(struct encoding_model *m, struct ag_check_leaf *leaf, bool own)
{
    int leaves = 0;
    for (int i = 0; i < m->params.rows; i++) {
        struct ag_parameter *row = &m->params.row[i];
        if (encoding_owns(row->name) != own)
            continue;
        assert_true(leaves < MAX_PARAMS);
        leaf[leaves++] = (struct ag_check_leaf){row->name, m->params.value + row->offset,
                                                m->params.grad + row->offset, row->count};
    }
    return leaves;
}

// Differences measure nothing across a kink. Biases keep the logits of relu2 above zero (its other
// side is in the check of the op), and those of an encoding, either sign, the insides of a relu.
static void keep_off_kinks(struct encoding_model *m, bool relu2)
{
    for (int i = 0; i < m->params.rows; i++) {
        const struct ag_parameter *row = &m->params.row[i];
        real *value = m->params.value + row->offset;
        bool is_score = strstr(row->name, "attn.q.bias") || strstr(row->name, "attn.k.bias");
        bool is_own_bias = encoding_owns(row->name) && row->shape.dims == 1;
        for (int64_t k = 0; k < row->count; k++) {
            if (relu2 && is_score)
                value[k] += (real)1.5;
            if (is_own_bias)
                value[k] += (double)value[k] < row->init.mean ? (real)-0.4 : (real)0.4;
        }
    }
}

// Some targets do not count, and the last key of the second row is padding.
static void fill(struct encoding_model *m)
{
    int64_t count = m->graph.batch * m->length;
    for (int64_t i = 1; i < count; i += 3)
        m->graph.targets->index[i] = -1;
    m->graph.mask->index[count - 1] = m->length == 1;
}

// Compares so many elements of every parameter of the model, so many of each of the encoding's own,
// and random directions through the ones and through the others.
static bool is_right(const struct encoding_case *what, int64_t height, int64_t width,
                     int64_t elements, int64_t own_elements)
{
    struct encoding_model m;
    struct ag_check_leaf leaf[MAX_PARAMS];
    bool good = true;
    // A shape that the encoding refuses is not one that it has gradients for.
    int code = encoding_open(
        &m, what, &(struct encoding_shape){.batch = 2, .height = height, .width = width});
    if (code < 0)
        return code == ERR_ARGUMENT;
    fill(&m);
    keep_off_kinks(&m, what->attention == AG_RELU2);
#ifdef POSGRAD_DOUBLE
    for (int own = 0; own < 2; own++) {
        struct ag_check check = {0};
        int leaves = leaves_of(&m, leaf, own);
        if (leaves == 0)
            continue;
        check_ok(ag_check_plan(m.graph.plan, m.graph.loss, leaves, leaf,
                               own ? own_elements : elements, 1, AG_CORRUPT_NOTHING, 0, &check));
        if (!(check.worst < AG_CHECK_TOLERANCE)) {
            print_error("%s, %lld x %lld: relative error %g at %s\n", encoding_text(what).text,
                        (long long)height, (long long)width, check.worst, check.where);
            good = false;
        }
    }
#else
    (void)elements;
    (void)own_elements;
    ag_forward(m.graph.plan);
    ag_backward(m.graph.plan, NULL);
    for (int own = 0; own < 2; own++)
        for (int k = leaves_of(&m, leaf, own) - 1; k >= 0; k--)
            for (int64_t i = 0; i < leaf[k].count; i++)
                good = good && isfinite((double)leaf[k].grad[i]);
    if (!good)
        print_error("%s: a gradient is not finite\n", encoding_text(what).text);
#endif
    encoding_close(&m);
    return good;
}

static bool at_all_lengths(const struct encoding_case *what)
{
    bool good = is_right(what, 1, 1, 1, 2);
    good &= is_right(what, 1, 2, 1, 3);
    good &= is_right(what, 1, 7, 2, 8);
    good &= is_right(what, 3, 4, 0, 6);
    return good;
}

static void gradients_of_every_encoding(void **state)
{
    (void)state;
    encoding_walk(ENCODING_OPTIONS | ENCODING_NORMALISERS, at_all_lengths);
}

// Each pair in one order.
static bool of_a_pair(const struct encoding_case *what)
{
    const char *plus = strchr(what->pe, '+');
    if (!plus || strncmp(what->pe, plus + 1, strlen(plus + 1)) > 0)
        return true;
    return is_right(what, 2, 3, 0, 2);
}

static void gradients_of_every_pair(void **state)
{
    (void)state;
    encoding_walk(ENCODING_STACKS, of_a_pair);
}

// Past the last bucket and the widest clip that a row has by default.
static void gradients_past_the_largest_bucket(void **state)
{
    (void)state;
    for (int causal = 0; causal < 2; causal++) {
        struct encoding_case t5 = {.pe = "t5", .causal = causal};
        struct encoding_case shaw = {.pe = "shaw", .causal = causal};
        assert_true(is_right(&t5, 1, 133, 0, 8));
        assert_true(is_right(&shaw, 1, 19, 1, 8));
    }
}

#ifdef POSGRAD_DOUBLE
static bool is_zero(const struct ag_check_leaf *leaf)
{
    double most = 0;
    for (int64_t i = 0; i < leaf->count; i++)
        most = fmax(most, fabs((double)leaf->grad[i]));
    return most < 1e-12;
}

// A gradient of a whole model that is wrong by 1 in 100 is far over the limit, whichever it is:
// what small gradients are measured against hides no mistake.
static void wrong_gradients_of_a_model_are_seen(void **state)
{
    (void)state;
    struct encoding_case what = {.pe = "shaw+urpe"};
    struct encoding_model m;
    struct ag_check_leaf leaf[MAX_PARAMS];
    int zero = 0;
    encoding_build(&m, &what, &(struct encoding_shape){.batch = 2, .height = 2, .width = 3});
    fill(&m);
    int leaves = leaves_of(&m, leaf, false);
    leaves += leaves_of(&m, leaf + leaves, true);
    for (int l = 0; l < leaves; l++) {
        for (int c = AG_CORRUPT_SIGN; c <= AG_CORRUPT_FACTOR; c++) {
            struct ag_check check = {0};
            check_ok(ag_check_plan(m.graph.plan, m.graph.loss, leaves, leaf, 4, 1,
                                   (enum ag_corruption)c, l, &check));
            if (!is_zero(&leaf[l]) && !(check.worst > 1e-3))
                fail_msg("%s of %s was not seen (%g)", ag_corruption_name[c], leaf[l].name,
                         check.worst);
        }
        zero += is_zero(&leaf[l]);
    }
    assert_int_equal(zero, m.config.layers); // attn.k.bias, which softmax does not see
    encoding_close(&m);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_every_encoding),
        cmocka_unit_test(gradients_of_every_pair),
        cmocka_unit_test(gradients_past_the_largest_bucket),
#ifdef POSGRAD_DOUBLE
        cmocka_unit_test(wrong_gradients_of_a_model_are_seen),
#endif
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL) != 0;
}
