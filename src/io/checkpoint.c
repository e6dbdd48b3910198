// Checkpoints: parameters, optimizer state, tables and history as plain datasets.
#include "checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../autograd/base/arena.h"
#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../autograd/kernels/finite.h"
#include "../../autograd/kernels/gemm.h"
#include "../../autograd/kernels/level.h"
#include "table_arrays.h"
#include "version.h"

enum { PATH_SIZE = AG_NAME_SIZE + 64 };

// "layers.0.attn.q.weight" under "/params" is "/params/layers/0/attn/q/weight".
static void dataset_path(char path[PATH_SIZE], const char *prefix, const char *name)
{
    int length = snprintf(path, PATH_SIZE, "%s/%s", prefix, name);
    BUG_ON(length < 0 || length >= PATH_SIZE);
    for (char *p = path + strlen(prefix); *p; p++)
        if (*p == '.')
            *p = '/';
}

// --- writing

char *checkpoint_config(const struct train_settings *settings)
{
    struct train_settings *portable = malloc(sizeof *portable);
    if (!portable) {
        err_set(ERR_MEMORY, "out of memory for a copy of the settings");
        return NULL;
    }
    *portable = *settings;
    portable->threads = 0;
    portable->out_dir[0] = '\0';
    portable->tensorboard = false;
    char *text = train_settings_to_json(portable);
    free(portable);
    return text;
}

void checkpoint_write_slab(struct h5_writer *writer, const char *prefix,
                           const struct ag_params *params, const real *slab)
{
    char path[PATH_SIZE];
    for (int i = 0; i < params->rows; i++) {
        const struct ag_parameter *row = &params->row[i];
        dataset_path(path, prefix, row->name);
        h5_write_lent(writer, path, CHECKPOINT_REAL, row->shape.dims, row->shape.size,
                      slab + row->offset);
    }
}

// What the bits of a run depend on beside its settings. A checkpoint that lacks one is older than
// it.
static const struct {
    const char *key;
    const char *(*value)(void);
} ground[] = {{"blas_kernel", gemm_kernel},
              {"vector_level", level_own},
              {"compiler", level_compiler},
              {"c_library", level_c_library},
              {"denormals", par_denormals}};
enum { GROUNDS = sizeof ground / sizeof ground[0] };

void checkpoint_write_identity(struct h5_writer *writer, const char *format, int64_t version,
                               const struct trainer *trainer, int64_t step)
{
    h5_attr_text(writer, "/", "format", format);
    h5_attr_int(writer, "/", "format_version", version);
    h5_attr_int(writer, "/", "step", step);
    h5_attr_int(writer, "/", "seed", trainer->settings.seed);
    h5_attr_text(writer, "/", "posgrad_version", POSGRAD_VERSION);
    h5_attr_text(writer, "/", "blas_version", gemm_library());
    for (int i = 0; i < GROUNDS; i++)
        h5_attr_text(writer, "/", ground[i].key, ground[i].value());
    h5_attr_text(writer, "/", "precision", REAL_NAME);
    char text[24];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)trainer->dataset.fingerprint);
    if (trainer->dataset.fingerprint)
        h5_attr_text(writer, "/", "data_fingerprint", text);
}

static void write_optimizer(struct h5_writer *writer, const struct trainer *trainer)
{
    const struct optimizer *optimizer = &trainer->optimizer;
    for (int k = 0; k < optimizer->def->states; k++) {
        char prefix[48];
        snprintf(prefix, sizeof prefix, "/optimizer/%.30s", optimizer->def->state_name[k]);
        checkpoint_write_slab(writer, prefix, &trainer->params, optimizer->state[k]);
    }
}

static int write_tables(struct h5_writer *writer, const struct trainer *trainer)
{
    const struct pe_tables *tables = &trainer->tables;
    const real *value[PE_MAX_TABLES];
    struct arena arena;
    for (int i = 0; i < tables->count; i++)
        value[i] = trainer_table(trainer, i);
    arena_init(&arena);
    struct export_array *array = table_arrays(&arena, tables, value, trainer->config.train_length);
    for (int i = 0; array && i < tables->count; i++)
        export_h5_array(writer, "/tables", &array[i]);
    arena_release(&arena);
    return array ? 0 : ERR_MEMORY;
}

static void write_history(struct h5_writer *writer, const struct trainer *trainer,
                          const struct history *history)
{
    char path[PATH_SIZE];
    for (int s = 0; s < HISTORY_SPLITS; s++) {
        const struct history_series *series = &history->split[s];
        const struct history_layout *layout = &history_layouts[s];
        if (!series->rows)
            continue;
        snprintf(path, sizeof path, "/history/%s/step", layout->name);
        h5_write_lent(writer, path, H5FILE_I64, 1, &series->rows, series->step);
        for (int c = 0; c < layout->columns; c++) {
            if (strcmp(layout->column[c], "bits_per_byte") == 0 && !trainer->dataset.bits_per_byte)
                continue;
            snprintf(path, sizeof path, "/history/%s/%s", layout->name, layout->column[c]);
            h5_write_lent(writer, path, H5FILE_F64, 1, &series->rows, series->column[c]);
        }
    }
}

// The last look at all numbers, after the digest was made of them: so what is wrong in it is still
// wrong here. Whoever asks for a save has checked them before, and named what made them so; this is
// for what nobody thought of, and for what happens while a save is made beside the training.
static int check_finite(const struct trainer *trainer, const struct history *history)
{
    const struct ag_params *params = &trainer->params;
    const struct optimizer *optimizer = &trainer->optimizer;
    bool good = finite_all(params->value, params->count);
    for (int k = 0; k < optimizer->def->states; k++)
        good = good && finite_all(optimizer->state[k], params->count);
    if (trainer->averaged.value)
        good = good && finite_all(trainer->averaged.value, params->count);
    for (int i = 0; i < trainer->tables.count; i++)
        good = good &&
               finite_all(trainer_table(trainer, i), trainer->tables.table[i].tensor->count);
    for (int s = 0; s < HISTORY_SPLITS; s++)
        for (int c = 0; c < history_layouts[s].columns; c++)
            for (int64_t i = 0; i < history->split[s].rows; i++)
                good = good && isfinite(history->split[s].column[c][i]);
    return good ? 0
                : err_set(ERR_NUMBER,
                          "step %lld holds a number that is not finite, and no checkpoint may",
                          (long long)trainer->step);
}

struct h5_writer *checkpoint_writer(const char *path, const struct trainer *trainer,
                                    const struct history *history)
{
    char *config = checkpoint_config(&trainer->settings);
    struct h5_writer *writer = config ? h5_writer_new() : NULL;
    if (!writer) {
        free(config);
        return NULL;
    }
    checkpoint_write_identity(writer, CHECKPOINT_FORMAT, CHECKPOINT_VERSION, trainer,
                              trainer->step);
    h5_write_text(writer, "/config", config);
    free(config);
    checkpoint_write_slab(writer, "/params", &trainer->params, trainer->params.value);
    write_optimizer(writer, trainer);
    if (trainer->averaged.value)
        checkpoint_write_slab(writer, "/ema", &trainer->params, trainer->averaged.value);
    int code = write_tables(writer, trainer);
    write_history(writer, trainer, history);
    if (code < 0 || h5_writer_seal(writer, path) < 0 || check_finite(trainer, history) < 0) {
        h5_writer_free(writer);
        return NULL;
    }
    return writer;
}

int checkpoint_save(const char *path, struct trainer *trainer, const struct history *history)
{
    int code = trainer_refresh_tables(trainer);
    if (code < 0)
        return code;
    struct h5_writer *writer = checkpoint_writer(path, trainer, history);
    code = writer ? h5_writer_publish(writer, path) : err_code();
    h5_writer_free(writer);
    return code;
}

// --- reading

static int check_format(struct checkpoint *checkpoint)
{
    int64_t version = 0;
    char *format = h5_read_attr_text(checkpoint->reader, "/", "format");
    bool ours = format && strcmp(format, CHECKPOINT_FORMAT) == 0;
    if (!format && err_code() == ERR_MEMORY)
        return ERR_MEMORY;
    free(format);
    if (!ours)
        return err_set(ERR_FORMAT, "%s is no posgrad checkpoint", checkpoint->path);
    int code = h5_read_attr_int(checkpoint->reader, "/", "format_version", &version);
    if (code == 0 && version != CHECKPOINT_VERSION)
        code = err_set(ERR_FORMAT, "%s has format version %lld, and this program reads version %d",
                       checkpoint->path, (long long)version, CHECKPOINT_VERSION);
    if (code == 0)
        code = h5_read_attr_int(checkpoint->reader, "/", "step", &checkpoint->step);
    if (code == 0 && checkpoint->step < 0)
        code = err_set(ERR_FORMAT, "%s: step %lld is negative", checkpoint->path,
                       (long long)checkpoint->step);
    return code;
}

static int read_config(struct checkpoint *checkpoint)
{
    char *text = h5_read_text(checkpoint->reader, "/config");
    if (!text)
        return err_prefix(err_code(), "%s", checkpoint->path);
    train_settings_init(&checkpoint->settings);
    int code = train_settings_from_json(&checkpoint->settings, text);
    free(text);
    return code < 0 ? err_prefix(code, "%s", checkpoint->path) : 0;
}

int checkpoint_open(struct checkpoint *checkpoint, const char *run)
{
    memset(checkpoint, 0, sizeof *checkpoint);
    const char *slash = strrchr(run, '/');
    bool named = strcmp(slash ? slash + 1 : run, "checkpoint.h5") == 0;
    int kind = named ? FILE_OTHER : file_kind(run, true);
    if (kind < 0)
        return kind;
    int length = snprintf(checkpoint->path, sizeof checkpoint->path, "%s%s", run,
                          kind == FILE_FOLDER ? "/checkpoint.h5" : "");
    if (length < 0 || (size_t)length >= sizeof checkpoint->path)
        return err_set(ERR_ARGUMENT, "the name of the run is too long");
    checkpoint->reader = h5_reader_open(checkpoint->path);
    if (!checkpoint->reader)
        return ERR_FORMAT;
    int code = check_format(checkpoint);
    if (code == 0)
        code = read_config(checkpoint);
    if (code < 0)
        checkpoint_close(checkpoint);
    return code;
}

void checkpoint_close(struct checkpoint *checkpoint)
{
    if (checkpoint->reader)
        h5_reader_close(checkpoint->reader);
    checkpoint->reader = NULL;
}

static int check_shape(struct checkpoint *checkpoint, const char *path,
                       const struct ag_parameter *row, enum h5_type *type)
{
    struct ag_shape shape = {0};
    char here[96], wanted[96];
    int code = h5_shape(checkpoint->reader, path, type, &shape.dims, shape.size, AG_MAX_DIMS);
    if (code < 0)
        return err_prefix(code, "%s", checkpoint->path);
    if (!ag_shape_equal(shape, row->shape))
        return err_set(ERR_FORMAT, "%s: %s has shape %s, and the model wants %s", checkpoint->path,
                       path, ag_shape_text(shape, here), ag_shape_text(row->shape, wanted));
    if (*type != H5FILE_F32 && *type != H5FILE_F64)
        return err_set(ERR_FORMAT, "%s: %s does not hold real numbers", checkpoint->path, path);
    return 0;
}

// A dataset that the other build wrote.
static int read_converted(struct checkpoint *checkpoint, const char *path, enum h5_type type,
                          int64_t count, real *value)
{
    size_t size = type == H5FILE_F32 ? sizeof(float) : sizeof(double);
    void *raw = calloc((size_t)count, size);
    if (!raw)
        return err_set(ERR_MEMORY, "out of memory for %s", path);
    int code = h5_read(checkpoint->reader, path, type, count, raw);
    for (int64_t i = 0; code == 0 && i < count; i++)
        value[i] = type == H5FILE_F32 ? (real)((const float *)raw)[i]
                                      : (real)((const double *)raw)[i];
    free(raw);
    return code;
}

static int read_row(struct checkpoint *checkpoint, const char *prefix,
                    const struct ag_parameter *row, real *slab)
{
    char path[PATH_SIZE];
    enum h5_type type;
    real *value = slab + row->offset;
    dataset_path(path, prefix, row->name);
    int code = check_shape(checkpoint, path, row, &type);
    if (code < 0)
        return code;
    if (type == CHECKPOINT_REAL)
        code = h5_read(checkpoint->reader, path, type, row->count, value);
    else
        code = read_converted(checkpoint, path, type, row->count, value);
    if (code < 0)
        return err_prefix(code, "%s", checkpoint->path);
    for (int64_t i = 0; i < row->count; i++)
        if (!isfinite(value[i]))
            return err_set(ERR_FORMAT, "%s: %s holds a number that is not finite, at element %lld",
                           checkpoint->path, path, (long long)i);
    return 0;
}

static int read_slab(struct checkpoint *checkpoint, const char *prefix,
                     const struct ag_params *params, real *slab)
{
    int code = 0;
    for (int i = 0; i < params->rows && code == 0; i++)
        code = read_row(checkpoint, prefix, &params->row[i], slab);
    return code;
}

static int count_one(void *context, const char *path)
{
    (void)path;
    ++*(int *)context;
    return 0;
}

// Every row of so many slabs was found; a dataset more means that the file is of another model.
static int check_count(struct checkpoint *checkpoint, const char *prefix,
                       const struct ag_params *params, int slabs)
{
    int count = 0;
    int code = h5_walk(checkpoint->reader, prefix, count_one, &count);
    if (code < 0)
        return err_prefix(code, "%s", checkpoint->path);
    if (count != slabs * params->rows)
        return err_set(ERR_FORMAT, "%s: %s holds %d parameters, and the model has %d",
                       checkpoint->path, prefix, count, slabs * params->rows);
    return 0;
}

int checkpoint_read_params(struct checkpoint *checkpoint, struct trainer *trainer)
{
    int code = read_slab(checkpoint, "/params", &trainer->params, trainer->params.value);
    if (code == 0)
        code = check_count(checkpoint, "/params", &trainer->params, 1);
    if (code == 0 && trainer->averaged.value)
        code = read_slab(checkpoint, "/ema", &trainer->params, trainer->averaged.value);
    if (code == 0 && trainer->averaged.value)
        code = check_count(checkpoint, "/ema", &trainer->params, 1);
    if (code == 0)
        trainer->step = checkpoint->step;
    return code;
}

int checkpoint_read_optimizer(struct checkpoint *checkpoint, struct trainer *trainer)
{
    const struct optimizer *optimizer = &trainer->optimizer;
    int code = 0;
    for (int k = 0; k < optimizer->def->states && code == 0; k++) {
        char prefix[48];
        snprintf(prefix, sizeof prefix, "/optimizer/%.30s", optimizer->def->state_name[k]);
        code = read_slab(checkpoint, prefix, &trainer->params, optimizer->state[k]);
    }
    if (code == 0 && optimizer->def->states > 0)
        code = check_count(checkpoint, "/optimizer", &trainer->params, optimizer->def->states);
    return code;
}

int checkpoint_check_data(struct checkpoint *checkpoint, const struct trainer *trainer)
{
    char here[24];
    snprintf(here, sizeof here, "%016llx", (unsigned long long)trainer->dataset.fingerprint);
    char *there = h5_read_attr_text(checkpoint->reader, "/", "data_fingerprint");
    if (!there && err_code() == ERR_MEMORY)
        return ERR_MEMORY;
    bool same = !there || !trainer->dataset.fingerprint || strcmp(here, there) == 0;
    free(there);
    return same ? 0
                : err_set(ERR_ARGUMENT,
                          "--data %s is not the data that the run was started with; give the file "
                          "that has it, or start a new run",
                          trainer->settings.data);
}

bool checkpoint_same_ground(struct checkpoint *checkpoint, char was[CHECKPOINT_GROUND],
                            char is[CHECKPOINT_GROUND])
{
    bool same = true;
    was[0] = is[0] = '\0';
    for (int i = 0; i < GROUNDS; i++) {
        char *there = h5_read_attr_text(checkpoint->reader, "/", ground[i].key);
        const char *here = ground[i].value();
        if (there && strcmp(there, here) != 0) {
            size_t used[] = {strlen(was), strlen(is)};
            const char *comma = same ? "" : ", ";
            snprintf(was + used[0], CHECKPOINT_GROUND - used[0], "%s%s %.40s", comma, ground[i].key,
                     there);
            snprintf(is + used[1], CHECKPOINT_GROUND - used[1], "%s%s %.40s", comma, ground[i].key,
                     here);
            same = false;
        }
        free(there);
    }
    return same;
}

// Whether the file has all columns of a series, each of so many rows, before memory is taken for
// them. Only texts have bits a byte.
static int check_columns(struct checkpoint *checkpoint, const struct history_layout *layout,
                         int64_t rows)
{
    char path[PATH_SIZE];
    enum h5_type type;
    int dims;
    int64_t size = 0;
    for (int c = 0; c < layout->columns; c++) {
        snprintf(path, sizeof path, "/history/%s/%s", layout->name, layout->column[c]);
        if (!h5_has(checkpoint->reader, path) && strcmp(layout->column[c], "bits_per_byte") == 0)
            continue;
        int code = h5_shape(checkpoint->reader, path, &type, &dims, &size, 1);
        if (code < 0)
            return code;
        if (type != H5FILE_F64 || dims != 1 || size != rows)
            return err_set(ERR_FORMAT, "%s is no column of %lld numbers", path, (long long)rows);
    }
    return 0;
}

static int read_column(struct checkpoint *checkpoint, const char *path, int64_t rows,
                       double *column)
{
    if (!h5_has(checkpoint->reader, path)) {
        memset(column, 0, (size_t)rows * sizeof *column);
        return 0;
    }
    int code = h5_read(checkpoint->reader, path, H5FILE_F64, rows, column);
    for (int64_t i = 0; i < rows && code == 0; i++)
        if (!isfinite(column[i]))
            code = err_set(ERR_FORMAT, "%s holds a number that is not finite", path);
    return code;
}

static int read_series(struct checkpoint *checkpoint, struct history *history, int split)
{
    const struct history_layout *layout = &history_layouts[split];
    struct history_series *series = &history->split[split];
    char path[PATH_SIZE];
    enum h5_type type;
    int dims;
    int64_t rows;
    snprintf(path, sizeof path, "/history/%s/step", layout->name);
    if (!h5_has(checkpoint->reader, path))
        return 0;
    int code = h5_shape(checkpoint->reader, path, &type, &dims, &rows, 1);
    if (code == 0 && (type != H5FILE_I64 || dims != 1))
        code = err_set(ERR_FORMAT, "%s is no column", path);
    if (code == 0)
        code = check_columns(checkpoint, layout, rows);
    if (code == 0)
        code = history_reserve(history, (enum history_split)split, rows);
    if (code == 0)
        code = h5_read(checkpoint->reader, path, H5FILE_I64, rows, series->step);
    for (int c = 0; c < layout->columns && code == 0; c++) {
        snprintf(path, sizeof path, "/history/%s/%s", layout->name, layout->column[c]);
        code = read_column(checkpoint, path, rows, series->column[c]);
    }
    if (code == 0)
        series->rows = rows;
    return code;
}

int checkpoint_read_history(struct checkpoint *checkpoint, struct history *history)
{
    int code = 0;
    for (int s = 0; s < HISTORY_SPLITS && code == 0; s++)
        code = read_series(checkpoint, history, s);
    return code < 0 ? err_prefix(code, "%s", checkpoint->path) : 0;
}

// --- a trainer of what a file says. Its settings may ask for any size, and its parameters cannot
// be larger than they are: so those are compared before memory is taken.

// Two dimensions of a parameter that every model has.
static int check_size(struct checkpoint *checkpoint, const char *path, int64_t rows,
                      int64_t columns)
{
    enum h5_type type;
    const struct ag_parameter row = {.shape = {.dims = 2, .size = {rows, columns}}};
    return check_shape(checkpoint, path, &row, &type);
}

// The sizes that decide how large all is that the model makes before its parameters are known.
static int check_sizes(struct checkpoint *checkpoint, const struct model_config *config)
{
    char path[PATH_SIZE];
    int code = check_size(checkpoint, "/params/tok_emb/weight", config->vocab, config->dim);
    for (int64_t layer = 0; code == 0 && layer < config->layers; layer++) {
        snprintf(path, sizeof path, "/params/layers/%lld/mlp/up/weight", (long long)layer);
        code = check_size(checkpoint, path, config->ff_dim, config->dim);
    }
    return code;
}

static int agree(void *context, const struct model_config *config, const struct ag_params *params)
{
    struct checkpoint *checkpoint = context;
    char path[PATH_SIZE];
    enum h5_type type;
    int code = 0;
    if (!params)
        return check_sizes(checkpoint, config);
    for (int i = 0; i < params->rows && code == 0; i++) {
        dataset_path(path, "/params", params->row[i].name);
        code = check_shape(checkpoint, path, &params->row[i], &type);
    }
    return code < 0 ? code : check_count(checkpoint, "/params", params, 1);
}

int checkpoint_init_trainer(struct checkpoint *checkpoint, struct trainer *trainer)
{
    const struct trainer_consent consent = {agree, checkpoint};
    return trainer_init_agreed(trainer, &checkpoint->settings, &consent);
}

static int load_trainer(struct trainer *trainer, struct checkpoint *checkpoint, const char *data)
{
    struct train_settings *settings = &checkpoint->settings;
    if (data && strlen(data) >= sizeof settings->data)
        return err_set(ERR_ARGUMENT, "--data: the path is too long");
    if (data)
        strcpy(settings->data, data);
    int code = checkpoint_init_trainer(checkpoint, trainer);
    if (code < 0)
        return code;
    code = data ? 0 : checkpoint_check_data(checkpoint, trainer);
    if (code == 0)
        code = checkpoint_read_params(checkpoint, trainer);
    if (code < 0)
        trainer_release(trainer);
    return code;
}

int checkpoint_load_trainer_on(struct trainer *trainer, const char *run, int64_t threads,
                               const char *data)
{
    struct checkpoint *checkpoint = malloc(sizeof *checkpoint);
    if (!checkpoint)
        return err_set(ERR_MEMORY, "out of memory for the settings of %s", run);
    int code = checkpoint_open(checkpoint, run);
    if (code == 0) {
        checkpoint->settings.threads = threads;
        checkpoint->settings.accumulate = 1;
        code = load_trainer(trainer, checkpoint, data);
        checkpoint_close(checkpoint);
    }
    free(checkpoint);
    return code;
}

int checkpoint_load_trainer(struct trainer *trainer, const char *run, int64_t threads)
{
    return checkpoint_load_trainer_on(trainer, run, threads, NULL);
}
