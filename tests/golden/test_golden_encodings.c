// Every encoding, option and stack against PyTorch, through the whole model: logits, loss and every
// gradient of every case of pe_*.bin, which come from tests/golden/make_golden_encodings.py.
//
// An argument names what to run: `test_golden_encodings shaw` runs the cases that begin so.
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../support/check.h"
#include "../support/golden_model.h"

// The files that must be there; others may join them.
static const char *const files[] = {"absolute",  "attention", "extension", "grid",
                                    "positions", "relative",  "rotary",    "stacks"};
enum { FILES = sizeof files / sizeof files[0] };

// Encodings whose golden data is elsewhere or not yet made.
static const char *const without[] = {NULL};

// The case that array `i` belongs to where `i` is its loss, which each case has once; else false.
static bool case_name(const struct golden *golden, int i, char name[64])
{
    static const char end[] = "/outputs/loss";
    const char *full = golden->array[i].name;
    size_t size = strlen(full), tail = sizeof end - 1;
    if (size <= tail || strcmp(full + size - tail, end) != 0)
        return false;
    assert_true(size - tail < 64);
    memcpy(name, full, size - tail);
    name[size - tail] = '\0';
    return true;
}

static int case_differs(const struct golden *golden, const char *name)
{
    struct golden_model m;
    if (golden_model_open(&m, golden, name) < 0) {
        print_error("%s: %s: %s\n", golden->path, name, err_last());
        return 1;
    }
    int wrong = golden_model_differs(&m);
    golden_model_close(&m);
    return wrong;
}

// Runs the cases of a file that begin with `wanted`, and counts them.
static int file_differs(const char *path, const char *wanted, int *cases)
{
    struct golden golden;
    int wrong = 0;
    check_ok(golden_read(&golden, path));
    for (int i = 0; i < golden.arrays; i++) {
        char name[64];
        if (!case_name(&golden, i, name) || strncmp(name, wanted, strlen(wanted)) != 0)
            continue;
        wrong += case_differs(&golden, name) != 0;
        ++*cases;
    }
    golden_release(&golden);
    return wrong;
}

static void test_encodings_agree_with_pytorch(void **state)
{
    const char *wanted = *state ? *state : "";
    glob_t found;
    int wrong = 0, cases = 0;
    assert_int_equal(glob("tests/golden/pe_*.bin", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        wrong += file_differs(found.gl_pathv[i], wanted, &cases);
    globfree(&found);
    if (wrong || cases == 0)
        print_error("%d of %d cases differ\n", wrong, cases);
    assert_true(wrong == 0 && cases > 0);
}

// Whether `name` is in the text "a+b+c".
static bool has_name(const struct golden_array *stack, const char *name)
{
    int64_t size = (int64_t)strlen(name);
    for (int64_t start = 0; start < stack->count;) {
        const char *plus = memchr(stack->text + start, '+', (size_t)(stack->count - start));
        int64_t end = plus ? plus - stack->text : stack->count;
        if (end - start == size && memcmp(stack->text + start, name, (size_t)size) == 0)
            return true;
        start = end + 1;
    }
    return false;
}

static void mark_covered(const struct golden *golden, bool *covered)
{
    static const char end[] = "/config/pe";
    for (int i = 0; i < golden->arrays; i++) {
        const struct golden_array *array = &golden->array[i];
        size_t size = strlen(array->name), tail = sizeof end - 1;
        if (size > tail && strcmp(array->name + size - tail, end) == 0)
            for (int k = 0; k < pe_count; k++)
                covered[k] = covered[k] || has_name(array, pe_list[k]->name);
    }
}

static void test_every_encoding_has_a_case(void **state)
{
    (void)state;
    enum { MAX = 128 };
    bool covered[MAX] = {false};
    int missing = 0;
    assert_true(pe_count <= MAX);
    for (int i = 0; i < FILES; i++) {
        char path[64];
        struct golden golden;
        snprintf(path, sizeof path, "tests/golden/pe_%s.bin", files[i]);
        check_ok(golden_read(&golden, path));
        mark_covered(&golden, covered);
        golden_release(&golden);
    }
    for (int k = 0; k < pe_count; k++) {
        for (int i = 0; without[i]; i++)
            covered[k] = covered[k] || strcmp(without[i], pe_list[k]->name) == 0;
        if (covered[k])
            continue;
        print_error("%s has no golden case\n", pe_list[k]->name);
        missing++;
    }
    assert_int_equal(missing, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_encodings_agree_with_pytorch, argc > 1 ? argv[1] : NULL),
        cmocka_unit_test(test_every_encoding_has_a_case),
    };
    return cmocka_run_group_tests_name("encodings against PyTorch", tests, NULL, NULL);
}
