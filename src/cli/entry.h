// The builds that the program holds: an entry each, named by the Makefile.
#ifndef POSGRAD_ENTRY_H
#define POSGRAD_ENTRY_H

#include "command.h"

typedef int entry_function(int argc, char **argv);

#ifdef POSGRAD_HAS_avx512
entry_function posgrad_float_avx512, posgrad_double_avx512;
#endif
#ifdef POSGRAD_HAS_avx2
entry_function posgrad_float_avx2, posgrad_double_avx2;
#endif
#ifdef POSGRAD_HAS_base
entry_function posgrad_float_base, posgrad_double_base;
#endif

#endif
