// A picture of a table of numbers, in characters: a cell a value, a panel a layer or a head.
#ifndef POSGRAD_PICTURE_H
#define POSGRAD_PICTURE_H

#include <stdbool.h>
#include <stdio.h>

#include "../io/export.h"
#include "plot.h"

// Prints `table`: a line that says what it is, then its last two axes as rows and columns (as
// columns and rows where they are many and few), in a panel for each entry of the axes before. What
// does not fit the width of `style` is made of several values a cell. A block is as high as the
// number is large, and its colour is the sign; without colours, numbers below 0 take the lower half
// of the blocks. Not `whole`: a few lines, of the first panels. What names hold of control
// characters is replaced.
void picture_print(const struct export_array *table, bool whole, const struct plot_style *style,
                   FILE *file);

#endif
