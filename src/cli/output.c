// Outputs of commands: see output.h.
#include "output.h"

#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../io/h5file.h"
#include "../io/json_memory.h"

int output_text(const char *path, int (*write)(void *context, FILE *file), void *context)
{
    char *text = NULL;
    size_t size = 0;
    if (strcmp(path, "-") == 0)
        return write(context, stdout);
    FILE *file = open_memstream(&text, &size);
    if (!file)
        return err_set(ERR_MEMORY, "out of memory for %s", path);
    int code = write(context, file);
    if ((ferror(file) | fclose(file)) && code == 0)
        code = err_set(ERR_MEMORY, "out of memory for %s", path);
    if (code == 0)
        code = file_publish(path, text, size);
    free(text);
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
