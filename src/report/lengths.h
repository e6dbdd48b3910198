// What evaluate_lengths found, for people and for programs: a table, a picture, CSV, JSON.
#ifndef POSGRAD_LENGTHS_H
#define POSGRAD_LENGTHS_H

#include <jansson.h>
#include <stdio.h>

#include "../train/evaluate_lengths.h"

struct length_report {
    const char *run; // as it was asked for
    const struct trainer *trainer;
    enum dataset_split split;
    int count;
    const struct length_score *score; // [count]: for each length in ascending order, all its ways
    int ways;                         // of extending: entries of one length
};

// A line about the model, a row a length and way, and why rows are undefined.
int lengths_text(const struct length_report *report, FILE *file);
// The rows with all digits, and empty fields where a row is undefined.
int lengths_csv(const struct length_report *report, FILE *file);
// One object; a new reference, or NULL when memory ends.
json_t *lengths_json(const struct length_report *report);
// Accuracy against length, a line a way.
int lengths_plot(const struct length_report *report, FILE *file);

#endif
