// Random cases of the attention op for its tests: any choice of terms, of what tables are looked up
// with, of masks; and the plain reference of the same case.
#ifndef POSGRAD_TESTS_ATTENTION_CASE_H
#define POSGRAD_TESTS_ATTENTION_CASE_H

#include "../../autograd/base/rng.h"
#include "attention_plain.h"

// Terms, as bits; query, key and value are always there.
enum {
    CASE_RELATIVE_QUERY = 1 << PLAIN_RELATIVE_QUERY,
    CASE_RELATIVE_KEY = 1 << PLAIN_RELATIVE_KEY,
    CASE_DENSE_BIAS = 1 << PLAIN_DENSE_BIAS,
    CASE_ROW_BIAS = 1 << PLAIN_ROW_BIAS,
    CASE_COLUMN_BIAS = 1 << PLAIN_COLUMN_BIAS,
    CASE_BY_QUERY = 1 << PLAIN_BY_QUERY,
    CASE_BY_KEY = 1 << PLAIN_BY_KEY,
    CASE_BY_VALUE = 1 << PLAIN_BY_VALUE,
    CASE_BY_BIAS = 1 << PLAIN_BY_BIAS,
    CASE_BY_FACTOR = 1 << PLAIN_BY_FACTOR,
    CASE_TERMS = (1 << PLAIN_ARRAYS) - CASE_RELATIVE_QUERY, // all of them
};

enum attention_lookup_kind {
    LOOKUP_OFFSET,   // no index, a row an offset
    LOOKUP_RANDOM,   // by offset: any row
    LOOKUP_CLIPPED,  // clipped at CASE_CLIP
    LOOKUP_REVERSED, // query minus key, as most papers count
    LOOKUP_BUCKETS,  // the nearest offsets a row each, then ever wider buckets
    LOOKUP_ONE,      // a single row for all
    LOOKUP_RUNS,     // by offset: runs of rows up or down, or of one row, from any row on
    LOOKUP_PAIR,     // by pair: any row
    LOOKUP_GRID,     // by pair: the difference of places on a grid, clipped
    LOOKUP_BATCH,    // by batch and pair: any row
    LOOKUP_FAR,      // by batch and pair: any of far more rows than there are pairs
    // Of biases and factors, by both coordinates of a grid; of the others as LOOKUP_OFFSET.
    LOOKUP_GRID_OFFSET, // no index
    LOOKUP_GRID_INDEX,  // any row
    LOOKUPS
};
enum { CASE_CLIP = 5 };

enum attention_mask_kind {
    MASK_NONE,
    MASK_SOME,     // any keys
    MASK_FIRST,    // the first keys: the first queries of a decoder see nothing
    MASK_SEQUENCE, // all keys of the last sequence, some of the others
    MASKS
};

struct attention_settings {
    int64_t batch, heads, head_dim, length, keys;
    int terms;
    enum attention_lookup_kind lookup;
    bool shared; // tables of D columns
    bool causal, dense_batched;
    enum attention_mask_kind mask;
    enum ag_normaliser normaliser;
    double dropout;
};
// "T 65 S 65 ...", for messages.
const char *attention_settings_text(const struct attention_settings *s, char text[256]);

struct attention_case {
    struct attention_settings settings;
    struct ag_graph graph;
    struct rng rng;
    struct ag_attention a;
    ag_t *x[PLAIN_ARRAYS]; // by role; a test may give one tensor two roles before it builds
    ag_t *output;
    struct ag_plan *plan;
    real *cotangent;
};

// Draws the inputs. The op is built by attention_case_build, so that tests may change `a` before.
void attention_case_begin(struct attention_case *c, const struct attention_settings *settings);
void attention_case_end(struct attention_case *c);
void attention_case_build(struct attention_case *c);
// Plans (fails the test when that does not succeed), with a random cotangent.
void attention_case_plan(struct attention_case *c, ag_t *output);
// Forward and backward, training, at a fixed seed and step. All that the op works in is NaN before,
// so that a number that is read before it is written shows.
void attention_case_run(struct attention_case *c);
// Begin, build, plan, run.
void attention_case_all(struct attention_case *c, const struct attention_settings *settings);

// The plain op on the same numbers, forward and backward; all of it is in the case's arena.
void attention_case_plain(struct attention_case *c, struct attention_plain *p);

// `count` zeroed bytes of the case.
void *attention_case_memory(struct attention_case *c, int64_t count);

#endif
