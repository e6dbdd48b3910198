// In what two checkpoints or traces differ: options, versions, parameters.
#ifndef POSGRAD_DIFFERENCE_H
#define POSGRAD_DIFFERENCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

// Compares RUN a with RUN b (run folders or files). A new reference, NULL (err_set) on failure:
//
//     {"a", "b": paths, "equal": bool,
//      "options": {KEY: [of a, of b]}, "versions": {KEY: [of a, of b]}   those that differ,
//      "params": {"both", "bitwise_equal": counts, "different": [...]},
//      "ema" (averages of the parameters), "optimizer": the same}
//
// A row of "different" is {"name", "shape", "only_in": "a" or "b"}, {"name", "shapes": [of a, of
// b]}, or {"name", "shape", "bitwise_equal": false, "absolute", "relative"}: the largest |a - b|,
// and the largest |a - b| / max(|a|, |b|), null where it is not finite. What one has not is null.
json_t *difference_find(const char *a, const char *b);
bool difference_is_none(const json_t *difference);
// For people. ERR_MEMORY.
int difference_text(const json_t *difference, FILE *file);

#endif
