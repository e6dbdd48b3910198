// posgrad gradcheck: every backward pass against central differences, in double.
#include <argp.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../autograd/ops/op.h"
#include "../model/model_check.h"
#include "command.h"

enum { REPEATS = 3, MAX_PAIRS = 16 };

struct arguments {
    const char *op, *pe;
    int pairs;
    const char *pair[MAX_PAIRS];
    uint64_t seed;
};

static const struct argp_option options[] = {
    {"op", 'o', "NAME|all", 0, "check one op, or all (default: all ops and all encodings)", 0},
    {"pe", 'p', "NAME|all", 0, "check whole models with this encoding, or stack, or all", 0},
    {"pe-opt", 'P', "KEY=VALUE", 0, "a setting of the encodings of --pe; may be repeated", 0},
    {"seed", 's', "N", 0, "draw other shapes and values", 0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    char *end = NULL;
    switch (key) {
    case 'o':
        arguments->op = value;
        return 0;
    case 'p':
        arguments->pe = value;
        return 0;
    case 'P':
        if (arguments->pairs == MAX_PAIRS)
            command_refuse(state, "--pe-opt is given more than %d times", MAX_PAIRS);
        arguments->pair[arguments->pairs++] = value;
        return 0;
    case 's':
        arguments->seed = strtoull(value, &end, 10);
        if (*value < '0' || *value > '9' || *end)
            command_refuse(state, "--seed '%s' is not a number", value);
        return 0;
    case ARGP_KEY_END:
        if (arguments->pairs && (!arguments->pe || strcmp(arguments->pe, "all") == 0))
            command_refuse(state, "--pe-opt needs --pe NAME, the encoding that it is a setting of");
        return 0;
    case ARGP_KEY_ARG:
        command_refuse(state, "'%s' is not expected here", value);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

struct tally {
    int passed, failed;
};

static void report(struct tally *tally, const char *kind, const char *name,
                   const struct ag_check *check)
{
    bool good = check->worst < AG_CHECK_TOLERANCE && check->elements > 0;
    printf("%s %-5s %-28s worst relative error %.1e at %-24s %6lld elements %4lld directions\n",
           good ? "pass" : "FAIL", kind, name, check->worst, check->where,
           (long long)check->elements, (long long)check->directions);
    tally->passed += good;
    tally->failed += !good;
}

static void merge(struct ag_check *all, const struct ag_check *one)
{
    int64_t elements = all->elements + one->elements,
            directions = all->directions + one->directions;
    if (!(one->worst < all->worst))
        *all = *one;
    all->elements = elements;
    all->directions = directions;
}

static int check_op(struct tally *tally, const struct ag_op *op, uint64_t seed)
{
    struct ag_check all = {0}, one;
    if (op->flags & AG_NO_BACKWARD)
        return 0;
    for (int i = 0; i < op->variants * REPEATS; i++) {
        int code = ag_check_op(op, i % op->variants, seed + (uint64_t)(i / op->variants),
                               AG_CORRUPT_NOTHING, 0, &one);
        if (code < 0)
            return err_prefix(code, "op %s, variant %d", op->name, i % op->variants);
        merge(&all, &one);
    }
    report(tally, "op", op->name, &all);
    return 0;
}

// All lengths of one architecture.
static int check_arch(struct tally *tally, struct model_check_case *what)
{
    static const int64_t lengths[] = {1, 2, 6, 7};
    struct ag_check all = {0}, one;
    char name[96];
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        what->length = lengths[i];
        int code = model_gradcheck(what, &one);
        if (code < 0)
            return code;
        merge(&all, &one);
    }
    snprintf(name, sizeof name, "%.60s %s", what->pe, what->causal ? "decoder" : "encoder");
    report(tally, "model", name, &all);
    return 0;
}

// An encoding may refuse one architecture; that is said, and no mistake.
static int check_pe(struct tally *tally, const struct arguments *arguments, const char *pe)
{
    struct model_check_case what = {
        .pe = pe, .pairs = arguments->pairs, .pair = arguments->pair, .seed = arguments->seed};
    struct pe_stack stack;
    int refused = 0, known = pe_stack_init(&stack, pe, arguments->pairs, arguments->pair);
    if (known < 0)
        return known;
    pe_stack_release(&stack);
    for (int causal = 0; causal < 2; causal++) {
        what.causal = causal;
        int code = check_arch(tally, &what);
        if (code < 0 && (code != ERR_ARGUMENT || ++refused == 2))
            return code;
        if (code < 0)
            printf("skip model %s %s: %s\n", pe, causal ? "decoder" : "encoder", err_last());
    }
    return 0;
}

static int check_ops(struct tally *tally, const char *name, uint64_t seed)
{
    const char *names[256];
    bool all = strcmp(name, "all") == 0;
    int found = 0, code = 0;
    for (int i = 0; i < ag_op_count && code == 0; i++) {
        names[i] = ag_ops[i]->name;
        if (all || name_index(&names[i], 1, name) == 0) {
            code = check_op(tally, ag_ops[i], seed);
            found++;
        }
    }
    if (found || code < 0)
        return code;
    const char *near = name_nearest(names, ag_op_count, name);
    return err_set(ERR_ARGUMENT, "no op is called '%s'%s%s%s", name, near ? "; did you mean '" : "",
                   near ? near : "", near ? "'?" : "");
}

static int check_encodings(struct tally *tally, const struct arguments *arguments)
{
    if (arguments->pe && strcmp(arguments->pe, "all") != 0)
        return check_pe(tally, arguments, arguments->pe);
    int code = 0;
    for (int i = 0; i < pe_count && code == 0; i++) {
        char pe[128];
        pe_smallest_stack(pe_list[i], pe);
        code = check_pe(tally, arguments, pe);
    }
    return code;
}

static int run(int argc, char **argv)
{
    static const struct argp argp = {options,
                                     parse,
                                     NULL,
                                     "Checks every backward pass against central differences in "
                                     "double; relative errors must stay below 1e-6.",
                                     NULL,
                                     NULL,
                                     NULL};
    struct arguments arguments = {.seed = 0};
    struct tally tally = {0};
    int parsed = command_parse("gradcheck", &argp, argc, argv, &arguments);
    if (parsed != 0)
        return parsed;
    if (command_check_products() != 0)
        return 1;
    int code = 0;
    if (arguments.op || !arguments.pe)
        code = check_ops(&tally, arguments.op ? arguments.op : "all", arguments.seed);
    if (code == 0 && (arguments.pe || !arguments.op))
        code = check_encodings(&tally, &arguments);
    if (code < 0)
        return command_error(NULL);
    printf("%d passed, %d failed\n", tally.passed, tally.failed);
    return tally.failed ? 1 : 0;
}

const struct command command_gradcheck = {
    .name = "gradcheck",
    .title = "check every gradient, in double",
    .in_double = true,
    .run = run,
};
