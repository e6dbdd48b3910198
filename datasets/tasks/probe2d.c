// The probe on a grid: a constant image, and every cell must say where it stands.
//
// Cells are tokens row by row. answer=both asks for row and column at once, as one of height x
// width classes (class y width + x), and is right only if both are; answer=row and answer=column
// ask for one, and tell which of the two an encoding marks.
#include "../../autograd/base/err.h"
#include "../dataset.h"

enum answer { BOTH, ROW, COLUMN };

struct settings {
    int64_t height, width;
    int answer;
};

static const struct option_def options[] = {
    {"height", OPTION_INT, offsetof(struct settings, height), "0", 0, 1 << 20, NULL,
     "rows of the grid (0: from the length, and the width or a square)"},
    {"width", OPTION_INT, offsetof(struct settings, width), "0", 0, 1 << 20, NULL,
     "columns of the grid (0: from the length, and the height or a square)"},
    {"answer", OPTION_CHOICE, offsetof(struct settings, answer), "both", 0, 0, "both|row|column",
     "what each cell must name"},
    {.key = NULL},
};

static int find_square(struct dataset *dataset)
{
    int64_t side = 1;
    while (side * side < dataset->length)
        side++;
    dataset->grid_height = dataset->grid_width = side;
    if (side * side == dataset->length)
        return 0;
    return err_set(ERR_ARGUMENT,
                   "--task-opt of task probe2d: length %lld is not a square; give height or width, "
                   "which must divide it",
                   (long long)dataset->length);
}

static int find_grid(struct dataset *dataset)
{
    const struct settings *s = dataset->settings;
    int64_t height = s->height, width = s->width, length = dataset->length;
    if (!height && !width)
        return find_square(dataset);
    if (!height)
        height = length / width;
    if (!width)
        width = length / height;
    if (height * width != length)
        return err_set(ERR_ARGUMENT,
                       "--task-opt of task probe2d: a grid of %lld by %lld is not the length %lld; "
                       "give height and width whose product it is",
                       (long long)height, (long long)width, (long long)length);
    dataset->grid_height = height;
    dataset->grid_width = width;
    return 0;
}

static int64_t classes(const struct dataset *dataset)
{
    const struct settings *s = dataset->settings;
    return s->answer == ROW      ? dataset->grid_height
           : s->answer == COLUMN ? dataset->grid_width
                                 : dataset->length;
}

static int open_probe2d(struct dataset *dataset)
{
    int code = find_grid(dataset);
    if (code < 0)
        return code;
    if (dataset->length != dataset->train_length)
        return err_set(ERR_ARGUMENT,
                       "task probe2d: its answers are the cells of the grid that was trained; a "
                       "model of length %lld is not scored at length %lld",
                       (long long)dataset->train_length, (long long)dataset->length);
    int64_t n = classes(dataset);
    dataset->vocab = n > 2 ? n : 2;
    dataset->chance = 1.0 / (double)n;
    return 0;
}

static void sample(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row)
{
    (void)split;
    (void)rng;
    const struct settings *s = dataset->settings;
    for (int64_t t = 0; t < dataset->length; t++) {
        int64_t y = t / dataset->grid_width, x = t % dataset->grid_width;
        row->targets[t] = (int32_t)(s->answer == ROW ? y : s->answer == COLUMN ? x : t);
        row->mask[t] = 1;
    }
}

const struct task_def task_probe2d = {
    .name = "probe2d",
    .title = "a constant grid; each cell names its row and column",
    .source = "after Su Jianlin, Scientific Spaces, article 8397",
    .scored = "every cell, both",
    .options = options,
    .example = "--length 36",
    .settings_size = sizeof(struct settings),
    .open = open_probe2d,
    .sample = sample,
};
