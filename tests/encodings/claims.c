// make claims: trains the table of the probe and sets accuracy beside what the theorem says.
//
// Every encoding, and the stacks, options and normalisers of tests/support/theorem.c, each as
// encoder and decoder, with a start token and without. Cells train side by side, each in one
// thread: what is parallel within a cell runs there in order. A cell where all rows are equal must
// stay at chance, one where all may differ must reach 1.000, and one that only marks the borders
// must name those and no more. Exit status 1 if a cell disagrees.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../autograd/kernels/blas.h"
#include "../../src/train/train.h"
#include "../support/theorem.h"

enum { TOKENS = 12, CELLS = 4, STEPS = 3000, LOOK_EVERY = 100 };

struct cell {
    struct theorem_row row;
    bool causal, start_token, meaningful;
    enum pe_rows verdict;
    int code;
    double accuracy, loss;
    char message[256];
};

static int settings_of(const struct cell *cell, struct train_settings *s)
{
    char length[16];
    snprintf(length, sizeof length, "%d", TOKENS + cell->start_token);
    const char *const given[][2] = {{"pe", cell->row.pe},
                                    {"task", "probe"},
                                    {"arch", cell->causal ? "decoder" : "encoder"},
                                    {"attention", cell->row.attention},
                                    {"length", length},
                                    {"layers", "2"},
                                    {"heads", "4"},
                                    {"dim", "32"},
                                    {"ff-dim", "64"},
                                    {"batch-size", "1"},
                                    {"eval-batches", "1"},
                                    {"lr", "3e-3"},
                                    {"warmup", "50"},
                                    {"steps", "3000"},
                                    {"threads", "0"},
                                    {"task-opt", cell->start_token ? "bos=1" : "bos=0"}};
    train_settings_init(s);
    int code = 0;
    for (size_t i = 0; i < sizeof given / sizeof given[0] && code == 0; i++)
        code = train_settings_assign(s, given[i][0], given[i][1]);
    if (code == 0 && cell->row.option)
        code = train_settings_assign(s, "pe-opt", cell->row.option);
    // Twelve tokens are a grid of three rows; a start token would make them none.
    if (code == 0 && cell->row.on_grid)
        code = train_settings_assign(s, "pe-opt", "grid_height=3");
    return code;
}

// Trains until the probe is solved, or to the end.
static int train(struct cell *cell, struct trainer *trainer)
{
    struct train_step_result step;
    struct evaluation evaluation;
    for (int i = 1; i <= STEPS; i++) {
        int code = trainer_step(trainer, &step);
        if (code < 0)
            return code;
        if (i % LOOK_EVERY)
            continue;
        code = trainer_evaluate(trainer, DATASET_VALIDATION, 1, &evaluation);
        if (code < 0)
            return code;
        cell->accuracy = evaluation.accuracy;
        cell->loss = evaluation.loss;
        if (cell->accuracy == 1)
            break;
    }
    return 0;
}

static void run_cell(void *context, int64_t piece, int thread)
{
    (void)thread;
    struct cell *cell = (struct cell *)context + piece;
    struct train_settings *settings = malloc(sizeof *settings);
    struct trainer *trainer = calloc(1, sizeof *trainer);
    if (!cell->meaningful || !settings || !trainer) {
        cell->code = cell->meaningful ? ERR_MEMORY : 0;
        free(settings);
        free(trainer);
        return;
    }
    cell->code = settings_of(cell, settings);
    if (cell->code == 0)
        cell->code = trainer_init(trainer, settings);
    if (cell->code == 0) {
        cell->code = train(cell, trainer);
        trainer_release(trainer);
    }
    if (cell->code < 0)
        snprintf(cell->message, sizeof cell->message, "%s", err_last());
    free(settings);
    free(trainer);
}

// Equal rows get one answer between them. The best is to give each class the same probability: a
// loss of log 12, and an accuracy that rounding decides, as all classes tie. Borders of one
// convolution of three taps, one row from either end, add two answers, a second convolution two
// more, and a start token has a border of its own. A row and its mirror image share one answer of
// two classes that tie: a loss of log 2.
static bool agrees(const struct cell *cell)
{
    double one = 1.0 / TOKENS, slack = 0.5 / TOKENS;
    switch (cell->verdict) {
    case PE_ROWS_EQUAL:
        return cell->loss > log((double)TOKENS) - 1e-3;
    case PE_ROWS_BORDERS:
        return cell->accuracy > one + slack && cell->accuracy <= 6 * one + slack;
    case PE_ROWS_MIRRORED:
        return cell->accuracy > one + slack && cell->loss > log(2.0) - 1e-3;
    case PE_ROWS_DIFFER:
        return cell->accuracy == 1;
    }
    return false;
}

// One line: "1.000 ok", "0.083 ok", "-" for a cell without a meaning. Returns whether all agree.
static bool print_row(const struct cell *cell)
{
    static const char *const theory[] = {"chance", "borders", "mirror", "all"};
    char text[96];
    bool good = true;
    printf("%-34s", theorem_row_text(&cell->row, text));
    for (int k = 0; k < CELLS; k++, cell++) {
        if (!cell->meaningful) {
            printf("  %-19s", "-");
            continue;
        }
        bool fine = cell->code == 0 && agrees(cell);
        printf("  %.3f %-7s %-5s", cell->accuracy, theory[cell->verdict], fine ? "ok" : "WRONG");
        good = good && fine;
        if (cell->code < 0)
            printf(" (%s)", cell->message);
    }
    putchar('\n');
    return good;
}

int main(int argc, char **argv)
{
    blas_mend(argv);
    par_set_threads(0);
    const char *only = argc > 1 ? argv[1] : "";
    int rows = theorem_rows(), count = 0;
    struct cell *cell = calloc((size_t)(rows * CELLS), sizeof *cell);
    if (!cell)
        return 1;
    for (int i = 0; i < rows; i++) {
        struct theorem_row row = theorem_row(i);
        if (strncmp(row.pe, only, strlen(only)) != 0)
            continue;
        for (int k = 0; k < CELLS; k++, count++) {
            cell[count] = (struct cell){.row = row, .causal = k & 1, .start_token = k & 2};
            if (theorem_verdict(&row, k & 1, k & 2, &cell[count].meaningful, &cell[count].verdict) <
                0) {
                fprintf(stderr, "%s\n", err_last());
                return 1;
            }
        }
    }
    par_run(count, run_cell, cell);
    printf("accuracy on %d equal tokens (chance %.3f) and what theory says can be told apart\n\n"
           "%-34s  %-19s  %-19s  %-19s  %-19s\n",
           TOKENS, 1.0 / TOKENS, "", "encoder", "decoder", "encoder, start", "decoder, start");
    int wrong = 0;
    for (int i = 0; i < count; i += CELLS)
        wrong += !print_row(cell + i);
    printf("\n%d rows, %d wrong\n", count / CELLS, wrong);
    free(cell);
    return wrong ? 1 : 0;
}
