// Parameters of a new run that start from a file, and parameters that never change.
#ifndef POSGRAD_INIT_FROM_H
#define POSGRAD_INIT_FROM_H

#include "train.h"

// Starts parameters of a trainer that has taken no step as its settings' init_from say, the others
// stay as they are; settings.init_sha256 gets the digest of each file where it was not given, and
// must be it where it was. What was done is in trainer->started.
//
// A text is FILE[:NAME][=PARAMETER]. FILE is the shortest part of it, up to a ':', a '=' or the
// end, that is there: a file of a format of io/import.h, or the folder of a run, which is its
// checkpoint.
// - Without NAME: the one array of the file; of several, all, which must be those of the model by
//   name, no more and no less.
// - NAME is one array, or, with *, ? or [, a pattern of names: each that fits starts the parameter
//   of its name.
// - One array starts PARAMETER; where that is not given, the parameter of the array's name; where
//   there is none, the main table of the encoding: the one that has its shape, or is its table of
//   positions, or is its only one.
// Shapes must be equal. A table of positions (pe_def.position_table) of another length is resized
// as init_resize says, after init_skip rows are left out. ERR_ARGUMENT, ERR_FILE, ERR_FORMAT (a
// file that is not as it should be, a number that is not finite), ERR_MEMORY.
int init_from_files(struct trainer *trainer);

// Marks the parameters that the settings' freeze names: patterns (as fnmatch has them), split by
// commas. ERR_ARGUMENT where one fits no parameter, or nothing is left to train.
int freeze_parameters(struct ag_params *params, const struct train_settings *settings);

#endif
