// Event files read back, as TensorBoard does: record by record, checksums checked, files in order
// of name, and what a session that went on has replaced is forgotten.
#ifndef POSGRAD_TESTS_EVENTS_H
#define POSGRAD_TESTS_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

enum { EVENTS_FILES = 32, EVENTS_POINTS = 8192 };

struct events_point {
    char tag[48];
    int64_t step;
    float value;
    double wall_time;
};

struct events {
    int files, points, forgotten;
    char file[EVENTS_FILES][160]; // names, in order
    bool torn;                    // a file ends within a record
    struct events_point point[EVENTS_POINTS];
};

// Reads all event files of `folder`. Fails the test where a checksum or a field is wrong.
void events_read(struct events *events, const char *folder);
// How many points `tag` has at `step`; the last one's value is in `value`.
int events_find(const struct events *events, const char *tag, int64_t step, float *value);

#endif
