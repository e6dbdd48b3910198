// A wall: work on what a stranger made, by code that such a file can make do anything, runs in a
// child process that can compute and answer, and nothing else.
//
// The child is a copy of this process, so it sees what is in memory (a mapped file) and needs to
// open nothing. Before the work begins it gives up, by limits of the system: new descriptors,
// writing of files, more memory and more seconds of the processor than it is given; and, by a
// filter of system calls where the kernel has one (seccomp on x86-64 and ARM64): everything but
// memory, its answer and its end - no file, no network, no program, no signal. A container may
// forbid filters; then the limits remain, under which nothing can be opened either.
//
// What comes back is bytes. They may lie: whoever asks checks each number before it is used.
#ifndef POSGRAD_WALL_H
#define POSGRAD_WALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wall_limits {
    int64_t memory; // bytes beyond those that this process has now
    int seconds;    // of the processor
    int patience;   // seconds of the clock without an answer; for a child that waits for ever
    bool no_filter; // limits alone, as where the kernel allows no filter; for tests of these
};

// Fills `answer`, which arrives zeroed, in the child.
typedef void wall_work(const void *context, void *answer);

// Has `work` done behind the wall; the `size` bytes of its answer. ERR_FORMAT, with a line that
// goes on after a name ("crashed libhdf5 (...)" is for the caller to make of "crashed (...)"),
// where the child crashed, took too long or gave no whole answer; ERR_MEMORY or ERR_FILE where
// there could be no child. Nothing that the child did outlives it.
int wall_ask(wall_work *work, const void *context, const struct wall_limits *limits, void *answer,
             size_t size);

// Whether this kernel lets system calls be filtered here.
bool wall_has_filter(void);

#endif
