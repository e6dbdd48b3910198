// Masked text: bytes of files, some of them hidden behind MASK, which an encoder restores from both
// sides.
//
// A row has round(mask_rate * length) places, one at least, that are drawn without repetition; they
// alone are scored. MASK is the token 256. By `keep` and `random` some places show their own byte
// or any other in place of MASK, as in BERT (there 0.1 each): an encoder that is used elsewhere
// never meets MASK. Here none is, so both are 0 unless asked for.
#include <stdio.h>
#include <math.h>

#include "../../autograd/base/err.h"
#include "../text_files.h"

enum { MASK = 256 };

struct settings {
    double mask_rate, keep, random;
};

static const struct option_def options[] = {
    {"mask_rate", OPTION_REAL, offsetof(struct settings, mask_rate), "0.15", 0, 1, NULL,
     "share of the bytes that is masked, one a row at least"},
    {"keep", OPTION_REAL, offsetof(struct settings, keep), "0", 0, 1, NULL,
     "share of the masked places that show their own byte (BERT: 0.1)"},
    {"random", OPTION_REAL, offsetof(struct settings, random), "0", 0, 1, NULL,
     "share of the masked places that show any byte (BERT: 0.1)"},
    {.key = NULL},
};

static int open_masked_text(struct dataset *dataset)
{
    const struct settings *s = dataset->settings;
    if (s->keep + s->random > 1)
        return err_set(ERR_ARGUMENT,
                       "--task-opt of task masked-text: keep %g and random %g are more than 1 "
                       "together; lower one",
                       s->keep, s->random);
    int code = text_files_open(dataset, dataset->length);
    if (code < 0)
        return code;
    dataset->vocab = MASK + 1;
    dataset->bytes = true;
    dataset->needs_bidirectional = true;
    return 0;
}

static int32_t shown(const struct settings *s, struct rng *rng, int32_t byte)
{
    double u = s->keep + s->random > 0 ? rng_uniform(rng) : 1;
    if (u < s->keep)
        return byte;
    return u < s->keep + s->random ? (int32_t)rng_below(rng, 256) : MASK;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    const struct settings *s = dataset->settings;
    const unsigned char *bytes = text_files_draw(dataset, split, rng);
    int64_t n = dataset->length, left = (int64_t)round(s->mask_rate * (double)n);
    left = left < 1 ? 1 : left;
    for (int64_t i = 0; i < n; i++) {
        row->tokens[i] = bytes[i];
        row->mask[i] = 1;
        // Each choice of places is as likely as any other: `left` of the n - i places to come.
        if ((int64_t)rng_below(rng, (uint32_t)(n - i)) >= left)
            continue;
        left--;
        row->targets[i] = bytes[i];
        row->tokens[i] = shown(s, rng, bytes[i]);
    }
}

static bool token_name(const struct dataset *dataset, int64_t token, char name[DATASET_NAME])
{
    (void)dataset;
    static const char *const names[] = {"[MASK]"};
    int64_t at = token - MASK;
    if (at < 0 || at >= 1)
        return false;
    snprintf(name, DATASET_NAME, "%s", names[at]);
    return true;
}

const struct task_def task_masked_text = {
    .name = "masked-text",
    .title = "bytes of any files; those that are masked are restored",
    .source = "after Devlin et al. 2018, BERT: Pre-training of Deep Bidirectional Transformers for "
              "Language Understanding, arXiv 1810.04805",
    .scored = "the masked bytes; held out by block of each file",
    .options = options,
    .settings_size = sizeof(struct settings),
    .file = DATASET_FILE_REQUIRED,
    .open = open_masked_text,
    .close = text_files_close,
    .sample = sample,
    .token_name = token_name,
};
