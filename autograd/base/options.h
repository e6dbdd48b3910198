// Option tables: one description of a setting for the command line, the checkpoint and the docs.
//
// Whoever has settings (an encoding, a task, an optimizer, the train command) has a struct and a
// const table with one row a field. Parsing, defaults, ranges, the nearest name for a typo, JSON
// and help all walk the table.
#ifndef POSGRAD_OPTIONS_H
#define POSGRAD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTION_TEXT 1024 // bytes of an OPTION_STRING field, its NUL included

enum option_type {
    OPTION_INT,    // int64_t, decimal, in [min, max]
    OPTION_REAL,   // double, finite, in [min, max]
    OPTION_BOOL,   // bool: 0|1, no|yes, false|true, off|on
    OPTION_STRING, // char[OPTION_TEXT]
    OPTION_CHOICE, // int: index of the word in `choices`
};

struct option_def {
    const char *key; // as typed: words joined by "-" for flags, "_" for KEY=VALUE
    enum option_type type;
    size_t offset;             // offsetof the field
    const char *default_value; // parsed like the user's text
    double min, max;           // OPTION_INT and OPTION_REAL, both ends allowed
    const char *choices;       // OPTION_CHOICE: "softmax|linear|relu2"
    const char *help;          // one phrase, lower case, no full stop
};
// A table ends with a row whose key is NULL. A NULL table has no rows.

// Writes every default into `settings`.
void options_defaults(const struct option_def *table, void *settings);

// Parses `value` into the field of `key` ('-' and '_' are the same in keys). ERR_ARGUMENT names
// the key, the value and what would be right; an unknown key gets the nearest one. `what` is used
// in the message: "--task-opt of task copy"; with NULL the key is a flag, and is named as typed.
int options_set(const struct option_def *table, void *settings, const char *what, const char *key,
                const char *value);

// As options_set for "KEY=VALUE".
int options_set_pair(const struct option_def *table, void *settings, const char *what,
                     const char *pair);

// The field as text that options_set would read back to the same value (%.17g shortened where a
// shorter one reads back). Returns the length, or ERR_ARGUMENT when `size` is too small.
int options_get(const struct option_def *option, const void *settings, char *text, size_t size);

// The row of `key`, or NULL.
const struct option_def *options_find(const struct option_def *table, const char *key);

// Index of the word `name` in a list of `count` names, or -1; '-' and '_' are the same.
int name_index(const char *const *names, int count, const char *name);

// The name that is nearest to `name` by edit distance, NULL when none is near enough to suggest
// (more than a third of its letters, and more than two, would change, or all of them).
const char *name_nearest(const char *const *names, int count, const char *name);

#endif
