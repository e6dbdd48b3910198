// Tables: the width of a column is that of its longest cell.
#include "table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"

void table_init(struct table *table, const char *align)
{
    *table = (struct table){.align = align, .columns = (int)strlen(align)};
}

void table_release(struct table *table)
{
    for (int i = 0; i < table->cells; i++)
        free(table->cell[i]);
    free(table->cell);
    *table = (struct table){0};
}

static bool grow(struct table *table)
{
    if (table->cells < table->capacity)
        return true;
    int capacity = table->capacity ? 2 * table->capacity : 64;
    char **cell = realloc(table->cell, (size_t)capacity * sizeof *cell);
    if (!cell)
        return false;
    table->cell = cell;
    table->capacity = capacity;
    return true;
}

void table_cell(struct table *table, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    bool good = vasprintf(&text, format, arguments) >= 0;
    va_end(arguments);
    if (good && !table->failed && grow(table)) {
        table->cell[table->cells++] = text;
        return;
    }
    table->failed = true;
    if (good)
        free(text);
}

static int check(const struct table *table)
{
    BUG_ON(!table->failed && table->cells % table->columns);
    return table->failed ? err_set(ERR_MEMORY, "out of memory for a table") : 0;
}

// Characters, not bytes, of a text in UTF-8.
static int width_of(const char *text)
{
    int width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

static int column_width(const struct table *table, int column)
{
    int width = 0;
    for (int i = column; i < table->cells; i += table->columns) {
        int own = width_of(table->cell[i]);
        width = own > width ? own : width;
    }
    return width;
}

int table_print(const struct table *table, FILE *file)
{
    int code = check(table);
    for (int i = 0; i < table->cells && code == 0; i++) {
        int column = i % table->columns;
        bool left = table->align[column] == 'l', last = column + 1 == table->columns;
        int blank = column_width(table, column) - width_of(table->cell[i]);
        fprintf(file, "%*s%s", left ? 0 : blank, "", table->cell[i]);
        if (last)
            putc('\n', file);
        else
            fprintf(file, "%*s", (left ? blank : 0) + 2, "");
    }
    return code;
}

int table_csv(const struct table *table, FILE *file)
{
    int code = check(table);
    for (int i = 0; i < table->cells && code == 0; i++) {
        bool quoted = strpbrk(table->cell[i], ",\"\r\n") != NULL;
        if (quoted)
            putc('"', file);
        for (const char *p = table->cell[i]; *p; p++)
            fprintf(file, "%s%c", *p == '"' ? "\"" : "", *p);
        if (quoted)
            putc('"', file);
        putc((i + 1) % table->columns ? ',' : '\n', file);
    }
    return code;
}
