// Models from golden files: see golden_model.h.
#include "golden_model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "check.h"

enum { MAX_PAIRS = 8, TEXT = 160 };

// GROUP/NAME of the case, else of shared/; NULL when neither is there.
static const struct golden_array *find(const struct golden_model *m, const char *group,
                                       const char *name)
{
    char prefix[AG_NAME_SIZE];
    snprintf(prefix, sizeof prefix, "%s%s", m->scope, group);
    const struct golden_array *array = golden_find(m->golden, prefix, name);
    if (array || !m->scope[0])
        return array;
    snprintf(prefix, sizeof prefix, "shared/%s", group);
    return golden_find(m->golden, prefix, name);
}

static const struct golden_array *get(const struct golden_model *m, const char *group,
                                      const char *name, enum golden_type type)
{
    const struct golden_array *array = find(m, group, name);
    if (!array || array->type != type)
        fail_msg("%s: %s has no %s/%s of type %d", m->golden->path, m->scope, group, name,
                 (int)type);
    return array;
}

// --- the config

static int64_t config_int(const struct golden_model *m, const char *name)
{
    const struct golden_array *array = get(m, "config", name, GOLDEN_INT);
    assert_int_equal(array->count, 1);
    return array->index[0];
}

// Empty when it is not there.
static void config_text(const struct golden_model *m, const char *name, char text[TEXT])
{
    const struct golden_array *array = find(m, "config", name);
    int64_t count = array ? array->count : 0;
    assert_true(count < TEXT && (!array || array->type == GOLDEN_TEXT));
    if (array)
        memcpy(text, array->text, (size_t)count);
    text[count] = '\0';
}

static enum ag_normaliser attention_of(const struct golden_model *m)
{
    static const struct {
        const char *name;
        enum ag_normaliser normaliser;
    } known[] = {{"", AG_SOFTMAX},    {"softmax", AG_SOFTMAX}, {"linear", AG_LINEAR},
                 {"relu2", AG_RELU2}, {"l2", AG_L2},           {"softmax1", AG_SOFTMAX1}};
    char text[TEXT];
    config_text(m, "attention", text);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(text, known[i].name) == 0)
            return known[i].normaliser;
    fail_msg("%s: %s: no attention is called '%s'", m->golden->path, m->scope, text);
    return AG_SOFTMAX;
}

static int read_stack(struct golden_model *m)
{
    char pe[TEXT], options[TEXT], *rest = NULL;
    const char *pairs[MAX_PAIRS];
    int count = 0;
    config_text(m, "pe", pe);
    config_text(m, "pe_opts", options);
    for (char *p = strtok_r(options, ",", &rest); p; p = strtok_r(NULL, ",", &rest)) {
        assert_true(count < MAX_PAIRS);
        pairs[count++] = p;
    }
    return pe_stack_init(&m->config.pe, pe, count, pairs);
}

static int read_config(struct golden_model *m)
{
    m->config = (struct model_config){
        .layers = config_int(m, "layers"),
        .heads = config_int(m, "heads"),
        .dim = config_int(m, "dim"),
        .ff_dim = config_int(m, "ff_dim"),
        .vocab = config_int(m, "vocab"),
        .train_length = config_int(m, "train_length"),
        .causal = config_int(m, "causal") != 0,
        .tie = config_int(m, "tie") != 0,
        .attention = attention_of(m),
    };
    if (find(m, "config", "grid_height")) {
        m->config.grid_height = config_int(m, "grid_height");
        m->config.grid_width = config_int(m, "grid_width");
    }
    if (find(m, "config", "extension")) {
        char text[TEXT];
        config_text(m, "extension", text);
        int found = name_index(pe_extension_name, PE_EXTENSIONS, text);
        assert_true(found >= 0);
        m->config.extension = (enum pe_extension)found;
    }
    int code = read_stack(m);
    return code < 0 ? code : model_check(&m->config);
}

// --- building

static void fill_params(struct golden_model *m)
{
    for (int64_t i = 0; i < m->params.count; i++)
        m->params.value[i] = m->params.grad[i] = (real)NAN;
    for (int r = 0; r < m->params.rows; r++) {
        const struct ag_parameter *row = &m->params.row[r];
        const struct golden_array *array = find(m, "params", row->name);
        if (!array)
            continue; // names_differ says so
        if (!ag_shape_equal(row->shape, array->shape))
            fail_msg("%s: %s%s has another shape", m->golden->path, m->scope, row->name);
        for (int64_t i = 0; i < row->count; i++)
            m->params.value[row->offset + i] = (real)golden_value(array, i);
    }
}

static void fill_batch(struct golden_model *m)
{
    ag_t *const input[] = {m->model.tokens, m->model.targets, m->model.mask};
    static const char *const name[] = {"tokens", "targets", "mask"};
    for (int k = 0; k < 3; k++) {
        const struct golden_array *array = get(m, "batch", name[k], GOLDEN_INT);
        assert_true(ag_shape_equal(array->shape, input[k]->shape));
        memcpy(input[k]->index, array->index, (size_t)array->count * sizeof *array->index);
    }
}

int golden_model_open(struct golden_model *m, const struct golden *golden, const char *name)
{
    memset(m, 0, sizeof *m);
    m->golden = golden;
    if (name) {
        assert_true(strlen(name) + 1 < sizeof m->scope);
        snprintf(m->scope, sizeof m->scope, "%s/", name);
    }
    ag_params_init(&m->params);
    int code = read_config(m);
    if (code == 0)
        code = model_graph_capture(&m->model, &m->config, &m->params, config_int(m, "batch"),
                                   config_int(m, "length"), NULL);
    if (code == 0)
        code = ag_params_allocate(&m->params, 0);
    if (code == 0)
        code = model_graph_plan(&m->model, true);
    if (code < 0) {
        golden_model_close(m);
        return code;
    }
    fill_params(m);
    fill_batch(m);
    return 0;
}

void golden_model_close(struct golden_model *m)
{
    model_graph_release(&m->model);
    ag_params_release(&m->params);
    pe_stack_release(&m->config.pe);
}

// --- gradients of the file

static bool is_encodings(const char *name)
{
    return strncmp(name, "pe.", 3) == 0 || strstr(name, ".pe.");
}

// What follows `scope` and `group` in the name of an array, or NULL.
static const char *after(const struct golden_array *array, const char *scope, const char *group)
{
    const char *name = array->name;
    size_t size = strlen(scope), all = size + strlen(group);
    if (strncmp(name, scope, size) != 0 || strncmp(name + size, group, all - size) != 0)
        return NULL;
    return name[all] == '/' ? name + all + 1 : NULL;
}

// Where `name` begins in grads/transformer; with a NULL name, how long that must be. -1: nowhere.
static int64_t place(const struct golden_model *m, const char *name)
{
    char own[AG_NAME_SIZE];
    int64_t at = 0;
    snprintf(own, sizeof own, "%sparams", m->scope);
    const char *scope = golden_find(m->golden, own, "tok_emb.weight") ? m->scope : "shared/";
    for (int i = 0; i < m->golden->arrays; i++) {
        const char *found = after(&m->golden->array[i], scope, "params");
        if (!found || is_encodings(found) || ag_params_find(&m->params, found) < 0)
            continue;
        if (name && strcmp(found, name) == 0)
            return at;
        at += m->golden->array[i].count;
    }
    return name ? -1 : at;
}

// The reference of a gradient, or NULL when the file has none.
static const double *gradient(const struct golden_model *m, const struct ag_parameter *row)
{
    const struct golden_array *array = find(m, "grads", row->name);
    if (array) {
        assert_true(array->type == GOLDEN_REAL && ag_shape_equal(row->shape, array->shape));
        return array->real;
    }
    array = find(m, "grads", "transformer");
    if (!array || is_encodings(row->name))
        return NULL;
    assert_true(array->type == GOLDEN_REAL && array->count == place(m, NULL));
    int64_t at = place(m, row->name);
    return at < 0 || at + row->count > array->count ? NULL : array->real + at;
}

// --- comparing

// Every parameter has a value and a gradient, and neither has a name that the model lacks.
static int names_differ(const struct golden_model *m)
{
    int wrong = 0;
    for (int i = 0; i < m->golden->arrays; i++) {
        const struct golden_array *array = &m->golden->array[i];
        const char *value = after(array, m->scope, "params"), *name = value;
        if (!name)
            name = after(array, m->scope, "grads");
        if (!name || (!value && strcmp(name, "transformer") == 0))
            continue;
        if (ag_params_find(&m->params, name) < 0) {
            print_error("%s: the model has no %s\n", m->golden->path, array->name);
            wrong++;
        }
    }
    for (int r = 0; r < m->params.rows; r++) {
        const struct ag_parameter *row = &m->params.row[r];
        if (find(m, "params", row->name) && gradient(m, row))
            continue;
        print_error("%s: %s the file has no value or no gradient of %s\n", m->golden->path,
                    m->scope, row->name);
        wrong++;
    }
    return wrong;
}

static int differs(const struct golden_model *m, const char *what, const double *reference,
                   int64_t count, const real *actual, double scale)
{
    double error = golden_error(reference, count, actual, scale);
    if (error < GOLDEN_TOLERANCE)
        return 0;
    print_error("%s: %s%s: relative error %g\n", m->golden->path, m->scope, what, error);
    return 1;
}

static double largest_of_all(const struct golden_model *m)
{
    double largest = 0;
    for (int r = 0; r < m->params.rows; r++) {
        double one = golden_largest(gradient(m, &m->params.row[r]), m->params.row[r].count);
        largest = one > largest ? one : largest;
    }
    return largest;
}

// A gradient that is zero by arithmetic is rounding here: that of a bias is measured against its
// weight's, and where that is zero too (of one key softmax makes 1), or there is none, against the
// largest of all.
static double scale_of(const struct golden_model *m, const struct ag_parameter *zero)
{
    char weight[AG_NAME_SIZE];
    size_t size = strlen(zero->name);
    double largest = 0;
    if (size > 5 && strcmp(zero->name + size - 5, ".bias") == 0) {
        snprintf(weight, sizeof weight, "%.*s.weight", (int)(size - 5), zero->name);
        int r = ag_params_find(&m->params, weight);
        if (r >= 0)
            largest = golden_largest(gradient(m, &m->params.row[r]), m->params.row[r].count);
    }
    return largest > 0 ? largest : largest_of_all(m);
}

static int grads_differ(const struct golden_model *m)
{
    int wrong = 0;
    for (int r = 0; r < m->params.rows; r++) {
        const struct ag_parameter *row = &m->params.row[r];
        const double *reference = gradient(m, row);
        double scale = golden_largest(reference, row->count) > 0 ? 0 : scale_of(m, row);
        char what[AG_NAME_SIZE + 16];
        snprintf(what, sizeof what, "gradient of %s", row->name);
        wrong += differs(m, what, reference, row->count, m->params.grad + row->offset, scale);
    }
    return wrong;
}

double golden_model_logits_error(const struct golden_model *m)
{
    const struct golden_array *logits = get(m, "outputs", "logits", GOLDEN_REAL);
    assert_true(ag_shape_equal(logits->shape, m->model.logits->shape));
    return golden_error(logits->real, logits->count, m->model.logits->data, 0);
}

// Twice, as the second replay finds the block of memory full of the first one's numbers.
int golden_model_differs(struct golden_model *m)
{
    const struct golden_array *logits = get(m, "outputs", "logits", GOLDEN_REAL);
    const struct golden_array *loss = get(m, "outputs", "loss", GOLDEN_REAL);
    assert_true(ag_shape_equal(logits->shape, m->model.logits->shape));
    assert_int_equal(loss->count, 1);
    int wrong = names_differ(m);
    for (int replay = 0; wrong == 0 && replay < 2; replay++) {
        ag_forward(m->model.plan);
        wrong += differs(m, "logits", logits->real, logits->count, m->model.logits->data, 0);
        wrong += differs(m, "loss", loss->real, 1, m->model.loss->data, 0);
        ag_backward(m->model.plan, NULL);
        wrong += grads_differ(m);
    }
    return wrong;
}
