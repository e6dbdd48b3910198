// Names of files in JSON.
#ifndef POSGRAD_JSON_TEXT_H
#define POSGRAD_JSON_TEXT_H

#include <jansson.h>

// A JSON string of any bytes: where they are no UTF-8, a '?' stands for each that is not ASCII. A
// new reference, NULL when memory ends.
json_t *json_text(const char *bytes);

#endif
