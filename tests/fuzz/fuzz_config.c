// Fuzzing the settings of a run: JSON of --config, and of a checkpoint that somebody else wrote.
//
// Reaches: train_settings_from_json and all that it calls, train_settings_check, the JSON that is
// written again, and, where the model would be tiny, everything that is made of settings before a
// checkpoint's numbers are read: the task is opened, the encodings parse their options and build
// their graphs, the memory is planned, the optimizer gets its state (trainer_init).
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../src/train/train.h"
#include "input.h"

static struct train_settings settings, again;
static struct trainer trainer;

// What was read is written, and that reads back to the same.
static void check_round_trip(void)
{
    char *first = train_settings_to_json(&settings);
    if (!first) // text that is not UTF-8 cannot come out of JSON
        err_bug(__FILE__, __LINE__, err_last());
    train_settings_init(&again);
    int code = train_settings_from_json(&again, first);
    if (code < 0)
        err_bug(__FILE__, __LINE__, err_last());
    char *second = train_settings_to_json(&again);
    BUG_ON(!second || strcmp(first, second) != 0);
    free(first);
    free(second);
}

// Whether a model of these settings is made in no time.
static bool is_tiny(const struct train_settings *s)
{
    return s->layers <= 2 && s->heads <= 4 && s->dim <= 16 && s->ff_dim <= 16 && s->length <= 16 &&
           s->batch_size <= 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    train_settings_init(&settings);
    int code = train_settings_from_json(&settings, text);
    free(text);
    fuzz_judge(code);
    if (code < 0)
        return 0;
    check_round_trip();
    code = train_settings_check(&settings);
    fuzz_judge(code);
    if (code < 0 || !is_tiny(&settings))
        return 0;
    settings.threads = 1;
    settings.data[0] = '\0'; // no file is opened but by fuzz_data and fuzz_import
    settings.init_froms = 0;
    settings.init_resize = INIT_RESIZE_NONE;
    settings.init_skip = settings.init_sha256s = 0;
    code = trainer_init(&trainer, &settings);
    fuzz_judge(code);
    if (code == 0)
        trainer_release(&trainer);
    return 0;
}
