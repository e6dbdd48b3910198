// Walks pe_list and builds small models: see encodings.h.
#include "encodings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../autograd/base/rng.h"
#include "../../src/encodings/common/theorem.h"

// Numbers that tests want other than by default, so that tables clip within short rows. A key that
// an encoding has not is left out.
static const char *const small[] = {
    "max_distance=5", "clamp_length=2", "buckets=4", "max_length=3", "rows=4",
    "fraction=0.5",   "kernel=5",       "dims=2",    "substeps=2",
};
enum { SMALL = sizeof small / sizeof small[0] };

struct encoding_text encoding_text(const struct encoding_case *what)
{
    static const char *const attention[] = {"", ", linear", ", relu2", ", l2", ", softmax1"};
    struct encoding_text t;
    int used = snprintf(t.text, sizeof t.text, "%s", what->pe);
    for (int i = 0; i < what->pairs; i++)
        used += snprintf(t.text + used, sizeof t.text - (size_t)used, " %s", what->pair[i]);
    snprintf(t.text + used, sizeof t.text - (size_t)used, "%s, %s", attention[what->attention],
             what->causal ? "decoder" : "encoder");
    return t;
}

unsigned encoding_claims(const struct pe_stack *stack)
{
    unsigned claims = ~0u;
    for (int i = 0; i < stack->count; i++)
        claims &= pe_stack_claims(stack, i);
    return claims;
}

// --- the model

static struct model_config config_of(const struct encoding_case *what,
                                     const struct encoding_shape *shape)
{
    int64_t dim = shape->dim ? shape->dim : 16;
    return (struct model_config){.layers = shape->layers ? shape->layers : 2,
                                 .heads = shape->heads ? shape->heads : 2,
                                 .dim = dim,
                                 .ff_dim = dim + 4,
                                 .vocab = ENCODING_VOCAB,
                                 .train_length = shape->height * shape->width,
                                 .causal = what->causal,
                                 .dropout = shape->dropout,
                                 .attention = what->attention,
                                 .grid_height = shape->height,
                                 .grid_width = shape->width};
}

static void draw(struct encoding_model *m)
{
    struct rng rng;
    for (int i = 0; i < m->params.rows; i++) {
        const struct ag_parameter *row = &m->params.row[i];
        rng_init(&rng, rng_stream(7, row->name), 0, 0);
        for (int64_t k = 0; k < row->count; k++)
            m->params.value[row->offset + k] =
                (real)(row->init.mean + 0.6 * (rng_uniform(&rng) - 0.5));
    }
    rng_init(&rng, rng_stream(7, "batch"), 0, 0);
    for (int64_t i = 0; i < m->graph.batch * m->length; i++) {
        m->graph.tokens->index[i] = (int32_t)rng_below(&rng, ENCODING_VOCAB);
        m->graph.targets->index[i] = (int32_t)rng_below(&rng, ENCODING_VOCAB);
        m->graph.mask->index[i] = 1;
    }
}

// All that can be refused.
static int begin(struct encoding_model *m, const struct encoding_case *what,
                 const struct encoding_shape *shape)
{
    const char *pair[ENCODING_PAIRS];
    memset(m, 0, sizeof *m);
    par_set_threads(shape->threads ? shape->threads : 1);
    m->config = config_of(what, shape);
    m->length = m->config.train_length;
    ag_params_init(&m->params);
    for (int i = 0; i < what->pairs; i++)
        pair[i] = what->pair[i];
    int code = pe_stack_init(&m->config.pe, what->pe, what->pairs, pair);
    if (code == 0)
        code = model_check(&m->config);
    if (code == 0)
        code = model_graph_capture(&m->graph, &m->config, &m->params, shape->batch, m->length,
                                   &m->tables);
    if (code < 0)
        encoding_close(m);
    return code;
}

int encoding_open(struct encoding_model *m, const struct encoding_case *what,
                  const struct encoding_shape *shape)
{
    int code = begin(m, what, shape);
    if (code < 0)
        return code;
    code = ag_params_allocate(&m->params, 1);
    if (code == 0)
        code = model_graph_plan(&m->graph, true);
    if (code == 0)
        draw(m);
    else
        encoding_close(m);
    return code;
}

void encoding_build(struct encoding_model *m, const struct encoding_case *what,
                    const struct encoding_shape *shape)
{
    if (encoding_open(m, what, shape) < 0)
        fail_msg("%s: %s", encoding_text(what).text, err_last());
}

void encoding_close(struct encoding_model *m)
{
    model_graph_release(&m->graph);
    ag_params_release(&m->params);
    pe_stack_release(&m->config.pe);
}

int encoding_capture(struct encoding_model *m, int64_t length, struct model_graph *graph,
                     struct pe_tables *tables)
{
    if (tables)
        memset(tables, 0, sizeof *tables);
    int code = model_graph_capture(graph, &m->config, &m->params, 1, length, tables);
    if (code == 0)
        code = model_graph_plan(graph, false);
    if (code < 0)
        return code;
    for (int64_t i = 0; i < length; i++) {
        graph->tokens->index[i] = (int32_t)(i * 5 % ENCODING_VOCAB);
        graph->targets->index[i] = (int32_t)(i * 3 % ENCODING_VOCAB);
        graph->mask->index[i] = 1;
    }
    return 0;
}

bool encoding_owns(const char *name)
{
    return strncmp(name, "pe.", 3) == 0 || strstr(name, ".pe.");
}

struct pe_context encoding_context(const struct encoding_model *m, int i)
{
    return model_context(&m->config, i, m->graph.batch, m->length);
}

double encoding_distance(const real *a, const real *b, int64_t count)
{
    double worst = 0;
    for (int64_t i = 0; i < count; i++) {
        double difference = fabs((double)a[i] - (double)b[i]);
        if (!(difference <= worst))
            worst = isfinite(difference) ? difference : HUGE_VAL;
    }
    return worst;
}

// --- the walk

struct walk {
    encoding_visit *visit;
    int visited, failed;
};

// A line that is a grid and long enough for the small tables to clip.
static const struct encoding_shape trial = {.batch = 1, .height = 3, .width = 4};

// Both architectures, where nothing refuses. Whether one did not.
static bool try_case(struct walk *walk, struct encoding_case *what)
{
    bool taken = false;
    for (int causal = 0; causal < 2; causal++) {
        struct encoding_model m;
        what->causal = causal;
        int code = begin(&m, what, &trial);
        if (code < 0 && code != ERR_ARGUMENT)
            fail_msg("%s: %s", encoding_text(what).text, err_last());
        if (code < 0)
            continue;
        encoding_close(&m);
        taken = true;
        walk->visited++;
        walk->failed += !walk->visit(what);
    }
    return taken;
}

static void add_pair(struct encoding_case *what, const char *key, size_t key_size,
                     const char *value, size_t value_size)
{
    assert_true(what->pairs < ENCODING_PAIRS);
    snprintf(what->pair[what->pairs++], sizeof what->pair[0], "%.*s=%.*s", (int)key_size, key,
             (int)value_size, value);
}

// Every word of a choice but its default.
static void turn_choice(struct walk *walk, const struct encoding_case *base,
                        const struct option_def *option)
{
    for (const char *word = option->choices; *word;) {
        size_t size = strcspn(word, "|");
        if (strlen(option->default_value) != size ||
            strncmp(word, option->default_value, size) != 0) {
            struct encoding_case what = *base;
            add_pair(&what, option->key, strlen(option->key), word, size);
            try_case(walk, &what);
        }
        word += size + (word[size] == '|');
    }
}

static void turn_bool(struct walk *walk, const struct encoding_case *base,
                      const struct option_def *option)
{
    struct encoding_case what = *base;
    const char *value = option->default_value;
    bool is_on = strcmp(value, "yes") == 0 || strcmp(value, "1") == 0 ||
                 strcmp(value, "true") == 0 || strcmp(value, "on") == 0;
    const char *other = is_on ? "no" : "yes";
    add_pair(&what, option->key, strlen(option->key), other, strlen(other));
    try_case(walk, &what);
}

static void turn_small(struct walk *walk, const struct encoding_case *base,
                       const struct pe_def *def)
{
    struct encoding_case all = *base;
    for (int i = 0; i < SMALL; i++) {
        char key[32];
        size_t size = strcspn(small[i], "=");
        snprintf(key, sizeof key, "%.*s", (int)size, small[i]);
        if (!options_find(def->options, key))
            continue;
        struct encoding_case what = *base;
        add_pair(&what, key, size, small[i] + size + 1, strlen(small[i] + size + 1));
        try_case(walk, &what);
        if (all.pairs < ENCODING_PAIRS)
            add_pair(&all, key, size, small[i] + size + 1, strlen(small[i] + size + 1));
    }
    if (all.pairs > base->pairs + 1)
        try_case(walk, &all);
}

// The row alone, or, of one that gives positions, with one that reads them: positions are drawn
// from few, but as many as the longest row of a test.
static struct encoding_case case_of(const struct pe_def *def)
{
    struct encoding_case what = {.pairs = 0};
    char pe[128];
    pe_smallest_stack(def, pe);
    snprintf(what.pe, sizeof what.pe, "%.63s", pe);
    if (def->positions) {
        snprintf(pe, sizeof pe, "%.60s.max_length", def->name);
        add_pair(&what, pe, strlen(pe), "60", 2);
    }
    return what;
}

static void turn_options(struct walk *walk, const struct pe_def *def)
{
    struct encoding_case base = case_of(def);
    if (!def->options)
        return;
    for (const struct option_def *o = def->options; o->key; o++) {
        if (o->type == OPTION_CHOICE)
            turn_choice(walk, &base, o);
        if (o->type == OPTION_BOOL)
            turn_bool(walk, &base, o);
    }
    turn_small(walk, &base, def);
}

int encoding_walk(unsigned kinds, encoding_visit *visit)
{
    struct walk walk = {.visit = visit};
    for (int i = 0; i < pe_count; i++) {
        struct encoding_case what = case_of(pe_list[i]);
        if (!try_case(&walk, &what))
            fail_msg("%s is refused: %s", what.pe, err_last());
        if (kinds & ENCODING_OPTIONS)
            turn_options(&walk, pe_list[i]);
        for (int n = AG_SOFTMAX + 1; kinds & ENCODING_NORMALISERS && n <= AG_SOFTMAX1; n++) {
            what.attention = (enum ag_normaliser)n;
            try_case(&walk, &what);
        }
        what.attention = AG_SOFTMAX;
        for (int k = 0; kinds & ENCODING_STACKS && k < pe_count; k++) {
            snprintf(what.pe, sizeof what.pe, "%s+%s", pe_list[i]->name, pe_list[k]->name);
            try_case(&walk, &what);
        }
    }
    if (walk.failed)
        fail_msg("%d of %d cases fail", walk.failed, walk.visited);
    return walk.visited;
}
