// The images task: tokens against a slow reading of the same pixels, from IDX, from HDF5 and as
// drawn by the task; splits that share no image; and files that are not what they should be.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hdf5.h>

#include "../../autograd/base/err.h"
#include "../support/batch.h"
#include "../support/check.h"
#include "../support/folder.h"

enum { COUNT = 300, HEIGHT = 6, WIDTH = 9, CLASSES = 12, ROWS = 64 };

static struct batch batch, other;
static struct dataset dataset;

static char folder[64];
static unsigned char pixels[COUNT][HEIGHT][WIDTH];
static unsigned char labels[COUNT];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/posgrad-images-XXXXXX");
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    uint32_t x = 1;
    for (int i = 0; i < COUNT; i++) {
        for (int k = 0; k < HEIGHT * WIDTH; k++)
            pixels[i][k / WIDTH][k % WIDTH] = (unsigned char)((x = x * 1664525 + 1013904223) >> 24);
        labels[i] = (unsigned char)(i % 4 ? 3 : i % CLASSES); // three of four are of class 3
    }
    labels[COUNT - 1] = CLASSES - 1;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return folder_remove(folder);
}

// A path within the folder; a few stay valid at a time.
static const char *in_folder(const char *name)
{
    static char path[8][128];
    static int next;
    char *p = path[next++ % 8];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static int open_path(const char *path, int64_t length, const char *options)
{
    char copy[256];
    const char *pairs[8];
    char *rest = NULL;
    int count = 0;
    snprintf(copy, sizeof copy, "%s", options);
    for (char *p = strtok_r(copy, " ", &rest); p && count < 8; p = strtok_r(NULL, " ", &rest))
        pairs[count++] = p;
    struct dataset_request request = {.task = "images",
                                      .length = length,
                                      .seed = 1,
                                      .data_path = path,
                                      .pair_count = count,
                                      .pairs = pairs};
    return dataset_open(&dataset, &request);
}

// --- IDX

static void put(FILE *stream, const void *bytes, size_t size)
{
    assert_true(size == 0 || fwrite(bytes, 1, size, stream) == size);
}

// An IDX file: its head, of a type and some sizes, and bytes.
static void make_idx(const char *name, int type, int dims, const uint32_t *size, const void *bytes,
                     size_t count)
{
    FILE *stream = fopen(in_folder(name), "wb");
    assert_non_null(stream);
    put(stream, (unsigned char[4]){0, 0, (unsigned char)type, (unsigned char)dims}, 4);
    for (int i = 0; i < dims; i++) {
        uint32_t n = size[i];
        unsigned char high_first[4] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16),
                                       (unsigned char)(n >> 8), (unsigned char)n};
        put(stream, high_first, 4);
    }
    put(stream, bytes, count);
    assert_int_equal(fclose(stream), 0);
}

static const uint32_t image_sizes[3] = {COUNT, HEIGHT, WIDTH};

static void make_mnist(void)
{
    make_idx("train-images-idx3-ubyte", 8, 3, image_sizes, pixels, sizeof pixels);
    make_idx("train-labels-idx1-ubyte", 8, 1, image_sizes, labels, sizeof labels);
}

// --- what rows must be

// The image that a row shows, cell by cell in reals: the first whose tokens and class they are.
static int find_image(const struct batch *b, int64_t row, int64_t patch, int levels)
{
    const int32_t *tokens = b->tokens + row * dataset.length;
    int64_t columns = WIDTH / patch;
    for (int i = 0; i < COUNT; i++) {
        bool same = b->targets[(row + 1) * dataset.length - 1] == labels[i];
        for (int64_t t = 0; t < dataset.length && same; t++) {
            double sum = 0;
            for (int64_t k = 0; k < patch * patch; k++)
                sum += pixels[i][t / columns * patch + k / patch][t % columns * patch + k % patch];
            same = tokens[t] == (int)floor(sum / (double)(patch * patch) * levels / 256 + 1e-9);
        }
        if (same)
            return i;
    }
    return -1;
}

// All images are drawn, each in one split.
static void check_file_rows(int64_t patch, int levels)
{
    static bool drawn[DATASET_SPLITS][COUNT];
    memset(drawn, 0, sizeof drawn);
    assert_int_equal(dataset.grid_height, HEIGHT / patch);
    assert_int_equal(dataset.grid_width, WIDTH / patch);
    assert_int_equal(dataset.vocab, levels > CLASSES ? levels : CLASSES);
    for (int s = 0; s < DATASET_SPLITS; s++)
        for (uint64_t step = 0; step < (s ? 8 : 40); step++) {
            batch_draw(&dataset, &batch, (enum dataset_split)s, step, ROWS);
            batch_check(&dataset, &batch, ROWS);
            for (int64_t row = 0; row < ROWS; row++) {
                for (int64_t t = 0; t < dataset.length; t++) {
                    int64_t at = row * dataset.length + t;
                    assert_int_equal(batch.mask[at], 1);
                    assert_int_equal(batch.targets[at] == DATASET_IGNORE, t < dataset.length - 1);
                    assert_in_range(batch.tokens[at], 0, levels - 1);
                }
                int image = find_image(&batch, row, patch, levels);
                assert_true(image >= 0);
                drawn[s][image] = true;
            }
        }
    int each[DATASET_SPLITS] = {0};
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(drawn[0][i] + drawn[1][i] + drawn[2][i], 1);
        for (int s = 0; s < DATASET_SPLITS; s++)
            each[s] += drawn[s][i];
    }
    assert_in_range(each[DATASET_VALIDATION], 15, 50);
    assert_in_range(each[DATASET_TEST], 15, 50);
}

static void check_chance(void)
{
    double count[CLASSES] = {0}, most = 0;
    for (int i = 0; i < COUNT; i++)
        most = fmax(most, ++count[labels[i]]);
    check_close(dataset.chance, most / COUNT, 1e-12, 0);
}

static void test_idx(void **state)
{
    (void)state;
    make_mnist();
    const char *path = in_folder("train-images-idx3-ubyte");
    check_ok(open_path(path, 54, "levels=16"));
    check_file_rows(1, 16);
    check_chance();
    uint64_t fingerprint = dataset.fingerprint;
    dataset_close(&dataset);
    check_ok(open_path(path, 6, "levels=256"));
    check_file_rows(3, 256);
    assert_true(fingerprint && dataset.fingerprint == fingerprint);
    dataset_close(&dataset);
    check_ok(open_path(path, 6, "levels=200 patch=3"));
    check_file_rows(3, 200);
    dataset_close(&dataset);
    // Other labels, by name; and they are data, too.
    unsigned char ones[COUNT] = {0};
    make_idx("ones", 8, 1, image_sizes, ones, sizeof ones);
    char option[160];
    snprintf(option, sizeof option, "labels=%s", in_folder("ones"));
    check_ok(open_path(path, 54, option));
    assert_true(dataset.fingerprint != fingerprint);
    check_close(dataset.chance, 1, 0, 0);
    dataset_close(&dataset);
}

// A batch of the same arguments is the same; held-out images do not depend on the seed.
static void test_same_bytes(void **state)
{
    (void)state;
    make_mnist();
    for (int file = 0; file < 2; file++)
        for (int s = 0; s < DATASET_SPLITS; s++) {
            struct dataset_request request = {.task = "images", .length = 54, .seed = 1};
            const char *height = "height=6";
            if (file)
                request.data_path = in_folder("train-images-idx3-ubyte");
            request.pairs = &height;
            request.pair_count = !file;
            check_ok(dataset_open(&dataset, &request));
            batch_draw(&dataset, &batch, (enum dataset_split)s, 5, 16);
            batch_draw(&dataset, &other, (enum dataset_split)s, 6, 16);
            assert_true(memcmp(&other, &batch, sizeof batch) != 0);
            batch_draw(&dataset, &other, (enum dataset_split)s, 5, 16);
            check_same_bytes(&other, &batch, sizeof batch);
            dataset_close(&dataset);
            request.seed = 2;
            check_ok(dataset_open(&dataset, &request));
            batch_draw(&dataset, &other, (enum dataset_split)s, 5, 16);
            assert_int_equal(memcmp(&other, &batch, sizeof batch) == 0, file && s != DATASET_TRAIN);
            dataset_close(&dataset);
        }
}

// The same images in other patches: another length, the same vocabulary.
static void test_evaluation(void **state)
{
    (void)state;
    make_mnist();
    struct dataset_request request = {.task = "images",
                                      .length = 54,
                                      .train_length = 6,
                                      .data_path = in_folder("train-images-idx3-ubyte")};
    check_ok(dataset_open(&dataset, &request));
    check_file_rows(1, 8);
    dataset_close(&dataset);
    request = (struct dataset_request){.task = "images", .length = 100, .train_length = 36};
    check_ok(dataset_open(&dataset, &request));
    assert_true(dataset.vocab == 10 && dataset.grid_height == 10 && dataset.grid_width == 10);
    dataset_close(&dataset);
}

static void test_idx_refused(void **state)
{
    (void)state;
    static const uint32_t large[3] = {4000000000u, 4000000000u, 4000000000u},
                          none[3] = {0, HEIGHT, WIDTH};
    static const struct {
        const char *words;
        int type, dims;
        const uint32_t *size;
        int64_t bytes;
    } bad[] = {
        {"is cut short: 300 images of 6 by 9 take 16200 bytes, and it has 16199", 8, 3, image_sizes,
         sizeof pixels - 1},
        {"is cut short", 8, 3, image_sizes, 0},
        {"has more than its head says: 300 images", 8, 3, image_sizes, sizeof pixels + 1},
        {"which cannot be", 8, 3, large, 100},
        {"0 images of 6 by 9, which cannot be", 8, 3, none, 0},
        {"of type 0d; 08, unsigned bytes, is wanted", 0x0D, 3, image_sizes, sizeof pixels},
        {"has 1 dimensions; images have 3", 8, 1, image_sizes, sizeof pixels},
        {"ends within its head: 4 bytes", 8, 0, image_sizes, 0},
    };
    static unsigned char bytes[sizeof pixels + 1];
    make_mnist();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        make_idx("bad-images", bad[i].type, bad[i].dims, bad[i].size, bytes, (size_t)bad[i].bytes);
        check_error(open_path(in_folder("bad-images"), 54, ""), ERR_FORMAT, bad[i].words);
        assert_null(dataset.task);
    }
    const char *good = in_folder("train-images-idx3-ubyte");
    char option[160];
    snprintf(option, sizeof option, "labels=%s", in_folder("bad-labels"));
    check_error(open_path(good, 54, option), ERR_FILE, "labels (--task-opt labels=FILE): '");
    make_idx("bad-labels", 8, 1, (uint32_t[]){299}, labels, 299);
    check_error(open_path(good, 54, option), ERR_FORMAT, "has 299 labels for 300 images");
    make_idx("bad-labels", 8, 1, (uint32_t[]){300}, labels, 299);
    check_error(open_path(good, 54, option), ERR_FORMAT, "300 labels take 300 bytes");
    make_idx("bad-labels", 8, 3, image_sizes, pixels, sizeof pixels);
    check_error(open_path(good, 54, option), ERR_FORMAT, "has 3 dimensions; labels have 1");
    make_idx("other", 8, 3, image_sizes, pixels, sizeof pixels);
    check_error(open_path(in_folder("other"), 54, ""), ERR_FILE,
                "give them with --task-opt labels=");
    make_idx("few-images", 8, 3, (uint32_t[]){2, HEIGHT, WIDTH}, pixels, 2 * HEIGHT * WIDTH);
    make_idx("few-labels", 8, 1, (uint32_t[]){2}, labels, 2);
    check_error(open_path(in_folder("few-images"), 54, ""), ERR_FILE,
                "has 2 images, none of which");
}

static void make_bytes(const char *name, const char *bytes, size_t size)
{
    FILE *stream = fopen(in_folder(name), "wb");
    assert_non_null(stream);
    put(stream, bytes, size);
    assert_int_equal(fclose(stream), 0);
}

// Any bytes at all: one line, and nothing left open.
static void test_other_files_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        int code;
        const char *words;
    } bad[] = {
        {"\x1f\x8b\x08", 3, ERR_FORMAT, "is compressed"},
        {"P", 1, ERR_FORMAT, "is neither an IDX file nor HDF5"},
        {"", 0, ERR_FILE, "is empty"},
        {"\0\0\10\3", 4, ERR_FORMAT, "ends within its head"},
        {"\211HDF\r\n\032\n", 8, ERR_FORMAT, "libhdf5 cannot open"},
        {"\211HDF\r\n\032\n\0\1\2\3garbage garbage garbage garbage garbage garbage", 58, ERR_FORMAT,
         "libhdf5 cannot open"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (check_under_valgrind() && strstr(bad[i].words, "libhdf5"))
            continue;
        make_bytes("bytes", bad[i].bytes, bad[i].size);
        check_error(open_path(in_folder("bytes"), 54, ""), bad[i].code, bad[i].words);
        assert_null(dataset.task);
    }
    check_error(open_path(folder, 54, ""), ERR_FILE, "is a folder");
    check_error(open_path("/dev/null", 54, ""), ERR_FILE, "not a regular file");
    check_error(open_path("/nowhere", 54, ""), ERR_FILE, "No such file");
}

static void test_options_refused(void **state)
{
    (void)state;
    static const struct {
        bool file;
        int64_t length;
        const char *options, *words;
    } bad[] = {
        {true, 32, "", "make length 32; --length may be 54 (patch 1), 6 (patch 3)"},
        {true, 54, "patch=3", "in patches of 3 are 6 tokens, not 54; give --length 6"},
        {true, 54, "patch=2", "--length may be 54 (patch 1), 6 (patch 3)"},
        {true, 54, "patch=7", "--length may be"},
        {true, 54, "noise=0.1", "noise is for digits that the task draws"},
        {true, 54, "height=6", "leave it out, or --data"},
        {false, 36, "patch=2", "patch is for images of a file; leave it out, or give --data"},
        {false, 36, "labels=x", "labels is for images of a file"},
        {false, 36, "levels=1", "levels 1 is out of range"},
        {false, 36, "levels=257", "levels 257 is out of range"},
        {false, 36, "noise=1.5", "noise 1.5"},
        {false, 32, "", "length 32 is no square; give --length 36"},
        {false, 36, "height=7", "length 36 is not divisible by the height"},
        {false, 36, "height=4", "digits of 5 by 3 cells have no room on a grid of 4 by 9"},
        {false, 36, "height=18", "no room on a grid of 18 by 2"},
        {false, 36, "scale=2", "digits of 10 by 6 cells"},
    };
    make_mnist();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *path = bad[i].file ? in_folder("train-images-idx3-ubyte") : NULL;
        check_error(open_path(path, bad[i].length, bad[i].options), ERR_ARGUMENT, bad[i].words);
        assert_null(dataset.task);
    }
}

// --- HDF5

static hid_t make_hdf5(const char *name)
{
    hid_t file = H5Fcreate(in_folder(name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(file >= 0);
    return file;
}

// A dataset of elements that are in memory as `type`, in the file as `file_type`; not written where
// `data` is NULL. `plan` is closed.
static void add_set(hid_t file, const char *name, hid_t file_type, hid_t type, int dims,
                    const hsize_t *size, const void *data, hid_t plan)
{
    hid_t space = H5Screate_simple(dims, size, NULL), groups = H5Pcreate(H5P_LINK_CREATE);
    assert_true(H5Pset_create_intermediate_group(groups, 1) >= 0);
    hid_t set = H5Dcreate2(file, name, file_type, space, groups, plan, H5P_DEFAULT);
    assert_true(set >= 0);
    if (data)
        assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Pclose(groups);
    if (plan != H5P_DEFAULT)
        H5Pclose(plan);
}

static const hsize_t three[3] = {COUNT, HEIGHT, WIDTH};

static void add_bytes(hid_t file)
{
    add_set(file, "images", H5T_STD_U8LE, H5T_NATIVE_UCHAR, 3, three, pixels, H5P_DEFAULT);
}

static void add_labels(hid_t file)
{
    add_set(file, "labels", H5T_STD_I64BE, H5T_NATIVE_UCHAR, 1, three, labels, H5P_DEFAULT);
}

static void check_hdf5(const char *name, const char *options)
{
    check_ok(open_path(in_folder(name), 54, options));
    check_file_rows(1, 8);
    check_chance();
    assert_true(dataset.fingerprint != 0);
    dataset_close(&dataset);
}

// Bytes and reals; whatever integers the labels are.
static void test_hdf5(void **state)
{
    (void)state;
    if (check_under_valgrind())
        skip();
    static double reals[COUNT][HEIGHT][WIDTH];
    for (int i = 0; i < COUNT; i++)
        for (int k = 0; k < HEIGHT * WIDTH; k++)
            reals[i][k / WIDTH][k % WIDTH] = pixels[i][k / WIDTH][k % WIDTH] / 255.0;
    hid_t file = make_hdf5("bytes.h5");
    add_bytes(file);
    add_labels(file);
    H5Fclose(file);
    check_hdf5("bytes.h5", "");
    file = make_hdf5("reals.h5");
    add_set(file, "train/x", H5T_IEEE_F32BE, H5T_NATIVE_DOUBLE, 3, three, reals, H5P_DEFAULT);
    add_set(file, "train/y", H5T_STD_U8LE, H5T_NATIVE_UCHAR, 1, three, labels, H5P_DEFAULT);
    H5Fclose(file);
    check_hdf5("reals.h5", "images_name=train/x labels_name=train/y");
}

enum {
    NO_LABELS = 1,
    FEW_LABELS,
    REAL_LABELS,
    LARGE_LABELS,
    NEGATIVE_LABELS,
    FLAT_IMAGES,
    SIGNED_IMAGES,
    TEXT_IMAGES,
    NO_IMAGES,
    EMPTY_IMAGES,
    LARGE_REALS,
    NAN_REALS,
    NOT_WRITTEN,
    HUGE_IMAGES,
    COMPRESSED,
    ELSEWHERE,
    LINKED,
    SOFT,
    VIRTUAL,
    COMPACT,
    A_GROUP
};

static void add_bad_labels(hid_t file, int kind)
{
    static int64_t wide[COUNT];
    wide[17] = kind == LARGE_LABELS ? (int64_t)1 << 40 : -1;
    if (kind == NO_LABELS)
        return;
    if (kind == FEW_LABELS)
        add_set(file, "labels", H5T_STD_U8LE, H5T_NATIVE_UCHAR, 1, (hsize_t[]){COUNT - 1}, labels,
                H5P_DEFAULT);
    else if (kind == REAL_LABELS)
        add_set(file, "labels", H5T_IEEE_F32LE, H5T_NATIVE_UCHAR, 1, three, labels, H5P_DEFAULT);
    else if (kind == LARGE_LABELS || kind == NEGATIVE_LABELS)
        add_set(file, "labels", H5T_STD_I64LE, H5T_NATIVE_INT64, 1, three, wide, H5P_DEFAULT);
    else
        add_labels(file);
}

static void add_external(hid_t file)
{
    hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
    assert_true(H5Pset_external(plan, in_folder("train-images-idx3-ubyte"), 16, sizeof pixels) >=
                0);
    add_set(file, "images", H5T_STD_U8LE, H5T_NATIVE_UCHAR, 3, three, NULL, plan);
}

static void add_virtual(hid_t file)
{
    hid_t plan = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(3, three, NULL);
    assert_true(H5Pset_virtual(plan, space, in_folder("bytes.h5"), "images", space) >= 0);
    H5Sclose(space);
    add_set(file, "images", H5T_STD_U8LE, H5T_NATIVE_UCHAR, 3, three, NULL, plan);
}

static void add_bad_images(hid_t file, int kind)
{
    static float reals[COUNT * HEIGHT * WIDTH];
    const hsize_t huge[3] = {(hsize_t)1 << 40, HEIGHT, WIDTH}, zero[3] = {COUNT, 0, WIDTH};
    reals[HEIGHT * WIDTH * 2] = kind == NAN_REALS ? nanf("") : 17;
    hid_t u8 = H5T_STD_U8LE, uchar = H5T_NATIVE_UCHAR, plan = H5P_DEFAULT;
    if (kind == FLAT_IMAGES)
        add_set(file, "images", u8, uchar, 2, three, pixels, plan);
    else if (kind == SIGNED_IMAGES)
        add_set(file, "images", H5T_STD_I32LE, uchar, 3, three, pixels, plan);
    else if (kind == EMPTY_IMAGES)
        add_set(file, "images", u8, uchar, 3, zero, NULL, plan);
    else if (kind == LARGE_REALS || kind == NAN_REALS)
        add_set(file, "images", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 3, three, reals, plan);
    else if (kind == NOT_WRITTEN)
        add_set(file, "images", u8, uchar, 3, three, NULL, plan);
    else if (kind == HUGE_IMAGES)
        add_set(file, "images", u8, uchar, 3, huge, NULL, plan);
    else if (kind == COMPRESSED) {
        plan = H5Pcreate(H5P_DATASET_CREATE);
        assert_true(H5Pset_chunk(plan, 3, (hsize_t[]){7, HEIGHT, 4}) >= 0);
        assert_true(H5Pset_deflate(plan, 6) >= 0);
        add_set(file, "images", u8, uchar, 3, three, pixels, plan);
    } else if (kind == ELSEWHERE)
        add_external(file);
    else if (kind == LINKED)
        assert_true(H5Lcreate_external(in_folder("bytes.h5"), "/images", file, "images",
                                       H5P_DEFAULT, H5P_DEFAULT) >= 0);
    else if (kind == SOFT)
        assert_true(H5Lcreate_soft("/labels", file, "images", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    else if (kind == VIRTUAL)
        add_virtual(file);
    else if (kind == COMPACT) {
        plan = H5Pcreate(H5P_DATASET_CREATE);
        assert_true(H5Pset_layout(plan, H5D_COMPACT) >= 0);
        add_set(file, "images", u8, uchar, 3, three, pixels, plan);
    } else if (kind == A_GROUP)
        H5Gclose(H5Gcreate2(file, "images", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    else if (kind == TEXT_IMAGES)
        add_set(file, "images", H5T_C_S1, H5T_C_S1, 3, three, pixels, plan);
    else if (kind != NO_IMAGES)
        add_bytes(file);
}

static void test_hdf5_refused(void **state)
{
    (void)state;
    if (check_under_valgrind())
        skip();
    static const struct {
        int kind;
        const char *words;
    } bad[] = {
        {NO_IMAGES, "has no dataset 'images' that can be opened"},
        {A_GROUP, "has no dataset 'images' that can be opened"},
        {LINKED, "'images' goes through an external link to the file '/tmp/posgrad-images-"},
        {SOFT, "'images' goes through a soft link to '/labels', which is not followed"},
        {VIRTUAL, "dataset 'images' is a virtual one, of the file '/tmp/posgrad-images-"},
        {COMPACT, "h5repack -l CONTI -f NONE"},
        {ELSEWHERE, "dataset 'images' is kept in another file"},
        {FLAT_IMAGES, "dataset 'images' has 2 dimensions; 3 are wanted"},
        {SIGNED_IMAGES, "of another type than unsigned bytes or reals"},
        {TEXT_IMAGES, "of another type than unsigned bytes or reals"},
        {EMPTY_IMAGES, "has no pixels: sizes 300, 0, 9"},
        {NOT_WRITTEN, "dataset 'images' was never written"},
        {HUGE_IMAGES, "was never written, or is larger than the file"},
        {COMPRESSED, "h5repack -l CONTI -f NONE"},
        {LARGE_REALS, "has 17 in image 2; reals must be from 0 to 1"},
        {NAN_REALS, "has nan in image 2"},
        {NO_LABELS, "has no dataset 'labels' that can be opened"},
        {FEW_LABELS, "has 299 labels for 300 images"},
        {REAL_LABELS, "has 1 dimensions and no integers"},
        {LARGE_LABELS, "has the label 1099511627776 of image 17"},
        {NEGATIVE_LABELS, "has the label -1 of image 17"},
    };
    make_mnist();
    hid_t good = make_hdf5("bytes.h5");
    add_bytes(good);
    H5Fclose(good);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        hid_t file = make_hdf5("bad.h5");
        add_bad_images(file, bad[i].kind);
        add_bad_labels(file, bad[i].kind);
        H5Fclose(file);
        check_error(open_path(in_folder("bad.h5"), 54, ""), ERR_FORMAT, bad[i].words);
        assert_null(dataset.task);
    }
    check_error(open_path(in_folder("bytes.h5"), 54, "labels=x"), ERR_ARGUMENT, "by labels_name");
    assert_int_equal(truncate(in_folder("bytes.h5"), 3000), 0);
    check_error(open_path(in_folder("bytes.h5"), 54, ""), ERR_FORMAT, "libhdf5 cannot open");
}

// --- digits

// Written once more, and as they look.
static const char *const digits[10] = {
    ".## #.# #.# #.# ###", ".## ### .## .## .##", "### ..# ### #.. ###", "### ..# ### ..# ###",
    "#.# #.# ### .## .##", "### #.. ### ..# ###", ".## #.. ### #.# ###", "### #.# .## .## .##",
    "### #.# .#. #.# ###", "### #.# ### ..# ##.",
};

// Which digit the ink of a grid is, wherever it stands and however large; -1 for none.
static int read_digit(const bool *ink, int64_t height, int64_t width, int64_t scale)
{
    for (int d = 0; d < 10; d++)
        for (int64_t top = 0; top + 5 * scale <= height; top++)
            for (int64_t left = 0; left + 3 * scale <= width; left++) {
                bool same = true;
                for (int64_t t = 0; t < height * width && same; t++) {
                    int64_t y = t / width - top, x = t % width - left;
                    bool inside = y >= 0 && x >= 0 && y < 5 * scale && x < 3 * scale;
                    bool is = inside && digits[d][y / scale * 4 + x / scale] == '#';
                    same = ink[t] == is;
                }
                if (same)
                    return d;
            }
    return -1;
}

static void check_digits(int64_t length, const char *options, int64_t height, int64_t scale,
                         int levels)
{
    bool ink[BATCH_MAX_LENGTH];
    int seen[10] = {0};
    check_ok(open_path(NULL, length, options));
    assert_int_equal(dataset.grid_height, height);
    assert_int_equal(dataset.grid_width, length / height);
    assert_int_equal(dataset.vocab, levels > 10 ? levels : 10);
    assert_true(dataset.fingerprint == 0);
    check_close(dataset.chance, 0.1, 1e-12, 0);
    for (int s = 0; s < DATASET_SPLITS; s++)
        for (uint64_t step = 0; step < 4; step++) {
            batch_draw(&dataset, &batch, (enum dataset_split)s, step, ROWS);
            batch_check(&dataset, &batch, ROWS);
            for (int64_t row = 0; row < ROWS; row++) {
                int64_t dark = 0;
                for (int64_t t = 0; t < length; t++) {
                    int64_t at = row * length + t;
                    assert_in_range(batch.tokens[at], 0, levels - 1);
                    assert_int_equal(batch.mask[at], 1);
                    assert_int_equal(batch.targets[at] == DATASET_IGNORE, t < length - 1);
                    ink[t] = 2 * batch.tokens[at] >= levels;
                    dark += ink[t];
                }
                int digit = batch.targets[(row + 1) * length - 1];
                assert_int_equal(read_digit(ink, height, length / height, scale), digit);
                assert_int_equal(dark, 11 * scale * scale); // how much ink there is says nothing
                seen[digit]++;
            }
        }
    for (int d = 0; d < 10; d++)
        check_close(seen[d], 76.8, 0, 5 * sqrt(76.8));
    dataset_close(&dataset);
}

static void test_digits(void **state)
{
    (void)state;
    check_digits(64, "", 8, 1, 8);
    check_digits(36, "levels=2", 6, 1, 2);
    check_digits(15, "height=5 noise=0", 5, 1, 8);
    check_digits(63, "height=7 levels=256 noise=0.49", 7, 1, 256);
    check_digits(144, "scale=2 levels=16", 12, 2, 16);
}

// No row of one split is a row of another.
static void test_digits_splits_share_no_row(void **state)
{
    (void)state;
    enum { DRAWN = 20 };
    static int32_t rows[DATASET_SPLITS][DRAWN * ROWS][15];
    // 10 digits with two values for some cells: few enough rows to meet again.
    check_ok(open_path(NULL, 15, "height=5 levels=10 noise=0.11"));
    assert_true(dataset.row_bits < DATASET_SPLIT_BITS); // too few: the rows are shared
    dataset_close(&dataset);
    check_ok(open_path(NULL, 15, "height=5 levels=20 noise=0.1"));
    assert_true(dataset.row_bits >= DATASET_SPLIT_BITS);
    for (int s = 0; s < DATASET_SPLITS; s++)
        for (int k = 0; k < DRAWN; k++) {
            batch_draw(&dataset, &batch, (enum dataset_split)s, (uint64_t)k, ROWS);
            memcpy(rows[s][k * ROWS], batch.tokens, ROWS * sizeof rows[0][0]);
        }
    for (int s = 0; s < DATASET_SPLITS; s++)
        for (int i = 0; i < DRAWN * ROWS; i++)
            for (int r = 0; r < s; r++)
                for (int k = 0; k < DRAWN * ROWS; k++)
                    assert_true(memcmp(rows[s][i], rows[r][k], sizeof rows[0][0]) != 0);
    dataset_close(&dataset);
}

static void test_scores(void **state)
{
    (void)state;
    static int32_t guess[ROWS * 36];
    struct dataset_score right = {0}, constant = {0};
    for (int i = 0; i < ROWS * 36; i++)
        guess[i] = 4;
    check_ok(open_path(NULL, 36, ""));
    for (uint64_t step = 0; step < 40; step++) {
        batch_draw(&dataset, &batch, DATASET_TRAIN, step, ROWS);
        dataset_score(&right, ROWS, 36, batch.targets, batch.targets);
        dataset_score(&constant, ROWS, 36, guess, batch.targets);
    }
    assert_true(right.correct == right.scored && right.scored == 40 * ROWS);
    double n = 40 * ROWS;
    check_close((double)constant.correct / n, dataset.chance, 0, 5 * sqrt(0.1 * 0.9 / n));
    dataset_close(&dataset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idx),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_evaluation),
        cmocka_unit_test(test_idx_refused),
        cmocka_unit_test(test_other_files_refused),
        cmocka_unit_test(test_options_refused),
        cmocka_unit_test(test_hdf5),
        cmocka_unit_test(test_hdf5_refused),
        cmocka_unit_test(test_digits),
        cmocka_unit_test(test_digits_splits_share_no_row),
        cmocka_unit_test(test_scores),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, make_folder, remove_folder) != 0;
}
