// The arguments of --lengths and of --extend.
#ifndef POSGRAD_LENGTH_LIST_H
#define POSGRAD_LENGTH_LIST_H

#include <stdint.h>

enum { LENGTH_LIST_MAX = 256 };

struct length_list {
    int count;
    int64_t length[LENGTH_LIST_MAX]; // ascending, each once
};

// Adds those of "32,64,128". ERR_ARGUMENT.
int length_list_read(struct length_list *list, const char *text);

// The way past the training length (enum pe_extension) of this name; ERR_ARGUMENT with the nearest
// one.
int extension_find(const char *name);

#endif
