// Running a recipe: every training is a process of `posgrad train`, and every score one of `posgrad
// eval`, as many at a time as there are processors.
//
// One thread each: models this small gain more from another training beside them than from a second
// thread, and the bits are the same. Each training has a folder of its own, whose name is made of
// the table's words; what is complete there is not done again, and what was stopped goes on.
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../io/h5file.h"
#include "../io/json_memory.h"
#include "../train/run_folder.h"
#include "../train/statistics.h"
#include "recipe.h"

enum { TEXT = 2048, WORDS = 160, PATH = 1200, MAX_JOBS = 64, MAX_SLOTS = 64, MAX_SAID = 1 << 24 };

// --- words

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

// Joins what is not empty by spaces.
static int join(char *text, size_t size, int count, const char *const *part)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < count; i++) {
        const char *p = or_empty(part[i]);
        if (!*p)
            continue;
        int length = snprintf(text + used, size - used, "%s%s", used ? " " : "", p);
        if (length < 0 || (size_t)length >= size - used)
            return err_set(ERR_ARGUMENT, "the options of a recipe are longer than %zu bytes",
                           size - 1);
        used += (size_t)length;
    }
    return 0;
}

// Cuts `text` at its spaces; a NULL ends `word`.
static int cut(char *text, char *word[WORDS], int count)
{
    char *rest = NULL;
    for (char *p = strtok_r(text, " ", &rest); p; p = strtok_r(NULL, " ", &rest)) {
        if (count == WORDS - 1)
            return err_set(ERR_ARGUMENT, "a recipe has more than %d words for a command", WORDS);
        word[count++] = p;
    }
    word[count] = NULL;
    return 0;
}

// Whether `word` is an option that counts once: not one of the lists of pairs.
static bool counts_once(const char *word)
{
    size_t size = strlen(word);
    return strncmp(word, "--", 2) == 0 && (size < 4 || strcmp(word + size - 4, "-opt") != 0);
}

// Leaves out each option that is given again further on: what is nearer to the cell wins.
static int drop_repeated(char *text, size_t size)
{
    char copy[TEXT], *word[WORDS];
    const char *kept[WORDS];
    int count = 0;
    snprintf(copy, sizeof copy, "%s", text);
    int code = cut(copy, word, 0);
    for (int i = 0; code == 0 && word[i]; i++) {
        bool again = false;
        for (int k = i + 1; counts_once(word[i]) && word[k]; k++)
            again |= strcmp(word[i], word[k]) == 0;
        if (!again)
            kept[count++] = word[i];
        else
            i += word[i + 1] && strncmp(word[i + 1], "--", 2) != 0;
    }
    return code == 0 ? join(text, size, count, kept) : code;
}

int recipe_commands(const struct recipe_request *r, int row, int column, int seed, char *train,
                    char *eval, size_t size)
{
    const struct recipe_def *recipe = r->recipe;
    const struct recipe_part *in_row = &recipe->row[row], *in_column = &recipe->column[column];
    char last[64];
    snprintf(last, sizeof last, "--seed %lld", (long long)(r->first_seed + seed));
    int code = join(train, size, 6,
                    (const char *const[]){recipe->train, r->full ? recipe->full : recipe->small,
                                          in_row->train, in_column->train, r->train, last});
    if (code == 0)
        code = drop_repeated(train, size);
    if (code == 0)
        code =
            join(eval, size, 3, (const char *const[]){recipe->eval, in_row->eval, in_column->eval});
    return code;
}

// --- trainings

// Letters and digits of `text`, and a dash for what is between them.
static void append_slug(char *path, size_t size, const char *text)
{
    size_t used = strlen(path);
    bool dash = false;
    for (; *text && used + 2 < size; text++) {
        if (!isalnum((unsigned char)*text)) {
            dash = used > 0 && path[used - 1] != '/';
            continue;
        }
        if (dash)
            path[used++] = '-';
        dash = false;
        path[used++] = (char)tolower((unsigned char)*text);
    }
    path[used] = '\0';
}

// Where cells of one row are told apart by their evaluation alone, the column is not in the name.
static void folder_of(const struct recipe_request *r, int row, int column, int seed,
                      char folder[PATH])
{
    const struct recipe_def *recipe = r->recipe;
    snprintf(folder, PATH, "%s/", r->folder);
    append_slug(folder, PATH, recipe->row[row].name);
    if (recipe->column[column].train) {
        strncat(folder, "-", PATH - strlen(folder) - 1);
        append_slug(folder, PATH, recipe->column[column].name);
    }
    size_t used = strlen(folder);
    snprintf(folder + used, PATH - used, "-s%lld", (long long)(r->first_seed + seed));
}

// The first column of the row that trains as this one does: its training is shared.
static int first_alike(const struct recipe_def *recipe, int column)
{
    for (int c = 0; c < column; c++)
        if (strcmp(or_empty(recipe->column[c].train), or_empty(recipe->column[column].train)) == 0)
            return c;
    return column;
}

// A training and its scores are done one after the other by one slot.
struct job {
    int row, column, seed, step; // step 0 trains, step 1 + c scores column c
};
struct slot {
    pid_t pid;     // 0: idle
    int stream[3]; // what the process wrote to its descriptors 1 and 2, in memory; 0: none
    struct job job;
    char folder[PATH];
};
struct work {
    const struct recipe_request *request;
    struct slot slot[MAX_SLOTS];
    int next, all, done, running;
    bool told_to_stop;
};

static void score_file(const char *folder, int column, char path[PATH + 64])
{
    snprintf(path, PATH + 64, "%s/score-%d.json", folder, column);
}

static void forget(struct slot *slot)
{
    for (int fd = 1; fd <= 2; fd++) {
        if (slot->stream[fd])
            close(slot->stream[fd]);
        slot->stream[fd] = 0;
    }
}

static int open_streams(struct slot *slot)
{
    forget(slot);
    for (int fd = 1; fd <= 2; fd++) {
        int stream = memfd_create("stream", MFD_CLOEXEC);
        if (stream < 0)
            return err_set(ERR_FILE, "cannot hold what a process says: %s", strerror(errno));
        slot->stream[fd] = stream;
    }
    return 0;
}

// Standard streams of a process: nothing to read, and the two files in memory.
static int redirect(posix_spawn_file_actions_t *actions, const struct slot *slot)
{
    int failed = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    for (int fd = 1; fd <= 2 && !failed; fd++)
        failed = posix_spawn_file_actions_adddup2(actions, slot->stream[fd], fd);
    return failed;
}

static int spawn(struct work *w, struct slot *slot, char *const *word)
{
    extern char **environ;
    posix_spawn_file_actions_t actions;
    if (open_streams(slot) < 0)
        return err_code();
    if (posix_spawn_file_actions_init(&actions) != 0)
        return err_set(ERR_MEMORY, "out of memory to start a process");
    int failed = redirect(&actions, slot);
    if (!failed)
        failed = posix_spawn(&slot->pid, w->request->program, &actions, NULL, word, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed)
        slot->pid = 0;
    w->running += !failed;
    return failed ? err_set(ERR_FILE, "cannot start %s: %s", w->request->program, strerror(failed))
                  : 0;
}

static int start_training(struct work *w, struct slot *slot)
{
    static char posgrad[] = "posgrad", train[] = "train", quiet[] = "--quiet",
                one[] = "--threads=1", resume[] = "--resume", out[] = "--out-dir",
                over[] = "--overwrite", data[] = "--data";
    const struct recipe_request *r = w->request;
    char text[TEXT], eval[TEXT], file[PATH], *word[WORDS];
    bool resumed = run_folder_look(slot->folder) == RUN_FOLDER_SAVED;
    int code =
        recipe_commands(r, slot->job.row, slot->job.column, slot->job.seed, text, eval, TEXT);
    int count = 0;
    word[count++] = posgrad;
    word[count++] = train;
    word[count++] = quiet;
    word[count++] = one;
    word[count++] = resumed ? resume : out;
    word[count++] = slot->folder;
    if (!resumed)
        word[count++] = over;
    if (r->recipe->needs_text && r->data) {
        snprintf(file, sizeof file, "%s", r->data);
        word[count++] = data;
        word[count++] = file;
    }
    if (code == 0)
        code = cut(text, word, count);
    return code == 0 ? spawn(w, slot, word) : code;
}

static int start_score(struct work *w, struct slot *slot, int column)
{
    static char posgrad[] = "posgrad", eval[] = "eval", json[] = "--json", one[] = "--threads=1";
    char train[TEXT], text[TEXT], *word[WORDS];
    int code =
        recipe_commands(w->request, slot->job.row, column, slot->job.seed, train, text, TEXT);
    word[0] = posgrad;
    word[1] = eval;
    word[2] = slot->folder;
    word[3] = json;
    word[4] = one;
    if (code == 0)
        code = cut(text, word, 5);
    return code == 0 ? spawn(w, slot, word) : code;
}

static void tell(const struct work *w, enum recipe_event_type type, const char *folder)
{
    const struct recipe_request *r = w->request;
    struct recipe_event event = {type, folder, w->done, w->all};
    if (r->observe)
        r->observe(r->context, &event);
}

// --- the list of trainings, walked by number: every seed of every column of every row

static int count_trainings(const struct recipe_request *r)
{
    int columns = 0;
    for (int c = 0; c < r->recipe->columns; c++)
        columns += first_alike(r->recipe, c) == c;
    return columns * r->recipe->rows * r->seeds;
}

static struct job job_of(const struct recipe_request *r, int number)
{
    const struct recipe_def *recipe = r->recipe;
    struct job job = {.seed = number % r->seeds};
    number /= r->seeds;
    job.row = number % recipe->rows;
    number /= recipe->rows;
    for (int c = 0; c < recipe->columns; c++)
        if (first_alike(recipe, c) == c && number-- == 0)
            job.column = c;
    return job;
}

// The next column that is scored on this training, from `column` on; columns where there is none.
static int next_score(const struct recipe_def *recipe, const struct job *job, int column)
{
    while (column < recipe->columns && first_alike(recipe, column) != job->column)
        column++;
    return column;
}

static int begin(struct work *w, struct slot *slot)
{
    slot->job = job_of(w->request, w->next++);
    folder_of(w->request, slot->job.row, slot->job.column, slot->job.seed, slot->folder);
    tell(w, RECIPE_TRAINING, slot->folder);
    return start_training(w, slot);
}

// All that a process wrote to one of its files in memory, malloc'ed.
static int read_stream(int stream, const char *name, char **text)
{
    size_t size;
    lseek(stream, 0, SEEK_SET);
    return file_read_open(stream, name, MAX_SAID, text, &size);
}

// The last line of what the command said.
static int failed(const struct slot *slot, int status)
{
    char *text, *rest = NULL;
    const char *said = "failed and said nothing";
    int code = read_stream(slot->stream[2], slot->folder, &text);
    if (code < 0)
        return code;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (strncmp(line, "Try '", 5) != 0)
            said = strncmp(line, "posgrad: ", 9) == 0 ? line + 9 : line;
    if (WIFSIGNALED(status))
        err_set(ERR_FILE, "%s: ended by signal %d", slot->folder, WTERMSIG(status));
    else
        err_set(ERR_FILE, "%s: %s", slot->folder, said);
    free(text);
    return ERR_FILE;
}

// What eval told becomes the file of this score, whole or not at all.
static int save_score(const struct slot *slot, int column)
{
    char path[PATH + 64], *text;
    score_file(slot->folder, column, path);
    int code = read_stream(slot->stream[1], path, &text);
    if (code < 0)
        return code;
    code = file_publish(path, text, strlen(text));
    free(text);
    return code;
}

// What comes after the process of a slot that has ended well.
static int go_on(struct work *w, struct slot *slot)
{
    const struct recipe_def *recipe = w->request->recipe;
    int code = slot->job.step ? save_score(slot, slot->job.step - 1) : 0;
    if (code < 0)
        return code;
    int column = next_score(recipe, &slot->job, slot->job.step);
    if (column < recipe->columns) {
        slot->job.step = column + 1;
        return start_score(w, slot, column);
    }
    w->done++;
    tell(w, RECIPE_TRAINED, slot->folder);
    return 0;
}

static struct slot *slot_of(struct work *w, pid_t pid)
{
    for (int i = 0; i < MAX_SLOTS; i++)
        if (w->slot[i].pid == pid)
            return &w->slot[i];
    return NULL;
}

static int stop_of(const struct work *w)
{
    return w->request->stop ? *w->request->stop : 0;
}

// Stopped children save and end by themselves. A signal that this process got may have gone to all
// of its group: they get another kind, as the same kind twice is an end at once.
static void stop_children(struct work *w)
{
    int signal = stop_of(w) == SIGINT ? SIGTERM : SIGINT;
    w->told_to_stop = true;
    for (int i = 0; i < MAX_SLOTS; i++)
        if (w->slot[i].pid > 0)
            kill(w->slot[i].pid, signal);
}

static int wait_for_one(struct work *w, int code)
{
    static const struct timespec pause = {0, 20000000};
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid == 0 || (pid < 0 && errno == EINTR)) {
        nanosleep(&pause, NULL);
        return code;
    }
    struct slot *slot = pid > 0 ? slot_of(w, pid) : NULL;
    if (!slot)
        return code;
    slot->pid = 0;
    w->running--;
    if (code < 0 || w->told_to_stop || stop_of(w))
        return code;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return failed(slot, status);
    return go_on(w, slot);
}

static int run_all(struct work *w)
{
    const struct recipe_request *r = w->request;
    int jobs = r->jobs < MAX_SLOTS ? r->jobs : MAX_SLOTS, code = 0;
    struct slot *slot;
    while (w->running > 0 || (code == 0 && !w->told_to_stop && w->next < w->all)) {
        if ((code < 0 || stop_of(w)) && !w->told_to_stop)
            stop_children(w);
        while (code == 0 && !w->told_to_stop && w->running < jobs && w->next < w->all &&
               (slot = slot_of(w, 0)) != NULL)
            code = begin(w, slot);
        if (w->running > 0)
            code = wait_for_one(w, code);
    }
    if (code == 0 && w->told_to_stop)
        code = err_set(ERR_STOPPED, "stopped after %d of %d trainings", w->done, w->all);
    return code;
}

// --- the scores

// A cell is the last of the lengths that eval scored: one that cannot be would be an error alone.
static int read_score(const struct recipe_request *r, const char *folder, int column,
                      struct recipe_cell *cell)
{
    char path[PATH + 64], *text;
    size_t size;
    unsigned long failures = json_memory_failures();
    score_file(folder, column, path);
    int code = file_read(path, MAX_SAID, &text, &size);
    if (code < 0)
        return code;
    json_t *root = json_loads(text, 0, NULL);
    free(text);
    json_t *lengths = json_object_get(root, "lengths");
    json_t *row = json_array_get(lengths, json_array_size(lengths) - 1);
    json_t *value = json_object_get(row, r->recipe->metric);
    const char *what = json_string_value(json_object_get(row, "encoding"));
    snprintf(cell->what, sizeof cell->what, "%s", what ? what : "");
    if (json_is_number(value))
        cell->value[cell->count++] = json_number_value(value);
    bool good = json_is_object(row);
    json_decref(root);
    if (json_memory_check(failures) < 0)
        return err_prefix(ERR_MEMORY, "%s", path);
    return good ? 0 : err_set(ERR_FORMAT, "%s is not what `posgrad eval --json` writes", path);
}

static void judge(const struct recipe_def *recipe, struct recipe_cell *cells, int at)
{
    const struct recipe_expectation *expected = &recipe->expectation[at];
    struct recipe_cell *cell = &cells[at];
    bool bounded = !isnan(expected->low);
    cell->judged = bounded || expected->above > 0;
    cell->came = cell->count > 0;
    if (bounded && !(cell->mean >= expected->low && cell->mean <= expected->high))
        cell->came = false;
    int other = (expected->above - 1) * recipe->columns + at % recipe->columns;
    if (expected->above > 0 && !(cell->mean > cells[other].mean))
        cell->came = false;
}

static int read_cells(const struct recipe_request *r, struct recipe_cell *cells)
{
    const struct recipe_def *recipe = r->recipe;
    char folder[PATH];
    for (int row = 0; row < recipe->rows; row++)
        for (int column = 0; column < recipe->columns; column++) {
            int at = row * recipe->columns + column, code = 0;
            cells[at] = (struct recipe_cell){.count = 0};
            for (int seed = 0; seed < r->seeds && code == 0; seed++) {
                folder_of(r, row, first_alike(recipe, column), seed, folder);
                code = read_score(r, folder, column, &cells[at]);
            }
            if (code < 0)
                return code;
            interval_mean(cells[at].count, cells[at].value, &cells[at].mean);
        }
    for (int at = 0; at < recipe->rows * recipe->columns; at++)
        judge(recipe, cells, at);
    return 0;
}

int recipe_run(const struct recipe_request *request, struct recipe_cell *cells)
{
    struct work *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(ERR_MEMORY, "out of memory to run a recipe");
    w->request = request;
    w->all = count_trainings(request);
    int code = run_folders_make(request->folder);
    if (code == 0)
        code = run_all(w);
    for (int i = 0; i < MAX_SLOTS; i++)
        forget(&w->slot[i]);
    free(w);
    return code == 0 ? read_cells(request, cells) : code;
}
