// POSGRAD_LEVEL is set by the Makefile for each build, and for all of them POSGRAD_HAS_... of those
// that there are.
#include "level.h"

#include <stddef.h>
#include <string.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

const char *const level_names[] = {
#ifdef POSGRAD_HAS_avx512
    "avx512",
#endif
#ifdef POSGRAD_HAS_avx2
    "avx2",
#endif
#ifdef POSGRAD_HAS_base
    "base",
#endif
    NULL};

#define TEXT(name) #name
#define TEXT_OF(macro) TEXT(macro)

const char *level_own(void)
{
    return TEXT_OF(POSGRAD_LEVEL);
}

const char *level_compiler(void)
{
#ifdef __clang__
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

const char *level_c_library(void)
{
#ifdef __GLIBC__
    return gnu_get_libc_version();
#else
    return "unknown";
#endif
}

bool level_runs(const char *name)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    if (strcmp(name, "avx2") == 0)
        return avx2;
    if (strcmp(name, "avx512") == 0)
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
#endif
    return strcmp(name, "base") == 0;
}
