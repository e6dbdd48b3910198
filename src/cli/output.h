// Where commands put what they made: a text into a file or to stdout, JSON to stdout.
#ifndef POSGRAD_OUTPUT_H
#define POSGRAD_OUTPUT_H

#include <jansson.h>
#include <stdio.h>

// What `write` writes, to `path`, atomically and whole or not at all; "-" is stdout.
int output_text(const char *path, int (*write)(void *context, FILE *file), void *context);
// Prints `object`, which it takes over, indented. ERR_MEMORY.
int output_json(json_t *object);

// A copy of what files said, for a terminal: control characters of its strings and keys are written
// \xNN, so that they cannot drive it. NULL where there is no memory.
json_t *output_shown(const json_t *value);

#endif
