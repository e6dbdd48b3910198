// Attention, plain, slow and obvious.
#include "attention_plain.h"

#include <math.h>
#include <stdio.h>

#include "../../autograd/base/rng.h"

// Element (b, h, i, j) of a [B, H, T, S] matrix.
static int64_t pair(const struct attention_plain *p, int64_t b, int64_t h, int64_t i, int64_t j)
{
    return ((b * p->heads + h) * p->length + i) * p->keys + j;
}

// Where head h of row i starts in a [B, n, C] array.
static int64_t head_of(const struct attention_plain *p, int64_t n, int64_t b, int64_t h, int64_t i)
{
    return ((b * n + i) * p->heads + h) * p->head_dim;
}

static bool sees(const struct attention_plain *p, int64_t b, int64_t i, int64_t j)
{
    return (!p->causal || j <= i) && (!p->key_mask || p->key_mask[b * p->keys + j]);
}

static double keys_there(const struct attention_plain *p, int64_t b)
{
    double count = 0;
    for (int64_t j = 0; j < p->keys; j++)
        count += !p->key_mask || p->key_mask[b * p->keys + j];
    return count;
}

// r(i, j) of a table.
static int64_t row_of(const struct attention_plain *p, int table, int64_t b, int64_t i, int64_t j)
{
    int64_t offset = j - i + p->length - 1, w = p->grid_width[table];
    if (w) {
        int64_t down = j / w - i / w + p->length / w - 1, across = j % w - i % w + w - 1;
        offset = down * (2 * w - 1) + across;
    }
    switch (p->index_dims[table]) {
    case 1:
        return p->index[table][offset];
    case 2:
        return p->index[table][i * p->keys + j];
    case 3:
        return p->index[table][(b * p->length + i) * p->keys + j];
    default:
        return offset;
    }
}

// Where the row of (i, j) starts for head h: one number of biases and factors, D of others.
static int64_t cell(const struct attention_plain *p, int table, int64_t b, int64_t h, int64_t i,
                    int64_t j)
{
    int64_t row = row_of(p, table, b, i, j) * p->columns[table];
    if (table == PLAIN_BY_BIAS || table == PLAIN_BY_FACTOR)
        return row + h;
    return row + (p->columns[table] == p->head_dim ? 0 : h * p->head_dim);
}

static int query_reader(const struct attention_plain *p)
{
    return p->x[PLAIN_RELATIVE_QUERY] ? PLAIN_RELATIVE_QUERY : PLAIN_QUERY;
}

static int key_reader(const struct attention_plain *p)
{
    return p->x[PLAIN_RELATIVE_KEY] ? PLAIN_RELATIVE_KEY : PLAIN_KEY;
}

static int64_t dense(const struct attention_plain *p, int64_t b, int64_t h, int64_t i, int64_t j)
{
    return pair(p, p->dense_batched ? b : 0, h, i, j);
}

static double dot(const double *a, const double *b, int64_t count)
{
    double sum = 0;
    for (int64_t d = 0; d < count; d++)
        sum += a[d] * b[d];
    return sum;
}

static double score(const struct attention_plain *p, int64_t b, int64_t h, int64_t i, int64_t j)
{
    int64_t query = head_of(p, p->length, b, h, i), key = head_of(p, p->keys, b, h, j);
    int64_t n = p->head_dim;
    double s = p->scale * dot(p->x[PLAIN_QUERY] + query, p->x[PLAIN_KEY] + key, n);
    if (p->x[PLAIN_BY_QUERY])
        s += p->scale * dot(p->x[query_reader(p)] + query,
                            p->x[PLAIN_BY_QUERY] + cell(p, PLAIN_BY_QUERY, b, h, i, j), n);
    if (p->x[PLAIN_BY_KEY])
        s += p->scale * dot(p->x[key_reader(p)] + key,
                            p->x[PLAIN_BY_KEY] + cell(p, PLAIN_BY_KEY, b, h, i, j), n);
    if (p->x[PLAIN_BY_BIAS])
        s += p->x[PLAIN_BY_BIAS][cell(p, PLAIN_BY_BIAS, b, h, i, j)];
    if (p->x[PLAIN_DENSE_BIAS])
        s += p->x[PLAIN_DENSE_BIAS][dense(p, b, h, i, j)];
    if (p->x[PLAIN_ROW_BIAS])
        s += p->x[PLAIN_ROW_BIAS][(b * p->length + i) * p->heads + h];
    if (p->x[PLAIN_COLUMN_BIAS])
        s += p->x[PLAIN_COLUMN_BIAS][(b * p->keys + j) * p->heads + h];
    return s;
}

// Row i of the weights, from its scores. What is subtracted before exp cancels.
static void normalise(struct attention_plain *p, int64_t b, int64_t h, int64_t i)
{
    const double *s = p->score + pair(p, b, h, i, 0);
    double *a = p->weight + pair(p, b, h, i, 0);
    double largest = p->normaliser == AG_SOFTMAX1 ? 0 : -HUGE_VAL, sum = 0;
    for (int64_t j = 0; j < p->keys; j++)
        if (sees(p, b, i, j))
            largest = fmax(largest, s[j]);
    for (int64_t j = 0; j < p->keys; j++)
        if (sees(p, b, i, j))
            sum += exp((s[j] - largest) * (p->normaliser == AG_L2 ? 2 : 1));
    for (int64_t j = 0; j < p->keys; j++) {
        a[j] = 0;
        if (!sees(p, b, i, j))
            continue;
        if (p->normaliser == AG_RELU2)
            a[j] = fmax(s[j], 0) * fmax(s[j], 0) / keys_there(p, b);
        else if (p->normaliser == AG_L2)
            a[j] = exp(s[j] - largest) / sqrt(sum);
        else if (p->normaliser == AG_SOFTMAX1)
            a[j] = exp(s[j] - largest) / (exp(-largest) + sum);
        else
            a[j] = exp(s[j] - largest) / sum;
    }
}

// The mask's stream is "dropout/NODE"; weight j of row (b, h, i) is word j % 4 of the counter (j /
// 4, row, step), dropped when it is below rate 2^32.
static double mask(const struct attention_plain *p, int64_t b, int64_t h, int64_t i, int64_t j)
{
    char name[512];
    if (!(p->dropout > 0))
        return 1;
    snprintf(name, sizeof name, "dropout/%s", p->name);
    uint64_t stream = rng_stream(p->seed, name);
    uint32_t key[2] = {(uint32_t)stream, (uint32_t)(stream >> 32)}, word[4];
    uint32_t counter[4] = {(uint32_t)(j / 4), (uint32_t)((b * p->heads + h) * p->length + i),
                           (uint32_t)p->step, (uint32_t)(p->step >> 32)};
    rng_philox(counter, key, word);
    return word[j % 4] < (uint32_t)(p->dropout * 4294967296.0) ? 0 : 1 / (1 - p->dropout);
}

static double factor(const struct attention_plain *p, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const double *table = p->x[PLAIN_BY_FACTOR];
    return table ? table[cell(p, PLAIN_BY_FACTOR, b, h, i, j)] : 1;
}

static void output_row(struct attention_plain *p, int64_t b, int64_t h, int64_t i)
{
    double *out = p->output + head_of(p, p->length, b, h, i);
    for (int64_t d = 0; d < p->head_dim; d++)
        out[d] = 0;
    for (int64_t j = 0; j < p->keys; j++) {
        int64_t at = pair(p, b, h, i, j);
        p->kept[at] = mask(p, b, h, i, j);
        double w = p->weight[at] * factor(p, b, h, i, j) * p->kept[at];
        const double *value = p->x[PLAIN_VALUE] + head_of(p, p->keys, b, h, j);
        for (int64_t d = 0; d < p->head_dim; d++)
            out[d] += w * value[d];
        for (int64_t d = 0; d < p->head_dim && p->x[PLAIN_BY_VALUE]; d++)
            out[d] += w * p->x[PLAIN_BY_VALUE][cell(p, PLAIN_BY_VALUE, b, h, i, j) + d];
    }
}

void attention_plain_forward(struct attention_plain *p)
{
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t h = 0; h < p->heads; h++)
            for (int64_t i = 0; i < p->length; i++) {
                for (int64_t j = 0; j < p->keys; j++)
                    p->score[pair(p, b, h, i, j)] = score(p, b, h, i, j);
                normalise(p, b, h, i);
                output_row(p, b, h, i);
            }
}

// dA_j / dS_k of one row.
static double derivative(enum ag_normaliser normaliser, const double *s, const double *a, int64_t j,
                         int64_t k, double keys)
{
    double same = j == k ? 1 : 0;
    if (normaliser == AG_RELU2)
        return same * 2 * fmax(s[k], 0) / keys;
    if (normaliser == AG_L2)
        return a[j] * (same - a[k] * a[k]);
    return a[j] * (same - a[k]);
}

// Adds factor * x to `count` gradients of an array, and to their sizes what it is without its sign.
static void add(struct attention_plain *p, int array, int64_t at, double factor, const double *x,
                int64_t count)
{
    for (int64_t d = 0; d < count; d++) {
        p->grad[array][at + d] += factor * x[d];
        p->size[array][at + d] += fabs(factor * x[d]);
    }
}

// Through output and factor: what reaches A_ij is left in weight_grad[j].
static void output_grad(struct attention_plain *p, const double *d_out, double *weight_grad,
                        int64_t b, int64_t h, int64_t i)
{
    int64_t n = p->head_dim;
    for (int64_t j = 0; j < p->keys; j++) {
        int64_t at = pair(p, b, h, i, j), value = head_of(p, p->keys, b, h, j);
        weight_grad[j] = 0;
        if (!sees(p, b, i, j))
            continue;
        double f = factor(p, b, h, i, j), w = p->weight[at] * f * p->kept[at];
        double d_weight = dot(d_out, p->x[PLAIN_VALUE] + value, n);
        add(p, PLAIN_VALUE, value, w, d_out, n);
        if (p->x[PLAIN_BY_VALUE]) {
            int64_t row = cell(p, PLAIN_BY_VALUE, b, h, i, j);
            d_weight += dot(d_out, p->x[PLAIN_BY_VALUE] + row, n);
            add(p, PLAIN_BY_VALUE, row, w, d_out, n);
        }
        d_weight *= p->kept[at];
        if (p->x[PLAIN_BY_FACTOR])
            add(p, PLAIN_BY_FACTOR, cell(p, PLAIN_BY_FACTOR, b, h, i, j), p->weight[at], &d_weight,
                1);
        weight_grad[j] = f * d_weight;
    }
}

// Everything that S_ij is a sum of.
static void score_grad(struct attention_plain *p, double d, int64_t b, int64_t h, int64_t i,
                       int64_t j)
{
    int64_t query = head_of(p, p->length, b, h, i), key = head_of(p, p->keys, b, h, j);
    int64_t n = p->head_dim;
    add(p, PLAIN_QUERY, query, p->scale * d, p->x[PLAIN_KEY] + key, n);
    add(p, PLAIN_KEY, key, p->scale * d, p->x[PLAIN_QUERY] + query, n);
    if (p->x[PLAIN_BY_QUERY]) {
        int64_t row = cell(p, PLAIN_BY_QUERY, b, h, i, j);
        int reader = query_reader(p);
        add(p, reader, query, p->scale * d, p->x[PLAIN_BY_QUERY] + row, n);
        add(p, PLAIN_BY_QUERY, row, p->scale * d, p->x[reader] + query, n);
    }
    if (p->x[PLAIN_BY_KEY]) {
        int64_t row = cell(p, PLAIN_BY_KEY, b, h, i, j);
        int reader = key_reader(p);
        add(p, reader, key, p->scale * d, p->x[PLAIN_BY_KEY] + row, n);
        add(p, PLAIN_BY_KEY, row, p->scale * d, p->x[reader] + key, n);
    }
    if (p->x[PLAIN_BY_BIAS])
        add(p, PLAIN_BY_BIAS, cell(p, PLAIN_BY_BIAS, b, h, i, j), 1, &d, 1);
    if (p->x[PLAIN_DENSE_BIAS])
        add(p, PLAIN_DENSE_BIAS, dense(p, b, h, i, j), 1, &d, 1);
    if (p->x[PLAIN_ROW_BIAS])
        add(p, PLAIN_ROW_BIAS, (b * p->length + i) * p->heads + h, 1, &d, 1);
    if (p->x[PLAIN_COLUMN_BIAS])
        add(p, PLAIN_COLUMN_BIAS, (b * p->keys + j) * p->heads + h, 1, &d, 1);
}

static void row_grad(struct attention_plain *p, const double *cotangent, int64_t b, int64_t h,
                     int64_t i)
{
    int64_t row = pair(p, b, h, i, 0);
    const double *s = p->score + row, *a = p->weight + row;
    double *d_weight = p->weight_grad + row, *d_score = p->score_grad + row;
    double keys = keys_there(p, b);
    output_grad(p, cotangent + head_of(p, p->length, b, h, i), d_weight, b, h, i);
    for (int64_t k = 0; k < p->keys; k++) {
        d_score[k] = 0;
        if (!sees(p, b, i, k))
            continue;
        for (int64_t j = 0; j < p->keys; j++)
            if (sees(p, b, i, j))
                d_score[k] += d_weight[j] * derivative(p->normaliser, s, a, j, k, keys);
        score_grad(p, d_score[k], b, h, i, k);
    }
}

void attention_plain_backward(struct attention_plain *p, const double *cotangent)
{
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t h = 0; h < p->heads; h++)
            for (int64_t i = 0; i < p->length; i++)
                row_grad(p, cotangent, b, h, i);
}
