// posgrad system: all of this machine that decides speed or bits, for a report of a result or of a
// fault.
#include <argp.h>
#include <jansson.h>
#include <nettle/version.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "../../autograd/base/par.h"
#include "../../autograd/base/real.h"
#include "../../autograd/base/wall.h"
#include "../../autograd/kernels/blas.h"
#include "../../autograd/kernels/gemm.h"
#include "../../autograd/kernels/level.h"
#include "../io/h5file.h"
#include "../io/version.h"
#include "command.h"
#include "output.h"
#include "train_arguments.h"

enum { TEXT = 512, MAX_FACTS = 24 };

// Label and key of a line; JSON has the key.
struct fact {
    const char *key, *label;
    char text[TEXT];
};
struct facts {
    int count;
    struct fact fact[MAX_FACTS];
};

__attribute__((format(printf, 4, 5))) static void add(struct facts *facts, const char *key,
                                                      const char *label, const char *format, ...)
{
    if (facts->count == MAX_FACTS)
        return;
    struct fact *fact = &facts->fact[facts->count++];
    va_list list;
    fact->key = key;
    fact->label = label;
    va_start(list, format);
    vsnprintf(fact->text, sizeof fact->text, format, list);
    va_end(list);
}

// The first "model name" of /proc/cpuinfo.
static void cpu_name(char *name, size_t size)
{
    char line[TEXT];
    snprintf(name, size, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", strlen("model name")) != 0 || !colon)
            continue;
        colon[1 + strcspn(colon + 1, "\n")] = '\0';
        snprintf(name, size, "%s", colon + 1 + strspn(colon + 1, " \t"));
        break;
    }
    if (file)
        fclose(file);
}

static void add_cpu(struct facts *facts)
{
    char name[256];
    struct blas_cpu cpu = blas_cpu();
    cpu_name(name, sizeof name);
    add(facts, "cpu", "CPU", "%s", name);
    add(facts, "cpu_features", "features", "%s%s%s%s", cpu.avx2 ? "AVX2 " : "",
        cpu.fma ? "FMA " : "", cpu.avx512 ? "AVX-512" : "",
        !cpu.avx2 && !cpu.fma && !cpu.avx512 ? "none that matter" : "");
    add(facts, "threads", "threads", "%d", par_threads());
}

// Which of the program's builds is at work, and which others could be.
static void add_level(struct facts *facts)
{
    char others[128] = "";
    for (int i = 0; level_names[i]; i++)
        if (strcmp(level_names[i], level_own()) != 0 && level_runs(level_names[i]))
            snprintf(others + strlen(others), sizeof others - strlen(others), "%s%s",
                     *others ? ", " : "", level_names[i]);
    add(facts, "vector_level", "vectors", "%s%s%s", level_own(),
        *others ? "; by " LEVEL_VARIABLE "=... also: " : "", others);
}

static void add_mend(struct facts *facts)
{
    const char *before = getenv(BLAS_MENDED_VARIABLE), *asked = getenv(BLAS_CORE_VARIABLE);
    struct blas_cpu cpu = blas_cpu();
    const char *better = blas_better_core(gemm_kernel(), &cpu, NULL);
    if (before && *before && asked && better)
        add(facts, "blas_mend", "mend",
            "failed: OpenBLAS keeps its %s kernels, though %s was asked for", gemm_kernel(), asked);
    else if (before && *before && asked)
        add(facts, "blas_mend", "mend", "OpenBLAS took its %s kernels; restarted with %s=%s",
            before, BLAS_CORE_VARIABLE, asked);
    else if (asked && *asked)
        add(facts, "blas_mend", "mend", "none: %s=%s is set by you and is respected%s%s",
            BLAS_CORE_VARIABLE, asked, better ? "; faster here: " : "", better ? better : "");
    else if (better)
        add(facts, "blas_mend", "mend", "none: %s is set; faster here: %s=%s", BLAS_MENDED_VARIABLE,
            BLAS_CORE_VARIABLE, better);
    else
        add(facts, "blas_mend", "mend", "none needed");
}

// How OpenMP's threads wait for each other.
static void add_waiting(struct facts *facts)
{
    const char *policy = getenv("OMP_WAIT_POLICY"), *turns = getenv("GOMP_SPINCOUNT");
    if (turns)
        add(facts, "waiting", "waiting", "%s turns, then asleep (GOMP_SPINCOUNT)", turns);
    else
        add(facts, "waiting", "waiting", "%s (OMP_WAIT_POLICY)", policy ? policy : "unknown");
}

static void add_libraries(struct facts *facts)
{
    char hdf5[32];
    h5_library_version(hdf5, sizeof hdf5);
    add(facts, "hdf5", "HDF5", "%s", hdf5);
    add(facts, "jansson", "jansson", "%s", jansson_version_str());
    add(facts, "libzip", "libzip", "%s", zip_libzip_version());
    add(facts, "nettle", "nettle", "%d.%d", nettle_version_major(), nettle_version_minor());
}

static void gather(struct facts *facts)
{
    add(facts, "posgrad", "posgrad", "%s", POSGRAD_VERSION);
    add(facts, "precision", "precision", "%s", REAL_NAME);
    add(facts, "compiler", "compiler", "%s", level_compiler());
    add(facts, "c_library", "C library", "%s", level_c_library());
    add(facts, "denormals", "denormals", "%s", par_denormals());
    add_cpu(facts);
    add_level(facts);
    add_waiting(facts);
    add(facts, "blas", "BLAS", "%s", gemm_library());
    add(facts, "blas_kernel", "kernels", "%s", gemm_kernel());
    add(facts, "blas_threading", "threading", "%s build%s", blas_threading(),
        blas_check_threads(2) < 0 ? ": wrong with more than one thread, so --threads 1 only" : "");
    add_mend(facts);
    add_libraries(facts);
    add(facts, "foreign_files", "strangers", "files are read in a process behind %s",
        wall_has_filter() ? "seccomp and limits" : "limits alone: the kernel allows no seccomp");
}

static int print_json(const struct facts *facts)
{
    json_t *object = json_object();
    for (int i = 0; i < facts->count; i++)
        json_object_set_new(object, facts->fact[i].key, json_string(facts->fact[i].text));
    return output_json(object) < 0 ? command_error(NULL) : 0;
}

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "one JSON object", 0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    bool *json = state->input;
    if (key == ARGP_KEY_ARG)
        command_refuse(state, "'%s' is not expected here", value);
    if (key != 'j')
        return ARGP_ERR_UNKNOWN;
    *json = true;
    return 0;
}

static int run_command(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        NULL,
        "Shows what of this machine decides speed or bits: CPU, BLAS kernels, threads, versions.",
        NULL,
        NULL,
        NULL};
    struct facts facts = {0};
    bool json = false;
    int parsed = command_parse("system", &argp, argc, argv, &json);
    if (parsed != 0)
        return parsed;
    gather(&facts);
    if (json)
        return print_json(&facts);
    for (int i = 0; i < facts.count; i++)
        printf("%-10s %s\n", facts.fact[i].label, facts.fact[i].text);
    return 0;
}

const struct command command_system = {
    .name = "system",
    .title = "CPU, BLAS kernels, threads, versions, and any mend applied",
    .run = run_command,
};
