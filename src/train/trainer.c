// The trainer: one update, one evaluation, and everything that they need, allocated up front.
//
// An update is a pure function of (parameters, optimizer state, settings, step): batch and dropout
// are keyed by the step, the learning rate is a function of it. So there is nothing else to keep in
// a checkpoint.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../autograd/kernels/blas.h"
#include "../../autograd/kernels/finite.h"
#include "init_from.h"
#include "train.h"

// An encoder is no use to a task of next tokens, nor a decoder to one that needs both sides.
static int check_arch(const struct dataset *dataset, bool decoder)
{
    if (dataset->needs_causal && !decoder)
        return err_set(
            ERR_ARGUMENT,
            "task %s asks for tokens that stand further right in the row, where an encoder "
            "would just look them up; add --arch decoder",
            dataset->task->name);
    if (dataset->needs_bidirectional && decoder)
        return err_set(ERR_ARGUMENT,
                       "task %s asks for tokens that stand further right in the row, which a "
                       "decoder cannot see; leave out --arch decoder",
                       dataset->task->name);
    return 0;
}

static int open_task(struct trainer *trainer)
{
    struct train_settings *s = &trainer->settings;
    const char *pairs[TRAIN_MAX_PAIRS];
    train_settings_pairs(s->task_opt, s->task_opts, pairs);
    struct dataset_request request = {.task = s->task,
                                      .length = s->length,
                                      .curriculum = s->curriculum,
                                      .seed = (uint64_t)s->seed,
                                      .data_path = s->data[0] ? s->data : NULL,
                                      .pair_count = s->task_opts,
                                      .pairs = pairs};
    int code = dataset_open(&trainer->dataset, &request);
    if (code < 0)
        return code;
    code = check_arch(&trainer->dataset, s->arch);
    if (code < 0)
        dataset_close(&trainer->dataset);
    return code;
}

static int configure(struct trainer *trainer)
{
    struct train_settings *s = &trainer->settings;
    const char *pairs[TRAIN_MAX_PAIRS];
    trainer->schedule = schedule_find(s->schedule);
    if (!trainer->schedule)
        return ERR_ARGUMENT;
    trainer->config = (struct model_config){.layers = s->layers,
                                            .heads = s->heads,
                                            .dim = s->dim,
                                            .ff_dim = s->ff_dim,
                                            .vocab = trainer->dataset.vocab,
                                            .train_length = s->length,
                                            .causal = s->arch == 1,
                                            .tie = s->tie,
                                            .dropout = s->dropout,
                                            .attention = (enum ag_normaliser)s->attention,
                                            .grid_height = trainer->dataset.grid_height,
                                            .grid_width = trainer->dataset.grid_width};
    train_settings_pairs(s->pe_opt, s->pe_opts, pairs);
    int code = pe_stack_init(&trainer->config.pe, s->pe, s->pe_opts, pairs);
    return code < 0 ? code : model_check(&trainer->config);
}

static int capture(struct trainer *trainer)
{
    struct train_settings *s = &trainer->settings;
    struct model_config config = trainer->config;
    int64_t rows = s->batch_size / s->accumulate;
    config.parts = s->accumulate;
    config.label_smoothing = s->label_smoothing;
    int code =
        model_graph_capture(&trainer->train, &config, &trainer->params, rows, s->length, NULL);
    config.label_smoothing = 0;
    if (code == 0)
        code = model_graph_capture(&trainer->evaluation, &config, &trainer->params, rows, s->length,
                                   NULL);
    if (code == 0)
        code = model_tables_capture(&trainer->exported, &config, &trainer->params, s->length,
                                    &trainer->tables);
    return code;
}

// The evaluation reads other values where there is an average; all else of the parameters is
// shared.
static int average(struct trainer *trainer)
{
    size_t count = trainer->params.count > 0 ? (size_t)trainer->params.count : 1;
    if (trainer->settings.ema == 0)
        return 0;
    trainer->averaged = trainer->params;
    trainer->averaged.grad = NULL;
    trainer->averaged.value = aligned_zeroed(count, sizeof(real));
    if (!trainer->averaged.value)
        return ERR_MEMORY;
    memcpy(trainer->averaged.value, trainer->params.value, count * sizeof(real));
    trainer->evaluation.graph.params = trainer->exported.graph.params = &trainer->averaged;
    return 0;
}

static int make_batches(struct trainer *trainer)
{
    const struct train_settings *s = &trainer->settings;
    size_t count = (size_t)s->batch_size * (size_t)s->length;
    trainer->part.parts = s->accumulate;
    trainer->part.rows = s->batch_size / s->accumulate;
    trainer->predictions = calloc(count / (size_t)s->accumulate, sizeof *trainer->predictions);
    if (s->accumulate > 1)
        trainer->whole = calloc(3 * count, sizeof *trainer->whole);
    return trainer->predictions && (trainer->whole || s->accumulate == 1)
               ? 0
               : err_set(ERR_MEMORY, "out of memory for the batches");
}

static int ask(const struct trainer *trainer, const struct trainer_consent *consent,
               const struct ag_params *params)
{
    return consent ? consent->agree(consent->context, &trainer->config, params) : 0;
}

static int build(struct trainer *trainer, const struct trainer_consent *consent)
{
    struct train_settings *s = &trainer->settings;
    const char *pairs[TRAIN_MAX_PAIRS];
    int code = ask(trainer, consent, NULL);
    if (code == 0)
        code = capture(trainer);
    if (code == 0)
        code = freeze_parameters(&trainer->params, s);
    if (code == 0)
        code = ask(trainer, consent, &trainer->params);
    if (code == 0)
        code = ag_params_allocate(&trainer->params, (uint64_t)s->seed);
    if (code == 0)
        code = average(trainer);
    if (code == 0)
        code = model_graph_plan(&trainer->train, true);
    if (code == 0)
        code = model_graph_plan(&trainer->evaluation, false);
    if (code == 0 && trainer->exported.output)
        code = model_graph_plan(&trainer->exported, false);
    if (code < 0)
        return code;
    train_settings_pairs(s->optimizer_opt, s->optimizer_opts, pairs);
    code = optimizer_init(&trainer->optimizer, s->optimizer, &trainer->params, s->optimizer_opts,
                          pairs);
    return code < 0 ? code : make_batches(trainer);
}

struct ag_params *trainer_judged(struct trainer *trainer)
{
    return trainer->averaged.value ? &trainer->averaged : &trainer->params;
}

// Which of the settings to make smaller, where they are too large for memory or for any size.
static int advise(int code)
{
    char line[1024];
    snprintf(line, sizeof line, "%s", err_last());
    if (!strstr(line, "out of memory") && !strstr(line, "cannot have shape"))
        return code;
    return err_set(
        ERR_MEMORY,
        "%.600s; the model does not fit: make --batch-size, --length, --dim, --ff-dim or "
        "--layers smaller",
        line);
}

int trainer_init_agreed(struct trainer *trainer, const struct train_settings *settings,
                        const struct trainer_consent *consent)
{
    memset(trainer, 0, sizeof *trainer);
    trainer->lock = -1;
    trainer->settings = *settings;
    ag_params_init(&trainer->params);
    par_set_threads((int)settings->threads);
    int code = train_settings_check(settings);
    if (code == 0)
        code = blas_check_room(par_threads());
    if (code == 0)
        code = open_task(trainer);
    if (code == 0)
        code = configure(trainer);
    if (code == 0) {
        code = build(trainer, consent);
        code = code < 0 ? advise(code) : 0;
    }
    if (code < 0)
        trainer_release(trainer);
    return code;
}

int trainer_init(struct trainer *trainer, const struct train_settings *settings)
{
    int code = trainer_init_agreed(trainer, settings, NULL);
    if (code == 0) {
        code = init_from_files(trainer);
        if (code < 0)
            trainer_release(trainer);
    }
    return code;
}

void trainer_release(struct trainer *trainer)
{
    free(trainer->predictions);
    free(trainer->whole);
    free(trainer->averaged.value);
    if (trainer->optimizer.def)
        optimizer_release(&trainer->optimizer);
    model_graph_release(&trainer->exported);
    model_graph_release(&trainer->evaluation);
    model_graph_release(&trainer->train);
    ag_params_release(&trainer->params);
    pe_stack_release(&trainer->config.pe);
    if (trainer->dataset.task)
        dataset_close(&trainer->dataset);
    if (trainer->lock >= 0)
        close(trainer->lock);
    memset(trainer, 0, sizeof *trainer);
    trainer->lock = -1;
}

// --- batches, whole or in parts. A batch is drawn whole: how many targets are scored in all of it
// is known before the first part is run.

static void draw_batch(struct trainer *trainer, struct model_graph *model, enum dataset_split split,
                       int64_t batch)
{
    const struct train_settings *s = &trainer->settings;
    int64_t count = s->batch_size * s->length;
    if (!trainer->whole) {
        dataset_batch(&trainer->dataset, split, (uint64_t)batch, s->batch_size,
                      model->tokens->index, model->targets->index, model->mask->index);
        return;
    }
    int32_t *targets = trainer->whole + count;
    dataset_batch(&trainer->dataset, split, (uint64_t)batch, s->batch_size, trainer->whole, targets,
                  targets + count);
    trainer->part.targets = 0;
    trainer->part.loss = 0;
    for (int64_t i = 0; i < count; i++)
        trainer->part.targets += targets[i] != DATASET_IGNORE;
}

static void forward_part(struct trainer *trainer, struct model_graph *model, int64_t part)
{
    bool training = model == &trainer->train;
    int64_t count = model->tokens->count, all = count * trainer->settings.accumulate;
    if (trainer->whole) {
        const int32_t *from = trainer->whole + part * count;
        size_t size = (size_t)count * sizeof *from;
        memcpy(model->tokens->index, from, size);
        memcpy(model->targets->index, from + all, size);
        memcpy(model->mask->index, from + 2 * all, size);
        trainer->part.part = part;
        ag_plan_run(model->plan)->batch = &trainer->part;
    }
    if (training)
        ag_forward(model->plan);
    else
        ag_forward_watched(model->plan);
}

static void score(struct trainer *trainer, const struct model_graph *model,
                  struct dataset_score *sum)
{
    model_predictions(model, trainer->predictions);
    dataset_score(sum, model->batch, model->length, trainer->predictions, model->targets->index);
}

// --- what to say where a number is not finite

// The first parameter, in the order of the slab, of which this slab has such a number, or NULL.
static const struct ag_parameter *first_not_finite(const struct ag_params *params, const real *slab)
{
    for (int i = 0; i < params->rows; i++)
        if (!finite_all(slab + params->row[i].offset, params->row[i].count))
            return &params->row[i];
    return NULL;
}

// Which state of the optimizer is so for this parameter, or -1. An update hands it on.
static int broken_state(const struct optimizer *optimizer, const struct ag_parameter *row)
{
    for (int k = 0; k < optimizer->def->states; k++)
        if (!finite_all(optimizer->state[k] + row->offset, row->count))
            return k;
    return -1;
}

// Whether a parameter was so before the model ran: by itself, or by the state that updated it.
static bool locate_state(const struct trainer *trainer, const struct model_graph *model,
                         char *where, size_t size)
{
    const struct ag_params *params = model->graph.params;
    const struct ag_parameter *row = first_not_finite(params, params->value);
    if (!row)
        return false;
    // What was handed on: by the optimizer to the parameter, and from there to the average.
    bool own = !finite_all(trainer->params.value + row->offset, row->count);
    int state = own ? broken_state(&trainer->optimizer, row) : -1;
    if (state >= 0)
        snprintf(where, size, "the optimizer's %.30s of %s (before the step)",
                 trainer->optimizer.def->state_name[state], row->name);
    else
        snprintf(where, size, "%s%s (before the step)", own ? "" : "the average of ", row->name);
    return true;
}

// `known` is what is not finite now, for the case that it is finite when all is computed again.
static int not_finite(const struct trainer *trainer, const struct model_graph *model, int64_t step,
                      const char *what, double value, const char *known)
{
    char where[2 * AG_NAME_SIZE];
    const char *again = "";
    if (!locate_state(trainer, model, where, sizeof where) &&
        !ag_locate_nonfinite(model->plan, where, sizeof where)) {
        snprintf(where, sizeof where, "%s", known ? known : "the sum of all gradients");
        if (known)
            again = ", and not when it is computed again: a fault of this machine, or";
    }
    return err_set(ERR_NUMBER, "step %lld: the %s is %s, first seen in %s%s; try a lower --lr",
                   (long long)step, what, isnan(value) ? "NaN" : "infinite", where, again);
}

static int gradients_not_finite(struct trainer *trainer, double norm)
{
    struct model_graph *model = &trainer->train;
    char where[2 * AG_NAME_SIZE], known[2 * AG_NAME_SIZE];
    const struct ag_parameter *row = first_not_finite(&trainer->params, trainer->params.grad);
    snprintf(known, sizeof known, "the gradient of %s", row ? row->name : "");
    for (int64_t part = 0; trainer->whole && part < trainer->settings.accumulate; part++) {
        forward_part(trainer, model, part);
        if (ag_locate_nonfinite(model->plan, where, sizeof where))
            break;
    }
    return not_finite(trainer, model, trainer->step + 1, "norm of the gradient", norm,
                      row ? known : NULL);
}

int trainer_gradients(struct trainer *trainer, struct train_step_result *result)
{
    struct model_graph *model = &trainer->train;
    struct ag_run *run = ag_plan_run(model->plan);
    struct dataset_score sum = {0};
    result->lr = 0;
    run->seed = (uint64_t)trainer->settings.seed;
    run->step = (uint64_t)(trainer->step + 1);
    run->training = true;
    draw_batch(trainer, model, DATASET_TRAIN, trainer->step + 1);
    for (int64_t part = 0; part < trainer->settings.accumulate; part++) {
        forward_part(trainer, model, part);
        result->loss = (double)model->loss->data[0];
        if (!isfinite(result->loss))
            return not_finite(trainer, model, trainer->step + 1, "loss", result->loss, "the loss");
        score(trainer, model, &sum);
        ag_backward(model->plan, NULL);
    }
    result->accuracy = sum.scored ? (double)sum.correct / (double)sum.scored : 0;
    result->grad_norm = optimizer_grad_norm(&trainer->optimizer);
    return isfinite(result->grad_norm) ? 0 : gradients_not_finite(trainer, result->grad_norm);
}

int trainer_step(struct trainer *trainer, struct train_step_result *result)
{
    int code = trainer_gradients(trainer, result);
    if (code < 0)
        return code;
    trainer->step++;
    result->lr = schedule_lr(trainer->schedule, trainer->settings.lr, trainer->step,
                             trainer->settings.steps, trainer->settings.warmup);
    optimizer_update(&trainer->optimizer, trainer->step, result->lr, trainer->settings.weight_decay,
                     result->grad_norm, trainer->settings.grad_clip);
    if (trainer->averaged.value)
        average_update(&trainer->params, trainer->step, trainer->settings.ema,
                       trainer->averaged.value);
    return 0;
}

// The loss of one batch: a mean over its scored targets. The first part where it is not finite is
// the last one. `sum` may be NULL.
static double run_evaluation(struct trainer *trainer, enum dataset_split split, int64_t batch,
                             struct dataset_score *sum)
{
    struct model_graph *model = &trainer->evaluation;
    struct ag_run *run = ag_plan_run(model->plan);
    double loss = 0;
    run->seed = (uint64_t)trainer->settings.seed;
    run->step = (uint64_t)batch; // what positions that are drawn depend on
    run->training = false;
    draw_batch(trainer, model, split, batch);
    for (int64_t part = 0; part < trainer->settings.accumulate && isfinite(loss); part++) {
        forward_part(trainer, model, part);
        loss = (double)model->loss->data[0];
        if (sum)
            score(trainer, model, sum);
    }
    return loss;
}

int trainer_refresh_tables(struct trainer *trainer)
{
    char where[2 * AG_NAME_SIZE];
    if (!trainer->exported.plan)
        return 0;
    ag_plan_run(trainer->exported.plan)->seed = (uint64_t)trainer->settings.seed;
    ag_forward_watched(trainer->exported.plan);
    for (int i = 0; i < trainer->tables.count; i++) {
        const struct pe_table *table = &trainer->tables.table[i];
        if (finite_all(table->tensor->data, table->tensor->count))
            continue;
        if (!locate_state(trainer, &trainer->exported, where, sizeof where) &&
            !ag_locate_nonfinite(trainer->exported.plan, where, sizeof where))
            snprintf(where, sizeof where, "%s", table->name);
        return err_set(ERR_NUMBER,
                       "step %lld: the update left %s's %s with a number that is not finite, first "
                       "seen in %s; try a lower --lr",
                       (long long)trainer->step, table->encoding, table->name, where);
    }
    return 0;
}

static int evaluation_not_finite(struct trainer *trainer, enum dataset_split split, double loss)
{
    char what[64];
    snprintf(what, sizeof what, "%s loss after the update", dataset_split_name[split]);
    return not_finite(trainer, &trainer->evaluation, trainer->step, what, loss, "the loss");
}

// --- the state of a run: parameters, optimizer state, average

enum { MOST_SLABS = OPTIMIZER_MAX_STATES + 2 };

// In the order of their copies. Returns how many there are.
static int list_slabs(const struct trainer *trainer, const real *slab[MOST_SLABS])
{
    int count = 0;
    slab[count++] = trainer->params.value;
    for (int k = 0; k < trainer->optimizer.def->states; k++)
        slab[count++] = trainer->optimizer.state[k];
    if (trainer->averaged.value)
        slab[count++] = trainer->averaged.value;
    return count;
}

size_t trainer_state_count(const struct trainer *trainer)
{
    const real *slab[MOST_SLABS];
    return (size_t)list_slabs(trainer, slab) * (size_t)trainer->params.count;
}

void trainer_view(struct trainer *view, const struct trainer *trainer, real *copy)
{
    int states = trainer->optimizer.def->states;
    int64_t count = trainer->params.count;
    *view = *trainer;
    view->params.value = copy;
    for (int k = 0; k < states; k++)
        view->optimizer.state[k] = copy + (k + 1) * count;
    if (trainer->averaged.value)
        view->averaged.value = copy + (states + 1) * count;
}

const real *trainer_table(const struct trainer *trainer, int index)
{
    const real *data = trainer->tables.table[index].tensor->data;
    const real *live = trainer->exported.graph.params->value;
    const real *own = trainer->averaged.value ? trainer->averaged.value : trainer->params.value;
    uintptr_t offset = (uintptr_t)data - (uintptr_t)live; // of what is before it, more than any
    bool inside = offset < (size_t)trainer->params.count * sizeof(real);
    return inside ? own + offset / sizeof(real) : data;
}

static int slab_not_finite(const struct trainer *trainer, int index, const real *slab)
{
    char what[64] = "an element";
    const struct optimizer_def *optimizer = trainer->optimizer.def;
    const struct ag_parameter *row = first_not_finite(&trainer->params, slab);
    int state = index == 0 && row ? broken_state(&trainer->optimizer, row) : index - 1;
    if (index > optimizer->states)
        snprintf(what, sizeof what, "the average");
    else if (state >= 0)
        snprintf(what, sizeof what, "the optimizer's %.30s", optimizer->state_name[state]);
    if (index == 0 && state >= 0)
        slab = trainer->optimizer.state[state];
    if (row)
        for (int64_t k = 0; k < row->count; k++)
            if (!isfinite(slab[row->offset + k]))
                return err_set(ERR_NUMBER,
                               "step %lld: the update left %s of %s %s; try a lower --lr",
                               (long long)trainer->step, what, row->name,
                               isnan(slab[row->offset + k]) ? "NaN" : "infinite");
    return err_set(ERR_NUMBER, "step %lld: the update left %s that is not finite; try a lower --lr",
                   (long long)trainer->step, what);
}

// One slab in pieces, each of which says whether it is finite.
enum { SLAB_GRAIN = 1 << 16, MOST_PIECES = 64, BLOCK = 4096 };
struct slab_scan {
    const real *from;
    real *to;
    int64_t count, pieces;
    real zero[MOST_PIECES];
};

static void scan_piece(void *context, int64_t piece, int thread)
{
    struct slab_scan *scan = context;
    int64_t end = par_begin(scan->count, scan->pieces, piece + 1);
    (void)thread;
    scan->zero[piece] = 0;
    for (int64_t i = par_begin(scan->count, scan->pieces, piece); i < end; i += BLOCK) {
        int64_t count = end - i < BLOCK ? end - i : BLOCK;
        const real *from = scan->from + i;
        scan->zero[piece] += finite_sum(from, count);
        if (scan->to)
            memcpy(scan->to + i, from, (size_t)count * sizeof *from);
    }
}

int trainer_check_state(const struct trainer *trainer, real *copy)
{
    const real *slab[MOST_SLABS];
    int count = list_slabs(trainer, slab);
    for (int i = 0; i < count; i++) {
        struct slab_scan scan = {.from = slab[i], .count = trainer->params.count};
        scan.to = copy ? copy + i * scan.count : NULL;
        scan.pieces = par_pieces(scan.count, SLAB_GRAIN);
        par_run(scan.pieces, scan_piece, &scan);
        for (int64_t k = 0; k < scan.pieces; k++)
            if (scan.zero[k] != 0) // NaN is not 0
                return slab_not_finite(trainer, i, slab[i]);
    }
    return 0;
}

int trainer_check_loss(struct trainer *trainer)
{
    double loss = run_evaluation(trainer, DATASET_VALIDATION, 0, NULL);
    return isfinite(loss) ? 0 : evaluation_not_finite(trainer, DATASET_VALIDATION, loss);
}

int trainer_evaluate(struct trainer *trainer, enum dataset_split split, int64_t batches,
                     struct evaluation *result)
{
    return trainer_evaluate_until(trainer, split, batches, NULL, NULL, result);
}

int trainer_evaluate_until(struct trainer *trainer, enum dataset_split split, int64_t batches,
                           trainer_before_batch *call, void *context, struct evaluation *result)
{
    struct dataset_score sum = {0};
    double loss = 0;
    for (int64_t i = 0; i < batches; i++) {
        int code = call ? call(context) : 0;
        if (code < 0)
            return code;
        int64_t before = sum.scored;
        double mean = run_evaluation(trainer, split, i, &sum);
        if (!isfinite(mean))
            return evaluation_not_finite(trainer, split, mean);
        // The graph's loss is a mean over the scored targets of its batch, which differ in number.
        loss += mean * (double)(sum.scored - before);
    }
    *result = (struct evaluation){.scored = sum.scored, .rows = sum.rows};
    if (sum.scored) {
        result->loss = loss / (double)sum.scored;
        result->accuracy = (double)sum.correct / (double)sum.scored;
    }
    if (sum.rows)
        result->exact_match = (double)sum.rows_correct / (double)sum.rows;
    return 0;
}
