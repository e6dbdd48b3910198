// Whether JSON lacks something because memory was short.
//
// Most functions of jansson leave out what they cannot allocate, and whoever builds an object of a
// hundred parts would have to ask a hundred times. So its allocations are watched, and whoever has
// built, read or written something asks once, before it is believed.
#ifndef POSGRAD_JSON_MEMORY_H
#define POSGRAD_JSON_MEMORY_H

// Allocations of jansson that failed in this thread. The first call begins to watch.
unsigned long json_memory_failures(void);
// 0, or ERR_MEMORY where there were more of them than `before`.
int json_memory_check(unsigned long before);

#endif
