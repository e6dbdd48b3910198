// Falcon (Almazrouei et al. 2023, arXiv 2311.16867) with alibi: a decoder whose logits fall with
// the distance. The residual branches come one after the other, and each head has keys of its own.
//
// It adds slope times the key's place before it divides scores by sqrt(head_dim), which is under
// softmax ALiBi's bias over sqrt(head_dim). Both the slope and that product are rounded to
// bfloat16, which has eight bits: exact for powers of two, and up to place 256. Transformers
// below 4.45 fail where a query stands alone, as in cached generation.
#include <math.h>

#include "../../../autograd/base/err.h"
#include "../../encodings/common/relative.h"
#include "hf.h"

enum { BITS = 8, LONGEST = (1 << BITS) + 1 };

static bool is_power_of_two(double slope)
{
    int exponent;
    return !(frexp(slope, &exponent) > 0.5);
}

// Whether a layer adds to the logits what Falcon does, up to `length` tokens.
static bool is_falcons(const struct hf_model *model, const struct ag_relative *bias, int64_t length)
{
    int64_t heads = model->config->heads;
    double scale = 1 / sqrt((double)(model->config->dim / heads));
    for (int64_t distance = 0; bias->table && distance < length; distance++) {
        const real *row = model_anatomy_row(bias, -distance);
        for (int64_t h = 0; h < heads; h++) {
            double theirs = pe_alibi_slope(h, heads) * scale * (double)distance;
            if (!(fabs((double)row[h] + theirs) <= 1e-6 * theirs))
                return false;
        }
    }
    return bias->table;
}

static int check(struct hf_model *model)
{
    const struct model_config *config = model->config;
    const char *name = model->anatomy->bias_by;
    model->length = model->length < LONGEST ? model->length : LONGEST;
    for (int64_t l = 0; l < config->layers; l++)
        if (!is_falcons(model, &model->anatomy->layer[l].bias, model->length))
            return err_set(ERR_ARGUMENT,
                           "%s adds a bias to the logits, and the one that transformers has with "
                           "our block (Falcon) is slope (j - i) / sqrt(head_dim), as of alibi with "
                           "scaled=yes; take --format onnx, or --what tables",
                           name);
    for (int64_t h = 0; h < config->heads; h++)
        if (!is_power_of_two(pe_alibi_slope(h, config->heads)))
            return err_set(ERR_ARGUMENT,
                           "%s has slopes for %lld heads that are no powers of two, and Falcon "
                           "rounds slopes to bfloat16; train with 8 heads or fewer, or take "
                           "--format onnx",
                           name, (long long)config->heads);
    return 0;
}

static void configure(const struct hf_model *model, json_t *config)
{
    hf_put_sizes(model, config, model->length);
    json_object_set_new(config, "ffn_hidden_size", json_integer(model->config->ff_dim));
    json_object_set_new(config, "num_kv_heads", json_integer(model->config->heads));
    json_object_set_new(config, "activation", json_string("gelu"));
    json_object_set_new(config, "hidden_dropout", json_real(0));
    json_object_set_new(config, "attention_dropout", json_real(0));
    json_object_set_new(config, "alibi", json_true());
    json_object_set_new(config, "bias", json_true());
    static const char *const others[] = {"multi_query", "parallel_attn",
                                         "new_decoder_architecture"};
    for (int i = 0; i < 3; i++)
        json_object_set_new(config, others[i], json_false());
    json_object_set_new(config, "tie_word_embeddings", json_boolean(model->config->tie));
}

static void tensors(const struct hf_model *model, struct hf_tensors *out)
{
    static const struct hf_name names[] = {
        {"input_layernorm", "ln1", false, false},
        {"self_attention.dense", "attn.o", false, false},
        {"post_attention_layernorm", "ln2", false, false},
        {"mlp.dense_h_to_4h", "mlp.up", false, false},
        {"mlp.dense_4h_to_h", "mlp.down", false, false},
    };
    hf_copy(model, out, "transformer.word_embeddings.weight", "tok_emb.weight");
    hf_copy_layers(model, out, "transformer.h.", sizeof names / sizeof names[0], names);
    hf_copy_fused(model, out, "transformer.h.",
                  &(struct hf_fused){"self_attention.query_key_value", false, true});
    hf_copy_pair(model, out, "transformer.ln_f", "ln_f");
    if (!model->config->tie)
        hf_copy(model, out, "lm_head.weight", "head.weight");
}

const struct hf_container hf_falcon = {
    .model_type = "falcon",
    .architecture = "FalconForCausalLM",
    .model_class = "AutoModelForCausalLM",
    .versions = ">=4.45,<6",
    .causal = true,
    .has = HF_BIAS,
    .norm_epsilon = "layer_norm_epsilon",
    .check = check,
    .configure = configure,
    .tensors = tensors,
};
