// Lists of lengths, and ways past them: see length_list.h.
#include "length_list.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../encodings/pe.h"

enum { MAX_LENGTH = 1 << 24 }; // tokens a row that any task can have

static int add_length(struct length_list *list, int64_t length)
{
    int at = 0;
    while (at < list->count && list->length[at] < length)
        at++;
    if (at < list->count && list->length[at] == length)
        return 0;
    if (list->count == LENGTH_LIST_MAX)
        return err_set(ERR_ARGUMENT, "--lengths: more than %d", LENGTH_LIST_MAX);
    memmove(list->length + at + 1, list->length + at,
            (size_t)(list->count++ - at) * sizeof *list->length);
    list->length[at] = length;
    return 0;
}

int length_list_read(struct length_list *list, const char *text)
{
    for (const char *p = text;; p++) {
        size_t size = strcspn(p, ",");
        bool whole = size > 0 && size < 10 && strspn(p, "0123456789") == size;
        long long length = whole ? strtoll(p, NULL, 10) : 0;
        if (length < 1 || length > MAX_LENGTH)
            return err_set(ERR_ARGUMENT,
                           "--lengths: '%.*s' is no length; whole numbers from 1 to %d are wanted, "
                           "as in 32,64,128",
                           (int)(size < 64 ? size : 64), p, MAX_LENGTH);
        int code = add_length(list, length);
        p += size;
        if (code < 0 || !*p)
            return code;
    }
}

int extension_find(const char *name)
{
    int way = name_index(pe_extension_name, PE_EXTENSIONS, name);
    const char *near = name_nearest(pe_extension_name, PE_EXTENSIONS, name);
    char all[256] = "";
    if (way >= 0)
        return way;
    if (near)
        return err_set(ERR_ARGUMENT, "--extend: no way is called '%s'; did you mean '%s'?", name,
                       near);
    for (int i = 0; i < PE_EXTENSIONS; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "",
                 pe_extension_name[i]);
    return err_set(ERR_ARGUMENT, "--extend: no way is called '%s'; there are %s", name, all);
}
