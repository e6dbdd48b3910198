// The arena: zeroed, aligned pieces that do not overlap or move, and refusals instead of overflows.
#include "../../autograd/base/arena.h"

#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../support/check.h"

// The address sanitizer would end the process where malloc returns NULL, which is what is tested
// here.
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void check_zero(const unsigned char *piece, size_t size)
{
    assert_int_equal((uintptr_t)piece % 64, 0);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(piece[i], 0);
}

static size_t size_of_piece(int i)
{
    return i % 50 == 49 ? 100000 : (size_t)(i * 37 % 300);
}

static void fill_and_check(struct arena *arena)
{
    enum { PIECES = 400 };
    static unsigned char *piece[PIECES];
    for (int i = 0; i < PIECES; i++) {
        size_t size = size_of_piece(i);
        piece[i] = arena_alloc(arena, size);
        assert_non_null(piece[i]);
        check_zero(piece[i], size);
        memset(piece[i], i % 255 + 1, size);
    }
    // What a later piece wrote is not in an earlier one, nor has any moved.
    for (int i = 0; i < PIECES; i++)
        for (size_t k = 0; k < size_of_piece(i); k++)
            assert_int_equal(piece[i][k], i % 255 + 1);
}

static void test_pieces(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    assert_null(arena.chunks);
    fill_and_check(&arena);
    size_t used = arena.used;
    arena_release(&arena);
    assert_null(arena.chunks);
    assert_int_equal(arena.used, 0);
    fill_and_check(&arena); // usable again, and the same sizes are counted
    assert_int_equal(arena.used, used);
    arena_release(&arena);
    arena_release(&arena);
}

static void test_empty_pieces_are_distinct(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    void *one = arena_alloc(&arena, 0), *two = arena_alloc(&arena, 0);
    assert_non_null(one);
    assert_non_null(two);
    assert_ptr_not_equal(one, two);
    arena_release(&arena);
}

static void test_strdup(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    char text[] = "layers.0.attn.q.weight";
    char *copy = arena_strdup(&arena, text), *empty = arena_strdup(&arena, "");
    assert_non_null(copy);
    assert_non_null(empty);
    text[0] = 'X';
    assert_string_equal(copy, "layers.0.attn.q.weight");
    assert_string_equal(empty, "");
    arena_release(&arena);
}

static void test_too_large(void **state)
{
    (void)state;
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 63, SIZE_MAX / 2, (size_t)PTRDIFF_MAX,
                                   (size_t)PTRDIFF_MAX - 200};
    struct arena arena;
    arena_init(&arena);
    assert_non_null(arena_alloc(&arena, 10));
    size_t used = arena.used;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        err_set(ERR_FILE, "-");
        assert_null(arena_alloc(&arena, sizes[i]));
        assert_non_null(strstr(err_last(), "out of memory"));
    }
    assert_int_equal(arena.used, used);
    assert_non_null(arena_alloc(&arena, 10));
    arena_release(&arena);
}

static void test_aligned_zeroed(void **state)
{
    (void)state;
    unsigned char *block = aligned_zeroed(1001, 3);
    assert_non_null(block);
    check_zero(block, 3003);
    free(block);
    block = aligned_zeroed(0, 8);
    assert_non_null(block);
    free(block);
    static const size_t products[][2] = {
        {SIZE_MAX, 2}, {SIZE_MAX / 2 + 2, 2}, {(size_t)1 << 33, (size_t)1 << 33}, {SIZE_MAX, 1}};
    for (size_t i = 0; i < sizeof products / sizeof products[0]; i++) {
        err_set(ERR_FILE, "-");
        assert_null(aligned_zeroed(products[i][0], products[i][1]));
        assert_non_null(strstr(err_last(), "out of memory"));
    }
}

// More than is left is refused before the kernel would have to kill somebody for it.
static void test_memory_left(void **state)
{
    (void)state;
    size_t left = memory_left();
    assert_true(left > 1 << 20);
    if (left > SIZE_MAX / 2)
        return; // nothing is known here
    err_set(ERR_FILE, "-");
    assert_null(aligned_zeroed(1, left + left / 4));
    assert_non_null(strstr(err_last(), "out of memory"));
}

CHECK_MAIN(cmocka_unit_test(test_pieces), cmocka_unit_test(test_empty_pieces_are_distinct),
           cmocka_unit_test(test_strdup), cmocka_unit_test(test_too_large),
           cmocka_unit_test(test_aligned_zeroed), cmocka_unit_test(test_memory_left))
