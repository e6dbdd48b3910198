// Settings as a test wants them, by the words of the command line.
#ifndef POSGRAD_TESTS_SETTINGS_H
#define POSGRAD_TESTS_SETTINGS_H

#include "../../src/train/train.h"

// One setting, as `--KEY VALUE` would be. A value that it does not take fails the test.
void settings_set(struct train_settings *settings, const char *key, const char *value);
// The defaults, and over them "--layers 1 --tie --pe learned".
void settings_of(struct train_settings *settings, const char *words);

#endif
