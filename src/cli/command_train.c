// posgrad train: trains a model, or goes on with one, and says how it goes.
#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "command.h"
#include "profile.h"
#include "seeds.h"
#include "stop.h"
#include "train_arguments.h"

struct arguments {
    struct train_arguments train;
    const char *resume, *seed_list;
    struct seeds seeds;
    bool overwrite, quiet, json, profile;
};

enum { KEY_RESUME = 0x3000, KEY_SEEDS, KEY_OVERWRITE, KEY_QUIET, KEY_JSON, KEY_PROFILE };

static const struct argp_option options[] = {
    {"resume", KEY_RESUME, "RUN", 0,
     "go on from the checkpoint of a run folder; --steps is then the new total", 0},
    {"seeds", KEY_SEEDS, "LIST", 0,
     "one run for each of these seeds (0,1,2 or 0-4), one after the other, and a table of all; "
     "into "
     "runs/TASK-PE-sSEED, or FOLDER/sSEED with --out-dir. The same command again leaves seeds that "
     "are finished, and goes on with those that are not",
     0},
    {"overwrite", KEY_OVERWRITE, NULL, 0, "replace the run that is in the folder", 0},
    {"quiet", KEY_QUIET, NULL, 0, "print the result only", 0},
    {"json", KEY_JSON, NULL, 0,
     "print one JSON object a log line, and one when a checkpoint is on disk", 0},
    {"profile", KEY_PROFILE, NULL, 0, "at the end, show where the time of a step goes", 0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->train;
        return 0;
    case KEY_RESUME:
        arguments->resume = value;
        return 0;
    case KEY_SEEDS:
        arguments->seed_list = value;
        return 0;
    case KEY_OVERWRITE:
        arguments->overwrite = true;
        return 0;
    case KEY_QUIET:
        arguments->quiet = true;
        return 0;
    case KEY_JSON:
        arguments->json = true;
        return 0;
    case KEY_PROFILE:
        arguments->profile = true;
        return 0;
    case ARGP_KEY_ARG:
        command_refuse(state, "'%s' is not expected here; options start with --", value);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char signals_help[] =
    "SIGINT, SIGTERM and SIGHUP end a training after the step that it is in, or the batch of an "
    "evaluation: it is saved, says how to go on, and exits with 130, 143 or 129. The same signal "
    "again, half a second later or more, ends it at once, with what was saved before. SIGUSR1 "
    "saves "
    "and goes on. A run folder has one writer; another process is refused.";

static void write_help(FILE *file)
{
    train_arguments_put_lists(file);
    fprintf(file, "\n\n%s", signals_help);
}

static char *help(int key, const char *text, void *input)
{
    (void)input;
    return command_help(key, text, write_help);
}

// --- signals. Flags only; the loop looks at them between steps, and in evaluations.

static volatile sig_atomic_t save_asked;

static void on_save(int signal)
{
    (void)signal;
    save_asked = 1;
}

static void install_signals(void)
{
    struct sigaction save = {.sa_handler = on_save, .sa_flags = SA_RESTART};
    sigemptyset(&save.sa_mask);
    save_asked = 0;
    stop_catch();
    sigaction(SIGUSR1, &save, NULL);
    signal(SIGPIPE, SIG_IGN); // `train | head` goes on training
}

// --- what is printed

struct console {
    bool quiet, json, live, color;
    bool line_up;       // a live line is on the screen
    double begun, last; // seconds: of the first step, of the last live line
    int64_t begun_step;
    double steps_ms; // that all steps took
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static struct console console_of(const struct arguments *arguments)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    struct console console = {.quiet = arguments->quiet, .json = arguments->json};
    console.live = !arguments->quiet && !arguments->json && isatty(STDERR_FILENO) &&
                   isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
    console.color = console.live && !(no_color && *no_color);
    return console;
}

static void erase(struct console *console)
{
    if (console->line_up && stop_may_print(stderr))
        fputs("\r\033[K", stderr);
    console->line_up = false;
}

// "1.000" is said only where nothing was wrong.
static double shown(double share)
{
    return share < 1 && share > 0.999 ? 0.999 : share;
}

static void time_left(const struct console *console, const struct trainer *trainer, char text[32])
{
    int64_t done = trainer->step - console->begun_step;
    int64_t left = trainer->settings.steps - trainer->step;
    double seconds = done > 0 ? (now() - console->begun) / (double)done * (double)left : 0;
    long long s = seconds < 1e9 ? (long long)(seconds + 0.5) : 999999999;
    if (s >= 3600)
        snprintf(text, 32, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, 32, "%lld:%02lld", s / 60, s % 60);
}

enum { LINE = 256 };

// The line, and how many bytes of it are the step.
static int training_line(const struct console *console, const struct run *run,
                         const struct run_event *event, char line[LINE])
{
    char left[32];
    const struct trainer *trainer = &run->trainer;
    time_left(console, trainer, left);
    int step = snprintf(line, LINE, "step %lld/%lld", (long long)trainer->step,
                        (long long)trainer->settings.steps);
    snprintf(line + step, (size_t)(LINE - step),
             "  loss %.4f  accuracy %.3f  %.0f tokens/s  %s left", event->train->loss,
             shown(event->train->accuracy), event->tokens_per_s, left);
    return step;
}

// Columns of the terminal less one, as a line that fills the last one may wrap.
static int columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 2)
        return LINE;
    return size.ws_col - 1;
}

// A line that wraps could not be written over: what does not fit is left out.
static void live_line(struct console *console, const struct run *run, const struct run_event *event)
{
    char line[LINE];
    double time = now();
    if (time - console->last < 0.1 || !stop_may_print(stderr))
        return;
    console->last = time;
    int width = columns(), step = training_line(console, run, event, line);
    if (width < LINE)
        line[width] = '\0';
    if (console->color && step < width)
        fprintf(stderr, "\r\033[1m%.*s\033[0m%s\033[K", step, line, line + step);
    else
        fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
    console->line_up = true;
}

static void evaluation_line(const struct run *run, const struct evaluation *result)
{
    printf("step %lld  validation loss %.4f  accuracy %.3f  exact match %.3f",
           (long long)run->trainer.step, result->loss, shown(result->accuracy),
           shown(result->exact_match));
    if (run->trainer.dataset.bits_per_byte)
        printf("  bits per byte %.3f", result->loss / 0.69314718055994531);
    putchar('\n');
}

static void log_line(struct console *console, const struct run *run, const struct run_event *event)
{
    if (console->quiet || (console->live && event->type == RUN_LOG) || !stop_may_print(stdout))
        return;
    erase(console);
    if (console->json) {
        puts(event->json);
    } else if (event->type == RUN_LOG) {
        char line[LINE];
        training_line(console, run, event, line);
        puts(line);
    } else {
        evaluation_line(run, event->evaluation);
    }
    stop_flush(stdout);
}

// That a save is on disk is said to programs, and to whoever asked for it.
static void saved_line(struct console *console, const struct run *run, bool asked)
{
    long long step = (long long)run->saved_step;
    if (console->json && !console->quiet) {
        if (stop_may_print(stdout))
            printf("{\"saved\": true, \"step\": %lld}\n", step);
        stop_flush(stdout);
    } else if (asked && stop_may_print(stderr)) {
        erase(console);
        fprintf(stderr, "posgrad: step %lld is saved\n", step);
    }
}

static void observe(void *context, const struct run *run, const struct run_event *event)
{
    struct console *console = context;
    switch (event->type) {
    case RUN_STEP:
        console->steps_ms += event->step_ms;
        if (console->live)
            live_line(console, run, event);
        break;
    case RUN_LOG:
    case RUN_EVALUATION:
        log_line(console, run, event);
        break;
    case RUN_WARNING:
    case RUN_NOTICE:
        erase(console);
        if (stop_may_print(stderr))
            fprintf(stderr, "posgrad: %s\n", event->message);
        break;
    case RUN_SAVED:
        saved_line(console, run, event->asked);
        break;
    }
}

static void print_start(const struct console *console, const struct run *run)
{
    const struct trainer *trainer = &run->trainer;
    int64_t count = 0, frozen = 0;
    if (console->quiet || console->json)
        return;
    for (int i = 0; i < trainer->params.rows; i++) {
        const struct ag_parameter *row = &trainer->params.row[i];
        count += row->count;
        frozen += row->frozen ? row->count : 0;
    }
    printf("%s on %s: %lld parameters, ", trainer->settings.pe, trainer->settings.task,
           (long long)count);
    if (frozen)
        printf("%lld of them frozen, ", (long long)frozen);
    if (run_ended_early(run))
        printf("ended by itself after step %lld (a longer --patience goes on), in %s\n",
               (long long)trainer->step, run->folder);
    else if (trainer->step < trainer->settings.steps)
        printf("steps %lld to %lld, into %s\n", (long long)trainer->step + 1,
               (long long)trainer->settings.steps, run->folder);
    else
        printf("all %lld steps are done (--steps N goes on), in %s\n", (long long)trainer->step,
               run->folder);
    if (trainer->started[0])
        printf("starts %s\n", trainer->started);
    stop_flush(stdout);
}

static void put_json_text(const char *text)
{
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20)
            printf("\\u%04x", (unsigned)*p);
        else
            printf("%s%c", *p == '"' || *p == '\\' ? "\\" : "", *p);
}

static bool keeps_best(const struct run *run)
{
    return train_settings_keep_best(&run->trainer.settings) && run->best.step >= 0;
}

static void print_json_result(const struct run *run)
{
    const struct evaluation *result = &run->evaluation;
    char best[OPTION_TEXT + 64];
    printf("{\"done\": true, \"step\": %lld, \"accuracy\": %.9g, \"exact_match\": %.9g, "
           "\"loss\": %.9g, \"chance\": %.9g, \"checkpoint\": \"",
           (long long)run->trainer.step, result->accuracy, result->exact_match, result->loss,
           run->trainer.dataset.chance);
    put_json_text(run->checkpoint);
    putchar('"');
    if (run->trainer.settings.patience)
        printf(", \"ended_early\": %s", run_ended_early(run) ? "true" : "false");
    if (keeps_best(run)) {
        run_best_path(run, best);
        printf(", \"best_step\": %lld, \"best_value\": %.9g, \"best_checkpoint\": \"",
               (long long)run->best.step, run->best.value);
        put_json_text(best);
        putchar('"');
    }
    puts("}");
}

static void print_best(const struct run *run)
{
    static const char *const metrics[] = {"loss", "accuracy", "exact match"};
    char best[OPTION_TEXT + 64];
    if (run_ended_early(run))
        printf("ended after step %lld: %lld evaluations were no better than the best\n",
               (long long)run->trainer.step, (long long)run->best.behind);
    if (!keeps_best(run))
        return;
    run_best_path(run, best);
    printf("best %s (step %lld, %s %.5g)\n", best, (long long)run->best.step,
           metrics[run->trainer.settings.early_stop_metric], run->best.value);
}

static void print_result(const struct console *console, const struct run *run)
{
    const struct evaluation *result = &run->evaluation;
    if (console->json) {
        print_json_result(run);
        return;
    }
    printf("accuracy %.3f on validation, chance %.3f\n", shown(result->accuracy),
           run->trainer.dataset.chance);
    if (run->trainer.dataset.bits_per_byte)
        printf("bits per byte %.4f on held-out text\n", result->loss / 0.69314718055994531);
    printf("checkpoint %s\n", run->checkpoint);
    print_best(run);
}

static int stopped(const struct run *run, bool one_of_many)
{
    if (!stop_may_print(stderr))
        return 128 + *stop_flag();
    fprintf(stderr, "posgrad: stopped by %s after step %lld, which is saved; ", stop_name(),
            (long long)run->trainer.step);
    if (one_of_many)
        fprintf(stderr, "go on with the same command (it is in %s)\n", run->folder);
    else if (run_is_done(run))
        fputs("the run is complete\n", stderr);
    else
        fprintf(stderr, "go on with: train --resume %s\n", run->folder);
    return 128 + *stop_flag();
}

// Trains a run that stands to its end, or to a stop, and lets go of it.
static int finish(const struct arguments *arguments, struct console *console, struct run *run)
{
    print_start(console, run);
    console->begun = now();
    console->begun_step = run->trainer.step;
    int code = arguments->profile ? ag_plan_profile(run->trainer.train.plan) : 0;
    if (code == 0)
        code = run_train(run);
    erase(console);
    int status = 0;
    if (code == 0)
        print_result(console, run);
    else
        status = code == ERR_STOPPED ? stopped(run, arguments->seed_list) : command_error(NULL);
    if (arguments->profile)
        profile_print(run->trainer.train.plan, run->trainer.step - console->begun_step,
                      console->steps_ms, console->json);
    // What one seed came to is there before the next one begins. A run that is done may be stopped
    // while nobody reads its result.
    if (!stop_flush(stdout) && status == 0)
        status = 128 + *stop_flag();
    return status;
}

static int train(const struct arguments *arguments, struct run *run)
{
    struct console console = console_of(arguments);
    struct run_observer observer = {observe, &console, stop_flag(), &save_asked};
    install_signals();
    int code = arguments->resume
                   ? run_resume(run, arguments->resume, arguments->train.given_count,
                                arguments->train.given, &observer)
                   : run_start(run, &arguments->train.settings, arguments->overwrite, &observer);
    if (code < 0) {
        command_error(NULL);
        // What no run can be is wrong usage; that a file or a folder is not as it should be is an
        // error.
        return code == ERR_ARGUMENT && !arguments->resume ? 2 : 1;
    }
    int status = finish(arguments, &console, run);
    run_release(run);
    return status;
}

// --- several seeds

static int settings_of_seed(struct train_settings *settings, const char *folder, int64_t seed)
{
    settings->seed = seed;
    int length = *folder ? snprintf(settings->out_dir, sizeof settings->out_dir, "%s/s%lld", folder,
                                    (long long)seed)
                         : 0;
    return length < 0 || (size_t)length >= sizeof settings->out_dir
               ? err_set(ERR_ARGUMENT, "--out-dir: the name is too long")
               : 0;
}

static int train_seed(struct arguments *arguments, struct run *run, struct seed_result *result)
{
    struct console console = console_of(arguments);
    struct run_observer observer = {observe, &console, stop_flag(), &save_asked};
    int code = run_go_on(run, &arguments->train.settings, arguments->overwrite, &observer);
    if (code < 0) {
        command_error(NULL);
        return code == ERR_ARGUMENT ? 2 : 1;
    }
    if (run_is_done(run))
        fprintf(stderr, "posgrad: seed %lld is finished already, in %s\n", (long long)result->seed,
                run->folder);
    int status = finish(arguments, &console, run);
    result->step = run->trainer.step;
    result->evaluation = run->evaluation;
    result->done = status == 0;
    run_release(run);
    return status;
}

// A seed that fails does not keep the others from their turn; a stop does.
static int train_seeds(struct arguments *arguments, struct run *run)
{
    struct train_settings *settings = &arguments->train.settings;
    struct seeds *seeds = &arguments->seeds;
    char folder[OPTION_TEXT];
    int status = 0;
    strcpy(folder, settings->out_dir);
    install_signals();
    for (int i = 0; i < seeds->count && !*stop_flag() && status != 2; i++) {
        int code = settings_of_seed(settings, folder, seeds->result[i].seed);
        int one = code < 0 ? command_usage("train", err_last())
                           : train_seed(arguments, run, &seeds->result[i]);
        status = one ? one : status;
    }
    if (*stop_flag())
        return 128 + *stop_flag();
    if (seeds_print(seeds, arguments->json) < 0 && status == 0)
        status = command_error(NULL);
    return stop_flush(stdout) || status ? status : 128 + *stop_flag();
}

// What does not go together on one command line.
static int check_usage(struct arguments *arguments)
{
    if (arguments->resume && (arguments->overwrite || arguments->train.config))
        return err_set(ERR_ARGUMENT,
                       "--resume has its settings in the run; --overwrite and --config do not go "
                       "with it");
    if (arguments->resume && arguments->seed_list)
        return err_set(ERR_ARGUMENT,
                       "--seeds goes on by itself with what is not finished; leave out "
                       "--resume");
    if (!arguments->resume && !arguments->seed_list)
        return train_settings_check(&arguments->train.settings);
    if (arguments->resume)
        return 0;
    for (int i = 0; i < arguments->train.given_count; i++)
        if (strcmp(arguments->train.given[i].key, "seed") == 0)
            return err_set(ERR_ARGUMENT, "--seed and --seeds are both given; leave one out");
    int code = seeds_parse(&arguments->seeds, arguments->seed_list);
    return code < 0 ? code : train_settings_check(&arguments->train.settings);
}

static int run_command(int argc, char **argv)
{
    struct arguments *arguments = calloc(1, sizeof *arguments);
    struct run *run = calloc(1, sizeof *run);
    int status = 0, code = 0;
    if (!arguments || !run) {
        free(arguments);
        free(run);
        return command_error("out of memory");
    }
    train_arguments_init(&arguments->train);
    const struct argp_child children[] = {{&arguments->train.argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        options,
        parse,
        NULL,
        "Trains a Transformer with a position encoding on a task and writes a run folder."
        "\vlists", // replaced by help()
        children,
        help,
        NULL};
    status = command_parse("train", &argp, argc, argv, arguments);
    if (status == 0)
        code = train_arguments_finish(&arguments->train);
    if (status == 0 && code == 0)
        code = check_usage(arguments);
    if (code < 0)
        status = code == ERR_ARGUMENT ? command_usage("train", err_last()) : command_error(NULL);
    else if (status == 0)
        status = command_check_products();
    if (status == 0)
        status = arguments->seed_list ? train_seeds(arguments, run) : train(arguments, run);
    free(arguments);
    free(run);
    return status;
}

const struct command command_train = {
    .name = "train",
    .title = "train a model, or go on with one",
    .run = run_command,
};
