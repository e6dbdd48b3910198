// Windows of bytes out of files, for tasks over text: which files, where they are cut into splits,
// and what is left out.
//
// --data names a file, a folder (its regular files in order of name by bytes; not the folders in
// it), or several of these with ':' between them; a path that is there as it stands is one path. A
// file of several that cannot be used (empty, too short for a window in each split, no regular
// file, unreadable) is skipped, and dataset->notice says so; a name that was given and is not there
// is an error.
//
// Each file is cut into 20 blocks whose bounds depend on its size alone, so that the held-out bytes
// are the same at every length; of each ten, the fifth is for validation and the tenth for the
// test. A split is the stretches of its neighbouring blocks, and a window lies inside one stretch:
// no split sees a byte of another. All windows of all files are equally likely.
#ifndef POSGRAD_TEXT_FILES_H
#define POSGRAD_TEXT_FILES_H

#include "data_file.h"

// Opens the files of dataset->data_path for windows of `window` bytes. Sets dataset->state,
// ->chance (share of the commonest byte of the training blocks), ->fingerprint and ->notice.
int text_files_open(struct dataset *dataset, int64_t window);
// task_def.close
void text_files_close(struct dataset *dataset);

// The first byte of a window of the split. Held-out windows do not depend on the seed: from here on
// `rng` is that of all seeds, for whatever else the row draws.
const unsigned char *text_files_draw(const struct dataset *dataset, enum dataset_split split,
                                     struct rng *rng);

#endif
