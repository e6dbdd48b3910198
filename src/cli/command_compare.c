// posgrad compare: runs in a table, encoding by task.
#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../report/compare.h"
#include "command.h"
#include "output.h"

struct arguments {
    const char *metric, *csv;
    bool json;
    int runs;
    char **run; // borrowed from argv
};

enum { KEY_METRIC = 0x3000, KEY_JSON, KEY_CSV };

static const struct argp_option options[] = {
    {"metric", KEY_METRIC, "accuracy|exact_match|loss", 0, "what is compared (default accuracy)",
     0},
    {"json", KEY_JSON, NULL, 0, "one JSON object in place of the table", 0},
    {"csv", KEY_CSV, "FILE", 0, "write the cells to FILE, too; '-': to stdout, without the table",
     0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case KEY_METRIC:
        arguments->metric = value;
        return 0;
    case KEY_JSON:
        arguments->json = true;
        return 0;
    case KEY_CSV:
        arguments->csv = value;
        return 0;
    case ARGP_KEY_ARGS:
        arguments->run = state->argv + state->next;
        arguments->runs = state->argc - state->next;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int write_cells(void *context, FILE *file)
{
    return comparison_csv(context, file);
}

static int print(const struct arguments *arguments, const struct comparison *comparison,
                 json_t *tables)
{
    if (arguments->csv) {
        int code = output_text(arguments->csv, write_cells, tables);
        if (code < 0 || strcmp(arguments->csv, "-") == 0)
            return code;
    }
    if (!arguments->json)
        return comparison_text(comparison, tables, stdout);
    json_t *object = comparison_json(comparison, tables);
    return object ? output_json(object) : ERR_MEMORY;
}

static int compare(const struct arguments *arguments, struct comparison *comparison)
{
    int code = arguments->csv ? command_output(arguments->csv, NULL) : 0;
    for (int i = 0; i < arguments->runs && code == 0; i++)
        code = comparison_add(comparison, arguments->run[i]);
    json_t *tables = code == 0 ? comparison_tables(comparison) : NULL;
    if (!tables)
        return command_error(NULL);
    code = print(arguments, comparison, tables);
    json_decref(tables);
    return code < 0 ? command_error(NULL) : 0;
}

static int run_command(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "RUN|FOLDER...",
        "Compares runs, or all runs below a folder: a row an encoding, a column a task, in each "
        "cell the mean over seeds of what the last evaluation gave, its 95 % interval and the "
        "number of seeds.\v"
        "Intervals are Student's: mean -+ t s / sqrt(n) with n - 1 degrees of freedom, cut to what "
        "an accuracy can be; one seed has none. Runs that differ in more than encoding, task and "
        "seed are in tables of their own, each named by the options that differ. Of two runs with "
        "the same encoding, task and seed the first one counts.",
        NULL,
        NULL,
        NULL};
    struct arguments arguments = {.metric = "accuracy"};
    struct comparison comparison;
    if (command_parse("compare", &argp, argc, argv, &arguments) != 0)
        return 2;
    if (arguments.runs == 0)
        return command_usage("compare", "RUN is missing: folders of runs, or a folder of folders");
    if (arguments.json && arguments.csv && strcmp(arguments.csv, "-") == 0)
        return command_usage("compare", "--json and --csv - both want stdout; leave out one");
    if (comparison_init(&comparison, arguments.metric) < 0)
        return command_usage("compare", err_last());
    int status = compare(&arguments, &comparison);
    comparison_release(&comparison);
    return status;
}

const struct command command_compare = {
    .name = "compare",
    .title = "compare runs: encoding by task, over seeds",
    .run = run_command,
};
