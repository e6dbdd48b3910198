// The theorem of the probe, exact: untrained random weights, a constant input, and which rows of
// the logits are equal.
//
// Where mathematics says equal, the difference is rounding; where it says different, no two rows
// are equal. Trained accuracy (`make claims`) could not tell an implementation that leaks a little
// from one that does not.
#include "../support/check.h"
#include "../support/theorem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/rng.h"
#include "../../src/model/model.h"

enum { ROWS = 12, VOCAB = 5, LAYERS = 2 };

// Equal rows are at most so far apart, and others at least. In float the two meet: what FLOATER's
// small times leave between neighbours is less than what rounding may leave between equals. Double
// tells them apart.
#ifdef POSGRAD_DOUBLE
#define EQUAL 1e-11
#define DIFFERENT 1e-11
#else
#define EQUAL 1e-4
#define DIFFERENT 1e-6
#endif

struct fixture {
    struct model_config config;
    struct ag_params params;
    struct model_graph model;
};

// Weights of order one, so that attention is far from uniform and differences are far from
// rounding.
static void fill(struct fixture *f, bool start_token)
{
    struct rng rng;
    rng_init(&rng, rng_stream(7, "theorem"), 0, 0);
    for (int i = 0; i < f->params.rows; i++)
        for (int64_t k = 0; k < f->params.row[i].count; k++)
            f->params.value[f->params.row[i].offset + k] =
                (real)(f->params.row[i].init.mean + 1.2 * (rng_uniform(&rng) - 0.5));
    for (int64_t i = 0; i < f->model.length; i++) {
        f->model.tokens->index[i] = start_token && i == 0 ? VOCAB - 1 : 0;
        f->model.targets->index[i] = 0;
        f->model.mask->index[i] = 1;
    }
}

static int build(struct fixture *f, const struct theorem_row *row, bool causal, bool start_token)
{
    int64_t length = ROWS + start_token;
    memset(f, 0, sizeof *f);
    f->config = (struct model_config){.layers = LAYERS,
                                      .heads = 2,
                                      .dim = 16,
                                      .ff_dim = 24,
                                      .vocab = VOCAB,
                                      .train_length = length,
                                      .causal = causal,
                                      .attention = theorem_normaliser(row)};
    if (!start_token) {
        f->config.grid_height = 3;
        f->config.grid_width = 4;
    }
    ag_params_init(&f->params);
    int code = pe_stack_init(&f->config.pe, row->pe, row->option != NULL, &row->option);
    if (code == 0)
        code = model_check(&f->config);
    if (code == 0)
        code = model_graph_capture(&f->model, &f->config, &f->params, 1, length, NULL);
    if (code == 0)
        code = ag_params_allocate(&f->params, 1);
    if (code == 0)
        code = model_graph_plan(&f->model, false);
    return code;
}

static void release(struct fixture *f)
{
    model_graph_release(&f->model);
    ag_params_release(&f->params);
    pe_stack_release(&f->config.pe);
}

static double apart(const real *logits, int64_t i, int64_t j)
{
    double largest = 0;
    for (int64_t v = 0; v < VOCAB; v++) {
        double d = fabs((double)logits[i * VOCAB + v] - (double)logits[j * VOCAB + v]);
        largest = d > largest || isnan(d) ? d : largest;
    }
    return largest;
}

// Whether rows i and j should be equal, by the verdict. Borders reach at most one row a layer here.
static bool should_equal(enum pe_rows verdict, int64_t i, int64_t j)
{
    bool inner = i >= LAYERS && i < ROWS - LAYERS && j >= LAYERS && j < ROWS - LAYERS;
    return verdict == PE_ROWS_EQUAL || (verdict == PE_ROWS_BORDERS && inner) ||
           (verdict == PE_ROWS_MIRRORED && i + j == ROWS - 1);
}

// Pairs that the verdict does not speak of: near the borders some may be equal, if not all.
static bool is_open(enum pe_rows verdict, int64_t i, int64_t j)
{
    return verdict == PE_ROWS_BORDERS && !should_equal(verdict, i, j) &&
           !((i == 0) ^ (j == 0) && (i == ROWS / 2 || j == ROWS / 2));
}

static int wrong_pairs(const real *logits, enum pe_rows verdict, const char *what)
{
    int wrong = 0;
    for (int64_t i = 0; i < ROWS; i++) {
        for (int64_t j = i + 1; j < ROWS; j++) {
            double d = apart(logits, i, j);
            bool equal = should_equal(verdict, i, j);
            if (is_open(verdict, i, j) || (equal ? d <= EQUAL : d > DIFFERENT))
                continue;
            if (wrong++ == 0)
                print_error("%s: rows %d and %d should be %s and are %g apart\n", what, (int)i,
                            (int)j, equal ? "equal" : "different", d);
        }
    }
    return wrong;
}

static int check_cell(const struct theorem_row *row, bool causal, bool start_token)
{
    char text[96], what[160];
    struct fixture f;
    enum pe_rows verdict;
    bool meaningful;
    snprintf(what, sizeof what, "%s, %s%s", theorem_row_text(row, text),
             causal ? "decoder" : "encoder", start_token ? " with a start token" : "");
    int code = theorem_verdict(row, causal, start_token, &meaningful, &verdict);
    if (code == 0 && !meaningful)
        return 0;
    memset(&f, 0, sizeof f);
    if (code == 0)
        code = build(&f, row, causal, start_token);
    if (code < 0)
        print_error("%s: %s\n", what, err_last());
    int wrong = code < 0;
    if (code == 0) {
        fill(&f, start_token);
        ag_forward(f.model.plan);
        wrong = wrong_pairs(f.model.logits->data + start_token * VOCAB, verdict, what);
    }
    release(&f);
    return wrong;
}

static void test_every_cell(void **state)
{
    (void)state;
    int wrong = 0;
    for (int i = 0; i < theorem_rows(); i++) {
        struct theorem_row row = theorem_row(i);
        for (int cell = 0; cell < 4; cell++)
            wrong += check_cell(&row, cell & 1, cell & 2) != 0;
    }
    assert_int_equal(wrong, 0);
}

CHECK_MAIN(cmocka_unit_test(test_every_cell))
