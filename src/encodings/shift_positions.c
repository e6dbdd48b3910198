// Shifted positions (SHAPE): training moves all positions of a row by one random offset, so that an
// absolute encoding learns not to care where a row begins (Kiyono, Kobayashi, Suzuki, Inui 2021,
// arXiv 2109.05644).
//
// It encodes nothing itself: the encodings that follow it in the stack read its positions, as
// shift-positions+learned. The offset is new for each step and each row of the batch, uniform among
// those that leave all positions below max_length; evaluation starts at 0. What reads distances
// alone does not see an offset, so that a stack of such encodings is refused.
#include "../../autograd/base/err.h"
#include "pe.h"

struct settings {
    int64_t max_length;
};

static const struct option_def options[] = {
    {"max_length", OPTION_INT, offsetof(struct settings, max_length), "0", 0, 1 << 20, NULL,
     "positions stay below this (0: twice the training length)"},
    {0},
};

static int64_t range(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    return settings->max_length ? settings->max_length : 2 * context->train_length;
}

static int check(const struct pe_context *context)
{
    if (range(context) < context->train_length)
        return err_set(ERR_ARGUMENT,
                       "shift-positions: max_length %lld is shorter than --length %lld; raise it",
                       (long long)range(context), (long long)context->train_length);
    return 0;
}

static ag_t *positions(const struct pe_context *context)
{
    if (context->length > range(context))
        return ag_fail(context->graph, "shift-positions end at %lld, and length %lld was asked for",
                       (long long)range(context), (long long)context->length);
    return ag_sample_positions(context->graph, AG_SHIFTED_POSITIONS, context->batch,
                               context->length, range(context));
}

const struct pe_def pe_shift_positions = {
    .name = "shift-positions",
    .title = "positions moved by a random offset, for the encodings after it",
    .family = "positions",
    .formula = "i <- i + o, one o a row, uniform in 0..max_length-T; 0 in evaluation",
    .paper = "Kiyono, Kobayashi, Suzuki, Inui 2021, arXiv 2109.05644",
    .aliases = "shape|shifted-positions",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_NORM_PRESERVING | PE_IDENTITY_AT_ZERO | PE_SHIFT_INVARIANT | PE_SYMMETRIC,
    .check = check,
    .positions = positions,
    .position_range = range,
    .max_length = range,
    .shown_with = "learned",
};
