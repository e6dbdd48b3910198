// The words of the command line, one after the other.
#include "settings.h"

#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "check.h"

void settings_set(struct train_settings *settings, const char *key, const char *value)
{
    if (train_settings_assign(settings, key, value) != 0)
        fail_msg("--%s %s: %s", key, value, err_last());
}

void settings_of(struct train_settings *settings, const char *words)
{
    char text[2048], *rest = NULL, *key = NULL;
    assert_true(strlen(words) < sizeof text);
    strcpy(text, words);
    train_settings_init(settings);
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        bool is_key = strncmp(word, "--", 2) == 0;
        if (key)
            settings_set(settings, key, is_key ? "yes" : word);
        else
            assert_true(is_key);
        key = is_key ? word + 2 : NULL;
    }
    if (key)
        settings_set(settings, key, "yes");
}
