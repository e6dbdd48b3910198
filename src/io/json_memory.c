// Whether JSON lacks something because memory was short: see json_memory.h.
#include "json_memory.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>

#include "../../autograd/base/err.h"

static _Thread_local unsigned long failures;

static void *watched_malloc(size_t size)
{
    void *block = malloc(size);
    failures += !block;
    return block;
}

// What was allocated before is freed by the same function.
static void watch(void)
{
    json_set_alloc_funcs(watched_malloc, free);
}

unsigned long json_memory_failures(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch);
    return failures;
}

int json_memory_check(unsigned long before)
{
    return failures == before ? 0 : err_set(ERR_MEMORY, "out of memory for JSON");
}
