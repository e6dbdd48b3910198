// CSV in long form, RFC 4180 with plain line feeds: a column an axis, then the value; a row an
// element. What spreadsheets, R and pandas group and plot without reshaping.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "export.h"

// A field; in quotes where it holds something that means more.
static void put_field(FILE *file, const char *text)
{
    if (!text[strcspn(text, ",\"\r\n")]) {
        fputs(text, file);
        return;
    }
    fputc('"', file);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', file);
        fputc(*text, file);
    }
    fputc('"', file);
}

static void put_rows(FILE *file, const struct export_array *array)
{
    int64_t index[EXPORT_MAX_DIMS] = {0}, count = export_count(array);
    char text[32];
    for (int d = 0; d < array->dims; d++) {
        put_field(file, export_axis_name(array, d, text));
        fputc(',', file);
    }
    fputs("value\n", file);
    for (int64_t i = 0; i < count; i++) {
        for (int d = 0; d < array->dims; d++)
            fprintf(file, "%lld,", (long long)export_coordinate(array, d, index[d]));
        fprintf(file, "%s\n", export_number(array, i, text));
        for (int d = array->dims - 1; d >= 0 && ++index[d] == array->size[d]; d--)
            index[d] = 0;
    }
}

static int encode(const struct export_set *set, char **bytes, size_t *size)
{
    FILE *file = open_memstream(bytes, size);
    if (!file)
        return err_set(ERR_MEMORY, "out of memory for %s", set->array[0].name);
    put_rows(file, &set->array[0]);
    int bad = ferror(file);
    if (fclose(file) == 0 && !bad && *bytes)
        return 0;
    free(*bytes);
    return err_set(ERR_MEMORY, "out of memory for %s", set->array[0].name);
}

const struct export_format export_csv = {
    .name = "csv",
    .title = "text: a column an axis and one of values; one table a file",
    .extension = ".csv",
    .one_array = true,
    .encode = encode,
};
