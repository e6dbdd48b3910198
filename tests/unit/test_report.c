// Tables and pictures to the letter.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/report/plot.h"
#include "../../src/report/table.h"
#include "../support/check.h"

static char *text;
static size_t size;

static FILE *begin(void)
{
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    return file;
}

static void expect(FILE *file, const char *wanted)
{
    fclose(file);
    if (strcmp(text, wanted) != 0)
        print_error("wanted\n%s\nbut it is\n%s\n", wanted, text);
    assert_string_equal(text, wanted);
    free(text);
}

static void a_table(void **state)
{
    (void)state;
    static const char *const cells[] = {"name", "share", "n",  "ü, \"x\"", "1.000", "3",
                                        "b",    "",      "12", "c",        "",      ""};
    struct table table;
    table_init(&table, "lrr");
    for (int i = 0; i < 12; i++)
        table_cell(&table, "%s", cells[i]);
    FILE *file = begin();
    check_ok(table_print(&table, file));
    expect(file, "name    share   n\n"
                 "ü, \"x\"  1.000   3\n"
                 "b              12\n"
                 "c\n");
    file = begin();
    check_ok(table_csv(&table, file));
    expect(file, "name,share,n\n\"ü, \"\"x\"\"\",1.000,3\nb,,12\nc,,\n");
    table_release(&table);
}

static const int64_t lengths[] = {8, 16, 32, 64};
static const double chance[] = {0.25, 0.25, 0.25, 0.25}, none[] = {1, 1, 0.5, (double)NAN},
                    clip[] = {1, 1, 0.7, (double)NAN};
static const struct plot_series lines[] = {{"none", none}, {"clip", clip}};

static void in_ascii(void **state)
{
    (void)state;
    struct plot plot = {"accuracy", 4, lengths, chance, 16, 2, lines};
    struct plot_style style = {.width = 36};
    FILE *file = begin();
    plot_print(&plot, &style, file);
    // Lengths stand at columns 2, 11, 19 and 28 of 31; 64 is defined by no series; at 8 and 16 the
    // second mark stands beside the first.
    expect(file, "accuracy\n"
                 "1.0 +  ox.......ox\n"
                 "    |            ....\n"
                 "    |              ....\n"
                 "    |                . .x\n"
                 "    |                 ..\n"
                 "0.5 +                   o\n"
                 "    |\n"
                 "    |  ---------------------------\n"
                 "    |\n"
                 "    |\n"
                 "0.0 +\n"
                 "    +============----------------x--\n"
                 "       8       16      32       64\n"
                 "     o none   x clip   - chance   = trained, to length 16   x undefined\n");
}

// One length, chance that is not known, an accuracy that is not there, and marks in UTF-8.
static void of_one_length(void **state)
{
    (void)state;
    const double nothing[] = {(double)NAN};
    struct plot plot = {"accuracy", 1, lengths, nothing, 4, 1, lines};
    struct plot_style style = {.width = 10, .utf8 = true};
    FILE *file = begin();
    plot_print(&plot, &style, file);
    expect(file, "accuracy\n"
                 "1.0 ┤         ●\n"
                 "    │\n    │\n    │\n    │\n0.5 ┤\n    │\n    │\n    │\n    │\n0.0 ┤\n"
                 "    └───────────────────\n"
                 "              8\n"
                 "     ● none   ━ trained, to length 4\n");
}

static void in_colour(void **state)
{
    (void)state;
    struct plot plot = {"accuracy", 4, lengths, chance, 16, 2, lines};
    struct plot_style style = {.width = 36, .color = true};
    FILE *file = begin();
    plot_print(&plot, &style, file);
    fclose(file);
    assert_non_null(strstr(text, "\033[36mo\033[0m none"));
    assert_non_null(strstr(text, "\033[33mx\033[0m clip"));
    assert_non_null(strstr(text, "\033[2m-\033[0m chance"));
    // Without its escapes it is the plain one.
    char *to = text;
    for (char *p = text; *p;)
        if (*p == '\033')
            p += strcspn(p, "m") + 1;
        else
            *to++ = *p++;
    *to = '\0';
    char *colored = text;
    style.color = false;
    file = begin();
    plot_print(&plot, &style, file);
    expect(file, colored);
    free(colored);
}

CHECK_MAIN(cmocka_unit_test(a_table), cmocka_unit_test(in_ascii), cmocka_unit_test(of_one_length),
           cmocka_unit_test(in_colour))
