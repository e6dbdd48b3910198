// A table of texts, filled cell by cell, that prints aligned or as CSV.
#ifndef POSGRAD_TABLE_H
#define POSGRAD_TABLE_H

#include <stdbool.h>
#include <stdio.h>

struct table {
    const char *align; // a letter a column: l or r
    int columns, cells, capacity;
    char **cell;
    bool failed; // memory ended; printing says so
};

// `align` ("lrr") gives the number of columns, too, and is borrowed.
void table_init(struct table *table, const char *align);
void table_release(struct table *table);
// The next cell: row after row, the headings first.
__attribute__((format(printf, 2, 3))) void table_cell(struct table *table, const char *format, ...);
// Aligned, two blanks between columns; or with commas, quoted as RFC 4180 says. ERR_MEMORY.
int table_print(const struct table *table, FILE *file);
int table_csv(const struct table *table, FILE *file);

#endif
