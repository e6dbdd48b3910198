// libhdf5 held quiet, and its errors turned into our one line: for all that read or write with it.
#ifndef POSGRAD_QUIET_HDF5_H
#define POSGRAD_QUIET_HDF5_H

#include <hdf5.h>

enum { H5_CAUSE_MAX = 256 };

// Silences libhdf5 and forbids it plugins and work at exit (1.10.8 can crash there after a full
// disk). Call before anything else of it.
void h5_start(void);

// libhdf5's reason for the call that just failed, from the place nearest to the cause.
const char *h5_cause(char cause[H5_CAUSE_MAX]);

#endif
