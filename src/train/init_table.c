// Fitting and filling: see init_table.h.
#include "init_table.h"

#include <math.h>
#include <stdio.h>

#include "../../autograd/base/err.h"

bool init_same_shape(const struct import_array *array, const struct ag_parameter *row)
{
    bool same = row->shape.dims == array->dims;
    for (int d = 0; same && d < array->dims; d++)
        same = row->shape.size[d] == array->size[d];
    return same;
}

// --- whether they fit

static int shapes_differ(const struct init_pair *pair, const char *way_out)
{
    char there[192], here[96];
    return err_set(ERR_ARGUMENT,
                   "--init-from: %.200s: '%.200s' has shape %s, and %s of this model has %s%s",
                   pair->file->path, pair->array->name, import_shape(pair->array, there),
                   pair->row->name, ag_shape_text(pair->row->shape, here), way_out);
}

// Rows of the file's table that are used.
static int64_t rows_left(const struct init_pair *pair)
{
    return pair->array->size[0] - pair->skip;
}

static int check_resize(const struct init_pair *pair)
{
    int64_t n = pair->row->shape.size[0], m = rows_left(pair);
    if (m == n || pair->resize == INIT_RESIZE_INTERPOLATE)
        return 0;
    if (pair->resize == INIT_RESIZE_NONE && m > n)
        return shapes_differ(pair, "; --init-resize truncate or interpolate makes it fit");
    if (pair->resize == INIT_RESIZE_NONE)
        return shapes_differ(pair, "; --init-resize interpolate or hierarchical makes it fit");
    if (pair->resize == INIT_RESIZE_TRUNCATE)
        return m > n ? 0
                     : shapes_differ(pair, "; there is nothing to truncate: give --init-resize "
                                           "interpolate or hierarchical");
    if (m > n)
        return shapes_differ(pair, "; 'hierarchical' makes more rows, not fewer: give "
                                   "--init-resize truncate or interpolate");
    return (n + m - 1) / m <= m
               ? 0
               : shapes_differ(pair, "; 'hierarchical' makes at most the square of its rows: give "
                                     "--init-resize interpolate");
}

int init_fit(const struct init_pair *pair)
{
    const struct import_array *array = pair->array;
    if (!pair->positions)
        return init_same_shape(array, pair->row) ? 0 : shapes_differ(pair, "");
    if (array->dims != 2)
        return shapes_differ(pair, "; a table of positions has two dimensions");
    if (array->size[1] != pair->row->shape.size[1]) // --dim
        return shapes_differ(pair,
                             "; only the number of rows can be resized: give --dim as the file "
                             "has it");
    if (rows_left(pair) < 1)
        return err_set(ERR_ARGUMENT, "--init-skip %lld leaves nothing of the %lld rows of '%.200s'",
                       (long long)pair->skip, (long long)array->size[0], array->name);
    return check_resize(pair);
}

// --- the numbers

// Element [i, c] of the rows that are left.
static double element(const struct init_pair *pair, int64_t i, int64_t c)
{
    int64_t width = pair->array->size[1];
    return import_value(pair->file, pair->array, (i + pair->skip) * width + c);
}

// Row i of n, which lies at i (m - 1) / (n - 1) of m rows, by distance between its two neighbours,
// as `eval --extend interpolate` has it.
static double interpolated(const struct init_pair *pair, int64_t i, int64_t c)
{
    int64_t n = pair->row->shape.size[0], m = rows_left(pair);
    double at = n > 1 ? (double)i * (double)(m - 1) / (double)(n - 1) : 0, nearest = round(at);
    if (fabs(at - nearest) < 1e-9) // rounding of the division
        return element(pair, (int64_t)nearest, c);
    double part = at - floor(at);
    return (1 - part) * element(pair, (int64_t)floor(at), c) +
           part * element(pair, (int64_t)ceil(at), c);
}

// Row i of m^2: with u_t = (p_t - a p_0) / (1 - a), position k m + j is a u_k + (1 - a) u_j (Su
// 2020, article 7947; a = 0.4 as in src/encodings/hierarchical.c). The first m are p itself.
static double hierarchical(const struct init_pair *pair, int64_t i, int64_t c)
{
    const double a = 0.4;
    int64_t m = rows_left(pair);
    if (i < m)
        return element(pair, i, c);
    double first = a * element(pair, 0, c);
    double upper = (element(pair, i / m, c) - first) / (1 - a);
    double lower = (element(pair, i % m, c) - first) / (1 - a);
    return a * upper + (1 - a) * lower;
}

static double number_at(const struct init_pair *pair, int64_t i)
{
    if (!pair->positions)
        return import_value(pair->file, pair->array, i);
    int64_t width = pair->array->size[1], row = i / width, c = i % width;
    if (rows_left(pair) == pair->row->shape.size[0] || pair->resize == INIT_RESIZE_TRUNCATE)
        return element(pair, row, c);
    return pair->resize == INIT_RESIZE_INTERPOLATE ? interpolated(pair, row, c)
                                                   : hierarchical(pair, row, c);
}

int init_fill(const struct init_pair *pair, real *value)
{
    for (int64_t i = 0; i < pair->row->count; i++) {
        double number = number_at(pair, i);
        value[i] = (real)number;
        if (!isfinite(value[i]))
            return err_set(
                ERR_FORMAT,
                "--init-from: %.200s: '%.200s' makes element %lld of %s %s; a start must "
                "be finite",
                pair->file->path, pair->array->name, (long long)i, pair->row->name,
                isnan(number)      ? "NaN"
                : isfinite(number) ? "too large for a float"
                                   : "infinite");
    }
    return 0;
}
