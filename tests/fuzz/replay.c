// Runs a target of fuzzing without libFuzzer: every file of a folder, and deterministic mutations
// of them. The short form of `make fuzz`, for any compiler.
//
// `fuzz_NAME FOLDER [MUTATIONS]` runs all, in a child process, and says which input ended it.
// `fuzz_NAME FILE` runs one file, as libFuzzer's programs do; `fuzz_NAME FOLDER -N` mutation N
// alone, as it was.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/rng.h"
#include "../../src/io/h5file.h"
#include "input.h"

enum { MAX_FILES = 1024, LARGEST = 1 << 16, SECONDS = 240 };

struct seed {
    char *name;
    uint8_t *bytes;
    size_t size;
};

struct corpus {
    int count;
    struct seed seed[MAX_FILES];
};

// --- the files

static int no_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void add(struct corpus *corpus, const char *path)
{
    BUG_ON(corpus->count == MAX_FILES);
    struct seed *seed = &corpus->seed[corpus->count++];
    char *bytes;
    if (file_read(path, LARGEST, &bytes, &seed->size) < 0) {
        fprintf(stderr, "%s\n", err_last());
        exit(2);
    }
    seed->name = strdup(path);
    seed->bytes = (uint8_t *)bytes;
}

static void read_corpus(struct corpus *corpus, const char *path)
{
    struct stat status;
    struct dirent **entry;
    if (stat(path, &status) < 0 || !S_ISDIR(status.st_mode)) {
        add(corpus, path);
        return;
    }
    int count = scandir(path, &entry, no_hidden, alphasort);
    for (int i = 0; i < count; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entry[i]->d_name);
        add(corpus, file);
        free(entry[i]);
    }
    free(entry);
    if (corpus->count == 0) {
        fprintf(stderr, "%s has no file\n", path);
        exit(2);
    }
}

// --- inputs. In memory of their own size, so that a checker of memory sees what is read past them.

static void run_bytes(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    BUG_ON(!copy);
    memcpy(copy, bytes, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

// Takes `size` bytes out of `all` at `at`, and puts `count` of `from` there.
static size_t replace(uint8_t *bytes, size_t all, size_t at, size_t size, const uint8_t *from,
                      size_t count)
{
    if (all - size + count > LARGEST)
        return all;
    uint8_t held[256];
    count = count < sizeof held ? count : sizeof held;
    memcpy(held, from, count);
    memmove(bytes + at + count, bytes + at + size, all - at - size);
    memcpy(bytes + at, held, count);
    return all - size + count;
}

static size_t below(struct rng *rng, size_t n)
{
    return n ? rng_below(rng, (uint32_t)n) : 0;
}

static const char *const pieces[] = {"-1", "0", "1e999", "99999999999999999999", "nan", "=", "\"",
                                     "[",  "}", "\n",    "\xFF\xFF\xFF\xFF"};

static size_t mutate_once(const struct corpus *corpus, struct rng *rng, uint8_t *bytes, size_t size)
{
    const struct seed *other = &corpus->seed[below(rng, (size_t)corpus->count)];
    size_t at = below(rng, size), from = below(rng, other->size);
    size_t few = below(rng, size - at < 32 ? size - at + 1 : 33);
    size_t some = below(rng, other->size - from < 64 ? other->size - from + 1 : 65);
    const char *piece = pieces[below(rng, sizeof pieces / sizeof pieces[0])];
    uint8_t byte = (uint8_t)rng_below(rng, 256);
    switch (rng_below(rng, 7)) {
    case 0:
        if (size)
            bytes[at] ^= (uint8_t)(1 << rng_below(rng, 8));
        return size;
    case 1:
        return size ? replace(bytes, size, at, 1, &byte, 1) : size;
    case 2:
        return replace(bytes, size, at, 0, &byte, 1);
    case 3:
        return replace(bytes, size, at, few, &byte, 0);
    case 4:
        return replace(bytes, size, at, few, (const uint8_t *)piece, strlen(piece));
    case 5:
        return replace(bytes, size, at, few, other->bytes + from, some);
    default:
        return rng_below(rng, 8) ? replace(bytes, size, at, 0, bytes + at, few) : at;
    }
}

// Mutation `number` is the same one whoever asks.
static void run_mutation(const struct corpus *corpus, int number)
{
    static uint8_t bytes[LARGEST];
    const struct seed *seed = &corpus->seed[number % corpus->count];
    struct rng rng;
    rng_init(&rng, rng_stream(0, "mutations"), (uint64_t)number, 0);
    size_t size = seed->size;
    memcpy(bytes, seed->bytes, size);
    for (uint32_t left = 1 + rng_below(&rng, 6); left > 0; left--)
        size = mutate_once(corpus, &rng, bytes, size);
    run_bytes(bytes, size);
}

// --- all of them

// What the child is at: inputs below `corpus->count` are files, those from there on mutations.
static void run_all(const struct corpus *corpus, int mutations, volatile int *at)
{
    // An input that never ends is found by the time of the processor, not by the clock.
    setrlimit(RLIMIT_CPU, &(struct rlimit){SECONDS, SECONDS});
    for (*at = 0; *at < corpus->count; ++*at)
        run_bytes(corpus->seed[*at].bytes, corpus->seed[*at].size);
    for (; *at < corpus->count + mutations; ++*at)
        run_mutation(corpus, *at - corpus->count);
}

static int watch(const struct corpus *corpus, const char *program, const char *path, int mutations)
{
    int status;
    int *at = mmap(NULL, sizeof *at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    BUG_ON(at == MAP_FAILED);
    pid_t child = fork();
    BUG_ON(child < 0);
    if (child == 0) {
        run_all(corpus, mutations, at);
        exit(0); // leaks are looked for here
    }
    BUG_ON(waitpid(child, &status, 0) != child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        printf("%d files and %d mutations of them\n", corpus->count, mutations);
        return 0;
    }
    printf("%s %d at ", WIFSIGNALED(status) ? "signal" : "exit status",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    if (*at < corpus->count)
        printf("%s; again: %s %s\n", corpus->seed[*at].name, program, corpus->seed[*at].name);
    else if (*at < corpus->count + mutations)
        printf("a mutation; again: %s %s -%d\n", program, path, *at - corpus->count);
    else
        printf("its end, where leaks are looked for\n");
    return 1;
}

int main(int argc, char **argv)
{
    static struct corpus corpus;
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "Usage: %s FOLDER|FILE [MUTATIONS | -MUTATION]\n", argv[0]);
        return 2;
    }
    read_corpus(&corpus, argv[1]);
    int status = 0, number = argc == 3 ? (int)strtol(argv[2], NULL, 10) : 0;
    if (argc == 3 && argv[2][0] == '-')
        run_mutation(&corpus, -number);
    else if (argc == 3)
        status = watch(&corpus, argv[0], argv[1], number);
    else
        for (int i = 0; i < corpus.count; i++)
            run_bytes(corpus.seed[i].bytes, corpus.seed[i].size);
    for (int i = 0; i < corpus.count; i++) {
        free(corpus.seed[i].name);
        free(corpus.seed[i].bytes);
    }
    return status;
}
