// Paired by construction: a run with any encoding sees the batches of a run without one, starts
// from the same values of all parameters that are not the encoding's, and drops the same units. So
// the difference between two runs is the encoding and nothing else.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../autograd/ops/op.h"
#include "../../src/train/train.h"
#include "../support/encodings.h"
#include "../support/settings.h"

enum { STEPS = 3 };
#define RATE 0.25

static bool wrong(const struct encoding_case *what, const char *why)
{
    print_error("%s: %s\n", encoding_text(what).text, why);
    return false;
}

// A row of 16 tokens is a square for those that want a grid. False where the encoding refuses this
// run, which is another than the one that the walk tried.
static bool begin(struct trainer *trainer, const struct encoding_case *what)
{
    struct train_settings settings;
    settings_of(&settings,
                "--layers 2 --heads 2 --dim 16 --ff-dim 12 --batch-size 3 --steps 3 "
                "--warmup 1 --dropout 0.25 --lr 0.01 --threads 1 --length 16 --task copy "
                "--seed 11");
    settings_set(&settings, "pe", what->pe);
    for (int i = 0; i < what->pairs; i++)
        settings_set(&settings, "pe-opt", what->pair[i]);
    settings_set(&settings, "arch", what->causal ? "decoder" : "encoder");
    int code = trainer_init(trainer, &settings);
    if (code < 0 && code != ERR_ARGUMENT)
        fail_msg("%s: %s", what->pe, err_last());
    return code == 0;
}

// --- batches

static bool same_batch(const struct model_graph *a, const struct model_graph *b)
{
    size_t size = (size_t)a->tokens->count * sizeof(int32_t);
    return memcmp(a->tokens->index, b->tokens->index, size) == 0 &&
           memcmp(a->targets->index, b->targets->index, size) == 0 &&
           memcmp(a->mask->index, b->mask->index, size) == 0;
}

static bool same_batches(const struct encoding_case *what, struct trainer *none,
                         struct trainer *other)
{
    struct train_step_result step;
    struct evaluation evaluation;
    for (int i = 0; i < STEPS; i++) {
        check_ok(trainer_step(none, &step));
        check_ok(trainer_step(other, &step));
        if (!same_batch(&none->train, &other->train))
            return wrong(what, "trains on other rows");
        for (int split = DATASET_VALIDATION; split <= DATASET_TEST; split++) {
            check_ok(trainer_evaluate(none, (enum dataset_split)split, i + 1, &evaluation));
            check_ok(trainer_evaluate(other, (enum dataset_split)split, i + 1, &evaluation));
            if (!same_batch(&none->evaluation, &other->evaluation))
                return wrong(what, "is scored on other rows");
        }
    }
    return true;
}

// --- starts

// The start of every parameter of `none`, found by its name; what else there is belongs to the
// encoding.
static bool same_start(const struct encoding_case *what, const struct trainer *none,
                       const struct trainer *other)
{
    int shared = 0, own = 0;
    for (int i = 0; i < other->params.rows; i++) {
        const struct ag_parameter *row = &other->params.row[i];
        int k = ag_params_find(&none->params, row->name);
        shared += k >= 0;
        own += encoding_owns(row->name);
        if (k >= 0 && memcmp(other->params.value + row->offset,
                             none->params.value + none->params.row[k].offset,
                             (size_t)row->count * sizeof(real)) != 0)
            return wrong(what, "changes the start of another parameter");
    }
    return (shared == none->params.rows && shared + own == other->params.rows) ||
           wrong(what, "adds or takes parameters that are not its own");
}

// --- dropout

static bool is_of(const struct ag_tensor *node, const char *op)
{
    return node->op && strcmp(node->op->name, op) == 0;
}

// A training graph on the trainer's parameters in which what is dropped can be seen.
static void capture(struct model_graph *model, struct trainer *trainer)
{
    const struct model_graph *train = &trainer->train;
    check_ok(model_graph_capture(model, &trainer->config, &trainer->params, train->batch,
                                 train->length, NULL));
    for (struct ag_tensor *x = model->graph.first; x; x = x->next)
        if (is_of(x, "dropout")) {
            ag_keep(x);
            ag_keep(x->input[0]);
        }
    check_ok(model_graph_plan(model, false));
}

static void forward(struct model_graph *model, const struct trainer *trainer, uint64_t step)
{
    const struct model_graph *train = &trainer->train;
    size_t size = (size_t)train->tokens->count * sizeof(int32_t);
    memcpy(model->tokens->index, train->tokens->index, size);
    memcpy(model->targets->index, train->targets->index, size);
    memcpy(model->mask->index, train->mask->index, size);
    struct ag_run *run = ag_plan_run(model->plan);
    run->seed = (uint64_t)trainer->settings.seed;
    run->step = step;
    run->training = true;
    ag_forward(model->plan);
}

static const struct ag_tensor *node_of(const struct model_graph *model, const char *name)
{
    const struct ag_tensor *x = model->graph.first;
    while (x && (!x->op || strcmp(x->name, name) != 0))
        x = x->next;
    return x;
}

enum seen { KEPT, DROPPED, UNSEEN };

static enum seen seen_at(const struct ag_tensor *node, int64_t i)
{
    if (node->input[0]->data[i] == 0)
        return UNSEEN;
    return node->data[i] == 0 ? DROPPED : KEPT;
}

// Elements that one drops and the other keeps, and those that both show: none where an encoding
// made the stream wider, as complex words do.
static int64_t masks_differ(const struct ag_tensor *a, const struct ag_tensor *b, int64_t *both)
{
    int64_t differ = 0;
    for (int64_t i = 0; a->count == b->count && i < a->count; i++) {
        enum seen x = seen_at(a, i), y = seen_at(b, i);
        *both += x != UNSEEN && y != UNSEEN;
        differ += x != UNSEEN && y != UNSEEN && x != y;
    }
    return differ;
}

// Of attention weights no mask is laid open: it is a function of seed, step, the node's name and
// the element. (test_encodings compares what it does where an encoding at zero is none.) An
// attention of its own, in the encoding's own scope, has masks of its own.
static bool same_attention(const struct ag_tensor *x, const struct ag_tensor *y)
{
    return !y || (y->op == x->op && ag_shape_equal(x->shape, y->shape));
}

static int wide; // cases of which nothing could be compared

static bool same_masks(const struct encoding_case *what, struct trainer *none,
                       struct trainer *other)
{
    struct model_graph a, b;
    int64_t both = 0, differ = 0, later = 0, unused = 0;
    bool good = true;
    int nodes = 0;
    capture(&a, none);
    capture(&b, other);
    forward(&a, none, 5);
    forward(&b, other, 5);
    for (const struct ag_tensor *x = a.graph.first; x && good; x = x->next) {
        const struct ag_tensor *y = x->op ? node_of(&b, x->name) : NULL;
        if (is_of(x, "attention"))
            good = same_attention(x, y) || wrong(what, "changes the shape of attention");
        if (!is_of(x, "dropout"))
            continue;
        good = (y && y->op == x->op && y->count % x->count == 0) ||
               wrong(what, "has no dropout where none has it");
        differ += good ? masks_differ(x, y, &both) : 0;
        nodes++;
    }
    // Another step drops others, so what is compared can differ.
    forward(&b, other, 6);
    for (const struct ag_tensor *x = a.graph.first; x && good; x = x->next)
        later += is_of(x, "dropout") ? masks_differ(x, node_of(&b, x->name), &unused) : 0;
    good = good && (differ == 0 || wrong(what, "drops other units"));
    good = good && (nodes == 5 || wrong(what, "these are not all dropouts"));
    good = good &&
           (both == 0 || (double)later > RATE * (double)both || wrong(what, "masks are not seen"));
    wide += both == 0;
    model_graph_release(&a);
    model_graph_release(&b);
    return good;
}

static bool is_paired(const struct encoding_case *what)
{
    static struct trainer none, other;
    struct encoding_case null = {.causal = what->causal};
    snprintf(null.pe, sizeof null.pe, "none");
    if (!begin(&other, what))
        return true;
    assert_true(begin(&none, &null));
    bool good = same_start(what, &none, &other) && same_batches(what, &none, &other) &&
                same_masks(what, &none, &other);
    trainer_release(&other);
    trainer_release(&none);
    return good;
}

static void runs_are_paired(void **state)
{
    (void)state;
    int cases = encoding_walk(ENCODING_OPTIONS, is_paired);
    assert_in_range(wide, 0, cases / 10);
}

CHECK_MAIN(cmocka_unit_test(runs_are_paired))
