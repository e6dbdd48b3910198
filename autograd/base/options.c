// Option tables: defaults, parsing with ranges, and text that reads back.
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"

// How a message names an option: a flag as it is typed, or "WHAT: key".
struct label {
    char text[160];
};

static struct label label_of(const char *what, const char *key)
{
    struct label label;
    if (what)
        snprintf(label.text, sizeof label.text, "%.90s: %.60s", what, key);
    else
        snprintf(label.text, sizeof label.text, "--%.60s", key);
    return label;
}

static void *field(const struct option_def *option, void *settings)
{
    return (char *)settings + option->offset;
}

const struct option_def *options_find(const struct option_def *table, const char *key)
{
    for (const struct option_def *o = table; o && o->key; o++)
        if (name_index(&o->key, 1, key) == 0)
            return o;
    return NULL;
}

static int parse_int(const struct option_def *o, void *at, const char *what, const char *value)
{
    char *end = NULL;
    errno = 0;
    long long x = strtoll(value, &end, 10);
    bool number = *end == '\0' && (*value == '-' || isdigit((unsigned char)*value));
    if (!number)
        return err_set(ERR_ARGUMENT, "%s '%s' is not a whole number", label_of(what, o->key).text,
                       value);
    if (errno == ERANGE || (double)x < o->min || (double)x > o->max)
        return err_set(ERR_ARGUMENT, "%s %s is out of range; it must be from %.0f to %.0f",
                       label_of(what, o->key).text, value, o->min, o->max);
    memcpy(at, &(int64_t){x}, sizeof(int64_t));
    return 0;
}

static int parse_real(const struct option_def *o, void *at, const char *what, const char *value)
{
    char *end = NULL;
    double x = strtod(value, &end);
    if (end == value || *end != '\0' || !isfinite(x) || isspace((unsigned char)*value))
        return err_set(ERR_ARGUMENT, "%s '%s' is not a finite number", label_of(what, o->key).text,
                       value);
    if (!(x >= o->min && x <= o->max))
        return err_set(ERR_ARGUMENT, "%s %s is out of range; it must be from %.10g to %.10g",
                       label_of(what, o->key).text, value, o->min, o->max);
    *(double *)at = x;
    return 0;
}

static int parse_bool(const struct option_def *o, void *at, const char *what, const char *value)
{
    static const char *const words[] = {"0", "no", "false", "off", "1", "yes", "true", "on"};
    int word = name_index(words, 8, value);
    if (word < 0)
        return err_set(ERR_ARGUMENT, "%s '%s' is not yes or no", label_of(what, o->key).text,
                       value);
    memcpy(at, &(bool){word >= 4}, sizeof(bool));
    return 0;
}

static int parse_string(const struct option_def *o, char *at, const char *what, const char *value)
{
    if (strlen(value) >= OPTION_TEXT)
        return err_set(ERR_ARGUMENT, "%s is longer than %d bytes", label_of(what, o->key).text,
                       OPTION_TEXT - 1);
    strcpy(at, value);
    return 0;
}

enum { MAX_WORDS = 32 };

// Cuts "a|b|c" into words within `copy`.
static int split_words(const char *choices, char copy[256], const char *word[MAX_WORDS])
{
    int count = 0;
    char *rest = NULL;
    snprintf(copy, 256, "%s", choices);
    char *w = strtok_r(copy, "|", &rest);
    for (; w && count < MAX_WORDS; w = strtok_r(NULL, "|", &rest))
        word[count++] = w;
    return count;
}

static int parse_choice(const struct option_def *o, void *at, const char *what, const char *value)
{
    char copy[256];
    const char *word[MAX_WORDS];
    int count = split_words(o->choices, copy, word);
    int index = name_index(word, count, value);
    if (index < 0) {
        const char *near = name_nearest(word, count, value);
        if (near)
            return err_set(ERR_ARGUMENT, "%s '%s' is unknown; did you mean '%s'?",
                           label_of(what, o->key).text, value, near);
        return err_set(ERR_ARGUMENT, "%s '%s' is unknown; it is one of %s",
                       label_of(what, o->key).text, value, o->choices);
    }
    *(int *)at = index;
    return 0;
}

static int parse(const struct option_def *o, void *settings, const char *what, const char *value)
{
    void *at = field(o, settings);
    switch (o->type) {
    case OPTION_INT:
        return parse_int(o, at, what, value);
    case OPTION_REAL:
        return parse_real(o, at, what, value);
    case OPTION_BOOL:
        return parse_bool(o, at, what, value);
    case OPTION_STRING:
        return parse_string(o, at, what, value);
    case OPTION_CHOICE:
        return parse_choice(o, at, what, value);
    }
    return err_set(ERR_ARGUMENT, "%s has no type", label_of(what, o->key).text);
}

void options_defaults(const struct option_def *table, void *settings)
{
    for (const struct option_def *o = table; o && o->key; o++)
        BUG_ON(parse(o, settings, "default", o->default_value) < 0);
}

static int unknown_key(const struct option_def *table, const char *what, const char *key)
{
    const char *names[256];
    int count = 0;
    for (const struct option_def *o = table; o && o->key && count < 256; o++)
        names[count++] = o->key;
    if (count == 0)
        return err_set(ERR_ARGUMENT, "%s: there are no options, and '%s' was given",
                       what ? what : "options", key);
    const char *near = name_nearest(names, count, key);
    if (!what && near)
        return err_set(ERR_ARGUMENT, "no option is called '--%s'; did you mean '--%s'?", key, near);
    if (!what)
        return err_set(ERR_ARGUMENT, "no option is called '--%s'", key);
    if (near)
        return err_set(ERR_ARGUMENT, "%s: no option '%s'; did you mean '%s'?", what, key, near);
    return err_set(ERR_ARGUMENT, "%s: no option '%s'", what, key);
}

int options_set(const struct option_def *table, void *settings, const char *what, const char *key,
                const char *value)
{
    const struct option_def *o = options_find(table, key);
    return o ? parse(o, settings, what, value) : unknown_key(table, what, key);
}

int options_set_pair(const struct option_def *table, void *settings, const char *what,
                     const char *pair)
{
    char key[64];
    size_t size = strcspn(pair, "=");
    if (!pair[size] || size == 0 || size >= sizeof key)
        return err_set(ERR_ARGUMENT, "%s: '%s' is not KEY=VALUE", what, pair);
    memcpy(key, pair, size);
    key[size] = '\0';
    return options_set(table, settings, what, key, pair + size + 1);
}

static int print_real(double x, char *text, size_t size)
{
    char shorter[32];
    for (int digits = 6; digits < 17; digits++) {
        snprintf(shorter, sizeof shorter, "%.*g", digits, x);
        if (strtod(shorter, NULL) == x)
            return snprintf(text, size, "%s", shorter);
    }
    return snprintf(text, size, "%.17g", x);
}

static int print_choice(const struct option_def *o, int index, char *text, size_t size)
{
    char copy[256];
    const char *word[MAX_WORDS];
    int count = split_words(o->choices, copy, word);
    return snprintf(text, size, "%s", index >= 0 && index < count ? word[index] : "");
}

int options_get(const struct option_def *option, const void *settings, char *text, size_t size)
{
    const char *at = (const char *)settings + option->offset;
    int64_t integer;
    double number;
    int index, used = 0;
    switch (option->type) {
    case OPTION_INT:
        memcpy(&integer, at, sizeof integer);
        used = snprintf(text, size, "%lld", (long long)integer);
        break;
    case OPTION_REAL:
        memcpy(&number, at, sizeof number);
        used = print_real(number, text, size);
        break;
    case OPTION_BOOL:
        used = snprintf(text, size, "%s", *at ? "yes" : "no");
        break;
    case OPTION_STRING:
        used = snprintf(text, size, "%s", at);
        break;
    case OPTION_CHOICE:
        memcpy(&index, at, sizeof index);
        used = print_choice(option, index, text, size);
        break;
    }
    if (used < 0 || (size_t)used >= size)
        return err_set(ERR_ARGUMENT, "option %s does not fit %zu bytes", option->key, size);
    return used;
}
