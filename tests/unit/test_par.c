// Parallel loops: every piece once, the same bits for any number of threads, nested work under the
// thread that asked for it, and no denormal number in any thread.
#include "../../autograd/base/par.h"

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/check.h"

static const int thread_counts[] = {1, 2, 3, 8};
enum { THREAD_COUNTS = sizeof thread_counts / sizeof thread_counts[0] };
static par_function sum_piece, count_piece, nesting_piece;

typedef void runner(int64_t pieces, par_function *function, void *context);
static runner *const runners[] = {par_run, par_run_in_region};

// --- the same bits

enum { COUNT = 100003, GRAIN = 1000 };

struct sum {
    const real *values;
    int64_t count, pieces;
    real partial[64];
};

static void sum_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    struct sum *sum = context;
    real total = 0;
    int64_t end = par_begin(sum->count, sum->pieces, piece + 1);
    for (int64_t i = par_begin(sum->count, sum->pieces, piece); i < end; i++)
        total += sum->values[i];
    sum->partial[piece] = total;
}

static void test_same_bits(void **state)
{
    (void)state;
    real *values = malloc(COUNT * sizeof *values);
    assert_non_null(values);
    for (int i = 0; i < COUNT; i++)
        values[i] = (real)sin(i * 0.37) * (real)exp2(i % 23);
    struct sum first = {0}, again;
    for (int t = 0; t < THREAD_COUNTS; t++) {
        for (int r = 0; r < 2; r++) {
            memset(&again, 0, sizeof again);
            again.values = values;
            again.count = COUNT;
            again.pieces = par_pieces(COUNT, GRAIN);
            par_set_threads(thread_counts[t]);
            assert_int_equal(par_threads(), thread_counts[t]);
            runners[r](again.pieces, sum_piece, &again);
            if (t == 0 && r == 0)
                first = again;
            check_same_bytes(again.partial, first.partial, sizeof first.partial);
        }
    }
    free(values);
}

// --- every piece once, no scratch shared

struct count {
    atomic_int calls[1000], busy[PAR_MAX_THREADS];
    atomic_int wrong;
    int threads;
};

static void count_piece(void *context, int64_t piece, int thread)
{
    struct count *count = context;
    atomic_fetch_add(&count->calls[piece], 1);
    if (thread < 0 || thread >= count->threads)
        atomic_fetch_add(&count->wrong, 1);
    else if (atomic_fetch_add(&count->busy[thread], 1) != 0)
        atomic_fetch_add(&count->wrong, 1);
    else
        atomic_fetch_sub(&count->busy[thread], 1);
}

static void test_each_piece_once(void **state)
{
    (void)state;
    static const int64_t pieces[] = {0, 1, 2, 7, 64, 1000};
    static struct count count;
    for (int t = 0; t < THREAD_COUNTS; t++) {
        for (size_t p = 0; p < 2 * sizeof pieces / sizeof pieces[0]; p++) {
            int64_t n = pieces[p / 2];
            memset(&count, 0, sizeof count);
            count.threads = thread_counts[t];
            par_set_threads(thread_counts[t]);
            runners[p % 2](n, count_piece, &count);
            assert_int_equal(count.wrong, 0);
            for (int64_t i = 0; i < 1000; i++)
                assert_int_equal(count.calls[i], i < n);
        }
    }
}

// --- nested

struct nesting {
    int outer_thread[64], seen[64][16];
    runner *inner;
};
struct inside {
    struct nesting *nesting;
    int64_t outer;
    int64_t next; // pieces come in order, one after another
    bool in_order;
};

static void inside_piece(void *context, int64_t piece, int thread)
{
    struct inside *inside = context;
    inside->in_order &= piece == inside->next++;
    inside->nesting->seen[inside->outer][piece] = thread;
}

static void nesting_piece(void *context, int64_t piece, int thread)
{
    struct nesting *nesting = context;
    struct inside inside = {.nesting = nesting, .outer = piece, .in_order = true};
    nesting->inner(16, inside_piece, &inside);
    nesting->outer_thread[piece] = inside.in_order && inside.next == 16 ? thread : -1;
}

static void test_nested_runs_in_place(void **state)
{
    (void)state;
    static struct nesting nesting;
    for (int t = 0; t < THREAD_COUNTS; t++) {
        for (int r = 0; r < 2; r++) {
            memset(&nesting, 0xff, sizeof nesting);
            nesting.inner = runners[r];
            par_set_threads(thread_counts[t]);
            par_run(64, nesting_piece, &nesting);
            for (int o = 0; o < 64; o++) {
                assert_in_range(nesting.outer_thread[o], 0, thread_counts[t] - 1);
                for (int i = 0; i < 16; i++)
                    assert_int_equal(nesting.seen[o][i], nesting.outer_thread[o]);
            }
        }
    }
}

// --- cutting

static void test_pieces_cover(void **state)
{
    (void)state;
    static const int64_t counts[] = {0, 1, 2, 63, 64, 65, 1000, 123457, (int64_t)1 << 40};
    static const int64_t grains[] = {0, 1, 3, 64, 100000};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        for (size_t g = 0; g < sizeof grains / sizeof grains[0]; g++) {
            int64_t n = counts[c], pieces = par_pieces(n, grains[g]);
            assert_in_range(pieces, 1, 64);
            assert_int_equal(par_begin(n, pieces, 0), 0);
            assert_int_equal(par_begin(n, pieces, pieces), n);
            for (int64_t p = 0; p < pieces; p++) {
                int64_t size = par_begin(n, pieces, p + 1) - par_begin(n, pieces, p);
                assert_in_range(size, n / pieces, n / pieces + 1);
                assert_true(pieces == 1 || size >= grains[g]);
            }
        }
    }
}

static void test_thread_counts_are_clamped(void **state)
{
    (void)state;
    par_set_threads(1 << 20);
    assert_int_equal(par_threads(), PAR_MAX_THREADS);
    par_set_threads(0);
    assert_in_range(par_threads(), 1, PAR_MAX_THREADS);
    int all = par_threads();
    par_set_threads(-5);
    assert_int_equal(par_threads(), all);
}

// --- denormals

static bool is_zero(real x)
{
    static const real zero = 0;
    return memcmp(&x, &zero, sizeof x) == 0;
}

// As a result and as an operand.
static bool flushes(void)
{
    volatile real smallest = (real)(sizeof(real) == 4 ? (double)FLT_MIN : DBL_MIN),
                  half = (real)0.5;
    volatile real tiny = 0, large = (real)1e20;
    static const unsigned char bytes[sizeof(real)] = {0, 1}; // one in either order of bytes
    real denormal;
    memcpy(&denormal, bytes, sizeof denormal);
    tiny = denormal;
    return is_zero(smallest * half) && is_zero(tiny * large);
}

// As a thread is before anyone has told it.
static void stop_flushing(void)
{
#ifdef __SSE2__
    __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() & ~0x8040u);
#endif
}

static void flushing_piece(void *context, int64_t piece, int thread)
{
    (void)piece;
    (void)thread;
    if (!flushes())
        atomic_fetch_add((atomic_int *)context, 1);
}

static void stopping_piece(void *context, int64_t piece, int thread)
{
    (void)context;
    (void)piece;
    (void)thread;
    stop_flushing();
    usleep(50); // so that all threads get some
}

// How many of the pieces met a denormal, after all threads had stopped to flush.
static int unflushed(runner *run, int64_t pieces)
{
    atomic_int count = 0;
    run(64, stopping_piece, NULL);
    stop_flushing();
    run(pieces, flushing_piece, &count);
    return count;
}

static void *unflushed_elsewhere(void *context)
{
    stop_flushing();
    int wrong = unflushed(runners[0], 1) + unflushed(runners[1], 64);
    stop_flushing();
    par_flush_denormals();
    *(int *)context = wrong + !flushes();
    return NULL;
}

static void test_every_thread_flushes(void **state)
{
    (void)state;
    if (strcmp(par_denormals(), "flushed") != 0 || check_under_valgrind())
        skip();
    // Up and down: OpenMP makes the threads that it lacks, and ends those that are too many.
    static const int counts[] = {1, 2, 8, 3, 16, 1, 5};
    for (size_t t = 0; t < sizeof counts / sizeof counts[0]; t++) {
        stop_flushing();
        par_set_threads(counts[t]);
        assert_true(flushes());
        for (int r = 0; r < 2; r++)
            for (int64_t pieces = 1; pieces <= 64; pieces *= 8)
                assert_int_equal(unflushed(runners[r], pieces), 0);
    }
}

static void test_threads_and_children_flush(void **state)
{
    (void)state;
    pthread_t thread;
    int wrong = -1, status = -1;
    if (strcmp(par_denormals(), "flushed") != 0 || check_under_valgrind())
        skip();
    par_set_threads(2);
    assert_int_equal(pthread_create(&thread, NULL, unflushed_elsewhere, &wrong), 0);
    pthread_join(thread, NULL);
    assert_int_equal(wrong, 0);
    par_set_threads(1); // after fork() OpenMP has no threads to wake
    pid_t child = fork();
    if (child == 0)
        _exit(!flushes() + 2 * unflushed(runners[0], 4));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

CHECK_MAIN(cmocka_unit_test(test_same_bits), cmocka_unit_test(test_each_piece_once),
           cmocka_unit_test(test_nested_runs_in_place), cmocka_unit_test(test_pieces_cover),
           cmocka_unit_test(test_thread_counts_are_clamped),
           cmocka_unit_test(test_every_thread_flushes),
           cmocka_unit_test(test_threads_and_children_flush))
