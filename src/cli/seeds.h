// Several seeds in one command: the list, and the table at the end.
#ifndef POSGRAD_SEEDS_H
#define POSGRAD_SEEDS_H

#include <stdbool.h>
#include <stdint.h>

#include "../train/run.h"

#define SEEDS_MAX 1000

struct seed_result {
    int64_t seed, step;
    struct evaluation evaluation; // of the last step
    bool done;
};
struct seeds {
    int count;
    struct seed_result result[SEEDS_MAX];
};

// "0,1,2" or "0-4" or "0-2,7". ERR_ARGUMENT where it is none, or a seed comes twice.
int seeds_parse(struct seeds *seeds, const char *text);
// What each seed of those that are done came to, then mean and 95 % interval over the seeds.
// ERR_MEMORY.
int seeds_print(const struct seeds *seeds, bool json);

#endif
