// Columns that grow by doubling.
#include "history.h"

#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"

const struct history_layout history_layouts[HISTORY_SPLITS] = {
    [HISTORY_TRAIN] = {"train", 4, {"loss", "accuracy", "lr", "grad_norm"}},
    [HISTORY_VALIDATION] = {"validation",
                            5,
                            {"loss", "accuracy", "exact_match", "length", "bits_per_byte"}},
};

void history_init(struct history *history)
{
    memset(history, 0, sizeof *history);
}

void history_release(struct history *history)
{
    for (int s = 0; s < HISTORY_SPLITS; s++) {
        free(history->split[s].step);
        for (int c = 0; c < HISTORY_MAX_COLUMNS; c++)
            free(history->split[s].column[c]);
    }
    history_init(history);
}

int history_reserve(struct history *history, enum history_split split, int64_t rows)
{
    struct history_series *series = &history->split[split];
    if (rows <= series->capacity)
        return 0;
    if (rows > INT64_MAX / 16)
        return err_set(ERR_ARGUMENT, "a history of %lld rows is too long", (long long)rows);
    int64_t *step = realloc(series->step, (size_t)rows * sizeof *step);
    if (!step)
        return err_set(ERR_MEMORY, "out of memory for %lld rows of history", (long long)rows);
    series->step = step;
    for (int c = 0; c < history_layouts[split].columns; c++) {
        double *column = realloc(series->column[c], (size_t)rows * sizeof *column);
        if (!column)
            return err_set(ERR_MEMORY, "out of memory for %lld rows of history", (long long)rows);
        series->column[c] = column;
    }
    series->capacity = rows;
    return 0;
}

int history_add(struct history *history, enum history_split split, int64_t step,
                const double *values)
{
    struct history_series *series = &history->split[split];
    // It grows when it is half full, and tries again with each row: memory that is short for a
    // while does not end a run.
    if (2 * series->rows >= series->capacity) {
        int code = history_reserve(history, split, series->capacity ? 2 * series->capacity : 1024);
        if (code < 0 && series->rows == series->capacity)
            return code;
    }
    series->step[series->rows] = step;
    for (int c = 0; c < history_layouts[split].columns; c++)
        series->column[c][series->rows] = values[c];
    series->rows++;
    return 0;
}
