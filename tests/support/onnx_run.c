// ONNX operators, each as plainly as its definition reads.
#include "onnx_run.h"

#include <math.h>
#include <string.h>

enum { FLOAT = 1, INT64 = 7, BOOL = 9, DOUBLE = 11 };

struct call {
    struct onnx_file *file;
    const struct onnx_run_node *node;
    const struct onnx_value *x[32]; // NULL: absent
};

static struct onnx_value *make(struct onnx_file *file, int type, int dims, const int64_t *size)
{
    struct onnx_value *v = arena_alloc(&file->scratch, sizeof *v);
    assert_non_null(v);
    v->type = type;
    v->dims = dims;
    v->count = 1;
    assert_true(dims <= ONNX_RUN_DIMS);
    for (int d = 0; d < dims; d++) {
        v->size[d] = size[d];
        v->count *= size[d];
    }
    v->data = arena_alloc(&file->scratch, (size_t)v->count * sizeof(double));
    assert_non_null(v->data);
    return v;
}

static const struct onnx_attr *attribute(const struct call *c, const char *name)
{
    const struct onnx_attr *a = c->node->attribute;
    while (a && strcmp(a->name, name) != 0)
        a = a->next;
    return a;
}

static int64_t number(const struct call *c, const char *name, int64_t otherwise)
{
    const struct onnx_attr *a = attribute(c, name);
    return a ? a->number : otherwise;
}

// Place in `v` of element `i` of the broadcast result `of`.
static int64_t place(const struct onnx_value *v, const struct onnx_value *of, int64_t i)
{
    int64_t at = 0, stride = 1;
    for (int d = 1; d <= of->dims; d++) {
        int64_t n = of->size[of->dims - d], k = i % n;
        i /= n;
        if (d > v->dims)
            continue;
        at += v->size[v->dims - d] == 1 ? 0 : k * stride;
        stride *= v->size[v->dims - d];
    }
    return at;
}

static int broadcast(const struct onnx_value *a, const struct onnx_value *b,
                     int64_t size[ONNX_RUN_DIMS])
{
    int dims = a->dims > b->dims ? a->dims : b->dims;
    for (int d = 1; d <= dims; d++) {
        int64_t x = d <= a->dims ? a->size[a->dims - d] : 1;
        int64_t y = d <= b->dims ? b->size[b->dims - d] : 1;
        assert_true(x == y || x == 1 || y == 1);
        size[dims - d] = x == 1 ? y : x;
    }
    return dims;
}

static void outer_inner(const struct onnx_value *v, int axis, int64_t *outer, int64_t *inner)
{
    *outer = *inner = 1;
    assert_in_range(axis, 0, v->dims - 1);
    for (int d = 0; d < v->dims; d++)
        *(d < axis ? outer : inner) *= d == axis ? 1 : v->size[d];
}

static int axis_of(int64_t axis, int dims)
{
    return (int)(axis < 0 ? axis + dims : axis);
}

// --- element by element

static double unary_of(const char *type, double x)
{
    static const struct {
        const char *type;
        double (*function)(double);
    } known[] = {{"Abs", fabs}, {"Cos", cos},   {"Exp", exp},   {"Log", log},        {"Sin", sin},
                 {"Erf", erf},  {"Sqrt", sqrt}, {"Tanh", tanh}, {"Round", nearbyint}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(type, known[i].type) == 0)
            return known[i].function(x);
    return strcmp(type, "Neg") == 0          ? -x
           : strcmp(type, "Reciprocal") == 0 ? 1 / x
           : strcmp(type, "Relu") == 0       ? (x > 0 ? x : 0)
           : strcmp(type, "Sigmoid") == 0    ? 1 / (1 + exp(-x))
           : strcmp(type, "Softplus") == 0   ? log1p(exp(-fabs(x))) + fmax(x, 0)
                                             : x;
}

static struct onnx_value *unary(const struct call *c)
{
    struct onnx_value *y = make(c->file, c->x[0]->type, c->x[0]->dims, c->x[0]->size);
    assert_true(y->type == FLOAT || y->type == DOUBLE || strcmp(c->node->type, "Identity") == 0);
    for (int64_t i = 0; i < y->count; i++)
        y->data[i] = unary_of(c->node->type, c->x[0]->data[i]);
    return y;
}

static double binary_of(const char *type, bool integer, double a, double b)
{
    if (strcmp(type, "Div") == 0)
        return integer ? trunc(a / b) : a / b;
    return strcmp(type, "Add") == 0           ? a + b
           : strcmp(type, "Sub") == 0         ? a - b
           : strcmp(type, "Mul") == 0         ? a * b
           : strcmp(type, "Max") == 0         ? fmax(a, b)
           : strcmp(type, "Min") == 0         ? fmin(a, b)
           : strcmp(type, "LessOrEqual") == 0 ? a <= b
                                              : a != 0 && b != 0; // And
}

static struct onnx_value *binary(const struct call *c)
{
    const struct onnx_value *a = c->x[0], *b = c->x[1];
    int64_t size[ONNX_RUN_DIMS];
    const char *type = c->node->type;
    bool logical = strcmp(type, "And") == 0, compares = strcmp(type, "LessOrEqual") == 0;
    assert_int_equal(a->type, b->type);
    assert_int_equal(logical, a->type == BOOL);
    int dims = broadcast(a, b, size);
    struct onnx_value *y = make(c->file, logical || compares ? BOOL : a->type, dims, size);
    for (int64_t i = 0; i < y->count; i++)
        y->data[i] =
            binary_of(type, a->type == INT64, a->data[place(a, y, i)], b->data[place(b, y, i)]);
    return y;
}

static struct onnx_value *where(const struct call *c)
{
    const struct onnx_value *yes = c->x[1], *no = c->x[2];
    int64_t size[ONNX_RUN_DIMS], all[ONNX_RUN_DIMS];
    assert_int_equal(c->x[0]->type, BOOL);
    assert_int_equal(yes->type, no->type);
    struct onnx_value *both = make(c->file, yes->type, broadcast(yes, no, size), size);
    struct onnx_value *y = make(c->file, yes->type, broadcast(c->x[0], both, all), all);
    for (int64_t i = 0; i < y->count; i++) {
        const struct onnx_value *from = c->x[0]->data[place(c->x[0], y, i)] != 0 ? yes : no;
        y->data[i] = from->data[place(from, y, i)];
    }
    return y;
}

static struct onnx_value *cast(const struct call *c)
{
    struct onnx_value *y = make(c->file, (int)number(c, "to", 0), c->x[0]->dims, c->x[0]->size);
    for (int64_t i = 0; i < y->count; i++) {
        double x = c->x[0]->data[i];
        y->data[i] = y->type == BOOL ? x != 0 : y->type == INT64 ? trunc(x) : x;
    }
    return y;
}

// --- shape

static struct onnx_value *expand(const struct call *c)
{
    int64_t size[ONNX_RUN_DIMS];
    struct onnx_value wanted = {.dims = (int)c->x[1]->count};
    assert_int_equal(c->x[1]->type, INT64);
    for (int d = 0; d < wanted.dims; d++)
        wanted.size[d] = (int64_t)c->x[1]->data[d];
    struct onnx_value *y = make(c->file, c->x[0]->type, broadcast(c->x[0], &wanted, size), size);
    for (int64_t i = 0; i < y->count; i++)
        y->data[i] = c->x[0]->data[place(c->x[0], y, i)];
    return y;
}

static struct onnx_value *reshaped(const struct call *c, int dims, const int64_t *size)
{
    struct onnx_value *y = make(c->file, c->x[0]->type, dims, size);
    assert_int_equal(y->count, c->x[0]->count);
    memcpy(y->data, c->x[0]->data, (size_t)y->count * sizeof(double));
    return y;
}

static struct onnx_value *reshape(const struct call *c)
{
    int64_t size[ONNX_RUN_DIMS], known = 1;
    int dims = (int)c->x[1]->count, left = -1;
    assert_int_equal(c->x[1]->type, INT64);
    for (int d = 0; d < dims; d++) {
        size[d] = (int64_t)c->x[1]->data[d];
        assert_true(size[d] != 0 || d < c->x[0]->dims);
        size[d] = size[d] == 0 ? c->x[0]->size[d] : size[d];
        assert_true(size[d] > 0 || left < 0);
        left = size[d] < 0 ? d : left;
        known *= size[d] < 0 ? 1 : size[d];
    }
    if (left >= 0)
        size[left] = c->x[0]->count / known;
    return reshaped(c, dims, size);
}

static bool among(const struct onnx_value *axes, int axis, int dims)
{
    for (int64_t i = 0; i < axes->count; i++)
        if (axis_of((int64_t)axes->data[i], dims) == axis)
            return true;
    return false;
}

static struct onnx_value *unsqueeze(const struct call *c)
{
    int64_t size[ONNX_RUN_DIMS];
    int dims = c->x[0]->dims + (int)c->x[1]->count, from = 0;
    for (int d = 0; d < dims; d++)
        size[d] = among(c->x[1], d, dims) ? 1 : c->x[0]->size[from++];
    return reshaped(c, dims, size);
}

static struct onnx_value *squeeze(const struct call *c)
{
    int64_t size[ONNX_RUN_DIMS];
    int dims = 0;
    for (int d = 0; d < c->x[0]->dims; d++) {
        bool gone = among(c->x[1], d, c->x[0]->dims);
        assert_true(!gone || c->x[0]->size[d] == 1);
        if (!gone)
            size[dims++] = c->x[0]->size[d];
    }
    return reshaped(c, dims, size);
}

static struct onnx_value *shape(const struct call *c)
{
    int64_t start = number(c, "start", 0), end = number(c, "end", c->x[0]->dims);
    const int64_t count = end - start;
    struct onnx_value *y = make(c->file, INT64, 1, &count);
    for (int64_t d = start; d < end; d++)
        y->data[d - start] = (double)c->x[0]->size[d];
    return y;
}

static struct onnx_value *transpose(const struct call *c)
{
    const struct onnx_attr *perm = attribute(c, "perm");
    const struct onnx_value *x = c->x[0];
    int64_t size[ONNX_RUN_DIMS], stride[ONNX_RUN_DIMS], step = 1;
    assert_int_equal(perm->count, x->dims);
    for (int d = x->dims - 1; d >= 0; d--) {
        stride[d] = step;
        step *= x->size[d];
    }
    for (int d = 0; d < x->dims; d++)
        size[d] = x->size[perm->list[d]];
    struct onnx_value *y = make(c->file, x->type, x->dims, size);
    for (int64_t i = 0; i < y->count; i++) {
        int64_t rest = i, at = 0;
        for (int d = y->dims - 1; d >= 0; d--) {
            at += rest % size[d] * stride[perm->list[d]];
            rest /= size[d];
        }
        y->data[i] = x->data[at];
    }
    return y;
}

static struct onnx_value *concat(const struct call *c)
{
    int64_t size[ONNX_RUN_DIMS], outer, inner, done = 0;
    int axis = axis_of(number(c, "axis", 0), c->x[0]->dims);
    memcpy(size, c->x[0]->size, sizeof size);
    for (int k = 1; k < c->node->inputs; k++) {
        assert_int_equal(c->x[k]->type, c->x[0]->type);
        assert_int_equal(c->x[k]->dims, c->x[0]->dims);
        for (int d = 0; d < c->x[0]->dims; d++)
            assert_true(d == axis || c->x[k]->size[d] == size[d]);
        size[axis] += c->x[k]->size[axis];
    }
    struct onnx_value *y = make(c->file, c->x[0]->type, c->x[0]->dims, size);
    outer_inner(y, axis, &outer, &inner);
    for (int k = 0; k < c->node->inputs; k++) {
        int64_t row = c->x[k]->size[axis] * inner;
        for (int64_t o = 0; o < outer; o++)
            memcpy(y->data + o * size[axis] * inner + done, c->x[k]->data + o * row,
                   (size_t)row * sizeof(double));
        done += row;
    }
    return y;
}

static int64_t clamped(double place, int64_t n)
{
    double at = place < 0 ? place + (double)n : place;
    return (int64_t)fmin(fmax(at, 0), (double)n);
}

static struct onnx_value *slice(const struct call *c)
{
    const struct onnx_value *x = c->x[0];
    int64_t size[ONNX_RUN_DIMS], outer, inner;
    for (int k = 1; k < 5; k++) {
        assert_int_equal(c->x[k]->type, INT64);
        assert_int_equal(c->x[k]->dims, 1);
        assert_int_equal(c->x[k]->count, 1);
    }
    int axis = axis_of((int64_t)c->x[3]->data[0], x->dims);
    int64_t step = (int64_t)c->x[4]->data[0], n = x->size[axis];
    int64_t start = clamped(c->x[1]->data[0], n), end = clamped(c->x[2]->data[0], n);
    assert_true(step > 0);
    memcpy(size, x->size, sizeof size);
    size[axis] = end > start ? (end - start + step - 1) / step : 0;
    struct onnx_value *y = make(c->file, x->type, x->dims, size);
    outer_inner(x, axis, &outer, &inner);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < size[axis]; k++)
            memcpy(y->data + (o * size[axis] + k) * inner,
                   x->data + (o * n + start + k * step) * inner, (size_t)inner * sizeof(double));
    return y;
}

static struct onnx_value *gather(const struct call *c)
{
    const struct onnx_value *x = c->x[0], *index = c->x[1];
    int64_t size[2 * ONNX_RUN_DIMS], outer, inner;
    int axis = axis_of(number(c, "axis", 0), x->dims), dims = 0;
    assert_int_equal(index->type, INT64);
    for (int d = 0; d < x->dims; d++) {
        for (int k = 0; d == axis && k < index->dims; k++)
            size[dims++] = index->size[k];
        if (d != axis)
            size[dims++] = x->size[d];
    }
    struct onnx_value *y = make(c->file, x->type, dims, size);
    outer_inner(x, axis, &outer, &inner);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < index->count; i++) {
            // (The format lets a negative one count from the end: none of ours means that.)
            assert_true(index->data[i] >= 0 && index->data[i] < (double)x->size[axis]);
            memcpy(y->data + (o * index->count + i) * inner,
                   x->data + (o * x->size[axis] + (int64_t)index->data[i]) * inner,
                   (size_t)inner * sizeof(double));
        }
    return y;
}

static struct onnx_value *range(const struct call *c)
{
    for (int k = 0; k < 3; k++)
        assert_int_equal(c->x[k]->dims, 0);
    assert_true(c->x[2]->data[0] == 1);
    const int64_t count = (int64_t)(c->x[1]->data[0] - c->x[0]->data[0]);
    struct onnx_value *y = make(c->file, c->x[0]->type, 1, &count);
    for (int64_t i = 0; i < count; i++)
        y->data[i] = c->x[0]->data[0] + (double)i;
    return y;
}

static struct onnx_value *scatter(const struct call *c)
{
    const struct onnx_value *x = c->x[0], *index = c->x[1], *update = c->x[2];
    assert_string_equal(attribute(c, "reduction")->text, "add");
    assert_int_equal(index->size[index->dims - 1], 1);
    int64_t row = x->count / x->size[0];
    assert_int_equal(update->count, index->count * row);
    struct onnx_value *y = reshaped(c, x->dims, x->size);
    for (int64_t i = 0; i < index->count; i++)
        for (int64_t k = 0; k < row; k++)
            y->data[(int64_t)index->data[i] * row + k] += update->data[i * row + k];
    return y;
}

// --- along one dimension

static struct onnx_value *reduce(const struct call *c)
{
    const struct onnx_value *x = c->x[0];
    const char *type = c->node->type;
    bool is_sum = strcmp(type, "ReduceSum") == 0, is_max = strcmp(type, "ReduceMax") == 0;
    int64_t size[ONNX_RUN_DIMS], outer, inner;
    int axis = axis_of(is_sum ? (int64_t)c->x[1]->data[0] : attribute(c, "axes")->list[0], x->dims);
    bool keep = number(c, "keepdims", 1);
    memcpy(size, x->size, sizeof size);
    size[axis] = 1;
    int dims = x->dims - !keep;
    for (int d = axis; !keep && d < dims; d++)
        size[d] = x->size[d + 1];
    struct onnx_value *y = make(c->file, x->type, dims, size);
    outer_inner(x, axis, &outer, &inner);
    for (int64_t i = 0; i < y->count; i++) {
        const double *from = x->data + i / inner * x->size[axis] * inner + i % inner;
        double sum = is_max ? -(double)INFINITY : 0;
        for (int64_t k = 0; k < x->size[axis]; k++)
            sum = is_max ? fmax(sum, from[k * inner]) : sum + from[k * inner];
        y->data[i] = is_sum || is_max ? sum : sum / (double)x->size[axis];
    }
    return y;
}

static struct onnx_value *cumsum(const struct call *c)
{
    const struct onnx_value *x = c->x[0];
    bool reverse = number(c, "reverse", 0);
    int64_t outer, inner;
    assert_int_equal(c->x[1]->dims, 0);
    int axis = axis_of((int64_t)c->x[1]->data[0], x->dims);
    struct onnx_value *y = make(c->file, x->type, x->dims, x->size);
    outer_inner(x, axis, &outer, &inner);
    for (int64_t line = 0; line < outer * inner; line++) {
        double sum = 0;
        for (int64_t k = 0; k < x->size[axis]; k++) {
            int64_t t = reverse ? x->size[axis] - 1 - k : k;
            int64_t at = (line / inner * x->size[axis] + t) * inner + line % inner;
            sum += x->data[at];
            y->data[at] = sum;
        }
    }
    return y;
}

static struct onnx_value *softmax(const struct call *c)
{
    const struct onnx_value *x = c->x[0];
    assert_int_equal(number(c, "axis", -1), -1);
    int64_t n = x->size[x->dims - 1];
    struct onnx_value *y = make(c->file, x->type, x->dims, x->size);
    for (int64_t row = 0; row < x->count; row += n) {
        double most = -(double)INFINITY, sum = 0;
        for (int64_t i = row; i < row + n; i++)
            most = fmax(most, x->data[i]);
        for (int64_t i = row; i < row + n; i++)
            sum += y->data[i] = exp(x->data[i] - most);
        for (int64_t i = row; i < row + n; i++)
            y->data[i] /= sum;
    }
    return y;
}

static struct onnx_value *layer_norm(const struct call *c)
{
    const struct onnx_value *x = c->x[0];
    assert_int_equal(number(c, "axis", -1), -1);
    int64_t n = x->size[x->dims - 1];
    assert_int_equal(c->x[1]->count, n);
    assert_int_equal(c->x[2]->count, n);
    struct onnx_value *y = make(c->file, x->type, x->dims, x->size);
    for (int64_t row = 0; row < x->count; row += n) {
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < n; i++)
            mean += x->data[row + i] / (double)n;
        for (int64_t i = 0; i < n; i++)
            variance += pow(x->data[row + i] - mean, 2) / (double)n;
        for (int64_t i = 0; i < n; i++)
            y->data[row + i] = (x->data[row + i] - mean) /
                                   sqrt(variance + attribute(c, "epsilon")->real) *
                                   c->x[1]->data[i] +
                               c->x[2]->data[i];
    }
    return y;
}

// --- products

static struct onnx_value *matmul(const struct call *c)
{
    const struct onnx_value *a = c->x[0], *b = c->x[1];
    int64_t size[ONNX_RUN_DIMS], m = a->size[a->dims - 2], k = a->size[a->dims - 1],
                                 n = b->size[b->dims - 1];
    assert_true(a->dims >= 2 && b->dims >= 2);
    assert_int_equal(a->type, b->type);
    assert_int_equal(k, b->size[b->dims - 2]);
    struct onnx_value batch_a = *a, batch_b = *b;
    batch_a.dims -= 2;
    batch_b.dims -= 2;
    struct onnx_value batch = {.dims = broadcast(&batch_a, &batch_b, size), .count = 1};
    for (int d = 0; d < batch.dims; d++)
        batch.count *= batch.size[d] = size[d];
    size[batch.dims] = m;
    size[batch.dims + 1] = n;
    struct onnx_value *y = make(c->file, a->type, batch.dims + 2, size);
    for (int64_t i = 0; i < y->count; i++) {
        const double *row = a->data + (place(&batch_a, &batch, i / (m * n)) * m + i / n % m) * k;
        const double *column = b->data + place(&batch_b, &batch, i / (m * n)) * k * n + i % n;
        for (int64_t t = 0; t < k; t++)
            y->data[i] += row[t] * column[t * n];
    }
    return y;
}

// X [T, B, I], W [1, C, I], R [1, C, C], no bias, no lengths, start [1, B, C] to Y [T, 1, B, C].
static struct onnx_value *rnn(const struct call *c)
{
    const struct onnx_value *x = c->x[0], *w = c->x[1], *r = c->x[2], *start = c->x[5];
    int64_t length = x->size[0], batch = x->size[1], in = x->size[2], n = r->size[2];
    const int64_t size[] = {length, 1, batch, n};
    const char *f = attribute(c, "activations")->text;
    bool tanh_cell = strcmp(f, "Tanh") == 0;
    assert_true(tanh_cell ||
                (strcmp(f, "Affine") == 0 && attribute(c, "activation_alpha")->real == 1 &&
                 attribute(c, "activation_beta")->real == 0));
    assert_null(c->x[3]);
    assert_null(c->x[4]);
    assert_int_equal(number(c, "hidden_size", 0), n);
    struct onnx_value *y = make(c->file, FLOAT, 4, size);
    for (int64_t i = 0; i < y->count; i++) {
        int64_t t = i / (batch * n), b = i / n % batch, k = i % n;
        const double *before = t       ? y->data + ((t - 1) * batch + b) * n
                               : start ? start->data + b * n
                                       : NULL;
        double sum = 0;
        for (int64_t j = 0; j < in; j++)
            sum += w->data[k * in + j] * x->data[(t * batch + b) * in + j];
        for (int64_t j = 0; before && j < n; j++)
            sum += r->data[k * n + j] * before[j];
        y->data[i] = tanh_cell ? tanh(sum) : sum;
    }
    return y;
}

// --- a run

static const struct {
    const char *type;
    struct onnx_value *(*run)(const struct call *c);
    int least, most; // inputs
} operators[] = {
    {"Abs", unary, 1, 1},
    {"Cos", unary, 1, 1},
    {"Erf", unary, 1, 1},
    {"Exp", unary, 1, 1},
    {"Identity", unary, 1, 1},
    {"Log", unary, 1, 1},
    {"Neg", unary, 1, 1},
    {"Reciprocal", unary, 1, 1},
    {"Relu", unary, 1, 1},
    {"Round", unary, 1, 1},
    {"Sigmoid", unary, 1, 1},
    {"Sin", unary, 1, 1},
    {"Softplus", unary, 1, 1},
    {"Sqrt", unary, 1, 1},
    {"Tanh", unary, 1, 1},
    {"Add", binary, 2, 2},
    {"And", binary, 2, 2},
    {"Div", binary, 2, 2},
    {"LessOrEqual", binary, 2, 2},
    {"Max", binary, 2, 2},
    {"Min", binary, 2, 2},
    {"Mul", binary, 2, 2},
    {"Sub", binary, 2, 2},
    {"Where", where, 3, 3},
    {"Cast", cast, 1, 1},
    {"Concat", concat, 1, 20},
    {"CumSum", cumsum, 2, 2},
    {"Expand", expand, 2, 2},
    {"Gather", gather, 2, 2},
    {"MatMul", matmul, 2, 2},
    {"RNN", rnn, 3, 6},
    {"Range", range, 3, 3},
    {"ReduceMax", reduce, 1, 1},
    {"ReduceMean", reduce, 1, 1},
    {"ReduceSum", reduce, 2, 2},
    {"Reshape", reshape, 2, 2},
    {"ScatterND", scatter, 3, 3},
    {"Shape", shape, 1, 1},
    {"Slice", slice, 5, 5},
    {"Softmax", softmax, 1, 1},
    {"Squeeze", squeeze, 2, 2},
    {"Transpose", transpose, 1, 1},
    {"Unsqueeze", unsqueeze, 2, 2},
    {"LayerNormalization", layer_norm, 3, 3},
};

static const struct onnx_value *find(const struct onnx_file *file, const char *name)
{
    for (const struct onnx_value *v = file->values; v; v = v->next)
        if (strcmp(v->name, name) == 0)
            return v;
    return onnx_file_initializer(file, name);
}

static void run_node(struct onnx_file *file, const struct onnx_run_node *node)
{
    struct call c = {.file = file, .node = node};
    for (int i = 0; i < node->inputs; i++) {
        c.x[i] = *node->input[i] ? find(file, node->input[i]) : NULL;
        if (*node->input[i] && !c.x[i])
            fail_msg("%s: no value %s was given", node->name, node->input[i]);
    }
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        if (strcmp(operators[i].type, node->type) != 0)
            continue;
        assert_in_range(node->inputs, operators[i].least, operators[i].most);
        struct onnx_value *y = operators[i].run(&c);
        y->name = node->output;
        y->next = file->values;
        file->values = y;
        return;
    }
    fail_msg("%s: %s is no operator that is known", node->name, node->type);
}

void onnx_run_begin(struct onnx_file *file)
{
    arena_release(&file->scratch);
    file->values = NULL;
}

static struct onnx_value *given(struct onnx_file *file, const char *input, int type, int dims,
                                const int64_t *size)
{
    const struct onnx_declared *d = file->input;
    while (d && strcmp(d->name, input) != 0)
        d = d->next;
    assert_non_null(d);
    assert_int_equal(d->type, type);
    assert_int_equal(d->dims, dims);
    for (int k = 0; k < dims; k++)
        assert_true(d->size_name[k] || d->size[k] == size[k]);
    struct onnx_value *v = make(file, type, dims, size);
    v->name = d->name;
    v->next = file->values;
    return file->values = v;
}

void onnx_run_give(struct onnx_file *file, const char *input, int dims, const int64_t *size,
                   const int32_t *data)
{
    struct onnx_value *v = given(file, input, INT64, dims, size);
    for (int64_t i = 0; i < v->count; i++)
        v->data[i] = data[i];
}

void onnx_run_give_reals(struct onnx_file *file, const char *input, int dims, const int64_t *size,
                         const real *data)
{
    struct onnx_value *v = given(file, input, FLOAT, dims, size);
    for (int64_t i = 0; i < v->count; i++)
        v->data[i] = (double)data[i];
}

const struct onnx_value *onnx_run_output(struct onnx_file *file)
{
    for (const struct onnx_run_node *node = file->node; node; node = node->next)
        run_node(file, node);
    const struct onnx_value *y = find(file, file->output->name);
    assert_non_null(y);
    assert_int_equal(y->dims, file->output->dims);
    assert_int_equal(y->type, file->output->type);
    return y;
}
