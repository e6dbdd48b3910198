// What the anatomy of a stack says is all that the stack does: the plain Transformer with that
// table of positions, those tables of keys, those biases and that scale of its queries, and with
// nothing else, has the same logits.
//
// Every encoding, every option of it and every pair of encodings is asked; those that do anything
// else must be named for it. A rotation of `rope` is taken for one; what is made of it is held to
// golden logits of another program (tests/golden/test_golden_hf.c).
#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../src/model/model_anatomy.h"
#include "../support/encodings.h"

enum { HEIGHT = 3, WIDTH = 4, LENGTH = HEIGHT * WIDTH };

static int plain_ones, tables_of_positions, tables_of_keys, biases, rotations, others;

static real *parameter(struct encoding_model *m, const char *name)
{
    int row = ag_params_find(&m->params, name);
    if (row < 0)
        fail_msg("there is no %s", name);
    return m->params.value + m->params.row[row].offset;
}

static void put_positions(struct encoding_model *m, const struct model_anatomy *anatomy)
{
    if (anatomy->positions)
        memcpy(parameter(m, "pe.learned.weight"), anatomy->positions->data,
               (size_t)anatomy->positions->count * sizeof(real));
}

// Rows of the table are offsets from 1 - LENGTH on.
static void put_keys(struct encoding_model *m, const struct model_anatomy *anatomy)
{
    for (int64_t l = 0; anatomy->keys_by && l < m->config.layers; l++) {
        char name[64];
        const struct ag_relative *keys = &anatomy->layer[l].keys;
        int64_t columns = m->config.dim / m->config.heads;
        assert_int_equal(keys->table->shape.size[1], columns);
        snprintf(name, sizeof name, "layers.%d.pe.shaw.key", (int)l);
        real *to = parameter(m, name);
        for (int64_t r = 0; r < 2 * LENGTH - 1; r++)
            memcpy(to + r * columns, model_anatomy_row(keys, r - (LENGTH - 1)),
                   (size_t)columns * sizeof(real));
    }
}

// Of t5's buckets, one a distance: those of the past, then those of the future.
enum { SIDE = 2 * LENGTH, BUCKETS = 2 * SIDE };

static void put_biases(struct encoding_model *m, const struct model_anatomy *anatomy)
{
    int64_t heads = m->config.heads;
    for (int64_t l = 0; anatomy->bias_by && l < m->config.layers; l++) {
        const struct ag_relative *bias = &anatomy->layer[l].bias, *first = &anatomy->layer->bias;
        assert_int_equal(bias->table->shape.size[1], heads);
        real *to = parameter(m, "pe.t5.weight");
        for (int64_t offset = 1 - LENGTH; offset < LENGTH; offset++) {
            const real *row = model_anatomy_row(bias, offset);
            size_t bytes = (size_t)heads * sizeof *row;
            assert_memory_equal(row, model_anatomy_row(first, offset), bytes); // as t5 has it
            memcpy(to + (offset > 0 ? SIDE + offset : -offset) * heads, row, bytes);
        }
    }
}

static void scale_queries(struct encoding_model *m, const struct model_anatomy *anatomy)
{
    for (int64_t l = 0; l < m->config.layers; l++) {
        char weight[64], bias[64];
        snprintf(weight, sizeof weight, "layers.%d.attn.q.weight", (int)l);
        snprintf(bias, sizeof bias, "layers.%d.attn.q.bias", (int)l);
        real *to = parameter(m, weight), *to_bias = parameter(m, bias);
        for (int64_t i = 0; i < m->config.dim * m->config.dim; i++)
            to[i] = (real)((double)to[i] * anatomy->layer[l].scale);
        for (int64_t i = 0; i < m->config.dim; i++)
            to_bias[i] = (real)((double)to_bias[i] * anatomy->layer[l].scale);
    }
}

static void join(struct encoding_case *plain, const char *name)
{
    size_t used = strlen(plain->pe);
    snprintf(plain->pe + used, sizeof plain->pe - used, "%s%s", used ? "+" : "", name);
}

static void give(struct encoding_case *plain, const char *pair)
{
    snprintf(plain->pair[plain->pairs++], sizeof plain->pair[0], "%s", pair);
}

static struct encoding_case plain_case(const struct encoding_case *what,
                                       const struct model_anatomy *anatomy)
{
    struct encoding_case plain = {.attention = what->attention, .causal = what->causal};
    if (anatomy->positions)
        join(&plain, "learned");
    if (anatomy->rotation_by)
        join(&plain, "rope");
    if (anatomy->keys_by) {
        char distance[32];
        join(&plain, "shaw");
        snprintf(distance, sizeof distance, "max_distance=%d", LENGTH - 1);
        give(&plain, "values=no");
        give(&plain, distance);
    }
    if (anatomy->bias_by) {
        char buckets[32];
        join(&plain, "t5");
        snprintf(buckets, sizeof buckets, "buckets=%d", BUCKETS);
        give(&plain, "bucketing=bidirectional");
        give(&plain, buckets);
    }
    if (!*plain.pe)
        join(&plain, "none");
    for (int i = 0; i < what->pairs && strcmp(what->pe, "rope") == 0; i++)
        if (strncmp(what->pair[i], "values", 6) != 0)
            give(&plain, what->pair[i]);
    return plain;
}

static const struct encoding_shape shape = {.batch = 2, .height = HEIGHT, .width = WIDTH};

static bool same_as_plain(const struct encoding_case *what, struct encoding_model *m,
                          const struct model_anatomy *anatomy)
{
    struct encoding_model plain;
    const struct encoding_case other = plain_case(what, anatomy);
    encoding_build(&plain, &other, &shape);
    put_positions(&plain, anatomy);
    put_keys(&plain, anatomy);
    put_biases(&plain, anatomy);
    scale_queries(&plain, anatomy);
    size_t bytes = (size_t)m->graph.tokens->count * sizeof(int32_t);
    ag_forward(m->graph.plan);
    memcpy(plain.graph.tokens->index, m->graph.tokens->index, bytes);
    ag_forward(plain.graph.plan);
    double apart =
        encoding_distance(m->graph.logits->data, plain.graph.logits->data, m->graph.logits->count);
    encoding_close(&plain);
    if (apart <= ENCODING_SAME)
        return true;
    print_error("%s: logits are %g apart from those of %s\n", encoding_text(what).text, apart,
                other.pe);
    return false;
}

// Tables that shaw has not: deberta's, of which each head has its own channels.
static bool has_keys_of_heads(const struct encoding_model *m, const struct model_anatomy *anatomy)
{
    return anatomy->layer[0].keys.table->shape.size[1] != m->config.dim / m->config.heads;
}

static bool judge(const struct encoding_case *what, struct encoding_model *m,
                  const struct model_anatomy *anatomy)
{
    others += anatomy->other != NULL;
    rotations += !anatomy->other && anatomy->rotation_by;
    assert_true((anatomy->other != NULL) == (anatomy->other_by != NULL));
    if (anatomy->other)
        return strstr(what->pe, anatomy->other_by) != NULL;
    if (anatomy->rotation_by && strcmp(anatomy->rotation_by, "rope") != 0)
        return strstr(what->pe, anatomy->rotation_by) != NULL;
    if (anatomy->keys_by && has_keys_of_heads(m, anatomy))
        return strstr(what->pe, "deberta") != NULL;
    plain_ones += !anatomy->positions && !anatomy->keys_by && !anatomy->bias_by;
    tables_of_positions += anatomy->positions != NULL;
    tables_of_keys += anatomy->keys_by != NULL;
    biases += anatomy->bias_by != NULL;
    return same_as_plain(what, m, anatomy);
}

static bool visit(const struct encoding_case *what)
{
    struct encoding_model m;
    struct model_graph graph;
    struct model_anatomy anatomy;
    if (encoding_open(&m, what, &shape) < 0)
        return true; // what has no meaning for these rows
    ag_plan_run(m.graph.plan)->training = false;
    check_ok(model_anatomy_capture(&graph, &m.config, &m.params, LENGTH, &anatomy));
    if (graph.output) {
        check_ok(model_graph_plan(&graph, false));
        ag_forward(graph.plan);
    }
    bool right = judge(what, &m, &anatomy);
    model_graph_release(&graph);
    model_anatomy_release(&anatomy);
    encoding_close(&m);
    return right;
}

static void anatomy_is_all_that_a_stack_does(void **state)
{
    (void)state;
    static const struct encoding_case more[] = {
        {.pe = "shaw", .pairs = 2, .pair = {"values=no", "max_distance=3"}, .causal = true},
        {.pe = "shaw", .pairs = 2, .pair = {"values=no", "table=sinusoid"}},
        {.pe = "learned+shaw", .pairs = 2, .pair = {"values=no", "max_distance=2"}},
        {.pe = "sinusoidal+recursive+hierarchical"},
    };
    int cases = encoding_walk(ENCODING_OPTIONS | ENCODING_STACKS, visit);
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++, cases++)
        assert_true(visit(&more[i]));
    print_message("%d cases: %d plain, %d tables of positions, %d of keys, %d biases, %d "
                  "rotations, %d other\n",
                  cases, plain_ones, tables_of_positions, tables_of_keys, biases, rotations,
                  others);
    assert_true(plain_ones >= 2 && tables_of_positions >= 40 && tables_of_keys >= 5);
    assert_true(rotations >= 8 && biases >= 40 && others >= 100);
}

// A stack is defined as far as the shortest of its tables.
static void length_is_that_of_the_shortest_table(void **state)
{
    (void)state;
    static const struct {
        struct encoding_case what;
        int64_t length;
    } cases[] = {
        {{.pe = "none", .causal = true}, LENGTH},
        {{.pe = "sinusoidal"}, LENGTH},
        {{.pe = "hierarchical"}, LENGTH}, // LENGTH squared with --length
        {{.pe = "hierarchical+learned", .pairs = 1, .pair = {"learned.max_length=500"}},
         LENGTH * LENGTH},
        {{.pe = "learned", .pairs = 1, .pair = {"max_length=50"}}, 50},
        {{.pe = "learned+multiplicative",
          .pairs = 2,
          .pair = {"learned.max_length=50", "multiplicative.max_length=20"}},
         20},
        {{.pe = "shift-positions+learned", .pairs = 1, .pair = {"learned.max_length=90"}},
         2 * LENGTH},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct encoding_model m;
        encoding_build(&m, &cases[i].what, &shape);
        assert_int_equal(model_anatomy_length(&m.config), cases[i].length);
        encoding_close(&m);
    }
}

CHECK_MAIN(cmocka_unit_test(anatomy_is_all_that_a_stack_does),
           cmocka_unit_test(length_is_that_of_the_shortest_table))
