// Which kernels are asked for, over a table of CPUs and of what OpenBLAS took for them.
#include "../support/check.h"

#include "../../autograd/kernels/blas.h"
#include "../../autograd/kernels/gemm.h"

static const struct blas_cpu sse = {0};
static const struct blas_cpu avx2 = {.avx2 = true, .fma = true};
static const struct blas_cpu no_fma = {.avx2 = true};
static const struct blas_cpu avx512 = {.avx2 = true, .fma = true, .avx512 = true};

static const struct {
    const char *core, *chosen;
    const struct blas_cpu *cpu;
    const char *better;
} cases[] = {
    {"Prescott", NULL, &avx512, "SkylakeX"}, // a Xeon that OpenBLAS does not know
    {"Prescott", "", &avx512, "SkylakeX"},   // set to nothing is not set
    {"Prescott", NULL, &avx2, "Haswell"},
    {"Prescott", NULL, &no_fma, NULL},
    {"Prescott", NULL, &sse, NULL},
    {"prescott", NULL, &avx2, "Haswell"},
    {"Core2", NULL, &avx2, "Haswell"},
    {"Nehalem", NULL, &avx512, "SkylakeX"},
    {"Sandybridge", NULL, &avx2, "Haswell"},
    {"Barcelona", NULL, &avx2, "Haswell"},
    {"Atom", NULL, &avx2, "Haswell"},
    {"Haswell", NULL, &avx2, NULL},
    {"Haswell", NULL, &avx512, NULL}, // slower than it could be, not slow
    {"Zen", NULL, &avx512, NULL},
    {"Excavator", NULL, &avx2, NULL},
    {"SkylakeX", NULL, &avx512, NULL},
    {"Cooperlake", NULL, &avx512, NULL},
    {"SapphireRapids", NULL, &avx512, NULL},
    {"armv8", NULL, &sse, NULL},
    {"unknown", NULL, &avx512, NULL},
    {"", NULL, &avx512, NULL},
    {"Prescott", "Prescott", &avx512, NULL}, // the user's choice stands
    {"Prescott", "Haswell", &avx512, NULL},
};

static void choice_follows_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *better = blas_better_core(cases[i].core, cases[i].cpu, cases[i].chosen);
        if (!better != !cases[i].better)
            fail_msg("case %zu, %s: %s in place of %s", i, cases[i].core, better ? better : "none",
                     cases[i].better ? cases[i].better : "none");
        if (better)
            assert_string_equal(better, cases[i].better);
    }
}

static void what_is_asked_for_is_never_mended_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (cases[i].better)
            assert_null(blas_better_core(cases[i].better, cases[i].cpu, NULL));
}

static void library_names_itself(void **state)
{
    (void)state;
    assert_true(gemm_kernel()[0] != '\0');
    assert_true(gemm_library()[0] != '\0');
    assert_string_not_equal(blas_threading(), "unknown");
}

CHECK_MAIN(cmocka_unit_test(choice_follows_the_table),
           cmocka_unit_test(what_is_asked_for_is_never_mended_again),
           cmocka_unit_test(library_names_itself))
