// The table of a profile. What the step does outside of the graph - the batch, its score, the
// gradient's norm, the update - is one row.
#include "profile.h"

#include <stdio.h>

#include "../../autograd/base/par.h"
#include "../../autograd/kernels/peak.h"

enum { ROWS = 256, PEAK_MS = 50 };

static void print_row(const char *op, const char *pass, int nodes, double ms, double share)
{
    char count[16] = "";
    if (nodes)
        snprintf(count, sizeof count, "%d", nodes);
    printf("  %-16s %-9s %5s %10.3f %6.1f %%", op, pass, count, ms, 100 * share);
}

static void print_table(const struct ag_profile_row *row, int rows, int64_t steps, double ms,
                        double rest)
{
    double peak = peak_flops(PEAK_MS) * par_threads() * 1e-9;
    printf(
        "where a step of %.3f ms goes (mean of %lld; the limit of %d thread%s is %.0f GFLOP/s of "
        "multiply-adds):\n  %-16s %-9s %5s %10s %8s\n",
        ms, (long long)steps, par_threads(), par_threads() == 1 ? "" : "s", peak, "op", "pass",
        "nodes", "ms", "share");
    for (int i = 0; i < rows; i++) {
        double own = 1e3 * row[i].seconds / (double)steps;
        double rate = row[i].seconds > 0 ? row[i].flops / row[i].seconds * 1e-9 : 0;
        print_row(row[i].op, row[i].backward ? "backward" : "forward", row[i].nodes, own, own / ms);
        if (rate > 0)
            printf(" %8.1f GFLOP/s %5.1f %% of the limit", rate, 100 * rate / peak);
        putchar('\n');
    }
    print_row("batch and update", "", 0, rest, rest / ms);
    putchar('\n');
}

static void print_json(const struct ag_profile_row *row, int rows, int64_t steps, double ms,
                       double rest)
{
    printf("{\"profile\": {\"steps\": %lld, \"step_ms\": %.6g, \"threads\": %d, \"peak_gflops\": "
           "%.6g, \"batch_and_update_ms\": %.6g, \"ops\": [",
           (long long)steps, ms, par_threads(), peak_flops(PEAK_MS) * par_threads() * 1e-9, rest);
    for (int i = 0; i < rows; i++)
        printf("%s{\"op\": \"%s\", \"pass\": \"%s\", \"nodes\": %d, \"ms\": %.6g, \"gflop\": %.6g}",
               i ? ", " : "", row[i].op, row[i].backward ? "backward" : "forward", row[i].nodes,
               1e3 * row[i].seconds / (double)steps, row[i].flops / (double)steps * 1e-9);
    puts("]}}");
}

void profile_print(const struct ag_plan *plan, int64_t steps, double ms, bool json)
{
    struct ag_profile_row row[ROWS];
    int rows = ag_plan_profile_rows(plan, row, ROWS);
    double graph = 0;
    if (steps < 1 || !(ms > 0))
        return;
    for (int i = 0; i < rows; i++)
        graph += 1e3 * row[i].seconds;
    if (json)
        print_json(row, rows, steps, ms / (double)steps, (ms - graph) / (double)steps);
    else
        print_table(row, rows, steps, ms / (double)steps, (ms - graph) / (double)steps);
}
