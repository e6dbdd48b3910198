// How long a save holds up the training, beside the time of copying the state.
//
// What is between the end of a step's work and the beginning of the next is what the training
// waits: behind a save (the first of which makes its memory), and elsewhere. The step that runs
// while the rest of the save does has its own time, beside the steps that run alone.
//
// Usage: bench_save [-j FILE] [-t THREADS] [-r SAVES] [-d FOLDER] [SHAPE]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../src/train/run.h"
#include "measure.h"
#include "shapes.h"

enum { SAVES = 5, MOST_SAVES = 50, EVERY = 4, MOST_STEPS = (MOST_SAVES + 1) * EVERY, COPIES = 7 };

static struct arguments {
    const char *json; // a file that a line of JSON is appended to, or NULL
    const char *folder;
    int threads, saves;
} arguments = {NULL, NULL, 1, SAVES};

// Milliseconds, of step i + 1: when its work ended, and how long that took.
static double ended[MOST_STEPS], took[MOST_STEPS];
static struct run run;

static void fail(void)
{
    fprintf(stderr, "bench_save: %s\n", err_last());
    exit(1);
}

static void observe(void *context, const struct run *from, const struct run_event *event)
{
    (void)context;
    if (event->type == RUN_STEP) {
        ended[from->trainer.step - 1] = measure_now(CLOCK_MONOTONIC);
        took[from->trainer.step - 1] = event->step_ms;
    }
    if (event->type == RUN_WARNING) {
        fprintf(stderr, "bench_save: %s\n", event->message);
        exit(1);
    }
}

// What no save can do without: the slabs, by memcpy, into memory that was written before.
static double copy_ms(struct trainer *trainer)
{
    double ms[COPIES + 1];
    size_t size = (size_t)trainer->params.count * sizeof(real);
    int slabs = 1 + trainer->optimizer.def->states;
    char *to = malloc((size_t)slabs * size);
    if (!to)
        exit(1);
    for (int i = 0; i <= COPIES; i++) {
        double begin = measure_now(CLOCK_MONOTONIC);
        for (int k = 0; k < slabs; k++)
            memcpy(to + (size_t)k * size,
                   k ? trainer->optimizer.state[k - 1] : trainer->params.value, size);
        ms[i] = measure_now(CLOCK_MONOTONIC) - begin;
    }
    free(to);
    return measure_median(ms + 1, COPIES);
}

static void train(const struct bench_shape *shape)
{
    struct train_settings *s = calloc(1, sizeof *s);
    const struct run_observer observer = {.observe = observe};
    if (!s)
        exit(1);
    bench_settings(s, shape, "learned", "encoder");
    s->steps = (arguments.saves + 1) * EVERY;
    s->save_every = EVERY;
    s->eval_every = s->log_every = 0;
    s->eval_batches = 1;
    s->threads = arguments.threads;
    snprintf(s->out_dir, sizeof s->out_dir, "%s", arguments.folder);
    if (run_start(&run, s, true, &observer) < 0 || run_train(&run) < 0)
        fail();
    free(s);
}

// The first steps begin cold, and the last save ends the run.
static void report(const struct bench_shape *shape)
{
    double alone[MOST_STEPS], beside[MOST_SAVES], wait[MOST_SAVES];
    int steps = 0, saves = 0;
    for (int i = 2; i <= arguments.saves * EVERY; i++) {
        if (i % EVERY == 0) {
            wait[saves] = ended[i] - ended[i - 1] - took[i];
            beside[saves++] = took[i];
        } else {
            alone[steps++] = took[i];
        }
    }
    double first = wait[0], step = measure_median(alone, steps), copy = copy_ms(&run.trainer);
    double waited = measure_median(wait, saves), longest = wait[saves - 1];
    double with = measure_median(beside, saves);
    double mb = 3e-6 * (double)run.trainer.params.count * sizeof(real); // and Adam's two moments
    printf("  %-4s %5.1f MB: copied in %.2f ms; step %.2f ms, and %.2f while a save is under way\n"
           "       the training waits for a save %.2f ms (%.2f of a copy), at most %.2f, the first "
           "time %.2f\n",
           shape->name, mb, copy, step, with, waited, waited / copy, longest, first);
    measure_json(arguments.json,
                 "{\"bench\": \"save\", \"shape\": \"%s\", \"threads\": %d, \"state_mb\": %.6g, "
                 "\"copy_ms\": %.6g, \"step_ms\": %.6g, \"step_beside_ms\": %.6g, \"wait_ms\": "
                 "%.6g, \"longest_ms\": %.6g, \"first_ms\": %.6g}",
                 shape->name, arguments.threads, mb, copy, step, with, waited, longest, first);
}

int main(int argc, char **argv)
{
    char scratch[] = "/tmp/posgrad-bench-XXXXXX", command[64];
    measure_begin(argv);
    for (int option; (option = getopt(argc, argv, "j:t:r:d:")) != -1;) {
        if (option == 'j')
            arguments.json = optarg;
        else if (option == 't')
            arguments.threads = atoi(optarg);
        else if (option == 'r')
            arguments.saves = atoi(optarg);
        else if (option == 'd')
            arguments.folder = optarg;
        else
            return 2;
    }
    if (arguments.saves < 1 || arguments.saves > MOST_SAVES)
        arguments.saves = SAVES;
    const struct bench_shape *shape = bench_shape_find(optind < argc ? argv[optind] : "C");
    if (!shape)
        fail();
    if (!arguments.folder && !mkdtemp(scratch))
        return 1;
    bool own = !arguments.folder;
    if (own)
        arguments.folder = scratch;
    printf("save: every %d steps, %d thread%s (milliseconds; median of %d saves)\n", EVERY,
           arguments.threads, arguments.threads == 1 ? "" : "s", arguments.saves);
    train(shape);
    report(shape);
    run_release(&run);
    snprintf(command, sizeof command, "rm -r %s", scratch);
    return own ? system(command) != 0 : 0;
}
