// Randomised positions: a row of T tokens stands at T positions drawn from 0..max_length-1, all
// different and in order, so that training meets the positions and distances of far longer rows
// (Ruoss, Deletang, Genewein, Grau-Moya, Csordas, Bennani, Legg, Veness 2023, arXiv 2305.16843).
//
// It encodes nothing itself: the encodings that follow it in the stack read its positions, as
// random-positions+rope. The draw is new for each step and each row of the batch, and the same for
// all layers and for any encoding; the released code draws once a batch and anew in each layer. As
// there, evaluation draws too, other numbers than training and the same for every model. Distances
// are those of the positions, with a sign, where the released code's relative tables have other
// rows (it looks signed distances up in a table without a negative side).
#include "../../autograd/base/err.h"
#include "pe.h"

struct settings {
    int64_t max_length;
};

static const struct option_def options[] = {
    {"max_length", OPTION_INT, offsetof(struct settings, max_length), "2048", 1, 1 << 20, NULL,
     "positions are drawn from this many; no row can be longer"},
    {0},
};

static int64_t range(const struct pe_context *context)
{
    const struct settings *settings = context->settings;
    return settings->max_length;
}

static int check(const struct pe_context *context)
{
    if (range(context) < context->train_length)
        return err_set(ERR_ARGUMENT,
                       "random-positions: %lld positions cannot be drawn from max_length %lld; "
                       "raise it",
                       (long long)context->train_length, (long long)range(context));
    return 0;
}

static ag_t *positions(const struct pe_context *context)
{
    if (context->length > range(context))
        return ag_fail(context->graph,
                       "random-positions end at %lld, and length %lld was asked for",
                       (long long)range(context), (long long)context->length);
    return ag_sample_positions(context->graph, AG_RANDOM_POSITIONS, context->batch, context->length,
                               range(context));
}

const struct pe_def pe_random_positions = {
    .name = "random-positions",
    .title = "positions drawn at random, for the encodings after it",
    .family = "positions",
    .formula = "i <- p_i, p_0 < p_1 < ... drawn from 0..max_length-1, in evaluation too",
    .paper = "Ruoss, Deletang, Genewein, Grau-Moya, Csordas, Bennani, Legg, Veness 2023, arXiv "
             "2305.16843",
    .aliases = "randomized-positions|randomised-positions",
    .options = options,
    .settings_size = sizeof(struct settings),
    .claims = PE_NORM_PRESERVING | PE_IDENTITY_AT_ZERO,
    .check = check,
    .positions = positions,
    .position_range = range,
    .max_length = range,
    .shown_with = "rope",
};
