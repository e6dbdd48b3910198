// The grid that a row of tokens is: token t is row t / width, column t % width.
#ifndef POSGRAD_GRID_H
#define POSGRAD_GRID_H

#include "../pe.h"

struct pe_grid {
    int64_t height, width;
};

// The row of an option table that pe_grid's `height` comes from.
#define PE_GRID_HEIGHT_OPTION(settings)                                                            \
    {                                                                                              \
        "grid_height", OPTION_INT, offsetof(settings, grid_height), "0", 0, 1 << 20, NULL,         \
            "rows of the grid (0: the task's, or a square)"                                        \
    }

// The grid of `length` tokens: its height is `height`, where that is 0 the task's, where the task
// has none the square root. ERR_ARGUMENT with the reason when `length` is no such grid.
int pe_grid(const struct pe_context *context, int64_t height, int64_t length, struct pe_grid *grid);

#endif
