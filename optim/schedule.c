// The list of schedules and the learning rate of a step.
#include "../autograd/base/err.h"
#include "optim.h"

#define SCHEDULE(name) extern const struct schedule_def schedule_##name;
#include "schedules/list.h"
#undef SCHEDULE

#define SCHEDULE(name) &schedule_##name,
const struct schedule_def *const schedule_list[] = {
#include "schedules/list.h"
};
#undef SCHEDULE
const int schedule_count = (int)(sizeof schedule_list / sizeof schedule_list[0]);

const struct schedule_def *schedule_find(const char *name)
{
    const char *names[sizeof schedule_list / sizeof schedule_list[0]];
    for (int i = 0; i < schedule_count; i++)
        names[i] = schedule_list[i]->name;
    int found = name_index(names, schedule_count, name);
    if (found >= 0)
        return schedule_list[found];
    const char *near = name_nearest(names, schedule_count, name);
    if (near)
        err_set(ERR_ARGUMENT, "no schedule is called '%s'; did you mean '%s'?", name, near);
    else
        err_set(ERR_ARGUMENT, "no schedule is called '%s'; 'posgrad list schedules' shows all",
                name);
    return NULL;
}

double schedule_lr(const struct schedule_def *schedule, double lr, int64_t step, int64_t steps,
                   int64_t warmup)
{
    if (warmup < 0)
        warmup = 0;
    if (step <= warmup)
        return lr * ((double)step / (double)warmup);
    // A step past the last one (a run that was made longer) keeps the schedule's end.
    int64_t total = steps > warmup ? steps - warmup : 1;
    int64_t done = step - warmup - 1;
    return lr * schedule->factor(done < total ? done : total, total, warmup);
}
