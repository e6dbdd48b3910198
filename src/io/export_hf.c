// A whole model as a folder that Hugging Face transformers opens with from_pretrained, wherever one
// of its architectures computes exactly what ours does (hf/hf.h).
//
// Which architecture that is, and how far it is exact, follows from what the stack of encodings is
// seen to do, never from its name. The reference in the folder lets anyone check it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../train/train.h"
#include "export.h"
#include "hf/hf.h"
#include "publish_folder.h"

// The reference comes first, as the mark of such folders.
enum { VERDICT = 64 };
enum { REFERENCE, CONFIG, TENSORS, TOKENIZER, TOKENIZER_CONFIG, FILES };
static const char *const file_names[FILES] = {"posgrad_reference.json", "config.json",
                                              "model.safetensors", "tokenizer.json",
                                              "tokenizer_config.json"};

struct contents {
    char *text[FILES];
    size_t size[FILES];
};

static int make_tensors(const struct hf_model *model, const struct hf_container *container,
                        struct contents *contents)
{
    struct hf_tensors tensors = {.count = 0};
    arena_init(&tensors.arena);
    container->tensors(model, &tensors);
    const struct export_set set = {.arrays = tensors.count, .array = tensors.array};
    int code = tensors.error ? tensors.error
                             : export_safetensors_bytes(&set, &contents->text[TENSORS],
                                                        &contents->size[TENSORS]);
    hf_tensors_release(&tensors);
    return code;
}

static int make(const struct hf_model *model, const struct hf_container *container,
                struct trainer *trainer, const char *verdict, struct contents *contents)
{
    int code = make_tensors(model, container, contents);
    if (code < 0)
        return code;
    char **text = contents->text;
    if (!(text[REFERENCE] = hf_reference(model, container, trainer, verdict)) ||
        !(text[CONFIG] = hf_config(model, container)) || !(text[TOKENIZER] = hf_tokenizer(model)) ||
        !(text[TOKENIZER_CONFIG] = hf_tokenizer_config(model)))
        return err_code();
    for (int i = 0; i < FILES; i++)
        if (i != TENSORS)
            contents->size[i] = strlen(text[i]);
    return 0;
}

static int publish(const struct export_model *model, const char *path, struct contents *contents)
{
    struct folder_file file[FILES];
    for (int i = 0; i < FILES; i++)
        file[i] = (struct folder_file){file_names[i], contents->text[i], contents->size[i]};
    return folder_publish(path, file, FILES, model->overwrite);
}

static int check_folder(const struct export_model *model, const char *path)
{
    struct folder_file file[FILES];
    for (int i = 0; i < FILES; i++)
        file[i] = (struct folder_file){.name = file_names[i]};
    return folder_check(path, file, FILES, model->overwrite);
}

// The anatomy with its numbers, for rows of `length` tokens.
static int examine(struct trainer *trainer, int64_t length, struct model_graph *graph,
                   struct model_anatomy *anatomy)
{
    int code = model_anatomy_capture(graph, &trainer->config, &trainer->params, length, anatomy);
    if (code < 0 || !graph->output)
        return code;
    code = model_graph_plan(graph, false);
    if (code == 0) {
        ag_forward(graph->plan);
        return 0;
    }
    model_graph_release(graph);
    model_anatomy_release(anatomy);
    return code;
}

// Whether `rows` rows of two tables are the same.
static bool same_rows(const ag_t *one, const ag_t *other, int64_t rows)
{
    if (!one || !other)
        return one == other;
    size_t bytes = (size_t)(one->count / one->shape.size[0] * rows) * sizeof(real);
    return memcmp(one->data, other->data, bytes) == 0;
}

// The same of distances below `rows`.
static bool same_distances(const struct ag_relative *one, const struct ag_relative *other,
                           int64_t rows)
{
    if (!one->table || !other->table)
        return one->table == other->table;
    size_t bytes = (size_t)one->table->shape.size[1] * sizeof(real);
    for (int64_t offset = 1 - rows; offset < rows; offset++)
        if (memcmp(model_anatomy_row(one, offset), model_anatomy_row(other, offset), bytes) != 0)
            return false;
    return true;
}

// Whether encodings do to `rows` tokens what they do to the first ones of longer rows.
static bool does_the_same(const struct hf_model *model, const struct model_anatomy *shorter,
                          int64_t rows)
{
    bool same = same_rows(model->anatomy->positions, shorter->positions, rows);
    for (int64_t l = 0; l < model->config->layers && same; l++) {
        const struct model_anatomy_layer *one = &model->anatomy->layer[l];
        const struct model_anatomy_layer *other = &shorter->layer[l];
        same = same_rows(one->cosine, other->cosine, rows) &&
               same_rows(one->sine, other->sine, rows) &&
               same_distances(&one->keys, &other->keys, rows) &&
               same_distances(&one->bias, &other->bias, rows) &&
               !(one->scale < other->scale || one->scale > other->scale);
    }
    return same;
}

// A grid is cut anew for each length, and what goes past the training may depend on how far.
static int find_lengths(struct hf_model *model, struct trainer *trainer)
{
    struct model_graph graph;
    struct model_anatomy shorter;
    int64_t rows = model->length - 1;
    if (rows < 1)
        return 0;
    int code = examine(trainer, rows, &graph, &shorter);
    model->one_length = true;
    if (code < 0)
        return code == ERR_MEMORY ? code : 0;
    model->one_length = !does_the_same(model, &shorter, rows);
    model_graph_release(&graph);
    model_anatomy_release(&shorter);
    return 0;
}

static int judge(struct hf_model *model, const struct hf_container *container,
                 struct trainer *trainer, char verdict[VERDICT])
{
    int code = find_lengths(model, trainer);
    if (container->any_length && !model->one_length)
        snprintf(verdict, VERDICT, "exact");
    else
        snprintf(verdict, VERDICT, "exact %s length %lld", model->one_length ? "at" : "up to",
                 (long long)model->length);
    return code;
}

static int write_examined(const struct export_model *model, const char *path,
                          struct hf_model *source)
{
    char verdict[VERDICT];
    struct contents contents = {{NULL}, {0}};
    const struct hf_container *container = hf_choose(source);
    if (!container)
        return ERR_ARGUMENT;
    int code = judge(source, container, model->trainer, verdict);
    if (code == 0)
        code = make(source, container, model->trainer, verdict, &contents);
    if (code == 0)
        code = publish(model, path, &contents);
    for (int i = 0; i < FILES; i++)
        free(contents.text[i]);
    if (code == 0)
        snprintf(model->verdict, EXPORT_VERDICT, "%s, as %s of transformers %s", verdict,
                 container->architecture, hf_versions(source, container));
    return code;
}

static int write_model(const struct export_model *model, const char *path)
{
    struct trainer *trainer = model->trainer;
    struct model_graph graph;
    struct model_anatomy anatomy;
    struct hf_model source = {.config = &trainer->config,
                              .params = &trainer->params,
                              .dataset = &trainer->dataset,
                              .anatomy = &anatomy};
    source.length = model->length ? model->length : model_anatomy_length(&trainer->config);
    int code = check_folder(model, path);
    if (code == 0)
        code = model_check_length(&trainer->config, source.length);
    if (code == 0)
        code = examine(trainer, source.length, &graph, &anatomy);
    if (code < 0)
        return code;
    code = write_examined(model, path, &source);
    model_graph_release(&graph);
    model_anatomy_release(&anatomy);
    return code;
}

const struct export_format export_hf = {
    .name = "hf",
    .title = "folder for Hugging Face transformers, where it has the model",
    .write_model = write_model,
};
