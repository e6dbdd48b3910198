// ESM (Lin et al. 2022, Science 379): an encoder whose norms come first and which turns whole
// heads, in halves. Transformers 4 reads the frequencies of each layer from its file, 5 makes them
// of a base; both are written.
#include <stdio.h>

#include "../../../autograd/base/err.h"
#include "hf.h"

static int check(struct hf_model *model)
{
    int64_t head_dim = model->config->dim / model->config->heads;
    int64_t turned = 2 * hf_rotation_pairs(model);
    if (turned != head_dim)
        return err_set(
            ERR_ARGUMENT,
            "%s turns %lld of a head's %lld channels, and the one encoder that turns any "
            "(ESM) turns all; take --format onnx, or --what tables",
            model->anatomy->rotation_by, (long long)turned, (long long)head_dim);
    if (hf_rotation_check(model) < 0)
        return err_code();
    if (!(model->base > 0))
        return err_set(ERR_ARGUMENT,
                       "%s turns by frequencies that are not base^(-c/P) of any base, and the one "
                       "encoder that turns any (ESM) has a base; take --format onnx, or --what "
                       "tables",
                       model->anatomy->rotation_by);
    return 0;
}

// A table that is not read, but made, and has a row for the padding.
static int64_t positions(const struct hf_model *model)
{
    return model->length > 1 ? model->length : 2;
}

static void configure(const struct hf_model *model, json_t *config)
{
    hf_put_sizes(model, config, positions(model));
    json_object_set_new(config, "hidden_dropout_prob", json_real(0));
    json_object_set_new(config, "attention_probs_dropout_prob", json_real(0));
    json_object_set_new(config, "position_embedding_type", json_string("rotary"));
    json_object_set_new(config, "rope_theta", json_real(model->base));
    json_object_set_new(config, "emb_layer_norm_before", json_false());
    json_object_set_new(config, "token_dropout", json_false());
    json_object_set_new(config, "tie_word_embeddings", json_false());
    json_object_set_new(config, "pad_token_id", json_integer(0)); // it does not start without
}

static void put_frequencies(const struct hf_model *model, struct hf_tensors *out, int64_t layer)
{
    char name[AG_NAME_SIZE];
    int64_t pairs = hf_rotation_pairs(model);
    snprintf(name, sizeof name, "esm.encoder.layer.%lld.attention.self.rotary_embeddings.inv_freq",
             (long long)layer);
    float *to = hf_add(out, name, pairs, 0);
    for (int64_t c = 0; to && c < pairs; c++)
        to[c] = (float)hf_frequency(model, c);
}

static void tensors(const struct hf_model *model, struct hf_tensors *out)
{
    static const struct hf_name names[] = {
        {"attention.LayerNorm", "ln1", false, false},
        {"attention.self.query", "attn.q", false, true},
        {"attention.self.key", "attn.k", false, true},
        {"attention.self.value", "attn.v", false, false},
        {"attention.output.dense", "attn.o", false, false},
        {"LayerNorm", "ln2", false, false},
        {"intermediate.dense", "mlp.up", false, false},
        {"output.dense", "mlp.down", false, false},
    };
    const struct model_config *ours = model->config;
    hf_copy(model, out, "esm.embeddings.word_embeddings.weight", "tok_emb.weight");
    hf_add(out, "esm.embeddings.position_embeddings.weight", positions(model), ours->dim);
    hf_copy_layers(model, out, "esm.encoder.layer.", sizeof names / sizeof names[0], names);
    for (int64_t layer = 0; layer < ours->layers; layer++)
        put_frequencies(model, out, layer);
    hf_copy_pair(model, out, "esm.encoder.emb_layer_norm_after", "ln_f");
    hf_add(out, "esm.contact_head.regression.weight", 1, ours->layers * ours->heads);
    hf_add(out, "esm.contact_head.regression.bias", 1, 0);
    hf_copy_classifier(model, out);
}

const struct hf_container hf_esm = {
    .model_type = "esm",
    .architecture = "EsmForTokenClassification",
    .model_class = "AutoModelForTokenClassification",
    .versions = ">=4.40,<6",
    .is_classifier = true,
    .any_length = true,
    .has = HF_ROTATION,
    .norm_epsilon = "layer_norm_eps",
    .check = check,
    .configure = configure,
    .tensors = tensors,
};
