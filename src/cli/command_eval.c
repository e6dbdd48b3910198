// posgrad eval: scores a run at any lengths, also past those that it was trained on.
#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../autograd/base/err.h"
#include "../io/checkpoint.h"
#include "../report/lengths.h"
#include "../report/plot.h"
#include "command.h"
#include "length_list.h"
#include "output.h"

struct arguments {
    const char *run, *csv;
    bool json, plot;
    int split;
    int64_t samples, threads;
    char checkpoint[OPTION_TEXT], data[OPTION_TEXT];
    struct length_list lengths;
    int ways;
    enum pe_extension way[PE_EXTENSIONS];
};

#define AT(field) offsetof(struct arguments, field)

// Options with one value each; what they are for is in `options`.
static const struct option_def values[] = {
    {"split", OPTION_CHOICE, AT(split), "validation", 0, 0, "validation|test", ""},
    {"samples", OPTION_INT, AT(samples), "0", 0, 1e9, NULL, ""},
    {"threads", OPTION_INT, AT(threads), "0", 0, 256, NULL, ""},
    {"checkpoint", OPTION_STRING, AT(checkpoint), "last", 0, 0, NULL, ""},
    {"data", OPTION_STRING, AT(data), "", 0, 0, NULL, ""},
    {0},
};

enum { VALUES = sizeof values / sizeof *values - 1 };
enum { KEY_VALUE = 0x3000, KEY_LENGTHS = 0x3100, KEY_EXTEND, KEY_JSON, KEY_CSV, KEY_PLOT };

static const struct argp_option options[] = {
    {"lengths", KEY_LENGTHS, "N,N,...", 0, "tokens a row (default: the training's)", 0},
    {"extend", KEY_EXTEND, "WAY,WAY,...", 0,
     "how to go past the end of the encoding; several are compared (default none)", 0},
    {"split", KEY_VALUE + 0, "validation|test", 0, "rows to score (default validation)", 0},
    {"samples", KEY_VALUE + 1, "N", 0,
     "rows a length (default: as many as the training's evaluations have)", 0},
    {"threads", KEY_VALUE + 2, "N", 0,
     "threads, which change no bit of the result (default: all processors)", 0},
    {"checkpoint", KEY_VALUE + 3, "last|best|STEP", 0,
     "which one of the run folder: the latest, the best, or an elder one (default last)", 0},
    {"data", KEY_VALUE + 4, "FILE", 0,
     "what the task reads, where it is not the file of the training", 0},
    {"json", KEY_JSON, NULL, 0, "one JSON object in place of the table", 0},
    {"csv", KEY_CSV, "FILE", 0, "write the rows to FILE, too; '-': to stdout, without the table",
     0},
    {"plot", KEY_PLOT, NULL, 0,
     "draw accuracy against length, also where stdout is no terminal or there is one length", 0},
    {0},
};

// --- what was typed

static int read_ways(struct arguments *arguments, const char *text)
{
    for (const char *p = text;; p++) {
        char name[64];
        size_t size = strcspn(p, ",");
        snprintf(name, sizeof name, "%.*s", (int)(size < 63 ? size : 63), p);
        int way = extension_find(name);
        if (way < 0)
            return way;
        bool there = false;
        for (int i = 0; i < arguments->ways; i++)
            there = there || (int)arguments->way[i] == way;
        if (!there)
            arguments->way[arguments->ways++] = (enum pe_extension)way;
        p += size;
        if (!*p)
            return 0;
    }
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    int code = 0;
    if (key >= KEY_VALUE && key < KEY_VALUE + VALUES)
        code = options_set(values, arguments, NULL, values[key - KEY_VALUE].key, value);
    else if (key == KEY_LENGTHS)
        code = length_list_read(&arguments->lengths, value);
    else if (key == KEY_EXTEND)
        code = read_ways(arguments, value);
    else if (key == KEY_JSON)
        arguments->json = true;
    else if (key == KEY_CSV)
        arguments->csv = value;
    else if (key == KEY_PLOT)
        arguments->plot = true;
    else if (key == ARGP_KEY_ARG && !arguments->run)
        arguments->run = value;
    else if (key == ARGP_KEY_ARG)
        code = err_set(ERR_ARGUMENT, "'%s' is one RUN too many", value);
    else
        return ARGP_ERR_UNKNOWN;
    if (code < 0)
        command_refuse(state, "%s", err_last());
    return 0;
}

static const char *const way_title[PE_EXTENSIONS] = {
    [PE_EXTEND_NONE] = "as trained: formulas go on, tables end",
    [PE_EXTEND_CLIP] = "far positions and distances share the last entry",
    [PE_EXTEND_WRAP] = "positions begin again behind the last one",
    [PE_EXTEND_INTERPOLATE] = "positions are squeezed into those of the training",
    [PE_EXTEND_HIERARCHICAL] = "N rows of a table make N^2 positions",
    [PE_EXTEND_NTK] = "rotations with a larger base",
    [PE_EXTEND_YARN] = "slow rotations are interpolated",
    [PE_EXTEND_LOGN] = "logits grow with the logarithm of the length; of any",
};

static const char help_text[] =
    "\nWhat the encoding did: inside (training met all positions and distances), clipped (far "
    "ones "
    "share the last entry), extrapolated (a formula goes on), untrained (entries that still have "
    "their start), undefined (past the end of a table), or what --extend made of it.\n\n"
    "Rows fill their length, with symbols and answers as in the training. A length that the task "
    "or "
    "the encoding cannot have is a row that says why, and an error (exit 1) where no other is "
    "scored.\n\n"
    "Intervals are of 95 %. Exact match: Wilson's score interval over rows. Accuracy: the same "
    "over n "
    "= p (1 - p) / v targets, as those of one row are not independent; v = m / (m - 1) sum "
    "(correct "
    "- p scored)^2 / N^2 over m rows with N targets. n is at most N, and m where all are right or "
    "all wrong.\n";

static void write_help(FILE *file)
{
    fputs("Ways of --extend ('posgrad describe ENCODING' tells which it has):\n", file);
    for (int i = 0; i < PE_EXTENSIONS; i++)
        fprintf(file, "  %-13s %s\n", pe_extension_name[i], way_title[i]);
    fputs(help_text, file);
}

static char *help(int key, const char *text, void *input)
{
    (void)input;
    return command_help(key, text, write_help);
}

static int check_usage(const struct arguments *arguments)
{
    if (!arguments->run)
        return err_set(ERR_ARGUMENT, "RUN is missing: the folder of a run, or its checkpoint");
    if (arguments->json && arguments->csv && strcmp(arguments->csv, "-") == 0)
        return err_set(ERR_ARGUMENT, "--json and --csv - both want stdout; leave out one");
    return 0;
}

// --- the run

// The file that --checkpoint means; a RUN that is a file is meant itself.
static int checkpoint_path(const struct arguments *arguments, char *path, size_t size)
{
    const char *which = arguments->checkpoint;
    bool folder = file_kind(arguments->run, true) == FILE_FOLDER;
    bool last = strcmp(which, "last") == 0, step = which[strspn(which, "0123456789")] == '\0';
    if (!last && !folder)
        return err_set(ERR_ARGUMENT, "--checkpoint %s: %s is no run folder", which, arguments->run);
    if (!last && (!*which || (!step && strcmp(which, "best") != 0)))
        return err_set(ERR_ARGUMENT, "--checkpoint '%s' is neither last, best nor a step", which);
    int length =
        last ? snprintf(path, size, "%s", arguments->run)
             : snprintf(path, size, "%s/%s%s.h5", arguments->run, step ? "checkpoint-" : "", which);
    return length >= 0 && (size_t)length < size
               ? 0
               : err_set(ERR_ARGUMENT, "the name of the run is too long");
}

static int write_rows(void *context, FILE *file)
{
    return lengths_csv(context, file);
}

static int print(const struct arguments *arguments, struct length_report *report)
{
    bool only_csv = arguments->csv && strcmp(arguments->csv, "-") == 0;
    int code = arguments->csv ? output_text(arguments->csv, write_rows, report) : 0;
    if (code < 0 || only_csv)
        return code;
    if (arguments->json)
        return output_json(lengths_json(report));
    code = lengths_text(report, stdout);
    if (code == 0 && (arguments->plot || (plot_terminal(stdout) && report->count > report->ways))) {
        putchar('\n');
        code = lengths_plot(report, stdout);
    }
    return code;
}

// What the task left out of its data, which hangs on the length.
static void say_notices(const struct length_report *report)
{
    for (int i = 0; i < report->count; i += report->ways)
        if (report->score[i].notice[0])
            fprintf(stderr, "posgrad: length %lld: %s\n", (long long)report->score[i].length,
                    report->score[i].notice);
}

static int evaluate(const struct arguments *arguments, struct trainer *trainer)
{
    struct length_request request = {.split = arguments->split ? DATASET_TEST : DATASET_VALIDATION,
                                     .samples = arguments->samples};
    int ways = arguments->ways ? arguments->ways : 1;
    int lengths = arguments->lengths.count ? arguments->lengths.count : 1, count = lengths * ways;
    struct length_score *score = calloc((size_t)count, sizeof *score);
    if (!score)
        return err_set(ERR_MEMORY, "out of memory for the scores");
    for (int i = 0; i < count; i++) {
        score[i].length = arguments->lengths.count ? arguments->lengths.length[i / ways]
                                                   : trainer->settings.length;
        score[i].extension = arguments->ways ? arguments->way[i % ways] : PE_EXTEND_NONE;
    }
    struct length_report report = {arguments->run, trainer, request.split, count, score, ways};
    int code = evaluate_lengths(trainer, &request, count, score);
    if (code == 0) {
        say_notices(&report);
        code = print(arguments, &report);
    }
    free(score);
    return code;
}

// 0, or the exit code after what is wrong was said.
static int eval(const struct arguments *arguments)
{
    char path[OPTION_TEXT];
    if (checkpoint_path(arguments, path, sizeof path) < 0)
        return command_usage("eval", err_last());
    struct trainer *trainer = calloc(1, sizeof *trainer);
    int code = trainer ? 0 : err_set(ERR_MEMORY, "out of memory");
    if (code == 0 && arguments->csv)
        code = command_output(arguments->csv, NULL);
    if (code == 0)
        code = checkpoint_load_trainer_on(trainer, path, arguments->threads,
                                          arguments->data[0] ? arguments->data : NULL);
    if (code == 0) {
        code = evaluate(arguments, trainer);
        trainer_release(trainer);
    }
    free(trainer);
    return code < 0 ? command_error(NULL) : 0;
}

static int run_command(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "RUN",
        "Scores the model of a run at any lengths: accuracy, exact match, loss, how sure they are, "
        "and what the encoding does there. Nothing in the run is written, and it may be training."
        "\vlists",
        NULL,
        help,
        NULL};
    struct arguments *arguments = calloc(1, sizeof *arguments);
    if (!arguments)
        return command_error("out of memory");
    options_defaults(values, arguments);
    int status = command_parse("eval", &argp, argc, argv, arguments);
    if (status == 0 && check_usage(arguments) < 0)
        status = command_usage("eval", err_last());
    if (status == 0)
        status = command_check_products();
    if (status == 0)
        status = eval(arguments);
    free(arguments);
    return status;
}

const struct command command_eval = {
    .name = "eval",
    .title = "score a run at any lengths",
    .run = run_command,
};
