// Settings of a run: one table gives the flags, the defaults, the JSON and the help.
#include "train.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../io/bytes.h"
#include "../io/json_memory.h"

#define AT(field) offsetof(struct train_settings, field)
#define MANY 1e15 // no count that a run could ever reach

const struct option_def train_options[] = {
    {"pe", OPTION_STRING, AT(pe), "", 0, 0, NULL, "position encoding, or a stack joined by +"},
    {"task", OPTION_STRING, AT(task), "", 0, 0, NULL, "what is learned"},
    {"arch", OPTION_CHOICE, AT(arch), "encoder", 0, 0, "encoder|decoder",
     "attention to both sides, or causal"},
    {"attention", OPTION_CHOICE, AT(attention), "softmax", 0, 0, "softmax|linear|relu2|l2|softmax1",
     "how logits become weights"},
    {"layers", OPTION_INT, AT(layers), "2", 1, 1024, NULL, "Transformer blocks"},
    {"heads", OPTION_INT, AT(heads), "4", 1, 4096, NULL, "attention heads a layer"},
    {"dim", OPTION_INT, AT(dim), "64", 1, 1 << 20, NULL, "width of the residual stream"},
    {"ff-dim", OPTION_INT, AT(ff_dim), "256", 1, 1 << 22, NULL, "width inside the MLP"},
    {"dropout", OPTION_REAL, AT(dropout), "0", 0, 0.999, NULL, "probability of dropping a unit"},
    {"tie", OPTION_BOOL, AT(tie), "no", 0, 0, NULL, "the head shares the token embedding"},
    {"length", OPTION_INT, AT(length), "32", 1, 1 << 20, NULL, "tokens a row"},
    {"batch-size", OPTION_INT, AT(batch_size), "32", 1, 1 << 20, NULL, "rows a step"},
    {"accumulate", OPTION_INT, AT(accumulate), "1", 1, 1 << 20, NULL,
     "parts of a batch, one after the other, in that much less memory; divides --batch-size. The "
     "bits "
     "are the whole batch's where no sum over rows is cut elsewhere; where one is, a line says so, "
     "and "
     "the result is equal to rounding"},
    {"steps", OPTION_INT, AT(steps), "1000", 1, MANY, NULL, "updates in all"},
    {"lr", OPTION_REAL, AT(lr), "1e-3", 0, 1e6, NULL, "highest learning rate"},
    {"schedule", OPTION_STRING, AT(schedule), "cosine", 0, 0, NULL,
     "how the learning rate goes after warm-up"},
    {"warmup", OPTION_INT, AT(warmup), "100", 0, MANY, NULL,
     "updates during which the learning rate rises"},
    {"optimizer", OPTION_STRING, AT(optimizer), "adamw", 0, 0, NULL, "update rule"},
    {"label-smoothing", OPTION_REAL, AT(label_smoothing), "0", 0, 0.999, NULL,
     "share of each target that is spread evenly over the vocabulary, in the loss of training "
     "only"},
    {"weight-decay", OPTION_REAL, AT(weight_decay), "0.01", 0, 1e6, NULL,
     "decoupled weight decay of matrices"},
    {"grad-clip", OPTION_REAL, AT(grad_clip), "1.0", 0, 1e30, NULL,
     "largest norm of the gradient (0: any)"},
    {"ema", OPTION_REAL, AT(ema), "0", 0, 0.9999999, NULL,
     "decay of a moving average of the weights; evaluations and tables are then of the average (0: "
     "none)"},
    {"curriculum", OPTION_INT, AT(curriculum), "0", 0, MANY, NULL,
     "steps over which the longest rows of training grow from the task's min_length to its "
     "max_length (0: all lengths from the first step on)"},
    {"seed", OPTION_INT, AT(seed), "0", 0, MANY, NULL, "start of all random numbers"},
    {"threads", OPTION_INT, AT(threads), "0", 0, 256, NULL,
     "threads, which change no bit of the result (0: all processors)"},
    {"data", OPTION_STRING, AT(data), "", 0, 0, NULL,
     "file that the task reads; of texts also a folder, or several of both joined by ':'"},
    {"out-dir", OPTION_STRING, AT(out_dir), "", 0, 0, NULL,
     "folder of the run (empty: runs/TASK-PE-sSEED)"},
    {"save-every", OPTION_INT, AT(save_every), "500", 0, MANY, NULL,
     "steps from checkpoint to checkpoint (0: only at the end)"},
    {"keep", OPTION_INT, AT(keep), "1", 1, 1e6, NULL,
     "checkpoints that stay: checkpoint.h5, and those before it as checkpoint-STEP.h5"},
    {"eval-every", OPTION_INT, AT(eval_every), "100", 0, MANY, NULL,
     "steps from evaluation to evaluation (0: only at the end)"},
    {"eval-batches", OPTION_INT, AT(eval_batches), "4", 1, 1 << 20, NULL, "batches an evaluation"},
    {"patience", OPTION_INT, AT(patience), "0", 0, MANY, NULL,
     "evaluations in a row that are no better than the best before the run ends itself (0: never); "
     "keeps the best, too"},
    {"early-stop-metric", OPTION_CHOICE, AT(early_stop_metric), "loss", 0, 0,
     "loss|accuracy|exact_match", "what of a validation makes it the best"},
    {"keep-best", OPTION_BOOL, AT(keep_best), "no", 0, 0, NULL,
     "keep the checkpoint of the best evaluation as best.h5 in the folder of the run"},
    {"init-resize", OPTION_CHOICE, AT(init_resize), "none", 0, 0,
     "none|truncate|interpolate|hierarchical",
     "how a table of positions from --init-from is made as long as the model's: its first rows; "
     "rows between its rows; n rows as n^2 (Su 2020)"},
    {"init-skip", OPTION_INT, AT(init_skip), "0", 0, 1 << 20, NULL,
     "rows to leave out at the beginning of a table of positions from --init-from (2 for RoBERTa)"},
    {"log-every", OPTION_INT, AT(log_every), "10", 0, MANY, NULL,
     "steps from log line to log line (0: none)"},
    {"tensorboard", OPTION_BOOL, AT(tensorboard), "no", 0, 0, NULL,
     "write what is logged into the folder of the run for TensorBoard, too (tensorboard --logdir "
     "runs)"},
    {0},
};

#define LIST(key, texts, text, form)                                                               \
    {                                                                                              \
        key, AT(texts), AT(text), sizeof((struct train_settings *)0)->text[0], form                \
    }
const struct train_list train_lists[] = {
    LIST("pe-opt", pe_opts, pe_opt, TRAIN_PAIRS),
    LIST("task-opt", task_opts, task_opt, TRAIN_PAIRS),
    LIST("optimizer-opt", optimizer_opts, optimizer_opt, TRAIN_PAIRS),
    LIST("init-from", init_froms, init_from, TRAIN_TEXTS),
    LIST("init-sha256", init_sha256s, init_sha256, TRAIN_DIGESTS),
    LIST("freeze", freezes, freeze, TRAIN_TEXTS),
};
enum { LISTS = sizeof train_lists / sizeof train_lists[0] };
const int train_list_count = LISTS;

const struct train_list *train_list_find(const char *key)
{
    for (int i = 0; i < LISTS; i++)
        if (name_index(&train_lists[i].key, 1, key) == 0)
            return &train_lists[i];
    return NULL;
}

int train_list_length(const struct train_list *list, const struct train_settings *settings)
{
    return *(const int *)(const void *)((const char *)settings + list->count);
}

const char *train_list_text(const struct train_list *list, const struct train_settings *settings,
                            int index)
{
    return (const char *)settings + list->first + (size_t)index * list->size;
}

void train_settings_init(struct train_settings *settings)
{
    memset(settings, 0, sizeof *settings);
    options_defaults(train_options, settings);
}

static bool is_digest(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

// What no text of the list can be.
static int check_text(const struct train_list *list, const char *text)
{
    const char *equals = strchr(text, '=');
    if (list->form == TRAIN_DIGESTS && !is_digest(text))
        return err_set(ERR_ARGUMENT, "--%s '%.80s' is no SHA-256: 64 digits of 0-9 and a-f",
                       list->key, text);
    if (list->form == TRAIN_PAIRS && (!equals || equals == text))
        return err_set(ERR_ARGUMENT, "--%s '%s' is not KEY=VALUE", list->key, text);
    return *text ? 0 : err_set(ERR_ARGUMENT, "--%s is given an empty text", list->key);
}

static int append_text(struct train_settings *settings, const struct train_list *list,
                       const char *text)
{
    int *count = (int *)(void *)((char *)settings + list->count);
    int code = check_text(list, text);
    if (code < 0)
        return code;
    if (*count == TRAIN_MAX_PAIRS)
        return err_set(ERR_ARGUMENT, "--%s is given more than %d times", list->key,
                       TRAIN_MAX_PAIRS);
    if (strlen(text) >= list->size)
        return err_set(ERR_ARGUMENT, "--%s '%.32s...' is longer than %d bytes", list->key, text,
                       (int)list->size - 1);
    strcpy((char *)settings + list->first + (size_t)*count * list->size, text);
    ++*count;
    return 0;
}

// Names are kept as the lists spell them, so that 'Learned' and an alias make the run that
// 'learned' makes, in the folder of that name. What no list has is left, for train_settings_check
// to refuse.
static void canonical_stack(char pe[OPTION_TEXT])
{
    char text[OPTION_TEXT];
    size_t used = 0;
    for (const char *p = pe;;) {
        char name[OPTION_TEXT];
        size_t size = strcspn(p, "+");
        memcpy(name, p, size);
        name[size] = '\0';
        const struct pe_def *def = pe_find(name);
        int length = snprintf(text + used, sizeof text - used, "%s%s", def ? def->name : name,
                              p[size] ? "+" : "");
        if (!def || length < 0 || (size_t)length >= sizeof text - used)
            return;
        used += (size_t)length;
        if (!p[size])
            break;
        p += size + 1;
    }
    strcpy(pe, text);
}

static void canonical(struct train_settings *settings)
{
    const struct task_def *task = task_find(settings->task);
    const struct optimizer_def *optimizer = optimizer_find(settings->optimizer);
    const struct schedule_def *schedule = schedule_find(settings->schedule);
    canonical_stack(settings->pe);
    if (task)
        strcpy(settings->task, task->name);
    if (optimizer)
        strcpy(settings->optimizer, optimizer->name);
    if (schedule)
        strcpy(settings->schedule, schedule->name);
}

static int set_option(struct train_settings *settings, const char *what, const char *key,
                      const char *value)
{
    int code = options_set(train_options, settings, what, key, value);
    if (code == 0)
        canonical(settings);
    return code;
}

int train_settings_assign(struct train_settings *settings, const char *key, const char *value)
{
    const struct train_list *list = train_list_find(key);
    if (list)
        return append_text(settings, list, value);
    return set_option(settings, NULL, key, value);
}

static int check_pe(const char *text)
{
    for (const char *p = text;;) {
        char name[OPTION_TEXT];
        size_t size = strcspn(p, "+");
        memcpy(name, p, size);
        name[size] = '\0';
        if (!pe_find(name))
            return ERR_ARGUMENT;
        if (!p[size])
            return 0;
        p += size + 1;
    }
}

static int check_together(const struct train_settings *s)
{
    if (s->batch_size % s->accumulate)
        return err_set(ERR_ARGUMENT,
                       "--accumulate %lld does not divide --batch-size %lld; all parts of a batch "
                       "have the same number of rows",
                       (long long)s->accumulate, (long long)s->batch_size);
    if (!s->init_froms && (s->init_resize || s->init_skip || s->init_sha256s))
        return err_set(ERR_ARGUMENT, "--%s is for the file of --init-from, and there is none",
                       s->init_resize ? "init-resize"
                       : s->init_skip ? "init-skip"
                                      : "init-sha256");
    if (s->init_sha256s > s->init_froms)
        return err_set(ERR_ARGUMENT,
                       "--init-sha256 is given more often than --init-from; it is one for each, in "
                       "the same order");
    if (s->patience && !s->eval_every)
        return err_set(ERR_ARGUMENT,
                       "--patience counts evaluations, and --eval-every 0 makes none; give both");
    return 0;
}

int train_settings_check(const struct train_settings *settings)
{
    if (!settings->pe[0])
        return err_set(ERR_ARGUMENT, "--pe is missing; 'posgrad list encodings' shows all");
    if (!settings->task[0])
        return err_set(ERR_ARGUMENT, "--task is missing; 'posgrad list tasks' shows all");
    if (check_pe(settings->pe) < 0 || !task_find(settings->task) ||
        !optimizer_find(settings->optimizer) || !schedule_find(settings->schedule))
        return ERR_ARGUMENT;
    return check_together(settings);
}

bool train_settings_keep_best(const struct train_settings *settings)
{
    return settings->keep_best || settings->patience > 0;
}

int train_settings_folder(const struct train_settings *settings, char *folder, size_t size)
{
    int length;
    if (settings->out_dir[0])
        length = snprintf(folder, size, "%s", settings->out_dir);
    else
        length = snprintf(folder, size, "runs/%s-%s-s%lld", settings->task, settings->pe,
                          (long long)settings->seed);
    if (length < 0 || (size_t)length >= size)
        return err_set(ERR_ARGUMENT, "the name of the run folder is too long; give --out-dir");
    return 0;
}

void train_settings_pairs(char (*pair)[OPTION_TEXT / 4], int count,
                          const char *pairs[TRAIN_MAX_PAIRS])
{
    for (int i = 0; i < count; i++)
        pairs[i] = pair[i];
}

// --- JSON. Keys are those of the table with "_" for "-", so that jq and Python take them as names.

static void put_key(FILE *file, const char *key)
{
    fputs("  \"", file);
    for (; *key; key++)
        putc(*key == '-' ? '_' : *key, file);
    fputs("\": ", file);
}

static int put_string(FILE *file, const char *key, const char *text)
{
    unsigned long failures = json_memory_failures();
    json_t *string = json_string(text);
    if (json_memory_check(failures) < 0) {
        json_decref(string);
        return ERR_MEMORY;
    }
    if (!string)
        return err_set(ERR_ARGUMENT, "--%s holds text that is not valid UTF-8", key);
    int result = json_dumpf(string, file, JSON_ENCODE_ANY);
    json_decref(string);
    return result == 0 ? 0 : err_set(ERR_MEMORY, "out of memory for the JSON of the settings");
}

// Numbers are put as options_get spells them: the shortest text that reads back to the same value.
static int put_option(FILE *file, const struct option_def *row,
                      const struct train_settings *settings)
{
    char text[OPTION_TEXT];
    if (row->type == OPTION_BOOL) {
        fputs(*(const bool *)((const char *)settings + row->offset) ? "true" : "false", file);
        return 0;
    }
    if (options_get(row, settings, text, sizeof text) < 0)
        return ERR_ARGUMENT;
    if (row->type == OPTION_STRING || row->type == OPTION_CHOICE)
        return put_string(file, row->key, text);
    fputs(text, file);
    return 0;
}

static int put_list(FILE *file, const struct train_list *list,
                    const struct train_settings *settings)
{
    int code = 0;
    putc('[', file);
    for (int i = 0; i < train_list_length(list, settings) && code == 0; i++) {
        fputs(i ? ", " : "", file);
        code = put_string(file, list->key, train_list_text(list, settings, i));
    }
    putc(']', file);
    return code;
}

static int put_all(FILE *file, const struct train_settings *settings)
{
    int code = 0;
    fputs("{\n", file);
    for (const struct option_def *row = train_options; row->key && code == 0; row++) {
        put_key(file, row->key);
        code = put_option(file, row, settings);
        fputs(",\n", file);
    }
    for (int i = 0; i < LISTS && code == 0; i++) {
        put_key(file, train_lists[i].key);
        code = put_list(file, &train_lists[i], settings);
        fputs(i + 1 < LISTS ? ",\n" : "\n", file);
    }
    fputs("}\n", file);
    return code;
}

char *train_settings_to_json(const struct train_settings *settings)
{
    struct bytes text = {0};
    FILE *file = bytes_stream(&text);
    int code = file ? put_all(file, settings) : 0;
    if (file)
        fclose(file);
    bytes_put(&text, "", 1);
    if (code == 0 && (!file || text.failed))
        code = err_set(ERR_MEMORY, "out of memory for the JSON of the settings");
    if (code == 0)
        return (char *)text.at;
    free(text.at);
    return NULL;
}

static int no_list(const struct train_list *list)
{
    return err_set(ERR_ARGUMENT, "config: '%s' must be a list of %s", list->key,
                   list->form == TRAIN_PAIRS ? "\"KEY=VALUE\"" : "texts");
}

static int read_list(struct train_settings *settings, const struct train_list *list,
                     const json_t *value)
{
    *(int *)(void *)((char *)settings + list->count) = 0;
    if (!json_is_array(value))
        return no_list(list);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *pair = json_string_value(json_array_get(value, i));
        if (!pair)
            return no_list(list);
        int code = append_text(settings, list, pair);
        if (code < 0)
            return code;
    }
    return 0;
}

static int read_value(struct train_settings *settings, const char *key, const json_t *value)
{
    char text[64];
    const char *typed = text;
    const struct train_list *list = train_list_find(key);
    if (list)
        return read_list(settings, list, value);
    switch (json_typeof(value)) {
    case JSON_STRING:
        typed = json_string_value(value);
        break;
    case JSON_INTEGER:
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
        break;
    case JSON_REAL:
        snprintf(text, sizeof text, "%.17g", json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        typed = json_is_true(value) ? "yes" : "no";
        break;
    default:
        return err_set(ERR_ARGUMENT, "config: '%s' must be a number, a text, or true or false",
                       key);
    }
    return set_option(settings, "config", key, typed);
}

int train_settings_from_json(struct train_settings *settings, const char *text)
{
    json_error_t error;
    unsigned long failures = json_memory_failures();
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (json_memory_check(failures) < 0) {
        json_decref(root);
        return ERR_MEMORY;
    }
    if (!root)
        return err_set(ERR_FORMAT, "config: line %d: %s", error.line, error.text);
    int code = 0;
    if (!json_is_object(root))
        code = err_set(ERR_FORMAT, "config: a JSON object is wanted");
    for (void *at = json_object_iter(root); at && code == 0; at = json_object_iter_next(root, at))
        code = read_value(settings, json_object_iter_key(at), json_object_iter_value(at));
    json_decref(root);
    return code;
}
