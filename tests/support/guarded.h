// Memory that ends where the process may not read: one number too far is a signal.
#ifndef POSGRAD_TESTS_GUARDED_H
#define POSGRAD_TESTS_GUARDED_H

#include <stddef.h>

struct guarded {
    void *start; // of so many bytes, the last before a page that nobody may touch
    void *memory;
    size_t whole;
};

// Fails the test where there is no memory. The bytes are zero, and aligned as `size` is.
struct guarded guarded_new(size_t size);
void guarded_free(struct guarded *guarded);

#endif
