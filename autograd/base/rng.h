// Counter-based random numbers: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011).
//
// A number is a pure function of (seed, stream name, two counters, index): no state is carried
// from step to step, so a resumed run, another number of threads or another encoding draw the same
// numbers. Streams are named by what they feed ("init/head.weight", "dropout/layers.0.attn").
#ifndef POSGRAD_RNG_H
#define POSGRAD_RNG_H

#include <stdint.h>

// The raw function: 128 bits of counter and 64 bits of key give 128 random bits.
void rng_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

// 64 bits that identify a stream: a hash of seed and name, the key of rng_philox.
uint64_t rng_stream(uint64_t seed, const char *name);

// A sequence of draws: counter (draw, a, b) under the key of a stream.
struct rng {
    uint64_t stream, a;
    uint32_t b;
    uint32_t block;     // the next block of four
    uint32_t buffer[4]; // draws not yet handed out
    int left;
};

// Starts the sequence of `stream` at counters a (64 bits, for example the step) and b (32 bits, for
// example the index of the sample).
void rng_init(struct rng *rng, uint64_t stream, uint64_t a, uint32_t b);

uint32_t rng_u32(struct rng *rng);
uint64_t rng_u64(struct rng *rng);
// Uniform integer in [0, n), without bias; n >= 1.
uint32_t rng_below(struct rng *rng, uint32_t n);
// Uniform in [0, 1), a multiple of 2^-53: the same double in the float and the double build.
double rng_uniform(struct rng *rng);
// Standard normal (Box-Muller on two uniforms).
double rng_normal(struct rng *rng);

#endif
