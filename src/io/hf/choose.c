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

// What encodings do beside the block.
struct part {
    unsigned bit;
    const char *by, *does;
};
enum { PARTS = 4 };

// The parts that are there; how many.
static int find_parts(const struct model_anatomy *anatomy, struct part found[PARTS])
{
    const struct part all[PARTS] = {
        {HF_POSITIONS, anatomy->positions_by, "adds a table of positions"},
        {HF_ROTATION, anatomy->rotation_by, "turns queries and keys"},
        {HF_KEYS, anatomy->keys_by, "reads queries with a table of distances"},
        {HF_BIAS, anatomy->bias_by, "adds a bias to the logits"}};
    int count = 0;
    for (int i = 0; i < PARTS; i++)
        if (all[i].by)
            found[count++] = all[i];
    return count;
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
static int refuse_parts(const struct part *part, int count)
{
    if (count > 1)
        return err_set(ERR_ARGUMENT,
                       "%s %s and %s %s, and no model of transformers does both; " NEAREST,
                       part[0].by, part[0].does, part[1].by, part[1].does);
    const struct hf_container *only = only_with(part[0].bit);
    BUG_ON(!only);
    return err_set(
        ERR_ARGUMENT, "%s %s, which transformers has with our block in %s alone (%s); " NEAREST,
        part[0].by, part[0].does, only->causal ? "decoders" : "encoders", only->model_type);
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
    struct part part[PARTS] = {{0}};
    int count = find_parts(model->anatomy, part);
    unsigned wanted = count ? part[0].bit : HF_POSITIONS;
    for (int i = 0; i < hf_count && count < 2; i++) {
        const struct hf_container *container = hf_list[i];
        if (container->causal != model->config->causal || !(container->has & wanted))
            continue;
        return container->check && container->check(model) < 0 ? NULL : container;
    }
    refuse_parts(part, count);
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
