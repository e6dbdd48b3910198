// Chunks in a list; the newest one is filled first.
#include "arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "err.h"

enum {
    ALIGN = 64,
    CHUNK = 1 << 16,
    LARGE = 1 << 28, // worth asking for what is left
    // Rows of a matrix lie pages apart; with pages of 2 MiB the processor finds them all at once.
    HUGE_PAGE = 1 << 21,
    HUGE_FROM = 2 * HUGE_PAGE
};
static const double GIB = 1 << 30;

struct arena_chunk {
    struct arena_chunk *next;
    size_t size, used; // of the bytes after the header
};

#define HEADER ((sizeof(struct arena_chunk) + ALIGN - 1) / ALIGN * ALIGN)

void arena_init(struct arena *arena)
{
    *arena = (struct arena){NULL, 0};
}

void *aligned_zeroed(size_t count, size_t size)
{
    void *block = NULL;
    size_t total, left = SIZE_MAX;
    bool fits = !__builtin_mul_overflow(count, size, &total) && total <= PTRDIFF_MAX - HUGE_PAGE;
    if (fits && total >= LARGE)
        left = memory_left();
    size_t alignment = fits && total >= HUGE_FROM ? HUGE_PAGE : ALIGN;
    if (!fits || total > left || posix_memalign(&block, alignment, total ? total : 1) != 0) {
        double wanted = (double)count * (double)size / GIB;
        if (fits && total > left)
            err_set(ERR_MEMORY, "out of memory: %.1f GiB are wanted and %.1f GiB are left", wanted,
                    (double)left / GIB);
        else
            err_set(ERR_MEMORY, "out of memory: %.3g GiB are wanted", wanted);
        return NULL;
    }
#ifdef MADV_HUGEPAGE
    if (total >= HUGE_FROM)
        madvise(block, total, MADV_HUGEPAGE); // only speed depends on it
#endif
    memset(block, 0, total);
    return block;
}

static struct arena_chunk *chunk_new(struct arena *arena, size_t size)
{
    if (size > PTRDIFF_MAX - HEADER) {
        err_set(ERR_MEMORY, "out of memory for %zu bytes", size);
        return NULL;
    }
    struct arena_chunk *chunk = aligned_zeroed(1, HEADER + size);
    if (!chunk)
        return NULL;
    chunk->size = size;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > PTRDIFF_MAX - 2 * ALIGN) {
        err_set(ERR_MEMORY, "out of memory for %zu bytes", size);
        return NULL;
    }
    size_t padded = size ? (size + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
    struct arena_chunk *chunk = arena->chunks;
    if (!chunk || chunk->size - chunk->used < padded)
        chunk = chunk_new(arena, padded > CHUNK ? padded : CHUNK);
    if (!chunk)
        return NULL;
    void *piece = (char *)chunk + HEADER + chunk->used;
    chunk->used += padded;
    arena->used += padded;
    return piece;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc(arena, size);
    return copy ? memcpy(copy, text, size) : NULL;
}

void arena_release(struct arena *arena)
{
    while (arena->chunks) {
        struct arena_chunk *next = arena->chunks->next;
        free(arena->chunks);
        arena->chunks = next;
    }
    arena->used = 0;
}
