// Whole models for transformers: every encoding is either exported or refused, with a line that
// names what differs and what works instead; configurations have what the encoding was given.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../src/io/export.h"
#include "../../src/io/h5file.h"
#include "../support/check.h"
#include "../support/settings.h"

#define SMALL                                                                                      \
    "--task probe --layers 2 --heads 2 --dim 16 --ff-dim 12 --length 16 --batch-size 2 "           \
    "--threads 1 "

static char scratch[64] = "/tmp/posgrad-export-XXXXXX";
static char folder[80], verdict[EXPORT_VERDICT];
static struct trainer trainer;
static struct train_settings settings;

static void clean(void)
{
    static const char *const files[] = {"posgrad_reference.json", "config.json",
                                        "model.safetensors", "tokenizer.json",
                                        "tokenizer_config.json"};
    char path[128];
    for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[f]);
        unlink(path);
    }
    rmdir(folder);
}

// 1 where the settings have no meaning, 0, or the error of the export.
static int export_words(const char *words, int64_t length)
{
    char all[512];
    snprintf(all, sizeof all, SMALL "%s", words);
    settings_of(&settings, all);
    if (trainer_init(&trainer, &settings) < 0)
        return 1;
    *verdict = '\0';
    const struct export_model model = {.trainer = &trainer, .length = length, .verdict = verdict};
    int code = export_format_find("hf")->write_model(&model, folder);
    trainer_release(&trainer);
    return code;
}

// The same with one number of a parameter, which starts as 0, at another value.
static int export_moved(const char *words, const char *parameter, int64_t at, double value)
{
    char all[512];
    snprintf(all, sizeof all, SMALL "%s", words);
    settings_of(&settings, all);
    check_ok(trainer_init(&trainer, &settings));
    int row = ag_params_find(&trainer.params, parameter);
    assert_true(row >= 0);
    trainer.params.value[trainer.params.row[row].offset + at] = (real)value;
    const struct export_model model = {.trainer = &trainer, .verdict = verdict};
    int code = export_format_find("hf")->write_model(&model, folder);
    trainer_release(&trainer);
    return code;
}

// What each is exported as, alone or in its smallest stack; all others are refused.
static const struct {
    const char *name, *decoder, *encoder;
} exported[] = {
    {"none", "GPT2LMHeadModel", "MegatronBertForTokenClassification"},
    {"learned", "GPT2LMHeadModel", "MegatronBertForTokenClassification"},
    {"sinusoidal", "GPT2LMHeadModel", "MegatronBertForTokenClassification"},
    {"hierarchical", "GPT2LMHeadModel", "MegatronBertForTokenClassification"},
    {"recursive", "GPT2LMHeadModel", "MegatronBertForTokenClassification"},
    {"learned2d", "GPT2LMHeadModel", "MegatronBertForTokenClassification"},
    {"sinusoidal2d", "GPT2LMHeadModel", "MegatronBertForTokenClassification"},
    {"shift-positions", "GPT2LMHeadModel", "MegatronBertForTokenClassification"},
    {"rope", "GPTNeoXForCausalLM", "EsmForTokenClassification"},
};

static const char *expected(const char *name, bool causal)
{
    for (size_t i = 0; i < sizeof exported / sizeof exported[0]; i++)
        if (strcmp(exported[i].name, name) == 0)
            return causal ? exported[i].decoder : exported[i].encoder;
    return NULL;
}

static void check_encoding(const struct pe_def *def, bool causal)
{
    char stack[128], words[256];
    pe_smallest_stack(def, stack);
    snprintf(words, sizeof words, "--pe %s --arch %s", stack, causal ? "decoder" : "encoder");
    int code = export_words(words, 0);
    const char *as = expected(def->name, causal);
    if (code == 1)
        return;
    if (as) {
        if (code < 0 || !strstr(verdict, as) || strncmp(verdict, "exact", 5) != 0)
            fail_msg("%s: %s", words, code < 0 ? err_last() : verdict);
        clean();
        return;
    }
    if (code != ERR_ARGUMENT || !strstr(err_last(), def->name) || !strstr(err_last(), "onnx"))
        fail_msg("%s is not refused by name: %s", words, code < 0 ? err_last() : verdict);
    assert_int_equal(access(folder, F_OK), -1);
}

static void every_encoding_is_exported_or_refused(void **state)
{
    (void)state;
    for (int i = 0; i < pe_count; i++)
        for (int causal = 0; causal < 2; causal++)
            check_encoding(pe_list[i], causal);
}

static void what_differs_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *words, *line;
    } cases[] = {
        {"--arch decoder --pe t5", "t5 adds a bias to the logits, and the one that"},
        {"--arch decoder --pe alibi", "as of alibi with scaled=yes"},
        {"--arch decoder --pe alibi+t5 --pe-opt scaled=yes", "t5 adds a bias to the logits"},
        {"--arch decoder --pe alibi --pe-opt scaled=yes --heads 16", "slopes for 16 heads"},
        {"--pe alibi --pe-opt scaled=yes", "alibi adds a bias to the logits, which transformers "
                                           "has with our block in decoders alone (falcon)"},
        {"--arch decoder --pe learned+alibi --pe-opt scaled=yes",
         "learned adds a table of positions and alibi adds a bias to the logits"},
        {"--pe bias2d", "bias2d adds a bias to the logits that is not by distance"},
        {"--pe multiplicative", "multiplicative does more to the input than to add a table"},
        {"--pe complex", "complex does more to the input"},
        {"--pe conv", "conv does more to the input"},
        {"--pe conv --pe-opt where=each", "conv changes what passes through the layers"},
        {"--pe rnn --pe-opt merge=add", "rnn does more to the input"},
        {"--pe learned+urpe", "urpe multiplies the weights of attention"},
        {"--pe rope+logn", "logn changes queries and keys"},
        {"--pe random-positions+learned", "random-positions draws positions"},
        {"--pe rope --pe-opt values=v", "rope changes the values"},
        {"--pe rope --pe-opt fraction=0.5", "rope turns 4 of a head's 8 channels"},
        {"--pe floater", "floater changes the values"},
        {"--pe shaw", "shaw changes the values"},
        {"--arch decoder --pe shaw --pe-opt values=no", "in encoders alone"},
        {"--pe learned+shaw --pe-opt values=no", "no model of transformers does both"},
        {"--arch decoder --pe learned+rope", "learned adds a table of positions and rope turns"},
        {"--arch decoder --pe deberta", "deberta"},
        {"--arch decoder --pe rope --attention softmax1", "--attention is not softmax"},
        {"--arch decoder --pe none --attention linear", "--attention is not softmax"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_error(export_words(cases[i].words, 0), ERR_ARGUMENT, cases[i].line);
    check_error(export_words("--pe learned", 17), ERR_ARGUMENT, "learned ends at 16");
    check_error(export_words("--pe rope", 1), ERR_ARGUMENT, "--length 2");
}

// Past the training a model is for one length, and what no base makes is a list of factors.
static void ways_past_the_training_are_carried(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        enum pe_extension way;
        const char *line; // of the verdict or of the error
    } cases[] = {
        {"--arch decoder --pe rope", PE_EXTEND_NONE, "exact, as GPTNeoX"},
        {"--arch decoder --pe rope", PE_EXTEND_NTK, "exact at length 40, as GPTNeoX"},
        {"--arch decoder --pe rope", PE_EXTEND_YARN, "transformers >=4.45,<6"},
        {"--arch decoder --pe rope", PE_EXTEND_INTERPOLATE, "transformers >=4.45,<6"},
        {"--arch decoder --pe rope", PE_EXTEND_LOGN, "--extend logn scales each query"},
        {"--arch decoder --pe rope", PE_EXTEND_CLIP, "no meaning for rope"},
        {"--pe rope", PE_EXTEND_NTK, "exact at length 40, as Esm"},
        {"--pe rope", PE_EXTEND_YARN, "and the one encoder that turns any (ESM) has a base"},
        {"--pe learned", PE_EXTEND_CLIP, "exact up to length 40, as MegatronBert"},
        {"--pe learned", PE_EXTEND_INTERPOLATE, "exact at length 40, as MegatronBert"},
        {"--arch decoder --pe learned", PE_EXTEND_INTERPOLATE, "exact at length 40, as GPT2"},
        {"--arch decoder --pe alibi --pe-opt scaled=yes", PE_EXTEND_CLIP, "adds a bias"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char words[512];
        snprintf(words, sizeof words, SMALL "%s", cases[i].words);
        settings_of(&settings, words);
        check_ok(trainer_init(&trainer, &settings));
        trainer.config.extension = cases[i].way;
        const struct export_model model = {.trainer = &trainer, .length = 40, .verdict = verdict};
        int code = export_format_find("hf")->write_model(&model, folder);
        const char *said = code < 0 ? err_last() : verdict;
        if (!strstr(said, cases[i].line))
            fail_msg("%s, way %d: %s", cases[i].words, cases[i].way, said);
        clean();
        trainer_release(&trainer);
    }
}

// Frequencies of each layer and head are one list as long as they are what they start as.
static void trained_frequencies_are_refused_once_they_differ(void **state)
{
    (void)state;
    static const char words[] = "--arch decoder --pe rope --pe-opt trainable=yes";
    static const char shift[] = "layers.1.pe.rope.log_frequency_shift";
    check_ok(export_moved(words, shift, 2, 0));
    clean();
    check_error(export_moved(words, shift, 2, 1e-3), ERR_ARGUMENT, "frequencies of its own");
}

// ALiBi is Falcon's as long as its slopes are those that Falcon computes, in few enough tokens.
static void alibi_is_falcons_up_to_what_bfloat16_holds(void **state)
{
    (void)state;
    static const char scaled[] = "--arch decoder --pe alibi --pe-opt scaled=yes";
    check_ok(export_words(scaled, 0));
    assert_non_null(strstr(verdict, "exact up to length 16, as FalconForCausalLM"));
    clean();
    check_ok(export_words(scaled, 257));
    assert_non_null(strstr(verdict, "exact up to length 257,"));
    clean();
    check_ok(export_words(scaled, 1000));
    assert_non_null(strstr(verdict, "exact up to length 257,"));
    clean();
    check_ok(export_words("--arch decoder --pe alibi --dim 2 --heads 2", 0)); // head_dim is 1
    clean();
    // Slopes of 2, 4 and 6 heads, 2^-8 to 2^-1, are all powers of two.
    check_ok(export_words("--arch decoder --pe alibi --pe-opt scaled=yes --dim 24 --heads 6", 0));
    clean();
    static const char trained[] =
        "--arch decoder --pe alibi --pe-opt scaled=yes --pe-opt trainable=yes";
    check_ok(export_moved(trained, "pe.alibi.log_slope_shift", 1, 0));
    clean();
    check_error(export_moved(trained, "pe.alibi.log_slope_shift", 1, 1e-5), ERR_ARGUMENT,
                "alibi adds a bias to the logits");
}

// A file of the folder that these words give.
static json_t *file_of(const char *name, const char *words, int64_t length)
{
    char path[128], *bytes;
    size_t size;
    check_ok(export_words(words, length));
    snprintf(path, sizeof path, "%s/%s", folder, name);
    check_ok(file_read(path, 1 << 20, &bytes, &size));
    clean();
    json_t *root = json_loadb(bytes, size, 0, NULL);
    free(bytes);
    assert_non_null(root);
    return root;
}

static void check_real(const char *words, int64_t length, const char *key, double value)
{
    json_t *root = file_of("config.json", words, length);
    json_t *found = json_object_get(root, key);
    if (!json_is_number(found))
        fail_msg("%s: there is no number %s", words, key);
    check_close(json_number_value(found), value, 1e-15, 0);
    json_decref(root);
}

static void configurations_have_what_was_asked_for(void **state)
{
    (void)state;
    check_real("--arch decoder --pe rope", 0, "rotary_emb_base", 10000);
    check_real("--arch decoder --pe rope --pe-opt base=1234.5", 0, "rotary_emb_base", 1234.5);
    check_real("--pe rope --pe-opt base=5e5", 0, "rope_theta", 500000);
    check_real("--arch decoder --pe rope --pe-opt fraction=0.75", 0, "rotary_pct", 0.75);
    // 10 of 14 channels: a fraction that is cut to 9 unless it is written with care.
    check_real("--arch decoder --pe rope --pe-opt fraction=0.72 --dim 28", 0, "rotary_pct",
               10.25 / 14);
    check_real("--arch decoder --pe none", 40, "n_positions", 40);
    check_real("--pe sinusoidal", 33, "max_position_embeddings", 33);
    check_real("--pe learned --pe-opt max_length=24", 0, "max_position_embeddings", 24);
    assert_non_null(strstr(verdict, "exact up to length 24"));
    check_real("--pe learned2d", 0, "max_position_embeddings", 16);
    assert_non_null(strstr(verdict, "exact at length 16"));
}

// Bytes have the characters that GPT-2 gave them; what is no byte is found before texts are cut.
static void texts_are_read_as_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int token;
    } some[] = {{"A", 'A'},         {"~", '~'},         {"\xc4\xa0", ' '},  {"\xc4\x8a", '\n'},
                {"\xc4\xa1", 0x7f}, {"\xc5\x83", 0xad}, {"\xc3\xbf", 0xff}, {"[MASK]", 256}};
    json_t *root = file_of("tokenizer.json",
                           "--pe none --task masked-text --data /usr/share/common-licenses/GPL-3",
                           0);
    json_t *model = json_object_get(root, "model"), *vocabulary = json_object_get(model, "vocab");
    assert_string_equal(json_string_value(json_object_get(model, "type")), "BPE");
    assert_int_equal(json_object_size(vocabulary), 257);
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++)
        assert_int_equal(json_integer_value(json_object_get(vocabulary, some[i].name)),
                         some[i].token);
    const json_t *added = json_object_get(root, "added_tokens");
    assert_int_equal(json_array_size(added), 1);
    const json_t *mask = json_object_get(json_array_get(added, 0), "content");
    assert_string_equal(json_string_value(mask), "[MASK]");
    json_decref(root);
}

static void the_same_model_gives_the_same_bytes(void **state)
{
    (void)state;
    static const char *const files[] = {"posgrad_reference.json", "config.json",
                                        "model.safetensors", "tokenizer.json",
                                        "tokenizer_config.json"};
    char *bytes[2][5], path[128];
    size_t size[2][5];
    for (int i = 0; i < 2; i++) {
        check_ok(export_words("--pe rope --dropout 0.5", 0));
        for (int f = 0; f < 5; f++) {
            snprintf(path, sizeof path, "%s/%s", folder, files[f]);
            check_ok(file_read(path, 1 << 22, &bytes[i][f], &size[i][f]));
        }
        clean();
    }
    for (int f = 0; f < 5; f++) {
        assert_int_equal(size[0][f], size[1][f]);
        check_same_bytes(bytes[0][f], bytes[1][f], size[0][f]);
        free(bytes[0][f]);
        free(bytes[1][f]);
    }
}

static int begin(void **state)
{
    (void)state;
    if (!mkdtemp(scratch))
        return -1;
    snprintf(folder, sizeof folder, "%s/model", scratch);
    return 0;
}

static int end(void **state)
{
    (void)state;
    return rmdir(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_encoding_is_exported_or_refused),
        cmocka_unit_test(what_differs_is_named),
        cmocka_unit_test(ways_past_the_training_are_carried),
        cmocka_unit_test(trained_frequencies_are_refused_once_they_differ),
        cmocka_unit_test(alibi_is_falcons_up_to_what_bfloat16_holds),
        cmocka_unit_test(configurations_have_what_was_asked_for),
        cmocka_unit_test(texts_are_read_as_bytes),
        cmocka_unit_test(the_same_model_gives_the_same_bytes),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, begin, end) != 0;
}
