// What data costs: the time of a training batch of each task beside that of a training step.
//
// The step is that of the default model without an encoding, on one thread; batches have its size,
// or the length of the task's own example. In every round a few of both; shares are the medians of
// the rounds'. A share over 3 % is marked.
// Usage: bench_tasks [-j FILE] [-r ROUNDS] [-d TEXT] [TASK...]
// Tasks that need a file read TEXT, or a text that is made for this.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "measure.h"
#include "shapes.h"

enum { ROUNDS = 9, MOST_ROUNDS = 1000, STEPS = 3, BATCHES = 20 };
static const double most_percent = 3;

struct arguments {
    const char *json, *text; // a file that lines of JSON are appended to, or NULL
    int rounds;
};

struct batch {
    struct dataset dataset;
    int64_t rows, step;
    int32_t *tokens, *targets, *mask;
};

static int give_up(void)
{
    fprintf(stderr, "bench_tasks: %s\n", err_last());
    return 1;
}

// Of the words of an example, only the length is about data.
static int64_t length_of(const struct task_def *task, int64_t length)
{
    const char *at = task->example ? strstr(task->example, "--length ") : NULL;
    return at ? strtoll(at + strlen("--length "), NULL, 10) : length;
}

static int batch_open(struct batch *batch, const struct task_def *task, const char *text,
                      const struct train_settings *settings)
{
    *batch = (struct batch){.rows = settings->batch_size};
    struct dataset_request request = {
        .task = task->name,
        .length = length_of(task, settings->length),
        .data_path = task->file == DATASET_FILE_REQUIRED ? text : NULL,
    };
    int code = dataset_open(&batch->dataset, &request);
    if (code < 0)
        return code;
    size_t count = (size_t)(batch->rows * request.length);
    batch->tokens = calloc(3 * count, sizeof *batch->tokens);
    batch->targets = batch->tokens + count;
    batch->mask = batch->targets + count;
    return batch->tokens ? 0 : err_set(ERR_MEMORY, "out of memory for a batch of %s", task->name);
}

static void batch_close(struct batch *batch)
{
    free(batch->tokens);
    if (batch->dataset.task)
        dataset_close(&batch->dataset);
}

// Milliseconds of one of `count` batches, none of which was drawn before.
static double draw(struct batch *batch, int count)
{
    double start = measure_now(CLOCK_MONOTONIC);
    for (int i = 0; i < count; i++)
        dataset_batch(&batch->dataset, DATASET_TRAIN, (uint64_t)++batch->step, batch->rows,
                      batch->tokens, batch->targets, batch->mask);
    return (measure_now(CLOCK_MONOTONIC) - start) / count;
}

static int compare(struct trainer *trainer, const struct task_def *task,
                   const struct arguments *arguments)
{
    static double ms[MOST_ROUNDS], step[MOST_ROUNDS], share[MOST_ROUNDS];
    struct batch batch;
    int code = batch_open(&batch, task, arguments->text, &trainer->settings);
    if (code == 0) {
        draw(&batch, BATCHES);
        for (int i = 0; i < arguments->rounds; i++) {
            step[i] = bench_steps(trainer, STEPS);
            ms[i] = draw(&batch, BATCHES);
            share[i] = 100 * ms[i] / step[i];
        }
        double us = 1000 * measure_median(ms, arguments->rounds);
        double step_us = 1000 * measure_median(step, arguments->rounds);
        double percent = measure_median(share, arguments->rounds);
        printf("  %-26s %9.1f us  step %9.1f us  %7.2f %%%s\n", task->name, us, step_us, percent,
               percent > most_percent ? "  over 3 %" : "");
        fflush(stdout);
        measure_json(arguments->json,
                     "{\"bench\": \"task\", \"task\": \"%s\", \"length\": %lld, \"batch\": %lld, "
                     "\"rounds\": %d, \"us\": %.6g, \"step_us\": %.6g, \"percent\": %.6g}",
                     task->name, (long long)batch.dataset.length, (long long)batch.rows,
                     arguments->rounds, us, step_us, percent);
    }
    batch_close(&batch);
    return code;
}

static int compare_all(const struct arguments *arguments, int count, char **name)
{
    static struct trainer trainer;
    const struct bench_shape *shape = bench_shape_find("A"); // the default model
    if (!shape || bench_trainer(&trainer, shape, "none", "encoder") < 0)
        return give_up();
    par_set_threads(1);
    bench_steps(&trainer, STEPS);
    printf("tasks: a training batch of %lld rows beside a step of the default model, one thread "
           "(median of %d)\n",
           (long long)shape->batch, arguments->rounds);
    int code = 0;
    for (int i = 0; i < (count ? count : task_count) && code == 0; i++) {
        const struct task_def *task = count ? task_find(name[i]) : task_list[i];
        code = task ? compare(&trainer, task, arguments) : ERR_ARGUMENT;
    }
    trainer_release(&trainer);
    return code < 0 ? give_up() : 0;
}

// A text of 4 MiB in words and lines, so that rows of the benchmark are from all over it.
static int make_text(char *path)
{
    enum { LINES = 64 * 1024 };
    int file = mkstemp(path);
    FILE *out = file >= 0 ? fdopen(file, "w") : NULL;
    if (!out)
        return -1;
    for (unsigned i = 0, x = 1; i < LINES; i++) {
        for (int word = 0; word < 8; word++, x = x * 1664525u + 1013904223u)
            fprintf(out, "%07x%c", x >> 4, word < 7 ? ' ' : '\n');
    }
    return fclose(out);
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.rounds = ROUNDS};
    char made[] = "/tmp/bench_tasks.XXXXXX";
    measure_begin(argv);
    for (int option; (option = getopt(argc, argv, "r:d:j:")) != -1;) {
        if (option == 'r')
            arguments.rounds = atoi(optarg);
        else if (option == 'd')
            arguments.text = optarg;
        else if (option == 'j')
            arguments.json = optarg;
        else
            return 2;
    }
    if (arguments.rounds < 1 || arguments.rounds > MOST_ROUNDS)
        arguments.rounds = ROUNDS;
    bool make = !arguments.text;
    if (make && make_text(made) != 0) {
        fprintf(stderr, "bench_tasks: cannot write %s\n", made);
        return 1;
    }
    if (make)
        arguments.text = made;
    int status = compare_all(&arguments, argc - optind, argv + optind);
    if (make)
        unlink(made);
    return status;
}
