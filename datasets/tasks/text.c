// Text: the bytes of files, each row a window in which every byte is followed by its answer.
#include "../text_files.h"

static int open_text(struct dataset *dataset)
{
    int code = text_files_open(dataset, dataset->length + 1); // the last byte has an answer, too
    if (code < 0)
        return code;
    dataset->vocab = 256;
    dataset->bytes = true;
    dataset->bits_per_byte = true;
    dataset->needs_causal = true;
    return 0;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    const unsigned char *bytes = text_files_draw(dataset, split, rng);
    for (int64_t i = 0; i < dataset->length; i++) {
        row->tokens[i] = bytes[i];
        row->targets[i] = bytes[i + 1];
        row->mask[i] = 1;
    }
}

const struct task_def task_text = {
    .name = "text",
    .title = "bytes of any files; each names the next",
    .source = "Al-Rfou et al. 2019, Character-Level Language Modeling with Deeper Self-Attention, "
              "arXiv 1808.04444",
    .scored = "every byte; bits per byte; held out by block of each file",
    .settings_size = 0,
    .file = DATASET_FILE_REQUIRED,
    .example = "--arch decoder",
    .open = open_text,
    .close = text_files_close,
    .sample = sample,
};
