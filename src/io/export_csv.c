// CSV in long form, RFC 4180 with plain line feeds: a column an axis, then the value; a row an
// element. What spreadsheets, R and pandas group and plot without reshaping.
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "bytes.h"
#include "export.h"

// A field; in quotes where it holds something that means more.
static void put_field(struct bytes *out, const char *text)
{
    if (!text[strcspn(text, ",\"\r\n")]) {
        bytes_print(out, "%s", text);
        return;
    }
    bytes_print(out, "\"");
    for (; *text; text++) {
        if (*text == '"')
            bytes_print(out, "\"");
        bytes_put(out, text, 1);
    }
    bytes_print(out, "\"");
}

static void put_rows(struct bytes *out, const struct export_array *array)
{
    int64_t index[EXPORT_MAX_DIMS] = {0}, count = export_count(array);
    char text[32];
    for (int d = 0; d < array->dims; d++) {
        put_field(out, export_axis_name(array, d, text));
        bytes_print(out, ",");
    }
    bytes_print(out, "value\n");
    for (int64_t i = 0; i < count; i++) {
        for (int d = 0; d < array->dims; d++)
            bytes_print(out, "%lld,", (long long)export_coordinate(array, d, index[d]));
        bytes_print(out, "%s\n", export_number(array, i, text));
        for (int d = array->dims - 1; d >= 0 && ++index[d] == array->size[d]; d--)
            index[d] = 0;
    }
}

static int encode(const struct export_set *set, char **bytes, size_t *size)
{
    struct bytes out = {0};
    put_rows(&out, &set->array[0]);
    bytes_put(&out, "", 1); // a NUL, which is not of the file
    if (out.failed) {
        free(out.at);
        return err_set(ERR_MEMORY, "out of memory for %s", set->array[0].name);
    }
    *bytes = (char *)out.at;
    *size = out.size - 1;
    return 0;
}

const struct export_format export_csv = {
    .name = "csv",
    .title = "text: a column an axis and one of values; one table a file",
    .extension = ".csv",
    .one_array = true,
    .encode = encode,
};
