// Half a cosine from the base rate to zero: the first update has the base rate, the one after the
// last would have zero.
#include <math.h>

#include "../optim.h"

static double factor(int64_t done, int64_t total, int64_t warmup)
{
    (void)warmup;
    const double pi = 3.14159265358979323846;
    return 0.5 * (1 + cos(pi * (double)done / (double)total));
}

const struct schedule_def schedule_cosine = {
    .name = "cosine",
    .title = "half a cosine down to zero",
    .paper = "Loshchilov and Hutter 2017, arXiv 1608.03983",
    .factor = factor,
};
