// A straight line from the base rate to zero: the first update has the base rate, the one after the
// last would have zero.
#include "../optim.h"

static double factor(int64_t done, int64_t total, int64_t warmup)
{
    (void)warmup;
    return (double)(total - done) / (double)total;
}

const struct schedule_def schedule_linear = {
    .name = "linear",
    .title = "a straight line down to zero",
    .paper = "Devlin et al. 2019, arXiv 1810.04805",
    .factor = factor,
};
