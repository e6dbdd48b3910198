// How a command says that something went wrong: one line on stderr, and its exit code. And what no
// command may write over.
#include "command.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../../autograd/base/err.h"

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

static bool is_of_a_run(const char *output)
{
    static const char *const files[] = {"checkpoint*.h5", "config.json", "metrics.jsonl"};
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
    struct stat out, in;
    bool same = source && stat(output, &out) == 0 && stat(source, &in) == 0 &&
                out.st_dev == in.st_dev && out.st_ino == in.st_ino;
    if (same || is_of_a_run(output))
        return err_set(ERR_ARGUMENT, "-o %s would replace a file of the run; give another name",
                       output);
    return 0;
}
