// Fuzzing the readers of data files: texts, folders of texts, and images in IDX.
//
// The first byte of an input says what the rest is; the second, how long rows are:
//   'i'  IDX: two bytes say how many belong to the images, what is left are the labels
//   't'  a text, 'm' a text whose words are masked
//   'f'  a folder of texts, cut at every byte 0xFF; ':' the same as names with ':' between them
// Reaches: data_file.c, text_files.c, image_file.c (all but HDF5, which is read behind the wall:
// see fuzz_foreign.c), the images, text and masked-text tasks and their rows.
#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "input.h"

enum { MAX_FILES = 4, MAX_LENGTH = 64 };

static void try_path(const char *task, int64_t length, const char *path, const char *pair)
{
    struct dataset dataset;
    struct dataset_request request = {.task = task,
                                      .length = length,
                                      .seed = 1,
                                      .data_path = path,
                                      .pair_count = pair ? 1 : 0,
                                      .pairs = &pair};
    int code = dataset_open(&dataset, &request);
    fuzz_judge(code);
    if (code < 0)
        return;
    BUG_ON(dataset.fingerprint == 0);
    BUG_ON(strchr(dataset.notice, '\n'));
    fuzz_rows(&dataset);
    dataset_close(&dataset);
}

static void try_text(const char *task, int64_t length, const uint8_t *data, size_t size)
{
    struct fuzz_file file;
    fuzz_file_make(&file, data, size);
    try_path(task, length, file.path, NULL);
    fuzz_file_close(&file);
}

// libhdf5 is not for this target: its own mistakes are not ours, and a process each is slow.
static bool has_signature(const uint8_t *data, size_t size)
{
    return memmem(data, size, "\211HDF", 4) != NULL;
}

static void try_images(int64_t length, const uint8_t *data, size_t size)
{
    struct fuzz_file images, labels;
    char option[96];
    size_t count = size < 2 ? 0 : (size_t)data[0] << 8 | data[1];
    if (size < 2 || has_signature(data, size))
        return;
    data += 2;
    size -= 2;
    count = count < size ? count : size;
    fuzz_file_make(&images, data, count);
    fuzz_file_make(&labels, data + count, size - count);
    snprintf(option, sizeof option, "labels=%s", labels.path);
    try_path("images", length, images.path, option);
    fuzz_file_close(&images);
    fuzz_file_close(&labels);
}

// The files are 0, 1, 2, ... in the folder; `names` gets their paths with ':' between them.
static void try_folder(bool by_names, int64_t length, const uint8_t *data, size_t size)
{
    char names[512] = "";
    for (int i = 0; i < MAX_FILES; i++) {
        char name[16];
        const uint8_t *end = size ? memchr(data, 0xFF, size) : NULL;
        size_t count = end ? (size_t)(end - data) : size;
        snprintf(name, sizeof name, "%d", i);
        if (!data) {
            fuzz_folder_remove(name);
            continue;
        }
        fuzz_folder_put(name, data, count);
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s/%s", i ? ":" : "", fuzz_folder(), name);
        data = end ? end + 1 : NULL;
        size -= end ? count + 1 : count;
    }
    try_path("text", length, by_names ? names : fuzz_folder(), NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    int64_t length = data[1] % MAX_LENGTH;
    switch (data[0]) {
    case 'i':
        try_images(length, data + 2, size - 2);
        break;
    case 't':
        try_text("text", length, data + 2, size - 2);
        break;
    case 'm':
        try_text("masked-text", length, data + 2, size - 2);
        break;
    case 'f':
    case ':':
        try_folder(data[0] == ':', length, data + 2, size - 2);
        break;
    default:
        break;
    }
    return 0;
}
