// From the captured graph to ONNX, node by node.
#include "translate.h"

#include <string.h>

#include "../../../autograd/ops/op.h"

static const struct row {
    const char *name;
    onnx_translation *translate;
} rows[] = {
#define ONNX_OP(name) {#name, onnx_op_##name},
#include "list.h"
#undef ONNX_OP
};

static onnx_translation *find(const char *op)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, op) == 0)
            return rows[i].translate;
    return NULL;
}

bool onnx_can_translate(const char *op)
{
    return find(op) != NULL;
}

const char *onnx_translate(struct onnx_writer *w, const struct ag_tensor *node)
{
    onnx_translation *translate = find(node->op->name);
    if (!translate)
        return onnx_refuse(w, "%s depends on the batch, and op %s has no translation to ONNX then",
                           node->name, node->op->name);
    return translate(w, node);
}

void onnx_translate_all(struct onnx_writer *w)
{
    const struct ag_tensor *node = onnx_next(w->sizes, NULL);
    for (; node && !w->error; node = onnx_next(w->sizes, node)) {
        w->at = node;
        if (!w->value[node->id])
            w->value[node->id] = node->op ? onnx_translate(w, node)
                                          : onnx_input(w, node, node->name, NULL);
    }
    w->at = NULL;
}
