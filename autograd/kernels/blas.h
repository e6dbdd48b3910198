// The OpenBLAS that this process runs on, and the mend for CPUs that it does not know.
//
// OpenBLAS picks its kernels by the CPU's model number while it is loaded. For a model newer than
// itself it may fall back to SSE3 kernels, which are 4 to 8 times slower than what the CPU can do.
// The choice can only be steered by the environment, so the mend sets OPENBLAS_CORETYPE and starts
// the program anew, once.
#ifndef POSGRAD_BLAS_H
#define POSGRAD_BLAS_H

#include <stdbool.h>

#define BLAS_CORE_VARIABLE "OPENBLAS_CORETYPE"
// Holds the kernels that were found too slow, in the process that was started anew; a process that
// has it, even empty, is left alone.
#define BLAS_MENDED_VARIABLE "POSGRAD_BLAS_MENDED"

struct blas_cpu {
    bool avx2, fma;
    bool avx512; // F, BW, DQ and VL: what the SkylakeX kernels need
};

struct blas_cpu blas_cpu(void);

// The kernels to ask for on `cpu` in place of `core`, or NULL when `core` is as good as any.
// `chosen` is what the user has in OPENBLAS_CORETYPE (NULL or "" for nothing); his choice stands.
const char *blas_better_core(const char *core, const struct blas_cpu *cpu, const char *chosen);

// Simpler kernels to ask for where those of `core` are wrong, or NULL.
const char *blas_other_core(const char *core, const struct blas_cpu *cpu);

// Call first in main(). Starts the program anew with better kernels where there are any; otherwise,
// and when that fails, it returns and the program goes on with what it has.
void blas_mend(char **argv);

// Whether there is address space for so many of OpenBLAS's buffers, each of which it asks for until
// it gets it. It takes one for each processor while it is loaded, and one for each product that is
// under way at a time. System calls alone, so that it may be asked before libraries are
// initialised.
bool blas_has_room(int buffers);

// "serial", "pthreads" or "OpenMP": how OpenBLAS was built.
const char *blas_threading(void);

// ERR_MEMORY where the products of so many threads would wait for ever.
int blas_check_room(int threads);

// Refuses (ERR_ARGUMENT) more than one thread on a serial build, whose products are wrong as soon
// as two threads are in it. One that was built with locks would do; OpenBLAS does not tell of them.
int blas_check_threads(int threads);

#endif
