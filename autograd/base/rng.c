// Philox 4x32-10 and the draws made of it.
#include "rng.h"

#include <math.h>

void rng_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint64_t rng_stream(uint64_t seed, const char *name)
{
    uint64_t hash = 0xCBF29CE484222325u; // FNV-1a
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001B3u;
    const uint32_t counter[4] = {(uint32_t)hash, (uint32_t)(hash >> 32), 0x706F7367u, 0x72616421u};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t out[4];
    rng_philox(counter, key, out); // mixes every bit of both into every bit
    return (uint64_t)out[1] << 32 | out[0];
}

void rng_init(struct rng *rng, uint64_t stream, uint64_t a, uint32_t b)
{
    *rng = (struct rng){.stream = stream, .a = a, .b = b};
}

uint32_t rng_u32(struct rng *rng)
{
    if (rng->left == 0) {
        const uint32_t counter[4] = {rng->block++, rng->b, (uint32_t)rng->a,
                                     (uint32_t)(rng->a >> 32)};
        const uint32_t key[2] = {(uint32_t)rng->stream, (uint32_t)(rng->stream >> 32)};
        rng_philox(counter, key, rng->buffer);
        rng->left = 4;
    }
    return rng->buffer[4 - rng->left--];
}

uint64_t rng_u64(struct rng *rng)
{
    uint64_t low = rng_u32(rng);
    return (uint64_t)rng_u32(rng) << 32 | low;
}

// Lemire 2019, arXiv 1805.10941: multiply, and draw again in the few cases that would be unfair.
uint32_t rng_below(struct rng *rng, uint32_t n)
{
    uint32_t unfair = -n % n;
    uint64_t product;
    do
        product = (uint64_t)rng_u32(rng) * n;
    while ((uint32_t)product < unfair);
    return (uint32_t)(product >> 32);
}

double rng_uniform(struct rng *rng)
{
    return (double)(rng_u64(rng) >> 11) * 0x1p-53;
}

double rng_normal(struct rng *rng)
{
    double u = 1 - rng_uniform(rng); // in (0, 1]
    double v = rng_uniform(rng);
    return sqrt(-2 * log(u)) * cos(6.283185307179586476925286766559 * v);
}
