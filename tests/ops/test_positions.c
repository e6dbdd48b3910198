// Positions that are drawn, and the index of their pairs: what each draw must be, of what it is a
// function, and every pair by an obvious loop.
#include <string.h>

#include "../../autograd/ag_ops.h"
#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../support/check.h"

enum { B = 5, T = 6, R = 9 };

struct drawn {
    struct ag_graph graph;
    struct ag_plan *plan;
    ag_t *index;
};

static void draw_open(struct drawn *d, enum ag_sampling kind, int64_t batch, int64_t length,
                      int64_t range)
{
    ag_graph_init(&d->graph, NULL);
    d->index = ag_sample_positions(&d->graph, kind, batch, length, range);
    ag_t *table = ag_leaf(&d->graph, "table", ag_shape1(range));
    ag_keep(d->index);
    d->plan =
        ag_plan_new(&d->graph, ag_sum_all(&d->graph, ag_gather(&d->graph, table, d->index)), false);
    assert_non_null(d->plan);
}

static void draw_close(struct drawn *d)
{
    ag_plan_free(d->plan);
    ag_graph_release(&d->graph);
}

static void draw(struct drawn *d, uint64_t seed, uint64_t step, bool training)
{
    struct ag_run *run = ag_plan_run(d->plan);
    run->seed = seed;
    run->step = step;
    run->training = training;
    ag_forward(d->plan);
}

static void random_positions_are_distinct_and_in_order(void **state)
{
    (void)state;
    struct drawn d;
    int seen[R] = {0};
    draw_open(&d, AG_RANDOM_POSITIONS, B, T, R);
    for (uint64_t step = 0; step < 2000; step++) {
        draw(&d, 3, step, true);
        for (int64_t i = 0; i < B * T; i++) {
            int32_t position = d.index->index[i];
            assert_true(position >= 0 && position < R);
            assert_true(i % T == 0 || position > d.index->index[i - 1]);
            seen[position]++;
        }
    }
    // Each of nine is in six of nine draws: 6667 times, and the deviation is 47.
    for (int position = 0; position < R; position++)
        check_close(seen[position], 2000.0 * B * T / R, 0.03, 0);
    draw_close(&d);
}

// Every set of two of four is drawn as often as any other.
static void random_sets_are_all_alike(void **state)
{
    (void)state;
    struct drawn d;
    int seen[16] = {0};
    draw_open(&d, AG_RANDOM_POSITIONS, B, 2, 4);
    for (uint64_t step = 0; step < 2400; step++) {
        draw(&d, 1, step, true);
        for (int64_t b = 0; b < B; b++)
            seen[4 * d.index->index[2 * b] + d.index->index[2 * b + 1]]++;
    }
    for (int one = 0; one < 4; one++)
        for (int two = one + 1; two < 4; two++)
            check_close(seen[4 * one + two], 2000, 0.1, 0);
    draw_close(&d);
}

static void all_of_a_range_are_drawn_where_there_are_no_more(void **state)
{
    (void)state;
    struct drawn d;
    draw_open(&d, AG_RANDOM_POSITIONS, B, T, T);
    draw(&d, 1, 1, true);
    for (int64_t i = 0; i < B * T; i++)
        assert_int_equal(d.index->index[i], i % T);
    draw_close(&d);
}

static void shifted_positions_are_one_run_of_numbers(void **state)
{
    (void)state;
    struct drawn d;
    int seen[R - T + 1] = {0};
    draw_open(&d, AG_SHIFTED_POSITIONS, B, T, R);
    for (uint64_t step = 0; step < 800; step++) {
        draw(&d, 1, step, true);
        for (int64_t b = 0; b < B; b++) {
            int32_t offset = d.index->index[b * T];
            assert_true(offset >= 0 && offset <= R - T);
            seen[offset]++;
            for (int64_t i = 0; i < T; i++)
                assert_int_equal(d.index->index[b * T + i], offset + i);
        }
    }
    for (int offset = 0; offset <= R - T; offset++)
        check_close(seen[offset], 1000, 0.15, 0);
    draw(&d, 1, 5, false);
    for (int64_t i = 0; i < B * T; i++)
        assert_int_equal(d.index->index[i], i % T);
    draw_close(&d);
}

static void draw_into(int32_t out[B * T], int threads, uint64_t seed, uint64_t step, bool training,
                      int64_t batch)
{
    struct drawn d;
    par_set_threads(threads);
    draw_open(&d, AG_RANDOM_POSITIONS, batch, T, 4096); // large enough for several pieces
    draw(&d, seed, step, training);
    memcpy(out, d.index->index, (size_t)(batch * T) * sizeof *out);
    draw_close(&d);
    par_set_threads(1);
}

// Of seed, step and row, and of nothing else: not of the threads, nor of how many rows there are.
static void a_draw_is_a_function_of_seed_step_and_row(void **state)
{
    (void)state;
    int32_t first[B * T], other[B * T];
    draw_into(first, 1, 7, 11, true, B);
    draw_into(other, 2, 7, 11, true, B);
    check_same_bytes(other, first, sizeof first);
    draw_into(other, 1, 7, 11, true, 3);
    check_same_bytes(other, first, 3 * T * sizeof *first);
    for (int64_t b = 1; b < B; b++)
        assert_memory_not_equal(first, first + b * T, T * sizeof *first);
    draw_into(other, 1, 8, 11, true, B);
    assert_memory_not_equal(other, first, T * sizeof *first);
    draw_into(other, 1, 7, 12, true, B);
    assert_memory_not_equal(other, first, T * sizeof *first);
    draw_into(other, 1, 7, 11, false, B);
    assert_memory_not_equal(other, first, T * sizeof *first);
}

static void more_positions_than_there_are_are_refused(void **state)
{
    (void)state;
    struct ag_graph graph;
    ag_graph_init(&graph, NULL);
    ag_sample_positions(&graph, AG_RANDOM_POSITIONS, 1, 5, 4);
    assert_int_equal(graph.error, ERR_ARGUMENT);
    assert_non_null(strstr(graph.message, "5 positions cannot be drawn from 4"));
    ag_graph_release(&graph);
}

static void pairs_read_the_row_of_their_offset(void **state)
{
    (void)state;
    static const int32_t position[2 * 3] = {0, 2, 3, 1, 2, 0};
    static const int32_t row[7] = {10, 11, 12, 13, 14, 15, 16}; // offsets -3..3
    struct ag_graph graph;
    ag_graph_init(&graph, NULL);
    ag_t *pairs = ag_pair_index(&graph, ag_constant_index(&graph, ag_shape2(2, 3), position),
                                ag_constant_index(&graph, ag_shape1(7), row));
    ag_t *table = ag_leaf(&graph, "table", ag_shape1(17));
    ag_keep(pairs);
    struct ag_plan *plan =
        ag_plan_new(&graph, ag_sum_all(&graph, ag_gather(&graph, table, pairs)), false);
    assert_non_null(plan);
    ag_forward(plan);
    assert_int_equal(pairs->type, AG_INT);
    for (int b = 0; b < 2; b++)
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++)
                assert_int_equal(pairs->index[(b * 3 + i) * 3 + j],
                                 13 + position[b * 3 + j] - position[b * 3 + i]);
    ag_plan_free(plan);
    ag_graph_release(&graph);
}

CHECK_MAIN(cmocka_unit_test(random_positions_are_distinct_and_in_order),
           cmocka_unit_test(random_sets_are_all_alike),
           cmocka_unit_test(all_of_a_range_are_drawn_where_there_are_no_more),
           cmocka_unit_test(shifted_positions_are_one_run_of_numbers),
           cmocka_unit_test(a_draw_is_a_function_of_seed_step_and_row),
           cmocka_unit_test(more_positions_than_there_are_are_refused),
           cmocka_unit_test(pairs_read_the_row_of_their_offset))
