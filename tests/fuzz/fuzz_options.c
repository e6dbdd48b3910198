// Fuzzing what stands behind options: KEY=VALUE texts, stacks of encodings, lists.
//
// The first line of an input says what the others are for: "pe NAME+NAME", "task NAME LENGTH",
// "optimizer NAME", "train" (a line "KEY VALUE" each), "lengths" or "seeds" (a list each).
// Reaches: every option table of every encoding, task and optimizer through options_set_pair and
// options_get; pe_stack_init; dataset_open of tasks without a file and their rows;
// train_settings_assign; length_list_read and seeds_parse.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../src/cli/length_list.h"
#include "../../src/cli/seeds.h"
#include "input.h"

enum { MAX_PAIRS = 32, MAX_LENGTH = 128 };

struct pairs {
    int count;
    const char *pair[MAX_PAIRS];
};

static struct pairs take_pairs(char *rest)
{
    struct pairs pairs = {0};
    for (char *line; pairs.count < MAX_PAIRS && (line = fuzz_line(&rest));)
        pairs.pair[pairs.count++] = line;
    return pairs;
}

static double real_of(const struct option_def *option, const void *settings)
{
    double x = 0;
    if (option->type == OPTION_REAL)
        memcpy(&x, (const char *)settings + option->offset, sizeof x);
    return x;
}

// Whatever a table took reads back to the same, reals to the last bit.
static void check_table(const struct option_def *table, void *settings)
{
    char value[OPTION_TEXT], again[OPTION_TEXT];
    for (const struct option_def *o = table; o && o->key; o++) {
        double x = real_of(o, settings);
        int size = options_get(o, settings, value, sizeof value);
        BUG_ON(size < 0 || size != (int)strlen(value));
        BUG_ON(options_set(table, settings, "again", o->key, value) < 0);
        BUG_ON(real_of(o, settings) != x);
        BUG_ON(options_get(o, settings, again, sizeof again) != size);
        BUG_ON(strcmp(value, again) != 0);
    }
}

static void try_stack(const char *name, char *rest)
{
    struct pe_stack stack;
    struct pairs pairs = take_pairs(rest);
    int code = pe_stack_init(&stack, name, pairs.count, pairs.pair);
    fuzz_judge(code);
    if (code < 0)
        return;
    for (int i = 0; i < stack.count; i++)
        check_table(stack.def[i]->options, stack.settings[i]);
    pe_stack_release(&stack);
}

static void try_task(char *name, char *rest)
{
    struct dataset dataset;
    struct pairs pairs = take_pairs(rest);
    char *space = strchr(name, ' ');
    if (space)
        *space = '\0';
    long length = space ? strtol(space + 1, NULL, 10) : 0;
    struct dataset_request request = {.task = name,
                                      .length = length < MAX_LENGTH ? length : MAX_LENGTH,
                                      .train_length = space && strchr(space + 1, ' ') ? 16 : 0,
                                      .seed = 1,
                                      .pair_count = pairs.count,
                                      .pairs = pairs.pair};
    int code = dataset_open(&dataset, &request);
    fuzz_judge(code);
    if (code < 0)
        return;
    check_table(dataset.task->options, dataset.settings);
    fuzz_rows(&dataset);
    dataset_close(&dataset);
}

static void try_optimizer(const char *name, char *rest)
{
    const struct optimizer_def *def = optimizer_find(name);
    fuzz_judge(def ? 0 : ERR_ARGUMENT);
    if (!def)
        return;
    void *settings = calloc(1, def->settings_size + 1);
    BUG_ON(!settings);
    options_defaults(def->options, settings);
    for (char *line; (line = fuzz_line(&rest));)
        fuzz_judge(options_set_pair(def->options, settings, "--optimizer-opt", line));
    check_table(def->options, settings);
    free(settings);
}

static void try_train(char *rest)
{
    static struct train_settings settings;
    char folder[OPTION_TEXT];
    train_settings_init(&settings);
    for (char *line; (line = fuzz_line(&rest));) {
        char *space = strchr(line, ' ');
        if (space)
            *space = '\0';
        fuzz_judge(train_settings_assign(&settings, line, space ? space + 1 : ""));
    }
    check_table(train_options, &settings);
    fuzz_judge(train_settings_check(&settings));
    fuzz_judge(train_settings_folder(&settings, folder, sizeof folder));
}

static void try_lengths(char *rest)
{
    struct length_list list = {0};
    for (char *line; (line = fuzz_line(&rest));)
        fuzz_judge(length_list_read(&list, line));
    for (int i = 1; i < list.count; i++)
        BUG_ON(list.length[i] <= list.length[i - 1]);
}

static void try_seeds(char *rest)
{
    static struct seeds seeds;
    for (char *line; (line = fuzz_line(&rest));)
        fuzz_judge(seeds_parse(&seeds, line));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), *rest = text, *first = fuzz_line(&rest);
    if (strncmp(first, "pe ", 3) == 0)
        try_stack(first + 3, rest);
    else if (strncmp(first, "task ", 5) == 0)
        try_task(first + 5, rest);
    else if (strncmp(first, "optimizer ", 10) == 0)
        try_optimizer(first + 10, rest);
    else if (strcmp(first, "train") == 0)
        try_train(rest);
    else if (strcmp(first, "lengths") == 0)
        try_lengths(rest);
    else if (strcmp(first, "seeds") == 0)
        try_seeds(rest);
    free(text);
    return 0;
}
