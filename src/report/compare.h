// Runs side by side: encoding by task, mean and interval over seeds.
//
// Runs that differ in more than encoding, task and seed are put into tables of their own, each
// named by what differs.
#ifndef POSGRAD_COMPARE_H
#define POSGRAD_COMPARE_H

#include <jansson.h>
#include <stdio.h>

#include "../train/evaluate_lengths.h"

// What is compared: the last evaluation of each run, or, where lengths are given or the split is
// another, what evaluate_lengths finds now. A column is then a task at a length.
struct comparison_request {
    const char *metric; // "accuracy", "exact_match" or "loss"
    struct length_request at;
    int lengths; // 0: the training's
    const int64_t *length;
    int64_t threads;
};

struct comparison {
    struct comparison_request request;
    // [{"path", "encoding", "task", "seed", "options": {...}, "value"}], one a run and length; the
    // value is null where it is undefined.
    json_t *runs;
    json_t *notes; // [text]: what was left out and why, and what to know of a run
};

// 0, or ERR_ARGUMENT with the nearest name where no metric is called that. What `request` points to
// is borrowed.
int comparison_init(struct comparison *comparison, const struct comparison_request *request);
void comparison_release(struct comparison *comparison);

// Adds RUN, a run folder or a checkpoint, or every run below a folder that is none (links are not
// followed). A run below a folder that cannot be read is a note; a RUN that was named, or a folder
// without runs, is an error.
int comparison_add(struct comparison *comparison, const char *run);

// The tables: [{"options": {...}, "cells": [{"encoding", "task", "n", "mean", "low", "high",
// "seeds", "values", "runs"}]}], in the order in which runs came; low and high are null for one
// seed. a cell of which all values are
// undefined has n 0. "options" are those that differ among the runs. Two runs of one cell and seed
// are one, and a note. A new reference, or NULL (err_set) when memory ends.
json_t *comparison_tables(struct comparison *comparison);

int comparison_text(const struct comparison *comparison, const json_t *tables, FILE *file);
int comparison_csv(const json_t *tables, FILE *file);
// One object, a new reference; NULL (err_set) when memory ends.
json_t *comparison_json(const struct comparison *comparison, json_t *tables);

#endif
