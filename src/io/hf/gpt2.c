// GPT-2 (Radford et al. 2019): a decoder with a table of positions, zeros where there is none.
//
// Its linear layers are Conv1D, [in, out]. The three projections of attention are one matrix, all
// queries, then all keys, then all values. Its GELU is the one of tanh unless it is told otherwise.
#include "hf.h"

static void configure(const struct hf_model *model, json_t *config)
{
    const struct model_config *ours = model->config;
    json_object_set_new(config, "n_positions", json_integer(model->length));
    json_object_set_new(config, "n_embd", json_integer(ours->dim));
    json_object_set_new(config, "n_layer", json_integer(ours->layers));
    json_object_set_new(config, "n_head", json_integer(ours->heads));
    json_object_set_new(config, "n_inner", json_integer(ours->ff_dim));
    json_object_set_new(config, "activation_function", json_string("gelu"));
    static const char *const dropouts[] = {"resid_pdrop", "embd_pdrop", "attn_pdrop"};
    for (int i = 0; i < 3; i++)
        json_object_set_new(config, dropouts[i], json_real(0));
    json_object_set_new(config, "scale_attn_weights", json_true());
    json_object_set_new(config, "tie_word_embeddings", json_boolean(ours->tie));
}

static void tensors(const struct hf_model *model, struct hf_tensors *out)
{
    static const struct hf_name names[] = {
        {"ln_1", "ln1", false, false},           {"attn.c_proj", "attn.o", true, false},
        {"ln_2", "ln2", false, false},           {"mlp.c_fc", "mlp.up", true, false},
        {"mlp.c_proj", "mlp.down", true, false},
    };
    hf_copy(model, out, "transformer.wte.weight", "tok_emb.weight");
    hf_copy_positions(model, out, "transformer.wpe.weight", model->length);
    hf_copy_layers(model, out, "transformer.h.", sizeof names / sizeof names[0], names);
    hf_copy_fused(model, out, "transformer.h.", &(struct hf_fused){"attn.c_attn", true, false});
    hf_copy_pair(model, out, "transformer.ln_f", "ln_f");
    if (!model->config->tie)
        hf_copy(model, out, "lm_head.weight", "head.weight");
}

const struct hf_container hf_gpt2 = {
    .model_type = "gpt2",
    .architecture = "GPT2LMHeadModel",
    .model_class = "AutoModelForCausalLM",
    .versions = ">=4.40,<6",
    .causal = true,
    .has = HF_POSITIONS,
    .norm_epsilon = "layer_norm_epsilon",
    .configure = configure,
    .tensors = tensors,
};
