// Scores a trained model on rows of other lengths than it was trained on.
//
// Nothing is written and no lock is taken: a run can be scored while it trains. The same
// checkpoint, lengths and samples give the same bits for any number of threads.
#ifndef POSGRAD_EVALUATE_LENGTHS_H
#define POSGRAD_EVALUATE_LENGTHS_H

#include "statistics.h"
#include "train.h"

// What is scored: rows that fill their length (dataset_request.train_length), by the order of the
// split. The first eval_batches * batch_size of them at the training length are those of the
// training's own evaluations, for a task whose rows are all as long as fit.
struct length_request {
    enum dataset_split split;
    int64_t samples; // rows a length; 0: as many as the training's evaluations have
    // Past the training length, tokens that go through the model at once: memory does not grow with
    // length times batch. 0: 65536. It changes no more than the rounding of the loss's sum.
    int64_t tokens_at_once;
};

struct length_score {
    // Asked for: tokens a row, and what is done past the encoding's end.
    int64_t length;
    enum pe_extension extension;
    // Whether the task has such rows and the encoding is defined there; else `reason` says why not,
    // and what follows is empty.
    bool scored;
    char reason[512];
    char notice[1024]; // what the task left out of its data at this length; empty for nothing
    const char *reach; // model_reach: "inside", "extrapolated", ...
    double chance;
    bool bits_per_byte;                    // the loss is also told in bits a byte
    struct evaluation result;              // loss may be infinite or NaN, far from what was trained
    struct interval accuracy, exact_match; // 95 %: interval_accuracy; interval_wilson over rows
};

// The task of the trainer's run in rows of `length` tokens. ERR_ARGUMENT where it has none, or its
// tokens are others than the model's.
int evaluate_open_data(struct trainer *trainer, int64_t length, struct dataset *dataset);

// Scores the model in `trainer` for each of `scores`, in order. 0 when one or more could be scored;
// else ERR_ARGUMENT with the first one's reason. ERR_MEMORY where a length does not fit.
int evaluate_lengths(struct trainer *trainer, const struct length_request *request, int count,
                     struct length_score *scores);

#endif
