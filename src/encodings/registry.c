// The list of encodings, look-up by name, and stacks such as "rope+urpe".
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "pe.h"

#define PE(name) extern const struct pe_def pe_##name;
#include "list.h"
#undef PE

#define PE(name) &pe_##name,
const struct pe_def *const pe_list[] = {
#include "list.h"
};
#undef PE
const int pe_count = (int)(sizeof pe_list / sizeof pe_list[0]);

const char *const pe_extension_name[PE_EXTENSIONS] = {"none",         "clip", "wrap", "interpolate",
                                                      "hierarchical", "ntk",  "yarn", "logn"};

bool pe_reads_from(const struct pe_def *def, unsigned claims, const struct pe_def *sampler)
{
    bool moves_only = sampler->claims & PE_SHIFT_INVARIANT;
    return def->reads != PE_READS_NOTHING && !(moves_only && (claims & PE_SHIFT_INVARIANT));
}

void pe_smallest_stack(const struct pe_def *def, char text[128])
{
    snprintf(text, 128, "%s%s%s", def->name, def->shown_with ? "+" : "",
             def->shown_with ? def->shown_with : "");
}

static bool has_word(const char *words, const char *name)
{
    char word[64];
    for (const char *p = words; p && *p;) {
        size_t size = strcspn(p, "|");
        if (size < sizeof word) {
            memcpy(word, p, size);
            word[size] = '\0';
            const char *one = word;
            if (name_index(&one, 1, name) == 0)
                return true;
        }
        p += size + (p[size] == '|');
    }
    return false;
}

const struct pe_def *pe_find(const char *name)
{
    enum { MAX = 128 };
    const char *names[MAX];
    int count = pe_count < MAX ? pe_count : MAX;
    for (int i = 0; i < count; i++) {
        names[i] = pe_list[i]->name;
        if (has_word(names[i], name) || has_word(pe_list[i]->aliases, name))
            return pe_list[i];
    }
    const char *near = name_nearest(names, count, name);
    if (near)
        err_set(ERR_ARGUMENT, "no position encoding is called '%s'; did you mean '%s'?", name,
                near);
    else
        err_set(ERR_ARGUMENT,
                "no position encoding is called '%s'; 'posgrad list encodings' shows all", name);
    return NULL;
}

static int stack_add(struct pe_stack *stack, const char *name)
{
    const struct pe_def *def = pe_find(name);
    if (!def)
        return ERR_ARGUMENT;
    if (stack->count == PE_MAX_STACK)
        return err_set(ERR_ARGUMENT, "--pe takes at most %d encodings", PE_MAX_STACK);
    for (int i = 0; i < stack->count; i++)
        if (stack->def[i] == def)
            return err_set(ERR_ARGUMENT, "--pe has %s twice; name it once", def->name);
    if (stack->count && (def == &pe_none || stack->def[0] == &pe_none))
        return err_set(ERR_ARGUMENT, "--pe none stands alone; leave it out of the stack");
    stack->settings[stack->count] = calloc(1, def->settings_size + 1);
    if (!stack->settings[stack->count])
        return err_set(ERR_MEMORY, "out of memory for the settings of %s", def->name);
    options_defaults(def->options, stack->settings[stack->count]);
    stack->def[stack->count++] = def;
    return 0;
}

static int stack_parse(struct pe_stack *stack, const char *text)
{
    for (const char *p = text;;) {
        char name[64];
        size_t size = strcspn(p, "+");
        if (size == 0 || size >= sizeof name)
            return err_set(ERR_ARGUMENT, "--pe '%s' is not a name or names joined by +", text);
        memcpy(name, p, size);
        name[size] = '\0';
        int code = stack_add(stack, name);
        if (code < 0)
            return code;
        if (!p[size])
            return 0;
        p += size + 1;
    }
}

// The keys of all encodings of the stack, for the nearest one to a typo.
static int unknown_option(const struct pe_stack *stack, const char *key)
{
    const char *names[128];
    int count = 0;
    for (int i = 0; i < stack->count; i++)
        for (const struct option_def *o = stack->def[i]->options; o && o->key && count < 128; o++)
            names[count++] = o->key;
    const char *near = name_nearest(names, count, key);
    if (near)
        return err_set(ERR_ARGUMENT, "--pe-opt: no chosen encoding has '%s'; did you mean '%s'?",
                       key, near);
    return err_set(ERR_ARGUMENT, "--pe-opt: no chosen encoding has an option '%s'", key);
}

// Sets `key` of those encodings of the stack that have it, or of the one called `owner`.
static int set_key(struct pe_stack *stack, const char *owner, const char *key, const char *value)
{
    bool known = false;
    for (int i = 0; i < stack->count; i++) {
        const struct pe_def *def = stack->def[i];
        if (owner && !has_word(def->name, owner) && !has_word(def->aliases, owner))
            continue;
        if (!def->options || !options_find(def->options, key))
            continue;
        known = true;
        char what[96] = "--pe-opt of ";
        strncat(what, def->name, 64);
        int code = options_set(def->options, stack->settings[i], what, key, value);
        if (code < 0)
            return code;
    }
    return known ? 0 : unknown_option(stack, key);
}

// "KEY=VALUE", or "ENCODING.KEY=VALUE" where two of a stack share a key.
static int stack_set(struct pe_stack *stack, const char *pair)
{
    char key[128];
    size_t size = strcspn(pair, "=");
    if (!pair[size] || size == 0 || size >= sizeof key)
        return err_set(ERR_ARGUMENT, "--pe-opt '%s' is not KEY=VALUE", pair);
    memcpy(key, pair, size);
    key[size] = '\0';
    char *dot = strchr(key, '.');
    if (!dot)
        return set_key(stack, NULL, key, pair + size + 1);
    *dot = '\0';
    return set_key(stack, key, dot + 1, pair + size + 1);
}

int pe_stack_init(struct pe_stack *stack, const char *text, int pair_count,
                  const char *const *pairs)
{
    memset(stack, 0, sizeof *stack);
    int code = stack_parse(stack, text);
    for (int i = 0; code == 0 && i < pair_count; i++)
        code = stack_set(stack, pairs[i]);
    if (code < 0)
        pe_stack_release(stack);
    return code;
}

void pe_stack_release(struct pe_stack *stack)
{
    for (int i = 0; i < stack->count; i++)
        free(stack->settings[i]);
    memset(stack, 0, sizeof *stack);
}
