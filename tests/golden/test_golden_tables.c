// Tables out of files that safetensors, PyTorch, NumPy and h5py wrote, named as in published models
// (make_golden_tables.py): each starts a model with the numbers that were put in.
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../src/train/train.h"
#include "../support/check.h"
#include "../support/settings.h"

enum { DIM = 8, LENGTH = 12 };

static struct train_settings settings;
static struct trainer trainer;

static void tables_of_other_programs(void **state)
{
    (void)state;
    static const char *const files[][3] = {
        {"tables_gpt2.safetensors:wpe.weight", "truncate", "0"},
        {"tables_bert.safetensors:bert.embeddings.position_embeddings.weight", "none", "0"},
        {"tables_bert.safetensors:roberta.embeddings.position_embeddings.weight", "none", "2"},
        {"tables_numpy.npz:wpe", "none", "0"},
        {"tables_numpy.npz:wide", "none", "0"},
        {"tables_numpy.npz:half", "none", "0"},
        {"tables_keras.h5:transformer/wpe/embeddings:0", "none", "0"},
        {"tables_keras.h5:/transformer/wpe/embeddings:0=pe.learned.weight", "none", "0"},
        {"tables_keras.h5", "none", "0"},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char text[256] = "tests/golden/";
        settings_of(&settings, "--pe learned --task probe --layers 1 --heads 2 --dim 8 --ff-dim 8 "
                               "--length 12 --batch-size 2 --threads 1");
        strcat(text, files[i][0]);
        settings_set(&settings, "init-from", text);
        settings_set(&settings, "init-resize", files[i][1]);
        settings_set(&settings, "init-skip", files[i][2]);
        if (trainer_init(&trainer, &settings) < 0)
            fail_msg("%s: %s", files[i][0], err_last());
        int row = ag_params_find(&trainer.params, "pe.learned.weight");
        assert_true(row >= 0);
        const real *value = trainer.params.value + trainer.params.row[row].offset;
        for (int k = 0; k < LENGTH * DIM; k++)
            if (value[k] != (real)(k / DIM) + (real)(k % DIM) / 16)
                fail_msg("%s: element %d is %g", files[i][0], k, (double)value[k]);
        trainer_release(&trainer);
    }
}

static void what_they_have_beside_is_refused(void **state)
{
    (void)state;
    static const char *const files[][2] = {
        {"tables_gpt2.safetensors", "It lacks"},
        {"tables_gpt2.safetensors:wpe", "did you mean 'wpe.weight'"},
        {"tables_gpt2.safetensors:position_embeddings.weight", "it has h.0.attn.bias"},
        {"tables_bert.safetensors:position_embeddings.weight",
         "did you mean 'bert.embeddings.position_embeddings.weight'"},
        {"tables_bert.safetensors:bert.embeddings.position_ids", "of type I64"},
        {"tables_gpt2.safetensors:wte.weight=tok_emb.weight", "[5, 8], and tok_emb.weight"},
        {"tables_gpt2.safetensors:h.0.attn.bias", "[1, 1, 4, 4], and pe.learned.weight"},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char text[256] = "tests/golden/";
        settings_of(&settings, "--pe learned --task probe --layers 1 --heads 2 --dim 8 --ff-dim 8 "
                               "--length 12 --batch-size 2 --threads 1");
        strcat(text, files[i][0]);
        settings_set(&settings, "init-from", text);
        int code = trainer_init(&trainer, &settings);
        if (code == 0 || !strstr(err_last(), files[i][1]))
            fail_msg("%s: %d, '%s' does not say '%s'", files[i][0], code, err_last(), files[i][1]);
    }
}

CHECK_MAIN(cmocka_unit_test(tables_of_other_programs),
           cmocka_unit_test(what_they_have_beside_is_refused))
