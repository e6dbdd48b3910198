// The program: mends the BLAS, finds the subcommand, and runs it in the build that it belongs to:
// in float or double, with the vector code that the processor has.
//
// Whatever runs before that choice is of the base build, which any processor can run.
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/options.h"
#include "../../autograd/base/par.h"
#include "../../autograd/base/restart.h"
#include "../../autograd/kernels/blas.h"
#include "../../autograd/kernels/level.h"
#include "../io/version.h"
#include "entry.h"

enum { MAX_COMMANDS = 64 };

static const struct command *find_command(const char *name)
{
    for (int i = 0; i < command_count; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

// In the order of level_names.
static const struct build {
    entry_function *in_float, *in_double;
} builds[] = {
#ifdef POSGRAD_HAS_avx512
    {posgrad_float_avx512, posgrad_double_avx512},
#endif
#ifdef POSGRAD_HAS_avx2
    {posgrad_float_avx2, posgrad_double_avx2},
#endif
#ifdef POSGRAD_HAS_base
    {posgrad_float_base, posgrad_double_base},
#endif
};

// The best that the processor has, or the one that was asked for; NULL, and err_set, where that is
// none.
static const struct build *choose_build(void)
{
    const char *asked = getenv(LEVEL_VARIABLE);
    for (int i = 0; level_names[i]; i++) {
        if (asked && *asked && strcmp(asked, level_names[i]) != 0)
            continue;
        if (level_runs(level_names[i]))
            return &builds[i];
        if (asked && *asked) {
            err_set(ERR_ARGUMENT, LEVEL_VARIABLE "=%s: this processor has no %s", asked, asked);
            return NULL;
        }
    }
    char list[128] = "";
    for (int i = 0; level_names[i]; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "",
                 level_names[i]);
    err_set(ERR_ARGUMENT, LEVEL_VARIABLE "=%s: this program has %s", asked ? asked : "", list);
    return NULL;
}

static void print_help(void)
{
    puts("Usage: posgrad COMMAND [OPTION...]\n"
         "A wind tunnel for position encodings: small Transformers trained with any of them.\n");
    for (int i = 0; i < command_count; i++)
        printf("  %-11s %s\n", commands[i]->name, commands[i]->title);
    puts("\n'posgrad COMMAND --help' tells of one. Started as 'train', this is 'posgrad train'.\n"
         "  --version   version; 'posgrad system' tells of the libraries, too");
}

static int unknown_command(const char *name)
{
    const char *names[MAX_COMMANDS];
    int count = command_count < MAX_COMMANDS ? command_count : MAX_COMMANDS;
    for (int i = 0; i < count; i++)
        names[i] = commands[i]->name;
    const char *near = name_nearest(names, count, name);
    if (name[0] == '-')
        err_set(ERR_ARGUMENT, "'%s' comes before a command; the command is first", name);
    else if (near)
        err_set(ERR_ARGUMENT, "no command is called '%s'; did you mean '%s'?", name, near);
    else
        err_set(ERR_ARGUMENT, "no command is called '%s'", name);
    return command_usage(NULL, err_last());
}

// Whether "--precision double" is among the arguments, in any form that argp takes: joined by '=',
// or shortened down to "--pr".
static bool asks_for_double(int argc, char **argv)
{
    static const char flag[] = "--precision";
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        size_t size = strcspn(argv[i], "=");
        if (size < strlen("--pr") || size >= sizeof flag || strncmp(argv[i], flag, size) != 0)
            continue;
        const char *value = argv[i][size] ? argv[i] + size + 1 : i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(value, "double") == 0)
            return true;
    }
    return false;
}

static int dispatch(int argc, char **argv)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *self = slash ? slash + 1 : argc > 0 ? argv[0] : "posgrad";
    char train[] = "train", help[] = "--help";
    if (strcmp(self, "train") == 0) {
        argv[0] = train;
    } else {
        argc--;
        argv++;
    }
    if (argc < 1)
        return command_usage(NULL, "a command is missing");
    if (strcmp(argv[0], "help") == 0 && argc == 2) { // "help COMMAND" is "COMMAND --help"
        argv[0] = argv[1];
        argv[1] = help;
    }
    if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0 ||
        strcmp(argv[0], "help") == 0) {
        print_help();
        return 0;
    }
    if (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "-V") == 0) {
        puts("posgrad " POSGRAD_VERSION);
        return 0;
    }
    const struct command *command = find_command(argv[0]);
    if (!command)
        return unknown_command(argv[0]);
    const struct build *build = choose_build();
    if (!build)
        return command_usage(NULL, err_last());
    if (command->in_double || asks_for_double(argc, argv))
        return build->in_double(argc, argv);
    return build->in_float(argc, argv);
}

// Also where an earlier write found that out, and nothing is left to be written.
static bool reader_is_gone(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return errno == EPIPE || (poll(&output, 1, 0) == 1 && (output.revents & POLLERR));
}

// What did not reach stdout is an error, unless the reader went away (`posgrad list | head`).
static int finish(int status)
{
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == 0 && !reader_is_gone()) {
        err_set(ERR_FILE, "cannot write the output: %s", errno ? strerror(errno) : "unknown cause");
        return command_error(NULL);
    }
    return status;
}

// A program may be started with stdin, stdout or stderr closed; the next file that it opens would
// get that number, and with it what is printed. So the numbers are taken, the wrong way round: what
// is printed still fails, and finish() says so.
static bool take_standard_numbers(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
            return false;
    return true;
}

// A data file is mapped; when another program cuts it short, reading it is a signal.
static void on_lost_data(int signal)
{
    static const char line[] = "posgrad: a data file was cut short while it was read; what was "
                               "saved before stays\n";
    (void)signal;
    if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
        _exit(1);
    _exit(1);
}

// OpenBLAS takes a buffer for each processor while it is loaded; where it gets none, it asks again
// for ever (until its 0.3.30). So this asks before the initialisation of any library, when nothing
// but system calls can be relied on.
static void check_buffers(void)
{
    static const char line[] =
        "posgrad: out of memory: OpenBLAS wants 128 MiB of address space for each processor, and "
        "not so much is left; raise the limit (ulimit -v)\n";
    cpu_set_t processors;
    bool known = sched_getaffinity(0, sizeof processors, &processors) == 0;
    if (blas_has_room(known ? CPU_COUNT(&processors) : 1))
        return;
    if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
        _exit(1);
    _exit(1);
}

__attribute__((section(".preinit_array"),
               used)) static void (*const before_libraries)(void) = check_buffers;

int main(int argc, char **argv)
{
    if (!take_standard_numbers())
        return 1;
    bool anew = par_mend_waiting();
    blas_mend(argv); // may start the program anew
    if (anew)
        restart_program(argv);
    signal(SIGBUS, on_lost_data);
    signal(SIGXFSZ, SIG_IGN); // a file limit is an error of write(), not the end
    argp_err_exit_status = 2;
    return finish(dispatch(argc, argv));
}
