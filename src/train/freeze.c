// Parameters that never change: see init_from.h.
//
// The plan computes no gradient of a frozen parameter, the optimizer leaves it and its decay out,
// and the norm that clips does not know of it, as PyTorch has it for requires_grad = False.
#include <fnmatch.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "init_from.h"

static int no_parameter(const struct ag_params *params, const char *pattern)
{
    const char *near = ag_params_nearest(params, pattern);
    if (near)
        return err_set(ERR_ARGUMENT,
                       "--freeze: no parameter is called '%.200s'; did you mean '%s'?", pattern,
                       near);
    return err_set(ERR_ARGUMENT,
                   "--freeze: no parameter fits '%.200s'; there are %s, ..., %s ('posgrad inspect "
                   "RUN' shows all)",
                   pattern, params->row[0].name, params->row[params->rows - 1].name);
}

static int freeze_pattern(struct ag_params *params, const char *pattern)
{
    int found = 0;
    for (int i = 0; i < params->rows; i++)
        if (fnmatch(pattern, params->row[i].name, 0) == 0) {
            params->row[i].frozen = true;
            found++;
        }
    return found ? 0 : no_parameter(params, pattern);
}

// Patterns between commas.
static int freeze_patterns(struct ag_params *params, const char *text)
{
    char pattern[sizeof((struct train_settings *)0)->freeze[0]];
    for (const char *p = text;;) {
        size_t size = strcspn(p, ",");
        memcpy(pattern, p, size);
        pattern[size] = '\0';
        int code = freeze_pattern(params, pattern);
        if (code < 0 || !p[size])
            return code;
        p += size + 1;
    }
}

int freeze_parameters(struct ag_params *params, const struct train_settings *settings)
{
    int left = 0;
    for (int i = 0; i < settings->freezes; i++) {
        int code = freeze_patterns(params, settings->freeze[i]);
        if (code < 0)
            return code;
    }
    for (int i = 0; i < params->rows; i++)
        left += !params->row[i].frozen;
    return left ? 0
                : err_set(ERR_ARGUMENT, "--freeze leaves no parameter to train; freeze fewer of "
                                        "them");
}
