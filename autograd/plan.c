// The plan: which nodes run, in what order, and where every tensor lives.
//
// Time is the index of an instruction, forward ones first. Every tensor, gradient and saved block
// has a first and a last time; blocks whose times do not meet may share bytes. Largest first, each
// takes the tightest gap among those that are alive with it.
//
// Where a batch comes in parts, gradients of what does not vary (parameters, and tables made of
// them) last from part to part and are added to; the instructions behind them, which make gradients
// of parameters out of gradients of tables, run in the last part only, as they would for the whole.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ag.h"
#include "base/err.h"
#include "base/par.h"
#include "kernels/blas.h"
#include "kernels/finite.h"
#include "kernels/product.h"
#include "ops/op.h"

enum when { EVERY_PART, FIRST_PART, LAST_PART };

struct instruction {
    ag_kernel *kernel; // NULL: fill the gradient of `node` with zeros
    struct ag_tensor *node;
    enum when when;             // it runs
    unsigned fresh, fresh_once; // node->fresh in every part; beside that, in the first one
};

struct block {
    int first, last; // instruction times, both included
    size_t size, offset;
};

struct ag_plan {
    struct ag_graph *graph;
    struct ag_tensor *output;
    struct instruction *instruction; // forward, then backward
    int forward_count, count;
    char *memory;
    struct ag_run run;
    struct ag_plan_stats stats;
    double *seconds;     // of each instruction, where the plan is profiled
    int64_t replayed[2]; // forward and backward passes since then
    const char *rounded; // see ag_plan_rounded
};

// What planning knows of each tensor, by id.
struct note {
    bool used;                    // forward is needed
    bool on_path;                 // its gradient is needed
    bool written;                 // an instruction has written its gradient already
    int writers[2];               // of its gradient: how many that do not vary, and that do
    const struct ag_tensor *heir; // in whose gradient's memory its own goes on, or NULL
    struct block data, grad, saved, partial;
};

static struct ag_tensor *root(struct ag_tensor *tensor)
{
    while (tensor->base)
        tensor = tensor->base;
    return tensor;
}

static bool is_view(const struct ag_tensor *tensor)
{
    return tensor->base != NULL;
}

static bool runs(const struct ag_tensor *tensor)
{
    return tensor->op && !is_view(tensor);
}

// Tensors in reverse order of capture, as links only run forward.
static struct ag_tensor **list_tensors(const struct ag_graph *graph)
{
    struct ag_tensor **list = malloc((size_t)(graph->tensors + 1) * sizeof *list);
    if (list)
        for (struct ag_tensor *t = graph->first; t; t = t->next)
            list[t->id] = t;
    return list;
}

static void mark(struct ag_graph *graph, struct ag_tensor **list, struct note *note,
                 struct ag_tensor *output, bool backward)
{
    for (struct ag_tensor *t = graph->first; t; t = t->next) {
        if (t->parameter >= 0 && graph->params && graph->params->row[t->parameter].frozen)
            t->needs_grad = false;
    }
    for (struct ag_tensor *t = graph->first; t; t = t->next) {
        if (!t->op)
            continue;
        t->needs_grad = false;
        for (int k = 0; k < t->inputs; k++)
            if (t->input[k] && t->input[k]->needs_grad && !(t->op->flags & AG_NO_BACKWARD))
                t->needs_grad = true;
    }
    note[output->id].used = true;
    note[output->id].on_path = backward && output->needs_grad;
    for (int i = graph->tensors - 1; i >= 0; i--) {
        struct ag_tensor *t = list[i];
        if (t->keep)
            note[i].used = true;
        for (int k = 0; k < t->inputs && note[i].used; k++) {
            if (!t->input[k])
                continue;
            note[t->input[k]->id].used = true;
            if (note[i].on_path && t->input[k]->needs_grad)
                note[t->input[k]->id].on_path = true;
        }
    }
}

static void extend(struct block *block, int time)
{
    if (block->first < 0 || time < block->first)
        block->first = time;
    if (time > block->last)
        block->last = time;
}

static struct instruction *emit(struct ag_plan *plan, ag_kernel *kernel, struct ag_tensor *node,
                                enum when when)
{
    struct instruction *slot = &plan->instruction[plan->count++];
    *slot = (struct instruction){.kernel = kernel, .node = node, .when = when};
    return slot;
}

static bool in_parts(const struct ag_plan *plan)
{
    return plan->graph->parts > 1;
}

// Its gradient is a sum over all parts.
static bool lasts(const struct ag_plan *plan, const struct ag_tensor *tensor)
{
    return in_parts(plan) && !tensor->varies;
}

// True when two inputs of the node share a gradient: then each must add, none overwrite.
static bool shares_input(const struct ag_tensor *node, int input)
{
    for (int k = 0; k < node->inputs; k++)
        if (k != input && node->input[k] && root(node->input[k]) == root(node->input[input]))
            return true;
    return false;
}

// Who writes the gradients that last. The streams of parts are interleaved. One writer adds part
// after part as it would row after row; of two that vary the parts are interleaved.
static void count_writers(struct ag_plan *plan, struct note *note, const struct ag_tensor *node)
{
    bool same = node->shape.dims > 0 && node->shape.size[0] == plan->graph->rows &&
                node->op->same_sums && node->op->same_sums(node, plan->graph->parts);
    for (int k = 0; k < node->inputs; k++) {
        struct ag_tensor *base = node->input[k] ? root(node->input[k]) : NULL;
        if (!base || !note[node->input[k]->id].on_path || !lasts(plan, base))
            continue;
        int *writers = note[base->id].writers;
        if (node->varies && (!same || writers[0] + writers[1] > 0) && !plan->rounded)
            plan->rounded = node->name;
        writers[node->varies]++;
    }
}

// Gradients that both kinds of instructions write are zero before the first part.
static void emit_zeros(struct ag_plan *plan, struct ag_tensor **list, struct note *note)
{
    int tensors = plan->graph->tensors;
    for (int i = tensors - 1; i >= 0; i--)
        if (note[i].on_path && runs(list[i]))
            count_writers(plan, note, list[i]);
    for (int i = tensors - 1; i >= 0; i--) {
        if (!note[i].writers[0] || !note[i].writers[1])
            continue;
        note[i].written = true;
        emit(plan, NULL, list[i], FIRST_PART);
    }
}

// Whether the gradient of input `k` may go on in the memory of the node's own, which nothing reads
// after this node's backward.
static bool may_inherit(const struct ag_plan *plan, const struct ag_tensor *node, int k)
{
    const struct ag_tensor *input = node->input[k];
    return (node->op->flags & AG_PASSES_GRADIENT) && k == node->inputs - 1 && runs(input) &&
           !input->keep && !node->keep && !lasts(plan, node) && node != root(plan->output);
}

static void emit_backward(struct ag_plan *plan, struct note *note, struct ag_tensor *node)
{
    unsigned fresh = 0, once = 0;
    enum when when = lasts(plan, node) ? LAST_PART : EVERY_PART;
    for (int k = 0; k < node->inputs; k++) {
        struct ag_tensor *input = node->input[k];
        if (!input || !note[input->id].on_path)
            continue;
        struct ag_tensor *base = root(input);
        if (note[base->id].written)
            continue;
        note[base->id].written = true;
        bool first = lasts(plan, base) && when == EVERY_PART;
        if (!(node->op->flags & AG_BACKWARD_HANDLES_FRESH) || shares_input(node, k))
            emit(plan, NULL, base, first ? FIRST_PART : when);
        else if (first)
            once |= 1u << k;
        else
            fresh |= 1u << k;
        if ((fresh >> k & 1) && may_inherit(plan, node, k))
            note[input->id].heir = node;
    }
    struct instruction *slot = emit(plan, node->op->backward, node, when);
    slot->fresh = fresh;
    slot->fresh_once = once;
}

static void emit_all(struct ag_plan *plan, struct ag_tensor **list, struct note *note)
{
    int tensors = plan->graph->tensors;
    for (int i = 0; i < tensors; i++)
        // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): every id below has its tensor
        if (note[i].used && runs(list[i]))
            emit(plan, list[i]->op->forward, list[i], EVERY_PART);
    plan->forward_count = plan->count;
    // A view's gradient is its base's: what reaches the view is wanted by the base.
    for (int i = tensors - 1; i >= 0; i--)
        if (note[i].on_path)
            note[root(list[i])->id].on_path = true;
    note[root(plan->output)->id].written = true; // by the cotangent
    if (in_parts(plan))
        emit_zeros(plan, list, note);
    for (int i = tensors - 1; i >= 0; i--)
        if (note[i].on_path && runs(list[i]))
            emit_backward(plan, note, list[i]);
}

static void live_forward(struct note *note, struct ag_tensor *node, int time)
{
    extend(&note[node->id].data, time);
    extend(&note[node->id].saved, time);
    for (int k = 0; k < node->inputs; k++)
        if (node->input[k])
            extend(&note[root(node->input[k])->id].data, time);
}

static void live_backward(struct note *note, struct ag_tensor *node, int time)
{
    extend(&note[node->id].grad, time);
    extend(&note[node->id].saved, time);
    extend(&note[node->id].partial, time);
    if (node->op->flags & AG_BACKWARD_READS_OUTPUT)
        extend(&note[node->id].data, time);
    for (int k = 0; k < node->inputs; k++) {
        if (!node->input[k])
            continue;
        struct ag_tensor *base = root(node->input[k]);
        if (node->op->flags & AG_BACKWARD_READS_INPUTS)
            extend(&note[base->id].data, time);
        if (note[base->id].on_path)
            extend(&note[base->id].grad, time);
    }
}

static size_t round_up(size_t size)
{
    return (size + 63) / 64 * 64;
}

static void find_lifetimes(struct ag_plan *plan, struct ag_tensor **list, struct note *note)
{
    int tensors = plan->graph->tensors, end = plan->count;
    for (int i = 0; i < tensors; i++)
        note[i].data = note[i].grad = note[i].saved = note[i].partial =
            (struct block){-1, -1, 0, 0};
    for (int t = 0; t < plan->count; t++) {
        struct ag_tensor *node = plan->instruction[t].node;
        if (!plan->instruction[t].kernel)
            extend(&note[node->id].grad, t);
        else if (t < plan->forward_count)
            live_forward(note, node, t);
        else
            live_backward(note, node, t);
    }
    for (int i = 0; i < tensors; i++) {
        struct ag_tensor *t = list[i];
        struct note *n = &note[i];
        if (is_view(t) || !n->used)
            continue;
        size_t count = (size_t)t->count;
        if (t->parameter < 0)
            n->data.size = round_up(count * (t->type == AG_REAL ? sizeof(real) : sizeof(int32_t)));
        n->saved.size = round_up(t->saved_size);
        n->partial.size = round_up(t->partial_size);
        if (n->on_path && t->parameter < 0)
            n->grad.size = round_up(count * sizeof(real));
        if (!t->op) { // leaves are written before a replay and read after
            n->data.first = 0;
            n->data.last = end;
            if (n->grad.size)
                extend(&n->grad, end);
        }
        if (t->keep || t == root(plan->output))
            n->data.last = end;
        if (t == root(plan->output) && n->grad.size)
            extend(&n->grad, plan->forward_count);
        if (t->keep && n->grad.size)
            n->grad.last = end;
        if (lasts(plan, t) && n->grad.size)
            n->grad = (struct block){0, end, n->grad.size, 0};
        if (in_parts(plan) && t->op && (t->op->flags & AG_KEEPS_PARTIAL) && n->partial.last >= 0)
            n->partial = (struct block){0, end, n->partial.size, 0};
    }
}

// A gradient that goes on in another's memory has none of its own until all have a place. Heirs
// have the larger ids.
static void join_gradients(int tensors, struct note *note)
{
    for (int i = 0; i < tensors; i++) {
        if (!note[i].heir)
            continue;
        struct block *heir = &note[note[i].heir->id].grad;
        extend(heir, note[i].grad.first);
        extend(heir, note[i].grad.last);
        note[i].grad.size = 0;
    }
}

static void follow_heirs(int tensors, struct note *note)
{
    for (int i = tensors - 1; i >= 0; i--)
        if (note[i].heir)
            note[i].grad = note[note[i].heir->id].grad;
}

static int larger_first(const void *a, const void *b)
{
    const struct block *x = *(struct block *const *)a, *y = *(struct block *const *)b;
    if (x->size != y->size)
        return x->size < y->size ? 1 : -1;
    return x->first != y->first ? (x->first < y->first ? -1 : 1) : (x < y ? -1 : x > y);
}

// Puts `block` among the `count` that are placed, which are in order of offset.
static void insert(struct block **placed, int count, struct block *block)
{
    int low = 0, high = count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (placed[middle]->offset <= block->offset)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(placed + low + 1, placed + low, (size_t)(count - low) * sizeof *placed);
    placed[low] = block;
}

// The tightest gap between the blocks (sorted by offset) that are alive together with `block`.
static size_t best_gap(struct block *const *placed, int count, const struct block *block)
{
    size_t end = 0, best = SIZE_MAX, best_size = SIZE_MAX;
    for (int i = 0; i < count; i++) {
        const struct block *other = placed[i];
        if (other->last < block->first || other->first > block->last)
            continue;
        if (other->offset > end && other->offset - end >= block->size &&
            other->offset - end < best_size) {
            best_size = other->offset - end;
            best = end;
        }
        if (other->offset + other->size > end)
            end = other->offset + other->size;
    }
    return best == SIZE_MAX ? end : best;
}

static int place_blocks(struct ag_plan *plan, struct note *note)
{
    int tensors = plan->graph->tensors, count = 0;
    struct block **all = malloc((size_t)tensors * 8 * sizeof *all + sizeof *all);
    if (!all)
        return err_set(ERR_MEMORY, "out of memory while planning");
    struct block **placed = all + 4 * tensors;
    for (int i = 0; i < tensors; i++) {
        struct block *four[] = {&note[i].data, &note[i].grad, &note[i].saved, &note[i].partial};
        for (int k = 0; k < 4; k++)
            if (four[k]->size && four[k]->first >= 0)
                all[count++] = four[k];
    }
    qsort(all, (size_t)count, sizeof *all, larger_first);
    for (int i = 0; i < count; i++) {
        all[i]->offset = best_gap(placed, i, all[i]);
        insert(placed, i, all[i]);
        if (all[i]->offset + all[i]->size > plan->stats.planned)
            plan->stats.planned = all[i]->offset + all[i]->size;
        plan->stats.unplanned += all[i]->size;
    }
    free(all);
    return 0;
}

static void bind_parameter(struct ag_plan *plan, struct ag_tensor *tensor, bool on_path)
{
    struct ag_params *params = plan->graph->params;
    int64_t offset = params->row[tensor->parameter].offset;
    tensor->data = params->value + offset;
    tensor->grad = on_path ? params->grad + offset : NULL;
}

static void bind(struct ag_plan *plan, struct ag_tensor **list, struct note *note)
{
    for (int i = 0; i < plan->graph->tensors; i++) {
        struct ag_tensor *t = list[i];
        if (!note[i].used)
            continue;
        if (is_view(t)) {
            t->data = t->base->data;
            t->index = t->base->index;
            t->grad = t->base->grad;
            continue;
        }
        if (t->parameter >= 0) {
            bind_parameter(plan, t, note[i].on_path);
            continue;
        }
        void *data = plan->memory + note[i].data.offset;
        if (t->type == AG_REAL)
            t->data = data;
        else
            t->index = data;
        void *grad = note[i].grad.size ? plan->memory + note[i].grad.offset : NULL;
        t->grad = grad;
        t->saved = note[i].saved.size ? plan->memory + note[i].saved.offset : NULL;
        t->partial = note[i].partial.size && note[i].partial.first >= 0
                         ? plan->memory + note[i].partial.offset
                         : NULL;
        if (!t->op && t->param)
            memcpy(data, t->param,
                   (size_t)t->count * (t->type == AG_REAL ? sizeof(real) : sizeof(int32_t)));
    }
}

static int reserve(struct ag_plan *plan, struct ag_tensor **list, const struct note *note)
{
    size_t stride = 64, shared = 64;
    for (int i = 0; i < plan->graph->tensors; i++) {
        if (note[i].used && round_up(list[i]->scratch_size) > stride)
            stride = round_up(list[i]->scratch_size);
        if (note[i].used && round_up(list[i]->shared_size) > shared)
            shared = round_up(list[i]->shared_size);
    }
    plan->run.scratch_stride = stride;
    // Products may read a little behind the last tensor.
    plan->memory = aligned_zeroed(plan->stats.planned + PRODUCT_BEHIND * sizeof(real), 1);
    plan->run.scratch =
        aligned_zeroed((size_t)par_threads() * stride + PRODUCT_BEHIND * sizeof(real), 1);
    plan->run.shared = aligned_zeroed(shared, 1);
    if (!plan->memory || !plan->run.scratch || !plan->run.shared)
        return ERR_MEMORY;
    return 0;
}

static int plan_make(struct ag_plan *plan, struct ag_tensor **list, struct note *note,
                     bool backward)
{
    mark(plan->graph, list, note, plan->output, backward);
    emit_all(plan, list, note);
    find_lifetimes(plan, list, note);
    join_gradients(plan->graph->tensors, note);
    plan->stats.instructions = plan->count;
    if (place_blocks(plan, note) < 0 || reserve(plan, list, note) < 0)
        return ERR_MEMORY;
    follow_heirs(plan->graph->tensors, note);
    bind(plan, list, note);
    return 0;
}

struct ag_plan *ag_plan_new(struct ag_graph *graph, struct ag_tensor *output, bool backward)
{
    if (graph->error) {
        err_set(graph->error, "%s", graph->message);
        return NULL;
    }
    if (graph->params && graph->params->rows && !graph->params->value) {
        err_set(ERR_ARGUMENT, "a plan was asked for before the parameters were allocated");
        return NULL;
    }
    // Whatever multiplies on several threads has a plan, which is made for that many.
    if (blas_check_threads(par_threads()) < 0)
        return NULL;
    size_t tensors = (size_t)graph->tensors;
    struct ag_plan *plan = calloc(1, sizeof *plan);
    struct ag_tensor **list = list_tensors(graph);
    struct note *note = calloc(tensors + 1, sizeof *note);
    // Each node runs at most forward, backward, and two fills of each tensor's gradient.
    struct instruction *instruction = calloc(4 * tensors + 1, sizeof *instruction);
    int result = ERR_MEMORY;
    if (plan && list && note && instruction) {
        *plan = (struct ag_plan){.graph = graph, .output = output, .instruction = instruction};
        instruction = NULL;
        result = plan_make(plan, list, note, backward);
    } else {
        err_set(ERR_MEMORY, "out of memory while planning %zu tensors", tensors);
    }
    free(instruction);
    free(list);
    free(note);
    if (result == 0)
        return plan;
    ag_plan_free(plan);
    return NULL;
}

void ag_plan_free(struct ag_plan *plan)
{
    if (!plan)
        return;
    free(plan->seconds);
    free(plan->instruction);
    free(plan->memory);
    free(plan->run.scratch);
    free(plan->run.shared);
    free(plan);
}

struct ag_run *ag_plan_run(struct ag_plan *plan)
{
    return &plan->run;
}

const char *ag_plan_rounded(const struct ag_plan *plan)
{
    return plan->rounded;
}

struct ag_plan_stats ag_plan_stats(const struct ag_plan *plan)
{
    return plan->stats;
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool is_due(const struct ag_plan *plan, const struct instruction *now)
{
    const struct ag_batch *batch = in_parts(plan) ? plan->run.batch : NULL;
    return !batch || now->when == EVERY_PART ||
           batch->part == (now->when == FIRST_PART ? 0 : batch->parts - 1);
}

static void run_one(struct ag_plan *plan, int time)
{
    const struct instruction *now = &plan->instruction[time];
    const struct ag_batch *batch = in_parts(plan) ? plan->run.batch : NULL;
    plan->replayed[time >= plan->forward_count] += time == 0 || time == plan->forward_count;
    if (!is_due(plan, now))
        return;
    now->node->fresh = now->fresh | (batch && batch->part > 0 ? 0 : now->fresh_once);
    double start = plan->seconds ? seconds_now() : 0;
    if (now->kernel)
        now->kernel(&plan->run, now->node);
    else
        memset(now->node->grad, 0, (size_t)now->node->count * sizeof(real));
    if (plan->seconds)
        plan->seconds[time] += seconds_now() - start;
}

void ag_forward(struct ag_plan *plan)
{
    BUG_ON(in_parts(plan) && !plan->run.batch);
    for (int t = 0; t < plan->forward_count; t++)
        run_one(plan, t);
}

static void watch(struct ag_tensor *node)
{
    for (int k = 0; k < node->inputs; k++) {
        const struct ag_tensor *input = node->input[k];
        if (input && input->type == AG_REAL)
            finite_or_nan(input->data, input->count, node->data, node->count);
    }
}

void ag_forward_watched(struct ag_plan *plan)
{
    BUG_ON(in_parts(plan) && !plan->run.batch);
    for (int t = 0; t < plan->forward_count; t++) {
        struct ag_tensor *node = plan->instruction[t].node;
        run_one(plan, t);
        if (node->op->flags & AG_HAS_LIMITS)
            watch(node);
    }
}

static void seed_cotangent(struct ag_plan *plan, const real *cotangent)
{
    struct ag_tensor *output = plan->output;
    if (!output->grad)
        return;
    for (int64_t i = 0; i < output->count; i++)
        output->grad[i] = cotangent ? cotangent[i] : REAL(1.0);
}

void ag_backward(struct ag_plan *plan, const real *cotangent)
{
    seed_cotangent(plan, cotangent);
    for (int t = plan->forward_count; t < plan->count; t++)
        run_one(plan, t);
}

int ag_plan_profile(struct ag_plan *plan)
{
    free(plan->seconds);
    plan->seconds = calloc((size_t)plan->count + 1, sizeof *plan->seconds);
    plan->replayed[0] = plan->replayed[1] = 0;
    return plan->seconds ? 0 : err_set(ERR_MEMORY, "out of memory for a profile");
}

static int slower_first(const void *a, const void *b)
{
    const struct ag_profile_row *x = a, *y = b;
    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

static struct ag_profile_row *profile_row(struct ag_profile_row *rows, int *count, int most,
                                          const char *op, bool backward)
{
    for (int i = 0; i < *count; i++)
        if (strcmp(rows[i].op, op) == 0 && rows[i].backward == backward)
            return &rows[i];
    if (*count == most)
        return NULL;
    rows[*count] = (struct ag_profile_row){.op = op, .backward = backward};
    return &rows[(*count)++];
}

int ag_plan_profile_rows(const struct ag_plan *plan, struct ag_profile_row *rows, int most)
{
    int count = 0;
    for (int t = 0; plan->seconds && t < plan->count; t++) {
        const struct instruction *now = &plan->instruction[t];
        bool backward = t >= plan->forward_count;
        struct ag_profile_row *row =
            profile_row(rows, &count, most, now->kernel ? now->node->op->name : "zero", backward);
        if (!row)
            continue;
        row->nodes++;
        row->seconds += plan->seconds[t];
        if (now->kernel && now->node->op->flops)
            row->flops += now->node->op->flops(now->node, backward) *
                          (double)plan->replayed[backward] /
                          (double)(now->when == EVERY_PART ? 1 : plan->graph->parts);
    }
    qsort(rows, (size_t)count, sizeof *rows, slower_first);
    return count;
}

static bool gradients_finite(const struct ag_tensor *node)
{
    for (int k = 0; k < node->inputs; k++)
        if (node->input[k] && node->input[k]->grad &&
            !finite_all(node->input[k]->grad, node->input[k]->count))
            return false;
    return true;
}

bool ag_locate_nonfinite(struct ag_plan *plan, char *text, size_t size)
{
    for (struct ag_tensor *t = plan->graph->first; t; t = t->next) {
        if (!t->op && t->type == AG_REAL && t->data && !finite_all(t->data, t->count)) {
            snprintf(text, size, "%s (before the step)", t->name);
            return true;
        }
    }
    for (int t = 0; t < plan->count; t++) {
        const struct instruction *now = &plan->instruction[t];
        bool forward = t < plan->forward_count;
        if (t == plan->forward_count)
            seed_cotangent(plan, NULL);
        run_one(plan, t);
        if (!now->kernel || !is_due(plan, now))
            continue;
        bool good = now->node->type == AG_INT || !forward
                        ? gradients_finite(now->node)
                        : finite_all(now->node->data, now->node->count);
        if (!good) {
            snprintf(text, size, "%s %s", now->node->name, forward ? "forward" : "backward");
            return true;
        }
    }
    return false;
}
