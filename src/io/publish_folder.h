// Folders that are written whole, as file_publish writes files.
#ifndef POSGRAD_PUBLISH_FOLDER_H
#define POSGRAD_PUBLISH_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

struct folder_file {
    const char *name; // in the folder, without a slash
    const void *bytes;
    size_t size;
};

// Writes `file`s, the first of which marks folders of this kind, to a folder at `path`, through
// "<path>.tmp": all of them or none, synced. An empty folder may be there already; with `overwrite`
// also one that has the mark and no file but these. On failure what was there stays, and nothing
// else; ERR_FILE, and the line says what and why.
int folder_publish(const char *path, const struct folder_file *file, int count, bool overwrite);
// Whether it would be refused for what is there, before the files are made; of `file` the names are
// read.
int folder_check(const char *path, const struct folder_file *file, int count, bool overwrite);

#endif
