// A trace. Gradients are those of the loss, before clipping; the step is the one that would come
// next.
#include "trace.h"

#include <stdlib.h>

#include "../../autograd/base/err.h"
#include "checkpoint.h"

static void write_batch(struct h5_writer *writer, const struct model_graph *model)
{
    int64_t size[] = {model->batch, model->length};
    h5_write(writer, "/batch/tokens", H5FILE_I32, 2, size, model->tokens->index);
    h5_write(writer, "/batch/targets", H5FILE_I32, 2, size, model->targets->index);
    h5_write(writer, "/batch/mask", H5FILE_I32, 2, size, model->mask->index);
}

static void write_outputs(struct h5_writer *writer, const struct model_graph *model)
{
    const struct ag_shape *shape = &model->logits->shape;
    h5_write(writer, "/outputs/logits", CHECKPOINT_REAL, shape->dims, shape->size,
             model->logits->data);
    h5_write(writer, "/outputs/loss", CHECKPOINT_REAL, 0, NULL, model->loss->data);
}

int trace_write(const char *path, struct trainer *trainer)
{
    struct train_step_result result;
    int code = trainer_gradients(trainer, &result);
    if (code < 0)
        return code;
    char *config = checkpoint_config(&trainer->settings);
    struct h5_writer *writer = config ? h5_writer_new() : NULL;
    if (writer) {
        checkpoint_write_identity(writer, TRACE_FORMAT, TRACE_VERSION, trainer, trainer->step + 1);
        h5_attr_real(writer, "/", "grad_norm", result.grad_norm);
        h5_write_text(writer, "/config", config);
        write_batch(writer, &trainer->train);
        write_outputs(writer, &trainer->train);
        checkpoint_write_slab(writer, "/params", &trainer->params, trainer->params.value);
        checkpoint_write_slab(writer, "/grads", &trainer->params, trainer->params.grad);
        code = h5_writer_publish(writer, path);
        h5_writer_free(writer);
    } else {
        code = ERR_MEMORY;
    }
    free(config);
    return code;
}
