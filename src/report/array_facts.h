// What is in a file of arrays that posgrad need not have written.
#ifndef POSGRAD_ARRAY_FACTS_H
#define POSGRAD_ARRAY_FACTS_H

#include <jansson.h>

// Puts "file", "bytes", "format", "sha256" and "arrays" of the file at `path` (io/import.h) into
// `facts`. An array has "name", "type", "shape", "count"; one of real numbers "min", "max", "mean"
// and "std" of those that are finite, and in "not_finite" how many are not; one that cannot be read
// has the reason in "error". ERR_FILE, ERR_FORMAT, ERR_MEMORY.
int array_facts(json_t *facts, const char *path);
// The same for people, to stdout; `facts` are as output_shown left them.
void array_facts_print(const json_t *facts);

#endif
