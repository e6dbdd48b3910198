// What a stack does in rows longer than those it was trained on: in one word, and what is refused.
#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../encodings/common/theorem.h"
#include "model.h"

// In order of how far it is from what was trained.
enum reach {
    INSIDE,
    HIERARCHICAL,
    INTERPOLATED,
    RESCALED,
    WRAPPED,
    CLIPPED,
    EXTRAPOLATED,
    UNTRAINED,
    UNDEFINED,
};
static const char *const reach_name[] = {"inside",       "hierarchical", "interpolated",
                                         "rescaled",     "wrapped",      "clipped",
                                         "extrapolated", "untrained",    "undefined"};
static const enum reach reach_by[PE_EXTENSIONS] = {
    [PE_EXTEND_CLIP] = CLIPPED,
    [PE_EXTEND_WRAP] = WRAPPED,
    [PE_EXTEND_INTERPOLATE] = INTERPOLATED,
    [PE_EXTEND_HIERARCHICAL] = HIERARCHICAL,
    [PE_EXTEND_NTK] = RESCALED,
    [PE_EXTEND_YARN] = RESCALED,
};

static enum reach reach_of(const struct model_config *config, int i, int64_t length)
{
    const struct pe_def *def = config->pe.def[i];
    struct pe_context context = model_context(config, i, 1, length);
    int64_t met = context.position_count;
    int64_t end = def->max_length ? def->max_length(&context) : 0;
    int64_t clip = def->clips_at ? def->clips_at(&context) : 0;
    if (length <= met)
        return INSIDE;
    if (context.extension != PE_EXTEND_NONE)
        return reach_by[context.extension];
    if (def->positions) // what it gives is read by others
        return config->extension == PE_EXTEND_NONE ? UNDEFINED : INSIDE;
    if (end && length > end)
        return UNDEFINED;
    if (end && !(pe_stack_claims(&config->pe, i) & PE_EXTRAPOLATES))
        return UNTRAINED;
    if (!clip)
        return EXTRAPOLATED;
    return clip < met ? CLIPPED : UNTRAINED;
}

const char *model_reach(const struct model_config *config, int64_t length)
{
    enum reach most = INSIDE;
    for (int i = 0; i < config->pe.count; i++) {
        enum reach one = reach_of(config, i, length);
        most = one > most ? one : most;
    }
    return reach_name[most];
}

// "learned, tupe": all encodings that the extension has a meaning for.
static const char *names_of(enum pe_extension extension, char text[256])
{
    text[0] = '\0';
    for (int i = 0; i < pe_count; i++) {
        if (!(pe_list[i]->extends & PE_EXTENDS(extension)))
            continue;
        size_t used = strlen(text);
        snprintf(text + used, 256 - used, "%s%s", used ? ", " : "", pe_list[i]->name);
    }
    return text;
}

static int check_extension(const struct model_config *config)
{
    const struct pe_stack *pe = &config->pe;
    char names[256];
    bool is_logn = config->extension == PE_EXTEND_LOGN, known = is_logn;
    for (int i = 0; i < pe->count; i++) {
        known |= (pe->def[i]->extends & PE_EXTENDS(config->extension)) != 0;
        if (is_logn && strcmp(pe->def[i]->family, "scale") == 0)
            return err_set(ERR_ARGUMENT, "--extend logn: %s scales logits already; leave one out",
                           pe->def[i]->name);
    }
    if (is_logn && config->attention == AG_LINEAR)
        return err_set(ERR_ARGUMENT, "--extend logn scales logits, and linear attention has none; "
                                     "leave it out");
    if (is_logn && config->train_length < 2)
        return err_set(ERR_ARGUMENT, "--extend logn needs a training length above 1");
    if (known)
        return 0;
    return err_set(ERR_ARGUMENT, "--extend %s has no meaning for %s; it is for %s",
                   pe_extension_name[config->extension], pe->def[pe->count - 1]->name,
                   names_of(config->extension, names));
}

static int check_end(const struct model_config *config, int i, int64_t length)
{
    const struct pe_def *def = config->pe.def[i];
    struct pe_context context = model_context(config, i, 1, length);
    int64_t end = def->max_length ? def->max_length(&context) : 0, met = context.position_count;
    bool is_hierarchical = context.extension == PE_EXTEND_HIERARCHICAL;
    int64_t most = met * met;
    if (is_hierarchical && length > most)
        return err_set(ERR_ARGUMENT,
                       "%s: %lld rows make %lld positions, and length %lld was asked for; take a "
                       "shorter one",
                       def->name, (long long)met, (long long)most, (long long)length);
    // Positions are not drawn where others stretch them.
    bool is_stretched = context.extension != PE_EXTEND_NONE ||
                        (def->positions && config->extension != PE_EXTEND_NONE);
    if (!end || length <= end || is_stretched)
        return 0;
    return err_set(ERR_ARGUMENT,
                   "%s ends at %lld positions, and length %lld was asked for; take a shorter one%s",
                   def->name, (long long)end, (long long)length,
                   def->extends || def->positions ? ", or --extend clip" : "");
}

// Whether any of the stack is asked for more than training met.
static bool is_past(const struct model_config *config, int64_t length)
{
    bool past = config->extension == PE_EXTEND_LOGN && length > config->train_length;
    for (int i = 0; i < config->pe.count; i++)
        past |= length > model_context(config, i, 1, length).position_count;
    return past;
}

int model_check_length(const struct model_config *config, int64_t length)
{
    int code = 0;
    if (config->extension != PE_EXTEND_NONE && is_past(config, length))
        code = check_extension(config);
    for (int i = 0; i < config->pe.count && code == 0; i++)
        code = check_end(config, i, length);
    return code;
}
