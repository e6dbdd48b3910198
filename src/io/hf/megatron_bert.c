// Megatron-BERT (Shoeybi et al. 2019, arXiv 1909.08053): an encoder whose norms come first and
// which has none on its embeddings. It has a table of positions, or, in transformers 4, keys by
// distance (Shaw et al. 2018), whose row stands for query minus key.
#include <stdio.h>

#include "../../../autograd/base/err.h"
#include "hf.h"

static int check(struct hf_model *model)
{
    const struct model_anatomy *anatomy = model->anatomy;
    int64_t head_dim = model->config->dim / model->config->heads;
    for (int64_t l = 0; anatomy->keys_by && l < model->config->layers; l++) {
        const ag_t *table = anatomy->layer[l].keys.table;
        if (!table || table->shape.size[1] != head_dim)
            return err_set(ERR_ARGUMENT,
                           "%s has a table of distances for each head, and Megatron-BERT one for "
                           "all of a layer; take --format onnx, or --what tables",
                           anatomy->keys_by);
    }
    return 0;
}

static void configure(const struct hf_model *model, json_t *config)
{
    hf_put_sizes(model, config, model->length);
    json_object_set_new(config, "type_vocab_size", json_integer(1));
    json_object_set_new(config, "hidden_act", json_string("gelu"));
    json_object_set_new(config, "hidden_dropout_prob", json_real(0));
    json_object_set_new(config, "attention_probs_dropout_prob", json_real(0));
    json_object_set_new(config, "position_embedding_type",
                        json_string(model->anatomy->keys_by ? "relative_key" : "absolute"));
    json_object_set_new(config, "tie_word_embeddings", json_false());
}

// Row r of theirs: query minus key is r - (length - 1).
static void put_distances(const struct hf_model *model, struct hf_tensors *out, int64_t layer)
{
    char name[AG_NAME_SIZE];
    const struct ag_relative *keys = &model->anatomy->layer[layer].keys;
    int64_t columns = keys->table->shape.size[1], rows = 2 * model->length - 1;
    snprintf(name, sizeof name, "bert.encoder.layer.%lld.attention.self.distance_embedding.weight",
             (long long)layer);
    float *to = hf_add(out, name, rows, columns);
    for (int64_t r = 0; to && r < rows; r++) {
        const real *ours = model_anatomy_row(keys, model->length - 1 - r);
        for (int64_t c = 0; c < columns; c++)
            to[r * columns + c] = (float)ours[c];
    }
}

static void tensors(const struct hf_model *model, struct hf_tensors *out)
{
    static const struct hf_name names[] = {
        {"attention.ln", "ln1", false, false},
        {"attention.self.query", "attn.q", false, false},
        {"attention.self.key", "attn.k", false, false},
        {"attention.self.value", "attn.v", false, false},
        {"attention.output.dense", "attn.o", false, false},
        {"ln", "ln2", false, false},
        {"intermediate.dense", "mlp.up", false, false},
        {"output.dense", "mlp.down", false, false},
    };
    const struct model_config *ours = model->config;
    hf_copy(model, out, "bert.embeddings.word_embeddings.weight", "tok_emb.weight");
    hf_copy_positions(model, out, "bert.embeddings.position_embeddings.weight", model->length);
    hf_add(out, "bert.embeddings.token_type_embeddings.weight", 1, ours->dim);
    hf_copy_layers(model, out, "bert.encoder.layer.", sizeof names / sizeof names[0], names);
    for (int64_t layer = 0; model->anatomy->keys_by && layer < ours->layers; layer++)
        put_distances(model, out, layer);
    hf_copy_pair(model, out, "bert.encoder.ln", "ln_f");
    hf_copy_classifier(model, out);
}

const struct hf_container hf_megatron_bert = {
    .model_type = "megatron-bert",
    .architecture = "MegatronBertForTokenClassification",
    .model_class = "AutoModelForTokenClassification",
    .versions = ">=4.40,<6",
    .keys_versions = ">=4.40,<5",
    .is_classifier = true,
    .has = HF_POSITIONS | HF_KEYS,
    .norm_epsilon = "layer_norm_eps",
    .check = check,
    .configure = configure,
    .tensors = tensors,
};
