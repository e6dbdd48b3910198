// The captured model, translated.
#include "model.h"

#include <stdio.h>
#include <string.h>

#include "../../../autograd/ops/op.h"
#include "translate.h"

// Whether anything that is stored, or any place of it, is by length: else rows may be longer than
// those that were captured.
static bool has_end(const struct onnx_sizes *sizes)
{
    for (struct ag_tensor *t = sizes->graph->first; t; t = t->next) {
        const struct onnx_tensor *of = &sizes->tensor[t->id];
        for (int d = 0; of->known && d < t->shape.dims; d++)
            if (!onnx_is_fixed(of->size[d]))
                return true;
    }
    return false;
}

// What positions that are drawn stay below, where the file takes them as an input; else 0.
static int64_t positions_below(const struct onnx_sizes *sizes)
{
    for (int i = 0; i < sizes->count; i++) {
        const struct ag_tensor *t = sizes->computed[i];
        if (t->op && strcmp(t->op->name, "sample_positions") == 0 &&
            (enum ag_sampling)ag_setting_of(t, "kind") == AG_RANDOM_POSITIONS)
            return (int64_t)ag_setting_of(t, "range");
    }
    return 0;
}

static void judge(const struct onnx_sizes *sizes, char verdict[ONNX_VERDICT])
{
    int used = snprintf(verdict, ONNX_VERDICT, "opset %d, any batch, ", ONNX_OPSET);
    size_t left = ONNX_VERDICT - (size_t)(unsigned)used;
    long long length = (long long)sizes->length, below = (long long)positions_below(sizes);
    if (!sizes->any_length)
        snprintf(verdict + used, left, "rows of %lld tokens only: %.150s", length, sizes->reason);
    else if (below)
        snprintf(verdict + used, left,
                 "rows of any length, positions (in order, below %lld) are an input", below);
    else if (has_end(sizes))
        snprintf(verdict + used, left, "rows of up to %lld tokens", length);
    else
        snprintf(verdict + used, left, "rows of any length");
}

static void write_inputs(struct onnx_writer *w, const struct model_graph *model)
{
    onnx_input(w, model->tokens, "tokens", NULL);
    onnx_input(w, model->mask, "mask", "1 for a token that is there, 0 for padding");
}

int onnx_model(const struct model_config *config, struct ag_params *params, int64_t length,
               const struct onnx_property *property, int properties, struct bytes *out,
               char verdict[ONNX_VERDICT])
{
    struct model_config plain = *config;
    struct model_graph model;
    struct onnx_sizes sizes;
    struct onnx_writer w;
    plain.dropout = plain.label_smoothing = 0;
    plain.parts = 0;
    int code = onnx_sizes_of_model(&sizes, &model, &plain, params, length);
    if (code < 0)
        return code;
    code = onnx_writer_init(&w, &sizes);
    if (code == 0) {
        write_inputs(&w, &model);
        onnx_translate_all(&w);
        code = onnx_writer_end(&w, model.logits, "logits", property, properties, out);
        judge(&sizes, verdict);
        onnx_writer_release(&w);
    }
    onnx_sizes_release(&sizes);
    model_graph_release(&model);
    return code;
}
