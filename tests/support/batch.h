// Batches of tasks for tests: opening with options in one text, drawing, and what any row must be.
#ifndef POSGRAD_TESTS_BATCH_H
#define POSGRAD_TESTS_BATCH_H

#include "../../datasets/dataset.h"

#define BATCH_TEXT "/usr/share/common-licenses/GPL-3" // a text that every Debian has

enum { BATCH_MAX_ROWS = 64, BATCH_MAX_LENGTH = 256, BATCH_MAX = BATCH_MAX_ROWS * BATCH_MAX_LENGTH };

struct batch {
    int32_t tokens[BATCH_MAX], targets[BATCH_MAX], mask[BATCH_MAX];
};

// dataset_open with options as "a=1 b=2"; a task that needs a file gets BATCH_TEXT.
int batch_open(struct dataset *dataset, const char *task, int64_t length, uint64_t seed,
               const char *options);

// The same for rows of `length` that score a model of train_length.
int batch_open_evaluation(struct dataset *dataset, const char *task, int64_t length,
                          int64_t train_length, const char *options);

// dataset_batch into `batch`, all of which is overwritten first with what no task writes.
void batch_draw(const struct dataset *dataset, struct batch *batch, enum dataset_split split,
                uint64_t step, int64_t rows);

// Fails the test unless the rows are in range, padding is blank and not scored, and nothing was
// written behind them.
void batch_check(const struct dataset *dataset, const struct batch *batch, int64_t rows);

// Tokens of a row that are there.
int64_t batch_row_length(const struct dataset *dataset, const struct batch *batch, int64_t row);

#endif
