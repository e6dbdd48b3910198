// The grid that a row of tokens is.
#include "grid.h"

#include "../../../autograd/base/err.h"

int pe_grid(const struct pe_context *context, int64_t height, int64_t length, struct pe_grid *grid)
{
    grid->height = height ? height : context->grid_height;
    if (grid->height) {
        grid->width = length / grid->height;
        if (grid->width * grid->height == length)
            return 0;
        return err_set(ERR_ARGUMENT,
                       "%s: length %lld is not divisible into %lld rows of a grid; give --pe-opt "
                       "grid_height=H that divides it, or another --length",
                       context->name, (long long)length, (long long)grid->height);
    }
    for (grid->height = 1; grid->height * grid->height < length; grid->height++)
        ;
    grid->width = grid->height;
    if (grid->height * grid->height == length)
        return 0;
    return err_set(ERR_ARGUMENT,
                   "%s: length %lld is not a square; give --pe-opt grid_height=H that divides it",
                   context->name, (long long)length);
}
