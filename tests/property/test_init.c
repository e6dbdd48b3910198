// Starts from files and frozen parameters, held to their promise: what a file gives is in the model
// to the bit, resized by the formulas alone; all else starts, trains and sees what it would have
// without; what is frozen keeps its bits, and nothing else notices but by what it does not do.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../src/io/checkpoint.h"
#include "../../src/io/export.h"
#include "../support/check.h"
#include "../support/settings.h"

enum { DIM = 8, LENGTH = 12, STEPS = 20 };

static char folder[] = "/tmp/posgrad-init-XXXXXX", table_path[64], run_path[64];
static struct train_settings settings;
static struct trainer one, two;

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(table_path, sizeof table_path, "%s/table.npy", folder);
    snprintf(run_path, sizeof run_path, "%s/run.h5", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    remove(table_path);
    remove(run_path);
    return remove(folder);
}

static void set(const char *key, const char *value)
{
    settings_set(&settings, key, value);
}

static void begin(const char *pe)
{
    settings_of(&settings,
                "--layers 2 --heads 2 --dim 8 --ff-dim 12 --batch-size 4 --steps 20 --warmup 2 "
                "--dropout 0.25 --lr 0.01 --threads 1 --length 12 --task copy --weight-decay 1 "
                "--seed 5");
    set("pe", pe);
}

static double table[64][DIM];

// A table of that many rows in the file, as doubles.
static void write_table(int64_t rows, int64_t columns)
{
    char *bytes;
    size_t size;
    const int64_t shape[2] = {rows, columns};
    check_ok(export_npy_bytes("<f8", 2, shape, table, (size_t)(rows * columns) * sizeof(double),
                              &bytes, &size));
    check_ok(file_publish(table_path, bytes, size));
    free(bytes);
}

static void make_table(int64_t rows)
{
    for (int64_t i = 0; i < rows * DIM; i++)
        table[i / DIM][i % DIM] = sin(1 + 1.7 * (double)i) / 3;
    write_table(rows, DIM);
}

static void init_from(const char *path, const char *rest)
{
    char text[128];
    snprintf(text, sizeof text, "%s%s", path, rest);
    set("init-from", text);
}

static const struct ag_parameter *row_of(const struct trainer *trainer, const char *name)
{
    int row = ag_params_find(&trainer->params, name);
    if (row < 0)
        fail_msg("there is no parameter %s", name);
    return &trainer->params.row[row];
}

static const real *values_of(const struct trainer *trainer, const char *name)
{
    return trainer->params.value + row_of(trainer, name)->offset;
}

// --- the numbers

static void expect_table(const char *name, double (*wanted)(int64_t row, int64_t column))
{
    const struct ag_parameter *row = row_of(&one, name);
    const real *value = values_of(&one, name);
    for (int64_t i = 0; i < row->count; i++)
        check_close(value[i], wanted(i / DIM, i % DIM), CHECK_ROUNDING, 1e-300);
}

static double as_it_is(int64_t row, int64_t column)
{
    return (double)(real)table[row][column];
}

static double two_further(int64_t row, int64_t column)
{
    return table[row + 2][column];
}

static double between_five(int64_t row, int64_t column) // 12 rows from 5
{
    double at = (double)row * 4 / 11;
    int64_t low = row == 11 ? 3 : (int64_t)at;
    return table[low][column] * ((double)low + 1 - at) +
           table[low + 1][column] * (at - (double)low);
}

static double between_23(int64_t row, int64_t column) // every second of 23 is a row of 12
{
    return table[2 * row][column];
}

static double digits_of_four(int64_t row, int64_t column) // Su 2020, a = 0.4
{
    double first = table[0][column];
    double upper = (table[row / 4][column] - 0.4 * first) / 0.6;
    double lower = (table[row % 4][column] - 0.4 * first) / 0.6;
    return 0.4 * upper + 0.6 * lower;
}

static void tables_are_resized_by_the_formulas(void **state)
{
    (void)state;
    static const struct {
        int64_t rows;
        const char *way, *skip;
        double (*wanted)(int64_t row, int64_t column);
    } cases[] = {
        {12, "none", "0", as_it_is},
        {12, "interpolate", "0", as_it_is},
        {12, "truncate", "0", as_it_is},
        {30, "truncate", "0", as_it_is},
        {14, "none", "2", two_further},
        {30, "truncate", "2", two_further},
        {5, "interpolate", "0", between_five},
        {23, "interpolate", "0", between_23},
        {4, "hierarchical", "0", digits_of_four},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        make_table(cases[i].rows);
        begin("learned");
        init_from(table_path, "");
        set("init-resize", cases[i].way);
        set("init-skip", cases[i].skip);
        check_ok(trainer_init(&one, &settings));
        expect_table("pe.learned.weight", cases[i].wanted);
        assert_non_null(strstr(one.started, "pe.learned.weight as 'table' ["));
        trainer_release(&one);
    }
}

// The first rows of a decomposed table are the table itself, to the bit, as hierarchical.c has it.
static void a_decomposed_table_begins_with_itself(void **state)
{
    (void)state;
    make_table(4);
    begin("learned");
    init_from(table_path, "");
    set("init-resize", "hierarchical");
    check_ok(trainer_init(&one, &settings));
    for (int i = 0; i < 4 * DIM; i++)
        assert_true(values_of(&one, "pe.learned.weight")[i] == (real)table[i / DIM][i % DIM]);
    trainer_release(&one);
    // What the encoding of that name makes of the same four rows.
    begin("hierarchical");
    set("pe-opt", "rows=4");
    init_from(table_path, "");
    check_ok(trainer_init(&two, &settings));
    check_ok(trainer_refresh_tables(&two));
    assert_string_equal(two.tables.table[1].name, "position_table");
    for (int64_t i = 0; i < 12 * DIM; i++)
        check_close(trainer_table(&two, 1)[i], digits_of_four(i / DIM, i % DIM), CHECK_ROUNDING,
                    1e-7);
    trainer_release(&two);
}

static void expect_refused(int code, const char *words)
{
    int is = trainer_init(&one, &settings);
    if (is == 0)
        fail_msg("'%s' is not refused", settings.init_from[0]);
    if (is != code || !strstr(err_last(), words))
        fail_msg("%d '%s', not %d '%s'", is, err_last(), code, words);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const struct {
        int64_t rows, columns;
        const char *way, *skip, *words;
    } cases[] = {
        {13, 8, "none", "0",
         "[13, 8], and pe.learned.weight of this model has [12, 8]; "
         "--init-resize truncate"},
        {11, 8, "none", "0", "interpolate or hierarchical"},
        {11, 8, "truncate", "0", "nothing to truncate"},
        {13, 8, "truncate", "2", "nothing to truncate"},
        {13, 8, "hierarchical", "0", "not fewer"},
        {3, 8, "hierarchical", "0", "square"},
        {12, 7, "truncate", "0", "give --dim"},
        {12, 8, "none", "12", "leaves nothing"},
        {12, 8, "none", "1048576", "leaves nothing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_table(cases[i].rows, cases[i].columns);
        begin("learned");
        init_from(table_path, "");
        set("init-resize", cases[i].way);
        set("init-skip", cases[i].skip);
        expect_refused(ERR_ARGUMENT, cases[i].words);
    }
}

static void numbers_must_be_finite(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *words;
    } cases[] = {{(double)NAN, "element 27 of pe.learned.weight NaN"},
                 {-(double)INFINITY, "infinite"},
                 {1e300, "too large for a float"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (sizeof(real) == sizeof(double) && cases[i].value > 1e299)
            continue; // it is none
        make_table(12);
        table[3][3] = cases[i].value;
        write_table(12, DIM);
        begin("learned");
        init_from(table_path, "");
        expect_refused(ERR_FORMAT, cases[i].words);
    }
}

// --- which parameter

static void which_parameter_is_meant(void **state)
{
    (void)state;
    static const struct {
        const char *pe, *rest, *parameter; // NULL: refused
        int64_t rows, columns;
        const char *words;
    } cases[] = {
        {"learned", "", "pe.learned.weight", 12, 8, ""},
        {"learned", "=pe.learned.weight", "pe.learned.weight", 12, 8, ""},
        {"learned", ":table=pe.learned.weight", "pe.learned.weight", 12, 8, ""},
        {"learned", ":table", "pe.learned.weight", 12, 8, ""},
        {"learned", "=ln_f.weight", NULL, 12, 8, "[12, 8], and ln_f.weight"},
        {"learned", "=layers.0.mlp.up.weight", "layers.0.mlp.up.weight", 12, 8, ""},
        {"tupe", "", "pe.tupe.weight", 12, 8, ""},
        {"t5", "", "pe.t5.weight", 32, 2, ""},
        {"urpe", "", "pe.urpe.factor", 23, 2, ""},
        {"learned+urpe", "", "pe.urpe.factor", 23, 2, ""},
        {"learned+urpe", "", "pe.learned.weight", 12, 8, ""},
        {"deberta-emd", "", "pe.deberta-emd.absolute.weight", 12, 8, ""},
        {"shaw", "", NULL, 33, 4, "one of layers.0.pe.shaw.key, layers.0.pe.shaw.value"},
        {"shaw", "=layers.1.pe.shaw.value", "layers.1.pe.shaw.value", 33, 4, ""},
        {"t5", "", NULL, 31, 2, "[31, 2], and pe.t5.weight of this model has [32, 2]"},
        {"rope", "", NULL, 12, 8, "encoding rope has no parameter"},
        {"learned", "=pe.lerned.weight", NULL, 12, 8, "did you mean 'pe.learned.weight'"},
        {"learned", ":tabel", NULL, 12, 8, "did you mean 'table'"},
        {"learned", ":", NULL, 12, 8, "is not FILE"},
        {"learned", "=", NULL, 12, 8, "is not FILE"},
        {"learned", ":table=", NULL, 12, 8, "is not FILE"},
        {"learned", ":t*", NULL, 12, 8, "no parameter 'table'"},
        {"learned", ":x*", NULL, 12, 8, "fits 'x*'; it has table"},
        {"learned", ":t*=ln_f.weight", NULL, 12, 8, "is a pattern"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int64_t k = 0; k < cases[i].rows * cases[i].columns; k++)
            table[k / DIM][k % DIM] = (double)(k + 1);
        write_table(cases[i].rows, cases[i].columns);
        begin(cases[i].pe);
        init_from(table_path, cases[i].rest);
        if (!cases[i].parameter) {
            expect_refused(ERR_ARGUMENT, cases[i].words);
            continue;
        }
        int code = trainer_init(&one, &settings);
        if (code < 0)
            fail_msg("%s: %s", cases[i].pe, err_last());
        const real *value = values_of(&one, cases[i].parameter);
        for (int64_t k = 0; k < cases[i].rows * cases[i].columns; k++)
            assert_true(value[k] == (real)(k + 1));
        trainer_release(&one);
    }
}

// What an encoding says of its table of positions holds.
static void tables_of_positions_are_there(void **state)
{
    (void)state;
    int found = 0;
    for (int i = 0; i < pe_count; i++) {
        char name[AG_NAME_SIZE];
        if (!pe_list[i]->position_table)
            continue;
        begin(pe_list[i]->name);
        check_ok(trainer_init(&one, &settings));
        snprintf(name, sizeof name, "pe.%s.%s", pe_list[i]->name, pe_list[i]->position_table);
        const struct ag_parameter *row = row_of(&one, name);
        assert_int_equal(row->shape.dims, 2);
        assert_int_equal(row->shape.size[0], LENGTH);
        assert_int_equal(row->shape.size[1], DIM);
        assert_int_equal(row->decay, AG_NO_DECAY);
        trainer_release(&one);
        found++;
    }
    assert_int_equal(found, 5);
}

// --- the rest of the model

// All parameters but `but`, their gradients' norm, and the batch of a step.
static void expect_same(const char *but, bool step)
{
    struct train_step_result result;
    for (int i = 0; i < one.params.rows; i++) {
        const struct ag_parameter *row = &one.params.row[i];
        if (strcmp(row->name, but) != 0)
            check_same_bytes(one.params.value + row->offset, values_of(&two, row->name),
                             (size_t)row->count * sizeof(real));
    }
    if (!step)
        return;
    check_ok(trainer_step(&one, &result));
    check_ok(trainer_step(&two, &result));
    size_t size = (size_t)one.train.tokens->count * sizeof(int32_t);
    check_same_bytes(one.train.tokens->index, two.train.tokens->index, size);
    check_same_bytes(one.train.targets->index, two.train.targets->index, size);
}

static void all_else_starts_as_without(void **state)
{
    (void)state;
    make_table(12);
    begin("learned");
    check_ok(trainer_init(&two, &settings));
    init_from(table_path, "");
    check_ok(trainer_init(&one, &settings));
    assert_int_equal(one.settings.init_sha256s, 1);
    assert_string_equal(two.started, "");
    assert_true(values_of(&one, "pe.learned.weight")[0] != values_of(&two, "pe.learned.weight")[0]);
    expect_same("pe.learned.weight", true);
    trainer_release(&one);
    trainer_release(&two);
}

// A start that changes no bit changes none of the training, dropout and all.
static void a_start_with_the_same_numbers_is_the_same_run(void **state)
{
    (void)state;
    struct history history;
    struct train_step_result a, b;
    history_init(&history);
    begin("learned");
    set("ema", "0.9");
    check_ok(trainer_init(&two, &settings));
    check_ok(checkpoint_save(run_path, &two, &history));
    init_from(run_path, ":pe.*");
    check_ok(trainer_init(&one, &settings));
    check_same_bytes(one.averaged.value, two.averaged.value,
                     (size_t)one.params.count * sizeof(real));
    for (int i = 0; i < STEPS; i++) {
        check_ok(trainer_step(&one, &a));
        check_ok(trainer_step(&two, &b));
        assert_true(a.loss == b.loss && a.grad_norm == b.grad_norm);
    }
    check_same_bytes(one.params.value, two.params.value, (size_t)one.params.count * sizeof(real));
    trainer_release(&one);
    trainer_release(&two);
}

static void a_whole_model_starts_from_a_run(void **state)
{
    (void)state;
    struct history history;
    struct train_step_result result;
    history_init(&history);
    begin("t5");
    check_ok(trainer_init(&two, &settings));
    for (int i = 0; i < 3; i++)
        check_ok(trainer_step(&two, &result));
    check_ok(checkpoint_save(run_path, &two, &history));
    set("seed", "77");
    init_from(run_path, "");
    check_ok(trainer_init(&one, &settings));
    assert_int_equal(one.step, 0);
    expect_same("", false);
    trainer_release(&one);
    trainer_release(&two);
    begin("alibi");
    init_from(run_path, "");
    expect_refused(ERR_ARGUMENT, "It lacks 0 of its parameters; it has 1 arrays beside them: "
                                 "pe.t5.weight");
    begin("learned");
    init_from(run_path, "");
    expect_refused(ERR_ARGUMENT, "It lacks 1 of its parameters: pe.learned.weight");
    begin("t5");
    set("ff-dim", "13");
    init_from(run_path, "");
    expect_refused(ERR_ARGUMENT, "[12, 8], and layers.0.mlp.up.weight of this model has [13, 8]");
    begin("t5");
    init_from(run_path, "");
    init_from(run_path, ":pe.t5.weight");
    expect_refused(ERR_ARGUMENT, "starts pe.t5.weight twice");
}

static void the_digest_is_kept_to(void **state)
{
    (void)state;
    char digest[sizeof settings.init_sha256[0]];
    make_table(12);
    begin("learned");
    init_from(table_path, "");
    check_ok(trainer_init(&one, &settings));
    strcpy(digest, one.settings.init_sha256[0]);
    settings = one.settings;
    trainer_release(&one);
    check_ok(trainer_init(&one, &settings));
    assert_int_equal(one.settings.init_sha256s, 1);
    assert_string_equal(one.settings.init_sha256[0], digest);
    trainer_release(&one);
    table[0][0] += 1;
    write_table(12, DIM);
    expect_refused(ERR_FORMAT, "is not the file that is wanted");
}

// --- frozen

static const char *const frozen_names[] = {"pe.learned.weight", "layers.0.mlp.up.weight",
                                           "layers.0.mlp.up.bias", "tok_emb.weight"};
enum { FROZEN = sizeof frozen_names / sizeof frozen_names[0] };

static void freeze(void)
{
    set("freeze", "pe.*,layers.0.mlp.up.*");
    set("freeze", "tok_emb.weight");
}

// What `start` had of the frozen parameters is what `trainer` has.
static void expect_frozen(const struct trainer *trainer, const real *slab, const real *start)
{
    for (int i = 0; i < FROZEN; i++) {
        const struct ag_parameter *row = row_of(trainer, frozen_names[i]);
        check_same_bytes(slab + row->offset, start + row->offset,
                         (size_t)row->count * sizeof(real));
    }
}

static real *start_of(const struct trainer *trainer)
{
    size_t size = (size_t)trainer->params.count * sizeof(real);
    real *start = malloc(size);
    assert_non_null(start);
    memcpy(start, trainer->params.value, size);
    return start;
}

static double norm_of_others(const struct trainer *trainer)
{
    double sum = 0;
    for (int i = 0; i < trainer->params.rows; i++) {
        const struct ag_parameter *row = &trainer->params.row[i];
        bool is_frozen = false;
        for (int k = 0; k < FROZEN; k++)
            is_frozen = is_frozen || strcmp(row->name, frozen_names[k]) == 0;
        for (int64_t k = 0; k < row->count && !is_frozen; k++)
            sum += (double)trainer->params.grad[row->offset + k] *
                   (double)trainer->params.grad[row->offset + k];
    }
    return sqrt(sum);
}

// The reference trains everything, and puts the frozen ones back after each step.
static void frozen_keeps_its_bits_with(const char *optimizer)
{
    struct train_step_result a, b;
    begin("learned");
    set("optimizer", optimizer);
    set("grad-clip", "0"); // the reference clips by all gradients
    set("ema", "0.9");
    check_ok(trainer_init(&two, &settings));
    freeze();
    check_ok(trainer_init(&one, &settings));
    real *start = start_of(&two);
    for (int i = 0; i < STEPS; i++) {
        check_ok(trainer_step(&one, &a));
        check_ok(trainer_step(&two, &b));
        assert_true(a.loss == b.loss);
        check_close(a.grad_norm, norm_of_others(&two), 1e-6, 0);
        assert_true(a.grad_norm < b.grad_norm);
        for (int k = 0; k < FROZEN; k++) {
            const struct ag_parameter *row = row_of(&two, frozen_names[k]);
            assert_true(memcmp(two.params.value + row->offset, start + row->offset,
                               (size_t)row->count * sizeof(real)) != 0);
            memcpy(two.params.value + row->offset, start + row->offset,
                   (size_t)row->count * sizeof(real));
        }
    }
    expect_frozen(&one, one.params.value, start);
    expect_frozen(&one, one.averaged.value, start);
    check_same_bytes(one.params.value, two.params.value, (size_t)one.params.count * sizeof(real));
    free(start);
    trainer_release(&one);
    trainer_release(&two);
}

static void frozen_keeps_its_bits(void **state)
{
    (void)state;
    for (int i = 0; i < optimizer_count; i++)
        frozen_keeps_its_bits_with(optimizer_list[i]->name);
}

static void clipping_does_not_know_of_it(void **state)
{
    (void)state;
    struct train_step_result result;
    begin("learned");
    set("optimizer", "sgd");
    set("weight-decay", "0");
    set("warmup", "0");
    set("schedule", "constant");
    set("lr", "1");
    set("grad-clip", "0.01");
    freeze();
    check_ok(trainer_init(&one, &settings));
    real *start = start_of(&one);
    check_ok(trainer_step(&one, &result));
    assert_true(result.grad_norm > 0.01);
    double sum = 0;
    for (int64_t i = 0; i < one.params.count; i++)
        sum += pow((double)one.params.value[i] - (double)start[i], 2);
    check_close(sqrt(sum), 0.01, 1e-4, 0);
    free(start);
    trainer_release(&one);
}

// The same bits with any threads, and saved and resumed, when the file is gone.
static void frozen_runs_resume(void **state)
{
    (void)state;
    struct history history;
    struct train_step_result result;
    struct checkpoint checkpoint;
    history_init(&history);
    make_table(12);
    begin("learned");
    init_from(table_path, "");
    freeze();
    set("batch-size", "48");
    check_ok(trainer_init(&one, &settings));
    for (int i = 0; i < STEPS; i++)
        check_ok(trainer_step(&one, &result));
    set("threads", "3");
    check_ok(trainer_init(&two, &settings));
    for (int i = 0; i < STEPS / 2; i++)
        check_ok(trainer_step(&two, &result));
    check_ok(checkpoint_save(run_path, &two, &history));
    trainer_release(&two);
    assert_int_equal(remove(table_path), 0);
    check_ok(checkpoint_open(&checkpoint, run_path));
    assert_string_equal(checkpoint.settings.init_from[0], table_path);
    assert_int_equal(checkpoint.settings.init_sha256s, 1);
    check_ok(checkpoint_init_trainer(&checkpoint, &two));
    check_ok(checkpoint_read_params(&checkpoint, &two));
    check_ok(checkpoint_read_optimizer(&checkpoint, &two));
    checkpoint_close(&checkpoint);
    for (int i = STEPS / 2; i < STEPS; i++)
        check_ok(trainer_step(&two, &result));
    check_same_bytes(one.params.value, two.params.value, (size_t)one.params.count * sizeof(real));
    for (int i = 0; i < LENGTH * DIM; i++)
        assert_true(values_of(&two, "pe.learned.weight")[i] == (real)table[i / DIM][i % DIM]);
    trainer_release(&one);
    trainer_release(&two);
}

static void parts_of_a_batch_leave_it(void **state)
{
    (void)state;
    struct train_step_result result;
    begin("learned");
    set("accumulate", "2");
    freeze();
    check_ok(trainer_init(&one, &settings));
    real *start = start_of(&one);
    for (int i = 0; i < 3; i++)
        check_ok(trainer_step(&one, &result));
    expect_frozen(&one, one.params.value, start);
    free(start);
    trainer_release(&one);
}

static void patterns_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"pe.lerned.weight", "did you mean 'pe.learned.weight'"},
        {"pe.*,quite another", "fits 'quite another'; there are tok_emb.weight, ..., head.weight"},
        {"pe.*,", "fits ''"},
        {"*", "leaves no parameter"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin("learned");
        set("freeze", cases[i][0]);
        check_error(trainer_init(&one, &settings), ERR_ARGUMENT, cases[i][1]);
    }
}

// Only the last norm's bias is left, which moves nothing that a gradient of another needs.
static void nearly_all_may_be_frozen(void **state)
{
    (void)state;
    struct train_step_result result;
    begin("learned");
    set("freeze", "[!l]*,layers.*,ln_f.weight");
    check_ok(trainer_init(&one, &settings));
    real *start = start_of(&one);
    check_ok(trainer_step(&one, &result));
    int64_t changed = 0;
    for (int64_t i = 0; i < one.params.count; i++)
        changed += one.params.value[i] != start[i];
    assert_int_equal(changed, DIM);
    free(start);
    trainer_release(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_resized_by_the_formulas),
        cmocka_unit_test(a_decomposed_table_begins_with_itself),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(numbers_must_be_finite),
        cmocka_unit_test(which_parameter_is_meant),
        cmocka_unit_test(tables_of_positions_are_there),
        cmocka_unit_test(all_else_starts_as_without),
        cmocka_unit_test(a_start_with_the_same_numbers_is_the_same_run),
        cmocka_unit_test(a_whole_model_starts_from_a_run),
        cmocka_unit_test(the_digest_is_kept_to),
        cmocka_unit_test(frozen_keeps_its_bits),
        cmocka_unit_test(clipping_does_not_know_of_it),
        cmocka_unit_test(frozen_runs_resume),
        cmocka_unit_test(parts_of_a_batch_leave_it),
        cmocka_unit_test(patterns_that_are_none_are_refused),
        cmocka_unit_test(nearly_all_may_be_frozen),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, make_folder, remove_folder) != 0;
}
