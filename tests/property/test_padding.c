// Rows of different lengths in one batch: the padding behind a short row changes nothing. What it
// holds does not matter to a bit; and a row gives the same logits, and the same gradients, with
// padding and without, to the rounding of sums over keys that have more terms, all of them zero.
#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../support/encodings.h"

// More than one block of queries of the attention, and a row that ends in the first.
enum { HEIGHT = 18, WIDTH = 4, LENGTH = HEIGHT * WIDTH, SHORT = 40, ROWS = 3 };

// Row b has so many tokens; whole rows of the grid.
static const int64_t tokens_of[ROWS] = {SHORT, LENGTH, WIDTH};

// Padding holds `filler`, or, below 0, any tokens.
static void pad(struct model_graph *graph, int32_t filler)
{
    for (int64_t b = 0; b < graph->batch; b++)
        for (int64_t i = tokens_of[b]; i < graph->length; i++) {
            int64_t at = b * graph->length + i;
            graph->tokens->index[at] = filler >= 0 ? filler
                                                   : (int32_t)((at * 11 + 5) % ENCODING_VOCAB);
            graph->targets->index[at] = -1;
            graph->mask->index[at] = 0;
        }
}

struct seen {
    real logits[ROWS * LENGTH * ENCODING_VOCAB], loss;
    real grad[1 << 16];
};
static struct seen here, there;

static void look(const struct encoding_model *m, const struct model_graph *graph, struct seen *seen)
{
    assert_true(m->params.count < (int64_t)(sizeof seen->grad / sizeof(real)));
    memset(m->params.grad, 0, (size_t)m->params.count * sizeof(real));
    ag_forward(graph->plan);
    memcpy(seen->logits, graph->logits->data, (size_t)graph->logits->count * sizeof(real));
    seen->loss = graph->loss->data[0];
    ag_backward(graph->plan, NULL);
    memcpy(seen->grad, m->params.grad, (size_t)m->params.count * sizeof(real));
}

static bool refused(const struct encoding_case *what, struct encoding_model *m, int64_t batch)
{
    struct encoding_shape shape = {.batch = batch, .height = HEIGHT, .width = WIDTH};
    int code = encoding_open(m, what, &shape);
    if (code < 0 && code != ERR_ARGUMENT)
        fail_msg("%s: %s", encoding_text(what).text, err_last());
    return code < 0;
}

// The one that sees padding, and says so: an encoder's convolution, unless it is told what hidden
// tokens are to it.
static bool sees_padding(const struct encoding_case *what)
{
    bool told = false;
    for (int i = 0; i < what->pairs; i++)
        told = told || strcmp(what->pair[i], "hidden=border") == 0;
    return strcmp(what->pe, "conv") == 0 && !what->causal && !told;
}

static bool wrong(const struct encoding_case *what, const char *how)
{
    print_error("%s: %s\n", encoding_text(what).text, how);
    return false;
}

static bool same_whatever_it_holds(const struct encoding_case *what)
{
    struct encoding_model m;
    bool good = true;
    if (refused(what, &m, ROWS))
        return true;
    pad(&m.graph, 0);
    look(&m, &m.graph, &here);
    pad(&m.graph, -1);
    look(&m, &m.graph, &there);
    for (int64_t b = 0; b < ROWS; b++)
        if (memcmp(here.logits + b * LENGTH * ENCODING_VOCAB,
                   there.logits + b * LENGTH * ENCODING_VOCAB,
                   (size_t)(tokens_of[b] * ENCODING_VOCAB) * sizeof(real)) != 0)
            good = false;
    if (memcmp(&here.loss, &there.loss, sizeof here.loss) != 0 ||
        memcmp(here.grad, there.grad, (size_t)m.params.count * sizeof(real)) != 0)
        good = false;
    encoding_close(&m);
    if (good == sees_padding(what))
        return wrong(what, good ? "does not see the padding" : "what the padding holds shows");
    return true;
}

// The same row in a graph as long as it is. A grid has no rows of another length, and refuses.
static int unpadded(struct encoding_model *m, struct model_graph *graph)
{
    int code = model_graph_capture(graph, &m->config, &m->params, 1, SHORT, NULL);
    if (code < 0)
        return code;
    check_ok(model_graph_plan(graph, true));
    size_t size = SHORT * sizeof(int32_t);
    memcpy(graph->tokens->index, m->graph.tokens->index, size);
    memcpy(graph->targets->index, m->graph.targets->index, size);
    memcpy(graph->mask->index, m->graph.mask->index, size);
    return 0;
}

static int compared;

static bool same_without(const struct encoding_case *what)
{
    struct encoding_model m;
    struct model_graph graph;
    if (sees_padding(what) || refused(what, &m, 1))
        return true;
    pad(&m.graph, 3);
    look(&m, &m.graph, &here);
    if (unpadded(&m, &graph) < 0) {
        assert_non_null(strstr(err_last(), "grid"));
        encoding_close(&m);
        return true;
    }
    compared++;
    look(&m, &graph, &there);
    double logits = encoding_distance(here.logits, there.logits, SHORT * ENCODING_VOCAB);
    double grads = encoding_distance(here.grad, there.grad, m.params.count);
    bool good = logits < ENCODING_SAME && grads < ENCODING_SAME;
    if (!good)
        print_error("%s: %g in logits and %g in gradients without padding\n",
                    encoding_text(what).text, logits, grads);
    model_graph_release(&graph);
    encoding_close(&m);
    return good;
}

static void content_does_not_matter(void **state)
{
    (void)state;
    encoding_walk(ENCODING_OPTIONS | ENCODING_NORMALISERS, same_whatever_it_holds);
}

static void padding_does_not_matter(void **state)
{
    (void)state;
    encoding_walk(ENCODING_OPTIONS | ENCODING_NORMALISERS, same_without);
    assert_true(compared > 5 * pe_count);
}

CHECK_MAIN(cmocka_unit_test(content_does_not_matter), cmocka_unit_test(padding_does_not_matter))
