// The metrics of a run as columns, kept with the checkpoint: a row a log line, a series a split.
#ifndef POSGRAD_HISTORY_H
#define POSGRAD_HISTORY_H

#include <stdint.h>

#define HISTORY_MAX_COLUMNS 5

enum history_split { HISTORY_TRAIN, HISTORY_VALIDATION, HISTORY_SPLITS };

struct history_layout {
    const char *name; // "train"
    int columns;
    const char *column[HISTORY_MAX_COLUMNS]; // after "step"
};
// No column holds a time, so that equal runs have equal files.
extern const struct history_layout history_layouts[HISTORY_SPLITS];

struct history_series {
    int64_t rows, capacity;
    int64_t *step;
    double *column[HISTORY_MAX_COLUMNS];
};
struct history {
    struct history_series split[HISTORY_SPLITS];
};

void history_init(struct history *history);
void history_release(struct history *history);
// Room for `rows` rows in all.
int history_reserve(struct history *history, enum history_split split, int64_t rows);
// Adds one row; `values` has as many entries as the layout has columns.
int history_add(struct history *history, enum history_split split, int64_t step,
                const double *values);

#endif
