// Options of a run for argp: rows of train_options become flags, one for one.
#include "train_arguments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../io/h5file.h"
#include "../io/import.h"
#include "command.h"

enum { KEY_FIRST = 0x1000, KEY_CONFIG = 0x2000 };
static const size_t CONFIG_LIMIT = 1 << 20;

// Flags of lists: they may be given often.
static const char *const list_flags[][3] = {
    {"pe-opt", "KEY=VALUE", "option of a chosen encoding; may be repeated"},
    {"task-opt", "KEY=VALUE", "option of the task; may be repeated"},
    {"optimizer-opt", "KEY=VALUE", "option of the optimizer; may be repeated"},
    {"init-from", "FILE[:NAME][=PARAM]", "start from numbers of FILE (see below); may be repeated"},
    {"init-sha256", "DIGEST",
     "SHA-256 that the file of --init-from must have; once for each, in the same order"},
    {"freeze", "PATTERN[,PATTERN...]",
     "parameters that stay as they start, by name, as 'pe.*' or 'layers.0.*'; may be repeated"},
};
enum { LIST_FLAGS = sizeof list_flags / sizeof list_flags[0] };

static const char *text_name(const char *key)
{
    static const char *const names[][2] = {
        {"pe", "NAME[+NAME...]"}, {"data", "FILE"}, {"out-dir", "FOLDER"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i][0], key) == 0)
            return names[i][1];
    return "NAME";
}

static const char *argument_name(const struct option_def *row)
{
    switch (row->type) {
    case OPTION_INT:
        return "N";
    case OPTION_REAL:
        return "X";
    case OPTION_BOOL:
        return "yes|no";
    case OPTION_CHOICE:
        return row->choices;
    default:
        return text_name(row->key);
    }
}

static const char *key_name(int key)
{
    int index = key - KEY_FIRST, rows = 0;
    while (train_options[rows].key)
        rows++;
    if (index < 0 || index >= rows + LIST_FLAGS)
        return NULL;
    return index < rows ? train_options[index].key : list_flags[index - rows][0];
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct train_arguments *arguments = state->input;
    if (key == KEY_CONFIG) {
        arguments->config = value;
        return 0;
    }
    const char *name = key_name(key);
    if (!name)
        return ARGP_ERR_UNKNOWN;
    if (arguments->given_count == TRAIN_ARGUMENTS_MAX)
        command_refuse(state, "more than %d options are given", TRAIN_ARGUMENTS_MAX);
    arguments->given[arguments->given_count++] = (struct run_setting){name, value ? value : "yes"};
    return 0;
}

void train_arguments_init(struct train_arguments *arguments)
{
    memset(arguments, 0, sizeof *arguments);
    int n = 0;
    for (const struct option_def *row = train_options; row->key; row++, n++) {
        BUG_ON(n + LIST_FLAGS + 2 >= TRAIN_ARGUMENTS_ROWS);
        int length = snprintf(arguments->doc[n], TRAIN_ARGUMENTS_DOC, "%s%s%s%s", row->help,
                              row->default_value[0] ? " (default " : "", row->default_value,
                              row->default_value[0] ? ")" : "");
        BUG_ON(length >= TRAIN_ARGUMENTS_DOC);
        arguments->option[n] = (struct argp_option){
            row->key,           KEY_FIRST + n,
            argument_name(row), row->type == OPTION_BOOL ? OPTION_ARG_OPTIONAL : 0,
            arguments->doc[n],  0};
    }
    for (int i = 0; i < LIST_FLAGS; i++, n++)
        arguments->option[n] = (struct argp_option){
            list_flags[i][0], KEY_FIRST + n, list_flags[i][1], 0, list_flags[i][2], 0};
    arguments->option[n] =
        (struct argp_option){"config",
                             KEY_CONFIG,
                             "FILE",
                             0,
                             "settings as JSON, such as a run's config.json; flags win over it",
                             0};
    arguments->argp = (struct argp){.options = arguments->option, .parser = parse};
}

static int read_config(struct train_arguments *arguments)
{
    char *text;
    size_t size;
    int code = file_read(arguments->config, CONFIG_LIMIT, &text, &size);
    if (code < 0)
        return code;
    code = train_settings_from_json(&arguments->settings, text);
    free(text);
    return code < 0 ? err_prefix(ERR_FORMAT, "%s", arguments->config) : 0;
}

int train_arguments_finish(struct train_arguments *arguments)
{
    train_settings_init(&arguments->settings);
    int code = arguments->config ? read_config(arguments) : 0;
    for (int i = 0; i < arguments->given_count && code == 0; i++)
        code = train_settings_assign(&arguments->settings, arguments->given[i].key,
                                     arguments->given[i].value);
    return code;
}

static const char init_help[] =
    "--init-from FILE[:NAME][=PARAM] starts parameters from arrays of a file, or of a run's "
    "folder. "
    "FILE ends at the first ':' or '=' before which a file or folder is there. Without NAME its "
    "one "
    "array is taken or, of several, the whole model, name by name. A NAME with *, ? or [ is a "
    "pattern: 'RUN:pe.*' starts each of these by its name. One array starts PARAM, else the "
    "parameter of its own name, else the encoding's main table. --init-resize changes the length "
    "of "
    "tables of positions, and of nothing else. A resumed run needs no FILE. 'posgrad inspect FILE' "
    "shows what is in one.\n\n";

#define PUT_LIST(file, title, list, count)                                                         \
    do {                                                                                           \
        fprintf(file, "%s:", title);                                                               \
        for (int i_ = 0; i_ < (count); i_++)                                                       \
            fprintf(file, "%s %s", i_ ? "," : "", (list)[i_]->name);                               \
        fputs("\n\n", file);                                                                       \
    } while (0)

void train_arguments_put_lists(FILE *file)
{
    PUT_LIST(file, "Encodings (--pe)", pe_list, pe_count);
    PUT_LIST(file, "Tasks (--task)", task_list, task_count);
    PUT_LIST(file, "Optimizers (--optimizer)", optimizer_list, optimizer_count);
    PUT_LIST(file, "Schedules (--schedule)", schedule_list, schedule_count);
    PUT_LIST(file, "Files (--init-from)", import_formats, import_format_count);
    fputs(init_help, file);
    fputs(
        "'posgrad list encodings' (tasks, optimizers, schedules) tells of each and of its options.",
        file);
}
