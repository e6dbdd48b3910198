// Vector code: the same sources are built for several instruction sets, and the program takes the
// best that the processor has.
//
// Each build knows its own level: "avx512" (x86-64-v4), "avx2" (x86-64-v3, with multiply-add), or
// "base", what every processor of the architecture has. Bits depend on it, as on the BLAS.
#ifndef POSGRAD_LEVEL_H
#define POSGRAD_LEVEL_H

#include <stdbool.h>

// Asks for a level in place of the best.
#define LEVEL_VARIABLE "POSGRAD_SIMD"

// The level that the calling code was built for.
const char *level_own(void);
// The levels that this program holds, the best first; NULL ends them.
extern const char *const level_names[];
// Whether this processor can run a level.
bool level_runs(const char *name);

// What else bits depend on: the compiler of this build ("gcc 12.2.0"), and the library whose pow,
// sine and cosine it calls (glibc's version, "2.36", or "unknown").
const char *level_compiler(void);
const char *level_c_library(void);

#endif
