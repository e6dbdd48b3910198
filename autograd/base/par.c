// Parallel loops by OpenMP: this file holds the only parallel pragma. Whatever thread runs a piece
// flushes denormals first: OpenMP makes threads when it likes, and each has a mode of its own.
#include "par.h"

#include <omp.h>
#include <stdlib.h>

enum { MAX_PIECES = 64 };

// --- denormals: a bit of the thread's control register, and for operands another on x86

#if defined __SSE2__
#define FLUSH_BITS 0x8040u // FTZ and DAZ of MXCSR
typedef unsigned control_word;
static inline control_word get_control(void)
{
    return __builtin_ia32_stmxcsr();
}
static inline void set_control(control_word word)
{
    __builtin_ia32_ldmxcsr(word);
}
#elif defined __aarch64__
#define FLUSH_BITS ((uint64_t)1 << 24) // FZ of FPCR
typedef uint64_t control_word;
static inline control_word get_control(void)
{
    control_word word;
    __asm__ volatile("mrs %0, fpcr" : "=r"(word));
    return word;
}
static inline void set_control(control_word word)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(word));
}
#endif

// Reading the register takes some ten cycles, writing it more.
static inline void flush(void)
{
#ifdef FLUSH_BITS
    control_word word = get_control();
    if ((word & FLUSH_BITS) != FLUSH_BITS)
        set_control(word | FLUSH_BITS);
#endif
}

void par_flush_denormals(void)
{
    flush();
}

const char *par_denormals(void)
{
#ifdef FLUSH_BITS
    return "flushed";
#else
    return "kept";
#endif
}

// --- loops

void par_set_threads(int threads)
{
    flush();
    if (threads <= 0)
        threads = omp_get_num_procs();
    omp_set_num_threads(threads > PAR_MAX_THREADS ? PAR_MAX_THREADS : threads);
    omp_set_dynamic(0);
}

int par_threads(void)
{
    int threads = omp_get_max_threads();
    return threads > PAR_MAX_THREADS ? PAR_MAX_THREADS : threads;
}

// Inside a piece this is the outer thread's number, so that nested work uses that thread's scratch.
static void run_serial(int64_t pieces, par_function *function, void *context)
{
    int thread = omp_get_thread_num();
    flush();
    for (int64_t i = 0; i < pieces; i++)
        function(context, i, thread);
}

void par_run_in_region(int64_t pieces, par_function *function, void *context)
{
    int threads = par_threads();
    if (threads == 1 || omp_in_parallel()) {
        run_serial(pieces, function, context);
        return;
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int64_t i = 0; i < pieces; i++) {
        flush(); // by piece, as a region with a part before its loop has a lock more
        function(context, i, omp_get_thread_num());
    }
}

void par_run(int64_t pieces, par_function *function, void *context)
{
    if (pieces <= 1)
        run_serial(pieces, function, context);
    else
        par_run_in_region(pieces, function, context);
}

bool par_mend_waiting(void)
{
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY"))
        return false;
    return setenv("GOMP_SPINCOUNT", "1000", 1) == 0;
}

int64_t par_pieces(int64_t count, int64_t grain)
{
    int64_t pieces = count / (grain > 0 ? grain : 1);
    return pieces < 1 ? 1 : pieces > MAX_PIECES ? MAX_PIECES : pieces;
}

int64_t par_begin(int64_t count, int64_t pieces, int64_t piece)
{
    int64_t each = count / pieces, rest = count % pieces;
    return piece * each + (piece < rest ? piece : rest);
}
