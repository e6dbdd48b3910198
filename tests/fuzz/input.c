// Texts, lines and files out of bytes.
#include "input.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../autograd/base/err.h"

void fuzz_judge(int code)
{
    const char *line = err_last();
    if (code >= 0)
        return;
    BUG_ON(!*line);
    BUG_ON(code != err_code());
    for (; *line; line++)
        BUG_ON((unsigned char)*line < 0x20 || *line == 0x7F);
}

char *fuzz_text(const uint8_t *data, size_t size)
{
    size_t length = size ? strnlen((const char *)data, size) : 0;
    char *text = malloc(length + 1);
    BUG_ON(!text);
    if (length)
        memcpy(text, data, length);
    text[length] = '\0';
    return text;
}

char *fuzz_line(char **text)
{
    char *line = *text;
    if (!line)
        return NULL;
    size_t size = strcspn(line, "\n");
    *text = line[size] && line[size + 1] ? line + size + 1 : NULL;
    line[size] = '\0';
    return line;
}

static void put(int descriptor, const uint8_t *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t now = write(descriptor, data + done, size - done);
        BUG_ON(now <= 0);
        done += (size_t)now;
    }
}

void fuzz_file_make(struct fuzz_file *file, const uint8_t *data, size_t size)
{
    file->descriptor = memfd_create("input", MFD_CLOEXEC);
    BUG_ON(file->descriptor < 0);
    put(file->descriptor, data, size);
    snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->descriptor);
}

void fuzz_file_close(struct fuzz_file *file)
{
    close(file->descriptor);
}

// --- rows of a task

enum { ROWS = 2 };

static void check_row(const struct dataset *dataset, const int32_t *tokens, const int32_t *targets,
                      const int32_t *mask)
{
    for (int64_t i = 0; i < dataset->length; i++) {
        BUG_ON(tokens[i] < 0 || tokens[i] >= dataset->vocab);
        BUG_ON(targets[i] != DATASET_IGNORE && (targets[i] < 0 || targets[i] >= dataset->vocab));
        BUG_ON(mask[i] != 0 && mask[i] != 1);
    }
}

void fuzz_rows(const struct dataset *dataset)
{
    int64_t length = dataset->length, count = ROWS * length;
    int32_t *rows = malloc((size_t)(3 * count) * sizeof *rows);
    BUG_ON(!rows);
    BUG_ON(!(dataset->chance >= 0 && dataset->chance <= 1));
    for (int split = 0; split < DATASET_SPLITS; split++) {
        dataset_batch(dataset, (enum dataset_split)split, 1, ROWS, rows, rows + count,
                      rows + 2 * count);
        for (int64_t i = 0; i < count; i += length)
            check_row(dataset, rows + i, rows + count + i, rows + 2 * count + i);
    }
    free(rows);
}

// --- a folder

// In memory where there is such a place: it is written a thousand times a second.
static char folder[] = "/dev/shm/posgrad-fuzz-XXXXXX";
static bool is_made;

static void remove_folder(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0)
        perror(folder);
}

const char *fuzz_folder(void)
{
    if (!is_made) {
        if (!mkdtemp(folder)) {
            snprintf(folder, sizeof folder, "/tmp/posgrad-fuzz-XXXXXX");
            BUG_ON(!mkdtemp(folder));
        }
        is_made = true;
        atexit(remove_folder);
    }
    return folder;
}

static void path_of(const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", fuzz_folder(), name);
}

void fuzz_folder_put(const char *name, const uint8_t *data, size_t size)
{
    char path[128];
    path_of(name, path);
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    BUG_ON(descriptor < 0);
    put(descriptor, data, size);
    close(descriptor);
}

void fuzz_folder_remove(const char *name)
{
    char path[128];
    path_of(name, path);
    unlink(path);
}
