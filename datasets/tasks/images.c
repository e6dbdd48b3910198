// Images: patches on a grid, row by row, and the class of the whole image.
//
// A token is a patch: the mean of its pixels (0 to 255) in `levels` equal steps,
// floor(mean * levels / 256). The class is asked for at the last cell of the grid alone, so that a
// decoder, too, has seen the whole image.
//
// Images come from a file (IDX or HDF5), where a hash of an image's number says whose split it is,
// the same for all seeds; or are digits that the task draws, a pixel a cell: 3 by 5 cells somewhere
// on the grid. A cell of the background is uniform from 0 to noise * 255, a cell of the digit as
// far from 255. Digits have as much ink as each other, so that a model that does not know
// where tokens are is at chance; images of a file are not so fair, and `chance` is there the share
// of the commonest class.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../image_file.h"

enum { GLYPHS = 10, GLYPH_HEIGHT = 5, GLYPH_WIDTH = 3 };

// Row by row, a character a pixel. All have eleven pixels of ink and reach all sides of their box,
// so that neither how many cells have ink nor how far they reach tells anything of the digit.
static const char glyph[GLYPHS][GLYPH_HEIGHT * GLYPH_WIDTH + 1] = {
    "011101101101111", "011111011011011", "111001111100111", "111001111001111", "101101111011011",
    "111100111001111", "011100111101111", "111101011011011", "111101010101111", "111101111001110",
};

struct settings {
    int64_t levels, patch, height, scale;
    double noise;
    char labels[OPTION_TEXT], images_name[OPTION_TEXT], labels_name[OPTION_TEXT];
};

static const struct option_def options[] = {
    {"levels", OPTION_INT, offsetof(struct settings, levels), "8", 2, 256, NULL,
     "steps of intensity that tokens tell apart"},
    {"patch", OPTION_INT, offsetof(struct settings, patch), "0", 0, 1 << 20, NULL,
     "of a file: side of a patch in pixels (0: the one that makes the length)"},
    {"labels", OPTION_STRING, offsetof(struct settings, labels), "", 0, 0, NULL,
     "of an IDX file: its labels (empty: by name, train-labels-idx1-ubyte for "
     "train-images-idx3-ubyte)"},
    {"images_name", OPTION_STRING, offsetof(struct settings, images_name), "images", 0, 0, NULL,
     "of an HDF5 file: dataset [count, height, width] of bytes, or of reals from 0 to 1"},
    {"labels_name", OPTION_STRING, offsetof(struct settings, labels_name), "labels", 0, 0, NULL,
     "of an HDF5 file: dataset [count] of integers"},
    {"height", OPTION_INT, offsetof(struct settings, height), "0", 0, 1 << 20, NULL,
     "of drawn digits: rows of the grid (0: a square)"},
    {"scale", OPTION_INT, offsetof(struct settings, scale), "1", 1, 1024, NULL,
     "of drawn digits: side of their pixels in cells"},
    {"noise", OPTION_REAL, offsetof(struct settings, noise), "0.4", 0, 1, NULL,
     "of drawn digits: how far cells may be from dark and bright (beyond 0.5 they meet)"},
    {.key = NULL},
};

// Of a file; NULL is the state where digits are drawn.
struct images {
    struct image_set set;
    int64_t patch;
    struct held_out held_out;
    uint32_t *index; // of images, those of a split together
    int64_t begin[DATASET_SPLITS + 1];
};

// Options that say nothing where images come from elsewhere are a mistake.
static int check_options(const struct dataset *dataset)
{
    static const char *const of_files[] = {"patch", "labels", "images_name", "labels_name"};
    static const char *const of_glyphs[] = {"height", "scale", "noise"};
    bool file = dataset->data_path[0];
    for (const struct option_def *o = options; o->key; o++) {
        char value[OPTION_TEXT];
        int vain = file ? name_index(of_glyphs, 3, o->key) : name_index(of_files, 4, o->key);
        if (vain < 0 || options_get(o, dataset->settings, value, sizeof value) < 0 ||
            strcmp(value, o->default_value) == 0)
            continue;
        return err_set(ERR_ARGUMENT, "--task-opt of task images: %s is for %s; leave it out%s",
                       o->key, file ? "digits that the task draws" : "images of a file",
                       file ? ", or --data" : ", or give --data FILE");
    }
    return 0;
}

// --- images of a file

// Tokens of an image in patches of that side; 0 where it does not divide the image.
static int64_t tokens_of(const struct image_set *set, int64_t patch)
{
    return set->height % patch || set->width % patch ? 0
                                                     : (set->height / patch) * (set->width / patch);
}

// "784 (patch 1), 196 (patch 2), ...": lengths that the images can have.
static void list_lengths(const struct image_set *set, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int64_t p = 1; p <= set->height && p <= set->width && used + 48 < size; p++)
        if (tokens_of(set, p))
            used += (size_t)snprintf(text + used, size - used, "%s%lld (patch %lld)",
                                     used ? ", " : "", (long long)tokens_of(set, p), (long long)p);
}

static int settle_patch(const struct dataset *dataset, struct images *images)
{
    const struct settings *s = dataset->settings;
    const struct image_set *set = &images->set;
    char lengths[400];
    for (int64_t p = 1; p <= set->height && p <= set->width; p++) {
        if ((s->patch && p != s->patch) || tokens_of(set, p) != dataset->length)
            continue;
        images->patch = p;
        return 0;
    }
    if (s->patch && tokens_of(set, s->patch))
        return err_set(ERR_ARGUMENT,
                       "task images: %lld by %lld pixels in patches of %lld are %lld tokens, not "
                       "%lld; give --length %lld",
                       (long long)set->height, (long long)set->width, (long long)s->patch,
                       (long long)tokens_of(set, s->patch), (long long)dataset->length,
                       (long long)tokens_of(set, s->patch));
    list_lengths(set, lengths, sizeof lengths);
    return err_set(ERR_ARGUMENT,
                   "task images: %lld by %lld pixels have no square patches that make length %lld; "
                   "--length may be %s",
                   (long long)set->height, (long long)set->width, (long long)dataset->length,
                   lengths);
}

// One image of ten is for validation, one for the test.
static enum dataset_split split_of(uint64_t stream, int64_t image)
{
    struct rng rng;
    rng_init(&rng, stream, (uint64_t)image, 0);
    uint32_t tenth = rng_below(&rng, 10);
    return tenth == 0 ? DATASET_VALIDATION : tenth == 1 ? DATASET_TEST : DATASET_TRAIN;
}

static int part_images(const struct dataset *dataset, struct images *images)
{
    uint64_t stream = rng_stream(0, "data/images/split of an image");
    int64_t count = images->set.count, used = 0;
    if (count > UINT32_MAX)
        return err_set(ERR_FILE, "--data: '%s' has more than %u images", dataset->data_path,
                       UINT32_MAX);
    images->index = malloc((size_t)count * sizeof *images->index);
    if (!images->index)
        return err_set(ERR_MEMORY, "out of memory for the numbers of %lld images",
                       (long long)count);
    for (int s = 0; s < DATASET_SPLITS; s++) {
        images->begin[s] = used;
        for (int64_t i = 0; i < count; i++)
            if ((int)split_of(stream, i) == s)
                images->index[used++] = (uint32_t)i;
        images->begin[s + 1] = used;
        if (used == images->begin[s])
            return err_set(ERR_FILE,
                           "--data: '%s' has %lld images, none of which is for %s; "
                           "give more",
                           dataset->data_path, (long long)count, dataset_split_name[s]);
    }
    return 0;
}

static double commonest_class(const struct image_set *set)
{
    int64_t *count = calloc((size_t)set->classes, sizeof *count), most = 0;
    if (!count)
        return -1;
    for (int64_t i = 0; i < set->count; i++) {
        int64_t now = ++count[set->label[i]];
        most = now > most ? now : most;
    }
    free(count);
    return (double)most / (double)set->count;
}

static void close_images(struct dataset *dataset)
{
    struct images *images = dataset->state;
    if (!images)
        return;
    image_set_close(&images->set);
    free(images->index);
    free(images);
    dataset->state = NULL;
}

static int open_file(struct dataset *dataset, struct images *images)
{
    const struct settings *s = dataset->settings;
    const struct image_names names = {s->labels, s->images_name, s->labels_name};
    int code = image_set_open(&images->set, dataset->data_path, &names);
    if (code == 0)
        code = settle_patch(dataset, images);
    if (code == 0)
        code = part_images(dataset, images);
    if (code < 0)
        return code;
    held_out_init(&images->held_out, dataset->task);
    dataset->grid_height = images->set.height / images->patch;
    dataset->grid_width = images->set.width / images->patch;
    dataset->fingerprint = images->set.fingerprint;
    dataset->vocab = s->levels > images->set.classes ? s->levels : images->set.classes;
    dataset->chance = commonest_class(&images->set);
    return dataset->chance < 0 ? err_set(ERR_MEMORY, "out of memory to count classes") : 0;
}

// --- digits of our own

// Values that a cell's noise may have.
static uint32_t noise_values(const struct settings *s)
{
    return (uint32_t)(s->noise * 255) + 1;
}

static int find_grid(struct dataset *dataset)
{
    const struct settings *s = dataset->settings;
    int64_t height = s->height ? s->height : 1, length = dataset->length;
    while (!s->height && height * height < length)
        height++;
    int64_t width = length / height;
    if (height * width != length)
        return err_set(
            ERR_ARGUMENT,
            "task images: length %lld is %s; give --length 36 (6 by 6) or 64, or another grid "
            "by --task-opt height=H",
            (long long)length, s->height ? "not divisible by the height" : "no square");
    if (height < GLYPH_HEIGHT * s->scale || width < GLYPH_WIDTH * s->scale)
        return err_set(
            ERR_ARGUMENT,
            "task images: digits of %lld by %lld cells have no room on a grid of %lld by "
            "%lld; give a larger --length (36 is 6 by 6)",
            GLYPH_HEIGHT * (long long)s->scale, GLYPH_WIDTH * (long long)s->scale,
            (long long)height, (long long)width);
    dataset->grid_height = height;
    dataset->grid_width = width;
    return 0;
}

// Of noise, as if each cell were as predictable as its commonest level.
static double bits(const struct dataset *dataset)
{
    const struct settings *s = dataset->settings;
    double one_level = ceil(256.0 / (double)s->levels), values = noise_values(s);
    double places = (double)(dataset->grid_height - GLYPH_HEIGHT * s->scale + 1) *
                    (double)(dataset->grid_width - GLYPH_WIDTH * s->scale + 1);
    double cell = values > one_level ? log2(values / one_level) : 0;
    return log2(GLYPHS * places) + (double)dataset->length * cell;
}

static int open_glyphs(struct dataset *dataset)
{
    const struct settings *s = dataset->settings;
    int code = find_grid(dataset);
    if (code < 0)
        return code;
    dataset->vocab = s->levels > GLYPHS ? s->levels : GLYPHS;
    dataset->chance = 1.0 / GLYPHS;
    dataset->row_bits = bits(dataset);
    return 0;
}

static int open_images(struct dataset *dataset)
{
    int code = check_options(dataset);
    if (code < 0)
        return code;
    if (!dataset->data_path[0])
        return open_glyphs(dataset);
    dataset->state = calloc(1, sizeof(struct images));
    if (!dataset->state)
        return err_set(ERR_MEMORY, "out of memory for task images");
    code = open_file(dataset, dataset->state);
    if (code < 0)
        close_images(dataset);
    return code;
}

// --- rows

// `sum` of the pixels of an area.
static int32_t level_of(const struct settings *s, int64_t sum, int64_t area)
{
    return (int32_t)(sum * s->levels / (256 * area));
}

static int32_t show_image(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                          int32_t *tokens)
{
    const struct images *images = dataset->state;
    const struct image_set *set = &images->set;
    held_out_restart(&images->held_out, split, rng);
    int64_t count = images->begin[split + 1] - images->begin[split], p = images->patch;
    int64_t image = images->index[images->begin[split] + data_file_below(rng, count)];
    const unsigned char *pixels = set->pixels + image * set->height * set->width;
    for (int64_t t = 0; t < dataset->length; t++) {
        int64_t y = t / dataset->grid_width * p, x = t % dataset->grid_width * p, sum = 0;
        for (int64_t i = y; i < y + p; i++)
            for (int64_t j = x; j < x + p; j++)
                sum += pixels[i * set->width + j];
        tokens[t] = level_of(dataset->settings, sum, p * p);
    }
    return set->label[image];
}

static int32_t show_glyph(const struct dataset *dataset, struct rng *rng, int32_t *tokens)
{
    const struct settings *s = dataset->settings;
    int64_t height = GLYPH_HEIGHT * s->scale, width = GLYPH_WIDTH * s->scale;
    int32_t class = (int32_t)rng_below(rng, GLYPHS);
    int64_t top = rng_below(rng, (uint32_t)(dataset->grid_height - height + 1));
    int64_t left = rng_below(rng, (uint32_t)(dataset->grid_width - width + 1));
    uint32_t values = noise_values(s);
    for (int64_t y = 0, t = 0; y < dataset->grid_height; y++) {
        for (int64_t x = 0; x < dataset->grid_width; x++, t++) {
            bool inside = y >= top && y < top + height && x >= left && x < left + width;
            int64_t at = inside ? (y - top) / s->scale * GLYPH_WIDTH + (x - left) / s->scale : 0;
            bool ink = inside && glyph[class][at] == '1';
            int64_t noise = rng_below(rng, values);
            tokens[t] = level_of(s, ink ? 255 - noise : noise, 1);
        }
    }
    return class;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    int32_t class = dataset->state ? show_image(dataset, split, rng, row->tokens)
                                   : show_glyph(dataset, rng, row->tokens);
    for (int64_t t = 0; t < dataset->length; t++)
        row->mask[t] = 1;
    row->targets[dataset->length - 1] = class;
}

const struct task_def task_images = {
    .name = "images",
    .title = "images in patches on a grid: of a file, or digits that the task draws",
    .source =
        "after Dosovitskiy et al. 2021, An Image is Worth 16x16 Words: Transformers for Image "
        "Recognition at Scale, arXiv 2010.11929",
    .scored = "the class, at the last cell",
    .options = options,
    .settings_size = sizeof(struct settings),
    .file = DATASET_FILE_OPTIONAL,
    .example = "--length 36",
    .open = open_images,
    .close = close_images,
    .sample = sample,
};
