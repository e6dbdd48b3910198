// What the kernel says is left. Linux hands out more than there is and kills a process later, in
// the middle of what it does; asking first turns that into an error.
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"

// The number after `key` in a file of "key number" lines, or of a number alone (key ""); -1.
static long long number_in(const char *path, const char *key)
{
    FILE *file = fopen(path, "r");
    char line[256];
    size_t skip = strlen(key);
    long long number = -1;
    while (file && number < 0 && fgets(line, sizeof line, file))
        if (strncmp(line, key, skip) == 0 &&
            (isdigit((unsigned char)line[skip]) || line[skip] == ' '))
            number = strtoll(line + skip, NULL, 10);
    if (file)
        fclose(file);
    return number;
}

size_t memory_left(void)
{
    long long available = number_in("/proc/meminfo", "MemAvailable:");
    long long swap = number_in("/proc/meminfo", "SwapFree:");
    long long limit = number_in("/sys/fs/cgroup/memory.max", ""); // "max" is none
    long long old = number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes", "");
    unsigned long long left = SIZE_MAX;
    if (available >= 0)
        left = 1024ull * (unsigned long long)(available + (swap > 0 ? swap : 0));
    if (limit > 0 && (unsigned long long)limit < left)
        left = (unsigned long long)limit;
    if (old > 0 && (unsigned long long)old < left)
        left = (unsigned long long)old;
    return left > SIZE_MAX ? SIZE_MAX : (size_t)left;
}
