// Which kernels OpenBLAS took, and whether this CPU deserves better.
#include "blas.h"

#include <cblas.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include "../base/err.h"
#include "../base/restart.h"

struct blas_cpu blas_cpu(void)
{
    struct blas_cpu cpu = {0};
#if defined(__x86_64__) || defined(__i386__)
    __builtin_cpu_init();
    cpu.avx2 = __builtin_cpu_supports("avx2") != 0;
    cpu.fma = __builtin_cpu_supports("fma") != 0;
    cpu.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    return cpu;
}

// Families whose kernels use neither AVX2 nor FMA.
static bool is_old(const char *core)
{
    static const char *const old[] = {
        "Katmai",  "Coppermine",   "Northwood",  "Prescott", "Banias",      "Atom",
        "Core2",   "Penryn",       "Dunnington", "Nehalem",  "Sandybridge", "Athlon",
        "Opteron", "Opteron_SSE3", "Barcelona",  "Bobcat",   "Nano",
    };
    for (size_t i = 0; i < sizeof old / sizeof old[0]; i++)
        if (strcasecmp(core, old[i]) == 0)
            return true;
    return false;
}

const char *blas_better_core(const char *core, const struct blas_cpu *cpu, const char *chosen)
{
    if ((chosen && *chosen) || !is_old(core))
        return NULL;
    if (cpu->avx512)
        return "SkylakeX";
    return cpu->avx2 && cpu->fma ? "Haswell" : NULL;
}

const char *blas_other_core(const char *core, const struct blas_cpu *cpu)
{
    static const char *const by_avx2[] = {"Haswell", "Zen", "Excavator", "Steamroller"};
    bool is_avx2 = is_old(core);
    for (size_t i = 0; i < sizeof by_avx2 / sizeof by_avx2[0]; i++)
        is_avx2 = is_avx2 || strcasecmp(core, by_avx2[i]) == 0;
    if (!is_avx2 && cpu->avx2 && cpu->fma)
        return "Haswell";
#if defined(__x86_64__) || defined(__i386__)
    return strcasecmp(core, "Prescott") == 0 ? NULL : "Prescott";
#else
    return NULL;
#endif
}

void blas_mend(char **argv)
{
    const char *core = openblas_get_corename();
    if (getenv(BLAS_MENDED_VARIABLE))
        return;
    struct blas_cpu cpu = blas_cpu();
    const char *better = blas_better_core(core, &cpu, getenv(BLAS_CORE_VARIABLE));
    if (!better || setenv(BLAS_MENDED_VARIABLE, core, 1) != 0)
        return;
    if (setenv(BLAS_CORE_VARIABLE, better, 1) == 0)
        restart_program(argv);
    unsetenv(BLAS_CORE_VARIABLE);
    unsetenv(BLAS_MENDED_VARIABLE);
}

bool blas_has_room(int buffers)
{
    enum { MOST = 256 };
    static const size_t size = (size_t)128 << 20;
    void *buffer[MOST];
    int count = 0, wanted = buffers < MOST ? buffers : MOST;
    while (count < wanted) {
        buffer[count] =
            mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (buffer[count] == MAP_FAILED)
            break;
        count++;
    }
    for (int i = 0; i < count; i++)
        munmap(buffer[i], size);
    return count == wanted;
}

int blas_check_room(int threads)
{
    if (blas_has_room(threads))
        return 0;
    return err_set(
        ERR_MEMORY,
        "out of memory: OpenBLAS wants 128 MiB of address space for each of %d thread%s; "
        "take fewer (--threads), or raise the limit (ulimit -v)",
        threads, threads == 1 ? "" : "s");
}

const char *blas_threading(void)
{
    static const char *const names[] = {"serial", "pthreads", "OpenMP"};
    int kind = openblas_get_parallel();
    return kind >= 0 && kind < 3 ? names[kind] : "unknown";
}

int blas_check_threads(int threads)
{
    if (threads <= 1 || openblas_get_parallel() != OPENBLAS_SEQUENTIAL)
        return 0;
    return err_set(
        ERR_FILE,
        "this OpenBLAS is the serial build, whose products are wrong on %d threads; install "
        "the OpenMP build (Debian, Ubuntu: libopenblas-openmp-dev) and build again, or "
        "take one thread (--threads 1; gradcheck: OMP_NUM_THREADS=1)",
        threads);
}
