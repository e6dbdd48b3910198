// Gradient check of a whole model: the loss, central differences, every parameter.
#include "model_check.h"

#include <stdlib.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/rng.h"

enum { BATCH = 2, VOCAB = 7, MAX_ELEMENTS = 6 };

static void fill_batch(struct model_graph *model, struct rng *rng)
{
    int64_t count = model->batch * model->length;
    for (int64_t i = 0; i < count; i++) {
        model->tokens->index[i] = (int32_t)rng_below(rng, VOCAB);
        model->targets->index[i] = (int32_t)rng_below(rng, VOCAB + 1) - 1;
        // The last key of the second sequence is padding, where there is more than one.
        model->mask->index[i] = !(i == count - 1 && model->length > 1);
    }
    model->targets->index[0] = 1;
}

// Starts of N(0, 0.02) would leave attention nearly uniform and its gradients tiny.
static void fill_params(struct ag_params *params, struct rng *rng)
{
    for (int i = 0; i < params->rows; i++)
        for (int64_t k = 0; k < params->row[i].count; k++)
            params->value[params->row[i].offset + k] =
                (real)(params->row[i].init.mean + 0.6 * (rng_uniform(rng) - 0.5));
}

static int check_params(struct model_graph *model, struct ag_params *params, uint64_t seed,
                        struct ag_check *result)
{
    struct ag_check_leaf *leaf = calloc((size_t)(unsigned)params->rows, sizeof *leaf);
    if (!leaf)
        return err_set(ERR_MEMORY, "out of memory for a gradient check");
    for (int i = 0; i < params->rows; i++) {
        struct ag_parameter *row = &params->row[i];
        leaf[i] = (struct ag_check_leaf){row->name, params->value + row->offset,
                                         params->grad + row->offset, row->count};
    }
    int code = ag_check_plan(model->plan, model->loss, params->rows, leaf, MAX_ELEMENTS, seed,
                             AG_CORRUPT_NOTHING, 0, result);
    free(leaf);
    return code;
}

static struct model_config config_of(const struct model_check_case *what)
{
    struct model_config config = {.layers = 2,
                                  .heads = 2,
                                  .dim = 16, // rotations on a grid need heads of a multiple of 4
                                  .ff_dim = 10,
                                  .vocab = VOCAB,
                                  .train_length = what->length,
                                  .causal = what->causal};
    config.grid_height = 1;
    for (int64_t height = 2; height * height <= what->length; height++)
        if (what->length % height == 0)
            config.grid_height = height;
    config.grid_width = what->length / config.grid_height;
    return config;
}

int model_gradcheck(const struct model_check_case *what, struct ag_check *result)
{
    struct model_config config = config_of(what);
    struct ag_params params;
    struct model_graph model = {0};
    struct rng rng;
    ag_params_init(&params);
    rng_init(&rng, rng_stream(what->seed, "gradcheck"), 0, 0);
    int code = pe_stack_init(&config.pe, what->pe, what->pairs, what->pair);
    if (code == 0)
        code = model_check(&config);
    if (code == 0)
        code = model_graph_capture(&model, &config, &params, BATCH, what->length, NULL);
    if (code == 0)
        code = ag_params_allocate(&params, what->seed);
    if (code == 0)
        code = model_graph_plan(&model, true);
    if (code == 0) {
        fill_batch(&model, &rng);
        fill_params(&params, &rng);
        code = check_params(&model, &params, what->seed, result);
    }
    model_graph_release(&model);
    ag_params_release(&params);
    pe_stack_release(&config.pe);
    return code;
}
