// Exports to ONNX compute what we compute: every encoding, option and normaliser, at other batches
// and lengths than those that were captured, and every op by itself, evaluated by the plain
// operators of support/onnx_run.h.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/rng.h"
#include "../../autograd/ops/op.h"
#include "../../src/io/onnx/model.h"
#include "../../src/io/onnx/translate.h"
#include "../support/encodings.h"
#include "../support/onnx_run.h"

enum { HEIGHT = 3, WIDTH = 4, LONGEST = HEIGHT * WIDTH, LONGER = 25, ROWS = 3 };

// Ours is float in one build, theirs is what the file holds, which is float in both.
#define SAME 1e-4

struct exported {
    struct encoding_model m;
    struct bytes bytes;
    struct onnx_file file;
    char verdict[ONNX_VERDICT];
};

static void export(struct exported *e, const struct encoding_case *what)
{
    const struct encoding_shape shape = {.batch = 1, .height = HEIGHT, .width = WIDTH};
    memset(e, 0, sizeof *e);
    encoding_build(&e->m, what, &shape);
    if (onnx_model(&e->m.config, &e->m.params, LONGEST, NULL, 0, &e->bytes, e->verdict) < 0)
        fail_msg("%s: %s", encoding_text(what).text, err_last());
    onnx_file_open(&e->file, e->bytes.at, e->bytes.size);
}

static void release(struct exported *e)
{
    onnx_file_close(&e->file);
    free(e->bytes.at);
    encoding_close(&e->m);
}

// Row 0 is whole, the others end sooner and sooner; the last of several has no token at all.
static void fill(struct model_graph *graph)
{
    struct rng rng;
    rng_init(&rng, 11, (uint64_t)graph->length, (uint32_t)graph->batch);
    for (int64_t i = 0; i < graph->batch * graph->length; i++) {
        int64_t row = i / graph->length, ends = graph->length * (ROWS - 1 - row) / (ROWS - 1);
        graph->tokens->index[i] = (int32_t)rng_below(&rng, ENCODING_VOCAB);
        graph->targets->index[i] = 0;
        graph->mask->index[i] = i % graph->length < ends;
    }
}

static const int32_t *positions_of(const struct model_graph *graph)
{
    for (const struct ag_tensor *t = graph->graph.first; t; t = t->next)
        if (t->op && strcmp(t->op->name, "sample_positions") == 0)
            return t->index;
    return NULL;
}

// The largest difference of the logits of `batch` rows of `length` tokens.
static double difference(struct exported *e, int64_t batch, int64_t length)
{
    struct model_graph graph;
    const int64_t size[] = {batch, length};
    check_ok(model_graph_capture(&graph, &e->m.config, &e->m.params, batch, length, NULL));
    check_ok(model_graph_plan(&graph, false));
    fill(&graph);
    ag_plan_run(graph.plan)->seed = 5;
    ag_forward(graph.plan);
    onnx_run_begin(&e->file);
    onnx_run_give(&e->file, "tokens", 2, size, graph.tokens->index);
    onnx_run_give(&e->file, "mask", 2, size, graph.mask->index);
    if (onnx_file_takes(&e->file, "positions"))
        onnx_run_give(&e->file, "positions", 2, size, positions_of(&graph));
    const struct onnx_value *logits = onnx_run_output(&e->file);
    assert_int_equal(logits->count, graph.logits->count);
    double worst = 0;
    for (int64_t i = 0; i < logits->count; i++) {
        double apart = fabs(logits->data[i] - (double)graph.logits->data[i]);
        worst = apart <= worst ? worst : apart;
    }
    model_graph_release(&graph);
    return worst;
}

static bool any_length(const struct exported *e)
{
    return !strstr(e->verdict, " only");
}

// --- every encoding

static int fixed;

static bool computes_the_same(const struct encoding_case *what)
{
    static const int64_t lengths[] = {LONGEST, LONGEST - 2, 7, 5, 4, 1, LONGER};
    struct exported e;
    bool good = true;
    export(&e, what);
    int count = !any_length(&e) ? 1 : strstr(e.verdict, "any length") ? 7 : 6;
    fixed += count == 1;
    for (int i = 0; i < count; i++) {
        for (int64_t batch = 1; batch <= ROWS; batch += ROWS - 1) {
            double worst = difference(&e, batch, lengths[i]);
            if (worst <= SAME)
                continue;
            print_error("%s (%s): %lld rows of %lld tokens differ by %g\n",
                        encoding_text(what).text, e.verdict, (long long)batch,
                        (long long)lengths[i], worst);
            good = false;
        }
    }
    release(&e);
    return good;
}

static void every_encoding_computes_the_same(void **state)
{
    (void)state;
    int cases = encoding_walk(ENCODING_OPTIONS | ENCODING_NORMALISERS, computes_the_same);
    assert_true(cases > 4 * pe_count);
    assert_true(fixed < cases / 4); // what the walk is for is the others
}

// --- stacks

static bool stack_computes_the_same(const struct encoding_case *what)
{
    struct exported e;
    export(&e, what);
    double worst = difference(&e, ROWS, any_length(&e) ? LONGEST - 5 : LONGEST);
    if (!(worst <= SAME))
        print_error("%s (%s) differs by %g\n", encoding_text(what).text, e.verdict, worst);
    release(&e);
    return worst <= SAME;
}

static void every_stack_computes_the_same(void **state)
{
    (void)state;
    encoding_walk(ENCODING_STACKS, stack_computes_the_same);
    // Two streams of rows under one mask.
    assert_true(stack_computes_the_same(&(struct encoding_case){
        .pe = "complex+conv", .pairs = 2, .pair = {"conv.where=each", "conv.hidden=border"}}));
}

// --- every op

// Leaves become inputs of the file, and all that is made of them is computed.
static int open_inputs(struct onnx_writer *w, struct ag_graph *graph)
{
    int inputs = 0;
    char name[32];
    for (struct ag_tensor *t = graph->first; t; t = t->next) {
        if (!t->varies || t->op)
            continue;
        snprintf(name, sizeof name, "x%d", inputs++);
        onnx_input(w, t, name, NULL);
    }
    return inputs;
}

static void mark_inputs(struct ag_graph *graph)
{
    for (struct ag_tensor *t = graph->first; t; t = t->next) {
        t->varies = t->needs_grad && !t->op;
        for (int i = 0; i < t->inputs; i++)
            t->varies = t->varies || (t->input[i] && t->input[i]->varies);
    }
}

static void give_inputs(struct onnx_file *file, struct ag_graph *graph)
{
    int inputs = 0;
    char name[32];
    for (struct ag_tensor *t = graph->first; t; t = t->next) {
        if (!t->varies || t->op)
            continue;
        snprintf(name, sizeof name, "x%d", inputs++);
        onnx_run_give_reals(file, name, t->shape.dims, t->shape.size, t->param);
    }
}

// Makes the file of what computes `y` of the graph's leaves, and releases the graph.
static void check_graph(struct ag_graph *graph, struct ag_tensor *y)
{
    struct onnx_sizes sizes;
    struct onnx_writer w;
    struct onnx_file file;
    struct bytes bytes = {0};
    ag_keep(y);
    mark_inputs(graph);
    check_ok(onnx_sizes_init(&sizes, graph, y));
    check_ok(onnx_writer_init(&w, &sizes));
    assert_true(open_inputs(&w, graph) > 0);
    onnx_translate_all(&w);
    check_ok(onnx_writer_end(&w, y, "y", &bytes));
    onnx_file_open(&file, bytes.at, bytes.size);
    give_inputs(&file, graph);
    const struct onnx_value *theirs = onnx_run_output(&file);
    struct ag_plan *plan = ag_plan_new(graph, y, false);
    assert_non_null(plan);
    ag_forward(plan);
    assert_int_equal(theirs->count, y->count);
    for (int64_t i = 0; i < y->count; i++)
        if (!(fabs(theirs->data[i] - (double)y->data[i]) <= 1e-5 * (1 + fabs((double)y->data[i]))))
            fail_msg("%s: %g is %g in ONNX", y->name, (double)y->data[i], theirs->data[i]);
    ag_plan_free(plan);
    onnx_file_close(&file);
    free(bytes.at);
    onnx_writer_release(&w);
    onnx_sizes_release(&sizes);
    ag_graph_release(graph);
}

// A loss is in no file, and a differential equation is of parameters alone: the encodings above
// would be refused if it were not.
static bool has_no_place(const struct ag_op *op)
{
    return strcmp(op->name, "cross_entropy") == 0 || strcmp(op->name, "neural_ode") == 0;
}

static void every_op_computes_the_same(void **state)
{
    (void)state;
    for (int i = 0; i < ag_op_count; i++) {
        assert_int_equal(onnx_can_translate(ag_ops[i]->name), !has_no_place(ag_ops[i]));
        for (int k = 0; k < 3 * ag_ops[i]->variants && !has_no_place(ag_ops[i]); k++) {
            struct ag_graph graph;
            struct rng rng;
            rng_init(&rng, (uint64_t)k, 0, 0);
            ag_graph_init(&graph, NULL);
            check_graph(&graph, ag_ops[i]->sample(&graph, &rng, k % ag_ops[i]->variants));
        }
    }
}

// Where the gradient check does not go: many whole turns, and an epsilon that is seen.
static void far_angles_and_settings(void **state)
{
    (void)state;
    struct ag_graph graph;
    struct rng rng;
    rng_init(&rng, 3, 0, 0);
    ag_graph_init(&graph, NULL);
    ag_t *place = ag_case_leaf(&graph, &rng, ag_shape2(9, 1), 1e3, 1e6);
    check_graph(&graph, ag_angle(&graph, place, ag_case_leaf(&graph, &rng, ag_shape1(5), 0.1, 1)));
    ag_graph_init(&graph, NULL);
    ag_t *one[3] = {ag_case_leaf(&graph, &rng, ag_shape2(3, 4), -1, 1),
                    ag_case_leaf(&graph, &rng, ag_shape1(4), 0.5, 2),
                    ag_case_leaf(&graph, &rng, ag_shape1(4), -1, 1)};
    check_graph(&graph, ag_layer_norm(&graph, one[0], one[1], one[2], 0.3));
}

// --- lengths

// Of a table by offset, rows that are shorter read the middle.
static void shorter_rows_read_the_middle_of_offsets(void **state)
{
    (void)state;
    enum { LONG = 5, SHORTER = 3 };
    struct ag_graph graph;
    struct onnx_sizes sizes;
    struct onnx_writer w;
    struct onnx_file file;
    struct bytes bytes = {0};
    const real value[2 * LONG - 1] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    ag_graph_init(&graph, NULL);
    ag_t *tokens = ag_input_index(&graph, "tokens", ag_shape2(1, LONG));
    ag_t *table = ag_constant(&graph, ag_shape1(2 * LONG - 1), value);
    ag_t *y = ag_gather(&graph, table, tokens);
    check_ok(onnx_sizes_init(&sizes, &graph, y));
    sizes.length = LONG;
    sizes.tensor[tokens->id].size[1] = (struct onnx_amount){.length = 1};
    sizes.tensor[y->id].size[1] = (struct onnx_amount){.length = 1};
    sizes.tensor[table->id].size[0] = (struct onnx_amount){.fixed = -1, .length = 2};
    check_ok(onnx_writer_init(&w, &sizes));
    onnx_translate_all(&w);
    check_ok(onnx_writer_end(&w, y, "y", &bytes));
    onnx_file_open(&file, bytes.at, bytes.size);
    onnx_run_give(&file, "tokens", 2, (const int64_t[]){1, SHORTER}, (const int32_t[]){0, 1, 4});
    const struct onnx_value *read = onnx_run_output(&file);
    check_close_array(read->data, ((const double[]){2, 3, 6}), SHORTER, 0, 0);
    onnx_file_close(&file);
    free(bytes.at);
    onnx_writer_release(&w);
    onnx_sizes_release(&sizes);
    ag_graph_release(&graph);
}

// Interpolated positions are others at each length: numbers alone tell.
static void tables_of_one_length_fix_it(void **state)
{
    (void)state;
    static const struct encoding_case rope = {.pe = "rope"};
    struct exported e;
    struct bytes longer = {0};
    export(&e, &rope);
    e.m.config.extension = PE_EXTEND_INTERPOLATE;
    check_ok(onnx_model(&e.m.config, &e.m.params, LONGER, NULL, 0, &longer, e.verdict));
    assert_non_null(strstr(e.verdict, "rows of 25 tokens only: layers.0"));
    onnx_file_close(&e.file);
    onnx_file_open(&e.file, longer.at, longer.size);
    assert_int_equal(e.file.input->size[1], LONGER);
    assert_true(difference(&e, 2, LONGER) <= SAME);
    free(longer.at);
    release(&e);
}

// --- what is in a file

static const struct encoding_case decoder = {.pe = "learned", .causal = true};

static void a_file_says_what_it_is(void **state)
{
    (void)state;
    struct exported e;
    struct bytes again = {0};
    const struct onnx_property property[] = {{"encoding", "learned"}, {"step", "20"}};
    export(&e, &decoder);
    assert_int_equal(e.file.ir_version, 8);
    assert_int_equal(e.file.opset, 17);
    assert_string_equal(e.file.producer, "posgrad");
    assert_string_equal(e.file.input->name, "tokens");
    assert_string_equal(e.file.input->size_name[0], "batch");
    assert_string_equal(e.file.input->size_name[1], "length");
    assert_string_equal(e.file.input->next->name, "mask");
    assert_string_equal(e.file.output->name, "logits");
    assert_int_equal(e.file.output->size[2], ENCODING_VOCAB);
    assert_string_equal(e.verdict, "opset 17, any batch, rows of up to 12 tokens");
    assert_string_equal(onnx_file_property(&e.file, "rows"), "up to 12 tokens");
    assert_null(onnx_file_property(&e.file, "step"));
    check_ok(onnx_model(&e.m.config, &e.m.params, LONGEST, property, 2, &again, e.verdict));
    onnx_file_close(&e.file);
    onnx_file_open(&e.file, again.at, again.size);
    assert_string_equal(onnx_file_property(&e.file, "step"), "20");
    assert_true(again.size > e.bytes.size);
    free(again.at);
    release(&e);
}

// Each parameter that is read as it is, by its own name and in its own shape.
static void parameters_keep_their_names(void **state)
{
    (void)state;
    struct exported e;
    export(&e, &decoder);
    for (int i = 0; i < e.m.params.rows; i++) {
        const struct ag_parameter *row = &e.m.params.row[i];
        const struct onnx_value *value = onnx_file_initializer(&e.file, row->name);
        assert_non_null(value);
        assert_int_equal(value->dims, row->shape.dims);
        assert_int_equal(value->count, row->count);
        for (int64_t k = 0; k < row->count; k++)
            check_close(value->data[k], e.m.params.value[row->offset + k], 1e-7, 1e-9);
    }
    release(&e);
}

static void equal_models_make_equal_bytes(void **state)
{
    (void)state;
    struct exported e;
    struct bytes again = {0};
    export(&e, &decoder);
    check_ok(onnx_model(&e.m.config, &e.m.params, LONGEST, NULL, 0, &again, e.verdict));
    assert_int_equal(again.size, e.bytes.size);
    check_same_bytes(again.at, e.bytes.at, again.size);
    free(again.at);
    release(&e);
}

static void what_is_not_finite_is_not_exported(void **state)
{
    (void)state;
    struct exported e;
    struct bytes again = {0};
    export(&e, &decoder);
    int row = ag_params_find(&e.m.params, "layers.1.mlp.up.weight");
    e.m.params.value[e.m.params.row[row].offset + 3] = (real)NAN;
    check_error(onnx_model(&e.m.config, &e.m.params, LONGEST, NULL, 0, &again, e.verdict),
                ERR_NUMBER, "layers.1.mlp.up.weight holds a number that is not finite");
    assert_int_equal(again.size, 0);
    free(again.at);
    release(&e);
}

static void tied_weights_are_there_once(void **state)
{
    (void)state;
    struct exported e;
    const struct encoding_shape shape = {.batch = 1, .height = HEIGHT, .width = WIDTH};
    export(&e, &decoder);
    e.m.config.tie = true;
    struct bytes tied = {0};
    check_ok(onnx_model(&e.m.config, &e.m.params, LONGEST, NULL, 0, &tied, e.verdict));
    onnx_file_close(&e.file);
    onnx_file_open(&e.file, tied.at, tied.size);
    assert_null(onnx_file_initializer(&e.file, "head.weight"));
    assert_true(difference(&e, 2, shape.width) <= SAME);
    free(tied.at);
    release(&e);
}

CHECK_MAIN(cmocka_unit_test(every_encoding_computes_the_same),
           cmocka_unit_test(every_stack_computes_the_same),
           cmocka_unit_test(every_op_computes_the_same), cmocka_unit_test(far_angles_and_settings),
           cmocka_unit_test(shorter_rows_read_the_middle_of_offsets),
           cmocka_unit_test(tables_of_one_length_fix_it), cmocka_unit_test(a_file_says_what_it_is),
           cmocka_unit_test(parameters_keep_their_names),
           cmocka_unit_test(equal_models_make_equal_bytes),
           cmocka_unit_test(what_is_not_finite_is_not_exported),
           cmocka_unit_test(tied_weights_are_there_once))
