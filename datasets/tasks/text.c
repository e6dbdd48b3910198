// Text: the bytes of a file, each row a window in which every byte is followed by its answer.
//
// The file is cut into 20 blocks whose bounds depend on its size alone, so that the held-out bytes
// are the same at every length; of each ten, the fifth is for validation and the tenth for the
// test. A split is the stretches of its neighbouring blocks, and a window lies inside one stretch:
// no split sees a byte of another. Held-out windows do not depend on the seed: all runs are scored
// on the same ones. The file is mapped, not read, and must not change while it is in use.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../dataset.h"

enum { BLOCKS = 20, MAX_STRETCHES = 4 };

struct split {
    int stretches;
    int64_t begin[MAX_STRETCHES], end[MAX_STRETCHES];
    int64_t windows; // places where a window may start
};

struct text {
    const unsigned char *bytes;
    int64_t size;
    uint64_t held_out_stream[DATASET_SPLITS];
    struct split split[DATASET_SPLITS];
};

// --- opening

static enum dataset_split split_of_block(int block)
{
    return block % 10 == 4 ? DATASET_VALIDATION : block % 10 == 9 ? DATASET_TEST : DATASET_TRAIN;
}

// i * size / BLOCKS without the product.
static int64_t bound(int64_t size, int block)
{
    return size / BLOCKS * block + size % BLOCKS * block / BLOCKS;
}

static void cut(struct text *text, int64_t length)
{
    for (int block = 0; block < BLOCKS; block++) {
        struct split *split = &text->split[split_of_block(block)];
        if (block == 0 || split_of_block(block - 1) != split_of_block(block))
            split->begin[split->stretches++] = bound(text->size, block);
        split->end[split->stretches - 1] = bound(text->size, block + 1);
    }
    for (int s = 0; s < DATASET_SPLITS; s++) {
        struct split *split = &text->split[s];
        for (int i = 0; i < split->stretches; i++)
            split->windows += split->end[i] - split->begin[i] - length;
    }
}

static double commonest_byte(const struct text *text)
{
    const struct split *split = &text->split[DATASET_TRAIN];
    int64_t count[256] = {0}, most = 0, all = 0;
    for (int s = 0; s < split->stretches; s++) {
        for (int64_t i = split->begin[s]; i < split->end[s]; i++)
            count[text->bytes[i]]++;
        all += split->end[s] - split->begin[s];
    }
    for (int b = 0; b < 256; b++)
        most = count[b] > most ? count[b] : most;
    return (double)most / (double)all;
}

// FNV-1a (Fowler, Noll, Vo) over words of eight bytes: whether a run goes on with the text that it
// began with. No protection against a forger.
static uint64_t fingerprint(const struct text *text)
{
    uint64_t hash = 0xCBF29CE484222325u ^ (uint64_t)text->size;
    for (int64_t i = 0; i < text->size; i += 8) {
        uint64_t word = 0;
        memcpy(&word, text->bytes + i, (size_t)(text->size - i < 8 ? text->size - i : 8));
        hash = (hash ^ word) * 0x100000001B3u;
        hash ^= hash >> 29;
    }
    return hash ? hash : 1;
}

// What a descriptor must be for its bytes to be a text.
static int check_file(const char *path, const struct stat *status, int64_t length)
{
    if (S_ISDIR(status->st_mode))
        return err_set(ERR_FILE, "--data: '%s' is a folder; give a file", path);
    if (!S_ISREG(status->st_mode))
        return err_set(ERR_FILE, "--data: '%s' is not a regular file; save its bytes to one", path);
    if (status->st_size == 0)
        return err_set(ERR_FILE, "--data: '%s' is empty", path);
    if (status->st_size / BLOCKS > length)
        return 0;
    return err_set(
        ERR_FILE,
        "--data: '%s' has %lld bytes; windows of length %lld take %lld, so that each split "
        "has one",
        path, (long long)status->st_size, (long long)length, (long long)(length + 1) * BLOCKS);
}

static int map_file(struct text *text, const char *path, int64_t length)
{
    struct stat status;
    // O_NONBLOCK: opening a pipe must not wait for its writer; a regular file does not care.
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return err_set(ERR_FILE, "--data: cannot open '%s': %s", path, strerror(errno));
    int code = 0;
    if (fstat(file, &status) != 0)
        code = err_set(ERR_FILE, "--data: cannot read '%s': %s", path, strerror(errno));
    if (code == 0)
        code = check_file(path, &status, length);
    if (code == 0) {
        void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        if (bytes == MAP_FAILED)
            code = err_set(ERR_FILE, "--data: cannot map '%s': %s", path, strerror(errno));
        else
            *text = (struct text){.bytes = bytes, .size = status.st_size};
    }
    close(file);
    return code;
}

static int open_text(struct dataset *dataset)
{
    struct text *text = calloc(1, sizeof *text);
    if (!text)
        return err_set(ERR_MEMORY, "out of memory for task text");
    int code = map_file(text, dataset->data_path, dataset->length);
    if (code < 0) {
        free(text);
        return code;
    }
    cut(text, dataset->length);
    text->held_out_stream[DATASET_VALIDATION] = rng_stream(0, "data/text/validation");
    text->held_out_stream[DATASET_TEST] = rng_stream(0, "data/text/test");
    dataset->state = text;
    dataset->vocab = 256;
    dataset->chance = commonest_byte(text);
    dataset->fingerprint = fingerprint(text);
    dataset->bits_per_byte = true;
    dataset->needs_causal = true;
    return 0;
}

static void close_text(struct dataset *dataset)
{
    struct text *text = dataset->state;
    if (!text)
        return;
    munmap((void *)text->bytes, (size_t)text->size);
    free(text);
    dataset->state = NULL;
}

// --- rows

// Uniform in [0, n) for files beyond 32 bits; draws again in the few cases that would be unfair.
static int64_t draw_below(struct rng *rng, int64_t n)
{
    uint64_t range = (uint64_t)n, unfair = -range % range, x;
    do
        x = rng_u64(rng);
    while (x < unfair);
    return (int64_t)(x % range);
}

static int64_t window_begin(const struct split *split, int64_t length, int64_t window)
{
    int s = 0;
    for (; window >= split->end[s] - split->begin[s] - length; s++)
        window -= split->end[s] - split->begin[s] - length;
    return split->begin[s] + window;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    const struct text *text = dataset->state;
    const struct split *part = &text->split[split];
    struct rng held_out;
    if (split != DATASET_TRAIN) {
        rng_init(&held_out, text->held_out_stream[split], rng->a, rng->b);
        rng = &held_out;
    }
    int64_t window = draw_below(rng, part->windows);
    const unsigned char *bytes = text->bytes + window_begin(part, dataset->length, window);
    for (int64_t i = 0; i < dataset->length; i++) {
        row->tokens[i] = bytes[i];
        row->targets[i] = bytes[i + 1];
        row->mask[i] = 1;
    }
}

const struct task_def task_text = {
    .name = "text",
    .title = "bytes of any file; each names the next",
    .source = "Al-Rfou et al. 2019, Character-Level Language Modeling with Deeper Self-Attention, "
              "arXiv 1808.04444",
    .scored = "every byte; bits per byte; held out by block",
    .settings_size = 0,
    .needs_file = true,
    .open = open_text,
    .close = close_text,
    .sample = sample,
};
