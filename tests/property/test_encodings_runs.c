// Every encoding in training: the same bits with any number of threads, stopped and resumed; and
// its tables in a file. (test_paired holds it beside a run without an encoding.)
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../src/io/checkpoint.h"
#include "../../src/io/export_source.h"
#include "../support/encodings.h"
#include "../support/settings.h"

enum { STEPS = 3, CUT = 2 };

static char folder[] = "/tmp/posgrad-encodings-XXXXXX";
static char checkpoint_path[64], json_path[64];
static struct train_settings settings;

static bool wrong(const struct encoding_case *what, const char *why)
{
    print_error("%s: %s\n", encoding_text(what).text, why);
    return false;
}

// --- threads

// Large enough that every op is cut into pieces; loss, logits and all gradients after one training
// step.
static void gradients(const struct encoding_case *what, int threads, struct encoding_model *m)
{
    encoding_build(m, what,
                   &(struct encoding_shape){.batch = 12,
                                            .height = 3,
                                            .width = 11,
                                            .layers = 1,
                                            .heads = 4,
                                            .dim = 64,
                                            .dropout = 0.2,
                                            .threads = threads});
    struct ag_run *run = ag_plan_run(m->graph.plan);
    run->training = true;
    run->step = 4;
    m->graph.mask->index[2] = m->graph.mask->index[m->length - 1] = 0;
    ag_forward(m->graph.plan);
    ag_backward(m->graph.plan, NULL);
}

static bool same_for_any_threads(const struct encoding_case *what)
{
    static const int threads[] = {2, 3, 8};
    struct encoding_model one, many;
    bool good = true;
    gradients(what, 1, &one);
    for (int i = 0; i < 3; i++) {
        gradients(what, threads[i], &many);
        if (memcmp(one.graph.logits->data, many.graph.logits->data,
                   (size_t)one.graph.logits->count * sizeof(real)) != 0)
            good = wrong(what, "logits depend on the threads");
        if (memcmp(one.params.grad, many.params.grad, (size_t)one.params.count * sizeof(real)) != 0)
            good = wrong(what, "gradients depend on the threads");
        encoding_close(&many);
    }
    encoding_close(&one);
    return good;
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    static const char *const stacks[] = {"t5+urpe", "shaw+urpe", "tupe+t5"};
    encoding_walk(ENCODING_ROWS, same_for_any_threads);
    for (int i = 0; i < 6; i++) {
        struct encoding_case what = {.causal = i % 2};
        snprintf(what.pe, sizeof what.pe, "%s", stacks[i / 2]);
        assert_true(same_for_any_threads(&what));
    }
}

// --- runs

static void set(const char *key, const char *value)
{
    settings_set(&settings, key, value);
}

// A row of 16 tokens is a square for those that want a grid.
static void small_run(const struct encoding_case *what)
{
    settings_of(&settings,
                "--layers 2 --heads 2 --dim 16 --ff-dim 12 --batch-size 3 --steps 3 "
                "--warmup 1 --dropout 0.2 --lr 0.01 --threads 1 --length 16 --task probe");
    set("pe", what->pe);
    for (int i = 0; i < what->pairs; i++)
        set("pe-opt", what->pair[i]);
    set("arch", what->causal ? "decoder" : "encoder");
}

// False where the encoding refuses this run, which is another than the one that the walk tried.
static bool begin(struct trainer *trainer)
{
    int code = trainer_init(trainer, &settings);
    if (code < 0 && code != ERR_ARGUMENT)
        fail_msg("%s: %s", settings.pe, err_last());
    return code == 0;
}

static void advance(struct trainer *trainer, int steps)
{
    struct train_step_result result;
    for (int i = 0; i < steps; i++)
        check_ok(trainer_step(trainer, &result));
}

static void restore(struct trainer *trainer, int64_t threads)
{
    static struct checkpoint checkpoint;
    check_ok(checkpoint_open(&checkpoint, checkpoint_path));
    checkpoint.settings.threads = threads;
    check_ok(trainer_init(trainer, &checkpoint.settings));
    check_ok(checkpoint_read_params(&checkpoint, trainer));
    check_ok(checkpoint_read_optimizer(&checkpoint, trainer));
    checkpoint_close(&checkpoint);
}

static bool is_same(const struct trainer *a, const struct trainer *b)
{
    size_t size = (size_t)a->params.count * sizeof(real);
    bool same = a->step == b->step && a->params.count == b->params.count &&
                memcmp(a->params.value, b->params.value, size) == 0;
    for (int k = 0; k < a->optimizer.def->states; k++)
        same = same && memcmp(a->optimizer.state[k], b->optimizer.state[k], size) == 0;
    return same;
}

static bool resumes(const struct encoding_case *what)
{
    struct trainer whole, part, resumed;
    struct history history;
    small_run(what);
    if (!begin(&whole))
        return true;
    history_init(&history);
    advance(&whole, STEPS);
    check_ok(trainer_init(&part, &settings));
    advance(&part, CUT);
    check_ok(checkpoint_save(checkpoint_path, &part, &history));
    restore(&resumed, 2);
    bool good = is_same(&part, &resumed) || wrong(what, "loading changes its state");
    advance(&resumed, STEPS - CUT);
    good = good && (is_same(&whole, &resumed) || wrong(what, "resuming changes its state"));
    trainer_release(&whole);
    trainer_release(&part);
    trainer_release(&resumed);
    return good;
}

static void every_run_resumes(void **state)
{
    (void)state;
    encoding_walk(ENCODING_OPTIONS, resumes);
}

// --- tables in a file

// Lists in lists as the shape says, with the numbers of the tensor.
static bool holds(const json_t *list, const struct ag_tensor *tensor, int dim, int64_t *next)
{
    if (dim == tensor->shape.dims) {
        double value = (double)tensor->data[(*next)++];
        return json_is_real(list) && check_is_close(json_real_value(list), value, 1e-8, 1e-30);
    }
    if (json_array_size(list) != (size_t)tensor->shape.size[dim])
        return false;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!holds(json_array_get(list, i), tensor, dim + 1, next))
            return false;
    return true;
}

static bool has_axes(const json_t *axes, const struct pe_table *table)
{
    const struct ag_shape *shape = &table->tensor->shape;
    bool good = json_array_size(axes) == (size_t)shape->dims;
    for (int d = 0; good && d < shape->dims; d++) {
        const json_t *axis = json_array_get(axes, (size_t)d);
        const char *name = json_string_value(json_object_get(axis, "name"));
        const json_t *place = json_object_get(axis, "coordinates");
        bool centred = strstr(table->axis[d], "offset");
        json_int_t first = json_integer_value(json_array_get(place, 0));
        good = name && strcmp(name, table->axis[d]) == 0 &&
               json_array_size(place) == (size_t)shape->size[d] &&
               first == (centred ? -(shape->size[d] / 2) : table->first[d]);
    }
    return good;
}

static bool is_in_json(const struct encoding_case *what, const json_t *root,
                       const struct pe_table *table)
{
    char name[128];
    const json_t *tables = json_object_get(root, "tables");
    const json_t *found = json_object_get(tables, table->name);
    const json_t *encoding = json_object_get(json_object_get(found, "attributes"), "encoding");
    if (!found || strcmp(json_string_value(encoding), table->encoding) != 0) {
        snprintf(name, sizeof name, "%s_%s", table->encoding, table->name);
        found = json_object_get(tables, name);
    }
    int64_t next = 0;
    if (!found)
        return wrong(what, "a table is not in the file");
    const json_t *attributes = json_object_get(found, "attributes");
    const char *sign = json_string_value(json_object_get(attributes, "distance_sign"));
    if (table->distance_sign ? !sign || strcmp(sign, table->distance_sign) != 0 : sign != NULL)
        return wrong(what, "the sign of distances is not in the file");
    return (has_axes(json_object_get(found, "axes"), table) ||
            wrong(what, "axes are not its own")) &&
           (holds(json_object_get(found, "data"), table->tensor, 0, &next) ||
            wrong(what, "numbers in the file are not its own"));
}

static json_t *exported(void)
{
    struct export_source source;
    json_error_t error;
    struct h5_reader *reader = h5_reader_open(checkpoint_path);
    assert_non_null(reader);
    check_ok(export_source_read(&source, reader, "/tables", NULL));
    json_t *root = NULL;
    if (source.set.arrays) {
        check_ok(export_write(&source.set, export_format_of(json_path), json_path));
        root = json_load_file(json_path, 0, &error);
        assert_non_null(root);
        assert_int_equal(json_object_size(json_object_get(root, "tables")), source.set.arrays);
    }
    export_source_release(&source);
    h5_reader_close(reader);
    return root;
}

// What --length makes at the training's length is what the checkpoint has: each table, or, where
// that has more positions, its beginning.
static bool recomputes(const struct encoding_case *what, struct trainer *trainer)
{
    const struct export_length at = {.length = trainer->config.train_length};
    struct export_source stored, made;
    struct h5_reader *reader = h5_reader_open(checkpoint_path);
    assert_non_null(reader);
    check_ok(export_source_read(&stored, reader, "/tables", NULL));
    check_ok(export_source_compute(&made, reader, trainer, &at, NULL));
    bool good = stored.set.arrays == made.set.arrays;
    for (int i = 0; i < stored.set.arrays; i++)
        for (int k = 0; k < made.set.arrays; k++) {
            const struct export_array *a = &stored.set.array[i], *b = &made.set.array[k];
            if (strcmp(a->name, b->name) != 0)
                continue;
            bool first = export_count(b) <= export_count(a) && a->attributes == b->attributes;
            good = good && first &&
                   memcmp(a->data, b->data, (size_t)export_count(b) * sizeof(real)) == 0;
        }
    export_source_release(&made);
    export_source_release(&stored);
    h5_reader_close(reader);
    return good || wrong(what, "tables of the training's length are others than in the file");
}

static bool exports(const struct encoding_case *what)
{
    struct trainer trainer;
    struct history history;
    const char *plus = strchr(what->pe, '+');
    // Of pairs it matters that two tables may have one name: one order, one architecture.
    if (plus && (what->causal || strncmp(what->pe, plus + 1, strlen(plus + 1)) > 0))
        return true;
    small_run(what);
    if (!begin(&trainer))
        return true;
    history_init(&history);
    advance(&trainer, 1);
    check_ok(checkpoint_save(checkpoint_path, &trainer, &history));
    json_t *root = exported();
    bool good = json_object_size(json_object_get(root, "tables")) == (size_t)trainer.tables.count ||
                wrong(what, "not all tables are in the file");
    for (int i = 0; good && i < trainer.tables.count; i++)
        good = is_in_json(what, root, &trainer.tables.table[i]);
    json_decref(root);
    good = good && recomputes(what, &trainer);
    trainer_release(&trainer);
    return good;
}

static void every_table_is_exported(void **state)
{
    (void)state;
    encoding_walk(ENCODING_OPTIONS | ENCODING_STACKS, exports);
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(checkpoint_path, sizeof checkpoint_path, "%s/checkpoint.h5", folder);
    snprintf(json_path, sizeof json_path, "%s/tables.json", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(checkpoint_path);
    unlink(json_path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(every_run_resumes),
        cmocka_unit_test(every_table_is_exported),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down) != 0;
}
