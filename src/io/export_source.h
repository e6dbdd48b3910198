// The arrays of a file of ours, ready for export: what an encoding learned, or every parameter; and
// what the encodings of a model are at another length.
#ifndef POSGRAD_EXPORT_SOURCE_H
#define POSGRAD_EXPORT_SOURCE_H

#include "../../autograd/base/arena.h"
#include "export.h"
#include "../train/train.h"
#include "h5file.h"

struct export_source {
    struct arena arena; // holds all that `set` points to
    struct export_set set;
};

// The checkpoint file of RUN, which is a run folder or a file, into `path`.
int run_file(const char *run, char *path, size_t size);

// Reads every array under `group` ("/tables", "/params") with axes, coordinates and attributes; a
// `name` other than NULL picks one, and err_set names those that there are. A group that is not
// there has no arrays. On failure nothing is left.
int export_source_read(struct export_source *source, struct h5_reader *reader, const char *group,
                       const char *name);
// What the stack of the trainer's model is in rows of `length` tokens, past the training as
// `extension` says, computed from the parameters that the run is judged by; `reader` has the
// trainer's file open. The set's attributes say the length, the extension and how far it reaches
// (model_reach). ERR_ARGUMENT where the stack is undefined there.
struct export_length {
    int64_t length;
    enum pe_extension extension;
};
int export_source_compute(struct export_source *source, struct h5_reader *reader,
                          struct trainer *trainer, const struct export_length *at,
                          const char *name);
void export_source_release(struct export_source *source);

#endif
