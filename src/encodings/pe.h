// A position encoding: one file, one const struct pe_def, one row in list.h.
//
// An encoding is a graph builder. Its hooks are called while the model is captured; they get
// tensors, make parameters and tables with ops, and give tensors back. It writes no backward. The
// model never asks which encoding it has, only whether a slot is filled. Encodings stack: `--pe
// rope+urpe` runs the hooks of each in the order given.
//
// Where each family of the survey and after goes:
//   positions         random-positions, shift-positions: what context->position of all others is
//   input             learned, hierarchical, sinusoidal, rnn, recursive, multiplicative, complex,
//                     conv at the input, learned2d, sinusoidal2d, abacus (reads context->tokens)
//   layer_input       conv in each layer
//   layer_output      conv after the first layer
//   query_input       deberta-emd: the last layer's queries see absolute positions, keys do not
//   output            complex: what the head reads is made of the real and the imaginary stream
//   attention         rope, xpos, pope, path (q, k, v replaced); shaw, transformer-xl, deberta
//                     (relative tables); t5, alibi, kerple, fire, tupe (bias); urpe (factor);
//                     logn (scale); floater's q, k, v biases
//   attention_output  rotations taken back from the output (values rotated too)
//   kernel            in place of the attention op: cope, dape, path, complex scores
//
// What is done past the positions that training met is no encoding but a way to use one: enum
// pe_extension.
#ifndef POSGRAD_PE_H
#define POSGRAD_PE_H

#include "../../autograd/ag_ops.h"
#include "../../autograd/base/options.h"

#define PE_MAX_STACK 8
#define PE_MEMOS 2

enum pe_claims {
    PE_SHIFT_INVARIANT = 1, // logits do not change when the whole sequence moves
    PE_NORM_PRESERVING = 2, // queries and keys keep their norms
    PE_SYMMETRIC = 4,       // position i and T-1-i are treated alike
    PE_CAUSAL_ONLY = 8,     // has no meaning in an encoder
    PE_EXTRAPOLATES = 16,   // defined past the training length
    PE_PROBE_ENCODER = 32,  // solves the probe with plain softmax and no special token, encoder
    PE_PROBE_DECODER = 64,  // the same, decoder
    // With its parameters at the mean of their starts - tables at zero, factors at one - it equals
    // `none`.
    PE_IDENTITY_AT_ZERO = 128,
    PE_NEEDS_LOGITS = 256,       // adds to logits or weights, which linear attention has not
    PE_POSITION_IN_LOGITS = 512, // logits of equal tokens depend on where they stand
    PE_MIXES_NEIGHBOURS = 2048,  // what is unlike the rest changes those around it, and no others
    PE_MARKS_BORDERS = 1024,     // equal tokens near the row's ends become unequal, and no others
};

// What an encoding knows of places. One that reads nothing is not changed by positions that another
// gives, nor by a way to stretch them.
enum pe_reads {
    PE_READS_NOTHING,
    PE_READS_POSITIONS, // of each token: context->position, through pe_rows
    PE_READS_OFFSETS,   // of pairs, through pe_relative; where it reads positions too, these
};

// Ways past the positions that training met, of a model that is trained already (`posgrad eval
// --extend`). With N positions met and a row of L > N tokens:
enum pe_extension {
    PE_EXTEND_NONE,
    PE_EXTEND_CLIP, // position min(i, N - 1); of offsets, those of N - 1 for all beyond
    PE_EXTEND_WRAP, // position i mod N
    // Position i (N - 1) / (L - 1), between two rows of a table their mean by distance (Chen et al.
    // 2023, arXiv 2306.15595, for rotations).
    PE_EXTEND_INTERPOLATE,
    PE_EXTEND_HIERARCHICAL, // N rows make N^2 positions (Su 2020, article 7947), with a = 0.4
    PE_EXTEND_NTK,          // rotary base times (L / N)^(r / (r - 2)) (bloc97 2023)
    PE_EXTEND_YARN,         // slow rotations interpolated (Peng et al. 2023, arXiv 2309.00071)
    PE_EXTEND_LOGN, // logits times max(1, log n / log N) of n keys (Su 2021, article 8823), any
    PE_EXTENSIONS
};
// "none", "clip", ... as --extend takes them.
extern const char *const pe_extension_name[PE_EXTENSIONS];
// Bits of pe_def's `extends`.
#define PE_EXTENDS(way) (1u << (way))
#define PE_EXTENDS_OFFSETS (PE_EXTENDS(PE_EXTEND_CLIP) | PE_EXTENDS(PE_EXTEND_INTERPOLATE))
#define PE_EXTENDS_POSITIONS (PE_EXTENDS_OFFSETS | PE_EXTENDS(PE_EXTEND_WRAP))
#define PE_EXTENDS_TABLE (PE_EXTENDS_POSITIONS | PE_EXTENDS(PE_EXTEND_HIERARCHICAL))
#define PE_EXTENDS_ROTARY                                                                          \
    (PE_EXTENDS(PE_EXTEND_INTERPOLATE) | PE_EXTENDS(PE_EXTEND_NTK) | PE_EXTENDS(PE_EXTEND_YARN))

// What every hook may know. The model fills it; hooks only write through what they are given.
struct pe_context {
    struct ag_graph *graph;
    int64_t batch, length; // B, T of this graph
    int64_t train_length;  // --length
    // Training meets positions below this, and tables are as long: the training length, or what an
    // encoding of the stack draws positions from.
    int64_t position_count;
    // What this encoding does past position_count: PE_EXTEND_NONE within it, and where it has no
    // meaning for the encoding.
    enum pe_extension extension;
    int64_t dim, heads, head_dim, layers, vocab;
    bool causal;
    enum ag_normaliser attention;    // --attention
    int64_t grid_height, grid_width; // of the task, row-major; 0 where it has no grid
    int64_t layer;                   // -1 outside of layers
    ag_t *tokens;                    // index [B, T]
    ag_t *position;                  // index [T] or [B, T], below position_count; NULL: 0..T-1
    ag_t **memo;          // [PE_MEMOS]: places for what is built once for all layers; NULL at first
    const void *settings; // the encoding's own struct
    const char *name;     // the encoding's canonical name
    double scale;         // from products of queries and keys to logits; 0 until layers are built
    ag_t *mask;           // index [B, T]: 0 for padding behind a short row
};

// What the attention of one layer is about to compute; hooks replace and fill.
struct pe_attention {
    ag_t *query_stream; // [B, T, C] what queries were projected from (after the layer's LN)
    // [B, T, C] as projected (and, in linear attention, made positive): what relative tables are
    // read with, and linear attention's denominator. Hooks leave them alone and turn op.query and
    // op.key.
    ag_t *query, *key;
    // What turned op.query and op.key, or was added to op.query alone; one encoding of a stack may.
    ag_t *turn;
    struct ag_attention op;
    // Set by a hook to compute the output [B, T, C] in place of ag_attention.
    ag_t *(*kernel)(const struct pe_context *context, struct pe_attention *attention);
};

// Tables for export: what was learned and what it means, ready to use.
struct pe_table {
    const char *name;          // "position_table"
    const char *encoding;      // "learned"; filled by the model
    const char *axis[4];       // "position", "channel"
    ag_t *tensor;              // kept; its shape has as many dimensions as there are axes
    const char *distance_sign; // "key-query" for axes named "offset", else NULL
    const char *unit;          // of its numbers: "logits", "radians"; NULL: they have none
    const char *layout;        // of rotations: which channels are a pair, "pair" or "half"
    int64_t first[4];          // coordinate of each axis's first element; offsets need none
    double scale; // of one that is a part of logits: from products of queries and keys to them
    bool shared_layers;
    // What training could reach along the first axis that is no layer or head: positions or rows
    // below this, offsets nearer than this. The rest still has its start.
    int64_t trained_rows;
};
#define PE_MAX_TABLES 64
struct pe_tables {
    struct pe_table table[PE_MAX_TABLES];
    int count;
    // Asked for: of positions those of rows of context->length tokens, in place of all that were
    // trained. Past the training it always is.
    bool exact;
};

struct pe_def {
    const char *name, *title, *family; // family: "absolute", "relative", "rotary", "grid", ...
    const char *formula;
    const char *paper;                // authors, year, arXiv number
    const char *aliases;              // "nope|no-pe", NULL for none
    const struct option_def *options; // --pe-opt KEY=VALUE
    size_t settings_size;
    unsigned claims;
    // The claims under these settings, where they depend on them; NULL: always `claims`.
    unsigned (*claims_with)(const void *settings);
    // Refuses what has no meaning (odd dim, an encoder): ERR_ARGUMENT with the reason.
    int (*check)(const struct pe_context *context);
    // Adds to or replaces the input [B, T, C].
    ag_t *(*input)(const struct pe_context *context, ag_t *x);
    // Before each layer, [B, T, C].
    ag_t *(*layer_input)(const struct pe_context *context, ag_t *x);
    // After each layer, [B, T, C].
    ag_t *(*layer_output)(const struct pe_context *context, ag_t *x);
    // What a layer's queries are projected from and its output is added to, where that is not the
    // stream x [B, T, C] that its keys and values come from.
    ag_t *(*query_input)(const struct pe_context *context, ag_t *x);
    void (*attention)(const struct pe_context *context, struct pe_attention *attention);
    ag_t *(*attention_output)(const struct pe_context *context, ag_t *output);
    // After the last layer: whatever the stream has become, back to [B, T, C].
    ag_t *(*output)(const struct pe_context *context, ag_t *x);
    // The positions of the graph's tokens, index [B, T]; all of these hooks run before all others.
    ag_t *(*positions)(const struct pe_context *context);
    // What `positions` stay below: what position_count will be.
    int64_t (*position_range)(const struct pe_context *context);
    void (*tables)(const struct pe_context *context, struct pe_tables *tables);
    // How many positions the encoding is defined for; NULL means any.
    int64_t (*max_length)(const struct pe_context *context);
    // The parameter pe.ENCODING.SUFFIX [positions, C] whose row i is of position i; NULL where
    // there is none. A table of another model can take its place, and be cut or stretched
    // (--init-from).
    const char *position_table;
    // Of one that gives positions: an encoding that reads them, for examples.
    const char *shown_with;
    enum pe_reads reads;
    unsigned extends; // PE_EXTENDS bits: which ways past the training length have a meaning for it
    // Offsets from here on share an entry; NULL or 0: none do.
    int64_t (*clips_at)(const struct pe_context *context);
};

extern const struct pe_def *const pe_list[];
extern const int pe_count;
// By name or alias; NULL, and err_set with the nearest name.
const struct pe_def *pe_find(const char *name);

// The stack that what walks the list takes for `def`: its name, and, of one that gives positions,
// what it is shown with.
void pe_smallest_stack(const struct pe_def *def, char text[128]);
// Whether positions that `sampler` gives can change what `def` does. Moving all of a row alike
// changes nothing that only reads offsets.
bool pe_reads_from(const struct pe_def *def, unsigned claims, const struct pe_def *sampler);

// An ordered stack, parsed from "a+b".
struct pe_stack {
    int count;
    const struct pe_def *def[PE_MAX_STACK];
    void *settings[PE_MAX_STACK];
};
// `pairs` are "KEY=VALUE" texts, each for the encodings of the stack that have the key, or
// "ENCODING.KEY=VALUE" for one of them; a key that none has is an error, and so is a name twice.
int pe_stack_init(struct pe_stack *stack, const char *text, int pair_count,
                  const char *const *pairs);
void pe_stack_release(struct pe_stack *stack);

#endif
