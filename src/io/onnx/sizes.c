// Graphs of one model, captured at several sizes and compared.
//
// Two graphs are walked along the nodes that depend on the batch, which must be the same ones in
// the same order. What such a node reads is another of them, or a value that is known beforehand
// (a parameter, or made of parameters), and of these only the numbers must agree: how they came
// about may differ, as a table that is read whole at one length and sliced at another.
#include "sizes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../autograd/base/err.h"
#include "../../../autograd/ops/op.h"

enum { BATCH = 2, OTHER_BATCH = 3, LENGTHS = 5 };

// Numbers of the same sum may differ as it is cut for other sizes.
#define SAME 1e-5

int64_t onnx_amount_at(struct onnx_amount n, int64_t batch, int64_t length)
{
    return n.fixed + n.batch * batch + (n.length + n.both * batch) * length;
}

struct onnx_amount onnx_start_of(struct onnx_amount size, int64_t longest)
{
    bool by_offset = size.length == 2; // 2 T - 1 offsets: those around the middle
    return by_offset ? (struct onnx_amount){.fixed = longest, .length = -1} : onnx_fixed(0);
}

const real *onnx_reals(const struct onnx_sizes *sizes, const struct ag_tensor *tensor)
{
    if (tensor->parameter >= 0)
        return sizes->graph->params->value + sizes->graph->params->row[tensor->parameter].offset;
    return tensor->op ? tensor->data : tensor->param;
}

const int32_t *onnx_index(const struct ag_tensor *tensor)
{
    return tensor->op ? tensor->index : tensor->param;
}

struct ag_tensor *onnx_next(const struct onnx_sizes *sizes, const struct ag_tensor *after)
{
    struct ag_tensor *t = after ? after->next : sizes->graph->first;
    while (t && !sizes->tensor[t->id].computed)
        t = t->next;
    return t;
}

// --- one graph

// Marks what `output` needs, from the last tensor to the first, as inputs come before what reads
// them.
static int mark(struct onnx_sizes *sizes, struct ag_tensor *output)
{
    struct ag_graph *graph = sizes->graph;
    struct ag_tensor **all = calloc((size_t)(unsigned)graph->tensors, sizeof(struct ag_tensor *));
    if (!all)
        return err_set(ERR_MEMORY, "out of memory for an ONNX graph");
    for (struct ag_tensor *t = graph->first; t; t = t->next)
        all[t->id] = t;
    sizes->tensor[output->id].computed = output->varies;
    sizes->tensor[output->id].known = !output->varies;
    for (int id = graph->tensors - 1; id >= 0; id--) {
        for (int i = 0; sizes->tensor[id].computed && i < all[id]->inputs; i++) {
            const struct ag_tensor *input = all[id]->input[i];
            if (input)
                *(input->varies ? &sizes->tensor[input->id].computed
                                : &sizes->tensor[input->id].known) = true;
        }
    }
    free(all);
    return 0;
}

static void note(struct onnx_sizes *sizes)
{
    int count = 0;
    for (struct ag_tensor *t = sizes->graph->first; t; t = t->next) {
        struct onnx_tensor *of = &sizes->tensor[t->id];
        for (int d = 0; d < t->shape.dims; d++)
            of->size[d] = onnx_fixed(t->shape.size[d]);
        if (!of->computed)
            continue;
        for (const struct ag_setting *s = t->op ? t->op->settings : NULL; s && s->name; s++)
            if (strcmp(s->name, "start") == 0)
                of->start = onnx_fixed((int64_t)ag_setting_of(t, "start"));
        of->order = count++;
    }
}

static int check_finite(const struct onnx_sizes *sizes)
{
    for (struct ag_tensor *t = sizes->graph->first; t; t = t->next) {
        if (!sizes->tensor[t->id].known || t->type != AG_REAL)
            continue;
        const real *value = onnx_reals(sizes, t);
        for (int64_t i = 0; i < t->count; i++)
            if (!isfinite(value[i]) || !isfinite((float)value[i]))
                return err_set(ERR_NUMBER,
                               "%s holds a number that is not finite; nothing is exported",
                               t->name);
    }
    return 0;
}

static int compute(struct onnx_sizes *sizes)
{
    struct ag_tensor *last = NULL;
    for (struct ag_tensor *t = sizes->graph->first; t; t = t->next)
        if (sizes->tensor[t->id].known && t->op)
            last = ag_keep(t);
    if (!last)
        return 0;
    sizes->plan = ag_plan_new(sizes->graph, last, false);
    if (!sizes->plan)
        return err_code();
    ag_forward(sizes->plan);
    return 0;
}

int onnx_sizes_init(struct onnx_sizes *sizes, struct ag_graph *graph, struct ag_tensor *output)
{
    size_t count = (size_t)(unsigned)graph->tensors;
    *sizes = (struct onnx_sizes){.graph = graph};
    sizes->tensor = calloc(count, sizeof *sizes->tensor);
    int code = sizes->tensor ? mark(sizes, output)
                             : err_set(ERR_MEMORY, "out of memory for an ONNX graph");
    if (code == 0) {
        note(sizes);
        code = compute(sizes);
    }
    if (code == 0)
        code = check_finite(sizes);
    if (code < 0)
        onnx_sizes_release(sizes);
    return code;
}

void onnx_sizes_release(struct onnx_sizes *sizes)
{
    ag_plan_free(sizes->plan);
    free(sizes->tensor);
    memset(sizes, 0, sizeof *sizes);
}

// --- two graphs

// Makes `n`, which is right at the sizes of `one`, right at those of `other`, too, where it is
// `value`; false where it is not of the form.
static bool fit(struct onnx_amount *n, const struct onnx_sizes *one, const struct onnx_sizes *other,
                int64_t value)
{
    int64_t here = onnx_amount_at(*n, one->batch, one->length);
    if (onnx_amount_at(*n, other->batch, other->length) == value)
        return true;
    if (other->batch != one->batch) { // grows with the batch: nothing is known of the length yet
        if (here % one->batch || value != here / one->batch * other->batch)
            return false;
        *n = (struct onnx_amount){.batch = here / one->batch};
        return true;
    }
    int64_t rows = n->batch ? one->batch : 1, apart = one->length - other->length;
    if (one->settled || here % rows || value % rows || (here - value) / rows % apart)
        return false;
    int64_t slope = (here - value) / rows / apart, rest = here / rows - slope * one->length;
    *n = n->batch ? (struct onnx_amount){.batch = rest, .both = slope}
                  : (struct onnx_amount){.fixed = rest, .length = slope};
    return true;
}

static bool fit_shape(struct onnx_sizes *one, const struct onnx_sizes *other,
                      const struct ag_tensor *a, const struct ag_tensor *b)
{
    if (a->type != b->type || a->shape.dims != b->shape.dims)
        return false;
    for (int d = 0; d < a->shape.dims; d++)
        if (!fit(&one->tensor[a->id].size[d], one, other, b->shape.size[d]))
            return false;
    return true;
}

static bool same_number(const struct onnx_sizes *one, const struct onnx_sizes *other,
                        const struct ag_tensor *a, int64_t at_a, const struct ag_tensor *b,
                        int64_t at_b)
{
    if (a->type == AG_INT) {
        int32_t x = onnx_index(a)[at_a], y = onnx_index(b)[at_b];
        return x == y || (one->reads_past && y == -1 && x >= other->length);
    }
    double x = (double)onnx_reals(one, a)[at_a], y = (double)onnx_reals(other, b)[at_b];
    return fabs(x - y) <= SAME * (1 + fabs(x));
}

// Whether the known tensor b of `other` is found in a, where onnx_start_of says.
static bool same_values(const struct onnx_sizes *one, const struct onnx_sizes *other,
                        const struct ag_tensor *a, const struct ag_tensor *b)
{
    const struct onnx_tensor *of = &one->tensor[a->id];
    int64_t start[AG_MAX_DIMS] = {0};
    for (int d = 0; d < a->shape.dims; d++) {
        start[d] =
            onnx_amount_at(onnx_start_of(of->size[d], one->length), other->batch, other->length);
        if (start[d] + b->shape.size[d] > a->shape.size[d])
            return false;
    }
    for (int64_t i = 0; i < b->count; i++) {
        int64_t rest = i, at = 0, stride = 1;
        for (int d = a->shape.dims - 1; d >= 0; d--) {
            at += (start[d] + rest % b->shape.size[d]) * stride;
            rest /= b->shape.size[d];
            stride *= a->shape.size[d];
        }
        if (!same_number(one, other, a, at, b, i))
            return false;
    }
    return true;
}

static bool same_settings(struct onnx_sizes *one, const struct onnx_sizes *other,
                          const struct ag_tensor *a, const struct ag_tensor *b)
{
    for (const struct ag_setting *s = a->op->settings; s && s->name; s++) {
        double x = ag_setting_of(a, s->name), y = ag_setting_of(b, s->name);
        bool grows = strcmp(s->name, "start") == 0;
        if (grows ? !fit(&one->tensor[a->id].start, one, other, (int64_t)y) : x != y)
            return false;
    }
    return true;
}

static bool same_input(struct onnx_sizes *one, const struct onnx_sizes *other,
                       const struct ag_tensor *a, const struct ag_tensor *b)
{
    if (!a || !b)
        return a == b;
    if (a->varies != b->varies)
        return false;
    if (a->varies)
        return one->tensor[a->id].order == other->tensor[b->id].order;
    return fit_shape(one, other, a, b) && same_values(one, other, a, b);
}

static bool same_node(struct onnx_sizes *one, const struct onnx_sizes *other,
                      const struct ag_tensor *a, const struct ag_tensor *b)
{
    if (a->op != b->op || a->inputs != b->inputs || !fit_shape(one, other, a, b))
        return false;
    // A tap past the end of shorter rows is -1 there: both read zero.
    one->reads_past = a->op && strcmp(a->op->name, "taps") == 0;
    for (int i = 0; i < a->inputs; i++)
        if (!same_input(one, other, a->input[i], b->input[i]))
            return false;
    return !a->op || same_settings(one, other, a, b);
}

// Whether the two are one graph; else the reason is the first node that is another.
static bool compare(struct onnx_sizes *one, const struct onnx_sizes *other)
{
    const struct ag_tensor *a = onnx_next(one, NULL), *b = onnx_next(other, NULL);
    while (a && b && same_node(one, other, a, b)) {
        a = onnx_next(one, a);
        b = onnx_next(other, b);
    }
    if (!a && !b)
        return true;
    snprintf(one->reason, sizeof one->reason, "%s is another at other sizes",
             a ? a->name : b->name);
    return false;
}

// Captures the model at other sizes and compares: 1 where it is the same graph, 0 where it is
// another, or a code. A length that the model refuses is another.
static int compare_at(struct onnx_sizes *sizes, const struct model_config *config, int64_t batch,
                      int64_t length)
{
    struct model_graph model;
    struct onnx_sizes other;
    int code = model_graph_outline(&model, config, sizes->graph->params, batch, length);
    if (code == ERR_ARGUMENT) {
        snprintf(sizes->reason, sizeof sizes->reason, "%.*s", (int)strcspn(err_last(), ";"),
                 err_last());
        return 0;
    }
    if (code < 0)
        return code;
    code = onnx_sizes_init(&other, &model.graph, model.logits);
    if (code == 0) {
        other.batch = batch;
        other.length = length;
        code = compare(sizes, &other);
        onnx_sizes_release(&other);
    }
    model_graph_release(&model);
    return code;
}

// Forgets what was found of the length.
static void fix_length(struct onnx_sizes *sizes)
{
    for (int i = 0; i < sizes->graph->tensors; i++) {
        struct onnx_tensor *of = &sizes->tensor[i];
        for (int d = 0; d <= AG_MAX_DIMS; d++) {
            struct onnx_amount *n = d < AG_MAX_DIMS ? &of->size[d] : &of->start;
            *n = (struct onnx_amount){.fixed = n->fixed + n->length * sizes->length,
                                      .batch = n->batch + n->both * sizes->length};
        }
    }
}

static int compare_lengths(struct onnx_sizes *sizes, const struct model_config *config)
{
    int64_t n = sizes->length;
    const int64_t length[LENGTHS] = {n - 1, n / 2, 3, 2, 1};
    int same = n > 1;
    for (int i = 0; i < LENGTHS && same == 1; i++)
        if (length[i] > 0 && length[i] < n) {
            same = compare_at(sizes, config, BATCH, length[i]);
            sizes->settled = true;
        }
    sizes->any_length = same == 1;
    if (same == 0)
        fix_length(sizes);
    return same < 0 ? same : 0;
}

int onnx_sizes_of_model(struct onnx_sizes *sizes, struct model_graph *model,
                        const struct model_config *config, struct ag_params *params, int64_t length)
{
    int code = model_graph_outline(model, config, params, BATCH, length);
    if (code < 0)
        return code;
    code = onnx_sizes_init(sizes, &model->graph, model->logits);
    if (code < 0) {
        model_graph_release(model);
        return code;
    }
    sizes->batch = BATCH;
    sizes->length = length;
    code = compare_at(sizes, config, OTHER_BATCH, length);
    if (code == 0)
        code = err_set(ERR_ARGUMENT, "no ONNX graph is right for any batch: %s", sizes->reason);
    else if (code == 1)
        code = compare_lengths(sizes, config);
    if (code < 0) {
        onnx_sizes_release(sizes);
        model_graph_release(model);
    }
    return code;
}
