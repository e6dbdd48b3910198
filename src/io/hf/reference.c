// posgrad_reference.json: rows of tokens with the logits that the model has here, for whoever loads
// the folder to see that all is well.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../autograd/base/err.h"
#include "../../train/train.h"
#include "../json_memory.h"
#include "../version.h"
#include "hf.h"

#define TOLERANCE 1e-4
enum { MOST_TOKENS = 256, MOST_LOGITS = 1 << 15, DIGITS = 7 };

struct row {
    int64_t length;
    int32_t *tokens, *mask;
};

// Numbers that are read by people and compared by a tolerance: as float has digits.
static json_t *logit(double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.*g", DIGITS, value);
    return json_real(strtod(text, NULL));
}

static json_t *integers(const int32_t *value, int64_t count)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < count; i++)
        json_array_append_new(list, json_integer(value[i]));
    return list;
}

static json_t *logits_of(const struct model_graph *graph, int64_t vocab)
{
    json_t *rows = json_array();
    for (int64_t i = 0; i < graph->length; i++) {
        json_t *row = json_array();
        for (int64_t v = 0; v < vocab; v++)
            json_array_append_new(row, logit((double)graph->logits->data[i * vocab + v]));
        json_array_append_new(rows, row);
    }
    return rows;
}

static int replay(struct model_graph *graph, const struct row *row)
{
    int code = model_graph_plan(graph, false);
    if (code < 0)
        return code;
    size_t bytes = (size_t)row->length * sizeof *row->tokens;
    memcpy(graph->tokens->index, row->tokens, bytes);
    memcpy(graph->mask->index, row->mask, bytes);
    for (int64_t i = 0; i < row->length; i++)
        graph->targets->index[i] = DATASET_IGNORE;
    ag_forward(graph->plan);
    for (int64_t i = 0; i < graph->logits->count; i++)
        if (!isfinite((double)graph->logits->data[i]))
            return err_set(ERR_NUMBER, "the model gives logits that are not finite");
    return 0;
}

// Appends the row and what the model makes of it.
static int put_row(struct trainer *trainer, json_t *list, const struct row *row)
{
    struct model_graph graph;
    int code =
        model_graph_capture(&graph, &trainer->config, &trainer->params, 1, row->length, NULL);
    if (code < 0)
        return code;
    code = replay(&graph, row);
    if (code == 0)
        json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "input_ids",
                                              integers(row->tokens, row->length), "attention_mask",
                                              integers(row->mask, row->length), "logits",
                                              logits_of(&graph, trainer->config.vocab)));
    model_graph_release(&graph);
    return code;
}

// Random tokens, the last quarter of them padding where `padded`.
static void draw(struct row *row, int64_t length, int64_t vocab, bool padded)
{
    struct rng rng;
    rng_init(&rng, rng_stream(0, "export/reference"), (uint64_t)length, padded);
    row->length = length;
    for (int64_t i = 0; i < length; i++) {
        row->tokens[i] = (int32_t)rng_below(&rng, (uint32_t)vocab);
        row->mask[i] = !padded || i < length - length / 4;
    }
}

// The first row of validation, then random ones: of one token, of half the length, of all of it,
// and with padding.
static int put_rows(const struct hf_model *model, struct trainer *trainer, json_t *list,
                    struct row *row)
{
    int64_t vocab = model->config->vocab, most = MOST_LOGITS / vocab;
    most = most < 1 ? 1 : most < MOST_TOKENS ? most : MOST_TOKENS;
    most = most < model->length ? most : model->length;
    most = model->one_length ? model->length : most;
    const int64_t lengths[] = {1, (most + 1) / 2, most, most};
    int code = 0;
    for (int i = model->one_length ? 2 : 0; i < 4 && code == 0; i++) {
        draw(row, lengths[i], vocab, i == 3);
        code = put_row(trainer, list, row);
    }
    return code;
}

static int put_task_row(const struct hf_model *model, struct trainer *trainer, json_t *list,
                        struct row *row, int32_t *targets)
{
    const struct dataset *dataset = model->dataset;
    row->length = dataset->length;
    dataset_batch(dataset, DATASET_VALIDATION, 0, 1, row->tokens, targets, row->mask);
    bool known = model->one_length ? row->length == model->length : row->length <= model->length;
    if (!known || row->length * model->config->vocab > 4 * MOST_LOGITS)
        return 0;
    return put_row(trainer, list, row);
}

static int make_rows(const struct hf_model *model, struct trainer *trainer, json_t *list)
{
    int64_t task = model->dataset->length, most = task > model->length ? task : model->length;
    int32_t *memory = calloc((size_t)most, 3 * sizeof *memory);
    if (!memory)
        return err_set(ERR_MEMORY, "out of memory for the rows of the reference");
    struct row row = {0, memory, memory + most};
    int code = put_task_row(model, trainer, list, &row, memory + 2 * most);
    if (code == 0)
        code = put_rows(model, trainer, list, &row);
    free(memory);
    return code;
}

char *hf_reference(const struct hf_model *model, const struct hf_container *container,
                   struct trainer *trainer, const char *verdict)
{
    unsigned long failures = json_memory_failures();
    json_t *rows = json_array();
    if (make_rows(model, trainer, rows) < 0) {
        json_decref(rows);
        return NULL;
    }
    json_t *root = json_pack(
        "{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:f, s:s, s:o}", "format",
        "posgrad-reference", "format_version", 1, "posgrad", POSGRAD_VERSION, "pe",
        trainer->settings.pe, "task", trainer->settings.task, "model_class", container->model_class,
        "transformers", hf_versions(model, container), "verdict", verdict, "step",
        (json_int_t)trainer->step, "tolerance_is", "of logits, times max(1, the largest |logit|)",
        "tolerance", TOLERANCE, "rows_are", "logits where attention_mask is 1", "rows", rows);
    return hf_text(root, true, failures);
}
