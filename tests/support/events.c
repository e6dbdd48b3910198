// Event files read back.
#include "events.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../src/io/h5file.h"
#include "check.h"

// --- checksums, by a table of the polynomial's multiples, unlike the writer's

static uint32_t masked_crc(const unsigned char *bytes, size_t size)
{
    uint32_t table[256], crc = 0xffffffff;
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] & 1 ? table[i] >> 1 ^ 0x82f63b78 : table[i] >> 1;
    }
    for (size_t i = 0; i < size; i++)
        crc = table[(crc ^ bytes[i]) & 255] ^ crc >> 8;
    crc ^= 0xffffffff;
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8;
}

// --- protocol buffers

struct reading {
    const unsigned char *at, *end;
};

static uint64_t little(const unsigned char *at, int size)
{
    uint64_t value = 0;
    for (int i = size - 1; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

static uint64_t take(struct reading *from, int size)
{
    assert_true(from->end - from->at >= size);
    from->at += size;
    return little(from->at - size, size);
}

static uint64_t take_varint(struct reading *from)
{
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        assert_true(shift < 64);
        uint64_t byte = take(from, 1);
        value |= (byte & 127) << shift;
        if (byte < 128)
            return value;
    }
}

// The next field: its number, and its bits or its bytes.
static int next_field(struct reading *from, uint64_t *bits, struct reading *bytes)
{
    uint64_t tag = take_varint(from);
    switch (tag & 7) {
    case 0:
        *bits = take_varint(from);
        break;
    case 1:
        *bits = take(from, 8);
        break;
    case 2:
        *bits = take_varint(from);
        assert_true(*bits <= (uint64_t)(from->end - from->at));
        *bytes = (struct reading){from->at, from->at + *bits};
        from->at += *bits;
        break;
    case 5:
        *bits = take(from, 4);
        break;
    default:
        fail_msg("a field of kind %d", (int)(tag & 7));
    }
    return (int)(tag >> 3);
}

static void read_value(struct events *events, struct reading value, int64_t step, double wall_time)
{
    assert_true(events->points < EVENTS_POINTS);
    struct events_point *point = &events->point[events->points++];
    bool named = false, valued = false;
    *point = (struct events_point){.step = step, .wall_time = wall_time};
    while (value.at < value.end) {
        uint64_t bits = 0;
        struct reading bytes = {NULL, NULL};
        int field = next_field(&value, &bits, &bytes);
        uint32_t low = (uint32_t)bits;
        if (field == 1) {
            assert_true(bits < sizeof point->tag);
            memcpy(point->tag, bytes.at, bits);
            named = true;
        } else {
            assert_int_equal(field, 2);
            memcpy(&point->value, &low, sizeof low);
            valued = true;
        }
    }
    assert_true(named && valued);
}

// A session that starts replaces what is of its step and later.
static void forget(struct events *events, int64_t step)
{
    int kept = 0;
    for (int i = 0; i < events->points; i++)
        if (events->point[i].step < step)
            events->point[kept++] = events->point[i];
    events->forgotten += events->points - kept;
    events->points = kept;
}

static void read_event(struct events *events, struct reading event, bool first)
{
    double wall_time = 0;
    int64_t step = 0;
    struct reading version = {NULL, NULL}, summary = {NULL, NULL}, log = {NULL, NULL};
    while (event.at < event.end) {
        uint64_t bits = 0;
        struct reading bytes = {NULL, NULL};
        int field = next_field(&event, &bits, &bytes);
        if (field == 1)
            memcpy(&wall_time, &bits, sizeof bits);
        else if (field == 2)
            step = (int64_t)bits;
        else
            *(field == 3 ? &version : field == 5 ? &summary : &log) = bytes;
        assert_true(field >= 1 && field <= 7 && field != 4 && field != 6);
    }
    assert_true(wall_time > 1.6e9);
    assert_int_equal(first, version.at != NULL);
    if (first)
        assert_memory_equal(version.at, "brain.Event:2", 13);
    if (log.at) {
        assert_int_equal(log.end - log.at, 2);
        assert_memory_equal(log.at, "\x08\x01", 2); // status: START
        forget(events, step);
    }
    while (summary.at < summary.end) {
        uint64_t bits = 0;
        struct reading bytes = {NULL, NULL};
        assert_int_equal(next_field(&summary, &bits, &bytes), 1);
        read_value(events, bytes, step, wall_time);
    }
}

// --- files

static void read_file(struct events *events, const char *path)
{
    char *text;
    size_t size;
    if (file_read(path, 1 << 26, &text, &size) < 0)
        fail_msg("%s", err_last());
    const unsigned char *at = (const unsigned char *)text, *end = at + size;
    for (bool first = true; at < end; first = false) {
        size_t left = (size_t)(end - at), length = left >= 12 ? (size_t)little(at, 8) : 0;
        if (left < 16 || left - 16 < length) {
            events->torn = true;
            break;
        }
        assert_int_equal(little(at + 8, 4), masked_crc(at, 8));
        assert_int_equal(little(at + 12 + length, 4), masked_crc(at + 12, length));
        read_event(events, (struct reading){at + 12, at + 12 + length}, first);
        at += 16 + length;
    }
    free(text);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

void events_read(struct events *events, const char *folder)
{
    memset(events, 0, sizeof *events);
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strncmp(entry->d_name, "events.out.tfevents.", 20) == 0) {
            assert_true(events->files < EVENTS_FILES);
            snprintf(events->file[events->files++], sizeof events->file[0], "%.159s",
                     entry->d_name);
        }
    closedir(dir);
    qsort(events->file, (size_t)events->files, sizeof events->file[0], by_name);
    for (int i = 0; i < events->files; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, events->file[i]);
        read_file(events, path);
    }
}

int events_find(const struct events *events, const char *tag, int64_t step, float *value)
{
    int count = 0;
    for (int i = 0; i < events->points; i++)
        if (events->point[i].step == step && strcmp(events->point[i].tag, tag) == 0) {
            *value = events->point[i].value;
            count++;
        }
    return count;
}
