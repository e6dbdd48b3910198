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
           (anatomy->keys_by ? HF_KEYS : 0u);
}

// Two of the encodings that do what no architecture does at once, or one alone that only encoders
// have.
static int refuse_parts(const struct hf_model *model, unsigned parts)
{
    const struct model_anatomy *anatomy = model->anatomy;
    if (parts == HF_KEYS)
        return err_set(ERR_ARGUMENT,
                       "%s reads queries with a table of distances, which transformers has in "
                       "encoders alone (Megatron-BERT); " NEAREST,
                       anatomy->keys_by);
    const char *first = anatomy->positions ? anatomy->positions_by : anatomy->rotation_by;
    const char *second = parts & HF_KEYS ? anatomy->keys_by : anatomy->rotation_by;
    return err_set(
        ERR_ARGUMENT, "%s %s and %s %s, and no model of transformers does both; " NEAREST, first,
        anatomy->positions ? "adds a table of positions" : "turns queries and keys", second,
        parts & HF_KEYS ? "reads a table of distances" : "turns queries and keys");
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
    return model->anatomy->keys_by ? container->keys_versions : container->versions;
}
