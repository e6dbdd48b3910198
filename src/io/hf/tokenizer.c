// The tokenizer: words between spaces, a token each, as the task names them; of a task on texts,
// the bytes of any string. There is none for what is unknown, so that a text with other words is
// refused.
#include <stdio.h>
#include <stdlib.h>

#include "../../../autograd/base/err.h"
#include "../json_memory.h"
#include "hf.h"

enum { BYTES = 256 };

// The character that stands for a byte in tokenizers of bytes, in UTF-8: printable ones of Latin-1
// for themselves, the others for what follows Latin-1, in order (GPT-2's choice).
static void byte_character(int byte, char text[3])
{
    int code = 0, others = 0;
    for (int b = 0; b <= byte; b++) {
        bool printable = (b >= 33 && b <= 126) || (b >= 161 && b != 173);
        code = printable ? b : BYTES + others++;
    }
    text[0] = (char)(code < 128 ? code : 0xc0 | (code >> 6));
    text[1] = (char)(code < 128 ? 0 : 0x80 | (code & 0x3f));
    text[2] = '\0';
}

// What a token is called in the vocabulary.
static void entry(const struct hf_model *model, int64_t token, char name[DATASET_NAME])
{
    if (model->dataset->bytes && token < BYTES)
        byte_character((int)token, name);
    else
        dataset_token_name(model->dataset, token, name);
}

static json_t *vocabulary(const struct hf_model *model)
{
    json_t *vocabulary = json_object();
    for (int64_t token = 0; token < model->config->vocab; token++) {
        char name[DATASET_NAME];
        entry(model, token, name);
        json_object_set_new(vocabulary, name, json_integer(token));
    }
    return vocabulary;
}

// What is no byte of a text is found before it is cut.
static json_t *added(const struct hf_model *model)
{
    json_t *list = json_array();
    for (int64_t token = BYTES; model->dataset->bytes && token < model->config->vocab; token++) {
        char name[DATASET_NAME];
        entry(model, token, name);
        json_array_append_new(list,
                              json_pack("{s:I, s:s, s:b, s:b, s:b, s:b, s:b}", "id",
                                        (json_int_t)token, "content", name, "single_word", 0,
                                        "lstrip", 0, "rstrip", 0, "normalized", 0, "special", 1));
    }
    return list;
}

static json_t *of_bytes(void)
{
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                     "trim_offsets", 0, "use_regex", 0);
}

static json_t *cut(const struct hf_model *model)
{
    return model->dataset->bytes ? of_bytes() : json_pack("{s:s}", "type", "WhitespaceSplit");
}

static json_t *join(const struct hf_model *model)
{
    return model->dataset->bytes ? of_bytes() : json_null();
}

static json_t *words(const struct hf_model *model)
{
    if (model->dataset->bytes)
        return json_pack("{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:o, s:[]}", "type", "BPE", "dropout",
                         "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                         0, "byte_fallback", 0, "vocab", vocabulary(model), "merges");
    return json_pack("{s:s, s:o, s:s}", "type", "WordLevel", "vocab", vocabulary(model),
                     "unk_token", "[UNK]");
}

char *hf_tokenizer(const struct hf_model *model)
{
    unsigned long failures = json_memory_failures();
    json_t *root = json_pack("{s:s, s:n, s:n, s:o, s:n, s:o, s:n, s:o, s:o}", "version", "1.0",
                             "truncation", "padding", "added_tokens", added(model), "normalizer",
                             "pre_tokenizer", cut(model), "post_processor", "decoder", join(model),
                             "model", words(model));
    return hf_text(root, false, failures);
}

char *hf_tokenizer_config(const struct hf_model *model)
{
    unsigned long failures = json_memory_failures();
    json_t *root = json_pack("{s:s, s:I, s:b}", "tokenizer_class", "PreTrainedTokenizerFast",
                             "model_max_length", (json_int_t)model->length,
                             "clean_up_tokenization_spaces", 0);
    return hf_text(root, false, failures);
}
