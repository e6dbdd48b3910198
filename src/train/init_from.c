// Starts from files: what a text asks for, and which array is for which parameter.
#include "init_from.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../io/export_source.h"
#include "init_table.h"

// All of --init-from, one text of which is under way.
struct starting {
    struct trainer *trainer;
    bool *given;    // of each parameter: something has started it
    bool positions; // one of them is a table of positions
    char path[OPTION_TEXT + 64], name[OPTION_TEXT], parameter[OPTION_TEXT]; // "": not given
    struct import_file file;
};

// --- the text

static void copy(char *to, const char *from, size_t length)
{
    memcpy(to, from, length);
    to[length] = '\0';
}

// What follows FILE: ":NAME", ":NAME=PARAMETER", "=PARAMETER" or nothing. No parameter has a '=' in
// its name.
static int take_rest(struct starting *starting, const char *text, const char *rest)
{
    const char *equals = strrchr(rest, '=');
    size_t name = equals ? (size_t)(equals - rest) : strlen(rest);
    starting->name[0] = starting->parameter[0] = '\0';
    if (name > 0)
        copy(starting->name, rest + 1, name - 1);
    if (equals)
        strcpy(starting->parameter, equals + 1);
    if (name == 1 || (equals && !equals[1]))
        return err_set(ERR_ARGUMENT, "--init-from '%.300s' is not FILE[:NAME][=PARAMETER]", text);
    return 0;
}

static int take_text(struct starting *starting, const char *text)
{
    char path[OPTION_TEXT];
    int kind = FILE_NOTHING;
    size_t end = strcspn(text, ":=");
    for (;; end += 1 + strcspn(text + end + 1, ":=")) {
        copy(path, text, end);
        kind = end > 0 ? file_kind(path, true) : FILE_NOTHING;
        if (kind != FILE_NOTHING || !text[end])
            break;
    }
    if (kind < 0)
        return err_prefix(kind, "--init-from");
    if (kind == FILE_NOTHING)
        return err_set(ERR_FILE, "--init-from: there is no file %.*s", (int)strcspn(text, ":"),
                       text);
    int code = take_rest(starting, text, text + end);
    return code < 0 ? code : run_file(path, starting->path, sizeof starting->path);
}

// --- the digest

static int check_digest(struct starting *starting, int index)
{
    struct train_settings *s = &starting->trainer->settings;
    char digest[IMPORT_DIGEST];
    import_digest(&starting->file, digest);
    if (index == s->init_sha256s)
        strcpy(s->init_sha256[s->init_sha256s++], digest);
    else if (strcmp(s->init_sha256[index], digest) != 0)
        return err_set(ERR_FORMAT,
                       "--init-from: %.300s is not the file that is wanted: its SHA-256 is %s, and "
                       "--init-sha256 is %s",
                       starting->path, digest, s->init_sha256[index]);
    return 0;
}

// --- which parameter

static bool of_encoding(const struct ag_parameter *row)
{
    return strncmp(row->name, "pe.", 3) == 0 || strstr(row->name, ".pe.");
}

// What a user may mean by the table of an encoding: two dimensions or more, and no matrix.
static bool is_table(const struct ag_parameter *row)
{
    return of_encoding(row) && row->shape.dims >= 2 && row->decay == AG_NO_DECAY;
}

static bool is_position_table(const struct starting *starting, const struct ag_parameter *row)
{
    const struct pe_stack *stack = &starting->trainer->config.pe;
    char name[AG_NAME_SIZE];
    for (int i = 0; i < stack->count; i++) {
        const struct pe_def *def = stack->def[i];
        snprintf(name, sizeof name, "pe.%s.%s", def->name,
                 def->position_table ? def->position_table : "");
        if (def->position_table && strcmp(row->name, name) == 0)
            return true;
    }
    return false;
}

// Of the encoding's tables the only one of those that fit best: by shape, then by what they are. -1
// where there are none, or several.
static int main_table(const struct starting *starting, const struct import_array *array)
{
    enum { WAYS = 4 };
    const struct ag_params *params = &starting->trainer->params;
    int count[WAYS] = {0}, last[WAYS] = {0};
    for (int i = 0; i < params->rows; i++) {
        const struct ag_parameter *row = &params->row[i];
        bool same = init_same_shape(array, row), positions = is_position_table(starting, row);
        const bool fits[WAYS] = {same && positions, same, positions, true};
        for (int k = 0; k < WAYS && is_table(row); k++)
            if (fits[k]) {
                count[k]++;
                last[k] = i;
            }
    }
    for (int k = 0; k < WAYS; k++)
        if (count[k])
            return count[k] == 1 ? last[k] : -1;
    return -1;
}

static int say_which(const struct starting *starting, const struct import_array *array)
{
    const struct ag_params *params = &starting->trainer->params;
    char all[400] = "";
    for (int i = 0; i < params->rows; i++) {
        size_t used = strlen(all);
        if (of_encoding(&params->row[i]))
            snprintf(all + used, sizeof all - used, "%s%s", used ? ", " : "", params->row[i].name);
    }
    if (!all[0])
        return err_set(ERR_ARGUMENT,
                       "--init-from: encoding %s has no parameter for '%.200s' to start",
                       starting->trainer->settings.pe, array->name);
    return err_set(
        ERR_ARGUMENT,
        "--init-from: which parameter is to start as '%.100s'? Put =PARAMETER behind it, "
        "one of %s%s",
        array->name, all, strlen(all) + 1 == sizeof all ? "..." : "");
}

static int no_parameter(const struct starting *starting, const char *name)
{
    const struct ag_params *params = &starting->trainer->params;
    const char *near = ag_params_nearest(params, name);
    return err_set(ERR_ARGUMENT, "--init-from: the model has no parameter '%.200s'%s%s%s", name,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

// The row of the parameter, or a code.
static int target_of(const struct starting *starting, const struct import_array *array)
{
    const struct ag_params *params = &starting->trainer->params;
    int row = ag_params_find(params, starting->parameter[0] ? starting->parameter : array->name);
    if (row < 0 && starting->parameter[0])
        return no_parameter(starting, starting->parameter);
    if (row < 0)
        row = main_table(starting, array);
    return row < 0 ? say_which(starting, array) : row;
}

// --- starting one

// For people: what was started, as far as there is room.
static void note(struct starting *starting, const struct init_pair *pair)
{
    static const char *const words[] = {"", ", its first rows", ", rows between its rows",
                                        ", its rows as digits of positions"};
    char *text = starting->trainer->started, shape[192];
    size_t used = strlen(text), room = sizeof starting->trainer->started - used;
    bool same = init_same_shape(pair->array, pair->row);
    int length = snprintf(text + used, room, "%s%s as '%s' %s%s", used ? "; " : "", pair->row->name,
                          pair->array->name, import_shape(pair->array, shape),
                          same ? "" : words[pair->resize]);
    if (length < 0 || (size_t)length >= room)
        text[used] = '\0';
}

static int start_one(struct starting *starting, const struct import_array *array, int target)
{
    struct trainer *trainer = starting->trainer;
    struct init_pair pair = {.file = &starting->file,
                             .array = array,
                             .row = &trainer->params.row[target],
                             .resize = trainer->settings.init_resize,
                             .skip = trainer->settings.init_skip};
    pair.positions = is_position_table(starting, pair.row);
    if (starting->given[target])
        return err_set(ERR_ARGUMENT, "--init-from starts %s twice", pair.row->name);
    starting->given[target] = true;
    starting->positions = starting->positions || pair.positions;
    int code = import_load(&starting->file, array);
    if (code == 0)
        code = init_fit(&pair);
    if (code == 0)
        code = init_fill(&pair, trainer->params.value + pair.row->offset);
    if (code == 0)
        note(starting, &pair);
    return code;
}

// --- one array, those of a pattern, or all

static bool usable(const struct import_array *array)
{
    return !array->beside && array->type != IMPORT_OTHER;
}

static int start_single(struct starting *starting, const struct import_array *array)
{
    int target = target_of(starting, array);
    return target < 0 ? target : start_one(starting, array, target);
}

static int start_pattern(struct starting *starting)
{
    const struct import_file *file = &starting->file;
    int found = 0, code = 0;
    char all[400];
    if (starting->parameter[0])
        return err_set(ERR_ARGUMENT,
                       "--init-from: '%.200s' is a pattern, of which each array starts the "
                       "parameter of its name; leave out =%.200s",
                       starting->name, starting->parameter);
    for (int i = 0; i < file->arrays && code == 0; i++) {
        const struct import_array *array = &file->array[i];
        if (array->beside || fnmatch(starting->name, array->name, 0) != 0)
            continue;
        int target = ag_params_find(&starting->trainer->params, array->name);
        code = target < 0 ? no_parameter(starting, array->name)
                          : start_one(starting, array, target);
        found++;
    }
    if (found)
        return code;
    import_names(file, all, sizeof all);
    return err_set(ERR_ARGUMENT, "%.200s has no array that fits '%.200s'; it has %s", file->path,
                   starting->name, all);
}

// The first three of a list of names, of which this is number `count`.
enum { LISTED = 200 };
static void add_name(char text[LISTED], int count, const char *name)
{
    size_t used = strlen(text);
    if (count <= 3)
        snprintf(text + used, LISTED - used, "%s%.50s", count > 1 ? ", " : ": ", name);
    else if (count == 4)
        snprintf(text + used, LISTED - used, ", ...");
}

static int check_model(const struct starting *starting)
{
    const struct ag_params *params = &starting->trainer->params;
    const struct import_file *file = &starting->file;
    int missing = 0, extra = 0;
    char lacks[LISTED] = "", has[LISTED] = "";
    for (int i = 0; i < params->rows; i++) {
        const struct import_array *array = import_look(file, params->row[i].name);
        if (!array || !usable(array))
            add_name(lacks, ++missing, params->row[i].name);
    }
    for (int i = 0; i < file->arrays; i++)
        if (usable(&file->array[i]) && ag_params_find(params, file->array[i].name) < 0)
            add_name(has, ++extra, file->array[i].name);
    if (!missing && !extra)
        return 0;
    return err_set(
        ERR_ARGUMENT,
        "--init-from: %.200s is not of this model. It lacks %d of its parameters%s; it has "
        "%d arrays beside them%s; FILE:NAME takes one array, FILE:'pe.*' all that "
        "fit a pattern",
        file->path, missing, lacks, extra, has);
}

static int start_all(struct starting *starting)
{
    const struct ag_params *params = &starting->trainer->params;
    int code = check_model(starting);
    for (int i = 0; i < params->rows && code == 0; i++)
        code = start_one(starting, import_look(&starting->file, params->row[i].name), i);
    return code;
}

static int start_unnamed(struct starting *starting)
{
    const struct import_file *file = &starting->file;
    const struct import_array *only = NULL;
    int count = 0;
    char all[400];
    for (int i = 0; i < file->arrays; i++)
        if (usable(&file->array[i])) {
            only = &file->array[i];
            count++;
        }
    if (count == 0)
        return err_set(ERR_FORMAT, "--init-from: %.200s has no array of real numbers", file->path);
    if (count == 1)
        return start_single(starting, only);
    if (!starting->parameter[0])
        return start_all(starting);
    import_names(file, all, sizeof all);
    return err_set(
        ERR_ARGUMENT,
        "--init-from: which array of %.200s is to start %.200s? Say FILE:NAME=PARAMETER; "
        "it has %s",
        file->path, starting->parameter, all);
}

// A name with a star in it is a name, where there is such a one.
static int start_named(struct starting *starting)
{
    const struct import_array *array = import_look(&starting->file, starting->name);
    if (!array && strpbrk(starting->name, "*?["))
        return start_pattern(starting);
    if (!array)
        array = import_find(&starting->file, starting->name);
    return array ? start_single(starting, array) : err_prefix(err_code(), "--init-from");
}

static int start_text(struct starting *starting, int index)
{
    int code = take_text(starting, starting->trainer->settings.init_from[index]);
    if (code < 0)
        return code;
    code = import_open(&starting->file, starting->path);
    if (code < 0)
        return err_prefix(code, "--init-from");
    code = check_digest(starting, index);
    if (code == 0)
        code = starting->name[0] ? start_named(starting) : start_unnamed(starting);
    import_close(&starting->file);
    return code;
}

// --- all texts

// An average has not begun, and is what it is of.
static void start_average(struct trainer *trainer)
{
    if (trainer->averaged.value)
        memcpy(trainer->averaged.value, trainer->params.value,
               (size_t)trainer->params.count * sizeof(real));
}

int init_from_files(struct trainer *trainer)
{
    const struct train_settings *s = &trainer->settings;
    if (!s->init_froms)
        return 0;
    struct starting *starting = calloc(1, sizeof *starting);
    int code = starting ? 0 : err_set(ERR_MEMORY, "out of memory for --init-from");
    if (code == 0) {
        starting->trainer = trainer;
        starting->given = calloc((size_t)trainer->params.rows + 1, sizeof *starting->given);
        if (!starting->given)
            code = err_set(ERR_MEMORY, "out of memory for --init-from");
    }
    for (int i = 0; i < s->init_froms && code == 0; i++)
        code = start_text(starting, i);
    if (code == 0 && !starting->positions && (s->init_resize || s->init_skip))
        code = err_set(ERR_ARGUMENT,
                       "--init-%s is for a table of positions, and no --init-from starts one",
                       s->init_resize ? "resize" : "skip");
    if (code == 0)
        start_average(trainer);
    if (starting)
        free(starting->given);
    free(starting);
    return code;
}
