// The list of optimizers, their state, and an update that is cut into fixed pieces.
//
// Pieces cut the slab, not the parameters: a step over a thousand small parameters is as parallel
// as one over a single matrix. Within a piece every parameter is one range, for decay and freezing
// are its own.
#include "optim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../autograd/base/err.h"
#include "../autograd/base/par.h"

// Items a piece at least: a few microseconds of work, more than a thread costs to wake.
enum { GRAIN = 1 << 13 };

#define OPTIMIZER(name) extern const struct optimizer_def optimizer_##name;
#include "optimizers/list.h"
#undef OPTIMIZER

#define OPTIMIZER(name) &optimizer_##name,
const struct optimizer_def *const optimizer_list[] = {
#include "optimizers/list.h"
};
#undef OPTIMIZER
const int optimizer_count = (int)(sizeof optimizer_list / sizeof optimizer_list[0]);

const struct optimizer_def *optimizer_find(const char *name)
{
    const char *names[sizeof optimizer_list / sizeof optimizer_list[0]];
    for (int i = 0; i < optimizer_count; i++)
        names[i] = optimizer_list[i]->name;
    int found = name_index(names, optimizer_count, name);
    if (found >= 0)
        return optimizer_list[found];
    const char *near = name_nearest(names, optimizer_count, name);
    if (near)
        err_set(ERR_ARGUMENT, "no optimizer is called '%s'; did you mean '%s'?", name, near);
    else
        err_set(ERR_ARGUMENT, "no optimizer is called '%s'; 'posgrad list optimizers' shows all",
                name);
    return NULL;
}

// --- state

static int read_settings(struct optimizer *optimizer, int pair_count, const char *const *pairs)
{
    const struct optimizer_def *def = optimizer->def;
    optimizer->settings = calloc(1, def->settings_size + 1);
    if (!optimizer->settings)
        return err_set(ERR_MEMORY, "out of memory for the settings of %s", def->name);
    options_defaults(def->options, optimizer->settings);
    char what[96] = "--optimizer-opt of ";
    strncat(what, def->name, 64);
    for (int i = 0; i < pair_count; i++) {
        int code = options_set_pair(def->options, optimizer->settings, what, pairs[i]);
        if (code < 0)
            return code;
    }
    return 0;
}

static int make_state(struct optimizer *optimizer)
{
    size_t count = optimizer->params->count > 0 ? (size_t)optimizer->params->count : 1;
    for (int i = 0; i < optimizer->def->states; i++) {
        optimizer->state[i] = aligned_zeroed(count, sizeof(real));
        if (!optimizer->state[i])
            return ERR_MEMORY;
    }
    int64_t pieces = par_pieces(optimizer->params->count, GRAIN);
    optimizer->partial = aligned_zeroed(pieces > 0 ? (size_t)pieces : 1, sizeof(double));
    return optimizer->partial ? 0 : ERR_MEMORY;
}

int optimizer_init(struct optimizer *optimizer, const char *name, struct ag_params *params,
                   int pair_count, const char *const *pairs)
{
    memset(optimizer, 0, sizeof *optimizer);
    const struct optimizer_def *def = optimizer_find(name);
    if (!def)
        return ERR_ARGUMENT;
    BUG_ON(!params->value);
    BUG_ON(def->states > OPTIMIZER_MAX_STATES);
    optimizer->def = def;
    optimizer->params = params;
    int code = read_settings(optimizer, pair_count, pairs);
    if (code == 0)
        code = make_state(optimizer);
    if (code < 0)
        optimizer_release(optimizer);
    return code;
}

void optimizer_release(struct optimizer *optimizer)
{
    for (int i = 0; i < OPTIMIZER_MAX_STATES; i++)
        free(optimizer->state[i]);
    free(optimizer->partial);
    free(optimizer->settings);
    memset(optimizer, 0, sizeof *optimizer);
}

// --- pieces

// The first row that ends after `place`; rows are in the order of their offsets.
static int first_row(const struct ag_params *params, int64_t place)
{
    int low = 0, high = params->rows;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (params->row[middle].offset + params->row[middle].count > place)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

// The part of `row` within [begin, end) of the slab: its start, and its length in `count` (0:
// none).
static int64_t row_part(const struct ag_parameter *row, int64_t begin, int64_t end, int64_t *count)
{
    int64_t low = row->offset > begin ? row->offset : begin;
    int64_t high = row->offset + row->count < end ? row->offset + row->count : end;
    *count = high > low && !row->frozen ? high - low : 0;
    return low;
}

// Sum of squares in double, in eight lanes: the same order on every machine, and fit for vectors.
static double square_sum(const real *x, int64_t count)
{
    enum { LANES = 8 };
    double lane[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int j = 0; j < LANES; j++)
            lane[j] += (double)x[i + j] * (double)x[i + j];
    for (int j = 0; i < count; i++, j++)
        lane[j] += (double)x[i] * (double)x[i];
    double sum = 0;
    for (int j = 0; j < LANES; j++)
        sum += lane[j];
    return sum;
}

struct norm_work {
    const struct ag_params *params;
    double *partial;
    int64_t pieces;
};

static void norm_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct norm_work *work = context;
    const struct ag_params *params = work->params;
    int64_t begin = par_begin(params->count, work->pieces, piece);
    int64_t end = par_begin(params->count, work->pieces, piece + 1);
    double sum = 0;
    for (int i = first_row(params, begin); i < params->rows && params->row[i].offset < end; i++) {
        int64_t count;
        int64_t at = row_part(&params->row[i], begin, end, &count);
        sum += square_sum(params->grad + at, count);
    }
    work->partial[piece] = sum;
}

double optimizer_grad_norm(struct optimizer *optimizer)
{
    struct norm_work work = {.params = optimizer->params,
                             .partial = optimizer->partial,
                             .pieces = par_pieces(optimizer->params->count, GRAIN)};
    par_run(work.pieces, norm_piece, &work);
    double sum = 0;
    for (int64_t i = 0; i < work.pieces; i++)
        sum += work.partial[i];
    return sqrt(sum);
}

struct update_work {
    const struct optimizer *optimizer;
    struct optimizer_step step;
    int64_t pieces;
};

static void update_piece(void *context, int64_t piece, int thread)
{
    (void)thread;
    const struct update_work *work = context;
    const struct optimizer *optimizer = work->optimizer;
    const struct ag_params *params = optimizer->params;
    int64_t begin = par_begin(params->count, work->pieces, piece);
    int64_t end = par_begin(params->count, work->pieces, piece + 1);
    for (int i = first_row(params, begin); i < params->rows && params->row[i].offset < end; i++) {
        int64_t count;
        int64_t at = row_part(&params->row[i], begin, end, &count);
        if (count == 0)
            continue;
        real *state[OPTIMIZER_MAX_STATES] = {0};
        for (int k = 0; k < optimizer->def->states; k++)
            state[k] = optimizer->state[k] + at;
        optimizer->def->update(optimizer->settings, &work->step, params->row[i].decay == AG_DECAY,
                               count, params->value + at, params->grad + at, state);
    }
}

void optimizer_update(struct optimizer *optimizer, int64_t step, double lr, double weight_decay,
                      double norm, double clip)
{
    struct update_work work = {
        .optimizer = optimizer,
        .step = {.step = step, .lr = lr, .weight_decay = weight_decay, .scale = 1},
        .pieces = par_pieces(optimizer->params->count, GRAIN),
    };
    BUG_ON(step < 1);
    if (clip > 0 && norm > clip)
        work.step.scale = clip / norm;
    par_run(work.pieces, update_piece, &work);
}
