// Optimizers and schedules behind two small tables.
//
// An optimizer is one file: its option table, how many state slabs it needs, and an update over a
// flat range of the parameter slab. A schedule is one file: a pure function of the step. State is
// slabs of the same layout as the parameters, so that a checkpoint is a named view of them.
#ifndef POSGRAD_OPTIM_H
#define POSGRAD_OPTIM_H

#include "../autograd/ag.h"
#include "../autograd/base/options.h"

#define OPTIMIZER_MAX_STATES 3

struct optimizer_step {
    int64_t step; // 1 for the first update
    double lr;
    double weight_decay; // for parameters with AG_DECAY only; decoupled, except in adam
    double scale;        // multiplies every gradient (clipping)
};

struct optimizer_def {
    const char *name, *title, *paper;
    const struct option_def *options; // betas, eps, momentum: --optimizer-opt KEY=VALUE
    size_t settings_size;
    int states;
    const char *state_name[OPTIMIZER_MAX_STATES]; // "m", "v": the groups of a checkpoint
    // Updates value[0..count) given grad; state[k] is slab k at the same place. `decay` says
    // whether this range takes weight decay. Elementwise, so any cut of the range gives the same
    // bits.
    void (*update)(const void *settings, const struct optimizer_step *step, bool decay,
                   int64_t count, real *value, const real *grad, real *const *state);
};

extern const struct optimizer_def *const optimizer_list[];
extern const int optimizer_count;
const struct optimizer_def *optimizer_find(const char *name); // NULL, and err_set with the nearest

struct optimizer {
    const struct optimizer_def *def;
    void *settings;
    struct ag_params *params; // borrowed
    real *state[OPTIMIZER_MAX_STATES];
    double *partial; // sums of squares a piece
};

// Allocates zeroed state for all of `params` (borrowed). `pairs` are "KEY=VALUE" texts.
int optimizer_init(struct optimizer *optimizer, const char *name, struct ag_params *params,
                   int pair_count, const char *const *pairs);
void optimizer_release(struct optimizer *optimizer);

// Euclidean norm of all gradients, frozen parameters left out; summed in double over fixed pieces.
double optimizer_grad_norm(struct optimizer *optimizer);

// One update. Gradients are scaled by clip / norm where norm > clip > 0 (Pascanu, Mikolov, Bengio
// 2013, arXiv 1211.5063); clip 0 means never. Allocates nothing.
void optimizer_update(struct optimizer *optimizer, int64_t step, double lr, double weight_decay,
                      double norm, double clip);

// Moves `average` [params->count] towards the parameters, after update `step` (1 for the first):
// a_t = sum over i <= t of decay^(t - i) w_i, divided by the sum of its factors, so that the start
// of training is forgotten from the first update on (the correction of Adam: Kingma and Ba 2015,
// arXiv 1412.6980; averages of iterates: Polyak and Juditsky 1992). One pass; allocates nothing.
void average_update(const struct ag_params *params, int64_t step, double decay, real *average);

struct schedule_def {
    const char *name, *title, *paper;
    // Factor on the base rate after warm-up: `done` updates of `total` come before this one, both
    // counted after the `warmup` ones.
    double (*factor)(int64_t done, int64_t total, int64_t warmup);
};
extern const struct schedule_def *const schedule_list[];
extern const int schedule_count;
const struct schedule_def *schedule_find(const char *name); // NULL, and err_set with the nearest

// The learning rate of update `step` (1 for the first) of `steps`: linear from lr/warmup to lr
// during the first `warmup` updates, then the schedule. A pure function, so a resumed run needs no
// state.
double schedule_lr(const struct schedule_def *schedule, double lr, int64_t step, int64_t steps,
                   int64_t warmup);

#endif
