// System calls and allocations that fail when a test asks for it.
//
// A program that is linked with failing.o has its calls counted, its libraries' too (but what the C
// library calls inside itself); the one of a chosen number fails, or all from it on. What failed
// and who had called it is noted, and so is what had not been given back in the end. Nothing fails
// and nothing is counted before failing_arm.
#ifndef POSGRAD_TESTS_FAILING_H
#define POSGRAD_TESTS_FAILING_H

#include <stdbool.h>
#include <stddef.h>

// Allocations are malloc and its kin, mmap, and the start of a thread. Under a sanitizer, which has
// its own, those of our own objects alone fail.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FAILING_MEMORY 0
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FAILING_MEMORY 0
#endif
#ifndef FAILING_MEMORY
#define FAILING_MEMORY 1
#endif

// What a call does; which of them an error is for is a set of these.
enum failing_class {
    FAILING_OPEN = 1,      // takes a descriptor
    FAILING_CREATE = 2,    // may make a file (the class of an open with O_CREAT, beside OPEN)
    FAILING_WRITE = 4,     // write, pwrite, writev, ftruncate, fallocate
    FAILING_READ = 8,      // read, pread
    FAILING_SYNC = 16,     // fsync, fdatasync
    FAILING_NAME = 32,     // mkdir, rename, link, unlink
    FAILING_LOOK = 64,     // stat, access, readlink, realpath, readdir, flock
    FAILING_CLOSE = 128,   // the descriptor is closed all the same, as Linux does
    FAILING_MOVE = 256,    // write and read alone, which may do less than they were asked for
    FAILING_ALLOC = 512,   // malloc, calloc, realloc, strdup, posix_memalign, ...
    FAILING_MAP = 1024,    // mmap
    FAILING_THREAD = 2048, // pthread_create
    FAILING_STREAM = 4096 // fopen and opendir, which open, too, but leave an interruption to others
};

struct failing_plan {
    unsigned classes; // calls that count
    long at;          // the one that fails, from 1 on; 0 for none
    bool lasting;     // and all after it
    int error;        // errno of system calls; 0: they move half of what they should
};

enum { FAILING_FRAMES = 24, FAILING_TEXT = 2048 };

// In memory that a child shares with whoever asks.
struct failing_report {
    long calls, failed;       // counted; made to fail
    char call[24];            // the first that failed
    unsigned classes;         // of it
    char path[512];           // that it was about, where it is known
    char trace[FAILING_TEXT]; // who had called, a line a frame: "library+address"
    char end[FAILING_TEXT];   // the same where a signal or an exit() came
    // When it was disarmed: blocks that are left, by who had asked for them, and descriptors.
    long left_own, left_jansson, left_zip, left_libc, left_descriptors;
    char left[FAILING_TEXT]; // who had asked for those that are ours: "library+address size"
};

void failing_arm(const struct failing_plan *plan, struct failing_report *report);
void failing_disarm(void);
// Has a signal that ends the process, or an alarm, note where that was before it does.
void failing_watch_signals(struct failing_report *report);

#endif
