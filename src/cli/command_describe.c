// posgrad describe: what one encoding or task is, how to set it, and what it leaves behind.
#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../datasets/dataset.h"
#include "../encodings/pe.h"
#include "../io/json_memory.h"
#include "command.h"
#include "encoding_facts.h"
#include "task_facts.h"

struct arguments {
    const char *name;
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    if (arguments->name)
        command_refuse(state, "describe takes one name, and '%s' is another", value);
    arguments->name = value;
    return 0;
}

static void print_options(const char *flag, const struct option_def *option)
{
    if (option && option->key)
        printf("\noptions (--%s KEY=VALUE)\n", flag);
    for (; option && option->key; option++)
        printf("  %-16s %s%s%s (%s)\n", option->key, option->help, option->choices ? ": " : "",
               option->choices ? option->choices : "",
               option->default_value[0] ? option->default_value : "empty");
}

// "name [a, b]" a line, and what a parameter starts as, or a table counts. False where there is no
// list, for want of memory.
static bool print_shapes(const char *title, json_t *list, const char *key)
{
    size_t i, k;
    json_t *row, *part;
    if (json_array_size(list))
        printf("\n%s\n", title);
    json_array_foreach (list, i, row) {
        printf("  %s [", json_string_value(json_object_get(row, "name")));
        json_array_foreach (json_object_get(row, key), k, part)
            printf("%s%s", k ? ", " : "", json_string_value(part));
        const char *start = json_string_value(json_object_get(row, "start"));
        const char *unit = json_string_value(json_object_get(row, "unit"));
        printf("]%s%s%s%s\n", start ? "  starts as " : "", start ? start : "", unit ? "  in " : "",
               unit ? unit : "");
    }
    json_decref(list);
    return list != NULL;
}

static bool print_words(const char *title, json_t *list, const char *between)
{
    size_t i;
    json_t *word;
    if (json_array_size(list))
        printf("\n%s\n  ", title);
    json_array_foreach (list, i, word)
        printf("%s%s", i ? between : "", json_string_value(word));
    if (json_array_size(list))
        putchar('\n');
    json_decref(list);
    return list != NULL;
}

static int describe_encoding(const struct pe_def *def)
{
    printf("%s: %s\n\nfamily   %s\nformula  %s\nsource   %s\n", def->name, def->title, def->family,
           def->formula, def->paper);
    print_options("pe-opt", def->options);
    bool good =
        print_shapes(
            "parameters (T training length, C width, H heads, D = C/H, L layers, V vocabulary, "
            "Gh and Gw sides of a grid)",
            encoding_parameters(def), "shape") &&
        print_shapes("tables for posgrad export", encoding_exports(def), "axes") &&
        print_words("claims, which the tests hold it to", encoding_claim_words(def), "\n  ") &&
        print_words("ways past the training length", encoding_extensions(def), " ") &&
        print_words("stacks with", encoding_partners(def), " ");
    if (!good)
        return err_set(ERR_MEMORY, "out of memory for what %s is", def->name);
    char pe[128];
    pe_smallest_stack(def, pe);
    printf("\nfor example\n  train --pe %s --task %s\n", pe,
           strcmp(def->family, "grid") == 0 ? "probe2d --length 36" : "probe");
    return json_memory_check(0);
}

static int describe_task(const struct task_def *def)
{
    static const char *const data[] = {"made by the task itself",
                                       "from a file (--data), or made by the task itself",
                                       "from files (--data)"};
    struct task_facts facts;
    printf("%s: %s\n\nsource   %s\nscored   %s\ndata     %s\n", def->name, def->title, def->source,
           def->scored, data[def->file]);
    int found = task_find_facts(def, &facts);
    if (found < 0)
        return found;
    if (found)
        printf("chance   %.4f at length %lld\n", facts.chance, (long long)facts.length);
    else
        printf("chance   depends on the %s\n",
               def->file == DATASET_FILE_REQUIRED ? "file" : "options");
    print_options("task-opt", def->options);
    printf("\nfor example\n  train --pe learned --task %s%s%s%s\n", def->name,
           def->file == DATASET_FILE_REQUIRED ? " --data FILE" : "", def->example ? " " : "",
           def->example ? def->example : "");
    return 0;
}

static int run_command(int argc, char **argv)
{
    static const struct argp argp = {
        .parser = parse,
        .args_doc = "ENCODING|TASK",
        .doc =
            "Tells what an encoding or a task is: formula, source, options, parameters, exports."};
    struct arguments arguments = {0};
    int code = command_parse("describe", &argp, argc, argv, &arguments);
    if (code)
        return code;
    if (!arguments.name)
        return command_usage("describe", "name an encoding or a task; 'posgrad list' shows them");
    for (int i = 0; i < task_count; i++) {
        if (name_index(&task_list[i]->name, 1, arguments.name) == 0)
            return describe_task(task_list[i]) < 0 ? command_error(NULL) : 0;
    }
    const struct pe_def *def = pe_find(arguments.name);
    if (!def)
        return command_usage("describe", err_last());
    return describe_encoding(def) < 0 ? command_error(NULL) : 0;
}

const struct command command_describe = {
    .name = "describe",
    .title = "what an encoding or a task is",
    .run = run_command,
};
