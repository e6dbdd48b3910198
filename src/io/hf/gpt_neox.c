// GPT-NeoX (Black et al. 2022, arXiv 2204.06745): a decoder that turns the first channels of each
// head, in halves. The residual branches come one after the other, which it calls not parallel.
//
// The three projections of attention are one matrix, head by head: its queries, its keys, its
// values. Transformers 4 and 5 keep base and fraction under different names; both are written.
// Frequencies that are of no base (yarn, interpolated or trained ones) go as the factors of its
// "longrope", whose short and long lists are then the same.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "hf.h"

// The part of a head's channels that turns, whose product with head_dim is cut to a whole number:
// written so that it is the right one.
static double fraction(const struct hf_model *model)
{
    char text[32];
    int64_t head_dim = model->config->dim / model->config->heads;
    int64_t turned = 2 * hf_rotation_pairs(model);
    snprintf(text, sizeof text, "%.15g", (double)turned / (double)head_dim);
    double exact = strtod(text, NULL);
    bool is_right = (int64_t)((double)head_dim * exact) == turned;
    return is_right ? exact : ((double)turned + 0.25) / (double)head_dim;
}

enum { FACTORS_BASE = 10000 };

static json_t *factors(const struct hf_model *model)
{
    json_t *list = json_array();
    int64_t pairs = hf_rotation_pairs(model);
    for (int64_t c = 0; c < pairs; c++) {
        double usual = pow(FACTORS_BASE, -(double)c / (double)pairs);
        char text[32]; // without the digits in which machines differ
        snprintf(text, sizeof text, "%.10g", usual / hf_frequency(model, c));
        json_array_append_new(list, json_real(strtod(text, NULL)));
    }
    return list;
}

static void put_rotation(const struct hf_model *model, json_t *config)
{
    bool has_base = model->base > 0;
    double base = has_base ? model->base : FACTORS_BASE;
    json_object_set_new(config, "rotary_pct", json_real(fraction(model)));
    json_object_set_new(config, "rotary_emb_base", json_real(base));
    json_t *scaling = json_pack("{s:s, s:f, s:f}", "rope_type", has_base ? "default" : "longrope",
                                "rope_theta", base, "partial_rotary_factor", fraction(model));
    json_object_set_new(config, "rope_parameters", scaling);
    if (has_base)
        return;
    json_object_set_new(scaling, "factor", json_real(1));
    json_object_set_new(scaling, "attention_factor", json_real(1));
    json_object_set_new(scaling, "short_factor", factors(model));
    json_object_set_new(scaling, "long_factor", factors(model));
    json_object_set_new(scaling, "original_max_position_embeddings", json_integer(model->length));
    json_object_set(config, "rope_scaling", scaling);
}

static void configure(const struct hf_model *model, json_t *config)
{
    hf_put_sizes(model, config, model->length);
    json_object_set_new(config, "hidden_act", json_string("gelu"));
    static const char *const dropouts[] = {"attention_dropout", "hidden_dropout",
                                           "classifier_dropout"};
    for (int i = 0; i < 3; i++)
        json_object_set_new(config, dropouts[i], json_real(0));
    json_object_set_new(config, "use_parallel_residual", json_false());
    json_object_set_new(config, "attention_bias", json_true());
    put_rotation(model, config);
    json_object_set_new(config, "tie_word_embeddings", json_boolean(model->config->tie));
}

static void tensors(const struct hf_model *model, struct hf_tensors *out)
{
    static const struct hf_name names[] = {
        {"input_layernorm", "ln1", false, false},
        {"attention.dense", "attn.o", false, false},
        {"post_attention_layernorm", "ln2", false, false},
        {"mlp.dense_h_to_4h", "mlp.up", false, false},
        {"mlp.dense_4h_to_h", "mlp.down", false, false},
    };
    hf_copy(model, out, "gpt_neox.embed_in.weight", "tok_emb.weight");
    hf_copy_layers(model, out, "gpt_neox.layers.", sizeof names / sizeof names[0], names);
    hf_copy_fused(model, out, "gpt_neox.layers.",
                  &(struct hf_fused){"attention.query_key_value", false, true});
    hf_copy_pair(model, out, "gpt_neox.final_layer_norm", "ln_f");
    if (!model->config->tie)
        hf_copy(model, out, "embed_out.weight", "head.weight");
}

const struct hf_container hf_gpt_neox = {
    .model_type = "gpt_neox",
    .architecture = "GPTNeoXForCausalLM",
    .model_class = "AutoModelForCausalLM",
    .versions = ">=4.40,<6",
    .frequencies_versions = ">=4.45,<6",
    .causal = true,
    .any_length = true,
    .has = HF_ROTATION,
    .norm_epsilon = "layer_norm_eps",
    .check = hf_rotation_check,
    .configure = configure,
    .tensors = tensors,
};
