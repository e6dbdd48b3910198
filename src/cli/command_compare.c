// posgrad compare: runs in a table, encoding by task.
#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../report/compare.h"
#include "command.h"
#include "length_list.h"
#include "output.h"

struct arguments {
    const char *metric, *csv;
    bool json;
    int split;
    int64_t samples, threads;
    struct length_list lengths;
    int runs;
    char **run; // borrowed from argv
};

#define AT(field) offsetof(struct arguments, field)

// Options with one value each; what they are for is in `options`.
static const struct option_def values[] = {
    {"split", OPTION_CHOICE, AT(split), "validation", 0, 0, "validation|test", ""},
    {"samples", OPTION_INT, AT(samples), "0", 0, 1e9, NULL, ""},
    {"threads", OPTION_INT, AT(threads), "0", 0, 256, NULL, ""},
    {0},
};

enum { VALUES = sizeof values / sizeof *values - 1 };
enum { KEY_VALUE = 0x3000, KEY_METRIC = 0x3100, KEY_LENGTHS, KEY_JSON, KEY_CSV };

static const struct argp_option options[] = {
    {"metric", KEY_METRIC, "accuracy|exact_match|loss", 0, "what is compared (default accuracy)",
     0},
    {"lengths", KEY_LENGTHS, "N,N,...", 0,
     "score every run now on rows of these lengths, a column each (default: what the last "
     "evaluation gave)",
     0},
    {"split", KEY_VALUE + 0, "validation|test", 0,
     "rows to score; test scores every run now (default validation)", 0},
    {"samples", KEY_VALUE + 1, "N", 0,
     "rows a length (default: as many as the training's evaluations have)", 0},
    {"threads", KEY_VALUE + 2, "N", 0,
     "threads, which change no bit of the result (default: all processors)", 0},
    {"json", KEY_JSON, NULL, 0, "one JSON object in place of the table", 0},
    {"csv", KEY_CSV, "FILE", 0, "write the cells to FILE, too; '-': to stdout, without the table",
     0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    int code = 0;
    if (key >= KEY_VALUE && key < KEY_VALUE + VALUES) {
        code = options_set(values, arguments, NULL, values[key - KEY_VALUE].key, value);
    } else if (key == KEY_METRIC) {
        arguments->metric = value;
    } else if (key == KEY_LENGTHS) {
        code = length_list_read(&arguments->lengths, value);
    } else if (key == KEY_JSON) {
        arguments->json = true;
    } else if (key == KEY_CSV) {
        arguments->csv = value;
    } else if (key == ARGP_KEY_ARGS) {
        arguments->run = state->argv + state->next;
        arguments->runs = state->argc - state->next;
    } else {
        return ARGP_ERR_UNKNOWN;
    }
    if (code < 0)
        command_refuse(state, "%s", err_last());
    return 0;
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
    options_defaults(values, &arguments);
    int parsed = command_parse("compare", &argp, argc, argv, &arguments);
    if (parsed != 0)
        return parsed;
    if (arguments.runs == 0)
        return command_usage("compare", "RUN is missing: folders of runs, or a folder of folders");
    if (arguments.samples && !arguments.lengths.count && !arguments.split)
        return command_usage("compare", "--samples goes with --lengths or --split test");
    if (arguments.json && arguments.csv && strcmp(arguments.csv, "-") == 0)
        return command_usage("compare", "--json and --csv - both want stdout; leave out one");
    struct comparison_request request = {
        .metric = arguments.metric,
        .at = {.split = arguments.split ? DATASET_TEST : DATASET_VALIDATION,
               .samples = arguments.samples},
        .lengths = arguments.lengths.count,
        .length = arguments.lengths.length,
        .threads = arguments.threads,
    };
    if ((request.lengths || arguments.split) && command_check_products() != 0)
        return 1;
    int code = comparison_init(&comparison, &request);
    if (code == ERR_ARGUMENT)
        return command_usage("compare", err_last());
    int status = code < 0 ? command_error(NULL) : compare(&arguments, &comparison);
    comparison_release(&comparison);
    return status;
}

const struct command command_compare = {
    .name = "compare",
    .title = "compare runs: encoding by task, over seeds",
    .run = run_command,
};
