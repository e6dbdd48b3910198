// Tensors of a container: ours under other names, and turned or transposed where theirs are.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../autograd/base/err.h"
#include "hf.h"

// A name in the arena, "PREFIX3.NAME.KIND", or without the number where `layer` is negative.
static char *join(struct hf_tensors *out, const char *prefix, int64_t layer, const char *name,
                  const char *kind)
{
    char text[AG_NAME_SIZE];
    if (layer < 0)
        snprintf(text, sizeof text, "%s%s.%s", prefix, name, kind);
    else
        snprintf(text, sizeof text, "%s%lld.%s.%s", prefix, (long long)layer, name, kind);
    char *copy = arena_strdup(&out->arena, text);
    if (!copy)
        out->error = ERR_MEMORY;
    return copy;
}

static struct export_array *append(struct hf_tensors *out)
{
    if (out->count == out->capacity) {
        int capacity = out->capacity ? 2 * out->capacity : 64;
        struct export_array *more = realloc(out->array, (size_t)capacity * sizeof *more);
        if (!more) {
            out->error = err_set(ERR_MEMORY, "out of memory for the tensors");
            return NULL;
        }
        out->array = more;
        out->capacity = capacity;
    }
    return &out->array[out->count];
}

float *hf_add(struct hf_tensors *out, const char *name, int64_t rows, int64_t columns)
{
    struct export_array *array = out->error ? NULL : append(out);
    if (!array)
        return NULL;
    int64_t count = rows;
    if (columns && __builtin_mul_overflow(rows, columns, &count)) {
        out->error = err_set(ERR_MEMORY, "%s has a size that does not fit", name);
        return NULL;
    }
    char *copy = arena_strdup(&out->arena, name);
    float *data = aligned_zeroed((size_t)count, sizeof *data);
    if (!copy || !data) {
        free(data);
        out->error = ERR_MEMORY;
        return NULL;
    }
    *array = (struct export_array){
        .name = copy, .dims = columns ? 2 : 1, .size = {rows, columns}, .data = data};
    out->count++;
    return data;
}

static const struct ag_parameter *row_of(const struct hf_model *model, const char *ours)
{
    int row = ag_params_find(model->params, ours);
    BUG_ON(row < 0);
    return &model->params->row[row];
}

const real *hf_parameter(const struct hf_model *model, const char *ours)
{
    return model->params->value + row_of(model, ours)->offset;
}

// Our row of their row `i`, and which of our dimensions their columns are.
static void copy(const struct hf_model *model, struct hf_tensors *out, const char *theirs,
                 const char *ours, bool transposed, bool turned, double scale)
{
    if (out->error)
        return;
    const struct ag_parameter *row = row_of(model, ours);
    const real *from = hf_parameter(model, ours);
    int64_t rows = row->shape.size[0], columns = row->count / rows;
    float *to = row->shape.dims == 1 ? hf_add(out, theirs, rows, 0)
                : transposed         ? hf_add(out, theirs, columns, rows)
                                     : hf_add(out, theirs, rows, columns);
    for (int64_t i = 0; to && i < rows; i++) {
        int64_t ours_row = turned ? hf_turned_row(model, i) : i;
        for (int64_t j = 0; j < columns; j++)
            to[transposed ? j * rows + i : i * columns + j] =
                (float)(scale * (double)from[ours_row * columns + j]);
    }
}

void hf_copy(const struct hf_model *model, struct hf_tensors *out, const char *theirs,
             const char *ours)
{
    copy(model, out, theirs, ours, false, false, 1);
}

static void copy_pair(const struct hf_model *model, struct hf_tensors *out, const char *prefix,
                      int64_t layer, const struct hf_name *name)
{
    static const char *const kinds[] = {"weight", "bias"};
    bool is_query = layer >= 0 && strcmp(name->ours, "attn.q") == 0;
    double scale = is_query ? model->anatomy->layer[layer].scale : 1;
    for (int k = 0; k < 2 && !out->error; k++) {
        char *theirs = join(out, prefix, layer, name->theirs, kinds[k]);
        char *ours = join(out, layer < 0 ? "" : "layers.", layer, name->ours, kinds[k]);
        if (theirs && ours)
            copy(model, out, theirs, ours, k == 0 && name->transposed, name->turned, scale);
    }
}

void hf_copy_layers(const struct hf_model *model, struct hf_tensors *out, const char *prefix,
                    int count, const struct hf_name *name)
{
    for (int64_t layer = 0; layer < model->config->layers; layer++)
        for (int i = 0; i < count; i++)
            copy_pair(model, out, prefix, layer, &name[i]);
}

void hf_copy_pair(const struct hf_model *model, struct hf_tensors *out, const char *theirs,
                  const char *ours)
{
    copy_pair(model, out, "", -1, &(struct hf_name){theirs, ours, false, false});
}

// Where row i of queries (part 0), keys or values stands among the rows of all three.
static int64_t fused_row(const struct hf_model *model, bool by_head, int64_t part, int64_t i)
{
    int64_t dim = model->config->dim, head_dim = dim / model->config->heads;
    return by_head ? (3 * (i / head_dim) + part) * head_dim + i % head_dim : part * dim + i;
}

static void fuse_part(const struct hf_model *model, int64_t layer, const struct hf_fused *fused,
                      int part, float *weight, float *bias)
{
    char name[AG_NAME_SIZE];
    int64_t dim = model->config->dim;
    bool turned = part < 2 && model->anatomy->rotation_by;
    double scale = part == 0 ? model->anatomy->layer[layer].scale : 1;
    snprintf(name, sizeof name, "layers.%lld.attn.%c.weight", (long long)layer, "qkv"[part]);
    const real *from = hf_parameter(model, name);
    snprintf(name, sizeof name, "layers.%lld.attn.%c.bias", (long long)layer, "qkv"[part]);
    const real *from_bias = hf_parameter(model, name);
    for (int64_t i = 0; i < dim; i++) {
        int64_t ours = turned ? hf_turned_row(model, i) : i;
        int64_t theirs = fused_row(model, fused->by_head, part, i);
        bias[theirs] = (float)(scale * (double)from_bias[ours]);
        for (int64_t j = 0; j < dim; j++)
            weight[fused->transposed ? j * 3 * dim + theirs : theirs * dim + j] =
                (float)(scale * (double)from[ours * dim + j]);
    }
}

void hf_copy_fused(const struct hf_model *model, struct hf_tensors *out, const char *prefix,
                   const struct hf_fused *fused)
{
    int64_t dim = model->config->dim, all = 3 * dim;
    for (int64_t layer = 0; layer < model->config->layers && !out->error; layer++) {
        char *weight_name = join(out, prefix, layer, fused->theirs, "weight");
        char *bias_name = join(out, prefix, layer, fused->theirs, "bias");
        float *weight = !weight_name        ? NULL
                        : fused->transposed ? hf_add(out, weight_name, dim, all)
                                            : hf_add(out, weight_name, all, dim);
        float *bias = bias_name ? hf_add(out, bias_name, all, 0) : NULL;
        for (int part = 0; weight && bias && part < 3; part++)
            fuse_part(model, layer, fused, part, weight, bias);
    }
}

void hf_copy_positions(const struct hf_model *model, struct hf_tensors *out, const char *theirs,
                       int64_t max)
{
    int64_t columns = model->config->dim;
    float *to = hf_add(out, theirs, max, columns);
    const ag_t *table = model->anatomy->positions;
    for (int64_t i = 0; to && table && i < model->length * columns; i++)
        to[i] = (float)table->data[i];
}

void hf_copy_classifier(const struct hf_model *model, struct hf_tensors *out)
{
    hf_copy(model, out, "classifier.weight", model->config->tie ? "tok_emb.weight" : "head.weight");
    hf_add(out, "classifier.bias", model->config->vocab, 0);
}

void hf_tensors_release(struct hf_tensors *out)
{
    for (int i = 0; i < out->count; i++)
        free((void *)(uintptr_t)out->array[i].data);
    free(out->array);
    arena_release(&out->arena);
    memset(out, 0, sizeof *out);
}
