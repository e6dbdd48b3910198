// How a command says that something went wrong: one line on stderr, and its exit code. And what no
// command may write over.
#include "command.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/options.h"
#include "../../autograd/kernels/selftest.h"
#include "../io/version.h"

int command_run(const struct command *command, int argc, char **argv)
{
    char name[64];
    snprintf(name, sizeof name, "posgrad %s", command->name);
    argv[0] = name;
    return command->run(argc, argv);
}

int command_error(const char *line)
{
    fprintf(stderr, "posgrad: %s\n", line ? line : err_last());
    return 1;
}

int command_usage(const char *name, const char *line)
{
    command_error(line);
    fprintf(stderr, "Try 'posgrad%s%s --help'.\n", name && *name ? " " : "", name ? name : "");
    return 2;
}

void command_refuse(const struct argp_state *state, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    err_set(ERR_ARGUMENT, "%s", line);
    argp_error(state, "%s", err_last());
}

int command_check_products(void)
{
    return selftest_products() < 0 ? command_error(NULL) : 0;
}

// --- arguments

enum { MAX_FLAGS = 128 };

// Every option of a parser and of its children.
struct flags {
    int count;
    const struct argp_option *option[MAX_FLAGS];
};

static void collect(struct flags *flags, const struct argp *argp)
{
    for (const struct argp_option *o = argp->options; o && (o->name || o->key); o++)
        if (flags->count < MAX_FLAGS)
            flags->option[flags->count++] = o;
    for (const struct argp_child *child = argp->children; child && child->argp; child++)
        collect(flags, child->argp);
}

static bool takes_next(const struct argp_option *option)
{
    return option->arg && !(option->flags & OPTION_ARG_OPTIONAL);
}

// The options that `size` bytes of `name` begin: the last one, and `other`, the one before it or
// NULL; or the one whose whole name they are.
static const struct argp_option *find_long(const struct flags *flags, const char *name, size_t size,
                                           const struct argp_option **other)
{
    const struct argp_option *found = NULL;
    *other = NULL;
    for (int i = 0; i < flags->count; i++) {
        const char *known = flags->option[i]->name;
        if (!known || strncmp(known, name, size) != 0)
            continue;
        *other = known[size] ? found : NULL;
        found = flags->option[i];
        if (!known[size])
            break;
    }
    return found;
}

static const struct argp_option *find_letter(const struct flags *flags, char letter)
{
    for (int i = 0; i < flags->count; i++)
        if (flags->option[i]->key == (unsigned char)letter)
            return flags->option[i];
    return NULL;
}

// The letters after one '-': 1 where they end in an option whose value is the next argument, 0
// where not, ERR_ARGUMENT where one is no option.
static int check_letters(const struct flags *flags, const char *letters)
{
    for (; *letters; letters++) {
        const struct argp_option *option = find_letter(flags, *letters);
        if (!option)
            return err_set(ERR_ARGUMENT, "unrecognized option '-%c'", *letters);
        if (option->arg)
            return !letters[1] && takes_next(option);
    }
    return 0;
}

static int unknown_flag(const char *command, const struct flags *flags, const char *typed)
{
    const char *names[MAX_FLAGS];
    int count = 0;
    for (int i = 0; i < flags->count; i++)
        if (flags->option[i]->name)
            names[count++] = flags->option[i]->name;
    const char *near = name_nearest(names, count, typed);
    if (near)
        err_set(ERR_ARGUMENT, "unrecognized option '--%s'; did you mean '--%s'?", typed, near);
    else
        err_set(ERR_ARGUMENT, "unrecognized option '--%s'", typed);
    return command_usage(command, err_last());
}

// getopt finds the unknown option, too, but knows no nearest one, and prints what was typed as it
// is.
static int check_flags(const char *command, const struct flags *flags, int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (argv[i][0] != '-' || !argv[i][1])
            continue;
        if (argv[i][1] != '-') {
            int next = check_letters(flags, argv[i] + 1);
            if (next < 0)
                return command_usage(command, err_last());
            i += next;
            continue;
        }
        char *name = argv[i] + 2;
        size_t size = strcspn(name, "=");
        for (size_t k = 0; k < size; k++)
            if (name[k] == '_')
                name[k] = '-';
        const struct argp_option *other, *option = find_long(flags, name, size, &other);
        if (!option) {
            name[size] = '\0';
            return unknown_flag(command, flags, name);
        }
        if (other) {
            err_set(ERR_ARGUMENT, "option '--%.*s' could be '--%s' or '--%s'; write more of it",
                    (int)size, name, other->name, option->name);
            return command_usage(command, err_last());
        }
        i += takes_next(option) && !name[size];
    }
    return 0;
}

// What every command has. argp's own has two hidden ones beside them, whose names would make
// abbreviations ambiguous ('--pro').
enum { KEY_USAGE = 0x7000 };
static const struct argp_option standard_options[] = {
    {"help", '?', NULL, 0, "Give this help list", -1},
    {"usage", KEY_USAGE, NULL, 0, "Give a short usage message", 0},
    {"version", 'V', NULL, 0, "Print program version", -1},
    {0},
};

static error_t parse_standard(int key, char *value, struct argp_state *state)
{
    (void)value;
    switch (key) {
    case '?':
        argp_state_help(state, state->out_stream, ARGP_HELP_STD_HELP);
        return 0;
    case KEY_USAGE:
        argp_state_help(state, state->out_stream, ARGP_HELP_USAGE | ARGP_HELP_EXIT_OK);
        return 0;
    case 'V':
        fprintf(state->out_stream, "posgrad %s\n", POSGRAD_VERSION);
        exit(0);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int command_parse(const char *name, const struct argp *argp, int argc, char **argv, void *input)
{
    static const struct argp standard = {.options = standard_options, .parser = parse_standard};
    const struct argp_child children[] = {{argp, 0, NULL, 0}, {&standard, 0, NULL, 0}, {0}};
    const struct argp all = {.children = children}; // the first child gets the input
    struct flags flags = {0};
    collect(&flags, &all);
    int status = check_flags(name, &flags, argc, argv);
    argp_err_exit_status = 2;
    int error = status == 0 ? argp_parse(&all, argc, argv, ARGP_NO_HELP, NULL, input) : 0;
    return error == ENOMEM ? command_error("out of memory for the arguments") : error ? 2 : status;
}

char *command_help(int key, const char *text, void (*write)(FILE *file))
{
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)(uintptr_t)text; // argp's own contract: unchanged text is given back
    char *written = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&written, &size);
    if (!file)
        return NULL;
    write(file);
    if (fclose(file) == 0)
        return written;
    free(written);
    return NULL;
}

// --- outputs

static bool is_of_a_run(const char *output)
{
    static const char *const files[] = {"checkpoint*.h5", "best.h5", "config.json",
                                        "metrics.jsonl"};
    const char *slash = strrchr(output, '/'), *name = slash ? slash + 1 : output;
    char checkpoint[4096];
    struct stat info;
    int folder = slash ? (int)(slash - output) + 1 : 0;
    int length = snprintf(checkpoint, sizeof checkpoint, "%.*scheckpoint.h5", folder, output);
    if (length < 0 || (size_t)length >= sizeof checkpoint || stat(checkpoint, &info) < 0)
        return false;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (fnmatch(files[i], name, 0) == 0)
            return true;
    return false;
}

int command_output(const char *output, const char *source)
{
    if (!*output)
        return err_set(ERR_ARGUMENT, "the name of the file to write is empty");
    struct stat out, in;
    bool same = source && stat(output, &out) == 0 && stat(source, &in) == 0 &&
                out.st_dev == in.st_dev && out.st_ino == in.st_ino;
    if (same || is_of_a_run(output))
        return err_set(ERR_ARGUMENT, "%s would replace a file of the run; give another name",
                       output);
    return 0;
}
