// Event files: records appended to a file whose name sorts behind those that are there.
//
// Sources: tensorboard/compat/proto/event.proto and summary.proto for the fields, and the record
// writer of TensorFlow (lib/io/record_writer.h) for what is around them.
#include "tensorboard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/retry.h"
#include "../io/crc32c.h"
#include "../io/h5file.h"
#include "../io/protobuf.h"

// Of all event files, and of ours.
static const char prefix[] = "events.out.tfevents.", suffix[] = ".posgrad";

// Numbers of fields.
enum { EVENT_WALL_TIME = 1, EVENT_STEP = 2, EVENT_VERSION = 3, EVENT_SUMMARY = 5, EVENT_LOG = 7 };
enum { SUMMARY_VALUE = 1, VALUE_TAG = 1, VALUE_SIMPLE = 2, LOG_STATUS = 1, LOG_START = 1 };

// --- the format

void tensorboard_event(struct bytes *event, double wall_time, int64_t step, const char *version,
                       bool session_start, int count, const struct tensorboard_scalar *scalar)
{
    protobuf_double(event, EVENT_WALL_TIME, wall_time);
    if (step)
        protobuf_int(event, EVENT_STEP, step);
    if (version)
        protobuf_text(event, EVENT_VERSION, version);
    if (session_start) {
        size_t log = protobuf_open(event, EVENT_LOG);
        protobuf_int(event, LOG_STATUS, LOG_START);
        protobuf_close(event, log);
    }
    if (count == 0)
        return;
    size_t summary = protobuf_open(event, EVENT_SUMMARY);
    for (int i = 0; i < count; i++) {
        if (!isfinite((float)scalar[i].value))
            continue;
        size_t value = protobuf_open(event, SUMMARY_VALUE);
        protobuf_text(event, VALUE_TAG, scalar[i].tag);
        protobuf_float(event, VALUE_SIMPLE, (float)scalar[i].value);
        protobuf_close(event, value);
    }
    protobuf_close(event, summary);
}

// A checksum of what holds checksums would be a weak one: it is turned, and moved by a constant.
static void put_checksum(struct bytes *record, const void *bytes, size_t size)
{
    uint32_t crc = crc32c(bytes, size);
    bytes_put_little(record, (uint32_t)((crc >> 15 | crc << 17) + 0xa282ead8U), 4);
}

void tensorboard_record(struct bytes *record, const struct bytes *event)
{
    size_t start = record->size;
    bytes_put_little(record, event->size, 8);
    if (!record->failed)
        put_checksum(record, record->at + start, 8);
    bytes_put(record, event->at, event->size);
    put_checksum(record, event->at, event->size);
    record->failed |= event->failed;
}

// --- the file

static bool has_prefix(const char *name)
{
    return strncmp(name, prefix, sizeof prefix - 1) == 0;
}

bool tensorboard_is_file(const char *name)
{
    size_t length = strlen(name), end = sizeof suffix - 1;
    return has_prefix(name) && length > sizeof prefix - 1 + end &&
           strcmp(name + length - end, suffix) == 0;
}

// The seconds in the name of an event file, whoever wrote it; -1 where there are none.
static int64_t name_seconds(const char *name)
{
    if (!has_prefix(name))
        return -1;
    const char *from = name + sizeof prefix - 1;
    size_t digits = strspn(from, "0123456789");
    return digits > 0 && digits <= 10 && from[digits] == '.' ? strtoll(from, NULL, 10) : -1;
}

// The latest seconds that an event file of the folder has in its name; -1 where there is none, or a
// code below that.
static int64_t latest_seconds(int folder)
{
    int64_t latest = -1;
    int fd;
    RETRY(fd, openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int code = err_set(ERR_FILE, "cannot list the run folder: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return code;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        int64_t seconds = name_seconds(entry->d_name);
        latest = seconds > latest ? seconds : latest;
    }
    closedir(dir);
    return latest;
}

static double wall_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// This machine's name as a part of a file's.
static void host_name(char host[65])
{
    if (gethostname(host, 65) < 0 || !*host)
        strcpy(host, "localhost");
    host[64] = '\0';
    for (char *p = host; *p; p++)
        if (*p < '!' || *p > '~' || *p == '/')
            *p = '_';
}

// Readers take the files of a folder in order of name, so a new one is later than all that are
// there, be it by a second that has not come yet: two runs may begin in the same one, and a clock
// may be set back.
static int open_file(struct tensorboard *board)
{
    char host[65], name[160];
    int64_t seconds = (int64_t)wall_time(), latest = latest_seconds(board->folder);
    if (latest < -1)
        return (int)latest;
    host_name(host);
    snprintf(name, sizeof name, "%s%010lld.%s.%ld%s", prefix,
             (long long)(seconds > latest ? seconds : latest + 1), host, (long)getpid(), suffix);
    RETRY(board->fd,
          openat(board->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666));
    return board->fd < 0 ? err_set(ERR_FILE, "cannot make %s: %s", name, strerror(errno)) : 0;
}

void tensorboard_init(struct tensorboard *board, int folder, int64_t first_step)
{
    *board = (struct tensorboard){.fd = -1, .folder = folder, .first_step = first_step};
}

void tensorboard_release(struct tensorboard *board)
{
    if (board->fd >= 0)
        close(board->fd);
    free(board->event.at);
    free(board->record.at);
    tensorboard_init(board, -1, 0);
}

static void add_record(struct tensorboard *board, int64_t step, const char *version,
                       bool session_start, int count, const struct tensorboard_scalar *scalar)
{
    board->event.size = 0;
    board->event.failed = false;
    tensorboard_event(&board->event, wall_time(), step, version, session_start, count, scalar);
    tensorboard_record(&board->record, &board->event);
}

// What every file begins with, and where there are others the step from which it replaces them.
static void add_beginning(struct tensorboard *board)
{
    static const char version[] = "brain.Event:2";
    add_record(board, board->first_step, version, false, 0, NULL);
    if (board->first_step > 0)
        add_record(board, board->first_step, NULL, true, 0, NULL);
}

// Takes back what a write left that failed, now and, where that failed as well, before the next.
static int cut(struct tensorboard *board)
{
    int result;
    RETRY(result, ftruncate(board->fd, board->size));
    return result;
}

static int append(struct tensorboard *board)
{
    const struct bytes *record = &board->record;
    if (record->failed)
        return err_set(ERR_MEMORY, "out of memory for a record");
    if ((!board->failed || cut(board) == 0) &&
        file_write_all(board->fd, record->at, record->size) == 0) {
        board->size += (int64_t)record->size;
        return 0;
    }
    int code = err_set(ERR_FILE, "%s", strerror(errno));
    board->failed = true;
    cut(board);
    return code;
}

int tensorboard_write(struct tensorboard *board, int64_t step, int count,
                      const struct tensorboard_scalar *scalar)
{
    if (board->folder < 0)
        return 0;
    int code = board->fd < 0 ? open_file(board) : 0;
    board->record.size = 0;
    board->record.failed = false;
    if (code == 0 && board->size == 0)
        add_beginning(board);
    if (code == 0) {
        add_record(board, step, NULL, false, count, scalar);
        code = append(board);
    }
    board->failed |= code < 0;
    return code;
}
