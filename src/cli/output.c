// Outputs of commands: see output.h.
#include "output.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../io/bytes.h"
#include "../io/h5file.h"
#include "../io/json_memory.h"

int output_text(const char *path, int (*write)(void *context, FILE *file), void *context)
{
    struct bytes text = {0};
    if (strcmp(path, "-") == 0)
        return write(context, stdout);
    FILE *file = bytes_stream(&text);
    if (!file)
        return err_set(ERR_MEMORY, "out of memory for %s", path);
    int code = write(context, file);
    fclose(file);
    if (code == 0 && text.failed)
        code = err_set(ERR_MEMORY, "out of memory for %s", path);
    if (code == 0)
        code = file_publish(path, text.at, text.size);
    free(text.at);
    return code;
}

int output_json(json_t *object)
{
    char *text = json_dumps(object, JSON_INDENT(2));
    json_decref(object);
    int code = text ? json_memory_check(0) : err_set(ERR_MEMORY, "out of memory for JSON");
    if (code == 0)
        puts(text);
    free(text);
    return code;
}

// malloc'ed; at most four bytes for one.
static char *shown_text(const char *text)
{
    static const char digits[] = "0123456789abcdef";
    char *shown = malloc(4 * strlen(text) + 1), *to = shown;
    if (!shown)
        return NULL;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        bool two = p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0; // 0x80 to 0x9f, in UTF-8
        if (*p < ' ' || *p == 0x7f || two) {
            unsigned char control = two ? *++p : *p;
            memcpy(to, (char[]){'\\', 'x', digits[control >> 4], digits[control & 15]}, 4);
            to += 4;
        } else {
            *to++ = (char)*p;
        }
    }
    *to = '\0';
    return shown;
}

static json_t *shown_object(const json_t *value)
{
    const char *key;
    json_t *member, *object = json_object();
    json_object_foreach ((json_t *)value, key, member) {
        char *name = shown_text(key);
        bool good = name && json_object_set_new(object, name, output_shown(member)) == 0;
        free(name);
        if (!good) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

json_t *output_shown(const json_t *value)
{
    if (json_is_object(value))
        return shown_object(value);
    if (json_is_string(value)) {
        char *text = shown_text(json_string_value(value));
        json_t *string = text ? json_string(text) : NULL;
        free(text);
        return string;
    }
    if (!json_is_array(value))
        return json_deep_copy(value);
    json_t *array = json_array();
    for (size_t i = 0; i < json_array_size(value); i++)
        if (json_array_append_new(array, output_shown(json_array_get(value, i))) < 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}
