// Checkpoints: all state of a run in one HDF5 file, and back.
//
// The layout is a contract: other programs read it. Nothing of this machine goes in - no times, no
// thread count, no folder - so equal state gives equal bytes.
#ifndef POSGRAD_CHECKPOINT_H
#define POSGRAD_CHECKPOINT_H

#include "../train/history.h"
#include "../train/train.h"
#include "h5file.h"

#define CHECKPOINT_FORMAT "posgrad-checkpoint"
#define CHECKPOINT_VERSION 1

// An opened checkpoint: digest checked, settings parsed, the rest read on demand.
struct checkpoint {
    char path[OPTION_TEXT + 64]; // of the file
    struct h5_reader *reader;
    struct train_settings settings; // threads and out_dir are at their defaults
    int64_t step;
};

// Opens RUN: a run folder, or a checkpoint file.
int checkpoint_open(struct checkpoint *checkpoint, const char *run);
void checkpoint_close(struct checkpoint *checkpoint);
// A trainer of the checkpoint's settings, once the parameters that it will have are found to be
// those of the file: no file can ask for the memory of a larger model than it holds. Nothing is
// read yet.
int checkpoint_init_trainer(struct checkpoint *checkpoint, struct trainer *trainer);
// Parameters, their average where the run has one, and step into a trainer that was made from the
// same model settings; names, shapes and finiteness are checked. Values are widened or narrowed
// where the file was written by the other build.
int checkpoint_read_params(struct checkpoint *checkpoint, struct trainer *trainer);
int checkpoint_read_optimizer(struct checkpoint *checkpoint, struct trainer *trainer);
// ERR_ARGUMENT when the file that the trainer reads has other bytes than it had.
int checkpoint_check_data(struct checkpoint *checkpoint, const struct trainer *trainer);
// Whether the run goes on with the bits that it would have had: on the same BLAS kernels, vector
// code, compiler, C library. Else what of them was another ("blas_kernel Haswell"), and is now.
enum { CHECKPOINT_GROUND = 320 };
bool checkpoint_same_ground(struct checkpoint *checkpoint, char was[CHECKPOINT_GROUND],
                            char is[CHECKPOINT_GROUND]);
// Into an empty history.
int checkpoint_read_history(struct checkpoint *checkpoint, struct history *history);

// Opens RUN, makes its trainer (threads: 0 for all; batches whole, whatever --accumulate was) and
// reads the parameters: for eval, export and trace.
int checkpoint_load_trainer(struct trainer *trainer, const char *run, int64_t threads);
// The same on another file for the task to read; NULL: the run's own, which must have the bytes
// that it had.
int checkpoint_load_trainer_on(struct trainer *trainer, const char *run, int64_t threads,
                               const char *data);

// A checkpoint of all state, sealed and ready for h5_writer_publish; NULL, with ERR_NUMBER where
// any of it is not finite. It reads the state where that lies, which must not change before the
// writer is freed. `path` is for the line of an error. Tables are as trainer_refresh_tables left
// them.
struct h5_writer *checkpoint_writer(const char *path, const struct trainer *trainer,
                                    const struct history *history);
// Refreshes the tables and writes all state to `path`, atomically. On failure the file that was
// there stays.
int checkpoint_save(const char *path, struct trainer *trainer, const struct history *history);

// --- shared with other files that hold parameters

// The settings as they go into files: JSON without what belongs to this machine. malloc'ed, or
// NULL.
char *checkpoint_config(const struct train_settings *settings);
// Datasets PREFIX/layers/0/... for every row, lent from a slab of the layout of `params`.
void checkpoint_write_slab(struct h5_writer *writer, const char *prefix,
                           const struct ag_params *params, const real *slab);
// Attributes step, seed and versions, and the kernels that the products ran on, of the file.
void checkpoint_write_identity(struct h5_writer *writer, const char *format, int64_t version,
                               const struct trainer *trainer, int64_t step);

#ifdef POSGRAD_DOUBLE
#define CHECKPOINT_REAL H5FILE_F64
#else
#define CHECKPOINT_REAL H5FILE_F32
#endif

#endif
