// The list of tasks, opening one, and batches made of rows that know only their own counters.
#include "dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../autograd/base/err.h"

const char *const dataset_split_name[DATASET_SPLITS] = {"train", "validation", "test"};
const char *const dataset_file_name[] = {"none", "optional", "required"};

#define TASK(name) extern const struct task_def task_##name;
#include "tasks/list.h"
#undef TASK

#define TASK(name) &task_##name,
const struct task_def *const task_list[] = {
#include "tasks/list.h"
};
#undef TASK
const int task_count = (int)(sizeof task_list / sizeof task_list[0]);

// Longer rows would not fit what counts tokens in 32 bits.
enum { MAX_LENGTH = 1 << 24 };

// No batch has this many rows.
#define SHARED_ROW UINT32_MAX

const struct task_def *task_find(const char *name)
{
    const char *names[sizeof task_list / sizeof task_list[0]];
    for (int i = 0; i < task_count; i++)
        names[i] = task_list[i]->name;
    int found = name_index(names, task_count, name);
    if (found >= 0)
        return task_list[found];
    const char *near = name_nearest(names, task_count, name);
    if (near)
        err_set(ERR_ARGUMENT, "no task is called '%s'; did you mean '%s'?", name, near);
    else
        err_set(ERR_ARGUMENT, "no task is called '%s'; 'posgrad list tasks' shows all", name);
    return NULL;
}

// --- open and close

static int check_row(const struct dataset *dataset)
{
    if (dataset->length >= 1 && dataset->length <= MAX_LENGTH)
        return 0;
    return err_set(ERR_ARGUMENT, "task %s: length %lld is out of range; it must be from 1 to %d",
                   dataset->task->name, (long long)dataset->length, MAX_LENGTH);
}

static int take_path(struct dataset *dataset, const char *data_path)
{
    const char *name = dataset->task->name;
    bool given = data_path && data_path[0];
    if (given && dataset->task->file == DATASET_FILE_NONE)
        return err_set(ERR_ARGUMENT, "task %s makes its own data; leave out --data", name);
    if (!given && dataset->task->file == DATASET_FILE_REQUIRED)
        return err_set(ERR_ARGUMENT, "task %s reads a file; give it with --data FILE", name);
    if (given && strlen(data_path) >= sizeof dataset->data_path)
        return err_set(ERR_ARGUMENT, "--data: the path is longer than %zu bytes",
                       sizeof dataset->data_path - 1);
    if (given)
        strcpy(dataset->data_path, data_path);
    return 0;
}

static int read_settings(struct dataset *dataset, int pair_count, const char *const *pairs)
{
    const struct task_def *task = dataset->task;
    char what[96];
    snprintf(what, sizeof what, "--task-opt of task %s", task->name);
    dataset->settings = calloc(1, task->settings_size + 1);
    if (!dataset->settings)
        return err_set(ERR_MEMORY, "out of memory for the settings of task %s", task->name);
    options_defaults(task->options, dataset->settings);
    for (int i = 0; i < pair_count; i++) {
        int code = options_set_pair(task->options, dataset->settings, what, pairs[i]);
        if (code < 0)
            return code;
    }
    return 0;
}

static void start_streams(struct dataset *dataset)
{
    char stream[128];
    for (int s = 0; s < DATASET_SPLITS; s++) {
        snprintf(stream, sizeof stream, "data/%s/%s", dataset->task->name, dataset_split_name[s]);
        dataset->stream[s] = rng_stream(dataset->seed, stream);
    }
}

// The first rows of `steps` batches, NULL where memory is short; the caller frees.
static int32_t *rows_at_start(struct dataset *dataset, int64_t curriculum, int64_t steps)
{
    int64_t length = dataset->length, was = dataset->curriculum;
    int32_t *rows = calloc((size_t)(3 * steps * length), sizeof *rows);
    dataset->curriculum = curriculum;
    for (int64_t i = 0; rows && i < steps; i++) {
        int32_t *row = rows + 3 * i * length;
        dataset_batch(dataset, DATASET_TRAIN, (uint64_t)i + 1, 1, row, row + length,
                      row + 2 * length);
    }
    dataset->curriculum = was;
    return rows;
}

// What gives rows of several lengths.
static const char *lengths_advice(const struct task_def *task)
{
    if (task->options && options_find(task->options, "min_length"))
        return "give --task-opt min_length=N";
    if (task->options && options_find(task->options, "mixed"))
        return "give --task-opt mixed=1";
    return "take another task";
}

// Whether a curriculum changes what is drawn is seen by drawing: no task can forget to tell. One
// row a step, as a task may draw one length for all rows of a batch.
static int check_curriculum(struct dataset *dataset)
{
    enum { STEPS = 64 };
    size_t size = (size_t)(3 * STEPS * dataset->length) * sizeof(int32_t);
    int32_t *held = rows_at_start(dataset, INT64_MAX, STEPS);
    int32_t *all = rows_at_start(dataset, 0, STEPS);
    int code = 0;
    if (!held || !all)
        code =
            err_set(ERR_MEMORY, "out of memory for the first rows of task %s", dataset->task->name);
    else if (memcmp(held, all, size) == 0)
        code = err_set(ERR_ARGUMENT,
                       "task %s draws no lengths between a shortest and a longest here, so that a "
                       "curriculum has nothing to grow; %s, or leave out --curriculum",
                       dataset->task->name, lengths_advice(dataset->task));
    free(held);
    free(all);
    return code;
}

int dataset_open(struct dataset *dataset, const struct dataset_request *request)
{
    bool evaluation = request->train_length > 0;
    *dataset =
        (struct dataset){.length = request->length,
                         .train_length = evaluation ? request->train_length : request->length,
                         .evaluation = evaluation,
                         .curriculum = request->curriculum,
                         .seed = request->seed};
    dataset->task = task_find(request->task);
    if (!dataset->task)
        return ERR_ARGUMENT;
    int code = check_row(dataset);
    if (code == 0)
        code = take_path(dataset, request->data_path);
    if (code == 0)
        code = read_settings(dataset, request->pair_count, request->pairs);
    if (code == 0)
        code = dataset->task->open(dataset);
    if (code < 0) {
        free(dataset->settings);
        *dataset = (struct dataset){0};
        return code;
    }
    start_streams(dataset);
    code = request->curriculum > 0 ? check_curriculum(dataset) : 0;
    if (code < 0)
        dataset_close(dataset);
    return code;
}

void dataset_close(struct dataset *dataset)
{
    if (dataset->task && dataset->task->close)
        dataset->task->close(dataset);
    free(dataset->settings);
    *dataset = (struct dataset){0};
}

// --- batches

void dataset_batch_rng(struct rng *shared, const struct rng *row)
{
    rng_init(shared, row->stream, row->a, SHARED_ROW);
}

int64_t dataset_draw_length(const struct dataset *dataset, enum dataset_split split,
                            struct rng *rng, int64_t min, int64_t max)
{
    if (split == DATASET_TRAIN && (int64_t)rng->a < dataset->curriculum)
        max = min + (int64_t)((double)(max - min) * (double)rng->a / (double)dataset->curriculum);
    return min + rng_below(rng, (uint32_t)(max - min + 1));
}

static void blank(struct dataset_row *row, int64_t length)
{
    for (int64_t i = 0; i < length; i++) {
        row->tokens[i] = 0;
        row->targets[i] = DATASET_IGNORE;
        row->mask[i] = 0;
    }
}

// One row of ten is for validation, one for the test. FNV-1a over the tokens, with a last mix, as
// its low bits are not spread well.
static enum dataset_split owner(const struct dataset_row *row, int64_t length)
{
    uint64_t hash = 0xCBF29CE484222325u;
    for (int64_t i = 0; i < length && row->mask[i]; i++)
        hash = (hash ^ (uint64_t)row->tokens[i]) * 0x100000001B3u;
    hash ^= hash >> 32;
    hash *= 0x9E3779B97F4A7C15u;
    uint64_t tenth = (hash >> 32) % 10;
    return tenth == 0 ? DATASET_VALIDATION : tenth == 1 ? DATASET_TEST : DATASET_TRAIN;
}

// Draws until the row is the split's own. That fails once in 10^13 rows of a random task; a task
// whose rows are so few that it fails by rights says so with row_bits.
static void draw(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                 struct dataset_row *row)
{
    enum { TRIES = 300 };
    bool apart = dataset->row_bits >= DATASET_SPLIT_BITS;
    for (int i = 0; i < TRIES; i++) {
        blank(row, dataset->length);
        dataset->task->sample(dataset, split, rng, row);
        if (!apart || owner(row, dataset->length) == split)
            return;
    }
}

void dataset_batch(const struct dataset *dataset, enum dataset_split split, uint64_t step,
                   int64_t batch_size, int32_t *tokens, int32_t *targets, int32_t *mask)
{
    int64_t length = dataset->length;
    BUG_ON(batch_size < 0 || batch_size >= SHARED_ROW);
    for (int64_t b = 0; b < batch_size; b++) {
        struct dataset_row row = {tokens + b * length, targets + b * length, mask + b * length};
        struct rng rng;
        rng_init(&rng, dataset->stream[split], step, (uint32_t)b);
        draw(dataset, split, &rng, &row);
    }
}

void dataset_score(struct dataset_score *score, int64_t batch_size, int64_t length,
                   const int32_t *predictions, const int32_t *targets)
{
    for (int64_t b = 0; b < batch_size; b++) {
        int64_t correct = 0, scored = 0;
        for (int64_t i = b * length; i < (b + 1) * length; i++) {
            scored += targets[i] != DATASET_IGNORE;
            correct += targets[i] != DATASET_IGNORE && predictions[i] == targets[i];
        }
        score->correct += correct;
        score->scored += scored;
        score->rows += scored > 0;
        score->rows_correct += scored > 0 && correct == scored;
        score->correct2 += correct * correct;
        score->correct_scored += correct * scored;
        score->scored2 += scored * scored;
    }
}

void dataset_token_name(const struct dataset *dataset, int64_t token, char name[DATASET_NAME])
{
    const struct task_def *task = dataset->task;
    if (task->token_name && task->token_name(dataset, token, name))
        return;
    if (!dataset->bytes)
        snprintf(name, DATASET_NAME, "%lld", (long long)token);
    else if (token > ' ' && token < 0x7f)
        snprintf(name, DATASET_NAME, "%c", (int)token);
    else
        snprintf(name, DATASET_NAME, "<0x%02llx>", (long long)token);
}
