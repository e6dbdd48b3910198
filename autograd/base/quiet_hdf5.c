// Keeping libhdf5 quiet, and asking it what went wrong.
#include "quiet_hdf5.h"

#include <stdio.h>

void h5_start(void)
{
    // Refuses when done before, which is no error of ours.
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLset_loading_state(0);
    H5Eclear2(H5E_DEFAULT);
}

// Called from the innermost entry outwards; the first one that says something is the cause.
static herr_t take_cause(unsigned n, const H5E_error2_t *entry, void *context)
{
    (void)n;
    char *cause = context;
    if (entry->desc && entry->desc[0] && !cause[0])
        snprintf(cause, H5_CAUSE_MAX, "%s", entry->desc);
    return 0;
}

const char *h5_cause(char cause[H5_CAUSE_MAX])
{
    cause[0] = '\0';
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_cause, cause);
    H5Eclear2(H5E_DEFAULT);
    if (!cause[0])
        snprintf(cause, H5_CAUSE_MAX, "libhdf5 gives no reason");
    return cause;
}
