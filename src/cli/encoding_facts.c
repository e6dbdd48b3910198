// Facts of an encoding from small captured models: nothing here is written down twice.
#include "encoding_facts.h"

#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../model/model.h"

// Sizes that no two letters share, and that are no option's default, so that a shape can be read
// back as letters.
enum { LAYERS = 5, HEADS = 7, HEAD_DIM = 8, DIM = HEADS * HEAD_DIM, VOCAB = 13 };
enum { HEIGHT = 10, WIDTH = 11, LENGTH = HEIGHT * WIDTH };

struct probe {
    struct model_config config;
    struct ag_params params;
    struct model_graph model;
    struct pe_tables tables;
};

// `widen` makes heads wider.
static int open_probe(struct probe *probe, const char *pe, bool causal, int widen)
{
    memset(probe, 0, sizeof *probe);
    probe->config = (struct model_config){.layers = LAYERS,
                                          .heads = HEADS,
                                          .dim = DIM * widen,
                                          .ff_dim = 1,
                                          .vocab = VOCAB,
                                          .train_length = LENGTH,
                                          .causal = causal,
                                          .grid_height = HEIGHT,
                                          .grid_width = WIDTH};
    ag_params_init(&probe->params);
    int code = pe_stack_init(&probe->config.pe, pe, 0, NULL);
    if (code == 0)
        code = model_check(&probe->config);
    if (code == 0)
        code = model_graph_capture(&probe->model, &probe->config, &probe->params, 1, LENGTH,
                                   &probe->tables);
    return code;
}

static void close_probe(struct probe *probe)
{
    model_graph_release(&probe->model);
    ag_params_release(&probe->params);
    pe_stack_release(&probe->config.pe);
}

// An encoder where the encoding has a meaning there, else a decoder.
static int open_either(struct probe *probe, const char *pe, int widen)
{
    int code = open_probe(probe, pe, false, widen);
    if (code == 0 || code == ERR_MEMORY)
        return code;
    close_probe(probe);
    return open_probe(probe, pe, true, widen);
}

static const char *letters(int64_t size, char text[24])
{
    static const struct {
        int64_t size;
        const char *letters;
    } known[] = {{LAYERS, "L"},
                 {HEADS, "H"},
                 {HEAD_DIM, "D"},
                 {DIM, "C"},
                 {DIM + 1, "C+1"},
                 {2 * DIM, "2C"},
                 {DIM / 2, "C/2"},
                 {VOCAB, "V"},
                 {LENGTH, "T"},
                 {2 * LENGTH, "2T"},
                 {2 * LENGTH - 1, "2T-1"},
                 {HEIGHT, "Gh"},
                 {WIDTH, "Gw"},
                 {(2 * HEIGHT - 1) * (2 * WIDTH - 1), "(2Gh-1)(2Gw-1)"}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].size == size)
            return known[i].letters;
    snprintf(text, 24, "%lld", (long long)size);
    return text;
}

// "layers.1.pe.shaw.key" is layer 0's over again; layer 0's is shown as layers.N.
static bool shown_name(const char *name, char shown[AG_NAME_SIZE + 8])
{
    if (strncmp(name, "pe.", 3) == 0) {
        snprintf(shown, AG_NAME_SIZE + 8, "%s", name);
        return true;
    }
    if (strncmp(name, "layers.0.pe.", 12) != 0)
        return false;
    snprintf(shown, AG_NAME_SIZE + 8, "layers.N%s", name + 8);
    return true;
}

// Whether a parameter's start is the same numbers in a model of wider heads.
static bool same_in(const struct probe *wide, const struct ag_parameter *row)
{
    int at = ag_params_find(&wide->params, row->name);
    return at >= 0 && wide->params.row[at].init.spread == row->init.spread;
}

static json_t *start_words(const struct ag_init *init, bool fixed)
{
    char text[64];
    switch (init->kind) {
    case AG_INIT_UNIFORM:
        return json_string("uniform, by its size");
    case AG_INIT_ORTHOGONAL:
        return json_string("orthogonal");
    case AG_INIT_FREQUENCIES:
        return json_string("frequencies of the sinusoid");
    default:
        if (!fixed)
            return json_string("normal, by its size");
        if (init->spread > 0)
            snprintf(text, sizeof text, "N(%g, %.3g)", init->mean, init->spread);
        else
            snprintf(text, sizeof text, "%g", init->mean);
        return json_string(text);
    }
}

static json_t *shape_letters(const struct ag_shape *shape)
{
    char text[24];
    json_t *list = json_array();
    for (int d = 0; d < shape->dims; d++)
        json_array_append_new(list, json_string(letters(shape->size[d], text)));
    return list;
}

// A list that lacks nothing for want of memory.
static json_t *whole(json_t *list, int code)
{
    if (code != ERR_MEMORY)
        return list;
    json_decref(list);
    return NULL;
}

json_t *encoding_parameters(const struct pe_def *def)
{
    struct probe probe, wide;
    json_t *list = json_array();
    int code = open_either(&probe, def->name, 1);
    int other = open_either(&wide, def->name, 2);
    code = code < 0 ? code : other;
    for (int i = 0; code == 0 && i < probe.params.rows; i++) {
        const struct ag_parameter *row = &probe.params.row[i];
        char name[AG_NAME_SIZE + 8];
        if (shown_name(row->name, name))
            json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "name", name, "shape",
                                                  shape_letters(&row->shape), "start",
                                                  start_words(&row->init, same_in(&wide, row))));
    }
    close_probe(&wide);
    close_probe(&probe);
    return whole(list, code);
}

json_t *encoding_exports(const struct pe_def *def)
{
    struct probe probe;
    json_t *list = json_array();
    int code = open_either(&probe, def->name, 1);
    for (int i = 0; code == 0 && i < probe.tables.count; i++) {
        const struct pe_table *table = &probe.tables.table[i];
        json_t *axes = json_array();
        for (int d = 0; d < 4 && table->axis[d]; d++)
            json_array_append_new(axes, json_string(table->axis[d]));
        json_array_append_new(list, json_pack("{s:s, s:o, s:s*}", "name", table->name, "axes", axes,
                                              "unit", table->unit));
    }
    close_probe(&probe);
    return whole(list, code);
}

json_t *encoding_claim_words(const struct pe_def *def)
{
    static const struct {
        unsigned claim;
        const char *words;
    } known[] = {
        {PE_SHIFT_INVARIANT, "moving the whole sequence does not change its logits"},
        {PE_NORM_PRESERVING, "queries and keys keep their norms"},
        {PE_SYMMETRIC, "positions i and T-1-i are treated alike"},
        {PE_CAUSAL_ONLY, "for decoders only"},
        {PE_EXTRAPOLATES, "defined past the training length"},
        {PE_PROBE_ENCODER, "solves the probe in an encoder"},
        {PE_PROBE_DECODER, "solves the probe in a decoder"},
        {PE_IDENTITY_AT_ZERO, "with its tables at zero, or factors at one, it is none"},
        {PE_NEEDS_LOGITS, "changes logits or weights, which linear attention has not"},
        {PE_POSITION_IN_LOGITS, "logits of equal tokens depend on where they stand"},
        {PE_MARKS_BORDERS, "marks positions near the ends of a row only"},
        {PE_MIXES_NEIGHBOURS, "what is unlike the rest changes those around it"},
    };
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (def->claims & known[i].claim)
            json_array_append_new(list, json_string(known[i].words));
    return list;
}

json_t *encoding_extensions(const struct pe_def *def)
{
    json_t *list = json_array();
    for (int how = PE_EXTEND_NONE + 1; how < PE_EXTENSIONS; how++)
        if (def->extends & PE_EXTENDS(how))
            json_array_append_new(list, json_string(pe_extension_name[how]));
    return list;
}

// 1 or 0, or ERR_MEMORY.
static int stacks_with(const char *a, const char *b)
{
    char pe[160];
    struct probe probe;
    snprintf(pe, sizeof pe, "%s+%s", a, b);
    int code = open_either(&probe, pe, 1);
    close_probe(&probe);
    return code == ERR_MEMORY ? code : code == 0;
}

json_t *encoding_partners(const struct pe_def *def)
{
    json_t *list = json_array();
    int stacks = 0;
    for (int i = 0; i < pe_count && stacks >= 0; i++) {
        if (pe_list[i] == def)
            continue;
        stacks = stacks_with(def->name, pe_list[i]->name);
        if (stacks == 0)
            stacks = stacks_with(pe_list[i]->name, def->name);
        if (stacks > 0)
            json_array_append_new(list, json_string(pe_list[i]->name));
    }
    return whole(list, stacks);
}
