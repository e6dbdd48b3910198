// The one floating-point type of the core.
//
// The same sources are built twice: `real` is float to train and double to tell the truth
// (gradient checks, traces for comparison with other frameworks). Nothing else in the tree spells
// either type where it means "the core's number"; sums that decide something (losses, norms) are
// accumulated in double in both builds.
#ifndef POSGRAD_REAL_H
#define POSGRAD_REAL_H

#ifdef POSGRAD_DOUBLE
typedef double real;
#define REAL_NAME "double"
#define REAL(x) x
#else
typedef float real;
#define REAL_NAME "float"
#define REAL(x) x##f // REAL(0.5) is a constant of type real
#endif

#endif
