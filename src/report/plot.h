// A picture of shares against lengths, in characters: a line a series, chance, and how far training
// went.
#ifndef POSGRAD_PLOT_H
#define POSGRAD_PLOT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { PLOT_MAX_SERIES = 8 }; // as many marks as there are; more series share them

struct plot_series {
    const char *name;
    const double *y; // [points], in [0, 1]; NaN where it is undefined
};

struct plot {
    const char *title; // of the vertical axis: "accuracy"
    int points;
    const int64_t *x;     // [points], ascending; by its logarithm where it spans 4 times or more
    const double *chance; // [points]; NaN where it is not known
    int64_t trained;      // x up to here were seen in training
    int series;
    const struct plot_series *line;
};

struct plot_style {
    int width;        // columns in all
    bool utf8, color; // else ASCII; else no escapes
};

// How a picture looks best on `file`: as wide as COLUMNS says, or its terminal, or 80 columns; in
// UTF-8 where the locale says so; with colours on a terminal unless NO_COLOR is set.
struct plot_style plot_style_of(FILE *file);
// Whether `file` is a terminal that a picture can be drawn on.
bool plot_terminal(FILE *file);

void plot_print(const struct plot *plot, const struct plot_style *style, FILE *file);

#endif
