// What builds an encoding's tables stays within the memory that it asked for: every encoding, at
// the length that it was trained at and stretched past it.
//
// The functions of base/arena.h are this file's own here, with the same promises and a fence around
// each piece of memory. One turn too many of a loop changes a fence; in the library's arena it
// would change what is rounded up to the next 64 bytes, mostly, and show nothing.
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../support/encodings.h"

enum { FENCE = 64, FENCE_BYTE = 0x5a };

// A header of one line of 64 bytes, a fence, `size` bytes, a fence.
struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
};

static int broken; // fences so far
static int pieces;

void arena_init(struct arena *arena)
{
    *arena = (struct arena){NULL, 0};
}

void *arena_alloc(struct arena *arena, size_t size)
{
    struct arena_chunk *chunk = aligned_zeroed(1, 64 + FENCE + size + FENCE);
    if (!chunk)
        return NULL;
    char *piece = (char *)chunk + 64 + FENCE;
    memset(piece - FENCE, FENCE_BYTE, FENCE);
    memset(piece + size, FENCE_BYTE, FENCE);
    *chunk = (struct arena_chunk){arena->chunks, size};
    arena->chunks = chunk;
    arena->used += size;
    pieces++;
    return piece;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc(arena, size);
    return copy ? memcpy(copy, text, size) : NULL;
}

static bool stands(const char *fence)
{
    for (int i = 0; i < FENCE; i++)
        if (fence[i] != FENCE_BYTE)
            return false;
    return true;
}

void arena_release(struct arena *arena)
{
    while (arena->chunks) {
        struct arena_chunk *chunk = arena->chunks;
        const char *piece = (const char *)chunk + 64 + FENCE;
        broken += !stands(piece - FENCE) || !stands(piece + chunk->size);
        arena->chunks = chunk->next;
        free(chunk);
    }
    arena->used = 0;
}

void *aligned_zeroed(size_t count, size_t size)
{
    void *block = NULL;
    size_t total;
    if (__builtin_mul_overflow(count, size, &total) ||
        posix_memalign(&block, 64, total ? total : 1) != 0) {
        err_set(ERR_MEMORY, "out of memory");
        return NULL;
    }
    memset(block, 0, total);
    return block;
}

size_t memory_left(void)
{
    return SIZE_MAX;
}

static bool stays_within(const struct encoding_case *what)
{
    struct encoding_model m;
    int before = broken;
    encoding_build(&m, what, &(struct encoding_shape){.batch = 2, .height = 3, .width = 4});
    for (int how = 0; how < PE_EXTENSIONS; how++) {
        struct model_graph graph;
        struct pe_tables tables = {.count = 0};
        m.config.extension = (enum pe_extension)how;
        for (int64_t length = 9; length <= 27; length += 9)
            if (model_check_length(&m.config, length) == 0 &&
                encoding_capture(&m, length, &graph, &tables) == 0)
                model_graph_release(&graph);
    }
    encoding_close(&m);
    if (broken > before)
        print_error("%s: %d pieces of memory were written past\n", encoding_text(what).text,
                    broken - before);
    return broken == before;
}

static void every_encoding_builds_within_bounds(void **state)
{
    (void)state;
    encoding_walk(ENCODING_OPTIONS, stays_within);
    assert_true(pieces > 10000);
}

static void one_byte_past_is_seen(void **state)
{
    (void)state;
    for (int at = -1; at <= 100; at += 101) {
        struct arena arena;
        int before = broken;
        arena_init(&arena);
        char *piece = arena_alloc(&arena, 100);
        assert_non_null(piece);
        piece[at] ^= 1;
        arena_release(&arena);
        assert_int_equal(broken, before + 1);
    }
}

CHECK_MAIN(cmocka_unit_test(every_encoding_builds_within_bounds),
           cmocka_unit_test(one_byte_past_is_seen))
