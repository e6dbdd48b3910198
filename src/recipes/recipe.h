// Recipes: a published experiment each, at a size that two cores finish, as a table with an
// expected end.
//
// A recipe is data: the rows and columns of its table, what each adds to the options of `posgrad
// train` and `posgrad eval`, and what is expected of each cell. Cells that train alike share a
// training. Nothing but the two commands is run, so whatever a recipe shows can be had by hand.
#ifndef POSGRAD_RECIPE_H
#define POSGRAD_RECIPE_H

#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct recipe_part {
    const char *name;  // of the row or column
    const char *train; // options of train, words parted by spaces
    const char *eval;  // options of eval; NULL: none
};

// What a cell is expected to be: within [low, high], both NAN where nothing is claimed, and more
// than its column has in row `above`, counted from 1.
struct recipe_expectation {
    double low, high;
    double source; // the source's own number; NAN where none is certain
    int above;     // 0: no such claim
};
#define NO_NUMBER ((double)NAN)
#define EXPECT_NOTHING                                                                             \
    {                                                                                              \
        NO_NUMBER, NO_NUMBER, NO_NUMBER, 0                                                         \
    }
#define EXPECT(low, high)                                                                          \
    {                                                                                              \
        low, high, NO_NUMBER, 0                                                                    \
    }
#define EXPECT_ABOVE(row)                                                                          \
    {                                                                                              \
        NO_NUMBER, NO_NUMBER, NO_NUMBER, row                                                       \
    }
#define EXPECT_SOURCE(value, row)                                                                  \
    {                                                                                              \
        NO_NUMBER, NO_NUMBER, value, row                                                           \
    } // and more than `row`, or 0

struct recipe_def {
    const char *name, *title;
    const char *source;       // authors, year, where
    const char *question;     // what it asks, a sentence
    const char *expected;     // what the source or the mathematics says
    const char *remark;       // what differs from the source, and what of it is not known
    const char *metric;       // "accuracy" or "exact_match" of the evaluation
    const char *train, *eval; // options of all cells
    const char *small, *full; // options of train at the two sizes: ours, and the paper's
    bool needs_text;          // --data is a text
    int rows, columns;
    const struct recipe_part *row, *column;
    const struct recipe_expectation *expectation; // [rows, columns]
};

extern const struct recipe_def *const recipe_list[];
extern const int recipe_count;
const struct recipe_def *recipe_find(const char *name); // NULL, and err_set with the nearest

// --- running one

#define RECIPE_MAX_SEEDS 32

enum recipe_event_type {
    RECIPE_TRAINING, // a training begins or goes on
    RECIPE_TRAINED,  // and was ended and scored
    RECIPE_STOPPED,  // a signal asked for the end
};
struct recipe_event {
    enum recipe_event_type type;
    const char *folder;
    int done, all; // trainings
};

struct recipe_request {
    const struct recipe_def *recipe;
    const char *program; // the file that is `posgrad`
    const char *folder;  // of all runs; made where it is missing
    const char *data;    // for needs_text
    const char *train;   // options of train that are added to all others; NULL for none
    bool full;
    int seeds, jobs; // trainings of each cell; processes at a time
    int64_t first_seed;
    volatile sig_atomic_t *stop; // set from a signal handler: what runs is stopped, and saved
    void (*observe)(void *context, const struct recipe_event *event);
    void *context;
};

struct recipe_cell {
    int count; // seeds that gave a number; fewer than asked where the cell is not defined
    double value[RECIPE_MAX_SEEDS];
    double mean;
    char what[64];     // what the encoding did there, in the words of eval
    bool judged, came; // whether something was expected, and came
};

// The words that train and eval would be given for a cell; what `--dry-run` shows.
int recipe_commands(const struct recipe_request *request, int row, int column, int seed,
                    char *train, char *eval, size_t size);
// Trains and scores whatever is not there yet. `cells` [rows, columns] is filled. ERR_STOPPED after
// a stop; other codes with the line of the command that failed.
int recipe_run(const struct recipe_request *request, struct recipe_cell *cells);

#endif
