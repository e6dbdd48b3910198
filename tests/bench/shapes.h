// The models that the benchmarks time: shapes with a name, and a trainer of one of them.
#ifndef POSGRAD_TESTS_SHAPES_H
#define POSGRAD_TESTS_SHAPES_H

#include "../../src/train/train.h"

struct bench_shape {
    const char *name;
    int64_t layers, dim, heads, ff_dim, length, batch, vocab;
};

// A to E as the README has them, `long`, B's model on rows of 512 tokens, and `far`, E's on 4096.
// NULL, and err_set, for another name.
const struct bench_shape *bench_shape_find(const char *name);

// The settings of a run of `pe` on random strings in `shape`.
void bench_settings(struct train_settings *settings, const struct bench_shape *shape,
                    const char *pe, const char *arch);

// A trainer of `pe` on random strings in `shape`; the caller releases it. A grid is as near to a
// square as the length has one.
int bench_trainer(struct trainer *trainer, const struct bench_shape *shape, const char *pe,
                  const char *arch);

// Milliseconds of one of `steps` updates. The trainer must not fail: what it is given is fixed.
double bench_steps(struct trainer *trainer, int steps);

// FLOPs of one update, as models are counted: 6 a parameter and token, but for the tables that are
// looked up, and 12 L T C a token of attention (half where it is causal).
double bench_flops(const struct trainer *trainer);
// Those that the products of a step in fact do: scores are made twice, and tables by relative
// position are multiplied, too. Switches the plan's profile on, so it is called after measuring.
double bench_products(struct trainer *trainer);

#endif
