// Event files, byte for byte, and where they cannot be written.
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../src/io/crc32c.h"
#include "../../src/train/tensorboard.h"
#include "../support/check.h"
#include "../support/events.h"
#include "../support/folder.h"

static struct events events;

// --- the format: numbers of TensorFlow's own writer

static void expect_hex(const unsigned char *bytes, size_t size, const char *wanted)
{
    char text[512];
    assert_true(2 * size < sizeof text);
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    assert_string_equal(text, wanted);
}

static void checksums(void **state)
{
    (void)state;
    unsigned char ascending[32], zeros[32] = {0};
    for (int i = 0; i < 32; i++)
        ascending[i] = (unsigned char)i;
    assert_int_equal(crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(crc32c("", 0), 0);
    assert_int_equal(crc32c(zeros, 32), 0x8a9136aa); // RFC 3720, B.4
    assert_int_equal(crc32c(ascending, 32), 0x46dd794e);
}

static void records(void **state)
{
    (void)state;
    struct bytes event = {0}, record = {0};
    tensorboard_event(&event, 1, 0, "brain.Event:2", false, 0, NULL);
    expect_hex(event.at, event.size, "09000000000000f03f1a0d627261696e2e4576656e743a32");
    tensorboard_record(&record, &event);
    expect_hex(record.at, record.size,
               "1800000000000000a37f4b22"
               "09000000000000f03f1a0d627261696e2e4576656e743a32"
               "86bf577a");
    event.size = record.size = 0;
    const struct tensorboard_scalar loss = {"train/loss", 0.5};
    tensorboard_event(&event, 2, 10, NULL, false, 1, &loss);
    expect_hex(event.at, event.size,
               "090000000000000040100a2a130a110a0a747261696e2f6c6f7373150000003f");
    tensorboard_record(&record, &event);
    expect_hex(record.at, 12, "200000000000000029eda950");
    expect_hex(record.at + 12 + event.size, 4, "4da05bd9");
    // The start of a session, at step 300.
    event.size = 0;
    tensorboard_event(&event, 0, 300, NULL, true, 0, NULL);
    expect_hex(event.at, event.size, "09000000000000000010ac023a020801");
    free(event.at);
    free(record.at);
}

// What is not finite, in double or as a float, has no place in a curve; its neighbours stay.
static void not_finite(void **state)
{
    (void)state;
    struct bytes event = {0}, alone = {0};
    const struct tensorboard_scalar scalar[] = {
        {"a", (double)NAN}, {"b", (double)INFINITY}, {"c", -1e300}, {"d", 1}};
    tensorboard_event(&event, 2, 10, NULL, false, 4, scalar);
    tensorboard_event(&alone, 2, 10, NULL, false, 1, &scalar[3]);
    assert_int_equal(event.size, alone.size);
    assert_memory_equal(event.at, alone.at, event.size);
    free(event.at);
    free(alone.at);
}

// --- files

static char folder[] = "/tmp/posgrad-events-XXXXXX";
static int folder_fd = -1;

static const struct tensorboard_scalar two[] = {{"train/loss", 0.25}, {"optim/lr", 1e-3}};

static void write_points(struct tensorboard *board, int64_t from, int64_t to)
{
    for (int64_t step = from; step <= to; step++)
        check_ok(tensorboard_write(board, step, 2, two));
}

// A session that goes on makes a file that sorts behind the others, in the same second or where the
// clock was set back, and takes the place of what it computes anew.
static void sessions(void **state)
{
    (void)state;
    struct tensorboard board;
    float value;
    tensorboard_init(&board, folder_fd, 0);
    events_read(&events, folder);
    assert_int_equal(events.files, 0); // nothing before the first point
    write_points(&board, 1, 6);
    tensorboard_release(&board);
    for (int session = 0; session < 3; session++) {
        tensorboard_init(&board, folder_fd, 4);
        write_points(&board, 4, 8);
        tensorboard_release(&board);
    }
    events_read(&events, folder);
    assert_int_equal(events.files, 4);
    assert_int_equal(events.points, 16);
    assert_int_equal(events.forgotten, 6 + 10 + 10);
    for (int64_t step = 1; step <= 8; step++) {
        assert_int_equal(events_find(&events, "train/loss", step, &value), 1);
        assert_true(value == 0.25F);
        assert_int_equal(events_find(&events, "optim/lr", step, &value), 1);
        assert_true(value == 1e-3F);
    }
    // A file of a machine whose clock is ahead.
    char path[128];
    snprintf(path, sizeof path, "%s/events.out.tfevents.4000000000.other.1", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    tensorboard_init(&board, folder_fd, 0);
    write_points(&board, 1, 1);
    tensorboard_release(&board);
    events_read(&events, folder);
    assert_int_equal(events.files, 6);
    assert_int_equal(strncmp(events.file[5], "events.out.tfevents.4000000001.", 31), 0);
    for (int i = 0; i < events.files; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, events.file[i]);
        assert_int_equal(unlink(path), 0);
    }
}

// A disk that fills up and is freed again: whole records, and then the next ones.
static void a_full_disk(void **state)
{
    (void)state;
    struct tensorboard board;
    struct rlimit limit, before;
    float value;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 500;
    tensorboard_init(&board, folder_fd, 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int64_t step = 1;
    while (tensorboard_write(&board, step, 2, two) == 0)
        step++;
    assert_true(step > 2 && step < 100);
    assert_true(board.failed);
    check_error(tensorboard_write(&board, step, 2, two), ERR_FILE, "too large");
    events_read(&events, folder);
    assert_false(events.torn);
    assert_int_equal(events.points, 2 * (step - 1));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    write_points(&board, step + 1, step + 2);
    assert_true(board.failed); // as one is missing
    tensorboard_release(&board);
    events_read(&events, folder);
    assert_false(events.torn);
    assert_int_equal(events.points, 2 * (step + 1));
    assert_int_equal(events_find(&events, "train/loss", step, &value), 0);
    assert_int_equal(events_find(&events, "train/loss", step + 2, &value), 1);
}

static void no_folder(void **state)
{
    (void)state;
    struct tensorboard board;
    tensorboard_init(&board, -1, 0);
    check_ok(tensorboard_write(&board, 1, 2, two)); // nobody asked for events
    int closed = dup(folder_fd);
    close(closed);
    tensorboard_init(&board, closed, 0);
    check_error(tensorboard_write(&board, 1, 2, two), ERR_FILE, "cannot list");
    assert_true(board.failed);
    tensorboard_release(&board);
}

static void names(void **state)
{
    (void)state;
    assert_true(tensorboard_is_file("events.out.tfevents.1700000000.host.1.posgrad"));
    assert_false(tensorboard_is_file("events.out.tfevents.1700000000.host.1.0"));
    assert_false(tensorboard_is_file("events.out.tfevents.posgrad"));
    assert_false(tensorboard_is_file("my.events.out.tfevents.1.posgrad"));
    assert_false(tensorboard_is_file(".posgrad"));
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
    return folder_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(folder_fd);
    return folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums),   cmocka_unit_test(records),   cmocka_unit_test(not_finite),
        cmocka_unit_test(sessions),    cmocka_unit_test(no_folder), cmocka_unit_test(names),
        cmocka_unit_test(a_full_disk),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down) != 0;
}
