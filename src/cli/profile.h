// What `train --profile` prints: the share of each op in the step, and its rate.
#ifndef POSGRAD_PROFILE_H
#define POSGRAD_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "../../autograd/ag.h"

// The profile of a plan that was switched on by ag_plan_profile: of `steps` steps that took `ms`
// milliseconds in all, as a table or as one line of JSON, to stdout.
void profile_print(const struct ag_plan *plan, int64_t steps, double ms, bool json);

#endif
