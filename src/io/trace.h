// A trace: one step laid open - batch, parameters, logits, loss and every gradient - for comparison
// with other programs.
#ifndef POSGRAD_TRACE_H
#define POSGRAD_TRACE_H

#include "../train/train.h"

#define TRACE_FORMAT "posgrad-trace"
#define TRACE_VERSION 1

// Runs forward and backward of the trainer's next step, changes no parameter, and writes `path`.
int trace_write(const char *path, struct trainer *trainer);

#endif
