// Files of data: mapped and not read, so that they may be larger than memory, and known again by a
// fingerprint. And the rows of files that are held out, which are the same for all seeds.
//
// Whatever needs all bytes of a file (the fingerprint, counts) looks at whole files up to 64 MiB;
// beyond, at pages that lie evenly in it and are always the same ones.
#ifndef POSGRAD_DATA_FILE_H
#define POSGRAD_DATA_FILE_H

#include "dataset.h"

// A file must not change while it is open: where it is cut short, reading it is a SIGBUS.
struct data_file {
    const unsigned char *bytes;
    int64_t size; // 1 or more
};

// Maps the file at `path`. ERR_FILE for what cannot be opened, is empty, a folder or no regular
// file; the line begins with the path in quotes, for the caller to put an option before it.
int data_file_open(struct data_file *file, const char *path);
void data_file_close(struct data_file *file); // also of one that is zeroed

// How many pages of a file of `size` bytes stand for it where `files` files of `total` bytes are
// looked at: all of them up to 64 MiB in total, then a few.
int64_t data_file_pages(int64_t size, int64_t total, int64_t files);
// The bytes [*begin, *end) of the page `i` of those `pages`.
void data_file_page(int64_t size, int64_t pages, int64_t i, int64_t *begin, int64_t *end);

// A file that may not stay in memory: more than 64 MiB.
bool data_file_large(const struct data_file *file);
// Lets the system begin to read bytes of a large file that will soon be looked at. Without it, a
// batch waits for the disk in each row.
void data_file_read_ahead(const struct data_file *file, int64_t begin, int64_t size);

// A hash of those pages and of the size, never 0: whether a run goes on with the data that it began
// with. No protection against a forger.
uint64_t data_file_fingerprint(const struct data_file *file, int64_t pages);
// One fingerprint of several files, in order. Start with 0.
uint64_t data_file_join(uint64_t joined, uint64_t fingerprint);

// Streams of rows that do not depend on the seed.
struct held_out {
    uint64_t stream[DATASET_SPLITS];
};
void held_out_init(struct held_out *held_out, const struct task_def *task);
// For task_def.sample, before its first draw: where the split is held out, `rng` starts anew in the
// stream of all seeds.
void held_out_restart(const struct held_out *held_out, enum dataset_split split, struct rng *rng);

// Uniform in [0, n) beyond 32 bits; n >= 1.
int64_t data_file_below(struct rng *rng, int64_t n);

#endif
