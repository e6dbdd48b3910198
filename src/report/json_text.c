// Names of files in JSON: see json_text.h.
#include "json_text.h"

#include <stdlib.h>
#include <string.h>

json_t *json_text(const char *bytes)
{
    json_t *text = json_string(bytes);
    char *copy = text ? NULL : strdup(bytes);
    if (!copy)
        return text;
    for (char *p = copy; *p; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    text = json_string(copy);
    free(copy);
    return text;
}
