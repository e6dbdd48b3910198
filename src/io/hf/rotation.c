// Rotations as transformers has them: halves of a head's channels, frequencies by a base.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../autograd/base/err.h"
#include "hf.h"

// Places of the table that a base must make: enough to tell any two bases apart.
enum { PLACES = 4096, DIGITS = 15 };
#define TURN (2 * 3.14159265358979323846)

int64_t hf_rotation_pairs(const struct hf_model *model)
{
    const ag_t *cosine = model->anatomy->layer[0].cosine;
    return cosine->shape.size[cosine->shape.dims - 1];
}

int64_t hf_turned_row(const struct hf_model *model, int64_t row)
{
    const struct model_config *config = model->config;
    int64_t head_dim = config->dim / config->heads, pairs = hf_rotation_pairs(model);
    int64_t head = row / head_dim, channel = row % head_dim;
    if (model->anatomy->layer[0].layout == AG_PAIR && channel < 2 * pairs)
        channel = channel < pairs ? 2 * channel : 2 * (channel - pairs) + 1;
    return head * head_dim + channel;
}

// Entries of a table from one row of the first layer to the next; each head's pairs are together.
static int64_t stride(const ag_t *table)
{
    return table->count / table->shape.size[0];
}

// Whether every head of every layer turns as the first of the first layer.
static bool is_shared(const struct hf_model *model)
{
    const struct model_anatomy_layer *layer = model->anatomy->layer;
    int64_t pairs = hf_rotation_pairs(model), heads = stride(layer->cosine) / pairs;
    size_t row = (size_t)pairs * sizeof(real);
    for (int64_t l = 0; l < model->config->layers; l++) {
        if (!layer[l].cosine || layer[l].cosine->count != layer->cosine->count)
            return false;
        for (int64_t i = 0; i < layer->cosine->shape.size[0] * heads; i++) {
            const real *first = layer->cosine->data + i / heads * stride(layer->cosine);
            const real *other = layer->sine->data + i / heads * stride(layer->sine);
            if (memcmp(layer[l].cosine->data + i * pairs, first, row) != 0 ||
                memcmp(layer[l].sine->data + i * pairs, other, row) != 0)
                return false;
        }
    }
    return true;
}

// The angle of a pair at a position, less whole turns.
static double table_angle(const struct hf_model *model, int64_t position, int64_t pair)
{
    const struct model_anatomy_layer *layer = model->anatomy->layer;
    return atan2((double)layer->sine->data[position * stride(layer->sine) + pair],
                 (double)layer->cosine->data[position * stride(layer->cosine) + pair]);
}

// What the tables have for pair c: from position 1, where no angle is past half a turn, and then
// from twice as far each time, which halves the error.
static double table_frequency(const struct hf_model *model, int64_t pair)
{
    int64_t positions = model->anatomy->layer->cosine->shape.size[0];
    double frequency = table_angle(model, 1, pair);
    for (int64_t i = 2; i < positions; i *= 2) {
        double apart = table_angle(model, i, pair) - frequency * (double)i;
        frequency += remainder(apart, TURN) / (double)i;
    }
    return frequency;
}

double hf_frequency(const struct hf_model *model, int64_t pair)
{
    if (!(model->base > 0))
        return table_frequency(model, pair);
    return pow(model->base, -(double)pair / (double)hf_rotation_pairs(model));
}

// Whether model->base, or without one the frequencies of position 1, make the whole table.
static bool is_table(const struct hf_model *model)
{
    const struct model_anatomy_layer *layer = model->anatomy->layer;
    int64_t pairs = hf_rotation_pairs(model), step = stride(layer->cosine);
    for (int64_t c = 0; c < pairs; c++) {
        double frequency = hf_frequency(model, c), error = frequency - table_frequency(model, c);
        if (!(fabs(error) <= 1e-6 * fabs(frequency)))
            return false;
        for (int64_t i = 0; i < layer->cosine->shape.size[0] && i < PLACES; i++) {
            double angle = (double)i * frequency, tolerance = 1e-6 + 1e-7 * fabs(angle);
            if (!(fabs(cos(angle) - (double)layer->cosine->data[i * step + c]) <= tolerance) ||
                !(fabs(sin(angle) - (double)layer->sine->data[i * step + c]) <= tolerance))
                return false;
        }
    }
    return true;
}

int hf_rotation_check(struct hf_model *model)
{
    const char *name = model->anatomy->rotation_by;
    int64_t pairs = hf_rotation_pairs(model);
    if (model->length < 2)
        return err_set(ERR_ARGUMENT,
                       "no rotation is seen in rows of one token; give --length 2, or "
                       "more");
    if (!is_shared(model))
        return err_set(ERR_ARGUMENT,
                       "%s turns each layer or head by frequencies of its own, and transformers "
                       "has one list of them; take --format onnx, or --what tables",
                       name);
    // The shortest number that makes these tables is the one that was asked for.
    double base = 10000;
    if (pairs > 1)
        base = pow(table_frequency(model, pairs - 1), -(double)pairs / (double)(pairs - 1));
    for (int digits = 1; digits <= DIGITS; digits++) {
        char text[32];
        snprintf(text, sizeof text, "%.*g", digits, base);
        model->base = strtod(text, NULL);
        if (model->base > 0 && is_table(model))
            return 0;
    }
    model->base = 0;
    if (is_table(model))
        return 0;
    return err_set(
        ERR_ARGUMENT,
        "%s turns by angles that are not the position times a frequency, which is all that "
        "transformers computes; take --format onnx, or --what tables",
        name);
}
