// Pictures of tables to the letter.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/report/picture.h"
#include "../support/check.h"

static const struct plot_style ascii = {.width = 40}, utf8 = {.width = 40, .utf8 = true},
                               color = {.width = 40, .utf8 = true, .color = true};

static char *picture(const struct export_array *table, bool whole, const struct plot_style *style)
{
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    picture_print(table, whole, style, file);
    fclose(file);
    assert_non_null(text);
    return text;
}

static void expect(const struct export_array *table, bool whole, const struct plot_style *style,
                   const char *wanted)
{
    char *text = picture(table, whole, style);
    if (strcmp(text, wanted) != 0)
        print_error("wanted\n%s\nbut it is\n%s\n", wanted, text);
    assert_string_equal(text, wanted);
    free(text);
}

static const int64_t offsets[] = {-4, -3, -2, -1, 0, 1, 2, 3, 4};
static const float bias[] = {-8, -6, -4, -2, 0, 2, 4, 6, 8, 0, 0, 0.4F, 1, -1, -3, -5, -7, 8};
static const struct export_array two_axes = {.name = "relative_bias",
                                             .dims = 2,
                                             .size = {2, 9},
                                             .axis = {"head", "offset"},
                                             .coordinate = {NULL, offsets},
                                             .data = bias};

// The sign is in the half of the blocks, and 0.4 is near 0.
static void without_colours(void **state)
{
    (void)state;
    expect(&two_axes, false, &utf8,
           "relative_bias: head 2, offset 9; -8 to 8\n"
           "head\n"
           "0      ▁▂▃▄ ▅▆▇█\n"
           "1         ▅▄▃▂▁█\n"
           "offset -4  0   4\n"
           "▁▂▃▄ -8 to 0, ▅▆▇█ 0 to 8, blank near 0\n");
    expect(&two_axes, false, &ascii,
           "relative_bias: head 2, offset 9; -8 to 8\n"
           "head\n"
           "0      .:-= +*#@\n"
           "1         +=-:.@\n"
           "offset -4  0   4\n"
           ".:-= -8 to 0, +*#@ 0 to 8, blank near 0\n");
}

// The sign is the colour, and all blocks are for the size.
static void in_colours(void **state)
{
    (void)state;
#define BELOW "\033[36m"
#define ABOVE "\033[31m"
#define END "\033[0m"
    expect(&two_axes, false, &color,
           "relative_bias: head 2, offset 9; -8 to 8\n"
           "head\n"
           "0" BELOW "      █▆▄▂" END ABOVE " ▂▄▆█" END "\n"
           "1" ABOVE "         ▁" END BELOW "▁▃▅▇" END ABOVE "█" END "\n"
           "offset -4  0   4\n" ABOVE "▁▂▃▄▅▆▇█" END " above 0, " BELOW "▁▂▃▄▅▆▇█" END
           " below, both up to 8, blank near 0\n");
}

// Of one sign: all blocks from 0 on; or, far from 0, from the smallest.
static void of_one_sign(void **state)
{
    (void)state;
    static const float slopes[] = {0.5F, 0.25F, 0.125F, 0.0625F, 0, -0.0F},
                       factors[] = {-1.5F, -1.25F, -1};
    struct export_array table = {
        .name = "slopes", .dims = 1, .size = {6}, .axis = {"head"}, .data = slopes};
    expect(&table, false, &ascii,
           "slopes: head 6; 0 to 0.5\n"
           "     @=:.\n"
           "head 0    5\n"
           ".:-=+*#@ 0 to 0.5, blank near 0\n");
    table = (struct export_array){
        .name = "factor", .dims = 1, .size = {3}, .axis = {"head"}, .data = factors};
    expect(&table, false, &utf8,
           "factor: head 3; -1.5 to -1\n"
           "     █▄▁\n"
           "head 0 2\n"
           "▁▂▃▄▅▆▇█ -1 to -1.5\n");
}

static void nothing_to_see(void **state)
{
    (void)state;
    static const float zeros[4], same[] = {1, 1}, strange[] = {1, (float)NAN, -(float)INFINITY, 3};
    struct export_array table = {
        .name = "zeros", .dims = 2, .size = {2, 2}, .axis = {"position", "channel"}, .data = zeros};
    expect(&table, false, &utf8,
           "zeros: position 2, channel 2; 0 to 0\n"
           "position\n"
           "0\n"
           "1\n"
           "channel  0 1\n"
           "\n");
    table = (struct export_array){.name = "same", .dims = 1, .size = {2}, .data = same};
    expect(&table, false, &utf8,
           "same: axis_0 2; 1 to 1\n"
           "       ██\n"
           "axis_0 0 1\n"
           "▁▂▃▄▅▆▇█ 1 to 1\n");
    table = (struct export_array){.name = "strange", .dims = 1, .size = {4}, .data = strange};
    expect(&table, false, &utf8,
           "strange: axis_0 4; -inf to 3\n"
           "       ▃??█\n"
           "axis_0 0  3\n"
           "▁▂▃▄▅▆▇█ 0 to 3, blank near 0, ? not finite\n");
    table.size[0] = 0;
    expect(&table, false, &utf8, "strange: axis_0 0; empty\n");
    table = (struct export_array){.name = "a\033[2Jb", .dims = 0, .data = same};
    expect(&table, false, &ascii, "a?[2Jb; 1 to 1\n @\n.:-=+*#@ 1 to 1\n");
}

// Panels stand side by side as far as they fit; small pictures leave some out.
static void of_many_axes(void **state)
{
    (void)state;
    static const int64_t grid[] = {-1, 0, 1};
    float values[2 * 2 * 3 * 3];
    for (int i = 0; i < 36; i++)
        values[i] = (float)i;
    struct export_array table = {.name = "grid",
                                 .dims = 4,
                                 .size = {2, 2, 3, 3},
                                 .axis = {"layer", "head", "row", "column"},
                                 .coordinate = {NULL, NULL, grid, grid},
                                 .data = values};
    const struct plot_style fits = {.width = 39}, narrow = {.width = 38};
    expect(&table, false, &fits,
           "grid: layer 2, head 2, row 3, column 3; 0 to 35\n"
           "row    layer 0, head 0  layer 0, head 1\n"
           "-1                      ---\n"
           "0      ..:              --=\n"
           "1      :::              ===\n"
           "column -1 1             -1 1\n"
           "row    layer 1, head 0  layer 1, head 1\n"
           "-1     +++              ###\n"
           "0      +**              #@@\n"
           "1      ***              @@@\n"
           "column -1 1             -1 1\n"
           ".:-=+*#@ 0 to 35, blank near 0\n");
    expect(&table, false, &narrow,
           "grid: layer 2, head 2, row 3, column 3; 0 to 35\n"
           "row    layer 0, head 0\n"
           "-1\n"
           "0      ..:\n"
           "1      :::\n"
           "column -1 1\n"
           "row    layer 0, head 1\n"
           "-1     ---\n"
           "0      --=\n"
           "1      ===\n"
           "column -1 1\n"
           "row    layer 1, head 0\n"
           "-1     +++\n"
           "0      +**\n"
           "1      ***\n"
           "column -1 1\n"
           "row    layer 1, head 1\n"
           "-1     ###\n"
           "0      #@@\n"
           "1      @@@\n"
           "column -1 1\n"
           ".:-=+*#@ 0 to 35, blank near 0\n");
}

// Few columns of many rows lie on their side: nothing is lost, and it is not as high.
static void on_its_side(void **state)
{
    (void)state;
    float values[2 * 13 * 2];
    for (int i = 0; i < 52; i++)
        values[i] = (float)(i % 2 ? i / 2 : -i / 2);
    struct export_array table = {.name = "bucket_bias",
                                 .dims = 3,
                                 .size = {2, 13, 2},
                                 .axis = {"layer", "bucket", "head"},
                                 .data = values};
    expect(&table, false, &ascii,
           "bucket_bias: layer 2, bucket 13, head 2; -25 to 25\n"
           "head   layer 0        layer 1\n"
           "0        =====------  ::::::.......\n"
           "1        +++++******  ######@@@@@@@\n"
           "bucket 0          12  0          12\n"
           ".:-= -25 to 0, +*#@ 0 to 25, blank near 0\n");
    table.size[1] = 4; // no more than twice as many
    table.size[0] = 1;
    expect(&table, false, &ascii,
           "bucket_bias: layer 1, bucket 4, head 2; -3 to 3\n"
           "bucket layer 0\n"
           "0\n"
           "1      -*\n"
           "2      :#\n"
           "3      .@\n"
           "head   0 1\n"
           ".:-= -3 to 0, +*#@ 0 to 3, blank near 0\n");
}

// Several values a cell: the one that is farthest from 0, with its sign, and not their mean.
static void too_large_for_the_terminal(void **state)
{
    (void)state;
    static float values[3 * 40 * 60];
    for (int64_t i = 0; i < 3 * 40 * 60; i++)
        values[i] = i % 2 ? 1 : -1;
    values[60 + 5] = -8; // row 1, column 5
    struct export_array table = {.name = "wide",
                                 .dims = 3,
                                 .size = {3, 40, 60},
                                 .axis = {"layer", "position", "channel"},
                                 .data = values};
    const struct plot_style narrow = {.width = 10}; // 24 are taken
    char *text = picture(&table, false, &narrow);
    // 60 columns make 15 of 4, and 40 rows make 14 of 3.
    const char *head = "wide: layer 3, position 40, channel 60; -8 to 1\n"
                       "position layer 0\n"
                       "0        =.=============\n"
                       "3        ===============\n";
    const char *tail = "\n39       ===============\n"
                       "channel  0            59\n"
                       "and 2 more, with --table wide\n"
                       ".:-= -8 to 0, +*#@ 0 to 8, blank near 0\n"
                       "a cell is the farthest from 0 of 3 x 4 values\n";
    size_t size = strlen(text), end = strlen(tail);
    assert_int_equal(strncmp(text, head, strlen(head)), 0);
    assert_true(size > end);
    assert_string_equal(text + size - end, tail);
    free(text);
    // Whole: each row, each layer.
    text = picture(&table, true, &narrow);
    assert_non_null(strstr(text, "\nposition layer 2\n0        ==="));
    assert_non_null(strstr(text, "\n1        ==="));
    assert_null(strstr(text, "more, with"));
    free(text);
}

CHECK_MAIN(cmocka_unit_test(without_colours), cmocka_unit_test(in_colours),
           cmocka_unit_test(of_one_sign), cmocka_unit_test(nothing_to_see),
           cmocka_unit_test(of_many_axes), cmocka_unit_test(on_its_side),
           cmocka_unit_test(too_large_for_the_terminal))
