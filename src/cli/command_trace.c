// posgrad trace: one step of a run, or of a model that was never trained, into a file.
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../io/checkpoint.h"
#include "../io/trace.h"
#include "command.h"
#include "train_arguments.h"

struct arguments {
    struct train_arguments train;
    const char *run, *output, *precision;
};

enum { KEY_PRECISION = 0x3000 };

static const struct argp_option options[] = {
    {"output", 'o', "FILE.h5", 0, "where to write", 0},
    {"precision", KEY_PRECISION, "float|double", 0, "numbers to compute in (default float)", 0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->train;
        return 0;
    case 'o':
        arguments->output = value;
        return 0;
    case KEY_PRECISION:
        arguments->precision = value;
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

static char *help(int key, const char *text, void *input)
{
    (void)input;
    return command_help(key, text, train_arguments_put_lists);
}

// A run has its settings; only the number of threads is not one of them.
static int check_usage(const struct arguments *arguments)
{
    if (!arguments->output)
        return err_set(ERR_ARGUMENT, "-o FILE.h5 is missing");
    if (arguments->precision && strcmp(arguments->precision, "float") != 0 &&
        strcmp(arguments->precision, "double") != 0)
        return err_set(ERR_ARGUMENT, "--precision '%s' is neither float nor double",
                       arguments->precision);
    if (!arguments->run)
        return train_settings_check(&arguments->train.settings);
    for (int i = 0; i < arguments->train.given_count; i++)
        if (strcmp(arguments->train.given[i].key, "threads") != 0)
            return err_set(ERR_ARGUMENT, "--%s: RUN %s has its settings; leave it out",
                           arguments->train.given[i].key, arguments->run);
    if (arguments->train.config)
        return err_set(ERR_ARGUMENT, "--config: RUN %s has its settings; leave it out",
                       arguments->run);
    return 0;
}

static int trace(struct arguments *arguments)
{
    int code = command_output(arguments->output, arguments->run);
    if (code < 0)
        return code;
    struct trainer *trainer = calloc(1, sizeof *trainer);
    if (!trainer)
        return err_set(ERR_MEMORY, "out of memory");
    arguments->train.settings.accumulate = 1; // a trace shows the whole batch
    code = arguments->run
               ? checkpoint_load_trainer(trainer, arguments->run, arguments->train.settings.threads)
               : trainer_init(trainer, &arguments->train.settings);
    if (code == 0) {
        if (trainer->dataset.notice[0])
            fprintf(stderr, "posgrad: %s\n", trainer->dataset.notice);
        code = trace_write(arguments->output, trainer);
        trainer_release(trainer);
    }
    free(trainer);
    return code;
}

static int run_command(int argc, char **argv)
{
    struct arguments *arguments = calloc(1, sizeof *arguments);
    if (!arguments)
        return command_error("out of memory");
    train_arguments_init(&arguments->train);
    const struct argp_child children[] = {{&arguments->train.argp, 0, "The model and its task:", 1},
                                          {0}};
    const struct argp argp = {
        options,
        parse,
        "[RUN]",
        "Writes batch, parameters, logits, loss and every gradient of one step to an HDF5 file: "
        "the step after the checkpoint of RUN, or the first one of a model that the options "
        "describe."
        "\vlists",
        children,
        help,
        NULL};
    int status = command_parse("trace", &argp, argc, argv, arguments);
    int code = status == 0 ? train_arguments_finish(&arguments->train) : 0;
    if (status == 0 && code == 0)
        code = check_usage(arguments);
    if (code < 0)
        status = code == ERR_ARGUMENT ? command_usage("trace", err_last()) : command_error(NULL);
    else if (status == 0)
        status = command_check_products();
    if (status == 0 && trace(arguments) < 0)
        status = command_error(NULL);
    free(arguments);
    return status;
}

const struct command command_trace = {
    .name = "trace",
    .title = "write one step to a file: batch, parameters, logits, gradients",
    .run = run_command,
};
