// Parameters by name: one slab of values and one of gradients, shared by the graphs of all lengths.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ag.h"
#include "base/err.h"
#include "base/options.h"
#include "kernels/product.h"
#include "base/rng.h"

// Each parameter starts on a 64-byte boundary, so that no vector loop straddles two of them.
enum { PARAMS_ALIGN = 16 };

void ag_params_init(struct ag_params *params)
{
    memset(params, 0, sizeof *params);
}

void ag_params_release(struct ag_params *params)
{
    free(params->row);
    free(params->value);
    free(params->grad);
    ag_params_init(params);
}

int ag_params_find(const struct ag_params *params, const char *name)
{
    for (int i = 0; i < params->rows; i++)
        if (strcmp(params->row[i].name, name) == 0)
            return i;
    return -1;
}

const char *ag_params_nearest(const struct ag_params *params, const char *name)
{
    const char **names = calloc((size_t)params->rows + 1, sizeof *names), *near = NULL;
    for (int i = 0; names && i < params->rows; i++)
        names[i] = params->row[i].name;
    if (names)
        near = name_nearest(names, params->rows, name);
    free(names);
    return near;
}

// Gram and Schmidt on rows of normal draws, twice, as once leaves rounding of the order of the
// condition number. In double, so that both builds start from the same rotation.
static int draw_orthogonal(int64_t n, double gain, struct rng *rng, real *value)
{
    double *row = calloc((size_t)n, (size_t)n * sizeof *row);
    if (!row)
        return err_set(ERR_MEMORY, "out of memory for an orthogonal start of %lld rows",
                       (long long)n);
    for (int64_t i = 0; i < n; i++) {
        double *x = row + i * n, norm = 0;
        for (int64_t k = 0; k < n; k++)
            x[k] = rng_normal(rng);
        for (int64_t pass = 0; pass < 2 * i; pass++) {
            const double *y = row + pass % i * n;
            double dot = 0;
            for (int64_t k = 0; k < n; k++)
                dot += x[k] * y[k];
            for (int64_t k = 0; k < n; k++)
                x[k] -= dot * y[k];
        }
        for (int64_t k = 0; k < n; k++)
            norm += x[k] * x[k];
        for (int64_t k = 0; k < n; k++)
            x[k] /= sqrt(norm);
    }
    for (int64_t i = 0; i < n * n; i++)
        value[i] = (real)(gain * row[i]);
    free(row);
    return 0;
}

static void put_frequencies(const struct ag_parameter *row, real *value)
{
    int64_t width = row->shape.size[row->shape.dims - 1];
    for (int64_t i = 0; i < row->count; i++)
        value[i] = (real)pow(row->init.spread, -2.0 * (double)(i % width / 2) / (double)width);
}

static int draw_start(const struct ag_parameter *row, real *value, uint64_t seed)
{
    char stream[AG_NAME_SIZE + 8] = "init/";
    strcat(stream, row->name);
    struct rng rng;
    rng_init(&rng, rng_stream(seed, stream), 0, 0);
    const struct ag_init *init = &row->init;
    if (init->kind == AG_INIT_ORTHOGONAL)
        return draw_orthogonal(row->shape.size[0], init->spread, &rng, value);
    if (init->kind == AG_INIT_FREQUENCIES) {
        put_frequencies(row, value);
        return 0;
    }
    for (int64_t i = 0; i < row->count; i++) {
        double x = init->mean;
        if (init->spread > 0)
            x += init->spread *
                 (init->kind == AG_INIT_NORMAL ? rng_normal(&rng) : 2 * rng_uniform(&rng) - 1);
        value[i] = (real)x;
    }
    return 0;
}

int ag_params_allocate(struct ag_params *params, uint64_t seed)
{
    BUG_ON(params->value);
    size_t count = (size_t)params->count;
    // Products may read a little behind the last parameter.
    params->value = aligned_zeroed(count + PRODUCT_BEHIND, sizeof(real));
    params->grad = aligned_zeroed(count ? count : 1, sizeof(real));
    if (!params->value || !params->grad)
        return ERR_MEMORY;
    for (int i = 0; i < params->rows; i++)
        if (draw_start(&params->row[i], params->value + params->row[i].offset, seed) < 0)
            return ERR_MEMORY;
    return 0;
}

static int params_grow(struct ag_params *params)
{
    if (params->rows < params->capacity)
        return 0;
    int capacity = params->capacity ? 2 * params->capacity : 64;
    struct ag_parameter *row = realloc(params->row, (size_t)capacity * sizeof *row);
    if (!row)
        return err_set(ERR_MEMORY, "out of memory for %d parameters", capacity);
    params->row = row;
    params->capacity = capacity;
    return 0;
}

// Row of a parameter of this name, new or there already, or a negative code.
static int params_add(struct ag_params *params, const char *name, struct ag_shape shape,
                      struct ag_init init, enum ag_decay decay)
{
    int found = ag_params_find(params, name);
    if (found >= 0) {
        char a[96], b[96];
        if (!ag_shape_equal(params->row[found].shape, shape))
            return err_set(ERR_ARGUMENT, "parameter %s has shape %s, and here %s is wanted", name,
                           ag_shape_text(params->row[found].shape, a), ag_shape_text(shape, b));
        return found;
    }
    int64_t count = ag_shape_count(shape);
    if (count < 0 || count > INT64_MAX / 4 - params->count)
        return err_set(ERR_ARGUMENT, "parameter %s is too large", name);
    if (strlen(name) >= AG_NAME_SIZE)
        return err_set(ERR_ARGUMENT, "the name of parameter %s is too long", name);
    if (params->value)
        return err_set(ERR_ARGUMENT, "parameter %s was not there when parameters were allocated",
                       name);
    if (params_grow(params) < 0)
        return ERR_MEMORY;
    struct ag_parameter *row = &params->row[params->rows];
    *row = (struct ag_parameter){
        .shape = shape, .count = count, .offset = params->count, .decay = decay, .init = init};
    strcpy(row->name, name);
    params->count += (count + PARAMS_ALIGN - 1) / PARAMS_ALIGN * PARAMS_ALIGN;
    return params->rows++;
}

struct ag_tensor *ag_parameter(struct ag_graph *graph, const char *name, struct ag_shape shape,
                               double init_mean, double init_std, enum ag_decay decay)
{
    struct ag_init init = {AG_INIT_NORMAL, init_mean, init_std};
    return ag_parameter_from(graph, name, shape, init, decay);
}

struct ag_tensor *ag_parameter_from(struct ag_graph *graph, const char *name, struct ag_shape shape,
                                    struct ag_init init, enum ag_decay decay)
{
    if (!graph->params)
        return ag_fail(graph, "parameter %s in a graph that has no parameters", name);
    if (init.kind == AG_INIT_ORTHOGONAL && (shape.dims != 2 || shape.size[0] != shape.size[1]))
        return ag_fail(graph, "parameter %s is not square, and cannot start orthogonal", name);
    if (init.kind == AG_INIT_FREQUENCIES && shape.dims < 1)
        return ag_fail(graph, "parameter %s has no channels for frequencies", name);
    int row = params_add(graph->params, name, shape, init, decay);
    if (row < 0)
        return ag_fail_last(graph);
    for (struct ag_tensor *t = graph->first; t; t = t->next)
        if (t->parameter == row)
            return t;
    struct ag_tensor *tensor = ag_leaf(graph, name, shape);
    tensor->parameter = row;
    return tensor;
}
