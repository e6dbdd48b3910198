// The options that make a run, shared by the commands that take them: an argp parser built from
// train_options and from the lists, to be put in as a child.
#ifndef POSGRAD_TRAIN_ARGUMENTS_H
#define POSGRAD_TRAIN_ARGUMENTS_H

#include <argp.h>

#include "../train/run.h"

enum { TRAIN_ARGUMENTS_MAX = 256, TRAIN_ARGUMENTS_ROWS = 64, TRAIN_ARGUMENTS_DOC = 256 };

struct train_arguments {
    struct train_settings settings; // after train_arguments_finish
    const char *config;             // --config, or NULL
    int given_count;
    struct run_setting given[TRAIN_ARGUMENTS_MAX]; // as typed, in order

    struct argp argp; // the child
    struct argp_option option[TRAIN_ARGUMENTS_ROWS];
    char doc[TRAIN_ARGUMENTS_ROWS][TRAIN_ARGUMENTS_DOC];
};

// Builds the child parser; its input is `arguments` itself.
void train_arguments_init(struct train_arguments *arguments);
// Defaults, then the config file, then what was typed. ERR_ARGUMENT is wrong usage; other codes are
// of the config file.
int train_arguments_finish(struct train_arguments *arguments);

// What a help text says after the options: every encoding, task, optimizer and schedule.
void train_arguments_put_lists(FILE *file);

#endif
