// Containers: architectures of Hugging Face transformers that compute what a model of ours does.
//
// A container is one file, one const struct hf_container, one row in list.h. It has the plain block
// (pre-LN, biases, erf GELU), and of what encodings do (struct model_anatomy) one thing at most: a
// table of positions, a rotation, a table of keys, or a bias. It gives configuration and tensors
// under the names that transformers reads; folder, tokenizer and reference are the same for all.
#ifndef POSGRAD_HF_H
#define POSGRAD_HF_H

#include <jansson.h>

#include "../../../autograd/base/arena.h"
#include "../../../datasets/dataset.h"
#include "../../model/model_anatomy.h"
#include "../export.h"

// What is exported.
struct hf_model {
    const struct model_config *config;
    const struct ag_params *params;
    const struct dataset *dataset;       // of the names of tokens
    const struct model_anatomy *anatomy; // with its numbers, for rows of `length`
    int64_t length;                      // longest rows that are meant,
    bool one_length;                     // or, of a grid, the only ones
    double base; // of a rotation, as hf_rotation_check found it; 0: its frequencies have none
};

// Bits of what a container has beside the block.
enum { HF_POSITIONS = 1, HF_ROTATION = 2, HF_KEYS = 4, HF_BIAS = 8 };

struct hf_tensors {
    struct arena arena; // of names and numbers
    struct export_array *array;
    int count, capacity;
    int error; // the first
};

struct hf_container {
    const char *model_type, *architecture; // "gpt2", "GPT2LMHeadModel"
    const char *model_class;               // "AutoModelForCausalLM"
    const char *versions;                  // of transformers, as pip has them
    const char *keys_versions;             // those that have the table of keys,
    const char *frequencies_versions;      // and those that have frequencies without a base
    bool causal;
    bool is_classifier;       // its head has a bias and names of classes
    bool any_length;          // it computes positions and has no table that ends
    unsigned has;             // HF_ bits; one of them at a time
    const char *norm_epsilon; // its key in the configuration
    // What else must hold; refuses with the part that differs. NULL: nothing.
    int (*check)(struct hf_model *model);
    // Sets the keys of its own; failures show in json_memory_failures.
    void (*configure)(const struct hf_model *model, json_t *config);
    void (*tensors)(const struct hf_model *model, struct hf_tensors *out);
};

extern const struct hf_container *const hf_list[];
extern const int hf_count;

// The container for what encodings do here, with its check passed; NULL, and err_set with the part
// that differs and the nearest thing that works.
const struct hf_container *hf_choose(struct hf_model *model);

// Of transformers that read the folder.
const char *hf_versions(const struct hf_model *model, const struct hf_container *container);

// --- for containers

// A tensor of zeros, to be filled; `columns` 0: of one dimension. NULL once something failed.
float *hf_add(struct hf_tensors *out, const char *name, int64_t rows, int64_t columns);
void hf_tensors_release(struct hf_tensors *out);
// The parameter `ours` under the name `theirs`.
void hf_copy(const struct hf_model *model, struct hf_tensors *out, const char *theirs,
             const char *ours);
// The numbers of one of our parameters.
const real *hf_parameter(const struct hf_model *model, const char *ours);

// What a linear layer or a norm is called: its weight and its bias.
struct hf_name {
    const char *theirs, *ours; // without the layer, "attn.c_proj"
    bool transposed;           // their weight is [in, out]
    bool turned; // rows are of queries or keys that a rotation turns, half by half in theirs
};
// Those of all layers, whose names begin with `prefix` and the number.
void hf_copy_layers(const struct hf_model *model, struct hf_tensors *out, const char *prefix,
                    int count, const struct hf_name *name);
// The same of what is in no layer.
void hf_copy_pair(const struct hf_model *model, struct hf_tensors *out, const char *theirs,
                  const char *ours);
// The three projections of attention of each layer as one, its weight [3 C, C] and its bias: all
// queries, all keys, all values, or head after head of these; turned where a rotation is.
struct hf_fused {
    const char *theirs;
    bool transposed, by_head; // their weight is [C, 3 C]
};
void hf_copy_fused(const struct hf_model *model, struct hf_tensors *out, const char *prefix,
                   const struct hf_fused *fused);
// The table of positions, [max, C] with zeros below our rows; all zeros where there is none.
void hf_copy_positions(const struct hf_model *model, struct hf_tensors *out, const char *theirs,
                       int64_t max);

// The head of a classifier of tokens: ours, and a bias of zeros.
void hf_copy_classifier(const struct hf_model *model, struct hf_tensors *out);
// The sizes of the model under the names that most architectures have.
void hf_put_sizes(const struct hf_model *model, json_t *config, int64_t positions);

// Our row of theirs, of queries or keys: theirs are in halves, channel c with c + P.
int64_t hf_turned_row(const struct hf_model *model, int64_t row);
// Pairs of channels of a head that turn.
int64_t hf_rotation_pairs(const struct hf_model *model);
// Frequency of a pair: base^(-pair / pairs), or what the table has.
double hf_frequency(const struct hf_model *model, int64_t pair);
// Refuses a rotation that is not by one list of frequencies in all layers and heads; sets
// model->base.
int hf_rotation_check(struct hf_model *model);

// --- files of the folder, malloc'ed texts; NULL, and err_set
char *hf_config(const struct hf_model *model, const struct hf_container *container);
char *hf_tokenizer(const struct hf_model *model);
char *hf_tokenizer_config(const struct hf_model *model);
// Rows of tokens, and what the trainer's model makes of them.
struct trainer;
char *hf_reference(const struct hf_model *model, const struct hf_container *container,
                   struct trainer *trainer, const char *verdict);
// The text of `root`, which it takes over, on one line or on many, with a line feed at its end;
// NULL where memory was short since `failures` was read.
char *hf_text(json_t *root, bool compact, unsigned long failures);

#endif
