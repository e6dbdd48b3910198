// Damaged checkpoints are found, never believed: bits that flipped, files that were cut, sectors
// that were lost, at random places of a checkpoint of a run, and of one as libhdf5 used to lay it
// out.
//
// The short form makes some thousands of each; FULL=1 asks for 100 000 flips, 20 000 cuts and 20
// 000 sectors (`make faults`). Every one must be refused with one line that names the file: a crash
// ends the test, a hang is ended by an alarm, and a file that is opened fails it. Then the same
// damage with a right digest, as a stranger would make it: there the file may be opened, as it says
// nothing of numbers that are merely others, but all of it can be read.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/rng.h"
#include "../../src/io/checkpoint.h"
#include "../../src/io/seal.h"
#include "../support/check.h"
#include "../support/settings.h"

enum { SECTOR = 512, SECONDS = 60 };

static char folder[] = "/tmp/posgrad-damage-XXXXXX", path[64];
static struct train_settings settings;
static struct trainer trainer;
static struct checkpoint checkpoint;
static char *whole; // the checkpoint
static size_t size;
static struct rng rng;

static int times(int shorter, int full)
{
    return getenv("FULL") ? full : shorter;
}

// --- a checkpoint

static void make_trainer(void)
{
    settings_of(&settings, "--pe shaw --task copy --layers 2 --heads 2 --dim 8 --ff-dim 12 "
                           "--length 16 --batch-size 2 --threads 1 --ema 0.9 --tie --dropout 0.1");
    check_ok(trainer_init(&trainer, &settings));
}

static int set_up(void **state)
{
    (void)state;
    struct train_step_result result;
    struct history history = {0};
    const double row[HISTORY_MAX_COLUMNS] = {1.5, 0.25};
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/checkpoint.h5", folder);
    make_trainer();
    for (int i = 0; i < 3; i++) {
        check_ok(trainer_step(&trainer, &result));
        check_ok(history_add(&history, HISTORY_TRAIN, trainer.step, row));
    }
    check_ok(checkpoint_save(path, &trainer, &history));
    history_release(&history);
    check_ok(file_read(path, 1 << 24, &whole, &size));
    rng_init(&rng, rng_stream(1, "damage"), 0, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    alarm(0);
    free(whole);
    trainer_release(&trainer);
    unlink(path);
    return rmdir(folder);
}

static void put(const void *bytes, size_t count, size_t at)
{
    int file = open(path, O_WRONLY);
    assert_true(file >= 0);
    assert_int_equal(pwrite(file, bytes, count, (off_t)at), count);
    assert_int_equal(close(file), 0);
}

static size_t somewhere(size_t below)
{
    return rng_below(&rng, (uint32_t)below);
}

static void refused(const char *what, size_t at)
{
    alarm(SECONDS);
    if (checkpoint_open(&checkpoint, path) == 0)
        fail_msg("%s at %zu was believed", what, at);
    if (err_code() != ERR_FORMAT || !strstr(err_last(), path) || strchr(err_last(), '\n'))
        fail_msg("%s at %zu: '%s'", what, at, err_last());
}

// As it was, it is good.
static void believed(void)
{
    check_ok(checkpoint_open(&checkpoint, path));
    check_ok(checkpoint_read_params(&checkpoint, &trainer));
    check_ok(checkpoint_read_optimizer(&checkpoint, &trainer));
    checkpoint_close(&checkpoint);
}

// --- damage

static void test_flips(void **state)
{
    (void)state;
    int count = times(4000, 100000);
    for (int i = 0; i < count; i++) {
        size_t at = somewhere(i % 4 ? size : SEAL_SIZE + 4096); // more often where all is said
        char flipped = (char)(whole[at] ^ (1 << rng_below(&rng, 8)));
        put(&flipped, 1, at);
        refused("a flip", at);
        put(whole + at, 1, at);
    }
    believed();
}

static void test_cuts(void **state)
{
    (void)state;
    int count = times(1000, 20000);
    for (int i = 0; i < count; i++) {
        size_t at = somewhere(i % 4 ? size : 2 * SEAL_SIZE);
        assert_int_equal(truncate(path, (off_t)at), 0);
        refused("a cut", at);
        put(whole + at, size - at, at);
    }
    believed();
}

// A sector reads as zeros; one that was zeros is not lost.
static void test_lost_sectors(void **state)
{
    static const char zeros[SECTOR];
    (void)state;
    int count = times(1000, 20000), lost = 0;
    while (lost < count) {
        size_t at = somewhere(size) / SECTOR * SECTOR;
        size_t length = size - at < SECTOR ? size - at : SECTOR;
        if (memcmp(whole + at, zeros, length) == 0)
            continue;
        put(zeros, length, at);
        refused("a lost sector", at);
        put(whole + at, length, at);
        lost++;
    }
    believed();
}

// Two writes mixed: what stood there before, from another place of the file.
static void test_mixed_sectors(void **state)
{
    (void)state;
    int count = times(500, 10000), mixed = 0;
    while (mixed < count) {
        size_t sectors = size / SECTOR;
        size_t at = somewhere(sectors) * SECTOR, from = somewhere(sectors) * SECTOR;
        if (memcmp(whole + at, whole + from, SECTOR) == 0)
            continue;
        put(whole + from, SECTOR, at);
        refused("another sector", at);
        put(whole + at, SECTOR, at);
        mixed++;
    }
    believed();
}

// --- damage under a right digest

static int read_all(void *context, const char *name)
{
    struct h5_reader *reader = context;
    enum h5_type type;
    int dims;
    int64_t extent[8], count = 1;
    free(h5_read_text(reader, name));
    if (h5_shape(reader, name, &type, &dims, extent, 8) < 0)
        return 0;
    for (int i = 0; i < dims; i++) {
        free(h5_read_axis(reader, name, i));
        count = __builtin_mul_overflow(count, extent[i], &count) ? 0 : count;
    }
    assert_true(count >= 0 && (size_t)count <= size); // of what is in the file
    void *values = malloc((size_t)count * 8 + 1);
    assert_non_null(values);
    int code = h5_read(reader, name, type, count, values);
    free(values);
    assert_true(code == 0 || code == ERR_FORMAT);
    return 0;
}

static void damage(char *bytes)
{
    // Most of the head are names and zeros: several at once get further.
    int many = 1 + (int)rng_below(&rng, 8);
    size_t head = size < 20000 ? size : 20000;
    for (int i = 0; i < many; i++) {
        size_t at = SEAL_SIZE + somewhere(head - SEAL_SIZE);
        switch (rng_below(&rng, 3)) {
        case 0:
            bytes[at] = (char)(bytes[at] ^ (1 << rng_below(&rng, 8)));
            break;
        case 1:
            bytes[at] = (char)rng_below(&rng, 256);
            break;
        default:
            memmove(bytes + at, bytes + SEAL_SIZE + somewhere(head - SEAL_SIZE - 8),
                    at + 8 < size ? 8 : 1);
        }
    }
}

static void test_resealed_damage(void **state)
{
    (void)state;
    int count = times(4000, 100000), opened = 0;
    for (int i = 0; i < count; i++) {
        char *bytes = malloc(size);
        assert_non_null(bytes);
        memcpy(bytes, whole, size);
        damage(bytes);
        seal_write((unsigned char *)bytes, size);
        alarm(SECONDS);
        struct h5_reader *reader = h5_reader_take(bytes, size, path);
        if (!reader) {
            assert_int_equal(err_code(), ERR_FORMAT);
            continue;
        }
        opened++;
        check_ok(h5_walk(reader, "/", read_all, reader));
        h5_reader_close(reader);
    }
    // Both happen, or this tests nothing.
    assert_in_range(opened, count / 100, count - count / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flips),           cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_lost_sectors),    cmocka_unit_test(test_mixed_sectors),
        cmocka_unit_test(test_resealed_damage),
    };
    return cmocka_run_group_tests_name("damage", tests, set_up, tear_down) != 0;
}
