// The captured model, translated.
#include "model.h"

#include <stdio.h>
#include <string.h>

#include "../../../autograd/ops/op.h"
#include "translate.h"

// The node that draws positions, or NULL.
static const struct ag_tensor *sampler_of(const struct onnx_sizes *sizes)
{
    for (const struct ag_tensor *t = onnx_next(sizes, NULL); t; t = onnx_next(sizes, t))
        if (t->op && strcmp(t->op->name, "sample_positions") == 0)
            return t;
    return NULL;
}

// The longest rows that what is stored is enough for; 0: any.
static int64_t longest(const struct onnx_sizes *sizes, const struct ag_tensor *sampler)
{
    for (struct ag_tensor *t = sizes->graph->first; t; t = t->next) {
        const struct onnx_tensor *of = &sizes->tensor[t->id];
        for (int d = 0; of->known && d < t->shape.dims; d++)
            if (!onnx_is_fixed(of->size[d]))
                return sizes->length;
    }
    return sampler ? (int64_t)ag_setting_of(sampler, "range") : 0;
}

// Also as metadata, for programs.
static void judge(struct onnx_writer *w, const struct onnx_sizes *sizes, char verdict[ONNX_VERDICT])
{
    const struct ag_tensor *sampler = sampler_of(sizes);
    long long most = (long long)longest(sizes, sampler);
    char rows[160] = "any length", positions[64] = "";
    if (!sizes->any_length)
        snprintf(rows, sizeof rows, "%lld token%s only%s%.110s", (long long)sizes->length,
                 sizes->length == 1 ? "" : "s", *sizes->reason ? ": " : "", sizes->reason);
    else if (most)
        snprintf(rows, sizeof rows, "up to %lld tokens", most);
    onnx_property(w, "rows", rows);
    if (sampler && (enum ag_sampling)ag_setting_of(sampler, "kind") == AG_RANDOM_POSITIONS)
        snprintf(positions, sizeof positions, "; positions, in order and below %lld, are an input",
                 (long long)ag_setting_of(sampler, "range"));
    snprintf(verdict, ONNX_VERDICT, "opset %d, any batch, rows of %s%s", ONNX_OPSET, rows,
             positions);
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
        for (int i = 0; i < properties; i++)
            onnx_property(&w, property[i].key, property[i].value);
        judge(&w, &sizes, verdict);
        code = onnx_writer_end(&w, model.logits, "logits", out);
        onnx_writer_release(&w);
    }
    onnx_sizes_release(&sizes);
    model_graph_release(&model);
    return code;
}
