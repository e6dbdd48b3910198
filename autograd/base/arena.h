// A growing arena: many small things with one lifetime, freed together.
//
// Memory comes in zeroed chunks, 64-byte aligned, and never moves. arena_init allocates nothing.
#ifndef POSGRAD_ARENA_H
#define POSGRAD_ARENA_H

#include <stddef.h>

struct arena {
    struct arena_chunk *chunks; // newest first
    size_t used;                // bytes handed out, padding included
};

void arena_init(struct arena *arena);

// `size` zeroed bytes aligned to 64, owned by the arena; NULL (and err_set) when memory is short.
// size 0 gives a valid pointer.
void *arena_alloc(struct arena *arena, size_t size);

// A copy of `text` in the arena; NULL when memory is short.
char *arena_strdup(struct arena *arena, const char *text);

// Frees everything; the arena is empty and usable again.
void arena_release(struct arena *arena);

// One block of `count * size` zeroed bytes aligned to 64 bytes, checked for overflow; NULL and
// err_set when it does not fit, a large one also when there is less memory left. Free with free().
void *aligned_zeroed(size_t count, size_t size);

// Bytes that the machine, or the container, can still hand out, swap included; SIZE_MAX where
// nothing is known.
size_t memory_left(void);

#endif
