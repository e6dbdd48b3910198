// posgrad export: what an encoding learned, or the whole model, in a file that other programs read.
#include <argp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/options.h"
#include "../io/checkpoint.h"
#include "../io/export_source.h"
#include "command.h"
#include "length_list.h"
#include "train_arguments.h"

enum { KEY_WHAT = 0x3000, KEY_TABLE, KEY_LENGTH, KEY_EXTEND, KEY_DATA, KEY_OVERWRITE };
struct arguments {
    const char *run, *output, *format, *what, *table, *data;
    int64_t length; // 0: not given
    enum pe_extension extension;
    bool overwrite;
};

static const struct option_def values[] = {
    {"length", OPTION_INT, offsetof(struct arguments, length), "0", 1, 1 << 20, NULL,
     "tables, or a model, for rows of N tokens (default: of the training)"},
    {0},
};

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0,
     "where to write ('-': stdout, with --format); of some formats a folder", 0},
    {"format", 'f', "NAME", 0, "format of the file (default: by its extension)", 0},
    {"what", KEY_WHAT, "tables|model|ema", 0,
     "the tables of the encoding, every parameter, or the moving average of every parameter "
     "(default: tables, and model for a format of whole models)",
     0},
    {"table", KEY_TABLE, "NAME", 0, "only this table, or this parameter", 0},
    {"length", KEY_LENGTH, "N", 0,
     "tables, or a model, for rows of N tokens (default: of the training)", 0},
    {"extend", KEY_EXTEND, "WAY", 0,
     "with --length: tables, or a model, past the training as WAY has it (see eval --help; default "
     "none)",
     0},
    {"data", KEY_DATA, "FILE", 0,
     "with --length, or a model: what the task reads, where it is not the file of the training", 0},
    {"overwrite", KEY_OVERWRITE, NULL, 0, "replace what is there", 0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case 'o':
        arguments->output = value;
        return 0;
    case 'f':
        arguments->format = value;
        return 0;
    case KEY_WHAT:
        arguments->what = value;
        return 0;
    case KEY_TABLE:
        arguments->table = value;
        return 0;
    case KEY_LENGTH:
        if (options_set(values, arguments, NULL, values[0].key, value) < 0)
            command_refuse(state, "%s", err_last());
        return 0;
    case KEY_EXTEND: {
        int way = extension_find(value);
        if (way < 0)
            command_refuse(state, "%s", err_last());
        arguments->extension = (enum pe_extension)way;
        return 0;
    }
    case KEY_DATA:
        arguments->data = value;
        return 0;
    case KEY_OVERWRITE:
        arguments->overwrite = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->run)
            command_refuse(state, "'%s' is one RUN too many", value);
        arguments->run = value;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void write_help(FILE *file)
{
    fputs(
        "With the numbers go the names of axes, the coordinates of their elements, and attributes "
        "(all but npy, and csv, which has no attributes):\n"
        "  encoding         whose table it is\n"
        "  unit, AXIS_unit  what its numbers and its axes count\n"
        "  distance_sign    key-query: a positive offset is a key to the right\n"
        "  logit_scale      makes products of queries and keys logits; biases in\n"
        "                   logits are added behind it\n"
        "  rotation_layout  pair: channels 2c and 2c + 1 turn together; half: c and\n"
        "                   c + pairs\n"
        "  shared_layers    1 where all layers have this table\n"
        "  train_length     tokens a row in training\n"
        "  trained_rows     what training met along the first axis but layer and\n"
        "                   head: positions below this, offsets nearer than this\n"
        "Of the whole: step, seed and versions, and with --length: length, extension and reach "
        "(see eval --help).\n\n",
        file);
    fputs("Formats:\n", file);
    for (int i = 0; i < export_format_count; i++)
        fprintf(file, "  %-11s %s\n", export_formats[i]->name, export_formats[i]->title);
}

static char *help(int key, const char *text, void *input)
{
    (void)input;
    return command_help(key, text, write_help);
}

// Of the checkpoint; NULL for a word that is none.
static const char *group_of(const char *what)
{
    static const char *const groups[][2] = {
        {"tables", "/tables"}, {"model", "/params"}, {"ema", "/ema"}};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        if (strcmp(what, groups[i][0]) == 0)
            return groups[i][1];
    return NULL;
}

// NULL where the arguments ask for nothing that can be done.
static const struct export_format *check_usage(const struct arguments *arguments)
{
    if (!arguments->run)
        err_set(ERR_ARGUMENT, "RUN is missing: the folder of a run, or its checkpoint");
    else if (!arguments->output)
        err_set(ERR_ARGUMENT, "-o FILE is missing");
    else if (arguments->what && !group_of(arguments->what))
        err_set(ERR_ARGUMENT, "--what '%s' is none of tables, model and ema", arguments->what);
    else if (!arguments->format && strcmp(arguments->output, "-") == 0)
        err_set(ERR_ARGUMENT, "-o - needs --format");
    else
        return arguments->format ? export_format_find(arguments->format)
                                 : export_format_of(arguments->output);
    return NULL;
}

// Whether --what, --table and the format go together; fills in what of it was not given.
static int check_whole(struct arguments *arguments, const struct export_format *format)
{
    if (!arguments->what)
        arguments->what = format->write_model ? "model" : "tables";
    bool tables = strcmp(arguments->what, "tables") == 0;
    if (arguments->extension != PE_EXTEND_NONE && !arguments->length)
        return err_set(ERR_ARGUMENT, "--extend says what is past the training: give --length N");
    if (arguments->data && !arguments->length && !format->write_model)
        return err_set(ERR_ARGUMENT, "--data is for what is computed: give --length N");
    if (!format->write_model && !tables && arguments->length)
        return err_set(ERR_ARGUMENT,
                       "--length is for tables, and parameters are the same at every length");
    if (strcmp(arguments->output, "-") == 0 && !format->extension)
        return err_set(ERR_ARGUMENT, "format %s is a folder, which stdout is not; give -o FOLDER",
                       format->name);
    if (!format->write_model)
        return 0;
    if (tables)
        return err_set(ERR_ARGUMENT, "format %s holds a whole model: give --what model, or ema",
                       format->name);
    if (arguments->table)
        return err_set(ERR_ARGUMENT,
                       "format %s holds a whole model, and --table picks a part of it",
                       format->name);
    return 0;
}

static int nothing_there(const struct arguments *arguments, struct h5_reader *reader)
{
    if (strcmp(arguments->what, "model") == 0)
        return err_set(ERR_FORMAT, "%s holds no parameters", arguments->run);
    if (strcmp(arguments->what, "ema") == 0)
        return err_set(ERR_ARGUMENT, "%s has no moving average; it was trained without --ema",
                       arguments->run);
    if (h5_has(reader, "/batch"))
        return err_set(ERR_ARGUMENT, "%s is a trace, which holds no tables; give a run",
                       arguments->run);
    return err_set(ERR_ARGUMENT,
                   "the encoding of %s has no tables; --what model exports its parameters",
                   arguments->run);
}

// Several arrays and a format that holds one: says which there are.
static int pick_one(const struct export_set *set, const struct export_format *format)
{
    char all[512] = "";
    for (int i = 0; i < set->arrays; i++) {
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", set->array[i].name);
    }
    return err_set(ERR_ARGUMENT, "a file of format %s holds one table; choose by --table: %s%s",
                   format->name, all, strlen(all) + 1 == sizeof all ? "..." : "");
}

// The parameters of `trainer` become their average.
static int take_average(const struct arguments *arguments, struct trainer *trainer)
{
    if (!trainer->averaged.value)
        return err_set(ERR_ARGUMENT, "%s has no moving average; it was trained without --ema",
                       arguments->run);
    memcpy(trainer->params.value, trainer->averaged.value,
           (size_t)trainer->params.count * sizeof *trainer->params.value);
    return 0;
}

static int export_model(const struct arguments *arguments, const struct export_format *format)
{
    char verdict[EXPORT_VERDICT] = "";
    struct trainer *trainer = calloc(1, sizeof *trainer);
    if (!trainer)
        return err_set(ERR_MEMORY, "out of memory");
    int code = checkpoint_load_trainer_on(trainer, arguments->run, 0, arguments->data);
    if (code == 0) {
        if (strcmp(arguments->what, "ema") == 0)
            code = take_average(arguments, trainer);
        trainer->config.extension = arguments->extension;
        const struct export_model model = {.trainer = trainer,
                                           .length = arguments->length,
                                           .overwrite = arguments->overwrite,
                                           .verdict = verdict};
        if (code == 0)
            code = format->write_model(&model, arguments->output);
        trainer_release(trainer);
    }
    free(trainer);
    if (code == 0 && *verdict)
        fprintf(stderr, "posgrad: %s: %s\n", arguments->output, verdict);
    return code;
}

// The tables for rows of another length, from the model of the run.
static int compute(const struct arguments *arguments, struct h5_reader *reader,
                   struct export_source *source)
{
    const struct export_length at = {arguments->length, arguments->extension};
    struct trainer *trainer = calloc(1, sizeof *trainer);
    if (!trainer)
        return err_set(ERR_MEMORY, "out of memory");
    int code = checkpoint_load_trainer_on(trainer, arguments->run, 0, arguments->data);
    if (code == 0) {
        code = export_source_compute(source, reader, trainer, &at, arguments->table);
        trainer_release(trainer);
    }
    free(trainer);
    return code;
}

static int export_arrays(const struct arguments *arguments, const struct export_format *format,
                         const char *path)
{
    struct export_source source;
    struct h5_reader *reader = h5_reader_open(path);
    if (!reader)
        return ERR_FILE;
    int code = arguments->length ? compute(arguments, reader, &source)
                                 : export_source_read(&source, reader, group_of(arguments->what),
                                                      arguments->table);
    if (code == 0) {
        if (source.set.arrays == 0)
            code = nothing_there(arguments, reader);
        else if (format->one_array && source.set.arrays > 1)
            code = pick_one(&source.set, format);
        else
            code = format->encode_folder
                       ? export_write_folder(&source.set, format, arguments->output,
                                             arguments->overwrite)
                       : export_write(&source.set, format, arguments->output);
        export_source_release(&source);
    }
    h5_reader_close(reader);
    return code;
}

// What stands at the output stays, unless it was said that it may go; a device or a pipe is written
// into.
static int check_output(const struct arguments *arguments, const char *path)
{
    struct stat status;
    int code = command_output(arguments->output, path);
    if (code == 0 && !arguments->overwrite && stat(arguments->output, &status) == 0 &&
        S_ISREG(status.st_mode))
        code = err_set(ERR_FILE, "%s is there already; give another name, or --overwrite",
                       arguments->output);
    return code;
}

static int export(const struct arguments *arguments, const struct export_format *format)
{
    char path[4096];
    int code = run_file(arguments->run, path, sizeof path);
    if (code == 0)
        code = check_output(arguments, path);
    if (code < 0)
        return code;
    return format->write_model ? export_model(arguments, format)
                               : export_arrays(arguments, format, path);
}

static int run_command(int argc, char **argv)
{
    static const struct argp argp = {options,
                                     parse,
                                     "RUN",
                                     "Writes the tables of an encoding (positions, biases, "
                                     "rotations, factors; 'posgrad describe ENCODING' lists "
                                     "them), the parameters or the model for other "
                                     "programs.\vformats",
                                     NULL,
                                     help,
                                     NULL};
    struct arguments arguments = {0};
    int parsed = command_parse("export", &argp, argc, argv, &arguments);
    if (parsed != 0)
        return parsed;
    const struct export_format *format = check_usage(&arguments);
    if (!format || check_whole(&arguments, format) < 0)
        return command_usage("export", err_last());
    if ((format->write_model || arguments.length) && command_check_products() != 0)
        return 1;
    return export(&arguments, format) < 0 ? command_error(NULL) : 0;
}

const struct command command_export = {
    .name = "export",
    .title = "write what was learned to a file of another format",
    .run = run_command,
};
