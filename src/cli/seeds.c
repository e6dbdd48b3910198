// Lists of seeds, and what came of them.
#include "seeds.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../report/table.h"
#include "../train/statistics.h"

static int not_a_list(const char *text)
{
    return err_set(ERR_ARGUMENT, "--seeds '%.64s' is no list of seeds; write 0,1,2 or 0-4", text);
}

static int add(struct seeds *seeds, int64_t seed)
{
    for (int i = 0; i < seeds->count; i++)
        if (seeds->result[i].seed == seed)
            return err_set(ERR_ARGUMENT, "--seeds: %lld comes twice", (long long)seed);
    if (seeds->count == SEEDS_MAX)
        return err_set(ERR_ARGUMENT, "--seeds: more than %d seeds", SEEDS_MAX);
    seeds->result[seeds->count++] = (struct seed_result){.seed = seed};
    return 0;
}

// Digits at *p, which moves behind them; -1 where there are none, or too many for a seed.
static int64_t number(const char **p)
{
    size_t digits = strspn(*p, "0123456789");
    if (digits < 1 || digits > 15)
        return -1;
    int64_t value = strtoll(*p, NULL, 10);
    *p += digits;
    return value;
}

int seeds_parse(struct seeds *seeds, const char *text)
{
    seeds->count = 0;
    for (const char *p = text;; p++) {
        int64_t first = number(&p), last = first;
        if (first >= 0 && *p == '-') {
            p++;
            last = number(&p);
        }
        if (first < 0 || last < first || (*p && *p != ','))
            return not_a_list(text);
        for (int64_t seed = first; seed <= last; seed++) {
            int code = add(seeds, seed);
            if (code < 0)
                return code;
        }
        if (!*p)
            return 0;
    }
}

// --- results

enum { VALUES = 3 };
static const char *const value_name[VALUES] = {"accuracy", "exact_match", "loss"};

static double value_of(const struct seed_result *result, int which)
{
    const struct evaluation *e = &result->evaluation;
    return which == 0 ? e->accuracy : which == 1 ? e->exact_match : e->loss;
}

struct summary {
    double mean;
    struct interval interval;
};

static struct summary summarise(const struct seeds *seeds, int which)
{
    double value[SEEDS_MAX];
    struct summary summary;
    int count = 0;
    for (int i = 0; i < seeds->count; i++)
        if (seeds->result[i].done)
            value[count++] = value_of(&seeds->result[i], which);
    summary.interval = interval_mean(count, value, &summary.mean);
    return summary;
}

static int print_table(const struct seeds *seeds)
{
    struct table table;
    table_init(&table, "lrrrr");
    table_cell(&table, "seed");
    table_cell(&table, "step");
    table_cell(&table, "accuracy");
    table_cell(&table, "exact match");
    table_cell(&table, "loss");
    for (int i = 0; i < seeds->count; i++) {
        const struct seed_result *result = &seeds->result[i];
        if (!result->done)
            continue;
        table_cell(&table, "%lld", (long long)result->seed);
        table_cell(&table, "%lld", (long long)result->step);
        for (int v = 0; v < VALUES; v++)
            table_cell(&table, "%.4f", value_of(result, v));
    }
    table_cell(&table, "mean");
    table_cell(&table, "%s", "");
    for (int v = 0; v < VALUES; v++)
        table_cell(&table, "%.4f", summarise(seeds, v).mean);
    table_cell(&table, "95 %% interval");
    table_cell(&table, "%s", "");
    for (int v = 0; v < VALUES; v++) {
        struct interval interval = summarise(seeds, v).interval;
        if (isfinite(interval.low))
            table_cell(&table, "%.4f to %.4f", interval.low, interval.high);
        else
            table_cell(&table, "unknown"); // of one seed
    }
    int code = table_print(&table, stdout);
    table_release(&table);
    return code;
}

static void print_number(const char *key, double value)
{
    if (isfinite(value))
        printf("\"%s\": %.9g", key, value);
    else
        printf("\"%s\": null", key);
}

static void print_json(const struct seeds *seeds)
{
    bool first = true;
    fputs("{\"seeds\": [", stdout);
    for (int i = 0; i < seeds->count; i++) {
        const struct seed_result *result = &seeds->result[i];
        if (!result->done)
            continue;
        printf("%s{\"seed\": %lld, \"step\": %lld", first ? "" : ", ", (long long)result->seed,
               (long long)result->step);
        for (int v = 0; v < VALUES; v++)
            printf(", \"%s\": %.9g", value_name[v], value_of(result, v));
        putchar('}');
        first = false;
    }
    putchar(']');
    for (int v = 0; v < VALUES; v++) {
        struct summary summary = summarise(seeds, v);
        printf(", \"%s\": {", value_name[v]);
        print_number("mean", summary.mean);
        fputs(", ", stdout);
        print_number("low", summary.interval.low);
        fputs(", ", stdout);
        print_number("high", summary.interval.high);
        putchar('}');
    }
    puts("}");
}

int seeds_print(const struct seeds *seeds, bool json)
{
    bool any = false;
    int code = 0;
    for (int i = 0; i < seeds->count; i++)
        any = any || seeds->result[i].done;
    if (any && json)
        print_json(seeds);
    else if (any)
        code = print_table(seeds);
    fflush(stdout);
    return code;
}
