// System calls that a signal interrupted are made again.
#ifndef POSGRAD_RETRY_H
#define POSGRAD_RETRY_H

#include <errno.h>

// result = call, again while that fails with EINTR. Not for close(), which has closed by then.
#define RETRY(result, call)                                                                        \
    do                                                                                             \
        (result) = (call);                                                                         \
    while ((result) < 0 && errno == EINTR)

#endif
