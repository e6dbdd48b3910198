// posgrad diff: in what two runs differ. Exit codes are those of diff(1).
#include <argp.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../report/difference.h"
#include "command.h"
#include "output.h"

enum { SAME, DIFFERENT, TROUBLE };

struct arguments {
    const char *run[2];
    bool json;
};

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "one JSON object", 0},
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
        if (arguments->run[1])
            command_refuse(state, "'%s' is one RUN too many", value);
        arguments->run[arguments->run[0] ? 1 : 0] = value;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int print_text(const json_t *found)
{
    json_t *shown = output_shown(found);
    int code = shown ? difference_text(shown, stdout)
                     : err_set(ERR_MEMORY, "out of memory for what differs");
    json_decref(shown);
    return code;
}

static int diff(const struct arguments *arguments)
{
    json_t *found = difference_find(arguments->run[0], arguments->run[1]);
    if (!found)
        return -1;
    int status = difference_is_none(found) ? SAME : DIFFERENT;
    int code = arguments->json ? output_json(json_incref(found)) : print_text(found);
    json_decref(found);
    // "They differ" must not hide that nobody was told in what.
    if (code == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        code = err_set(ERR_FILE, "cannot write the output: %s", strerror(errno));
    return code < 0 ? code : status;
}

static int run_command(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "RUN RUN",
        "Says in which options, versions and parameters two runs (or checkpoints, or traces) "
        "differ. Exit status: 0 where they are equal, 1 where they differ, 2 in trouble.\v"
        "Of each parameter that is not equal bit for bit: the largest |a - b|, and the largest "
        "|a - b| / max(|a|, |b|) of any of its numbers. The optimizer's state is compared, too; "
        "metrics and tables, which follow from the rest, are not.",
        NULL,
        NULL,
        NULL};
    struct arguments arguments = {0};
    if (command_parse("diff", &argp, argc, argv, &arguments) != 0)
        return TROUBLE;
    if (!arguments.run[1])
        return command_usage("diff", "two RUNs are wanted: folders of runs, or files");
    int status = diff(&arguments);
    if (status >= 0)
        return status;
    command_error(NULL);
    return TROUBLE;
}

const struct command command_diff = {
    .name = "diff",
    .title = "in which options, versions and parameters two runs differ",
    .run = run_command,
};
