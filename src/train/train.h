// Training: settings, the loop, the run folder, resume.
//
// Everything that decides a run is in struct train_settings; struct trainer is that plus live
// state. A checkpoint holds all of the state, so a resumed run goes on bit for bit.
#ifndef POSGRAD_TRAIN_H
#define POSGRAD_TRAIN_H

#include <signal.h>

#include "../../datasets/dataset.h"
#include "../../optim/optim.h"
#include "../model/model.h"

#define TRAIN_MAX_PAIRS 64 // entries of a list of settings

// Of --init-resize: how a table of positions is made as long as the model's.
enum init_resize {
    INIT_RESIZE_NONE,
    INIT_RESIZE_TRUNCATE,
    INIT_RESIZE_INTERPOLATE,
    INIT_RESIZE_HIERARCHICAL
};
enum train_metric { METRIC_LOSS, METRIC_ACCURACY, METRIC_EXACT_MATCH }; // of --early-stop-metric

struct train_settings {
    char pe[OPTION_TEXT], task[OPTION_TEXT], optimizer[OPTION_TEXT], schedule[OPTION_TEXT];
    int arch;              // index in "encoder|decoder"
    int attention;         // enum ag_normaliser
    int early_stop_metric; // enum train_metric
    int64_t layers, heads, dim, ff_dim, length, batch_size, steps, warmup, seed, threads;
    int64_t accumulate, curriculum, patience;
    double lr, weight_decay, grad_clip, dropout, label_smoothing, ema;
    int64_t init_skip;
    int init_resize; // enum init_resize
    bool tie, keep_best, tensorboard;
    int64_t save_every, keep, eval_every, eval_batches, log_every;
    char data[OPTION_TEXT], out_dir[OPTION_TEXT];
    int pe_opts, task_opts, optimizer_opts, init_froms, init_sha256s, freezes;
    char pe_opt[TRAIN_MAX_PAIRS][OPTION_TEXT / 4];
    char task_opt[TRAIN_MAX_PAIRS][OPTION_TEXT / 4];
    char optimizer_opt[TRAIN_MAX_PAIRS][OPTION_TEXT / 4];
    char init_from[TRAIN_MAX_PAIRS][OPTION_TEXT];       // "FILE:NAME=PARAMETER"
    char init_sha256[TRAIN_MAX_PAIRS][OPTION_TEXT / 4]; // of the file of the same place
    char freeze[TRAIN_MAX_PAIRS][OPTION_TEXT / 4];      // patterns of names, split by commas
};

// One row a field that is a single value; keys as the flags of `train` without "--".
extern const struct option_def train_options[];

// One row a field that is a list of texts, which flags append to.
enum train_list_form {
    TRAIN_PAIRS, // "KEY=VALUE"
    TRAIN_TEXTS,
    TRAIN_DIGESTS, // of SHA-256; those that were not given are filled in when a run starts
};
struct train_list {
    const char *key;     // as typed
    size_t count, first; // offsets of its length and of its first text
    size_t size;         // bytes of a text
    enum train_list_form form;
};
extern const struct train_list train_lists[];
extern const int train_list_count;
const struct train_list *train_list_find(const char *key); // or NULL
int train_list_length(const struct train_list *list, const struct train_settings *settings);
const char *train_list_text(const struct train_list *list, const struct train_settings *settings,
                            int index);

// Defaults of the design page; --pe and --task have none and are empty.
void train_settings_init(struct train_settings *settings);
// One "--KEY VALUE" as typed: a row of train_options, or of train_lists, which is appended to. The
// line of an error names the flag.
int train_settings_assign(struct train_settings *settings, const char *key, const char *value);
// Refuses what no run can have: --pe or --task missing, names that no list has.
int train_settings_check(const struct train_settings *settings);
// Whether best.h5 is kept: asked for, or needed by --patience.
bool train_settings_keep_best(const struct train_settings *settings);
// The folder of the run: out_dir, or runs/TASK-PE-sSEED where that is empty.
int train_settings_folder(const struct train_settings *settings, char *folder, size_t size);
// The pairs of one kind as the argument that the modules take.
void train_settings_pairs(char (*pair)[OPTION_TEXT / 4], int count,
                          const char *pairs[TRAIN_MAX_PAIRS]);
// JSON text of all settings (malloc'ed), and back; unknown keys are errors with the nearest one.
char *train_settings_to_json(const struct train_settings *settings);
int train_settings_from_json(struct train_settings *settings, const char *text);

struct trainer {
    struct train_settings settings;
    struct dataset dataset;
    struct model_config config;
    struct ag_params params;
    struct model_graph train, evaluation;
    struct model_graph exported; // makes `tables`, its kept tensors; no plan where there are none
    struct pe_tables tables;
    struct optimizer optimizer;
    const struct schedule_def *schedule;
    int32_t *predictions; // [B * T] of a part of a batch
    // --accumulate: the whole batch's tokens, targets and masks, [B * T] each, and which part is
    // on.
    int32_t *whole;
    struct ag_batch part;
    // --init-from: what was started from where, for people; "" where nothing was.
    char started[512];
    // --ema: `params` with the average as values, which evaluations and tables are of; else as it
    // is.
    struct ag_params averaged;
    int64_t step; // updates done
    int lock;     // descriptor that holds the flock of the run folder, or -1
};

// The parameters that the run is judged by: their average with --ema.
struct ag_params *trainer_judged(struct trainer *trainer);

// Opens the task, captures and plans the models, allocates parameters and optimizer state, starts
// parameters from the files of --init-from. On failure nothing is left.
int trainer_init(struct trainer *trainer, const struct train_settings *settings);
// The same for one whose parameters are in a checkpoint: no file of --init-from is read. `agree` is
// asked before the model is captured, with NULL, and again before memory is
// taken for the numbers of its parameters, with what they will be. It ends it with a negative code.
struct trainer_consent {
    int (*agree)(void *context, const struct model_config *config, const struct ag_params *params);
    void *context;
};
int trainer_init_agreed(struct trainer *trainer, const struct train_settings *settings,
                        const struct trainer_consent *consent);
void trainer_release(struct trainer *trainer);

struct train_step_result {
    double loss, grad_norm, lr, accuracy; // accuracy of this training batch
};
// The first half of an update: batch of step + 1, forward, backward. Gradients are left in
// params.grad, as they are before clipping. ERR_NUMBER as trainer_step.
int trainer_gradients(struct trainer *trainer, struct train_step_result *result);
// One update: batch, forward, backward, clip, optimizer. ERR_NUMBER (with step and first op) when
// loss or gradient is not finite; the parameters are then unchanged. Allocates nothing.
int trainer_step(struct trainer *trainer, struct train_step_result *result);

struct evaluation {
    double loss, accuracy, exact_match;
    int64_t scored, rows;
};
// Computes the kept tensors of `tables` from what the parameters are now. ERR_NUMBER where they are
// not finite, and so not worth keeping either.
int trainer_refresh_tables(struct trainer *trainer);
// Whether the state is worth keeping: ERR_NUMBER where a parameter or optimizer state is not
// finite, with the step and what was first. With `copy` (else NULL), which has room for
// trainer_state_count numbers, the same pass copies the state.
int trainer_check_state(const struct trainer *trainer, real *copy);
// Numbers of the state: parameters, optimizer state, average.
size_t trainer_state_count(const struct trainer *trainer);
// `view` gets all that `trainer` has, but the state is that of a copy. Owns nothing; for reading.
void trainer_view(struct trainer *view, const struct trainer *trainer, real *copy);
// The values of table `index`, as trainer_refresh_tables left them; a table that is a parameter is
// of the view's own state.
const real *trainer_table(const struct trainer *trainer, int index);
// Whether the model still computes: ERR_NUMBER where the loss of the first validation batch is not
// finite.
int trainer_check_loss(struct trainer *trainer);
// Scores `batches` batches of a split with dropout off. ERR_NUMBER where the loss is not finite.
int trainer_evaluate(struct trainer *trainer, enum dataset_split split, int64_t batches,
                     struct evaluation *result);
// The same, which makes `call` (or NULL) before each batch: that may save the state, and a code
// ends the evaluation, which returns it.
typedef int trainer_before_batch(void *context);
int trainer_evaluate_until(struct trainer *trainer, enum dataset_split split, int64_t batches,
                           trainer_before_batch *call, void *context, struct evaluation *result);

#endif
