// How a run begins: anew, or where it was; and how it is put away.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../io/h5file.h"
#include "run_folder.h"
#include "run_inside.h"

void run_clear(struct run *run, const struct run_observer *observer)
{
    memset(run, 0, sizeof *run);
    run->trainer.lock = run->metrics = -1;
    tensorboard_init(&run->tensorboard, -1, 0);
    run->saved_step = run->evaluated_step = -1;
    run_no_best(&run->best);
    if (observer)
        run->observer = *observer;
    history_init(&run->history);
}

int run_set_folder(struct run *run, const char *folder)
{
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    if (length >= sizeof run->folder)
        return err_set(ERR_ARGUMENT, "the name of the run folder is too long");
    memcpy(run->folder, folder, length);
    run->folder[length] = '\0';
    snprintf(run->checkpoint, sizeof run->checkpoint, "%s/checkpoint.h5", run->folder);
    return 0;
}

static int write_config(const struct run *run, const char *text)
{
    char path[OPTION_TEXT + 64];
    snprintf(path, sizeof path, "%s/config.json", run->folder);
    return file_publish(path, text, strlen(text));
}

int run_write_config(const struct run *run)
{
    char *text = train_settings_to_json(&run->trainer.settings);
    int code = text ? write_config(run, text) : err_code();
    free(text);
    return code;
}

// Said once, at the start: where parts of a batch round other than the whole.
static void say_rounded(const struct run *run)
{
    const char *first = ag_plan_rounded(run->trainer.train.plan);
    if (first)
        run_say(run, RUN_NOTICE,
                "--accumulate %lld: %s adds up its rows in other runs than for the whole batch, so "
                "that "
                "the result is equal to rounding, not to the bit",
                (long long)run->trainer.settings.accumulate, first);
}

// What the task left out of the data.
void run_say_data(const struct run *run)
{
    if (run->trainer.dataset.notice[0])
        run_say(run, RUN_NOTICE, "%s", run->trainer.dataset.notice);
}

int run_start(struct run *run, const struct train_settings *settings, bool overwrite,
              const struct run_observer *observer)
{
    char folder[OPTION_TEXT];
    run_clear(run, observer);
    // The model is made first, and the text of config.json: a mistake in the settings touches no
    // folder.
    int code = trainer_init(&run->trainer, settings);
    char *config = code == 0 ? train_settings_to_json(&run->trainer.settings) : NULL;
    if (code == 0 && !config)
        code = err_code();
    if (code == 0)
        code = train_settings_folder(settings, folder, sizeof folder);
    if (code == 0)
        code = run_set_folder(run, folder);
    if (code == 0) {
        run->trainer.lock = run_folder_create(run->folder, overwrite);
        code = run->trainer.lock < 0 ? run->trainer.lock : 0;
    }
    if (code == 0 && config)
        code = write_config(run, config);
    if (code == 0)
        code = run_open_metrics(run);
    free(config);
    if (code < 0)
        run_release(run);
    else {
        if (settings->tensorboard)
            tensorboard_init(&run->tensorboard, run->trainer.lock, 0);
        run_say_data(run);
        say_rounded(run);
    }
    return code;
}

// --- going on where there is a run, else starting one

enum { MOST_GIVEN = 64 + 6 * TRAIN_MAX_PAIRS };

struct all_settings {
    int count;
    struct run_setting given[MOST_GIVEN];
    char text[MOST_GIVEN][OPTION_TEXT];
};

static void give(struct all_settings *all, const char *key, const char *value)
{
    BUG_ON(all->count == MOST_GIVEN);
    all->given[all->count++] = (struct run_setting){key, value};
}

// As if all of them had been typed, but for those of the machine.
static int give_all(struct all_settings *all, const struct train_settings *s)
{
    for (const struct option_def *row = train_options; row->key; row++) {
        if (strcmp(row->key, "out-dir") == 0 || strcmp(row->key, "threads") == 0)
            continue;
        int code = options_get(row, s, all->text[all->count], OPTION_TEXT);
        if (code < 0)
            return code;
        give(all, row->key, all->text[all->count]);
    }
    for (int k = 0; k < train_list_count; k++)
        for (int i = 0; i < train_list_length(&train_lists[k], s); i++)
            give(all, train_lists[k].key, train_list_text(&train_lists[k], s, i));
    return 0;
}

// What was given is in the run; what the run has beside that was not given.
static int check_lists(const struct run *run, const struct train_settings *s)
{
    const struct train_settings *is = &run->trainer.settings;
    for (int k = 0; k < train_list_count; k++) {
        const struct train_list *list = &train_lists[k];
        if (list->form != TRAIN_DIGESTS &&
            train_list_length(list, is) != train_list_length(list, s))
            return err_set(ERR_ARGUMENT,
                           "%s was started with another number of --%s; give the same, or another "
                           "--out-dir",
                           run->folder, list->key);
    }
    return 0;
}

static int resume_as(struct run *run, const char *folder, const struct train_settings *settings,
                     const struct run_observer *observer)
{
    struct all_settings *all = calloc(1, sizeof *all);
    if (!all)
        return err_set(ERR_MEMORY, "out of memory for the settings of a run");
    int code = give_all(all, settings);
    if (code == 0)
        code = run_resume(run, folder, all->count, all->given, observer);
    if (code == 0) {
        code = check_lists(run, settings);
        if (code < 0)
            run_release(run);
    }
    free(all);
    return code < 0 ? err_prefix(code, "%s", folder) : 0;
}

int run_go_on(struct run *run, const struct train_settings *settings, bool overwrite,
              const struct run_observer *observer)
{
    char folder[OPTION_TEXT];
    int code = train_settings_folder(settings, folder, sizeof folder);
    if (code < 0)
        return code;
    enum run_folder_state state = run_folder_look(folder);
    if (state == RUN_FOLDER_SAVED && !overwrite)
        return resume_as(run, folder, settings, observer);
    return run_start(run, settings, overwrite || state == RUN_FOLDER_BEGUN, observer);
}

void run_release(struct run *run)
{
    saver_release(&run->saver);
    if (run->metrics >= 0)
        close(run->metrics);
    tensorboard_release(&run->tensorboard);
    history_release(&run->history);
    trainer_release(&run->trainer);
    run->metrics = -1;
}
