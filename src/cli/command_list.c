// posgrad list: what there is to choose from, walked out of the lists themselves.
#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../autograd/ops/op.h"
#include "../../datasets/dataset.h"
#include "../../optim/optim.h"
#include "../encodings/pe.h"
#include "../io/export.h"
#include "command.h"
#include "encoding_facts.h"
#include "output.h"
#include "task_facts.h"
#include "train_arguments.h"

// A row of any list; what a list does not have is NULL.
struct row {
    const char *name, *title, *source;
    const char *aliases, *family, *formula; // of encodings
    const struct option_def *options;
    const char *data;              // of tasks
    const struct pe_def *encoding; // for what only a model can tell
    const struct task_def *task;
};

static struct row encoding_row(int i)
{
    const struct pe_def *def = pe_list[i];
    return (struct row){.name = def->name,
                        .title = def->title,
                        .source = def->paper,
                        .aliases = def->aliases,
                        .family = def->family,
                        .formula = def->formula,
                        .options = def->options,
                        .encoding = def};
}

static struct row task_row(int i)
{
    const struct task_def *def = task_list[i];
    return (struct row){.name = def->name,
                        .title = def->title,
                        .source = def->source,
                        .data = dataset_file_name[def->file],
                        .options = def->options,
                        .task = def};
}

static struct row optimizer_row(int i)
{
    const struct optimizer_def *def = optimizer_list[i];
    return (struct row){
        .name = def->name, .title = def->title, .source = def->paper, .options = def->options};
}

static struct row schedule_row(int i)
{
    const struct schedule_def *def = schedule_list[i];
    return (struct row){.name = def->name, .title = def->title, .source = def->paper};
}

static struct row format_row(int i)
{
    return (struct row){.name = export_formats[i]->name, .title = export_formats[i]->title};
}

static struct row op_row(int i)
{
    return (struct row){.name = ag_ops[i]->name, .title = ag_ops[i]->formula};
}

struct kind {
    const char *name, *flag; // the flag that takes the options of a row, or NULL
    const int *count;
    struct row (*row)(int i);
};
static const struct kind kinds[] = {
    {"encodings", "--pe-opt", &pe_count, encoding_row},
    {"tasks", "--task-opt", &task_count, task_row},
    {"optimizers", "--optimizer-opt", &optimizer_count, optimizer_row},
    {"schedules", NULL, &schedule_count, schedule_row},
    {"formats", NULL, &export_format_count, format_row},
    {"ops", NULL, &ag_op_count, op_row},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static const struct kind *find_kind(const char *name)
{
    const char *names[KINDS];
    for (int i = 0; i < KINDS; i++)
        names[i] = kinds[i].name;
    int found = name_index(names, KINDS, name);
    if (found >= 0)
        return &kinds[found];
    const char *near = name_nearest(names, KINDS, name);
    if (near)
        err_set(ERR_ARGUMENT, "there is no list of '%s'; did you mean '%s'?", name, near);
    else
        err_set(ERR_ARGUMENT,
                "there is no list of '%s', but of encodings, tasks, optimizers, "
                "schedules, formats and ops",
                name);
    return NULL;
}

static void print_text(const struct kind *kind)
{
    int width = 0;
    for (int i = 0; i < *kind->count; i++) {
        int size = (int)strlen(kind->row(i).name);
        width = size > width ? size : width;
    }
    for (int i = 0; i < *kind->count; i++) {
        struct row row = kind->row(i);
        printf("%-*s  %s%s%s%s\n", width, row.name, row.title ? row.title : "",
               row.source ? " (" : "", row.source ? row.source : "", row.source ? ")" : "");
        for (const struct option_def *o = row.options; kind->flag && o && o->key; o++)
            printf("%*s    %s %s=%s  %s%s%s\n", width, "", kind->flag, o->key, o->default_value,
                   o->help, o->choices ? ": " : "", o->choices ? o->choices : "");
    }
}

static json_t *options_json(const struct option_def *option)
{
    json_t *list = json_array();
    for (; list && option && option->key; option++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s*, s:s}", "name", option->key,
                                              "default", option->default_value, "choices",
                                              option->choices, "help", option->help));
    return list;
}

static json_t *aliases_json(const char *words)
{
    json_t *list = json_array();
    for (const char *p = words; p && *p;) {
        size_t size = strcspn(p, "|");
        json_array_append_new(list, json_stringn(p, size));
        p += size + (p[size] == '|');
    }
    return list;
}

static bool add_encoding(json_t *object, const struct pe_def *def)
{
    return json_object_set_new(object, "parameters", encoding_parameters(def)) == 0 &&
           json_object_set_new(object, "exports", encoding_exports(def)) == 0 &&
           json_object_set_new(object, "claims", encoding_claim_words(def)) == 0 &&
           json_object_set_new(object, "extensions", encoding_extensions(def)) == 0 &&
           json_object_set_new(object, "composes_with", encoding_partners(def)) == 0;
}

static bool add_task(json_t *object, const struct task_def *def)
{
    struct task_facts facts;
    int found = task_find_facts(def, &facts);
    json_object_set_new(object, "scored", json_string(def->scored));
    if (found == 1)
        json_object_set_new(object, "chance", json_real(facts.chance));
    if (found == 1)
        json_object_set_new(object, "chance_length", json_integer(facts.length));
    return found >= 0;
}

static int print_json(const struct kind *kind)
{
    json_t *list = json_array();
    for (int i = 0; i < *kind->count; i++) {
        struct row row = kind->row(i);
        json_t *object = json_pack("{s:s, s:s*, s:s*, s:s*, s:s*, s:s*, s:o, s:o}", "name",
                                   row.name, "title", row.title, "family", row.family, "formula",
                                   row.formula, row.encoding ? "citation" : "source", row.source,
                                   "data", row.data, "aliases", aliases_json(row.aliases),
                                   "options", options_json(row.options));
        bool good = object && (!row.encoding || add_encoding(object, row.encoding)) &&
                    (!row.task || add_task(object, row.task));
        if (json_array_append_new(list, object) < 0 || !good) {
            json_decref(list);
            return command_error("out of memory");
        }
    }
    return output_json(list) < 0 ? command_error(NULL) : 0;
}

struct arguments {
    const char *kind;
    bool json;
};

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "one JSON list, with options and aliases", 0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case 'j':
        arguments->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->kind)
            command_refuse(state, "'%s' is one list too many", value);
        arguments->kind = value;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int run_command(int argc, char **argv)
{
    static const struct argp argp = {options,
                                     parse,
                                     "encodings|tasks|optimizers|schedules|formats|ops",
                                     "Lists what there is to choose from.",
                                     NULL,
                                     NULL,
                                     NULL};
    struct arguments arguments = {0};
    int parsed = command_parse("list", &argp, argc, argv, &arguments);
    if (parsed != 0)
        return parsed;
    if (!arguments.kind)
        return command_usage(
            "list", "say of what: encodings, tasks, optimizers, schedules, formats or ops");
    const struct kind *kind = find_kind(arguments.kind);
    if (!kind)
        return command_usage("list", err_last());
    if (arguments.json)
        return print_json(kind);
    print_text(kind);
    return 0;
}

const struct command command_list = {
    .name = "list",
    .title = "what there is: encodings, tasks, optimizers, schedules, formats, ops",
    .run = run_command,
};
