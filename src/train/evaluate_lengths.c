// The model at another length: the same parameters, found by their names, in a graph of its own.
#include "evaluate_lengths.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"

struct sweep {
    struct trainer *trainer;
    const struct length_request *request;
    struct dataset dataset;
    struct model_config config; // the trainer's, at this length; borrows its stack
    struct model_graph model;
    int64_t batch, samples;           // rows of a batch of the task, and in all
    int32_t *tokens, *targets, *mask; // [batch, length]
    int32_t *predictions;             // [rows of the model, length]
    struct dataset_score sum;
    double loss; // summed over targets
};

int evaluate_open_data(struct trainer *trainer, int64_t length, struct dataset *dataset)
{
    struct train_settings *s = &trainer->settings;
    const char *pairs[TRAIN_MAX_PAIRS];
    train_settings_pairs(s->task_opt, s->task_opts, pairs);
    struct dataset_request request = {.task = s->task,
                                      .length = length,
                                      .train_length = s->length,
                                      .seed = (uint64_t)s->seed,
                                      .data_path = s->data[0] ? s->data : NULL,
                                      .pair_count = s->task_opts,
                                      .pairs = pairs};
    int code = dataset_open(dataset, &request);
    if (code < 0)
        return code;
    if (dataset->vocab == trainer->config.vocab)
        return 0;
    int64_t vocab = dataset->vocab;
    dataset_close(dataset);
    return err_set(ERR_ARGUMENT,
                   "task %s has %lld kinds of tokens at length %lld, and the model knows %lld",
                   s->task, (long long)vocab, (long long)length, (long long)trainer->config.vocab);
}

static int build_model(struct sweep *sweep, struct length_score *score)
{
    int64_t rows = sweep->batch, most = sweep->request->tokens_at_once;
    most = (most ? most : 1 << 16) / score->length;
    sweep->config = sweep->trainer->config;
    sweep->config.extension = score->extension;
    sweep->config.grid_height = sweep->dataset.grid_height;
    sweep->config.grid_width = sweep->dataset.grid_width;
    int code = model_check_length(&sweep->config, score->length);
    if (code < 0)
        return code;
    score->reach = model_reach(&sweep->config, score->length);
    // A divisor of the batch, which at the training length is the batch.
    while (rows > 1 && score->length > sweep->config.train_length &&
           (sweep->batch % rows || rows > most))
        rows--;
    code = model_graph_capture(&sweep->model, &sweep->config, trainer_judged(sweep->trainer), rows,
                               score->length, NULL);
    return code < 0 ? code : model_graph_plan(&sweep->model, false);
}

static int allocate(struct sweep *sweep, int64_t length)
{
    size_t size = (size_t)(sweep->batch * length);
    sweep->tokens = calloc(size, sizeof *sweep->tokens);
    sweep->targets = calloc(size, sizeof *sweep->targets);
    sweep->mask = calloc(size, sizeof *sweep->mask);
    sweep->predictions = calloc(size, sizeof *sweep->predictions);
    if (sweep->tokens && sweep->targets && sweep->mask && sweep->predictions)
        return 0;
    return err_set(ERR_MEMORY, "out of memory for rows of length %lld", (long long)length);
}

// Logits that are no numbers have no largest one.
static void strike_nan(struct sweep *sweep)
{
    const struct model_graph *model = &sweep->model;
    int64_t rows = model->batch * model->length, vocab = model->logits->count / rows;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t v = 0; v < vocab; v++)
            if (isnan(model->logits->data[i * vocab + v]))
                sweep->predictions[i] = DATASET_IGNORE;
}

// Scores `count` rows of the batch from `first` on. Where that fills the model only in part, rows
// of before fill it, unscored.
static void score_rows(struct sweep *sweep, int64_t first, int64_t count)
{
    struct model_graph *model = &sweep->model;
    int64_t length = model->length;
    size_t size = (size_t)(count * length) * sizeof(int32_t);
    memcpy(model->tokens->index, sweep->tokens + first * length, size);
    memcpy(model->targets->index, sweep->targets + first * length, size);
    memcpy(model->mask->index, sweep->mask + first * length, size);
    for (int64_t i = count * length; i < model->batch * length; i++) {
        model->mask->index[i] = model->mask->index[i - count * length];
        model->tokens->index[i] = model->tokens->index[i - count * length];
        model->targets->index[i] = DATASET_IGNORE;
    }
    int64_t before = sweep->sum.scored;
    struct ag_run *run = ag_plan_run(model->plan);
    run->seed = (uint64_t)sweep->trainer->settings.seed;
    run->step = 0;
    run->training = false;
    ag_forward(model->plan);
    model_predictions(model, sweep->predictions);
    double mean = (double)model->loss->data[0];
    if (!isfinite(mean))
        strike_nan(sweep);
    dataset_score(&sweep->sum, count, length, sweep->predictions, model->targets->index);
    sweep->loss += mean * (double)(sweep->sum.scored - before);
}

static void run_batches(struct sweep *sweep)
{
    for (int64_t done = 0, batch = 0; done < sweep->samples; batch++) {
        int64_t left = sweep->samples - done;
        int64_t rows = left < sweep->batch ? left : sweep->batch, at_once = sweep->model.batch;
        dataset_batch(&sweep->dataset, sweep->request->split, (uint64_t)batch, rows, sweep->tokens,
                      sweep->targets, sweep->mask);
        for (int64_t first = 0; first < rows; first += at_once)
            score_rows(sweep, first, rows - first < at_once ? rows - first : at_once);
        done += rows;
    }
}

static void summarise(const struct sweep *sweep, struct length_score *score)
{
    const struct dataset_score *sum = &sweep->sum;
    score->scored = true;
    score->chance = sweep->dataset.chance;
    score->bits_per_byte = sweep->dataset.bits_per_byte;
    score->result = (struct evaluation){.scored = sum->scored, .rows = sum->rows};
    if (sum->scored) {
        score->result.loss = sweep->loss / (double)sum->scored;
        score->result.accuracy = (double)sum->correct / (double)sum->scored;
    }
    if (sum->rows)
        score->result.exact_match = (double)sum->rows_correct / (double)sum->rows;
    score->accuracy = interval_accuracy(sum);
    score->exact_match = interval_wilson((double)sum->rows_correct, (double)sum->rows);
}

static int evaluate_one(struct trainer *trainer, const struct length_request *request,
                        struct length_score *score)
{
    const struct train_settings *s = &trainer->settings;
    struct sweep sweep = {.trainer = trainer, .request = request, .batch = s->batch_size};
    sweep.samples = request->samples ? request->samples : s->batch_size * s->eval_batches;
    int code = evaluate_open_data(trainer, score->length, &sweep.dataset);
    if (code == 0)
        snprintf(score->notice, sizeof score->notice, "%s", sweep.dataset.notice);
    if (code == 0)
        code = build_model(&sweep, score);
    if (code == 0)
        code = allocate(&sweep, score->length);
    if (code == 0) {
        run_batches(&sweep);
        summarise(&sweep, score);
    }
    free(sweep.tokens);
    free(sweep.targets);
    free(sweep.mask);
    free(sweep.predictions);
    model_graph_release(&sweep.model);
    if (sweep.dataset.task)
        dataset_close(&sweep.dataset);
    return code;
}

int evaluate_lengths(struct trainer *trainer, const struct length_request *request, int count,
                     struct length_score *scores)
{
    int good = 0;
    for (int i = 0; i < count; i++) {
        struct length_score *score = &scores[i];
        *score = (struct length_score){.length = score->length, .extension = score->extension};
        int code = evaluate_one(trainer, request, score);
        if (code == ERR_MEMORY)
            return err_prefix(code, "length %lld", (long long)score->length);
        good += score->scored;
        if (code == 0)
            continue;
        score->reach = "undefined";
        snprintf(score->reason, sizeof score->reason, "%s", err_last());
    }
    return good ? 0 : err_set(ERR_ARGUMENT, "%s", count ? scores[0].reason : "no length is given");
}
