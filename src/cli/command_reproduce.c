// posgrad reproduce: a published experiment, trained and set beside what was expected of it.
#include <argp.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/options.h"
#include "../recipes/recipe.h"
#include "../report/table.h"
#include "../train/statistics.h"
#include "command.h"
#include "output.h"
#include "stop.h"

struct arguments {
    const char *name, *folder, *data, *train;
    int64_t seed, seeds, jobs;
    bool list, full, dry_run, json, quiet;
};

enum {
    KEY_LIST = 0x3000,
    KEY_FULL,
    KEY_SEED,
    KEY_SEEDS,
    KEY_JOBS,
    KEY_OUT,
    KEY_DATA,
    KEY_TRAIN,
    KEY_DRY,
    KEY_JSON,
    KEY_QUIET
};

static const struct argp_option options[] = {
    {"list", KEY_LIST, NULL, 0, "show all recipes", 0},
    {"full", KEY_FULL, NULL, 0, "the paper's own size, which takes hours or days", 0},
    {"seed", KEY_SEED, "N", 0, "the first seed (default 0)", 0},
    {"seeds", KEY_SEEDS, "N", 0, "trainings of each cell, a seed each (default 1)", 0},
    {"jobs", KEY_JOBS, "N", 0, "trainings at a time, a thread each (default: all processors)", 0},
    {"out-dir", KEY_OUT, "FOLDER", 0, "folder of all runs (default runs/reproduce-NAME)", 0},
    {"data", KEY_DATA, "FILE", 0, "text for recipes that read one", 0},
    {"train", KEY_TRAIN, "OPTIONS", 0,
     "options of 'posgrad train' for every training, such as '--steps 100': the table is then "
     "another experiment's",
     0},
    {"dry-run", KEY_DRY, NULL, 0, "print the commands that would be run, and run none", 0},
    {"json", KEY_JSON, NULL, 0, "print the table as one JSON object", 0},
    {"quiet", KEY_QUIET, NULL, 0, "print the table only", 0},
    {0},
};

// A number of an option of this command.
static int64_t number(struct argp_state *state, const char *name, const char *text, int64_t low,
                      int64_t high)
{
    char *end;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || value < low || value > high)
        command_refuse(state, "--%s '%s' is not a whole number from %lld to %lld", name, text,
                       (long long)low, (long long)high);
    return value;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case KEY_LIST:
        a->list = true;
        return 0;
    case KEY_FULL:
        a->full = true;
        return 0;
    case KEY_SEED:
        a->seed = number(state, "seed", value, 0, 1000000000);
        return 0;
    case KEY_SEEDS:
        a->seeds = number(state, "seeds", value, 1, RECIPE_MAX_SEEDS);
        return 0;
    case KEY_JOBS:
        a->jobs = number(state, "jobs", value, 1, 64);
        return 0;
    case KEY_OUT:
        a->folder = value;
        return 0;
    case KEY_DATA:
        a->data = value;
        return 0;
    case KEY_TRAIN:
        a->train = value;
        return 0;
    case KEY_DRY:
        a->dry_run = true;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case KEY_QUIET:
        a->quiet = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->name)
            command_refuse(state, "'%s' is one NAME too many", value);
        a->name = value;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void write_help(FILE *file)
{
    fputs("Recipes:\n", file);
    for (int i = 0; i < recipe_count; i++)
        fprintf(file, "  %-22s %s\n", recipe_list[i]->name, recipe_list[i]->title);
    fputs("\nA recipe that was stopped goes on where it was when the same command is given again.",
          file);
}

static char *help(int key, const char *text, void *input)
{
    (void)input;
    return command_help(key, text, write_help);
}

// --- what is printed

static void print_list(void)
{
    for (int i = 0; i < recipe_count; i++)
        printf("%-22s %s\n%-22s %s\n", recipe_list[i]->name, recipe_list[i]->title, "",
               recipe_list[i]->source);
}

static void print_head(const struct recipe_def *recipe)
{
    printf("%s: %s\n%s\n\n%s\nExpected: %s\n", recipe->name, recipe->title, recipe->source,
           recipe->question, recipe->expected);
    if (recipe->remark)
        printf("Note: %s\n", recipe->remark);
    putchar('\n');
}

// "1.000" is said only where nothing was wrong.
static double shown(double share)
{
    return share < 1 && share > 0.999 ? 0.999 : share;
}

// What a cell says: the mean, with +- the half width of its interval where there are seeds enough.
static void cell_text(const struct recipe_cell *cell, const struct recipe_expectation *expectation,
                      char *text, size_t size)
{
    double mean;
    struct interval interval = interval_mean(cell->count, cell->value, &mean);
    int used;
    if (cell->count == 0)
        used = snprintf(text, size, "%s", cell->what[0] ? cell->what : "none");
    else if (cell->count == 1)
        used = snprintf(text, size, "%.3f", shown(mean));
    else
        used = snprintf(text, size, "%.3f+-%.3f", shown(mean), interval.high - mean);
    if (used > 0 && (size_t)used < size && !isnan(expectation->source))
        used += snprintf(text + used, size - (size_t)used, " (%.3f)", expectation->source);
    if (used > 0 && (size_t)used < size && cell->judged && !cell->came)
        snprintf(text + used, size - (size_t)used, " !");
}

enum { CELL = 48 };

static int print_table(const struct recipe_def *recipe, const struct recipe_cell *cells)
{
    static const char align[] = "llllllllllllllll";
    char text[CELL];
    struct table table;
    BUG_ON(recipe->columns + 1 >= (int)sizeof align);
    table_init(&table, align + sizeof align - 2 - recipe->columns);
    table_cell(&table, "%s", recipe->metric[0] == 'e' ? "exact match" : "accuracy");
    for (int column = 0; column < recipe->columns; column++)
        table_cell(&table, "%s", recipe->column[column].name);
    for (int row = 0; row < recipe->rows; row++) {
        table_cell(&table, "%s", recipe->row[row].name);
        for (int column = 0; column < recipe->columns; column++) {
            int at = row * recipe->columns + column;
            cell_text(&cells[at], &recipe->expectation[at], text, sizeof text);
            table_cell(&table, "%s", text);
        }
    }
    int code = table_print(&table, stdout);
    table_release(&table);
    return code;
}

// What a cell was expected to be and is not.
static void print_miss(const struct recipe_def *recipe, int at)
{
    const struct recipe_expectation *e = &recipe->expectation[at];
    printf("! %s, %s: expected", recipe->row[at / recipe->columns].name,
           recipe->column[at % recipe->columns].name);
    if (!isnan(e->low))
        printf(" %.3f to %.3f", e->low, e->high);
    if (e->above > 0)
        printf("%s more than %s", isnan(e->low) ? "" : ", and", recipe->row[e->above - 1].name);
    putchar('\n');
}

static void print_verdict(const struct recipe_def *recipe, const struct recipe_cell *cells)
{
    int judged = 0, came = 0;
    bool sources = false;
    putchar('\n');
    for (int at = 0; at < recipe->rows * recipe->columns; at++)
        sources |= !isnan(recipe->expectation[at].source);
    if (sources)
        puts("In parentheses: the source's own number.");
    for (int at = 0; at < recipe->rows * recipe->columns; at++) {
        judged += cells[at].judged;
        came += cells[at].judged && cells[at].came;
        if (cells[at].judged && !cells[at].came)
            print_miss(recipe, at);
    }
    printf("%d of %d cells with an expectation are as expected.\n", came, judged);
}

static json_t *cell_json(const struct recipe_def *recipe, const struct recipe_cell *cell, int at)
{
    const struct recipe_expectation *e = &recipe->expectation[at];
    bool bounded = !isnan(e->low);
    json_t *values = json_array(), *object;
    for (int i = 0; i < cell->count; i++)
        json_array_append_new(values, json_real(cell->value[i]));
    object = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "row",
                       recipe->row[at / recipe->columns].name, "column",
                       recipe->column[at % recipe->columns].name, "values", values, "mean",
                       cell->count ? json_real(cell->mean) : json_null(), "expected_low",
                       bounded ? json_real(e->low) : json_null(), "expected_high",
                       bounded ? json_real(e->high) : json_null(), "as_expected",
                       cell->judged ? json_boolean(cell->came) : json_null(), "expected_above",
                       e->above ? json_string(recipe->row[e->above - 1].name) : json_null(),
                       "source_value", isnan(e->source) ? json_null() : json_real(e->source));
    return object;
}

static int print_json(const struct recipe_def *recipe, const struct recipe_cell *cells)
{
    json_t *list = json_array();
    for (int at = 0; at < recipe->rows * recipe->columns; at++)
        json_array_append_new(list, cell_json(recipe, &cells[at], at));
    return output_json(json_pack("{s:s, s:s, s:s, s:o}", "recipe", recipe->name, "source",
                                 recipe->source, "metric", recipe->metric, "cells", list));
}

static void observe(void *context, const struct recipe_event *event)
{
    const struct arguments *a = context;
    if (a->quiet || a->json || event->type != RECIPE_TRAINED)
        return;
    fprintf(stderr, "%d of %d trained and scored: %s\n", event->done, event->all, event->folder);
}

static int print_commands(const struct recipe_request *request)
{
    const struct recipe_def *recipe = request->recipe;
    char train[2048], eval[2048];
    for (int row = 0; row < recipe->rows; row++)
        for (int column = 0; column < recipe->columns; column++)
            for (int seed = 0; seed < request->seeds; seed++) {
                int code = recipe_commands(request, row, column, seed, train, eval, sizeof train);
                if (code < 0)
                    return code;
                printf("%s, %s:\n  posgrad train %s\n  posgrad eval RUN %s\n",
                       recipe->row[row].name, recipe->column[column].name, train, eval);
            }
    return 0;
}

// --- running

static int run(const struct arguments *a, const struct recipe_request *request)
{
    const struct recipe_def *recipe = request->recipe;
    struct recipe_cell *cells =
        calloc((size_t)recipe->rows * (size_t)recipe->columns, sizeof *cells);
    if (!cells)
        return command_error("out of memory for the table");
    stop_catch();
    signal(SIGUSR1, SIG_IGN); // for trainings, which have it from here until they can take it
    if (!a->json)
        print_head(recipe);
    stop_flush(stdout);
    int code = recipe_run(request, cells), status = 0;
    if (code == ERR_STOPPED) {
        if (stop_may_print(stderr)) {
            command_error(NULL);
            fputs("What was trained is saved; the same command goes on.\n", stderr);
        }
        status = 128 + *stop_flag();
    } else if (code < 0 || (a->json ? print_json(recipe, cells) : print_table(recipe, cells)) < 0) {
        status = command_error(NULL);
    } else if (!a->json) {
        print_verdict(recipe, cells);
    }
    if (!stop_flush(stdout) && status == 0)
        status = 128 + *stop_flag();
    free(cells);
    return status;
}

// A text that Debian has, for recipes that read one when none is given.
static const char default_text[] = "/usr/share/common-licenses/GPL-3";

static int fill_request(const struct arguments *a, struct recipe_request *request, char *program,
                        size_t size, char *folder, size_t folder_size)
{
    request->recipe = recipe_find(a->name);
    if (!request->recipe)
        return ERR_ARGUMENT;
    if (a->data && !request->recipe->needs_text)
        return err_set(ERR_ARGUMENT, "recipe %s reads no text; leave out --data",
                       request->recipe->name);
    request->data = a->data ? a->data : default_text;
    if (request->recipe->needs_text && access(request->data, R_OK) != 0)
        return err_set(ERR_ARGUMENT, "recipe %s reads a text: give one with --data FILE",
                       request->recipe->name);
    if (a->full && !request->recipe->full)
        return err_set(ERR_ARGUMENT, "recipe %s has one size; leave out --full",
                       request->recipe->name);
    ssize_t length = readlink("/proc/self/exe", program, size - 1);
    if (length <= 0)
        return err_set(ERR_FILE, "cannot find the program itself (/proc/self/exe): %s",
                       length < 0 ? strerror(errno) : "it has no name");
    program[length] = '\0';
    snprintf(folder, folder_size, "runs/reproduce-%s%s", request->recipe->name,
             a->full ? "-full" : "");
    request->program = program;
    request->folder = a->folder ? a->folder : folder;
    request->full = a->full;
    request->train = a->train;
    request->first_seed = a->seed;
    request->seeds = (int)a->seeds;
    request->jobs = (int)a->jobs;
    request->stop = stop_flag();
    return strlen(request->folder) > 900
               ? err_set(ERR_ARGUMENT, "--out-dir: the name is longer than 900 bytes")
               : 0;
}

static int run_command(int argc, char **argv)
{
    static const struct argp argp = {options,
                                     parse,
                                     "NAME",
                                     "Runs a named experiment: trains every cell of its table, "
                                     "scores it, and prints the table beside what was expected."
                                     "\vrecipes",
                                     NULL,
                                     help,
                                     NULL};
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct arguments a = {.seeds = 1,
                          .jobs = processors < 1    ? 1
                                  : processors > 64 ? 64
                                                    : processors};
    struct recipe_request request = {.observe = observe, .context = &a};
    char program[4096], folder[256];
    int parsed = command_parse("reproduce", &argp, argc, argv, &a);
    if (parsed != 0)
        return parsed;
    if (a.list) {
        print_list();
        return 0;
    }
    if (!a.name)
        return command_usage("reproduce", "NAME is missing; --list shows all recipes");
    int code = fill_request(&a, &request, program, sizeof program, folder, sizeof folder);
    if (code < 0)
        return code == ERR_ARGUMENT ? command_usage("reproduce", err_last()) : command_error(NULL);
    if (!a.dry_run)
        return command_check_products() != 0 ? 1 : run(&a, &request);
    return print_commands(&request) < 0 ? command_error(NULL) : 0;
}

const struct command command_reproduce = {
    .name = "reproduce",
    .title = "run a published experiment and set it beside what was expected",
    .run = run_command,
};
