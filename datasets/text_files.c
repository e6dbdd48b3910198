// Files for tasks over text: listed, mapped, cut into splits, and windows drawn from them.
#include "text_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../autograd/base/err.h"

// A process has 65530 mappings unless it is told otherwise.
enum { BLOCKS = 20, MAX_STRETCHES = 4, MAX_FILES = 1 << 15, REASONS = 3 };

// The part of a file that is one split's.
struct part {
    int stretches;
    int64_t begin[MAX_STRETCHES], end[MAX_STRETCHES];
};

struct text_file {
    struct data_file data;
    char *path;
    struct part part[DATASET_SPLITS];
    int64_t windows[DATASET_SPLITS]; // of this file and those before it
};

struct text_files {
    struct text_file *file;
    int count;
    int64_t window; // bytes
    bool ahead;     // a file is so large that the next step's windows are read ahead
    struct held_out held_out;
};

// --- which files

struct paths {
    char **path;
    int count;
};

static void release_paths(struct paths *paths)
{
    for (int i = 0; i < paths->count; i++)
        free(paths->path[i]);
    free(paths->path);
}

// "folder/name", or the name alone where the folder is NULL.
static int add_path(struct paths *paths, const char *folder, const char *name)
{
    if (paths->count == MAX_FILES)
        return err_set(ERR_FILE, "--data: there are more than %d files; join some into one",
                       MAX_FILES);
    if (!paths->path)
        paths->path = calloc(MAX_FILES, sizeof *paths->path);
    size_t size = (folder ? strlen(folder) + 1 : 0) + strlen(name) + 1;
    char *path = paths->path ? malloc(size) : NULL;
    if (!path)
        return err_set(ERR_MEMORY, "out of memory for the names of the files of --data");
    snprintf(path, size, "%s%s%s", folder ? folder : "", folder ? "/" : "", name);
    paths->path[paths->count++] = path;
    return 0;
}

// By bytes: alphasort's order is the locale's.
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_name(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int add_folder(struct paths *paths, const char *folder)
{
    struct dirent **entry = NULL;
    int code = 0, count = scandir(folder, &entry, is_name, by_name);
    if (count < 0)
        return err_set(ERR_FILE, "--data: cannot list the folder '%s': %s", folder,
                       strerror(errno));
    if (count == 0)
        code = err_set(ERR_FILE, "--data: the folder '%s' has no file", folder);
    for (int i = 0; i < count; i++) {
        if (code == 0)
            code = add_path(paths, folder, entry[i]->d_name);
        free(entry[i]);
    }
    free(entry);
    return code;
}

// A path that was given. `name` is one of several where `of` is not NULL.
static int add_given(struct paths *paths, const char *name, const char *of)
{
    struct stat status;
    if (!*name)
        return err_set(ERR_FILE, "--data: a name is empty in '%s', where ':' is between names",
                       of ? of : "");
    if (stat(name, &status) < 0)
        return err_set(ERR_FILE, "--data: cannot open '%s': %s", name, strerror(errno));
    return S_ISDIR(status.st_mode) ? add_folder(paths, name) : add_path(paths, NULL, name);
}

static int list_paths(struct paths *paths, const char *data_path)
{
    struct stat status;
    if (!strchr(data_path, ':') || stat(data_path, &status) == 0)
        return add_given(paths, data_path, NULL);
    int code = 0;
    for (const char *p = data_path; p && code == 0;) {
        char name[OPTION_TEXT];
        size_t size = strcspn(p, ":");
        memcpy(name, p, size);
        name[size] = '\0';
        code = add_given(paths, name, data_path);
        p = p[size] ? p + size + 1 : NULL;
    }
    return code;
}

// --- what is left out

struct skipped {
    int count;
    char reasons[800]; // of the first few
};

// Notes the line of the last error as the reason.
static void skip(struct skipped *skipped)
{
    size_t used = strlen(skipped->reasons);
    if (skipped->count++ < REASONS)
        snprintf(skipped->reasons + used, sizeof skipped->reasons - used, "%s%.250s",
                 used ? "; " : "", err_last());
}

// The notice, or the error where nothing is left.
static int tell(struct dataset *dataset, const struct skipped *skipped, int used)
{
    char more[32] = "";
    if (skipped->count > REASONS)
        snprintf(more, sizeof more, "; and %d more", skipped->count - REASONS);
    if (used == 0 && skipped->count == 1)
        return err_set(ERR_FILE, "--data: %s", skipped->reasons);
    if (used == 0)
        return err_set(ERR_FILE, "--data: none of %d files can be used: %s%s", skipped->count,
                       skipped->reasons, more);
    if (skipped->count > 0)
        snprintf(dataset->notice, sizeof dataset->notice, "--data: %d of %d files skipped: %s%s",
                 skipped->count, skipped->count + used, skipped->reasons, more);
    return 0;
}

// --- opening

static int open_files(struct text_files *files, struct paths *paths, struct skipped *skipped)
{
    files->file = calloc((size_t)paths->count + 1, sizeof *files->file);
    if (!files->file)
        return err_set(ERR_MEMORY, "out of memory for %d files of --data", paths->count);
    for (int i = 0; i < paths->count; i++) {
        struct text_file *file = &files->file[files->count];
        if (data_file_open(&file->data, paths->path[i]) < 0) {
            skip(skipped);
            continue;
        }
        file->path = paths->path[i]; // taken
        paths->path[i] = NULL;
        files->count++;
    }
    return 0;
}

static enum dataset_split split_of_block(int block)
{
    return block % 10 == 4 ? DATASET_VALIDATION : block % 10 == 9 ? DATASET_TEST : DATASET_TRAIN;
}

// i * size / BLOCKS without the product.
static int64_t bound(int64_t size, int block)
{
    return size / BLOCKS * block + size % BLOCKS * block / BLOCKS;
}

static void cut(struct text_file *file)
{
    for (int block = 0; block < BLOCKS; block++) {
        struct part *part = &file->part[split_of_block(block)];
        if (block == 0 || split_of_block(block - 1) != split_of_block(block))
            part->begin[part->stretches++] = bound(file->data.size, block);
        part->end[part->stretches - 1] = bound(file->data.size, block + 1);
    }
}

// Leaves out the files that have no window in each split, closes the gaps and counts windows.
static void keep_long_enough(struct text_files *files, int64_t length, struct skipped *skipped)
{
    int count = files->count;
    int64_t windows[DATASET_SPLITS] = {0};
    files->count = 0;
    for (int i = 0; i < count; i++) {
        struct text_file file = files->file[i];
        if (file.data.size / BLOCKS < files->window) {
            err_set(ERR_FILE,
                    "'%s' has %lld bytes; windows of length %lld take %lld, so that each split "
                    "has one",
                    file.path, (long long)file.data.size, (long long)length,
                    (long long)files->window * BLOCKS);
            skip(skipped);
            data_file_close(&file.data);
            free(file.path);
            continue;
        }
        cut(&file);
        for (int s = 0; s < DATASET_SPLITS; s++) {
            for (int k = 0; k < file.part[s].stretches; k++)
                windows[s] += file.part[s].end[k] - file.part[s].begin[k] - files->window + 1;
            file.windows[s] = windows[s];
        }
        files->file[files->count++] = file;
    }
}

// --- what is known of all bytes, or of pages that stand for them

static int64_t pages_of(const struct text_files *files, int i, int64_t total)
{
    return data_file_pages(files->file[i].data.size, total, files->count);
}

static int64_t total_size(const struct text_files *files)
{
    int64_t total = 0; // cannot overflow: all of it is mapped
    for (int i = 0; i < files->count; i++)
        total += files->file[i].data.size;
    return total;
}

// Files too short for a window count: which ones those are depends on the length, and a run is also
// scored at others.
static uint64_t fingerprint(const struct text_files *files)
{
    uint64_t joined = 0;
    int64_t total = total_size(files);
    for (int i = 0; i < files->count; i++)
        joined = data_file_join(
            joined, data_file_fingerprint(&files->file[i].data, pages_of(files, i, total)));
    return joined;
}

// Adds to the counts of bytes those of the training blocks of one file. Where only some pages are
// looked at, they stand for all.
static void count_bytes(const struct text_file *file, int64_t pages, double count[256])
{
    const struct part *part = &file->part[DATASET_TRAIN];
    int64_t seen[256] = {0}, looked_at = 0, all = 0;
    for (int k = 0; k < part->stretches; k++)
        all += part->end[k] - part->begin[k];
    for (int64_t page = 0; page < pages; page++) {
        int64_t begin, end;
        data_file_page(file->data.size, pages, page, &begin, &end);
        for (int k = 0; k < part->stretches; k++) {
            int64_t from = begin > part->begin[k] ? begin : part->begin[k];
            int64_t to = end < part->end[k] ? end : part->end[k];
            for (int64_t i = from; i < to; i++)
                seen[file->data.bytes[i]]++;
            looked_at += to > from ? to - from : 0;
        }
    }
    double weight = (double)all / (double)looked_at; // 1 where all were; the first page always is
    for (int b = 0; b < 256; b++)
        count[b] += (double)seen[b] * weight;
}

static double commonest_byte(const struct text_files *files)
{
    double count[256] = {0}, most = 0, all = 0;
    int64_t total = total_size(files);
    for (int i = 0; i < files->count; i++)
        count_bytes(&files->file[i], pages_of(files, i, total), count);
    for (int b = 0; b < 256; b++) {
        most = count[b] > most ? count[b] : most;
        all += count[b];
    }
    return most / all;
}

static int fill(struct dataset *dataset, struct text_files *files)
{
    struct paths paths = {0};
    struct skipped skipped = {0};
    int code = list_paths(&paths, dataset->data_path);
    if (code == 0)
        code = open_files(files, &paths, &skipped);
    release_paths(&paths);
    if (code < 0)
        return code;
    dataset->fingerprint = fingerprint(files);
    for (int i = 0; i < files->count; i++)
        files->ahead = files->ahead || data_file_large(&files->file[i].data);
    keep_long_enough(files, dataset->length, &skipped);
    code = tell(dataset, &skipped, files->count);
    if (code == 0)
        dataset->chance = commonest_byte(files);
    return code;
}

int text_files_open(struct dataset *dataset, int64_t window)
{
    struct text_files *files = calloc(1, sizeof *files);
    if (!files)
        return err_set(ERR_MEMORY, "out of memory for task %s", dataset->task->name);
    files->window = window;
    held_out_init(&files->held_out, dataset->task);
    dataset->state = files;
    int code = fill(dataset, files);
    if (code < 0)
        text_files_close(dataset);
    return code;
}

void text_files_close(struct dataset *dataset)
{
    struct text_files *files = dataset->state;
    for (int i = 0; files && i < files->count; i++) {
        data_file_close(&files->file[i].data);
        free(files->file[i].path);
    }
    if (files)
        free(files->file);
    free(files);
    dataset->state = NULL;
}

// --- windows

// The file that has the window: the first one whose windows go beyond it.
static const struct text_file *file_of(const struct text_files *files, enum dataset_split split,
                                       int64_t window)
{
    int low = 0, high = files->count - 1;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (window < files->file[middle].windows[split])
            high = middle;
        else
            low = middle + 1;
    }
    return &files->file[low];
}

// Draws a window, and the file that has it.
static const unsigned char *draw(const struct text_files *files, enum dataset_split split,
                                 struct rng *rng, const struct text_file **of)
{
    int64_t window = data_file_below(rng, files->file[files->count - 1].windows[split]);
    const struct text_file *file = *of = file_of(files, split, window);
    const struct part *part = &file->part[split];
    if (file > files->file)
        window -= file[-1].windows[split];
    int k = 0;
    for (; window > part->end[k] - part->begin[k] - files->window; k++)
        window -= part->end[k] - part->begin[k] - files->window + 1;
    return file->data.bytes + part->begin[k] + window;
}

const unsigned char *text_files_draw(const struct dataset *dataset, enum dataset_split split,
                                     struct rng *rng)
{
    const struct text_files *files = dataset->state;
    const struct text_file *file;
    held_out_restart(&files->held_out, split, rng);
    if (files->ahead) {
        struct rng next;
        rng_init(&next, rng->stream, rng->a + 1, rng->b);
        const unsigned char *bytes = draw(files, split, &next, &file);
        data_file_read_ahead(&file->data, bytes - file->data.bytes, files->window);
    }
    return draw(files, split, rng, &file);
}
