// Mapping files, and knowing them again.
#include "data_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../autograd/base/err.h"
#include "../autograd/base/retry.h"

enum { PAGE = 4096, PAGES = 1024, FEWEST_PAGES = 4 };
static const int64_t whole = (int64_t)64 << 20;

// --- mapping

static int check_kind(const char *path, const struct stat *status)
{
    if (S_ISDIR(status->st_mode))
        return err_set(ERR_FILE, "'%s' is a folder", path);
    if (!S_ISREG(status->st_mode))
        return err_set(ERR_FILE, "'%s' is not a regular file; save its bytes to one", path);
    if (status->st_size == 0)
        return err_set(ERR_FILE, "'%s' is empty", path);
    return 0;
}

int data_file_open(struct data_file *file, const char *path)
{
    struct stat status;
    *file = (struct data_file){0};
    // A path may come out of a stranger's checkpoint, and some devices do something when they are
    // merely opened: nothing but files is. O_NONBLOCK is for what became a pipe since the look.
    int kind = stat(path, &status) == 0 ? check_kind(path, &status) : 0;
    if (kind < 0)
        return kind;
    int descriptor;
    RETRY(descriptor, open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (descriptor < 0)
        return err_set(ERR_FILE, "'%s' cannot be opened: %s", path, strerror(errno));
    int code = 0;
    if (fstat(descriptor, &status) != 0)
        code = err_set(ERR_FILE, "'%s' cannot be read: %s", path, strerror(errno));
    if (code == 0)
        code = check_kind(path, &status);
    if (code == 0) {
        void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (bytes == MAP_FAILED)
            code = err_set(ERR_FILE, "'%s' cannot be mapped: %s", path, strerror(errno));
        else
            *file = (struct data_file){bytes, status.st_size};
    }
    close(descriptor);
    // Rows of a large file are far apart: what lies around one is not worth its reading.
    if (code == 0 && data_file_large(file))
        posix_madvise((void *)file->bytes, (size_t)file->size, POSIX_MADV_RANDOM);
    return code;
}

void data_file_close(struct data_file *file)
{
    if (file->bytes)
        munmap((void *)file->bytes, (size_t)file->size);
    *file = (struct data_file){0};
}

bool data_file_large(const struct data_file *file)
{
    return file->size > whole;
}

void data_file_read_ahead(const struct data_file *file, int64_t begin, int64_t size)
{
    int64_t from = begin - begin % PAGE;
    if (data_file_large(file))
        posix_madvise((void *)(file->bytes + from), (size_t)(begin + size - from),
                      POSIX_MADV_WILLNEED);
}

// --- pages that stand for a file

int64_t data_file_pages(int64_t size, int64_t total, int64_t files)
{
    int64_t all = (size + PAGE - 1) / PAGE;
    if (total <= whole)
        return all;
    int64_t share = PAGES / files > FEWEST_PAGES ? PAGES / files : FEWEST_PAGES;
    return share < all ? share : all;
}

// The first, the last and those between at equal steps.
void data_file_page(int64_t size, int64_t pages, int64_t i, int64_t *begin, int64_t *end)
{
    int64_t all = (size + PAGE - 1) / PAGE;
    *begin = (pages > 1 ? i * (all - 1) / (pages - 1) : 0) * PAGE;
    *end = size - *begin < PAGE ? size : *begin + PAGE;
}

// FNV-1a (Fowler, Noll, Vo) with a mix, over words of eight bytes.
static uint64_t add_word(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x100000001B3u;
    return hash ^ hash >> 29;
}

uint64_t data_file_fingerprint(const struct data_file *file, int64_t pages)
{
    uint64_t hash = 0xCBF29CE484222325u ^ (uint64_t)file->size;
    for (int64_t page = 0; page < pages; page++) {
        int64_t begin, end;
        data_file_page(file->size, pages, page, &begin, &end);
        for (int64_t i = begin; i < end; i += 8) {
            uint64_t word = 0;
            memcpy(&word, file->bytes + i, (size_t)(end - i < 8 ? end - i : 8));
            hash = add_word(hash, word);
        }
    }
    return hash ? hash : 1;
}

uint64_t data_file_join(uint64_t joined, uint64_t fingerprint)
{
    // The first one is mixed on its own, or the order would not matter.
    uint64_t hash = joined ? add_word(add_word(joined, 0), fingerprint) : fingerprint;
    return hash ? hash : 1;
}

// --- rows

void held_out_init(struct held_out *held_out, const struct task_def *task)
{
    for (int s = 0; s < DATASET_SPLITS; s++) {
        char name[128];
        snprintf(name, sizeof name, "data/%s/%s", task->name, dataset_split_name[s]);
        held_out->stream[s] = rng_stream(0, name);
    }
}

void held_out_restart(const struct held_out *held_out, enum dataset_split split, struct rng *rng)
{
    if (split != DATASET_TRAIN)
        rng_init(rng, held_out->stream[split], rng->a, rng->b);
}

// Draws again in the few cases that would be unfair.
int64_t data_file_below(struct rng *rng, int64_t n)
{
    uint64_t range = (uint64_t)n, unfair = -range % range, x;
    do
        x = rng_u64(rng);
    while (x < unfair);
    return (int64_t)(x % range);
}
