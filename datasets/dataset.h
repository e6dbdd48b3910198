// Tasks: generators of batches, one file each.
//
// A sample is a pure function of (seed, stream, step, index): task_sample gets an rng started there
// and fills one row. Train, validation and test are different streams; nothing else is remembered
// between batches, so a resumed run sees what an unbroken one would have seen, and so does one with
// another encoding.
//
// Splits share no row where there are enough of them: a hash of a row's tokens, which no seed
// changes, says whose row it is, and a row that is another split's is drawn again.
#ifndef POSGRAD_DATASET_H
#define POSGRAD_DATASET_H

#include <stdint.h>

#include "../autograd/base/options.h"
#include "../autograd/base/rng.h"

#define DATASET_IGNORE (-1) // a target that is not scored
enum { DATASET_NAME = 32 }; // bytes of a token's name

enum dataset_split { DATASET_TRAIN, DATASET_VALIDATION, DATASET_TEST, DATASET_SPLITS };
extern const char *const dataset_split_name[DATASET_SPLITS]; // "train", "validation", "test"

// One row of a batch, `length` entries each.
struct dataset_row {
    int32_t *tokens;  // in [0, vocab)
    int32_t *targets; // in [0, vocab), or DATASET_IGNORE
    int32_t *mask;    // 1 for a token that is there, 0 for padding (hidden as a key)
};

struct dataset; // an opened task

// Whether a task reads a file (--data).
enum dataset_file { DATASET_FILE_NONE, DATASET_FILE_OPTIONAL, DATASET_FILE_REQUIRED };
extern const char *const dataset_file_name[]; // "none", "optional", "required"

struct task_def {
    const char *name, *title, *source; // source: authors, year, where
    const char *scored;                // what is scored, one phrase
    const struct option_def *options;  // --task-opt KEY=VALUE
    size_t settings_size;
    enum dataset_file file;
    const char *example; // options that an example takes beside --pe, --task and --data, or NULL
    // Checks the settings against the length (tokens a row) and opens what is needed. Sets
    // dataset->vocab, ->chance (expected accuracy of the best guess that ignores position),
    // ->row_bits and ->state. Errors name the option and leave nothing open. The vocabulary may
    // depend on train_length and the settings, not on length; where `evaluation`, rows are as long
    // as `length` lets them be, whatever lengths the settings ask for.
    int (*open)(struct dataset *dataset);
    void (*close)(struct dataset *dataset); // NULL where open opens nothing
    // Fills one row of dataset->length entries, which arrives blank: tokens 0, mask 0, targets all
    // ignored. Allocates nothing, cannot fail.
    void (*sample)(const struct dataset *dataset, enum dataset_split split, struct rng *rng,
                   struct dataset_row *row);
    // Writes what people call a token, "[SEP]": without spaces, no number, each name once. False
    // for one that is a number or a symbol of no other name. NULL: all are.
    bool (*token_name)(const struct dataset *dataset, int64_t token, char name[DATASET_NAME]);
};

extern const struct task_def *const task_list[];
extern const int task_count;
const struct task_def *task_find(const char *name); // NULL, and err_set with the nearest

struct dataset {
    const struct task_def *task;
    void *settings; // the task's own struct
    void *state;    // the task's own: an open file
    char data_path[OPTION_TEXT];
    int64_t length;       // tokens a row
    int64_t train_length; // of the model: what its vocabulary was made for
    bool evaluation;      // rows are all as long as fit
    int64_t curriculum;   // see dataset_request
    int64_t vocab;
    double chance;
    // Bits of choice in the shortest row: below DATASET_SPLIT_BITS the splits share rows. A task
    // whose splits are its own, by the parts of a file, leaves it 0.
    double row_bits;
    uint64_t seed;
    uint64_t stream[DATASET_SPLITS]; // rng_stream(seed, "data/TASK/SPLIT")
    int64_t grid_height, grid_width; // rows are a grid, row by row; 0 where they are none
    uint64_t fingerprint;            // of the bytes of the file; 0 for a task that reads none
    char notice[1024];        // what the opening left out, one line for the user; empty for nothing
    bool bytes;               // tokens below 256 are the bytes of a text
    bool bits_per_byte;       // the loss is also reported in bits a byte (text)
    bool needs_causal;        // answers are among the tokens to the right: for decoders only
    bool needs_bidirectional; // answers take tokens to the right: for encoders only
};

#define DATASET_SPLIT_BITS 12

struct dataset_request {
    const char *task;
    int64_t length;       // tokens a row
    int64_t train_length; // of the model that is to be scored on full rows; 0 to train one
    int64_t curriculum;   // training steps until rows may be their longest; 0: from the first on
    uint64_t seed;
    const char *data_path; // NULL for none
    int pair_count;
    const char *const *pairs; // "KEY=VALUE"
};
// On failure nothing is left open. A curriculum is refused where no row gets shorter by it.
int dataset_open(struct dataset *dataset, const struct dataset_request *request);
void dataset_close(struct dataset *dataset);

// Fills a batch: rows [batch_size, length]. `step` names the batch within the split: a training
// step, or the number of an evaluation batch. Same arguments, same bytes.
void dataset_batch(const struct dataset *dataset, enum dataset_split split, uint64_t step,
                   int64_t batch_size, int32_t *tokens, int32_t *targets, int32_t *mask);

// The name of a token of the vocabulary: what the task calls it, or its number; of a byte that is
// no printable ASCII "<0x0a>".
void dataset_token_name(const struct dataset *dataset, int64_t token, char name[DATASET_NAME]);

// For task_def.sample: how many symbols this row has, uniform in [min, max]; in training, max grows
// linearly from min over the steps of the curriculum.
int64_t dataset_draw_length(const struct dataset *dataset, enum dataset_split split,
                            struct rng *rng, int64_t min, int64_t max);

// For task_def.sample: draws that all rows of a batch share, from the rng of any of them.
void dataset_batch_rng(struct rng *shared, const struct rng *row);

// Scores predictions (argmax of the logits) of one batch, adding to the counts.
struct dataset_score {
    int64_t correct, scored;    // targets that are not ignored
    int64_t rows_correct, rows; // rows with all their scored targets right; rows with any
    // Sums over rows of correct^2, correct * scored and scored^2: how far rows differ.
    int64_t correct2, correct_scored, scored2;
};
void dataset_score(struct dataset_score *score, int64_t batch_size, int64_t length,
                   const int32_t *predictions, const int32_t *targets);

#endif
