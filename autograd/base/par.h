// Parallel loops whose result does not depend on the number of threads.
//
// Work is cut into pieces, and the number of pieces is the caller's function of the problem, never
// of the threads; a piece always computes the same thing whoever runs it. Partial sums go into one
// slot a piece and are added in index order by the caller. This file holds the only parallel
// pragma of the project.
#ifndef POSGRAD_PAR_H
#define POSGRAD_PAR_H

#include <stdbool.h>
#include <stdint.h>

#define PAR_MAX_THREADS 256

// One piece of the work: `piece` in [0, pieces), `thread` in [0, par_threads()) names the
// scratch that it may use.
typedef void par_function(void *context, int64_t piece, int thread);

// Threads used by par_run from now on, 1..PAR_MAX_THREADS; 0 means all processors of this process.
// Values outside are clamped. Call before plans are made: they size their scratch by it.
void par_set_threads(int threads);
int par_threads(void);

// Runs function(context, piece, thread) once for every piece, in any order, and returns when all
// are done. With one piece or one thread it runs in the calling thread. Called from within a piece
// it runs there, one piece after another, under the same `thread`. Does not allocate.
void par_run(int64_t pieces, par_function *function, void *context);

// As par_run, but inside a parallel region even for a single piece: an OpenBLAS that was built with
// OpenMP uses its own threads, and so other bits, when it is called outside of one.
void par_run_in_region(int64_t pieces, par_function *function, void *context);

// Numbers too small to be normal (below 1.2e-38 in float) cost a processor a hundred cycles each,
// and averages that decay end among them. They are zero, as operands and as results, in every
// thread while it runs a piece, and from then on; in the calling thread from par_set_threads on. It
// changes bits, so there is no way without, and checkpoints say it.
//
// For threads of one's own, which inherit it from a thread that has it. Costs a few nanoseconds.
void par_flush_denormals(void);
// "flushed", or "kept" where the architecture has no such mode.
const char *par_denormals(void);

// How long gcc's OpenMP spins at the end of a loop before it sleeps: 300 000 turns, some 15 ms.
// Where another program runs on the same processors that is the time of a whole step, at every
// loop. Sets GOMP_SPINCOUNT to 1000 turns (50 us) where the user has set neither that nor
// OMP_WAIT_POLICY. True when it did: it counts in a program that is started anew.
bool par_mend_waiting(void);

// How many pieces of at least `grain` items `count` items are cut into, at most 64. Depends on
// nothing else. par_begin gives the first item of a piece; piece == pieces gives `count`.
int64_t par_pieces(int64_t count, int64_t grain);
int64_t par_begin(int64_t count, int64_t pieces, int64_t piece);

#endif
