// What each term of the attention op costs: forward and backward with it, against without any.
//
// One thread, one op in the graph, rounds interleaved, medians of the thread's own time (others may
// be at work on the machine: its load is printed). Usage: bench_attention [rounds [term]], where a
// term alone is for a profile.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/ag_ops.h"
#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../autograd/kernels/blas.h"
#include "../../autograd/ops/op.h"
#include "measure.h"

enum { ROUNDS = 41, WARM = 3, MOST_ROUNDS = 100000, CLIP = 16 };

struct shape {
    int64_t batch, heads, head_dim, length;
};

enum { BIAS = 1, QUERY = 2, KEY = 4, VALUE = 8, FACTOR = 16, CLIPPED = 32, SHARED = 64 };
static const struct term {
    const char *name;
    int has;
} terms[] = {
    {"no terms", 0},
    {"bias, index by offset", BIAS | CLIPPED},
    {"query and value, clipped", QUERY | VALUE | CLIPPED | SHARED},
    {"query, a row an offset", QUERY},
    {"factor, index by offset", FACTOR | CLIPPED},
    {"query and key", QUERY | KEY},
    {"query and key, clipped", QUERY | KEY | CLIPPED},
};
enum { TERMS = sizeof terms / sizeof terms[0] };

struct bench {
    struct ag_graph graph;
    struct ag_plan *plan;
    struct rng rng;
    real *cotangent;
};

static ag_t *leaf(struct bench *b, struct ag_shape shape)
{
    return ag_case_leaf(&b->graph, &b->rng, shape, -1, 1);
}

static struct ag_relative table(struct bench *b, const struct shape *s, int has, int64_t columns)
{
    int64_t offsets = 2 * s->length - 1;
    if (!(has & CLIPPED))
        return (struct ag_relative){.table = leaf(b, ag_shape2(offsets, columns))};
    int32_t *index = arena_alloc(&b->graph.arena, (size_t)offsets * sizeof *index);
    for (int64_t k = 0; index && k < offsets; k++) {
        int64_t offset = k - (s->length - 1);
        index[k] = CLIP + (int32_t)(offset < -CLIP ? -CLIP : offset > CLIP ? CLIP : offset);
    }
    return (struct ag_relative){.table = leaf(b, ag_shape2(2 * CLIP + 1, columns)),
                                .index = ag_constant_index(&b->graph, ag_shape1(offsets), index)};
}

static void prepare(struct bench *b, const struct shape *s, int has)
{
    memset(b, 0, sizeof *b);
    ag_graph_init(&b->graph, NULL);
    rng_init(&b->rng, rng_stream(1, "bench"), 0, 0);
    int64_t width = s->heads * s->head_dim, columns = has & SHARED ? s->head_dim : width;
    struct ag_shape shape = ag_shape3(s->batch, s->length, width);
    struct ag_attention a = {.query = leaf(b, shape), .key = leaf(b, shape)};
    a.value = leaf(b, shape);
    a.heads = s->heads;
    a.scale = 0.2;
    if (has & BIAS)
        a.bias = table(b, s, has, s->heads);
    if (has & FACTOR)
        a.factor = table(b, s, has, s->heads);
    if (has & QUERY)
        a.query_relative = table(b, s, has, columns);
    if (has & KEY)
        a.key_relative = table(b, s, has, columns);
    if (has & VALUE)
        a.value_relative = table(b, s, has, columns);
    ag_t *output = ag_attention(&b->graph, &a);
    b->plan = ag_plan_new(&b->graph, output, true);
    b->cotangent = arena_alloc(&b->graph.arena, (size_t)output->count * sizeof(real));
    if (!b->plan || !b->cotangent) {
        fprintf(stderr, "%s\n", err_last());
        exit(1);
    }
    for (int64_t i = 0; i < output->count; i++)
        b->cotangent[i] = (real)(2 * rng_uniform(&b->rng) - 1);
}

static void time_one(struct bench *b, double *forward, double *both)
{
    double start = measure_now(CLOCK_THREAD_CPUTIME_ID);
    ag_forward(b->plan);
    *forward = measure_now(CLOCK_THREAD_CPUTIME_ID) - start;
    ag_backward(b->plan, b->cotangent);
    *both = measure_now(CLOCK_THREAD_CPUTIME_ID) - start;
}

static void compare(const struct shape *s, int rounds, int only)
{
    static struct bench bench[TERMS];
    static double forward[TERMS][MOST_ROUNDS], both[TERMS][MOST_ROUNDS];
    for (int k = 0; k < TERMS; k++)
        prepare(&bench[k], s, terms[k].has);
    for (int i = -WARM; i < rounds; i++)
        for (int k = 0; k < TERMS; k++)
            if (only < 0 || only == k)
                time_one(&bench[k], &forward[k][i < 0 ? 0 : i], &both[k][i < 0 ? 0 : i]);
    printf("attention, batch %lld heads %lld head_dim %lld length %lld, 1 thread, forward + "
           "backward (median of %d)\n",
           (long long)s->batch, (long long)s->heads, (long long)s->head_dim, (long long)s->length,
           rounds);
    double base = 0;
    for (int k = 0; k < TERMS; k++) {
        if (only >= 0 && only != k)
            continue;
        double first = measure_median(forward[k], rounds), sum = measure_median(both[k], rounds);
        base = base > 0 ? base : sum;
        printf("  %-26s %8.3f ms  %5.2f  (forward %.3f)\n", terms[k].name, sum, sum / base, first);
    }
    for (int k = 0; k < TERMS; k++) {
        ag_plan_free(bench[k].plan);
        ag_graph_release(&bench[k].graph);
    }
}

int main(int argc, char **argv)
{
    blas_mend(argv);
    static const struct shape shapes[] = {{32, 4, 32, 64}, {4, 4, 32, 512}};
    int rounds = argc > 1 ? atoi(argv[1]) : ROUNDS, only = argc > 2 ? atoi(argv[2]) : -1;
    double load = 0;
    rounds = rounds < 1 ? 1 : rounds > MOST_ROUNDS ? MOST_ROUNDS : rounds;
    par_set_threads(1);
    for (int k = 0; k < 2; k++)
        compare(&shapes[k], rounds, only);
    if (getloadavg(&load, 1) == 1)
        printf("  load %.1f\n", load);
    return 0;
}
