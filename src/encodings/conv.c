// Positions from a convolution: y_i = x_i + bias + sum_k w_k x_{i + k - (K-1)/2}, channel by
// channel. What tells positions apart is the zero padding at the borders (Islam, Jia and Bruce
// 2020, arXiv 2001.08248); as an encoding of Transformers it is CPE, or PEG (Chu et al. 2021, arXiv
// 2102.10882).
//
// CPE stands after the first block (where=after1); here the default is the input, where other
// absolute encodings stand, and `each` puts one before every layer. A signal reaches (K-1)/2 tokens
// a convolution from each border, so that the middle of a long row stays unmarked; in a decoder the
// few marked tokens at its left end tell attention how many others there are, as a start token
// does. Circular padding has no border, and reflected padding of a constant is that constant: both
// leave constant rows constant. A decoder pads on the left only, y_i = ... x_{i + k - (K-1)};
// circular or reflected padding would show it the future there and is refused. Padding tokens of
// short rows are tokens like others to the convolution, as they are to CPE; with hidden=border they
// read as zero instead, so that a row gives the same with padding and without. Starts as Twins'
// PosCNN: N(0, sqrt(2 / fan_out)), fan_out the taps of one channel, bias 0, no decay.
#include <math.h>

#include "../../autograd/base/err.h"
#include "common/build.h"
#include "common/grid.h"

enum pad { ZERO, CIRCULAR, REFLECT };
enum where { INPUT, AFTER1, EACH };
enum hidden { TOKEN, BORDER };

struct settings {
    int64_t kernel, dims, grid_height;
    int pad, where, hidden;
};

static const struct option_def options[] = {
    {"kernel", OPTION_INT, offsetof(struct settings, kernel), "3", 1, 1023, NULL,
     "taps along each dimension, an odd number"},
    {"pad", OPTION_CHOICE, offsetof(struct settings, pad), "zero", 0, 0, "zero|circular|reflect",
     "what is read past the borders"},
    {"where", OPTION_CHOICE, offsetof(struct settings, where), "input", 0, 0, "input|after1|each",
     "at the input, after the first layer, or before each layer"},
    {"hidden", OPTION_CHOICE, offsetof(struct settings, hidden), "token", 0, 0, "token|border",
     "what padding and other hidden tokens are to the kernel: tokens like others, or the border, "
     "so "
     "that a row does not change with the padding behind it"},
    {"dims", OPTION_INT, offsetof(struct settings, dims), "1", 1, 2, NULL,
     "1: along the row; 2: on the grid that the row is"},
    PE_GRID_HEIGHT_OPTION(struct settings),
    {0},
};

static int check(const struct pe_context *context)
{
    const struct settings *s = context->settings;
    struct pe_grid grid;
    if (s->kernel % 2 == 0)
        return err_set(ERR_ARGUMENT, "conv: kernel %lld is even; take an odd one, with a middle",
                       (long long)s->kernel);
    if (s->hidden == BORDER && s->pad != ZERO)
        return err_set(ERR_ARGUMENT,
                       "conv: hidden=border reads zero where the row ends, and pad=%s something "
                       "else; take pad=zero, or hidden=token",
                       s->pad == CIRCULAR ? "circular" : "reflect");
    if (context->causal && s->pad != ZERO)
        return err_set(ERR_ARGUMENT, "conv: pad=%s would show a decoder the future; take pad=zero",
                       s->pad == CIRCULAR ? "circular" : "reflect");
    if (context->causal && s->dims == 2)
        return err_set(ERR_ARGUMENT, "conv: dims=2 would show a decoder the future; take dims=1, "
                                     "or --arch encoder");
    return s->dims == 2 ? pe_grid(context, s->grid_height, context->train_length, &grid) : 0;
}

// Where a tap at `i` reads a line of `n`: an index, or -1 for zero.
static int64_t inside(int64_t i, int64_t n, int pad)
{
    if (i >= 0 && i < n)
        return i;
    if (pad == ZERO)
        return -1;
    if (pad == CIRCULAR)
        return (i % n + n) % n;
    while (n > 1 && (i < 0 || i >= n))
        i = i < 0 ? -i : 2 * (n - 1) - i;
    return n > 1 ? i : 0;
}

static void fill_line(const struct pe_context *context, int32_t *index)
{
    const struct settings *s = context->settings;
    int64_t back = context->causal ? s->kernel - 1 : (s->kernel - 1) / 2;
    for (int64_t t = 0; t < context->length; t++)
        for (int64_t k = 0; k < s->kernel; k++)
            *index++ = (int32_t)inside(t + k - back, context->length, s->pad);
}

static void fill_grid(const struct pe_context *context, const struct pe_grid *grid, int32_t *index)
{
    const struct settings *s = context->settings;
    int64_t back = (s->kernel - 1) / 2;
    for (int64_t t = 0; t < context->length; t++) {
        for (int64_t k = 0; k < s->kernel * s->kernel; k++) {
            int64_t y = inside(t / grid->width + k / s->kernel - back, grid->height, s->pad);
            int64_t x = inside(t % grid->width + k % s->kernel - back, grid->width, s->pad);
            *index++ = (int32_t)(y < 0 || x < 0 ? -1 : y * grid->width + x);
        }
    }
}

static int64_t tap_count(const struct pe_context *context)
{
    const struct settings *s = context->settings;
    return s->dims == 2 ? s->kernel * s->kernel : s->kernel;
}

static ag_t *tap_index(const struct pe_context *context)
{
    const struct settings *s = context->settings;
    struct ag_graph *graph = context->graph;
    int64_t taps = tap_count(context);
    struct pe_grid grid;
    if (s->dims == 2 && pe_grid(context, s->grid_height, context->length, &grid) < 0)
        return ag_fail_last(graph);
    int32_t *index = arena_alloc(&graph->arena, (size_t)(context->length * taps) * sizeof *index);
    if (!index)
        return ag_fail_last(graph);
    if (s->dims == 2)
        fill_grid(context, &grid, index);
    else
        fill_line(context, index);
    return ag_constant_index(graph, ag_shape2(context->length, taps), index);
}

static ag_t *parameter(const struct pe_context *context, const char *name, struct ag_shape shape,
                       double std)
{
    const struct settings *s = context->settings;
    return s->where == EACH ? pe_of_layer(context, name, shape, 0, std)
                            : pe_shared(context, name, shape, 0, std);
}

// [taps, C], of the context's layer where each has one.
static ag_t *kernel(const struct pe_context *context)
{
    int64_t taps = tap_count(context);
    return parameter(context, "weight", ag_shape2(taps, context->dim), sqrt(2.0 / (double)taps));
}

static ag_t *bias(const struct pe_context *context)
{
    return parameter(context, "bias", ag_shape1(context->dim), 0);
}

static ag_t *convolve(const struct pe_context *context, ag_t *x)
{
    const struct settings *s = context->settings;
    struct ag_graph *graph = context->graph;
    if (context->position)
        return ag_fail(graph, "conv sees neighbours, not positions, and cannot be given any; leave "
                              "out the encoding that changes them");
    ag_t *y = ag_taps(graph, x, kernel(context), tap_index(context),
                      s->hidden == BORDER ? context->mask : NULL);
    return ag_add(graph, x, ag_add(graph, y, bias(context)));
}

static ag_t *input(const struct pe_context *context, ag_t *x)
{
    const struct settings *s = context->settings;
    return s->where == INPUT ? convolve(context, x) : x;
}

static ag_t *layer_input(const struct pe_context *context, ag_t *x)
{
    const struct settings *s = context->settings;
    return s->where == EACH ? convolve(context, x) : x;
}

static ag_t *layer_output(const struct pe_context *context, ag_t *x)
{
    const struct settings *s = context->settings;
    return s->where == AFTER1 && context->layer == 0 ? convolve(context, x) : x;
}

static unsigned claims_with(const void *settings)
{
    const struct settings *s = settings;
    return PE_EXTRAPOLATES | PE_IDENTITY_AT_ZERO | PE_MIXES_NEIGHBOURS |
           (s->pad == ZERO       ? PE_MARKS_BORDERS
            : s->pad == CIRCULAR ? PE_SHIFT_INVARIANT
                                 : 0) |
           (s->hidden == BORDER ? PE_SHIFT_INVARIANT : 0); // borders move with the row
}

// [taps, C], or of a grid [taps down, taps across, C].
static ag_t *shaped_kernel(const struct pe_context *context)
{
    const struct settings *s = context->settings;
    ag_t *taps = kernel(context);
    return s->dims == 1
               ? taps
               : ag_reshape(context->graph, taps, ag_shape3(s->kernel, s->kernel, context->dim));
}

// A tap's coordinate is the offset of what it reads, key minus query as offsets are elsewhere.
static void tables(const struct pe_context *context, struct pe_tables *tables)
{
    const struct settings *s = context->settings;
    int64_t first = context->causal ? 1 - s->kernel : -(s->kernel - 1) / 2;
    bool each = s->where == EACH;
    struct pe_table table = {.name = "kernel",
                             .tensor = each ? pe_all_layers(context, shaped_kernel)
                                            : shaped_kernel(context),
                             .shared_layers = !each,
                             .trained_rows = s->kernel};
    int axes = 0;
    if (each)
        table.axis[axes++] = "layer";
    for (int64_t d = 0; d < s->dims; d++) {
        table.first[axes] = first;
        table.axis[axes++] = s->dims == 1 ? "tap" : d == 0 ? "row_tap" : "column_tap";
    }
    table.axis[axes] = "channel";
    pe_export_table(tables, table);
    pe_export(tables, .name = "kernel_bias",
              .axis = {each ? "layer" : "channel", each ? "channel" : NULL},
              .tensor = each ? pe_all_layers(context, bias) : bias(context), .shared_layers = !each,
              .trained_rows = context->dim);
}

const struct pe_def pe_conv = {
    .name = "conv",
    .title = "positions from the zero padding of a convolution",
    .family = "absolute",
    .formula = "x_i <- x_i + b + sum over k of w_k x_{i+k-(K-1)/2}, zero past the borders",
    .paper = "Islam, Jia, Bruce 2020, arXiv 2001.08248; Chu, Tian, Zhang, Wang, Shen 2021, arXiv "
             "2102.10882",
    .aliases = "cpe|peg|convolution",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_EXTRAPOLATES | PE_IDENTITY_AT_ZERO | PE_MIXES_NEIGHBOURS | PE_MARKS_BORDERS,
    .claims_with = claims_with,
    .check = check,
    .input = input,
    .layer_input = layer_input,
    .layer_output = layer_output,
    .tables = tables,
};
