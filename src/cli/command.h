// Subcommands: one file each (command_NAME.c), one row in list.h.
//
// A command parses its own arguments with argp, calls the library, prints. It is the only layer
// that prints or decides an exit code: 0 good, 1 for an error (one line on stderr), 2 for wrong
// usage.
#ifndef POSGRAD_COMMAND_H
#define POSGRAD_COMMAND_H

#include <argp.h>
#include <stdbool.h>
#include <stdio.h>

struct command {
    const char *name, *title;
    bool in_double; // run by the double build (gradcheck); others run in float unless asked
    // argv[0] is "posgrad NAME". Returns the exit code.
    int (*run)(int argc, char **argv);
};

extern const struct command *const commands[];
extern const int command_count;
// Runs it; argv[0], its name, becomes what argp calls the program.
int command_run(const struct command *command, int argc, char **argv);

// Prints "posgrad: LINE" (err_last when line is NULL) to stderr and returns 1.
int command_error(const char *line);
// The same with "Try 'posgrad NAME --help'." after it, and returns 2.
int command_usage(const char *name, const char *line);

// For an argp parser: says what is wrong, in one line whatever was typed, and ends the program with
// 2.
__attribute__((format(printf, 2, 3))) void command_refuse(const struct argp_state *state,
                                                          const char *format, ...);

// Before a command computes: 0, or 1 after the line that says which of the matrix products is wrong
// on this processor.
int command_check_products(void);

// argp_parse, with '_' for '-' in the names of long options and the nearest name for one that is
// unknown. 0, or the exit code after what is wrong was said: 2, or 1 where memory is short.
int command_parse(const char *name, const struct argp *argp, int argc, char **argv, void *input);

// For an argp parser's help filter: what `write` writes in place of the text after the options.
char *command_help(int key, const char *text, void (*write)(FILE *file));

// Refuses an output file that would replace a file of a run: the one at `source` (or NULL), or
// checkpoint.h5, its elder copies, config.json or metrics.jsonl beside a checkpoint.h5. 0, or
// ERR_ARGUMENT.
int command_output(const char *output, const char *source);

#endif
