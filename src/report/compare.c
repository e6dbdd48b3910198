// Comparisons: every run becomes a small JSON object, and tables are made of those.
//
// A key of a run's settings that is neither of its encoding, its task, its seed nor of where and
// how often it wrote says which table it is in.
#include "compare.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../autograd/base/err.h"
#include "../io/checkpoint.h"
#include "../io/json_memory.h"
#include "../train/statistics.h"
#include "json_text.h"
#include "table.h"

enum { MAX_DEPTH = 16, PATH_SIZE = 4096, LABEL_SIZE = 4096 };

static int no_memory(void)
{
    return err_set(ERR_MEMORY, "out of memory for a comparison");
}

// --- metrics. Columns of the validation history; a share is in [0, 1].

static const char *const metrics[] = {"accuracy", "exact_match", "loss"};
enum { METRICS = sizeof metrics / sizeof metrics[0] };

static bool is_share(const char *metric)
{
    return strcmp(metric, "loss") != 0;
}

int comparison_init(struct comparison *comparison, const struct comparison_request *request)
{
    *comparison = (struct comparison){.request = *request};
    const char *metric = request->metric, *near = name_nearest(metrics, METRICS, metric);
    int found = name_index(metrics, METRICS, metric);
    if (found < 0 && near)
        return err_set(ERR_ARGUMENT, "--metric: none is called '%s'; did you mean '%s'?", metric,
                       near);
    if (found < 0)
        return err_set(ERR_ARGUMENT,
                       "--metric: none is called '%s'; there are accuracy, exact_match and loss",
                       metric);
    comparison->request.metric = metrics[found];
    comparison->runs = json_array();
    comparison->notes = json_array();
    return comparison->runs && comparison->notes ? 0 : no_memory();
}

// Whether the model is run, or its last evaluation looked up.
static bool is_run(const struct comparison_request *request)
{
    return request->lengths > 0 || request->at.split != DATASET_VALIDATION;
}

void comparison_release(struct comparison *comparison)
{
    json_decref(comparison->runs);
    json_decref(comparison->notes);
    *comparison = (struct comparison){0};
}

__attribute__((format(printf, 2, 3))) static int note(struct comparison *comparison,
                                                      const char *format, ...)
{
    char text[2 * PATH_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return json_array_append_new(comparison->notes, json_text(text)) < 0 ? no_memory() : 0;
}

// --- a run

// "rope base=500": a name with the options that were given to it.
static void label(const json_t *config, const char *name, const char *pairs, char text[LABEL_SIZE])
{
    const json_t *pair;
    size_t i;
    snprintf(text, LABEL_SIZE, "%s", json_string_value(json_object_get(config, name)));
    json_array_foreach (json_object_get(config, pairs), i, pair) {
        size_t used = strlen(text);
        snprintf(text + used, LABEL_SIZE - used, " %s", json_string_value(pair));
    }
}

// What is left of the settings when those are taken out that never make two runs incomparable.
static json_t *other_options(const json_t *config)
{
    static const char *const apart[] = {"pe",   "pe_opt",    "task",       "task_opt",
                                        "seed", "threads",   "out_dir",    "save_every",
                                        "keep", "log_every", "eval_every", "keep_best"};
    json_t *options = json_deep_copy(config);
    for (size_t i = 0; options && i < sizeof apart / sizeof apart[0]; i++)
        json_object_del(options, apart[i]);
    return options;
}

// The last value of the metric. ERR_ARGUMENT where there is none.
static int last_value(struct checkpoint *checkpoint, const char *metric, double *value)
{
    struct history history;
    const struct history_layout *layout = &history_layouts[HISTORY_VALIDATION];
    history_init(&history);
    int code = checkpoint_read_history(checkpoint, &history);
    const struct history_series *series = &history.split[HISTORY_VALIDATION];
    if (code == 0 && series->rows == 0)
        code = err_set(ERR_ARGUMENT, "%s has no evaluation yet", checkpoint->path);
    for (int c = 0; c < layout->columns && code == 0; c++)
        if (strcmp(layout->column[c], metric) == 0)
            *value = series->column[c][series->rows - 1];
    history_release(&history);
    return code;
}

static json_t *config_of(const struct checkpoint *checkpoint)
{
    json_error_t error;
    char *text = train_settings_to_json(&checkpoint->settings);
    json_t *config = text ? json_loads(text, 0, &error) : NULL;
    free(text);
    return config;
}

// One row of `runs`; `length` is named where it is one of several that may be.
static int add_value(struct comparison *comparison, const struct checkpoint *checkpoint,
                     const char *path, int64_t length, double value)
{
    char encoding[LABEL_SIZE], task[LABEL_SIZE];
    unsigned long failures = json_memory_failures();
    json_t *config = config_of(checkpoint);
    if (!config)
        return no_memory();
    label(config, "pe", "pe_opt", encoding);
    label(config, "task", "task_opt", task);
    if (comparison->request.lengths)
        snprintf(task + strlen(task), sizeof task - strlen(task), " at %lld", (long long)length);
    json_t *row = json_pack("{s:o, s:s, s:s, s:I, s:o, s:o}", "path", json_text(path), "encoding",
                            encoding, "task", task, "seed", (json_int_t)checkpoint->settings.seed,
                            "options", other_options(config), "value",
                            isnan(value) ? json_null() : json_real(value));
    json_decref(config);
    if (!row || json_array_append_new(comparison->runs, row) < 0)
        return no_memory();
    return json_memory_check(failures);
}

static double value_of(const struct length_score *score, const char *metric)
{
    const struct evaluation *result = &score->result;
    if (!score->scored)
        return (double)NAN;
    return strcmp(metric, "loss") == 0       ? result->loss
           : strcmp(metric, "accuracy") == 0 ? result->accuracy
                                             : result->exact_match;
}

// Adds what the run scores at each length. Why one is undefined is a note.
static int add_scores(struct comparison *comparison, const struct checkpoint *checkpoint,
                      const char *path, struct trainer *trainer)
{
    const struct comparison_request *request = &comparison->request;
    int count = request->lengths ? request->lengths : 1;
    struct length_score *score = calloc((size_t)count, sizeof *score);
    if (!score)
        return no_memory();
    for (int i = 0; i < count; i++)
        score[i].length = request->lengths ? request->length[i] : trainer->settings.length;
    int code = evaluate_lengths(trainer, &request->at, count, score);
    code = code == ERR_ARGUMENT ? 0 : code; // none is scored, and each says why
    for (int i = 0; i < count && code == 0; i++) {
        double value = value_of(&score[i], request->metric);
        code = add_value(comparison, checkpoint, path, score[i].length,
                         isfinite(value) ? value : (double)NAN);
        if (code == 0 && !isfinite(value))
            code = note(comparison, "%s at %lld: %s", path, (long long)score[i].length,
                        score[i].scored ? "its loss is not finite" : score[i].reason);
        if (code == 0 && score[i].notice[0])
            code = note(comparison, "%s at %lld: %s", path, (long long)score[i].length,
                        score[i].notice);
    }
    free(score);
    return code;
}

static int run_model(struct comparison *comparison, const struct checkpoint *checkpoint,
                     const char *path)
{
    struct trainer *trainer = malloc(sizeof *trainer);
    int code = trainer ? checkpoint_load_trainer(trainer, path, comparison->request.threads)
                       : no_memory();
    if (code == 0) {
        code = add_scores(comparison, checkpoint, path, trainer);
        trainer_release(trainer);
    }
    free(trainer);
    return code;
}

static int describe(struct comparison *comparison, struct checkpoint *checkpoint, const char *path)
{
    double value = 0;
    const char *metric = comparison->request.metric;
    int code;
    if (is_run(&comparison->request)) {
        code = run_model(comparison, checkpoint, path);
    } else {
        code = last_value(checkpoint, metric, &value);
        if (code == 0 && !isfinite(value))
            code = err_set(ERR_NUMBER, "%s: its last %s is not finite", path, metric);
        if (code == 0)
            code = add_value(comparison, checkpoint, path, 0, value);
    }
    if (code < 0 || checkpoint->step >= checkpoint->settings.steps)
        return code;
    return note(comparison, "%s stands at step %lld of %lld", path, (long long)checkpoint->step,
                (long long)checkpoint->settings.steps);
}

static int add_run(struct comparison *comparison, const char *path)
{
    struct checkpoint *checkpoint = malloc(sizeof *checkpoint);
    int code = checkpoint ? checkpoint_open(checkpoint, path) : no_memory();
    if (code == 0) {
        code = describe(comparison, checkpoint, path);
        checkpoint_close(checkpoint);
    }
    free(checkpoint);
    return code;
}

// --- folders

// 1, or 0, or ERR_FILE where nobody can tell.
static int is_folder(const char *path, bool follow)
{
    int kind = file_kind(path, follow);
    return kind < 0 ? kind : kind == FILE_FOLDER;
}

static int holds_run(const char *folder)
{
    char path[PATH_SIZE + 32];
    snprintf(path, sizeof path, "%s/checkpoint.h5", folder);
    int kind = file_kind(path, true);
    return kind < 0 ? kind : kind != FILE_NOTHING;
}

static int search(struct comparison *comparison, const char *folder, int depth);

static int add_folder(struct comparison *comparison, const char *path, int depth)
{
    int holds = holds_run(path);
    return holds < 0 ? holds
           : holds   ? add_run(comparison, path)
                     : search(comparison, path, depth + 1);
}

// Every run below `folder`, in order of name. Errors but of memory become notes.
static int search(struct comparison *comparison, const char *folder, int depth)
{
    struct dirent **entry;
    int count = depth < MAX_DEPTH ? scandir(folder, &entry, NULL, alphasort) : 0, code = 0;
    if (count < 0)
        return errno == ENOMEM ? no_memory()
                               : note(comparison, "%s cannot be read: %s", folder, strerror(errno));
    for (int i = 0; i < count; i++) {
        char path[PATH_SIZE];
        int size = snprintf(path, sizeof path, "%s/%s", folder, entry[i]->d_name);
        bool dots = strcmp(entry[i]->d_name, ".") == 0 || strcmp(entry[i]->d_name, "..") == 0;
        free(entry[i]);
        if (code < 0 || dots || size >= (int)sizeof path)
            continue;
        code = is_folder(path, false);
        code = code > 0 ? add_folder(comparison, path, depth) : code;
        if (code < 0 && code != ERR_MEMORY)
            code = note(comparison, "left out: %s", err_last());
    }
    if (depth < MAX_DEPTH)
        free(entry);
    return code;
}

int comparison_add(struct comparison *comparison, const char *run)
{
    char path[PATH_SIZE];
    size_t length = strlen(run);
    while (length > 1 && run[length - 1] == '/')
        length--;
    if (length >= sizeof path)
        return err_set(ERR_ARGUMENT, "the name of the run is too long");
    memcpy(path, run, length);
    path[length] = '\0';
    int folder = is_folder(path, true), holds = folder > 0 ? holds_run(path) : folder;
    if (holds < 0)
        return holds;
    if (!folder || holds)
        return add_run(comparison, path);
    size_t before = json_array_size(comparison->runs), notes = json_array_size(comparison->notes);
    int code = search(comparison, path, 0);
    if (code < 0 || json_array_size(comparison->runs) > before)
        return code;
    const json_t *first = json_array_get(comparison->notes, notes);
    return err_set(ERR_FILE, "there is no run in %s that can be compared%s%s", path,
                   first ? "; " : "", first ? json_string_value(first) : "");
}

// --- tables

// The keys whose values are not the same in all runs, with any value.
static json_t *differing_keys(const json_t *runs)
{
    json_t *keys = json_object(), *first, *value;
    const json_t *run;
    const char *key;
    size_t i;
    first = json_object_get(json_array_get(runs, 0), "options");
    json_object_foreach (first, key, value)
        json_array_foreach (runs, i, run)
            if (!json_equal(value, json_object_get(json_object_get(run, "options"), key)))
                json_object_set(keys, key, value);
    return keys;
}

// The options of a run that differ among all runs.
static json_t *own_options(const json_t *run, json_t *keys)
{
    json_t *options = json_object(), *value;
    const char *key;
    json_object_foreach (keys, key, value)
        json_object_set(options, key, json_object_get(json_object_get(run, "options"), key));
    return options;
}

// The object of `list` whose texts under `names` are those of `wanted`; a new one where none is.
static json_t *find_or_add(json_t *list, json_t *wanted, const char *const *names)
{
    json_t *entry;
    size_t i;
    json_array_foreach (list, i, entry) {
        bool same = true;
        for (int k = 0; names[k]; k++)
            same = same &&
                   json_equal(json_object_get(entry, names[k]), json_object_get(wanted, names[k]));
        if (same) {
            json_decref(wanted);
            return entry;
        }
    }
    return json_array_append_new(list, wanted) < 0 ? NULL : wanted;
}

static int add_to_cell(struct comparison *comparison, json_t *cell, const json_t *run)
{
    json_t *seeds = json_object_get(cell, "seeds"), *seed = json_object_get(run, "seed"), *other;
    size_t i;
    if (json_is_null(json_object_get(run, "value")))
        return 0;
    json_array_foreach (seeds, i, other)
        if (json_equal(seed, other))
            return note(comparison, "left out: %s has the encoding, task and seed of %s",
                        json_string_value(json_object_get(run, "path")),
                        json_string_value(json_array_get(json_object_get(cell, "runs"), i)));
    bool bad = json_array_append(seeds, seed) < 0;
    bad |= json_array_append(json_object_get(cell, "values"), json_object_get(run, "value")) < 0;
    bad |= json_array_append(json_object_get(cell, "runs"), json_object_get(run, "path")) < 0;
    return bad ? no_memory() : 0;
}

static int place(struct comparison *comparison, json_t *tables, json_t *keys, const json_t *run)
{
    static const char *const of_table[] = {"options", NULL}, *const of_cell[] = {"encoding", "task",
                                                                                 NULL};
    json_t *wanted = json_pack("{s:o, s:[]}", "options", own_options(run, keys), "cells");
    json_t *table = wanted ? find_or_add(tables, wanted, of_table) : NULL;
    if (!table)
        return no_memory();
    wanted = json_pack("{s:O, s:O, s:i, s:n, s:n, s:n, s:[], s:[], s:[]}", "encoding",
                       json_object_get(run, "encoding"), "task", json_object_get(run, "task"), "n",
                       0, "mean", "low", "high", "seeds", "values", "runs");
    json_t *cell = wanted ? find_or_add(json_object_get(table, "cells"), wanted, of_cell) : NULL;
    return cell ? add_to_cell(comparison, cell, run) : no_memory();
}

static int summarise(const struct comparison *comparison, json_t *cell)
{
    json_t *values = json_object_get(cell, "values");
    size_t count = json_array_size(values);
    double *value = malloc((count + 1) * sizeof *value), mean;
    if (!value)
        return no_memory();
    for (size_t i = 0; i < count; i++)
        value[i] = json_real_value(json_array_get(values, i));
    struct interval interval = interval_mean((int)count, value, &mean);
    free(value);
    if (is_share(comparison->request.metric)) {
        interval.low = interval.low > 0 ? interval.low : 0;
        interval.high = interval.high < 1 ? interval.high : 1;
    }
    json_object_set_new(cell, "n", json_integer((json_int_t)count));
    if (count > 0)
        json_object_set_new(cell, "mean", json_real(mean));
    if (count < 2)
        return 0;
    json_object_set_new(cell, "low", json_real(interval.low));
    json_object_set_new(cell, "high", json_real(interval.high));
    return 0;
}

json_t *comparison_tables(struct comparison *comparison)
{
    unsigned long failures = json_memory_failures();
    json_t *tables = json_array(), *keys = differing_keys(comparison->runs), *run, *table, *cell;
    size_t i, k;
    int code = tables && keys ? 0 : no_memory();
    json_array_foreach (comparison->runs, i, run)
        code = code < 0 ? code : place(comparison, tables, keys, run);
    json_array_foreach (tables, i, table)
        json_array_foreach (json_object_get(table, "cells"), k, cell)
            code = code < 0 ? code : summarise(comparison, cell);
    json_decref(keys);
    if (code == 0)
        code = json_memory_check(failures);
    if (code == 0)
        return tables;
    json_decref(tables);
    return NULL;
}

// --- for people

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

// "lr 0.001, layers 2"
static int print_options(const json_t *options, FILE *file)
{
    unsigned long failures = json_memory_failures();
    const char *key;
    json_t *value;
    int printed = 0;
    json_object_foreach ((json_t *)(uintptr_t)options, key, value) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
        fprintf(file, "%s%s %s", printed++ ? ", " : "", key, text ? text : "?");
        free(text);
    }
    return json_memory_check(failures);
}

static const json_t *cell_of(const json_t *cells, const char *encoding, const char *task)
{
    const json_t *cell;
    size_t i;
    json_array_foreach (cells, i, cell)
        if (strcmp(text_of(cell, "encoding"), encoding) == 0 &&
            strcmp(text_of(cell, "task"), task) == 0)
            return cell;
    return NULL;
}

static void put_cell(struct table *table, const json_t *cell)
{
    if (!cell)
        table_cell(table, "-");
    else if (number_of(cell, "n") < 1)
        table_cell(table, "undefined");
    else if (json_is_null(json_object_get(cell, "low")))
        table_cell(table, "%.3f (n 1)", number_of(cell, "mean"));
    else
        table_cell(table, "%.3f (%.3f to %.3f, n %d)", number_of(cell, "mean"),
                   number_of(cell, "low"), number_of(cell, "high"), (int)number_of(cell, "n"));
}

// Distinct values of `key` among the cells, in their order.
static json_t *names_of(const json_t *cells, const char *key)
{
    json_t *names = json_array(), *name;
    const json_t *cell;
    size_t i, k;
    json_array_foreach (cells, i, cell) {
        bool there = false;
        json_array_foreach (names, k, name)
            there = there || json_equal(name, json_object_get(cell, key));
        if (!there)
            json_array_append(names, json_object_get(cell, key));
    }
    return names;
}

static int print_cells(const json_t *cells, FILE *file)
{
    unsigned long failures = json_memory_failures();
    json_t *encodings = names_of(cells, "encoding"), *tasks = names_of(cells, "task");
    json_t *encoding, *task;
    size_t i, k, columns = json_array_size(tasks) + 1;
    struct table table;
    char *align = malloc(columns + 1);
    if (!align || columns < 2 || json_memory_check(failures) < 0) {
        free(align);
        json_decref(encodings);
        json_decref(tasks);
        return no_memory();
    }
    memset(align, 'l', columns);
    align[columns] = '\0';
    table_init(&table, align);
    table_cell(&table, "encoding");
    json_array_foreach (tasks, k, task)
        table_cell(&table, "%s", json_string_value(task));
    json_array_foreach (encodings, i, encoding) {
        table_cell(&table, "%s", json_string_value(encoding));
        json_array_foreach (tasks, k, task)
            put_cell(&table, cell_of(cells, json_string_value(encoding), json_string_value(task)));
    }
    int code = table_print(&table, file);
    table_release(&table);
    free(align);
    json_decref(encodings);
    json_decref(tasks);
    return code;
}

int comparison_text(const struct comparison *comparison, const json_t *tables, FILE *file)
{
    const struct comparison_request *request = &comparison->request;
    const json_t *table, *line;
    size_t i;
    int code = 0;
    fprintf(file, "%s on %s%s: mean, and 95 %% interval over seeds\n",
            strcmp(request->metric, "exact_match") == 0 ? "exact match" : request->metric,
            dataset_split_name[request->at.split], is_run(request) ? "" : ", when last evaluated");
    json_array_foreach (tables, i, table) {
        if (json_array_size(tables) > 1) {
            putc('\n', file);
            code = code < 0 ? code : print_options(json_object_get(table, "options"), file);
            putc('\n', file);
        }
        code = code < 0 ? code : print_cells(json_object_get(table, "cells"), file);
    }
    json_array_foreach (comparison->notes, i, line)
        fprintf(file, "%s%s\n", i ? "" : "\n", json_string_value(line));
    return code;
}

// --- for programs

static void put_list(struct table *table, const json_t *list)
{
    char text[PATH_SIZE] = "";
    const json_t *entry;
    size_t i;
    json_array_foreach (list, i, entry) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%lld", i ? " " : "",
                 (long long)json_integer_value(entry));
    }
    table_cell(table, "%s", text);
}

static void csv_row(struct table *table, const json_t *options, const json_t *cell)
{
    static const char *const numbers[] = {"mean", "low", "high"};
    char *text = json_dumps(options, JSON_COMPACT);
    table->failed = table->failed || !text;
    table_cell(table, "%s", text && json_object_size(options) ? text : "");
    free(text);
    table_cell(table, "%s", text_of(cell, "encoding"));
    table_cell(table, "%s", text_of(cell, "task"));
    table_cell(table, "%d", (int)number_of(cell, "n"));
    for (int k = 0; k < 3; k++)
        if (json_is_null(json_object_get(cell, numbers[k])))
            table_cell(table, "%s", "");
        else
            table_cell(table, "%.17g", number_of(cell, numbers[k]));
    put_list(table, json_object_get(cell, "seeds"));
}

int comparison_csv(const json_t *tables, FILE *file)
{
    static const char *const names[] = {"options", "encoding", "task", "n",
                                        "mean",    "low",      "high", "seeds"};
    const json_t *one, *cell;
    struct table table;
    size_t i, k;
    table_init(&table, "lllrrrrl");
    for (i = 0; i < sizeof names / sizeof names[0]; i++)
        table_cell(&table, "%s", names[i]);
    json_array_foreach (tables, i, one)
        json_array_foreach (json_object_get(one, "cells"), k, cell)
            csv_row(&table, json_object_get(one, "options"), cell);
    int code = table_csv(&table, file);
    table_release(&table);
    return code;
}

json_t *comparison_json(const struct comparison *comparison, json_t *tables)
{
    json_t *object = json_pack("{s:s, s:s, s:O, s:O}", "metric", comparison->request.metric,
                               "split", dataset_split_name[comparison->request.at.split], "tables",
                               tables, "notes", comparison->notes);
    if (!object)
        no_memory();
    return object;
}
