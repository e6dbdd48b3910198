// Batches of tasks for tests.
#include "batch.h"

#include <stdio.h>
#include <string.h>

#include "check.h"

#define UNTOUCHED 0x7f7f7f7f

int batch_open(struct dataset *dataset, const char *task, int64_t length, uint64_t seed,
               const char *options)
{
    char copy[256];
    const char *pairs[8];
    char *rest = NULL;
    int count = 0;
    snprintf(copy, sizeof copy, "%s", options);
    for (char *p = strtok_r(copy, " ", &rest); p && count < 8; p = strtok_r(NULL, " ", &rest))
        pairs[count++] = p;
    const struct task_def *def = task_find(task);
    struct dataset_request request = {
        .task = task,
        .length = length,
        .seed = seed,
        .data_path = def && def->file == DATASET_FILE_REQUIRED ? BATCH_TEXT : NULL,
        .pair_count = count,
        .pairs = pairs};
    return dataset_open(dataset, &request);
}

void batch_draw(const struct dataset *dataset, struct batch *batch, enum dataset_split split,
                uint64_t step, int64_t rows)
{
    assert_true(rows <= BATCH_MAX_ROWS && dataset->length <= BATCH_MAX_LENGTH);
    memset(batch, UNTOUCHED & 0xff, sizeof *batch);
    dataset_batch(dataset, split, step, rows, batch->tokens, batch->targets, batch->mask);
}

void batch_check(const struct dataset *dataset, const struct batch *batch, int64_t rows)
{
    for (int64_t i = 0; i < rows * dataset->length; i++) {
        int32_t token = batch->tokens[i], target = batch->targets[i];
        assert_true(batch->mask[i] == 0 || batch->mask[i] == 1);
        assert_true(token >= 0 && token < dataset->vocab);
        assert_true(target >= DATASET_IGNORE && target < dataset->vocab);
        if (!batch->mask[i])
            assert_true(token == 0 && target == DATASET_IGNORE);
    }
    for (int64_t i = rows * dataset->length; i < BATCH_MAX; i++)
        assert_true(batch->tokens[i] == UNTOUCHED && batch->targets[i] == UNTOUCHED &&
                    batch->mask[i] == UNTOUCHED);
}

int64_t batch_row_length(const struct dataset *dataset, const struct batch *batch, int64_t row)
{
    int64_t length = 0;
    for (int64_t i = 0; i < dataset->length; i++)
        length += batch->mask[row * dataset->length + i];
    return length;
}
