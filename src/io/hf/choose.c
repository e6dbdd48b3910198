// The list of containers, and the choice of one by what the stack of encodings does.
#include "../../../autograd/base/err.h"
#include "hf.h"

#define CONTAINER(name) extern const struct hf_container hf_##name;
#include "list.h"
#undef CONTAINER

#define CONTAINER(name) &hf_##name,
const struct hf_container *const hf_list[] = {
#include "list.h"
};
#undef CONTAINER
const int hf_count = sizeof hf_list / sizeof hf_list[0];

#define NEAREST "take --format onnx, or --what tables"

// What has to be there beside the block.
static unsigned needed(const struct model_anatomy *anatomy)
{
    return (anatomy->positions ? HF_POSITIONS : 0u) | (anatomy->rotation_by ? HF_ROTATION : 0u) |
           (anatomy->keys_by ? HF_KEYS : 0u) | (anatomy->bias_by ? HF_BIAS : 0u);
}

// The container that has one part, in encoders or in decoders alone.
static const struct hf_container *only_with(unsigned part)
{
    for (int i = 0; i < hf_count; i++)
        if (hf_list[i]->has & part)
            return hf_list[i];
    return NULL;
}

// Two of the encodings that do what no architecture does at once, or one alone that only encoders
// have, or only decoders.
static int refuse_parts(const struct hf_model *model, unsigned parts)
{
    const struct model_anatomy *anatomy = model->anatomy;
    const struct {
        unsigned part;
        const char *by, *does;
    } all[] = {{HF_POSITIONS, anatomy->positions_by, "adds a table of positions"},
               {HF_ROTATION, anatomy->rotation_by, "turns queries and keys"},
               {HF_KEYS, anatomy->keys_by, "reads queries with a table of distances"},
               {HF_BIAS, anatomy->bias_by, "adds a bias to the logits"}};
    int found[2] = {0, 0}, count = 0;
    for (int i = 0; i < 4 && count < 2; i++)
        if (parts & all[i].part)
            found[count++] = i;
    int first = found[0], second = found[1];
    if (count == 2)
        return err_set(ERR_ARGUMENT,
                       "%s %s and %s %s, and no model of transformers does both; " NEAREST,
                       all[first].by, all[first].does, all[second].by, all[second].does);
    const struct hf_container *only = only_with(parts);
    BUG_ON(!only);
    return err_set(
        ERR_ARGUMENT, "%s %s, which transformers has with our block in %s alone (%s); " NEAREST,
        all[first].by, all[first].does, only->causal ? "decoders" : "encoders", only->model_type);
}

static int check_block(const struct hf_model *model)
{
    const struct model_anatomy *anatomy = model->anatomy;
    if (model->config->attention != AG_SOFTMAX)
        return err_set(ERR_ARGUMENT,
                       "--attention is not softmax, which is all that transformers has in this "
                       "block; " NEAREST);
    if (anatomy->other)
        return err_set(ERR_ARGUMENT,
                       "%s %s, and no model of transformers with our block (LayerNorm first, "
                       "biases, erf GELU) does that; " NEAREST,
                       anatomy->other_by, anatomy->other);
    return 0;
}

const struct hf_container *hf_choose(struct hf_model *model)
{
    if (check_block(model) < 0)
        return NULL;
    unsigned parts = needed(model->anatomy);
    bool one = (parts & (parts - 1)) == 0; // at most
    for (int i = 0; i < hf_count && one; i++) {
        const struct hf_container *container = hf_list[i];
        if (container->causal != model->config->causal ||
            !(container->has & (parts ? parts : HF_POSITIONS)))
            continue;
        return container->check && container->check(model) < 0 ? NULL : container;
    }
    refuse_parts(model, parts);
    return NULL;
}

const char *hf_versions(const struct hf_model *model, const struct hf_container *container)
{
    const struct model_anatomy *anatomy = model->anatomy;
    bool has_frequencies = anatomy->rotation_by && !(model->base > 0);
    return anatomy->keys_by  ? container->keys_versions
           : has_frequencies ? container->frequencies_versions
                             : container->versions;
}
