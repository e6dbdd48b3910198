// What hooks did, by what they gave back: the same tensor, a sum, a rotation, a table.
#include "model_anatomy.h"

#include <stdlib.h>
#include <string.h>

#include "../../autograd/ops/op.h"
#include "../encodings/common/theorem.h"

void model_anatomy_release(struct model_anatomy *anatomy)
{
    free(anatomy->layer);
    memset(anatomy, 0, sizeof *anatomy);
}

void model_anatomy_other(struct model_anatomy *anatomy, const char *name, const char *what)
{
    if (!anatomy || anatomy->other)
        return;
    anatomy->other_by = name;
    anatomy->other = what;
}

// The middle row, or entry of the index, is that of a key at its query's place.
const real *model_anatomy_row(const struct ag_relative *relative, int64_t offset)
{
    int64_t entries = relative->index ? relative->index->count : relative->table->shape.size[0];
    int64_t at = offset + (entries - 1) / 2;
    int64_t row = relative->index ? relative->index->index[at] : at;
    return relative->table->data + row * relative->table->shape.size[1];
}

// What was added to `x` to make `y`; NULL where that is no sum of x and something.
static ag_t *added(const ag_t *x, const ag_t *y)
{
    if (!y->op || strcmp(y->op->name, "add") != 0)
        return NULL;
    return y->input[0] == x ? y->input[1] : y->input[1] == x ? y->input[0] : NULL;
}

void model_anatomy_input(struct model_anatomy *anatomy, const char *name, ag_t *was, ag_t *is)
{
    if (!anatomy || was == is)
        return;
    ag_t *table = added(was, is);
    if (!table || table->varies || table->shape.dims != 2 ||
        table->shape.size[0] != was->shape.size[1]) {
        model_anatomy_other(anatomy, name, "does more to the input than to add a table");
        return;
    }
    anatomy->positions = anatomy->positions ? ag_add(anatomy->graph, anatomy->positions, table)
                                            : table;
    anatomy->positions_by = name;
}

void model_anatomy_stream(struct model_anatomy *anatomy, const char *name, const ag_t *was,
                          const ag_t *is)
{
    if (was != is)
        model_anatomy_other(anatomy, name, "changes what passes through the layers");
}

static bool same_table(const struct ag_relative *a, const struct ag_relative *b)
{
    return a->table == b->table && a->index == b->index && a->grid_width == b->grid_width;
}

// The first thing beside rotations, tables of keys, biases by distance and a scale; NULL for none.
static const char *other_change(const struct pe_attention *was, const struct pe_attention *is)
{
    const struct ag_attention *a = &was->op, *b = &is->op;
    if (was->kernel != is->kernel)
        return "has an attention of its own";
    if (a->value != b->value || !same_table(&a->value_relative, &b->value_relative))
        return "changes the values";
    if (!same_table(&a->factor, &b->factor))
        return "multiplies the weights of attention";
    if (a->dense_bias != b->dense_bias || a->row_bias != b->row_bias ||
        a->column_bias != b->column_bias)
        return "adds a bias to the logits that is not by distance";
    if (!same_table(&a->key_relative, &b->key_relative))
        return "reads keys with a table of distances";
    if (a->relative_query != b->relative_query || a->relative_key != b->relative_key ||
        was->query != is->query || was->key != is->key)
        return "changes queries and keys";
    return NULL;
}

// Whether both were turned by the same, of one row, and nothing else.
static bool is_turned(const struct ag_attention *was, const struct ag_attention *is,
                      struct ag_rotation *query)
{
    struct ag_rotation key;
    return ag_rotation_of(is->query, query) && ag_rotation_of(is->key, &key) &&
           query->x == was->query && key.x == was->key && query->cosine == key.cosine &&
           query->sine == key.sine && query->layout == key.layout && !query->inverse &&
           !key.inverse && !query->cosine->varies && !query->sine->varies &&
           query->cosine->shape.dims < 4;
}

static void note_rotation(struct model_anatomy *anatomy, const char *name,
                          struct model_anatomy_layer *layer, const struct ag_attention *was,
                          const struct ag_attention *is)
{
    struct ag_rotation rotation;
    if (layer->cosine || !is_turned(was, is, &rotation)) {
        model_anatomy_other(anatomy, name, "changes queries and keys, and not by one rotation");
        return;
    }
    layer->cosine = ag_keep(rotation.cosine);
    layer->sine = ag_keep(rotation.sine);
    layer->layout = rotation.layout;
    anatomy->rotation_by = name;
}

static bool is_by_offset(const struct ag_relative *relative)
{
    return !relative->grid_width && (!relative->index || relative->index->shape.dims == 1) &&
           !relative->table->varies;
}

static struct ag_relative keep(const struct ag_relative *relative)
{
    ag_keep(relative->table);
    ag_keep(relative->index);
    return *relative;
}

static void note_keys(struct model_anatomy *anatomy, const char *name,
                      struct model_anatomy_layer *layer, const struct ag_relative *keys)
{
    if (layer->keys.table || !is_by_offset(keys)) {
        model_anatomy_other(anatomy, name, "reads queries with a table of more than distances");
        return;
    }
    layer->keys = keep(keys);
    anatomy->keys_by = name;
}

static void note_bias(struct model_anatomy *anatomy, const char *name,
                      struct model_anatomy_layer *layer, const struct ag_relative *bias)
{
    if (!is_by_offset(bias)) {
        model_anatomy_other(anatomy, name, "adds a bias to the logits that is not by distance");
        return;
    }
    layer->bias = keep(bias);
    anatomy->bias_by = name;
}

void model_anatomy_attention(struct model_anatomy *anatomy, const char *name, int64_t layer,
                             const struct pe_attention *was, const struct pe_attention *is)
{
    if (!anatomy)
        return;
    struct model_anatomy_layer *to = &anatomy->layer[layer];
    const char *other = other_change(was, is);
    if (other) {
        model_anatomy_other(anatomy, name, other);
        return;
    }
    if (was->op.query != is->op.query || was->op.key != is->op.key)
        note_rotation(anatomy, name, to, &was->op, &is->op);
    if (!same_table(&was->op.query_relative, &is->op.query_relative))
        note_keys(anatomy, name, to, &is->op.query_relative);
    to->scale *= is->op.scale / was->op.scale;
    if (!same_table(&was->op.bias, &is->op.bias))
        note_bias(anatomy, name, to, &is->op.bias);
}

int64_t model_anatomy_length(const struct model_config *config)
{
    int64_t least = 0;
    bool ends = false; // where a table does, and no formula goes on
    for (int i = 0; i < config->pe.count; i++) {
        const struct pe_def *def = config->pe.def[i];
        struct pe_context context = model_context(config, i, 1, config->train_length);
        int64_t end = def->max_length ? def->max_length(&context) : 0;
        least = end && (!least || end < least) ? end : least;
        ends |= end && !(pe_stack_claims(&config->pe, i) & PE_EXTRAPOLATES);
    }
    return ends ? least : config->train_length;
}
