// Event files, which TensorBoard reads: what metrics.jsonl gets, as scalars.
//
// A file is records: a length, a checksum of it, an Event in protocol buffers, a checksum of that.
// Who goes on with a run begins a new file, and says first from which step on it writes anew: a
// reader then forgets what the files before have of that step and later ones. Nothing is written
// before the first line of metrics, so that a run that has nothing to do leaves no file.
#ifndef POSGRAD_TENSORBOARD_H
#define POSGRAD_TENSORBOARD_H

#include "../io/bytes.h"

struct tensorboard {
    int fd;             // of the event file; -1 before the first record
    int folder;         // descriptor of the folder of the run; -1: nothing is written
    int64_t first_step; // from which on files before are no longer right; 0: there are none
    int64_t size;       // bytes of whole records
    bool failed;        // records are missing
    struct bytes event, record;
};

struct tensorboard_scalar {
    const char *tag; // "train/loss"
    double value;    // left out where it is not finite as a float
};

// `folder` stays the caller's, and open; -1 for none, and then nothing is ever written.
void tensorboard_init(struct tensorboard *board, int folder, int64_t first_step);
void tensorboard_release(struct tensorboard *board);
// Appends one record, with the time of the clock; before the first one makes the file. 0, ERR_FILE
// or ERR_MEMORY: the file then ends with a whole record, and the next call tries again. Allocates
// nothing once it has written a record as large.
int tensorboard_write(struct tensorboard *board, int64_t step, int count,
                      const struct tensorboard_scalar *scalar);
// Whether a file of that name is one of events, and ours.
bool tensorboard_is_file(const char *name);

// --- the format, for its tests
// An Event: with a `version` ("brain.Event:2") or the start of a session in place of scalars.
void tensorboard_event(struct bytes *event, double wall_time, int64_t step, const char *version,
                       bool session_start, int count, const struct tensorboard_scalar *scalar);
// The record of an event.
void tensorboard_record(struct bytes *record, const struct bytes *event);

#endif
