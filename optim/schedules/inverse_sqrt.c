// The rate falls as 1/sqrt(step) from where warm-up ended; it does not ask how long training will
// be.
#include <math.h>

#include "../optim.h"

static double factor(int64_t done, int64_t total, int64_t warmup)
{
    (void)total;
    double step = (double)warmup + (double)done + 1;
    return sqrt((warmup > 1 ? (double)warmup : 1) / step);
}

const struct schedule_def schedule_inverse_sqrt = {
    .name = "inverse-sqrt",
    .title = "falls with the root of the step",
    .paper = "Vaswani et al. 2017, arXiv 1706.03762",
    .factor = factor,
};
