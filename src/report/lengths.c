// Reports of an evaluation at several lengths: see lengths.h.
#include "lengths.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "json_text.h"
#include "plot.h"
#include "table.h"

#define NATS_A_BIT 0.69314718055994531

static bool has_bits(const struct length_report *report)
{
    return report->trainer->dataset.bits_per_byte;
}

// --- for people

// "1.000" is said only where nothing was wrong.
static double shown(double share)
{
    return share < 1 && share > 0.999 ? 0.999 : share;
}

static void headings(const struct length_report *report, struct table *table)
{
    static const char *const names[] = {"accuracy", "95 %",   "exact match", "95 %",
                                        "loss",     "chance", "rows",        "targets"};
    table_cell(table, "length");
    if (report->ways > 1)
        table_cell(table, "extend");
    table_cell(table, "encoding");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        table_cell(table, "%s", names[i]);
    if (has_bits(report))
        table_cell(table, "bits per byte");
}

static void share_cells(struct table *table, double share, struct interval interval)
{
    table_cell(table, "%.3f", shown(share));
    table_cell(table, "%.3f to %.3f", interval.low, shown(interval.high));
}

static void text_row(const struct length_report *report, const struct length_score *score,
                     struct table *table)
{
    table_cell(table, "%lld", (long long)score->length);
    if (report->ways > 1)
        table_cell(table, "%s", pe_extension_name[score->extension]);
    table_cell(table, "%s", score->reach);
    for (int i = 0; i < 8 + has_bits(report) && !score->scored; i++)
        table_cell(table, "-");
    if (!score->scored)
        return;
    share_cells(table, score->result.accuracy, score->accuracy);
    share_cells(table, score->result.exact_match, score->exact_match);
    table_cell(table, "%.4f", score->result.loss);
    table_cell(table, "%.3f", score->chance);
    table_cell(table, "%lld", (long long)score->result.rows);
    table_cell(table, "%lld", (long long)score->result.scored);
    if (has_bits(report))
        table_cell(table, "%.4f", score->result.loss / NATS_A_BIT);
}

// A reason that several ways share is said once.
static void print_reasons(const struct length_report *report, FILE *file)
{
    for (int i = 0; i < report->count; i++) {
        const struct length_score *score = &report->score[i];
        bool said = i % report->ways && strcmp(score->reason, score[-1].reason) == 0;
        if (!score->scored && !said)
            fprintf(file, "length %lld: %s\n", (long long)score->length, score->reason);
    }
}

int lengths_text(const struct length_report *report, FILE *file)
{
    const struct train_settings *s = &report->trainer->settings;
    struct table table;
    bool bits = has_bits(report);
    table_init(&table, report->ways > 1 ? bits ? "rllrrrrrrrrr" : "rllrrrrrrrr"
                       : bits           ? "rlrrrrrrrrr"
                                        : "rlrrrrrrrr");
    headings(report, &table);
    for (int i = 0; i < report->count; i++)
        text_row(report, &report->score[i], &table);
    fprintf(file, "%s on %s, trained at length %lld, step %lld; %s\n", s->pe, s->task,
            (long long)s->length, (long long)report->trainer->step,
            dataset_split_name[report->split]);
    int code = table_print(&table, file);
    print_reasons(report, file);
    table_release(&table);
    return code;
}

// --- for programs

// Fields of a row in the order of the columns; the same names in JSON.
enum { FIELDS = 11 };
static const char *const field_name[FIELDS] = {
    "accuracy",         "accuracy_low", "accuracy_high", "exact_match", "exact_match_low",
    "exact_match_high", "loss",         "bits_per_byte", "chance",      "rows",
    "targets",
};

// NaN where a row has no such field.
static void fields_of(const struct length_score *score, double field[FIELDS])
{
    const struct evaluation *result = &score->result;
    double bits = score->bits_per_byte ? result->loss / NATS_A_BIT : (double)NAN;
    const double values[FIELDS] = {
        result->accuracy,       score->accuracy.low,
        score->accuracy.high,   result->exact_match,
        score->exact_match.low, score->exact_match.high,
        result->loss,           bits,
        score->chance,          (double)result->rows,
        (double)result->scored,
    };
    for (int i = 0; i < FIELDS; i++)
        field[i] = score->scored ? values[i] : (double)NAN;
}

static void csv_row(const struct length_score *score, struct table *table)
{
    double field[FIELDS];
    fields_of(score, field);
    table_cell(table, "%lld", (long long)score->length);
    table_cell(table, "%s", pe_extension_name[score->extension]);
    table_cell(table, "%s", score->reach);
    for (int i = 0; i < FIELDS; i++)
        if (isnan(field[i]))
            table_cell(table, "%s", "");
        else
            table_cell(table, "%.17g", field[i]);
    table_cell(table, "%s", score->reason);
}

int lengths_csv(const struct length_report *report, FILE *file)
{
    struct table table;
    table_init(&table, "rllrrrrrrrrrrrl");
    table_cell(&table, "length");
    table_cell(&table, "extend");
    table_cell(&table, "encoding");
    for (int i = 0; i < FIELDS; i++)
        table_cell(&table, "%s", field_name[i]);
    table_cell(&table, "reason");
    for (int i = 0; i < report->count; i++)
        csv_row(&report->score[i], &table);
    int code = table_csv(&table, file);
    table_release(&table);
    return code;
}

static json_t *row_json(const struct length_score *score)
{
    double field[FIELDS];
    json_t *row = json_pack("{s:I, s:s, s:s, s:b}", "length", (json_int_t)score->length, "extend",
                            pe_extension_name[score->extension], "encoding", score->reach, "scored",
                            score->scored);
    fields_of(score, field);
    for (int i = 0; i < FIELDS && score->scored; i++) {
        bool whole = strcmp(field_name[i], "rows") == 0 || strcmp(field_name[i], "targets") == 0;
        if (strcmp(field_name[i], "bits_per_byte") == 0 && !score->bits_per_byte)
            continue;
        json_object_set_new(row, field_name[i],
                            whole                ? json_integer((json_int_t)field[i])
                            : isfinite(field[i]) ? json_real(field[i])
                                                 : json_null());
    }
    if (!score->scored)
        json_object_set_new(row, "reason", json_text(score->reason));
    return row;
}

json_t *lengths_json(const struct length_report *report)
{
    const struct train_settings *s = &report->trainer->settings;
    json_t *rows = json_array();
    for (int i = 0; i < report->count; i++)
        json_array_append_new(rows, row_json(&report->score[i]));
    return json_pack("{s:o, s:I, s:s, s:s, s:s, s:I, s:I, s:s, s:o}", "run", json_text(report->run),
                     "step", (json_int_t)report->trainer->step, "pe", s->pe, "task", s->task,
                     "arch", s->arch ? "decoder" : "encoder", "seed", (json_int_t)s->seed,
                     "train_length", (json_int_t)s->length, "split",
                     dataset_split_name[report->split], "lengths", rows);
}

// --- the picture

int lengths_plot(const struct length_report *report, FILE *file)
{
    int points = report->count / report->ways, ways = report->ways;
    double *y = malloc((size_t)(points * (ways + 1)) * sizeof *y), *chance;
    int64_t *x = malloc((size_t)points * sizeof *x);
    struct plot_series line[PE_EXTENSIONS];
    if (!y || !x) {
        free(y);
        free(x);
        return err_set(ERR_MEMORY, "out of memory for a picture");
    }
    chance = y + points * ways;
    for (int i = 0; i < points; i++) {
        x[i] = report->score[i * ways].length;
        chance[i] = (double)NAN;
        for (int w = 0; w < ways; w++) {
            const struct length_score *score = &report->score[i * ways + w];
            y[w * points + i] = score->scored ? score->result.accuracy : (double)NAN;
            chance[i] = score->scored ? score->chance : chance[i];
        }
    }
    for (int w = 0; w < ways; w++)
        line[w] = (struct plot_series){ways > 1 ? pe_extension_name[report->score[w].extension]
                                                : report->trainer->settings.pe,
                                       y + w * points};
    struct plot plot = {.title = "accuracy against length",
                        .points = points,
                        .x = x,
                        .chance = chance,
                        .trained = report->trainer->settings.length,
                        .series = ways,
                        .line = line};
    struct plot_style style = plot_style_of(file);
    plot_print(&plot, &style, file);
    free(y);
    free(x);
    return 0;
}
