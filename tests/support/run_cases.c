// The cases are counted through the lists, one list after the other.
#include "run_cases.h"

#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "check.h"
#include "settings.h"

// What options add to a run, beside what encodings, tasks, optimizers and schedules do. One with
// several settings has them as one word each.
static const struct feature {
    const char *name;
    const char *set[6][2];
} features[] = {
    {"ema", {{"ema", "0.9"}}},
    {"accumulate", {{"accumulate", "2"}}},
    {"curriculum", {{"task-opt", "min_length=1"}, {"curriculum", "20"}}},
    {"no dropout", {{"dropout", "0"}}},
    {"label smoothing", {{"label-smoothing", "0.1"}}},
    {"tie", {{"tie", "yes"}}},
    {"no clipping", {{"grad-clip", "0"}}},
    {"nesterov", {{"optimizer", "sgd"}, {"optimizer-opt", "nesterov=yes"}}},
    {"best.h5", {{"keep-best", "yes"}, {"eval-every", "1"}}},
    {"drawn positions", {{"pe", "random-positions+t5"}}},
    {"shifted positions", {{"pe", "shift-positions+learned"}}},
    {"two of a kind", {{"pe", "t5+urpe"}}},
    {"trained frequencies", {{"pe", "rope"}, {"pe-opt", "trainable=yes"}}},
    {"all",
     {{"ema", "0.9"},
      {"accumulate", "2"},
      {"task-opt", "min_length=1"},
      {"curriculum", "20"},
      {"label-smoothing", "0.1"},
      {"keep-best", "yes"}}},
};
enum {
    FEATURES = sizeof features / sizeof features[0],
    ATTENTIONS = AG_SOFTMAX1 + 1,
};

int run_case_count(void)
{
    return pe_count + task_count + optimizer_count * schedule_count + ATTENTIONS + FEATURES;
}

static void set_feature(struct train_settings *settings, const struct feature *feature,
                        char name[160])
{
    settings_set(settings, "pe", "t5");
    settings_set(settings, "task", "copy");
    for (int i = 0; i < 6 && feature->set[i][0]; i++)
        settings_set(settings, feature->set[i][0], feature->set[i][1]);
    snprintf(name, 160, "%s (--pe %.60s)", feature->name, settings->pe);
}

static void set_case(int index, struct train_settings *settings, char name[160])
{
    static const char *const attention[] = {"softmax", "linear", "relu2", "l2", "softmax1"};
    char pe[128];
    int steps = optimizer_count * schedule_count;
    settings_set(settings, "pe", "learned");
    settings_set(settings, "task", "probe");
    if (index < pe_count) {
        pe_smallest_stack(pe_list[index], pe);
        settings_set(settings, "pe", pe);
        snprintf(name, 160, "--pe %s", pe);
    } else if ((index -= pe_count) < task_count) {
        settings_set(settings, "task", task_list[index]->name);
        snprintf(name, 160, "--task %s", task_list[index]->name);
    } else if ((index -= task_count) < steps) {
        settings_set(settings, "optimizer", optimizer_list[index / schedule_count]->name);
        settings_set(settings, "schedule", schedule_list[index % schedule_count]->name);
        snprintf(name, 160, "--optimizer %.30s --schedule %.30s", settings->optimizer,
                 settings->schedule);
    } else if ((index -= steps) < ATTENTIONS) {
        settings_set(settings, "attention", attention[index]);
        snprintf(name, 160, "--attention %s", attention[index]);
    } else {
        set_feature(settings, &features[index - ATTENTIONS], name);
    }
}

// Tasks differ in the lengths that they can make, and some want a decoder.
static void fit(struct train_settings *settings, const char *name)
{
    static const char *const lengths[] = {"16", "17", "25", "24", "33"};
    static const char *const archs[] = {"encoder", "decoder"};
    static struct trainer trainer;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (int a = 0; a < 2; a++) {
            settings_set(settings, "length", lengths[i]);
            settings_set(settings, "arch", archs[a]);
            if (trainer_init(&trainer, settings) < 0)
                continue;
            trainer_release(&trainer);
            return;
        }
    }
    fail_msg("%s: %s", name, err_last());
}

void run_case_settings(int index, const char *size, const char *text,
                       struct train_settings *settings, char name[160])
{
    assert_in_range(index, 0, run_case_count() - 1);
    settings_of(settings, size);
    set_case(index, settings, name);
    if (task_find(settings->task)->file == DATASET_FILE_REQUIRED)
        settings_set(settings, "data", text);
    fit(settings, name);
}

void run_case_write_text(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 20000; i++)
        fprintf(file, "%d bottles, ", i * 7919 % 1000);
    assert_int_equal(fclose(file), 0);
}
