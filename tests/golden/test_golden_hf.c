// Folders for Hugging Face transformers against transformers itself.
//
// Tiny models whose parameters are drawn, large enough that a wrong activation, epsilon or order of
// rows shows, are exported. transformers opened the same folders once (check_hf.py --golden) and
// wrote down what logits it found and the digests of the files that it read: the files must be
// those, and our logits must be its.
//
//     test_golden_hf --write FOLDER     makes the folders for it
#include <jansson.h>
#include <math.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/rng.h"
#include "../../src/io/export.h"
#include "../../src/io/h5file.h"
#include "../support/check.h"
#include "../support/settings.h"

#define SMALL                                                                                      \
    "--task copy --task-opt symbols=3 --layers 2 --heads 2 --dim 16 --ff-dim 20 --length 8 "       \
    "--batch-size 2 --threads 1 "
#define TOLERANCE 1e-4

static const struct {
    const char *name, *words, *verdict;
} cases[] = {
    {"decoder-none", "--arch decoder --pe none", "exact up to length 8"},
    {"decoder-learned-tie", "--arch decoder --pe learned --tie", "exact up to length 8"},
    {"decoder-sinusoidal", "--arch decoder --pe sinusoidal", "exact up to length 8"},
    {"decoder-rope-pair", "--arch decoder --pe rope", "exact"},
    {"decoder-rope-half", "--arch decoder --pe rope --pe-opt layout=half --pe-opt base=500 --tie",
     "exact"},
    {"decoder-rope-partial", "--arch decoder --pe rope --pe-opt fraction=0.5", "exact"},
    {"decoder-alibi", "--arch decoder --pe alibi --pe-opt scaled=yes", "exact up to length 8"},
    {"decoder-alibi-tie", "--arch decoder --pe alibi --pe-opt scaled=yes --heads 4 --tie",
     "exact up to length 8"},
    {"encoder-learned", "--pe learned", "exact up to length 8"},
    {"encoder-learned-tie", "--pe learned --tie", "exact up to length 8"},
    {"encoder-rope-pair", "--pe rope", "exact"},
    {"encoder-rope-half", "--pe rope --pe-opt layout=half --pe-opt base=500", "exact"},
    {"encoder-shaw", "--pe shaw --pe-opt values=no --pe-opt max_distance=3",
     "exact up to length 8"},
    // Past the training, in these ways.
    {"decoder-rope-ntk", "--arch decoder --pe rope", "exact at length 20"},
    {"decoder-rope-yarn",
     "--arch decoder --pe rope --dim 32 --pe-opt fraction=0.5 --pe-opt base=50",
     "exact at length 20"},
    {"decoder-rope-squeezed", "--arch decoder --pe rope", "exact at length 20"},
};
static const enum pe_extension ways[] = {PE_EXTEND_NTK, PE_EXTEND_YARN, PE_EXTEND_INTERPOLATE};
enum {
    CASES = sizeof cases / sizeof cases[0],
    FIRST_FAR = CASES - sizeof ways / sizeof ways[0],
    FAR = 20, // tokens of those
};

static struct train_settings settings;
static struct trainer trainer;
static char scratch[64] = "/tmp/posgrad-hf-XXXXXX";

// Numbers that float has, the same on every machine. Embeddings that are not the head's are so
// small that the epsilon of the first norm counts as much as they do.
static void draw(void)
{
    struct ag_params *params = &trainer.params;
    for (int i = 0; i < params->rows; i++) {
        struct rng rng;
        const struct ag_parameter *row = &params->row[i];
        bool embedding = strncmp(row->name, "tok_emb", 7) == 0 || strstr(row->name, "pe.learned");
        double scale = embedding && !settings.tie ? 1.0 / 256 : 0.5;
        double mean = strstr(row->name, "ln") && strstr(row->name, "weight") ? 1 : 0;
        rng_init(&rng, rng_stream(1, row->name), 0, 0);
        for (int64_t k = 0; k < row->count; k++)
            params->value[row->offset + k] =
                (real)(mean + scale * ((double)rng_below(&rng, 2049) - 1024) / 1024);
    }
}

static void write_folder(int i, const char *path, char verdict[EXPORT_VERDICT])
{
    char words[512];
    snprintf(words, sizeof words, SMALL "%s", cases[i].words);
    settings_of(&settings, words);
    check_ok(trainer_init(&trainer, &settings));
    draw();
    if (i >= FIRST_FAR)
        trainer.config.extension = ways[i - FIRST_FAR];
    const struct export_model model = {
        .trainer = &trainer, .length = i < FIRST_FAR ? 0 : FAR, .verdict = verdict};
    check_ok(export_format_find("hf")->write_model(&model, path));
    trainer_release(&trainer);
}

static void read_file(const char *folder, const char *name, char **bytes, size_t *size)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    check_ok(file_read(path, 1 << 22, bytes, size));
}

static json_t *read_json(const char *folder, const char *name)
{
    char *bytes;
    size_t size;
    read_file(folder, name, &bytes, &size);
    json_t *root = json_loadb(bytes, size, JSON_DECODE_INT_AS_REAL, NULL);
    free(bytes);
    assert_non_null(root);
    return root;
}

static void check_digest(const char *folder, const char *name, const char *golden)
{
    char *bytes, text[2 * SHA256_DIGEST_SIZE + 1];
    size_t size;
    unsigned char digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx context;
    read_file(folder, name, &bytes, &size);
    sha256_init(&context);
    sha256_update(&context, size, (unsigned char *)bytes);
    sha256_digest(&context, sizeof digest, digest);
    free(bytes);
    for (int i = 0; i < SHA256_DIGEST_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    if (strcmp(text, golden) != 0)
        fail_msg("%s/%s is not what transformers read", folder, name);
}

static double number(const json_t *list, size_t i)
{
    assert_true(i < json_array_size(list));
    return json_real_value(json_array_get(list, i));
}

// A row of ours, line by line, against one of theirs, flat; what stands on padding is nobody's.
static void check_row(const json_t *row, const json_t *golden)
{
    const json_t *logits = json_object_get(row, "logits");
    const json_t *mask = json_object_get(row, "attention_mask");
    size_t length = json_array_size(logits), at = 0;
    double largest = 0, apart = 0;
    for (size_t i = 0; i < length; i++) {
        const json_t *line = json_array_get(logits, i);
        for (size_t v = 0; v < json_array_size(line); v++, at++) {
            double ours = number(line, v), theirs = number(golden, at);
            if (number(mask, i) < 0.5)
                continue;
            largest = fmax(largest, fabs(theirs));
            apart = fmax(apart, isfinite(ours) ? fabs(ours - theirs) : HUGE_VAL);
        }
    }
    assert_true(length > 0 && at == json_array_size(golden));
    check_close(apart, 0, 0, TOLERANCE * fmax(1, largest));
    assert_true(largest > 0.5); // numbers in which a mistake would show
}

static void check_case(int i)
{
    char path[128], golden_name[128], verdict[EXPORT_VERDICT];
    snprintf(path, sizeof path, "%s/%s", scratch, cases[i].name);
    write_folder(i, path, verdict);
    assert_int_equal(strncmp(verdict, cases[i].verdict, strlen(cases[i].verdict)), 0);
    snprintf(golden_name, sizeof golden_name, "%s.json", cases[i].name);
    json_t *golden = read_json("tests/golden/hf", golden_name);
    json_t *reference = read_json(path, "posgrad_reference.json");
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json",
                                        "tokenizer_config.json"};
    // Of frequencies without a base the last digits are those of `real`, and here of float.
    bool has_factors = sizeof(real) > sizeof(float) && i > FIRST_FAR;
    for (int f = has_factors; f < 4; f++) {
        const json_t *digests = json_object_get(golden, "sha256");
        check_digest(path, files[f], json_string_value(json_object_get(digests, files[f])));
    }
    const json_t *rows = json_object_get(reference, "rows");
    const json_t *logits = json_object_get(golden, "logits");
    size_t count = i < FIRST_FAR ? 5 : 2; // past the training there is one length
    assert_int_equal(json_array_size(rows), count);
    assert_int_equal(json_array_size(logits), count);
    for (size_t r = 0; r < count; r++)
        check_row(json_array_get(rows, r), json_array_get(logits, r));
    json_decref(golden);
    json_decref(reference);
}

static void folders_are_what_transformers_read(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++)
        check_case(i);
}

static int begin(void **state)
{
    (void)state;
    return mkdtemp(scratch) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    static const char *const files[] = {"posgrad_reference.json", "config.json",
                                        "model.safetensors", "tokenizer.json",
                                        "tokenizer_config.json"};
    char path[256];
    for (int i = 0; i < CASES; i++) {
        for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
            snprintf(path, sizeof path, "%s/%s/%s", scratch, cases[i].name, files[f]);
            unlink(path);
        }
        snprintf(path, sizeof path, "%s/%s", scratch, cases[i].name);
        rmdir(path);
    }
    return rmdir(scratch);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(folders_are_what_transformers_read)};
    if (argc != 3 || strcmp(argv[1], "--write") != 0)
        return cmocka_run_group_tests_name(__FILE__, tests, begin, end) != 0;
    for (int i = 0; i < CASES; i++) {
        char path[4096], verdict[EXPORT_VERDICT];
        snprintf(path, sizeof path, "%s/%s", argv[2], cases[i].name);
        write_folder(i, path, verdict);
    }
    return 0;
}
