// Tables of rows of other lengths: of every encoding under every extension by what the extension
// says, of single ones by their formulas, through a checkpoint as posgrad export does it.
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

enum { MET = 12, FAR = 23 }; // interpolated, every second place of the far ones is a whole number
static const struct encoding_shape shape = {.batch = 1, .height = 3, .width = 4};

// --- every encoding under every extension

static int axis_of(const struct pe_table *table, const char *name)
{
    for (int d = 0; d < table->tensor->shape.dims; d++)
        if (strcmp(table->axis[d], name) == 0)
            return d;
    return -1;
}

// Elements before the axis, along it, and of one place.
struct rows {
    int64_t outer, count, inner;
    const real *data;
};

static struct rows rows_of(const struct pe_table *table, int axis)
{
    const struct ag_shape *size = &table->tensor->shape;
    struct rows rows = {1, size->size[axis], 1, table->tensor->data};
    for (int d = 0; d < axis; d++)
        rows.outer *= size->size[d];
    for (int d = axis + 1; d < size->dims; d++)
        rows.inner *= size->size[d];
    return rows;
}

// The largest difference between place `a` of one and `b` of the other.
static double between(const struct rows *one, int64_t a, const struct rows *other, int64_t b)
{
    double most = 0;
    for (int64_t o = 0; o < one->outer; o++)
        most = fmax(most, encoding_distance(one->data + (o * one->count + a) * one->inner,
                                            other->data + (o * other->count + b) * other->inner,
                                            one->inner));
    return most;
}

// The place of a trained table that place `i` of a longer one is by the extension; -1 for none.
// Offsets do not wrap.
static int64_t origin(enum pe_extension extension, bool is_offset, int64_t i)
{
    if (is_offset && i >= MET && extension == PE_EXTEND_WRAP)
        return -1;
    switch (extension) {
    case PE_EXTEND_CLIP:
        return i < MET ? i : MET - 1;
    case PE_EXTEND_WRAP:
        return i % MET;
    case PE_EXTEND_INTERPOLATE:
        return i % 2 ? -1 : i / 2;
    case PE_EXTEND_HIERARCHICAL:
        return i < MET ? i : -1;
    default:
        return -1;
    }
}

static int places_checked;

// Positions and offsets, whose zero is in the middle.
static bool follows(const struct encoding_case *what, enum pe_extension extension,
                    const struct pe_table *far, const struct pe_table *met)
{
    int position = axis_of(far, "position"), offset = axis_of(far, "offset");
    bool good = strcmp(far->name, met->name) == 0;
    if (position < 0 && offset < 0)
        return good;
    struct rows one = rows_of(far, position < 0 ? offset : position);
    struct rows other = rows_of(met, position < 0 ? offset : position);
    int64_t zero = offset < 0 ? 0 : FAR - 1, own_zero = offset < 0 ? 0 : MET - 1;
    good = good && one.count == FAR + zero && other.count == MET + own_zero;
    for (int64_t i = -zero; good && i < FAR; i++) {
        int64_t from = origin(extension, offset >= 0, llabs(i));
        if (from < 0)
            continue;
        good = between(&one, zero + i, &other, own_zero + (i < 0 ? -from : from)) < ENCODING_SAME;
        places_checked++;
        if (!good)
            print_error("place %lld is not place %lld\n", (long long)i, (long long)from);
    }
    if (!good)
        print_error("%s, extension %s: %s\n", encoding_text(what).text,
                    pe_extension_name[extension], far->name);
    return good;
}

static const struct pe_table *named(const struct pe_tables *tables, const char *name)
{
    for (int i = 0; i < tables->count; i++)
        if (strcmp(tables->table[i].name, name) == 0)
            return &tables->table[i];
    return NULL;
}

// Cosines and sines are of the angles.
static bool turns_fit(const struct encoding_case *what, const struct pe_tables *tables)
{
    const struct pe_table *angles = named(tables, "rotation_angles");
    const struct pe_table *cosine = named(tables, "rotation_cosine");
    const struct pe_table *sine = named(tables, "rotation_sine");
    bool good = !angles == !cosine && !angles == !sine;
    for (int64_t i = 0; good && angles && i < angles->tensor->count; i++) {
        double angle = (double)angles->tensor->data[i];
        good = check_is_close((double)cosine->tensor->data[i], cos(angle), 0, ENCODING_SAME) &&
               check_is_close((double)sine->tensor->data[i], sin(angle), 0, ENCODING_SAME);
    }
    if (!good)
        print_error("%s: cosines and sines are not of the angles\n", encoding_text(what).text);
    return good;
}

// At FAR tokens, of the parameters of `m`; true where it is refused, which test_extension knows of.
static bool is_extended(struct encoding_model *m, const struct encoding_case *what,
                        enum pe_extension extension)
{
    struct model_graph graph;
    struct pe_tables tables = {.exact = true};
    m->config.extension = extension;
    if (model_check_length(&m->config, FAR) < 0)
        return true;
    int code = model_tables_capture(&graph, &m->config, &m->params, FAR, &tables);
    if (code < 0 || tables.count != m->tables.count) {
        print_error("%s: %s\n", encoding_text(what).text, code < 0 ? err_last() : "other tables");
        return false;
    }
    bool good = true;
    if (graph.output) {
        check_ok(model_graph_plan(&graph, false));
        ag_forward(graph.plan);
    }
    for (int i = 0; i < tables.count; i++) {
        check_finite_array(tables.table[i].tensor->data, tables.table[i].tensor->count);
        good &= follows(what, extension, &tables.table[i], &m->tables.table[i]);
    }
    good &= turns_fit(what, &tables);
    model_graph_release(&graph);
    return good;
}

static bool extends(const struct encoding_case *what)
{
    struct encoding_model m;
    bool good = true;
    encoding_build(&m, what, &shape);
    ag_forward(m.graph.plan);
    // FAR tokens are no grid of such rows; and a table that is longer than the training shows more.
    bool skipped = strcmp(m.config.pe.def[0]->family, "grid") == 0 ||
                   strstr(encoding_text(what).text, "dims=2");
    for (int i = 0; i < m.tables.count; i++) {
        const struct pe_table *table = &m.tables.table[i];
        int position = axis_of(table, "position");
        skipped |= position >= 0 && table->tensor->shape.size[position] != MET;
    }
    for (int way = PE_EXTEND_NONE; way < PE_EXTENSIONS && !skipped; way++)
        good &= is_extended(&m, what, (enum pe_extension)way);
    encoding_close(&m);
    return good;
}

static void tables_follow_their_extension(void **state)
{
    (void)state;
    places_checked = 0;
    encoding_walk(ENCODING_OPTIONS, extends);
    assert_true(places_checked > 2000);
}

// --- through a checkpoint

static char path[] = "/tmp/posgrad-length-XXXXXX";

struct run {
    struct trainer trainer;
    struct h5_reader *reader;
    struct export_source source;
};

// A run of two steps; `words` are over a probe of 12 tokens.
static void open_run(struct run *run, const char *words)
{
    char all[512];
    struct train_settings settings;
    struct train_step_result result;
    struct history history;
    snprintf(all, sizeof all,
             "--layers 2 --heads 4 --dim 16 --ff-dim 8 --batch-size 2 --steps 2 --warmup 1 "
             "--lr 0.1 --threads 1 --length %d --task probe %s",
             MET, words);
    settings_of(&settings, all);
    check_ok(trainer_init(&run->trainer, &settings));
    history_init(&history);
    for (int i = 0; i < 2; i++)
        check_ok(trainer_step(&run->trainer, &result));
    check_ok(checkpoint_save(path, &run->trainer, &history));
    run->reader = h5_reader_open(path);
    assert_non_null(run->reader);
}

static int compute(struct run *run, int64_t length, enum pe_extension extension, const char *name)
{
    const struct export_length at = {length, extension};
    return export_source_compute(&run->source, run->reader, &run->trainer, &at, name);
}

static void close_run(struct run *run)
{
    h5_reader_close(run->reader);
    trainer_release(&run->trainer);
}

static const struct export_array *array_of(const struct run *run, const char *name)
{
    for (int i = 0; i < run->source.set.arrays; i++)
        if (strcmp(run->source.set.array[i].name, name) == 0)
            return &run->source.set.array[i];
    fail_msg("there is no array %s", name);
    return NULL;
}

static void biases_of_alibi(void **state)
{
    (void)state;
    struct run run;
    open_run(&run, "--pe alibi");
    check_ok(compute(&run, 2 * MET, PE_EXTEND_NONE, NULL));
    const struct export_array *bias = array_of(&run, "relative_bias");
    assert_int_equal(bias->size[1], 4 * MET - 1);
    for (int64_t h = 0; h < 4; h++)
        for (int64_t o = 0; o < 4 * MET - 1; o++) {
            int64_t offset = export_coordinate(bias, 1, o);
            assert_int_equal(offset, o - (2 * MET - 1));
            check_close(export_value(bias, h * (4 * MET - 1) + o),
                        -pow(2, -2 * (double)(h + 1)) * (double)llabs(offset), 1e-6, 0);
        }
    export_source_release(&run.source);
    close_run(&run);
}

static void biases_of_scaled_alibi(void **state)
{
    (void)state;
    struct run run;
    open_run(&run, "--pe alibi --dim 32 --pe-opt scaled=yes");
    check_ok(compute(&run, 2 * MET, PE_EXTEND_NONE, NULL));
    const struct export_array *slopes = array_of(&run, "slopes");
    for (int64_t h = 0; h < 4; h++)
        check_close(export_value(slopes, h), pow(2, -2 * (double)(h + 1)) / sqrt(8), 1e-6, 0);
    export_source_release(&run.source);
    close_run(&run);
}

static void turns_of_rope(void **state)
{
    (void)state;
    static const char *const names[] = {"rotation_angles", "rotation_cosine", "rotation_sine"};
    struct run run;
    open_run(&run, "--pe rope --dim 32 --pe-opt base=100");
    check_ok(compute(&run, 2 * MET, PE_EXTEND_NONE, NULL));
    for (int64_t i = 0; i < 2 * MET; i++)
        for (int64_t c = 0; c < 4; c++) {
            double angle = (double)i * pow(100, -(double)c / 4);
            const double wanted[] = {angle, cos(angle), sin(angle)};
            for (int k = 0; k < 3; k++)
                check_close(export_value(array_of(&run, names[k]), i * 4 + c), wanted[k], 1e-6,
                            1e-7);
        }
    assert_int_equal(array_of(&run, "rotation_sine")->size[0], 2 * MET);
    export_source_release(&run.source);
    close_run(&run);
}

static void rows_of_the_sinusoid(void **state)
{
    (void)state;
    struct run run;
    open_run(&run, "--pe sinusoidal");
    check_ok(compute(&run, 2 * MET, PE_EXTEND_NONE, "position_table"));
    assert_int_equal(run.source.set.arrays, 1);
    const struct export_array *table = &run.source.set.array[0];
    assert_int_equal(export_count(table), 2 * MET * 16);
    for (int64_t i = 0; i < 2 * MET * 16; i++) {
        double angle = (double)(i / 16) * pow(10000, -2.0 * (double)(i % 16 / 2) / 16);
        check_close(export_value(table, i), i % 2 ? cos(angle) : sin(angle), 0, 1e-6);
    }
    export_source_release(&run.source);
    close_run(&run);
}

// A shorter row of fewer positions, all trained; past its end it is undefined, and a factor of a
// wider table than the training is there without its start being called trained.
static void rows_of_a_learned_table(void **state)
{
    (void)state;
    struct run run;
    open_run(&run, "--pe learned --pe-opt max_length=16");
    check_ok(compute(&run, 5, PE_EXTEND_NONE, NULL));
    const struct export_array *table = array_of(&run, "position_table");
    const real *own = trainer_table(&run.trainer, 0);
    assert_int_equal(table->size[0], 5);
    check_same_bytes(table->data, own, 5 * 16 * sizeof(real));
    export_source_release(&run.source);
    check_ok(compute(&run, 16, PE_EXTEND_NONE, NULL));
    table = array_of(&run, "position_table");
    assert_int_equal(table->size[0], 16);
    for (int i = 0; i < table->attributes; i++)
        if (strcmp(table->attribute[i].name, "trained_rows") == 0)
            assert_int_equal(table->attribute[i].number, MET);
    export_source_release(&run.source);
    check_error(compute(&run, 17, PE_EXTEND_NONE, NULL), ERR_ARGUMENT,
                "learned ends at 16 positions, and length 17 was asked for");
    check_error(compute(&run, 20, PE_EXTEND_NTK, NULL), ERR_ARGUMENT, "has no meaning for learned");
    check_error(compute(&run, 8, PE_EXTEND_NONE, "positions"), ERR_ARGUMENT,
                "there are: position_table");
    close_run(&run);
}

// Positions that are drawn can be any of their range, whatever the length of a row.
static void rows_of_drawn_positions(void **state)
{
    (void)state;
    struct run run;
    open_run(&run, "--pe random-positions+learned --pe-opt random-positions.max_length=40");
    check_ok(compute(&run, 20, PE_EXTEND_NONE, NULL));
    assert_int_equal(array_of(&run, "position_table")->size[0], 40);
    export_source_release(&run.source);
    close_run(&run);
}

// With a moving average, tables are of the average.
static void tables_of_the_average(void **state)
{
    (void)state;
    struct run run;
    open_run(&run, "--pe learned --ema 0.5");
    check_ok(compute(&run, MET, PE_EXTEND_NONE, NULL));
    const struct export_array *table = array_of(&run, "position_table");
    int row = ag_params_find(&run.trainer.params, "pe.learned.weight");
    int64_t offset = run.trainer.params.row[row].offset;
    size_t size = MET * 16 * sizeof(real);
    check_same_bytes(table->data, run.trainer.averaged.value + offset, size);
    assert_memory_not_equal(table->data, run.trainer.params.value + offset, size);
    export_source_release(&run.source);
    close_run(&run);
}

static const char *text_of(const struct run *run, const char *name)
{
    for (int i = 0; i < run->source.set.attributes; i++)
        if (strcmp(run->source.set.attribute[i].name, name) == 0)
            return run->source.set.attribute[i].text;
    return NULL;
}

static void the_set_says_of_which_rows_it_is(void **state)
{
    (void)state;
    struct run run;
    open_run(&run, "--pe t5");
    check_ok(compute(&run, 4 * MET, PE_EXTEND_CLIP, NULL));
    assert_string_equal(text_of(&run, "extension"), "clip");
    assert_string_equal(text_of(&run, "reach"), "clipped");
    export_source_release(&run.source);
    check_ok(compute(&run, 5, PE_EXTEND_NONE, NULL));
    assert_null(text_of(&run, "extension"));
    assert_string_equal(text_of(&run, "reach"), "inside");
    export_source_release(&run.source);
    close_run(&run);
}

// Rows of another length are a grid as high as the trained one, of six rows and six columns.
static void differences_on_a_narrower_grid(void **state)
{
    (void)state;
    struct run run;
    open_run(&run, "--pe bias2d --task probe2d --length 36");
    check_ok(compute(&run, 24, PE_EXTEND_NONE, NULL));
    const struct export_array *bias = array_of(&run, "relative_bias");
    assert_int_equal(bias->size[2], 11);
    assert_int_equal(bias->size[3], 7);
    const real *own = trainer_table(&run.trainer, 0);
    for (int64_t h = 0; h < 8; h++) // of two layers, four heads each
        for (int64_t y = 0; y < 11; y++)
            for (int64_t x = -3; x <= 3; x++)
                check_close(export_value(bias, (h * 11 + y) * 7 + x + 3),
                            own[(h * 11 + y) * 11 + x + 5], 0, 0);
    export_source_release(&run.source);
    check_error(compute(&run, 16, PE_EXTEND_NONE, NULL), ERR_ARGUMENT, "16");
    check_error(compute(&run, 42, PE_EXTEND_NONE, NULL), ERR_ARGUMENT, "42");
    close_run(&run);
}

static int set_up(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_follow_their_extension),
        cmocka_unit_test(biases_of_alibi),
        cmocka_unit_test(biases_of_scaled_alibi),
        cmocka_unit_test(turns_of_rope),
        cmocka_unit_test(rows_of_the_sinusoid),
        cmocka_unit_test(rows_of_a_learned_table),
        cmocka_unit_test(rows_of_drawn_positions),
        cmocka_unit_test(tables_of_the_average),
        cmocka_unit_test(the_set_says_of_which_rows_it_is),
        cmocka_unit_test(differences_on_a_narrower_grid),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down) != 0;
}
