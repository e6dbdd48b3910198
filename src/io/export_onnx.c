// ONNX: the model's forward pass as a graph that any runtime computes (github.com/onnx/onnx).
//
// The graph is translated from the one that we compute ourselves (io/onnx/), so that every
// encoding and every stack is in it without being known here.
#include <stdio.h>
#include <stdlib.h>

#include "../../autograd/base/err.h"
#include "checkpoint.h"
#include "export.h"
#include "onnx/model.h"

enum { NUMBER = 24 };

static int64_t longest(const struct export_model *model)
{
    const struct trainer *trainer = model->trainer;
    return model->length ? model->length : trainer->settings.length;
}

// What the file says of the run: the main things one by one, and all settings as JSON.
static int encode(const struct export_model *model, struct bytes *bytes)
{
    const struct trainer *trainer = model->trainer;
    const struct train_settings *s = &trainer->settings;
    char step[NUMBER], length[NUMBER], *config = checkpoint_config(s);
    if (!config)
        return err_code();
    snprintf(step, sizeof step, "%lld", (long long)trainer->step);
    snprintf(length, sizeof length, "%lld", (long long)s->length);
    const struct onnx_property property[] = {
        {"encoding", s->pe},
        {"task", s->task},
        {"arch", trainer->config.causal ? "decoder" : "encoder"},
        {"train_length", length},
        {"step", step},
        {"config", config}};
    int code = onnx_model(&trainer->config, &model->trainer->params, longest(model), property,
                          sizeof property / sizeof property[0], bytes, model->verdict);
    free(config);
    return code;
}

static int write_model(const struct export_model *model, const char *path)
{
    struct bytes bytes = {0};
    int code = model_check_length(&model->trainer->config, longest(model));
    if (code == 0)
        code = encode(model, &bytes);
    if (code == 0)
        code = export_publish(path, (const char *)bytes.at, bytes.size);
    free(bytes.at);
    return code;
}

const struct export_format export_onnx = {
    .name = "onnx",
    .title = "ONNX, opset 17: the model, from tokens and mask to logits",
    .extension = ".onnx",
    .write_model = write_model,
};
