// The base rate all the way after warm-up.
#include "../optim.h"

static double factor(int64_t done, int64_t total, int64_t warmup)
{
    (void)done;
    (void)total;
    (void)warmup;
    return 1;
}

const struct schedule_def schedule_constant = {
    .name = "constant",
    .title = "the base rate throughout",
    .factor = factor,
};
