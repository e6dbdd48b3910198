// config.json, and how texts of the folder are made.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../autograd/base/err.h"
#include "../json_memory.h"
#include "hf.h"

#define LAYER_NORM_EPSILON 1e-5
enum { PRECISION = 15 }; // digits of a number

char *hf_text(json_t *root, bool compact, unsigned long failures)
{
    size_t layout = compact ? JSON_COMPACT : JSON_INDENT(2);
    char *text = json_dumps(root, layout | JSON_REAL_PRECISION(PRECISION));
    json_decref(root);
    size_t length = text ? strlen(text) : 0;
    char *line = text ? realloc(text, length + 2) : NULL;
    if (!line || json_memory_check(failures) < 0) {
        free(line ? line : text);
        err_set(ERR_MEMORY, "out of memory for the files of the model");
        return NULL;
    }
    memcpy(line + length, "\n", 2);
    return line;
}

// A class is a token: "id2label" and its inverse.
static void put_labels(const struct hf_model *model, json_t *config)
{
    json_t *names = json_object(), *numbers = json_object();
    for (int64_t token = 0; token < model->config->vocab; token++) {
        char name[DATASET_NAME], number[32];
        dataset_token_name(model->dataset, token, name);
        snprintf(number, sizeof number, "%lld", (long long)token);
        json_object_set_new(names, number, json_string(name));
        json_object_set_new(numbers, name, json_integer(token));
    }
    json_object_set_new(config, "id2label", names);
    json_object_set_new(config, "label2id", numbers);
}

void hf_put_sizes(const struct hf_model *model, json_t *config, int64_t positions)
{
    const struct model_config *ours = model->config;
    json_object_set_new(config, "hidden_size", json_integer(ours->dim));
    json_object_set_new(config, "num_hidden_layers", json_integer(ours->layers));
    json_object_set_new(config, "num_attention_heads", json_integer(ours->heads));
    json_object_set_new(config, "intermediate_size", json_integer(ours->ff_dim));
    json_object_set_new(config, "max_position_embeddings", json_integer(positions));
}

char *hf_config(const struct hf_model *model, const struct hf_container *container)
{
    unsigned long failures = json_memory_failures();
    json_t *config = json_object();
    json_object_set_new(config, "architectures", json_pack("[s]", container->architecture));
    json_object_set_new(config, "model_type", json_string(container->model_type));
    json_object_set_new(config, "dtype", json_string("float32"));
    json_object_set_new(config, "torch_dtype", json_string("float32"));
    json_object_set_new(config, "vocab_size", json_integer(model->config->vocab));
    static const char *const tokens[] = {"bos_token_id", "eos_token_id", "pad_token_id"};
    for (int i = 0; i < 3; i++)
        json_object_set_new(config, tokens[i], json_null());
    json_object_set_new(config, container->norm_epsilon, json_real(LAYER_NORM_EPSILON));
    container->configure(model, config);
    if (container->is_classifier)
        put_labels(model, config);
    return hf_text(config, false, failures);
}
