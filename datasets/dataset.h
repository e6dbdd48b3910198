// Tasks: generators of batches, one file each.
//
// A sample is a pure function of (seed, stream, step, index): task_sample gets an rng started there
// and fills one row. Train, validation and test are different streams; nothing else is remembered
// between batches, so a resumed run sees what an unbroken one would have seen, and so does one with
// another encoding.
#ifndef POSGRAD_DATASET_H
#define POSGRAD_DATASET_H

#include <stdint.h>

#include "../autograd/base/options.h"
#include "../autograd/base/rng.h"

#define DATASET_IGNORE (-1) // a target that is not scored

enum dataset_split { DATASET_TRAIN, DATASET_VALIDATION, DATASET_TEST, DATASET_SPLITS };
extern const char *const dataset_split_name[DATASET_SPLITS]; // "train", "validation", "test"

// One row of a batch, `length` entries each.
struct dataset_row {
    int32_t *tokens;  // in [0, vocab)
    int32_t *targets; // in [0, vocab), or DATASET_IGNORE
    int32_t *mask;    // 1 for a token that is there, 0 for padding (hidden as a key)
};

struct dataset; // an opened task

struct task_def {
    const char *name, *title, *source; // source: authors, year, where
    const char *scored;                // what is scored, one phrase
    const struct option_def *options;  // --task-opt KEY=VALUE
    size_t settings_size;
    bool needs_file; // --data
    // Checks the settings against the length (tokens a row) and opens what is needed. Sets
    // dataset->vocab, ->chance (expected accuracy of the best guess that ignores position) and
    // ->state. Errors name the option and leave nothing open.
    int (*open)(struct dataset *dataset);
    void (*close)(struct dataset *dataset); // NULL where open opens nothing
    // Fills one row of dataset->length entries, which arrives blank: tokens 0, mask 0, targets all
    // ignored. Allocates nothing, cannot fail.
    void (*sample)(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row);
};

extern const struct task_def *const task_list[];
extern const int task_count;
const struct task_def *task_find(const char *name); // NULL, and err_set with the nearest

struct dataset {
    const struct task_def *task;
    void *settings; // the task's own struct
    void *state;    // the task's own: an open file
    char data_path[OPTION_TEXT];
    int64_t length; // tokens a row
    int64_t vocab;
    double chance;
    uint64_t seed;
    uint64_t stream[DATASET_SPLITS]; // rng_stream(seed, "data/TASK/SPLIT")
    int64_t grid_height, grid_width; // rows are a grid, row by row; 0 where they are none
    uint64_t fingerprint;            // of the bytes of the file; 0 for a task that reads none
    bool bits_per_byte;              // the loss is also reported in bits a byte (text)
    bool needs_causal;               // answers are among the tokens to the right: for decoders only
};

// Opens task `name` for rows of `length` tokens. `pairs` are "KEY=VALUE" texts; data_path may be
// NULL. On failure nothing is left open.
int dataset_open(struct dataset *dataset, const char *name, int64_t length, uint64_t seed,
                 const char *data_path, int pair_count, const char *const *pairs);
void dataset_close(struct dataset *dataset);

// Fills a batch: rows [batch_size, length]. `step` names the batch within the split: a training
// step, or the number of an evaluation batch. Same arguments, same bytes.
void dataset_batch(const struct dataset *dataset, enum dataset_split split, uint64_t step,
                   int64_t batch_size, int32_t *tokens, int32_t *targets, int32_t *mask);

// For task_sample: draws that all rows of a batch share, from the rng of any of them.
void dataset_batch_rng(struct rng *shared, const struct rng *row);

// Scores predictions (argmax of the logits) of one batch, adding to the counts.
struct dataset_score {
    int64_t correct, scored;    // targets that are not ignored
    int64_t rows_correct, rows; // rows with all their scored targets right; rows with any
};
void dataset_score(struct dataset_score *score, int64_t batch_size, int64_t length,
                   const int32_t *predictions, const int32_t *targets);

#endif
